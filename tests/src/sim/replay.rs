//! What counts in a journal: a replica that takes its records, and the state that every store must have at that offset.

use std::sync::Arc;

use ringmaster::runtime::Setup;
use ringmaster_bus::sim::SimRecord;
use ringmaster_core::partition::{Replica, Rows};
use ringmaster_schemas::state::{Batch, Checkpoint, Index, RowKey, RowKind};

struct Nothing;

impl Rows for Nothing {
    fn checkpoint(&self) -> Result<Option<Checkpoint>, String> {
        Ok(None)
    }

    fn row(&self, _: &RowKey) -> Result<Option<Vec<u8>>, String> {
        Ok(None)
    }

    fn scan(&self, _: Index, _: i64, _: i64, _: &mut dyn FnMut(i64, RowKey) -> bool) -> Result<(), String> {
        Ok(())
    }

    fn rows(&self, _: RowKind, _: &mut dyn FnMut(RowKey, &[u8])) -> Result<(), String> {
        Ok(())
    }

    fn damaged(&self, why: String) -> String {
        why
    }
}

/// Takes the records of a partition; all that is true then.
pub fn replay(setup: &Setup, partition: i32, records: &[Arc<SimRecord>]) -> Result<Batch, String> {
    let mut replica = Replica::new(Arc::new(setup.partition(partition)));
    for record in records {
        replica.read(record.offset, &record.value, &Nothing).map_err(|why| why.to_string())?;
    }
    replica.stage().ok_or_else(|| "replay leaves nothing to be stored".into())
}
