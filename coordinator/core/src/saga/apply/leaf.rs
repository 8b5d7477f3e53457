//! What can happen to one entry: total over what is known of it, why it is open, and the event.

use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Failure, Order, SagaEvent};
use ringmaster_schemas::names::Direction;
use ringmaster_schemas::state::{Detail, Entry, EntryMore, Status, Waits, Work};

use super::{children, parking, pausing, scope, waits};
use crate::faults::mutated;

/// Whether it may happen while the saga stands so. Nothing forward begins, and nothing is tried again, while it undoes; behind its end
/// only a stray moves.
pub(super) fn may(status: Status, entry: &Entry, event: &SagaEvent) -> bool {
    let stray = entry.stray().is_some();
    match (status, event) {
        // While it goes forward, something in a scope that is undone may be found done, which is no stray.
        (Status::Running, _) => true,
        (_, SagaEvent::ContradictionFound { stray, .. }) => *stray == (status != Status::Compensating),
        (
            Status::Compensating,
            SagaEvent::CommandRepeated { direction, .. }
            | SagaEvent::RetryScheduled { direction, .. }
            | SagaEvent::Parked { direction, .. }
            | SagaEvent::Retried { direction, .. },
        ) => *direction == Direction::Undo,
        // Its items are told, whatever is undone around it.
        (Status::Compensating, SagaEvent::ScopeStopped { .. }) => entry.children().is_some(),
        (_, SagaEvent::ReactionBegan { .. } | SagaEvent::WentOn { .. } | SagaEvent::ScopeStopped { .. }) => false,
        (
            _,
            SagaEvent::Escalated { .. } | SagaEvent::EventTaken { .. } | SagaEvent::Withheld { .. } | SagaEvent::Answered { .. },
        ) => false,
        (_, SagaEvent::Succeeded { .. } | SagaEvent::Refused { .. } | SagaEvent::Stuck { .. })
            if matches!(entry.waits, Waits::Time | Waits::Approval | Waits::Event) =>
        {
            false
        }
        (_, SagaEvent::Succeeded { .. }) if entry.work == Work::Open => false,
        (Status::Compensating, _) => true,
        (Status::Completed | Status::Compensated, _) => stray,
        (Status::Expected | Status::Swept, _) => false,
    }
}

/// True if it could happen; else nothing has changed. `alone`: it happens while the saga goes forward.
pub(super) fn change(entry: &mut Entry, event: &SagaEvent, at: Millis, alone: bool) -> bool {
    use Waits::{Approval, Children, Event, No, Parked, Paused, Reply, Retry, Stuck, Time};
    use Work::{Asked, Closed, Done, Failed, Nothing, Open, Refused, UndoAsked, Undoing, Undone};
    match (entry.work, entry.waits) {
        (Open | Undoing, _) => return scope::change(entry, event, at),
        (_, Time | Approval | Event | Children) => return waits::change(entry, event, at),
        (_, No | Reply | Retry | Stuck | Parked | Paused) => {}
    }
    match event {
        SagaEvent::CommandRepeated { direction, attempt, due_at, .. } => {
            return repeated(entry, *direction, (*attempt, *due_at), at);
        }
        SagaEvent::Retried { direction, attempt, order, due_at, .. } => {
            return retried(entry, *direction, (*attempt, order, *due_at), at);
        }
        SagaEvent::Parked { direction, participant, failure, .. } => {
            return parking::parked(entry, *direction, (participant, failure.as_ref()), at);
        }
        SagaEvent::Withheld { failure, .. } => return pausing::withheld(entry, failure.as_ref(), at),
        _ => {}
    }
    let failure = match (entry.work, entry.waits, event) {
        (Asked, Reply, SagaEvent::RetryScheduled { direction: Direction::Do, due_at, failure, .. })
        | (UndoAsked, Reply, SagaEvent::RetryScheduled { direction: Direction::Undo, due_at, failure, .. }) => {
            if !mutated("retry_at_once") {
                entry.due_at = *due_at;
            }
            entry.waits = Retry;
            failure
        }
        (Done | Failed, No | Parked, SagaEvent::UndoIssued { order, due_at, .. }) => {
            return undo_issued(entry, order, *due_at, alone, at);
        }
        (Asked, _, SagaEvent::Succeeded { result, .. })
        | (Nothing | Refused | Failed | Undone | Done, Stuck, SagaEvent::Succeeded { result, .. }) => {
            (entry.work, entry.waits, entry.result) = (Done, No, result.clone());
            children::keep_only(entry);
            forget_body(entry);
            return since(entry, at);
        }
        // Its time was over, or it could not be told: what was wanted came late.
        (Nothing | Refused, Stuck, SagaEvent::EventTaken { event, .. }) => return waits::took(entry, event, at),
        (Asked, _, SagaEvent::Refused { failure, .. } | SagaEvent::Failed { failure, .. }) => {
            let refused = matches!(event, SagaEvent::Refused { .. });
            (entry.work, entry.waits) = (if refused { Refused } else { Failed }, No);
            forget_body(entry);
            failure
        }
        // By a person, where its undo could not even be made.
        (UndoAsked, _, SagaEvent::Undone { .. }) | (Done | Failed, Stuck, SagaEvent::Undone { .. }) => {
            (entry.work, entry.waits, entry.bare) = (Undone, No, true);
            return since(entry, at);
        }
        (Nothing, _, SagaEvent::Closed { .. }) => {
            (entry.work, entry.waits) = (Closed, No);
            return since(entry, at);
        }
        (Nothing | Asked | Done | Refused | Failed | UndoAsked | Undone, _, SagaEvent::Stuck { failure, .. }) => {
            stuck(entry, failure, alone)
        }
        (Refused, No, SagaEvent::ContradictionFound { stray, .. }) => return found_done(entry, *stray, at),
        (
            Nothing | Asked | Done | Refused | Failed | UndoAsked | Undone | Closed | Open | Undoing,
            No | Reply | Retry | Stuck | Time | Approval | Event | Parked | Paused | Children,
            _,
        ) => return scope::react(entry, event, at),
    };
    remember(entry, failure);
    since(entry, at)
}

fn undo_issued(entry: &mut Entry, order: &Order, due_at: Millis, alone: bool, at: Millis) -> bool {
    if entry.work == Work::Failed && alone {
        scope::keep_cause(entry);
    }
    parking::forget_all(entry);
    (entry.work, entry.waits, entry.attempt, entry.due_at) = (Work::UndoAsked, Waits::Reply, 1, due_at);
    (entry.order, entry.bare) = (Some(order.clone()), false);
    since(entry, at)
}

/// It needs a person. What was to be undone alone, and cannot be, is still followed by the reaction to why it failed.
fn stuck<'a>(entry: &mut Entry, failure: &'a Arc<Failure>, alone: bool) -> &'a Arc<Failure> {
    if entry.work == Work::Failed && alone && entry.failure() != Some(failure) && !mutated("cause_forgotten_where_stuck") {
        scope::keep_cause(entry);
    }
    entry.waits = Waits::Stuck;
    failure
}

fn found_done(entry: &mut Entry, stray: bool, at: Millis) -> bool {
    entry.work = Work::Done;
    if stray {
        scope::was_refused(entry);
    }
    more(entry).stray = stray.then_some(at);
    since(entry, at)
}

/// True if this may be the next attempt of what is asked so.
fn is_next(entry: &Entry, direction: Direction, attempt: u16) -> bool {
    let work = if direction == Direction::Do { Work::Asked } else { Work::UndoAsked };
    entry.work == work && entry.attempt.checked_add(1) == Some(attempt)
}

/// The time of the next attempt has come.
fn repeated(entry: &mut Entry, direction: Direction, (attempt, due_at): (u16, Millis), at: Millis) -> bool {
    let legal = entry.waits == Waits::Retry && is_next(entry, direction, attempt);
    if legal {
        (entry.waits, entry.attempt, entry.due_at, entry.since) = (Waits::Reply, attempt, due_at, at);
    }
    legal
}

/// What was stuck, parked or withheld is asked again, the same but for its time.
fn retried(entry: &mut Entry, direction: Direction, (attempt, order, due_at): (u16, &Order, Millis), at: Millis) -> bool {
    let legal = matches!(entry.waits, Waits::Stuck | Waits::Parked | Waits::Paused) && is_next(entry, direction, attempt);
    if legal {
        let parked = entry.waits != Waits::Stuck && entry.due_at > 0;
        let from = if parked { u16::try_from(entry.due_at).unwrap_or(attempt) } else { attempt };
        let from = if mutated("attempts_counted_from_the_first") { 1 } else { from };
        (entry.waits, entry.attempt, entry.due_at, entry.order) = (Waits::Reply, attempt, due_at, Some(order.clone()));
        entry.since = at;
        more(entry).course.get_or_insert_default().detail = Detail::Anew { from };
    }
    legal
}

/// What an undo is not made of is needed no more once it is known how the command ended.
fn forget_body(entry: &mut Entry) {
    entry.bare = !entry.order.as_ref().is_some_and(Order::keep);
}

pub(super) fn remember(entry: &mut Entry, failure: &Arc<Failure>) {
    more(entry).failure = Some(failure.clone());
}

pub(super) fn more(entry: &mut Entry) -> &mut EntryMore {
    entry.more.get_or_insert_with(Default::default)
}

pub(super) fn since(entry: &mut Entry, at: Millis) -> bool {
    entry.since = at;
    true
}
