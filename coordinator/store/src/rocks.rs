//! The store on RocksDB: one database per instance, without a write-ahead log.
//!
//! ```text
//! Batch -> head of its partition (is it the stored checkpoint?) -> one WriteBatch -> memtable -> flush -> files
//! ```
//!
//! A crash loses the newest batches whole, because a memtable is flushed whole and in order. What is read wrong is never repaired
//! here: the directory is marked as damaged, and the next [`RocksStore::open`] moves it aside.

mod copy;
mod look;
mod merged;
mod open;
mod walk;

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use ringmaster_schemas::state::{self, Batch, Index, RowChange, RowKey, RowKind};
use rocksdb::checkpoint::Checkpoint;
use rocksdb::{DB, DBRawIterator, ErrorKind, FlushOptions, ReadOptions, WriteBatch, WriteOptions};

pub use self::open::Opened;
use crate::keys::{self, Kind};
use crate::large::{self, Part};
use crate::{Classes, Seen, Store, StoreError, Walk, search};

/// What a changed row's keys take in a batch, about: only for its first allocation.
const ROW_KEYS_BYTES: usize = 128;

/// Rows, indexes and checkpoints in a RocksDB database.
pub struct RocksStore {
    db: DB,
    /// Where it lies, to mark it as damaged.
    dir: PathBuf,
    /// One per partition. Locked while it is written.
    heads: Vec<Mutex<Head>>,
    /// Bytes of all batches that were written.
    written: AtomicU64,
    /// Held as long as the store is open, so that nobody moves the directory away meanwhile. The database's own lock lies inside it. None
    /// for one that is only looked at: nothing is written into it, also not that it is damaged.
    lock: Option<File>,
}

/// What is known of a stored partition.
struct Head {
    /// The offset of its checkpoint; -1 for none.
    offset: i64,
    /// What it holds lies aside already.
    aside: bool,
}

impl Head {
    fn at(offset: i64) -> Mutex<Self> {
        Mutex::new(Head { offset, aside: false })
    }
}

fn locked(head: &Mutex<Head>) -> MutexGuard<'_, Head> {
    head.lock().expect("no panic while a partition was written")
}

impl RocksStore {
    fn head(&self, partition: i32) -> (u16, MutexGuard<'_, Head>) {
        let number = self.number(partition);
        (number, locked(&self.heads[usize::from(number)]))
    }

    /// Bytes of rows, indexes and checkpoints that were written since it was opened.
    pub fn written_bytes(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Keeps what is stored for a look, beside the directory: the files that will not change any more, linked, not copied.
    fn keep_aside(&self) -> Result<(), StoreError> {
        let aside = open::free_aside(&self.dir)?;
        let kept = Checkpoint::new(&self.db).and_then(|files| files.create_checkpoint(&aside));
        kept.map_err(|error| self.failed(&error))?;
        tracing::warn!(store = %self.dir.display(), aside = %aside.display(), "what is stored was moved aside before it is forgotten");
        Ok(())
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
        self.written.fetch_add(batch.size_in_bytes() as u64, Ordering::Relaxed);
        self.db.write_opt(batch, &options).map_err(|error| self.failed(&error))
    }

    fn put_row(&self, changes: &mut WriteBatch, key: &mut Vec<u8>, partition: u16, change: &RowChange) -> Result<(), StoreError> {
        let parts = self.put_values(changes, key, partition, change)?;
        keys::row(key, partition, &change.key);
        match &change.value {
            // Also a row that looks as if it were cut.
            Some(value) if !parts.is_empty() || large::is_cut(value) => changes.put(&key, large::cut(value, &parts)),
            Some(value) => changes.put(&key, value),
            None => changes.delete(&key),
        }
        Ok(())
    }

    /// Writes those large values of a row that are not there yet, and deletes those that it has no more; which it has.
    fn put_values(
        &self,
        changes: &mut WriteBatch,
        key: &mut Vec<u8>,
        partition: u16,
        change: &RowChange,
    ) -> Result<Vec<Part>, StoreError> {
        let RowKey::Saga(id) = &change.key else { return Ok(Vec::new()) };
        if !change.large.before && change.large.now.is_empty() {
            return Ok(Vec::new());
        }
        keys::row(key, partition, &change.key);
        let stored = self.db.get_pinned(&key).map_err(|error| self.failed(&error))?;
        let before = stored.as_deref().and_then(large::read).map(|(parts, _)| parts).unwrap_or_default();
        let mut parts: Vec<Part> = Vec::with_capacity(change.large.now.len());
        for (value, range) in change.value.iter().flat_map(|value| change.large.now.iter().map(move |range| (value, range))) {
            let part = Part::of(value, range);
            keys::value(key, partition, id, part.hash);
            let is_there = before.iter().any(|before| before.hash == part.hash);
            let fits = if is_there {
                let known = self.db.get_pinned(&key).map_err(|error| self.failed(&error))?;
                known.is_some_and(|known| *known == value[range.clone()])
            } else {
                // Two values of one hash in one row: the second stays where it is.
                parts.iter().all(|other| other.hash != part.hash)
            };
            if fits && !is_there {
                changes.put(&key, &value[range.clone()]);
            }
            if fits {
                parts.push(part);
            }
        }
        for gone in before.iter().filter(|before| parts.iter().all(|part| part.hash != before.hash)) {
            keys::value(key, partition, id, gone.hash);
            changes.delete(&key);
        }
        Ok(parts)
    }

    /// A row with its large values.
    fn joined(&self, partition: u16, key: &RowKey, row: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut place = Vec::with_capacity(64);
        let joined = large::join(row, |part| {
            keys::value(&mut place, partition, &key.to_string(), part.hash);
            self.db.get(&place).map_err(|error| self.failed(&error))
        });
        joined?.ok_or_else(|| self.damaged(format!("a large value of {key} is not there, or does not fit")))
    }

    /// An iterator over the keys in `from..to`, at its first.
    fn between(&self, from: &[u8], to: &[u8]) -> DBRawIterator<'_> {
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

    fn stored_checkpoint(&self, partition: u16) -> Result<Option<state::Checkpoint>, StoreError> {
        let Some(bytes) = self.db.get_pinned(keys::prefix(Kind::Checkpoint, partition)).map_err(|error| self.failed(&error))?
        else {
            return Ok(None);
        };
        match state::Checkpoint::decode(&bytes) {
            Ok(checkpoint) => Ok(Some(checkpoint)),
            Err(error) => Err(self.damaged(format!("checkpoint of partition {partition}: {error}"))),
        }
    }
}

impl Store for RocksStore {
    fn checkpoint(&self, partition: i32) -> Result<Option<state::Checkpoint>, StoreError> {
        self.stored_checkpoint(self.number(partition))
    }

    fn row(&self, partition: i32, key: &RowKey) -> Result<Option<Vec<u8>>, StoreError> {
        let (mut bytes, number) = (Vec::with_capacity(64), self.number(partition));
        keys::row(&mut bytes, number, key);
        match self.db.get(&bytes).map_err(|error| self.failed(&error))? {
            Some(row) if large::is_cut(&row) => self.joined(number, key, &row).map(Some),
            row => Ok(row),
        }
    }

    fn has_place(&self, partition: i32, index: Index, at: i64, key: &RowKey) -> Result<bool, StoreError> {
        let mut bytes = Vec::with_capacity(64);
        keys::place(&mut bytes, index, self.number(partition), at, key);
        self.db.get_pinned(&bytes).map(|found| found.is_some()).map_err(|error| self.failed(&error))
    }

    fn scan(
        &self,
        partition: i32,
        index: Index,
        from: i64,
        to: i64,
        visit: &mut dyn FnMut(i64, RowKey) -> bool,
    ) -> Result<(), StoreError> {
        if from >= to {
            return Ok(());
        }
        let number = self.number(partition);
        let mut iterator = self.between(&keys::bound(index, number, from), &keys::bound(index, number, to));
        while let Some(bytes) = iterator.key() {
            let (at, key) = keys::parse_place(bytes).ok_or_else(|| self.damaged(format!("key of an index: {bytes:02x?}")))?;
            if !visit(at, key) {
                return Ok(());
            }
            iterator.next();
        }
        iterator.status().map_err(|error| self.failed(&error))
    }

    fn rows(&self, partition: i32, kind: RowKind, visit: &mut dyn FnMut(RowKey, &[u8]) -> bool) -> Result<(), StoreError> {
        let range = keys::all(Kind::of_row(kind), self.number(partition));
        let mut iterator = self.between(&range.start, &range.end);
        while let Some((bytes, value)) = iterator.item() {
            let key = keys::parse_row(bytes).ok_or_else(|| self.damaged(format!("key of a row: {bytes:02x?}")))?;
            let joined = if large::is_cut(value) { Some(self.joined(self.number(partition), &key, value)?) } else { None };
            if !visit(key, joined.as_deref().unwrap_or(value)) {
                return Ok(());
            }
            iterator.next();
        }
        iterator.status().map_err(|error| self.failed(&error))
    }

    fn walk(&self, partition: i32, walk: &Walk<'_>, visit: &mut dyn FnMut(Seen<'_>) -> bool) -> Result<(), StoreError> {
        self.walk_through(partition, walk, visit)
    }

    fn walk_classes(
        &self,
        partition: i32,
        index: Index,
        classes: &Classes<'_>,
        visit: &mut dyn FnMut(Seen<'_>) -> bool,
    ) -> Result<(), StoreError> {
        self.walk_merged(partition, index, classes, visit)
    }

    fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        let (number, mut head) = self.head(batch.partition);
        if head.offset != batch.base_offset {
            return Err(StoreError::Stale { partition: batch.partition, base: batch.base_offset, stored: head.offset });
        }
        let bytes = batch.rows.iter().map(|change| change.value.as_ref().map_or(0, Vec::len) + ROW_KEYS_BYTES).sum();
        let (mut changes, mut key) = (WriteBatch::with_capacity_bytes(bytes), Vec::with_capacity(256));
        // Kind by kind: keys that lie side by side are found at once.
        for change in &batch.rows {
            self.put_row(&mut changes, &mut key, number, change)?;
        }
        for index in Index::ALL {
            for change in &batch.rows {
                put_place(&mut changes, &mut key, number, index, change);
            }
        }
        for change in &batch.rows {
            put_searched(&mut changes, &mut key, number, change);
        }
        changes.put(keys::prefix(Kind::Checkpoint, number), batch.checkpoint.encode());
        self.put(changes)?;
        *head = Head { offset: batch.checkpoint.journal_offset, aside: false };
        Ok(())
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.db.flush_opt(&FlushOptions::default()).map_err(|error| self.failed(&error))
    }

    fn collect(&self, partition: i32, through: i64, max_count: usize) -> Result<usize, StoreError> {
        let (number, _head) = self.head(partition);
        let Some(checkpoint) = self.stored_checkpoint(number)? else {
            return Ok(0);
        };
        let through = through.min(checkpoint.expired_bucket);
        let (from, to) =
            (keys::bound(Index::Expiry, number, i64::MIN), keys::bound(Index::Expiry, number, through.saturating_add(1)));
        let (mut changes, mut key, mut count) = (WriteBatch::default(), Vec::new(), 0);
        let mut iterator = self.between(&from, &to);
        while count < max_count
            && let Some(place) = iterator.key()
        {
            let (_, expired) =
                keys::parse_place(place).ok_or_else(|| self.damaged(format!("key of the expiry index: {place:02x?}")))?;
            keys::row(&mut key, number, &expired);
            changes.delete(&key);
            let told = iterator.value().unwrap_or_default();
            if !told.is_empty() && !search::each_told(told, number, expired.to_string().as_bytes(), |key| changes.delete(key)) {
                return Err(self.damaged(format!("what {expired} is searched by: {told:02x?}")));
            }
            changes.delete(place);
            count += 1;
            iterator.next();
        }
        iterator.status().map_err(|error| self.failed(&error))?;
        drop(iterator);
        if count > 0 {
            self.put(changes)?;
        }
        Ok(count)
    }

    fn damaged(&self, why: String) -> StoreError {
        if self.lock.is_some() {
            open::mark_damaged(&self.dir, &why);
        }
        StoreError::Damaged(why)
    }

    fn disk_bytes(&self) -> Option<u64> {
        self.file_bytes()
    }

    fn clear(&self, partition: i32) -> Result<(), StoreError> {
        let number = self.number(partition);
        // All of them, in order: what lies aside is one moment of the whole store.
        let mut heads: Vec<_> = self.heads.iter().map(locked).collect();
        let head = &heads[usize::from(number)];
        if head.offset >= 0 && !head.aside {
            self.keep_aside()?;
            heads.iter_mut().for_each(|head| head.aside = true);
        }
        let mut changes = WriteBatch::default();
        for kind in keys::OF_A_PARTITION {
            let range = keys::all(kind, number);
            changes.delete_range(range.start, range.end);
        }
        self.put(changes)?;
        heads[usize::from(number)].offset = -1;
        Ok(())
    }
}

/// The difference of a row's places in an index.
fn put_place(changes: &mut WriteBatch, key: &mut Vec<u8>, partition: u16, index: Index, change: &RowChange) {
    let (before, after) = (change.before.place(index), change.after.place(index));
    let tells_else = index == Index::Expiry && search::difference(change) != (None, None);
    if before == after && !tells_else {
        return;
    }
    if let Some(at) = before {
        keys::place(key, index, partition, at, &change.key);
        changes.delete(&key);
    }
    if let Some(at) = after {
        keys::place(key, index, partition, at, &change.key);
        match index {
            Index::Expiry => changes.put(&key, search::told(&change.after)),
            Index::Due | Index::Stuck | Index::Parked | Index::Live => changes.put(&key, b""),
        }
    }
}

/// The difference of what a row is searched by.
fn put_searched(changes: &mut WriteBatch, key: &mut Vec<u8>, partition: u16, change: &RowChange) {
    let RowKey::Saga(id) = &change.key else { return };
    let (gone, new) = search::difference(change);
    for by in gone.iter().flat_map(|gone| gone.keys()) {
        search::prefix(key, partition, &by);
        key.extend_from_slice(id.as_bytes());
        changes.delete(&key);
    }
    for by in new.iter().flat_map(|new| new.keys()) {
        search::prefix(key, partition, &by);
        key.extend_from_slice(id.as_bytes());
        changes.put(&key, b"");
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
