//! Where a partition's state lies between starts: a disposable view of the journal.
//!
//! ```text
//! confirmed rows + checkpoint -> one Batch -> write (atomic, memory first) -> flush (now and then) -> an older prefix survives
//! ```
//!
//! The journal is the truth. A store may lose its newest batches at a crash, never part of one, and never an older batch while it
//! keeps a newer one. On any doubt it is moved aside and built again from the journal.

#![cfg_attr(not(feature = "rocks"), allow(dead_code, reason = "who only fuzzes has no store"))]

#[cfg(feature = "fuzz")]
pub mod hostile;
mod keys;
mod large;
#[cfg(feature = "rocks")]
pub mod rocks;
mod search;
pub mod sim;
mod walk;

use ringmaster_schemas::state::{Batch, Checkpoint, Index, RowKey, RowKind};
pub use walk::{Classes, Seen, Through, Walk};

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

/// Rows, indexes and checkpoints of all partitions of one instance. It knows keys, bytes and places, never what a row says.
pub trait Store: Send + Sync {
    /// The partition's checkpoint, if it has state.
    fn checkpoint(&self, partition: i32) -> Result<Option<Checkpoint>, StoreError>;

    /// A row's bytes.
    fn row(&self, partition: i32, key: &RowKey) -> Result<Option<Vec<u8>>, StoreError>;

    /// Whether a row has this place in an index: one look, however many others are there.
    fn has_place(&self, partition: i32, index: Index, at: i64, key: &RowKey) -> Result<bool, StoreError>;

    /// Visits rows by an index, those at or after `from` and before `to`, in the order of the index, until the visitor says `false`.
    fn scan(
        &self,
        partition: i32,
        index: Index,
        from: i64,
        to: i64,
        visit: &mut dyn FnMut(i64, RowKey) -> bool,
    ) -> Result<(), StoreError>;

    /// Visits all rows of a kind in the order of their keys, until the visitor says `false`.
    fn rows(&self, partition: i32, kind: RowKind, visit: &mut dyn FnMut(RowKey, &[u8]) -> bool) -> Result<(), StoreError>;

    /// Visits sagas in an order, from a place on, until the visitor says `false`. Rows of other kinds are passed over.
    fn walk(&self, partition: i32, walk: &Walk<'_>, visit: &mut dyn FnMut(Seen<'_>) -> bool) -> Result<(), StoreError>;

    /// Visits sagas by classes of an index, merged into one order, until the visitor says `false`: all as they stood at one moment, so that
    /// one whose class changes meanwhile is come by once.
    fn walk_classes(
        &self,
        partition: i32,
        index: Index,
        classes: &Classes<'_>,
        visit: &mut dyn FnMut(Seen<'_>) -> bool,
    ) -> Result<(), StoreError>;

    /// Applies a batch: all of it or nothing, in memory first; refused as `Stale` if it was built upon another checkpoint. Indexes
    /// change by the difference of a row's places before and after.
    fn write(&self, batch: &Batch) -> Result<(), StoreError>;

    /// Makes everything written so far survive a crash of the process, in the order it was written.
    fn flush(&self) -> Result<(), StoreError>;

    /// Deletes up to `max_count` rows whose bucket of expiry is at or below `through`, with their place in that index, and those by
    /// which they are searched: they have no others; returns how many. Never beyond the stored checkpoint's `expired_bucket`: a crash must not leave a
    /// checkpoint that still needs rows which are gone. Not part of the digest: expired rows are invisible already.
    fn collect(&self, partition: i32, through: i64, max_count: usize) -> Result<usize, StoreError>;

    /// What a row says cannot be, as whoever reads it found: damage like a wrong checksum. It is remembered, and the next start moves
    /// the store aside. Returns the error to stop with.
    fn damaged(&self, why: String) -> StoreError;

    /// Bytes of the files that hold what is stored; none where they are not known. What was not flushed yet is in none.
    fn disk_bytes(&self) -> Option<u64> {
        None
    }

    /// Forgets everything of a partition (it is to be rebuilt from the journal). What it held is kept aside for a look: nothing that
    /// may be the only copy is ever deleted.
    fn clear(&self, partition: i32) -> Result<(), StoreError>;
}
