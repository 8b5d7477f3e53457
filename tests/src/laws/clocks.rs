//! L15: when something is due, and when clocks stand.

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Opens, SagaEvent};
use ringmaster_schemas::state::{Entry, Waits};

use super::{Broken, One};

/// While a person is needed, or something is parked, the clocks of the deadline, of open scopes and of approvals stand; then they move
/// by exactly that time.
pub(super) fn clocks_stand_while_it_is_held(one: One<'_>) -> Broken {
    let (before, behind) = (one.before.filter(|saga| saga.began())?, one.behind);
    let holds = |entry: &Entry| entry.children().is_some_and(|rows| rows.open.iter().any(|child| child.held));
    let is_held = |entry: &Entry| match entry.waits {
        Waits::Stuck | Waits::Parked | Waits::Paused => true,
        Waits::Children => holds(entry),
        _ => false,
    };
    let is_held = behind.paused().is_some() || behind.entries.iter().any(is_held);
    if is_held != behind.held_since.is_some() {
        return Some(
            "the clock stands when a person is needed, something is parked or the saga is paused, else it runs".to_owned(),
        );
    }
    // A scope that began meanwhile has stood for less.
    let held = |begun: Millis| match (before.held_since, behind.held_since) {
        (Some(since), None) => one.at - since.max(begun),
        _ => 0,
    };
    let expected = before.deadline_at.map(|deadline| deadline.saturating_add(held(Millis::MIN)));
    if behind.deadline_at != expected {
        return Some(format!("the deadline is {:?} instead of {expected:?}", behind.deadline_at));
    }
    // When others are asked, the next time is another one.
    if let SagaEvent::Escalated { .. } = one.event {
        return None;
    }
    let moved = |(was, is): (&Entry, &Entry)| match (was.clock(), is.clock()) {
        (Some(before), Some(behind)) => behind != before + held(was.since),
        _ => false,
    };
    before.entries.iter().zip(&behind.entries).any(moved).then(|| "the time of a scope or an approval moves otherwise".to_owned())
}

/// Nothing is due before it began to wait.
pub(super) fn nothing_is_due_before_it_waits(one: One<'_>) -> Broken {
    let is_timed = |waits: Waits| matches!(waits, Waits::Reply | Waits::Retry | Waits::Time | Waits::Approval | Waits::Event);
    let early = |entry: &&Entry| is_timed(entry.waits) && entry.due_at < entry.since;
    let entry = one.behind.entries.iter().find(early)?;
    Some(format!("{} is due before it began to wait", entry.name()))
}

/// An entry is due when its event says so, and no attempt goes beyond the time of all of them.
pub(super) fn due_is_what_was_said(one: One<'_>) -> Broken {
    let (place, due) = match one.event {
        SagaEvent::Entered {
            place,
            opens: Opens::Sleep { due_at, .. } | Opens::Approval { due_at, .. } | Opens::Wait { until: due_at },
            ..
        }
        | SagaEvent::Escalated { place, due_at, .. } => {
            let other = one.behind.entry(*place).is_none_or(|entry| entry.due_at != *due_at);
            return other.then(|| "it is due at another time than was said".to_owned());
        }
        SagaEvent::CommandIssued { place, due_at, .. }
        | SagaEvent::UndoIssued { place, due_at, .. }
        | SagaEvent::CommandRepeated { place, due_at, .. }
        | SagaEvent::Retried { place, due_at, .. }
        | SagaEvent::RetryScheduled { place, due_at, .. } => (*place, *due_at),
        _ => return None,
    };
    let entry = one.behind.entry(place)?;
    let until = entry.order.as_ref()?.fields().until;
    if entry.due_at != due {
        return Some(format!("{} is due at another time than was said", entry.name()));
    }
    let retries = matches!(one.event, SagaEvent::RetryScheduled { .. });
    let over = due > until || (retries && due == until);
    over.then(|| format!("{} goes on when its time is over", entry.name()))
}

/// The row of a saga that has ended stays for as long as a stray took longer.
pub(super) fn a_row_stays_as_long_as_its_stray_took(one: One<'_>) -> Broken {
    // That of an item goes with its saga's.
    let before = one.before.filter(|saga| !saga.is_below())?;
    let (ended, behind) = (before.ended.as_ref()?, one.behind.ended.as_ref()?);
    let late = match one.event {
        SagaEvent::Undone { place } => one.at - before.entry(*place)?.stray()?,
        _ => 0,
    };
    let stays = behind.expires_at >= ended.expires_at.saturating_add(late);
    (!stays).then(|| "the row goes before what was found late is remembered as long".to_owned())
}
