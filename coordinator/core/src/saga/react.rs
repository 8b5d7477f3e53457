//! What to send: a mechanical map from an event, and the state it left, to records for others.

use std::sync::Arc;

use bytes::Bytes;
use ringmaster_schemas::journal::{CommandIssued, Emission, Encoding, SagaEvent};
use ringmaster_schemas::names::{self, Direction};
use ringmaster_schemas::state::{Header, Saga};
use ringmaster_schemas::{Millis, json, wire};

use crate::faults::mutated;

/// A record for others; it leaves only behind the confirmed journal record that caused it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// Where to.
    pub topic: Arc<str>,
    /// The record's key.
    pub key: Bytes,
    /// The record's value.
    pub value: Bytes,
    /// Its headers; commands have none.
    pub headers: Vec<Header>,
}

/// Where answers are to go.
#[derive(Debug, Clone, Copy)]
pub struct ReplyTo<'a> {
    /// The reply topic.
    pub topic: &'a str,
    /// The saga's partition.
    pub partition: i32,
}

/// Appends what an event causes to be sent, in order. `saga` is the state right after the event. Topic names come from `topic_of`
/// (a command's participant), so that they are made once.
pub fn react(
    id: &str,
    saga: &Saga,
    event: &SagaEvent,
    reply_to: ReplyTo<'_>,
    topic_of: &mut dyn FnMut(&Arc<str>) -> Arc<str>,
    out: &mut Vec<Effect>,
) {
    match event {
        SagaEvent::CommandIssued(issued) if issued.attempt > 1 && mutated("retry_not_sent") => {}
        SagaEvent::CommandIssued(issued) => out.push(command(id, saga, issued, reply_to, topic_of)),
        SagaEvent::Completed(ended) | SagaEvent::Compensated(ended) => {
            out.extend(ended.emissions.iter().map(|emission| emitted(id, saga, emission, ended.at)));
        }
        SagaEvent::Started(_)
        | SagaEvent::StepSkipped(_)
        | SagaEvent::RetryScheduled(_)
        | SagaEvent::StepSucceeded(_)
        | SagaEvent::StepRefused(_)
        | SagaEvent::StepFailed(_)
        | SagaEvent::CompensationBegan(_)
        | SagaEvent::StepUndone(_)
        | SagaEvent::StepStuck(_)
        | SagaEvent::MarkedLate(_)
        | SagaEvent::ContradictionFound(_) => {}
    }
}

fn command(
    id: &str,
    saga: &Saga,
    issued: &CommandIssued,
    reply_to: ReplyTo<'_>,
    topic_of: &mut dyn FnMut(&Arc<str>) -> Arc<str>,
) -> Effect {
    let step = saga.steps.iter().find(|step| step.index == issued.step).expect("an issued step has a row");
    let (call, direction) = if issued.undo {
        (step.undo.as_ref().expect("an issued undo has a row"), Direction::Undo)
    } else {
        (&step.call, Direction::Do)
    };
    let idempotency_key = names::idempotency_key(id, &step.name, direction);
    let undoes = (issued.undo && !mutated("undo_names_no_do")).then(|| names::idempotency_key(id, &step.name, Direction::Do));
    let meta = wire::CommandMeta {
        command: (&*call.command).into(),
        idempotency_key: idempotency_key.into(),
        attempt: issued.attempt,
        undoes: undoes.map(Into::into),
        reply_to: reply_to.topic.into(),
        reply_partition: reply_to.partition,
        first_time: call.first_time,
        traceparent: saga.traceparent.as_deref().map(Into::into),
    };
    let mut value = Vec::with_capacity(160 + call.body.len());
    match call.encoding {
        Encoding::Avro => wire::put_command_avro(&meta, call.envelope as u64, &call.body, &mut value),
        Encoding::Json => wire::put_command_json(&meta, &call.body, &mut value),
    }
    Effect {
        topic: topic_of(&call.command),
        key: Bytes::copy_from_slice(saga.key.as_bytes()),
        value: value.into(),
        headers: Vec::new(),
    }
}

fn emitted(id: &str, saga: &Saga, emission: &Emission, at: Millis) -> Effect {
    let header = |name: &str, value: String| Header { name: name.into(), value: value.into() };
    let mut headers = Vec::new();
    if emission.headers {
        let content = match emission.encoding {
            Encoding::Avro => "application/avro",
            Encoding::Json => "application/json",
        };
        let mut time = String::with_capacity(24);
        json::time::put_timestamp(at.saturating_mul(1000), &mut time);
        headers = vec![
            header(names::HEADER_SPEC, "1.0".into()),
            header(names::HEADER_TYPE, emission.kind.to_string()),
            header(names::HEADER_SOURCE, format!("/ringmaster/{}", saga.definition)),
            header(names::HEADER_ID, format!("{id}/{}", emission.id)),
            header(names::HEADER_TIME, time),
            header(names::HEADER_SUBJECT, saga.key.to_string()),
            header(names::HEADER_CONTENT_TYPE, content.into()),
        ];
        if let Some(traceparent) = &saga.traceparent {
            headers.push(Header { name: names::HEADER_TRACEPARENT.into(), value: traceparent.clone() });
        }
    }
    Effect {
        topic: emission.topic.clone(),
        key: Bytes::copy_from_slice(emission.key.as_bytes()),
        value: emission.body.clone(),
        headers,
    }
}
