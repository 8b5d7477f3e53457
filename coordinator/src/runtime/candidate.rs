//! A version that was deployed while an instance runs, and is not taken in yet.

use std::sync::Arc;

use ringmaster_core::definition::{Definition, DefinitionRecord};

/// A version that may be taken in.
pub(super) struct Candidate {
    pub(super) offset: i64,
    pub(super) record: DefinitionRecord,
    pub(super) definition: Arc<Definition>,
    /// New sagas would get it.
    pub(super) is_newest: bool,
}

impl Candidate {
    /// The topics that its sagas listen to.
    pub(super) fn inputs(&self) -> Vec<String> {
        self.definition.inputs().into_iter().map(|topic| topic.to_string()).collect()
    }
}
