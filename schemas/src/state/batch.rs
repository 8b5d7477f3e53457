//! What is written at once.

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
}
