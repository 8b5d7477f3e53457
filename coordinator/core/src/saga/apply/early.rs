//! Events that come for a saga: taken by what waits for them, kept, forgotten.

use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{EventAnswer, KeptEvent, Place, SagaEvent, TakenEvent};
use ringmaster_schemas::state::{Saga, Status};

use super::pausing::forget_nothing;
use super::{leaf, pass, values};

/// True if it could happen; else nothing has changed.
pub(super) fn change(saga: &mut Saga, event: &SagaEvent, at: Millis) -> bool {
    match (saga.status, event) {
        (Status::Expected, SagaEvent::EventKept { event }) if saga.mailbox().is_some() => values::kept(saga, event),
        (Status::Running | Status::Expected, SagaEvent::EventKept { event }) => kept(saga, event),
        (Status::Running, SagaEvent::EventTaken { place, event, passes }) => took(saga, *place, event, *passes, at),
        (Status::Running, SagaEvent::Answered { place, answer, passes }) => answered(saga, (*place, event), answer, *passes, at),
        (Status::Running, SagaEvent::EventsExpired { count }) => expired(saga, *count, at),
        (Status::Expected, SagaEvent::EventsExpired { count }) if saga.mailbox().is_some() => values::expired(saga, *count, at),
        _ => false,
    }
}

pub(super) fn kept(saga: &mut Saga, event: &Arc<KeptEvent>) -> bool {
    saga.more.get_or_insert_default().early.push(event.clone());
    true
}

/// An entry takes an event; one that was kept moves to it.
fn took(saga: &mut Saga, place: Place, event: &Arc<TakenEvent>, passes: bool, at: Millis) -> bool {
    let known = saga.early().iter().position(|known| event.early && known.source == event.source);
    let Some(entry) = saga.entries.get_mut(usize::from(place)) else { return false };
    let happens = SagaEvent::EventTaken { place, event: event.clone(), passes };
    if event.early != known.is_some() || !leaf::change(entry, &happens, at, true) {
        return false;
    }
    if let (Some(at), Some(more)) = (known, &mut saga.more) {
        let event = more.early.remove(at);
        entry.result = Some(event.data.clone());
    }
    forget_nothing(saga);
    pass(saga, passes)
}

/// An approval is answered by an event; one that was kept is kept no more.
fn answered(saga: &mut Saga, (place, event): (Place, &SagaEvent), answer: &EventAnswer, passes: bool, at: Millis) -> bool {
    let known = saga.early().iter().position(|known| answer.early && known.source == answer.source);
    let Some(entry) = saga.entries.get_mut(usize::from(place)) else { return false };
    if answer.early != known.is_some() || !leaf::change(entry, event, at, true) {
        return false;
    }
    if let (Some(at), Some(more)) = (known, &mut saga.more) {
        more.early.remove(at);
    }
    forget_nothing(saga);
    pass(saga, passes)
}

fn expired(saga: &mut Saga, count: u16, at: Millis) -> bool {
    let is_over = |event: &Arc<KeptEvent>| event.until <= at;
    let over = saga.early().iter().filter(|event| is_over(event)).count();
    let legal = over > 0 && over == usize::from(count);
    if let (true, Some(more)) = (legal, &mut saga.more) {
        more.early.retain(|event| !is_over(event));
        forget_nothing(saga);
    }
    legal
}
