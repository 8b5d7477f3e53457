//! What is written at once.

use std::ops::Range;

use super::Checkpoint;
use super::{IndexKeys, RowKey};

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

/// A changed row and its places in the indexes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowChange {
    /// Which row.
    pub key: RowKey,
    /// Its bytes; none if it is gone.
    pub value: Option<Vec<u8>>,
    /// The places of the stored row, as it was loaded or last written.
    pub before: IndexKeys,
    /// Its places now.
    pub after: IndexKeys,
    /// Its large values.
    pub large: Large,
}

impl RowChange {
    /// A row that lies in no index, and has no large values; no bytes: it is gone.
    pub fn plain(key: RowKey, value: Option<Vec<u8>>) -> Self {
        RowChange { key, value, before: IndexKeys::NONE, after: IndexKeys::NONE, large: Large::default() }
    }
}

/// Values of a row that are kept by themselves, so that they are written once. Only rows that do not expire have any: those that do
/// are deleted without a look at them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Large {
    /// The stored row has some.
    pub before: bool,
    /// Where they lie in the row's bytes: in order, and none over another.
    pub now: Vec<Range<usize>>,
}
