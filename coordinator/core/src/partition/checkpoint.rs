//! What is confirmed becomes a batch for the store: rows, index changes, and the checkpoint that says where they stand (rule 8).

use std::collections::BTreeMap;
use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::Position;
use ringmaster_schemas::state::{Batch, BucketDigest, Checkpoint, Digest, IndexKeys, RowChange, RowKey, Saga, index_keys};
use twox_hash::XxHash3_128;

use super::overlay::{Slot, Stored};
use super::{Partition, Phase};
use crate::faults::{mutated, reached};

/// A row as it was loaded.
pub(super) type Loaded = (Arc<Saga>, Stored);

pub(super) fn empty_digest() -> Digest {
    Digest { live: [0; 16], finished: Vec::new() }
}

/// A row's share of the digest: over its id and its encoded form.
pub fn row_hash(id: &str, row: &[u8]) -> u128 {
    let seed = XxHash3_128::oneshot(id.as_bytes());
    XxHash3_128::oneshot_with_seed(seed as u64 ^ (seed >> 64) as u64, row)
}

/// Reads a stored row, and what indexes and digest hold of it.
pub(super) fn load_row(id: &str, row: &[u8]) -> Result<Loaded, String> {
    let saga = Saga::decode(row).map_err(|error| format!("the stored row of {id} is damaged: {error}"))?;
    let stored = Stored { hash: row_hash(id, row), places: index_keys(&saga) };
    Ok((Arc::new(saga), stored))
}

/// The digest, open for change.
struct Sums {
    live: u128,
    finished: BTreeMap<i64, u128>,
}

impl Sums {
    fn of(digest: &Digest) -> Self {
        let finished = digest.finished.iter().map(|bucket| (bucket.bucket, u128::from_le_bytes(bucket.sum))).collect();
        Sums { live: u128::from_le_bytes(digest.live), finished }
    }

    fn at(&mut self, bucket: Option<i64>) -> &mut u128 {
        match bucket {
            None => &mut self.live,
            Some(bucket) => self.finished.entry(bucket).or_insert(0),
        }
    }

    fn digest(mut self, expired_bucket: i64) -> Digest {
        self.finished.retain(|bucket, sum| *bucket > expired_bucket && *sum != 0);
        let finished = self.finished.into_iter().map(|(bucket, sum)| BucketDigest { bucket, sum: sum.to_le_bytes() });
        Digest { live: self.live.to_le_bytes(), finished: finished.collect() }
    }
}

impl Partition {
    /// Rows that are confirmed and not stored.
    pub fn dirty_count(&self) -> usize {
        self.overlay.dirty_count()
    }

    /// Builds the batch of all that is confirmed since the last; nothing if the journal has not moved. The caller writes it at
    /// once and then calls [`Partition::stored`].
    pub fn stage_checkpoint(&mut self) -> Option<Batch> {
        // Between a doubt and the restoring of the store's checkpoint, memory holds what must not be stored.
        let known = self.phase == Phase::Owning || (self.phase == Phase::Replaying && self.claim.restored);
        if !known || self.standing.next_offset == 0 || self.standing.next_offset == self.checkpoint_offset {
            return None;
        }
        let mut sums = Sums::of(&self.digest);
        let mut rows = Vec::with_capacity(self.overlay.dirty_count());
        for slot in self.overlay.take_dirty() {
            rows.extend(self.stage_row(slot, &mut sums));
        }
        self.outgoing.stage(&mut rows);
        self.digest = sums.digest(self.expired_bucket_confirmed);
        let base_offset = self.checkpoint_offset;
        let checkpoint = self.checkpoint();
        reached("batch_built");
        Some(Batch { partition: self.settings.number, base_offset, checkpoint, rows })
    }

    fn stage_row(&mut self, slot: Slot, sums: &mut Sums) -> Option<RowChange> {
        let expired = self.expired_bucket_confirmed;
        let entry = self.overlay.entry_mut(slot);
        let version = if mutated("checkpoint_speculative") { &entry.current } else { &entry.confirmed };
        let saga = version.as_ref()?;
        let row = saga.encode();
        let stored = Stored { hash: row_hash(&entry.id, &row), places: index_keys(saga) };
        if let Some(before) = entry.stored
            && before.places.expiry.is_none_or(|bucket| bucket > expired)
        {
            let sum = sums.at(before.places.expiry);
            *sum = sum.wrapping_sub(before.hash);
        }
        let sum = sums.at(stored.places.expiry);
        *sum = sum.wrapping_add(stored.hash);
        let before = entry.stored.replace(stored).map_or(IndexKeys::NONE, |before| before.places);
        Some(RowChange { key: RowKey::Saga(entry.id.clone()), value: Some(row), before, after: stored.places })
    }

    fn checkpoint(&self) -> Checkpoint {
        let configured = self.settings.inputs.iter().zip(&self.inputs);
        let positions = configured.filter_map(|(settings, input)| {
            Some(Position { topic: settings.topic, name: settings.name.clone(), next: input.confirmed? })
        });
        let low = i64::from(mutated("checkpoint_offset_one_low"));
        Checkpoint {
            journal_offset: self.standing.next_offset - low,
            claim_offset: self.standing.claim_offset,
            claim: self.standing.claim,
            number: self.standing.number,
            identity: self.standing.identity.clone(),
            journal: self.settings.journal,
            positions: positions.chain(self.other_positions.iter().cloned()).collect(),
            released: self.outgoing.released(self.standing.next_offset).max(self.released),
            now: self.now_confirmed(),
            expired_bucket: self.expired_bucket_confirmed,
            digest: self.digest.clone(),
        }
    }

    /// The partition's time. Later than the last confirmed one if records are on their way: it only must not run backwards.
    fn now_confirmed(&self) -> Millis {
        self.now
    }

    /// The batch is written: rows of it that ended leave memory, and others too if there are too many.
    pub fn stored(&mut self, batch: &Batch) {
        self.checkpoint_offset = batch.checkpoint.journal_offset;
        let limit = self.settings.limits.overlay_bytes_max / 2;
        for change in &batch.rows {
            if let (RowKey::Saga(id), Some(_)) = (&change.key, change.after.expiry)
                && let Some(slot) = self.overlay.find(id)
            {
                self.evict(slot);
            }
        }
        if self.overlay.bytes() > limit {
            self.evict_stored();
        }
        reached("checkpoint_before_overlay_trim");
    }

    /// Forgets every row that is stored as it is: what was only looked at must not fill memory while nothing is written.
    pub(super) fn evict_stored(&mut self) {
        let slots: Vec<Slot> = self.overlay.slots().collect();
        for slot in slots {
            self.evict(slot);
        }
    }

    fn evict(&mut self, slot: Slot) {
        let entry = self.overlay.entry(slot);
        if entry.dirty || entry.record >= 0 {
            return;
        }
        let (id, due) = (entry.id.clone(), entry.current.as_ref().map_or(Millis::MAX, |saga| saga.due_at()));
        self.overlay.evict(slot);
        if due != Millis::MAX {
            self.timers.evicted(&id, due);
        }
    }

    /// The digest over all rows as of the last staged checkpoint.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }
}
