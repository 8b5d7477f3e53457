//! Where rows are found without knowing their keys.

use std::num::NonZeroI64;
use std::ops::Range;

use super::{Entry, LiveClass, Saga};
use crate::Millis;
use crate::journal::{Head, SearchKey};
use crate::names::murmur2;

/// An index: rows in the order of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Index {
    /// By the time at which something is due.
    Due,
    /// By the bucket in which the row expires.
    Expiry,
    /// By the time since which a person is needed.
    Stuck,
    /// By participant and rank ([`parked_places`]): what waits for a breaker, or until its saga is resumed.
    Parked,
    /// By class and the time at which it began ([`LiveClass`]): sagas that have not ended, items left out.
    Live,
}

/// A row's places in the indexes. A row that expires waits for nothing else: beside that one place it has only those where it is
/// searched, and they are told to whoever stores that place, so that whoever deletes the row need not look at it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IndexKeys {
    /// When something is due; none if it waits for nothing.
    pub due: Option<Millis>,
    /// The bucket in which it expires; none while it is needed.
    pub expiry: Option<i64>,
    /// Since when it needs a person; none if it does not. Never 0.
    pub stuck: Option<NonZeroI64>,
    /// Where it waits for a breaker, or to be resumed; none if it does not. Never 0.
    pub parked: Option<NonZeroI64>,
    /// Where it lives: its class, and when it began; none of what has ended, or is no saga. Never 0.
    pub live: Option<NonZeroI64>,
    /// By which values it is found, for as long as it is there.
    pub search: Option<Searched>,
}

/// What a row is searched by: its head says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Searched(Head);

impl Searched {
    /// Of a saga; none if nothing of it is searched.
    pub fn of(saga: &Saga) -> Option<Self> {
        (!saga.head.search().is_empty()).then(|| Searched(saga.head.clone()))
    }

    /// The places.
    pub fn keys(&self) -> impl Iterator<Item = SearchKey<'_>> {
        self.0.search().keys()
    }

    /// True if both have the same places.
    pub fn is_same(&self, other: &Searched) -> bool {
        self.0.search() == other.0.search()
    }
}

impl IndexKeys {
    /// A row that is found by its key alone.
    pub const NONE: IndexKeys = IndexKeys { due: None, expiry: None, stuck: None, parked: None, live: None, search: None };

    /// The row's place in an index, if it has one.
    pub fn place(&self, index: Index) -> Option<i64> {
        match index {
            Index::Due => self.due,
            Index::Expiry => self.expiry,
            Index::Stuck => self.stuck.map(NonZeroI64::get),
            Index::Parked => self.parked.map(NonZeroI64::get),
            Index::Live => self.live.map(NonZeroI64::get),
        }
    }
}

impl Index {
    /// All of them.
    pub const ALL: [Index; 5] = [Index::Due, Index::Expiry, Index::Stuck, Index::Parked, Index::Live];
}

/// A row's places in the indexes, by what it says.
pub fn index_keys(saga: &Saga) -> IndexKeys {
    let search = Searched::of(saga);
    match saga.expiry_bucket() {
        Some(bucket) => IndexKeys { expiry: Some(bucket), search, ..IndexKeys::NONE },
        None => {
            let due = Some(saga.due_at()).filter(|due| *due != Millis::MAX);
            let never_0 = |at| NonZeroI64::new(at).or(NonZeroI64::new(1));
            let stuck = saga.stuck_since().and_then(never_0);
            let live = LiveClass::of(saga).and_then(|class| NonZeroI64::new(class.place(saga.head.started_at())));
            IndexKeys { due, stuck, parked: parked(saga), live, expiry: None, search }
        }
    }
}

/// A row has one place, whatever it waits for: where its only participant's rows are, by the lowest rank, else among those that wait for
/// several.
fn parked(saga: &Saga) -> Option<NonZeroI64> {
    let mut found: Option<(&str, i64)> =
        saga.paused().filter(|paused| !paused.is_with_above()).map(|paused| (PAUSED, rank_since(saga, paused.since)));
    let mut is_one = true;
    for entry in &saga.entries {
        let Some(participant) = entry.parked_for() else { continue };
        let rank = rank_of(saga, entry);
        is_one &= found.is_none_or(|(other, _)| *other == **participant);
        found = Some((participant, found.map_or(rank, |(_, lowest)| lowest.min(rank))));
    }
    let (participant, rank) = found?;
    NonZeroI64::new(parked_places(is_one.then_some(participant)).start + rank)
}

/// The order in which what is parked goes out, the lowest first: by its age, a priority being worth so many minutes. All ages grow
/// alike, so that nothing starves.
pub fn rank_of(saga: &Saga, entry: &Entry) -> i64 {
    rank_since(saga, entry.since)
}

fn rank_since(saga: &Saga, since: Millis) -> i64 {
    since.saturating_sub(i64::from(saga.priority) * PRIORITY_MS).clamp(1, RANK_MAX)
}

/// Where in [`Index::Parked`] the rows lie that wait for this participant alone; for none: those that wait for several. Participants
/// may share a range: what waits for whom, a row says.
pub fn parked_places(participant: Option<&str>) -> Range<i64> {
    let of = participant.map_or(0, |name| i64::from(murmur2(name.as_bytes()) % HASHES + 1));
    of << RANK_BITS..(of + 1) << RANK_BITS
}

/// The rank of a place in [`Index::Parked`], whichever participant's range it lies in.
pub fn rank_at(place: i64) -> i64 {
    place & RANK_MAX
}

/// Sagas that are paused lie where a participant's rows would be that no participant is named like.
pub const PAUSED: &str = "";
/// What a step of priority is worth in age.
const PRIORITY_MS: Millis = 60_000;
/// Ranks are times: enough for 8,000 years.
const RANK_BITS: u32 = 48;
const RANK_MAX: i64 = (1 << RANK_BITS) - 1;
/// Participants share ranges beyond so many; the sign is never used.
const HASHES: u32 = (1 << 14) - 1;
