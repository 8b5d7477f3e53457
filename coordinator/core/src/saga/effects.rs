//! What to send: a mechanical map from an event to records for others.

use std::sync::Arc;

use ringmaster_schemas::journal::{
    Emission, Encoding, Head, Letter, Order, SagaEvent, ValueAnswer, ValueClaim, ValueEvent, ValueRelease,
};
use ringmaster_schemas::names::{self, Direction};
use ringmaster_schemas::state::Saga;
use ringmaster_schemas::{Millis, json, wire};

use super::{Effect, Tracing};
use crate::faults::{mutated, mutated_count};

/// About what a command says about itself, beside its body.
const META_BYTES: usize = 160;
/// About what CloudEvents' headers take, beside the id.
const HEADERS_BYTES: usize = 320;

/// What all effects of a saga's turn have in common.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    /// The saga's id.
    pub id: &'a str,
    /// What of it never changes.
    pub head: &'a Head,
    /// Time of the turn.
    pub at: Millis,
    /// Where answers are to go, and letters to other partitions.
    pub reply_topic: &'a str,
    /// The saga's partition.
    pub partition: i32,
    /// Which sagas are traced: their commands name the span of the attempt.
    pub tracing: Option<&'a Tracing>,
}

/// The order that a repeated command sends again: that of its entry. Any other event brings its own, or sends none.
pub fn order_of<'a>(saga: &'a Saga, event: &SagaEvent) -> Option<&'a Order> {
    match event {
        SagaEvent::CommandRepeated { place, .. } => saga.entry(*place)?.order.as_ref(),
        _ => None,
    }
}

/// True if what these events cause to be sent is made of the row that they led to: an order that is sent again, events that a value's
/// row brings.
pub fn takes_row(row: &Saga, events: &[SagaEvent]) -> bool {
    let is_value_or_asks_again =
        row.mailbox().is_some() || events.iter().any(|event| matches!(event, SagaEvent::CommandRepeated { .. }));
    is_value_or_asks_again && !mutated("late_row_not_held")
}

/// Appends what an event causes to be sent, in order. `order` is what [`order_of`] says. Topic names come from `topic_of` (a
/// command's participant), so that they are made once; `scratch` is any text, used again and again.
pub fn effects(
    sender: Sender<'_>,
    event: &SagaEvent,
    order: Option<&Order>,
    topic_of: &mut dyn FnMut(&str) -> Arc<str>,
    scratch: &mut String,
    out: &mut Vec<Effect>,
) {
    let mut command = |order, direction, attempt| command(sender, order, direction, attempt, topic_of, scratch);
    match event {
        SagaEvent::CommandIssued { order, .. } => out.push(command(order, Direction::Do, 1)),
        SagaEvent::UndoIssued { order, .. } => out.push(command(order, Direction::Undo, 1)),
        SagaEvent::Retried { direction, attempt, order, .. } => out.push(command(order, *direction, *attempt)),
        SagaEvent::CommandRepeated { .. } if mutated("retry_not_sent") => {}
        SagaEvent::CommandRepeated { direction, attempt, .. } => {
            let order = order.expect("what is asked again has an order");
            out.push(command(order, *direction, *attempt));
        }
        SagaEvent::Completed { emissions, .. } | SagaEvent::Compensated { emissions, .. } => {
            out.extend(emissions.iter().map(|emission| emitted(sender, emission, scratch)));
        }
        SagaEvent::Emitted { .. } | SagaEvent::StuckTold { .. } if mutated("emission_not_sent") => {}
        SagaEvent::Emitted { emission, .. } | SagaEvent::StuckTold { emission: Some(emission), .. } => {
            out.push(emitted(sender, emission, scratch))
        }
        SagaEvent::ValueClaimed { .. } | SagaEvent::ValueReleased { .. } => out.extend(written(sender, event)),
        SagaEvent::ValueGiven { .. } | SagaEvent::ValueDenied { .. } => out.extend(written(sender, event)),
        SagaEvent::ValueGranted { .. }
        | SagaEvent::EventPassed { .. }
        | SagaEvent::ValueFreed { .. }
        | SagaEvent::Started { .. }
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
        | SagaEvent::ScopeStopped { .. }
        | SagaEvent::ReactionBegan { .. }
        | SagaEvent::WentOn { .. }
        | SagaEvent::StopRemembered { .. }
        | SagaEvent::StopForgotten {}
        | SagaEvent::Acted { .. }
        | SagaEvent::Escalated { .. }
        | SagaEvent::EventTaken { .. }
        | SagaEvent::EventKept { .. }
        | SagaEvent::EventsExpired { .. }
        | SagaEvent::Parked { .. }
        | SagaEvent::Prioritised { .. }
        | SagaEvent::Item { .. }
        | SagaEvent::Swept { .. }
        | SagaEvent::Paused { .. }
        | SagaEvent::Postponed { .. }
        | SagaEvent::Withheld { .. }
        | SagaEvent::Resumed {}
        | SagaEvent::StuckTold { emission: None, .. }
        | SagaEvent::Answered { .. }
        | SagaEvent::MarkedLate { .. } => {}
    }
}

/// Appends the events that a value's row brings to whoever has the value, because of an event of its own: `row` is as it is then.
#[inline(never)]
pub fn brought(sender: Sender<'_>, row: &Saga, event: &SagaEvent, out: &mut Vec<Effect>) {
    let Some(holder) = row.mailbox().and_then(|mailbox| mailbox.holder.as_ref()) else { return };
    let all = match event {
        SagaEvent::ValueGiven { .. } if mutated("kept_event_not_brought") => &[][..],
        SagaEvent::ValueGiven { .. } => row.early(),
        SagaEvent::EventKept { event } => std::slice::from_ref(event),
        _ => return,
    };
    out.extend(all.iter().map(|event| {
        let (row, place, at) = (holder.row.clone(), holder.place, holder.at);
        letter(
            sender,
            &names::parse_saga_id(&holder.row).1,
            &Letter::Event(ValueEvent { row, place, at, event: (**event).clone() }),
        )
    }));
}

/// All letters that an event of a value's row makes (`row`: what is true behind it).
pub fn value_effects(sender: Sender<'_>, row: &Saga, event: &SagaEvent) -> Vec<Effect> {
    let mut out: Vec<Effect> = written(sender, event).into_iter().collect();
    brought(sender, row, event, &mut out);
    out
}

/// The letter that an event about a value is written by.
#[inline(never)]
fn written(sender: Sender<'_>, event: &SagaEvent) -> Option<Effect> {
    match event {
        SagaEvent::ValueClaimed { .. } if mutated("claim_not_sent") => None,
        SagaEvent::ValueClaimed { claim, .. } => Some(letter(sender, &claim.name.value, &Letter::Claim((**claim).clone()))),
        SagaEvent::ValueReleased { release, .. } => {
            Some(letter(sender, &release.name.value, &Letter::Release((**release).clone())))
        }
        SagaEvent::ValueGiven { claim } => {
            let key = names::parse_saga_id(&claim.row).1;
            Some(letter(sender, &key, &Letter::Given((**claim).clone())))
        }
        SagaEvent::ValueDenied { claim } => Some(denial(sender, claim)),
        _ => None,
    }
}

/// The letter by which a value goes back that was given to nobody.
pub fn returned(release: &ValueRelease, reply_topic: &str) -> Effect {
    written_to(reply_topic, &release.name.value, &Letter::Release(release.clone()))
}

/// To the partition that a key lies in.
fn letter(sender: Sender<'_>, key: &str, letter: &Letter) -> Effect {
    written_to(sender.reply_topic, key, letter)
}

fn written_to(topic: &str, key: &str, letter: &Letter) -> Effect {
    let value = letter.encode();
    Effect::new(topic.into(), key.as_bytes(), value.len(), |out| out.extend_from_slice(&value))
}

fn denial(sender: Sender<'_>, claim: &ValueClaim) -> Effect {
    let (row, place, at) = (claim.row.clone(), claim.place, claim.at);
    letter(sender, &names::parse_saga_id(&claim.row).1, &Letter::Answer(ValueAnswer { row, place, at, granted: false }))
}

fn command(
    sender: Sender<'_>,
    order: &Order,
    direction: Direction,
    attempt: u16,
    topic_of: &mut dyn FnMut(&str) -> Arc<str>,
    scratch: &mut String,
) -> Effect {
    let order = order.fields();
    scratch.clear();
    names::put_idempotency_key(sender.id, order.step, direction, scratch);
    if mutated("random_effect_ids") {
        scratch.push_str(&mutated_count().to_string());
    }
    let names_do = direction == Direction::Undo && !mutated("undo_names_no_do");
    let traced = sender.tracing.and_then(|tracing| tracing.traceparent((sender.id, sender.head), scratch, attempt));
    let undoes = names_do.then(|| names::idempotency_key(sender.id, order.step, Direction::Do));
    let meta = wire::CommandMeta {
        command: order.command.into(),
        idempotency_key: (&**scratch).into(),
        attempt: i32::from(attempt),
        undoes: undoes.map(Into::into),
        reply_to: sender.reply_topic.into(),
        reply_partition: sender.partition,
        first_time: if mutated("no_late_command_refusal") { sender.at } else { order.first_time },
        traceparent: traced.map(Into::into).or_else(|| sender.head.traceparent().map(Into::into)),
    };
    let key = names::parse_saga_id(sender.id).1;
    Effect::new(topic_of(order.command), key.as_bytes(), META_BYTES + order.body.len(), |value| match order.encoding {
        Encoding::Avro => wire::put_command_avro(&meta, order.envelope as u64, order.body, value),
        Encoding::Json => wire::put_command_json(&meta, order.body, value),
    })
}

fn emitted(sender: Sender<'_>, emission: &Emission, scratch: &mut String) -> Effect {
    let room = emission.body.len() + if emission.headers { HEADERS_BYTES + sender.id.len() } else { 0 };
    let topic = emission.topic.clone();
    let mut effect = Effect::new(topic, emission.key.as_bytes(), room, |value| value.extend_from_slice(&emission.body));
    if emission.headers {
        let (definition, key) = names::parse_saga_id(sender.id);
        let content = match emission.encoding {
            Encoding::Avro => "application/avro",
            Encoding::Json => "application/json",
        };
        scratch.clear();
        json::time::put_timestamp(sender.at.saturating_mul(1000), scratch);
        effect.add_header(names::HEADER_SPEC, &["1.0"]);
        effect.add_header(names::HEADER_TYPE, &[&emission.kind]);
        effect.add_header(names::HEADER_SOURCE, &["/ringmaster/", definition]);
        effect.add_header(names::HEADER_ID, &[sender.id, "/", &emission.id]);
        effect.add_header(names::HEADER_TIME, &[scratch.as_str()]);
        effect.add_header(names::HEADER_SUBJECT, &[&key]);
        effect.add_header(names::HEADER_CONTENT_TYPE, &[content]);
        if let Some(traceparent) = sender.head.traceparent() {
            effect.add_header(names::HEADER_TRACEPARENT, &[traceparent]);
        }
    }
    effect
}
