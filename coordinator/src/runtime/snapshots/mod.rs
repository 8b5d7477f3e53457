//! Snapshots of what this instance owns, taken now and then, so that the journal need not be kept for ever.
//!
//! ```text
//! read the topic of snapshots -> is one due? -> pieces of the store -> manifest -> read it back: it counts -> delete what is done with
//! ```
//!
//! It reads the store as it was flushed, and sends by a producer of its own: no worker waits for it. What it writes is true whoever owns
//! the partition meanwhile, since a checkpoint holds nothing but what counts.

mod pieces;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ringmaster_bus::{Bus, BusError, BusEvent, Message, SendError, Sender, Topic, TopicPartition};
use ringmaster_core::faults::reached;
use ringmaster_core::partition::{RESTORING, Snapshots};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::TopicId;
use ringmaster_schemas::names::Topics;
use ringmaster_schemas::snapshot::{Manifest, SnapshotId, SnapshotRecord};
use ringmaster_schemas::state::Checkpoint;
use ringmaster_store::Store;

use self::pieces::Pieces;
use super::clock::Now;

/// A look at the topic comes so long after a partition was owned, or a failure, at most.
const LOOK_AFTER_MS: Millis = 60_000;
/// What does not move for so long has failed.
const PATIENCE_MS: Millis = 120_000;
/// The tag of a manifest among those of its pieces.
const MANIFEST: u64 = u32::MAX as u64;

/// What whoever takes snapshots must know.
#[derive(Debug, Clone)]
pub struct SnapshotSettings {
    /// Records of the journal are kept so long at least.
    pub retention_ms: Millis,
    /// This instance's name.
    pub owner: Arc<str>,
    /// Names of the topics.
    pub topics: Topics,
    /// The journal's identity.
    pub journal: TopicId,
}

impl SnapshotSettings {
    /// A partition's snapshots are so far apart. Of two that are kept the older one begins where the one before it ended: the journal
    /// is kept two distances at least, and three at most.
    fn every_ms(&self) -> Millis {
        (self.retention_ms / 2).max(1)
    }

    fn look_after_ms(&self) -> Millis {
        LOOK_AFTER_MS.min(self.every_ms() / 4 + 1)
    }
}

/// A snapshot that was taken, and what went for its sake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Of which partition.
    pub partition: i32,
    /// What it is.
    pub manifest: Manifest,
    /// The journal was deleted below this offset.
    pub journal_start: i64,
}

/// Gives the store as it was at one moment.
pub type View = dyn Fn() -> Result<Arc<dyn Store>, String> + Send;

/// Takes snapshots, one partition after the other.
pub struct SnapshotTaker<B: Bus> {
    bus: B,
    settings: SnapshotSettings,
    journal: Topic,
    snapshots: Topic,
    sender: Option<Sender>,
    /// When a partition is looked at next, by the steady clock.
    due: BTreeMap<i32, Millis>,
    job: Option<Job>,
    /// Of the next one.
    epoch: u32,
    ids: Box<dyn FnMut() -> SnapshotId + Send>,
}

/// Work on one partition.
struct Job {
    partition: i32,
    epoch: u32,
    /// What the topic says so far, and where it goes on.
    found: Snapshots,
    next: i64,
    journal_start: Option<i64>,
    step: Step,
    /// When it moved last.
    moved_at: Millis,
    failed: Option<String>,
    /// How far the topic reaches is to be asked.
    asks: bool,
}

enum Step {
    /// It is asked how far the topic reaches, and read until there. With a manifest: to see that it counts.
    Reading { end: Option<i64>, is_read: bool, mine: Option<Box<Manifest>> },
    /// Pieces are on their way.
    Sending { manifest: Box<Manifest>, open: usize },
    /// The manifest is.
    Sealing { manifest: Box<Manifest> },
}

impl<B: Bus> SnapshotTaker<B> {
    /// One that has taken none. `ids` gives random ids.
    pub fn new(mut bus: B, settings: SnapshotSettings, ids: Box<dyn FnMut() -> SnapshotId + Send>) -> Self {
        let (journal, snapshots) = (bus.topic(&settings.topics.journal), bus.topic(&settings.topics.snapshots));
        SnapshotTaker { bus, settings, journal, snapshots, sender: None, due: BTreeMap::new(), job: None, epoch: 0, ids }
    }

    /// One turn, which waits at most so long for something to happen. `owned`: partitions whose state this instance has.
    pub fn turn(&mut self, owned: &[i32], view: &View, now: Now, wait: Duration) -> Option<Taken> {
        self.due.retain(|partition, _| owned.contains(partition));
        if self.job.is_none() {
            self.begin(owned, now);
        }
        let (job, sender, snapshots) = (&mut self.job, self.sender, self.snapshots);
        self.bus.poll(wait, &mut |event| {
            if let Some(job) = job {
                job.note(event, sender, snapshots, now);
            }
        });
        let mut job = self.job.take()?;
        if now.steady - job.moved_at > PATIENCE_MS {
            job.failed.get_or_insert_with(|| "the broker does not answer".to_owned());
        }
        if let Some(why) = job.failed.take() {
            self.give_up(&job, &why, now);
            return None;
        }
        self.go_on(job, view, now)
    }

    fn begin(&mut self, owned: &[i32], now: Now) {
        let later = now.steady + self.settings.look_after_ms();
        for partition in owned {
            self.due.entry(*partition).or_insert(later);
        }
        // The one that waits longest: a short time must not leave the last ones out.
        let first = self.due.iter().min_by_key(|(_, at)| **at).filter(|(_, at)| **at <= now.steady);
        let Some((&partition, _)) = first else { return };
        self.epoch += 1;
        let step = Step::Reading { end: None, is_read: false, mine: None };
        let (epoch, found) = (self.epoch, Snapshots::default());
        let (journal_start, moved_at, failed) = (None, now.steady, None);
        self.job = Some(Job { partition, epoch, found, next: 0, journal_start, step, moved_at, failed, asks: true });
        self.bus.ask_bounds(TopicPartition { topic: self.journal, partition });
    }

    /// Where a partition's snapshots are.
    fn at(&self, partition: i32) -> TopicPartition {
        TopicPartition { topic: self.snapshots, partition }
    }

    fn give_up(&mut self, job: &Job, why: &str, now: Now) {
        let partition = job.partition;
        tracing::warn!(partition, why, "no snapshot could be taken; it is tried again, and the journal is kept meanwhile");
        if let Some(sender) = self.sender.take() {
            self.bus.close_sender(sender);
        }
        self.rest(partition, self.settings.look_after_ms(), now);
    }

    /// Nothing more is done for a partition for so long.
    fn rest(&mut self, partition: i32, time_ms: Millis, now: Now) {
        self.bus.stop(self.at(partition));
        self.due.insert(partition, now.steady + time_ms);
    }

    fn go_on(&mut self, mut job: Job, view: &View, now: Now) -> Option<Taken> {
        let at = self.at(job.partition);
        if std::mem::take(&mut job.asks) {
            self.bus.ask_bounds(at);
        }
        let is_known = job.journal_start.is_some();
        match &mut job.step {
            Step::Reading { end: Some(end), mine, .. } if job.next >= *end && is_known => {
                let mine = mine.take();
                self.bus.stop(at);
                return match mine {
                    Some(mine) => self.settle(&job, *mine, now),
                    None => {
                        self.take(job, view, now);
                        None
                    }
                };
            }
            Step::Reading { end: Some(end), is_read, .. } if !*is_read && job.next < *end => {
                *is_read = true;
                self.bus.read(at, job.next);
            }
            Step::Sending { manifest, open: 0 } => {
                let record = SnapshotRecord::Manifest(manifest.clone()).encode();
                let message = Message { to: at, key: None, value: &record, headers: &[] };
                let tag = u64::from(job.epoch) << 32 | MANIFEST;
                let sent = self.sender.map_or(Err(SendError::Full), |sender| self.bus.send(sender, message, tag));
                reached("snapshot_sealed_unacked");
                job.failed = sent.err().map(|why| why.to_string());
                job.step = Step::Sealing { manifest: manifest.clone() };
            }
            Step::Reading { .. } | Step::Sending { .. } | Step::Sealing { .. } => {}
        }
        self.job = Some(job);
        None
    }

    /// All that the topic holds is known: takes a snapshot, if one is due.
    fn take(&mut self, mut job: Job, view: &View, now: Now) {
        let newest = job.found.newest().cloned();
        let every = self.settings.every_ms();
        // No longer than that, whatever became of the clock.
        let left = newest.as_ref().map_or(0, |newest| newest.taken_at + every - now.wall).min(every);
        if left > 0 {
            return self.rest(job.partition, left, now);
        }
        match self.write(&mut job, newest, view, now) {
            Ok(Some((manifest, open))) => {
                (job.step, job.moved_at) = (Step::Sending { manifest, open }, now.steady);
                self.job = Some(job);
            }
            Ok(None) => self.rest(job.partition, every / 4 + 1, now),
            Err(why) => self.give_up(&job, &why, now),
        }
    }

    /// Sends the pieces; the manifest, and how many are open. None if there is nothing new to be told.
    fn write(
        &mut self,
        job: &mut Job,
        newest: Option<Manifest>,
        view: &View,
        now: Now,
    ) -> Result<Option<(Box<Manifest>, usize)>, String> {
        let store = view()?;
        let Some(until) = store.checkpoint(job.partition).map_err(|error| error.to_string())? else { return Ok(None) };
        let journal_start = job.journal_start.unwrap_or_default();
        if until.journal_offset == RESTORING || until.journal != self.settings.journal || until.journal_offset < journal_start {
            return Ok(None);
        }
        // Nothing new, or this store is behind what another instance has.
        let known =
            newest.as_ref().filter(|newest| newest.journal == until.journal).map_or(0, |newest| newest.until.journal_offset);
        if until.journal_offset <= known {
            return Ok(None);
        }
        let since = self.since(newest, &until, journal_start);
        let sender = match self.sender {
            Some(sender) => sender,
            None => self.bus.open_sender().map_err(|error: BusError| error.to_string())?,
        };
        self.sender = Some(sender);
        let (id, to) = ((self.ids)(), self.at(job.partition));
        let mut pieces = Pieces::new(&mut self.bus, sender, to, (id, job.epoch));
        pieces.write(&*store, job.partition, since.as_ref(), until.expired_bucket)?;
        let (stream, rows, open) = pieces.finish();
        reached("snapshot_pieces_sent");
        Ok(Some((
            Box::new(Manifest {
                id,
                number: job.found.next_number(),
                journal: self.settings.journal,
                since,
                until,
                first: job.next,
                pieces: stream.pieces,
                rows,
                bytes: stream.bytes,
                hash: stream.hash(),
                taken_at: now.wall,
                owner: self.settings.owner.clone(),
            }),
            open,
        )))
    }

    /// From where the journal is needed beside the snapshot: from where the last one ended. If there is none and the journal's beginning
    /// is gone, from nowhere: the snapshot has all.
    fn since(&self, newest: Option<Manifest>, until: &Checkpoint, journal_start: i64) -> Option<Checkpoint> {
        let usable =
            newest.filter(|newest| newest.journal == self.settings.journal && newest.until.journal_offset >= journal_start);
        match usable {
            Some(newest) => Some(newest.until),
            None => (journal_start > 0).then(|| until.clone()),
        }
    }

    /// It is in the log. If it counts, what nobody needs any more goes.
    fn settle(&mut self, job: &Job, mine: Manifest, now: Now) -> Option<Taken> {
        let partition = job.partition;
        self.rest(partition, self.settings.every_ms(), now);
        if job.found.newest().is_none_or(|newest| newest.id != mine.id) {
            tracing::info!(partition, "another instance took a snapshot at the same time: this one does not count");
            return None;
        }
        let mut journal_start = job.journal_start.unwrap_or_default();
        reached("snapshot_counts_undeleted");
        if let Some((journal_before, snapshots_before)) = job.found.done_with(now.wall - self.settings.retention_ms) {
            if self.delete(TopicPartition { topic: self.journal, partition }, journal_before) {
                journal_start = journal_start.max(journal_before);
            }
            reached("snapshot_deleted_half");
            self.delete(self.at(partition), snapshots_before);
        }
        let Manifest { number, rows, bytes, .. } = mine;
        let (since, until) = (mine.since_offset(), mine.until.journal_offset);
        tracing::info!(partition, number, since, until, rows, bytes, journal_start, "snapshot taken");
        Some(Taken { partition, manifest: mine, journal_start })
    }

    fn delete(&mut self, at: TopicPartition, below: i64) -> bool {
        match self.bus.delete_before(at, below) {
            Ok(()) => true,
            Err(error) => {
                let topic = self.bus.name_of(at.topic);
                tracing::warn!(
                    topic, partition = at.partition, below, %error,
                    "what nobody needs any more could not be deleted, and is kept until the next snapshot; on Kafka it needs the right to Delete on the topic"
                );
                false
            }
        }
    }
}

impl Job {
    fn note(&mut self, event: BusEvent<'_>, sender: Option<Sender>, snapshots: Topic, now: Now) {
        match event {
            BusEvent::Bounds { at, start, .. } if at.topic != snapshots && at.partition == self.partition => {
                self.journal_start.get_or_insert(start);
            }
            BusEvent::Bounds { at, start, end } if at.partition == self.partition => self.bounds(start, end, now),
            BusEvent::Record(record) if record.at.partition == self.partition && record.offset >= self.next => {
                self.found.take(record.value.unwrap_or_default());
                (self.next, self.moved_at) = (record.offset + 1, now.steady);
            }
            BusEvent::CaughtUp(at, offset) if at.partition == self.partition => self.next = self.next.max(offset),
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
            Step::Reading { .. } | Step::Sending { .. } | Step::Sealing { .. } => {}
        }
    }
}
