//! JSON in and out.

use ringmaster_schemas::avro::EMPTY_ITEMS_MAX;
use ringmaster_schemas::json::{self, DEPTH_MAX, JsonError};
use ringmaster_schemas::registry::Schemas;

use crate::{avro, order_placed, schema, shown};

/// The JSON of what came in as a field x of a type, or the error.
fn through(ty: &str, value: &str) -> Result<String, String> {
    let schema = schema(&format!(r#"{{"type":"record","name":"A","fields":[{{"name":"x","type":{ty}}}]}}"#));
    let mut out = b"kept".to_vec();
    match json::transcode(&schema, format!(r#"{{"x":{value}}}"#).as_bytes(), &mut out) {
        Ok(()) => {
            schema.validate(&out[4..]).expect("what is written is valid");
            Ok(shown(&schema, &out[4..]).trim_start_matches("{\"x\":").strip_suffix('}').expect("an object").to_owned())
        }
        Err(error) => {
            assert_eq!(out, b"kept", "an error leaves nothing behind");
            Err(error.to_string())
        }
    }
}

#[test]
fn each_type() {
    let amount = r#"{"type":"bytes","logicalType":"decimal","precision":28,"scale":2}"#;
    let millis = r#"{"type":"long","logicalType":"timestamp-millis"}"#;
    let micros = r#"{"type":"long","logicalType":"timestamp-micros"}"#;
    let nanos = r#"{"type":"long","logicalType":"timestamp-nanos"}"#;
    let date = r#"{"type":"int","logicalType":"date"}"#;
    for (ty, value, expected) in [
        (nanos, r#""2030-01-31T12:00:00.000999Z""#, Ok(r#""2030-01-31T12:00:00.000999Z""#)),
        (nanos, r#""1969-12-31T23:59:59.999999Z""#, Ok(r#""1969-12-31T23:59:59.999999Z""#)),
        (amount, r#""120.50""#, Ok(r#""120.50""#)),
        (amount, "120.5", Ok(r#""120.50""#)),
        (amount, "0.1", Ok(r#""0.10""#)),
        (amount, "1.2e3", Ok(r#""1200.00""#)),
        (amount, "-7", Ok(r#""-7.00""#)),
        (amount, "99999999999999999999999999.99", Ok(r#""99999999999999999999999999.99""#)),
        (amount, "100000000000000000000000000.00", Err("without losing digits")),
        (amount, "0.001", Err("x: 0.001 is not a decimal(28,2) without losing digits (byte 5)")),
        (amount, r#""12,50""#, Err("without losing digits")),
        (amount, r#"" 12""#, Err("without losing digits")),
        (amount, "1e999999999999", Err("without losing digits")),
        (amount, "true", Err("x: a bool where a decimal(28,2) is wanted")),
        (r#""long""#, "9223372036854775807", Ok("9223372036854775807")),
        (r#""long""#, "9223372036854775808", Err("not an integer of 64 bits")),
        (r#""long""#, "1.0", Ok("1")),
        (r#""long""#, "1e3", Ok("1000")),
        (r#""long""#, "1.5", Err("not an integer")),
        (r#""long""#, r#""1""#, Err(r#"x: "1" where an int is wanted"#)),
        (r#""int""#, "2147483648", Err("does not fit an int")),
        (r#""double""#, "1e400", Err("too large")),
        (r#""double""#, "0.1", Ok("0.1")),
        (r#""double""#, r#""NaN""#, Ok(r#""NaN""#)),
        (r#""float""#, "1e39", Err("too large")),
        (r#""string""#, r#""\u00fc\ud83c\udfaa\n\/\"""#, Ok("\"ü🎪\\n/\\\"\"")),
        (r#""string""#, r#""\ud83c""#, Err("surrogate")),
        (r#""string""#, r#""\x""#, Err("escape")),
        (r#""string""#, "null", Err("x: null where a string is wanted")),
        (r#""bytes""#, r#""AP8=""#, Ok(r#""AP8=""#)),
        (r#""bytes""#, r#""AP8!""#, Err("where bytes is wanted")),
        (r#""boolean""#, "tru", Err("not a JSON value")),
        (millis, r#""2026-11-27T10:30:00.25+01:00""#, Ok(r#""2026-11-27T09:30:00.250Z""#)),
        (millis, "1795771800250", Ok(r#""2026-11-27T09:30:00.250Z""#)),
        (micros, "1795771800250", Ok(r#""2026-11-27T09:30:00.250Z""#)),
        (millis, r#""yesterday""#, Err(r#"x: "yesterday" where a timestamp is wanted"#)),
        (millis, "9223372036854775807", Err("out of a timestamp's range")),
        (date, r#""2026-11-27""#, Ok(r#""2026-11-27""#)),
        (date, "20784", Ok(r#""2026-11-27""#)),
        (r#"["null","long","string"]"#, r#""a""#, Ok(r#""a""#)),
        (r#"["null","long","string"]"#, "true", Err("x: a bool where null or an int or a string is wanted")),
        (r#"{"type":"map","values":"int"}"#, r#"{"a":1,"a":2}"#, Err(r#"x: key "a" is given twice"#)),
        (r#"{"type":"map","values":"int"}"#, r#"{"a":1,"\u0061":2}"#, Err(r#"x: key "a" is given twice"#)),
        (r#"{"type":"array","items":"int"}"#, "[1,2,]", Err("x[2]: ")),
        (r#"{"type":"array","items":"int"}"#, "[1 2]", Err("`,` or the end is wanted here")),
        (r#"{"type":"array","items":{"type":"map","values":"int"}}"#, r#"[{},{"k":"v"}]"#, Err("x[1].k: ")),
    ] {
        let result = through(ty, value);
        match expected {
            Ok(expected) => assert_eq!(result.as_deref(), Ok(expected), "{value} as {ty}"),
            Err(part) => assert!(result.as_ref().is_err_and(|error| error.contains(part)), "{value} as {ty}: {result:?}"),
        }
    }
}

#[test]
fn records() {
    let order = order_placed();
    let whole = r#" { "items" : [ {"qty":2,"sku":"a"} ], "order_id":"o", "note": {"any": [1, {"thing": null}]}, "total": 120.5,
        "customer_id":"c", "currency": null, "region":"EU" } "#;
    assert_eq!(
        shown(&order, &avro(&order, whole)),
        r#"{"order_id":"o","customer_id":"c","region":"EU","total":"120.50","currency":"EUR","items":[{"sku":"a","qty":2}],"placed_at":null}"#
    );
    for (json, part) in [
        (r#"{"order_id":"o"}"#.to_owned(), "customer_id: it is missing and has no default"),
        (whole.replace("\"sku\":\"a\"", "\"sku\":7"), "items[0].sku: a number where a string is wanted"),
        (whole.replace("\"note\"", "\"order_id\""), "key \"order_id\" is given twice"),
        (whole.replace("\"any\"", "\"a\\x\""), "an escape that JSON does not have"),
        (whole.replace("\"any\"", "\"a\\u12g4\""), "hexadecimal digits"),
        (whole.replace("null}]", "nul}]"), "not a JSON value"),
        (whole.replace("\"EU\"", "\"\\ud83c\""), "half a surrogate pair"),
        (format!("{whole} x"), "something follows"),
        (format!("{whole}{whole}"), "something follows"),
        (whole.trim().trim_end_matches('}').to_owned(), "cut short"),
        (whole.replace("\"EU\"", "\"E\u{1}U\""), "control character"),
        (String::new(), "cut short"),
        ("[]".into(), "a list where a record OrderPlaced is wanted"),
        ("null".into(), "null where a record OrderPlaced is wanted"),
    ] {
        let mut out = Vec::new();
        let error = json::transcode(&order, json.as_bytes(), &mut out).expect_err(part);
        assert!(error.to_string().contains(part), "{json}: {error}");
    }
    let error = json::transcode(&order, b"{\"order_id\":\"\xff\"}", &mut Vec::new()).expect_err("not UTF-8");
    assert_eq!((&*error.why, error.offset), ("not UTF-8", 13));
}

/// One rule at every depth: what is not read does not matter, what is read is exact.
#[test]
fn what_is_not_read_does_not_matter() {
    let order = order_placed();
    let plain = r#"{"order_id":"o","customer_id":"c","region":"EU","total":"1","items":[{"sku":"a","qty":2}]}"#;
    let bytes = avro(&order, plain);
    for odd in [
        r#""\ud83c""#,
        r#""\udc00\ud800""#,
        r#"{"a":1,"a":2}"#,
        r#"{"\ud800":"\ud800","b":[{"c":1,"c":1}]}"#,
        "1e999",
        r#"[[[{"x":"\uDEAD"}]]]"#,
    ] {
        for (place, text) in [
            ("behind all", plain.replace("]}", &format!(r#"],"note":{odd}}}"#))),
            ("before all", plain.replacen('{', &format!(r#"{{"note":{odd},"#), 1)),
            ("twice", plain.replacen('{', &format!(r#"{{"note":{odd},"note":{odd},"#), 1)),
            ("in an item", plain.replace(r#""qty":2"#, &format!(r#""qty":2,"note":{odd},"note":0"#))),
            ("under a key that is no text", plain.replacen('{', &format!(r#"{{"\ud83c":{odd},"#), 1)),
        ] {
            assert_eq!(avro(&order, &text), bytes, "{place}: {text}");
        }
        json::check(odd.as_bytes()).expect("well-formed");
    }
    // What has no schema is kept, so it is read.
    for (odd, part) in [(r#"{"a":"\ud83c"}"#, "surrogate"), (r#"{"a":1,"a":2}"#, "twice"), (r#"{"\ud83c":1}"#, "surrogate")] {
        let error = json::dynamic(odd.as_bytes(), &mut Vec::new()).expect_err(odd);
        assert!(error.why.contains(part), "{odd}: {error}");
    }
}

/// A producer that does not know the new name yet, and one that writes both.
#[test]
fn fields_by_their_aliases() {
    let reader = schema(
        r#"{"type":"record","name":"A","fields":[{"name":"y","type":"string","aliases":["x","w"],"default":"none"},{"name":"n","type":"int","default":0}]}"#,
    );
    for (json, expected) in [
        (r#"{"x":"EU"}"#, r#"{"y":"EU","n":0}"#),
        (r#"{"n":1,"w":"EU"}"#, r#"{"y":"EU","n":1}"#),
        (r#"{"x":"old","n":1,"y":"new"}"#, r#"{"y":"new","n":1}"#),
        (r#"{"y":"new","x":7,"n":1}"#, r#"{"y":"new","n":1}"#),
        (r#"{"x":"old","y":"new"}"#, r#"{"y":"new","n":0}"#),
        (r#"{"X":"EU"}"#, r#"{"y":"none","n":0}"#),
    ] {
        assert_eq!(shown(&reader, &avro(&reader, json)), expected, "{json}");
    }
    for twice in [r#"{"x":"a","w":"b"}"#, r#"{"x":"a","x":"a"}"#, r#"{"y":"a","x":"b","y":"a"}"#] {
        let error = json::transcode(&reader, twice.as_bytes(), &mut Vec::new()).expect_err(twice);
        assert!(error.why.contains("twice"), "{twice}: {error}");
    }
}

#[test]
fn decimals_have_at_most_28_digits() {
    use ringmaster_schemas::avro::Value;
    let json_schema = Schemas::builtin().json().clone();
    for (number, fits) in [
        ("9999999999999999999999999999", true),
        ("-9999999999999999999999999999", true),
        ("0.9999999999999999999999999999", true),
        ("10000000000000000000000000000", false),
        ("12345678901234567890123456789", false),
        ("1.2345678901234567890123456789", false),
        ("-79228162514264337593543950335", false),
        ("1e27", true),
        ("1e28", false),
        ("12345678901234567890123456789e-1", false),
    ] {
        let bytes = avro(&json_schema, &format!(r#"{{"x":{number}}}"#));
        let value = json_schema.open(&bytes).named("x");
        assert_eq!(matches!(value, Ok(Some(Value::Decimal(_)))), fits, "{number}: {value:?}");
        assert!(fits || value.is_err(), "{number}: {value:?}");
    }
}

#[test]
fn many_keys_and_items() {
    let map = schema(r#"{"type":"map","values":"int"}"#);
    let keys = |range: std::ops::Range<u32>| range.map(|i| format!("\"k{i}\":{i}")).collect::<Vec<_>>().join(",");
    let bytes = avro(&map, &format!("{{{}}}", keys(0..1000)));
    assert_eq!(map.open(&bytes).count(), Ok(1000));
    let twice = format!("{{{},{}}}", keys(0..1000), keys(500..501));
    assert!(json::transcode(&map, twice.as_bytes(), &mut Vec::new()).is_err_and(|error| error.why.contains("\"k500\"")));
    // One more than a count of one byte holds, also one inside the other.
    let lists = schema(r#"{"type":"array","items":{"type":"array","items":"int"}}"#);
    for count in [0, 1, 63, 64, 65, 8191, 8192] {
        let inner = format!("[{}]", vec!["1"; count].join(","));
        let outer = format!("[{inner},{inner}]");
        assert_eq!(shown(&lists, &avro(&lists, &outer)), outer);
    }
}

/// Items without a schema have content, each of a byte at least: their number has no limit of its own.
#[test]
fn lists_without_a_schema_may_be_long() {
    let text = format!("[{}]", vec!["null"; EMPTY_ITEMS_MAX as usize + 1].join(","));
    let json_schema = Schemas::builtin().json().clone();
    assert_eq!(shown(&json_schema, &avro(&json_schema, &text)), text);
}

#[test]
fn without_a_schema_it_comes_back_as_it_came() {
    let json_schema = Schemas::builtin().json().clone();
    for text in [
        r#"{"b":1,"a":[true,false,null,"ü\n",-5,{}],"":{"x":[]}}"#,
        "12345678901234567890.12345678901234567890e+10",
        "1.50",
        "-0",
        "0.0",
        "1e400",
        "9223372036854775807",
        "9223372036854775808",
        "\"\"",
        "[[[[]]]]",
        "null",
    ] {
        let mut out = Vec::new();
        json::dynamic(text.as_bytes(), &mut out).unwrap_or_else(|error| panic!("{error}"));
        json_schema.validate(&out).expect("valid");
        assert_eq!(shown(&json_schema, &out), text);
        assert_eq!(avro(&json_schema, text), out, "transcoding by the schema is the same");
    }
    for bad in ["", "{", "[1", "{\"a\" 1}", "{a:1}", "01", "1.", "nul", "'a'", "[1]]", "{\"a\":1,\"a\":2}", "\u{feff}{}", "NaN"] {
        assert!(json::dynamic(bad.as_bytes(), &mut Vec::new()).is_err(), "{bad}");
        assert!(!bad.starts_with("{\"a\":1,") && json::check(bad.as_bytes()).is_err() || bad.starts_with("{\"a\":1,"), "{bad}");
    }
    let nested = |depth: u32| format!("{}{}", "[".repeat(depth as usize), "]".repeat(depth as usize));
    let mut out = Vec::new();
    json::dynamic(nested(DEPTH_MAX).replace("[]", "[1]").as_bytes(), &mut out).expect("as deep as it may be");
    json_schema.validate(&out).expect("valid");
    assert_eq!(shown(&json_schema, &out).len(), 2 * DEPTH_MAX as usize + 1);
    assert!(json::dynamic(nested(DEPTH_MAX + 1).as_bytes(), &mut out).is_err());
    assert!(json::check("[".repeat(1_000_000).as_bytes()).is_err());
}

#[test]
fn values_of_unknown_json_are_read() {
    use ringmaster_schemas::avro::Value;
    let json_schema = Schemas::builtin().json().clone();
    let bytes = avro(&json_schema, r#"{"id":"o-1","qty":3,"price":19.90,"big":1e2,"huge":1e400,"tags":["a","b"],"none":null}"#);
    let event = json_schema.open(&bytes);
    let field = |name: &str| event.named(name).map(|value| value.expect("there"));
    assert_eq!(field("id"), Ok(Value::Text("o-1")));
    assert_eq!(field("qty"), Ok(Value::Int(3)));
    assert_eq!(field("price").map(|value| format!("{value:?}")), Ok("Decimal(19.90)".into()));
    assert_eq!(field("big").map(|value| format!("{value:?}")), Ok("Decimal(100)".into()));
    assert!(field("huge").is_err(), "more digits than a decimal has: the expression that reads it fails, the record does not");
    assert_eq!(field("none"), Ok(Value::Null));
    assert_eq!(event.named("missing"), Ok(None));
    let Ok(Value::Raw(tags)) = field("tags") else { panic!() };
    assert_eq!(tags.items().collect::<Result<Vec<_>, _>>(), Ok(vec![Value::Text("a"), Value::Text("b")]));
    assert_eq!((tags.count(), event.count()), (Ok(2), Ok(7)));
    assert_eq!(event.entries().map(|entry| entry.map(|(key, _)| key)).next(), Some(Ok("id")));
    assert_eq!(format!("{tags:?}"), r#"["a","b"]"#);
}

#[test]
fn secrets_are_masked_for_people_only() {
    let card = schema(
        r#"{"type":"record","name":"Card","fields":[{"name":"number","type":"string","secret":true},{"name":"kind","type":"string"}]}"#,
    );
    let bytes = avro(&card, r#"{"number":"4111","kind":"visa"}"#);
    let mut out = String::new();
    json::render_masked(&card, card.root(), &bytes, &mut out).expect("valid");
    assert_eq!(out, r#"{"number":"***","kind":"visa"}"#);
    assert_eq!(shown(&card, &bytes), r#"{"number":"4111","kind":"visa"}"#);
    assert!(!format!("{:?}", card.open(&bytes)).contains("4111"));
}

#[test]
fn members_are_looked_for() {
    for (text, expected) in [
        (r#"{"a":{"type":"no"},"type":"OrderPlaced","rest":"\ud800"}"#, Ok(Some("OrderPlaced"))),
        (r#"{"\u0074ype":"Order\u0050laced"}"#, Ok(Some("OrderPlaced"))),
        (r#"{"a":1,"a":1,"\ud800":1,"type":"A"}"#, Ok(Some("A"))),
        (r#" {"type":7}"#, Ok(None)),
        ("{}", Ok(None)),
        ("[]", Ok(None)),
        (r#"{"type":"A","rest":"#, Err(())),
        (r#"{"type":"A"} x"#, Err(())),
        (r#"{"type":"A","type":"A"}"#, Err(())),
        (r#"{"type":"A","type":7}"#, Err(())),
        (r#"{"type":"\ud800"}"#, Err(())),
    ] {
        let look = || match json::members(text.as_bytes(), ["type", "other"])? {
            [Some(found), _] => found.string(),
            _ => Ok(None),
        };
        let result: Result<_, JsonError> = look();
        assert_eq!(result.as_ref().map(|text| text.as_deref()).map_err(|_| ()), expected, "{text}");
    }
    assert!(json::members(b"{\"a\":", ["type"]).is_err());
}

/// Null is as good as missing only where the type has no null of its own.
#[test]
fn null_for_a_default() {
    for (field, value) in [
        (r#"{"name":"x","type":["string","int"],"default":"d"}"#, r#"{"x":"d"}"#),
        (r#"{"name":"x","type":"string","default":"d"}"#, r#"{"x":"d"}"#),
        (r#"{"name":"x","type":["string","null"],"default":"d"}"#, r#"{"x":null}"#),
    ] {
        let schema = schema(&format!(r#"{{"type":"record","name":"A","fields":[{field}]}}"#));
        assert_eq!(shown(&schema, &avro(&schema, r#"{"x":null}"#)), value, "{field}");
    }
}
