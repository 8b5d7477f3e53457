//! The store on RocksDB: one database per instance, without a write-ahead log.
//!
//! ```text
//! Batch -> head of its partition (is it the stored checkpoint?) -> one WriteBatch -> memtable -> flush -> files
//! ```
//!
//! A crash loses the newest batches whole, because a memtable is flushed whole and in order. What is read wrong is never repaired
//! here: the directory is marked as damaged, and the next [`RocksStore::open`] moves it aside.

mod open;

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};

use ringmaster_schemas::Millis;
use ringmaster_schemas::state::{self, Checkpoint};
use rocksdb::{DB, DBRawIterator, ErrorKind, FlushOptions, ReadOptions, WriteBatch, WriteOptions};

pub use self::open::Opened;
use crate::keys::{self, Kind};
use crate::{Batch, Store, StoreError};

/// Expiry entries that one call looks at per row that it may delete: entries whose saga was started again delete no row, and a call
/// must be bounded all the same.
const EXPIRY_ENTRIES_PER_ROW_MAX: usize = 4;

/// Rows, indexes and checkpoints in a RocksDB database.
pub struct RocksStore {
    db: DB,
    /// Where it lies, to mark it as damaged.
    dir: PathBuf,
    /// One per partition: the offset of the stored checkpoint, -1 for none. Locked while a partition is written.
    heads: Vec<Mutex<i64>>,
    /// Held as long as the store is open, so that nobody moves the directory away meanwhile. The database's own lock lies inside it.
    _lock: File,
}

impl RocksStore {
    fn head(&self, partition: i32) -> Result<(u16, MutexGuard<'_, i64>), StoreError> {
        let number = self.number(partition);
        Ok((number, self.heads[usize::from(number)].lock().expect("no panic while a partition was written")))
    }

    /// The partition as it stands in keys.
    fn number(&self, partition: i32) -> u16 {
        let count = self.heads.len();
        assert!(usize::try_from(partition).is_ok_and(|n| n < count), "partition {partition} of a store that has {count}");
        partition as u16
    }

    fn put(&self, batch: WriteBatch) -> Result<(), StoreError> {
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        self.db.write_opt(batch, &options).map_err(|error| self.failed(&error))
    }

    /// An iterator over the keys in `from..to`, at its first.
    fn scan(&self, from: &[u8], to: &[u8]) -> DBRawIterator<'_> {
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(to);
        let mut iterator = self.db.raw_iterator_opt(options);
        iterator.seek(from);
        iterator
    }

    /// What an error of the database means for the caller. Damage is written down, so that the next start does not run into it.
    fn failed(&self, error: &rocksdb::Error) -> StoreError {
        match open::meaning(error) {
            StoreError::Damaged(why) => self.damaged(why),
            other => other,
        }
    }

    fn damaged(&self, why: String) -> StoreError {
        open::mark_damaged(&self.dir, &why);
        StoreError::Damaged(why)
    }

    fn stored_checkpoint(&self, partition: u16) -> Result<Option<Checkpoint>, StoreError> {
        let Some(bytes) = self.db.get_pinned(keys::prefix(Kind::Checkpoint, partition)).map_err(|error| self.failed(&error))?
        else {
            return Ok(None);
        };
        match Checkpoint::decode(&bytes) {
            Ok(checkpoint) => Ok(Some(checkpoint)),
            Err(error) => Err(self.damaged(format!("checkpoint of partition {partition}: {error}"))),
        }
    }

    /// True if the stored row really expires in this bucket; a saga that was started again does not.
    fn expires_in(&self, key: &[u8], bucket: i64) -> Result<bool, StoreError> {
        let Some(bytes) = self.db.get_pinned(key).map_err(|error| self.failed(&error))? else {
            return Ok(false);
        };
        match state::Saga::decode(&bytes) {
            Ok(saga) => Ok(saga.ended() && state::expiry_bucket(saga.expires_at) == bucket),
            Err(error) => Err(self.damaged(format!("saga row {}: {error}", String::from_utf8_lossy(key)))),
        }
    }
}

impl Store for RocksStore {
    fn checkpoint(&self, partition: i32) -> Result<Option<Checkpoint>, StoreError> {
        self.stored_checkpoint(self.number(partition))
    }

    fn saga(&self, partition: i32, id: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let mut key = Vec::with_capacity(64);
        keys::saga(&mut key, self.number(partition), id);
        self.db.get(&key).map_err(|error| self.failed(&error))
    }

    fn due(&self, partition: i32, from: Millis, to: Millis, visit: &mut dyn FnMut(Millis, &str) -> bool) -> Result<(), StoreError> {
        if from >= to {
            return Ok(());
        }
        let number = self.number(partition);
        let mut iterator = self.scan(&keys::bound(Kind::Due, number, from), &keys::bound(Kind::Due, number, to));
        while let Some(key) = iterator.key() {
            let (at, id) = keys::parse_ordered(key).ok_or_else(|| self.damaged(format!("key of the due index: {key:02x?}")))?;
            if !visit(at, id) {
                return Ok(());
            }
            iterator.next();
        }
        iterator.status().map_err(|error| self.failed(&error))
    }

    fn sagas(&self, partition: i32, visit: &mut dyn FnMut(&str, &[u8]) -> bool) -> Result<(), StoreError> {
        let range = keys::all(Kind::Saga, self.number(partition));
        let mut iterator = self.scan(&range.start, &range.end);
        while let Some((key, value)) = iterator.item() {
            let id = keys::id_of_saga(key).ok_or_else(|| self.damaged(format!("key of a saga row: {key:02x?}")))?;
            if !visit(id, value) {
                return Ok(());
            }
            iterator.next();
        }
        iterator.status().map_err(|error| self.failed(&error))
    }

    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        let (number, mut head) = self.head(batch.partition)?;
        if *head != batch.base_offset {
            return Err(StoreError::Stale { partition: batch.partition, base: batch.base_offset, stored: *head });
        }
        let bytes = batch.rows.iter().map(|change| change.row.len() + 3 * (change.id.len() + 16)).sum();
        let (mut changes, mut key) = (WriteBatch::with_capacity_bytes(bytes), Vec::with_capacity(256));
        for change in &batch.rows {
            keys::saga(&mut key, number, &change.id);
            changes.put(&key, &change.row);
            if change.due_before != change.due {
                if let Some(at) = change.due_before {
                    keys::ordered(&mut key, Kind::Due, number, at, &change.id);
                    changes.delete(&key);
                }
                if let Some(at) = change.due {
                    keys::ordered(&mut key, Kind::Due, number, at, &change.id);
                    changes.put(&key, b"");
                }
            }
            if let Some(bucket) = change.expiry_bucket {
                keys::ordered(&mut key, Kind::Expiry, number, bucket, &change.id);
                changes.put(&key, b"");
            }
        }
        changes.put(keys::prefix(Kind::Checkpoint, number), batch.checkpoint.encode());
        self.put(changes)?;
        *head = batch.checkpoint.journal_offset;
        Ok(())
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.db.flush_opt(&FlushOptions::default()).map_err(|error| self.failed(&error))
    }

    fn collect_expired(&self, partition: i32, through: i64, max_count: usize) -> Result<usize, StoreError> {
        let (number, _head) = self.head(partition)?;
        let Some(checkpoint) = self.stored_checkpoint(number)? else {
            return Ok(0);
        };
        let through = through.min(checkpoint.expired_bucket);
        let (from, to) = (keys::all(Kind::Expiry, number).start, keys::bound(Kind::Expiry, number, through.saturating_add(1)));
        let (mut changes, mut key, mut row_count, mut entry_count) = (WriteBatch::default(), Vec::new(), 0, 0);
        let mut iterator = self.scan(&from, &to);
        while let Some(entry) = iterator.key() {
            if row_count == max_count || entry_count >= max_count.saturating_mul(EXPIRY_ENTRIES_PER_ROW_MAX) {
                break;
            }
            let (bucket, id) =
                keys::parse_ordered(entry).ok_or_else(|| self.damaged(format!("key of the expiry index: {entry:02x?}")))?;
            keys::saga(&mut key, number, id);
            if self.expires_in(&key, bucket)? {
                changes.delete(&key);
                row_count += 1;
            }
            changes.delete(entry);
            entry_count += 1;
            iterator.next();
        }
        iterator.status().map_err(|error| self.failed(&error))?;
        drop(iterator);
        if entry_count > 0 {
            self.put(changes)?;
        }
        Ok(row_count)
    }

    fn clear(&self, partition: i32) -> Result<(), StoreError> {
        let (number, mut head) = self.head(partition)?;
        let mut changes = WriteBatch::default();
        for kind in keys::OF_A_PARTITION {
            let range = keys::all(kind, number);
            changes.delete_range(range.start, range.end);
        }
        self.put(changes)?;
        *head = -1;
        Ok(())
    }
}

/// True for errors that say: what is on disk is not what was written.
fn is_damage(error: &rocksdb::Error) -> bool {
    match error.kind() {
        ErrorKind::Corruption | ErrorKind::NotFound | ErrorKind::InvalidArgument | ErrorKind::NotSupported => true,
        ErrorKind::IOError => error.as_ref().contains("No such file"),
        _ => false,
    }
}
