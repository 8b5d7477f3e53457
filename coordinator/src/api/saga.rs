//! A saga as people and programs see it: its row, without the bodies.

use ringmaster_core::saga::{name_of, reason_of};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Failure, KeptEvent, OrderFields};
use ringmaster_schemas::json::time::put_timestamp;
use ringmaster_schemas::names;
use ringmaster_schemas::state::{Checkpoint, Children, ClaimedValue, Entry, Paused, RowKey, Saga};
use ringmaster_store::Store;
use serde_json::{Value, json};

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

/// The saga as JSON, with the journal offset that it is true at; none if there is no such row.
pub(super) fn look_up(store: &dyn Store, known: &Knowledge, partition: i32, id: &str) -> Result<Option<Value>, String> {
    // The checkpoint first: the row is at least as new, never older than what is said.
    let checkpoint = store.checkpoint(partition).map_err(|error| error.to_string())?;
    let Some(bytes) = store.row(partition, &RowKey::saga(id)).map_err(|error| error.to_string())? else {
        return Ok(None);
    };
    let saga = Saga::decode(&id.into(), &bytes).map_err(|error| format!("row of '{id}': {error}"))?;
    let mut shown = show(&saga);
    if !saga.began() {
        for of_a_start in ["version", "started_at", "source", "traceparent"] {
            shown[of_a_start] = Value::Null;
        }
        shown["why"] = json!([]);
    }
    if !saga.claims().is_empty() {
        shown["claims"] = saga.claims().iter().map(claimed).collect();
    }
    if let Some(search) = searched(&saga) {
        shown["search"] = search;
    }
    let (number, _) = why::version(&known.catalog, &saga);
    // The id of a sub-saga begins with the saga's above it.
    if let Some(definition) = known.catalog.by_hash(&saga.head.version()) {
        shown["definition"] = (*definition.name).into();
    }
    shown["version_number"] = number.into();
    if let Some(definition) = known.catalog.by_hash(&saga.head.version()) {
        for (entry, shown) in saga.entries.iter().zip(shown["entries"].as_array_mut().into_iter().flatten()) {
            // What sends no command does not say its name itself, or that of the step in it that failed.
            shown["step"] = name_of(definition, entry).into();
            shown["waits"] = reason_of(definition, entry).into();
        }
        shown["on_the_way"] = why::on_the_way(definition, &saga).into();
        shown["why"] = why::reasons(definition, &known.schemas, store, partition, &saga)?.into();
    }
    shown["more"] = json!([format!("ringmaster saga why {id}"), format!("ringmaster saga history {id}")]);
    shown["partition"] = partition.into();
    shown["as_of_journal_offset"] = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.journal_offset).into();
    shown["as_of_term"] = checkpoint.as_ref().map(term).into();
    Ok(Some(shown))
}

/// The same without as of when that is: what is equal so has not changed.
pub(crate) fn whenever(mut shown: Value) -> Value {
    for as_of in ["as_of_journal_offset", "as_of_term"] {
        shown.as_object_mut().map(|shown| shown.remove(as_of));
    }
    shown
}

/// What it is found by.
fn searched(saga: &Saga) -> Option<Value> {
    let all: serde_json::Map<String, Value> =
        saga.head.search().keys().map(|key| (key.name.to_owned(), Value::from(key.value))).collect();
    (!all.is_empty()).then_some(Value::Object(all))
}

fn show(saga: &Saga) -> Value {
    let head = saga.head.fields();
    json!({
        "saga": &*saga.id,
        "item_of": names::below(&saga.id).filter(|below| below.item.is_some()).map(|below| below.above),
        "run_by": names::below(&saga.id).filter(|below| below.item.is_none()).map(|below| below.above),
        "definition": saga.definition(),
        "version": names::hex(&head.version),
        "key": &*saga.key(),
        "status": saga.status.as_str(),
        "stuck": saga.stuck(),
        "turns": turns(saga),
        "if_turn": saga.turns.last(),
        "started_at": time(Some(head.started_at)),
        "deadline_at": time(saga.deadline_at),
        "held_since": time(saga.held_since),
        "paused": saga.paused().map(paused),
        "passed": saga.passed,
        "late": saga.late,
        "due_at": time(Some(saga.due_at())),
        "ended_at": time(saga.ended.as_ref().map(|end| end.at)),
        "expires_at": time(saga.ended.as_ref().map(|end| end.expires_at)),
        "source": head.source,
        "traceparent": head.traceparent,
        "failure": saga.failure.as_deref().map(failure),
        "entries": saga.entries.iter().map(entry).collect::<Vec<_>>(),
        "early_events": saga.early().iter().map(|event| early(event)).collect::<Vec<_>>(),
    })
}

/// Which records count behind what is shown: those of this claim, from this number on.
fn term(checkpoint: &Checkpoint) -> Value {
    json!({ "claim_offset": checkpoint.claim_offset, "claim": names::hex(&checkpoint.claim), "number": checkpoint.number })
}

/// Who paused it, and what becomes of it.
fn paused(paused: &Paused) -> Value {
    match paused.is_with_above() {
        true => json!({ "since": time(Some(paused.since)), "with": &*paused.why }),
        false => json!({ "since": time(Some(paused.since)), "by": &*paused.by, "why": &*paused.why }),
    }
}

/// An event that came before something waits for it.
fn early(event: &KeptEvent) -> Value {
    json!({ "topic": &*event.topic, "kind": &*event.kind, "source": &*event.source, "kept_until": time(Some(event.until)) })
}

/// A value by which the event of a wait is known.
fn claimed(claim: &ClaimedValue) -> Value {
    let name = &claim.name;
    json!({ "entry": claim.place, "topic": &*name.topic, "kind": &*name.kind, "field": &*name.field, "value": &*name.value, "granted": claim.granted })
}

pub(super) fn failure(failure: &Failure) -> Value {
    json!({ "code": &*failure.code, "step": &*failure.step, "kind": failure.kind.as_str(), "message": &*failure.message })
}

fn entry(entry: &Entry) -> Value {
    json!({
        "step": entry.name(),
        "node": entry.node,
        "round": entry.round,
        "work": entry.work.as_str(),
        "waits": entry.waits.as_str(),
        "since": time(Some(entry.since)),
        "due_at": time(Some(entry.due_at())),
        "attempt": entry.attempt,
        "order": entry.order.as_ref().map(|order| asked(&order.fields(), entry.body().len())),
        "failure": entry.failure().map(|why| failure(why)),
        "stray_since": time(entry.stray()),
        "items": entry.children().map(items),
    })
}

/// The items of a for_each, as far as its saga's row knows them; each has a row of its own.
fn items(rows: &Children) -> Value {
    json!({
        "count": rows.count,
        "begun": rows.begun,
        "at_once": rows.at_once,
        "under_way": rows.open.iter().map(|child| child.index).collect::<Vec<_>>(),
        "held": rows.open.iter().filter(|child| child.held).map(|child| child.index).collect::<Vec<_>>(),
    })
}

fn asked(order: &OrderFields<'_>, body_bytes: usize) -> Value {
    json!({
        "command": order.command,
        "first_time": time(Some(order.first_time)),
        "until": time(Some(order.until)),
        "body_bytes": body_bytes,
    })
}

/// RFC 3339; null for "not yet" and "never".
pub(super) fn time(at: Option<Millis>) -> Value {
    at.and_then(moment).into()
}

/// The same as text; none for "never".
pub(super) fn moment(at: Millis) -> Option<String> {
    (at != Millis::MAX).then(|| written(at))
}

/// The same of what is a time for sure.
pub(crate) fn written(at: Millis) -> String {
    let mut text = String::with_capacity(32);
    put_timestamp(at.saturating_mul(1_000), &mut text);
    text
}

/// Where in the journal of its partition it was changed.
fn turns(saga: &Saga) -> Value {
    let (first, left_out, last) = saga.turns.told();
    json!({ "first": first, "left_out": left_out, "last": last })
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
