//! What a line's journal says.

use std::sync::Arc;

use ringmaster_schemas::journal::{Cause, Change, Decision, JournalRecord, Quarantined, Rejected, SagaEvent, Turn};

use super::line::Line;

impl Line {
    pub(crate) fn records(&self) -> Vec<JournalRecord> {
        self.journal.iter().map(|bytes| JournalRecord::decode(bytes).expect("a journal record")).collect()
    }

    fn decisions(&self) -> Vec<Decision> {
        let decision = |record| match record {
            JournalRecord::Decision(decision) => Some(decision),
            _ => None,
        };
        self.records().into_iter().filter_map(decision).collect()
    }

    pub(crate) fn turns(&self) -> Vec<Turn> {
        self.decisions().into_iter().flat_map(|decision| decision.turns).collect()
    }

    /// Events of sagas that timers caused.
    pub(crate) fn timed_events(&self) -> Vec<(Arc<str>, SagaEvent)> {
        let by_timer = self.turns().into_iter().filter(|turn| matches!(turn.cause, Cause::Due { .. }));
        let events = by_timer.flat_map(|turn| turn.changes).filter_map(|change| match change {
            Change::Saga(change) => Some(change),
            _ => None,
        });
        events.flat_map(|change| change.events.into_iter().map(move |event| (change.saga.clone(), event))).collect()
    }

    /// What happened to a saga.
    pub(crate) fn events_of(&self, saga: &str) -> Vec<SagaEvent> {
        let changes = self.turns().into_iter().flat_map(|turn| turn.changes);
        let events = changes.filter_map(|change| match change {
            Change::Saga(change) if *change.saga == *saga => Some(change.events),
            _ => None,
        });
        events.flatten().collect()
    }

    /// How many sagas began.
    pub(crate) fn started(&self) -> u64 {
        self.counters.started
    }

    pub(crate) fn quarantined(&self) -> Vec<Quarantined> {
        let all = self.turns().into_iter().flat_map(|turn| turn.changes);
        let quarantined = |change| match change {
            Change::Quarantined(quarantined) => Some(quarantined),
            _ => None,
        };
        all.filter_map(quarantined).collect()
    }

    pub(crate) fn rejected(&self) -> Vec<Rejected> {
        let all = self.turns().into_iter().flat_map(|turn| turn.changes);
        let rejected = |change| match change {
            Change::Rejected(rejected) => Some(rejected),
            _ => None,
        };
        all.filter_map(rejected).collect()
    }
}
