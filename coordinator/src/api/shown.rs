//! Bytes of records as people read them: decoded as far as that goes, without what is secret, and never an error.
//!
//! ```text
//! record -> by the schema of its type -> else, if no schema knows of secrets, as text or in hex
//!                                        -> else as JSON, with whatever is called as a secret field hidden
//! ```

use std::collections::BTreeSet;

use ringmaster_core::intake::{Event, InputRecord, Typing};
use ringmaster_schemas::avro::Schema;
use ringmaster_schemas::json;
use ringmaster_schemas::names::hex;
use ringmaster_schemas::registry::Schemas;
use ringmaster_schemas::wire::{self, Framing};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Bytes of what cannot be decoded that are shown: a record may have many megabytes.
const SHOWN_BYTES_MAX: usize = 64 << 10;

/// What is shown of a value that is secret.
const HIDDEN: &str = "***";
/// Why bytes are not shown.
const WITHHELD: &str = "no schema and no JSON says what these bytes are, and schemas know of secret fields, which might be in them: \
     `ringmaster journal` and `ringmaster saga history` show what sagas keep, and clients of Kafka show the record";

/// Bytes, decoded as far as that goes: by a schema (`json`, in which what the schema calls secret is `***`), else as text or in hex. Where a
/// schema knows of secrets, those two are not shown: `json` is the JSON that they are, in which whatever is called as a secret field is `***`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShownBytes {
    /// How many there are.
    pub bytes: usize,
    /// The schema by which they are decoded.
    pub schema: Option<String>,
    /// What they say, by that, or by themselves.
    pub json: Option<Value>,
    /// The text that they are, the first 64 KiB of it.
    pub text: Option<String>,
    /// In hex, the first 64 KiB of them.
    pub hex: Option<String>,
    /// Why nothing of them is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withheld: Option<String>,
}

impl ShownBytes {
    /// The value of a record of a topic whose events tell their type in this way.
    pub(super) fn of_value(record: &InputRecord<'_>, typing: Typing<'_>, schemas: &Schemas) -> ShownBytes {
        let value = record.value.unwrap_or_default();
        let shown = ShownBytes { bytes: value.len(), ..ShownBytes::default() };
        if let Some((schema, json)) = by_schema(record, typing, schemas) {
            return ShownBytes { schema: Some(schema), json: Some(json), ..shown };
        }
        let secrets = secrets(schemas);
        if secrets.is_empty() || value.is_empty() {
            return ShownBytes::of_text(value);
        }
        match (wire::recognise(value), serde_json::from_slice(value)) {
            (Framing::Json, Ok(mut json)) => {
                hide(&mut json, &secrets);
                ShownBytes { json: Some(json), ..shown }
            }
            _ => ShownBytes { withheld: Some(WITHHELD.to_owned()), ..shown },
        }
    }

    /// What is no value: a key.
    pub(super) fn of_text(bytes: &[u8]) -> ShownBytes {
        let shown = ShownBytes { bytes: bytes.len(), ..ShownBytes::default() };
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

/// The schema that decodes the whole of it, and what it says then: by its own, or by that of its type as intake tells it.
fn by_schema(record: &InputRecord<'_>, typing: Typing<'_>, schemas: &Schemas) -> Option<(String, Value)> {
    let value = record.value?;
    if let Framing::SingleObject { fingerprint, body } = wire::recognise(value) {
        let schema = schemas.by_fingerprint(fingerprint)?;
        let (name, mut json) = rendered(schema, body)?;
        if schema.holds_any_json(schema.root()) {
            // Such as a command that has no schema, into which a secret field went.
            hide(&mut json, &secrets(schemas));
        }
        return Some((name, json));
    }
    let (kind, event) = Event::recognise(record, typing, schemas).ok()?;
    // Of a whole CloudEvent that is a part.
    if event.value().len() != value.len() {
        return None;
    }
    let schema = schemas.named(&kind)?;
    let mut body = Vec::new();
    json::transcode(schema, value, &mut body).ok()?;
    rendered(schema, &body)
}

/// How members are called that are secret in some schema; none if no schema knows of secrets.
fn secrets(schemas: &Schemas) -> BTreeSet<&str> {
    let fields = schemas.iter().flat_map(|schema| schema.secrets(schema.root()));
    let mut names: BTreeSet<&str> = fields.flat_map(|field| field.names()).collect();
    if !names.is_empty() {
        // In here a whole CloudEvent may have all of its data.
        names.insert("data_base64");
    }
    names
}

/// Hides what is called like that, however deep.
fn hide(json: &mut Value, secrets: &BTreeSet<&str>) {
    match json {
        Value::Object(members) => members.iter_mut().for_each(|(name, value)| match secrets.contains(name.as_str()) {
            true => *value = HIDDEN.into(),
            false => hide(value, secrets),
        }),
        Value::Array(items) => items.iter_mut().for_each(|item| hide(item, secrets)),
        _ => (),
    }
}

fn rendered(schema: &Schema, body: &[u8]) -> Option<(String, Value)> {
    let mut text = String::new();
    json::render_masked(schema, schema.root(), body, &mut text).ok()?;
    Some((schema.name().to_owned(), serde_json::from_str(&text).ok()?))
}
