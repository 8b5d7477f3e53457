//! L23: a saga that is paused does not go forward, and all of it that was held back goes on when it is resumed.

use ringmaster_core::definition::{Definition, ROOT};
use ringmaster_core::saga::{Why, code, why};
use ringmaster_schemas::journal::{Next, SagaEvent};
use ringmaster_schemas::names::Direction;
use ringmaster_schemas::state::{Entry, Saga, Waits, Work};

use super::{Broken, One, scopes};

/// What is postponed and may still begin: nothing around it is undone, or over.
pub(crate) fn postponed<'s>(definition: &'s Definition, saga: &'s Saga) -> impl Iterator<Item = &'s Next> {
    let all = saga.paused().map_or(&[][..], |paused| &paused.postponed);
    all.iter().filter(|next| {
        let around = scopes::around(definition, saga, next.node, saga.entries.len());
        next.node == ROOT || around.iter().all(|scope| saga.entries[*scope].work == Work::Open)
    })
}

/// Nothing begins, is asked again, told or ended while it is paused.
pub(super) fn nothing_goes_forward_while_it_is_paused(one: One<'_>) -> Broken {
    let before = one.before.filter(|saga| saga.paused().is_some())?;
    let wakes = |place: usize| before.entries.get(place).is_some_and(|entry| entry.waits == Waits::Time);
    let goes_forward = match one.event {
        SagaEvent::CommandIssued { .. }
        | SagaEvent::CommandRepeated { direction: Direction::Do, .. }
        | SagaEvent::Retried { direction: Direction::Do, .. }
        | SagaEvent::Emitted { .. }
        | SagaEvent::Entered { .. }
        | SagaEvent::Escalated { .. }
        | SagaEvent::Completed { .. } => true,
        SagaEvent::Succeeded { place, .. } => wakes(usize::from(*place)),
        SagaEvent::Refused { place, failure } => wakes(usize::from(*place)) && *failure.code == *code::EXPIRED,
        _ => false,
    };
    goes_forward.then(|| "something goes forward while the saga is paused".to_owned())
}

/// Only what a paused saga would do is held back, and it is paused no more when it undoes.
pub(super) fn only_what_is_paused_is_held_back(one: One<'_>) -> Broken {
    let was_paused = one.before.is_some_and(|saga| saga.paused().is_some());
    let fits = match one.event {
        SagaEvent::Postponed { .. } | SagaEvent::Withheld { .. } | SagaEvent::Resumed {} => was_paused,
        SagaEvent::Paused { .. } => !was_paused,
        SagaEvent::CompensationBegan { .. } => one.behind.paused().is_none(),
        _ => true,
    };
    (!fits).then(|| format!("it happens where the saga was paused: {was_paused}"))
}

/// When a saga is not paused nothing of it waits to be resumed, and whoever asks is told how to resume it.
pub(super) fn what_is_held_back_is_told(definition: &Definition, saga: &Saga) -> Broken {
    let withheld = |entry: &&Entry| entry.waits == Waits::Paused;
    if saga.paused().is_none() {
        return saga
            .entries
            .iter()
            .find(withheld)
            .map(|entry| format!("{} waits to be resumed, and it is not paused", entry.name()));
    }
    let paused = saga.paused().filter(|paused| paused.is_with_above()).map_or(&saga.id, |paused| &paused.why);
    let resume = format!("ringmaster act resume {paused} ");
    let told = |why: &&Why| {
        why.waits == Waits::Paused && why.wakes_at.is_none() && why.ways_out.iter().any(|way| way.to_string().starts_with(&resume))
    };
    let count = saga.entries.iter().filter(withheld).count() + postponed(definition, saga).count();
    let reasons = why(definition, saga);
    (reasons.iter().filter(told).count() != count).then(|| format!("{count} wait to be resumed, and {reasons:?} is told"))
}
