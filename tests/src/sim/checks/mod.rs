//! What must be true of every run; each check has its file and asks only broker, stores and ledgers.

mod counts;
mod ends;
mod inputs;
mod ledgers;
mod orphans;
mod parking;
mod states;
mod timers;
mod turns;
mod wire;

use std::cell::Ref;

use ringmaster_schemas::journal::JournalRecord;

use super::truth::Truth;
use super::world::World;

/// What holds at every moment.
pub fn always(world: &World) -> Result<(), String> {
    let truths = read(world)?;
    wire::only_counting_effects(world, &truths)?;
    wire::released_is_acknowledged(world, &truths)?;
    inputs::each_once(&truths)?;
    inputs::copies_are_readable(&truths)?;
    inputs::claims_are_distinct(&truths)?;
    states::stores_are_replays(world, &truths)?;
    ledgers::books_close(world)
}

/// What holds when all has healed, came to rest ([`unrest`]) and was stopped; late repeats of replies may have come since.
pub fn in_the_end(world: &World) -> Result<(), String> {
    always(world)?;
    let truths = read(world)?;
    wire::all_effects_left(world, &truths)?;
    states::outboxes_are_empty(world, &truths)?;
    ends::accounting_closes(world, &truths)?;
    ends::outcomes_are_the_orders(world, &truths)?;
    ends::undone_in_mirror_order(&truths)?;
    ledgers::effects_are_the_outcomes(world, &truths)
}

/// Why it has not come to rest yet; none if it has.
pub fn unrest(world: &World) -> Result<Option<String>, String> {
    let truths = read(world)?;
    for truth in truths.iter() {
        if let Some((id, saga)) = truth.sagas.iter().find(|(_, saga)| !saga.ended()) {
            return Ok(Some(format!(
                "{id} is {} with {:?}",
                saga.status.as_str(),
                saga.entries
                    .iter()
                    .map(|entry| (entry.node, entry.work, entry.waits, entry.attempt, entry.failure().cloned()))
                    .collect::<Vec<_>>()
            )));
        }
    }
    if let Err(why) = inputs::all_taken(world, &truths) {
        return Ok(Some(why));
    }
    if let Err(why) = parking::all_breakers_are_closed(&truths) {
        return Ok(Some(why));
    }
    Ok(wire::all_effects_left(world, &truths).err())
}

/// What a run came to, as its journals tell it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Came {
    /// How often breakers opened.
    pub openings: usize,
    /// How often something was parked.
    pub parkings: usize,
    /// Claims by another coordinator than the one before.
    pub takeovers: usize,
    /// Claims by the one that had claimed before: behind a doubt, or where it was hosted again.
    pub claimed_again: usize,
}

/// What a run came to.
pub fn came(world: &World) -> Result<Came, String> {
    let mut came = Came::default();
    for truth in read(world)?.iter() {
        came.openings += truth.openings;
        came.parkings += truth.parkings;
        let claims = truth.records.iter().filter(|judged| matches!(judged.says, JournalRecord::Claim(_)));
        let by: Vec<Option<u32>> = claims.map(|judged| judged.record.client).collect();
        let others = by.windows(2).filter(|two| two[0] != two[1]).count();
        came.takeovers += others;
        came.claimed_again += by.len().saturating_sub(1 + others);
    }
    Ok(came)
}

/// What the journals say. What was read at an earlier look is kept, unless a journal lost its tail since then.
fn read(world: &World) -> Result<Ref<'_, Vec<Truth>>, String> {
    {
        let mut truths = world.truths.borrow_mut();
        if truths.is_empty() {
            truths.extend((0..world.plan.partitions).map(Truth::new));
        }
        truths.iter_mut().try_for_each(|truth| {
            truth.go_on(&world.broker, &world.topics, &mut |truth, judged, turn| {
                parking::only_what_was_parked_goes_out(truth, turn)?;
                timers::not_before_its_answer(world, truth, judged, turn)
            })
        })?;
    }
    Ok(world.truths.borrow())
}
