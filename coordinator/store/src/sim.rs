//! A store in memory for the simulator: deterministic, and as forgetful as RocksDB without a write-ahead log.
//!
//! ```text
//! write -> volatile state + pending operations -> flush -> durable state;   crash: volatile state = durable state
//! ```
//!
//! Clones share one store, so that a simulated process can crash and its successor opens what survived.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use ringmaster_schemas::state::{Batch, Checkpoint, Index, RowChange, RowKey, RowKind, Searched};

use crate::{Classes, Seen, Store, StoreError, Through, Walk};

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
    /// Damage was found: the next start moves all of it aside.
    damaged: bool,
}

#[derive(Debug, Clone)]
enum Operation {
    Write(Box<Batch>),
    Collect { partition: i32, places: Vec<(i64, RowKey)> },
    Clear(i32),
}

type State = BTreeMap<i32, PartitionState>;

#[derive(Debug, Clone, Default)]
struct PartitionState {
    checkpoint: Option<Checkpoint>,
    rows: BTreeMap<RowKey, Vec<u8>>,
    places: BTreeMap<Index, BTreeSet<(i64, RowKey)>>,
    /// What each row is searched by.
    searched: BTreeMap<RowKey, Searched>,
}

impl PartitionState {
    fn change(&mut self, change: &RowChange) {
        let stored = match &change.value {
            Some(value) => self.rows.insert(change.key.clone(), value.clone()),
            None => self.rows.remove(&change.key),
        };
        for index in Index::ALL {
            let places = self.places.entry(index).or_default();
            if let Some(at) = change.before.place(index) {
                // A row that was collected meanwhile has no place any more.
                let known = places.remove(&(at, change.key.clone()));
                assert!(known || stored.is_none(), "{:?} was not at {at} of {index:?}: a place would be left behind", change.key);
            }
            if let Some(at) = change.after.place(index) {
                places.insert((at, change.key.clone()));
            }
        }
        let known = match &change.after.search {
            Some(searched) => self.searched.insert(change.key.clone(), searched.clone()),
            None => self.searched.remove(&change.key),
        };
        let before = change.before.search.as_ref().filter(|_| stored.is_some());
        let is_told = match (&known, before) {
            (Some(known), Some(before)) => known.is_same(before),
            (known, before) => known.is_none() && before.is_none(),
        };
        assert!(is_told, "{:?} was searched by {known:?}, not {before:?}: a place would be left behind", change.key);
    }

    fn places(&self, index: Index) -> impl Iterator<Item = &(i64, RowKey)> {
        self.places.get(&index).into_iter().flatten()
    }
}

impl SimStore {
    /// An empty store.
    pub fn new() -> Self {
        SimStore::default()
    }

    /// The process dies, and another opens the store: everything that was not flushed is forgotten, and all of it if it is damaged.
    pub fn crash(&self) {
        let mut inner = self.lock();
        if inner.damaged {
            *inner = Inner::default();
        }
        inner.volatile = inner.durable.clone();
        inner.pending.clear();
        inner.flush_stops_after = None;
    }

    /// Makes the next [`Store::flush`] stop behind `count` operations and fail; whoever called it is expected to crash. A crash
    /// then keeps exactly the flushed prefix.
    pub fn stop_next_flush_after(&self, count: usize) {
        self.lock().flush_stops_after = Some(count);
    }

    /// A store of what a crash would leave now.
    pub fn as_flushed(&self) -> SimStore {
        let durable = self.lock().durable.clone();
        SimStore { inner: Arc::new(Mutex::new(Inner { volatile: durable.clone(), durable, ..Inner::default() })) }
    }

    /// Operations that a crash would forget now.
    pub fn unflushed_count(&self) -> usize {
        self.lock().pending.len()
    }

    /// All places where rows are found by values: definition, name, value, id.
    pub fn searched(&self, partition: i32) -> BTreeSet<[String; 4]> {
        let inner = self.lock();
        let rows = inner.volatile.get(&partition).into_iter().flat_map(|state| &state.searched);
        let places = rows.flat_map(|(key, searched)| {
            searched.keys().map(|by| [by.definition, by.name, by.value, &key.to_string()].map(str::to_owned))
        });
        places.collect()
    }

    /// Cuts off the last byte of a flushed row.
    pub fn spoil(&self, partition: i32, key: &RowKey) {
        let Inner { volatile, durable, .. } = &mut *self.lock();
        for state in [volatile, durable] {
            state.get_mut(&partition).and_then(|state| state.rows.get_mut(key)).and_then(Vec::pop).expect("a row that is there");
        }
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
            batch.rows.iter().for_each(|change| partition.change(change));
            partition.checkpoint = Some(batch.checkpoint.clone());
        }
        Operation::Collect { partition, places } => {
            let partition = state.entry(*partition).or_default();
            for place in places {
                partition.rows.remove(&place.1);
                partition.searched.remove(&place.1);
                partition.places.entry(Index::Expiry).or_default().remove(place);
            }
        }
        Operation::Clear(partition) => {
            state.remove(partition);
        }
    }
}

impl Store for SimStore {
    fn checkpoint(&self, partition: i32) -> Result<Option<Checkpoint>, StoreError> {
        Ok(self.lock().volatile.get(&partition).and_then(|state| state.checkpoint.clone()))
    }

    fn row(&self, partition: i32, key: &RowKey) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.lock().volatile.get(&partition).and_then(|state| state.rows.get(key).cloned()))
    }

    fn has_place(&self, partition: i32, index: Index, at: i64, key: &RowKey) -> Result<bool, StoreError> {
        let state = self.lock();
        Ok(state.volatile.get(&partition).is_some_and(|state| state.places(index).any(|place| (place.0, &place.1) == (at, key))))
    }

    fn scan(
        &self,
        partition: i32,
        index: Index,
        from: i64,
        to: i64,
        visit: &mut dyn FnMut(i64, RowKey) -> bool,
    ) -> Result<(), StoreError> {
        // Copied out first, so that the visitor may ask the store.
        let found: Vec<(i64, RowKey)> = match self.lock().volatile.get(&partition) {
            Some(state) => state.places(index).filter(|(at, _)| (from..to).contains(at)).cloned().collect(),
            None => Vec::new(),
        };
        for (at, key) in found {
            if !visit(at, key) {
                break;
            }
        }
        Ok(())
    }

    fn rows(&self, partition: i32, kind: RowKind, visit: &mut dyn FnMut(RowKey, &[u8]) -> bool) -> Result<(), StoreError> {
        let found = self.lock().volatile.get(&partition).map(|state| state.rows.clone()).unwrap_or_default();
        for (key, bytes) in found.into_iter().filter(|(key, _)| key.kind() == kind) {
            if !visit(key, &bytes) {
                break;
            }
        }
        Ok(())
    }

    fn walk(&self, partition: i32, walk: &Walk<'_>, visit: &mut dyn FnMut(Seen<'_>) -> bool) -> Result<(), StoreError> {
        let state = self.lock().volatile.get(&partition).cloned().unwrap_or_default();
        let saga = |key: &RowKey| if let RowKey::Saga(id) = key { Some(id.clone()) } else { None };
        let mut found: Vec<(i64, Arc<str>)> = match &walk.through {
            Through::Ids(begin) => {
                let ids = state.rows.keys().filter_map(saga).filter(|id| id.starts_with(begin));
                ids.map(|id| (0, id)).collect()
            }
            Through::Places(index, range) => {
                let places = state.places(*index).filter(|(at, _)| range.contains(at));
                places.filter_map(|(at, key)| Some((*at, saga(key)?))).collect()
            }
            Through::Value(by) => {
                let all = state.searched.iter().filter(|(_, searched)| searched.keys().any(|key| key == *by));
                all.filter_map(|(key, _)| Some((0, saga(key)?))).collect()
            }
        };
        found.sort();
        if walk.is_backward {
            found.reverse();
        }
        let is_behind = |(at, id): &(i64, Arc<str>)| match walk.behind {
            Some(last) if walk.is_backward => (*at, &**id) < last,
            Some(last) => (*at, &**id) > last,
            None => true,
        };
        for (at, id) in found.into_iter().filter(is_behind) {
            let row = state.rows.get(&RowKey::Saga(id.clone())).filter(|_| matches!(walk.through, Through::Ids(_)));
            if !visit(Seen { at, id: &id, row: row.map(Vec::as_slice) }) {
                break;
            }
        }
        Ok(())
    }

    fn walk_classes(
        &self,
        partition: i32,
        index: Index,
        classes: &Classes<'_>,
        visit: &mut dyn FnMut(Seen<'_>) -> bool,
    ) -> Result<(), StoreError> {
        let state = self.lock().volatile.get(&partition).cloned().unwrap_or_default();
        let wanted = state.places(index).filter(|(at, _)| (classes.is_wanted)(classes.of(*at)));
        let saga = |key: &RowKey| if let RowKey::Saga(id) = key { Some(id.clone()) } else { None };
        let mut found: Vec<(i64, Arc<str>)> = wanted.filter_map(|(at, key)| Some((classes.within(*at), saga(key)?))).collect();
        found.sort();
        if classes.is_backward {
            found.reverse();
        }
        let is_behind = |(at, id): &(i64, Arc<str>)| match classes.behind {
            Some(last) if classes.is_backward => (*at, &**id) < last,
            Some(last) => (*at, &**id) > last,
            None => true,
        };
        for (at, id) in found.into_iter().filter(is_behind) {
            if !visit(Seen { at, id: &id, row: None }) {
                break;
            }
        }
        Ok(())
    }

    fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut inner = self.lock();
        let stored =
            inner.volatile.get(&batch.partition).and_then(|state| state.checkpoint.as_ref()).map_or(-1, |c| c.journal_offset);
        if stored != batch.base_offset {
            return Err(StoreError::Stale { partition: batch.partition, base: batch.base_offset, stored });
        }
        inner.run(Operation::Write(Box::new(batch.clone())));
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

    fn collect(&self, partition: i32, through: i64, max_count: usize) -> Result<usize, StoreError> {
        let mut inner = self.lock();
        let Some(state) = inner.volatile.get(&partition) else {
            return Ok(0);
        };
        let through = through.min(state.checkpoint.as_ref().map_or(i64::MIN, |checkpoint| checkpoint.expired_bucket));
        let expired = state.places(Index::Expiry).take_while(|(bucket, _)| *bucket <= through);
        let places: Vec<(i64, RowKey)> = expired.take(max_count).cloned().collect();
        let count = places.len();
        if count > 0 {
            inner.run(Operation::Collect { partition, places });
        }
        Ok(count)
    }

    fn damaged(&self, why: String) -> StoreError {
        self.lock().damaged = true;
        StoreError::Damaged(why)
    }

    fn clear(&self, partition: i32) -> Result<(), StoreError> {
        self.lock().run(Operation::Clear(partition));
        Ok(())
    }
}
