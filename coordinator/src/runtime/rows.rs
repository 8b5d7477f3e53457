//! A partition's rows in the store, as the core asks for them.

use ringmaster_core::partition::Rows;
use ringmaster_schemas::state::{Checkpoint, Index, RowKey, RowKind};
use ringmaster_store::Store;

/// One partition's rows in the store.
pub struct StoredRows<'a> {
    /// Where they are.
    pub store: &'a dyn Store,
    /// Which partition.
    pub partition: i32,
}

impl Rows for StoredRows<'_> {
    fn checkpoint(&self) -> Result<Option<Checkpoint>, String> {
        self.store.checkpoint(self.partition).map_err(|error| error.to_string())
    }

    fn row(&self, key: &RowKey) -> Result<Option<Vec<u8>>, String> {
        self.store.row(self.partition, key).map_err(|error| error.to_string())
    }

    fn scan(&self, index: Index, from: i64, to: i64, visit: &mut dyn FnMut(i64, RowKey) -> bool) -> Result<(), String> {
        self.store.scan(self.partition, index, from, to, visit).map_err(|error| error.to_string())
    }

    fn rows(&self, kind: RowKind, visit: &mut dyn FnMut(RowKey, &[u8])) -> Result<(), String> {
        let mut all = |key, row: &[u8]| {
            visit(key, row);
            true
        };
        self.store.rows(self.partition, kind, &mut all).map_err(|error| error.to_string())
    }

    fn damaged(&self, why: String) -> String {
        self.store.damaged(format!("partition {}: {why}", self.partition)).to_string()
    }
}
