//! Bodies of commands and events as JSON: as they are, which is what a scenario speaks of, and as they are shown.

use ringmaster_schemas::avro::{NodeId, Schema};
use ringmaster_schemas::json;
use ringmaster_schemas::registry::Schemas;
use serde_json::Value;

/// A body in JSON, and as it is shown: its schema, where there is one, knows what is secret.
pub(super) fn written(schemas: &Schemas, name: &str, text: &str) -> (Value, Value) {
    let masked = schemas.named(name).and_then(|schema| {
        let mut bytes = Vec::new();
        json::transcode(schema, text.as_bytes(), &mut bytes).ok()?;
        Some(rendered(schema, schema.root(), &bytes).1)
    });
    let body = parsed(text);
    (body.clone(), masked.unwrap_or(body))
}

/// A body that holds nothing secret.
pub(super) fn plain(body: Value) -> (Value, Value) {
    (body.clone(), body)
}

/// A valid body, and as it is shown to people.
pub(super) fn rendered(schema: &Schema, node: NodeId, bytes: &[u8]) -> (Value, Value) {
    let (mut whole, mut shown) = (String::new(), String::new());
    json::render(schema, node, bytes, &mut whole).expect("it is valid");
    json::render_masked(schema, node, bytes, &mut shown).expect("it is valid");
    (parsed(&whole), parsed(&shown))
}

/// The text of a body that is certainly JSON.
pub(super) fn parsed(text: &str) -> Value {
    serde_json::from_str(text).expect("a rendered body is JSON")
}

/// How much memory a body takes, roughly, in bytes.
pub(super) fn size(body: &Value) -> usize {
    let inside = match body {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(members) => members.iter().map(|(name, value)| name.len() + size(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    size_of::<Value>() + inside
}
