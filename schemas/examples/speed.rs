//! How long the hot paths of this crate take: `cargo run --release -p ringmaster-schemas --example speed`.
#![allow(clippy::print_stdout, reason = "a program for people")]

use std::collections::BTreeSet;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use ringmaster_schemas::avro::{Resolver, Tree, Value};
use ringmaster_schemas::json;
use ringmaster_schemas::registry::Schemas;
use ringmaster_schemas::wire::{CommandMeta, Outcome, ReplyMeta, decode_command, decode_reply, put_command_avro, put_reply_avro};

/// Nanoseconds of one run: the best of several rounds.
fn measure(name: &str, mut run: impl FnMut()) {
    const RUNS: u32 = 100_000;
    let best = (0..7)
        .map(|_| {
            let begin = Instant::now();
            (0..RUNS).for_each(|_| run());
            begin.elapsed().as_nanos() / u128::from(RUNS)
        })
        .min();
    println!("{name:<44} {:>6} ns", best.unwrap_or_default());
}

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sagas/schemas");
    let mut schemas = Schemas::load_folder(&folder).expect("the order saga's schemas");
    schemas.command_envelope("payment.Charge").expect("an envelope");
    schemas.reply_envelope("payment.Charge").expect("an envelope");
    let text = br#"{"order_id":"ord-12345","customer_id":"cust-678","region":"EU","total":"120.50","currency":"EUR","items":[{"sku":"sku-1","qty":2},{"sku":"sku-22","qty":1}]}"#;
    let mut event = Vec::new();
    json::transcode(schemas.named("OrderPlaced").expect("known"), text, &mut event).expect("an order");
    println!("event: {} bytes as JSON, {} as Avro", text.len(), event.len());
    events(&schemas, text, &event);
    bodies(&schemas, &event);
    envelopes(&schemas);
}

fn events(schemas: &Schemas, text: &[u8], event: &[u8]) {
    let order = schemas.named("OrderPlaced").expect("known");
    let mut out = Vec::with_capacity(4096);
    measure("event, validate", || order.validate(black_box(event)).expect("valid"));
    measure("event, four fields read", || {
        for path in [0u16, 2, 3, 5] {
            black_box(order.field(black_box(event), &[path]).expect("valid"));
        }
    });
    let kept: BTreeSet<String> = ["order_id", "region", "total", "currency", "items"].map(String::from).into();
    let projection = Resolver::new(order.clone(), order.project(&kept)).expect("a part");
    measure("event, validate and project", || {
        out.clear();
        projection.resolve(black_box(event), &mut out).expect("valid");
    });
    measure("event, JSON in", || {
        out.clear();
        json::transcode(order, black_box(text), &mut out).expect("an order");
    });
    measure("event, JSON in without schema", || {
        out.clear();
        json::dynamic(black_box(text), &mut out).expect("JSON");
    });
    let mut shown = String::with_capacity(4096);
    measure("event, JSON out", || {
        shown.clear();
        json::render(order, order.root(), black_box(event), &mut shown).expect("valid");
    });
}

fn charge_body() -> Tree {
    Tree::Record(vec![
        ("order_id".into(), Tree::Text("ord-12345".into())),
        ("amount".into(), Tree::Decimal("120.50".parse().expect("a decimal"))),
        ("currency".into(), Tree::Text("EUR".into())),
    ])
}

fn bodies(schemas: &Schemas, event: &[u8]) {
    let [order, charge, reserve] =
        ["OrderPlaced", "payment.Charge", "inventory.ReserveStock"].map(|name| schemas.named(name).expect("known"));
    let (mut out, body) = (Vec::with_capacity(4096), charge_body());
    measure("Charge body, encode a tree", || {
        out.clear();
        charge.encode(black_box(&body), &mut out).expect("fits");
    });
    measure("ReserveStock body, field by field", || {
        out.clear();
        let fields = reserve.fields(reserve.root());
        reserve.encode_at(fields[0].ty, &Value::Text("ord-12345"), &mut out).expect("fits");
        let items = order.field(black_box(event), &[5]).expect("valid");
        reserve.encode_at(fields[1].ty, &items, &mut out).expect("fits");
    });
}

fn envelopes(schemas: &Schemas) {
    let [command, reply] =
        ["payment.ChargeCommand", "payment.ChargeReply"].map(|name| schemas.named(name).expect("known").fingerprint());
    let (mut out, mut body) = (Vec::with_capacity(4096), Vec::new());
    schemas.named("payment.Charge").expect("known").encode(&charge_body(), &mut body).expect("fits");
    let meta = CommandMeta {
        command: "payment.Charge".into(),
        idempotency_key: "order-fulfilment/ord-12345/charge_payment/do".into(),
        attempt: 1,
        undoes: None,
        reply_to: "ringmaster.replies".into(),
        reply_partition: 3,
        first_time: 1_795_771_800_250,
        traceparent: None,
    };
    measure("command, write", || {
        out.clear();
        put_command_avro(black_box(&meta), command, &body, &mut out);
    });
    let sent = out.clone();
    measure("command, read", || {
        black_box(decode_command(black_box(&sent), schemas).expect("valid"));
    });
    let answer = ReplyMeta {
        idempotency_key: meta.idempotency_key.clone(),
        attempt: 1,
        outcome: Outcome::Succeeded,
        code: None,
        message: None,
        retryable: false,
    };
    let mut result = Vec::new();
    let charged = schemas.named("payment.ChargeResult").expect("known");
    json::transcode(charged, br#"{"charge_id":"ch-12345"}"#, &mut result).expect("a result");
    measure("reply, write", || {
        out.clear();
        put_reply_avro(black_box(&answer), reply, Some(&result), &mut out);
    });
    let sent = out.clone();
    measure("reply, read", || {
        black_box(decode_reply(black_box(&sent), schemas).expect("valid"));
    });
}
