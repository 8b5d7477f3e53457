//! A store in memory for the simulator: deterministic, and as forgetful as RocksDB without a write-ahead log.
//!
//! ```text
//! write -> volatile state + pending operations -> flush -> durable state;   crash: volatile state = durable state
//! ```
//!
//! Clones share one store, so that a simulated process can crash and its successor opens what survived.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use ringmaster_schemas::Millis;
use ringmaster_schemas::state::{self, Checkpoint};

use crate::{Batch, Store, StoreError};

/// A store that forgets at a crash what was not flushed.
#[derive(Debug, Clone, Default)]
pub struct SimStore {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    volatile: State,
    durable: State,
    /// What `volatile` has and `durable` has not, in order.
    pending: VecDeque<Operation>,
    /// The next flush stops behind this many operations.
    flush_stops_after: Option<usize>,
}

#[derive(Debug, Clone)]
enum Operation {
    Write(Box<Batch>),
    Collect { partition: i32, entries: Vec<(i64, Arc<str>)> },
    Clear(i32),
}

type State = BTreeMap<i32, PartitionState>;

#[derive(Debug, Clone, Default)]
struct PartitionState {
    checkpoint: Option<Checkpoint>,
    sagas: BTreeMap<Arc<str>, Vec<u8>>,
    due: BTreeSet<(Millis, Arc<str>)>,
    expiry: BTreeSet<(i64, Arc<str>)>,
}

impl SimStore {
    /// An empty store.
    pub fn new() -> Self {
        SimStore::default()
    }

    /// The process dies: everything that was not flushed is forgotten.
    pub fn crash(&self) {
        let mut inner = self.lock();
        inner.volatile = inner.durable.clone();
        inner.pending.clear();
        inner.flush_stops_after = None;
    }

    /// Makes the next [`Store::flush`] stop behind `count` operations and fail; whoever called it is expected to crash. A crash
    /// then keeps exactly the flushed prefix.
    pub fn stop_next_flush_after(&self, count: usize) {
        self.lock().flush_stops_after = Some(count);
    }

    /// Operations that a crash would forget now.
    pub fn unflushed_count(&self) -> usize {
        self.lock().pending.len()
    }

    /// Forgets everything, flushed or not: the directory was lost, or moved aside.
    pub fn lose(&self) {
        *self.lock() = Inner::default();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no panic while the simulated store was locked")
    }
}

impl Inner {
    fn run(&mut self, operation: Operation) {
        apply(&mut self.volatile, &operation);
        self.pending.push_back(operation);
    }
}

fn apply(state: &mut State, operation: &Operation) {
    match operation {
        Operation::Write(batch) => {
            let partition = state.entry(batch.partition).or_default();
            for change in &batch.rows {
                partition.sagas.insert(Arc::clone(&change.id), change.row.clone());
                if let Some(at) = change.due_before {
                    partition.due.remove(&(at, Arc::clone(&change.id)));
                }
                if let Some(at) = change.due {
                    partition.due.insert((at, Arc::clone(&change.id)));
                }
                if let Some(bucket) = change.expiry_bucket {
                    partition.expiry.insert((bucket, Arc::clone(&change.id)));
                }
            }
            partition.checkpoint = Some(batch.checkpoint.clone());
        }
        Operation::Collect { partition, entries } => {
            let partition = state.entry(*partition).or_default();
            for entry in entries {
                partition.expiry.remove(entry);
                if expires_in(partition.sagas.get(&entry.1), entry.0) {
                    partition.sagas.remove(&entry.1);
                }
            }
        }
        Operation::Clear(partition) => {
            state.remove(partition);
        }
    }
}

/// True if this row really expires in this bucket; a row that was started again does not.
fn expires_in(stored: Option<&Vec<u8>>, bucket: i64) -> bool {
    stored.is_some_and(|bytes| {
        state::Saga::decode(bytes).is_ok_and(|saga| saga.ended() && state::expiry_bucket(saga.expires_at) == bucket)
    })
}

impl Store for SimStore {
    fn checkpoint(&self, partition: i32) -> Result<Option<Checkpoint>, StoreError> {
        Ok(self.lock().volatile.get(&partition).and_then(|state| state.checkpoint.clone()))
    }

    fn saga(&self, partition: i32, id: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.lock().volatile.get(&partition).and_then(|state| state.sagas.get(id).cloned()))
    }

    fn due(&self, partition: i32, from: Millis, to: Millis, visit: &mut dyn FnMut(Millis, &str) -> bool) -> Result<(), StoreError> {
        // Copied out first, so that the visitor may ask the store.
        let found: Vec<(Millis, Arc<str>)> = match self.lock().volatile.get(&partition) {
            Some(state) if from < to => state.due.range((from, Arc::from(""))..(to, Arc::from(""))).cloned().collect(),
            _ => Vec::new(),
        };
        for (at, id) in found {
            if !visit(at, &id) {
                break;
            }
        }
        Ok(())
    }

    fn sagas(&self, partition: i32, visit: &mut dyn FnMut(&str, &[u8]) -> bool) -> Result<(), StoreError> {
        let found = self.lock().volatile.get(&partition).map(|state| state.sagas.clone()).unwrap_or_default();
        for (id, bytes) in found {
            if !visit(&id, &bytes) {
                break;
            }
        }
        Ok(())
    }

    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        let mut inner = self.lock();
        let stored =
            inner.volatile.get(&batch.partition).and_then(|state| state.checkpoint.as_ref()).map_or(-1, |c| c.journal_offset);
        if stored != batch.base_offset {
            return Err(StoreError::Stale { partition: batch.partition, base: batch.base_offset, stored });
        }
        inner.run(Operation::Write(Box::new(batch)));
        Ok(())
    }

    fn flush(&self) -> Result<(), StoreError> {
        let mut inner = self.lock();
        let Inner { durable, pending, flush_stops_after, .. } = &mut *inner;
        let stops_after = flush_stops_after.take();
        let count = stops_after.unwrap_or(usize::MAX).min(pending.len());
        for operation in pending.drain(..count) {
            apply(durable, &operation);
        }
        match stops_after {
            None => Ok(()),
            Some(_) => Err(StoreError::Io(format!("the flush stopped behind {count} operations"))),
        }
    }

    fn collect_expired(&self, partition: i32, through: i64, max_count: usize) -> Result<usize, StoreError> {
        let mut inner = self.lock();
        let Some(state) = inner.volatile.get(&partition) else {
            return Ok(0);
        };
        let through = through.min(state.checkpoint.as_ref().map_or(i64::MIN, |checkpoint| checkpoint.expired_bucket));
        let (mut entries, mut row_count) = (Vec::new(), 0);
        for entry in state.expiry.iter().take_while(|(bucket, _)| *bucket <= through) {
            if row_count == max_count {
                break;
            }
            row_count += usize::from(expires_in(state.sagas.get(&entry.1), entry.0));
            entries.push(entry.clone());
        }
        if !entries.is_empty() {
            inner.run(Operation::Collect { partition, entries });
        }
        Ok(row_count)
    }

    fn clear(&self, partition: i32) -> Result<(), StoreError> {
        self.lock().run(Operation::Clear(partition));
        Ok(())
    }
}
