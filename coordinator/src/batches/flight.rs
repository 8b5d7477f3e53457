//! Acts of a window on their way: which were sent, and what the journal says of each.

use std::collections::BTreeMap;

use ringmaster_core::partition::{Fence, Verdict};
use ringmaster_schemas::journal::{Change, JournalRecord, TopicId, Turn};

use super::book::{Batch, Example};
use super::record::{Counts, Selected, Settled, What, Window, act_id};
use crate::control::{self, Addressed};

/// Of one window so many that were not taken are told in words.
const EXAMPLES_MAX: usize = 20;
/// What is said of a record that no partition could read: an older build has it.
const QUARANTINED: &str = "QUARANTINED";

/// What became of an act.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Done,
    Rejected { reason: String, detail: String },
}

/// A window whose acts are sent from here.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) window: Window,
    /// Where the journal is read on.
    pub(super) next: i64,
    sagas: Vec<Selected>,
    what: What,
    why: String,
    by: String,
    /// What the journal calls the topic of acts.
    control: TopicId,
    /// Which records count; none: that is not known yet.
    fence: Option<Fence>,
    /// By place: the first turn that counts.
    outcomes: BTreeMap<usize, Outcome>,
}

impl Flight {
    pub(super) fn new(batch: &Batch, window: &Window, control: TopicId) -> Flight {
        let by = batch.orders.first().map_or(&batch.made.by, |(_, ordered)| &ordered.by);
        Flight {
            window: window.clone(),
            next: window.journal,
            sagas: batch.sagas(window).to_vec(),
            what: batch.made.what.clone(),
            why: batch.made.why.clone(),
            by: by.clone(),
            control,
            fence: None,
            outcomes: BTreeMap::new(),
        }
    }

    /// Nothing of it is open.
    pub(super) fn is_settled(&self) -> bool {
        self.outcomes.len() == self.window.to - self.window.from
    }

    /// The acts of which nothing is known, as records of the control topic: the same bytes whoever makes them.
    pub(super) fn open(&self, partitions: i32) -> Vec<Addressed> {
        let places = (self.window.from..).zip(&self.sagas).filter(|(place, _)| !self.outcomes.contains_key(place));
        let record = |(place, (saga, if_turn)): (usize, &Selected)| {
            let id = act_id(&self.window.batch, self.window.partition, place);
            self.what.on(saga, Some(*if_turn), &self.why).records(&id, partitions, &self.by)
        };
        places.flat_map(record).collect()
    }

    /// Takes a record of the partition's journal. None: it cannot be read, so that it is foreign, and void.
    pub(super) fn read(&mut self, offset: i64, record: Option<&JournalRecord>) {
        if offset < self.next {
            return;
        }
        // What lies between is gone: which claim is in force is not known any more.
        self.fence.take_if(|_| offset > self.next);
        self.next = offset + 1;
        if let Some(record) = record
            && self.counts(offset, record)
            && let JournalRecord::Decision(decision) = record
        {
            // An event, or an answer, may say what an act says.
            let control = self.control;
            let acts = decision.turns.iter().filter(|turn| control::taken(turn, &decision.topics, &control).is_some());
            acts.for_each(|turn| self.turn(turn));
        }
    }

    /// Whether a record counts. Reading begins in the middle of a term: a record that stands at its claim's offset + 1 + its number has nothing
    /// but its own term before it, so that it does, and from there on all others are judged as ever.
    fn counts(&mut self, offset: i64, record: &JournalRecord) -> bool {
        if let Some(fence) = &mut self.fence {
            return fence.judge(offset, record) == Verdict::Counts;
        }
        let mut fence = Fence::default();
        if let Some(stamp) = record.stamp() {
            if offset != stamp.claim_offset + 1 + stamp.number {
                return false;
            }
            (fence.claim_offset, fence.claim, fence.number) = (stamp.claim_offset, stamp.claim, stamp.number);
        }
        let verdict = fence.judge(offset, record);
        self.fence = Some(fence);
        verdict == Verdict::Counts
    }

    fn turn(&mut self, turn: &Turn) {
        let Some(place) = control::act_id(turn).and_then(|id| self.place(&id)) else { return };
        self.outcomes.entry(place).or_insert_with(|| outcome(turn));
    }

    /// The place of the act of this id, if it is of this window.
    fn place(&self, id: &str) -> Option<usize> {
        let (partition, place) = id.strip_prefix(&*self.window.batch)?.strip_prefix('/')?.split_once('.')?;
        let (partition, place): (i32, usize) = (partition.parse().ok()?, place.parse().ok()?);
        (partition == self.window.partition && (self.window.from..self.window.to).contains(&place)).then_some(place)
    }

    /// What became of all of them.
    pub(super) fn settled(&self) -> Settled {
        let (mut counts, mut examples) = (Counts::default(), Vec::new());
        for (place, outcome) in &self.outcomes {
            match outcome {
                Outcome::Done => counts.done += 1,
                Outcome::Rejected { reason, detail } => {
                    *counts.rejected.entry(reason.clone()).or_default() += 1;
                    if examples.len() < EXAMPLES_MAX {
                        let saga = self.sagas[place - self.window.from].0.clone();
                        examples.push(Example { saga, reason: reason.clone(), detail: detail.clone() });
                    }
                }
            }
        }
        let Window { batch, partition, to, .. } = self.window.clone();
        Settled { batch, partition, to, counts, examples }
    }
}

fn outcome(turn: &Turn) -> Outcome {
    let of = |change: &Change| match change {
        Change::Rejected(rejected) => Some((rejected.reason.as_str().to_owned(), rejected.detail.to_string())),
        Change::Quarantined(quarantined) => Some((QUARANTINED.to_owned(), quarantined.detail.to_string())),
        _ => None,
    };
    match turn.changes.iter().find_map(of) {
        Some((reason, detail)) => Outcome::Rejected { reason, detail },
        None => Outcome::Done,
    }
}
