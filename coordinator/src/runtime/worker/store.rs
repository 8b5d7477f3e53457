//! The store beneath a worker's partitions, and when what is confirmed is written.

use ringmaster_bus::Bus;
use ringmaster_core::faults::{mutated, reached};
use ringmaster_core::partition::{StageName, Why};
use ringmaster_schemas::Millis;
use ringmaster_store::StoreError;

use super::hosted::Hosted;
use super::{Inner, Stop};
use crate::runtime::clock::Now;

/// Positions are committed for lag tools this often.
const COMMIT_EVERY_MS: Millis = 5_000;

/// A checkpoint that makes room comes after this share of the usual time.
const EARLY_SHARE: Millis = 8;

impl Inner {
    pub(super) fn checkpoint_when_due(&mut self, now: Now) {
        for place in 0..self.hosts.len() {
            let number = self.hosts.number_at(place);
            if self.hosts.get(number).is_some_and(|hosted| self.is_due(hosted, now)) {
                self.checkpoint(number, now);
            }
        }
    }

    /// By time, by what has changed, or because there must be room; that not in every turn, since a checkpoint has a price of its own.
    fn is_due(&self, hosted: &Hosted, now: Now) -> bool {
        let (every, partition) = (self.settings.checkpoint_every_ms, &hosted.partition);
        now.steady >= hosted.checkpoint_at
            || partition.dirty_count() >= self.settings.checkpoint_rows_max
            || (partition.wants_checkpoint() && now.steady >= hosted.checkpointed_at + every / EARLY_SHARE)
    }

    /// Writes what is confirmed, if anything is.
    pub(super) fn checkpoint(&mut self, number: i32, now: Now) {
        let next = self.hosts.next_share(number, self.settings.checkpoint_every_ms, now.steady);
        let Some(hosted) = self.hosts.get_mut(number) else { return };
        (hosted.checkpoint_at, hosted.checkpointed_at) = (next, now.steady);
        let Some(mut batch) = hosted.partition.stage_checkpoint() else {
            return;
        };
        if mutated("stale_batch_applied")
            && let Ok(stored) = self.store.checkpoint(number)
        {
            batch.base_offset = stored.map_or(-1, |checkpoint| checkpoint.journal_offset);
        }
        match self.store.write(&batch) {
            Ok(()) => {
                reached("batch_written_unflushed");
                hosted.partition.stored(&batch);
                // It may leave behind this.
                self.times.merge(&hosted.partition.take_times());
            }
            Err(error) => self.store_failed(number, &error),
        }
    }

    pub(super) fn store_failed(&mut self, number: i32, error: &StoreError) {
        self.stop.get_or_insert(Stop::Partition(Why::Store { partition: number, detail: error.to_string() }));
    }

    pub(super) fn commit_when_due(&mut self, bus: &mut impl Bus, now: Now) {
        if now.steady < self.commit_at {
            return;
        }
        self.commit_at = now.steady + COMMIT_EVERY_MS;
        let mut positions = Vec::new();
        for partition in self.hosts.iter().map(|hosted| &hosted.partition).filter(|one| one.stage() == StageName::Owning) {
            let at = |index: usize| self.input_at(index, partition.number());
            positions.extend(partition.confirmed_positions().map(|(index, next)| (at(index), next)));
        }
        if !positions.is_empty() && !mutated("no_commit") {
            bus.commit(&self.settings.group, &positions);
        }
    }
}
