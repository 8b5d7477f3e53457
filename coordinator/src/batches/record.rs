//! What stands in the topic of batches, as JSON: which sagas a batch has, what people want with it, and how far it is.

use std::collections::BTreeMap;

use ringmaster_schemas::Millis;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::api::{Act, ActBody, ActEnd, Missing, SagaLine};

/// A part has at most so many sagas, and about so many bytes: the topic takes records of a megabyte.
const PART_SAGAS_MAX: usize = 1_000;
const PART_BYTES_MAX: usize = 400 << 10;

/// A record of the topic.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Written {
    /// What tells it from all others: whoever wrote it finds it again by that.
    pub id: String,
    /// When, by the clock of whoever wrote it, in milliseconds since 1970.
    pub at: Millis,
    /// What it says.
    pub says: Record,
}

/// What a record says. Its place in the topic decides whether that is taken.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// There is a batch; its sagas follow.
    Made(Box<Made>),
    /// Some of its sagas.
    Part(Part),
    /// What a person wants with it.
    Ordered(Ordered),
    /// From here on these acts may be sent.
    Window(Window),
    /// What became of them.
    Settled(Settled),
}

impl Record {
    /// Of which batch it is.
    pub fn batch(&self) -> &str {
        match self {
            Record::Made(made) => &made.batch,
            Record::Part(part) => &part.batch,
            Record::Ordered(ordered) => &ordered.batch,
            Record::Window(window) => &window.batch,
            Record::Settled(settled) => &settled.batch,
        }
    }
}

impl Written {
    /// Now, under an id of its own.
    pub fn new(at: Millis, says: Record) -> Written {
        Written { id: format!("{:016x}", fastrand::u64(..)), at, says }
    }

    /// Its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts are always JSON")
    }
}

/// What is done to each saga.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct What {
    /// The act: any but start, and those on participants.
    pub act: Act,
    /// The step that is meant; then only sagas that wait there are selected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// With `step`: those that wait at its undo. To resolve without it: those that wait at the step itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undo: bool,
    /// To resolve: how all of them ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<ActEnd>,
    /// To resolve as refused: by which code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// To skip, or to resolve as succeeded: the step's result. Any JSON, of at most 10,000 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    pub value: Option<Box<RawValue>>,
}

impl What {
    /// The act on one saga, as it was seen. An act that is for no step has selected by one, and does not say it.
    pub fn on(&self, saga: &str, if_turn: Option<i64>, why: &str) -> ActBody {
        ActBody {
            act: self.act,
            saga: Some(saga.to_owned()),
            participant: None,
            step: self.step.clone().filter(|_| self.act.takes_step()),
            why: why.to_owned(),
            by: None,
            if_turn,
            outcome: self.outcome,
            code: self.code.clone(),
            value: self.value.clone(),
        }
    }
}

/// A batch: what was asked for, and how many sagas that means.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Made {
    /// Its id.
    pub batch: String,
    /// What is done to each.
    pub what: What,
    /// Which sagas were meant.
    pub filter: String,
    /// Why, as each act says it.
    pub why: String,
    /// Who selected them.
    pub by: String,
    /// It may be started until then, in milliseconds since 1970.
    pub expires_at: Millis,
    /// How many it has of each partition.
    pub shares: BTreeMap<i32, usize>,
    /// How many of each definition.
    pub by_definition: BTreeMap<String, usize>,
    /// How many stand so.
    pub by_status: BTreeMap<String, usize>,
    /// How many wait at a step, for a reason: `ship: stuck`.
    pub by_step: BTreeMap<String, usize>,
    /// The first of them.
    pub sample: Vec<SagaLine>,
    /// Partitions that could not be asked.
    pub missing: Vec<Missing>,
    /// Sagas that are left out, since an earlier build stored them without their last turn.
    pub left_out: usize,
}

impl Made {
    /// How many sagas it has.
    pub fn matched(&self) -> usize {
        self.shares.values().sum()
    }
}

/// A saga, and the journal offset of its last turn as it was seen.
pub type Selected = (String, i64);

/// Sagas of one partition, in the order in which they are acted on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Part {
    /// Of which batch.
    pub batch: String,
    /// Where they live.
    pub partition: i32,
    /// The place of the first in the partition's share.
    pub from: usize,
    /// They.
    pub sagas: Vec<Selected>,
}

/// What a person wants with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Act on them, if they are so many, at this rate.
    Start {
        /// How many whoever starts it saw.
        expected: usize,
        /// Acts a second.
        rate: u32,
    },
    /// Announce nothing more until it is resumed.
    Pause,
    /// Go on.
    Resume,
    /// Announce nothing more.
    Stop,
}

/// An order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ordered {
    /// To which batch.
    pub batch: String,
    /// Who.
    pub by: String,
    /// What.
    pub order: Order,
}

/// The next acts of a partition's share: none of them was sent before this stood in the topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Of which batch.
    pub batch: String,
    /// Of which partition.
    pub partition: i32,
    /// The place of the first.
    pub from: usize,
    /// The place behind the last.
    pub to: usize,
    /// Where the partition's journal ended before it was announced: what becomes of them stands there or behind.
    pub journal: i64,
}

/// What became of the acts of a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// Of which batch.
    pub batch: String,
    /// Of which partition.
    pub partition: i32,
    /// The place behind the last.
    pub to: usize,
    /// How many were done, and how many not for which reason.
    pub counts: Counts,
    /// Of those that were not taken some, with the reasons in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<super::Example>,
}

/// How many acts became what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// The saga took it.
    pub done: usize,
    /// Not taken, by reason, such as MOVED_ON.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rejected: BTreeMap<String, usize>,
}

impl Counts {
    /// All of them.
    pub fn count(&self) -> usize {
        self.done + self.rejected.values().sum::<usize>()
    }

    /// With those of others.
    pub fn add(&mut self, other: &Counts) {
        self.done += other.done;
        for (reason, count) in &other.rejected {
            *self.rejected.entry(reason.clone()).or_default() += count;
        }
    }
}

/// What ids of batches begin with, and no id of an act that is alone.
const BATCH: &str = "b-";

impl Made {
    /// An id for a new batch.
    pub fn new_id() -> String {
        format!("{BATCH}{:012x}", fastrand::u64(..) >> 16)
    }
}

/// The id of an act of a batch: `b-0123456789ab/3.17`, the place 17 of partition 3.
pub fn act_id(batch: &str, partition: i32, place: usize) -> String {
    format!("{batch}/{partition}.{place}")
}

/// The batch that an act is of, by the act's id; none if it is alone.
pub fn is_of_batch(act: &str) -> Option<&str> {
    act.split_once('/').map(|(batch, _)| batch).filter(|batch| batch.starts_with(BATCH))
}

/// A partition's sagas in parts, each small enough for a record.
pub fn parts_of(batch: &str, partition: i32, sagas: Vec<Selected>) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut bytes = 0;
    for (place, saga) in sagas.into_iter().enumerate() {
        let more = saga.0.len() + 32;
        match parts.last_mut() {
            Some(part) if part.sagas.len() < PART_SAGAS_MAX && bytes + more <= PART_BYTES_MAX => {
                bytes += more;
                part.sagas.push(saga);
            }
            _ => {
                bytes = more;
                parts.push(Part { batch: batch.to_owned(), partition, from: place, sagas: vec![saga] });
            }
        }
    }
    parts
}
