//! Bytes made to hurt: refused in bounded time and memory, never a panic.

use std::time::{Duration, Instant};

use fastrand::Rng;
use ringmaster_schemas::avro::{EMPTY_ITEMS_MAX, NESTING_MAX, Resolver, Schema};
use ringmaster_schemas::codec::put_long;
use ringmaster_schemas::json;
use ringmaster_schemas::registry::Schemas;
use ringmaster_schemas::wire::{decode_command, decode_reply};

use crate::{generate, order_placed, schema};

fn claims(count: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_long(&mut bytes, count);
    bytes
}

#[test]
fn claims_of_many_elements_cost_nothing() {
    let begin = Instant::now();
    for (text, least) in [
        (r#"{"type":"array","items":"long"}"#, 1),
        (r#"{"type":"map","values":"null"}"#, 1),
        (r#"{"type":"array","items":"null"}"#, 0),
        (r#"{"type":"array","items":{"type":"record","name":"E","fields":[]}}"#, 0),
        (r#"{"type":"array","items":{"type":"fixed","name":"F","size":0}}"#, 0),
        (r#"{"type":"array","items":{"type":"array","items":"null"}}"#, 1),
    ] {
        let schema = schema(text);
        for count in [400_000_000, i64::MAX, i64::MIN, -400_000_000] {
            for tail in [&[][..], &[0], &[0; 100], &[2; 100]] {
                let mut bytes = claims(count);
                bytes.extend_from_slice(tail);
                assert!(schema.validate(&bytes).is_err(), "{count} {text}");
                assert!(schema.open(&bytes).items().count() < 200);
                assert!(schema.open(&bytes).entries().count() < 200);
                let _ = schema.open(&bytes).count();
                let mut out = String::new();
                assert!(json::render(&schema, schema.root(), &bytes, &mut out).is_err());
                assert!(out.len() < 10_000);
            }
        }
        let mut bytes = claims(EMPTY_ITEMS_MAX as i64);
        bytes.push(0);
        assert_eq!(schema.validate(&bytes).is_ok(), least == 0, "{text}");
    }
    // A claim that was believed would take hours.
    assert!(begin.elapsed() < Duration::from_secs(60));
}

/// Lists of lists of nothing: the limit holds for all of a value together, not for each list.
#[test]
fn empty_items_do_not_multiply() {
    let lists = schema(r#"{"type":"array","items":{"type":"array","items":"null"}}"#);
    let inner = [claims(EMPTY_ITEMS_MAX as i64), vec![0]].concat();
    let bytes = [claims(1_000), inner.repeat(1_000), vec![0]].concat();
    assert!(lists.validate(&bytes).is_err());
    let text = format!("[{}]", vec!["null"; EMPTY_ITEMS_MAX as usize + 1].join(","));
    let list = schema(r#"{"type":"array","items":"null"}"#);
    let error = json::transcode(&list, text.as_bytes(), &mut Vec::new()).expect_err("one too many");
    assert!(error.why.contains("items without content"), "{error}");
    // A record of nothing, doubled at each level.
    let mut text = String::from(r#""null""#);
    for level in 0..20 {
        text = if level == 0 {
            r#"{"type":"record","name":"R0","fields":[{"name":"a","type":"null"},{"name":"b","type":"null"}]}"#.into()
        } else {
            format!(
                r#"{{"type":"record","name":"R{level}","fields":[{{"name":"a","type":{text}}},{{"name":"b","type":"R{}"}}]}}"#,
                level - 1
            )
        };
    }
    assert!(Schema::parse(&text).is_err_and(|error| error.why.contains("nothing but null")));
    let endless = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"R"}]}"#;
    assert!(Schema::parse(endless).is_err());
}

/// On a small stack.
#[test]
fn deep_values_end() {
    std::thread::Builder::new()
        .stack_size(1 << 20)
        .spawn(|| {
            let list = schema(r#"{"type":"record","name":"L","fields":[{"name":"next","type":["null","L"]}]}"#);
            let tree = schema(
                r#"{"type":"record","name":"T","fields":[{"name":"x","type":{"type":"array","items":{"type":"map","values":["null",{"type":"array","items":"T"}]}}}]}"#,
            );
            let json_schema = Schemas::builtin().json().clone();
            for schema in [&*list, &tree, &json_schema] {
                for byte in [2, 10, 12] {
                    let bytes = vec![byte; 100_000];
                    assert!(schema.validate(&bytes).is_err());
                    assert!(json::render(schema, schema.root(), &bytes, &mut String::new()).is_err());
                }
            }
            let deep = [vec![2; 64], vec![0]].concat();
            list.validate(&deep).expect("65 records");
            let resolver = Resolver::new(list.clone(), schema(
                r#"{"type":"record","name":"L","fields":[{"name":"next","type":["L","null"]},{"name":"n","type":"int","default":0}]}"#,
            ))
            .expect("another version");
            resolver.resolve(&deep, &mut Vec::new()).expect("65 records");
            assert!(resolver.resolve(&[2; 100_000], &mut Vec::new()).is_err());
            for open in ["[", "{\"a\":", "[{\"a\":"] {
                let text = open.repeat(100_000);
                assert!(json::dynamic(text.as_bytes(), &mut Vec::new()).is_err());
                assert!(json::check(text.as_bytes()).is_err());
                assert!(json::transcode(&list, text.replace("\"a\"", "\"next\"").as_bytes(), &mut Vec::new()).is_err());
            }
        })
        .expect("a thread")
        .join()
        .expect("no overflow, no panic");
}

/// Cut at every length, every bit flipped: an error or another valid value, and every reader agrees which.
#[test]
fn broken_bytes_of_random_schemas() {
    let mut rng = Rng::with_seed(6);
    let (mut valid_count, mut broken_count) = (0, 0);
    for _ in 0..200 {
        let schema = schema(&generate::schema(&mut rng));
        let mut bytes = Vec::new();
        schema.encode(&generate::tree(&schema, schema.root(), &mut rng, 0), &mut bytes).expect("fits");
        let mut check = |bytes: &[u8]| {
            let valid = schema.validate(bytes).is_ok();
            let rendered = json::render(&schema, schema.root(), bytes, &mut String::new()).is_ok();
            assert_eq!(valid, rendered, "{bytes:02x?} of {}", schema.text());
            let same = Resolver::new(schema.clone(), schema.clone()).expect("the same");
            assert_eq!(valid, same.resolve(bytes, &mut Vec::new()).is_ok());
            for index in 0..schema.fields(schema.root()).len() {
                assert!(schema.open(bytes).field(index).is_ok() || !valid);
            }
            if valid { valid_count += 1 } else { broken_count += 1 }
        };
        for cut in 0..bytes.len().min(300) {
            check(&bytes[..cut]);
        }
        for _ in 0..200.min(bytes.len() * 8) {
            let mut flipped = bytes.clone();
            flipped[rng.usize(..bytes.len())] ^= 1 << rng.u32(..8);
            check(&flipped);
        }
        check(&[&bytes[..], &[0]].concat());
        let noise: Vec<u8> = (0..rng.usize(..64)).map(|_| rng.u8(..)).collect();
        check(&noise);
    }
    assert!(valid_count > 5_000 && broken_count > 5_000, "{valid_count} {broken_count}");
}

#[test]
fn broken_json() {
    let mut rng = Rng::with_seed(7);
    let order = order_placed();
    let whole = br#"{"order_id":"o\u00fc","customer_id":"c","region":"EU","total":120.50,"items":[{"sku":"a","qty":2}],"placed_at":"2026-11-27T09:30:00Z"}"#;
    for _ in 0..20_000 {
        let mut text = whole.to_vec();
        for _ in 0..rng.u32(1..4) {
            let at = rng.usize(..text.len());
            match rng.u32(..3) {
                0 => text[at] = rng.u8(..),
                1 => drop(text.remove(at)),
                _ => text.insert(at, b"{}[]\",:\\u0123eE+-."[rng.usize(..18)]),
            }
        }
        let mut out = Vec::new();
        if json::transcode(&order, &text, &mut out).is_ok() {
            order.validate(&out).expect("what is written is valid");
        }
        let mut out = Vec::new();
        let serde = serde_json::from_slice::<serde_json::Value>(&text);
        match json::dynamic(&text, &mut out) {
            Ok(()) => {
                let schema = Schemas::builtin().json().clone();
                let shown = crate::shown(&schema, &out);
                // serde_json refuses floating-point numbers out of range, which are kept as text here.
                if let Ok(serde) = serde {
                    assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).expect("JSON"), serde);
                }
            }
            // It takes duplicate keys.
            Err(error) => assert!(serde.is_err() || error.why.contains("twice"), "{error}: {}", String::from_utf8_lossy(&text)),
        }
    }
}

#[test]
fn broken_wire() {
    let mut rng = Rng::with_seed(8);
    let mut schemas = Schemas::builtin();
    let command = schemas.command_envelope("payment.Charge").expect("an envelope");
    let reply = schemas.reply_envelope("payment.Charge").expect("an envelope");
    for envelope in [command, reply] {
        for _ in 0..2_000 {
            let mut bytes = Vec::new();
            ringmaster_schemas::wire::put_header(envelope.fingerprint(), &mut bytes);
            generate::bytes(&envelope, envelope.root(), &mut rng, 0, &mut bytes);
            assert!(decode_command(&bytes, &schemas).is_ok() || decode_reply(&bytes, &schemas).is_ok());
            let body = envelope.validate(&bytes[10..]);
            body.expect("a random value is valid");
            let at = rng.usize(..bytes.len());
            bytes[at] ^= 1 << rng.u32(..8);
            let valid = envelope.validate(&bytes[10..]).is_ok() && at >= 10;
            let decoded = decode_command(&bytes, &schemas).is_ok() || decode_reply(&bytes, &schemas).is_ok();
            assert!(valid == decoded || at < 10, "{at} of {bytes:02x?}");
            bytes.truncate(rng.usize(..bytes.len()));
            let _ = (decode_command(&bytes, &schemas), decode_reply(&bytes, &schemas));
        }
    }
}

/// Lists and unions count alike: so many inside one another, and not one more.
#[test]
fn types_nest_so_deep_and_no_deeper() {
    let nested = |depth: u32, by_unions: bool| {
        (0..depth).fold(r#""int""#.to_owned(), |inner, level| match by_unions && level % 2 == 0 {
            true => format!(r#"["null",{inner}]"#),
            false => format!(r#"{{"type":"array","items":{inner}}}"#),
        })
    };
    for by_unions in [false, true] {
        assert!(Schema::parse(&nested(NESTING_MAX, by_unions)).is_ok());
        assert!(Schema::parse(&nested(NESTING_MAX + 1, by_unions)).is_err());
    }
}
