//! What became of acts: the turns that took them, looked for in the journal around the time at which they were sent.

use std::collections::BTreeMap;
use std::time::Instant;

use ringmaster_bus::{Bus, BusError, TopicPartition};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Change, Decision, JournalRecord, TopicId, Turn};
use ringmaster_schemas::names::Topics;

use super::Found;
use crate::{blocking, control};

/// Clocks of who sends and who journals may differ so much; where that was too little, by so much more.
const SLACK_MS: [Millis; 2] = [1_000, 60_000];
/// Acts that were sent within this time are looked for in one go.
const TOGETHER_MS: Millis = 2_000;

/// What became of an act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Became {
    pub(super) outcome: &'static str,
    pub(super) reason: Option<String>,
    pub(super) detail: String,
    pub(super) offset: Option<i64>,
}

/// Looks for turns.
pub(super) struct Journals {
    topic: String,
    /// What the journal calls the control topic.
    control: TopicId,
    /// Acts that are asked for, by partition and offset in the control topic: their sagas.
    asked: BTreeMap<(i32, i64), Option<String>>,
    /// What became of those of them whose turns were come by, and under which claim.
    seen: BTreeMap<(i32, i64), (i64, Became)>,
    /// Records that may be read yet, and until when.
    left: usize,
    until: Instant,
}

impl Journals {
    pub(super) fn begin(
        bus: &mut impl Bus,
        topics: &Topics,
        acts: &[Found],
        (left, until): (usize, Instant),
    ) -> Result<Journals, BusError> {
        let control = control::topic_id(bus, topics)?;
        let asked = acts.iter().map(|act| ((act.partition, act.offset), act.shown.saga.clone())).collect();
        Ok(Journals { topic: topics.journal.clone(), control, asked, seen: BTreeMap::new(), left, until })
    }

    /// What became of the first of these, which are the newest first; none where no more may be read. Of the very first of a page
    /// something is said in any case, so that each page goes on.
    pub(super) fn find(&mut self, bus: &mut impl Bus, acts: &[Found], is_first: bool) -> Result<Option<Became>, BusError> {
        let (act, mut looked) = (&acts[0], Looked::Past);
        for slack in SLACK_MS {
            if self.known(act).is_some() {
                break;
            }
            looked = match (looked, self.look(bus, act, together(acts) - slack)?) {
                // As far as it was looked for, nobody has taken it.
                (Looked::ToTheEnd, Looked::TooLittle) => Looked::ToTheEnd,
                (_, looked) => looked,
            };
            if looked == Looked::TooLittle {
                break;
            }
        }
        let elsewhere =
            "its turn is not in the journal around that time: clocks differ by more than a minute, or that part is deleted";
        Ok(match (self.known(act), looked) {
            (Some(became), _) => Some(became),
            (None, Looked::ToTheEnd) => Some(Became::open()),
            (None, Looked::Past) => Some(Became::unknown(elsewhere)),
            (None, Looked::TooLittle) if !is_first => None,
            (None, Looked::TooLittle) => Some(Became::unknown("its turn was not found within what a page reads of the journal")),
        })
    }

    fn known(&self, act: &Found) -> Option<Became> {
        self.seen.get(&(act.partition, act.offset)).map(|(_, became)| became.clone())
    }

    /// Reads the journal from a time on, until the act's turn was come by, or one that follows it.
    fn look(&mut self, bus: &mut impl Bus, act: &Found, from: Millis) -> Result<Looked, BusError> {
        let partition = act.partition;
        let at = TopicPartition { topic: bus.topic(&self.topic), partition };
        let end = blocking::bounds(bus, at)?.1;
        let from = blocking::offset_at(bus, &self.topic, partition, from)?;
        let topic = self.topic.clone();
        let (mut looked, mut term) = (Looked::ToTheEnd, -1);
        blocking::read_from(bus, &topic, (partition, from), &mut |read| {
            self.left = self.left.saturating_sub(1);
            // What is no record of this project is void, as all that is read by its owner.
            if let Ok(Some(record)) = JournalRecord::read(read.value.as_deref().unwrap_or_default()) {
                term = term.max(record.stamp().map_or(read.offset, |stamp| stamp.claim_offset));
                if let JournalRecord::Decision(decision) = record
                    && decision.stamp.claim_offset == term
                    && self.take((partition, read.offset), &decision) >= act.offset
                {
                    looked = Looked::Past;
                }
            }
            if looked == Looked::ToTheEnd && (self.left == 0 || Instant::now() >= self.until) && read.offset + 1 < end {
                looked = Looked::TooLittle;
            }
            looked == Looked::ToTheEnd
        })?;
        Ok(looked)
    }

    /// Keeps what became of acts that are asked for; the newest act of all that was taken, or -1.
    fn take(&mut self, (partition, offset): (i32, i64), decision: &Decision) -> i64 {
        let mut newest = -1;
        for turn in &decision.turns {
            let Some(act) = control::taken(turn, &decision.topics, &self.control) else { continue };
            newest = newest.max(act);
            let Some(saga) = self.asked.get(&(partition, act)) else { continue };
            let (term, known) = (decision.stamp.claim_offset, self.seen.get(&(partition, act)).map_or(-1, |(term, _)| *term));
            // What an owner wrote that was none any more does not count.
            if term >= known {
                self.seen.insert((partition, act), (term, Became::of(saga.as_deref(), offset, turn)));
            }
        }
        newest
    }
}

/// How far the journal was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Looked {
    /// Whatever took it has been read, or comes later.
    ToTheEnd,
    /// Up to what took it, or took a later act.
    Past,
    /// No more may be read.
    TooLittle,
}

/// When the oldest of these was sent that came shortly before the first, in its partition.
fn together(acts: &[Found]) -> Millis {
    let newest = &acts[0];
    let is_near = |act: &&Found| act.partition == newest.partition && newest.timestamp - act.timestamp <= TOGETHER_MS;
    acts.iter().filter(is_near).map(|act| act.timestamp).min().unwrap_or(newest.timestamp)
}

impl Became {
    fn open() -> Became {
        let detail = "nobody has taken it yet: it is taken when a coordinator reads it".to_owned();
        Became { outcome: "open", reason: None, detail, offset: None }
    }

    fn unknown(why: &str) -> Became {
        Became { outcome: "unknown", reason: None, detail: why.to_owned(), offset: None }
    }

    /// `saga`: the one that it was for; none: it was for a participant, or is no act.
    fn of(saga: Option<&str>, offset: i64, turn: &Turn) -> Became {
        let not = |outcome, reason: &str, detail: &str| Became {
            outcome,
            reason: Some(reason.to_owned()),
            detail: detail.to_owned(),
            offset: Some(offset),
        };
        let refusal = turn.changes.iter().find_map(|change| match change {
            Change::Rejected(rejected) => Some(not("rejected", rejected.reason.as_str(), &rejected.detail)),
            Change::Quarantined(quarantined) => Some(not("quarantined", quarantined.reason.as_str(), &quarantined.detail)),
            _ => None,
        });
        refusal.unwrap_or_else(|| {
            let detail = saga.map_or_else(|| "done".to_owned(), |id| control::became(id, turn));
            Became { outcome: "done", reason: None, detail, offset: Some(offset) }
        })
    }
}
