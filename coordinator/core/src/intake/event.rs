//! A domain event: its type, its encoding, and which one it is.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use ringmaster_schemas::avro::Schema;
use ringmaster_schemas::journal::QuarantineReason;
use ringmaster_schemas::names;
use ringmaster_schemas::registry::Schemas;
use ringmaster_schemas::wire::{self, Framing, WireError};
use ringmaster_schemas::{Millis, json};

use super::{InputRecord, Refused};

/// How a topic's events tell their type, where no header and no schema does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Typing<'a> {
    /// The JSON field that names it.
    pub(crate) field: &'a str,
    /// The type of what says nothing.
    pub(crate) default: Option<&'a str>,
}

/// A recognised domain event.
pub(crate) struct Event<'a> {
    pub(super) body: Body<'a>,
    /// W3C trace context.
    pub(super) traceparent: Option<&'a str>,
    pub(super) identity: Identity<'a>,
    /// The record's key.
    pub(super) key: Option<&'a [u8]>,
    /// When it happened, if its log says so.
    pub(super) time: Option<Millis>,
}

/// An event's value.
pub(super) enum Body<'a> {
    /// Avro by this writer's schema.
    Avro { schema: &'a Arc<Schema>, bytes: &'a [u8] },
    /// JSON.
    Json(&'a [u8]),
}

/// Which event it is.
pub(super) enum Identity<'a> {
    /// By CloudEvents.
    Named { source: &'a str, id: &'a str },
    /// By where it stands.
    Place { topic: &'a str, partition: i32, offset: i64 },
}

impl fmt::Display for Identity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Identity::Named { source, id } => write!(f, "{source}/{id}"),
            Identity::Place { topic, partition, offset } => write!(f, "{topic}/{partition}/{offset}"),
        }
    }
}

impl<'a> Event<'a> {
    /// Tells an event's type, encoding and identity. It was read from this partition of this topic.
    pub(crate) fn recognise<'k>(
        record: &InputRecord<'a>,
        topic: &'a str,
        partition: i32,
        typing: Typing<'k>,
        schemas: &'a Schemas,
    ) -> Result<(Cow<'k, str>, Event<'a>), Refused>
    where
        'a: 'k,
    {
        let value = record.value.unwrap_or_default();
        let header =
            |name: &str| record.headers.and_then(|headers| headers.find(name)).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let typed = header(names::HEADER_TYPE);
        let (body, kind) = match wire::recognise(value) {
            Framing::SingleObject { fingerprint, body } => {
                let Some(schema) = schemas.by_fingerprint(fingerprint) else {
                    let error = WireError::UnknownSchema(fingerprint);
                    return Err(Refused::new(QuarantineReason::UnknownSchema, error, Some(fingerprint)));
                };
                (Body::Avro { schema, bytes: body }, Some(Cow::Borrowed(typed.unwrap_or(schema.name()))))
            }
            Framing::Json => (Body::Json(value), json_kind(typed, value, typing)?),
            Framing::Confluent { id, .. } => {
                let detail = format!(
                    "the value is in Confluent's wire format (schema id {id}), and no schema registry is configured: send Avro single-object or JSON"
                );
                return Err(Refused::new(QuarantineReason::UnknownSchema, detail, None));
            }
            Framing::Unknown => {
                return Err(Refused::undecodable("the value is neither Avro single-object (C3 01) nor a JSON object", None));
            }
        };
        let Some(kind) = kind else {
            let detail = "nothing tells the event's type: set the header ce_type, the topic's `type_field`, or its `default_type`";
            return Err(Refused::new(QuarantineReason::TypeUnknown, detail, None));
        };
        let identity = match (header(names::HEADER_SOURCE), header(names::HEADER_ID)) {
            (Some(source), Some(id)) => Identity::Named { source, id },
            _ => Identity::Place { topic, partition, offset: record.offset },
        };
        let time = (record.timestamp > 0).then_some(record.timestamp);
        Ok((kind, Event { body, traceparent: header(names::HEADER_TRACEPARENT), identity, key: record.key, time }))
    }

    /// Fingerprint of the writer's schema; none for JSON.
    pub(crate) fn fingerprint(&self) -> Option<u64> {
        match &self.body {
            Body::Avro { schema, .. } => Some(schema.fingerprint()),
            Body::Json(_) => None,
        }
    }

    /// Key of the writer's schema; 0 for JSON.
    pub(crate) fn schema_key(&self) -> i64 {
        match &self.body {
            Body::Avro { schema, .. } => schema.key(),
            Body::Json(_) => 0,
        }
    }
}

/// The type of a JSON event: the header, the topic's field, the topic's default.
fn json_kind<'k>(typed: Option<&'k str>, value: &'k [u8], typing: Typing<'k>) -> Result<Option<Cow<'k, str>>, Refused> {
    if let Some(typed) = typed {
        return Ok(Some(Cow::Borrowed(typed)));
    }
    let found = json::peek_text(value, typing.field).map_err(|error| Refused::undecodable(error, None))?;
    Ok(found.map(Cow::Owned).or(typing.default.map(Cow::Borrowed)))
}
