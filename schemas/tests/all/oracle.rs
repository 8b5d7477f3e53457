//! Random schemas and values: what this crate writes, it reads again by every way that it has, and fastavro reads as the same
//! (`golden/oracle.json`: bytes of this crate, with what fastavro made of them).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use fastrand::Rng;
use ringmaster_schemas::avro::{Kind, Node, NodeId, Schema, Tree, Value};
use ringmaster_schemas::codec::Cursor;
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

use crate::golden::hex;
use crate::{avro, generate, schema, shown};

/// Set to write schemas and bytes anew; `golden/make_oracle_json.py` then adds what fastavro reads.
const REGENERATE: &str = "RINGMASTER_ORACLE";
const GOLDEN: &str = include_str!("../../golden/oracle.json");
const SCHEMAS: usize = 150;
const VALUES: usize = 3;

/// A value as the golden file says it: decimals as text, instants in the schema's unit, bytes and doubles in
/// hexadecimal.
fn plain(schema: &Schema, node: NodeId, value: Value<'_>) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => value.into(),
        Value::Int(value) => value.into(),
        Value::Double(value) => json!({ "double": to_hex(&value.to_be_bytes()) }),
        Value::Decimal(value) => value.to_string().into(),
        Value::Text(value) => value.into(),
        Value::Bytes(value) => json!({ "bytes": to_hex(value) }),
        Value::Date(days) => days.into(),
        Value::Timestamp(micros) => {
            (if *schema.node(schema.unwrap_optional(node)) == Node::Micros { micros } else { micros / 1000 }).into()
        }
        Value::Raw(raw) => match (raw.kind(), raw.schema().node(raw.node())) {
            (Kind::List, Node::Array(item)) => {
                assert_eq!(raw.items().count(), raw.count().expect("validated"));
                raw.items().map(|value| plain(schema, *item, value.expect("validated"))).collect()
            }
            (Kind::Map, Node::Map(item)) => raw
                .entries()
                .map(|entry| entry.expect("validated"))
                .map(|(key, value)| (key.to_owned(), plain(schema, *item, value)))
                .collect(),
            (Kind::Record, Node::Record(fields)) => (0..raw.count().expect("validated"))
                .map(|i| (fields[i].name.to_string(), plain(schema, fields[i].ty, raw.field(i).expect("validated"))))
                .collect(),
            other => panic!("{other:?}"),
        },
    }
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn read(schema: &Schema, bytes: &[u8]) -> Json {
    schema.validate(bytes).unwrap_or_else(|error| panic!("{error}\n{}", schema.text()));
    let mut cursor = Cursor::new(bytes);
    let value = schema.read(schema.root(), &mut cursor).expect("validated");
    assert!(cursor.rest.is_empty());
    plain(schema, schema.root(), value)
}

#[test]
fn what_we_write_fastavro_reads_as_the_same_and_fingerprints_agree() {
    if std::env::var_os(REGENERATE).is_some() {
        return regenerate();
    }
    let cases: Vec<Json> = serde_json::from_str(GOLDEN).expect("JSON");
    let mut value_count = 0;
    for case in &cases {
        let text = case["schema"].as_str().expect("text");
        let ours = schema(text);
        assert_eq!(to_hex(&ours.fingerprint().to_le_bytes()), case["fingerprint"].as_str().expect("text"), "{text}");
        for value in case["values"].as_array().expect("a list") {
            let bytes = hex(value["avro"].as_str().expect("text"));
            assert_eq!(read(&ours, &bytes), value["read"], "{text}");
            check_other_ways(&ours, &bytes);
            value_count += 1;
        }
    }
    assert_eq!((cases.len(), value_count), (SCHEMAS, SCHEMAS * VALUES));
}

fn regenerate() {
    let mut rng = Rng::with_seed(2);
    let cases: Vec<Json> = (0..SCHEMAS)
        .map(|_| {
            let text = generate::schema(&mut rng);
            let ours = schema(&text);
            let mut value = || {
                let mut bytes = Vec::new();
                ours.encode(&generate::tree(&ours, ours.root(), &mut rng, 0), &mut bytes).expect("a random value fits");
                json!({ "avro": to_hex(&bytes) })
            };
            let values: Vec<Json> = (0..VALUES).map(|_| value()).collect();
            json!({ "schema": text, "values": values })
        })
        .collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/oracle.json");
    std::fs::write(path, serde_json::to_string(&cases).expect("JSON")).expect("written");
}

#[test]
fn what_we_write_we_read_by_every_way() {
    let mut rng = Rng::with_seed(1);
    for _ in 0..400 {
        let text = generate::schema(&mut rng);
        let ours = schema(&text);
        // The self-contained text is the same schema.
        let again = schema(ours.text());
        assert_eq!((again.key(), again.fingerprint(), again.text()), (ours.key(), ours.fingerprint(), ours.text()));
        for _ in 0..10 {
            let tree = generate::tree(&ours, ours.root(), &mut rng, 0);
            let mut bytes = Vec::new();
            ours.encode(&tree, &mut bytes).unwrap_or_else(|error| panic!("{error}\n{tree:?}\n{text}"));
            assert_eq!(read(&ours, &bytes), of_tree(&ours, ours.root(), &tree), "{text}");
            check_other_ways(&ours, &bytes);
        }
    }
}

/// What was given, as [`plain`] says it: without the bytes between.
fn of_tree(schema: &Schema, node: NodeId, tree: &Tree) -> Json {
    match (tree, schema.node(schema.unwrap_optional(node))) {
        (Tree::Null, _) => Json::Null,
        (Tree::Bool(value), _) => (*value).into(),
        (Tree::Int(value), _) => (*value).into(),
        (Tree::Double(value), _) => json!({ "double": to_hex(&value.to_be_bytes()) }),
        (Tree::Decimal(value), _) => value.to_string().into(),
        (Tree::Text(value), _) => value.as_str().into(),
        (Tree::Bytes(value), _) => json!({ "bytes": to_hex(value) }),
        (Tree::Date(days), _) => (*days).into(),
        (Tree::Timestamp(micros), Node::Micros) => (*micros).into(),
        (Tree::Timestamp(micros), _) => micros.div_euclid(1000).into(),
        (Tree::List(items), Node::Array(item)) => items.iter().map(|value| of_tree(schema, *item, value)).collect(),
        (Tree::Record(pairs), Node::Map(item)) => {
            pairs.iter().map(|(key, value)| (key.to_string(), of_tree(schema, *item, value))).collect()
        }
        (Tree::Record(pairs), Node::Union(branches)) => {
            let record = branches.iter().find(|branch| matches!(schema.node(**branch), Node::Record(_))).expect("of a record");
            of_record(schema, *record, pairs)
        }
        (Tree::Record(pairs), _) => of_record(schema, schema.unwrap_optional(node), pairs),
        other => panic!("{other:?}"),
    }
}

fn of_record(schema: &Schema, node: NodeId, pairs: &[(std::sync::Arc<str>, Tree)]) -> Json {
    let field = |name: &str| schema.field_named(node, name).expect("a field of it").1.ty;
    pairs.iter().map(|(name, value)| (name.to_string(), of_tree(schema, field(name), value))).collect()
}

/// By way of JSON, and from value to value, the bytes come out the same.
fn check_other_ways(ours: &Schema, bytes: &[u8]) {
    let json = shown(ours, bytes);
    serde_json::from_str::<serde_json::Value>(&json).unwrap_or_else(|error| panic!("{error}\n{json}"));
    assert_eq!(avro(ours, &json), bytes, "{json}\n{}", ours.text());
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
