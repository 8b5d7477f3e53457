//! Where a partition's state lies between starts: a disposable view of the journal.
//!
//! ```text
//! confirmed rows + checkpoint -> one Batch -> write (atomic, memory first) -> flush (now and then) -> an older prefix survives
//! ```
//!
//! The journal is the truth. A store may lose its newest batches at a crash, never part of one, and never an older batch while it
//! keeps a newer one. On any doubt it is moved aside and built again from the journal.

mod keys;
pub mod rocks;
pub mod sim;

use ringmaster_schemas::Millis;
use ringmaster_schemas::state::Checkpoint;

/// Rows of one partition that change together with its checkpoint.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Which partition.
    pub partition: i32,
    /// The journal offset of the checkpoint this batch was built upon; -1 if there was none. It applies only onto that one.
    pub base_offset: i64,
    /// Where the state stands with this batch.
    pub checkpoint: Checkpoint,
    /// The rows that changed.
    pub rows: Vec<RowChange>,
}

/// One changed saga row and its places in the indexes.
#[derive(Debug, Clone)]
pub struct RowChange {
    /// The saga's id.
    pub id: std::sync::Arc<str>,
    /// The encoded row.
    pub row: Vec<u8>,
    /// When the stored row was due, as it was loaded or last written; none if it was not indexed.
    pub due_before: Option<Millis>,
    /// When it is due now; none if nothing is due.
    pub due: Option<Millis>,
    /// The bucket in which it expires; none while the saga lives.
    pub expiry_bucket: Option<i64>,
}

/// Why a store cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The batch was built upon another checkpoint than the stored one: a late writer.
    #[error("partition {partition}: a batch built upon offset {base} came when offset {stored} was stored")]
    Stale {
        /// Which partition.
        partition: i32,
        /// What the batch was built upon.
        base: i64,
        /// What is stored.
        stored: i64,
    },
    /// Files are damaged, missing, or of another format: move it aside and rebuild.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// Another process has it.
    #[error("{0}")]
    Taken(String),
    /// The disk does not take it (full, read-only).
    #[error("the store cannot be written: {0}")]
    Io(String),
}

/// Rows, indexes and checkpoints of all partitions of one instance.
pub trait Store: Send + Sync {
    /// The partition's checkpoint, if it has state.
    fn checkpoint(&self, partition: i32) -> Result<Option<Checkpoint>, StoreError>;

    /// A saga's encoded row.
    fn saga(&self, partition: i32, id: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Visits sagas that are due at or after `from` and before `to`, in the order of time, until the visitor says `false`.
    fn due(&self, partition: i32, from: Millis, to: Millis, visit: &mut dyn FnMut(Millis, &str) -> bool) -> Result<(), StoreError>;

    /// Visits all rows of a partition in the order of ids, until the visitor says `false`. For tools, tests and audits.
    fn sagas(&self, partition: i32, visit: &mut dyn FnMut(&str, &[u8]) -> bool) -> Result<(), StoreError>;

    /// Applies a batch: all of it or nothing, in memory first; refused as `Stale` if it was built upon another checkpoint.
    fn write(&self, batch: Batch) -> Result<(), StoreError>;

    /// Makes everything written so far survive a crash of the process, in the order it was written.
    fn flush(&self) -> Result<(), StoreError>;

    /// Deletes up to `max_count` rows of finished sagas whose bucket is at or below `through`; returns how many. Rows that were
    /// started again since stay. Never beyond the stored checkpoint's `expired_bucket`: a crash must not leave a checkpoint that
    /// still needs rows which are gone. Not part of the digest: expired rows are invisible already. Each call is bounded, so that
    /// one that returns 0 may still have dropped index entries.
    fn collect_expired(&self, partition: i32, through: i64, max_count: usize) -> Result<usize, StoreError>;

    /// Forgets everything of a partition (it is to be rebuilt from the journal).
    fn clear(&self, partition: i32) -> Result<(), StoreError>;
}
