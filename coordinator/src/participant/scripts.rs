//! The script that is in force: read again when it, a definition or a schema has changed, so that what is deployed meanwhile is answered.

use std::sync::{Arc, Mutex, PoisonError};

use super::script::Script;

/// Gives a newer script, if what it is read from has changed and can be read; says what is wrong itself.
type Look = Box<dyn Fn() -> Option<Script> + Send + Sync>;

/// The script of some participants.
pub struct Scripts {
    current: Mutex<Arc<Script>>,
    look: Look,
}

impl Scripts {
    /// This one, until `look` gives another.
    pub fn new(script: Arc<Script>, look: Look) -> Arc<Scripts> {
        Arc::new(Scripts { current: Mutex::new(script), look })
    }

    /// This one for ever.
    pub fn fixed(script: Arc<Script>) -> Arc<Scripts> {
        Scripts::new(script, Box::new(|| None))
    }

    /// The one in force, as far as it is known.
    pub fn current(&self) -> Arc<Script> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The one in force, after a look. One looks at a time, and the others take what it found.
    pub(super) fn newest(&self) -> Arc<Script> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(newer) = (self.look)() {
            *current = Arc::new(newer);
        }
        current.clone()
    }
}
