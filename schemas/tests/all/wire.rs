//! Commands and replies, as they are on Kafka.

use std::borrow::Cow;

use ringmaster_schemas::json;
use ringmaster_schemas::registry::Schemas;
use ringmaster_schemas::wire::{
    Body, CommandMeta, Framing, Outcome, ReplyMeta, WireError, decode_command, decode_reply, put_command_avro, put_command_json,
    put_header, put_reply_avro, put_reply_json, recognise,
};

use crate::avro;

fn schemas() -> Schemas {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../sagas/schemas");
    let mut schemas = Schemas::load_folder(&folder).expect("the order saga's schemas");
    schemas.command_envelope("payment.Charge").expect("an envelope");
    schemas.reply_envelope("payment.Charge").expect("an envelope");
    schemas.reply_envelope("fraud.Score").expect("an envelope");
    schemas
}

const META: CommandMeta<'_> = CommandMeta {
    command: Cow::Borrowed("payment.Refund"),
    idempotency_key: Cow::Borrowed("order-fulfilment/ord-17/charge_payment/undo"),
    attempt: 2,
    undoes: Some(Cow::Borrowed("order-fulfilment/ord-17/charge_payment/do")),
    reply_to: Cow::Borrowed("ringmaster.replies"),
    reply_partition: 3,
    first_time: 1_795_771_800_250,
    traceparent: None,
};

fn reply() -> ReplyMeta<'static> {
    ReplyMeta {
        idempotency_key: "order-fulfilment/ord-17/charge_payment/do".into(),
        attempt: 1,
        outcome: Outcome::Refused,
        code: Some("CARD_DECLINED".into()),
        message: None,
        retryable: false,
    }
}

#[test]
fn framings() {
    assert_eq!(
        recognise(&[0xC3, 1, 8, 7, 6, 5, 4, 3, 2, 1, 9]),
        Framing::SingleObject { fingerprint: 0x0102_0304_0506_0708, body: &[9] }
    );
    assert_eq!(recognise(&[0, 0, 0, 1, 2, 9]), Framing::Confluent { id: 258, body: &[9] });
    assert_eq!(recognise(b"\n {}"), Framing::Json);
    for unknown in [&b""[..], b"[1]", b"x", &[0xC3], &[0xC3, 1, 0], &[0xC3, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[0, 0, 0, 1], b"  "] {
        assert_eq!(recognise(unknown), Framing::Unknown, "{unknown:?}");
    }
}

#[test]
fn commands_in_avro_are_plain_avro() {
    let schemas = schemas();
    let envelope = schemas.named("payment.ChargeCommand").expect("made above");
    let charge = schemas.named("payment.Charge").expect("known");
    let body = avro(charge, r#"{"order_id":"ord-17","amount":"120.50","currency":"EUR"}"#);
    for meta in [META, CommandMeta { undoes: None, traceparent: Some("00-aa-bb-01".into()), ..META }] {
        let mut bytes = Vec::new();
        put_command_avro(&meta, envelope.fingerprint(), &body, &mut bytes);
        envelope.validate(&bytes[10..]).expect("what the schema says");
        let command = decode_command(&bytes, &schemas).expect("as written");
        assert_eq!(command.meta, meta);
        let Body::Avro { schema, node, bytes: read } = command.body else { panic!() };
        assert_eq!((schema.name_of(node), read), (Some("payment.Charge"), &body[..]));
        // Any reader of the envelope sees the same: here the JSON of the whole.
        let mut shown = String::new();
        json::render(envelope, envelope.root(), &bytes[10..], &mut shown).expect("valid");
        assert!(shown.starts_with(
            r#"{"meta":{"command":"payment.Refund","idempotency_key":"order-fulfilment/ord-17/charge_payment/undo","attempt":2,"#
        ));
        assert!(shown.ends_with(r#""body":{"order_id":"ord-17","amount":"120.50","currency":"EUR"}}"#), "{shown}");
        for cut in 0..bytes.len() {
            assert!(decode_command(&bytes[..cut], &schemas).is_err());
        }
    }
}

#[test]
fn commands_in_json() {
    let schemas = schemas();
    let mut bytes = Vec::new();
    put_command_json(&META, br#"{"order_id":"ord-17"}"#, &mut bytes);
    assert_eq!(
        String::from_utf8(bytes.clone()).expect("text"),
        r#"{"meta":{"command":"payment.Refund","idempotency_key":"order-fulfilment/ord-17/charge_payment/undo","attempt":2,"undoes":"order-fulfilment/ord-17/charge_payment/do","reply_to":"ringmaster.replies","reply_partition":3,"first_time":1795771800250,"traceparent":null},"body":{"order_id":"ord-17"}}"#
    );
    let command = decode_command(&bytes, &schemas).expect("as written");
    assert_eq!((command.meta, command.body), (META, Body::Json(r#"{"order_id":"ord-17"}"#)));
    bytes.clear();
    put_command_json(&META, b"", &mut bytes);
    assert_eq!(decode_command(&bytes, &schemas).expect("as written").body, Body::Json("null"));
}

#[test]
fn commands_in_json_with_escapes() {
    let schemas = schemas();
    let awkward = "00-\"quote\"-\\-\u{1}-🎪";
    let meta = CommandMeta {
        idempotency_key: "order-fulfilment/ord-\"17\"/charge_payment/do".into(),
        undoes: Some("\\\u{7f}".into()),
        traceparent: Some(awkward.into()),
        ..META
    };
    let mut bytes = Vec::new();
    put_command_json(&meta, b"", &mut bytes);
    assert_eq!(decode_command(&bytes, &schemas).expect("as written").meta, meta);
    // Escapes that nobody needs, and pairs of surrogates.
    let text =
        String::from_utf8(bytes).expect("text").replace("payment.Refund", "\\u0070ayment.Refund").replace('🎪', "\\ud83c\\uDFAA");
    assert_eq!(decode_command(text.as_bytes(), &schemas).expect("the same").meta, meta);
    // A trace context of another form is none.
    for other in ["[1]", "7", "{\"a\":\"b\"}"] {
        let mut bytes = Vec::new();
        put_command_json(&META, b"", &mut bytes);
        let text = String::from_utf8(bytes).expect("text").replace("\"traceparent\":null", &format!("\"traceparent\":{other}"));
        assert!(text.contains(other));
        assert_eq!(decode_command(text.as_bytes(), &schemas).expect("a command").meta, META);
    }
}

#[test]
fn replies_in_avro() {
    let schemas = schemas();
    let envelope = schemas.named("payment.ChargeReply").expect("made above");
    let result = avro(schemas.named("payment.ChargeResult").expect("known"), r#"{"charge_id":"ch-1"}"#);
    let done = ReplyMeta { outcome: Outcome::Succeeded, code: None, ..reply() };
    let failed = ReplyMeta { outcome: Outcome::Failed, message: Some("tea break".into()), retryable: true, ..reply() };
    for (meta, body) in [(done, Some(&result[..])), (reply(), None), (failed, None)] {
        let mut bytes = Vec::new();
        put_reply_avro(&meta, envelope.fingerprint(), body, &mut bytes);
        envelope.validate(&bytes[10..]).expect("what the schema says");
        let read = decode_reply(&bytes, &schemas).expect("as written");
        assert_eq!(read.meta, meta);
        assert!(matches!(read.meta.idempotency_key, Cow::Borrowed(_)));
        match (read.body, body) {
            (None, None) => {}
            (Some(Body::Avro { schema, node, bytes }), Some(body)) => {
                assert_eq!((schema.name_of(node), bytes), (Some("payment.ChargeResult"), body))
            }
            other => panic!("{other:?}"),
        }
        for cut in 0..bytes.len() {
            assert!(matches!(decode_reply(&bytes[..cut], &schemas), Err(WireError::Undecodable(_))), "cut at {cut}");
        }
        bytes.push(0);
        let error = decode_reply(&bytes, &schemas).expect_err("left over");
        assert_eq!(error, WireError::Undecodable(format!("payment.ChargeReply: bytes left over (byte {})", bytes.len() - 11)));
    }
    // A result that nobody described, written as JSON of any kind.
    let envelope = schemas.named("fraud.ScoreReply").expect("made above");
    let mut score = Vec::new();
    json::dynamic(br#"{"score":0.7}"#, &mut score).expect("JSON");
    let mut bytes = Vec::new();
    put_reply_avro(&reply(), envelope.fingerprint(), Some(&score), &mut bytes);
    let Some(Body::Avro { schema, node, bytes: read }) = decode_reply(&bytes, &schemas).expect("as written").body else { panic!() };
    let mut shown = String::new();
    json::render(schema, node, read, &mut shown).expect("valid");
    assert_eq!(shown, r#"{"score":0.7}"#);
}

#[test]
fn replies_in_json() {
    let schemas = schemas();
    let mut bytes = Vec::new();
    put_reply_json(&reply(), Some(br#"{"charge_id":"ch-1"}"#), &mut bytes);
    assert_eq!(
        std::str::from_utf8(&bytes).expect("text"),
        r#"{"meta":{"idempotency_key":"order-fulfilment/ord-17/charge_payment/do","attempt":1,"outcome":"refused","code":"CARD_DECLINED","message":null,"retryable":false},"body":{"charge_id":"ch-1"}}"#
    );
    let read = decode_reply(&bytes, &schemas).expect("as written");
    assert_eq!((read.meta, read.body), (reply(), Some(Body::Json(r#"{"charge_id":"ch-1"}"#))));
    // As a script would write it: little, in any order, with escapes.
    let text = br#" { "extra":[{}], "body": null , "meta":{"outcome":"succeeded","x":{"y":1},"attempt":1,"idempotency_key":"order-fulfilment\/ord-17\/charge_payment\/do"}}"#;
    let read = decode_reply(text, &schemas).expect("all that is needed");
    assert_eq!(read.meta, ReplyMeta { outcome: Outcome::Succeeded, code: None, ..reply() });
    assert_eq!(read.body, None);
}

#[test]
fn what_is_no_reply() {
    let schemas = schemas();
    let order = schemas.named("OrderPlaced").expect("known");
    let command = schemas.named("payment.ChargeCommand").expect("known");
    let mut foreign = Vec::new();
    put_header(order.fingerprint(), &mut foreign);
    assert_eq!(
        decode_reply(&foreign, &schemas),
        Err(WireError::NotAReply("it is of type OrderPlaced, which is not a reply".into()))
    );
    foreign.clear();
    put_header(command.fingerprint(), &mut foreign);
    assert!(matches!(decode_reply(&foreign, &schemas), Err(WireError::NotAReply(_))));
    foreign.clear();
    put_header(17, &mut foreign);
    assert_eq!(decode_reply(&foreign, &schemas), Err(WireError::UnknownSchema(17)));
    for (text, part) in [
        ("{}", "NotAReply(\"it has no object `meta`"),
        (r#"{"meta":7}"#, "NotAReply(\"it has no object `meta`"),
        (r#"{"meta":{}}"#, "no outcome"),
        (r#"{"meta":{"outcome":"succeeded","attempt":1}}"#, "no idempotency_key"),
        (r#"{"meta":{"outcome":"succeeded","idempotency_key":"k"}}"#, "no attempt"),
        (r#"{"meta":{"outcome":"succeeded","idempotency_key":"k","attempt":4000000000}}"#, "no attempt"),
        (r#"{"meta":{"outcome":"done","idempotency_key":"k","attempt":1}}"#, "none of succeeded, refused, failed"),
        (r#"{"meta":{"outcome":"failed","outcome":"failed"}}"#, "Undecodable(\"key \\\"outcome\\\" is given twice"),
        (r#"{"meta":{"attempt":1},"meta":{}}"#, "Undecodable(\"key \\\"meta\\\" is given twice"),
        (r#"{"meta":{"attempt":"1"}}"#, "Undecodable(\"attempt is of another type"),
        (r#"{"meta":{"attempt":1}} x"#, "Undecodable(\"something follows"),
        (r#"{"meta":{"attempt":1}"#, "Undecodable(\"cut short"),
        ("", "Undecodable(\"neither Avro"),
        ("\0\0\0\0\u{1}x", "Undecodable(\"Confluent"),
    ] {
        let error = decode_reply(text.as_bytes(), &schemas).expect_err(text);
        assert!(format!("{error:?}").contains(part), "{text}: {error:?}");
    }
}
