//! What is ahead of the journal's confirmed records: decided, perhaps sent, not yet known to count. Dropped as one value in doubt.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use hashbrown::HashMap;
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{BreakerChange, DecisionWriter, Position, TopicId};
use ringmaster_schemas::state::Saga;

use super::counts::Tallied;
use super::marks::Marks;
use super::outbox::Place;
use super::replica::Replica;
use super::table::{Slot, size_of_row};
use crate::saga::{Breakers, Effect};

/// All that is speculative.
#[derive(Debug)]
pub(super) struct Ahead {
    /// Rows as unconfirmed records will leave them.
    pub(super) rows: HashMap<Slot, Current>,
    bytes: usize,
    /// Turns that were decided and are not in a record yet.
    pub(super) open: Option<Open>,
    /// Records on their way, in the order of their numbers.
    pub(super) pending: VecDeque<Pending>,
    /// Bytes of those, with the effects that leave behind them.
    pub(super) record_bytes: usize,
    /// The newest time of a record, unconfirmed ones included.
    pub(super) now: Millis,
    /// `released` as the newest record carries it.
    pub(super) released: i64,
    /// Buckets up to this one are expired once the records on their way are confirmed.
    pub(super) expired: i64,
    /// How far each input is decided, and how far records say so.
    pub(super) reads: Vec<Read>,
    /// Effects whose topics refuse for ever; the records that set them apart are on their way.
    pub(super) refused: BTreeSet<u64>,
    /// Effects that were set apart and were delivered after all; the records that say so are on their way.
    pub(super) delivered: BTreeSet<u64>,
    /// Who is not asked, once the records on their way are confirmed.
    pub(super) breakers: Breakers,
    /// How far what routers hand on was taken, once the records on their way are confirmed.
    pub(super) marks: Marks,
    /// Records that were skipped and are in no record yet.
    pub(super) skipped: usize,
    /// When the newest record was appended, by the steady clock.
    pub(super) appended_at: Millis,
}

/// A row that an unconfirmed record changes.
#[derive(Debug)]
pub(super) struct Current {
    pub(super) saga: Arc<Saga>,
    /// The newest record that changes it.
    pub(super) record: i64,
    bytes: usize,
}

/// How far an input is decided.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Read {
    /// The next offset to take; none until it is known where the input begins.
    pub(super) position: Option<i64>,
    /// The same, by appended records: what was skipped since then is in no record yet.
    pub(super) journaled: Option<i64>,
    /// The same, by what is confirmed or waits to be: most records move one input of many.
    pub(super) pending: Option<i64>,
}

impl Read {
    /// As confirmed records say.
    fn of(replica: &Replica, index: usize) -> Read {
        let position = replica.position(replica.settings.inputs[index].topic, &replica.settings.place_of(index));
        Read { position, journaled: position, pending: position }
    }
}

/// The record in the making.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) writer: DecisionWriter,
    pub(super) number: i64,
    /// The partition's time in this record.
    pub(super) now: Millis,
    /// When its first turn was decided, by the steady clock.
    pub(super) decided_at: Millis,
    /// Rows that it changes.
    pub(super) touched: Vec<Slot>,
    pub(super) effects: Vec<Effect>,
    pub(super) moves: Vec<Move>,
    /// What is to be counted.
    pub(super) tallied: Vec<Tallied>,
}

/// What a record does beside rows.
#[derive(Debug, Clone)]
pub(super) enum Move {
    Expired(i64),
    Undeliverable(Place),
    Delivered(Place),
    Breaker(BreakerChange),
    /// What a router handed on was taken: from which topic and partition, up to where (exclusive).
    Mark(TopicId, i32, i64),
    /// The version by whose key a saga is started on a topic that is routed.
    Pin(Position),
}

/// A record on its way.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) number: i64,
    /// Once acknowledged; it is confirmed when all before it are.
    pub(super) offset: Option<i64>,
    pub(super) now: Millis,
    pub(super) released: i64,
    pub(super) rows: Vec<(Slot, Arc<Saga>)>,
    pub(super) effects: Vec<Effect>,
    pub(super) positions: Vec<Position>,
    pub(super) moves: Vec<Move>,
    pub(super) tallied: Vec<Tallied>,
    /// When its first turn was decided, by the steady clock.
    pub(super) decided_at: Millis,
    /// When it was appended, by the steady clock.
    pub(super) appended_at: Millis,
    /// What it takes beside its rows.
    pub(super) bytes: usize,
}

impl Ahead {
    /// Nothing is ahead of what counts.
    pub(super) fn of(replica: &Replica, steady: Millis) -> Ahead {
        Ahead {
            rows: HashMap::new(),
            bytes: 0,
            open: None,
            pending: VecDeque::new(),
            record_bytes: 0,
            now: replica.now,
            released: replica.released,
            expired: replica.expired,
            reads: (0..replica.settings.inputs.len()).map(|index| Read::of(replica, index)).collect(),
            refused: BTreeSet::new(),
            delivered: BTreeSet::new(),
            breakers: replica.breakers.clone(),
            marks: replica.marks.clone(),
            skipped: 0,
            appended_at: steady,
        }
    }

    /// Takes in the inputs that are new in what the replica is told.
    pub(super) fn learn_inputs(&mut self, replica: &Replica) {
        let new = self.reads.len()..replica.settings.inputs.len();
        self.reads.extend(new.map(|index| Read::of(replica, index)));
    }

    /// Bytes of its rows.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Sets what will be true once record `number` is confirmed; what would have been, if that is ahead, too.
    pub(super) fn set(&mut self, slot: Slot, id: &str, saga: Arc<Saga>, number: i64) -> Option<Current> {
        let bytes = size_of_row(id, Some(&saga));
        self.bytes += bytes;
        let before = self.rows.insert(slot, Current { saga, record: number, bytes });
        self.bytes -= before.as_ref().map_or(0, |before| before.bytes);
        before
    }

    /// Record `number` is confirmed: what it was the last to change is what counts.
    pub(super) fn confirmed(&mut self, slot: Slot, number: i64) {
        if self.rows.get(&slot).is_some_and(|current| current.record == number)
            && let Some(current) = self.rows.remove(&slot)
        {
            self.bytes -= current.bytes;
        }
    }

    /// True if nothing is on its way.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_none() && self.pending.is_empty()
    }
}
