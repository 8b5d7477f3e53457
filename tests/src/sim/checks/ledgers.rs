//! What services really did, held against what sagas say of it.

use std::collections::BTreeMap;

use ringmaster_participants::audit::{Audit, KeyEffects};
use ringmaster_schemas::state::Status;

use crate::sim::truth::Truth;
use crate::sim::world::World;

/// Each effect was applied once: entries and books agree.
pub(super) fn books_close(world: &World) -> Result<(), String> {
    for service in world.services.iter().flatten() {
        if service.was_started() {
            let audit = service.audit()?;
            if !audit.closes() {
                return Err(format!("ledgers: {}: {}", service.name, audit.problems.join("; ")));
            }
        }
    }
    Ok(())
}

/// Completed: all three done and none undone. Compensated: nothing that was done stands.
pub(super) fn effects_are_the_outcomes(world: &World, truths: &[Truth]) -> Result<(), String> {
    let audits: Vec<Audit> = world.services.iter().flatten().map(|service| service.audit()).collect::<Result<_, _>>()?;
    let by_key: BTreeMap<&str, &KeyEffects> =
        audits.iter().flat_map(|audit| &audit.effects).map(|effects| (&*effects.idempotency_key, effects)).collect();
    for (id, saga) in truths.iter().flat_map(|truth| &truth.sagas) {
        for step in ["reserve_stock", "charge_payment", "ship"] {
            let effect = by_key.get(&*format!("{id}/{step}/do")).map_or("none", |effects| effects.effect);
            let right = match saga.status {
                Status::Completed => effect == "done",
                Status::Compensated => effect != "done",
                Status::Running | Status::Compensating | Status::Expected | Status::Swept => true,
            };
            if !right {
                return Err(format!("ledgers: {id} is {}, and {step} is {effect}", saga.status.as_str()));
            }
        }
    }
    for (key, effects) in by_key {
        let saga = key.rsplitn(3, '/').nth(2).unwrap_or_default();
        if !truths.iter().any(|truth| truth.sagas.contains_key(saga)) {
            return Err(format!("ledgers: {} has {} under {key}, of which no saga knows", effects.command, effects.effect));
        }
    }
    Ok(())
}
