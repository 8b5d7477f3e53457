//! A look at a store that somebody else may have: nothing is written, moved or locked.

use std::path::Path;
use std::sync::atomic::AtomicU64;

use rocksdb::DB;

use super::{Head, RocksStore, open};
use crate::StoreError;

/// A store that is written to may merge files away while it is opened; then it is opened again.
const TRIES: u32 = 5;

impl RocksStore {
    /// Opens the store in `dir` to read it, also while a coordinator has it: as it was when it was last flushed, at one moment for all
    /// partitions. What reads take is bounded by `memory` bytes, and indexes of its files.
    ///
    /// Errors: `Damaged` for what is none, or of another format, or marked as damaged; `Io`. The directory stays as it is.
    pub fn look(dir: &Path, memory: usize) -> Result<RocksStore, StoreError> {
        if !dir.join("CURRENT").exists() {
            return Err(StoreError::Io(format!("there is no store in {}", dir.display())));
        }
        if let Some(why) = open::marked_damage(dir) {
            return Err(StoreError::Damaged(format!("{}: {why}", dir.display())));
        }
        let mut tries = 0;
        loop {
            tries += 1;
            match look_once(dir, memory) {
                Err(StoreError::Damaged(_)) if tries < TRIES => {}
                other => return other,
            }
        }
    }

    /// P, as it was made for.
    pub fn partitions(&self) -> i32 {
        self.heads.len() as i32
    }

    /// Bytes of the files that reads may need: known in memory, nothing is read for it.
    pub(super) fn file_bytes(&self) -> Option<u64> {
        self.db.property_int_value("rocksdb.live-sst-files-size").ok().flatten()
    }
}

fn look_once(dir: &Path, memory: usize) -> Result<RocksStore, StoreError> {
    let mut options = open::options(memory);
    options.create_if_missing(false);
    // All at once: a file that is merged away meanwhile stays readable for whoever has it open.
    options.set_max_open_files(-1);
    let db = DB::open_for_read_only(&options, dir, false).map_err(|error| open::meaning(&error))?;
    let partitions = open::partitions_of(&db)?;
    let offsets: Result<Vec<i64>, StoreError> = (0..partitions).map(|number| open::stored_offset(&db, number as u16)).collect();
    let heads = offsets?.into_iter().map(Head::at).collect();
    Ok(RocksStore { db, dir: dir.to_owned(), heads, written: AtomicU64::new(0), lock: None })
}
