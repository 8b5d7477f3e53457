//! Random schemas and values: what this crate writes, `serde_avro_fast` reads as the same value, and the other way round.

use std::collections::BTreeMap;
use std::fmt;

use fastrand::Rng;
use ringmaster_schemas::avro::{Kind, Node, NodeId, Schema, Tree, Value};
use ringmaster_schemas::codec::Cursor;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::{avro, generate, schema, shown};

/// What both readers agree on: decimals as text, instants in the schema's unit.
#[derive(Debug, Clone, PartialEq)]
enum Plain {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Plain>),
    Pairs(Vec<(String, Plain)>),
}

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PlainVisitor)
    }
}

struct PlainVisitor;

impl<'de> Visitor<'de> for PlainVisitor {
    type Value = Plain;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }
    fn visit_unit<E: de::Error>(self) -> Result<Plain, E> {
        Ok(Plain::Null)
    }
    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Plain, E> {
        Ok(Plain::Bool(value))
    }
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Plain, E> {
        Ok(Plain::Int(value))
    }
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Plain, E> {
        Ok(Plain::Double(value))
    }
    fn visit_str<E: de::Error>(self, value: &str) -> Result<Plain, E> {
        Ok(Plain::Text(value.into()))
    }
    fn visit_bytes<E: de::Error>(self, value: &[u8]) -> Result<Plain, E> {
        Ok(Plain::Bytes(value.into()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Plain, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Plain::List(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Plain, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Plain::Pairs(pairs))
    }
}

/// The same by this crate's reader.
fn plain(schema: &Schema, node: NodeId, value: Value<'_>) -> Plain {
    match value {
        Value::Null => Plain::Null,
        Value::Bool(value) => Plain::Bool(value),
        Value::Int(value) => Plain::Int(value),
        Value::Double(value) => Plain::Double(value),
        Value::Decimal(value) => Plain::Text(value.to_string()),
        Value::Text(value) => Plain::Text(value.into()),
        Value::Bytes(value) => Plain::Bytes(value.into()),
        Value::Date(days) => Plain::Int(days.into()),
        Value::Timestamp(micros) => {
            Plain::Int(if *schema.node(schema.unwrap_optional(node)) == Node::Micros { micros } else { micros / 1000 })
        }
        Value::Raw(raw) => match (raw.kind(), raw.schema().node(raw.node())) {
            (Kind::List, Node::Array(item)) => {
                assert_eq!(raw.items().count(), raw.count().expect("validated"));
                Plain::List(raw.items().map(|value| plain(schema, *item, value.expect("validated"))).collect())
            }
            (Kind::Map, Node::Map(item)) => Plain::Pairs(
                raw.entries()
                    .map(|entry| entry.expect("validated"))
                    .map(|(key, value)| (key.into(), plain(schema, *item, value)))
                    .collect(),
            ),
            (Kind::Record, Node::Record(fields)) => Plain::Pairs(
                (0..raw.count().expect("validated"))
                    .map(|i| (fields[i].name.to_string(), plain(schema, fields[i].ty, raw.field(i).expect("validated"))))
                    .collect(),
            ),
            other => panic!("{other:?}"),
        },
    }
}

#[test]
fn what_we_write_others_read_as_the_same_and_fingerprints_agree() {
    let mut rng = Rng::with_seed(1);
    let mut value_count = 0;
    for _ in 0..400 {
        let text = generate::schema(&mut rng);
        let ours = schema(&text);
        let theirs: serde_avro_fast::Schema = text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(ours.fingerprint().to_le_bytes(), *theirs.rabin_fingerprint(), "{text}");
        // The self-contained text is the same schema.
        let again = schema(ours.text());
        assert_eq!((again.key(), again.fingerprint(), again.text()), (ours.key(), ours.fingerprint(), ours.text()));
        for _ in 0..10 {
            let tree = generate::tree(&ours, ours.root(), &mut rng, 0);
            let mut bytes = Vec::new();
            ours.encode(&tree, &mut bytes).unwrap_or_else(|error| panic!("{error}\n{tree:?}\n{text}"));
            ours.validate(&bytes).unwrap_or_else(|error| panic!("{error}\n{tree:?}\n{text}"));
            let read: Plain =
                serde_avro_fast::from_datum_slice(&bytes, &theirs).unwrap_or_else(|error| panic!("{error}\n{tree:?}\n{text}"));
            let mut cursor = Cursor::new(&bytes);
            let value = ours.read(ours.root(), &mut cursor).expect("validated");
            assert!(cursor.rest.is_empty());
            assert_eq!(plain(&ours, ours.root(), value), read, "{text}");
            check_other_ways(&ours, &tree, &bytes);
            value_count += 1;
        }
    }
    assert_eq!(value_count, 4_000);
}

/// By way of JSON, and from value to value, the bytes come out the same.
fn check_other_ways(ours: &Schema, tree: &Tree, bytes: &[u8]) {
    let json = shown(ours, bytes);
    serde_json::from_str::<serde_json::Value>(&json).unwrap_or_else(|error| panic!("{error}\n{json}"));
    assert_eq!(avro(ours, &json), bytes, "{json}\n{tree:?}\n{}", ours.text());
    // Fields in another order, and foreign ones.
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(&json).expect("an object");
    let members: Vec<_> = members.iter().rev().map(|(key, value)| format!("\"{key}\": {value}")).collect();
    let shuffled = format!("{{ \"foreign\": {{\"a\":[1,{{}}]}}, {} }}", members.join(" , "));
    assert_eq!(avro(ours, &shuffled), bytes);
    let mut copy = Vec::new();
    ours.encode(&Value::Raw(ours.open(bytes)), &mut copy).expect("a value of the same schema");
    assert_eq!(copy, bytes);
    for (index, field) in ours.fields(ours.root()).iter().enumerate() {
        let value = ours.field(bytes, &[index as u16]).expect("validated");
        assert_eq!(Some(value), ours.open(bytes).named(&field.name).expect("validated"), "{}", field.name);
        let mut part = Vec::new();
        ours.encode_at(field.ty, &value, &mut part).unwrap_or_else(|error| panic!("{error}: {value:?}"));
    }
}

#[test]
fn what_others_write_we_read() {
    // Arrays in blocks with their sizes in bytes, as writers may choose.
    let list = schema(r#"{"type":"array","items":"long"}"#);
    let bytes = [3, 4, 2, 4, 1, 2, 6, 0];
    list.validate(&bytes).expect("blocks with sizes");
    assert_eq!(shown(&list, &bytes), "[1,2,3]");
    assert_eq!(list.open(&bytes).count(), Ok(3));
    let map = schema(r#"{"type":"map","values":"boolean"}"#);
    let bytes = [1, 6, 2, b'a', 1, 2, 2, b'b', 0, 0];
    map.validate(&bytes).expect("blocks with sizes");
    assert_eq!(shown(&map, &bytes), r#"{"a":true,"b":false}"#);
}
