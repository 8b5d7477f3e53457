//! Every kind of bad record, and its defined answer.

use ringmaster_demo::orders::{OrderWriter, key};
use ringmaster_schemas::codec::{put_blob, put_long, put_text};
use ringmaster_schemas::journal::{QuarantineReason, RejectionReason};
use ringmaster_schemas::names::partition_of;
use ringmaster_schemas::registry::Schemas;

use super::line::PARTITIONS;

/// What must become of a record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Answer {
    /// It is in quarantine for this reason, and the detail says this.
    Quarantined(QuarantineReason, &'static str),
    /// A rejection is journaled.
    Rejected(RejectionReason),
    /// It is skipped and counted.
    Skipped,
    /// It is odd, and taken: it starts the saga of its key.
    Taken,
}

/// A bad record. It stands in partition 0.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) topic: &'static str,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Vec<u8>,
    pub(crate) headers: Vec<(&'static str, &'static str)>,
    pub(crate) answer: Answer,
}

use Answer::{Quarantined, Rejected, Skipped, Taken};
use QuarantineReason::{
    ExpressionFailed, KeyInvalid, KeyMissing, NotAReply, TooBig, TooOld, TypeUnknown, Undecodable, UnknownSchema, WrongPartition,
};

/// More than fits into a journal record (512 KiB).
const HUGE: usize = 600 * 1024;

/// The `n`th key that belongs to this partition.
pub(crate) fn key_in(prefix: &str, partition: i32, n: usize) -> String {
    let keys = (0..).map(|number| key(prefix, number * 100)).filter(|key| partition_of(key.as_bytes(), PARTITIONS) == partition);
    keys.into_iter().nth(n).expect("keys are endless")
}

/// An order that will be fulfilled.
pub(crate) fn order(schemas: &Schemas, key: &str) -> Vec<u8> {
    let mut value = Vec::new();
    OrderWriter::new(schemas.named("OrderPlaced").expect("it is known")).put(key, 0, &mut value);
    value
}

fn framed(schemas: &Schemas, name: &str, body: &[u8]) -> Vec<u8> {
    let mut value = vec![0xc3, 0x01];
    value.extend_from_slice(&schemas.named(name).expect("it is known").fingerprint().to_le_bytes());
    value.extend_from_slice(body);
    value
}

fn case(name: &'static str, topic: &'static str, key: &str, value: impl Into<Vec<u8>>, answer: Answer) -> Case {
    Case { name, topic, key: Some(key.as_bytes().to_vec()), value: value.into(), headers: Vec::new(), answer }
}

/// Bad domain events.
pub(crate) fn events(schemas: &Schemas) -> Vec<Case> {
    let home = key_in("bad-", 0, 0);
    let good = order(schemas, &home);
    let json = format!(r#"{{"order_id":"{home}","customer_id":"c","region":"EU","total":"1.00","items":[]"#);
    let mut trailing = good.clone();
    trailing.push(0);
    let mut unknown = good.clone();
    unknown[4] ^= 0xff;
    let mut orders = vec![
        case("neither Avro nor JSON", "orders", &home, *b"\x07\x08 this is nothing", Quarantined(Undecodable, "neither Avro")),
        case("not even a byte", "orders", &home, *b"", Quarantined(Undecodable, "neither Avro")),
        case("cut short", "orders", &home, &good[..good.len() / 2], Quarantined(Undecodable, "")),
        case("only a header", "orders", &home, &good[..7], Quarantined(Undecodable, "")),
        case("bytes left over", "orders", &home, trailing, Quarantined(Undecodable, "")),
        case("a schema that nobody knows", "orders", &home, unknown, Quarantined(UnknownSchema, "fingerprint")),
        case("millions of items in six bytes", "orders", &home, millions(schemas, &home), Quarantined(Undecodable, "")),
        case("JSON that ends early", "orders", &home, format!("{json},"), Quarantined(Undecodable, "")),
        case("JSON with a key twice", "orders", &home, format!(r#"{json},"region":"US"}}"#), Quarantined(Undecodable, "twice")),
        case("JSON with something behind it", "orders", &home, format!("{json}}} x"), Quarantined(Undecodable, "")),
        case("JSON of another type", "orders", &home, json.replace("\"1.00\"", "[1]") + "}", Quarantined(Undecodable, "total")),
        case("JSON without a needed field", "orders", &home, format!(r#"{{"order_id":"{home}"}}"#), Quarantined(Undecodable, "")),
        case("JSON 100,000 deep", "orders", &home, "{\"a\":".repeat(100_000), Quarantined(Undecodable, "")),
        case("a JSON list", "orders", &home, "[1, 2]", Quarantined(Undecodable, "")),
        case("Confluent's wire format", "orders", &home, *b"\0\0\0\0\x07abc", Quarantined(UnknownSchema, "Confluent")),
        case("an event that nobody names", "orders", &home, r#"{"type":"OrderViewed","order_id":"v-1"}"#, Skipped),
        case("an Avro event that nobody names", "orders", &home, framed(schemas, "OrderCancelled", b"\x02a\x02b"), Skipped),
        case("larger than a journal record", "orders", &home, huge_order(&json), Quarantined(TooBig, "bytes; the limit is")),
        case("large and nothing", "orders", &home, vec![7; HUGE], Quarantined(Undecodable, "")),
    ];
    let stray = key_in("bad-", 1, 0);
    orders.push(case(
        "in the wrong partition",
        "orders",
        &stray,
        order(schemas, &stray),
        Quarantined(WrongPartition, "belongs to partition 1"),
    ));
    let long = "k".repeat(201);
    orders.push(case("an empty key", "orders", "", order(schemas, ""), Quarantined(KeyInvalid, "0 bytes")));
    orders.push(case("a key of 201 bytes", "orders", &long, order(schemas, &long), Quarantined(KeyInvalid, "201 bytes")));
    orders.extend(keyless(&home));
    orders.extend(odd(schemas));
    orders.extend(whole_events(&home));
    orders
}

/// Orders that are odd in what nothing reads, or in their headers: each is taken, under a key of its own.
fn odd(schemas: &Schemas) -> Vec<Case> {
    let mut number = 0;
    let mut next = |name, headers: &[(&'static str, &'static str)], make: &dyn Fn(String) -> Vec<u8>| {
        number += 1;
        let key = key_in("odd-", 0, number);
        Case { headers: headers.to_vec(), ..case(name, "orders", &key, make(plain(&key)), Taken) }
    };
    let with = |more: &'static str| move |json: String| json.replacen('{', &format!("{{{more},"), 1).into_bytes();
    let same = |json: String| json.into_bytes();
    let avro = |json: String| {
        let mut value = Vec::new();
        let (_, rest) = json.split_once(r#""order_id":""#).expect("it has a key");
        OrderWriter::new(schemas.named("OrderPlaced").expect("it is known")).put(
            rest.split('"').next().expect("a key"),
            0,
            &mut value,
        );
        value
    };
    let whole = |json: String| {
        format!(r#"{{"specversion":"1.0","id":"1","source":"/shop","type":"OrderPlaced","time":7,"data":{json}}}"#).into_bytes()
    };
    vec![
        next("half a surrogate pair in an unread field", &[], &with(r#""note":"\ud83c""#)),
        next("half a surrogate pair in an unread key", &[], &with(r#""\ud83c":{"a":1,"a":2}"#)),
        next("an unread field given twice", &[], &with(r#""note":1,"note":[{"a":1,"a":"\udc00"}]"#)),
        next("an unread field of another type", &[], &|json| {
            json.replace(r#""customer_id":"c""#, r#""customer_id":[1]"#).into_bytes()
        }),
        next("an empty ce_type", &[("ce_type", "")], &same),
        next("an empty ce_type before Avro", &[("ce_type", "")], &avro),
        next("an empty type field", &[], &with(r#""type":"""#)),
        next("the last of two ce_types", &[("ce_type", "Nothing"), ("ce_type", "OrderPlaced")], &same),
        next("an empty ce_source and ce_id", &[("ce_source", ""), ("ce_id", "")], &same),
        next("a traceparent that is none", &[("traceparent", "00-\"\\-01")], &same),
        next("a ce_id of 100,000 bytes", &[("ce_source", "/shop"), ("ce_id", String::leak("i".repeat(100_000)))], &same),
        next("a whole CloudEvent", &[], &whole),
        next("a whole CloudEvent by its content type", &[("content-type", "application/cloudevents+json; charset=utf-8")], &whole),
    ]
}

/// CloudEvents as a whole that cannot be taken.
fn whole_events(home: &str) -> Vec<Case> {
    let whole = |more: &str| format!(r#"{{"specversion":"1.0","id":"1","source":"/shop",{more}}}"#);
    let typed = r#""type":"OrderPlaced""#;
    let bad = |name, value: String, content: &'static str, answer| {
        let headers = if content.is_empty() { Vec::new() } else { vec![("content-type", content)] };
        Case { headers, ..case(name, "orders", home, value, answer) }
    };
    let json = "application/cloudevents+json";
    vec![
        bad(
            "a CloudEvent in base64",
            whole(&format!(r#"{typed},"data_base64":"AA==""#)),
            "",
            Quarantined(Undecodable, "data_base64"),
        ),
        bad("a CloudEvent without a type", whole(r#""data":{}"#), json, Quarantined(TypeUnknown, "no `type`")),
        bad("a CloudEvent without data", whole(typed), json, Quarantined(Undecodable, "order_id")),
        bad("a CloudEvent of text", whole(&format!(r#"{typed},"data":"x""#)), "", Quarantined(Undecodable, "where a record")),
        bad(
            "a CloudEvent with data twice",
            whole(&format!(r#"{typed},"data":{{}},"data":{{}}"#)),
            "",
            Quarantined(Undecodable, "twice"),
        ),
        bad("no CloudEvent at all", r#"{"order_id":"o"}"#.into(), json, Quarantined(Undecodable, "`specversion`")),
        bad(
            "a batch of CloudEvents",
            format!("[{}]", whole(typed)),
            "application/cloudevents-batch+json",
            Quarantined(Undecodable, "each as a record of its own"),
        ),
        bad("an empty object", "{}".into(), "", Quarantined(Undecodable, "order_id")),
        bad(
            "a type field given twice",
            r#"{"type":"OrderPlaced","type":"OrderPlaced"}"#.into(),
            "",
            Quarantined(Undecodable, "twice"),
        ),
        bad("half a surrogate pair in the type", r#"{"type":"\ud83c"}"#.into(), "", Quarantined(Undecodable, "surrogate")),
        bad(
            "half a surrogate pair in what is read",
            plain(home).replace("EU", "\\ud83c"),
            "",
            Quarantined(Undecodable, "region: half a surrogate pair"),
        ),
        bad(
            "a number of 29 digits for a decimal",
            plain(home).replace("\"1.00\"", "12345678901234567890123456789"),
            "",
            Quarantined(Undecodable, "total"),
        ),
    ]
}

/// A good order as JSON.
fn plain(key: &str) -> String {
    format!(r#"{{"order_id":"{key}","customer_id":"c","region":"EU","total":"1.00","items":[{{"sku":"sku-1","qty":1}}]}}"#)
}

fn keyless(home: &str) -> Vec<Case> {
    let keyed = r#"{"type":"KeyedAsked"}"#;
    let no_key = |name, answer| Case { name, topic: "mixed", key: None, value: keyed.into(), headers: Vec::new(), answer };
    vec![
        no_key("no key where the record's is taken", Quarantined(KeyMissing, "has no key")),
        Case { name: "a key that is not text", key: Some(vec![0xff, 0xfe]), ..no_key("", Quarantined(KeyInvalid, "not UTF-8")) },
        case(
            "an expression that fails",
            "mixed",
            home,
            r#"{"type":"ComputedAsked","parts":0}"#,
            Quarantined(ExpressionFailed, "DIVISION"),
        ),
        case("an expression on what is not there", "mixed", home, r#"{"type":"ComputedAsked"}"#, Quarantined(ExpressionFailed, "")),
        case("nothing tells its type", "mixed", home, r#"{"parts":5}"#, Quarantined(TypeUnknown, "type_field")),
        case("too old", "briefs", home, format!(r#"{{"id":"{home}"}}"#), Quarantined(TooOld, "may have run already")),
    ]
}

/// Bad replies that need no saga.
pub(crate) fn replies(schemas: &Schemas) -> Vec<Case> {
    const REPLIES: &str = "ringmaster.replies";
    let home = key_in("bad-", 0, 0);
    let reply = |idempotency_key: &str| answer(idempotency_key, 1, r#""outcome":"succeeded""#, "null");
    let reply_case = |name, value: Vec<u8>, answer| case(name, REPLIES, &home, value, answer);
    let stranger = reply("order-fulfilment/nobody/ship/do");
    vec![
        reply_case("neither Avro nor JSON", b"\x01\x02".to_vec(), Quarantined(Undecodable, "neither Avro")),
        reply_case("not even a byte", Vec::new(), Quarantined(Undecodable, "neither Avro")),
        reply_case("JSON without meta", br#"{"hello":1}"#.to_vec(), Quarantined(NotAReply, "meta")),
        reply_case(
            "an outcome that is none",
            answer("a/b/c/do", 1, r#""outcome":"perhaps""#, "null"),
            Quarantined(NotAReply, "perhaps"),
        ),
        reply_case("a key that is not ours", reply("hello"), Quarantined(NotAReply, "no idempotency key")),
        reply_case("a huge key that is not ours", reply(&"k".repeat(HUGE)), Quarantined(NotAReply, "kkk")),
        reply_case("an event", order(schemas, &home), Quarantined(NotAReply, "OrderPlaced")),
        reply_case(
            "a schema that nobody knows",
            b"\xc3\x01\x01\x02\x03\x04\x05\x06\x07\x08\x00".to_vec(),
            Quarantined(UnknownSchema, "fingerprint"),
        ),
        reply_case("Confluent's wire format", b"\0\0\0\0\x07abc".to_vec(), Quarantined(Undecodable, "Confluent")),
        reply_case("something behind it", [&stranger[..], b" x"].concat(), Quarantined(Undecodable, "")),
        reply_case("for a saga that nobody knows", stranger, Rejected(RejectionReason::UnknownSaga)),
        reply_case(
            "for a huge saga that nobody knows",
            reply(&format!("{}/x/ship/do", "s".repeat(HUGE))),
            Quarantined(TooBig, "do not fit"),
        ),
    ]
}

/// A reply as a script would write it.
pub(crate) fn answer(idempotency_key: &str, attempt: i32, outcome: &str, body: &str) -> Vec<u8> {
    format!(r#"{{"meta":{{"idempotency_key":"{idempotency_key}","attempt":{attempt},{outcome}}},"body":{body}}}"#).into_bytes()
}

/// An order whose list claims 400 million items.
fn millions(schemas: &Schemas, key: &str) -> Vec<u8> {
    let mut body = Vec::new();
    for text in [key, "customer", "EU"] {
        put_text(&mut body, text);
    }
    put_blob(&mut body, &[1]);
    put_text(&mut body, "EUR");
    put_long(&mut body, 400_000_000);
    framed(schemas, "OrderPlaced", &body)
}

/// A good order but for its size.
fn huge_order(json: &str) -> Vec<u8> {
    let item = format!(r#""items":[{{"sku":"{}","qty":1}}]"#, "x".repeat(HUGE));
    (json.replace(r#""items":[]"#, &item) + "}").into_bytes()
}
