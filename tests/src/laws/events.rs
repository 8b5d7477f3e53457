//! What may happen, and to what.

use ringmaster_schemas::journal::{ItemEvent, Opens, Phase, SagaEvent};
use ringmaster_schemas::names::Direction;
use ringmaster_schemas::state::{Saga, Status, Work};

use super::{Broken, One, scopes};

/// L1: the row of a saga that has ended goes when nothing of it is open, not before.
pub(super) fn an_ended_row_goes_when_nothing_of_it_is_open(one: One<'_>) -> Broken {
    // The row of an item goes when its saga says so.
    if one.behind.is_below() {
        return one.behind.expiry_bucket().is_some().then(|| "the row of an item expires by itself".to_owned());
    }
    let stays = one.behind.ended() && one.behind.expiry_bucket().is_none();
    (one.behind.ended()
        && stays != (one.behind.open_stray().is_some() || one.behind.to_sweep().is_some() || one.behind.has_lingering()))
    .then(|| format!("its row stays: {stays}"))
}

/// L3: in what is undone nothing is entered, repeated or told.
pub(super) fn nothing_goes_forward_in_what_is_undone(one: One<'_>) -> Broken {
    let before = one.before.filter(|_| goes_forward(one.event))?;
    let undone = before.status != Status::Running || scopes::is_halted(one.definition, before, one.event);
    undone.then(|| "something goes forward in what is undone".to_owned())
}

fn goes_forward(event: &SagaEvent) -> bool {
    matches!(
        event,
        SagaEvent::CommandIssued { .. }
            | SagaEvent::CommandRepeated { direction: Direction::Do, .. }
            | SagaEvent::Retried { direction: Direction::Do, .. }
            | SagaEvent::Parked { direction: Direction::Do, .. }
            | SagaEvent::Postponed { .. }
            | SagaEvent::Withheld { .. }
            | SagaEvent::Emitted { .. }
            | SagaEvent::Entered {
                opens: Opens::Refused { .. }
                    | Opens::Scope { .. }
                    | Opens::Sleep { .. }
                    | Opens::Approval { .. }
                    | Opens::Wait { .. }
                    | Opens::Items { .. }
                    | Opens::Gave { .. }
                    | Opens::Parked { .. },
                ..
            }
            | SagaEvent::Item { event: ItemEvent::Began { .. }, .. }
            | SagaEvent::Escalated { .. }
            | SagaEvent::EventTaken { .. }
            | SagaEvent::Answered { .. }
            | SagaEvent::Skipped { .. }
            | SagaEvent::ReactionBegan { .. }
            | SagaEvent::WentOn { .. }
    )
}

/// L5: what is undone stands before the pivot.
pub(super) fn nothing_on_or_behind_the_pivot_is_undone(one: One<'_>) -> Broken {
    let (SagaEvent::UndoIssued { place, .. } | SagaEvent::Parked { place, direction: Direction::Undo, .. }) = one.event else {
        return None;
    };
    let before = one.node(*place).is_some_and(|node| node.phase == Phase::Compensatable);
    (!before).then(|| "something on or behind the pivot is undone".to_owned())
}

/// L9: a pivot, and what comes behind, is never given up as unknown: a person must look.
pub(super) fn a_pivot_is_never_given_up(one: One<'_>) -> Broken {
    let SagaEvent::Failed { place, .. } = one.event else { return None };
    let before = one.node(*place).is_some_and(|node| node.phase == Phase::Compensatable);
    (!before).then(|| "a pivot, or what comes behind, is given up".to_owned())
}

/// L14: a saga goes forward, then it undoes, then it has ended.
pub(super) fn the_status_never_goes_back(one: One<'_>) -> Broken {
    let before = one.before?;
    let order = |status: Status| match status {
        Status::Expected => 0,
        Status::Running => 1,
        Status::Compensating => 2,
        Status::Completed | Status::Compensated => 3,
        Status::Swept => 4,
    };
    // What an item has done is undone when its saga says so; and its row goes.
    let is_recalled = (before.status, one.behind.status) == (Status::Completed, Status::Compensating);
    if before.is_below() && (is_recalled || (before.ended() && one.behind.status == Status::Swept)) {
        return None;
    }
    let back = order(one.behind.status) < order(before.status) || (before.ended() && one.behind.status != before.status);
    back.then(|| "the status goes back".to_owned())
}

/// L14: what is behind its pivot stays there.
pub(super) fn the_pivot_stays_behind(one: One<'_>) -> Broken {
    (one.before?.passed && !one.behind.passed).then(|| "the pivot is in front again".to_owned())
}

/// L14: whoever leaves the node that holds the pivot is behind it, whatever became of that.
pub(super) fn left_out_is_passed(one: One<'_>) -> Broken {
    let SagaEvent::WentOn { place, passes } = one.event else { return None };
    let node = one.node(*place)?;
    (node.passes != *passes).then(|| format!("it goes on without {}, and is behind its pivot: {passes}", node.name))
}

/// L16: only what is known as not done can be found done after all.
pub(super) fn only_a_refusal_is_contradicted(one: One<'_>) -> Broken {
    let SagaEvent::ContradictionFound { place, .. } = one.event else { return None };
    let refused = one.before.and_then(|saga| saga.entry(*place)).is_some_and(|entry| entry.work == Work::Refused);
    (!refused).then(|| "only what was refused can be contradicted".to_owned())
}

/// L22: an end is told once, and each of its events has an id of its own.
pub(super) fn an_end_is_told_once(one: One<'_>) -> Broken {
    let (SagaEvent::Completed { emissions, .. } | SagaEvent::Compensated { emissions, .. }) = one.event else { return None };
    let again = emissions.iter().enumerate().any(|(at, one)| emissions[..at].iter().any(|other| other.id == one.id));
    (again || one.before.is_none_or(Saga::ended)).then(|| "an end is told twice".to_owned())
}
