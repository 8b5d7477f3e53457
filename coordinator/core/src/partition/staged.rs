//! What of a partition goes into its store, at any stage.

use ringmaster_schemas::state::Batch;

use super::following::Following;
use super::{Partition, Stage, law};
use crate::faults::reached;

impl Partition {
    /// A checkpoint would make room that is needed.
    pub fn wants_checkpoint(&self) -> bool {
        match &self.stage {
            Stage::Owning(owner) => owner.wants_checkpoint(),
            Stage::Replaying(replaying) => replaying.reading.is_made(),
            Stage::Following(Following::Reading { reading, .. }) => reading.is_made(),
            _ => false,
        }
    }

    /// Rows that are confirmed and not stored.
    pub fn dirty_count(&self) -> usize {
        self.replica().map_or(0, |replica| replica.table.dirty_count())
    }

    /// Builds the batch of all that is confirmed since the last; nothing if the journal has not moved. The caller writes it at
    /// once and then calls [`Partition::stored`].
    pub fn stage_checkpoint(&mut self) -> Option<Batch> {
        match &mut self.stage {
            Stage::Owning(owner) => {
                law::before_checkpoint(&mut owner.replica, &owner.ahead);
                owner.replica.stage()
            }
            Stage::Replaying(replaying) => replaying.reading.stage(),
            Stage::Following(following) => following.reading()?.stage(),
            Stage::Waiting(waiting) => waiting.replica.stage(),
            Stage::Idle(_) | Stage::Claiming { .. } | Stage::Scanning(_) | Stage::Stopped => None,
        }
    }

    /// The batch is written: rows of it that wait for nothing (they ended, or need a person) leave memory, and others too if there are
    /// too many.
    pub fn stored(&mut self, batch: &Batch) {
        match &mut self.stage {
            Stage::Owning(owner) => {
                owner.replica.stored(batch);
                let quiet = batch.rows.iter().filter(|change| change.after.due.is_none());
                let slots: Vec<_> = quiet.filter_map(|change| owner.slot_of(&change.key)).collect();
                owner.stored(slots.into_iter());
            }
            Stage::Replaying(replaying) => replaying.reading.stored(batch),
            Stage::Following(Following::Reading { reading, .. }) => reading.stored(batch),
            Stage::Waiting(waiting) => waiting.replica.stored(batch),
            Stage::Following(Following::Asking(_))
            | Stage::Idle(_)
            | Stage::Claiming { .. }
            | Stage::Scanning(_)
            | Stage::Stopped => {}
        }
        reached("checkpoint_before_overlay_trim");
    }
}
