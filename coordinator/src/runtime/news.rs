//! What was deployed while an instance runs, as its workers are told of it.

use std::sync::{Arc, Mutex, PoisonError};

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

/// News that a worker has not taken yet. There is room for one: news hold all that is known, so that newer ones take the place of those
/// that a busy worker, or one that is gone, has not come to.
pub(super) struct Untaken<T>(Mutex<Option<T>>);

impl<T> Default for Untaken<T> {
    fn default() -> Self {
        Untaken(Mutex::new(None))
    }
}

impl<T> Untaken<T> {
    pub(super) fn put(&self, news: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(news);
    }

    pub(super) fn take(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_no_news_makes_no_queue() {
        let untaken = Untaken::default();
        (0..3).for_each(|news| untaken.put(news));
        assert_eq!((untaken.take(), untaken.take()), (Some(2), None), "the newest hold all");
    }
}
