//! Records by which people and parts of the system tell each other what to do: acts, deployed versions, schemas, the inbox, quarantine.
//!
//! ```text
//! kind, which definition | value
//! ```

use std::cell::RefCell;

use ringmaster_core::definition::{DefinitionRecord, Settings};
use ringmaster_core::intake::{ControlAct, ControlRecord, ParticipantRecord, Projections};
use ringmaster_schemas::avro::Schema;
use ringmaster_schemas::journal::{Letter, QuarantineMark, Quarantined, Redriven, Routed};
use ringmaster_schemas::registry::SchemaRecord;
use ringmaster_schemas::{json, names};

use crate::world::{World, world};
use crate::{same_again, written};

written!(Redriven, Routed, QuarantineMark, SchemaRecord);

thread_local! {
    static PROJECTIONS: RefCell<Projections> = RefCell::default();
}

pub(crate) fn run(input: &[u8]) {
    let Some((&[kind, which], value)) = input.split_first_chunk() else { return };
    match kind % 10 {
        0 => act(value, world(which & 128 != 0), which),
        1 => participant(value),
        2 => version(value, world(which & 128 != 0)),
        3 => drop(same_again::<SchemaRecord>(value)),
        4 => drop(same_again::<Redriven>(value)),
        5 => drop(same_again::<Routed>(value)),
        6 => drop(same_again::<Letter>(value)),
        7 => drop(same_again::<Quarantined>(value)),
        8 => drop(same_again::<QuarantineMark>(value)),
        _ => schema(value),
    }
}

/// What a person does to a saga; what can be read is the same when it is written.
fn act(value: &[u8], world: &World, which: u8) {
    let Ok(record) = ControlRecord::read(value) else { return };
    let written = serde_json::to_vec(&record).expect("an act is JSON");
    let again = ControlRecord::read(&written).expect("an act that we write can be read");
    assert_eq!(serde_json::to_vec(&again).expect("an act is JSON"), written, "an act is another when it is written and read");
    let definition = world.named(names::parse_saga_id(&record.saga).0, which);
    // To start a saga is read elsewhere.
    if record.act != ControlAct::Start {
        let _ = PROJECTIONS.with_borrow_mut(|projections| record.input(projections, definition, None));
    }
}

fn participant(value: &[u8]) {
    let Ok(Some(record)) = ParticipantRecord::read(value) else { return };
    let written = serde_json::to_vec(&record).expect("an act is JSON");
    let again = ParticipantRecord::read(&written).ok().flatten().expect("an act that we write can be read");
    assert_eq!(serde_json::to_vec(&again).expect("an act is JSON"), written, "an act is another when it is written and read");
}

/// A version that was deployed, as a coordinator takes it in.
fn version(value: &[u8], world: &World) {
    let Some(record) = same_again::<DefinitionRecord>(value) else { return };
    let mut schemas = world.schemas.clone();
    let mut settings = Settings::new(&mut schemas);
    if let Ok(definition) = record.compile(&mut settings) {
        assert_eq!(names::hex(&definition.hash), record.hash, "it is not the version that it says");
    }
}

/// A schema by itself; a value of it is shown as JSON, and can be read from that.
fn schema(value: &[u8]) {
    let cut = value.iter().position(|byte| *byte == b'\n').unwrap_or(value.len());
    let Ok(text) = std::str::from_utf8(&value[..cut]) else { return };
    let Ok(schema) = Schema::parse(text) else { return };
    let again = Schema::parse(schema.text()).expect("the text of a schema is one");
    assert_eq!((again.key(), again.fingerprint()), (schema.key(), schema.fingerprint()), "a schema is another by its own text");
    let body = value.get(cut + 1..).unwrap_or_default();
    if schema.validate(body).is_ok() {
        let mut shown = String::new();
        if json::render(&schema, schema.root(), body, &mut shown).is_ok() {
            json::check(shown.as_bytes()).expect("what is shown is JSON");
        }
    }
    let mut taken = Vec::new();
    if json::transcode(&schema, body, &mut taken).is_ok() {
        assert_eq!(schema.validate(&taken), Ok(()), "what was taken is not of its schema");
    }
}
