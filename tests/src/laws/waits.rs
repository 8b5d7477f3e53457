//! What waits by itself: a sleep ends at its time, an approval by somebody's answer or when its time is over.

use std::sync::Arc;

use ringmaster_core::definition::{Definition, Verb};
use ringmaster_core::saga::code;
use ringmaster_schemas::journal::{Opens, Place, SagaEvent};
use ringmaster_schemas::state::{Detail, Entry, Saga, Waits, Work};

use super::{Broken, One};

/// L15: what sleeps or is asked for ends, or is asked of others, when it is due, and not before. A sleep goes on unless its own `within`
/// was shorter.
pub(super) fn time_ends_what_waits_for_it(one: One<'_>) -> Broken {
    let (place, due) = match one.event {
        SagaEvent::Escalated { place, .. } => (*place, true),
        SagaEvent::Succeeded { place, .. } => (*place, false),
        SagaEvent::Refused { place, failure } => (*place, *failure.code == *code::EXPIRED),
        _ => return None,
    };
    let before = waiting(one, place)?;
    let held = one.before.is_some_and(|saga| saga.held_since.is_some());
    let cuts_short = before.detail() == Some(&Detail::Expires {});
    match (before.waits, one.event) {
        (Waits::Time, SagaEvent::Succeeded { .. }) if before.due_at > one.at || cuts_short => Some("it wakes too early".to_owned()),
        (Waits::Time, _) if due && (before.due_at > one.at || !cuts_short) => Some("a sleep is over too early".to_owned()),
        (Waits::Approval | Waits::Event, _) if due && (before.due_at > one.at || held) => {
            Some("its time is over too early".to_owned())
        }
        _ => None,
    }
}

/// L18: others are asked in the order that is written, each at its time from when it was asked for, and it is over behind its `within`;
/// all of that later by as much as the clock stood.
pub(super) fn others_are_asked_in_order(one: One<'_>) -> Broken {
    let (place, asked, due_at) = match one.event {
        SagaEvent::Entered { place, opens: Opens::Approval { due_at, .. }, .. } => (*place, 0, *due_at - one.at),
        SagaEvent::Escalated { place, due_at, .. } => {
            let before = waiting(one, *place)?;
            let Some(Detail::Asked { roles, .. }) = before.detail() else { return Some("nobody was asked".to_owned()) };
            (*place, roles.len(), *due_at - before.due_at)
        }
        SagaEvent::Refused { place, failure } if *failure.code == *code::EXPIRED => {
            let Some(Detail::Asked { roles, .. }) = waiting(one, *place)?.detail() else { return None };
            let Some(Verb::Approval(approval)) = one.node(*place).map(|node| &node.verb) else { return None };
            let left = approval.escalations.len() + 1 - roles.len();
            return (left > 0).then(|| format!("it is over, and {left} more were to be asked"));
        }
        _ => return None,
    };
    let node = one.node(place)?;
    let Verb::Approval(approval) = &node.verb else { return Some("it asks for no approval".to_owned()) };
    let times: Vec<i64> = approval.escalations.iter().map(|escalation| escalation.after_ms).chain(node.within_ms).collect();
    let from = asked.checked_sub(1).map_or(0, |last| times[last]);
    let Some(next) = times.get(asked) else { return Some("more are asked than there are".to_owned()) };
    (due_at != next - from).then(|| format!("the next are asked behind {due_at} ms, not {}", next - from))
}

/// L19: an event is taken once, by what waits for it, and kept ones are taken in the order in which they came, or forgotten when their
/// time is over.
pub(super) fn an_event_is_taken_once(one: One<'_>) -> Broken {
    let took = |entry: &Entry, source: &str| matches!(entry.detail(), Some(Detail::Taken { source: taken }) if **taken == *source);
    let early = |saga: &Saga| -> Vec<Arc<str>> { saga.early().iter().map(|event| event.source.clone()).collect() };
    match (one.event, one.before) {
        (SagaEvent::EventTaken { .. } | SagaEvent::Answered { .. }, Some(before)) => {
            let (place, source, was_early, is_wait) = match one.event {
                SagaEvent::EventTaken { place, event, .. } => (place, &event.source, event.early, true),
                SagaEvent::Answered { place, answer, .. } => (place, &answer.source, answer.early, false),
                _ => return None,
            };
            let again = before.entries.iter().any(|entry| took(entry, source));
            let remembered = one.behind.entry(*place).is_some_and(|entry| took(entry, source));
            let listens = match one.node(*place).map(|node| &node.verb) {
                Some(Verb::Wait(_)) => is_wait,
                Some(Verb::Approval(approval)) => !is_wait && approval.answer.is_some(),
                _ => false,
            };
            let was_kept = early(before).contains(source);
            let left: Vec<Arc<str>> = early(before).into_iter().filter(|kept| !(was_early && kept == source)).collect();
            (again || !remembered || !listens || was_kept != was_early || left != early(one.behind))
                .then(|| format!("{source} is taken twice, by what does not wait for it, or not as it was kept"))
        }
        (SagaEvent::EventKept { event }, before) => {
            let known = before.filter(|saga| saga.began() == one.behind.began());
            let again = known.is_some_and(|saga| {
                early(saga).contains(&event.source) || saga.entries.iter().any(|entry| took(entry, &event.source))
            });
            again.then(|| format!("{} is kept though it came before", event.source))
        }
        // L20: what was granted, or looked at, is so once, and of a value that is claimed.
        (SagaEvent::ValueGranted { place }, Some(before)) => {
            let is_new = before.claim_at(*place).is_some_and(|claim| !claim.granted);
            (!is_new).then(|| format!("entry {place} is granted what it has not claimed, or has"))
        }
        (SagaEvent::EventPassed { place, source }, Some(before)) => {
            let again = before.entries.iter().any(|entry| took(entry, source))
                || before.claim_at(*place).is_none_or(|claim| claim.passed.contains(source));
            again.then(|| format!("{source} is looked at twice"))
        }
        (SagaEvent::EventsExpired { .. }, Some(before)) => {
            let over = before.early().iter().filter(|event| event.until <= one.at).map(|event| event.source.clone());
            let gone: Vec<_> = early(before).into_iter().filter(|source| !early(one.behind).contains(source)).collect();
            (over.collect::<Vec<_>>() != gone).then(|| "what is forgotten is not what was kept for as long as it may".to_owned())
        }
        _ => None,
    }
}

/// L19: what came early is taken by the first that waits for any such event, and answers to the first that any such event answers to.
pub(super) fn nothing_kept_is_waited_for(definition: &Definition, saga: &Saga) -> Broken {
    let takes_any = |entry: &&Entry| matches!(entry.waits, Waits::Event | Waits::Approval);
    let listens = |entry: &Entry| match definition.node(entry.node)?.verb.listens()? {
        (listener, None) => Some(&definition.listeners[usize::from(listener)]),
        _ => None,
    };
    let mut open = saga.entries.iter().filter(takes_any).filter_map(listens);
    let is_kept = |topic: &str, kind: &str| saga.early().iter().any(|event| *event.topic == *topic && *event.kind == *kind);
    let listener = open.find(|listener| is_kept(&listener.topic, &listener.event))?;
    Some(format!("{} is kept, and waited for", listener.event))
}

/// L20: what waits for an event that is known by a value has claimed one, and what waits no more has given it back.
pub(super) fn who_waits_has_claimed(definition: &Definition, saga: &Saga) -> Broken {
    let verb = |place: usize| definition.node(saga.entries[place].node).map(|node| &node.verb);
    let is_alone = |place: usize| matches!(verb(place), Some(Verb::Claim(_)));
    let claims = |place: usize| is_alone(place) || verb(place).is_some_and(|verb| verb.claims().is_some());
    let waits = |place: usize| matches!(saga.entries[place].waits, Waits::Event | Waits::Approval);
    let has = |place: usize| saga.claim_at(place as u16).is_some();
    // What the saga claims for itself it has until it ends.
    let is_held = |place: usize| is_alone(place) && saga.entries[place].work == Work::Done && !saga.ended();
    let is_over = |place: usize| !saga.entries[place].open() && !is_held(place);
    let wrong = (0..saga.entries.len())
        .find(|place| (waits(*place) && claims(*place) != has(*place)) || (is_over(*place) && has(*place)))?;
    Some(format!("entry {wrong} waits: {}, and has claimed a value: {}", saga.entries[wrong].waits, has(wrong)))
}

/// L2: what waits for its time, or for an answer, is a sleep, or an approval.
pub(super) fn what_waits_by_itself_is_written_so(one: One<'_>) -> Broken {
    let fits = |entry: &&Entry| match (entry.waits, one.definition.node(entry.node).map(|node| &node.verb)) {
        (Waits::Time, Some(Verb::Sleep(_))) | (Waits::Approval, Some(Verb::Approval(_))) => false,
        (Waits::Event, Some(Verb::Wait(_) | Verb::Claim(_))) => false,
        (Waits::Time | Waits::Approval | Waits::Event, _) => true,
        _ => false,
    };
    let entry = one.behind.entries.iter().find(fits)?;
    Some(format!("node {} waits: {}", entry.node, entry.waits))
}

fn waiting(one: One<'_>, place: Place) -> Option<&Entry> {
    one.before?
        .entry(place)
        .filter(|entry| entry.work == Work::Nothing && matches!(entry.waits, Waits::Time | Waits::Approval | Waits::Event))
}
