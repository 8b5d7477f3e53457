//! What a turn may do with what came.

use ringmaster_core::definition::Definition;
use ringmaster_core::saga::{Breakers, Input, Rejection, code};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{FailureKind, Opens, Phase, Place, RejectionReason, SagaEvent};
use ringmaster_schemas::state::{Entry, Saga, Status, Waits, Work};

use super::{answers, parking, reactions};
use crate::stories::Happened;

/// The laws that a turn breaks.
pub(in crate::random) fn turn(
    definition: &Definition,
    before: Option<&Saga>,
    input: &Input,
    taken: &Result<usize, Rejection>,
    (history, from): (&[Happened], usize),
    breakers: &Breakers,
    now: Millis,
) -> Vec<String> {
    let (happened, mut faults) = (&history[from..], Vec::new());
    if let (Input::Reply(reply), Some(before)) = (input, before) {
        faults.extend(answers::answer(definition, before, reply, taken, happened));
    }
    if let (Input::Due, Some(before)) = (input, before) {
        faults.extend(due(before, happened, now));
    }
    if let Some(before) = before {
        faults.extend(awaited(before, input, happened, now));
        faults.extend(stops(definition, before, input, taken, happened, now));
        faults.extend(parking::parks(definition, before, input, happened, breakers));
    }
    faults.extend(reactions::reacts(definition, history, from));
    for one in happened {
        faults.extend(stuck(definition, one));
    }
    faults
}

/// L15: all that is due is taken in one turn, and nothing else is.
fn due(before: &Saga, happened: &[Happened], now: Millis) -> Option<String> {
    match happened.last() {
        None if before.due_at() <= now => Some("L15: something is due and nothing happens".to_owned()),
        Some(_) if before.due_at() > now => Some("L15: nothing is due and something happens".to_owned()),
        // What stood still while a person was needed is due from now on.
        Some(last) if last.behind.held_since != before.held_since => None,
        Some(last) if last.behind.due_at() <= now => Some("L15: what is due is left for another turn".to_owned()),
        _ => None,
    }
}

/// What is out when a scope stops is awaited: an attempt is given up only by its answer, or when its time is over.
fn awaited(before: &Saga, input: &Input, happened: &[Happened], now: Millis) -> Option<String> {
    if matches!(input, Input::TooBig { .. }) {
        return None;
    }
    let answered = |entry: &Entry| matches!(input, Input::Reply(reply) if entry.name() == &*reply.step);
    happened.iter().find_map(|one| {
        let SagaEvent::Failed { place, .. } = &one.event else { return None };
        let entry = before.entry(*place)?;
        let out = entry.waits == Waits::Reply && entry.due_at > now && !answered(entry);
        out.then(|| format!("awaited: the attempt of {} is out and is given up", entry.name()))
    })
}

/// Stuck is only what the rules leave to a person.
pub(in crate::random) fn stuck(definition: &Definition, one: &Happened) -> Option<String> {
    let phase = |place: Place| {
        let entry = one.behind.entry(place)?;
        Some((entry.work, definition.node(entry.node)?.phase))
    };
    let (may, what) = match &one.event {
        SagaEvent::Stuck { place, failure } => {
            let (work, phase) = phase(*place)?;
            let may = match work {
                Work::UndoAsked => true,
                Work::Done => failure.kind == FailureKind::Error,
                Work::Failed => true,
                Work::Asked => phase != Phase::Compensatable || &*failure.code == code::TOO_OLD,
                // The law of reactions says whether it may.
                Work::Refused | Work::Undone => true,
                // It was parked, and cannot be made now.
                Work::Nothing => failure.kind == FailureKind::Error && phase == Phase::Retriable,
                Work::Closed | Work::Open | Work::Undoing => false,
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
    let may = may || &*what.code == code::DATA_TOO_BIG;
    (!may).then(|| format!("stuck: {} ends so: {} ({:?})", what.step, what.code, one.event))
}

/// A cancel, or the deadline: behind the pivot nothing is undone, and while the pivot is in flight it is remembered.
fn stops(
    definition: &Definition,
    before: &Saga,
    input: &Input,
    taken: &Result<usize, Rejection>,
    happened: &[Happened],
    now: Millis,
) -> Option<String> {
    let is_pivot = |entry: &Entry| definition.step(entry.node).is_some_and(|step| step.node.phase == Phase::Pivot);
    let in_flight = before.entries.iter().any(|entry| entry.work == Work::Asked && is_pivot(entry));
    let first = happened.first().map(|happened| &happened.event);
    let fits = match (input, before.status) {
        (Input::Cancel { .. }, Status::Completed | Status::Compensated) => rejected(taken, RejectionReason::Ended),
        (Input::Cancel { .. }, Status::Compensating) => rejected(taken, RejectionReason::Undoing),
        (Input::Cancel { .. }, Status::Running) if before.passed => rejected(taken, RejectionReason::BehindPivot),
        (Input::Cancel { .. }, Status::Running) if before.remembered_stop().is_some() => rejected(taken, RejectionReason::Undoing),
        (Input::Due, _) if before.deadline().is_none_or(|deadline| deadline > now) => true,
        (Input::Due, _) if before.passed => matches!(first, Some(SagaEvent::MarkedLate { .. })),
        (Input::Cancel { .. } | Input::Due, _) => match first {
            Some(SagaEvent::StopRemembered { .. }) => in_flight,
            Some(SagaEvent::CompensationBegan { failure }) => {
                let kind = if matches!(input, Input::Due) { FailureKind::Deadline } else { FailureKind::Cancelled };
                !in_flight && failure.kind == kind
            }
            _ => false,
        },
        _ => true,
    };
    (!fits)
        .then(|| format!("stops: {input:?} makes {first:?} where the pivot is passed: {}, in flight: {in_flight}", before.passed))
}

fn rejected(taken: &Result<usize, Rejection>, reason: RejectionReason) -> bool {
    matches!(taken, Err(rejection) if rejection.reason == reason)
}
