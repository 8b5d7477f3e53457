//! A look at all rows of what is stored, now and then: whether something is in there that nothing will ever wake, what waits for longer than
//! is usual, and whose approval is waited for.
//!
//! ```text
//! the store as it was flushed -> each row once, at a bounded share of a core -> Scrubbed, a partition -> metrics, and a line of the log
//!                             -> places of indexes, against what rows say they have: both sums are equal, or it is looked closer
//! ```

mod places;
mod scrubber;

use std::collections::BTreeMap;
use std::sync::Arc;

use ringmaster_core::definition::Catalog;
use ringmaster_core::saga::{Beside, orphan};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::DefinitionHash;
use ringmaster_schemas::names::Direction;
use ringmaster_schemas::state::{Detail, Entry, RowKey, RowKind, Saga, Waits, Work};
use ringmaster_store::Store;

use places::Places;
pub use scrubber::{Scrubber, Usual};

/// Of what is wrong so much is told by name.
const TOLD_MAX: usize = 20;
/// Longer than so many times what 99 of 100 take is too long.
const TOO_LONG: Millis = 3;

/// What is known of a partition when all its rows were looked at.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scrubbed {
    /// When that was, in milliseconds since 1970.
    pub at: Millis,
    /// Rows of sagas, of their items and of values.
    pub rows: u64,
    /// Rows that nothing will ever wake, or that cannot be read, and places of indexes without the row that belongs there.
    pub orphans: u64,
    /// The first of them, and why it is one.
    pub told: Vec<String>,
    /// How many approvals are waited for, and since when for the oldest, by role.
    pub approvals: BTreeMap<Arc<str>, (u64, Millis)>,
    /// How many entries wait for longer than is usual, by version and node.
    pub too_long: BTreeMap<(DefinitionHash, u16), u64>,
    /// The largest age of a saga as a share of what its participants remember; 0 if none lives.
    pub retention_used: f64,
}

/// By what it is judged.
pub struct Judge<'a> {
    /// What time it is.
    pub now: Millis,
    /// All definitions.
    pub catalog: &'a Catalog,
    /// What 99 of 100 of a step took, or its undo, in milliseconds; none: not known.
    pub usual_ms: &'a dyn Fn(&DefinitionHash, u16, Direction) -> Option<Millis>,
    /// How long a participant remembers what it did.
    pub remembers_ms: &'a dyn Fn(&str) -> Millis,
}

/// Looks at all rows of a partition. `goes_on` is asked behind each, and may take its time; none if it said no.
pub fn scrub(
    store: &dyn Store,
    partition: i32,
    judge: &Judge<'_>,
    goes_on: &mut dyn FnMut() -> bool,
) -> Result<Option<Scrubbed>, String> {
    let beside = Stored { store, partition, broken: broken(store, partition)? };
    let (mut found, mut failed) = (Scrubbed { at: judge.now, ..Scrubbed::default() }, None);
    let (mut places, mut remembered, mut ended) = (Places::default(), BTreeMap::new(), false);
    let mut visit = |key: RowKey, row: &[u8]| {
        let RowKey::Saga(id) = key else { return true };
        match Saga::decode(&id, row) {
            Ok(saga) => {
                places.has(&saga);
                let version = saga.head.version();
                let known = remembered.entry(version).or_insert_with(|| judge.shortest(&version));
                found.ages(&saga, *known, judge.now);
                failed = found.look(&saga, judge, &beside).err();
            }
            Err(error) => found.wrong(format!("{id}: its row cannot be read: {error}")),
        }
        ended = !goes_on();
        failed.is_none() && !ended
    };
    store.rows(partition, RowKind::Saga, &mut visit).map_err(|error| error.to_string())?;
    if let Some(why) = failed {
        return Err(why);
    }
    if ended || !places.read(store, partition, goes_on)? {
        return Ok(None);
    }
    let Some(wrong) = places.wrong(store, partition, goes_on)? else { return Ok(None) };
    wrong.into_iter().for_each(|wrong| found.wrong(wrong));
    Ok(Some(found))
}

/// Participants whose breakers are not closed.
fn broken(store: &dyn Store, partition: i32) -> Result<Vec<Arc<str>>, String> {
    let mut broken = Vec::new();
    let visit = &mut |key, _: &[u8]| {
        if let RowKey::Breaker(name) = key {
            broken.push(name);
        }
        true
    };
    store.rows(partition, RowKind::Breaker, visit).map_err(|error| error.to_string())?;
    Ok(broken)
}

/// What is stored beside a row.
struct Stored<'a> {
    store: &'a dyn Store,
    partition: i32,
    broken: Vec<Arc<str>>,
}

impl Beside for Stored<'_> {
    fn has_row(&self, id: &str) -> Result<bool, String> {
        self.store.row(self.partition, &RowKey::saga(id)).map(|row| row.is_some()).map_err(|error| error.to_string())
    }

    fn is_broken(&self, participant: &str) -> bool {
        self.broken.iter().any(|name| **name == *participant)
    }
}

impl Judge<'_> {
    /// What the participants that a version asks remember at least; none if it asks nobody, or is not known.
    fn shortest(&self, version: &DefinitionHash) -> Option<Millis> {
        let definition = self.catalog.by_hash(version)?;
        definition.participants().map(self.remembers_ms).min()
    }
}

impl Scrubbed {
    fn wrong(&mut self, why: String) {
        self.orphans += 1;
        if self.told.len() < TOLD_MAX {
            self.told.push(why);
        }
    }

    fn look(&mut self, saga: &Saga, judge: &Judge<'_>, beside: &dyn Beside) -> Result<(), String> {
        self.rows += 1;
        let version = saga.head.version();
        if let Some(why) = orphan(saga, judge.catalog.by_hash(&version).map(|definition| &**definition), beside)? {
            self.wrong(format!("{}: {why}", saga.id));
        }
        for entry in saga.entries.iter().filter(|entry| entry.open()) {
            if let (Waits::Approval, Some(Detail::Asked { roles, .. })) = (entry.waits, entry.detail()) {
                for role in roles {
                    let of = self.approvals.entry(role.clone()).or_insert((0, entry.since));
                    *of = (of.0 + 1, of.1.min(entry.since));
                }
            }
            if is_too_long(entry, &version, judge) {
                *self.too_long.entry((version, entry.node)).or_insert(0) += 1;
            }
        }
        Ok(())
    }

    fn ages(&mut self, saga: &Saga, remembered: Option<Millis>, now: Millis) {
        if saga.began()
            && !saga.ended()
            && let Some(remembered) = remembered
        {
            let age = (now - saga.head.started_at()).max(0);
            self.retention_used = self.retention_used.max(age as f64 / remembered.max(1) as f64);
        }
    }
}

/// Whether an entry waits for longer than three times what 99 of 100 take. What is parked, paused or needs a person is told by itself.
fn is_too_long(entry: &Entry, version: &DefinitionHash, judge: &Judge<'_>) -> bool {
    if matches!(entry.waits, Waits::Stuck | Waits::Parked | Waits::Paused) {
        return false;
    }
    let is_undo = entry.work == Work::UndoAsked;
    let direction = if is_undo { Direction::Undo } else { Direction::Do };
    // As steps are timed: from their first attempt, or since they wait; their undos from the last one.
    let first = entry.order.as_ref().map(|order| order.fields().first_time).filter(|_| !is_undo);
    let since = first.unwrap_or(entry.since);
    (judge.usual_ms)(version, entry.node, direction).is_some_and(|usual| judge.now - since > TOO_LONG * usual)
}

#[cfg(test)]
mod tests;
