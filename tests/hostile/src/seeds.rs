//! Real inputs to begin from: released bytes, what users write, and what the code itself writes for every definition of `sagas/`.

use std::fs;
use std::path::Path;

use ringmaster_core::definition::DefinitionRecord;
use ringmaster_schemas::avro::{Node, NodeId, Schema};
use ringmaster_schemas::journal::{
    Cause, Change, Claim, Decision, Head, HeadFields, JournalRecord, SagaChange, SagaEvent, Stamp, Turn,
};
use ringmaster_schemas::json;
use ringmaster_schemas::registry::{SchemaRecord, Schemas};
use ringmaster_schemas::snapshot::SnapshotRow;
use ringmaster_schemas::state::RowKey;
use ringmaster_schemas::wire::{Outcome, ReplyMeta, put_header, put_reply_avro, put_reply_json};
use serde_json::{Map, Value, json};

use crate::world::{World, world};

/// An input that means something.
#[derive(Debug, Clone)]
pub struct Seed {
    /// For which target.
    pub target: &'static str,
    /// A name of its own.
    pub name: String,
    /// The input.
    pub bytes: Vec<u8>,
}

#[derive(Default)]
struct Seeds(Vec<Seed>);

impl Seeds {
    fn add(&mut self, target: &'static str, name: impl Into<String>, parts: &[&[u8]]) {
        self.0.push(Seed { target, name: name.into(), bytes: parts.concat() });
    }
}

/// All of them.
pub fn seeds() -> Vec<Seed> {
    let mut seeds = Seeds::default();
    released(&mut seeds);
    for library in [false, true] {
        let world = world(library);
        written(&mut seeds, library);
        events(&mut seeds, world, u8::from(library) << 7);
        replies(&mut seeds, world, u8::from(library));
        acts(&mut seeds, world, u8::from(library) << 7);
    }
    paused(&mut seeds);
    snapshots(&mut seeds);
    expressions(&mut seeds);
    for (name, number, bytes) in ringmaster_bus::kafka::hostile::seeds() {
        seeds.add("kafka", format!("{name}-{number}"), &[&[number], &bytes]);
    }
    for (name, bytes) in ringmaster_store::hostile::seeds() {
        seeds.add("store", name, &[&bytes]);
    }
    seeds.0
}

/// `schemas/golden`: a line of hexadecimal digits, and one that says what they mean.
fn released(seeds: &mut Seeds) {
    for (file, target, kind) in [
        ("journal-v2", "journal", 0),
        ("checkpoint-v2", "state", 0),
        ("outbox-v2", "state", 1),
        ("breaker-v2", "state", 2),
        ("saga-v2", "state", 3),
        ("snapshot-v5", "snapshot", 0),
        ("redriven-v4", "control", 4),
        ("inbox-v2", "control", 5),
        ("letter-v3", "control", 6),
        ("quarantine-v2", "control", 7),
        ("quarantine-mark-v3", "control", 8),
    ] {
        let text = fs::read_to_string(crate::root().join(format!("schemas/golden/{file}.txt"))).expect("released bytes");
        for (number, line) in text.lines().step_by(2).enumerate() {
            let digit = |at: usize| u8::from_str_radix(&line[at..at + 2], 16).expect("hexadecimal digits");
            let bytes: Vec<u8> = (0..line.len()).step_by(2).map(digit).collect();
            let input = match target {
                "journal" => crate::journal_row([&bytes[..]]),
                "state" | "snapshot" => [&[kind][..], &bytes].concat(),
                _ => [&[kind, 0][..], &bytes].concat(),
            };
            seeds.add(target, format!("{file}-{number}"), &[&input]);
        }
    }
}

/// Rows as a snapshot has them, and the same in pieces.
fn snapshots(seeds: &mut Seeds) {
    let rows: Vec<(String, Vec<u8>)> =
        seeds.0.iter().filter(|seed| seed.target == "state").map(|seed| (seed.name.clone(), seed.bytes.clone())).collect();
    for (name, row) in rows {
        let key = match row[0] {
            1 => RowKey::Outbox(5, 1),
            2 => RowKey::Breaker("payment".into()),
            3 => RowKey::saga("order-fulfilment/order-1"),
            _ => continue,
        };
        let mut stream = Vec::new();
        SnapshotRow::new(&key, &row[1..]).put_framed(&mut stream);
        seeds.add("snapshot", format!("{name}-row"), &[&[1], &stream]);
        seeds.add("snapshot", format!("{name}-restored"), &[&[3], &stream]);
    }
    let records: Vec<Vec<u8>> =
        seeds.0.iter().filter(|seed| seed.name.starts_with("snapshot-v5")).map(|seed| seed.bytes[1..].to_vec()).collect();
    seeds.add("snapshot", "topic", &[&[2], &crate::journal_row(records.iter().take(8).map(Vec::as_slice))]);
}

/// What users write: definitions and schemas.
fn written(seeds: &mut Seeds, library: bool) {
    let folder = crate::root().join(if library { "sagas/library" } else { "sagas" });
    for (file, text) in texts(&folder, "yaml") {
        seeds.add("definition", file, &[&[u8::from(library)], text.as_bytes()]);
    }
    for (file, text) in texts(&folder.join("schemas"), "avsc") {
        // One line: an input's second line is a value.
        let text = serde_json::from_str::<Value>(&text).expect("a schema is JSON").to_string();
        seeds.add("control", file, &[&[9, 0], text.as_bytes(), b"\n{}"]);
    }
}

fn texts(folder: &Path, extension: &str) -> Vec<(String, String)> {
    let files = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<_> = files.filter(|file| file.extension().is_some_and(|found| found == extension)).collect();
    files.sort();
    let name = |file: &Path| file.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned();
    files.iter().map(|file| (name(file), fs::read_to_string(file).expect("a text"))).collect()
}

/// Each event that is heard, in JSON and in Avro.
fn events(seeds: &mut Seeds, world: &World, library: u8) {
    for (definition, number) in world.definitions.iter().zip(0..) {
        let starts = definition.starts.iter().map(|start| (&start.event, &start.reader));
        let heard = definition.listeners.iter().map(|listener| (&listener.event, &listener.reader));
        for (event, reader) in starts.chain(heard) {
            let value = sample(reader, reader.root(), 0);
            let text = value.to_string();
            let name = format!("{}-{event}", definition.name);
            let whole = json!({"specversion": "1.0", "type": **event, "source": "shop", "id": "e-1", "data": value}).to_string();
            seeds.add("event", format!("{name}-json"), &[&[library | 17, number], event.as_bytes(), b"\n", text.as_bytes()]);
            seeds.add("event", format!("{name}-whole"), &[&[library, number], b"\n", whole.as_bytes()]);
            let mut avro = Vec::new();
            put_header(reader.fingerprint(), &mut avro);
            if json::transcode(reader, text.as_bytes(), &mut avro).is_ok() {
                seeds.add("event", format!("{name}-avro"), &[&[library | 16, number], b"order-1\n", &avro]);
            }
        }
    }
}

/// For each step an answer of every kind.
fn replies(seeds: &mut Seeds, world: &World, library: u8) {
    for (definition, number) in world.definitions.iter().zip(0..) {
        for step in definition.steps() {
            let (name, command) = (&step.node.name, &step.asks.call.command);
            let meta = |outcome| ReplyMeta {
                idempotency_key: format!("{}/order-1/{name}/do", definition.name).into(),
                attempt: 1,
                outcome,
                code: Some("CARD_DECLINED".into()).filter(|_| outcome != Outcome::Succeeded),
                message: Some("not today".into()).filter(|_| outcome == Outcome::Failed),
                retryable: outcome == Outcome::Failed,
            };
            let body = world.schemas.named(&format!("{command}Result")).map(|schema| (schema, sample(schema, schema.root(), 0)));
            let text = body.as_ref().map(|(_, value)| value.to_string());
            let mut json = Vec::new();
            put_reply_json(&meta(Outcome::Succeeded), text.as_deref().map(str::as_bytes), &mut json);
            seeds.add("reply", format!("{}-{name}-json", definition.name), &[&[library, number], &json]);
            let Some(envelope) = world.schemas.named(&format!("{command}Reply")) else { continue };
            let avro = body.as_ref().and_then(|(schema, _)| {
                let mut avro = Vec::new();
                json::transcode(schema, text.as_deref()?.as_bytes(), &mut avro).ok().map(|()| avro)
            });
            for outcome in [Outcome::Succeeded, Outcome::Failed] {
                let (mut bytes, is_done) = (Vec::new(), outcome == Outcome::Succeeded);
                put_reply_avro(&meta(outcome), envelope.fingerprint(), avro.as_deref().filter(|_| is_done), &mut bytes);
                let name = format!("{}-{name}-{}", definition.name, outcome.as_str());
                seeds.add("reply", name, &[&[library, number], &bytes]);
            }
        }
    }
}

/// Acts, and what is deployed.
fn acts(seeds: &mut Seeds, world: &World, library: u8) {
    for (record, number) in world.records.iter().zip(0..) {
        seeds.add("control", format!("{}-version", record.name), &[&[2, library], &DefinitionRecord::encode(record)]);
        for act in ["cancel", "retry", "skip", "resolve", "approve", "pause", "start"] {
            let (saga, step) = (format!("{}/order-1", record.name), world.definitions[usize::from(number)].steps().next());
            let step = step.map(|step| step.node.name.to_string());
            let (by, why) = ("ann", "as agreed");
            let mut value = json!({"id": "a", "saga": saga, "act": act, "step": step, "by": by, "why": why, "value": {}});
            if act == "resolve" {
                value["outcome"] = json!("succeeded");
            }
            let text = value.to_string();
            seeds.add("control", format!("{}-{act}", record.name), &[&[0, library | number], text.as_bytes()]);
        }
    }
    let pause = json!({"id": "a", "participant": "payment", "act": "pause", "by": "ann", "why": "maintenance"}).to_string();
    seeds.add("control", "pause-payment", &[&[1, 0], pause.as_bytes()]);
    for schema in names_of(&world.schemas) {
        let record = SchemaRecord::new(schema, false);
        seeds.add("control", format!("{}-record", schema.name()), &[&[3, 0], &record.encode()]);
    }
}

fn names_of(schemas: &Schemas) -> impl Iterator<Item = &Schema> {
    schemas.iter().map(|schema| &**schema).filter(|schema| !schemas.is_part(schema))
}

/// A saga that is paused and resumed, at usual times and at the ends of time.
fn paused(seeds: &mut Seeds) {
    let definition = &world(false).definitions[0];
    let head = HeadFields { version: definition.hash, source: "orders/0/1", ..Default::default() };
    let head = Head::new(&head, &mut Vec::new());
    for (name, first, second) in [("usual", 1_790_000_000_000, 1_790_000_060_000), ("ends-of-time", i64::MIN, i64::MAX)] {
        let stamp = |number, now| Stamp { claim_offset: 0, claim: [7; 16], number, released: 0, now };
        let decision = |number, now, events| {
            let change = Change::Saga(SagaChange { saga: "order-fulfilment/order-1".into(), events });
            let turn = Turn { cause: Cause::Due { due_at: now }, input: None, changes: vec![change] };
            JournalRecord::Decision(Decision { stamp: stamp(number, now), topics: Vec::new(), turns: vec![turn] }).encode()
        };
        let claim = Claim { id: [7; 16], owner: "a".into(), address: "".into(), partitions: 8, now: first };
        let started = SagaEvent::Started { head: head.clone(), deadline_at: Some(first) };
        let records = [
            JournalRecord::Claim(claim).encode(),
            decision(0, first, vec![started, SagaEvent::Paused { by: "ann".into(), why: "as agreed".into() }]),
            decision(1, second, vec![SagaEvent::Resumed {}]),
        ];
        seeds.add("journal", format!("paused-{name}"), &[&crate::journal_row(records.iter().map(Vec::as_slice))]);
    }
}

/// Expressions with every kind of word that there is.
fn expressions(seeds: &mut Seeds) {
    for (text, number) in [
        "body.order_id == key && size(body.order_id) > 2",
        "body.amount > decimal('12.50') || body.currency in ['EUR', 'USD']",
        "body.items.all(i, i.qty > 0) && body.items.exists(i, i.sku == 'a')",
        "body.items.filter(i, i.qty > 1).map(i, i.qty)[0] + 2 * 3 - 1 == 7 ? true : false",
        "has(body.customer) && body.customer.startsWith('c') && !body.customer.contains(\"x\")",
        "now > timestamp('2026-01-01T00:00:00Z') + duration('3h')",
        "body.order_id.matches('^o-[0-9]+$') && int('12') / 5 % 2 == 0",
        "string(1.5) + body.customer != '' && {'a': 1}['a'] == 1",
    ]
    .into_iter()
    .zip(0..)
    {
        seeds.add("definition", format!("expression-{number}"), &[&[2 + number % 2], text.as_bytes()]);
    }
}

/// Some value of a type, as JSON.
fn sample(schema: &Schema, node: NodeId, depth: u32) -> Value {
    match schema.node(node) {
        Node::Null => Value::Null,
        Node::Bool => json!(true),
        Node::Int | Node::Long => json!(2),
        Node::Float | Node::Double => json!(1.5),
        Node::Str => json!("order-1"),
        Node::Bytes => json!("AAEC"),
        Node::Fixed(size) => {
            let mut text = String::new();
            json::base64::encode(&vec![7; *size], &mut text);
            json!(text)
        }
        Node::Enum(symbols) => json!(symbols[0]),
        Node::Array(item) => json!([sample(schema, *item, depth + 1)]),
        Node::Map(value) => json!({"a": sample(schema, *value, depth + 1)}),
        Node::Union(branches) => {
            let is_null = |branch: &&NodeId| *schema.node(**branch) == Node::Null;
            branches
                .iter()
                .find(|branch| !is_null(branch) && depth < 4)
                .map_or(Value::Null, |branch| sample(schema, *branch, depth))
        }
        Node::Record(fields) => {
            let of_field = |field: &ringmaster_schemas::avro::Field| (field.name.to_string(), sample(schema, field.ty, depth + 1));
            Value::Object(fields.iter().map(of_field).collect::<Map<_, _>>())
        }
        Node::Decimal { .. } | Node::FixedDecimal { .. } => json!("1"),
        Node::Millis | Node::Micros | Node::Nanos => json!("2026-01-02T03:04:05Z"),
        Node::Date => json!("2026-01-02"),
        Node::Dynamic => json!({"order_id": "order-1", "amount": 12.5, "items": [1, null, {"a": "b"}]}),
    }
}
