//! Values written by a schema: what fits, what does not, and how errors say it.

use std::sync::Arc;

use ringmaster_schemas::avro::{Tree, Value};
use rust_decimal::Decimal;

use crate::{order_placed, schema, shown};

fn fields<const N: usize>(fields: [(&str, Tree); N]) -> Tree {
    Tree::Record(fields.into_iter().map(|(name, tree)| (Arc::from(name), tree)).collect())
}

fn text(value: &str) -> Tree {
    Tree::Text(value.into())
}

fn decimal(value: &str) -> Tree {
    Tree::Decimal(value.parse().expect("a decimal"))
}

/// The JSON of what was written into a field x of a type, or the error.
fn written(ty: &str, tree: Tree) -> Result<String, String> {
    let schema = schema(&format!(r#"{{"type":"record","name":"A","fields":[{{"name":"x","type":{ty}}}]}}"#));
    let mut out = b"kept".to_vec();
    match schema.encode(&fields([("x", tree)]), &mut out) {
        Ok(()) => {
            schema.validate(&out[4..]).expect("what is written is valid");
            Ok(shown(&schema, &out[4..]).trim_start_matches("{\"x\":").trim_end_matches('}').to_owned())
        }
        Err(error) => {
            assert_eq!(out, b"kept", "an error leaves nothing behind");
            Err(error.to_string())
        }
    }
}

#[test]
fn scalars() {
    let amount = r#"{"type":"bytes","logicalType":"decimal","precision":5,"scale":2}"#;
    let fixed = r#"{"type":"fixed","name":"F","size":2,"logicalType":"decimal","precision":5,"scale":2}"#;
    let millis = r#"{"type":"long","logicalType":"timestamp-millis"}"#;
    let side = r#"{"type":"enum","name":"S","symbols":["L","R"]}"#;
    for (ty, tree, expected) in [
        (r#""int""#, Tree::Int(1 << 31), Err("x: 2147483648 does not fit an int of 32 bits")),
        (r#""int""#, Tree::Int(-(1 << 31)), Ok("-2147483648")),
        (r#""long""#, Tree::Double(1.0), Err("x: a double where an int is wanted")),
        (r#""double""#, Tree::Int(3), Ok("3.0")),
        (r#""double""#, decimal("3"), Err("x: a decimal where a double is wanted")),
        (r#""string""#, Tree::Int(3), Err("x: an int where a string is wanted")),
        (r#""string""#, Tree::Null, Err("x: null where a string is wanted")),
        (amount, decimal("12.5"), Ok(r#""12.50""#)),
        (amount, decimal("12.500"), Ok(r#""12.50""#)),
        (amount, decimal("-999.99"), Ok(r#""-999.99""#)),
        (amount, Tree::Int(7), Ok(r#""7.00""#)),
        (amount, decimal("12.505"), Err("x: 12.505 does not fit decimal(5,2) without losing digits: round it")),
        (amount, Tree::Int(1000), Err("x: 1000 has more digits than decimal(5,2)")),
        (amount, decimal("1000.00"), Err("x: 1000.00 has more digits than decimal(5,2)")),
        (amount, Tree::Int(i64::MAX), Err("x: 9223372036854775807 has more digits than decimal(5,2)")),
        (amount, Tree::Double(1.0), Err("x: a double where a decimal(5,2) is wanted")),
        (fixed, decimal("-327.68"), Ok(r#""-327.68""#)),
        (fixed, decimal("327.68"), Err("x: 327.68 has more digits than decimal(5,2)")),
        (millis, Tree::Timestamp(-1), Ok(r#""1969-12-31T23:59:59.999Z""#)),
        (millis, Tree::Int(1), Err("x: an int where a timestamp is wanted")),
        (side, text("R"), Ok(r#""R""#)),
        (side, text("M"), Err("x: \"M\" is none of L, R")),
        (r#"["null","string"]"#, Tree::Null, Ok("null")),
        (r#"["null","string"]"#, text("a"), Ok(r#""a""#)),
        (r#"["null","string"]"#, Tree::Bool(true), Err("x: a bool where one of null, a string is wanted")),
        (r#"["double","long"]"#, Tree::Int(1), Ok("1")),
        (r#"["null","double"]"#, Tree::Int(1), Ok("1.0")),
        (r#"["int","long"]"#, Tree::Int(1 << 40), Ok("1099511627776")),
        (r#"{"type":"fixed","name":"F","size":2}"#, Tree::Bytes(vec![1]), Err("x: bytes where 2 bytes is wanted")),
        (r#"{"type":"map","values":"int"}"#, fields([("k", text("v"))]), Err("x.k: a string where an int is wanted")),
        (r#"{"type":"array","items":"int"}"#, Tree::List(vec![Tree::Int(1), Tree::Null]), Err("x[1]: null where an int is wanted")),
    ] {
        let result = written(ty, tree.clone());
        assert_eq!(result.as_deref().map_err(|error| &**error), expected, "{tree:?} as {ty}");
    }
}

#[test]
fn records() {
    let order = order_placed();
    let items = |qty: Tree| Tree::List(vec![fields([("sku", text("a")), ("qty", qty)])]);
    let mut out = Vec::new();
    let whole = fields([
        ("items", items(Tree::Int(2))),
        ("order_id", text("o")),
        ("customer_id", text("c")),
        ("region", text("EU")),
        ("total", Tree::Int(12)),
    ]);
    order.encode(&whole, &mut out).expect("fields in any order, others by default");
    assert_eq!(
        shown(&order, &out),
        r#"{"order_id":"o","customer_id":"c","region":"EU","total":"12.00","currency":"EUR","items":[{"sku":"a","qty":2}],"placed_at":null}"#
    );
    for (change, expected) in [
        (("region", Some(Tree::Null)), "region: null where a string is wanted"),
        (("region", None), "region: it is missing and has no default"),
        (("items", Some(items(text("2")))), "items[0].qty: a string where an int is wanted"),
        (("itmes", Some(Tree::Null)), "OrderPlaced has no field itmes"),
    ] {
        let Tree::Record(mut pairs) = whole.clone() else { unreachable!() };
        pairs.retain(|(name, _)| **name != *change.0);
        pairs.extend(change.1.map(|tree| (change.0.into(), tree)));
        let error = order.encode(&Tree::Record(pairs), &mut out).expect_err(expected);
        assert_eq!(error.to_string(), expected);
    }
    let Tree::Record(mut pairs) = whole else { unreachable!() };
    pairs.push(("region".into(), text("US")));
    let error = order.encode(&Tree::Record(pairs), &mut out).expect_err("twice");
    assert_eq!(error.to_string(), "a field of OrderPlaced is given twice");
}

/// What a step's `with: {items: start.items}` does: bytes of one schema into another.
#[test]
fn values_of_other_schemas() {
    let order = order_placed();
    let bytes = crate::avro(
        &order,
        r#"{"order_id":"o","customer_id":"c","region":"EU","total":1,"items":[{"sku":"a","qty":2},{"sku":"b","qty":1}]}"#,
    );
    let items = order.open(&bytes).named("items").expect("valid").expect("there");
    let wide = schema(
        r#"{"type":"array","items":{"type":"record","name":"W","fields":[{"name":"note","type":["null","string"]},{"name":"qty","type":"double"},{"name":"sku","type":"string"}]}}"#,
    );
    let mut out = Vec::new();
    wide.encode(&items, &mut out).expect("by name");
    assert_eq!(shown(&wide, &out), r#"[{"note":null,"qty":2.0,"sku":"a"},{"note":null,"qty":1.0,"sku":"b"}]"#);
    let wrong = schema(r#"{"type":"array","items":{"type":"record","name":"W","fields":[{"name":"sku","type":"int"}]}}"#);
    assert_eq!(wrong.encode(&items, &mut out).expect_err("wrong").to_string(), "[0].sku: a string where an int is wanted");
    let needs = schema(r#"{"type":"array","items":{"type":"record","name":"W","fields":[{"name":"size","type":"int"}]}}"#);
    assert_eq!(needs.encode(&items, &mut out).expect_err("wrong").to_string(), "[0].size: it is missing and has no default");
    // As JSON without a schema, and back.
    let json = ringmaster_schemas::registry::Schemas::builtin().json().clone();
    let mut dynamic = Vec::new();
    json.encode(&Value::Raw(order.open(&bytes)), &mut dynamic).expect("anything is JSON");
    assert!(shown(&json, &dynamic).contains(r#""total":"1.00","currency":"EUR","items":[{"sku":"a","qty":2}"#));
    let items = json.open(&dynamic).named("items").expect("valid").expect("there");
    out.clear();
    wide.encode(&items, &mut out).expect("by name");
    assert!(shown(&wide, &out).starts_with(r#"[{"note":null,"qty":2.0"#));
}

#[test]
fn json_of_any_kind() {
    let json = ringmaster_schemas::registry::Schemas::builtin().json().clone();
    let tree = fields([
        ("n", Tree::Null),
        ("d", Tree::Decimal(Decimal::new(1200, 2))),
        ("f", Tree::Double(1e300)),
        ("t", Tree::Timestamp(0)),
        ("b", Tree::Bytes(vec![255])),
        ("l", Tree::List(vec![Tree::Bool(true), Tree::Int(-1), fields([])])),
    ]);
    let mut out = Vec::new();
    json.encode(&tree, &mut out).expect("anything is JSON");
    json.validate(&out).expect("valid");
    assert_eq!(shown(&json, &out), r#"{"n":null,"d":12.00,"f":1e300,"t":"1970-01-01T00:00:00Z","b":"/w==","l":[true,-1,{}]}"#);
    assert!(json.encode(&Tree::Double(f64::NAN), &mut out).is_err());
}

/// Branches that fit at first sight, inside each other: refused soon, not after 2^30 attempts.
#[test]
fn unions_do_not_multiply() {
    let text = r#"{"type":"record","name":"A","fields":[{"name":"x","type":["null",{"type":"record","name":"B","fields":[{"name":"x","type":["null","A","B"]},{"name":"y","type":"int"}]},"A"]}]}"#;
    let schema = schema(text);
    let mut tree = fields([("x", text_leaf())]);
    for _ in 0..30 {
        tree = fields([("x", tree)]);
    }
    let mut out = Vec::new();
    assert!(schema.encode(&tree, &mut out).is_err());
    let json = format!("{}{}{}", r#"{"x":"#.repeat(30), "7", "}".repeat(30));
    assert!(ringmaster_schemas::json::transcode(&schema, json.as_bytes(), &mut out).is_err());
    assert!(out.is_empty());
}

/// So many branches may be tried in vain, and not one more.
#[test]
fn a_union_tries_sixty_four_branches_more() {
    for (branches, fits) in [(65, true), (66, false)] {
        let other = |n| {
            format!(
                r#"{{"type":"record","name":"R{n}","fields":[{{"name":"x","type":"{}"}}]}}"#,
                if n + 1 < branches { "int" } else { "string" }
            )
        };
        let union = format!("[{}]", (0..branches).map(other).collect::<Vec<_>>().join(","));
        let written = written(&union, fields([("x", text("a"))]));
        assert_eq!(written.is_ok(), fits, "{branches}: {written:?}");
    }
}

fn text_leaf() -> Tree {
    text("neither null nor a record")
}
