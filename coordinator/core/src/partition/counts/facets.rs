//! What a row is counted by, remembered beside the row while it is in memory: counts move by the difference.

use ringmaster_schemas::names::is_item;
use ringmaster_schemas::state::{Entry, Saga, Standing, Waits};
use smallvec::SmallVec;

use super::names::{Names, Number};

/// What a row is counted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::partition) struct Facets {
    /// None: it is no saga, nor an item of one.
    pub(super) standing: Option<Standing>,
    /// It is a saga, not an item.
    pub(super) is_saga: bool,
    pub(super) version: Number,
    /// What it waits for most: a node, 0 for none, and why.
    pub(super) most: (u16, Waits),
    pub(super) open: SmallVec<[Open; 1]>,
}

/// An open entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Open {
    pub(super) node: u16,
    pub(super) waits: Waits,
    /// Whose doing it waits for, if it is a participant's.
    pub(super) participant: Option<Number>,
    /// The second since when.
    pub(super) since: u32,
}

impl Facets {
    /// Of a row.
    pub(in crate::partition) fn of(saga: &Saga, names: &mut Names) -> Facets {
        let Some(standing) = saga.standing() else {
            return Facets { standing: None, is_saga: false, version: 0, most: (0, Waits::No), open: SmallVec::new() };
        };
        let version = names.version(saga.head.version());
        let open: SmallVec<_> =
            saga.entries.iter().filter(|entry| entry.open()).map(|entry| Open::of(entry, version, names)).collect();
        let is_it = |entry: &&Entry| match standing {
            Standing::Stuck => entry.waits == Waits::Stuck,
            Standing::Parked => entry.waits == Waits::Parked,
            Standing::Paused => entry.waits == Waits::Paused,
            Standing::Held => holds(entry),
            Standing::Running | Standing::Compensating | Standing::Completed | Standing::Compensated => entry.open(),
        };
        let most = saga.entries.iter().find(is_it).map_or((0, Waits::No), |entry| (entry.node, entry.waits));
        let is_saga = !is_item(&saga.id);
        Facets { standing: Some(standing), is_saga, version, most, open }
    }
}

impl Open {
    fn of(entry: &Entry, version: Number, names: &mut Names) -> Open {
        let participant = match entry.waits {
            Waits::Parked => entry.parked_for().map(|participant| names.participant(participant)),
            Waits::Reply | Waits::Retry | Waits::Stuck => names.asked_by(version, entry),
            _ => None,
        };
        Open { node: entry.node, waits: entry.waits, participant, since: second(entry.since) }
    }
}

/// The second of a time, as ages know it.
fn second(at: i64) -> u32 {
    u32::try_from(at.div_euclid(1_000).max(0)).unwrap_or(u32::MAX)
}

/// A row below it needs a person, or is parked or paused.
fn holds(entry: &Entry) -> bool {
    entry.waits == Waits::Children && entry.children().is_some_and(|rows| rows.open.iter().any(|child| child.held))
}
