//! A saga in a line, as lists show it.

use std::collections::BTreeMap;

use ringmaster_schemas::Millis;
use ringmaster_schemas::state::{Entry, Status};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::filter::{Filter, Leaf, Row};
use super::super::saga::{moment, written};

/// A saga in a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SagaLine {
    /// Its id.
    pub saga: String,
    /// The definition that it runs by.
    pub definition: String,
    /// Which version of that, by its running number; null if this instance does not know it yet.
    pub version: Option<u32>,
    /// How it stands: stuck, parked, paused, held, running, compensating, completed or compensated.
    pub status: String,
    /// It undoes, or has undone.
    pub undoes: bool,
    /// What it waits for: of several open leaves one that the filter means, else one that needs a person, else the oldest.
    pub waits: Option<SagaWaits>,
    /// Why it failed, or is stuck: a code.
    pub code: Option<String>,
    /// When it began, RFC 3339. So are all times here.
    pub started_at: String,
    /// When it ended.
    pub ended_at: Option<String>,
    /// From 0 to 9; of what is parked the larger goes first.
    pub priority: u8,
    /// Its deadline passed where nothing could be undone any more.
    pub late: bool,
    /// The values that it is found by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub search: BTreeMap<String, String>,
    /// Its last turn, for an act that is to do nothing if it has moved on; null where an earlier build stored it.
    pub if_turn: Option<i64>,
}

/// What a saga waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SagaWaits {
    /// Why: reply, retry, stuck, time, approval, event, parked, paused, items or sub-saga.
    pub reason: String,
    /// The step; null: the whole saga.
    pub step: Option<String>,
    /// It is about the step's undo.
    pub undo: bool,
    /// The participant whose doing it waits for.
    pub on: Option<String>,
    /// Since when.
    pub since: String,
    /// When it goes on by itself; null: never, or when it is its turn.
    pub wakes_at: Option<String>,
    /// Of items: how many are stuck, parked or paused.
    pub held: Option<usize>,
}

impl SagaLine {
    /// Of a row that is meant.
    pub(super) fn of(row: &Row<'_>, filter: &Filter, now: Millis) -> SagaLine {
        let Row { saga, standing, .. } = row;
        let leaf = row.shown_by(&filter.leaf, now);
        let of_leaf = leaf.and_then(|leaf| leaf.entry).and_then(Entry::failure);
        let failure = of_leaf.or(saga.failure.as_ref());
        SagaLine {
            saga: saga.id.to_string(),
            definition: row.definition_name().to_owned(),
            version: row.version,
            status: standing.as_str().to_owned(),
            undoes: matches!(saga.status, Status::Compensating | Status::Compensated),
            waits: leaf.map(|leaf| SagaWaits::of(leaf, row)),
            code: failure.map(|failure| failure.code.to_string()),
            started_at: written(saga.head.started_at()),
            ended_at: saga.ended.as_ref().and_then(|end| moment(end.at)),
            priority: saga.priority,
            late: saga.late,
            search: saga.head.search().keys().map(|key| (key.name.to_owned(), key.value.to_owned())).collect(),
            if_turn: saga.turns.last(),
        }
    }
}

impl SagaWaits {
    fn of(leaf: &Leaf<'_>, row: &Row<'_>) -> SagaWaits {
        // Clocks that stand while the saga is held wake nobody.
        let clock = |entry: &Entry| entry.clock().filter(|_| row.saga.held_since.is_none());
        let held = leaf.entry.and_then(Entry::children).map(|rows| rows.open.iter().filter(|child| child.held).count());
        SagaWaits {
            reason: leaf.reason.to_owned(),
            step: leaf.step.clone().filter(|step| !step.is_empty()),
            undo: leaf.is_undo(),
            on: leaf.participant.map(str::to_owned),
            since: written(leaf.since),
            wakes_at: leaf.entry.and_then(|entry| moment(clock(entry).unwrap_or_else(|| entry.due_at()))),
            held,
        }
    }
}
