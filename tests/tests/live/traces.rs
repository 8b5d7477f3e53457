//! Traces over a kill -9, a takeover and a collector that is away: each span once, none missing, each under one that is there.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::trace::v1::Span;
use ringmaster_core::partition::{Fence, Verdict};
use ringmaster_schemas::journal::{Change, JournalRecord, Opens, SagaEvent};
use ringmaster_schemas::names::hex;
use ringmaster_schemas::wire;
use ringmaster_tests::live::{Collector, Coordinator, PARTITIONS, World, attribute, say, until};

use super::takeover::wait_shared;

/// What there must be of a saga: what the journal says of it, counted here, by kind.
type Counts = BTreeMap<&'static str, usize>;

/// By saga, of what counts.
fn in_the_journal(world: &World) -> BTreeMap<String, Counts> {
    let (mut sagas, mut reached) = (BTreeMap::<String, Counts>::new(), BTreeSet::new());
    for partition in 0..PARTITIONS {
        let mut fence = Fence::default();
        for (offset, value) in (0..).zip(world.values(&world.topics().journal, partition)) {
            let record = JournalRecord::decode(&value).expect("a record of the journal");
            let (true, JournalRecord::Decision(decision)) = (fence.judge(offset, &record) == Verdict::Counts, record) else {
                continue;
            };
            for change in decision.turns.into_iter().flat_map(|turn| turn.changes) {
                let Change::Saga(change) = change else { continue };
                let counts = sagas.entry(change.saga.to_string()).or_default();
                for event in &change.events {
                    // What was parked before it was asked is there already.
                    let place = match event {
                        SagaEvent::Entered { place, .. } | SagaEvent::CommandIssued { place, .. } => Some(*place),
                        _ => None,
                    };
                    let is_new = place.is_some_and(|place| reached.insert((change.saga.clone(), place)));
                    let kinds = kinds(event).iter().chain(is_new.then_some(&"step"));
                    kinds.for_each(|kind| *counts.entry(*kind).or_default() += 1);
                }
            }
        }
    }
    sagas
}

/// What an event makes a span of, here or when it has ended: all have. Steps are told by their places.
fn kinds(event: &SagaEvent) -> &'static [&'static str] {
    match event {
        SagaEvent::Started { .. } => &["started"],
        SagaEvent::Completed { .. } | SagaEvent::Compensated { .. } => &["saga"],
        SagaEvent::UndoIssued { .. } => &["undo", "attempt"],
        SagaEvent::CommandIssued { .. } | SagaEvent::CommandRepeated { .. } | SagaEvent::Retried { .. } => &["attempt"],
        SagaEvent::RetryScheduled { .. } | SagaEvent::Parked { .. } => &["wait"],
        SagaEvent::Entered { opens: Opens::Parked { .. }, .. } => &["wait"],
        _ => &[],
    }
}

/// The same, of what a collector was sent.
fn in_the_traces(collector: &Collector) -> BTreeMap<String, Counts> {
    let mut sagas: BTreeMap<String, Counts> = BTreeMap::new();
    for span in collector.spans().values().map(|came| &came[0]) {
        let kind = match attribute(span, "ringmaster.kind") {
            Some("started") => "started",
            Some("saga") => "saga",
            Some("step") => "step",
            Some("attempt") => "attempt",
            Some("undo") => "undo",
            Some("wait") => "wait",
            other => panic!("a span of kind {other:?}"),
        };
        let saga = attribute(span, "ringmaster.saga").expect("each is of one");
        *sagas.entry(saga.to_owned()).or_default().entry(kind).or_default() += 1;
    }
    sagas
}

/// What `saga history` tells of a saga, counted by the same kinds.
fn in_the_history(world: &World, api: &Coordinator, saga: &str) -> Counts {
    let told = world.ringmaster(&["saga", "history", saga, "--json", "--api", &api.address.to_string()]);
    assert!(told.status.success(), "{saga}: {}", String::from_utf8_lossy(&told.stderr));
    let (mut counts, mut steps) = (Counts::new(), BTreeSet::new());
    let turn =
        |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["events"].as_array().expect("events").clone();
    for line in String::from_utf8_lossy(&told.stdout).lines().flat_map(turn) {
        let kinds: &[&str] = match line["event"].as_str().expect("a word") {
            "started" => &["started"],
            "completed" | "compensated" => &["saga"],
            "undo_asked" => &["undo", "attempt"],
            "asked" | "asked_again" | "retried" => &["attempt"],
            "retry_scheduled" | "parked" => &["wait"],
            _ => &[],
        };
        if line["event"] == "asked" || line["event"] == "parked" {
            steps.insert(line["step"].as_str().expect("a name").to_owned());
        }
        kinds.iter().for_each(|kind| *counts.entry(kind).or_default() += 1);
    }
    counts.insert("step", steps.len());
    counts
}

/// However often a span came, it is the same; and what is around it came too.
fn check_spans(spans: &BTreeMap<Vec<u8>, Vec<Span>>) {
    for came in spans.values() {
        assert!(came.iter().all(|span| *span == came[0]), "one number, two spans: {came:?}");
        let span = &came[0];
        let parent = (!span.parent_span_id.is_empty()).then(|| spans.get(&span.parent_span_id).map(|came| &came[0]));
        match (parent, attribute(span, "ringmaster.kind")) {
            (None, Some("saga")) => {}
            (Some(Some(parent)), _) => {
                assert_eq!(parent.trace_id, span.trace_id, "{span:?} under {parent:?}");
                let within = parent.start_time_unix_nano <= span.start_time_unix_nano
                    && span.end_time_unix_nano <= parent.end_time_unix_nano;
                assert!(within, "{span:?} is not within {parent:?}");
            }
            (parent, kind) => panic!("a {kind:?} under {parent:?}: {span:?}"),
        }
        span.links.iter().for_each(|link| assert!(spans.contains_key(&link.span_id), "what is undone is there: {span:?}"));
    }
}

/// Each command names the span of its attempt, and its trace.
fn check_commands(world: &World, spans: &BTreeMap<Vec<u8>, Vec<Span>>) -> usize {
    let (mut schemas, mut count) = (world.schemas(), 0);
    for command in ["payment.Charge", "payment.Refund"] {
        schemas.command_envelope(command).expect("the example schemas have it");
    }
    let by_hex: BTreeMap<String, &Span> = spans.values().map(|came| (hex(&came[0].span_id), &came[0])).collect();
    for value in (0..PARTITIONS).flat_map(|partition| world.values("payment.commands", partition)) {
        let meta = wire::decode_command(&value, &schemas).expect("a command").meta;
        let traceparent = meta.traceparent.as_deref().expect("all are traced");
        let parts: Vec<&str> = traceparent.split('-').collect();
        let span = by_hex.get(parts[2]).unwrap_or_else(|| panic!("no span {traceparent} of {}", meta.idempotency_key));
        assert_eq!(
            (hex(&span.trace_id), attribute(span, "ringmaster.idempotency_key")),
            (parts[1].to_owned(), Some(&*meta.idempotency_key))
        );
        count += 1;
    }
    count
}

#[test]
fn every_span_comes_over_crashes_and_takeovers() {
    let mut world = World::new("traces");
    let (collector, endpoint) = Collector::start();
    world.configure(&format!("[tracing]\nendpoint = \"{endpoint}\"\nratio = 1.0"));
    let blue = world.owner("blue");
    let shop = world.shop();
    shop.order(600, 100.0);
    shop.wait_finished(50);
    until("some have come", || !collector.spans().is_empty());
    // It dies with spans that it was not able to send.
    collector.set_down(true);
    let asked = collector.requests();
    until("it is told in vain", || collector.requests() > asked);
    shop.wait_finished(shop.finished() + 20);
    blue.process.freeze();
    shop.wait_stuck();
    blue.kill();
    shop.hit("kill -9 of a coordinator whose collector is away");
    collector.set_down(false);
    let (blue, green) = (world.owner("blue"), world.owner("green"));
    wait_shared("both have a share", &[&blue, &green]);
    shop.wait_finished(shop.finished() + 50);
    green.process.freeze();
    shop.wait_stuck();
    green.kill();
    shop.hit("kill -9 of one of two coordinators");
    wait_shared("the other has all", &[&blue]);
    world.finish(&shop, &blue);
    let journal = in_the_journal(&world);
    let mut missing = Vec::new();
    until("all spans have come", || {
        let traces = in_the_traces(&collector);
        missing = journal.iter().filter(|(saga, counts)| traces.get(*saga) != Some(counts)).map(|(saga, _)| saga.clone()).collect();
        missing.is_empty()
    });
    assert_eq!(in_the_traces(&collector), journal, "nothing else came");
    let spans = collector.spans().clone();
    check_spans(&spans);
    let again = spans.values().filter(|came| came.len() > 1).count();
    let of_one = |saga: &String| in_the_history(&world, &blue, saga);
    let sample: BTreeSet<&String> = journal.keys().step_by(journal.len().div_ceil(25)).collect();
    sample.iter().for_each(|saga| assert_eq!(&of_one(saga), &journal[*saga], "{saga}"));
    let commands = check_commands(&world, &spans);
    say(&format!(
        "  {} sagas, {} spans, {again} of them came more than once; {commands} commands named theirs",
        journal.len(),
        spans.len()
    ));
    assert!(again > 0, "what is in doubt comes again");
    assert_eq!(blue.metric("ringmaster_trace_spans_dropped_total"), 0.0);
    assert!(blue.metric("ringmaster_trace_spans_exported_total") > 0.0);
    world.close(shop, blue);
}
