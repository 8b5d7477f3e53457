//! What a line has stored, as its partition reads it.

use std::collections::{BTreeMap, BTreeSet};

use ringmaster_core::partition::Rows;
use ringmaster_schemas::state::{Checkpoint, Index, RowKey, RowKind, Saga, index_keys};

/// The checkpoint and the rows.
pub(crate) struct Stored<'a>(pub(crate) &'a Option<Checkpoint>, pub(crate) &'a BTreeMap<RowKey, Vec<u8>>);

impl Rows for Stored<'_> {
    fn checkpoint(&self) -> Result<Option<Checkpoint>, String> {
        Ok(self.0.clone())
    }

    fn row(&self, key: &RowKey) -> Result<Option<Vec<u8>>, String> {
        Ok(self.1.get(key).cloned())
    }

    fn scan(&self, index: Index, from: i64, to: i64, visit: &mut dyn FnMut(i64, RowKey) -> bool) -> Result<(), String> {
        let place = |(key, row): (&RowKey, &Vec<u8>)| match key {
            RowKey::Saga(id) => {
                let saga = Saga::decode(id, row).expect("a stored row");
                Some((index_keys(&saga).place(index)?, key.clone()))
            }
            RowKey::Outbox(..) | RowKey::Breaker(_) | RowKey::Counts => None,
        };
        let places: BTreeSet<(i64, RowKey)> = self.1.iter().filter_map(place).collect();
        let mut within = places.into_iter().filter(|(at, _)| (from..to).contains(at));
        let _end = within.try_for_each(|(at, key)| if visit(at, key) { Ok(()) } else { Err(()) });
        Ok(())
    }

    fn rows(&self, kind: RowKind, visit: &mut dyn FnMut(RowKey, &[u8])) -> Result<(), String> {
        self.1.iter().filter(|(key, _)| key.kind() == kind).for_each(|(key, row)| visit(key.clone(), row));
        Ok(())
    }

    fn damaged(&self, why: String) -> String {
        why
    }
}
