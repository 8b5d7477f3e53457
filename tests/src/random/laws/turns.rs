//! What a turn may do with what came.

use ringmaster_core::definition::Definition;
use ringmaster_core::saga::{Input, Rejection, code};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{FailureKind, Opens, Phase, Place, SagaEvent};
use ringmaster_schemas::state::{Entry, Saga, Waits, Work};

use super::answers;
use crate::stories::Happened;

/// The laws that a turn breaks.
pub(in crate::random) fn turn(
    definition: &Definition,
    before: Option<&Saga>,
    input: &Input,
    taken: &Result<usize, Rejection>,
    happened: &[Happened],
    now: Millis,
) -> Vec<String> {
    let mut faults = Vec::new();
    if let (Input::Reply(reply), Some(before)) = (input, before) {
        faults.extend(answers::answer(definition, before, reply, taken, happened));
    }
    if let (Input::Due, Some(before)) = (input, before) {
        faults.extend(due(before, happened, now));
    }
    if let Some(before) = before {
        faults.extend(awaited(before, input, happened, now));
    }
    for one in happened {
        faults.extend(clock(one));
        faults.extend(stuck(definition, one));
    }
    let rows = happened.windows(2).map(|pair| (&pair[0].behind, &pair[1]));
    for (before, one) in rows {
        faults.extend(expiry(before, one));
    }
    if let (Some(before), Some(one)) = (before, happened.first()) {
        faults.extend(expiry(before, one));
    }
    faults
}

/// L15: all that is due is taken in one turn, and nothing else is.
fn due(before: &Saga, happened: &[Happened], now: Millis) -> Option<String> {
    match happened.last() {
        None if before.due_at() <= now => Some("L15: something is due and nothing happens".to_owned()),
        Some(_) if before.due_at() > now => Some("L15: nothing is due and something happens".to_owned()),
        Some(last) if last.behind.due_at() <= now => Some("L15: what is due is left for another turn".to_owned()),
        _ => None,
    }
}

/// What is out when a scope stops is awaited: an attempt is given up only by its answer, or when its time is over.
fn awaited(before: &Saga, input: &Input, happened: &[Happened], now: Millis) -> Option<String> {
    let answered = |entry: &Entry| matches!(input, Input::Reply(reply) if entry.name() == &*reply.step);
    happened.iter().find_map(|one| {
        let SagaEvent::Failed { place, .. } = &one.event else { return None };
        let entry = before.entry(*place)?;
        let out = entry.waits == Waits::Reply && entry.due_at > now && !answered(entry);
        out.then(|| format!("awaited: the attempt of {} is out and is given up", entry.name()))
    })
}

/// L15: an entry is due when its event says so, and no attempt goes beyond the time of all of them.
fn clock(one: &Happened) -> Option<String> {
    let (place, due) = match &one.event {
        SagaEvent::CommandIssued { place, due_at, .. }
        | SagaEvent::UndoIssued { place, due_at, .. }
        | SagaEvent::CommandRepeated { place, due_at, .. }
        | SagaEvent::RetryScheduled { place, due_at, .. } => (*place, *due_at),
        _ => return None,
    };
    let entry = one.behind.entry(place)?;
    let until = entry.order.as_ref()?.fields().until;
    if entry.due_at != due {
        return Some(format!("L15: {} is due at another time than was said", entry.name()));
    }
    let retries = matches!(one.event, SagaEvent::RetryScheduled { .. });
    let over = due > until || (retries && due == until);
    over.then(|| format!("L15: {} goes on when its time is over", entry.name()))
}

/// Stuck is only what the rules leave to a person.
fn stuck(definition: &Definition, one: &Happened) -> Option<String> {
    let phase = |place: Place| {
        let entry = one.behind.entry(place)?;
        Some((entry.work, definition.node(entry.node)?.phase))
    };
    let (may, what) = match &one.event {
        SagaEvent::Stuck { place, failure } => {
            let (work, phase) = phase(*place)?;
            let may = match work {
                Work::UndoAsked => true,
                Work::Done | Work::Failed => failure.kind == FailureKind::Error,
                Work::Asked => phase != Phase::Compensatable || &*failure.code == code::TOO_OLD,
                Work::Refused => phase == Phase::Retriable,
                Work::Nothing | Work::Undone | Work::Closed => false,
            };
            (may, failure)
        }
        SagaEvent::Entered { place, opens: Opens::Stuck { failure }, .. } => {
            let (_, phase) = phase(*place)?;
            let ends = one.behind.entry(*place)?.node == 0;
            (failure.kind == FailureKind::Error && (ends || phase == Phase::Retriable), failure)
        }
        SagaEvent::Failed { failure, .. } => (&*failure.code != code::TOO_OLD, failure),
        _ => return None,
    };
    (!may).then(|| format!("stuck: {} ends so: {} ({:?})", what.step, what.code, one.event))
}

/// L15: the row of an ended saga stays for as long as a stray took longer.
fn expiry(before: &Saga, one: &Happened) -> Option<String> {
    let (ended, behind) = (before.ended.as_ref()?, one.behind.ended.as_ref()?);
    let late = match &one.event {
        SagaEvent::Undone { place } => one.at - before.entry(*place)?.stray()?,
        _ => 0,
    };
    let stays = behind.expires_at >= ended.expires_at + late;
    (!stays).then(|| "L15: the row goes before what was found late is remembered as long".to_owned())
}
