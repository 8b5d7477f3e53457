//! A saga's row as it is told: its types, which the document of the API has too.

use std::collections::BTreeMap;

use ringmaster_core::saga::Way;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A saga, an item or a sub-saga, without bodies. Times are RFC 3339; null: not yet, or never.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SagaRow {
    /// Its id.
    pub saga: String,
    /// Of an item: the saga that it is of.
    pub item_of: Option<String>,
    /// Of a sub-saga: the saga that runs it.
    pub run_by: Option<String>,
    /// The definition that it runs by.
    pub definition: String,
    /// The version, by its hash; null: it has not begun.
    pub version: Option<String>,
    /// The version's running number; null: this instance does not know it yet.
    pub version_number: Option<u32>,
    /// What tells it from others of its definition.
    pub key: String,
    /// How it stands: expected (it has only events that came early), running, compensating, completed, compensated.
    pub status: String,
    /// Something of it waits for a person.
    pub stuck: bool,
    /// Where in its partition's journal its turns stand.
    pub turns: SagaTurns,
    /// Its last turn: with an act, that it be done only if it still is; null: an earlier build stored it.
    pub if_turn: Option<i64>,
    /// When it began.
    pub started_at: Option<String>,
    /// When it is given up.
    pub deadline_at: Option<String>,
    /// Since when nothing goes forward, since something of it needs a person.
    pub held_since: Option<String>,
    /// It is paused.
    pub paused: Option<SagaPaused>,
    /// Its pivot succeeded: it is not undone any more.
    pub passed: bool,
    /// It has not ended within its deadline.
    pub late: bool,
    /// When something of it is due next.
    pub due_at: Option<String>,
    /// When it ended.
    pub ended_at: Option<String>,
    /// Until when it is remembered.
    pub expires_at: Option<String>,
    /// The event that started it: CloudEvents' source and id, or where it stands; null: it has not begun.
    pub source: Option<String>,
    /// W3C trace context of what started it.
    pub traceparent: Option<String>,
    /// Why it undoes, or undid.
    pub failure: Option<SagaFailure>,
    /// Its open and done steps, in the order in which they were entered.
    pub entries: Vec<SagaEntry>,
    /// Events that came before something waits for them.
    pub early_events: Vec<SagaEarly>,
    /// Why each open leaf waits; absent: this instance does not know the version yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<Vec<SagaReason>>,
    /// What was passed and leaves no entry; absent: this instance does not know the version yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_the_way: Option<Vec<SagaPassed>>,
    /// Values by which events of its waits are known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<SagaClaim>,
    /// What it is found by.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub search: BTreeMap<String, String>,
    /// Commands that say more.
    pub more: Vec<String>,
    /// Where it lives.
    pub partition: i32,
    /// All below this offset of its journal is in it.
    pub as_of_journal_offset: i64,
    /// Which records count behind that; null: nothing was stored yet.
    pub as_of_term: Option<SagaTerm>,
}

/// Where turns stand in the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SagaTurns {
    /// Of the first turns.
    pub first: Vec<i64>,
    /// How many behind those are not remembered.
    pub left_out: i64,
    /// Of the last ones.
    pub last: Vec<i64>,
}

/// Who paused it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SagaPaused {
    /// Since when.
    pub since: Option<String>,
    /// The saga above it, with which it is paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub with: Option<String>,
    /// Who.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// How something ended without success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = SagaRowFailure)]
pub struct SagaFailure {
    /// For programs, such as CARD_DECLINED.
    pub code: String,
    /// The step.
    pub step: String,
    /// Of which kind: refused, timeout, cancelled ...
    pub kind: String,
    /// For people.
    pub message: String,
}

/// A step that was entered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SagaEntry {
    /// The step.
    pub step: String,
    /// Its number in the definition.
    pub node: u16,
    /// Which round of its loop, from 1.
    pub round: u8,
    /// How far its work is.
    pub work: String,
    /// What it waits for; no: nothing.
    pub waits: String,
    /// Since when it stands so.
    pub since: Option<String>,
    /// When it goes on by itself.
    pub due_at: Option<String>,
    /// Of its command, from 1.
    pub attempt: u16,
    /// The command that it asks.
    pub order: Option<SagaOrder>,
    /// How its last attempt, or it, ended without success.
    pub failure: Option<SagaFailure>,
    /// Since when an answer that came too late may have done something that is not undone.
    pub stray_since: Option<String>,
    /// Its items.
    pub items: Option<SagaItems>,
}

/// A command that is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SagaOrder {
    /// Which, such as payment.Charge.
    pub command: String,
    /// When it was first asked.
    pub first_time: Option<String>,
    /// Until when it is asked again.
    pub until: Option<String>,
    /// How long its body is.
    pub body_bytes: usize,
}

/// The items of a for_each, as far as its saga's row knows them; each has a row of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SagaItems {
    /// How many there are.
    pub count: u16,
    /// How many have begun.
    pub begun: u16,
    /// At most so many run at once.
    pub at_once: u16,
    /// Those that run, by their numbers.
    pub under_way: Vec<u16>,
    /// Those of them that need a person.
    pub held: Vec<u16>,
}

/// An event that came before something waits for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SagaEarly {
    /// Where it was read.
    pub topic: String,
    /// Its type.
    pub kind: String,
    /// Which event it is.
    pub source: String,
    /// Until when it is kept.
    pub kept_until: Option<String>,
}

/// A value by which the event of a wait is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SagaClaim {
    /// The entry that waits.
    pub entry: u16,
    /// Where the event comes.
    pub topic: String,
    /// Its type.
    pub kind: String,
    /// The field that has the value.
    pub field: String,
    /// The value.
    pub value: String,
    /// The value's row has noted it.
    pub granted: bool,
}

/// What was passed and leaves no entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SagaPassed {
    /// The step.
    pub step: String,
    /// skipped; emitted; arm N of a switch ...
    pub what: String,
}

/// Why an open leaf waits.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SagaReason {
    /// Which entry; null: it does not begin while the saga is paused.
    pub place: Option<u16>,
    /// The step; of a saga's end `on_completed` or `on_compensated`.
    pub step: String,
    /// It is about the step's undo.
    pub undo: bool,
    /// Why, in a word: reply, retry, parked, stuck, sleep, event, approval, children, sub-saga, paused, undeliverable ...
    pub reason: String,
    /// Since when.
    pub since: Option<String>,
    /// When it wakes without anybody's doing.
    pub wakes_at: Option<String>,
    /// What it waits for, in words.
    pub waits_for: String,
    /// What wakes it, and what happens then, in words.
    pub wakes_it: String,
    /// What a person can do; empty where it goes on by itself.
    pub ways_out: Vec<SagaWay>,
    /// Whom it asks; absent: nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on: Option<SagaAsks>,
    /// What is known of that participant; absent where only the row is told, without why it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<SagaEvidence>,
    /// How the last attempt, or the leaf, ended without success.
    pub failure: Option<SagaFailure>,
    /// What those are shown whose approval is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub show: Option<Value>,
    /// The roles of those who may answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<String>>,
    /// For whom it is parked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub participant: Option<String>,
    /// Why that participant is not asked; absent: it is by now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breaker: Option<SagaBreaker>,
}

/// What a person can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SagaWay {
    /// The act, as `POST /api/v1/acts` names it; null: it only looks, or is done elsewhere.
    pub act: Option<String>,
    /// The command that does it; null: it is done elsewhere.
    pub command: Option<String>,
    /// What that does, in words.
    pub effect: String,
}

impl SagaWay {
    pub(super) fn of(way: &Way) -> SagaWay {
        SagaWay { act: way.act.map(str::to_owned), command: way.command.clone(), effect: way.effect.clone() }
    }
}

/// Whom a leaf asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SagaAsks {
    /// The participant.
    pub participant: String,
    /// The command, such as payment.Charge; null: it is not made yet.
    pub command: Option<String>,
    /// The last attempt, from 1; 0: there was none yet.
    pub attempt: u32,
    /// Where it stands among what is parked for it.
    #[serde(skip)]
    pub(super) rank: Option<i64>,
}

/// What is known of the participant that a saga waits for, by the partitions of the instance that has the saga.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct SagaEvidence {
    /// Attempts that it has not answered, and whose time is not over; null: not known.
    pub unanswered: Option<u64>,
    /// How long ago the oldest of those was sent, in seconds.
    pub oldest_s: Option<f64>,
    /// It has been asked for so long, and has answered nothing; null: it answers, or nothing was asked of it.
    pub silent_s: Option<f64>,
    /// Commands that wait until it is asked again; null: not known.
    pub parked: Option<u64>,
    /// Of what is parked: so many sagas and items of the same partition go out before it. Counted to 10,000: so many is that, or more. Null: it is not parked.
    pub before_it: Option<u64>,
    /// By so many partitions the others are told,
    pub partitions: usize,
    /// of so many.
    pub partitions_of: usize,
}

/// Why a participant is not asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SagaBreaker {
    /// open, probing, draining, paused.
    pub state: String,
    /// Since when.
    pub since: Option<String>,
    /// Who paused it.
    pub by: Option<String>,
    /// Why.
    pub why: String,
}

/// Which records of a journal count behind what is stored: those of this claim, from this number on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SagaTerm {
    /// Where the claim stands.
    pub claim_offset: i64,
    /// Its id, in hex.
    pub claim: String,
    /// The number of the next record.
    pub number: i64,
}

/// What of a saga's row says why it waits.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SagaWhy {
    /// Its id.
    pub saga: String,
    /// Of an item: the saga that it is of.
    pub item_of: Option<String>,
    /// Of a sub-saga: the saga that runs it.
    pub run_by: Option<String>,
    /// The definition that it runs by.
    pub definition: String,
    /// The version, by its hash.
    pub version: Option<String>,
    /// How it stands.
    pub status: String,
    /// The version's running number.
    pub version_number: Option<u32>,
    /// When it began.
    pub started_at: Option<String>,
    /// When it is given up.
    pub deadline_at: Option<String>,
    /// Since when nothing goes forward, since something of it needs a person.
    pub held_since: Option<String>,
    /// It is paused.
    pub paused: Option<SagaPaused>,
    /// When it ended.
    pub ended_at: Option<String>,
    /// Until when it is remembered.
    pub expires_at: Option<String>,
    /// Its last turn: with an act, that it be done only if it still is.
    pub if_turn: Option<i64>,
    /// Why each open leaf waits; null: this instance does not know the version yet.
    pub why: Option<Vec<SagaReason>>,
    /// Events that came before something waits for them.
    pub early_events: Vec<SagaEarly>,
}

impl From<SagaRow> for SagaWhy {
    fn from(row: SagaRow) -> SagaWhy {
        SagaWhy {
            saga: row.saga,
            item_of: row.item_of,
            run_by: row.run_by,
            definition: row.definition,
            version: row.version,
            status: row.status,
            version_number: row.version_number,
            started_at: row.started_at,
            deadline_at: row.deadline_at,
            held_since: row.held_since,
            paused: row.paused,
            ended_at: row.ended_at,
            expires_at: row.expires_at,
            if_turn: row.if_turn,
            why: row.why,
            early_events: row.early_events,
        }
    }
}
