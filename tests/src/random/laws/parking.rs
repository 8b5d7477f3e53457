//! Nobody is asked while paused, but by what is let go; and what is not answered meanwhile is held against no saga.

use ringmaster_core::definition::Definition;
use ringmaster_core::saga::{Breakers, Input, code};
use ringmaster_schemas::journal::{FailureKind, Opens, Phase, Place, SagaEvent};
use ringmaster_schemas::names::{Direction, participant_of};
use ringmaster_schemas::state::{BreakerState, Entry, Saga, Waits, Work};

use crate::laws::{asks, is_undone_with};
use crate::stories::Happened;

/// What a turn may do while participants are paused.
pub(super) fn parks(
    definition: &Definition,
    before: &Saga,
    input: &Input,
    happened: &[Happened],
    breakers: &Breakers,
) -> Option<String> {
    let let_go = if let Input::Unpark(place) = input { Some(*place) } else { None };
    let is_closed = |node: u16, direction: Direction| {
        asks(definition, node, direction).is_some_and(|command| breakers.parks(participant_of(command)).is_some())
    };
    // While it drains a failure counts.
    let is_out = |node: u16, direction: Direction| {
        let breaker = asks(definition, node, direction).and_then(|command| breakers.get(participant_of(command)));
        breaker.is_some_and(|breaker| breaker.state != BreakerState::Draining)
    };
    let mut row = before;
    for (number, one) in happened.iter().enumerate() {
        let goes = number == 0 && let_go.is_some();
        if let Some((place, node, direction)) = asked(&one.behind, &one.event) {
            let may = (goes && let_go == Some(place)) || !is_closed(node, direction);
            if !may {
                return Some(format!("parked: {} is paused, and asked", asks(definition, node, direction).unwrap_or_default()));
            }
        }
        if let Some((node, direction)) = parked(&one.behind, &one.event)
            && !is_closed(node, direction)
        {
            return Some(format!("parked: entry of node {node} is parked, and its participant is asked as ever"));
        }
        if let SagaEvent::Parked { place, direction, failure: Some(failure), .. } = &one.event
            && let Some(entry) = one.behind.entry(*place)
            && (*failure.code != *code::TIMEOUT || !is_out(entry.node, *direction))
        {
            return Some(format!("parked: {} failed by {}, which counts, and is parked", entry.name(), failure.code));
        }
        // The table of answers says what an answer may do.
        let is_held = |entry: &Entry| {
            let is_forward = direction(entry) == Direction::Do;
            is_out(entry.node, direction(entry)) || (is_forward && row.paused().is_some())
        };
        if let (Input::Due, Some(entry)) = (input, given_up(definition, row, &one.event))
            && is_held(entry)
        {
            return Some(format!("parked: {} has no answer while its participant is paused, and is given up", entry.name()));
        }
        row = &one.behind;
    }
    match input {
        Input::Unpark(place) => goes_out(before, *place, happened),
        Input::TooBig { place: Some(place), .. } => too_big(definition, before, *place, happened),
        _ => None,
    }
}

/// What was never asked is undone around, if it still can be; what was asked may have been done; anything else needs a person.
fn too_big(definition: &Definition, before: &Saga, place: Place, happened: &[Happened]) -> Option<String> {
    let entry = before.entry(place)?;
    let phase = definition.node(entry.node)?.phase;
    let first = happened.first().map(|one| &one.event);
    let fits = match (entry.work, phase, first) {
        (Work::Nothing, Phase::Compensatable | Phase::Pivot, Some(SagaEvent::CompensationBegan { failure })) => {
            failure.kind == FailureKind::Error
        }
        (Work::Asked, Phase::Compensatable, Some(SagaEvent::Failed { place: at, .. })) => *at == place,
        (Work::Nothing | Work::Asked, Phase::Compensatable, _) | (Work::Nothing, Phase::Pivot, _) => false,
        (_, _, Some(SagaEvent::Stuck { place: at, .. })) => *at == place,
        _ => false,
    };
    (!fits).then(|| format!("parked: what is {} at {place} is too big to go out, and {first:?} happens", entry.work))
}

/// What is let go goes out, or cannot be made; nothing happens if it was not parked.
fn goes_out(before: &Saga, place: Place, happened: &[Happened]) -> Option<String> {
    let is_forward = before.entry(place).is_some_and(|entry| matches!(entry.work, Work::Nothing | Work::Asked));
    let was_parked = before.entry(place).is_some_and(|entry| entry.waits == Waits::Parked);
    let first = happened.first().map(|one| &one.event);
    let fits = match first {
        None => !was_parked,
        Some(SagaEvent::Withheld { place: at, .. }) => was_parked && *at == place && is_forward && before.paused().is_some(),
        Some(_) if is_forward && before.paused().is_some() => false,
        Some(
            SagaEvent::CommandIssued { place: at, .. }
            | SagaEvent::UndoIssued { place: at, .. }
            | SagaEvent::Retried { place: at, .. }
            | SagaEvent::Stuck { place: at, .. },
        ) => was_parked && *at == place,
        Some(SagaEvent::CompensationBegan { failure }) => was_parked && failure.kind == FailureKind::Error,
        Some(_) => false,
    };
    (!fits).then(|| format!("parked: entry {place} is let go, it was parked: {was_parked}, and {first:?} happens"))
}

/// The entry that an event asks for, its node, and which of its commands.
fn asked(behind: &Saga, event: &SagaEvent) -> Option<(Place, u16, Direction)> {
    match event {
        SagaEvent::CommandIssued { place, node, .. } => Some((*place, *node, Direction::Do)),
        SagaEvent::UndoIssued { place, .. } => Some((*place, behind.entry(*place)?.node, Direction::Undo)),
        SagaEvent::CommandRepeated { place, direction, .. } | SagaEvent::Retried { place, direction, .. } => {
            Some((*place, behind.entry(*place)?.node, *direction))
        }
        _ => None,
    }
}

fn parked(behind: &Saga, event: &SagaEvent) -> Option<(u16, Direction)> {
    match event {
        SagaEvent::Entered { node, opens: Opens::Parked { .. }, .. } => Some((*node, Direction::Do)),
        SagaEvent::Parked { place, direction, .. } => Some((behind.entry(*place)?.node, *direction)),
        _ => None,
    }
}

/// What is given up because nobody answered in time, though it could be asked again.
fn given_up<'s>(definition: &Definition, before: &'s Saga, event: &SagaEvent) -> Option<&'s Entry> {
    let (SagaEvent::Failed { place, failure } | SagaEvent::Stuck { place, failure }) = event else { return None };
    let entry = before.entry(*place)?;
    let is_out = matches!(entry.work, Work::Asked | Work::UndoAsked) && matches!(entry.waits, Waits::Reply | Waits::Retry);
    let is_over = *failure.code == *code::TIMEOUT || *failure.code == *code::EXPIRED;
    let may_go_on = entry.work == Work::UndoAsked || !is_undone_with(definition, before, usize::from(*place));
    (is_out && is_over && may_go_on).then_some(entry)
}

fn direction(entry: &Entry) -> Direction {
    if entry.work == Work::UndoAsked { Direction::Undo } else { Direction::Do }
}
