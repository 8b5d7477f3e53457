//! The embedded bus: durable segment files of one directory, for the clients of one process.
//!
//! ```text
//! send -> collected per topic-partition -> one write at the next poll -> acknowledged; readers share the written bytes
//! ```
//!
//! ```text
//! DIRECTORY/lock                                  held by the process that owns the log
//! DIRECTORY/topics/NAME/topic                     id, partition count, settings
//! DIRECTORY/topics/NAME/PARTITION/BASE.log        batches, BASE is the offset of the first record (format.rs)
//! DIRECTORY/groups/NAME                           committed offsets, rewritten whole
//! ```
//!
//! *Acknowledged* means written to the page cache: it survives the end of the process, not that of the machine, unless
//! [`Sync::Always`] is set. A process that dies leaves a prefix of what it had queued, per partition. A torn tail is cut when the
//! directory is opened; damage that is followed by good batches is an error, never skipped.

mod client;
mod format;
mod groups;
mod keeping;
mod log;
mod partition;
mod reader;
mod segment;
mod topic;
mod writer;

pub use client::EmbeddedBus;
pub use log::Log;

/// When a written batch is also forced to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sync {
    /// Never: what was acknowledged survives a crash of the process, but perhaps not one of the machine.
    #[default]
    Never,
    /// Before each acknowledgement (`fdatasync`): it survives a crash of the machine too, at the price of a disk's latency a poll.
    Always,
}

/// How a log keeps its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// When a written batch is also forced to the disk.
    pub sync: Sync,
    /// A segment file is closed before it would grow beyond this many bytes; only whole segments are deleted.
    pub segment_bytes_max: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { sync: Sync::Never, segment_bytes_max: SEGMENT_BYTES_MAX }
    }
}

/// Large enough that a journal of many GiB has few files, small enough that finished inputs are deleted soon.
pub const SEGMENT_BYTES_MAX: u64 = 64 << 20;
