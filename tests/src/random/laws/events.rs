//! Events go to what waits for them, by a reckoning of conditions that is not the core's.

use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Opens, Place, SagaEvent};
use ringmaster_schemas::state::{Detail, Entry, Saga, Status, Waits, Work};

use crate::laws::is_undone_with;
use crate::random::generate::{EVENTS, STOP};
use crate::random::plan::What;

use super::way::Known;
use crate::stories::Happened;

/// An event as it came: its type, its number, its identity.
pub(in crate::random) struct Came<'a> {
    pub(in crate::random) kind: &'a str,
    pub(in crate::random) number: i64,
    pub(in crate::random) source: &'a str,
}

/// L19: the first that waits for such an event takes it; else nobody does. One that came before is taken by nobody.
pub(in crate::random) fn came(known: &Known<'_>, before: &Saga, came: &Came<'_>, happened: &[Happened]) -> Option<String> {
    let (plan, definition, seen) = (known.plan, known.definition, known.seen(before, false));
    let taken = happened.first().and_then(|one| match &one.event {
        SagaEvent::EventTaken { place, .. } => Some((*place, true)),
        SagaEvent::Answered { place, answer, .. } => Some((*place, answer.failure.is_none())),
        _ => None,
    });
    let again = before.entries.iter().any(|entry| took(entry, came.source))
        || before.early().iter().any(|event| *event.source == *came.source);
    let fits = |entry: &Entry, place: usize| {
        let late = entry.waits == Waits::Stuck
            && matches!(entry.work, Work::Nothing | Work::Refused)
            && !is_undone_with(definition, before, place);
        let Some(node) = definition.node(entry.node) else { return false };
        match (entry.waits, plan.node(&node.name).map(|node| &node.what)) {
            (waits, Some(What::Wait(planned))) => {
                let is_meant =
                    EVENTS[planned.event] == came.kind && planned.fits.as_ref().is_none_or(|fits| fits.of(came.number, &seen));
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
    (taken != expected).then(|| format!("L19: {} is taken by {taken:?}, not {expected:?}", came.source))
}

fn took(entry: &Entry, source: &str) -> bool {
    matches!(entry.detail(), Some(Detail::Taken { source: taken }) if **taken == *source)
}

/// An event that was let in.
pub(in crate::random) struct Arrived {
    pub(in crate::random) kind: &'static str,
    pub(in crate::random) number: i64,
    pub(in crate::random) source: Arc<str>,
    pub(in crate::random) at: Millis,
}

/// L19: what begins to wait takes one that came before, if one of those that nobody took and that may still be kept fits by now, whatever
/// was to be said of it when it came.
pub(in crate::random) fn kept(known: &Known<'_>, arrived: &[Arrived], history: &[Happened], from: usize) -> Option<String> {
    history.iter().enumerate().skip(from).find_map(|(number, one)| {
        let SagaEvent::Entered { place, node, round: 1, opens: Opens::Wait { .. } } = &one.event else { return None };
        let (definition, saga) = (known.definition, &one.behind);
        // What a person asks for again was not to be expected.
        let rounds = |node: u16| saga.entries.iter().filter(|entry| entry.node == node).count();
        if definition.around(*node).any(|around| rounds(around) > 1) {
            return None;
        }
        let What::Wait(planned) = &known.plan.node(known.name(*node))?.what else { return None };
        let keep_ms = definition.listeners[usize::from(definition.node(*node)?.verb.listens()?.0)].keep_ms;
        let seen = known.seen(saga, false);
        let is_left = |event: &&Arrived| !saga.entries.iter().any(|entry| took(entry, &event.source));
        let fits = |event: &&Arrived| planned.fits.as_ref().is_none_or(|fits| fits.of(event.number, &seen));
        let mut kept = arrived.iter().filter(|event| EVENTS[planned.event] == event.kind && event.at + keep_ms > one.at);
        let event = kept.find(|event| is_left(event) && fits(event))?;
        let next = history.get(number + 1).map(|next| &next.event);
        let takes = matches!(next, Some(SagaEvent::EventTaken { place: at, event, .. }) if at == place && event.early);
        (!takes).then(|| format!("L19: {} came before, and is not taken by what begins to wait at {place}", event.source))
    })
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
