//! What arrived, as a definition keeps it: writers' bytes become what state holds, by ways that are compiled once.

use std::borrow::Cow;
use std::fmt::Display;
use std::sync::Arc;

use hashbrown::HashMap;
use ringmaster_schemas::avro::{Resolver, Schema, SchemaError};
use ringmaster_schemas::journal::{DefinitionHash, KeptEvent, QuarantineReason};
use ringmaster_schemas::names::{self, Direction, KEY_BYTES_MAX};
use ringmaster_schemas::registry::Schemas;
use ringmaster_schemas::state::{PRIORITY_MAX, PRIORITY_USUAL};
use ringmaster_schemas::wire::{self, Body as ReplyBody};
use ringmaster_schemas::{Data, Millis, json};

use super::event::{Body, Event, Origin};
use super::reply::Answer;
use super::{Refused, bounds};
use crate::definition::expression::Budget;
use crate::definition::{Definition, Environment, ExpressionError, Node, Step, Verb};
use crate::faults::mutated;
use crate::saga::{Outcome, ROW_DATA_BYTES_MAX, ReplyInput, StartInput};

/// Ways from writers' schemas to what definitions keep: compiled once for every pair.
#[derive(Default)]
pub struct Projections {
    starts: HashMap<(DefinitionHash, u16, i64), Resolver>,
    /// From what is read of one of several start events to what all have in common.
    commons: HashMap<(DefinitionHash, u16), Resolver>,
    results: HashMap<(DefinitionHash, u16, i64), Resolver>,
    events: HashMap<(DefinitionHash, u16, i64), Resolver>,
    /// Of the same events, to the field alone by which they are matched.
    fields: HashMap<(DefinitionHash, u16, i64), Resolver>,
    scratch: Scratch,
}

/// Buffers that are used again.
#[derive(Default)]
struct Scratch {
    kept: Vec<u8>,
    text: String,
    /// A start event's own fields, where several events start a definition.
    own: Vec<u8>,
}

impl Projections {
    /// A start event from there as this start of a definition keeps it, by the version at this offset of the topic of definitions;
    /// nothing if its `if` is false.
    pub fn start(
        &mut self,
        (definition, number): (&Definition, u16),
        version_offset: i64,
        event: &Event<'_>,
        origin: Origin<'_>,
        now: Millis,
    ) -> Result<Option<StartInput>, Refused> {
        let start = definition.starts.get(usize::from(number));
        let fingerprint = event.fingerprint();
        self.take_start(definition, number, event)?;
        let kept = &mut self.scratch.kept;
        let size = kept.len().max(self.scratch.own.len());
        if size > ROW_DATA_BYTES_MAX {
            return Err(too_much(definition, size, fingerprint));
        }
        let (key, budget) = (event.key.and_then(|key| std::str::from_utf8(key).ok()).unwrap_or_default(), Budget::new());
        let environment = Environment { start: kept, event: &self.scratch.own, ..Environment::without_saga(key, now, &budget) };
        let failed = |error: &dyn Display| {
            Refused::new(QuarantineReason::ExpressionFailed, format!("{}: {error}", definition.name), fingerprint)
        };
        if let Some(condition) = start.and_then(|start| start.condition.as_ref())
            && !condition.truth(&environment).map_err(|error| failed(&error))?
        {
            return Ok(None);
        }
        let keyed = if mutated("start_by_the_other_key") { definition.starts.first() } else { start };
        let key = match keyed.and_then(|start| start.key.as_ref()) {
            Some(expression) => Cow::Owned(expression.text(&environment).map_err(|error| failed(&error))?),
            None => Cow::Borrowed(record_key(event, definition)?),
        };
        check_key(&key, definition, fingerprint)?;
        let environment = Environment { key: &key, ..environment };
        let priority = priority_of(definition, &environment).map_err(|error| failed(&error))?;
        let search = definition.search_values(&environment).map_err(|error| failed(&error))?;
        let key = key.into_owned();
        let mut source = std::mem::take(&mut self.scratch.text);
        source.clear();
        event.put_identity(origin, &mut source);
        Ok(Some(StartInput {
            key,
            start: std::mem::take(&mut self.scratch.kept),
            start_schema: definition.start_kept.key(),
            traceparent: event.traceparent.as_deref().map(Arc::from),
            source,
            version_offset,
            priority,
            search,
            event_time: event.time,
            early: Vec::new(),
            by_hand: None,
        }))
    }

    /// What is kept of a start event, or of what a person starts a saga with, into the buffers.
    fn take_start(&mut self, definition: &Definition, number: u16, event: &Event<'_>) -> Result<(), Refused> {
        // What people start without an event is typed by the input; its key they say themselves.
        let layout = definition.starts.get(usize::from(number)).map_or(&definition.start_kept, |start| &start.kept);
        let fingerprint = event.fingerprint();
        let undecodable = |error: &dyn Display| Refused::undecodable(error, fingerprint);
        let kept = &mut self.scratch.kept;
        kept.clear();
        self.scratch.own.clear();
        match &event.body {
            Body::Avro { schema, bytes } => {
                let way = way(&mut self.starts, (definition.hash, number, schema.key()), || {
                    Resolver::new((*schema).clone(), layout.clone())
                });
                way.map_err(|error| undecodable(&error))?.resolve(bytes, kept).map_err(|error| undecodable(&error))?;
            }
            Body::Json(text) => {
                if let Some(input) = &definition.input {
                    // All of it, also what nothing reads.
                    json::transcode(&input.reader, text, kept).map_err(|error| undecodable(&error))?;
                    kept.clear();
                }
                json::transcode(layout, text, kept).map_err(|error| undecodable(&error))?;
            }
        }
        // Of several events each has its own layout, which its own expressions read, and one that all have in common.
        if definition.starts.len() > 1 && !mutated("start_kept_as_its_own") {
            std::mem::swap(kept, &mut self.scratch.own);
            kept.clear();
            let way =
                way(&mut self.commons, (definition.hash, number), || Resolver::new(layout.clone(), definition.start_kept.clone()));
            way.map_err(|error| undecodable(&error))?.resolve(&self.scratch.own, kept).map_err(|error| undecodable(&error))?;
        }
        Ok(())
    }

    /// The key of the saga that an event is for, and what is kept of it, as this listener of a definition says.
    pub fn listened(
        &mut self,
        definition: &Definition,
        number: u16,
        event: &Event<'_>,
        now: Millis,
    ) -> Result<(String, Data), Refused> {
        let (listener, fingerprint) = (&definition.listeners[usize::from(number)], event.fingerprint());
        let data = self.event(definition, number, &event.body)?;
        let (key, budget) = (event.key.and_then(|key| std::str::from_utf8(key).ok()).unwrap_or_default(), Budget::new());
        let environment = Environment { event: data.bytes(), ..Environment::without_saga(key, now, &budget) };
        let key = match &listener.key {
            None => record_key(event, definition)?.to_owned(),
            Some(expression) => expression.text(&environment).map_err(|error| {
                Refused::new(QuarantineReason::ExpressionFailed, format!("{}: {error}", definition.name), fingerprint)
            })?,
        };
        check_key(&key, definition, fingerprint)?;
        Ok((key, data))
    }

    /// The value by which an event is matched, as this listener of a definition says; none if it has none that could be waited for.
    pub fn matched(
        &mut self,
        definition: &Definition,
        number: u16,
        event: &Event<'_>,
        now: Millis,
    ) -> Result<Option<String>, Refused> {
        let listener = &definition.listeners[usize::from(number)];
        let field = listener.matches.as_ref().expect("what is matched says by which field");
        let data = project(&mut self.fields, (definition, number), &event.body, &field.read, &mut self.scratch.kept)?;
        let (key, budget) = (event.key.and_then(|key| std::str::from_utf8(key).ok()).unwrap_or_default(), Budget::new());
        let environment = Environment { event: data, ..Environment::without_saga(key, now, &budget) };
        let value = field.expression.matched(&environment).map_err(|error| {
            let detail = format!("{}: {error}", definition.name);
            Refused::new(QuarantineReason::ExpressionFailed, detail, event.fingerprint())
        })?;
        Ok(value.filter(|value| (1..=KEY_BYTES_MAX).contains(&value.len())))
    }

    /// What is kept of an event that was kept as it came.
    pub fn kept(&mut self, definition: &Definition, number: u16, event: &KeptEvent, schemas: &Schemas) -> Result<Data, Refused> {
        let body = Body::kept(event.schema, event.data.bytes(), schemas);
        let body = body.ok_or_else(|| {
            let detail = format!("schema {:016x} is not known here yet: send the event again", event.schema);
            Refused::new(QuarantineReason::UnknownSchema, detail, None)
        })?;
        self.event(definition, number, &body)
    }

    /// What is kept of an event's body, by this listener of a definition.
    pub(crate) fn event(&mut self, definition: &Definition, number: u16, body: &Body<'_>) -> Result<Data, Refused> {
        let kept = &definition.listeners[usize::from(number)].kept;
        project(&mut self.events, (definition, number), body, kept, &mut self.scratch.kept).map(Data::new)
    }

    /// Takes the buffers of a start that was decided, for the next one.
    pub(crate) fn give_back(&mut self, start: StartInput) {
        (self.scratch.kept, self.scratch.text) = (start.start, start.source);
    }

    /// An answer as its step keeps it.
    pub fn reply(&mut self, answer: &Answer<'_>, definition: Option<&Definition>) -> Result<ReplyInput, Refused> {
        let meta = &answer.reply.meta;
        let code = |default| -> Arc<str> { bounds::code(meta.code.as_deref().unwrap_or(default)).into() };
        let message = || -> Arc<str> { bounds::message(meta.message.as_deref().unwrap_or_default()).into() };
        let name = names::step_of_round(answer.step());
        let step = definition.and_then(|definition| definition.step_named(name));
        let outcome = match meta.outcome {
            wire::Outcome::Succeeded => {
                let result = match (definition, step) {
                    (Some(definition), Some(step)) if answer.direction == Direction::Do => {
                        self.result(definition, step, answer.reply.body.as_ref())?
                    }
                    _ => None,
                };
                Outcome::Succeeded { result }
            }
            wire::Outcome::Refused => Outcome::Refused { code: code("REFUSED"), message: message() },
            wire::Outcome::Failed => Outcome::Failed { code: code("FAILED"), message: message(), retryable: meta.retryable },
        };
        // The first round is called as its step, whose name is there already.
        let step = step.filter(|_| name == answer.step());
        let step = step.map_or_else(|| answer.step().into(), |step| step.node.name.clone());
        Ok(ReplyInput { step, direction: answer.direction, attempt: meta.attempt, outcome })
    }

    /// A result that a person states in its participant's stead, as JSON.
    pub(crate) fn stated(&mut self, step: &Node, text: &str) -> Result<Option<Data>, Refused> {
        let Some(kept) = step.kept() else { return Ok(None) };
        let out = &mut self.scratch.kept;
        out.clear();
        json_result(step, kept, text, out)?;
        Ok(Some(Data::new(out)))
    }

    /// What a step keeps of its result.
    fn result(&mut self, definition: &Definition, step: Step<'_>, body: Option<&ReplyBody<'_>>) -> Result<Option<Data>, Refused> {
        let Some(kept) = step.node.kept() else { return Ok(None) };
        let out = &mut self.scratch.kept;
        out.clear();
        match body {
            Some(ReplyBody::Avro { schema, node, bytes }) => {
                let undecodable = |error: &dyn Display| Refused::undecodable(error, Some(schema.fingerprint()));
                let way = way(&mut self.results, (definition.hash, step.number, schema.key()), || {
                    Resolver::at((*schema).clone(), *node, kept.clone())
                });
                way.map_err(|error| undecodable(&error))?.resolve(bytes, out).map_err(|error| undecodable(&error))?;
            }
            Some(ReplyBody::Json(text)) => json_result(step.node, kept, text, out)?,
            None => json_result(step.node, kept, "{}", out)?,
        }
        Ok(Some(Data::new(out)))
    }
}

/// What this layout has of an event's body.
fn project<'o>(
    known: &mut HashMap<(DefinitionHash, u16, i64), Resolver>,
    (definition, number): (&Definition, u16),
    body: &Body<'_>,
    layout: &Arc<Schema>,
    out: &'o mut Vec<u8>,
) -> Result<&'o [u8], Refused> {
    out.clear();
    let (done, fingerprint) = match body {
        Body::Avro { schema, bytes } => {
            let way = way(known, (definition.hash, number, schema.key()), || Resolver::new((*schema).clone(), layout.clone()));
            let done = way.map_err(|error| error.to_string());
            let done = done.and_then(|way| way.resolve(bytes, out).map_err(|error| error.to_string()));
            (done, Some(schema.fingerprint()))
        }
        Body::Json(text) => (json::transcode(layout, text, out).map_err(|error| error.to_string()), None),
    };
    done.map_err(|error| Refused::undecodable(error, fingerprint))?;
    if out.len() > ROW_DATA_BYTES_MAX {
        return Err(too_much(definition, out.len(), fingerprint));
    }
    Ok(out)
}

fn too_much(definition: &Definition, bytes: usize, fingerprint: Option<u64>) -> Refused {
    let detail = format!(
        "what '{}' reads of the event takes {bytes} bytes; the limit is {ROW_DATA_BYTES_MAX} for a saga's data",
        definition.name
    );
    Refused::new(QuarantineReason::TooBig, detail, fingerprint)
}

/// What is beyond the least or the largest is taken as that: no order is lost for it.
fn priority_of(definition: &Definition, environment: &Environment<'_>) -> Result<u8, ExpressionError> {
    let Some(priority) = &definition.priority else { return Ok(PRIORITY_USUAL) };
    Ok(priority.int(environment)?.clamp(0, i64::from(PRIORITY_MAX)) as u8)
}

fn json_result(step: &Node, kept: &Schema, text: &str, out: &mut Vec<u8>) -> Result<(), Refused> {
    let what = match &step.verb {
        Verb::Do(asks) => &asks.call.command,
        _ => &step.name,
    };
    json::transcode(kept, text.as_bytes(), out)
        .map_err(|error| Refused::undecodable(format!("the result of {what}: {error}"), None))
}

/// The way between two schemas, made when it is first needed.
fn way<K: Eq + std::hash::Hash>(
    known: &mut HashMap<K, Resolver>,
    key: K,
    make: impl FnOnce() -> Result<Resolver, SchemaError>,
) -> Result<&Resolver, SchemaError> {
    match known.entry(key) {
        hashbrown::hash_map::Entry::Occupied(known) => Ok(known.into_mut()),
        hashbrown::hash_map::Entry::Vacant(free) => Ok(free.insert(make()?)),
    }
}

fn record_key<'e>(event: &Event<'e>, definition: &Definition) -> Result<&'e str, Refused> {
    let Some(key) = event.key else {
        let detail = format!(
            "the record has no key, and '{}' takes the record's: send a key; or give the definition `key: event.FIELD`, and let the topic be routed (`topics.NAME.routed = true`)",
            definition.name
        );
        return Err(Refused::new(QuarantineReason::KeyMissing, detail, event.fingerprint()));
    };
    let invalid = |_| Refused::new(QuarantineReason::KeyInvalid, "the record's key is not UTF-8 text", event.fingerprint());
    std::str::from_utf8(key).map_err(invalid)
}

fn check_key(key: &str, definition: &Definition, fingerprint: Option<u64>) -> Result<(), Refused> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        let detail = format!("the key for '{}' has {} bytes; it needs 1 to {KEY_BYTES_MAX}", definition.name, key.len());
        return Err(Refused::new(QuarantineReason::KeyInvalid, detail, fingerprint));
    }
    Ok(())
}
