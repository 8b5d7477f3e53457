//! Tests of the crate from outside: against other implementations of Avro, against hostile bytes, against its own golden files.

mod encode;
mod generate;
mod golden;
mod hostile;
mod json;
mod oracle;
mod own;
mod registry;
mod resolve;
mod wire;

use std::sync::Arc;

use ringmaster_schemas::avro::Schema;

/// Compiles a schema.
fn schema(text: &str) -> Arc<Schema> {
    Schema::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Bytes as JSON.
fn shown(schema: &Schema, bytes: &[u8]) -> String {
    let mut out = String::new();
    ringmaster_schemas::json::render(schema, schema.root(), bytes, &mut out)
        .unwrap_or_else(|error| panic!("{error} in {bytes:02x?} of {}", schema.text()));
    out
}

/// JSON as bytes.
fn avro(schema: &Schema, json: &str) -> Vec<u8> {
    let mut out = Vec::new();
    ringmaster_schemas::json::transcode(schema, json.as_bytes(), &mut out)
        .unwrap_or_else(|error| panic!("{error}\n{json}\n{}", schema.text()));
    out
}

/// The schema of the order event that the demo uses.
fn order_placed() -> Arc<Schema> {
    schema(include_str!("../../../sagas/schemas/OrderPlaced.avsc"))
}
