//! The digest, and what is confirmed as a batch for the store: rows, places in indexes, and the checkpoint (PROTOCOL.md rule 8).

use std::collections::BTreeMap;
use std::sync::Arc;

use ringmaster_schemas::state::{
    Batch, Breaker, BucketDigest, Checkpoint, Digest, IndexKeys, Large, RowChange, RowKey, RowKind, Saga, Status,
};

use super::late::LookedAt;
use super::replica::Replica;
use super::table::{Slot, Stored};
use super::{Rows, law};
use crate::faults::{mutated, reached};
use crate::saga::Breakers;

pub(super) fn empty() -> Digest {
    Digest { live: [0; 16], finished: Vec::new() }
}

/// A breaker's share of the digest. No saga's id is a name alone.
fn breaker_hash(participant: &str, row: &[u8]) -> u128 {
    super::row_hash(participant, row)
}

/// The breakers of a store, and their shares of its digest.
pub(super) fn stored_breakers(rows: &dyn Rows) -> Result<(Breakers, BTreeMap<Arc<str>, u128>), String> {
    let (mut breakers, mut hashes, mut failed) = (Breakers::default(), BTreeMap::new(), None);
    rows.rows(RowKind::Breaker, &mut |key, row| match (&key, Breaker::decode(row)) {
        (RowKey::Breaker(participant), Ok(breaker)) => {
            hashes.insert(participant.clone(), breaker_hash(participant, row));
            breakers.set(participant, Some(breaker));
        }
        (_, Ok(_)) => failed = Some(format!("{key} lies among the breakers")),
        (_, Err(error)) => failed = Some(format!("the row of {key}: {error}")),
    })?;
    failed.map_or(Ok((breakers, hashes)), |why| Err(rows.damaged(why)))
}

/// The digest of stored rows, added up anew, and how many sagas that are: what a checkpoint must say that stands above them. Expired rows
/// are invisible, and no part of it.
pub fn recount(rows: &dyn Rows, expired_bucket: i64) -> Result<(Digest, usize), String> {
    let (mut sums, mut count, mut failed) = (Sums { live: 0, finished: BTreeMap::new() }, 0, None);
    rows.rows(RowKind::Saga, &mut |key, row| {
        let RowKey::Saga(id) = &key else { return };
        match Saga::decode(id, row) {
            Ok(saga) if saga.expiry_bucket().is_none_or(|bucket| bucket > expired_bucket) => {
                let sum = sums.at(saga.expiry_bucket());
                *sum = sum.wrapping_add(super::saga_hash(&saga, row));
                count += 1;
            }
            Ok(_) => {}
            Err(error) => failed = Some(format!("the row of {key}: {error}")),
        }
    })?;
    if let Some(why) = failed {
        return Err(why);
    }
    let (_, breakers) = stored_breakers(rows)?;
    sums.live = breakers.values().fold(sums.live, |sum, hash| sum.wrapping_add(*hash));
    Ok((sums.digest(expired_bucket), count))
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

impl Replica {
    /// The batch of all that is new since the last; nothing if the journal has not moved. The caller writes it at once and then says
    /// so by [`Replica::stored`].
    pub fn stage(&mut self) -> Option<Batch> {
        if self.fence.next_offset == 0 || self.fence.next_offset == self.stored {
            return None;
        }
        self.make_late_effects(LookedAt::Stored);
        let mut rows = self.stage_rows();
        self.outbox.stage(&mut rows);
        rows.push(self.stage_counts(law::checkpoint_offset(&self.fence)));
        reached("batch_built");
        Some(Batch { partition: self.settings.number, base_offset: self.stored, checkpoint: self.checkpoint(), rows })
    }

    /// The rows that are not stored as they are, all but effects; the digest is as of now.
    pub(super) fn stage_rows(&mut self) -> Vec<RowChange> {
        let mut sums = Sums::of(&self.digest);
        let mut rows = Vec::with_capacity(self.table.dirty_count());
        for slot in self.table.take_dirty() {
            rows.extend(self.stage_row(slot, &mut sums));
        }
        rows.extend(self.stage_breakers(&mut sums));
        self.digest = sums.digest(self.expired);
        rows
    }

    fn stage_row(&mut self, slot: Slot, sums: &mut Sums) -> Option<RowChange> {
        let expired = self.expired;
        let row = self.table.row_mut(slot);
        let saga = row.saga.as_ref()?;
        if saga.status == Status::Swept {
            let before = row.stored.take();
            if let Some(before) = &before {
                let sum = sums.at(before.places.expiry);
                *sum = sum.wrapping_sub(before.hash);
                self.counts.add(&before.facets, before.places.expiry, -1);
            }
            let (before, large) = before.map_or((IndexKeys::NONE, false), |before| (before.places, before.large));
            let large = Large { before: large, now: Vec::new() };
            return Some(RowChange { key: RowKey::Saga(row.id.clone()), value: None, before, after: IndexKeys::NONE, large });
        }
        let mut value = saga.encode_state();
        let (stored, now) = Stored::of(&row.id, &value, saga, &mut self.counts.names);
        saga.put_turns(&mut value);
        if let Some(before) = &row.stored
            && before.places.expiry.is_none_or(|bucket| bucket > expired)
        {
            let sum = sums.at(before.places.expiry);
            *sum = sum.wrapping_sub(before.hash);
            if !mutated("row_counted_again") {
                self.counts.add(&before.facets, before.places.expiry, -1);
            }
        }
        self.counts.add(&stored.facets, stored.places.expiry, 1);
        let sum = sums.at(stored.places.expiry);
        *sum = sum.wrapping_add(stored.hash);
        let after = stored.places.clone();
        let before = row.stored.replace(stored);
        let large = Large { before: before.as_ref().is_some_and(|before| before.large), now };
        let before = before.map_or(IndexKeys::NONE, |before| before.places);
        Some(RowChange { key: RowKey::Saga(row.id.clone()), value: Some(value), before, after, large })
    }

    fn stage_breakers(&mut self, sums: &mut Sums) -> Vec<RowChange> {
        let mut touched = std::mem::take(&mut self.touched_breakers);
        touched.retain(|_| !mutated("breaker_not_stored"));
        let stage = |participant: Arc<str>| {
            let value = self.breakers.get(&participant).map(Breaker::encode);
            let before = self.stored_breakers.remove(&participant).unwrap_or(0);
            let hash = value.as_ref().map_or(0, |row| breaker_hash(&participant, row));
            if value.is_some() {
                self.stored_breakers.insert(participant.clone(), hash);
            }
            let live = sums.at(None);
            *live = live.wrapping_sub(before).wrapping_add(hash);
            RowChange::plain(RowKey::Breaker(participant), value)
        };
        touched.into_iter().map(stage).collect()
    }

    /// Where it stands.
    pub(super) fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            journal_offset: law::checkpoint_offset(&self.fence),
            claim_offset: self.fence.claim_offset,
            claim: self.fence.claim,
            number: self.fence.number,
            identity: self.fence.identity.clone(),
            journal: self.settings.journal,
            positions: self.positions.iter().cloned().chain(self.marks.positions()).collect(),
            released: law::released(&self.outbox, self.fence.next_offset, 0).max(self.released),
            now: self.now,
            expired_bucket: self.expired,
            digest: self.digest.clone(),
        }
    }

    /// The batch is written.
    pub fn stored(&mut self, batch: &Batch) {
        self.stored = batch.checkpoint.journal_offset;
    }

    /// The same for a replica that only takes: rows that nothing waits for leave memory, and all if they are too many. What the journal
    /// says of them later is found in the store.
    pub fn stored_and_trimmed(&mut self, batch: &Batch) {
        self.stored(batch);
        let is_full = self.table.bytes() > self.settings.limits.memory_bytes_max / 8 * 3;
        for change in batch.rows.iter().filter(|change| is_full || change.after.due.is_none()) {
            if let RowKey::Saga(id) = &change.key
                && let Some(slot) = self.table.place(id)
            {
                self.table.evict(slot);
            }
        }
    }
}
