//! Bytes that are shown: what decodes them, what is hidden, and that nothing fails.

use ringmaster_core::intake::{InputRecord, Typing};
use ringmaster_schemas::json;

use super::super::shown::ShownBytes;
use super::*;

const CARD: &str = r#"{ "type": "record", "name": "Card", "fields": [ { "name": "holder", "type": "string" }, { "name": "number", "type": "string", "secret": true } ] }"#;
const JSON: &[u8] = br#"{"holder":"ann","number":"4711"}"#;

fn schemas() -> Schemas {
    let mut schemas = Schemas::builtin();
    schemas.add(CARD).expect("it is right");
    schemas
}

fn shown(value: &[u8], kind: Option<&str>, schemas: &Schemas) -> ShownBytes {
    let record = InputRecord { offset: 0, timestamp: 0, key: None, value: Some(value), headers: None };
    ShownBytes::of_value(&record, Typing { field: "type", default: kind }, schemas)
}

#[test]
fn what_a_schema_decodes_is_shown_without_its_secrets() {
    let schemas = schemas();
    let card = schemas.named("Card").expect("it was added");
    let mut avro = ringmaster_schemas::wire::SINGLE_OBJECT.to_vec();
    avro.extend(card.fingerprint().to_le_bytes());
    json::transcode(card, JSON, &mut avro).expect("it fits");
    let typed = br#"{"type":"Card","holder":"ann","number":"4711"}"#;
    for (bytes, kind) in [(&avro[..], None), (JSON, Some("Card")), (typed, None), (typed, Some("Unknown"))] {
        let shown = shown(bytes, kind, &schemas);
        assert_eq!(shown.json, Some(serde_json::json!({ "holder": "ann", "number": "***" })), "{shown:?}");
        assert!(shown.text.is_none() && shown.hex.is_none() && shown.schema.as_deref() == Some("Card"), "{shown:?}");
    }
}

/// What is of no known type, an event inside another thing, a record that does not fit, a cut one, and one of Ringmaster's own.
#[test]
fn what_no_schema_decodes_shows_no_secret_either() {
    let schemas = schemas();
    for (json, hidden) in [
        (r#"{"holder":"ann","number":"4711"}"#, r#"{"holder":"ann","number":"***"}"#),
        (r#"{"meta":{"command":"Card"},"body":{"number":{"a":"4711"}}}"#, r#"{"meta":{"command":"Card"},"body":{"number":"***"}}"#),
        (
            r#"{"specversion":"1.0","id":"1","source":"s","type":"Card","data":{"holder":"a","number":"4711"}}"#,
            r#"{"specversion":"1.0","id":"1","source":"s","type":"Card","data":{"holder":"a","number":"***"}}"#,
        ),
        (r#"{"type":"Card","data_base64":"NDcxMQ=="}"#, r#"{"type":"Card","data_base64":"***"}"#),
        (r#"{"type":"Card","holder":7,"cards":[{"number":4711}]}"#, r#"{"type":"Card","holder":7,"cards":[{"number":"***"}]}"#),
    ] {
        let shown = shown(json.as_bytes(), None, &schemas);
        assert_eq!(shown.json, Some(serde_json::from_str(hidden).expect("JSON")), "{shown:?}");
    }
    let mut schemas = schemas;
    let envelope = schemas.command_envelope("desk.Note").expect("it may");
    let mut avro = ringmaster_schemas::wire::SINGLE_OBJECT.to_vec();
    avro.extend(envelope.fingerprint().to_le_bytes());
    let meta = r#"{"command":"desk.Note","idempotency_key":"k","attempt":1,"reply_to":"r","reply_partition":0,"first_time":0}"#;
    let command = format!(r#"{{"meta":{meta},"body":{{"holder":"ann","number":"4711"}}}}"#);
    json::transcode(&envelope, command.as_bytes(), &mut avro).expect("it fits");
    let body = shown(&avro, None, &schemas).json.expect("it is decoded")["body"].clone();
    assert_eq!(body, serde_json::json!({ "holder": "ann", "number": "***" }), "a command without a schema");
    let mut of_its_own = ringmaster_schemas::wire::SINGLE_OBJECT.to_vec();
    of_its_own.extend([1, 2, 3, 4, 5, 6, 7, 8, b'4', b'7', b'1', b'1']);
    for bytes in [&JSON[..JSON.len() - 1], &of_its_own, b"4711", br#"["4711"]"#] {
        let shown = shown(bytes, Some("Card"), &schemas);
        let nothing = ShownBytes { bytes: bytes.len(), withheld: shown.withheld.clone(), ..ShownBytes::default() };
        assert!(shown.withheld.is_some() && shown == nothing, "{shown:?}");
    }
}

#[test]
fn what_nothing_decodes_is_text_or_hex_if_nothing_is_secret() {
    let schemas = Schemas::builtin();
    let of = |bytes: &[u8]| shown(bytes, Some("Unknown"), &schemas);
    assert_eq!(of(JSON).text.as_deref().map(str::as_bytes), Some(JSON), "as it is");
    assert_eq!(of(b"two\nlines").text.as_deref(), Some("two\nlines"));
    assert_eq!(of(b"\x1b[2J").hex.as_deref(), Some("1b5b324a"), "nothing that drives a terminal");
    assert_eq!(of(b"").text.as_deref(), Some(""));
    let long = "ä".repeat(100_000);
    let shown = of(&long.as_bytes()[..199_999]);
    assert!(shown.bytes == 199_999 && shown.text.is_some_and(|text| text.len() <= 64 << 10), "no more than is read");
    let mut random = fastrand::Rng::with_seed(7);
    for length in 0..200 {
        let mut bytes: Vec<u8> = ringmaster_schemas::wire::SINGLE_OBJECT.to_vec();
        bytes.extend(std::iter::repeat_with(|| random.u8(..)).take(length));
        let shown = of(&bytes);
        assert!(shown.hex.is_some() || shown.text.is_some(), "{shown:?}");
    }
}
