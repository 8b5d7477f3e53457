//! What a record's bytes say: a reply, or a domain event; projected onto what expressions can read.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashMap;
use ringmaster_schemas::avro::{Resolver, Schema};
use ringmaster_schemas::journal::{DefinitionHash, QuarantineReason};
use ringmaster_schemas::names::{self, Direction, KEY_BYTES_MAX};
use ringmaster_schemas::registry::Schemas;
use ringmaster_schemas::wire::{self, Body, Framing, WireError};
use ringmaster_schemas::{Millis, json};

use super::{InputRecord, InputSettings, Role};
use crate::definition::expression::Budget;
use crate::definition::{Catalog, Definition, Environment, Step};
use crate::saga::{Outcome, ReplyInput, StartInput};

/// Why a record is not taken as it is.
pub(super) enum Bad {
    /// It cannot be understood or used: reason, what to do, fingerprint.
    Quarantine(QuarantineReason, String, Option<u64>),
    /// The journal and the definitions contradict each other.
    Corrupt(String),
    /// The store cannot be read.
    Store(String),
}

fn undecodable(detail: impl std::fmt::Display, schema: Option<u64>) -> Bad {
    Bad::Quarantine(QuarantineReason::Undecodable, detail.to_string(), schema)
}

/// A decoded reply, and whom it is for.
pub(super) struct ReplyRecord<'a> {
    reply: wire::Reply<'a>,
    saga: String,
    step: Arc<str>,
    direction: Direction,
}

impl ReplyRecord<'_> {
    pub(super) fn saga(&self) -> &str {
        &self.saga
    }

    pub(super) fn idempotency_key(&self) -> &str {
        &self.reply.meta.idempotency_key
    }
}

/// Reads a reply.
pub(super) fn reply<'a>(value: &'a [u8], schemas: &'a Schemas) -> Result<ReplyRecord<'a>, Bad> {
    let reply = wire::decode_reply(value, schemas).map_err(|error| match error {
        WireError::Undecodable(detail) => undecodable(detail, None),
        WireError::UnknownSchema(fingerprint) => {
            Bad::Quarantine(QuarantineReason::UnknownSchema, error.to_string(), Some(fingerprint))
        }
        WireError::NotAReply(detail) => Bad::Quarantine(QuarantineReason::NotAReply, detail, None),
    })?;
    let Some((saga, step, direction)) = names::parse_idempotency_key(&reply.meta.idempotency_key) else {
        let detail = format!("'{}' is no idempotency key of Ringmaster: copy it from the command", reply.meta.idempotency_key);
        return Err(Bad::Quarantine(QuarantineReason::NotAReply, detail, None));
    };
    let (saga, step) = (saga.to_owned(), step.into());
    Ok(ReplyRecord { reply, saga, step, direction })
}

/// A recognised domain event.
pub(super) struct Event<'a> {
    kind: Cow<'a, str>,
    body: EventBody<'a>,
    traceparent: Option<Arc<str>>,
    identity: Option<String>,
}

enum EventBody<'a> {
    Avro { schema: &'a Arc<Schema>, bytes: &'a [u8] },
    Json(&'a [u8]),
}

impl<'a> Event<'a> {
    /// Tells an event's type and encoding (DESIGN.md section 6, domain events in).
    pub(super) fn recognise(
        record: &InputRecord<'a>,
        settings: &InputSettings,
        catalog: &'a Catalog,
        schemas: &'a Schemas,
    ) -> Result<Event<'a>, Bad> {
        let value = record.value.unwrap_or_default();
        let header =
            |name: &str| record.headers.and_then(|headers| headers.find(name)).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let typed = header(names::HEADER_TYPE);
        let (body, kind) = match wire::recognise(value) {
            Framing::SingleObject { fingerprint, body } => {
                let Some(schema) = schemas.by_fingerprint(fingerprint) else {
                    return Err(Bad::Quarantine(
                        QuarantineReason::UnknownSchema,
                        WireError::UnknownSchema(fingerprint).to_string(),
                        Some(fingerprint),
                    ));
                };
                (EventBody::Avro { schema, bytes: body }, Some(Cow::Borrowed(typed.unwrap_or(schema.name()))))
            }
            Framing::Json => (EventBody::Json(value), json_kind(typed, value, settings, catalog)?),
            Framing::Confluent { id, .. } => {
                let detail = format!(
                    "the value is in Confluent's wire format (schema id {id}), and no schema registry is configured: send Avro single-object or JSON"
                );
                return Err(Bad::Quarantine(QuarantineReason::UnknownSchema, detail, None));
            }
            Framing::Unknown => {
                return Err(undecodable("the value is neither Avro single-object (C3 01) nor a JSON object", None));
            }
        };
        let Some(kind) = kind else {
            let detail = "nothing tells the event's type: set the header ce_type, the topic's `type_field`, or its `default_type`";
            return Err(Bad::Quarantine(QuarantineReason::TypeUnknown, detail.into(), None));
        };
        let identity = match (header(names::HEADER_SOURCE), header(names::HEADER_ID)) {
            (Some(source), Some(id)) => Some(format!("{source}/{id}")),
            _ => None,
        };
        Ok(Event { kind, body, traceparent: header(names::HEADER_TRACEPARENT).map(Arc::from), identity })
    }

    pub(super) fn kind(&self) -> &str {
        &self.kind
    }

    pub(super) fn fingerprint(&self) -> Option<u64> {
        match &self.body {
            EventBody::Avro { schema, .. } => Some(schema.fingerprint()),
            EventBody::Json(_) => None,
        }
    }

    /// Key of the writer's schema; 0 for JSON.
    pub(super) fn schema_key(&self) -> i64 {
        match &self.body {
            EventBody::Avro { schema, .. } => schema.key(),
            EventBody::Json(_) => 0,
        }
    }
}

/// The type of a JSON event: the header, the topic's field, the topic's default.
fn json_kind<'a>(
    typed: Option<&'a str>,
    value: &'a [u8],
    settings: &InputSettings,
    catalog: &'a Catalog,
) -> Result<Option<Cow<'a, str>>, Bad> {
    if let Some(typed) = typed {
        return Ok(Some(Cow::Borrowed(typed)));
    }
    let Role::Events { type_field, default_type } = &settings.role else {
        unreachable!("only event topics carry events");
    };
    if let Some(found) = json_field(value, type_field).map_err(|error| undecodable(error, None))? {
        return Ok(Some(Cow::Owned(found)));
    }
    if let Some(default) = default_type {
        return Ok(Some(Cow::Owned(default.to_string())));
    }
    Ok(catalog.default_type(&settings.name).map(Cow::Borrowed))
}

/// A text field of a JSON object, if it has one of that name.
fn json_field(value: &[u8], field: &str) -> Result<Option<String>, serde_json::Error> {
    struct Find<'f>(&'f str);
    impl<'de> serde::de::Visitor<'de> for Find<'_> {
        type Value = Option<String>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a JSON object")
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Option<String>, A::Error> {
            let mut found = None;
            while let Some(name) = map.next_key::<Cow<'_, str>>()? {
                let raw: &serde_json::value::RawValue = map.next_value()?;
                if name == self.0 {
                    found = serde_json::from_str::<String>(raw.get()).ok();
                }
            }
            Ok(found)
        }
    }
    let mut reader = serde_json::Deserializer::from_slice(value);
    let found = serde::Deserializer::deserialize_map(&mut reader, Find(field))?;
    reader.end()?;
    Ok(found)
}

/// How writers' bytes become what state keeps: compiled once for every pair of schemas.
#[derive(Default)]
pub(super) struct Projections {
    starts: HashMap<(DefinitionHash, i64), Arc<Resolver>>,
    results: HashMap<(DefinitionHash, i32, i64), Arc<Resolver>>,
    scratch: Vec<u8>,
}

impl Projections {
    /// A start event as a definition keeps it; nothing if its `if` is false.
    pub(super) fn start(
        &mut self,
        definition: &Definition,
        event: &Event<'_>,
        record: &InputRecord<'_>,
        topic: &str,
        now: Millis,
    ) -> Result<Option<StartInput>, Bad> {
        let start = &definition.start;
        let fingerprint = event.fingerprint();
        let mut kept = Vec::with_capacity(128);
        let (writer, bytes): (&Arc<Schema>, &[u8]) = match &event.body {
            EventBody::Avro { schema, bytes } => (schema, bytes),
            EventBody::Json(text) => {
                self.scratch.clear();
                json::transcode(&start.reader, text, &mut self.scratch).map_err(|error| undecodable(error, None))?;
                (&start.reader, &self.scratch)
            }
        };
        let resolver = match self.starts.get(&(definition.hash, writer.key())) {
            Some(resolver) => resolver,
            None => {
                let resolver =
                    Resolver::new(writer.clone(), start.kept.clone()).map_err(|error| undecodable(error, fingerprint))?;
                self.starts.entry((definition.hash, writer.key())).or_insert(Arc::new(resolver))
            }
        };
        resolver.resolve(bytes, &mut kept).map_err(|error| undecodable(error, fingerprint))?;
        let record_key = record.key.map(|key| std::str::from_utf8(key).unwrap_or_default());
        let environment = Environment {
            key: record_key.unwrap_or_default(),
            start: &kept,
            results: &|_| None,
            failure: None,
            now,
            started: now,
            budget: &Budget::new(),
        };
        let failed = |error: &dyn std::fmt::Display| {
            Bad::Quarantine(QuarantineReason::ExpressionFailed, format!("{}: {error}", definition.name), fingerprint)
        };
        if let Some(condition) = &start.condition
            && !condition.truth(&environment).map_err(|error| failed(&error))?
        {
            return Ok(None);
        }
        let key = match &start.key {
            Some(expression) => expression.text(&environment).map_err(|error| failed(&error))?,
            None => record_key_of(record, definition, fingerprint)?,
        };
        check_key(&key, definition, fingerprint)?;
        let source = event.identity.clone().unwrap_or_else(|| format!("{topic}/{}", record.offset));
        Ok(Some(StartInput {
            key: key.into(),
            start: kept.into(),
            start_schema: start.kept.key(),
            traceparent: event.traceparent.clone(),
            source: source.into(),
            version_offset: -1,
            event_time: (record.timestamp > 0).then_some(record.timestamp),
        }))
    }

    /// A reply as its step keeps it, and the key of its body's schema (0 for JSON or none).
    pub(super) fn reply(&mut self, record: &ReplyRecord<'_>, definition: Option<&Definition>) -> Result<(ReplyInput, i64), Bad> {
        let meta = &record.reply.meta;
        let text = |text: &Option<Cow<'_, str>>, default: &str| -> Arc<str> { text.as_deref().unwrap_or(default).into() };
        let mut schema = 0;
        let outcome = match meta.outcome {
            wire::Outcome::Succeeded => {
                let place = definition.and_then(|definition| definition.steps.iter().position(|step| step.name == record.step));
                let (result, result_schema, writer) = match (definition, place) {
                    (Some(definition), Some(place)) if record.direction == Direction::Do => {
                        self.result(definition, place, record.reply.body.as_ref())?
                    }
                    _ => (None, 0, 0),
                };
                schema = writer;
                Outcome::Succeeded { result, result_schema }
            }
            wire::Outcome::Refused => Outcome::Refused { code: text(&meta.code, "REFUSED"), message: text(&meta.message, "") },
            wire::Outcome::Failed => {
                Outcome::Failed { code: text(&meta.code, "FAILED"), message: text(&meta.message, ""), retryable: meta.retryable }
            }
        };
        let input = ReplyInput { step: record.step.clone(), direction: record.direction, attempt: meta.attempt, outcome };
        Ok((input, schema))
    }

    fn result(&mut self, definition: &Definition, place: usize, body: Option<&Body<'_>>) -> Result<(Option<Bytes>, i64, i64), Bad> {
        let step = &definition.steps[place];
        let Some(kept) = &step.kept else { return Ok((None, 0, 0)) };
        let mut out = Vec::with_capacity(32);
        let writer_key = match body {
            Some(Body::Avro { schema, node, bytes }) => {
                let fingerprint = Some(schema.fingerprint());
                let key = (definition.hash, place as i32, schema.key());
                let resolver = match self.results.get(&key) {
                    Some(resolver) => resolver,
                    None => {
                        let resolver = Resolver::at((*schema).clone(), *node, kept.clone())
                            .map_err(|error| undecodable(error, fingerprint))?;
                        self.results.entry(key).or_insert(Arc::new(resolver))
                    }
                };
                resolver.resolve(bytes, &mut out).map_err(|error| undecodable(error, fingerprint))?;
                schema.key()
            }
            Some(Body::Json(text)) => {
                self.json_result(definition.hash, place, step, kept, text.as_bytes(), &mut out)?;
                0
            }
            None => {
                self.json_result(definition.hash, place, step, kept, b"{}", &mut out)?;
                0
            }
        };
        Ok((Some(out.into()), kept.key(), writer_key))
    }

    fn json_result(
        &mut self,
        hash: DefinitionHash,
        place: usize,
        step: &Step,
        kept: &Arc<Schema>,
        text: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Bad> {
        let full = step.result.as_ref().unwrap_or(kept);
        self.scratch.clear();
        json::transcode(full, text, &mut self.scratch)
            .map_err(|error| undecodable(format!("the result of {}: {error}", step.call.command), None))?;
        let key = (hash, place as i32, full.key());
        let resolver = match self.results.get(&key) {
            Some(resolver) => resolver,
            None => {
                let resolver = Resolver::new(full.clone(), kept.clone()).map_err(|error| undecodable(error, None))?;
                self.results.entry(key).or_insert(Arc::new(resolver))
            }
        };
        resolver.resolve(&self.scratch, out).map_err(|error| undecodable(error, None))
    }
}

fn record_key_of(record: &InputRecord<'_>, definition: &Definition, fingerprint: Option<u64>) -> Result<String, Bad> {
    let Some(key) = record.key else {
        let detail = format!(
            "the record has no key, and '{}' takes the record's: send a key, or give the definition `key: event.FIELD`",
            definition.name
        );
        return Err(Bad::Quarantine(QuarantineReason::KeyMissing, detail, fingerprint));
    };
    match std::str::from_utf8(key) {
        Ok(key) => Ok(key.to_owned()),
        Err(_) => Err(Bad::Quarantine(QuarantineReason::KeyInvalid, "the record's key is not UTF-8 text".into(), fingerprint)),
    }
}

fn check_key(key: &str, definition: &Definition, fingerprint: Option<u64>) -> Result<(), Bad> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        let detail = format!("the key for '{}' has {} bytes; it needs 1 to {KEY_BYTES_MAX}", definition.name, key.len());
        return Err(Bad::Quarantine(QuarantineReason::KeyInvalid, detail, fingerprint));
    }
    Ok(())
}
