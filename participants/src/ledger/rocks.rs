//! The ledger in RocksDB: WAL on (page cache: it survives the process, not the machine), memory bounded.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use ringmaster_schemas::Millis;
use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, CompactionDecision, DB, DBCompactionStyle, Direction, IteratorMode,
    LruCacheOptions, Options, ReadOptions, UniversalCompactOptions, UniversalCompactionStopStyle, WriteBatch, WriteOptions,
};

use super::{Batch, Ledger, LedgerError, kind};
use crate::entry;

/// One memtable. Two of them (one filling, one being flushed) and the block cache are nearly all the memory a ledger takes.
const MEMTABLE_BYTES: usize = 10 << 20;
/// Filling, being flushed.
const MEMTABLE_COUNT_MAX: i32 = 2;
/// Blocks, indexes and filters of the files.
const CACHE_BYTES: usize = 12 << 20;
/// A part of a filter: a few thousand ids.
const FILTER_PART_BYTES: usize = 4 << 10;
/// Sorted runs before some are merged: a merge costs CPU that commands need, a run costs a filter lookup for an id that is new.
const RUN_COUNT: i32 = 8;
/// A file that old is rewritten, so that entries which nobody needs any more go although nothing new lands beside them.
const REWRITE_AFTER_SECONDS: u64 = 24 * 60 * 60;
/// Own log files of the store that are kept.
const LOG_FILES_MAX: usize = 2;

/// A ledger in a directory of its own.
pub struct RocksLedger {
    db: DB,
    path: String,
    write: WriteOptions,
    forget_before: Arc<AtomicI64>,
}

impl RocksLedger {
    /// Opens the ledger in this directory, makes it if there is none, and locks it against other processes.
    ///
    /// # Errors
    /// [`LedgerError::Taken`] if another process has it.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let shown = path.display().to_string();
        std::fs::create_dir_all(path).map_err(|e| LedgerError::Storage { path: shown.clone(), why: e.to_string() })?;
        let forget_before = Arc::new(AtomicI64::new(Millis::MIN));
        let db = DB::open(&options(&forget_before), path).map_err(|e| opening(&shown, &e))?;
        Ok(Self::around(db, shown, forget_before))
    }

    /// Opens an existing ledger to look at it. Writes nothing, not even a recovery; for ledgers whose service is stopped.
    pub fn open_read_only(path: &Path) -> Result<Self, LedgerError> {
        let shown = path.display().to_string();
        let forget_before = Arc::new(AtomicI64::new(Millis::MIN));
        let mut options = options(&forget_before);
        options.create_if_missing(false);
        let db = DB::open_for_read_only(&options, path, false).map_err(|e| opening(&shown, &e))?;
        Ok(Self::around(db, shown, forget_before))
    }

    fn around(db: DB, path: String, forget_before: Arc<AtomicI64>) -> Self {
        RocksLedger { db, path, write: WriteOptions::default(), forget_before }
    }

    /// Rewrites all files now, so that what may be forgotten is gone when it returns. For tools and tests; takes as long as it takes.
    pub fn compact(&self) {
        self.db.compact_range(None::<&[u8]>, None::<&[u8]>);
    }

    fn failed(&self, error: &rocksdb::Error) -> LedgerError {
        LedgerError::Storage { path: self.path.clone(), why: error.to_string() }
    }
}

impl Ledger for RocksLedger {
    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, LedgerError> {
        value.clear();
        let found = self.db.get_pinned(key).map_err(|e| self.failed(&e))?;
        if let Some(found) = &found {
            value.extend_from_slice(found);
        }
        Ok(found.is_some())
    }

    fn write(&mut self, batch: &Batch) -> Result<(), LedgerError> {
        // Kind, lengths and marks take a few bytes a row beside keys and values.
        let mut writes = WriteBatch::with_capacity_bytes(batch.byte_count() + batch.byte_count() / 8 + 64);
        for (key, value) in batch.rows() {
            writes.put(key, value);
        }
        self.db.write_opt(writes, &self.write).map_err(|e| self.failed(&e))
    }

    fn scan(&self, prefix: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), LedgerError> {
        let mut reading = ReadOptions::default();
        reading.fill_cache(false);
        for row in self.db.iterator_opt(IteratorMode::From(prefix, Direction::Forward), reading) {
            let (key, value) = row.map_err(|e| self.failed(&e))?;
            if !key.starts_with(prefix) || !visit(&key, &value) {
                break;
            }
        }
        Ok(())
    }

    fn forget(&mut self, before: Millis) {
        self.forget_before.store(before, Ordering::Relaxed);
    }
}

fn opening(path: &str, error: &rocksdb::Error) -> LedgerError {
    let why = error.to_string();
    match why.contains("lock") {
        true => LedgerError::Taken { path: path.to_owned(), why },
        false => LedgerError::Storage { path: path.to_owned(), why },
    }
}

/// In one piece: one thread uses it, and shards of a small cache are too small for large blocks.
fn cache() -> Cache {
    let mut options = LruCacheOptions::default();
    options.set_capacity(CACHE_BYTES);
    options.set_num_shard_bits(0);
    Cache::new_lru_cache_opts(&options)
}

fn options(forget_before: &Arc<AtomicI64>) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_write_buffer_size(MEMTABLE_BYTES);
    options.set_max_write_buffer_number(MEMTABLE_COUNT_MAX);
    options.set_max_background_jobs(2);
    options.set_keep_log_file_num(LOG_FILES_MAX);
    options.set_log_level(rocksdb::LogLevel::Warn);
    // Most ids that come are new: filters answer that without reading a block, for memtables too.
    options.set_memtable_whole_key_filtering(true);
    options.set_memtable_prefix_bloom_ratio(0.1);
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(&cache());
    blocks.set_bloom_filter(10.0, false);
    // Filters grow with the ledger, so they are cached like other blocks; in parts, since as a whole one is larger than it is hot:
    // measured with a million entries, whole filters in a small cache cost 18 us a command, parts 2.
    blocks.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    blocks.set_partition_filters(true);
    blocks.set_metadata_block_size(FILTER_PART_BYTES);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_top_level_index_and_filter(true);
    blocks.set_format_version(5);
    options.set_block_based_table_factory(&blocks);
    // Rows are written once and read again only by repeats: merging rarely is worth more than reading fast.
    options.set_compaction_style(DBCompactionStyle::Universal);
    options.set_level_zero_file_num_compaction_trigger(RUN_COUNT);
    let mut universal = UniversalCompactOptions::default();
    universal.set_stop_style(UniversalCompactionStopStyle::Similar);
    options.set_universal_compaction_options(&universal);
    options.set_periodic_compaction_seconds(REWRITE_AFTER_SECONDS);
    let forget_before = Arc::clone(forget_before);
    options.set_compaction_filter("forget old entries", move |_, key, value| {
        match key.starts_with(&kind::ENTRY) && entry::first_time(value) < forget_before.load(Ordering::Relaxed) {
            true => CompactionDecision::Remove,
            false => CompactionDecision::Keep,
        }
    });
    options
}
