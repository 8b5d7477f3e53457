//! A store that is looked at.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ringmaster_schemas::state::{Batch, Checkpoint, Index, RowKey, RowKind};
use ringmaster_store::sim::SimStore;
use ringmaster_store::{Classes, Seen, Store, StoreError, Walk};

/// A store whose flushes are counted, and may meet a bug.
#[derive(Default)]
pub(crate) struct Watched {
    pub(crate) store: SimStore,
    pub(crate) flush_panics: bool,
    pub(crate) flushes: Arc<AtomicUsize>,
}

impl Store for Watched {
    fn checkpoint(&self, partition: i32) -> Result<Option<Checkpoint>, StoreError> {
        self.store.checkpoint(partition)
    }

    fn row(&self, partition: i32, key: &RowKey) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.row(partition, key)
    }

    fn has_place(&self, partition: i32, index: Index, at: i64, key: &RowKey) -> Result<bool, StoreError> {
        self.store.has_place(partition, index, at, key)
    }

    fn scan(
        &self,
        partition: i32,
        index: Index,
        from: i64,
        to: i64,
        visit: &mut dyn FnMut(i64, RowKey) -> bool,
    ) -> Result<(), StoreError> {
        self.store.scan(partition, index, from, to, visit)
    }

    fn rows(&self, partition: i32, kind: RowKind, visit: &mut dyn FnMut(RowKey, &[u8]) -> bool) -> Result<(), StoreError> {
        self.store.rows(partition, kind, visit)
    }

    fn walk(&self, partition: i32, walk: &Walk<'_>, visit: &mut dyn FnMut(Seen<'_>) -> bool) -> Result<(), StoreError> {
        self.store.walk(partition, walk, visit)
    }

    fn walk_classes(
        &self,
        partition: i32,
        index: Index,
        classes: &Classes<'_>,
        visit: &mut dyn FnMut(Seen<'_>) -> bool,
    ) -> Result<(), StoreError> {
        self.store.walk_classes(partition, index, classes, visit)
    }

    fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        self.store.write(batch)
    }

    fn flush(&self) -> Result<(), StoreError> {
        assert!(!self.flush_panics, "the flush met a bug");
        self.flushes.fetch_add(1, Ordering::SeqCst);
        self.store.flush()
    }

    fn collect(&self, partition: i32, through: i64, max_count: usize) -> Result<usize, StoreError> {
        self.store.collect(partition, through, max_count)
    }

    fn damaged(&self, why: String) -> StoreError {
        self.store.damaged(why)
    }

    fn disk_bytes(&self) -> Option<u64> {
        self.store.disk_bytes()
    }

    fn clear(&self, partition: i32) -> Result<(), StoreError> {
        self.store.clear(partition)
    }
}
