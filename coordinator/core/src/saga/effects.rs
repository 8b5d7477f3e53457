//! What to send: a mechanical map from an event to records for others.

use std::sync::Arc;

use bytes::Bytes;
use ringmaster_schemas::journal::{Emission, Encoding, Head, Order, SagaEvent};
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

/// What all effects of a saga's turn have in common.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    /// The saga's id.
    pub id: &'a str,
    /// What of it never changes.
    pub head: &'a Head,
    /// Time of the turn.
    pub at: Millis,
    /// Where answers are to go.
    pub reply_topic: &'a str,
    /// The saga's partition.
    pub partition: i32,
}

/// The order that a repeated command sends again: that of its entry. Any other event brings its own, or sends none.
pub fn order_of<'a>(saga: &'a Saga, event: &SagaEvent) -> Option<&'a Order> {
    match event {
        SagaEvent::CommandRepeated { place, .. } => saga.entry(*place)?.order.as_ref(),
        _ => None,
    }
}

/// Appends what an event causes to be sent, in order. `order` is what [`order_of`] says. Topic names come from `topic_of` (a
/// command's participant), so that they are made once.
pub fn effects(
    sender: Sender<'_>,
    event: &SagaEvent,
    order: Option<&Order>,
    topic_of: &mut dyn FnMut(&str) -> Arc<str>,
    out: &mut Vec<Effect>,
) {
    match event {
        SagaEvent::CommandIssued { order, .. } => out.push(command(sender, order, Direction::Do, 1, topic_of)),
        SagaEvent::UndoIssued { order, .. } => out.push(command(sender, order, Direction::Undo, 1, topic_of)),
        SagaEvent::CommandRepeated { .. } if mutated("retry_not_sent") => {}
        SagaEvent::CommandRepeated { direction, attempt, .. } => {
            let order = order.expect("what is asked again has an order");
            out.push(command(sender, order, *direction, *attempt, topic_of));
        }
        SagaEvent::Completed { emissions, .. } | SagaEvent::Compensated { emissions, .. } => {
            out.extend(emissions.iter().map(|emission| emitted(sender, emission)));
        }
        SagaEvent::Started { .. }
        | SagaEvent::Skipped { .. }
        | SagaEvent::Entered { .. }
        | SagaEvent::RetryScheduled { .. }
        | SagaEvent::Succeeded { .. }
        | SagaEvent::Refused { .. }
        | SagaEvent::Failed { .. }
        | SagaEvent::CompensationBegan { .. }
        | SagaEvent::Undone { .. }
        | SagaEvent::Closed { .. }
        | SagaEvent::Stuck { .. }
        | SagaEvent::ContradictionFound { .. }
        | SagaEvent::MarkedLate { .. } => {}
    }
}

fn command(
    sender: Sender<'_>,
    order: &Order,
    direction: Direction,
    attempt: u16,
    topic_of: &mut dyn FnMut(&str) -> Arc<str>,
) -> Effect {
    let order = order.fields();
    let idempotency_key = names::idempotency_key(sender.id, order.step, direction);
    let names_do = direction == Direction::Undo && !mutated("undo_names_no_do");
    let undoes = names_do.then(|| names::idempotency_key(sender.id, order.step, Direction::Do));
    let meta = wire::CommandMeta {
        command: order.command.into(),
        idempotency_key: idempotency_key.into(),
        attempt: i32::from(attempt),
        undoes: undoes.map(Into::into),
        reply_to: sender.reply_topic.into(),
        reply_partition: sender.partition,
        first_time: order.first_time,
        traceparent: sender.head.fields().traceparent.map(Into::into),
    };
    let mut value = Vec::with_capacity(160 + order.body.len());
    match order.encoding {
        Encoding::Avro => wire::put_command_avro(&meta, order.envelope as u64, order.body, &mut value),
        Encoding::Json => wire::put_command_json(&meta, order.body, &mut value),
    }
    let key = names::parse_saga_id(sender.id).1;
    Effect { topic: topic_of(order.command), key: Bytes::copy_from_slice(key.as_bytes()), value: value.into(), headers: Vec::new() }
}

fn emitted(sender: Sender<'_>, emission: &Emission) -> Effect {
    let (definition, key) = names::parse_saga_id(sender.id);
    let header = |name: &str, value: String| Header { name: name.into(), value: value.into() };
    let mut headers = Vec::new();
    if emission.headers {
        let content = match emission.encoding {
            Encoding::Avro => "application/avro",
            Encoding::Json => "application/json",
        };
        let mut time = String::with_capacity(24);
        json::time::put_timestamp(sender.at.saturating_mul(1000), &mut time);
        headers = vec![
            header(names::HEADER_SPEC, "1.0".into()),
            header(names::HEADER_TYPE, emission.kind.to_string()),
            header(names::HEADER_SOURCE, format!("/ringmaster/{definition}")),
            header(names::HEADER_ID, format!("{}/{}", sender.id, emission.id)),
            header(names::HEADER_TIME, time),
            header(names::HEADER_SUBJECT, key.into_owned()),
            header(names::HEADER_CONTENT_TYPE, content.into()),
        ];
        if let Some(traceparent) = sender.head.fields().traceparent {
            headers.push(Header { name: names::HEADER_TRACEPARENT.into(), value: traceparent.into() });
        }
    }
    Effect {
        topic: emission.topic.clone(),
        key: Bytes::copy_from_slice(emission.key.as_bytes()),
        value: emission.body.clone(),
        headers,
    }
}
