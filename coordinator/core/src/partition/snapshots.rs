//! What the topic of snapshots says of a partition, read in its order: which snapshots are whole, which of them fit a journal, and what
//! the next one must have.

use std::collections::HashMap;

use ringmaster_schemas::journal::TopicId;
use ringmaster_schemas::snapshot::{Manifest, Piece, SnapshotId, SnapshotRecord};
use ringmaster_schemas::state::{Checkpoint, Saga};
use twox_hash::XxHash3_128;

use super::replica::is_remembered;
use crate::faults::mutated;

/// Snapshots of a partition that are kept: should the newest not fit (the journal lost its tail), the one before it does.
pub const SNAPSHOTS_KEPT: usize = 2;

/// The snapshots of one partition.
#[derive(Default)]
pub struct Snapshots {
    /// Those that are whole, oldest first.
    whole: Vec<Manifest>,
    /// Pieces whose manifest has not come.
    open: HashMap<SnapshotId, Stream>,
    /// The highest number of all manifests.
    number: i64,
}

/// The bytes of a snapshot, as far as they came.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stream {
    /// Pieces so far.
    pub pieces: i64,
    /// Their bytes.
    pub bytes: i64,
    hash: u128,
    is_broken: bool,
}

impl Stream {
    /// Takes the next piece in.
    pub fn add(&mut self, piece: &Piece) {
        self.is_broken |= piece.index != self.pieces;
        self.pieces += 1;
        self.bytes += piece.bytes.len() as i64;
        self.hash = XxHash3_128::oneshot_with_seed((self.hash ^ (self.hash >> 64)) as u64, &piece.bytes);
    }

    /// Over all bytes in order: each piece's XXH3, seeded by what was before it.
    pub fn hash(&self) -> [u8; 16] {
        self.hash.to_le_bytes()
    }

    /// True if it is what the manifest says, to the last bit.
    pub(super) fn is_whole(&self, manifest: &Manifest) -> bool {
        !self.is_broken && (self.pieces, self.bytes, self.hash()) == (manifest.pieces, manifest.bytes, manifest.hash)
    }
}

impl std::fmt::Debug for Snapshots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshots").field("whole", &self.whole).field("open", &self.open.len()).finish_non_exhaustive()
    }
}

impl Snapshots {
    /// Takes what stands next in the topic. What cannot be read is none of a snapshot: the one that it was of is not whole.
    pub fn take(&mut self, value: &[u8]) {
        match SnapshotRecord::decode(value) {
            Ok(SnapshotRecord::Piece(piece)) => self.open.entry(piece.id).or_default().add(&piece),
            Ok(SnapshotRecord::Manifest(manifest)) => {
                let stream = self.open.remove(&manifest.id).unwrap_or_default();
                // Two that took one number: the log's order says which was first, and nobody builds upon the other.
                if manifest.number <= self.number && !mutated("snapshot_number_ignored") {
                    return;
                }
                self.number = manifest.number;
                if stream.is_whole(&manifest) || mutated("snapshot_pieces_unchecked") {
                    self.whole.push(*manifest);
                }
            }
            Err(_) => {}
        }
    }

    /// The newest whole one.
    pub fn newest(&self) -> Option<&Manifest> {
        self.whole.last()
    }

    /// All whole ones, oldest first.
    pub fn whole(&self) -> &[Manifest] {
        &self.whole
    }

    /// The number of the next one.
    pub fn next_number(&self) -> i64 {
        self.number + 1
    }

    /// Those by which a state can be made of this journal, which holds so much; the best last.
    pub fn usable(&self, journal: TopicId, (start, end): (i64, i64)) -> Vec<Manifest> {
        let fits = |manifest: &&Manifest| {
            let (since, until) = (manifest.since_offset(), manifest.until.journal_offset);
            manifest.journal == journal && start <= since && since <= until && until <= end
        };
        self.whole.iter().filter(fits).cloned().collect()
    }

    /// What nobody needs any more, since the two newest whole ones stand for it: below which offset of the journal, and of the topic of
    /// snapshots. `aged_before`: of the journal only what was written before this time may go. `is_proven`: a snapshot that is of another
    /// history than the journal stands for nothing; then nothing goes.
    pub fn done_with(&self, aged_before: i64, is_proven: impl Fn(&Manifest) -> bool) -> Option<(i64, i64)> {
        let kept = self.whole.get(self.whole.len().checked_sub(SNAPSHOTS_KEPT)?..)?;
        if !kept.iter().all(is_proven) {
            return None;
        }
        let first = kept.iter().min_by_key(|kept| kept.since_offset())?;
        let is_aged = first.since.as_ref().is_some_and(|since| since.now < aged_before);
        let mut below = if is_aged { first.since_offset() } else { 0 };
        if mutated("journal_deleted_to_the_snapshot") {
            below = kept.last()?.until.journal_offset;
        }
        Some((below, kept.first()?.first))
    }
}

/// Whether a snapshot has this row: one that began behind `since` is made of the journal.
pub fn is_in_snapshot(saga: &Saga, since: Option<&Checkpoint>, expired_bucket: i64) -> bool {
    // What waits for a start, and the row of a value, tell no time at which they began.
    let is_in = if saga.began() && saga.mailbox().is_none() {
        since.is_some_and(|since| saga.head.started_at() <= since.now)
    } else {
        !mutated("snapshot_without_what_waits")
    };
    is_in && is_remembered(saga, expired_bucket)
}
