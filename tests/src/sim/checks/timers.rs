//! Answers before timers (PROTOCOL.md rule 11).

use std::sync::Arc;

use ringmaster_core::saga::{Basis, Breakers, Evaluated, Input, Scratch, decide};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Cause, Change, SagaEvent, Turn};
use ringmaster_schemas::names::{Direction, parse_idempotency_key};
use ringmaster_schemas::state::{Entry, Saga, Waits, Work};
use ringmaster_schemas::wire::decode_reply;

use crate::sim::coordinator::knowledge;
use crate::sim::truth::{INPUTS, Judged, Truth};
use crate::sim::world::World;

/// Where nothing delays anybody a timer fires within its tick and one look at the inputs: a few turns, which are skipped by luck.
const LATE_MAX_MS: Millis = 400;

/// A timer's turn is what the saga's own state and the record's time say; and no answer to it, kept before it was due, lies unread.
pub(super) fn not_before_its_answer(world: &World, truth: &Truth, judged: &Judged, turn: &Turn) -> Result<(), String> {
    let (Cause::Due { due_at: wanted }, Some(stamp)) = (&turn.cause, judged.says.stamp()) else { return Ok(()) };
    for change in &turn.changes {
        let Change::Saga(change) = change else { continue };
        if world.plan.is_punctual() && stamp.now - wanted > LATE_MAX_MS {
            return Err(format!("timers: {} was due at {wanted} and fired at {}", change.saga, stamp.now));
        }
        let Some(saga) = truth.sagas.get(&change.saga) else {
            return Err(format!("timers: {} is not known and something of it was due", change.saga));
        };
        decided_on_state((saga, &truth.breakers), &change.saga, &change.events, stamp.now)?;
        // Stamps of the broker are compared with due times: that needs one clock.
        let ran_out = |entry: &&Entry| world.plan.is_one_clock() && entry.waits == Waits::Reply && entry.due_at <= stamp.now;
        for entry in saga.entries.iter().filter(ran_out) {
            let direction = if entry.work == Work::UndoAsked { Direction::Undo } else { Direction::Do };
            unanswered(world, truth, &change.saga, (entry.name(), direction), entry.attempt.into(), entry.due_at)
                .map_err(|why| format!("{why} (fired for {wanted} at {})", stamp.now))?;
        }
    }
    Ok(())
}

/// The decision is the one that the journal's state calls for.
fn decided_on_state(
    (saga, breakers): (&Arc<Saga>, &Breakers),
    id: &Arc<str>,
    events: &[SagaEvent],
    now: i64,
) -> Result<(), String> {
    let knowledge = knowledge();
    let definition = knowledge.catalog.by_hash(&saga.head.version()).ok_or("a saga runs an unknown version")?;
    let basis = Basis { definition, values: &Evaluated::new(definition), breakers, above: &[] };
    let again = decide(basis, id, Some(saga), &Input::Due, now, &mut Scratch::default());
    match again {
        Ok(decided) if decided.events == events => Ok(()),
        other => Err(format!("timers: {id} was decided {events:?}, the journal's state says {other:?}")),
    }
}

fn unanswered(world: &World, truth: &Truth, saga: &str, step: (&str, Direction), attempt: i32, due_at: i64) -> Result<(), String> {
    let knowledge = knowledge();
    let replies = world.broker.log(INPUTS[0], truth.partition);
    for record in replies.iter().filter(|record| record.offset >= truth.positions[0] && record.timestamp < due_at) {
        let Ok(reply) = decode_reply(&record.value, &knowledge.schemas) else { continue };
        if parse_idempotency_key(&reply.meta.idempotency_key) == Some((saga, step.0, step.1)) && reply.meta.attempt == attempt {
            return Err(format!(
                "timers: attempt {attempt} of {saga}/{} ran out at {due_at}, while its answer of {} lay unread in {}/{}@{}",
                step.0, record.timestamp, INPUTS[0], truth.partition, record.offset
            ));
        }
    }
    Ok(())
}
