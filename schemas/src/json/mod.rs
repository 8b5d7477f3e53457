//! JSON at the doors: bodies come in as JSON and are Avro behind it; Avro is shown as JSON.
//!
//! In: decimals from strings or from a number's own text (never through a floating-point number), timestamps RFC 3339 or epoch
//! milliseconds, dates `YYYY-MM-DD` or days, bytes base64, unions bare; a missing field gets its default or null (so does null
//! where the type has none and there is a default), a field may come by an alias, what is read is exact (a key of it that is there
//! twice is refused), what is not read does not matter. Out: the same, decimals
//! as strings. What comes without a schema becomes `ringmaster.Json` and is shown as it came.

pub mod base64;
mod render;
mod scalar;
pub(crate) mod scan;
pub mod time;
mod transcode;

use std::borrow::Cow;

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

/// A member of a JSON object: its text, not yet read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member<'j> {
    /// Its value, well-formed.
    pub text: &'j str,
    /// It is given again further on.
    twice: bool,
    offset: usize,
}

impl<'j> Member<'j> {
    /// Its value, which is to be read: an error if it is given twice.
    pub fn once(&self) -> Result<&'j str, JsonError> {
        if self.twice { Err(*scan::mistake(self.offset, "it is given twice")) } else { Ok(self.text) }
    }

    /// The string that it is; nothing if it is of another type.
    pub fn string(&self) -> Result<Option<Cow<'j, str>>, JsonError> {
        let text = self.once()?;
        if !text.starts_with('"') {
            return Ok(None);
        }
        let read = scan::Scanner::new(text.as_bytes()).and_then(|mut scanner| scanner.string());
        read.map(Some).map_err(|error| JsonError { offset: self.offset + error.offset, ..*error })
    }
}

/// Looks for members of a JSON object by their names; whatever else it holds is only well-formed. No member if the text is no object.
pub fn members<'j, const N: usize>(json: &'j [u8], names: [&str; N]) -> Result<[Option<Member<'j>>; N], JsonError> {
    let look = || {
        let mut found = [None; N];
        let mut scanner = scan::Scanner::new(json)?;
        if scanner.peek() != Some(b'{') {
            return Ok(found);
        }
        scanner.enter()?;
        let mut first = true;
        while let Some(key) = scanner.name(first)? {
            first = false;
            scanner.peek();
            let offset = scanner.at;
            let text = scanner.pass()?;
            // A topic's type field may be called as an attribute is: each of the places of a name gets it.
            for (place, _) in names.iter().enumerate().filter(|(_, name)| Some(**name) == key.as_deref()) {
                let twice = found[place].is_some();
                found[place] = Some(Member { text, twice, offset });
            }
        }
        scanner.end()?;
        Ok(found)
    };
    look().map_err(|error: Box<JsonError>| *error)
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
