//! What the row above is to know of what happened to one below it.

use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Failure, FailureKind, SagaEvent};
use ringmaster_schemas::names::below;
use ringmaster_schemas::state::{Child, Saga, Status, Work};

use super::below::place_above;
use super::decide::Decided;
use super::{Input, Novelty};
use crate::definition::Definition;
use crate::faults::mutated;

/// True if a row came behind its pivot. Where it has ended well that goes without saying.
pub(super) fn passes(before: Option<&Saga>, after: &Saga) -> bool {
    after.passed && after.status == Status::Running && before.is_none_or(|before| !before.passed)
}

/// What the row above knows of this one, if it is under way.
pub(super) fn known_above<'s>(id: &str, definition: &Definition, above: &'s Saga) -> Option<&'s Child> {
    let entry = above.entry(place_above(id, definition, above)?)?;
    entry.children()?.child(below(id)?.index())
}

/// What the row above is to know of what happened to this one.
pub(super) fn novelty(
    before: Option<&Saga>,
    input: &Input,
    decided: &Decided,
    (known, found): (Option<&Child>, bool),
) -> Option<Novelty> {
    let after = &decided.saga;
    if decided.events.iter().any(|event| matches!(event, SagaEvent::Swept { lingers: true })) {
        return Some(Novelty::Lingers);
    }
    if after.status == Status::Swept {
        let lingered = before.and_then(|before| before.ended.as_ref()).is_some_and(|end| end.expires_at < Millis::MAX);
        return lingered.then_some(Novelty::Gone);
    }
    let was = before.map(|before| before.status);
    let is_recalled = matches!(input, Input::Recall(_));
    match after.status {
        Status::Completed if was != Some(Status::Completed) => Some(Novelty::Done),
        Status::Compensated if was != Some(Status::Compensated) || is_recalled => {
            let failure = after.failure.clone().expect("what is undone says why");
            Some(Novelty::Undone { refused: is_refused(after, &failure), failure })
        }
        Status::Running | Status::Compensating => {
            let (known, held) = (known?, after.held_since.is_some());
            // One that goes forward has looked whether it is paused: it may not have been told yet.
            let looked = after.status == Status::Running && known.paused != found && !mutated("look_not_told_above");
            let differs = known.held != held && !mutated("child_news_lost");
            match looked {
                true => Some(Novelty::Looked { paused: found, held }),
                false => differs.then_some(Novelty::Held(held)),
            }
        }
        Status::Completed | Status::Compensated | Status::Expected | Status::Swept => None,
    }
}

/// True if what a row was undone for is known not done: its participant, or a person, or its time said no.
fn is_refused(saga: &Saga, failure: &Arc<Failure>) -> bool {
    let says = |work: Work| saga.entries.iter().any(|entry| entry.work == work && entry.failure() == Some(failure));
    failure.kind == FailureKind::Refused || says(Work::Refused)
}
