//! A range of an input topic that is read again: what each of its records is, and what is missing brought to the partitions.
//!
//! ```text
//! records of the range -> which saga each would start -> known? too old? in quarantine? -> what is missing -> inbox
//! ```

mod quarantined;
mod range;

use std::collections::BTreeSet;
use std::ops::AddAssign;

use ringmaster_core::definition::Starting;
use ringmaster_core::intake::{Event, InputRecord, Origin, Projections, Typing};
use ringmaster_schemas::Millis;
use ringmaster_schemas::names::saga_id;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::blocking::Read;
use crate::redrive::Place;
use crate::runtime::{Knowledge, wall};
pub(crate) use quarantined::InQuarantine;
pub(crate) use range::visit_range;
pub use range::{Range, Visited};

/// What a record of the range is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// It would start a saga.
    Missing,
    /// What it starts lives, or is remembered.
    Known,
    /// What it started may have been forgotten.
    TooOld,
    /// It lies in quarantine: it is redriven from there.
    InQuarantine,
    /// It cannot be read, and is not in quarantine.
    Unreadable,
    /// It starts nothing.
    Nothing,
}

/// How many records of a range are what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ReplayCounts)]
pub struct Counts {
    /// They would start sagas that nobody knows.
    pub missing: usize,
    /// What they start lives or is remembered, or is started by another of them.
    pub known: usize,
    /// What they started may have been forgotten.
    pub too_old: usize,
    /// They lie in quarantine, and are redriven from there.
    pub in_quarantine: usize,
    /// They cannot be read or evaluated, and are not in quarantine.
    pub unreadable: usize,
    /// They start no saga.
    pub nothing: usize,
}

impl Counts {
    /// One more.
    pub(crate) fn count(&mut self, kind: Kind) {
        *match kind {
            Kind::Missing => &mut self.missing,
            Kind::Known => &mut self.known,
            Kind::TooOld => &mut self.too_old,
            Kind::InQuarantine => &mut self.in_quarantine,
            Kind::Unreadable => &mut self.unreadable,
            Kind::Nothing => &mut self.nothing,
        } += 1;
    }

    /// All that were looked at.
    pub(crate) fn all(&self) -> usize {
        let Counts { missing, known, too_old, in_quarantine, unreadable, nothing } = self;
        missing + known + too_old + in_quarantine + unreadable + nothing
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.missing += other.missing;
        self.known += other.known;
        self.too_old += other.too_old;
        self.in_quarantine += other.in_quarantine;
        self.unreadable += other.unreadable;
        self.nothing += other.nothing;
    }
}

/// A record that is missing. In order the oldest comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    /// When it was written.
    pub timestamp: Millis,
    /// Where.
    pub partition: i32,
    /// Where in that partition.
    pub offset: i64,
    /// How long its value is.
    pub bytes: usize,
}

impl Missing {
    pub(crate) fn of(read: &Read) -> Missing {
        let bytes = read.value.as_ref().map_or(0, Vec::len);
        Missing { timestamp: read.timestamp, partition: read.partition, offset: read.offset, bytes }
    }
}

/// Tells what each record of a range is.
pub(crate) struct Survey<'a> {
    topic: &'a str,
    typing: Typing<'a>,
    known: &'a Knowledge,
    /// Places of what lies in quarantine.
    quarantined: BTreeSet<Place>,
    accept_old: bool,
    now: Millis,
    projections: Projections,
    /// Sagas that are known, or would be started by an earlier record.
    seen: BTreeSet<String>,
}

/// Whether a saga is known that has begun.
pub(crate) type IsKnown<'a, E> = dyn FnMut(&str) -> Result<bool, E> + 'a;

impl<'a> Survey<'a> {
    /// Of a topic, whose records are of these types. `accept_old`: what may have been forgotten is missing as well.
    pub(crate) fn new(
        (topic, typing): (&'a str, Typing<'a>),
        known: &'a Knowledge,
        quarantined: BTreeSet<Place>,
        accept_old: bool,
    ) -> Survey<'a> {
        let (projections, seen) = (Projections::default(), BTreeSet::new());
        Survey { topic, typing, known, quarantined, accept_old, now: wall(), projections, seen }
    }

    /// What a record is: missing, if anything that it starts is.
    pub(crate) fn kind<E>(&mut self, read: &Read, is_known: &mut IsKnown<'_, E>) -> Result<Kind, E> {
        if self.quarantined.contains(&(read.partition, read.offset)) {
            return Ok(Kind::InQuarantine);
        }
        let record = InputRecord {
            offset: read.offset,
            timestamp: read.timestamp,
            key: read.key.as_deref(),
            value: read.value.as_deref(),
            headers: Some(&read.headers),
        };
        let known = self.known;
        let Ok((kind, event)) = Event::recognise(&record, self.typing, &known.schemas) else { return Ok(Kind::Unreadable) };
        let origin = Origin { topic: self.topic, partition: read.partition };
        let mut found = Kind::Nothing;
        for Starting { definition, start } in known.catalog.starting_on(self.topic, &kind) {
            let one = match self.projections.start((definition, *start), 0, &event, origin, self.now) {
                Ok(None) => continue,
                Err(_) => Kind::Unreadable,
                Ok(Some(start)) => {
                    let id = saga_id(&definition.name, &start.key);
                    let is_old = read.timestamp < self.now - definition.retain_ms && !self.accept_old;
                    if self.seen.contains(&id) || is_known(&id)? {
                        self.seen.insert(id);
                        Kind::Known
                    } else if is_old {
                        Kind::TooOld
                    } else {
                        // Another record of the range that would start it is a repeat.
                        self.seen.insert(id);
                        Kind::Missing
                    }
                }
            };
            found = found.min(one);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests;
