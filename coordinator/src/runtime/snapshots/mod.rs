//! Snapshots of what this instance owns, taken now and then, so that the journal need not be kept for ever.
//!
//! ```text
//! read the topic of snapshots -> is one due? -> are the store, and those before, of this journal? -> pieces of the store -> manifest
//!     -> read it back: it counts -> delete what is done with
//! ```
//!
//! It reads the store as it was flushed, and sends by a producer of its own: no worker waits for it. What it writes is true whoever owns
//! the partition meanwhile, since a checkpoint holds nothing but what counts.

mod job;
mod pieces;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ringmaster_bus::{Bus, BusError, Message, SendError, Sender, Topic, TopicPartition};
use ringmaster_core::faults::reached;
use ringmaster_core::partition::{RESTORING, Snapshots};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::TopicId;
use ringmaster_schemas::names::Topics;
use ringmaster_schemas::snapshot::{Manifest, SnapshotId, SnapshotRecord};
use ringmaster_schemas::state::Checkpoint;
use ringmaster_store::Store;

use self::job::{Job, MANIFEST, Proving, Step};
use self::pieces::Pieces;
use super::clock::Now;

/// A look at the topic comes so long after a partition was owned, or a failure, at most.
const LOOK_AFTER_MS: Millis = 60_000;
/// What does not move for so long has failed.
const PATIENCE_MS: Millis = 120_000;

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
    /// When it was first asked to do something.
    begun: Option<Now>,
    ids: Box<dyn FnMut() -> SnapshotId + Send>,
}

impl<B: Bus> SnapshotTaker<B> {
    /// One that has taken none. `ids` gives random ids.
    pub fn new(mut bus: B, settings: SnapshotSettings, ids: Box<dyn FnMut() -> SnapshotId + Send>) -> Self {
        let (journal, snapshots) = (bus.topic(&settings.topics.journal), bus.topic(&settings.topics.snapshots));
        SnapshotTaker {
            bus,
            settings,
            journal,
            snapshots,
            sender: None,
            due: BTreeMap::new(),
            job: None,
            epoch: 0,
            begun: None,
            ids,
        }
    }

    /// One turn, which waits at most so long for something to happen. `owned`: partitions whose state this instance has.
    pub fn turn(&mut self, owned: &[i32], view: &View, now: Now, wait: Duration) -> Option<Taken> {
        self.due.retain(|partition, _| owned.contains(partition));
        self.begun.get_or_insert(now);
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
        let (journal, proven, moved_at) = (None, Vec::new(), now.steady);
        self.job = Some(Job { partition, epoch, found, next: 0, journal, proven, step, moved_at, failed: None, asks: true });
    }

    /// A partition of the journal.
    fn journal(&self, partition: i32) -> TopicPartition {
        TopicPartition { topic: self.journal, partition }
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
        self.bus.stop(self.journal(partition));
        self.due.insert(partition, now.steady + time_ms);
    }

    fn go_on(&mut self, mut job: Job, view: &View, now: Now) -> Option<Taken> {
        let (at, journal) = (self.at(job.partition), self.journal(job.partition));
        if std::mem::take(&mut job.asks) {
            self.bus.ask_bounds(at);
        }
        let is_known = job.journal.is_some();
        match &mut job.step {
            Step::Reading { end: Some(end), mine, .. } if job.next >= *end => {
                let mine = mine.take();
                self.bus.stop(at);
                return match mine {
                    Some(mine) => self.settle(&job, *mine, now),
                    None => {
                        self.look(job, view, now);
                        None
                    }
                };
            }
            Step::Proving(proving) if is_known => match proving.left.last() {
                None => {
                    self.take(job, now);
                    return None;
                }
                Some((_, checkpoint)) if !proving.is_read => {
                    proving.is_read = true;
                    self.bus.read(journal, checkpoint.journal_offset - 1);
                }
                Some(_) => {}
            },
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
            Step::Reading { .. } | Step::Proving(_) | Step::Sending { .. } | Step::Sealing { .. } => {}
        }
        self.job = Some(job);
        None
    }

    /// All that the topic holds is known. If one is due, it is looked what of this, and of the store, is of the journal as it is now: as it
    /// is behind the look at the store, which else may be ahead of what was asked.
    fn look(&mut self, mut job: Job, view: &View, now: Now) {
        let every = self.settings.every_ms();
        // No longer than that, whatever became of the clock.
        let left = job.found.newest().map_or(0, |newest| newest.taken_at + every - now.wall).min(every);
        if left > 0 {
            return self.rest(job.partition, left, now);
        }
        let stored = view().and_then(|store| {
            let stored = store.checkpoint(job.partition).map_err(|error| error.to_string())?;
            Ok(stored.map(|until| (store, until)))
        });
        match stored {
            Ok(Some((store, until))) if until.journal_offset != RESTORING && until.journal == self.settings.journal => {
                self.bus.ask_bounds(self.journal(job.partition));
                (job.step, job.moved_at) = (Step::Proving(Box::new(Proving::of(store, until))), now.steady);
                self.job = Some(job);
            }
            Ok(_) => self.rest(job.partition, every / 4 + 1, now),
            Err(why) => self.give_up(&job, &why, now),
        }
    }

    /// What is of this journal is known.
    fn take(&mut self, mut job: Job, now: Now) {
        let Step::Proving(proving) = &job.step else { return };
        let (store, until, fits) = (proving.store.clone(), proving.until.clone(), proving.fits);
        self.bus.stop(self.journal(job.partition));
        let later = self.settings.every_ms() / 4 + 1;
        if !fits {
            let partition = job.partition;
            tracing::warn!(partition, "no snapshot was taken: what is stored is of another history than the journal");
            return self.rest(partition, later, now);
        }
        match self.write(&mut job, (&*store, until), now) {
            Ok(Some((manifest, open))) => {
                (job.step, job.moved_at) = (Step::Sending { manifest, open }, now.steady);
                self.job = Some(job);
            }
            Ok(None) => self.rest(job.partition, later, now),
            Err(why) => self.give_up(&job, &why, now),
        }
    }

    /// Sends the pieces; the manifest, and how many are open. None if there is nothing new to be told.
    fn write(
        &mut self,
        job: &mut Job,
        (store, until): (&dyn Store, Checkpoint),
        now: Now,
    ) -> Result<Option<(Box<Manifest>, usize)>, String> {
        let is_proven = |manifest: &&Manifest| job.proven.contains(&manifest.id);
        let newest = job.found.whole().iter().rev().find(is_proven);
        // Nothing new, or this store is behind what another instance has.
        if until.journal_offset <= newest.map_or(0, |newest| newest.until.journal_offset) {
            return Ok(None);
        }
        // From where the journal is needed beside it: from where the last one ended. If there is none, and the journal's beginning is
        // gone, from nowhere: the snapshot has all.
        let begins = job.journal.is_some_and(|(start, _)| start == 0);
        let since = match newest {
            Some(newest) => Some(newest.until.clone()),
            None => (!begins).then(|| until.clone()),
        };
        let sender = match self.sender {
            Some(sender) => sender,
            None => self.bus.open_sender().map_err(|error: BusError| error.to_string())?,
        };
        self.sender = Some(sender);
        let (id, to) = ((self.ids)(), self.at(job.partition));
        let mut pieces = Pieces::new(&mut self.bus, sender, to, (id, job.epoch));
        pieces.write(store, job.partition, since.as_ref(), until.expired_bucket)?;
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

    /// It is in the log. If it counts, what nobody needs any more goes.
    fn settle(&mut self, job: &Job, mine: Manifest, now: Now) -> Option<Taken> {
        let partition = job.partition;
        self.rest(partition, self.settings.every_ms(), now);
        if job.found.newest().is_none_or(|newest| newest.id != mine.id) {
            tracing::info!(partition, "this snapshot does not count: another one was before it, or not all of it is there");
            return None;
        }
        let (mut journal_start, _) = job.journal.unwrap_or_default();
        // A clock that was set ahead makes nothing older.
        let begun = self.begun.unwrap_or(now);
        let aged_before = now.wall.min(begun.wall + now.steady - begun.steady) - self.settings.retention_ms;
        let is_proven = |manifest: &Manifest| manifest.id == mine.id || job.proven.contains(&manifest.id);
        reached("snapshot_counts_undeleted");
        if let Some((journal_before, snapshots_before)) = job.found.done_with(aged_before, is_proven) {
            if self.delete(self.journal(partition), journal_before) {
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
