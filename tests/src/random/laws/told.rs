//! What is told, to participants and to others, is what was written.

use std::collections::BTreeMap;

use ringmaster_core::saga::code;
use ringmaster_schemas::journal::{Emission, FailureKind, SagaEvent};
use ringmaster_schemas::names::{Direction, parse_idempotency_key};
use ringmaster_schemas::registry::Schemas;
use ringmaster_schemas::state::{Saga, Work};
use ringmaster_schemas::wire::{self, Body};

use super::way::Known;
use crate::random::plan::{Node, Undo, What};
use crate::random::value::{CannotBeComputed, Value, View};
use crate::stories::Happened;

/// A command's body is the one that was written: of an undo its own, else that of its do. So is what is emitted.
pub(in crate::random) fn bodies(known: &Known<'_>, schemas: &Schemas, history: &[Happened]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut told_before: BTreeMap<String, i64> = BTreeMap::new();
    for pair in history.windows(2) {
        let (before, happened) = (&pair[0].behind, &pair[1]);
        faults.extend(emitted(known, before, &happened.event));
        faults.extend(cannot_be_made(known, before, &happened.event));
        for effect in &happened.effects {
            let Ok(command) = wire::decode_command(effect.value(), schemas) else { continue };
            let key = command.meta.idempotency_key.clone().into_owned();
            let Some((_, step, direction)) = parse_idempotency_key(&key) else { continue };
            if direction == Direction::Undo && command.meta.undoes.is_none() {
                faults.push(format!("wire: {key} does not say what it undoes"));
            }
            let Some((asks, view)) = asked(known, before, &happened.event) else { continue };
            let wanted = match (direction, &asks.undo) {
                (Direction::Undo, Some(Undo::Own(value))) => value.of(&view),
                (Direction::Undo, _) => told_before.get(step).copied().ok_or(CannotBeComputed),
                (Direction::Do, _) => asks.tells.of(&view),
            };
            let told = match command.body {
                Body::Json(text) => number(text.as_bytes()),
                Body::Avro { .. } => None,
            };
            if wanted.ok() != told {
                faults.push(format!("wire: {key} tells {told:?} instead of {wanted:?}"));
            }
            told_before.extend(told.filter(|_| direction == Direction::Do).map(|told| (step.to_owned(), told)));
        }
    }
    faults
}

/// What was parked, or is to be undone, is stuck for its body only where that cannot be computed.
fn cannot_be_made(known: &Known<'_>, before: &Saga, event: &SagaEvent) -> Option<String> {
    let SagaEvent::Stuck { place, failure } = event else { return None };
    let entry = before.entry(*place)?;
    let Node { what: What::Do(asks), .. } = known.plan.node(known.name(entry.node))? else { return None };
    let at = usize::from(*place);
    let wanted = match (entry.work, &asks.undo) {
        (Work::Nothing, _) => asks.tells.of(&known.seen_at(before, false, entry.node, at)),
        (Work::Done | Work::Failed, Some(Undo::Own(value))) => value.of(&known.seen_at(before, true, entry.node, at)),
        _ => return None,
    };
    let is_of_body = failure.kind == FailureKind::Error && *failure.code != *code::DATA_TOO_BIG;
    (is_of_body && wanted.is_ok())
        .then(|| format!("wire: {} is stuck: {}, and its body is {wanted:?}", entry.name(), failure.message))
}

/// What is asked first by an event, and what its body may see.
fn asked<'k>(known: &'k Known<'_>, before: &Saga, event: &SagaEvent) -> Option<(&'k crate::random::plan::Do, View)> {
    let (node, at, undone) = match event {
        SagaEvent::CommandIssued { place, node, .. } => (*node, *place, false),
        SagaEvent::UndoIssued { place, .. } => (before.entry(*place)?.node, *place, true),
        _ => return None,
    };
    let Node { what: What::Do(asks), .. } = known.plan.node(known.name(node))? else { return None };
    Some((asks, known.seen_at(before, undone, node, usize::from(at))))
}

fn emitted(known: &Known<'_>, before: &Saga, event: &SagaEvent) -> Option<String> {
    let (wanted, emission): (Result<i64, CannotBeComputed>, &Emission) = match event {
        SagaEvent::Emitted { node, emission } => {
            let What::Emit(value) = &known.plan.node(known.name(*node))?.what else { return None };
            (value.of(&known.seen_at(before, false, *node, before.entries.len())), emission)
        }
        SagaEvent::Completed { emissions, .. } => (at_end(known, &known.plan.completed, before, false)?, emissions.first()?),
        SagaEvent::Compensated { emissions, .. } => (at_end(known, &known.plan.compensated, before, true)?, emissions.first()?),
        SagaEvent::StuckTold { emission: None, .. } => {
            let wanted = at_end(known, &known.plan.stuck, before, true)?;
            return wanted.is_ok().then(|| format!("wire: what is stuck is not told, and would be {wanted:?}"));
        }
        SagaEvent::StuckTold { emission: Some(emission), .. } => (at_end(known, &known.plan.stuck, before, true)?, emission),
        _ => return None,
    };
    let told = number(&emission.body);
    (wanted.ok() != told).then(|| format!("wire: {} tells {told:?} instead of {wanted:?}", emission.id))
}

fn at_end(known: &Known<'_>, value: &Option<Value>, before: &Saga, undone: bool) -> Option<Result<i64, CannotBeComputed>> {
    Some(value.as_ref()?.of(&known.seen(before, undone)))
}

fn number(json: &[u8]) -> Option<i64> {
    serde_json::from_slice::<serde_json::Value>(json).ok()?.get("n")?.as_i64()
}
