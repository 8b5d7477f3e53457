//! What is done for one partition: how far it is, and what the bus says of it.

use std::sync::Arc;

use ringmaster_bus::{BusEvent, Sender, Topic};
use ringmaster_core::partition::{SNAPSHOTS_KEPT, Snapshots, identity_of};
use ringmaster_schemas::Millis;
use ringmaster_schemas::snapshot::{Manifest, SnapshotId};
use ringmaster_schemas::state::Checkpoint;
use ringmaster_store::Store;

use crate::runtime::clock::Now;

/// The tag of a manifest among those of its pieces.
pub(super) const MANIFEST: u64 = u32::MAX as u64;

/// Work on one partition.
pub(super) struct Job {
    pub(super) partition: i32,
    pub(super) epoch: u32,
    /// What the topic says so far, and where it goes on.
    pub(super) found: Snapshots,
    pub(super) next: i64,
    /// What the journal holds, once that was asked.
    pub(super) journal: Option<(i64, i64)>,
    /// Snapshots that are of the journal as it is now: what they were built upon stands there.
    pub(super) proven: Vec<SnapshotId>,
    pub(super) step: Step,
    /// When it moved last.
    pub(super) moved_at: Millis,
    pub(super) failed: Option<String>,
    /// How far the topic reaches is to be asked.
    pub(super) asks: bool,
}

pub(super) enum Step {
    /// It is asked how far the topic reaches, and read until there. With a manifest: to see that it counts.
    Reading { end: Option<i64>, is_read: bool, mine: Option<Box<Manifest>> },
    /// The records are read that these were built upon: that the log lost its tail, and grew again, shows nowhere else.
    Proving(Box<Proving>),
    /// Pieces are on their way.
    Sending { manifest: Box<Manifest>, open: usize },
    /// The manifest is.
    Sealing { manifest: Box<Manifest> },
}

/// What is to be proven before a snapshot is taken.
pub(super) struct Proving {
    pub(super) store: Arc<dyn Store>,
    /// Where that stands.
    pub(super) until: Checkpoint,
    /// The last first: a checkpoint, and whose it is; none for the store's.
    pub(super) left: Vec<(Option<SnapshotId>, Checkpoint)>,
    /// The record of the last is being read.
    pub(super) is_read: bool,
    /// The store is of this journal.
    pub(super) fits: bool,
}

impl Proving {
    /// Of a store, which stands here. What is to be proven follows from what the journal holds.
    pub(super) fn of(store: Arc<dyn Store>, until: Checkpoint) -> Proving {
        Proving { store, until, left: Vec::new(), is_read: false, fits: false }
    }
}

impl Job {
    pub(super) fn note(&mut self, event: BusEvent<'_>, sender: Option<Sender>, snapshots: Topic, now: Now) {
        match event {
            BusEvent::Bounds { at, start, end } if at.topic != snapshots && at.partition == self.partition => {
                self.journal_bounds((start, end), now);
            }
            BusEvent::Record(record) if record.at.topic != snapshots => {
                self.proof(record.offset, record.value.unwrap_or_default(), now);
            }
            BusEvent::OutOfRange { at, .. } if at.topic != snapshots => self.proof(-1, &[], now),
            BusEvent::Bounds { at, start, end } if at.partition == self.partition => self.bounds(start, end, now),
            BusEvent::Record(record) if record.at.partition == self.partition && record.offset >= self.next => {
                self.found.take(record.value.unwrap_or_default());
                (self.next, self.moved_at) = (record.offset + 1, now.steady);
            }
            BusEvent::CaughtUp(at, offset) if at.partition == self.partition && at.topic == snapshots => {
                self.next = self.next.max(offset)
            }
            BusEvent::OutOfRange { .. } => {
                self.failed = Some("another instance deleted what was read: one is taken there".to_owned())
            }
            BusEvent::Acknowledged { sender: by, tag, .. } if Some(by) == sender && tag >> 32 == u64::from(self.epoch) => {
                self.acknowledged(tag & MANIFEST == MANIFEST, now);
            }
            BusEvent::Failed { sender: by, why, .. } if Some(by) == sender => self.failed = Some(why.to_string()),
            BusEvent::Doubt { sender: by, why } if Some(by) == sender => self.failed = Some(why),
            _ => {}
        }
    }

    /// What the journal holds: of what stands outside of that nothing can be proven.
    fn journal_bounds(&mut self, (start, end): (i64, i64), now: Now) {
        let (Step::Proving(proving), None) = (&mut self.step, self.journal) else { return };
        (self.journal, self.moved_at) = (Some((start, end)), now.steady);
        let newest = self.found.whole().iter().rev().take(SNAPSHOTS_KEPT);
        let snapshots = newest.map(|manifest| (Some(manifest.id), manifest.until.clone()));
        for (whose, checkpoint) in std::iter::once((None, proving.until.clone())).chain(snapshots) {
            let offset = checkpoint.journal_offset;
            if checkpoint.journal != proving.until.journal || !(start..=end).contains(&offset) {
                continue;
            }
            // Of what stands at the journal's very beginning the record before is gone.
            match whose {
                _ if offset > start => proving.left.push((whose, checkpoint)),
                Some(id) => self.proven.push(id),
                None => proving.fits = true,
            }
        }
    }

    /// A record of the journal was read: whether the checkpoint that waits was built upon it.
    fn proof(&mut self, offset: i64, value: &[u8], now: Now) {
        let Step::Proving(proving) = &mut self.step else { return };
        let Some((whose, checkpoint)) =
            proving.left.pop_if(|(_, checkpoint)| offset < 0 || offset == checkpoint.journal_offset - 1)
        else {
            return;
        };
        (proving.is_read, self.moved_at) = (false, now.steady);
        match whose {
            _ if offset < 0 || identity_of(value).as_ref() != Ok(&checkpoint.identity) => {}
            Some(id) => self.proven.push(id),
            None => proving.fits = true,
        }
    }

    fn bounds(&mut self, start: i64, end: i64, now: Now) {
        if let Step::Reading { end: known @ None, .. } = &mut self.step {
            *known = Some(end);
            (self.next, self.moved_at) = (self.next.max(start), now.steady);
        }
    }

    fn acknowledged(&mut self, is_manifest: bool, now: Now) {
        self.moved_at = now.steady;
        match &mut self.step {
            Step::Sending { open, .. } if !is_manifest => *open = open.saturating_sub(1),
            Step::Sealing { manifest } if is_manifest => {
                // Whoever else wrote one meanwhile may have been first: the log tells.
                self.asks = true;
                self.step = Step::Reading { end: None, is_read: false, mine: Some(manifest.clone()) };
            }
            Step::Reading { .. } | Step::Proving(_) | Step::Sending { .. } | Step::Sealing { .. } => {}
        }
    }
}
