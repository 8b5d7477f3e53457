//! Bytes and fingerprints that fastavro made (`golden/make_fastavro_json.py`).

use ringmaster_schemas::avro::{Resolver, Schema};
use serde_json::Value as Json;

use crate::{avro, schema, shown};

const CASES: &str = include_str!("../../golden/fastavro.json");
const RESOLVED: &str = include_str!("../../golden/resolved.json");

pub(crate) fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).expect("hexadecimal")).collect()
}

#[test]
fn fastavros_fingerprints_and_bytes() {
    let cases: Vec<Json> = serde_json::from_str(CASES).expect("JSON");
    let (mut value_count, mut decimal_count) = (0, 0);
    for case in &cases {
        let text = case["schema"].to_string();
        let ours = schema(&text);
        let fingerprint = hex(case["fingerprint"].as_str().expect("text"));
        assert_eq!(ours.fingerprint().to_le_bytes(), *fingerprint, "{text}");
        decimal_count += usize::from(text.contains("decimal"));
        for value in case["values"].as_array().expect("a list") {
            let bytes = hex(value["avro"].as_str().expect("text"));
            ours.validate(&bytes).unwrap_or_else(|error| panic!("{error} in {value} of {text}"));
            let rendered = shown(&ours, &bytes);
            assert_eq!(serde_json::from_str::<Json>(&rendered).expect("JSON"), value["json"], "{text}");
            let written = avro(&ours, &rendered);
            assert_eq!(shown(&ours, &written), rendered, "{text}");
            // fastavro writes -1.28 in two bytes, we and Java in one.
            assert!(written == bytes || text.contains("decimal"), "{rendered} of {text}: {written:02x?} and {bytes:02x?}");
            value_count += 1;
        }
    }
    assert!(cases.len() >= 90 && value_count >= 230 && decimal_count >= 30, "{} {value_count} {decimal_count}", cases.len());
}

/// Renamed fields and types: what the reader sees, and that its bytes are whole.
#[test]
fn what_fastavro_resolves_we_resolve_to_the_same() {
    let cases: Vec<Json> = serde_json::from_str(RESOLVED).expect("JSON");
    for case in &cases {
        let (writer, reader) = (schema(&case["writer"].to_string()), schema(&case["reader"].to_string()));
        let resolver = Resolver::new(writer, reader.clone()).unwrap_or_else(|error| panic!("{error}\n{case}"));
        let mut out = Vec::new();
        let bytes = hex(case["avro"].as_str().expect("text"));
        resolver.resolve(&bytes, &mut out).unwrap_or_else(|error| panic!("{error}\n{case}"));
        reader.validate(&out).expect("what is resolved is valid");
        assert_eq!(serde_json::from_str::<Json>(&shown(&reader, &out)).expect("JSON"), case["json"], "{case}");
    }
    assert!(cases.len() >= 15, "{}", cases.len());
}

/// The specification's and Java's numbers.
#[test]
fn known_fingerprints() {
    for (text, fingerprint) in [
        (r#""null""#, 0x63dd_24e7_cc25_8f8a_u64),
        (r#""int""#, 0x7275_d51a_3f39_5c8f),
        (r#"{"type":"int","logicalType":"date"}"#, 0x7275_d51a_3f39_5c8f),
        (r#""bytes""#, 0x4fc0_16da_c320_1965),
        (r#"{"type":"bytes","logicalType":"decimal","precision":18,"scale":2}"#, 0x4fc0_16da_c320_1965),
        (r#"{"type":"bytes","logicalType":"decimal","precision":18,"scale":4}"#, 0x4fc0_16da_c320_1965),
    ] {
        assert_eq!(schema(text).fingerprint(), fingerprint, "{text}");
    }
}

#[test]
fn keys_tell_apart_what_fingerprints_do_not() {
    let texts = [
        r#"{"type":"record","name":"A","fields":[{"name":"x","type":"bytes"}]}"#,
        r#"{"type":"record","name":"A","fields":[{"name":"x","type":{"type":"bytes","logicalType":"decimal","precision":18,"scale":2}}]}"#,
        r#"{"type":"record","name":"A","fields":[{"name":"x","type":{"type":"bytes","logicalType":"decimal","precision":18,"scale":4}}]}"#,
        r#"{"type":"record","name":"A","fields":[{"name":"x","type":"bytes","default":""}]}"#,
        r#"{"type":"record","name":"A","fields":[{"name":"x","type":"bytes","aliases":["y"]}]}"#,
        r#"{"type":"record","name":"A","aliases":["B"],"fields":[{"name":"x","type":"bytes"}]}"#,
        r#"{"type":"record","name":"A","aliases":["n.B"],"fields":[{"name":"x","type":"bytes"}]}"#,
    ];
    let schemas: Vec<_> = texts.iter().map(|text| schema(text)).collect();
    let mut keys: Vec<_> = schemas.iter().map(|schema| schema.key()).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), texts.len());
    assert!(schemas.iter().all(|schema| schema.fingerprint() == schemas[0].fingerprint()));
    // Documentation, order and spelling do not count.
    let documented = r#"{"doc":"!","type":"record","name":"A","fields":[{"name":"x","doc":"?","type":{"type":"bytes"}}]}"#;
    assert_eq!(schema(documented).key(), schemas[0].key());
    let error =
        Schema::parse(r#"{"type":"record","name":"A","fields":[{"name":"x","type":"Unknown"}]}"#).expect_err("an unknown type");
    assert!(error.why.contains("unknown type `Unknown`"), "{error}");
}
