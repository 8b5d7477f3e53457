//! An act as it stands in the control topic.

use std::borrow::Cow;

use ringmaster_core::intake::{ControlAct, ControlOutcome, ControlRecord, ParticipantAct, ParticipantRecord};
use serde::Serialize;

use super::super::saga;
use super::{Act, ActBody, ActEnd};
use crate::control::Addressed;

impl ActBody {
    /// The records of the control topic that it is, by an id and by whom; none if it names no saga by its id, or no participant.
    pub(crate) fn records(&self, id: &str, partitions: i32, by: &str) -> Vec<Addressed> {
        match of_saga(self.act) {
            Ok(act) => self.record_of_saga(act, (id, by), partitions).into_iter().collect(),
            Err(act) => self.records_of_participant(act, (id, by), partitions),
        }
    }

    /// Each partition has a breaker of its own.
    fn records_of_participant(&self, act: ParticipantAct, (id, by): (&str, &str), partitions: i32) -> Vec<Addressed> {
        let Some(participant) = &self.participant else { return Vec::new() };
        let record = ParticipantRecord {
            id: Some(Cow::Borrowed(id)),
            participant: Cow::Borrowed(participant),
            act,
            by: Cow::Borrowed(by),
            why: Cow::Borrowed(&self.why),
        };
        let (key, bytes) = (participant.as_bytes(), bytes_of(&record));
        (0..partitions).map(|partition| Addressed { partition, key: key.to_vec(), bytes: bytes.clone() }).collect()
    }

    fn record_of_saga(&self, act: ControlAct, (id, by): (&str, &str), partitions: i32) -> Option<Addressed> {
        let saga = self.saga.as_deref()?;
        let (partition, key) = (saga::partition_of(saga, partitions)?, saga::key_of(saga)?);
        let outcome = |end| match end {
            ActEnd::Succeeded => ControlOutcome::Succeeded,
            ActEnd::Refused => ControlOutcome::Refused,
        };
        let record = ControlRecord {
            id: Some(Cow::Borrowed(id)),
            saga: Cow::Borrowed(saga),
            act,
            step: self.step.as_deref().map(Cow::Borrowed),
            by: Cow::Borrowed(by),
            why: Cow::Borrowed(&self.why),
            if_turn: self.if_turn,
            outcome: self.outcome.map(outcome),
            code: self.code.as_deref().map(Cow::Borrowed),
            value: self.value.as_deref(),
        };
        Some(Addressed { partition, key, bytes: bytes_of(&record) })
    }
}

fn bytes_of(record: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(record).expect("texts are always JSON")
}

/// What is done to a saga, or else to a participant.
fn of_saga(act: Act) -> Result<ControlAct, ParticipantAct> {
    Ok(match act {
        Act::Cancel => ControlAct::Cancel,
        Act::Retry => ControlAct::Retry,
        Act::Skip => ControlAct::Skip,
        Act::Resolve => ControlAct::Resolve,
        Act::Approve => ControlAct::Approve,
        Act::Refuse => ControlAct::Refuse,
        Act::Pause => ControlAct::Pause,
        Act::Resume => ControlAct::Resume,
        Act::Start => ControlAct::Start,
        Act::ParticipantPause => return Err(ParticipantAct::Pause),
        Act::ParticipantResume => return Err(ParticipantAct::Resume),
    })
}
