//! A partition's state made anew from its journal, into a store of its own, and compared with another one.
//!
//! ```text
//! (a store, or a snapshot, to begin with ->) records of the journal -> replica -> batches -> a fresh store
//!     -> differences from another store
//! ```
//!
//! Nothing is sent and nothing is claimed: what counts is told by the records alone.

use std::collections::HashMap;
use std::sync::Arc;

use ringmaster_core::partition::{
    BreakerSettings, Limits, RESTORING, Replica, Restoring, Settings, Untaken, Verdict, recount, row_hash, saga_hash,
};
use ringmaster_schemas::journal::{JournalRecord, TopicId};
use ringmaster_schemas::names::Topics;
use ringmaster_schemas::snapshot::Manifest;
use ringmaster_schemas::state::{Checkpoint, RowKey, RowKind, Saga};
use ringmaster_store::{Store, StoreError};

use super::rows::StoredRows;

const OTHER_JOURNAL: &str = "what it is to begin with is of another journal than this";

/// Rows of one batch.
const BATCH_ROWS: usize = 10_000;
/// Rows that stay in memory, about.
const MEMORY_BYTES: usize = 64 << 20;

/// A state in the making.
pub struct Rebuild<'a> {
    replica: Replica,
    /// What it goes on from must be of this journal: the record before it proves that, and was not read yet.
    is_proven: bool,
    rows: StoredRows<'a>,
    /// Records that counted.
    pub counted: u64,
}

impl<'a> Rebuild<'a> {
    /// Of a partition of so many, of this journal, into a store; what that holds of the partition is gone on from.
    pub fn begin(
        (number, partitions): (i32, i32),
        (topics, journal): (&Topics, TopicId),
        store: &'a dyn Store,
    ) -> Result<Rebuild<'a>, Untaken> {
        let settings = settings((number, partitions), (topics, journal));
        let rows = StoredRows { store, partition: number };
        let stored = store.checkpoint(number).map_err(of_store)?;
        let replica = match stored {
            Some(checkpoint) if checkpoint.journal != journal => return Err(Untaken::Wrong(OTHER_JOURNAL.to_owned())),
            Some(checkpoint) => Replica::restore(settings, checkpoint, &rows).map_err(Untaken::Store)?,
            None => Replica::new(settings),
        };
        Ok(Rebuild { is_proven: replica.next_offset() == 0, replica, rows, counted: 0 })
    }

    /// The next offset that it takes in.
    pub fn next_offset(&self) -> i64 {
        self.replica.next_offset()
    }

    /// The first offset that it must be given: the record before what it goes on from, which proves that this is its journal.
    pub fn first_offset(&self) -> i64 {
        self.replica.next_offset() - i64::from(!self.is_proven)
    }

    /// Takes the record at an offset.
    pub fn take(&mut self, offset: i64, value: &[u8]) -> Result<(), Untaken> {
        if !self.is_proven {
            self.is_proven = offset == self.first_offset() && self.replica.ends_with(value);
            return if self.is_proven { Ok(()) } else { Err(Untaken::Wrong(OTHER_JOURNAL.to_owned())) };
        }
        is_next(offset, self.replica.next_offset())?;
        let verdict = self.replica.read(offset, value, &self.rows).map_err(|why| at(offset, why))?;
        self.counted += u64::from(verdict == Verdict::Counts);
        if self.replica.dirty_count() >= BATCH_ROWS { self.write() } else { Ok(()) }
    }

    /// Writes what is left.
    pub fn write(&mut self) -> Result<(), Untaken> {
        let Some(batch) = self.replica.stage() else { return Ok(()) };
        self.rows.store.write(&batch).map_err(of_store)?;
        self.replica.stored_and_trimmed(&batch);
        Ok(())
    }
}

/// A state that is made of a snapshot first, since the journal does not reach back to its beginning: then it is gone on from like any.
pub struct Restore<'a> {
    restoring: Restoring,
    rows: StoredRows<'a>,
}

impl<'a> Restore<'a> {
    /// Of a partition of so many, of this journal, by this snapshot, into a store that has nothing of it.
    pub fn begin(of: (i32, i32), journal: (&Topics, TopicId), store: &'a dyn Store, manifest: Manifest) -> Restore<'a> {
        Restore { restoring: Restoring::new(settings(of, journal), manifest), rows: StoredRows { store, partition: of.0 } }
    }

    /// Takes the record at an offset of the journal; false if it was the last that it needs.
    pub fn take(&mut self, offset: i64, value: &[u8]) -> Result<bool, Untaken> {
        is_next(offset, self.restoring.next_offset())?;
        let record = JournalRecord::read(value).map_err(|error| at(offset, Untaken::Wrong(error.to_string())))?;
        self.restoring.take(offset, record.as_ref(), &self.rows).map_err(|why| at(offset, why))?;
        self.write_if(BATCH_ROWS)?;
        Ok(!self.restoring.is_replayed())
    }

    /// Takes what stands next in the topic of snapshots; false if it was the last that it needs.
    pub fn piece(&mut self, value: &[u8]) -> Result<bool, Untaken> {
        self.restoring.piece(value, &self.rows)?;
        self.write_if(BATCH_ROWS)?;
        Ok(!self.restoring.is_made())
    }

    /// All was given: the state is whole, or this says what is missing.
    pub fn finish(mut self) -> Result<(), Untaken> {
        self.restoring.make_last()?;
        self.write_if(0)?;
        let missing = || Untaken::Wrong("not all of the snapshot is there".to_owned());
        if self.restoring.is_stored() { Ok(()) } else { Err(missing()) }
    }

    fn write_if(&mut self, least: usize) -> Result<(), Untaken> {
        if self.restoring.dirty_count() < least {
            return Ok(());
        }
        let Some(batch) = self.restoring.stage() else { return Ok(()) };
        self.rows.store.write(&batch).map_err(of_store)?;
        self.restoring.stored(&batch);
        Ok(())
    }
}

fn of_store(error: StoreError) -> Untaken {
    Untaken::Store(error.to_string())
}

fn is_next(offset: i64, next: i64) -> Result<(), Untaken> {
    let missing = || Untaken::Wrong(format!("offset {next} is missing: what comes next is {offset}"));
    if offset == next { Ok(()) } else { Err(missing()) }
}

/// The same, with the offset that it is about.
fn at(offset: i64, why: Untaken) -> Untaken {
    match why {
        Untaken::Wrong(why) => Untaken::Wrong(format!("offset {offset}: {why}")),
        Untaken::Store(_) => why,
    }
}

/// What a state that only takes must know.
fn settings((number, partitions): (i32, i32), (topics, journal): (&Topics, TopicId)) -> Arc<Settings> {
    // Of these a state that only takes is bounded by its memory alone.
    let limits = Limits {
        record_bytes_max: Limits::RECORD_BYTES_MIN,
        record_turns_max: 1,
        in_flight_records_max: 1,
        in_flight_max: 1,
        memory_bytes_max: MEMORY_BYTES,
        unreleased_effects_max: 1,
        timers_per_poll_max: 1,
    };
    Arc::new(Settings {
        number,
        partitions,
        owner: "".into(),
        address: "".into(),
        journal,
        reply_topic: topics.replies.as_str().into(),
        quarantine_topic: topics.quarantine.as_str().into(),
        inputs: Vec::new(),
        limits,
        breaker: BreakerSettings::default(),
        tracing: None,
    })
}

/// What of one key is different.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Difference {
    /// The saga, or what else it is.
    pub key: String,
    /// What the store has.
    pub stored: String,
    /// What the journal says.
    pub journal: String,
}

/// Adds up anew what is stored of a partition; an error says what its checkpoint says otherwise. Also how many sagas that are.
pub fn verify(store: &dyn Store, partition: i32) -> Result<Option<(Checkpoint, usize)>, String> {
    let Some(checkpoint) = store.checkpoint(partition).map_err(|error| error.to_string())? else { return Ok(None) };
    if checkpoint.journal_offset == RESTORING {
        return Err(format!(
            "partition {partition}: the store is being restored from a snapshot: try again when an instance owns it"
        ));
    }
    let (digest, count) = recount(&StoredRows { store, partition }, checkpoint.expired_bucket)?;
    if digest == checkpoint.digest {
        Ok(Some((checkpoint, count)))
    } else {
        Err(format!(
            "partition {partition}: the stored rows are not those that the checkpoint at offset {} was written with: the store is damaged. \
             Move its folder away, and the next start rebuilds it from the journal",
            checkpoint.journal_offset
        ))
    }
}

/// All in which two states of a partition differ that stand at one offset, each found to be what its checkpoint says ([`verify`]); sorted
/// by key.
pub fn differences(stored: &dyn Store, journal: &dyn Store, partition: i32) -> Result<Vec<Difference>, String> {
    let of = |store: &dyn Store| store.checkpoint(partition).map_err(|error| error.to_string());
    let (Some(one), Some(other)) = (of(stored)?, of(journal)?) else { return Ok(Vec::new()) };
    let mut all = differences_of_checkpoints(&one, &other);
    // Of the outbox there is no digest.
    let all_kinds = [RowKind::Outbox, RowKind::Saga, RowKind::Breaker];
    for kind in if one.digest == other.digest { &all_kinds[..1] } else { &all_kinds[..] } {
        let (mut known, made) =
            (hashes(stored, partition, *kind, one.expired_bucket)?, hashes(journal, partition, *kind, other.expired_bucket)?);
        let mut differing: Vec<RowKey> =
            made.iter().filter(|(key, hash)| known.remove(*key) != Some(**hash)).map(|(key, _)| key.clone()).collect();
        differing.extend(known.into_keys());
        for key in differing {
            let (stored, journal) = (told(stored, partition, &key)?, told(journal, partition, &key)?);
            all.push(Difference { key: key.to_string(), stored, journal });
        }
    }
    all.sort();
    Ok(all)
}

const NOTHING: &str = "nothing";

fn differences_of_checkpoints(one: &Checkpoint, other: &Checkpoint) -> Vec<Difference> {
    let term = |of: &Checkpoint| format!("claim at {}, next number {}", of.claim_offset, of.number);
    let positions = |of: &Checkpoint| {
        let mut all: Vec<String> = of.positions.iter().map(|at| format!("{} {}", at.name, at.next)).collect();
        all.sort();
        all.join(", ")
    };
    let pairs = [
        ("the owner's term", term(one), term(other)),
        ("positions of inputs", positions(one), positions(other)),
        ("what is expired", one.expired_bucket.to_string(), other.expired_bucket.to_string()),
    ];
    let differ = pairs.into_iter().filter(|(_, one, other)| one != other);
    differ.map(|(key, stored, journal)| Difference { key: key.to_owned(), stored, journal }).collect()
}

/// What tells rows of a kind apart; expired ones are invisible.
fn hashes(store: &dyn Store, partition: i32, kind: RowKind, expired: i64) -> Result<HashMap<RowKey, u128>, String> {
    let mut all = HashMap::new();
    let mut visit = |key: RowKey, row: &[u8]| {
        let is_expired = |bucket: i64| bucket <= expired;
        let saga = if let RowKey::Saga(id) = &key { Saga::decode(id, row).ok() } else { None };
        if !saga.as_ref().and_then(Saga::expiry_bucket).is_some_and(is_expired) {
            let hash = saga.map_or_else(|| row_hash(&key.to_string(), row), |saga| saga_hash(&saga, row));
            all.insert(key, hash);
        }
        true
    };
    store.rows(partition, kind, &mut visit).map_err(|error| error.to_string())?;
    Ok(all)
}

/// A row in words.
fn told(store: &dyn Store, partition: i32, key: &RowKey) -> Result<String, String> {
    let Some(row) = store.row(partition, key).map_err(|error| error.to_string())? else { return Ok(NOTHING.to_owned()) };
    Ok(match key {
        RowKey::Saga(id) => match Saga::decode(id, &row) {
            Ok(saga) => format!("{}, {} steps entered", saga.status.as_str(), saga.entries.len()),
            Err(error) => error.to_string(),
        },
        RowKey::Breaker(_) | RowKey::Outbox(..) | RowKey::Counts => format!("{} bytes", row.len()),
    })
}
