//! Opening a store, and moving aside one that cannot be trusted.
//!
//! ```text
//! lock -> marked as damaged? -> open -> format marker -> heads;   any doubt: directory aside, a new one, the journal rebuilds it
//! ```

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::time::{SystemTime, UNIX_EPOCH};

use ringmaster_schemas::codec::{Cursor, put_long, put_text};
use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, DB, DBCompactionStyle, DBCompressionType, DataBlockIndexType, IteratorMode,
    LruCacheOptions, Options, UniversalCompactOptions, WriteBufferManager, WriteOptions,
};

use super::{Head, RocksStore, is_damage};
use crate::StoreError;
use crate::keys::{self, FORMAT_VERSION};

/// Memtables that may exist: the second while the first is flushed.
const MEMTABLE_COUNT_MAX: i32 = 2;
/// Their share of the store's memory, in sixths. The rest is blocks, indexes and filters; hot rows are in the overlay, so these serve
/// waiting sagas and look-ups of unknown ones.
const MEMTABLES_SHARE: usize = 4;
/// Above that a memtable takes longer to search, and a crash replays what is in it.
const MEMTABLE_BYTES_MAX: usize = 64 << 20;
/// log2 of the cache's shards. RocksDB's own choice (64 shards of 1 MiB) turns a filter away that is larger than its shard, and reads it
/// again for every look-up: 175 us instead of 8, measured with a million rows. Two threads need no more than four shards.
const BLOCK_CACHE_SHARD_BITS: i32 = 2;
/// Bits of the bloom filter per key: about 1 % of look-ups of an unknown saga touch a block.
const BLOOM_BITS_PER_KEY: f64 = 10.0;
/// Sorted runs; some are merged when there are more. A merge costs CPU and writes, a run a look at a filter for each saga that starts.
const RUNS_MAX: i32 = 8;
/// Open files; each costs a descriptor, and its index lies in the block cache anyway.
const OPEN_FILES_MAX: i32 = 256;
/// RocksDB's own log: kept small, it is read only after damage.
const LOG_BYTES_MAX: usize = 4 << 20;
/// Background threads: one flushes while one compacts.
const BACKGROUND_JOBS_MAX: i32 = 2;
/// How often a name is tried for a directory that is moved aside (two in one second).
const ASIDE_NAMES_MAX: u32 = 100;

/// The file, inside the directory, that says why it must not be opened again.
const DAMAGED_FILE: &str = "DAMAGED";
/// First field of the format marker.
const FORMAT_NAME: &str = "ringmaster-store";

/// A store, and whether it is a new one because the old one could not be trusted.
pub struct Opened {
    /// Ready for use.
    pub store: RocksStore,
    /// Where the old directory is now; none if it was used, or there was none.
    pub moved_aside: Option<PathBuf>,
}

impl RocksStore {
    /// Opens or makes the store of an instance with `partitions` partitions (at most 65,535) in `dir`, which takes `memory` bytes for
    /// memtables and caches together.
    ///
    /// A directory that is damaged, incomplete, or of another format or partition count is moved aside, with a warning, and a new
    /// one is made. Errors: `Taken` if another process has it, `Io` if the disk refuses.
    pub fn open(dir: &Path, partitions: i32, memory: usize) -> Result<Opened, StoreError> {
        assert!(u16::try_from(partitions).is_ok_and(|count| count > 0), "a store has 1 to 65,535 partitions, not {partitions}");
        if let Some(parent) = dir.parent() {
            fs::create_dir_all(parent).map_err(|error| StoreError::Io(format!("{}: {error}", parent.display())))?;
        }
        let lock = lock(dir)?;
        let first = match marked_damage(dir) {
            Some(why) => Err(StoreError::Damaged(why)),
            None => open_database(dir, partitions, memory),
        };
        let (opened, moved_aside) = match first {
            Ok(opened) => (opened, None),
            Err(StoreError::Damaged(why)) => {
                let aside = move_aside(dir)?;
                tracing::warn!(
                    store = %dir.display(), aside = %aside.display(), %why,
                    "the store cannot be trusted: it was moved aside and is built again from the journal"
                );
                (open_database(dir, partitions, memory)?, Some(aside))
            }
            Err(other) => return Err(other),
        };
        let (db, heads) = opened;
        Ok(Opened {
            store: RocksStore { db, dir: dir.to_owned(), heads, written: AtomicU64::new(0), lock: Some(lock) },
            moved_aside,
        })
    }
}

/// What an error of the database means for whoever asked.
pub(super) fn meaning(error: &rocksdb::Error) -> StoreError {
    let text = error.as_ref().to_owned();
    if is_damage(error) { StoreError::Damaged(text) } else { StoreError::Io(text) }
}

/// Leaves word in the directory that it must not be used again. Best effort: if the disk does not take even that, the next start
/// finds the damage by itself.
pub(super) fn mark_damaged(dir: &Path, why: &str) {
    tracing::error!(store = %dir.display(), %why, "the store is damaged; it is moved aside at the next start");
    if let Err(error) = fs::write(dir.join(DAMAGED_FILE), why) {
        tracing::error!(store = %dir.display(), %error, "the damage could not be written down");
    }
}

pub(super) fn marked_damage(dir: &Path) -> Option<String> {
    fs::read(dir.join(DAMAGED_FILE)).ok().map(|why| String::from_utf8_lossy(&why).into_owned())
}

/// Takes the lock file beside the directory: it covers moving the directory, which the database's own lock inside cannot.
fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = beside(dir, ".lock");
    let failed = |error: std::io::Error| StoreError::Io(format!("{}: {error}", path.display()));
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0).and_then(|()| file.rewind()).and_then(|()| write!(file, "{}", std::process::id())).map_err(failed)?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut owner = String::new();
            let owner = if file.read_to_string(&mut owner).is_ok() && !owner.is_empty() { owner } else { "unknown".to_owned() };
            Err(StoreError::Taken(format!(
                "the store {} is in use by another coordinator (process {owner}): stop that one, or give this one its own data_dir",
                dir.display()
            )))
        }
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// The path `dir` with something appended to its last name.
fn beside(dir: &Path, suffix: &str) -> PathBuf {
    let mut name = dir.file_name().map_or_else(|| OsString::from("store"), OsString::from);
    name.push(suffix);
    dir.with_file_name(name)
}

fn move_aside(dir: &Path) -> Result<PathBuf, StoreError> {
    let aside = free_aside(dir)?;
    fs::rename(dir, &aside).map_err(|error| StoreError::Io(format!("{}: cannot be moved aside: {error}", dir.display())))?;
    Ok(aside)
}

/// A name beside the directory that nothing has yet.
pub(super) fn free_aside(dir: &Path) -> Result<PathBuf, StoreError> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let free = |n: &u32| !beside(dir, &aside_suffix(seconds, *n)).exists();
    let n =
        (0..ASIDE_NAMES_MAX).find(free).ok_or_else(|| StoreError::Io(format!("{}: no free name to move it to", dir.display())))?;
    Ok(beside(dir, &aside_suffix(seconds, n)))
}

fn aside_suffix(seconds: u64, n: u32) -> String {
    if n == 0 { format!(".aside-{seconds}") } else { format!(".aside-{seconds}-{n}") }
}

fn open_database(dir: &Path, partitions: i32, memory: usize) -> Result<(DB, Vec<Mutex<Head>>), StoreError> {
    if dir.exists() && !dir.is_dir() {
        return Err(StoreError::Damaged("it is not a directory".to_owned()));
    }
    let foreign = dir.is_dir() && !dir.join("CURRENT").exists() && has_entries(dir)?;
    if foreign {
        return Err(StoreError::Damaged("files, but no database (CURRENT is missing)".to_owned()));
    }
    let db = DB::open(&options(memory), dir).map_err(|error| opening_failed(&error))?;
    check_format(&db, partitions)?;
    let mut heads = Vec::new();
    for partition in 0..partitions {
        heads.push(Head::at(stored_offset(&db, partition as u16)?));
    }
    Ok((db, heads))
}

fn has_entries(dir: &Path) -> Result<bool, StoreError> {
    let mut entries = fs::read_dir(dir).map_err(|error| StoreError::Io(format!("{}: {error}", dir.display())))?;
    Ok(entries.next().is_some())
}

/// While opening, "cannot lock" means that somebody has it; everything else as usual.
fn opening_failed(error: &rocksdb::Error) -> StoreError {
    let text = error.as_ref();
    if text.contains("lock file") || text.contains("lock hold") {
        return StoreError::Taken(format!("the store is in use by another process: {text}"));
    }
    meaning(error)
}

pub(super) fn stored_offset(db: &DB, partition: u16) -> Result<i64, StoreError> {
    let Some(bytes) = db.get_pinned(keys::prefix(keys::Kind::Checkpoint, partition)).map_err(|error| meaning(&error))? else {
        return Ok(-1);
    };
    match ringmaster_schemas::state::Checkpoint::decode(&bytes) {
        Ok(checkpoint) => Ok(checkpoint.journal_offset),
        Err(error) => Err(StoreError::Damaged(format!("checkpoint of partition {partition}: {error}"))),
    }
}

/// Checks the format marker; writes it into an empty database.
fn check_format(db: &DB, partitions: i32) -> Result<(), StoreError> {
    let Some(marker) = db.get(keys::format_marker()).map_err(|error| meaning(&error))? else {
        let first = db.iterator(IteratorMode::Start).next().transpose().map_err(|error| meaning(&error))?;
        if first.is_some() {
            return Err(StoreError::Damaged("a database without our format marker".to_owned()));
        }
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        let written =
            db.put_opt(keys::format_marker(), marker_bytes(FORMAT_VERSION, partitions), &options).and_then(|()| db.flush());
        return written.map_err(|error| meaning(&error));
    };
    if marker == marker_bytes(FORMAT_VERSION, partitions) {
        return Ok(());
    }
    let (name, version, count) = read_marker(&marker)?;
    Err(StoreError::Damaged(format!(
        "foreign format: {name} version {version} with {count} partitions, expected {FORMAT_NAME} version {FORMAT_VERSION} with {partitions}"
    )))
}

/// Of how many partitions a store is, if it is of our format.
pub(super) fn partitions_of(db: &DB) -> Result<i32, StoreError> {
    let marker = db.get(keys::format_marker()).map_err(|error| meaning(&error))?;
    let Some(marker) = marker else { return Err(StoreError::Damaged("a database without our format marker".to_owned())) };
    let (name, version, count) = read_marker(&marker)?;
    match i32::try_from(count) {
        Ok(partitions) if marker == marker_bytes(FORMAT_VERSION, partitions) => Ok(partitions),
        _ => Err(StoreError::Damaged(format!(
            "foreign format: {name} version {version}, expected {FORMAT_NAME} version {FORMAT_VERSION}"
        ))),
    }
}

/// Name, version and number of partitions.
fn read_marker(marker: &[u8]) -> Result<(String, i64, i64), StoreError> {
    let mut cursor = Cursor::new(marker);
    let found = (|| Ok::<_, ringmaster_schemas::codec::Malformed>((cursor.text()?.to_owned(), cursor.long()?, cursor.long()?)))();
    found.map_err(|error| StoreError::Damaged(format!("format marker: {error}")))
}

fn marker_bytes(version: i64, partitions: i32) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_text(&mut bytes, FORMAT_NAME);
    put_long(&mut bytes, version);
    put_long(&mut bytes, i64::from(partitions));
    bytes
}

pub(super) fn options(memory: usize) -> Options {
    let memtables = (memory / 6 * MEMTABLES_SHARE).min(MEMTABLE_BYTES_MAX * MEMTABLE_COUNT_MAX as usize);
    let mut cache = LruCacheOptions::default();
    cache.set_capacity(memory);
    cache.set_num_shard_bits(BLOCK_CACHE_SHARD_BITS);
    let cache = Cache::new_lru_cache_opts(&cache);
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(&cache);
    // Filters and indexes in pieces, so that they are cached and evicted by what is asked for.
    blocks.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    blocks.set_partition_filters(true);
    blocks.set_bloom_filter(BLOOM_BITS_PER_KEY, false);
    blocks.set_whole_key_filtering(true);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    blocks.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
    blocks.set_format_version(5);

    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_atomic_flush(true);
    options.set_paranoid_checks(true);
    options.set_block_based_table_factory(&blocks);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_write_buffer_size(memtables / MEMTABLE_COUNT_MAX as usize);
    options.set_max_write_buffer_number(MEMTABLE_COUNT_MAX);
    // Memtables take their room from the cache: one bound for both. It flushes early instead of making writers wait.
    options.set_write_buffer_manager(&WriteBufferManager::new_write_buffer_manager_with_cache(memtables, false, cache));
    // A row is written a few times within seconds and then never again; ids are in no order, so that each flush meets all of a level.
    options.set_compaction_style(DBCompactionStyle::Universal);
    options.set_universal_compaction_options(&UniversalCompactOptions::default());
    options.set_level_zero_file_num_compaction_trigger(RUNS_MAX);
    options.set_max_open_files(OPEN_FILES_MAX);
    options.set_max_background_jobs(BACKGROUND_JOBS_MAX);
    options.set_keep_log_file_num(2);
    options.set_max_log_file_size(LOG_BYTES_MAX);
    options.set_stats_dump_period_sec(0);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is written comes to several times of what a store may take, and is not compressed.
    #[test]
    fn memtables_and_cache_have_one_bound() {
        const MEMORY: usize = 24 << 20;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let db = RocksStore::open(folder.path(), 1, MEMORY).expect("it opens").store.db;
        let (mut options, mut random, mut value) = (WriteOptions::default(), fastrand::Rng::with_seed(1), vec![0; 64 << 10]);
        options.disable_wal(true);
        let holds = |what| db.property_int_value(what).expect("readable").expect("it is known") as usize;
        let mut most = 0;
        for key in 0..1_600_u32 {
            random.fill(&mut value);
            db.put_opt(key.to_be_bytes(), &value, &options).expect("written");
            let read = db.get((key / 2).to_be_bytes()).expect("readable");
            assert!(read.is_some(), "{key}");
            let (cached, memtables) = (holds("rocksdb.block-cache-usage"), holds("rocksdb.cur-size-all-mem-tables"));
            most = most.max(memtables);
            // Beyond it stands what is written while another thread flushes, a memtable at most.
            assert!(cached <= MEMORY + MEMORY / 6, "{key}: the cache has {cached} bytes");
            assert!(cached + (1 << 20) >= memtables, "{key}: {memtables} bytes of memtables are among them, {cached}");
        }
        assert!(most > MEMORY / 6 && most <= MEMORY / 6 * MEMTABLES_SHARE + (1 << 20), "memtables: {most}");
    }
}
