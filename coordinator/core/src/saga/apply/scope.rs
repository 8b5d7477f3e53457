//! What can happen to a scope, and what follows upon a refusal or failure.

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::SagaEvent;
use ringmaster_schemas::state::{Course, Entry, Waits, Work};

use super::children;
use super::leaf::{more, remember, since};
use crate::faults::mutated;

/// True if it could happen to a scope that is open or undone; else nothing has changed.
pub(super) fn change(entry: &mut Entry, event: &SagaEvent, at: Millis) -> bool {
    match (entry.work, event) {
        (Work::Open, SagaEvent::Succeeded { result, .. }) => (entry.work, entry.result) = (Work::Done, result.clone()),
        (Work::Open, SagaEvent::ScopeStopped { refused, failure, .. }) => {
            entry.work = Work::Undoing;
            course(entry).refused = *refused;
            remember(entry, failure);
            if let Some(rows) = children::rows(entry) {
                children::recall(rows);
            }
        }
        (Work::Undoing, SagaEvent::Refused { failure, .. }) => {
            entry.work = Work::Refused;
            remember(entry, failure);
        }
        (Work::Undoing, SagaEvent::Failed { failure, .. }) => {
            entry.work = Work::Failed;
            remember(entry, failure);
        }
        (Work::Undoing, SagaEvent::Undone { .. }) if entry.children().is_some_and(|rows| rows.was_done) => {
            entry.work = Work::Undone;
        }
        (Work::Open | Work::Undoing, SagaEvent::Closed { .. }) => entry.work = Work::Closed,
        _ => return false,
    }
    if entry.work != Work::Undoing {
        entry.waits = Waits::No;
    }
    // Its time is no matter any more.
    entry.due_at = 0;
    since(entry, at)
}

/// True if it could follow upon what was refused or failed; else nothing has changed.
pub(super) fn react(entry: &mut Entry, event: &SagaEvent, at: Millis) -> bool {
    let is_over = matches!(entry.work, Work::Refused | Work::Failed | Work::Undone);
    // A person goes on behind what could not be done, or of which nobody knows.
    let by_a_person =
        (entry.waits == Waits::Stuck && matches!(entry.work, Work::Nothing | Work::Done)) || entry.work == Work::Closed;
    let may_react = is_over && matches!(entry.waits, Waits::No | Waits::Stuck);
    match event {
        SagaEvent::ReactionBegan { list, .. } if may_react => {
            entry.waits = Waits::No;
            course(entry).reaction = Some(*list);
            since(entry, at)
        }
        SagaEvent::WentOn { .. } if may_react || (by_a_person && entry.stray().is_none()) => {
            entry.waits = Waits::No;
            course(entry).went_on = true;
            since(entry, at)
        }
        // A stray: its undo goes on, whatever becomes of its reaction.
        SagaEvent::WentOn { .. } if entry.stray().is_some() && matches!(entry.work, Work::Done | Work::UndoAsked) => {
            course(entry).went_on = true;
            if mutated("went_on_drops_stray") {
                entry.waits = Waits::No;
            }
            true
        }
        SagaEvent::Closed { .. } if entry.waits == Waits::Stuck && (is_over || entry.work == Work::Done) => {
            entry.waits = Waits::No;
            since(entry, at)
        }
        // A person goes on without knowing whether it was done.
        SagaEvent::Closed { .. } if entry.waits == Waits::Stuck && entry.work == Work::Asked => {
            (entry.work, entry.waits) = (Work::Closed, Waits::No);
            since(entry, at)
        }
        _ => false,
    }
}

/// What is undone alone is undone for this: the attempts of the undo may fail in their own way, or it cannot even be made.
pub(super) fn keep_cause(entry: &mut Entry) {
    let is_kept = entry.course().is_some_and(|course| course.cause.is_some());
    let cause = entry.failure().cloned().filter(|_| !is_kept && !mutated("cause_forgotten"));
    if cause.is_some() {
        course(entry).cause = cause;
    }
}

/// What is found done by itself was refused all the same, and for this: its reaction goes on as if nothing had been found.
pub(super) fn was_refused(entry: &mut Entry) {
    keep_cause(entry);
    course(entry).refused = true;
}

fn course(entry: &mut Entry) -> &mut Course {
    more(entry).course.get_or_insert_with(Default::default)
}
