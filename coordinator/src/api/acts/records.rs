//! An act as it stands in the control topic.

use std::borrow::Cow;

use ringmaster_core::intake::{ControlAct, ControlOutcome, ControlRecord, ParticipantAct, ParticipantRecord};

use super::super::saga;
use super::{Act, ActBody, ActEnd};
use crate::control::Addressed;

impl ActBody {
    /// The records of the control topic that it is, by an id and by whom.
    pub(crate) fn records(&self, id: &str, partitions: i32, by: &str) -> Vec<Addressed> {
        records(self, (id, by), partitions)
    }
}

fn records(body: &ActBody, (id, by): (&str, &str), partitions: i32) -> Vec<Addressed> {
    let (id, by, why) = (Some(Cow::Borrowed(id)), Cow::Borrowed(by), Cow::Borrowed(&*body.why));
    if let Some(participant) = &body.participant {
        let act = if body.act == Act::ParticipantPause { ParticipantAct::Pause } else { ParticipantAct::Resume };
        let record = ParticipantRecord { id, participant: Cow::Borrowed(participant), act, by, why };
        let bytes = serde_json::to_vec(&record).expect("texts are always JSON");
        let key = participant.as_bytes();
        return (0..partitions).map(|partition| Addressed { partition, key: key.to_vec(), bytes: bytes.clone() }).collect();
    }
    let saga = body.saga.as_deref().unwrap_or_default();
    let outcome = |end| match end {
        ActEnd::Succeeded => ControlOutcome::Succeeded,
        ActEnd::Refused => ControlOutcome::Refused,
    };
    let record = ControlRecord {
        id,
        saga: Cow::Borrowed(saga),
        act: control_act(body.act),
        step: body.step.as_deref().map(Cow::Borrowed),
        by,
        why,
        if_turn: body.if_turn,
        outcome: body.outcome.map(outcome),
        code: body.code.as_deref().map(Cow::Borrowed),
        value: body.value.as_deref(),
    };
    let bytes = serde_json::to_vec(&record).expect("texts are always JSON");
    let (partition, key) = (saga::partition_of(saga, partitions), saga::key_of(saga));
    partition.zip(key).map(|(partition, key)| Addressed { partition, key, bytes }).into_iter().collect()
}

fn control_act(act: Act) -> ControlAct {
    match act {
        Act::Cancel => ControlAct::Cancel,
        Act::Retry => ControlAct::Retry,
        Act::Skip => ControlAct::Skip,
        Act::Resolve => ControlAct::Resolve,
        Act::Approve => ControlAct::Approve,
        Act::Refuse => ControlAct::Refuse,
        Act::Resume => ControlAct::Resume,
        Act::Start => ControlAct::Start,
        // Those of participants are records of their own.
        Act::Pause | Act::ParticipantPause | Act::ParticipantResume => ControlAct::Pause,
    }
}
