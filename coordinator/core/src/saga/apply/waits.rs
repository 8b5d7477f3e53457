//! What can happen to an entry that waits by itself: for its time, or for somebody's answer.

use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{EventAnswer, SagaEvent, TakenEvent};
use ringmaster_schemas::state::{Course, Detail, Entry, EntryMore, Waits, Work};

use super::leaf::{remember, since};
use crate::faults::mutated;

/// True if it could happen; else nothing has changed. Whatever ends it, what it waited for is needed no more.
pub(super) fn change(entry: &mut Entry, event: &SagaEvent, at: Millis) -> bool {
    let (work, waits, failure) = match event {
        SagaEvent::Succeeded { result, .. } => {
            entry.result = result.clone();
            (Work::Done, Waits::No, None)
        }
        SagaEvent::Refused { failure, .. } => (Work::Refused, Waits::No, Some(failure)),
        SagaEvent::Closed { .. } => (Work::Closed, Waits::No, None),
        SagaEvent::Stuck { failure, .. } => (Work::Nothing, Waits::Stuck, Some(failure)),
        SagaEvent::EventTaken { event, .. } if entry.waits == Waits::Event => return took(entry, event, at),
        SagaEvent::Answered { answer, .. } if entry.waits == Waits::Approval => return answered(entry, answer, at),
        SagaEvent::Escalated { role, due_at, .. } if entry.waits == Waits::Approval => return escalated(entry, role, *due_at),
        _ => return false,
    };
    (entry.work, entry.waits, entry.more) = (work, waits, None);
    if let Some(failure) = failure {
        remember(entry, failure);
    }
    since(entry, at)
}

/// It has its event. What was kept of an early one is there already.
pub(super) fn took(entry: &mut Entry, event: &TakenEvent, at: Millis) -> bool {
    if !event.early {
        entry.result = event.result.clone();
    }
    (entry.work, entry.waits) = (Work::Done, Waits::No);
    let detail = Detail::Taken { source: event.source.clone() };
    entry.more = Some(Box::new(EntryMore { course: Some(Course { detail, ..Course::default() }), ..EntryMore::default() }));
    since(entry, at)
}

/// An event has answered: which one, so that it answers to nothing else.
fn answered(entry: &mut Entry, answer: &EventAnswer, at: Millis) -> bool {
    entry.result = answer.result.clone();
    (entry.work, entry.waits) = (if answer.failure.is_some() { Work::Refused } else { Work::Done }, Waits::No);
    let detail =
        if mutated("answer_remembers_no_event") { Detail::Nothing {} } else { Detail::Taken { source: answer.source.clone() } };
    let course = Some(Course { detail, ..Course::default() });
    entry.more = Some(Box::new(EntryMore { failure: answer.failure.clone(), course, ..EntryMore::default() }));
    since(entry, at)
}

/// One more may answer. It has waited since it was asked.
fn escalated(entry: &mut Entry, role: &Arc<str>, due_at: Millis) -> bool {
    let course = entry.more.as_mut().and_then(|more| more.course.as_mut());
    let Some(Detail::Asked { roles, .. }) = course.map(|course| &mut course.detail) else { return false };
    roles.push(role.clone());
    entry.due_at = due_at;
    true
}
