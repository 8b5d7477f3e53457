//! What follows when something was refused or failed, by a reckoning of its own.

use std::sync::Arc;

use ringmaster_core::definition::{Definition, Next, On, Reaction, Undo};
use ringmaster_schemas::journal::{Failure, FailureKind, Opens, Phase, Place, SagaEvent};
use ringmaster_schemas::names::Direction;
use ringmaster_schemas::state::{Saga, Work};

use crate::laws::{around, is_undone_with};
use crate::stories::Happened;

/// The reaction that begins is the first for the code that is not used up, else the default; and what may have been done is undone
/// before anything but the undo of the whole.
pub(in crate::random) fn reacts(definition: &Definition, history: &[Happened], from: usize) -> Option<String> {
    history.iter().enumerate().skip(from).find_map(|(number, one)| {
        let (place, refused) = match &one.event {
            SagaEvent::Refused { place, .. } => (*place, true),
            SagaEvent::Entered { place, opens: Opens::Refused { .. }, .. } => (*place, true),
            SagaEvent::Failed { place, .. } | SagaEvent::Undone { place } => (*place, false),
            _ => return None,
        };
        let (saga, next) = (&*one.behind, history.get(number + 1).map(|next| &next.event));
        let entry = saga.entry(place)?;
        if is_undone_with(definition, saga, usize::from(place)) || entry.stray().is_some() {
            return None;
        }
        let node = definition.node(entry.node)?;
        let cause = cause(&history[..=number], place)?;
        let fits = match (node.phase, saga.remembered_stop()) {
            (Phase::Pivot, Some(remembered)) if definition.step(entry.node).is_some() => {
                matches!(next, Some(SagaEvent::CompensationBegan { failure }) if failure == remembered)
            }
            _ => {
                let reaction = reckoned(definition, saga, place, cause, refused);
                follows(definition, saga, place, reaction, refused, next)
            }
        };
        (!fits).then(|| format!("reaction: {} was refused: {refused}, by {}, and next is {next:?}", entry.name(), cause.code))
    })
}

/// Why something was refused or failed: what its undo says does not count.
fn cause(history: &[Happened], at: Place) -> Option<&Arc<Failure>> {
    history.iter().rev().find_map(|one| match &one.event {
        SagaEvent::Refused { place, failure }
        | SagaEvent::Failed { place, failure }
        | SagaEvent::Entered { place, opens: Opens::Refused { failure }, .. }
            if *place == at =>
        {
            Some(failure)
        }
        _ => None,
    })
}

fn reckoned(definition: &Definition, saga: &Saga, place: Place, cause: &Arc<Failure>, refused: bool) -> Reaction {
    let entry = &saga.entries[usize::from(place)];
    let node = &definition.nodes[usize::from(entry.node)];
    let by_default = if node.phase == Phase::Retriable { Reaction::Stuck } else { Reaction::Undo };
    if !matches!(cause.kind, FailureKind::Refused | FailureKind::Failed | FailureKind::Expired) {
        return by_default;
    }
    let since = around(definition, saga, entry.node, usize::from(place)).first().copied().unwrap_or(0);
    let used = |list: u16| saga.entries[since..].iter().filter(|other| other.reaction() == Some(list)).count();
    let may = |on: &&On| {
        let left = match on.reaction {
            Reaction::Steps { list, next: Next::Retry, at_most } => used(list) < usize::from(at_most),
            Reaction::Undo | Reaction::GoOn | Reaction::Stuck | Reaction::Steps { .. } => true,
        };
        left && on.code.as_deref().is_none_or(|code| *code == *cause.code)
    };
    let all = if refused { &node.on_refused } else { &node.on_failed };
    all.iter().find(may).map_or(by_default, |on| on.reaction)
}

fn follows(
    definition: &Definition,
    saga: &Saga,
    place: Place,
    reaction: Reaction,
    refused: bool,
    next: Option<&SagaEvent>,
) -> bool {
    let entry = &saga.entries[usize::from(place)];
    let undoes = definition.step(entry.node).is_some_and(|step| matches!(step.asks.undo, Undo::Command { .. }));
    let is_unknown = entry.work == Work::Failed && undoes;
    let here = |other: &Place| *other == place;
    match (reaction, next) {
        (Reaction::Undo, Some(SagaEvent::ScopeStopped { place: scope, refused: told, .. })) => {
            let nearest = around(definition, saga, entry.node, usize::from(place)).first().copied();
            nearest == Some(usize::from(*scope)) && *told == refused
        }
        (Reaction::Undo, Some(SagaEvent::CompensationBegan { .. })) => {
            around(definition, saga, entry.node, usize::from(place)).is_empty()
        }
        (Reaction::Undo, _) => false,
        (_, Some(SagaEvent::UndoIssued { place, .. } | SagaEvent::Parked { place, direction: Direction::Undo, .. })) => {
            is_unknown && here(place)
        }
        // Its undo cannot be made.
        (_, Some(SagaEvent::Stuck { place, failure })) if is_unknown => here(place) && failure.kind == FailureKind::Error,
        (Reaction::GoOn, Some(SagaEvent::WentOn { place, .. })) => !is_unknown && here(place),
        (Reaction::Stuck, Some(SagaEvent::Stuck { place, .. })) => here(place),
        (Reaction::Steps { list, .. }, Some(SagaEvent::ReactionBegan { place, list: told })) => {
            !is_unknown && here(place) && *told == list
        }
        _ => false,
    }
}
