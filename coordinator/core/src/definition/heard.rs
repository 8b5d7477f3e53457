//! Who hears of an event of a topic and type: what it starts, who listens to it, and by which of its fields it is matched.

use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::DefinitionHash;

use super::{Definition, MatchedField};

/// A definition that starts on an event.
#[derive(Debug, Clone)]
pub struct Starting {
    /// Its newest version.
    pub definition: Arc<Definition>,
    /// Which of its starts.
    pub start: u16,
}

/// Versions of one definition that listen to an event in the same way.
#[derive(Debug, Clone)]
pub struct Listening {
    /// One of them: it reads the event as all of them do.
    pub definition: Arc<Definition>,
    /// What listens, in all of them: a number of that one's listeners.
    pub listener: u16,
    /// The newest version is one of them.
    pub is_newest: bool,
    pub(super) versions: Vec<DefinitionHash>,
}

impl Listening {
    /// True if this version is one of them.
    pub fn has(&self, version: &DefinitionHash) -> bool {
        self.versions.contains(version)
    }
}

/// A field by which definitions match events.
#[derive(Debug, Clone)]
pub struct Matching {
    /// Which.
    pub field: Arc<str>,
    /// A version that reads it: all that read it alike say the same.
    pub definition: Arc<Definition>,
    /// What listens: a number of that one's listeners.
    pub listener: u16,
    /// How long an event is kept that comes before anybody waits for it: the longest that a version says.
    pub keep_ms: Millis,
}

/// Takes in that a version matches by this field; what comes later reads it, where both read it alike.
pub(super) fn add_field(
    all: &mut Vec<Matching>,
    field: &MatchedField,
    definition: &Arc<Definition>,
    (listener, keep_ms): (u16, Millis),
) {
    let reads_alike = |known: &&mut Matching| {
        let other = known.definition.listeners[usize::from(known.listener)].matches.as_ref();
        known.field == field.name && other.is_some_and(|other| other.read.key() == field.read.key())
    };
    match all.iter_mut().find(reads_alike) {
        Some(known) => {
            (known.definition, known.listener) = (definition.clone(), listener);
            known.keep_ms = known.keep_ms.max(keep_ms);
        }
        None => all.push(Matching { field: field.name.clone(), definition: definition.clone(), listener, keep_ms }),
    }
}
