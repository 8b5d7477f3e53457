//! A saga as people and programs see it: its row, without the bodies.

use ringmaster_core::saga::{name_of, reason_of};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Failure, KeptEvent, OrderFields};
use ringmaster_schemas::json::time::put_timestamp;
use ringmaster_schemas::names;
use ringmaster_schemas::state::{Checkpoint, Children, ClaimedValue, Entry, Paused, RowKey, Saga};
use ringmaster_store::Store;
use serde_json::Value;

use super::row::{SagaClaim, SagaEarly, SagaEntry, SagaFailure, SagaItems, SagaOrder, SagaPaused, SagaRow, SagaTerm, SagaTurns};
use super::why;
use crate::runtime::Knowledge;

/// The key of a saga by its id; none if it is not one.
pub(crate) fn key_of(id: &str) -> Option<Vec<u8>> {
    let (definition, key) = names::root_of(id).split_once('/')?;
    let is_whole = names::root_of(id) == id || names::below(id).is_some();
    if definition.is_empty() || key.is_empty() || !is_whole {
        return None;
    }
    names::percent_decode(key)
}

/// The partition of a saga by its id; none if it is not one.
pub(crate) fn partition_of(id: &str, partitions: i32) -> Option<i32> {
    Some(names::partition_of(&key_of(id)?, partitions))
}

/// Why there is nothing of this id.
pub(super) fn not_found(id: &str) -> String {
    match names::root_of(id) {
        root if root != id => format!(
            "no item or sub-saga '{id}': it never began, its saga has ended and the rows below it with it, or its first checkpoint is yet to come; `ringmaster saga show {root}` shows its saga, `ringmaster saga history {id}` what happened to it"
        ),
        _ => format!("no saga '{id}': it never started, its row has expired, or its first checkpoint is yet to come"),
    }
}

/// The saga, with the journal offset that it is true at; none if there is no such row.
pub(super) fn look_up(store: &dyn Store, known: &Knowledge, partition: i32, id: &str) -> Result<Option<SagaRow>, String> {
    // The checkpoint first: the row is at least as new, never older than what is said.
    let checkpoint = store.checkpoint(partition).map_err(|error| error.to_string())?;
    let Some(bytes) = store.row(partition, &RowKey::saga(id)).map_err(|error| error.to_string())? else {
        return Ok(None);
    };
    let saga = Saga::decode(&id.into(), &bytes).map_err(|error| format!("row of '{id}': {error}"))?;
    let mut shown = show(&saga, partition, checkpoint.as_ref());
    (shown.version_number, _) = why::version(&known.catalog, &saga);
    if !saga.began() {
        (shown.version, shown.started_at, shown.source, shown.traceparent) = (None, None, None, None);
        shown.why = Some(Vec::new());
    }
    if let Some(definition) = known.catalog.by_hash(&saga.head.version()) {
        // The id of a sub-saga begins with the saga's above it.
        shown.definition = (*definition.name).into();
        for (entry, shown) in saga.entries.iter().zip(&mut shown.entries) {
            // What sends no command does not say its name itself, or that of the step in it that failed.
            shown.step = name_of(definition, entry);
            shown.waits = reason_of(definition, entry).to_owned();
        }
        shown.on_the_way = Some(why::on_the_way(definition, &saga));
        shown.why = Some(why::reasons(definition, &known.schemas, store, partition, &saga)?);
    }
    Ok(Some(shown))
}

/// The same without as of when that is: what is equal so has not changed.
pub(crate) fn whenever(mut shown: Value) -> Value {
    for as_of in ["as_of_journal_offset", "as_of_term"] {
        shown.as_object_mut().map(|shown| shown.remove(as_of));
    }
    shown
}

fn show(saga: &Saga, partition: i32, checkpoint: Option<&Checkpoint>) -> SagaRow {
    let (head, id) = (saga.head.fields(), &*saga.id);
    let below = names::below(id);
    let (first, left_out, last) = saga.turns.told();
    SagaRow {
        saga: id.to_owned(),
        item_of: below.as_ref().filter(|below| below.item.is_some()).map(|below| below.above.to_owned()),
        run_by: below.as_ref().filter(|below| below.item.is_none()).map(|below| below.above.to_owned()),
        definition: saga.definition().to_owned(),
        version: Some(names::hex(&head.version)),
        version_number: None,
        key: saga.key().into_owned(),
        status: saga.status.as_str().to_owned(),
        stuck: saga.stuck(),
        turns: SagaTurns { first, left_out, last },
        if_turn: saga.turns.last(),
        started_at: moment(head.started_at),
        deadline_at: saga.deadline_at.and_then(moment),
        held_since: saga.held_since.and_then(moment),
        paused: saga.paused().map(paused),
        passed: saga.passed,
        late: saga.late,
        due_at: moment(saga.due_at()),
        ended_at: saga.ended.as_ref().and_then(|end| moment(end.at)),
        expires_at: saga.ended.as_ref().and_then(|end| moment(end.expires_at)),
        source: Some(head.source.to_owned()),
        traceparent: head.traceparent.map(str::to_owned),
        failure: saga.failure.as_deref().map(failure),
        entries: saga.entries.iter().map(entry).collect(),
        early_events: saga.early().iter().map(|event| early(event)).collect(),
        why: None,
        on_the_way: None,
        claims: saga.claims().iter().map(claimed).collect(),
        search: saga.head.search().keys().map(|key| (key.name.to_owned(), key.value.to_owned())).collect(),
        more: vec![format!("ringmaster saga why {id}"), format!("ringmaster saga history {id}")],
        partition,
        as_of_journal_offset: checkpoint.map_or(0, |checkpoint| checkpoint.journal_offset),
        as_of_term: checkpoint.map(term),
    }
}

fn term(checkpoint: &Checkpoint) -> SagaTerm {
    SagaTerm { claim_offset: checkpoint.claim_offset, claim: names::hex(&checkpoint.claim), number: checkpoint.number }
}

/// Who paused it, and what becomes of it.
fn paused(paused: &Paused) -> SagaPaused {
    let (since, why) = (moment(paused.since), Some((*paused.why).to_owned()));
    match paused.is_with_above() {
        true => SagaPaused { since, with: why, by: None, why: None },
        false => SagaPaused { since, with: None, by: Some((*paused.by).to_owned()), why },
    }
}

fn early(event: &KeptEvent) -> SagaEarly {
    let text = |text: &str| text.to_owned();
    SagaEarly { topic: text(&event.topic), kind: text(&event.kind), source: text(&event.source), kept_until: moment(event.until) }
}

fn claimed(claim: &ClaimedValue) -> SagaClaim {
    let (name, text) = (&claim.name, |text: &str| text.to_owned());
    let (topic, kind, field, value) = (text(&name.topic), text(&name.kind), text(&name.field), text(&name.value));
    SagaClaim { entry: claim.place, topic, kind, field, value, granted: claim.granted }
}

pub(super) fn failure(failure: &Failure) -> SagaFailure {
    SagaFailure {
        code: (*failure.code).to_owned(),
        step: (*failure.step).to_owned(),
        kind: failure.kind.as_str().to_owned(),
        message: (*failure.message).to_owned(),
    }
}

fn entry(entry: &Entry) -> SagaEntry {
    SagaEntry {
        step: entry.name().to_owned(),
        node: entry.node,
        round: entry.round,
        work: entry.work.as_str().to_owned(),
        waits: entry.waits.as_str().to_owned(),
        since: moment(entry.since),
        due_at: moment(entry.due_at()),
        attempt: entry.attempt,
        order: entry.order.as_ref().map(|order| asked(&order.fields(), entry.body().len())),
        failure: entry.failure().map(|why| failure(why)),
        stray_since: entry.stray().and_then(moment),
        items: entry.children().map(items),
    }
}

fn items(rows: &Children) -> SagaItems {
    SagaItems {
        count: rows.count,
        begun: rows.begun,
        at_once: rows.at_once,
        under_way: rows.open.iter().map(|child| child.index).collect(),
        held: rows.open.iter().filter(|child| child.held).map(|child| child.index).collect(),
    }
}

fn asked(order: &OrderFields<'_>, body_bytes: usize) -> SagaOrder {
    SagaOrder { command: order.command.to_owned(), first_time: moment(order.first_time), until: moment(order.until), body_bytes }
}

/// RFC 3339; none for "never".
pub(super) fn moment(at: Millis) -> Option<String> {
    (at != Millis::MAX).then(|| written(at))
}

/// The same of what is a time for sure.
pub(crate) fn written(at: Millis) -> String {
    let mut text = String::with_capacity(32);
    put_timestamp(at.saturating_mul(1_000), &mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_finds_the_partition_of_its_key() {
        for key in ["ord-17", "a/b c%ü", "%", "ключ"] {
            let id = names::saga_id("order-fulfilment", key);
            assert_eq!(partition_of(&id, 8), Some(names::partition_of(key.as_bytes(), 8)), "{id}");
        }
        assert_eq!(partition_of("order/a/lines~2.3/parts.0", 8), Some(names::partition_of(b"a", 8)), "with its saga");
        assert_eq!(partition_of("order/a/lines.3/set_up~2", 8), Some(names::partition_of(b"a", 8)), "what an item runs, too");
        for wrong in ["", "order", "order/", "/key", "order/a/B", "order/a/", "order/%", "order/%zz", "order/%f"] {
            assert_eq!(partition_of(wrong, 8), None, "{wrong}");
        }
    }
}
