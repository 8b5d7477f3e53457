//! What holds between turns, and at the ends.

use ringmaster_core::definition::{Definition, Undo};
use ringmaster_schemas::Millis;
use ringmaster_schemas::state::{Entry, Saga, Status, Waits, Work};

use super::{Broken, postponed, scopes};

fn lives(saga: &Saga) -> bool {
    matches!(saga.status, Status::Running | Status::Compensating)
}

/// L1: a saga that lives waits for something, without branches for one thing; one that has ended for nothing but strays.
pub(super) fn a_saga_that_lives_waits(definition: &Definition, saga: &Saga) -> Broken {
    let postponed = postponed(definition, saga).count();
    let open = saga.entries.iter().filter(|entry| entry.open()).count() + postponed;
    let strays = saga.entries.iter().filter(|entry| entry.open() && entry.stray().is_some()).count();
    if !lives(saga) {
        return (open != strays).then(|| "an ended saga waits".to_owned());
    }
    if open == 0 {
        return Some("a live saga waits for nothing".to_owned());
    }
    // What is found done in a scope that is undone joins its walk, and a scope waits for a stray in it.
    let forward = saga.entries.iter().filter(|entry| entry.open() && !matches!(entry.work, Work::UndoAsked | Work::Done)).count();
    let forward = forward + postponed;
    let waits_for_stray = saga.entries.iter().any(|entry| entry.work == Work::Undoing);
    let wrong = forward > 1 && !scopes::has_branches(definition) || open == strays && !waits_for_stray;
    (saga.status == Status::Running && wrong)
        .then(|| format!("a saga that goes forward waits, and without branches for one thing: this one for {forward}"))
}

/// L1: nothing is open, or undone, in which nothing waits.
pub(super) fn a_scope_waits_for_something(definition: &Definition, saga: &Saga) -> Broken {
    let mut entries = saga.entries.iter().zip(0..);
    let (_, place) = entries.find(|(entry, place)| scopes::is_orphan(definition, saga, entry, *place))?;
    Some(format!("the scope at {place} waits for nothing"))
}

/// L2: what waits has a due time, or is parked, or a person is needed.
pub(super) fn what_waits_is_due_or_held(_: &Definition, saga: &Saga) -> Broken {
    // Rows below wait for their own.
    let has_items = saga.entries.iter().any(|entry| entry.waits == Waits::Children);
    let is_held = saga.stuck() || saga.parked() || saga.paused().is_some();
    let lost = lives(saga) && !has_items && !is_held && saga.due_at() == Millis::MAX;
    lost.then(|| "an open leaf has no due time, is not parked, and nobody is needed".to_owned())
}

/// L12: the row of a saga that has ended keeps no body that nothing is made of.
pub(super) fn an_ended_row_is_small(_: &Definition, saga: &Saga) -> Broken {
    let kept = |entry: &&Entry| !entry.body().is_empty() && entry.work != Work::Refused && !entry.open();
    // What an item did may still have to be undone.
    let is_over = saga.ended() && !(saga.is_below() && saga.status == Status::Completed);
    let entry = saga.entries.iter().filter(|_| is_over).find(kept)?;
    Some(format!("an ended saga keeps the body of {}", entry.name()))
}

/// L14: who has ended says when.
pub(super) fn the_end_is_noted(_: &Definition, saga: &Saga) -> Broken {
    ((lives(saga) || !saga.began()) != saga.ended.is_none()).then(|| format!("it is {} and says {:?}", saga.status, saga.ended))
}

/// L17: compensated: nothing is done, or may be, that has an undo, and the pivot is not behind.
pub(super) fn compensated_is_undone(definition: &Definition, saga: &Saga) -> Broken {
    if saga.status != Status::Compensated {
        return None;
    }
    let undoes = |entry: &Entry| definition.step(entry.node).is_some_and(|step| matches!(step.asks.undo, Undo::Command { .. }));
    let left = |entry: &&Entry| matches!(entry.work, Work::Done | Work::Failed) && undoes(entry) && !entry.open();
    match saga.entries.iter().find(left) {
        Some(entry) => Some(format!("it is compensated and {} is {}", entry.name(), entry.work)),
        None => saga.passed.then(|| "it is compensated behind its pivot".to_owned()),
    }
}

/// L18: completed: every entry is done, left out, tried again, or was undone with what is around it.
pub(super) fn completed_is_done(definition: &Definition, saga: &Saga) -> Broken {
    let mut entries = saga.entries.iter().zip(0..).filter(|_| saga.status == Status::Completed);
    let (entry, _) = entries.find(|(_, place)| !scopes::ended_well(definition, saga, *place))?;
    Some(format!("it is completed and {} is {}", entry.name(), entry.work))
}
