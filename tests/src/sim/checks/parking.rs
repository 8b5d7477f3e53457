//! Who is not asked is asked nothing, but what is let go of what was parked: one by one, in its order.

use ringmaster_core::saga::order_of;
use ringmaster_schemas::journal::{Cause, Change, Order, Place, SagaEvent, Turn};
use ringmaster_schemas::names::participant_of;
use ringmaster_schemas::state::{BreakerState, Saga, rank_of};

use crate::sim::truth::Truth;

/// What a turn asks of a participant whose breaker is not closed was parked for it, and nothing that is parked goes before it.
pub(super) fn only_what_was_parked_goes_out(truth: &Truth, turn: &Turn) -> Result<(), String> {
    for change in &turn.changes {
        let Change::Saga(change) = change else { continue };
        let before = truth.sagas.get(&change.saga);
        for event in &change.events {
            let Some((place, order)) = asked(before.map(|saga| &**saga), event) else { continue };
            let participant = participant_of(order.command());
            let Some(breaker) = truth.breakers.get(participant) else { continue };
            let id = &change.saga;
            let said = || format!("parking: {participant} is {}, and {id} asks it", breaker.state);
            let parked = before.and_then(|saga| Some((saga, saga.entry(place)?)));
            let Some((saga, entry)) = parked.filter(|(_, entry)| entry.parked_for().is_some_and(|name| **name == *participant))
            else {
                return Err(said());
            };
            if !matches!(turn.cause, Cause::Upkeep {}) || breaker.state == BreakerState::Paused {
                return Err(format!("{} what was parked", said()));
            }
            goes_before_all(truth, participant, rank_of(saga, entry), id)?;
        }
    }
    Ok(())
}

fn asked<'a>(before: Option<&'a Saga>, event: &'a SagaEvent) -> Option<(Place, &'a Order)> {
    match event {
        SagaEvent::CommandIssued { place, order, .. }
        | SagaEvent::UndoIssued { place, order, .. }
        | SagaEvent::Retried { place, order, .. } => Some((*place, order)),
        SagaEvent::CommandRepeated { place, .. } => Some((*place, order_of(before?, event)?)),
        _ => None,
    }
}

fn goes_before_all(truth: &Truth, participant: &str, rank: i64, id: &str) -> Result<(), String> {
    for saga in truth.sagas.values() {
        for entry in saga.entries.iter().filter(|entry| entry.parked_for().is_some_and(|name| **name == *participant)) {
            let other = rank_of(saga, entry);
            if other < rank {
                return Err(format!("parking: {id} of rank {rank} goes out before {} of rank {other}", saga.id));
            }
        }
    }
    Ok(())
}

/// In the end nobody is held back any more.
pub(super) fn all_breakers_are_closed(truths: &[Truth]) -> Result<(), String> {
    for truth in truths {
        if let Some((participant, breaker)) = truth.breakers.iter().next() {
            return Err(format!("parking: {participant} is {} in the end, in partition {}", breaker.state, truth.partition));
        }
    }
    Ok(())
}
