//! A partition of one store, copied into another; and a store in as few bytes as it can have.

use rocksdb::WriteBatch;

use super::{RocksStore, locked};
use crate::keys::{self, Kind};
use crate::{Store, StoreError};

/// What is written at once.
const BATCH_BYTES: usize = 4 << 20;

impl RocksStore {
    /// Copies all that is stored of a partition into a store that has nothing of it. The checkpoint comes last: one that was cut short has
    /// none, and counts for nothing.
    ///
    /// Errors: those of reading here and of writing there.
    pub fn copy_partition(&self, partition: i32, to: &RocksStore) -> Result<(), StoreError> {
        let number = self.number(partition);
        let Some(checkpoint) = self.checkpoint(partition)? else { return Ok(()) };
        let mut head = locked(&to.heads[usize::from(number)]);
        assert!(head.offset < 0, "partition {partition} is copied over another state of it");
        let mut batch = WriteBatch::default();
        for kind in keys::OF_A_PARTITION.into_iter().filter(|kind| *kind != Kind::Checkpoint) {
            let range = keys::all(kind, number);
            let mut iterator = self.between(&range.start, &range.end);
            while let Some((key, value)) = iterator.item() {
                batch.put(key, value);
                if batch.size_in_bytes() >= BATCH_BYTES {
                    to.put(std::mem::take(&mut batch))?;
                }
                iterator.next();
            }
            iterator.status().map_err(|error| self.failed(&error))?;
        }
        batch.put(keys::prefix(Kind::Checkpoint, number), checkpoint.encode());
        to.put(batch)?;
        head.offset = checkpoint.journal_offset;
        Ok(())
    }

    /// Merges all files of the store, also what only waits to be dropped: what remains is what its rows and indexes take. A coordinator
    /// never needs it, and it takes as long as reading and writing everything.
    pub fn compact(&self) {
        self.db.compact_range::<&[u8], &[u8]>(None, None);
    }
}
