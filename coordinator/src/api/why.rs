//! Why a saga waits: what its row says, and whether what it asks for was delivered.

use std::sync::Arc;

use ringmaster_core::definition::{Catalog, Definition};
use ringmaster_core::saga::{Asks, Passed, Way, Why, passed, reason_of, why};
use ringmaster_schemas::names::{Direction, hex, idempotency_key};
use ringmaster_schemas::registry::Schemas;
use ringmaster_schemas::state::{Breaker, BreakerState, Detail, Index, OutboxEffect, RowKey, RowKind, Saga, Waits, parked_places};
use ringmaster_schemas::wire;
use ringmaster_store::{Seen, Store, Through, Walk};
use serde_json::Value;

use super::Sources;
use super::row::{SagaAsks, SagaBreaker, SagaEvidence, SagaPassed, SagaReason, SagaWay};
use super::saga::{failure, moment};

/// So many are counted that go out before one that is parked.
pub(crate) const BEFORE_MAX: u64 = 10_000;

/// A command whose topic does not take it.
struct Undeliverable {
    idempotency_key: String,
    topic: Arc<str>,
}

/// One object for each open leaf, in the order in which they were entered.
pub(super) fn reasons(
    definition: &Definition,
    schemas: &Schemas,
    store: &dyn Store,
    partition: i32,
    saga: &Saga,
) -> Result<Vec<SagaReason>, String> {
    let leaves = why(definition, saga);
    let asks = leaves.iter().any(|leaf| leaf.waits == Waits::Reply);
    let apart = if asks { undeliverable(store, schemas, partition)? } else { Vec::new() };
    let each = leaves.iter().map(|leaf| {
        let key = idempotency_key(&saga.id, &leaf.step, leaf.direction);
        let stands = apart.iter().find(|command| leaf.waits == Waits::Reply && command.idempotency_key == key);
        let mut shown = reason(leaf, stands);
        if let Some(entry) = leaf.place.and_then(|place| saga.entry(place)).filter(|_| leaf.waits == Waits::Children) {
            shown.reason = reason_of(definition, entry).to_owned();
        }
        if let Some(Detail::Asked { roles, .. }) = leaf.place.and_then(|place| saga.entry(place)).and_then(|entry| entry.detail()) {
            shown.roles = Some(roles.iter().map(|role| (**role).to_owned()).collect());
        }
        if let Some(participant) = leaf.place.and_then(|place| saga.entry(place)).and_then(|entry| entry.parked_for()) {
            let row = store.row(partition, &RowKey::Breaker(participant.clone())).map_err(|error| error.to_string())?;
            let breaker = row.map(|row| Breaker::decode(&row)).transpose();
            parked(&mut shown, participant, breaker.map_err(|error| format!("breaker of '{participant}': {error}"))?);
        }
        Ok(shown)
    });
    each.collect()
}

/// Whose breaker it waits for, and why that is not closed; none if it is by now.
fn parked(shown: &mut SagaReason, participant: &str, breaker: Option<Breaker>) {
    let is_resumed = breaker.as_ref().is_none_or(|breaker| breaker.state == BreakerState::Draining);
    shown.participant = Some(participant.to_owned());
    shown.breaker = breaker.map(|Breaker { state, since, by, why }| SagaBreaker {
        state: state.as_str().to_owned(),
        since: moment(since),
        by: by.map(|by| (*by).to_owned()),
        why: (*why).to_owned(),
    });
    // Nobody need resume what is asked again.
    if is_resumed {
        shown.ways_out.retain(|way| way.act.as_deref() != Some("participant_resume"));
    }
}

fn asks(asks: &Asks) -> SagaAsks {
    SagaAsks {
        participant: (*asks.participant).to_owned(),
        command: asks.command.as_deref().map(str::to_owned),
        attempt: asks.attempt,
        rank: asks.rank,
    }
}

/// Adds what is known of the participants that these leaves of a saga wait for: of what workers said last, and where what is parked stands.
pub(super) fn with_evidence(sources: &Sources, partition: i32, saga: &str, leaves: &mut [SagaReason]) -> Result<(), String> {
    let told = sources.scaling.told();
    for leaf in leaves {
        let Some(on) = &leaf.on else { continue };
        let before_it = on.rank.map(|rank| before_it(&*sources.store, (partition, saga), (&on.participant, rank))).transpose()?;
        let of = told.iter().find(|told| *told.participant == *on.participant);
        let known = of.map_or_else(SagaEvidence::default, |of| SagaEvidence {
            unanswered: Some(of.estimate.unanswered),
            oldest_s: of.estimate.oldest_s,
            silent_s: of.backlog.silent_s,
            parked: Some(of.backlog.parked),
            before_it: None,
            partitions: of.partitions.0,
            partitions_of: of.partitions.1,
        });
        leaf.evidence = (of.is_some() || before_it.is_some()).then_some(SagaEvidence { before_it, ..known });
    }
    Ok(())
}

/// How many sagas of a partition go out before one that is parked: those that wait for this participant alone, or for it beside others, with
/// a lower rank. Participants may share a range of the index, so that some of them may wait for another one.
fn before_it(store: &dyn Store, (partition, saga): (i32, &str), (participant, rank): (&str, i64)) -> Result<u64, String> {
    let mut count = 0;
    for places in [parked_places(Some(participant)), parked_places(None)] {
        let range = places.start..places.start + rank;
        let walk = Walk { through: Through::Places(Index::Parked, range), behind: None, is_backward: false };
        let visit = &mut |seen: Seen<'_>| {
            count += u64::from(seen.id != saga);
            count < BEFORE_MAX
        };
        store.walk(partition, &walk, visit).map_err(|error| error.to_string())?;
    }
    Ok(count.min(BEFORE_MAX))
}

fn reason(leaf: &Why, stands: Option<&Undeliverable>) -> SagaReason {
    let show = |show: &Arc<str>| serde_json::from_str(show).unwrap_or_else(|_| Value::String(show.to_string()));
    let mut shown = SagaReason {
        place: leaf.place,
        step: leaf.step.clone(),
        undo: leaf.direction == Direction::Undo,
        reason: leaf.waits.as_str().to_owned(),
        since: moment(leaf.since),
        wakes_at: leaf.wakes_at.and_then(moment),
        waits_for: leaf.what.clone(),
        wakes_it: leaf.then.clone(),
        ways_out: leaf.ways_out.iter().map(SagaWay::of).collect(),
        on: leaf.asks.as_ref().map(asks),
        evidence: None,
        failure: leaf.failure.as_deref().map(failure),
        show: leaf.show.as_ref().map(show),
        roles: None,
        participant: None,
        breaker: None,
    };
    if let Some(Undeliverable { topic, .. }) = stands {
        shown.reason = "undeliverable".to_owned();
        shown.waits_for = format!("the topic {topic}: it does not take the command");
        let mend = format!("mend the topic {topic}: it is tried again every few seconds; /readyz and the log say more");
        shown.ways_out = vec![SagaWay::of(&Way::elsewhere(mend))];
    }
    shown
}

/// The commands of a partition that wait until their topics take them, as of its last checkpoint.
fn undeliverable(store: &dyn Store, schemas: &Schemas, partition: i32) -> Result<Vec<Undeliverable>, String> {
    let mut found = Vec::new();
    let visit = &mut |_, row: &[u8]| {
        // What is no command is an event: no leaf waits for it.
        if let Ok(effect) = OutboxEffect::decode(row)
            && effect.undeliverable
            && let Ok(command) = wire::decode_command(&effect.value, schemas)
        {
            let idempotency_key = command.meta.idempotency_key.into_owned();
            found.push(Undeliverable { idempotency_key, topic: effect.topic });
        }
        true
    };
    store.rows(partition, RowKind::Outbox, visit).map_err(|error| error.to_string())?;
    Ok(found)
}

/// What the row says of nodes that leave no entry.
pub(super) fn on_the_way(definition: &Definition, saga: &Saga) -> Vec<SagaPassed> {
    let each = passed(definition, saga).into_iter().map(|(number, what)| {
        let became = match what {
            Passed::Skipped => "skipped".to_owned(),
            Passed::Emitted => "emitted".to_owned(),
            Passed::EmittedOrSkipped => "emitted or skipped: the history knows".to_owned(),
            Passed::Arm(arm) => format!("arm {arm}"),
        };
        SagaPassed { step: (*definition.nodes[usize::from(number)].name).to_owned(), what: became }
    });
    each.collect()
}

/// The version of a saga's definition: its running number and its hash.
pub(super) fn version(catalog: &Catalog, saga: &Saga) -> (Option<u32>, String) {
    let hash = saga.head.version();
    (catalog.number_of(&hash), hex(&hash))
}
