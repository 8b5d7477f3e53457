//! Whether a row is meant by a filter, and by which of its leaves.

use std::cell::OnceCell;

use ringmaster_core::definition::{Catalog, Definition};
use ringmaster_core::saga::{name_of, reason_of};
use ringmaster_schemas::Millis;
use ringmaster_schemas::names::{is_item, parse_saga_id, root_of, step_of_round};
use ringmaster_schemas::state::{Entry, Saga, Standing, Waits, Work};

use super::{Filter, LeafFilter, Pattern};

/// A row, and what is known of it.
pub(in crate::api) struct Row<'a> {
    pub(in crate::api) saga: &'a Saga,
    pub(in crate::api) definition: Option<&'a Definition>,
    pub(in crate::api) version: Option<u32>,
    pub(in crate::api) standing: Standing,
    leaves: OnceCell<Vec<Leaf<'a>>>,
}

/// What is open of a row, or that the row is paused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::api) struct Leaf<'a> {
    /// None: the whole saga, which is paused.
    pub(in crate::api) entry: Option<&'a Entry>,
    /// Its name; none of the whole saga.
    pub(in crate::api) step: Option<String>,
    pub(in crate::api) reason: &'static str,
    pub(in crate::api) participant: Option<&'a str>,
    pub(in crate::api) since: Millis,
}

impl<'a> Row<'a> {
    /// None of what is no saga, nor an item of one.
    pub(in crate::api) fn of(saga: &'a Saga, catalog: &'a Catalog) -> Option<Row<'a>> {
        let (standing, hash) = (saga.standing()?, saga.head.version());
        let definition = catalog.by_hash(&hash).map(|definition| &**definition);
        Some(Row { saga, definition, version: catalog.number_of(&hash), standing, leaves: OnceCell::new() })
    }

    /// The name of the definition that it runs by.
    pub(in crate::api) fn definition_name(&self) -> &str {
        self.definition.map_or_else(|| self.saga.definition(), |definition| &*definition.name)
    }

    /// Why it undoes.
    fn code(&self) -> Option<&str> {
        self.saga.failure.as_ref().map(|failure| &*failure.code)
    }

    /// What is open of it, in the order in which it was entered; that it is paused comes first.
    pub(in crate::api) fn leaves(&self) -> &[Leaf<'a>] {
        self.leaves.get_or_init(|| {
            let paused = self.saga.paused().map(|paused| Leaf {
                entry: None,
                step: None,
                reason: Waits::Paused.as_str(),
                participant: None,
                since: paused.since,
            });
            let open = self.saga.entries.iter().filter(|entry| entry.open());
            paused.into_iter().chain(open.map(|entry| Leaf::of(entry, self.definition))).collect()
        })
    }

    /// The leaf by which a list shows it: one that is asked for, then one that needs a person, then that it is paused, then the oldest.
    pub(in crate::api) fn shown_by(&self, filter: &LeafFilter, now: Millis) -> Option<&Leaf<'a>> {
        let of_saga = self.code();
        let rank = |leaf: &&Leaf<'_>| {
            let needs_a_person = leaf.entry.is_some_and(|entry| entry.waits == Waits::Stuck);
            (!filter.is_meant(leaf, of_saga, now), !needs_a_person, leaf.entry.is_some(), leaf.since)
        };
        self.leaves().iter().min_by_key(rank)
    }
}

impl<'a> Leaf<'a> {
    fn of(entry: &'a Entry, definition: Option<&Definition>) -> Leaf<'a> {
        Leaf {
            entry: Some(entry),
            step: Some(definition.map_or_else(|| entry.name().to_owned(), |definition| name_of(definition, entry))),
            reason: definition.map_or(entry.waits.as_str(), |definition| reason_of(definition, entry)),
            participant: entry.participant(),
            since: entry.since,
        }
    }

    /// Whether it is about the step's undo, which may be parked before it is made.
    pub(in crate::api) fn is_undo(&self) -> bool {
        self.entry.is_some_and(|entry| match entry.waits {
            Waits::Parked => matches!(entry.work, Work::UndoAsked | Work::Done | Work::Failed),
            _ => entry.work == Work::UndoAsked,
        })
    }

    fn code(&self) -> Option<&str> {
        self.entry.and_then(Entry::failure).map(|failure| &*failure.code)
    }
}

impl Pattern {
    fn is(&self, key: &str) -> bool {
        if self.is_begin { key.starts_with(&self.text) } else { key == self.text }
    }
}

impl LeafFilter {
    /// `of_saga`: the code for which all of it undoes, which counts where the leaf has none of its own, as lists show it.
    fn is_meant(&self, leaf: &Leaf<'_>, of_saga: Option<&str>, now: Millis) -> bool {
        // Rounds behind the first have a name of their own, and are the same step.
        let is_step = |name: &str| self.steps.contains(name) || self.steps.contains(step_of_round(name));
        (self.reasons.is_empty() || self.reasons.contains(leaf.reason))
            && (self.participants.is_empty() || leaf.participant.is_some_and(|name| self.participants.contains(name)))
            && (self.steps.is_empty() || leaf.step.as_deref().is_some_and(is_step))
            && (self.codes.is_empty() || leaf.code().or(of_saga).is_some_and(|code| self.codes.contains(code)))
            && self.since.is_none_or(|since| since.is(leaf.since, now))
    }

    /// Whether the end of a saga is meant, which is no leaf.
    fn is_end_meant(&self, saga: &Saga, now: Millis) -> bool {
        let Some(ended) = &saga.ended else { return false };
        let code = saga.failure.as_ref().map(|failure| &*failure.code);
        let is_about_leaves = !self.reasons.is_empty() || !self.participants.is_empty() || !self.steps.is_empty();
        !is_about_leaves
            && (self.codes.is_empty() || code.is_some_and(|code| self.codes.contains(code)))
            && self.since.is_none_or(|since| since.is(ended.at, now))
    }
}

impl Filter {
    /// Whether a row is meant. `now`: what ages are counted to.
    pub(in crate::api) fn is_meant(&self, row: &Row<'_>, now: Millis) -> bool {
        self.is_listed(row)
            && (self.statuses.is_empty() || self.statuses.contains(&row.standing))
            && (self.definitions.is_empty() || self.definitions.contains(row.definition_name()))
            && (self.versions.is_empty() || row.version.is_some_and(|version| self.versions.contains(&version)))
            && self.started.is_none_or(|started| started.is(row.saga.head.started_at(), now))
            && self.has_key(row.saga)
            && self.has_values(row.saga)
            && self.has_leaf(row, now)
    }

    /// An item is in a list by itself only where nothing but what is stuck, parked or paused is asked for; and what is paused with the saga
    /// above it is not.
    fn is_listed(&self, row: &Row<'_>) -> bool {
        let is_about_pauses = row.standing == Standing::Paused || self.leaf.reasons.contains(Waits::Paused.as_str());
        if is_about_pauses && row.saga.paused().is_some_and(|paused| paused.is_with_above()) {
            return false;
        }
        let of_items = [(Standing::Stuck, Waits::Stuck), (Standing::Parked, Waits::Parked), (Standing::Paused, Waits::Paused)];
        !is_item(&row.saga.id) || of_items.into_iter().any(|(standing, waits)| self.is_only(standing, waits))
    }

    fn has_key(&self, saga: &Saga) -> bool {
        if self.keys.is_empty() {
            return true;
        }
        let key = parse_saga_id(root_of(&saga.id)).1;
        self.keys.iter().any(|pattern| pattern.is(&key))
    }

    fn has_values(&self, saga: &Saga) -> bool {
        let has =
            |(name, value): &(String, String)| saga.head.search().keys().any(|key| (key.name, key.value) == (&**name, &**value));
        self.search.iter().all(has)
    }

    fn has_leaf(&self, row: &Row<'_>, now: Millis) -> bool {
        !self.leaf.says_something()
            || self.leaf.is_end_meant(row.saga, now)
            || row.leaves().iter().any(|leaf| self.leaf.is_meant(leaf, row.code(), now))
    }
}
