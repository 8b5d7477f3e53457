//! Which of the sagas that live a filter may mean, as their places say it.

use std::collections::BTreeSet;

use ringmaster_core::definition::Catalog;
use ringmaster_schemas::state::{LiveClass, Waits};

use super::super::filter::{Filter, SUB_SAGA};

/// Classes of sagas that live: what is none of these need not be looked at.
#[derive(Debug, Clone)]
pub(super) struct Living<'a> {
    filter: &'a Filter,
    /// Versions that none is meant of, as classes tell versions. One that this instance does not know yet may be meant.
    others: BTreeSet<i64>,
}

impl<'a> Living<'a> {
    pub(super) fn of(filter: &'a Filter, catalog: &Catalog) -> Self {
        let (mut meant, mut others) = (BTreeSet::new(), BTreeSet::new());
        for (definition, number) in catalog.versions() {
            let is_meant = (filter.definitions.is_empty() || filter.definitions.contains(&*definition.name))
                && (filter.versions.is_empty() || filter.versions.contains(&number));
            let versions = if is_meant { &mut meant } else { &mut others };
            versions.insert(LiveClass::version_of(&definition.hash));
        }
        Living { filter, others: &others - &meant }
    }

    /// Whether any of a class may be meant.
    pub(super) fn may_be(&self, class: LiveClass) -> bool {
        let Filter { statuses, leaf, .. } = self.filter;
        let is_of = |word: &str, waits: &Waits| word == waits.as_str() || (word == SUB_SAGA && *waits == Waits::Children);
        let may_wait = |word: &String| Waits::ALL.iter().any(|waits| is_of(word, waits) && class.may_wait(*waits));
        (statuses.is_empty() || class.standing().is_none_or(|standing| statuses.contains(&standing)))
            && !self.others.contains(&class.version())
            && (leaf.reasons.is_empty() || leaf.reasons.iter().any(may_wait))
            && (leaf.participants.is_empty() || leaf.participants.iter().any(|name| class.may_wait_for(name)))
    }
}
