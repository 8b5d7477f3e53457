//! L21: what is parked waits for a participant, is found by that, and is issued, settled or closed.

use ringmaster_core::definition::Definition;
use ringmaster_core::saga::why;
use ringmaster_schemas::journal::{Opens, SagaEvent};
use ringmaster_schemas::names::{Direction, participant_of};
use ringmaster_schemas::state::{Detail, Entry, Saga, Waits, Work};

use super::scopes::{asks, is_undone_with};
use super::{Broken, One};

/// What is parked says for whom, what is not parked says nothing of it, and what nobody was asked for has no order.
pub(super) fn what_is_parked_says_for_whom(one: One<'_>) -> Broken {
    let says = |entry: &Entry| matches!(entry.detail(), Some(Detail::Parked { .. }));
    let wrong = |entry: &&Entry| {
        let is_parked = entry.waits == Waits::Parked;
        says(entry) != is_parked || (is_parked && (entry.work == Work::Nothing) == entry.order.is_some())
    };
    let entry = one.behind.entries.iter().find(wrong)?;
    Some(format!("{} is {}, waits: {}, and says {:?}", entry.name(), entry.work, entry.waits, entry.detail()))
}

/// It waits for whom its command would be for.
pub(super) fn it_waits_for_whom_it_would_ask(one: One<'_>) -> Broken {
    let (place, direction, participant) = match one.event {
        SagaEvent::Parked { place, direction, participant, .. } => (*place, *direction, participant),
        SagaEvent::Entered { place, opens: Opens::Parked { participant }, .. } => (*place, Direction::Do, participant),
        _ => return None,
    };
    let command = asks(one.definition, one.behind.entry(place)?.node, direction);
    let fits = command.is_some_and(|command| participant_of(command) == &**participant);
    (!fits).then(|| format!("it would ask {command:?} and is parked for {participant}"))
}

/// Where all is undone nothing waits that was never asked.
pub(super) fn nothing_unasked_waits_in_what_is_undone(definition: &Definition, saga: &Saga) -> Broken {
    let unasked = |entry: &Entry| entry.work == Work::Nothing && matches!(entry.waits, Waits::Parked | Waits::Paused);
    let mut entries = saga.entries.iter().enumerate();
    let (place, _) = entries.find(|(place, entry)| unasked(entry) && is_undone_with(definition, saga, *place))?;
    Some(format!("entry {place} was never asked, and is still parked in what is undone"))
}

/// Whoever asks why it waits is told whose breaker it is, and what to do.
pub(super) fn what_is_parked_is_told(definition: &Definition, saga: &Saga) -> Broken {
    if !saga.parked() {
        return None;
    }
    let reasons = why(definition, saga);
    let told = |entry: &Entry, place: usize| {
        let Some(why) = reasons.iter().find(|why| why.place.map(usize::from) == Some(place)) else { return false };
        let participant = entry.parked_for().map_or("", |participant| participant);
        let is_undo = matches!(entry.work, Work::Done | Work::Failed | Work::UndoAsked);
        why.wakes_at.is_none()
            && why.what.contains(participant)
            && why.ways_out.iter().any(|way| way.to_string().contains(participant))
            && (why.direction == Direction::Undo) == is_undo
    };
    let mut parked = saga.entries.iter().enumerate().filter(|(_, entry)| entry.waits == Waits::Parked);
    let (place, _) = parked.find(|(place, entry)| !told(entry, *place))?;
    Some(format!("entry {place} is parked, and that is not told"))
}
