//! How long guards and bodies take: `cargo run --release -p ringmaster-core --example expressions`.
#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use ringmaster_core::definition::{Budget, Definition, Environment, Settings, compile};
use ringmaster_schemas::avro::Resolver;
use ringmaster_schemas::json::transcode;
use ringmaster_schemas::registry::Schemas;

const EVENT: &str = r#"{"order_id":"ord-1000017","customer_id":"customer-17","region":"EU","total":"120.50","currency":"EUR",
    "items":[{"sku":"sku-1","qty":2},{"sku":"sku-2","qty":1}]}"#;
const CONDITIONS: [&str; 6] = [
    "start.total > 50",
    "start.total > 50 && start.region == 'EU'",
    "start.region == 'EU' || start.region == 'UK'",
    "start.items.exists(i, i.sku == 'sku-2')",
    "sum(start.items.map(i, i.qty)) > 5",
    "now - started > duration('14d')",
];

/// Best of seven runs, in nanoseconds.
fn measure(mut run: impl FnMut()) -> f64 {
    const TURNS: u32 = 100_000;
    let best = (0..7).map(|_| {
        let begin = Instant::now();
        (0..TURNS).for_each(|_| run());
        begin.elapsed().as_nanos() as f64 / f64::from(TURNS)
    });
    best.fold(f64::MAX, f64::min)
}

fn one(text: &str, schemas: &mut Schemas) -> Definition {
    compile("bench.yaml", text, &mut Settings::new(schemas)).unwrap_or_else(|errors| panic!("{}", errors[0])).remove(0)
}

fn kept(definition: &Definition) -> Vec<u8> {
    let (mut event, mut kept) = (Vec::new(), Vec::new());
    transcode(&definition.starts[0].reader, EVENT.as_bytes(), &mut event).expect("the event is valid");
    let resolver =
        Resolver::new(definition.starts[0].reader.clone(), definition.start_kept.clone()).expect("a projection can be read");
    resolver.resolve(&event, &mut kept).expect("the event is valid");
    kept
}

fn main() {
    let sagas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sagas");
    let mut schemas = Schemas::load_folder(&sagas.join("schemas")).expect("the schemas of the order saga");
    let text = std::fs::read_to_string(sagas.join("order-fulfilment.yaml")).expect("the order saga");

    let begin = Instant::now();
    let order = one(&text, &mut schemas);
    println!("{:>8.1} us  compile order-fulfilment (first, with its schemas)", begin.elapsed().as_secs_f64() * 1e6);
    for condition in CONDITIONS {
        let step = format!(
            "{{ step: a, if: \"{condition}\", do: payment.Charge, undo: nothing, with: {{ order_id: key, amount: 1, currency: key }} }}"
        );
        let definition = one(&format!("saga: x\nstart: {{ on: OrderPlaced, from: orders }}\nsteps: [ {step} ]\n"), &mut schemas);
        let (start, budget, nothing) = (kept(&definition), Budget::new(), |_| None);
        let environment = Environment {
            key: "ord-1000017",
            start: &start,
            event: &[],
            results: &nothing,
            item: &|_| None,
            index: 0,
            failure: None,
            round: 1,
            now: 2_000_000,
            started: 1_000,
            budget: &budget,
        };
        let guard = definition.nodes[1].condition.as_ref().expect("it has an if");
        let nanos = measure(|| {
            budget.refill();
            let _ = black_box(guard.truth(black_box(&environment)));
        });
        println!("{nanos:>8.1} ns  {condition}");
    }
    let (start, budget, nothing, mut out) = (kept(&order), Budget::new(), |_| None, Vec::with_capacity(512));
    let environment = Environment {
        key: "ord-1000017",
        start: &start,
        event: &[],
        results: &nothing,
        item: &|_| None,
        index: 0,
        failure: None,
        round: 1,
        now: 2_000_000,
        started: 1_000,
        budget: &budget,
    };
    for step in order.steps() {
        let body = step.asks.call.body.as_ref().expect("a do has a body");
        let nanos = measure(|| {
            budget.refill();
            out.clear();
            body.render(black_box(&environment), &mut out).expect("it can be rendered");
        });
        println!("{nanos:>8.1} ns  body of {} ({} bytes)", step.asks.call.command, out.len());
    }
}
