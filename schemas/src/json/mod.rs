//! JSON at the doors: bodies come in as JSON and are Avro behind it; Avro is shown as JSON.

pub mod time;

use crate::avro::{NodeId, Schema};
use crate::codec::Malformed;

/// Objects and lists inside one another that a JSON text may have.
pub const DEPTH_MAX: u32 = 64;

/// Why JSON could not be taken, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{why} (byte {offset})", if path.is_empty() { String::new() } else { format!("{path}: ") })]
pub struct JsonError {
    /// For example `items[2].qty`; empty for the whole.
    pub path: String,
    /// What is wrong.
    pub why: String,
    /// Where in the text.
    pub offset: usize,
}

/// Writes a JSON text as Avro of the schema. On an error `out` is as it was.
pub fn transcode(schema: &Schema, json: &[u8], out: &mut Vec<u8>) -> Result<(), JsonError> {
    todo!()
}

/// Writes a JSON text as `ringmaster.Json`: for what comes without a schema.
pub fn dynamic(json: &[u8], out: &mut Vec<u8>) -> Result<(), JsonError> {
    todo!()
}

/// Appends Avro bytes as JSON: decimals and bytes (base64) as strings, timestamps as RFC 3339, integers as numbers; a value of
/// `ringmaster.Json` as it came.
pub fn render(schema: &Schema, node: NodeId, bytes: &[u8], out: &mut String) -> Result<(), Malformed> {
    todo!()
}

/// The same for logs and people: fields that the schema calls secret show as `***`.
pub fn render_masked(schema: &Schema, node: NodeId, bytes: &[u8], out: &mut String) -> Result<(), Malformed> {
    todo!()
}

/// Appends text as a JSON string, quotes included.
pub fn put_string(text: &str, out: &mut String) {
    todo!()
}
