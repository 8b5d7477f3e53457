//! Bytes that are shown: what decodes them, what is hidden, and that nothing fails.

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

#[test]
fn what_a_schema_decodes_is_shown_without_its_secrets() {
    let schemas = schemas();
    let card = schemas.named("Card").expect("it was added");
    let mut avro = ringmaster_schemas::wire::SINGLE_OBJECT.to_vec();
    avro.extend(card.fingerprint().to_le_bytes());
    json::transcode(card, JSON, &mut avro).expect("it fits");
    for (bytes, kind) in [(&avro[..], None), (JSON, Some("Card"))] {
        let shown = ShownBytes::of(bytes, kind, &schemas);
        assert_eq!(shown.json, Some(serde_json::json!({ "holder": "ann", "number": "***" })), "{shown:?}");
        assert!(shown.text.is_none() && shown.hex.is_none() && shown.schema.as_deref() == Some("Card"), "{shown:?}");
    }
}

#[test]
fn what_nothing_decodes_is_text_or_hex() {
    let schemas = schemas();
    let of = |bytes: &[u8]| ShownBytes::of(bytes, Some("Unknown"), &schemas);
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
