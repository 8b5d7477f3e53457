//! The list of entries: what an entry can be, and how its command is asked.

use ringmaster_schemas::journal::{Place, SagaEvent};
use ringmaster_schemas::state::{Entry, Waits, Work};

use super::{Broken, One};

/// L2: an open leaf has one reason, and only some reasons fit what is known of it.
pub(super) fn work_and_waits_fit(one: One<'_>) -> Broken {
    let fits = |entry: &Entry| match entry.work {
        Work::Nothing => {
            let waits_by_itself = matches!(entry.waits, Waits::Time | Waits::Approval | Waits::Event);
            waits_by_itself || matches!(entry.waits, Waits::Stuck | Waits::Parked | Waits::Paused) || entry.went_on()
        }
        Work::Asked if entry.waits == Waits::Paused => true,
        Work::Asked | Work::UndoAsked => matches!(entry.waits, Waits::Reply | Waits::Retry | Waits::Stuck | Waits::Parked),
        Work::Done | Work::Failed => matches!(entry.waits, Waits::No | Waits::Stuck | Waits::Parked),
        Work::Refused | Work::Undone => matches!(entry.waits, Waits::No | Waits::Stuck),
        Work::Open | Work::Undoing if entry.children().is_some() => entry.waits == Waits::Children,
        Work::Closed | Work::Open | Work::Undoing => entry.waits == Waits::No,
    };
    let entry = one.behind.entries.iter().find(|entry| !fits(entry))?;
    Some(format!("{} is {} and waits: {}", entry.name(), entry.work, entry.waits))
}

/// L7: attempts of a key are 1, 2, 3 with one order, and no key is used by two entries.
pub(super) fn attempts_are_in_order(one: One<'_>) -> Broken {
    let behind = |place: &Place| one.behind.entry(*place).map(|entry| (entry.attempt, entry.order.as_ref()));
    match one.event {
        SagaEvent::CommandIssued { place, order, .. } => {
            let known = |entry: &Entry| entry.order.as_ref().is_some_and(|known| known.step() == order.step());
            let used = one.before.is_some_and(|saga| saga.entries.iter().any(known));
            (used || behind(place) != Some((1, Some(order)))).then(|| format!("{} is not asked first", order.step()))
        }
        SagaEvent::UndoIssued { place, order, .. } => {
            (behind(place) != Some((1, Some(order)))).then(|| format!("the undo of {} is not asked first", order.step()))
        }
        SagaEvent::Retried { place, attempt, order, .. } => {
            let known = one.before.and_then(|saga| saga.entry(*place));
            let same = |entry: &Entry| {
                let (was, is) = (entry.order.as_ref().map(|order| (order.step(), entry.body())), (order.step(), order.body()));
                was == Some(is) && entry.attempt + 1 == *attempt
            };
            let counts = one.behind.entry(*place).map(Entry::counted_attempt);
            // Parked or withheld before it failed again, it is the next of those that count.
            let parked = known.filter(|entry| matches!(entry.waits, Waits::Parked | Waits::Paused) && entry.due_at > 0);
            let expected = parked.map_or(1, |entry| i64::from(*attempt) - entry.due_at + 1);
            if counts.map(i64::from) != Some(expected) {
                return Some(format!("attempt {attempt} counts as {counts:?}, not {expected}"));
            }
            (!known.is_some_and(same)).then(|| format!("attempt {attempt} is not the next, or asks something else"))
        }
        SagaEvent::CommandRepeated { place, attempt, .. } => {
            let known = one.before.and_then(|saga| saga.entry(*place)).map(|entry| (entry.attempt + 1, entry.order.as_ref()));
            (known != behind(place) || known.is_none_or(|(next, _)| next != *attempt))
                .then(|| format!("attempt {attempt} is not the next, or asks something else"))
        }
        _ => None,
    }
}

/// L12: entries are only appended.
pub(super) fn entries_stay(one: One<'_>) -> Broken {
    if matches!(one.event, SagaEvent::Swept { lingers: false }) {
        return None;
    }
    (one.before?.entries.len() > one.behind.entries.len()).then(|| "an entry is gone".to_owned())
}
