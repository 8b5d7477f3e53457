//! A saga as people and programs see it: its row, without the bodies.

use ringmaster_schemas::Millis;
use ringmaster_schemas::json::time::put_timestamp;
use ringmaster_schemas::names;
use ringmaster_schemas::state::{Call, RowKey, Saga, Step};
use ringmaster_store::Store;
use serde_json::{Value, json};

/// The partition of a saga by its id; none if it is not one.
pub(super) fn partition_of(id: &str, partitions: i32) -> Option<i32> {
    let (definition, key) = id.split_once('/')?;
    if definition.is_empty() || key.is_empty() || key.contains('/') {
        return None;
    }
    Some(names::partition_of(&percent_decode(key)?, partitions))
}

/// The saga as JSON, with the journal offset that it is true at; none if there is no such row.
pub(super) fn look_up(store: &dyn Store, partition: i32, id: &str) -> Result<Option<Value>, String> {
    // The checkpoint first: the row is at least as new, never older than what is said.
    let checkpoint = store.checkpoint(partition).map_err(|error| error.to_string())?;
    let Some(bytes) = store.row(partition, &RowKey::saga(id)).map_err(|error| error.to_string())? else {
        return Ok(None);
    };
    let saga = Saga::decode(&bytes).map_err(|error| format!("row of '{id}': {error}"))?;
    let mut shown = show(&saga);
    shown["partition"] = partition.into();
    shown["as_of_journal_offset"] = checkpoint.map_or(0, |checkpoint| checkpoint.journal_offset).into();
    Ok(Some(shown))
}

fn show(saga: &Saga) -> Value {
    let failure = |failure: &ringmaster_schemas::journal::Failure| json!({ "code": &*failure.code, "step": &*failure.step, "kind": failure.kind.as_str(), "message": &*failure.message });
    json!({
        "saga": saga.id(),
        "definition": &*saga.definition,
        "version": names::hex(&saga.version),
        "key": &*saga.key,
        "status": saga.status.as_str(),
        "stuck": saga.stuck(),
        "started_at": time(saga.started_at),
        "deadline_at": time(saga.deadline_at),
        "late": saga.late,
        "due_at": time(saga.due_at()),
        "ended_at": time(saga.ended_at),
        "expires_at": time(saga.expires_at),
        "source": &*saga.source,
        "traceparent": saga.traceparent.as_deref(),
        "failure": saga.failure.as_ref().map(failure),
        "stuck_at_end": saga.stuck_at_end.as_ref().map(failure),
        "steps": saga.steps.iter().map(step).collect::<Vec<_>>(),
    })
}

fn step(step: &Step) -> Value {
    json!({
        "step": &*step.name,
        "state": step.state.as_str(),
        "phase": step.phase.as_str(),
        "code": &*step.code,
        "message": &*step.message,
        "do": call(&step.call),
        "undo": step.undo.as_ref().map(call),
    })
}

fn call(call: &Call) -> Value {
    json!({
        "command": &*call.command,
        "attempt": call.attempt,
        "first_time": time(call.first_time),
        "due_at": time(call.due_at),
        "until": time(call.until),
        "body_bytes": call.body.len(),
    })
}

/// RFC 3339; null for "not yet" and "never".
fn time(at: Millis) -> Value {
    if at == 0 || at == Millis::MAX {
        return Value::Null;
    }
    let mut text = String::with_capacity(32);
    put_timestamp(at.saturating_mul(1_000), &mut text);
    text.into()
}

fn percent_decode(text: &str) -> Option<Vec<u8>> {
    let (mut decoded, mut bytes) = (Vec::with_capacity(text.len()), text.bytes());
    while let Some(byte) = bytes.next() {
        decoded.push(if byte == b'%' {
            let (high, low) = (char::from(bytes.next()?).to_digit(16)?, char::from(bytes.next()?).to_digit(16)?);
            (high * 16 + low) as u8
        } else {
            byte
        });
    }
    Some(decoded)
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
        for wrong in ["", "order", "order/", "/key", "order/a/b", "order/%", "order/%zz", "order/%f"] {
            assert_eq!(partition_of(wrong, 8), None, "{wrong}");
        }
    }
}
