//! Events go to what waits for them, by a reckoning of conditions that is not the core's.

use ringmaster_core::definition::Definition;
use ringmaster_schemas::journal::{Place, SagaEvent};
use ringmaster_schemas::state::{Detail, Entry, Saga, Status, Waits, Work};

use crate::laws::is_undone_with;
use crate::random::generate::{EVENTS, STOP};
use crate::random::plan::{Plan, What};
use crate::stories::Happened;

/// An event as it came: its type, its number, its identity.
pub(in crate::random) struct Came<'a> {
    pub(in crate::random) kind: &'a str,
    pub(in crate::random) number: i64,
    pub(in crate::random) source: &'a str,
}

/// L19: the first that waits for such an event takes it; else nobody does. One that came before is taken by nobody.
pub(in crate::random) fn came(
    plan: &Plan,
    definition: &Definition,
    before: &Saga,
    came: &Came<'_>,
    happened: &[Happened],
) -> Option<String> {
    let took = happened.first().and_then(|one| match &one.event {
        SagaEvent::EventTaken { place, .. } => Some((*place, true)),
        SagaEvent::Answered { place, answer, .. } => Some((*place, answer.failure.is_none())),
        _ => None,
    });
    let known = |entry: &Entry| matches!(entry.detail(), Some(Detail::Taken { source }) if **source == *came.source);
    let again = before.entries.iter().any(known) || before.early().iter().any(|event| *event.source == *came.source);
    let fits = |entry: &Entry, place: usize| {
        let late = entry.waits == Waits::Stuck
            && matches!(entry.work, Work::Nothing | Work::Refused)
            && !is_undone_with(definition, before, place);
        let Some(node) = definition.node(entry.node) else { return false };
        match (entry.waits, plan.node(&node.name).map(|node| &node.what)) {
            (waits, Some(What::Wait(planned))) => {
                let is_meant = EVENTS[planned.event] == came.kind && planned.least.is_none_or(|least| came.number >= least);
                (waits == Waits::Event || late) && is_meant
            }
            (Waits::Approval, Some(What::Approval(planned))) => planned.answer.is_some_and(|(event, _)| EVENTS[event] == came.kind),
            _ => false,
        }
    };
    let waits = before.entries.iter().enumerate().find(|(place, entry)| fits(entry, *place));
    let expected = waits.filter(|_| !again && before.status == Status::Running).map(|(place, entry)| {
        let what = definition.node(entry.node).and_then(|node| plan.node(&node.name)).map(|node| &node.what);
        let approves = match what {
            Some(What::Approval(planned)) => planned.answer.is_some_and(|(_, least)| came.number >= least),
            _ => true,
        };
        (place as Place, approves)
    });
    (took != expected).then(|| format!("L19: {} is taken by {took:?}, not {expected:?}", came.source))
}

/// L19: what came before the saga is its own when it starts, and a cancel among it ends it before anybody is asked.
pub(in crate::random) fn moved_in(expected: &Saga, happened: &[Happened]) -> Option<String> {
    let (stops, events): (Vec<_>, Vec<_>) = expected.early().iter().partition(|event| *event.kind == *STOP);
    let kept = happened.iter().filter(|one| matches!(one.event, SagaEvent::EventKept { .. })).count();
    let asked = happened.iter().any(|one| matches!(one.event, SagaEvent::CommandIssued { .. }));
    let undone = happened.iter().any(|one| matches!(one.event, SagaEvent::CompensationBegan { .. }));
    if kept != events.len() {
        return Some(format!("L19: {kept} of {} events move in", events.len()));
    }
    (!stops.is_empty() && (asked || !undone)).then(|| "L19: a cancel that came before its saga does not cancel it".to_owned())
}
