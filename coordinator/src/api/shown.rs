//! Bytes of records as people read them: decoded as far as that goes, and never an error.

use ringmaster_schemas::avro::Schema;
use ringmaster_schemas::json;
use ringmaster_schemas::names::hex;
use ringmaster_schemas::registry::Schemas;
use ringmaster_schemas::wire::{SINGLE_OBJECT, SINGLE_OBJECT_HEADER_BYTES};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Bytes of what cannot be decoded that are shown: a record may have many megabytes.
const SHOWN_BYTES_MAX: usize = 64 << 10;

/// Bytes, decoded as far as that goes: by a schema (`json`, in which what the schema calls secret is `***`), else as the text that they are,
/// else in hex.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShownBytes {
    /// How many there are.
    pub bytes: usize,
    /// The schema by which they are decoded.
    pub schema: Option<String>,
    /// What they say, by that.
    pub json: Option<Value>,
    /// The text that they are, the first 64 KiB of it.
    pub text: Option<String>,
    /// In hex, the first 64 KiB of them.
    pub hex: Option<String>,
}

impl ShownBytes {
    /// `kind`: the type of the event that they are, where something says it.
    pub(super) fn of(bytes: &[u8], kind: Option<&str>, schemas: &Schemas) -> ShownBytes {
        let shown = ShownBytes { bytes: bytes.len(), ..ShownBytes::default() };
        if let Some((schema, json)) = by_schema(bytes, kind, schemas) {
            return ShownBytes { schema: Some(schema), json: Some(json), ..shown };
        }
        let first = &bytes[..bytes.len().min(SHOWN_BYTES_MAX)];
        let text = match std::str::from_utf8(first) {
            Ok(text) => Some(text),
            // A letter may be cut at the end.
            Err(error) if first.len() < bytes.len() && error.error_len().is_none() => {
                std::str::from_utf8(&first[..error.valid_up_to()]).ok()
            }
            Err(_) => None,
        };
        match text.filter(|text| !text.chars().any(|letter| letter.is_control() && !matches!(letter, '\n' | '\r' | '\t'))) {
            Some(text) => ShownBytes { text: Some(text.to_owned()), ..shown },
            None => ShownBytes { hex: Some(hex(first)), ..shown },
        }
    }
}

/// The schema that decodes them, and what they say then.
fn by_schema(bytes: &[u8], kind: Option<&str>, schemas: &Schemas) -> Option<(String, Value)> {
    if let Some(framed) = bytes.strip_prefix(&SINGLE_OBJECT) {
        let (fingerprint, body) = framed.split_at_checked(SINGLE_OBJECT_HEADER_BYTES - SINGLE_OBJECT.len())?;
        let schema = schemas.by_fingerprint(u64::from_le_bytes(fingerprint.try_into().ok()?))?;
        return rendered(schema, body);
    }
    let schema = schemas.named(kind?)?;
    let mut body = Vec::new();
    json::transcode(schema, bytes, &mut body).ok()?;
    rendered(schema, &body)
}

fn rendered(schema: &Schema, body: &[u8]) -> Option<(String, Value)> {
    let mut text = String::new();
    json::render_masked(schema, schema.root(), body, &mut text).ok()?;
    Some((schema.name().to_owned(), serde_json::from_str(&text).ok()?))
}
