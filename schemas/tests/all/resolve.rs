//! From one version of a schema to another.

use std::collections::BTreeSet;

use fastrand::Rng;
use ringmaster_schemas::avro::{Resolver, Schema, Value};
use serde_json::{Value as Json, json};

use crate::{avro, generate, order_placed, schema, shown};

fn resolver(writer: &str, reader: &str) -> Result<Resolver, String> {
    Resolver::new(schema(writer), schema(reader)).map_err(|error| error.to_string())
}

fn resolved(writer: &str, reader: &str, json: &str) -> Result<String, String> {
    let resolver = resolver(writer, reader)?;
    let mut out = b"kept".to_vec();
    let result = resolver.resolve(&avro(resolver.writer(), json), &mut out);
    result.map_err(|error| {
        assert_eq!(out, b"kept", "an error leaves nothing behind");
        error.to_string()
    })?;
    resolver.reader().validate(&out[4..]).expect("what is resolved is valid");
    Ok(shown(resolver.reader(), &out[4..]))
}

fn record(fields: &str) -> String {
    format!(r#"{{"type":"record","name":"A","fields":[{fields}]}}"#)
}

#[test]
fn each_kind_of_change() {
    let x = |ty: &str| record(&format!(r#"{{"name":"x","type":{ty}}}"#));
    let e = |name: &str, symbols: &str, more: &str| x(&format!(r#"{{"type":"enum","name":"{name}","symbols":{symbols}{more}}}"#));
    for (writer, reader, json, expected) in [
        (x(r#""int""#), x(r#""long""#), r#"{"x":-5}"#, Ok(r#"{"x":-5}"#)),
        (x(r#""int""#), x(r#""float""#), r#"{"x":-5}"#, Ok(r#"{"x":-5.0}"#)),
        (x(r#""long""#), x(r#""double""#), r#"{"x":5}"#, Ok(r#"{"x":5.0}"#)),
        (x(r#""float""#), x(r#""double""#), r#"{"x":0.5}"#, Ok(r#"{"x":0.5}"#)),
        (x(r#""string""#), x(r#""bytes""#), r#"{"x":"foo"}"#, Ok(r#"{"x":"Zm9v"}"#)),
        (x(r#""bytes""#), x(r#""string""#), r#"{"x":"Zm9v"}"#, Ok(r#"{"x":"foo"}"#)),
        (x(r#""bytes""#), x(r#""string""#), r#"{"x":"/w=="}"#, Err("UTF-8")),
        (x(r#""long""#), x(r#""int""#), r#"{"x":5}"#, Err("field x: an int (long) cannot be read as an int (int)")),
        (x(r#""string""#), x(r#""long""#), r#"{"x":"5"}"#, Err("field x: a string cannot be read as an int")),
        (x(r#""string""#), x(r#"["null","string"]"#), r#"{"x":"a"}"#, Ok(r#"{"x":"a"}"#)),
        (x(r#"["string","null"]"#), x(r#"["null","string"]"#), r#"{"x":null}"#, Ok(r#"{"x":null}"#)),
        (x(r#"["null","string"]"#), x(r#""string""#), r#"{"x":"a"}"#, Ok(r#"{"x":"a"}"#)),
        (x(r#"["null","string"]"#), x(r#""string""#), r#"{"x":null}"#, Err("no place for")),
        (x(r#"["null","int"]"#), x(r#"["null","double"]"#), r#"{"x":3}"#, Ok(r#"{"x":3.0}"#)),
        (e("E", r#"["A","B"]"#, ""), e("E", r#"["B","A"]"#, ""), r#"{"x":"A"}"#, Ok(r#"{"x":"A"}"#)),
        (e("E", r#"["A","B"]"#, ""), e("F", r#"["B"]"#, ""), r#"{"x":"A"}"#, Err("symbol")),
        (e("E", r#"["A","B"]"#, ""), e("E", r#"["Z","B"]"#, r#","default":"Z""#), r#"{"x":"A"}"#, Ok(r#"{"x":"Z"}"#)),
        (
            x(r#"{"type":"array","items":"int"}"#),
            x(r#"{"type":"array","items":"double"}"#),
            r#"{"x":[1,2]}"#,
            Ok(r#"{"x":[1.0,2.0]}"#),
        ),
        (x(r#"{"type":"map","values":"int"}"#), x(r#"{"type":"map","values":"long"}"#), r#"{"x":{"a":1}}"#, Ok(r#"{"x":{"a":1}}"#)),
        (
            x(r#"{"type":"bytes","logicalType":"decimal","precision":5,"scale":2}"#),
            x(r#"{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}"#),
            r#"{"x":"123.45"}"#,
            Ok(r#"{"x":"123.45"}"#),
        ),
        (
            x(r#"{"type":"bytes","logicalType":"decimal","precision":5,"scale":2}"#),
            x(r#"{"type":"bytes","logicalType":"decimal","precision":9,"scale":3}"#),
            r#"{"x":"123.45"}"#,
            Err("field x: a decimal(5,2) cannot be read as a decimal(9,3)"),
        ),
        (x(r#""int""#), record(r#"{"name":"y","type":"int"}"#), r#"{"x":1}"#, Err("field y is missing and has no default")),
        (x(r#""int""#), record(r#"{"name":"y","type":["null","int"]}"#), r#"{"x":1}"#, Ok(r#"{"y":null}"#)),
        (
            x(r#""int""#),
            record(r#"{"name":"y","type":"int","default":4},{"name":"x","type":"int"}"#),
            r#"{"x":1}"#,
            Ok(r#"{"y":4,"x":1}"#),
        ),
    ] {
        let result = resolved(&writer, &reader, json);
        match expected {
            Ok(expected) => assert_eq!(result.as_deref(), Ok(expected), "{writer} -> {reader}"),
            Err(part) => assert!(result.as_ref().is_err_and(|error| error.contains(part)), "{writer} -> {reader}: {result:?}"),
        }
    }
}

/// Branches of one shape are told apart by their names, which may be older ones: the bytes say which branch it is.
#[test]
fn branches_of_unions_by_name() {
    let fixed = |name: &str, more: &str| format!(r#"{{"type":"fixed","name":"{name}","size":1{more}}}"#);
    let union = |branches: &[String]| format!("[{}]", branches.join(","));
    let (a, b) = (fixed("A", ""), fixed("B", ""));
    for (writer, reader, branch) in [
        (union(&[a.clone(), b.clone()]), union(&[b.clone(), a.clone()]), 1),
        (a.clone(), union(&[b.clone(), a.clone()]), 1),
        (a.clone(), union(&[b.clone(), fixed("C", r#","aliases":["A"]"#)]), 1),
        (a.clone(), union(&[b.clone(), fixed("n.C", r#","aliases":["n.B","D"]"#)]), 0),
        (a.clone(), union(&[fixed("C", r#","aliases":["A"]"#), a.clone()]), 1),
        (fixed("n.A", ""), union(&[a.clone(), fixed("n.A", "")]), 1),
        (fixed("m.A", ""), union(&[b.clone(), fixed("n.A", "")]), 1),
        (fixed("m.A", ""), union(&[b.clone(), fixed("n.C", r#","aliases":["A"]"#)]), 1),
        (fixed("m.A", ""), union(&[b.clone(), fixed("n.C", r#","aliases":["m.A"]"#)]), 1),
        (a.clone(), union(&["\"bytes\"".into(), b.clone(), fixed("C", "")]), 1),
    ] {
        let resolver = resolver(&writer, &reader).unwrap_or_else(|error| panic!("{error}\n{writer}\n{reader}"));
        let bytes: &[u8] = if writer.starts_with('[') { &[0, 7] } else { &[7] };
        let mut out = Vec::new();
        resolver.resolve(bytes, &mut out).expect("a value of the writer");
        assert_eq!(out, [branch * 2, 7], "{writer} -> {reader}");
    }
    // A branch of its name that cannot take it does not hide another that can; if none can, it says why.
    let record = |name: &str, fields: &str| format!(r#"{{"type":"record","name":"{name}","fields":[{fields}]}}"#);
    let (one, two) = (r#"{"name":"x","type":"int"}"#, r#"{"name":"x","type":"int"},{"name":"y","type":"int"}"#);
    let reader = union(&[record("A", two), record("B", one)]);
    let mut out = Vec::new();
    resolver(&record("A", one), &reader).expect("a way").resolve(&[2], &mut out).expect("a value of the writer");
    assert_eq!(out, [2, 2]);
    let error = resolver(&record("A", one), &union(&["\"null\"".into(), record("A", two)])).expect_err("y is missing");
    assert!(error.contains("field y is missing and has no default"), "{error}");
}

#[test]
fn records_that_contain_themselves() {
    let writer = r#"{"type":"record","name":"L","fields":[{"name":"a","type":"int"},{"name":"b","type":"string"},{"name":"next","type":["null","L"]}]}"#;
    let reader = r#"{"type":"record","name":"L","fields":[{"name":"next","type":["L","null"]},{"name":"a","type":"long"}]}"#;
    let json = r#"{"a":1,"b":"x","next":{"a":2,"b":"y","next":null}}"#;
    assert_eq!(resolved(writer, reader, json).as_deref(), Ok(r#"{"next":{"next":null,"a":2},"a":1}"#));
    // An impossible field deep inside: an error when compiled, not a loop.
    let wrong = r#"{"type":"record","name":"L","fields":[{"name":"next","type":["L","null"]},{"name":"a","type":"boolean"}]}"#;
    assert!(resolver(writer, wrong).is_err());
}

/// Another version of a schema: fields dropped, renamed, added, shuffled, widened, in every record.
fn version(json: &mut Json, rng: &mut Rng, renamed: &mut bool) {
    match json {
        Json::Array(branches) => {
            branches.iter_mut().for_each(|branch| version(branch, rng, renamed));
            rng.shuffle(branches);
        }
        Json::Object(object) if object.contains_key("logicalType") => {}
        Json::Object(object) => {
            for inner in ["items", "values", "type"] {
                if let Some(inner) = object.get_mut(inner) {
                    version(inner, rng, renamed);
                }
            }
            if let Some(Json::Array(fields)) = object.get_mut("fields") {
                fields.iter_mut().for_each(|field| version(field, rng, renamed));
                if rng.bool() {
                    fields.retain(|_| rng.u8(..) < 200);
                }
                if rng.u8(..) < 60 {
                    for field in fields.iter_mut() {
                        let old = field["name"].take();
                        field["name"] = format!("new_{}", old.as_str().expect("a name")).into();
                        field["aliases"] = json!([format!("unknown_{}", old.as_str().expect("a name")), old]);
                        *renamed = true;
                    }
                }
                if rng.bool() {
                    fields.push(json!({"name": "added", "type": "string", "default": "d"}));
                }
                if rng.bool() {
                    rng.shuffle(fields);
                }
            }
        }
        Json::String(ty) if rng.bool() && ty == "int" => *ty = "long".into(),
        Json::String(ty) if rng.bool() && ty == "float" => *ty = "double".into(),
        _ => {}
    }
}

/// Three ways by name must agree: resolving, encoding a value of the other schema, and JSON out and in.
#[test]
fn random_versions() {
    let mut rng = Rng::with_seed(2);
    let (mut changed_count, mut renamed_count) = (0, 0);
    for _ in 0..600 {
        let text = generate::schema(&mut rng);
        let writer = schema(&text);
        let mut json: Json = serde_json::from_str(&text).expect("JSON");
        let mut renamed = false;
        version(&mut json, &mut rng, &mut renamed);
        renamed_count += usize::from(renamed);
        let reader = schema(&json.to_string());
        let resolver = Resolver::new(writer.clone(), reader.clone()).unwrap_or_else(|error| panic!("{error}\n{text}\n{json}"));
        changed_count += usize::from(writer.key() != reader.key());
        for _ in 0..5 {
            let mut bytes = Vec::new();
            writer.encode(&generate::tree(&writer, writer.root(), &mut rng, 0), &mut bytes).expect("fits");
            let mut out = Vec::new();
            resolver.resolve(&bytes, &mut out).unwrap_or_else(|error| panic!("{error}\n{text}\n{json}"));
            reader.validate(&out).expect("what is resolved is valid");
            let shown = shown(&writer, &bytes);
            assert_eq!(out, avro(&reader, &shown), "{shown}\n{text}\n{json}");
            // Values of other types go by the names of today alone.
            if !renamed {
                let mut encoded = Vec::new();
                if let Err(error) = reader.encode(&Value::Raw(writer.open(&bytes)), &mut encoded) {
                    panic!("{error}\n{text}\n{json}");
                }
                assert_eq!(out, encoded, "{shown}\n{text}\n{json}");
            }
            // Cut short anywhere: an error.
            let cut = rng.usize(..bytes.len().max(1));
            assert!(
                bytes.is_empty() || resolver.resolve(&bytes[..cut], &mut out).is_err() || writer.validate(&bytes[..cut]).is_ok()
            );
        }
    }
    assert!(changed_count > 400 && renamed_count > 100, "{changed_count} {renamed_count}");
}

#[test]
fn projections_keep_what_is_asked_for() {
    let order = order_placed();
    let kept: BTreeSet<String> = ["total", "items", "nothing_like_it"].map(String::from).into();
    let part = order.project(&kept);
    assert_eq!((part.name(), part.fields(part.root()).len()), ("OrderPlaced", 2));
    assert_ne!(part.key(), order.key());
    assert_eq!(Schema::parse(part.text()).expect("self-contained").key(), part.key());
    let all: BTreeSet<String> = order.fields(order.root()).iter().map(|field| field.name.to_string()).collect();
    assert_eq!(order.project(&all).key(), order.key());
    let tree = r#"{"type":"record","name":"Tree","fields":[{"name":"name","type":"string"},{"name":"size","type":"long"},{"name":"below","type":{"type":"map","values":["null","Tree"]}}]}"#;
    let tree = Schema::parse(tree).unwrap();
    let kept = |names: &[&str]| tree.project(&names.iter().map(|name| (*name).to_owned()).collect()).fields(tree.root()).len();
    assert_eq!((kept(&["name"]), kept(&["name", "size"]), kept(&["below"])), (1, 2, 3), "what is below would lose its name");
    assert_eq!(order.project(&BTreeSet::new()).fields(order.root()).len(), 0);

    let bytes = avro(&order, r#"{"order_id":"o","customer_id":"c","region":"EU","total":"12.50","items":[{"sku":"a","qty":2}]}"#);
    let mut out = Vec::new();
    Resolver::new(order.clone(), part.clone()).expect("a part").resolve(&bytes, &mut out).expect("valid");
    assert_eq!(shown(&part, &out), r#"{"total":"12.50","items":[{"sku":"a","qty":2}]}"#);
    // The same schema: checked and copied.
    let mut copy = Vec::new();
    let same = Resolver::new(order.clone(), order.clone()).expect("the same");
    same.resolve(&bytes, &mut copy).expect("valid");
    assert_eq!(copy, bytes);
    let error = same.resolve(&bytes[..bytes.len() - 1], &mut copy).expect_err("cut short");
    assert_eq!((error.why, &*error.field, copy.len()), ("number is not a varint of 64 bits", "placed_at", bytes.len()));
}

/// A way is total if nothing that the writer can say is refused: of two decimals, if the reader's has room for the writer's digits.
#[test]
fn a_way_is_total_where_nothing_can_be_refused() {
    let bytes = |precision: u32| format!(r#"{{"type":"bytes","logicalType":"decimal","precision":{precision},"scale":2}}"#);
    let fixed = |precision: u32| {
        format!(r#"{{"type":"fixed","name":"F","size":8,"logicalType":"decimal","precision":{precision},"scale":2}}"#)
    };
    let symbols = |symbols: &str| format!(r#"{{"type":"enum","name":"E","symbols":{symbols}}}"#);
    for (writer, reader, is_total) in [
        (bytes(5), bytes(9), true),
        (bytes(9), bytes(5), false),
        (fixed(5), fixed(9), true),
        (fixed(9), fixed(5), false),
        (r#""bytes""#.into(), r#""string""#.into(), false),
        (r#""string""#.into(), r#""bytes""#.into(), true),
        (r#""int""#.into(), r#""long""#.into(), true),
        (r#"["null","int"]"#.into(), r#""int""#.into(), false),
        (symbols(r#"["A"]"#), symbols(r#"["A","B"]"#), true),
        (symbols(r#"["A","B"]"#), symbols(r#"["A"]"#), false),
    ] {
        let resolver = resolver(&writer, &reader).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(resolver.is_total(), is_total, "{writer} -> {reader}");
    }
}
