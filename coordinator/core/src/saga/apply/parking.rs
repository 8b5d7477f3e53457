//! What waits for its participant's breaker.

use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Failure, Order};
use ringmaster_schemas::names::Direction;
use ringmaster_schemas::state::{Course, Detail, Entry, EntryMore, Waits, Work};

use super::leaf::{more, remember, since};

/// It waits, if it could be asked now. Where a person asks for it, all its time is before it, as if nobody was asked yet; where it failed
/// while nobody is asked, its attempts are counted anew. Which attempt is the first to count stands where nothing is due.
pub(super) fn parked(
    entry: &mut Entry,
    direction: Direction,
    (participant, failure): (&Arc<str>, Option<&Arc<Failure>>),
    at: Millis,
) -> bool {
    let legal = match (entry.work, direction) {
        // What was withheld has waited since then.
        (Work::Nothing | Work::Asked, Direction::Do) if entry.waits == Waits::Paused => {
            entry.waits = Waits::Parked;
            more(entry).course.get_or_insert_default().detail = Detail::Parked { participant: participant.clone() };
            return true;
        }
        (Work::Asked, Direction::Do) | (Work::UndoAsked, Direction::Undo) => {
            matches!(entry.waits, Waits::Reply | Waits::Retry | Waits::Stuck)
        }
        (Work::Done | Work::Failed, Direction::Undo) => entry.waits == Waits::No,
        _ => false,
    };
    if !legal {
        return false;
    }
    if matches!(entry.work, Work::Asked | Work::UndoAsked) {
        count_from(entry, failure.is_some());
    }
    entry.waits = Waits::Parked;
    if let Some(failure) = failure {
        remember(entry, failure);
    }
    let course = more(entry).course.get_or_insert_default();
    course.detail = Detail::Parked { participant: participant.clone() };
    since(entry, at)
}

/// Which attempt is the first to count once it goes out: those that failed just now do not; none where a person asks for it.
pub(super) fn count_from(entry: &mut Entry, has_failed: bool) {
    let from = if has_failed { entry.attempt.saturating_add(1) } else { entry.counts_from() };
    entry.due_at = if entry.waits == Waits::Stuck { 0 } else { i64::from(from) };
}

/// The command of what was parked before it was even made. `issued`: the entry as it would begin now.
pub(super) fn issued(entry: &mut Entry, issued: &Entry, (order, due_at): (&Order, Millis)) -> bool {
    let is_unmade = entry.work == Work::Nothing && matches!(entry.waits, Waits::Parked | Waits::Paused);
    let legal = (entry.node, entry.round) == (issued.node, issued.round) && is_unmade;
    if legal {
        (entry.work, entry.waits, entry.attempt, entry.due_at) = (Work::Asked, Waits::Reply, 1, due_at);
        (entry.order, entry.more, entry.since) = (Some(order.clone()), None, issued.since);
    }
    legal
}

/// What is parked no more does not say for whom, nor what is asked no more since when its attempts are counted.
pub(super) fn forget(entry: &mut Entry) {
    if !matches!(entry.waits, Waits::Parked | Waits::Reply | Waits::Retry) {
        forget_all(entry);
    }
}

/// What is asked for the first time was neither parked nor asked anew before.
pub(super) fn forget_all(entry: &mut Entry) {
    let Some(more) = &mut entry.more else { return };
    if let Some(course) = &mut more.course
        && matches!(course.detail, Detail::Parked { .. } | Detail::Anew { .. })
    {
        course.detail = Detail::Nothing {};
        more.course.take_if(|course| *course == Course::default());
    }
    entry.more.take_if(|more| **more == EntryMore::default());
}
