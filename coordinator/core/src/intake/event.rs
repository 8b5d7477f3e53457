//! A domain event: its type, its encoding, and which one it is.
//!
//! Avro says its type by its schema's name, JSON by a field; CloudEvents by headers (binary mode) or as a whole in JSON (structured
//! mode). A header that is empty or no text is as if it were absent.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use ringmaster_schemas::avro::Schema;
use ringmaster_schemas::journal::QuarantineReason;
use ringmaster_schemas::names;
use ringmaster_schemas::registry::Schemas;
use ringmaster_schemas::wire::{self, Framing, WireError};
use ringmaster_schemas::{Millis, json};

use super::structured::{self, Members};
use super::{InputRecord, Refused, bounds};

/// How a topic's events tell their type, where no header and no schema does.
#[derive(Debug, Clone, Copy)]
pub struct Typing<'t> {
    /// The JSON field that names it.
    pub field: &'t str,
    /// The type of what says nothing.
    pub default: Option<&'t str>,
}

/// Where an event was read.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'t> {
    /// The topic's name.
    pub topic: &'t str,
    /// The partition's number.
    pub partition: i32,
}

/// A recognised domain event.
pub struct Event<'a> {
    pub(crate) body: Body<'a>,
    /// W3C trace context.
    pub(super) traceparent: Option<Cow<'a, str>>,
    identity: Option<Identity<'a>>,
    offset: i64,
    /// The record's key.
    pub(super) key: Option<&'a [u8]>,
    /// When it happened, if its log says so.
    pub(crate) time: Option<Millis>,
}

/// An event's value.
pub(crate) enum Body<'a> {
    /// Avro by this writer's schema.
    Avro { schema: &'a Arc<Schema>, bytes: &'a [u8] },
    /// JSON.
    Json(&'a [u8]),
}

/// Which event it is, by CloudEvents.
pub(super) struct Identity<'a> {
    pub(super) source: Cow<'a, str>,
    pub(super) id: Cow<'a, str>,
}

/// A record's headers, as far as they are of use.
#[derive(Clone, Copy)]
struct Header<'a>(Option<&'a dyn super::Headers>);

impl<'a> Header<'a> {
    fn find(self, name: &str) -> Option<&'a str> {
        let bytes = self.0.and_then(|headers| headers.find(name))?;
        std::str::from_utf8(bytes).ok().filter(|text| !text.is_empty())
    }

    /// The media type, without its parameters.
    fn content(self) -> Option<&'a str> {
        self.find(names::HEADER_CONTENT_TYPE).map(|content| content.split(';').next().unwrap_or_default().trim())
    }
}

impl<'a> Body<'a> {
    /// Its bytes, as they lie in the record.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        match self {
            Body::Avro { bytes, .. } | Body::Json(bytes) => bytes,
        }
    }

    /// The body that was kept under the key of its writer's schema; none if nobody knows the schema.
    pub(crate) fn kept(schema: i64, bytes: &'a [u8], schemas: &'a Schemas) -> Option<Body<'a>> {
        match schema {
            0 => Some(Body::Json(bytes)),
            key => Some(Body::Avro { schema: schemas.by_key(key)?, bytes }),
        }
    }
}

impl<'a> Event<'a> {
    /// An event that a person gives, as JSON, in the record of this offset.
    pub fn by_hand(json: &'a [u8], key: &'a [u8], offset: i64) -> Event<'a> {
        Event { body: Body::Json(json), traceparent: None, identity: None, offset, key: Some(key), time: None }
    }

    /// Its bytes, as they lie in the record: of a whole CloudEvent its data.
    pub fn value(&self) -> &'a [u8] {
        self.body.bytes()
    }

    /// Tells an event's type, encoding and identity.
    pub fn recognise<'k>(
        record: &InputRecord<'a>,
        typing: Typing<'k>,
        schemas: &'a Schemas,
    ) -> Result<(Cow<'k, str>, Event<'a>), Refused>
    where
        'a: 'k,
    {
        let value = record.value.unwrap_or_default();
        let header = Header(record.headers);
        let typed = header.find(names::HEADER_TYPE);
        let (kind, body, inside) = match wire::recognise(value) {
            Framing::SingleObject { fingerprint, body } => {
                let Some(schema) = schemas.by_fingerprint(fingerprint) else {
                    let error = WireError::UnknownSchema(fingerprint);
                    return Err(Refused::new(QuarantineReason::UnknownSchema, error, Some(fingerprint)));
                };
                let kind = Some(Cow::Borrowed(typed.unwrap_or(schema.name())));
                (kind, Body::Avro { schema, bytes: body }, None)
            }
            Framing::Json => recognise_json(value, header, typing)?,
            other => return Err(unframed(other, header)),
        };
        let Some(kind) = kind else {
            let detail = "nothing tells the event's type: set the header ce_type, the topic's `type_field`, or its `default_type`";
            return Err(Refused::new(QuarantineReason::TypeUnknown, detail, None));
        };
        let named = match (header.find(names::HEADER_SOURCE), header.find(names::HEADER_ID)) {
            (Some(source), Some(id)) => Some(Identity { source: source.into(), id: id.into() }),
            _ => None,
        };
        let traced = header.find(names::HEADER_TRACEPARENT).map(Cow::Borrowed);
        let (identity, traceparent) = match inside {
            Some(Envelope { identity, traceparent }) => (Some(identity), traceparent.or(traced)),
            None => (named, traced),
        };
        let event = Event {
            body,
            traceparent: traceparent.and_then(bounds::traceparent),
            identity,
            offset: record.offset,
            key: record.key,
            time: (record.timestamp > 0).then_some(record.timestamp),
        };
        Ok((kind, event))
    }

    /// Appends which event it is: CloudEvents' source and id, else where it stands.
    pub(crate) fn put_identity(&self, origin: Origin<'_>, out: &mut String) {
        use fmt::Write as _;
        match &self.identity {
            Some(Identity { source, id }) => {
                bounds::put_id(source, out);
                out.push('/');
                bounds::put_id(id, out);
            }
            None => write!(out, "{}/{}/{}", origin.topic, origin.partition, self.offset).expect("writing to a string"),
        }
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

/// What a whole CloudEvent says of itself, beside its type and data.
pub(super) struct Envelope<'a> {
    pub(super) identity: Identity<'a>,
    pub(super) traceparent: Option<Cow<'a, str>>,
}

type Recognised<'k, 'a> = (Option<Cow<'k, str>>, Body<'a>, Option<Envelope<'a>>);

/// The type of a JSON event: the header, a whole CloudEvent's own, the topic's field, the topic's default.
fn recognise_json<'k, 'a: 'k>(value: &'a [u8], header: Header<'a>, typing: Typing<'k>) -> Result<Recognised<'k, 'a>, Refused> {
    let whole = header.content().is_some_and(|content| content.eq_ignore_ascii_case(names::CONTENT_CLOUD_EVENT));
    let typed = header.find(names::HEADER_TYPE).filter(|_| !whole);
    if let Some(typed) = typed {
        return Ok((Some(Cow::Borrowed(typed)), Body::Json(value), None));
    }
    let undecodable = |error| Refused::undecodable(error, None);
    let [named, members @ ..] = json::members(value, structured::names(typing.field)).map_err(undecodable)?;
    let members = Members(members);
    if whole || members.are_whole() {
        let (kind, data, envelope) = members.read()?;
        return Ok((Some(kind), Body::Json(data), Some(envelope)));
    }
    let field = named
        .map_or(Ok(None), |named| named.string())
        .map_err(|error| undecodable(json::JsonError { path: typing.field.to_owned(), ..error }))?;
    let field = field.filter(|kind| !kind.is_empty());
    Ok((field.or(typing.default.map(Cow::Borrowed)), Body::Json(value), None))
}

#[cold]
fn unframed(framing: Framing<'_>, header: Header<'_>) -> Refused {
    if let Framing::Confluent { id, .. } = framing {
        let detail = format!(
            "the value is in Confluent's wire format (schema id {id}), and no schema registry is configured: send Avro single-object or JSON"
        );
        return Refused::new(QuarantineReason::UnknownSchema, detail, None);
    }
    if header.content().is_some_and(|content| content.eq_ignore_ascii_case(names::CONTENT_CLOUD_EVENTS)) {
        return Refused::undecodable("the value is a batch of CloudEvents: send each as a record of its own", None);
    }
    Refused::undecodable("the value is neither Avro single-object (C3 01) nor a JSON object", None)
}
