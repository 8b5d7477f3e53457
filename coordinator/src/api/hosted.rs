//! What of the store is this instance's: rows of partitions that others have are as old as the day on which it gave them up.

use std::collections::BTreeSet;

use ringmaster_schemas::journal::SearchKey;
use ringmaster_schemas::state::{Batch, Checkpoint, Index, RowKey, RowKind};
use ringmaster_store::{Store, StoreError};

/// A store that seems to hold nothing of partitions that are not hosted here. For reading.
pub(super) struct HostedStore<'a> {
    pub(super) store: &'a dyn Store,
    /// What is hosted; none: all.
    pub(super) hosted: Option<BTreeSet<i32>>,
}

impl HostedStore<'_> {
    pub(super) fn has(&self, partition: i32) -> bool {
        self.hosted.as_ref().is_none_or(|hosted| hosted.contains(&partition))
    }
}

impl Store for HostedStore<'_> {
    fn checkpoint(&self, partition: i32) -> Result<Option<Checkpoint>, StoreError> {
        if self.has(partition) { self.store.checkpoint(partition) } else { Ok(None) }
    }

    fn row(&self, partition: i32, key: &RowKey) -> Result<Option<Vec<u8>>, StoreError> {
        if self.has(partition) { self.store.row(partition, key) } else { Ok(None) }
    }

    fn scan(
        &self,
        partition: i32,
        index: Index,
        from: i64,
        to: i64,
        visit: &mut dyn FnMut(i64, RowKey) -> bool,
    ) -> Result<(), StoreError> {
        if self.has(partition) { self.store.scan(partition, index, from, to, visit) } else { Ok(()) }
    }

    fn rows(&self, partition: i32, kind: RowKind, visit: &mut dyn FnMut(RowKey, &[u8]) -> bool) -> Result<(), StoreError> {
        if self.has(partition) { self.store.rows(partition, kind, visit) } else { Ok(()) }
    }

    fn search(&self, partition: i32, by: &SearchKey<'_>, visit: &mut dyn FnMut(&str) -> bool) -> Result<(), StoreError> {
        if self.has(partition) { self.store.search(partition, by, visit) } else { Ok(()) }
    }

    fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        self.store.write(batch)
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.store.flush()
    }

    fn collect(&self, partition: i32, through: i64, max_count: usize) -> Result<usize, StoreError> {
        self.store.collect(partition, through, max_count)
    }

    fn damaged(&self, why: String) -> StoreError {
        self.store.damaged(why)
    }

    fn clear(&self, partition: i32) -> Result<(), StoreError> {
        self.store.clear(partition)
    }
}
