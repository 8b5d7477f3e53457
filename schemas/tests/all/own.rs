//! The records of journal, quarantine and store: the `.avsc` files say the same as the code, and released bytes stay readable.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use fastrand::Rng;
use ringmaster_schemas::avro::Schema;
use ringmaster_schemas::codec::Malformed;
use ringmaster_schemas::journal::{
    Change, JournalRecord, LETTER_VERSION, Letter, MARK_VERSION, QuarantineMark, Quarantined, REDRIVEN_VERSION, Redriven, Routed,
    SagaEvent, VERSION,
};
use ringmaster_schemas::snapshot::{SNAPSHOT_VERSION, SnapshotRecord};
use ringmaster_schemas::state::{Breaker, Checkpoint, Counts, OutboxEffect, Saga};

use crate::golden::hex;
use crate::{generate, schema, shown};

/// Set to write the golden files instead of comparing with them: only for what was not released yet. Set to `append`, it adds to each
/// what shows something that it does not hold yet, and changes nothing that is there.
const REGENERATE: &str = "RINGMASTER_GOLDEN";

/// Reads bytes by the code and writes them again.
type Rewrite = fn(&[u8]) -> Result<Vec<u8>, Malformed>;

const KINDS: [(&str, &str, Rewrite); 12] = [
    ("journal-v2", include_str!("../../avsc/JournalEntry.avsc"), |bytes| {
        JournalRecord::decode(bytes).map(|record| record.encode())
    }),
    ("quarantine-v2", include_str!("../../avsc/QuarantineEntry.avsc"), |bytes| {
        Quarantined::decode(bytes).map(|record| record.encode())
    }),
    ("inbox-v2", include_str!("../../avsc/InboxEntry.avsc"), |bytes| Routed::decode(bytes).map(|record| record.encode())),
    ("letter-v3", include_str!("../../avsc/LetterEntry.avsc"), |bytes| Letter::decode(bytes).map(|letter| letter.encode())),
    ("redriven-v4", include_str!("../../avsc/RedrivenEntry.avsc"), |bytes| Redriven::decode(bytes).map(|record| record.encode())),
    ("quarantine-mark-v3", include_str!("../../avsc/QuarantineMark.avsc"), |bytes| {
        QuarantineMark::decode(bytes).map(|mark| mark.encode())
    }),
    ("saga-v2", include_str!("../../avsc/SagaRow.avsc"), |bytes| Saga::decode(&"".into(), bytes).map(|row| row.encode())),
    ("checkpoint-v2", include_str!("../../avsc/CheckpointRow.avsc"), |bytes| Checkpoint::decode(bytes).map(|row| row.encode())),
    ("snapshot-v5", include_str!("../../avsc/SnapshotEntry.avsc"), |bytes| {
        SnapshotRecord::decode(bytes).map(|record| record.encode())
    }),
    ("outbox-v2", include_str!("../../avsc/OutboxRow.avsc"), |bytes| OutboxEffect::decode(bytes).map(|row| row.encode())),
    ("breaker-v2", include_str!("../../avsc/BreakerRow.avsc"), |bytes| Breaker::decode(bytes).map(|row| row.encode())),
    ("counts-v2", include_str!("../../avsc/CountsRow.avsc"), |bytes| Counts::decode(bytes).map(|row| row.encode())),
];

fn golden_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("golden/{name}.txt"))
}

/// The version's byte of a kind: that of version 2, but for what came later.
fn version(schema: &Schema) -> u8 {
    let later = [
        ("LetterEntry", LETTER_VERSION),
        ("RedrivenEntry", REDRIVEN_VERSION),
        ("QuarantineMarkEntry", MARK_VERSION),
        ("SnapshotEntry", SNAPSHOT_VERSION),
    ];
    let found = later.into_iter().find(|(name, _)| schema.name().ends_with(name));
    2 * found.map_or(VERSION, |(_, version)| version) as u8
}

/// Random bytes by the `.avsc`, of this version.
fn random(schema: &Schema, rng: &mut Rng) -> Vec<u8> {
    let mut bytes = vec![version(schema)];
    generate::bytes(schema, schema.fields(schema.root())[1].ty, rng, 0, &mut bytes);
    bytes
}

/// Whatever the schema allows, the code reads and writes as the same bytes, to the last: so both have the same fields, branches
/// and symbols in the same order.
#[test]
fn schema_files_and_code_say_the_same() {
    let mut rng = Rng::with_seed(3);
    for (name, text, rewrite) in KINDS {
        let schema = schema(text);
        for _ in 0..3_000 {
            let bytes = random(&schema, &mut rng);
            schema.validate(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
            let again = rewrite(&bytes).unwrap_or_else(|error| panic!("{name}: {error}\n{}", shown(&schema, &bytes)));
            assert_eq!(again, bytes, "{name}: {}", shown(&schema, &bytes));
        }
    }
}

/// Journals replay for ever: these bytes were written by released versions.
#[test]
fn golden_bytes_are_read_as_they_always_were() {
    let mut rng = Rng::with_seed(4);
    for (name, text, rewrite) in KINDS {
        let schema = schema(text);
        let path = golden_path(name);
        if let Some(how) = std::env::var_os(REGENERATE) {
            let before = std::fs::read_to_string(&path).unwrap_or_default();
            let file = with_what_is_new(name, &schema, if how == "append" { before } else { String::new() }, &mut rng);
            std::fs::write(&path, file).expect("the golden folder is writable");
        }
        let file = std::fs::read_to_string(&path).expect("the golden file");
        let lines: Vec<_> = file.lines().collect();
        assert!(lines.len() >= 40, "{name}");
        for pair in lines.chunks_exact(2) {
            let bytes = hex(pair[0]);
            assert_eq!(rewrite(&bytes).as_ref(), Ok(&bytes), "{name}");
            assert_eq!(shown(&schema, &bytes), pair[1], "{name}");
        }
    }
}

/// A golden file, with lines that show something new; and with any, until there are enough.
fn with_what_is_new(name: &str, schema: &Schema, mut file: String, rng: &mut Rng) -> String {
    let shows = |bytes: &[u8], json: &str| {
        let found = if name == "journal-v2" { variants(bytes) } else { NESTED.map(|_| BTreeSet::new()) };
        let mut shows: BTreeSet<String> = found.into_iter().flatten().collect();
        shows.extend(
            json.split('"')
                .skip(1)
                .zip(json.split('"').skip(2))
                .filter(|(_, next)| next.starts_with(':'))
                .map(|(key, _)| key.to_owned()),
        );
        shows
    };
    let lines: Vec<&str> = file.lines().collect();
    let mut seen: BTreeSet<String> = lines.chunks_exact(2).flat_map(|pair| shows(&hex(pair[0]), pair[1])).collect();
    let mut line_count = lines.len() / 2;
    for _ in 0..5_000 {
        let bytes = random(schema, rng);
        let json = shown(schema, &bytes);
        let shows = shows(&bytes, &json);
        if line_count >= 20 && shows.is_subset(&seen) {
            continue;
        }
        line_count += 1;
        seen.extend(shows);
        let digits = bytes.iter().fold(String::new(), |mut digits, byte| {
            let _ = write!(digits, "{byte:02x}");
            digits
        });
        let _ = writeln!(file, "{digits}\n{json}");
    }
    file
}

/// So that a golden journal holds every kind of event that there is.
#[test]
fn golden_bytes_hold_everything() {
    let file = std::fs::read_to_string(golden_path("journal-v2")).expect("the golden file");
    let mut held = NESTED.map(|_| BTreeSet::new());
    for line in file.lines().step_by(2) {
        for (held, found) in held.iter_mut().zip(variants(&hex(line))) {
            held.extend(found);
        }
    }
    // As many as the schema has.
    let schema = schema(include_str!("../../avsc/JournalEntry.avsc"));
    let text: serde_json::Value = serde_json::from_str(schema.text()).expect("JSON");
    let branch_count = |record: &str, field: &str| {
        let fields = find(&text, record)?["fields"].as_array()?;
        let ty = &fields.iter().find(|other| other["name"] == field)?["type"];
        Some(ty.as_array().or_else(|| ty["items"].as_array())?.len())
    };
    for ((record, field), held) in NESTED.into_iter().zip(held) {
        assert_eq!(Some(held.len()), branch_count(record, field), "{record}.{field}: {held:?}");
    }
}

/// Where a journal has variants: the record and its field.
const NESTED: [(&str, &str); 7] = [
    ("JournalEntry", "record"),
    ("Turn", "changes"),
    ("Saga", "events"),
    ("Entered", "opens"),
    ("Breaker", "event"),
    ("Item", "event"),
    ("Turn", "cause"),
];

/// The names of what a journal's bytes hold, for each of these.
fn variants(bytes: &[u8]) -> [BTreeSet<String>; NESTED.len()] {
    let name = |debug: String| debug.split(['(', ' ']).next().unwrap_or_default().to_owned();
    let [mut kinds, mut changes, mut events, mut opens, mut breakers, mut items, mut causes] = NESTED.map(|_| BTreeSet::new());
    let record = JournalRecord::decode(bytes).expect("a record of the journal");
    kinds.insert(name(format!("{record:?}")));
    if let JournalRecord::Decision(decision) = record {
        causes.extend(decision.turns.iter().map(|turn| name(format!("{:?}", turn.cause))));
        for change in decision.turns.iter().flat_map(|turn| &turn.changes) {
            changes.insert(name(format!("{change:?}")));
            match change {
                Change::Saga(change) => {
                    for event in &change.events {
                        events.insert(name(format!("{event:?}")));
                        match event {
                            SagaEvent::Entered { opens: opened, .. } => drop(opens.insert(name(format!("{opened:?}")))),
                            SagaEvent::Item { event, .. } => drop(items.insert(name(format!("{event:?}")))),
                            _ => {}
                        }
                    }
                }
                Change::Breaker(change) => drop(breakers.insert(name(format!("{:?}", change.event)))),
                _ => {}
            }
        }
    }
    [kinds, changes, events, opens, breakers, items, causes]
}

/// The definition of a record inside a schema.
fn find<'j>(json: &'j serde_json::Value, record: &str) -> Option<&'j serde_json::Value> {
    match json {
        serde_json::Value::Object(object)
            if object.get("name").is_some_and(|name| name == record) && object.contains_key("fields") =>
        {
            Some(json)
        }
        serde_json::Value::Object(object) => object.values().find_map(|inner| find(inner, record)),
        serde_json::Value::Array(items) => items.iter().find_map(|inner| find(inner, record)),
        _ => None,
    }
}

/// Whoever meets a journal of version 1 is told what it is and what to do.
#[test]
fn version_1_of_the_journal_is_refused_in_words() {
    let error = JournalRecord::decode(&[2, 0]).expect_err("version 1").to_string();
    assert!(error.contains("format version 1") && error.contains("version 2") && error.contains("`prefix`"), "{error}");
}

/// The code refuses what the schema does not allow: cut short, with something left over, of another version.
#[test]
fn broken_rows_and_records_are_refused() {
    let mut rng = Rng::with_seed(5);
    for (name, text, rewrite) in KINDS {
        let schema = schema(text);
        for _ in 0..100 {
            let mut bytes = random(&schema, &mut rng);
            for cut in 0..bytes.len() {
                assert!(rewrite(&bytes[..cut]).is_err(), "{name} cut at {cut} of {}", bytes.len());
            }
            bytes.push(0);
            assert!(rewrite(&bytes).is_err(), "{name}: bytes left over");
            bytes.pop();
            for unknown in [0, 2, 10 - version(&schema)] {
                bytes[0] = unknown;
                assert!(rewrite(&bytes).is_err(), "{name}: an unknown version");
            }
            bytes[0] = version(&schema);
            for _ in 0..50 {
                let mut flipped = bytes.clone();
                let at = rng.usize(..bytes.len());
                flipped[at] ^= 1 << rng.u32(..8);
                // What the code takes, the schema allows.
                if rewrite(&flipped).is_ok() {
                    schema.validate(&flipped).unwrap_or_else(|error| panic!("{name}: {error} at {at} of {flipped:02x?}"));
                }
            }
        }
    }
}

/// What begins as a record of some version may count, whatever follows; all else is void for every reader.
#[test]
fn bytes_of_nobody_are_told_from_those_of_a_version() {
    for (bytes, is_foreign) in [
        (&[][..], true),
        (&[0], true),
        (&[1], true),
        (&[2], false),
        (&[3], true),
        (&[4, 0xff], false),
        (&[30], false),
        (&[31], true),
        (&[32], true),
        (b"{}", true),
        (b"\xff", true),
    ] {
        assert_eq!(JournalRecord::is_foreign(bytes), is_foreign, "{bytes:?}");
    }
}
