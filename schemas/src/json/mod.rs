//! JSON at the doors: bodies come in as JSON and are Avro behind it; Avro is shown as JSON.
//!
//! In: decimals from strings or from a number's own text (never through a floating-point number), timestamps RFC 3339 or epoch
//! milliseconds, dates `YYYY-MM-DD` or days, bytes base64, unions bare; a missing field gets its default or null (so does null
//! where the type has none and there is a default), unknown fields are ignored, duplicate keys refused. Out: the same, decimals
//! as strings. What comes without a schema becomes `ringmaster.Json` and is shown as it came.

pub mod base64;
mod render;
mod scalar;
pub(crate) mod scan;
pub mod time;
mod transcode;

use crate::avro::{NodeId, Schema};
use crate::codec::Malformed;

pub use render::put_string;

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
    transcode::run(Some(schema), json, out)
}

/// Writes a JSON text as `ringmaster.Json`: for what comes without a schema.
pub fn dynamic(json: &[u8], out: &mut Vec<u8>) -> Result<(), JsonError> {
    transcode::run(None, json, out)
}

/// Appends Avro bytes as JSON: decimals and bytes (base64) as strings, timestamps as RFC 3339, integers as numbers; a value of
/// `ringmaster.Json` as it came. A floating-point number that JSON does not have is the string `NaN`, `Infinity` or `-Infinity`.
pub fn render(schema: &Schema, node: NodeId, bytes: &[u8], out: &mut String) -> Result<(), Malformed> {
    render::run(schema, node, bytes, false, out)
}

/// The same for logs and people: fields that the schema calls secret show as `***`.
pub fn render_masked(schema: &Schema, node: NodeId, bytes: &[u8], out: &mut String) -> Result<(), Malformed> {
    render::run(schema, node, bytes, true, out)
}

/// The text of a top-level string of a JSON object, without reading more of it than needed: an event's type, where a topic's
/// `type_field` names it. `None` if there is none, or no object.
pub fn peek_text(json: &[u8], name: &str) -> Result<Option<String>, JsonError> {
    let mut scanner = scan::Scanner::new(json).map_err(|error| *error)?;
    let mut find = || {
        if scanner.peek() != Some(b'{') {
            return Ok(None);
        }
        scanner.enter()?;
        let mut first = true;
        while let Some(key) = scanner.key(first)? {
            first = false;
            if key == name && scanner.peek() == Some(b'"') {
                return scanner.string().map(|text| Some(text.into_owned()));
            }
            scanner.pass()?;
        }
        Ok(None)
    };
    find().map_err(|error: Box<JsonError>| *error)
}

/// Checks that a text is one well-formed JSON value, and nothing else.
pub fn check(json: &[u8]) -> Result<(), JsonError> {
    let check = || {
        let mut scanner = scan::Scanner::new(json)?;
        scanner.pass()?;
        scanner.end()
    };
    check().map_err(|error: Box<JsonError>| *error)
}
