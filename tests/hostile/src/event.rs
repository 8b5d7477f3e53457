//! A domain event, in Avro or JSON, as it comes in by a topic: recognised, and taken by everything that hears its type.
//!
//! ```text
//! how (bits), which definition | a line for headers and key | newline | value
//! ```

use std::cell::RefCell;

use ringmaster_core::definition::Definition;
use ringmaster_core::intake::{Event, Headers, ID_BYTES_MAX, InputRecord, Origin, Projections, Typing};
use ringmaster_schemas::names::KEY_BYTES_MAX;
use ringmaster_schemas::state::PRIORITY_MAX;
use ringmaster_schemas::{avro::Schema, json, names};

use crate::world::{World, world};

/// Some date.
const NOW: i64 = 1_790_000_000_000;
const LIBRARY: u8 = 1 << 7;
const BY_HAND: u8 = 1 << 6;

thread_local! {
    /// As a worker keeps them from one record to the next.
    static PROJECTIONS: RefCell<Projections> = RefCell::default();
}

/// Those of the headers that are read, with the same text.
struct Line<'a>(u8, &'a [u8]);

impl Headers for Line<'_> {
    fn find(&self, name: &str) -> Option<&[u8]> {
        let whole = names::CONTENT_CLOUD_EVENT.as_bytes();
        match name {
            names::HEADER_TYPE if self.0 & 1 != 0 => Some(self.1),
            names::HEADER_CONTENT_TYPE if self.0 & 2 != 0 => Some(if self.1.is_empty() { whole } else { self.1 }),
            names::HEADER_SOURCE | names::HEADER_ID if self.0 & 4 != 0 => Some(self.1),
            names::HEADER_TRACEPARENT if self.0 & 8 != 0 => Some(self.1),
            _ => None,
        }
    }
}

pub(crate) fn run(input: &[u8]) {
    let Some((&[how, which], rest)) = input.split_first_chunk() else { return };
    let cut = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let (line, value) = (&rest[..cut], rest.get(cut + 1..));
    let (world, headers) = (world(how & LIBRARY != 0), Line(how, line));
    let key = (how & 16 != 0).then_some(line);
    let any = world.any(which);
    let default = any.starts.first().filter(|_| how & 32 == 0).map(|start| &*start.event);
    let record = InputRecord { offset: 7, timestamp: NOW, key, value, headers: Some(&headers) };
    if how & BY_HAND != 0 {
        take(any, &Event::by_hand(value.unwrap_or_default(), line, 7), None);
        return;
    }
    let Ok((kind, event)) = Event::recognise(&record, Typing { field: "type", default }, &world.schemas) else { return };
    heard(world, &kind, &event);
}

/// All definitions that hear of events of this type take it.
fn heard(world: &World, kind: &str, event: &Event<'_>) {
    for definition in &world.definitions {
        take(definition, event, Some(kind));
    }
}

/// What of a definition hears this type takes the event; all of it if none is said.
fn take(definition: &Definition, event: &Event<'_>, kind: Option<&str>) {
    let hears = |name: &str| kind.is_none_or(|kind| kind == name);
    PROJECTIONS.with_borrow_mut(|projections| {
        let origin = Origin { topic: "orders", partition: 3 };
        for (start, number) in definition.starts.iter().zip(0..) {
            let taken = hears(&start.event).then(|| projections.start((definition, number), 5, event, origin, NOW));
            let Some(Ok(Some(started))) = taken else { continue };
            is_kept(&definition.start_kept, &started.start);
            assert!((1..=KEY_BYTES_MAX).contains(&started.key.len()), "a key of {} bytes", started.key.len());
            assert!(started.priority <= PRIORITY_MAX, "a priority of {}", started.priority);
            assert!(started.source.len() <= 2 * ID_BYTES_MAX + 1, "an identity of {} bytes", started.source.len());
        }
        for (listener, number) in definition.listeners.iter().zip(0..) {
            if !hears(&listener.event) {
                continue;
            }
            if listener.matches.is_some() {
                let value = projections.matched(definition, number, event, NOW).ok().flatten();
                assert!(value.is_none_or(|value| (1..=KEY_BYTES_MAX).contains(&value.len())), "what it is matched by");
            } else if let Ok((key, data)) = projections.listened(definition, number, event, NOW) {
                is_kept(&listener.kept, data.bytes());
                assert!((1..=KEY_BYTES_MAX).contains(&key.len()), "a key of {} bytes", key.len());
            }
        }
    });
}

/// What is kept is of its schema, and can be shown as JSON.
pub(crate) fn is_kept(schema: &Schema, bytes: &[u8]) {
    assert_eq!(schema.validate(bytes), Ok(()), "what is kept is not of its schema");
    let mut text = String::new();
    json::render(schema, schema.root(), bytes, &mut text).expect("what is kept can be shown");
    json::check(text.as_bytes()).expect("what is shown is JSON");
}
