//! What must hold in every story, whatever it tells.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringmaster_core::definition::Undo;
use ringmaster_core::saga::apply;
use ringmaster_schemas::journal::{Cause, Change, Decision, JournalRecord, Opens, SagaChange, SagaEvent, Stamp, Turn};
use ringmaster_schemas::names::Direction;
use ringmaster_schemas::state::{Saga, Waits};
use ringmaster_schemas::wire;

use super::stage::Stage;
use crate::laws;

/// Every law that a played story breaks.
pub(crate) fn broken(stage: &Stage) -> Vec<String> {
    let mut faults = Vec::new();
    replay(stage, &mut faults);
    round_trips(stage, &mut faults);
    commands(stage, &mut faults);
    emissions(stage, &mut faults);
    told_stuck(stage, &mut faults);
    parked_time(stage, &mut faults);
    let mut before: Option<&Arc<Saga>> = None;
    for happened in &stage.history {
        faults.extend(laws::event(stage.definition(), before.map(|saga| &**saga), &happened.event, &happened.behind, happened.at));
        before = Some(&happened.behind);
    }
    if let Some(saga) = &stage.saga {
        faults.extend(laws::at_rest(stage.definition(), saga));
    }
    faults
}

/// L12: replaying the events by `apply` alone gives every state again.
fn replay(stage: &Stage, faults: &mut Vec<String>) {
    let mut saga = None;
    for (place, happened) in stage.history.iter().enumerate() {
        if let Err(illegal) = apply(&happened.behind.id, &mut saga, &happened.event, happened.at) {
            return faults.push(format!("L12: replay of event {place}: {illegal}"));
        }
        // No event says its turns.
        saga.iter_mut().for_each(|saga| Arc::make_mut(saga).turns = happened.behind.turns.clone());
        if saga.as_ref() != Some(&happened.behind) {
            return faults.push(format!("L12: replay of event {place} gives another state"));
        }
    }
}

/// L12: rows and journal records are the same after encoding and decoding.
fn round_trips(stage: &Stage, faults: &mut Vec<String>) {
    for happened in &stage.history {
        let (id, row) = (&happened.behind.id, happened.behind.encode());
        let read = Saga::decode(id, &row);
        if read.as_ref() != Ok(&happened.behind) || read.map(|saga| saga.encode()).as_ref() != Ok(&row) {
            faults.push(format!("L12: the row behind {:?} does not survive encoding", happened.event));
        }
    }
    let Some(saga) = &stage.saga else { return };
    let events = stage.history.iter().map(|happened| happened.event.clone()).collect();
    let change = Change::Saga(SagaChange { saga: saga.id.clone(), events });
    let stamp = Stamp { claim_offset: 0, claim: [7; 16], number: 3, released: 1, now: stage.now };
    let cause = Cause::Due { due_at: stage.now };
    let record = JournalRecord::Decision(Decision {
        stamp,
        topics: Vec::new(),
        turns: vec![Turn { cause, input: None, changes: vec![change] }],
    });
    if JournalRecord::decode(&record.encode()).as_ref() != Ok(&record) {
        faults.push("L12: the events do not survive encoding".to_owned());
    }
}

/// L15: what is asked again where it was parked or withheld has as much time as it had then, and enough for an attempt where it failed as it was
/// parked; all of it where a person asked for it.
fn parked_time(stage: &Stage, faults: &mut Vec<String>) {
    let until = |saga: &Saga, place| saga.entry(place).and_then(|entry| Some(entry.order.as_ref()?.fields().until));
    let waited = |saga: &Saga, place| saga.entry(place).map(|entry| entry.waits);
    for (number, happened) in stage.history.iter().enumerate() {
        let SagaEvent::Retried { place, direction, order, .. } = &happened.event else { continue };
        let before = &stage.history[number - 1].behind;
        let is_held = |saga: &Saga| matches!(waited(saga, *place), Some(Waits::Parked | Waits::Paused));
        if !is_held(before) {
            continue;
        }
        // It may have been parked for one, and then for another.
        let Some(parked) = stage.history[..number].iter().rposition(|earlier| !is_held(&earlier.behind)).map(|out| out + 1) else {
            continue;
        };
        let by_a_person = waited(&stage.history[parked - 1].behind, *place) == Some(Waits::Stuck);
        let node = before.entry(*place).and_then(|entry| stage.definition().step(entry.node));
        let Some((had, asks)) = until(before, *place).zip(node) else { continue };
        let (timeout_ms, within_ms) = match (direction, &asks.asks.undo) {
            (Direction::Undo, Undo::Command { timeout_ms, within_ms, .. }) => (*timeout_ms, Some(*within_ms)),
            _ => (asks.asks.timeout_ms, asks.node.within_ms),
        };
        let failed = matches!(
            stage.history[parked].event,
            SagaEvent::Parked { failure: Some(_), .. } | SagaEvent::Withheld { failure: Some(_), .. }
        );
        let least = if failed { happened.at + timeout_ms } else { happened.at };
        let left = (had + (happened.at - stage.history[parked].at)).max(least);
        let expected = if by_a_person { happened.at + within_ms.unwrap_or_default() } else { left };
        if order.fields().until != expected {
            faults.push(format!("L15: {} has time until {}, not {expected}", order.step(), order.fields().until));
        }
    }
}

/// What a reader may rely on: an id is used once, whatever becomes of the saga.
fn emissions(stage: &Stage, faults: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for happened in &stage.history {
        let emitted = match &happened.event {
            SagaEvent::Emitted { emission, .. } | SagaEvent::StuckTold { emission: Some(emission), .. } => {
                std::slice::from_ref(&**emission)
            }
            SagaEvent::Completed { emissions, .. } | SagaEvent::Compensated { emissions, .. } => emissions,
            _ => continue,
        };
        if happened.effects.len() != emitted.len() {
            faults.push(format!("wire: {} events are sent for {} that are emitted", happened.effects.len(), emitted.len()));
        }
        let again = emitted.iter().find(|emission| !seen.insert(emission.id.to_string()));
        faults.extend(again.map(|emission| format!("L22: {} is emitted twice", emission.id)));
    }
}

/// L24: each time that something begins to need a person it is told, by as many events as are written, and at no other time.
fn told_stuck(stage: &Stage, faults: &mut Vec<String>) {
    let most = stage.definition().on_stuck.len();
    let mut left = 0;
    for (number, happened) in stage.history.iter().enumerate() {
        let before = number.checked_sub(1).map(|before| &stage.history[before].behind);
        let became = match &happened.event {
            SagaEvent::StuckTold { .. } if left == 0 => return faults.push("L24: what is stuck is told once more".to_owned()),
            SagaEvent::StuckTold { .. } => {
                left -= 1;
                continue;
            }
            SagaEvent::Stuck { place, .. } | SagaEvent::Entered { place, opens: Opens::Stuck { .. }, .. } => {
                let was = before.and_then(|saga| saga.entry(*place)).is_some_and(|entry| entry.waits == Waits::Stuck);
                !was
            }
            _ => false,
        };
        if left > 0 {
            return faults.push(format!("L24: what is stuck is not told, and {:?} happens", happened.event));
        }
        left = if became { most } else { 0 };
    }
    if left > 0 {
        faults.push("L24: what is stuck is not told".to_owned());
    }
}

/// What a participant may rely on: attempts count from 1, a key has one body, an undo names its do and carries its first time.
fn commands(stage: &Stage, faults: &mut Vec<String>) {
    let mut seen: BTreeMap<String, (i32, Vec<u8>, i64)> = BTreeMap::new();
    for happened in &stage.history {
        let asks = matches!(
            happened.event,
            SagaEvent::CommandIssued { .. }
                | SagaEvent::UndoIssued { .. }
                | SagaEvent::CommandRepeated { .. }
                | SagaEvent::Retried { .. }
        );
        if !asks {
            continue;
        }
        if happened.effects.len() != 1 {
            faults.push("wire: one command is sent for one that is issued".to_owned());
            continue;
        }
        let command = match wire::decode_command(happened.effects[0].value(), stage.schemas()) {
            Ok(command) => command,
            Err(error) => {
                faults.push(format!("wire: a command cannot be read: {error}"));
                continue;
            }
        };
        let meta = command.meta;
        let body = match command.body {
            wire::Body::Avro { bytes, .. } => bytes.to_vec(),
            wire::Body::Json(text) => text.as_bytes().to_vec(),
        };
        let known = seen.get(&*meta.idempotency_key);
        let (attempt, same_body) = known.map_or((0, true), |(attempt, known, _)| (*attempt, *known == body));
        if meta.attempt != attempt + 1 || !same_body {
            faults.push(format!("L7: attempt {} of {} follows {attempt}, or has another body", meta.attempt, meta.idempotency_key));
        }
        if let Some((_, _, first)) = meta.undoes.as_deref().and_then(|undoes| seen.get(undoes))
            && *first != meta.first_time
        {
            faults.push(format!("wire: {} has another first time than what it undoes", meta.idempotency_key));
        }
        if meta.undoes.as_deref().is_some_and(|undoes| !seen.contains_key(undoes)) {
            faults.push(format!("wire: {} undoes what was never asked", meta.idempotency_key));
        }
        seen.insert(meta.idempotency_key.into_owned(), (meta.attempt, body, meta.first_time));
    }
}
