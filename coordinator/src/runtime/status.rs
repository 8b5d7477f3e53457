//! Where each partition stands, for people and probes: written by workers now and then, read by the API.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use ringmaster_core::partition::{Counters, Held, Partition, Restored, StageName};

use super::asked::AskedBoard;
use super::lag::ReadStatus;
use super::snapshots::Taken;
use super::watch::TopicStatus;
use crate::traces::TraceBoard;

/// What the API may know of a running instance.
#[derive(Debug, Default)]
pub struct Status {
    /// By worker.
    partitions: Mutex<BTreeMap<usize, Vec<PartitionStatus>>>,
    /// What is followed, by worker.
    followed: Mutex<BTreeMap<usize, Vec<FollowedStatus>>>,
    /// What the group says is this instance's; none before it has said anything.
    given: Mutex<Option<BTreeSet<i32>>>,
    /// By worker.
    topics: Mutex<BTreeMap<usize, Vec<TopicStatus>>>,
    /// How often each partition was taken over here.
    takeovers: Mutex<BTreeMap<i32, u64>>,
    /// By partition.
    snapshots: Mutex<BTreeMap<i32, SnapshotStatus>>,
    /// What participants were asked.
    pub asked: AskedBoard,
    /// What is to be told in traces.
    pub traces: TraceBoard,
}

/// A partition that another instance owns, and that is followed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct FollowedStatus {
    /// Which.
    pub partition: i32,
    /// The next journal offset.
    pub journal_offset: i64,
    /// Its journal was read to the end: a takeover replays only what came since a moment ago.
    pub warm: bool,
}

/// One partition's state at some recent moment.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct PartitionStatus {
    /// Which.
    pub partition: i32,
    /// Where it stands: idle, claiming, replaying, waiting, owning, scanning, stopped (what is followed is told by itself).
    #[serde(serialize_with = "as_word")]
    #[schema(value_type = String)]
    pub phase: StageName,
    /// The next journal offset.
    pub journal_offset: i64,
    /// Rows in memory.
    pub rows: usize,
    /// Their bytes, about.
    pub row_bytes: usize,
    /// Effects that the broker has not acknowledged.
    pub unreleased: usize,
    /// Effects that wait until their topic takes them: it was deleted, or refuses.
    pub undeliverable: usize,
    /// Sagas that need a person.
    pub stuck: usize,
    /// Sagas of which something is parked.
    pub parked: usize,
    /// Participants whose breakers are not closed.
    pub breakers: usize,
    /// Sagas in memory that wait for an answer.
    pub in_flight: usize,
    /// Topics of inputs of which the journal does not say yet where they begin.
    pub inputs_to_begin: Vec<String>,
    /// Where inputs are read on; empty unless it is owned.
    pub reads: Vec<ReadStatus>,
    /// Which inputs are held because a bound is reached: nothing, starts, all.
    #[serde(serialize_with = "as_held")]
    #[schema(value_type = String)]
    pub held: Held,
    /// What its state was made of, if the store had nothing when it was claimed here.
    pub restored: Option<RestoredStatus>,
    /// The last snapshot that was taken of it here.
    pub snapshot: Option<SnapshotStatus>,
}

/// A state that was made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct RestoredStatus {
    /// The snapshot's number; none if it was made of the journal alone.
    pub snapshot: Option<i64>,
    /// The journal was replayed from this offset on.
    pub since: i64,
    /// Bytes of the snapshot.
    pub bytes: i64,
    /// How long it took, until the partition was owned.
    pub took_ms: i64,
}

/// A snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct SnapshotStatus {
    /// Its number.
    pub number: i64,
    /// It is what was true at this offset of the journal.
    pub until: i64,
    /// Rows that it has.
    pub rows: i64,
    /// Their bytes.
    pub bytes: i64,
    /// When it was taken.
    pub taken_at: i64,
    /// Where the journal began behind it.
    pub journal_start: i64,
}

impl Status {
    /// A worker reports its partitions: all that it hosts now. What is only followed is told apart: its numbers are its owner's to tell.
    pub fn report<'a>(&self, worker: usize, partitions: impl Iterator<Item = &'a Partition>) {
        let (followed, own): (Vec<_>, Vec<_>) = partitions.partition(|partition| partition.stage() == StageName::Following);
        self.report_own(worker, own.into_iter().map(PartitionStatus::of).collect());
        let followed = followed.into_iter().map(FollowedStatus::of).collect();
        self.followed.lock().expect("no holder panics").insert(worker, followed);
    }

    pub(crate) fn report_own(&self, worker: usize, own: Vec<PartitionStatus>) {
        let owned = |all: &[PartitionStatus]| -> BTreeSet<i32> {
            all.iter().filter(|status| status.phase == StageName::Owning).map(|status| status.partition).collect()
        };
        let now = owned(&own);
        let before = self.partitions.lock().expect("no holder panics").insert(worker, own);
        let mut takeovers = self.takeovers.lock().expect("no holder panics");
        for partition in now.difference(&owned(&before.unwrap_or_default())) {
            *takeovers.entry(*partition).or_insert(0) += 1;
        }
    }

    /// How often each partition was taken over here, since the process started.
    pub fn takeovers(&self) -> BTreeMap<i32, u64> {
        self.takeovers.lock().expect("no holder panics").clone()
    }

    /// All partitions that are followed here, in order.
    pub fn followed(&self) -> Vec<FollowedStatus> {
        let mut all: Vec<FollowedStatus> = self.followed.lock().expect("no holder panics").values().flatten().copied().collect();
        all.sort_by_key(|status| status.partition);
        all
    }

    /// The group has said what is this instance's.
    pub fn given(&self, partitions: Option<&BTreeSet<i32>>) {
        *self.given.lock().expect("no holder panics") = partitions.cloned();
    }

    /// What the group says is this instance's; none before it has said anything.
    pub fn share(&self) -> Option<BTreeSet<i32>> {
        self.given.lock().expect("no holder panics").clone()
    }

    /// These are hosted and owned, and nothing is known of them but that.
    #[cfg(test)]
    pub(crate) fn hosts(&self, partitions: &[i32]) {
        let own = partitions.iter().map(|&partition| PartitionStatus::owned(partition)).collect();
        self.partitions.lock().expect("no holder panics").insert(0, own);
    }

    /// A worker reports the topics that it reads.
    pub fn report_topics(&self, worker: usize, topics: Vec<TopicStatus>) {
        self.topics.lock().expect("no holder panics").insert(worker, topics);
    }

    /// All topics that are read, in the order of their names.
    pub fn topics(&self) -> Vec<TopicStatus> {
        let mut all: BTreeMap<Arc<str>, TopicStatus> = BTreeMap::new();
        for status in self.topics.lock().expect("no holder panics").values().flatten() {
            let known = all.entry(status.topic.clone()).or_insert_with(|| TopicStatus { troubles: Vec::new(), ..status.clone() });
            known.troubles.extend(status.troubles.iter().cloned());
        }
        let mut all: Vec<TopicStatus> = all.into_values().collect();
        for status in &mut all {
            // Several workers may say the same of one topic.
            status.troubles.sort();
            status.troubles.dedup();
        }
        all
    }

    /// All partitions that are hosted here, in order.
    pub fn partitions(&self) -> Vec<PartitionStatus> {
        let mut all: Vec<PartitionStatus> = self.partitions.lock().expect("no holder panics").values().flatten().cloned().collect();
        all.sort_by_key(|status| status.partition);
        let snapshots = self.snapshots.lock().expect("no holder panics");
        all.iter_mut().for_each(|status| status.snapshot = snapshots.get(&status.partition).copied());
        all
    }

    /// Where inputs are read on here.
    pub fn reads(&self) -> Vec<ReadStatus> {
        let partitions = self.partitions.lock().expect("no holder panics");
        partitions.values().flatten().flat_map(|status| status.reads.iter().cloned()).collect()
    }

    /// It is said where these are read on, and nothing else.
    #[cfg(test)]
    pub(crate) fn reads_on(&self, reads: Vec<ReadStatus>) {
        let owned = PartitionStatus { reads, ..PartitionStatus::owned(0) };
        self.partitions.lock().expect("no holder panics").insert(0, vec![owned]);
    }

    /// A snapshot was taken.
    pub fn snapshot(&self, taken: &Taken) {
        let Taken { partition, manifest, journal_start } = taken;
        let status = SnapshotStatus {
            number: manifest.number,
            until: manifest.until.journal_offset,
            rows: manifest.rows,
            bytes: manifest.bytes,
            taken_at: manifest.taken_at,
            journal_start: *journal_start,
        };
        self.snapshots.lock().expect("no holder panics").insert(*partition, status);
    }

    /// True if all that the group gives to this instance is owned and read, it is journaled where each of its inputs begins (an event that is
    /// written then is not passed over), and no topic is in trouble. One that is given nothing is ready too: it waits for others to go.
    pub fn ready(&self) -> bool {
        if self.topics().iter().any(|status| !status.troubles.is_empty()) {
            return false;
        }
        let Some(given) = self.share() else { return false };
        let ready = |status: &PartitionStatus| status.missing().is_none().then_some(status.partition);
        let ready: BTreeSet<i32> = self.partitions().iter().filter_map(ready).collect();
        given.is_subset(&ready)
    }
}

impl FollowedStatus {
    fn of(partition: &Partition) -> FollowedStatus {
        let (number, journal_offset) = (partition.number(), partition.journal_offset());
        FollowedStatus { partition: number, journal_offset, warm: partition.is_warm() }
    }
}

impl RestoredStatus {
    fn of(restored: Restored) -> RestoredStatus {
        let Restored { snapshot, since, bytes, took_ms, .. } = restored;
        RestoredStatus { snapshot, since, bytes, took_ms }
    }
}

impl PartitionStatus {
    fn of(partition: &Partition) -> PartitionStatus {
        let (rows, row_bytes) = partition.overlay_size();
        PartitionStatus {
            partition: partition.number(),
            phase: partition.stage(),
            journal_offset: partition.journal_offset(),
            rows,
            row_bytes,
            unreleased: partition.unreleased_count(),
            undeliverable: partition.undeliverable_count(),
            stuck: partition.stuck_count(),
            parked: partition.parked_count(),
            breakers: partition.open_breakers(),
            in_flight: partition.asking_count(),
            inputs_to_begin: partition.unbegun().map(|input| input.name.to_string()).collect(),
            reads: partition.reads().map(ReadStatus::of).collect(),
            held: partition.held(),
            restored: partition.restored().map(RestoredStatus::of),
            snapshot: None,
        }
    }

    /// One that is owned, and of which nothing else is known.
    #[cfg(test)]
    pub(crate) fn owned(partition: i32) -> PartitionStatus {
        PartitionStatus {
            partition,
            phase: StageName::Owning,
            journal_offset: 0,
            rows: 0,
            row_bytes: 0,
            unreleased: 0,
            undeliverable: 0,
            stuck: 0,
            parked: 0,
            breakers: 0,
            in_flight: 0,
            inputs_to_begin: Vec::new(),
            reads: Vec::new(),
            held: Held::Nothing,
            restored: None,
            snapshot: None,
        }
    }

    /// What it lacks to be ready, for people; none if it is.
    pub fn missing(&self) -> Option<String> {
        let unbegun = || {
            // What is written to an input with `start_at = "latest"` before that is known is passed over.
            let topics = self.inputs_to_begin.join(", ");
            format!("it is not in the journal yet where it begins to read {topics}: do they exist, and is the broker reachable?")
        };
        let to_begin = (!self.inputs_to_begin.is_empty()).then(unbegun);
        self.missing_to_own().map(str::to_owned).or(to_begin)
    }

    /// What it lacks to tell which sagas there are, for people; none if it can.
    pub fn missing_to_own(&self) -> Option<&'static str> {
        match self.phase {
            StageName::Owning => None,
            StageName::Idle | StageName::Following => Some(NOT_CLAIMED),
            StageName::Claiming => Some("its claim is not in the journal yet: is the broker reachable?"),
            StageName::Replaying => Some("its journal is being replayed"),
            StageName::Waiting => {
                Some("sagas of it run by a version that this instance has not taken from the topic of definitions yet")
            }
            StageName::Scanning => Some("after a doubt: looking for a claim of another instance"),
            StageName::Stopped => Some("stopped for good; the log says why"),
        }
    }
}

/// What a partition lacks that is given to an instance, and of which nothing was heard yet.
pub const NOT_CLAIMED: &str = "not claimed yet";

fn as_word<S: serde::Serializer>(stage: &StageName, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(stage_name(*stage))
}

fn as_held<S: serde::Serializer>(held: &Held, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match held {
        Held::Nothing => "nothing",
        Held::Behind => "starts, behind",
        Held::Starts => "starts",
        Held::All => "all",
    })
}

/// The word for a stage.
fn stage_name(stage: StageName) -> &'static str {
    match stage {
        StageName::Idle => "idle",
        StageName::Following => "following",
        StageName::Claiming => "claiming",
        StageName::Replaying => "replaying",
        StageName::Waiting => "waiting",
        StageName::Owning => "owning",
        StageName::Scanning => "scanning",
        StageName::Stopped => "stopped",
    }
}

/// What has been counted since the last report.
pub(super) fn since(now: &Counters, before: &Counters) -> Counters {
    Counters {
        inputs: now.inputs - before.inputs,
        skipped: now.skipped - before.skipped,
        unexpected: now.unexpected - before.unexpected,
        started: now.started - before.started,
        completed: now.completed - before.completed,
        compensated: now.compensated - before.compensated,
        stuck: now.stuck - before.stuck,
        errors: now.errors - before.errors,
        rejected: now.rejected - before.rejected,
        quarantined: now.quarantined - before.quarantined,
        commands: now.commands - before.commands,
        retries: now.retries - before.retries,
        timers: now.timers - before.timers,
        records: now.records - before.records,
        record_bytes: now.record_bytes - before.record_bytes,
        turns: now.turns - before.turns,
        effects: now.effects - before.effects,
        resent: now.resent - before.resent,
        replayed: now.replayed - before.replayed,
        doubts: now.doubts - before.doubts,
        claims: now.claims - before.claims,
        pauses: now.pauses - before.pauses,
        full_polls: now.full_polls - before.full_polls,
        breakers: now.breakers - before.breakers,
        routed: now.routed - before.routed,
        routed_again: now.routed_again - before.routed_again,
        route_gaps: now.route_gaps - before.route_gaps,
        route_sessions: now.route_sessions - before.route_sessions,
        events_expired: now.events_expired - before.events_expired,
    }
}

#[cfg(test)]
mod tests;
