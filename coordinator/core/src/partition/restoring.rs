//! A state made of a snapshot and the journal, for a store that has none, where the journal does not reach back to its beginning.
//!
//! ```text
//! since -> journal, only for rows that begin there -> until -> the snapshot's rows over them -> the whole state at `until`
//! ```
//!
//! While it is made, the store stands at no offset of the journal ([`RESTORING`]): what a crash leaves of it is never gone on from.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringmaster_schemas::codec::Malformed;
use ringmaster_schemas::journal::{Change, Decision, DefinitionHash, JournalRecord, SagaChange, SagaEvent};
use ringmaster_schemas::snapshot::{Manifest, SnapshotRecord, SnapshotRow};
use ringmaster_schemas::state::{Batch, Breaker, Checkpoint, RowChange, RowKey, Saga};
use ringmaster_schemas::{Millis, names};

use super::fence::Verdict;
use super::replica::{Replica, Untaken};
use super::snapshots::Stream;
use super::turns::{Taker, remember};
use super::{Rows, Settings, law};
use crate::faults::mutated;
use crate::saga::apply;

/// The journal offset of a checkpoint above rows that are not whole yet.
pub const RESTORING: i64 = -2;

/// A state in the making.
pub struct Restoring {
    manifest: Manifest,
    /// Of rows that began behind `since`, and what the snapshot had.
    replica: Replica,
    stream: Stream,
    /// Bytes of a row that is not whole yet.
    rest: Vec<u8>,
    /// The effects that the state has.
    effects: Vec<RowChange>,
    rows: i64,
    /// The last batch, once all is there.
    last: Option<Batch>,
    is_stored: bool,
}

impl Restoring {
    /// By this snapshot. The store has nothing of the partition.
    pub fn new(settings: Arc<Settings>, manifest: Manifest) -> Restoring {
        let mut replica = Replica::new(settings);
        if let Some(since) = &manifest.since {
            (replica.fence, replica.now, replica.expired) = (law::fence_of(since), since.now, since.expired_bucket);
        }
        Restoring {
            manifest,
            replica,
            stream: Stream::default(),
            rest: Vec::new(),
            effects: Vec::new(),
            rows: 0,
            last: None,
            is_stored: false,
        }
    }

    /// By which snapshot.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub(super) fn replica(&self) -> &Replica {
        &self.replica
    }

    /// The versions that its sagas run by: whoever owns them must know these.
    pub(super) fn versions(&self) -> BTreeMap<DefinitionHash, i64> {
        self.replica.versions.clone()
    }

    /// The next offset of the journal that it takes.
    pub fn next_offset(&self) -> i64 {
        self.replica.fence.next_offset
    }

    /// True if the journal was taken as far as the snapshot's state reaches.
    pub fn is_replayed(&self) -> bool {
        self.next_offset() >= self.manifest.until.journal_offset
    }

    /// True if the store has all of it: it can be gone on from like any other.
    pub fn is_stored(&self) -> bool {
        self.is_stored
    }

    /// True if the last batch waits to be stored.
    pub fn is_made(&self) -> bool {
        self.last.is_some()
    }

    /// Takes what stands next in the journal; none for what is not of this project. Wrong: this is not the journal of the snapshot.
    pub fn take(&mut self, offset: i64, record: Option<&JournalRecord>, rows: &dyn Rows) -> Result<(), Untaken> {
        match record {
            None => self.replica.fence.pass(offset),
            Some(record) => {
                let verdict = self.replica.fence.judge(offset, record);
                if let (Verdict::Counts, JournalRecord::Decision(decision)) = (verdict, record) {
                    self.take_changes(offset, decision, rows)?;
                }
            }
        }
        if self.is_replayed() && self.replica.fence != law::fence_of(&self.manifest.until) {
            return Err(Untaken::Wrong("what the journal holds there is not what the snapshot was taken of".to_owned()));
        }
        Ok(())
    }

    /// Of what happened, only rows are made: all else is in the snapshot.
    fn take_changes(&mut self, offset: i64, decision: &Decision, rows: &dyn Rows) -> Result<(), Untaken> {
        for change in decision.turns.iter().flat_map(|turn| &turn.changes) {
            match change {
                Change::Saga(change) => self.take_change(change, (offset, decision.stamp.now), rows)?,
                Change::Expired(expired) => self.replica.expired = self.replica.expired.max(expired.bucket),
                Change::Quarantined(_)
                | Change::ValueReturned(_)
                | Change::Rejected(_)
                | Change::Undeliverable(_)
                | Change::Delivered(_)
                | Change::Breaker(_) => {}
            }
        }
        Ok(())
    }

    /// What happened to a row that began before `since` is left out: either the snapshot has the row, or it is gone.
    fn take_change(&mut self, change: &SagaChange, (offset, at): (i64, Millis), rows: &dyn Rows) -> Result<(), Untaken> {
        let table = &mut self.replica.table;
        let mut events = change.events.as_slice();
        let known = match table.place(&change.saga) {
            Some(slot) => Some(slot),
            None => table.load(change.saga.clone(), rows, &mut self.replica.counts.names).map_err(Untaken::Store)?,
        };
        let slot = match known {
            Some(slot) => slot,
            None => {
                let start = events.iter().position(|event| matches!(event, SagaEvent::Started { .. }));
                let Some(start) = start.filter(|_| !names::is_value(&change.saga)) else { return Ok(()) };
                events = &events[start..];
                table.insert(change.saga.clone())
            }
        };
        let mut saga = self.replica.living(slot).cloned();
        for event in events {
            if let SagaEvent::Started { head, .. } = event {
                self.replica.note_version(head);
            }
            apply(&change.saga, &mut saga, event, at).map_err(|illegal| Untaken::Wrong(illegal.to_string()))?;
        }
        if let Some(mut saga) = saga {
            remember(&mut saga, offset, Taker::Restore);
            self.replica.table.set(slot, saga);
        }
        Ok(())
    }

    /// Takes what stands next in the topic of snapshots. Wrong: the snapshot is not what its manifest says, or not of this state.
    pub fn piece(&mut self, value: &[u8], rows: &dyn Rows) -> Result<(), Untaken> {
        let Ok(SnapshotRecord::Piece(piece)) = SnapshotRecord::decode(value) else { return Ok(()) };
        if piece.id != self.manifest.id || self.last.is_some() {
            return Ok(());
        }
        self.stream.add(&piece);
        self.rest.extend_from_slice(&piece.bytes);
        let mut taken = 0;
        while let Some((row, length)) =
            SnapshotRow::take_framed(&self.rest[taken..]).map_err(|error| Untaken::Wrong(error.to_string()))?
        {
            self.put(row, rows)?;
            taken += length;
        }
        self.rest.drain(..taken);
        self.make_last()
    }

    fn put(&mut self, row: SnapshotRow, rows: &dyn Rows) -> Result<(), Untaken> {
        let wrong = |of: &str, error: Malformed| Untaken::Wrong(format!("{of}: {error}"));
        self.rows += 1;
        match row {
            SnapshotRow::Saga { id, row } => {
                let saga = Saga::decode(&id, &row).map_err(|error| wrong(&id, error))?;
                // What waits for its start runs by none yet.
                if saga.began() {
                    self.replica.note_version(&saga.head);
                }
                let slot = self.replica.load_or_insert(&id, rows)?;
                self.replica.table.set(slot, Arc::new(saga));
            }
            SnapshotRow::Effect { offset, index, row } => {
                self.effects.push(RowChange::plain(RowKey::Outbox(offset, index), Some(row.to_vec())));
            }
            SnapshotRow::Breaker { participant, row } => {
                let breaker = Breaker::decode(&row).map_err(|error| wrong(&participant, error))?;
                self.replica.breakers.set(&participant, Some(breaker));
                self.replica.touched_breakers.insert(participant);
            }
        }
        Ok(())
    }

    /// The last batch, once all is there; it must be the very state that the checkpoint is about.
    pub fn make_last(&mut self) -> Result<(), Untaken> {
        if !self.is_replayed() || self.last.is_some() || self.is_stored || self.stream.pieces < self.manifest.pieces {
            return Ok(());
        }
        if !self.stream.is_whole(&self.manifest) || !self.rest.is_empty() || self.rows != self.manifest.rows {
            return Err(Untaken::Wrong("its rows are not those that its manifest tells".to_owned()));
        }
        self.replica.expired = self.manifest.until.expired_bucket;
        let mut rows = self.replica.stage_rows();
        if self.replica.digest != self.manifest.until.digest {
            return Err(Untaken::Wrong("with the journal it does not make the state that it was taken of".to_owned()));
        }
        rows.append(&mut self.effects);
        self.replica.begin_counts(self.manifest.until.now);
        rows.push(self.replica.stage_counts(self.manifest.until.journal_offset));
        self.last = Some(self.batch(self.manifest.until.clone(), rows));
        Ok(())
    }

    /// Rows that the next batch will hold.
    pub fn dirty_count(&self) -> usize {
        self.replica.dirty_count()
    }

    /// A batch for the store; nothing if nothing is new. The caller writes it at once and then says so by [`Restoring::stored`].
    pub fn stage(&mut self) -> Option<Batch> {
        if let Some(last) = self.last.take() {
            return Some(last);
        }
        if self.is_stored || self.replica.dirty_count() == 0 {
            return None;
        }
        let rows = self.replica.stage_rows();
        let journal_offset = if mutated("half_restored_is_gone_on_from") { self.next_offset() } else { RESTORING };
        let checkpoint = Checkpoint { journal_offset, ..self.replica.checkpoint() };
        Some(self.batch(checkpoint, rows))
    }

    fn batch(&self, checkpoint: Checkpoint, rows: Vec<RowChange>) -> Batch {
        Batch { partition: self.replica.settings.number, base_offset: self.replica.stored, checkpoint, rows }
    }

    /// The batch is written.
    pub fn stored(&mut self, batch: &Batch) {
        if batch.checkpoint == self.manifest.until {
            self.is_stored = true;
        } else {
            self.replica.stored_and_trimmed(batch);
        }
    }
}
