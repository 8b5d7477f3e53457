//! What was deployed while an instance runs, as its workers are told of it.

use std::sync::Arc;

use ringmaster_core::definition::{Catalog, DefinitionRecord};

use super::knowledge::Knowledge;
use super::setup::Setup;

/// What workers take in while they run.
#[derive(Debug, Clone)]
pub struct News {
    /// All that is known now.
    pub knowledge: Arc<Knowledge>,
    /// All topics that are used now: what was known before is in its place.
    pub setup: Setup,
    /// The versions that are in force by these news.
    pub in_force: Vec<InForce>,
}

/// A version that new sagas get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// The definition's name.
    pub saga: String,
    /// Its running number.
    pub version: u32,
    /// File and line that it is from.
    pub from: String,
}

impl News {
    /// Says what is in force: for whoever has told the workers, since it is not before.
    pub(super) fn say(&self) {
        for InForce { saga, version, from } in &self.in_force {
            tracing::info!(saga, version, from, "in force: new sagas get this version, those that run keep theirs");
        }
    }
}

/// What a version that was taken in is in this catalog.
pub(super) fn in_force(catalog: &Catalog, record: &DefinitionRecord) -> InForce {
    let version = catalog.newest(&record.name).and_then(|newest| catalog.number_of(&newest.hash)).unwrap_or_default();
    InForce { saga: record.name.clone(), version, from: format!("{}:{}", record.file, record.line) }
}
