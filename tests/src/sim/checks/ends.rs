//! How sagas ended: all of them, as their orders say, and nothing beside them.

use std::collections::BTreeMap;

use ringmaster_schemas::journal::{Change, FailureKind, JournalRecord, RejectionReason, SagaEvent};
use ringmaster_schemas::state::{Saga, Status};

use crate::sim::orders::Kind;
use crate::sim::truth::Truth;
use crate::sim::world::World;

/// Issued = completed + compensated; repeats are rejected, bad records are in quarantine, and nothing else is anywhere.
pub(super) fn accounting_closes(world: &World, truths: &[Truth]) -> Result<(), String> {
    let sagas: usize = truths.iter().map(|truth| truth.sagas.len()).sum();
    let ended = truths.iter().flat_map(|truth| truth.sagas.values()).filter(|saga| saga.ended()).count();
    let issued = world.orders.placed.len();
    if sagas != issued || ended != issued {
        return Err(format!("accounting: {issued} orders, {sagas} sagas, {ended} ended"));
    }
    let of = |reason| truths.iter().flat_map(|truth| &truth.rejected).filter(|rejected| rejected.reason == reason).count();
    let (repeated, duplicates) = (world.orders.repeated, of(RejectionReason::Duplicate));
    if repeated != duplicates {
        return Err(format!("accounting: {repeated} orders were placed twice, {duplicates} were rejected as duplicates"));
    }
    let (bad, quarantined) = (world.orders.bad, truths.iter().map(|truth| truth.quarantined).sum::<usize>());
    if bad != quarantined {
        return Err(format!("accounting: {bad} records were bad, {quarantined} are in quarantine"));
    }
    Ok(())
}

/// Every order came to what it must.
pub(super) fn outcomes_are_the_orders(world: &World, truths: &[Truth]) -> Result<(), String> {
    let sagas: BTreeMap<String, &Saga> =
        truths.iter().flat_map(|truth| truth.sagas.values()).map(|saga| (saga.key().into_owned(), &**saga)).collect();
    for (order, kind) in &world.orders.placed {
        let saga = sagas.get(&**order).ok_or_else(|| format!("outcomes: order {order} has no saga"))?;
        let code = saga.failure.as_ref().map(|failure| &*failure.code);
        let ran_out =
            saga.failure.as_ref().is_some_and(|failure| matches!(failure.kind, FailureKind::Expired | FailureKind::Deadline));
        let right = match saga.status {
            Status::Completed => *kind == Kind::Good,
            Status::Compensated => ran_out || (code.is_some() && code == kind.code()),
            Status::Running | Status::Compensating | Status::Expected | Status::Swept => false,
        };
        if !right {
            return Err(format!("outcomes: order {order} ({kind:?}) is {} with {:?}", saga.status.as_str(), saga.failure));
        }
    }
    Ok(())
}

/// What was done last is undone first.
pub(super) fn undone_in_mirror_order(truths: &[Truth]) -> Result<(), String> {
    for truth in truths {
        let mut last: BTreeMap<&str, u16> = BTreeMap::new();
        for judged in truth.records.iter().filter(|judged| judged.counts) {
            let JournalRecord::Decision(decision) = &judged.says else { continue };
            let changes = decision.turns.iter().flat_map(|turn| &turn.changes);
            for change in changes {
                let Change::Saga(change) = change else { continue };
                for event in &change.events {
                    if let SagaEvent::UndoIssued { place, .. } = event {
                        let before = last.insert(&change.saga, *place).unwrap_or(u16::MAX);
                        if *place > before {
                            return Err(format!("order of undo: {} undoes entry {place} behind entry {before}", change.saga));
                        }
                    }
                }
            }
        }
    }
    Ok(())
}
