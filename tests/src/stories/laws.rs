//! What must hold in every story, whatever it tells.

use std::collections::{BTreeMap, BTreeSet};

use ringmaster_core::definition::Undo;
use ringmaster_core::saga::apply;
use ringmaster_schemas::journal::{Cause, Change, Decision, JournalRecord, Phase, SagaChange, SagaEvent, Stamp, TimerCause, Turn};
use ringmaster_schemas::state::{Saga, Status, StepState};
use ringmaster_schemas::wire;

use super::stage::Stage;

/// Every law that a played story breaks.
pub(super) fn broken(stage: &Stage) -> Vec<String> {
    let mut faults = Vec::new();
    replay(stage, &mut faults);
    round_trips(stage, &mut faults);
    undo_order(stage, &mut faults);
    commands(stage, &mut faults);
    for happened in &stage.history {
        undo_is_allowed(&happened.event, stage, &mut faults);
    }
    if let Some(saga) = &stage.saga {
        ending(stage, saga, &mut faults);
    }
    faults
}

/// Replaying the events by `apply` alone gives every state again.
fn replay(stage: &Stage, faults: &mut Vec<String>) {
    let mut saga = None;
    for (place, happened) in stage.history.iter().enumerate() {
        if let Err(illegal) = apply(&mut saga, &happened.event) {
            return faults.push(format!("replay of event {place}: {illegal}"));
        }
        if saga.as_ref() != Some(&happened.behind) {
            return faults.push(format!("replay of event {place} gives another state"));
        }
    }
}

/// Rows and journal records are the same after encoding and decoding.
fn round_trips(stage: &Stage, faults: &mut Vec<String>) {
    for happened in &stage.history {
        if Saga::decode(&happened.behind.encode()).as_ref() != Ok(&happened.behind) {
            faults.push(format!("the row behind {:?} does not survive encoding", happened.event));
        }
    }
    let Some(saga) = &stage.saga else { return };
    let events = stage.history.iter().map(|happened| happened.event.clone()).collect();
    let change = Change::Saga(SagaChange { saga: saga.id().into(), events });
    let stamp = Stamp { claim_offset: 0, claim: [7; 16], number: 3, released: 1, now: stage.now };
    let cause = Cause::Timer(TimerCause { due_at: stage.now });
    let record = JournalRecord::Decision(Decision {
        stamp,
        topics: Vec::new(),
        turns: vec![Turn { cause, input: None, changes: vec![change] }],
    });
    if JournalRecord::decode(&record.encode()).as_ref() != Ok(&record) {
        faults.push("the events do not survive encoding".to_owned());
    }
}

/// Undo is the mirror of do: later steps first. A step that turned out to be done after all comes when that is known.
fn undo_order(stage: &Stage, faults: &mut Vec<String>) {
    let contradicted: BTreeSet<i32> = events(stage, |event| match event {
        SagaEvent::ContradictionFound(found) => Some(found.step),
        _ => None,
    });
    let mut last = i32::MAX;
    for happened in &stage.history {
        let SagaEvent::CommandIssued(issued) = &happened.event else { continue };
        if !issued.undo || issued.order.is_none() || contradicted.contains(&issued.step) {
            continue;
        }
        if issued.step >= last {
            faults.push(format!("step {} is undone behind step {last}", issued.step));
        }
        last = issued.step;
    }
}

fn events<T: Ord>(stage: &Stage, pick: impl Fn(&SagaEvent) -> Option<T>) -> BTreeSet<T> {
    stage.history.iter().filter_map(|happened| pick(&happened.event)).collect()
}

/// Nothing on or behind the pivot is undone.
fn undo_is_allowed(event: &SagaEvent, stage: &Stage, faults: &mut Vec<String>) {
    if let SagaEvent::CommandIssued(issued) = event
        && issued.undo
        && stage.definition().steps[issued.step as usize].phase != Phase::Compensatable
    {
        faults.push(format!("step {} is undone on or behind the pivot", issued.step));
    }
}

/// What a participant may rely on: attempts count from 1, a key has one body, an undo names its do and carries its first time,
/// nothing refused is undone or asked again, nothing is undone while it goes forward.
fn commands(stage: &Stage, faults: &mut Vec<String>) {
    let mut seen: BTreeMap<String, (i32, Vec<u8>, i64)> = BTreeMap::new();
    for happened in &stage.history {
        if !matches!(happened.event, SagaEvent::CommandIssued(_)) {
            continue;
        }
        if happened.effects.len() != 1 {
            faults.push("one command is sent for one that is issued".to_owned());
            continue;
        }
        let command = match wire::decode_command(&happened.effects[0].value, stage.schemas()) {
            Ok(command) => command,
            Err(error) => {
                faults.push(format!("a command cannot be read: {error}"));
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
            faults.push(format!("attempt {} of {} follows {attempt}, or has another body", meta.attempt, meta.idempotency_key));
        }
        if let Some((_, _, first)) = meta.undoes.as_deref().and_then(|undoes| seen.get(undoes))
            && *first != meta.first_time
        {
            faults.push(format!("{} has another first time than what it undoes", meta.idempotency_key));
        }
        if meta.undoes.as_deref().is_some_and(|undoes| !seen.contains_key(undoes)) {
            faults.push(format!("{} undoes what was never asked", meta.idempotency_key));
        }
        seen.insert(meta.idempotency_key.into_owned(), (meta.attempt, body, meta.first_time));
    }
}

/// A saga that lives waits for one thing and says when it looks again, or is stuck; one that ended left nothing behind.
fn ending(stage: &Stage, saga: &Saga, faults: &mut Vec<String>) {
    use StepState::{
        Asked, Contradicted, Failed, Refused, RetryWaiting, Stuck, Succeeded, UndoAsked, UndoRetryWaiting, UndoStuck, Undone,
    };
    let open = saga.steps.iter().filter(|step| matches!(step.state, Asked | RetryWaiting | UndoAsked | UndoRetryWaiting)).count();
    let stuck =
        saga.steps.iter().filter(|step| matches!(step.state, Stuck | UndoStuck)).count() + usize::from(saga.stuck_at_end.is_some());
    let left = |step: &&ringmaster_schemas::state::Step| {
        let undoable = matches!(stage.definition().steps[step.index as usize].undo, Undo::Command { .. });
        matches!(step.state, Succeeded | Failed | Contradicted) && undoable
    };
    match saga.status {
        Status::Running | Status::Compensating => {
            if open + stuck != 1 {
                faults.push(format!("a live saga waits for one thing, this one for {open} answers and {stuck} people"));
            }
            if open == 1 && saga.due_at() == i64::MAX {
                faults.push("an open leaf has no due time".to_owned());
            }
            if saga.status == Status::Compensating && open == 0 && stuck == 0 {
                faults.push("it undoes, and nothing of it is open".to_owned());
            }
        }
        Status::Completed => {
            if saga.steps.iter().any(|step| step.state != Succeeded) || open + stuck > 0 || saga.due_at() != i64::MAX {
                faults.push("it completed with steps that have not succeeded".to_owned());
            }
        }
        Status::Compensated => {
            if let Some(step) = saga.steps.iter().find(left) {
                faults.push(format!("it is compensated and {} is still there", step.name));
            }
            if open + stuck > 0 || saga.due_at() != i64::MAX {
                faults.push("it is compensated and waits".to_owned());
            }
            let refused = saga.steps.iter().filter(|step| step.state == Refused);
            if refused.into_iter().any(|step| step.undo.is_some()) {
                faults.push("a refused step was undone".to_owned());
            }
        }
    }
    if saga.ended()
        && saga.steps.iter().any(|step| step.state == Undone && step.undo.as_ref().is_none_or(|undo| !undo.body.is_empty()))
    {
        faults.push("an ended saga keeps the bodies of its undos".to_owned());
    }
}
