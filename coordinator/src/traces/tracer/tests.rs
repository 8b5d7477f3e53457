//! Who tells traces: on a simulated log and store, to collectors that are well and that are not.

use std::cell::Cell;
use std::sync::mpsc::Receiver;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use ringmaster_bus::Specification;
use ringmaster_bus::sim::{Faults, SimBroker, SimBus};
use ringmaster_core::definition::Catalog;
use ringmaster_core::saga::apply;
use ringmaster_schemas::journal::{
    Cause, Change, Claim, Decision, Failure, FailureKind, Head, HeadFields, JournalRecord, SagaChange, SagaEvent, Stamp, Turn,
};
use ringmaster_schemas::registry::Schemas;
use ringmaster_schemas::state::{Batch, RowChange, RowKey, Saga};
use ringmaster_store::sim::SimStore;

use super::super::board::{Report, WAITING_MAX};
use super::super::export::tests::{answer, collector, endpoint};
use super::*;
use crate::runtime::wall;

const PREFIX: &str = "test";
const PATIENCE: Duration = Duration::from_secs(120);

/// A partition of a journal and what it says of each saga, with the rows that it makes.
struct Journal {
    broker: SimBroker,
    partition: i32,
    rows: BTreeMap<Arc<str>, Option<Arc<Saga>>>,
    claim: (i64, u8, i64),
    now: i64,
}

impl Journal {
    fn new() -> Journal {
        Journal::of_before(0)
    }

    /// What is written first is so old.
    fn of_before(ago: i64) -> Journal {
        let broker = SimBroker::new(7, wall() - ago, Faults::none());
        let topic = Topics::new(PREFIX).journal;
        let what = Specification { name: topic, partitions: 2, replication: 1, settings: Vec::new() };
        assert_eq!(broker.client().create(&what), Ok(true));
        Journal { broker, partition: 0, rows: BTreeMap::new(), claim: (-1, 0, 0), now: wall() }
    }

    /// Another partition of it.
    fn other(&self) -> Journal {
        Journal { broker: self.broker.clone(), partition: 1, rows: BTreeMap::new(), claim: (-1, 0, 0), now: wall() }
    }

    fn put(&self, value: &[u8]) -> i64 {
        self.broker.put(&Topics::new(PREFIX).journal, self.partition, None, value)
    }

    /// Somebody owns the partition from here on.
    fn claims(&mut self) -> i64 {
        let id = self.claim.1 + 1;
        let claim = Claim { id: [id; 16], owner: "test".into(), address: "".into(), partitions: 1, now: self.now };
        let offset = self.put(&JournalRecord::Claim(claim).encode());
        self.claim = (offset, id, 0);
        offset
    }

    fn record(&self, (offset, claim, number): (i64, u8, i64), saga: &str, events: Vec<SagaEvent>) -> i64 {
        let stamp = Stamp { claim_offset: offset, claim: [claim; 16], number, released: 0, now: self.now };
        let changes = vec![Change::Saga(SagaChange { saga: saga.into(), events })];
        let turns = vec![Turn { cause: Cause::Upkeep {}, input: None, changes }];
        self.put(&JournalRecord::Decision(Decision { stamp, topics: Vec::new(), turns }).encode())
    }

    /// The owner writes what happens to a saga.
    fn happens(&mut self, saga: &str, events: Vec<SagaEvent>) -> i64 {
        self.now += 1;
        let id: Arc<str> = saga.into();
        let row = self.rows.entry(id.clone()).or_default();
        events.iter().for_each(|event| apply(&id, row, event, self.now).expect("it can be"));
        let offset = self.record(self.claim, saga, events);
        self.claim.2 += 1;
        let row = self.rows.get_mut(&id).and_then(Option::as_mut).expect("it is there");
        Arc::make_mut(row).turns.remember(offset);
        offset
    }

    fn starts(&mut self, saga: &str) -> i64 {
        let head = Head::new(&HeadFields { started_at: self.now + 1, source: "s/1", ..HeadFields::default() }, &mut Vec::new());
        self.happens(saga, vec![SagaEvent::Started { head, deadline_at: None }])
    }

    fn completes(&mut self, saga: &str) -> i64 {
        self.happens(saga, vec![completed()])
    }

    fn compensates(&mut self, saga: &str) -> i64 {
        let failure = Failure { code: "NO".into(), step: "".into(), kind: FailureKind::Refused, message: "".into() };
        let began = SagaEvent::CompensationBegan { failure: Arc::new(failure) };
        self.happens(saga, vec![began, SagaEvent::Compensated { emissions: Vec::new(), expires_at: i64::MAX }])
    }

    /// What a worker says of a saga that has ended by this record.
    fn ended(&self, saga: &str, offset: i64) -> Traced {
        let row = self.rows[saga].as_ref().expect("it is there");
        Traced { saga: saga.into(), offset, what: TracedWhat::Ended { turns: row.turns.clone(), spans: 1 } }
    }

    /// A store with all rows, as of this offset.
    fn store(&self, journal_offset: i64) -> Arc<SimStore> {
        let store = SimStore::new();
        self.write(&store, journal_offset);
        Arc::new(store)
    }

    fn write(&self, store: &SimStore, journal_offset: i64) {
        let row = |(id, row): (&Arc<str>, &Option<Arc<Saga>>)| {
            RowChange::plain(RowKey::Saga(id.clone()), row.as_ref().map(|row| row.encode()))
        };
        let rows = self.rows.iter().map(row).collect();
        let checkpoint = crate::api::tests::checkpoint(journal_offset);
        store.write(&Batch { partition: self.partition, base_offset: -1, checkpoint, rows }).expect("it applies");
    }

    /// Its claim, of which everything was said, and what is to be told.
    fn report(&self, traced: Vec<Traced>) -> Report {
        let (term, _, written) = self.claim;
        Report { partition: self.partition, owned: Owned { term, said: term + 1 + written }, traced }
    }
}

fn completed() -> SagaEvent {
    SagaEvent::Completed { emissions: Vec::new(), expires_at: i64::MAX }
}

fn sources(store: Arc<SimStore>) -> Sources {
    let (catalog, schemas) = (Catalog::default(), Schemas::builtin());
    let known = Knowledge { catalog, schemas, deployed: Default::default(), records: Default::default() };
    let known = Arc::new(Newest::new(Arc::new(known)));
    Sources { status: Arc::default(), store, known, metrics: Arc::new(Metrics::new("test")) }
}

fn tracer(journal: &Journal, port: u16, ratio: f64, sources: &Sources) -> Tracer<SimBus> {
    let endpoint = Endpoint { ratio, ..endpoint(port) };
    let tracer = Tracer::new(journal.broker.client(), PREFIX, endpoint, sources.clone()).expect("it needs nothing");
    Tracer { pause_first: Duration::from_millis(1), ..tracer }
}

fn said(sources: &Sources, term: i64, said: i64, traced: Vec<Traced>) {
    sources.status.traces.put(0, vec![Report { partition: 0, owned: Owned { term, said }, traced }]);
}

/// What a collector was sent: for each span its kind and its saga, in order.
fn sent(requests: &Receiver<(String, Vec<u8>)>) -> Vec<String> {
    let mut all = Vec::new();
    while let Ok((_, body)) = requests.try_recv() {
        let request = ExportTraceServiceRequest::decode(&body[..]).expect("it is one");
        for span in request.resource_spans.iter().flat_map(|of| &of.scope_spans).flat_map(|scope| &scope.spans) {
            let text = |place: usize| match span.attributes[place].value.as_ref().and_then(|value| value.value.as_ref()) {
                Some(opentelemetry_proto::tonic::common::v1::any_value::Value::StringValue(text)) => text.clone(),
                other => panic!("no text: {other:?}"),
            };
            all.push(format!("{} {}", text(0), text(1)));
        }
    }
    all
}

fn counted(sources: &Sources, metric: &str) -> u64 {
    let text = sources.metrics.render(&[], &[], &[], &Catalog::default());
    let line = text.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' ')?.parse().ok());
    line.unwrap_or_else(|| panic!("no {metric} in\n{text}"))
}

const DROPPED: &str = "ringmaster_trace_spans_dropped_total";
const EXPORTED: &str = "ringmaster_trace_spans_exported_total";
const FOR_EVER: &dyn Fn() -> bool = &|| false;

/// Tells all that there is.
fn tell_all(tracer: &mut Tracer<SimBus>) {
    while tracer.turn(FOR_EVER) {}
    tracer.finish();
}

fn position(journal: &Journal) -> Option<i64> {
    journal.broker.committed("test.traces", &Topics::new(PREFIX).journal, journal.partition)
}

#[test]
fn what_workers_say_is_told_once_and_the_position_follows() {
    let mut journal = Journal::new();
    let term = journal.claims();
    journal.starts("a/1");
    let one = journal.completes("a/1");
    journal.starts("a/2");
    let two = journal.compensates("a/2");
    let (port, requests) = collector(vec![answer(200, b"")]);
    let sources = sources(journal.store(0));
    let mut tracer = tracer(&journal, port, 0.0, &sources);
    // Only what was undone is kept of those that were not chosen.
    said(&sources, term, two + 1, vec![journal.ended("a/1", one), journal.ended("a/2", two)]);
    tell_all(&mut tracer);
    assert_eq!((sent(&requests), position(&journal)), (vec!["saga a/2".to_owned()], Some(two + 1)));
    tell_all(&mut tracer);
    assert_eq!(sent(&requests), [] as [String; 0]);
    assert_eq!((counted(&sources, EXPORTED), counted(&sources, DROPPED)), (1, 0));
}

/// Behind a crash: all that counts from the position to the claim, once the store has it; and not what somebody else wrote.
#[test]
fn what_an_owner_did_not_tell_is_told_by_the_next_one() {
    let mut journal = Journal::new();
    let first = journal.claims();
    journal.starts("a/0");
    let told = journal.completes("a/0");
    let began = journal.starts("a/1");
    journal.completes("a/1");
    journal.starts("a/2");
    let zombie = journal.claim;
    let second = journal.claims();
    let void = journal.record(zombie, "a/2", vec![completed()]);
    let end = journal.compensates("a/2");
    let third = journal.claims();
    assert!(first < told && told < began && second < void && void < end);
    let mut committing = journal.broker.client();
    let at = TopicPartition { topic: committing.topic(&Topics::new(PREFIX).journal), partition: 0 };
    committing.commit("test.traces", &[(at, told + 1)]);
    committing.poll(Duration::from_millis(100), &mut |_| {});
    let (port, requests) = collector(vec![answer(200, b"")]);
    let early = sources(journal.store(end));
    let mut waits = tracer(&journal, port, 1.0, &early);
    said(&early, third, third + 1, vec![]);
    assert!(!waits.turn(FOR_EVER), "the last record is not in the store");
    assert_eq!(sent(&requests), [] as [String; 0]);
    let sources = sources(journal.store(end + 1));
    let mut goes_on = tracer(&journal, port, 1.0, &sources);
    said(&sources, third, third + 1, vec![]);
    tell_all(&mut goes_on);
    let mut spans = sent(&requests);
    spans.sort();
    assert_eq!(spans, ["saga a/1", "saga a/2", "started a/1", "started a/2"]);
    assert_eq!(position(&journal), Some(third + 1));
}

/// The collector is away, another partition comes, and then the process is killed: whoever has both next tells each span, and none twice.
#[test]
fn what_a_killed_process_could_not_send_is_told_once_also_of_what_came_meanwhile() {
    let mut one = Journal::new();
    let mut other = one.other();
    let told = one.claims() + 2;
    one.starts("a/0");
    let end = one.completes("a/0");
    let (port, requests) = collector(vec![answer(200, b""), answer(503, b"")]);
    let sources_of_it = sources(one.store(0));
    let mut killed = tracer(&one, port, 1.0, &sources_of_it);
    sources_of_it.status.traces.put(0, vec![one.report(vec![one.ended("a/0", end)])]);
    tell_all(&mut killed);
    assert_eq!((sent(&requests), position(&one)), (vec!["saga a/0".to_owned()], Some(told + 1)));
    one.starts("a/1");
    let end = one.completes("a/1");
    sources_of_it.status.traces.put(0, vec![one.report(vec![one.ended("a/1", end)])]);
    other.claims();
    other.starts("b/1");
    let end = other.completes("b/1");
    let looks = Cell::new(0);
    let comes_and_is_killed = || {
        looks.set(looks.get() + 1);
        match looks.get() {
            2 => sources_of_it.status.traces.put(1, vec![other.report(vec![other.ended("b/1", end)])]),
            // As by kill -9: nothing of it goes on.
            5.. => std::panic::resume_unwind(Box::new("killed")),
            _ => {}
        }
        false
    };
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| killed.turn(&comes_and_is_killed)));
    assert!(ended.is_err(), "it was killed");
    drop(killed);
    let store = SimStore::new();
    for journal in [&mut one, &mut other] {
        let term = journal.claims();
        journal.write(&store, term);
    }
    let (port, requests) = collector(vec![answer(200, b"")]);
    let sources = sources(Arc::new(store));
    sources.status.traces.put(0, vec![one.report(vec![]), other.report(vec![])]);
    tell_all(&mut tracer(&one, port, 1.0, &sources));
    let mut spans = sent(&requests);
    spans.sort();
    assert_eq!(spans, ["saga a/1", "saga b/1", "started a/1", "started b/1"]);
    assert_eq!([position(&one), position(&other)], [&one, &other].map(|journal| Some(journal.claim.0 + 1)));
    assert_eq!(counted(&sources, DROPPED), 0);
}

/// Without a position what was long ago is not told; all else is, since an owner may have died before it could send, or commit, anything.
#[test]
fn without_a_position_it_begins_with_what_is_not_too_old() {
    let mut journal = Journal::of_before(10 * 60 * 1_000);
    journal.claims();
    journal.starts("a/1");
    journal.completes("a/1");
    journal.broker.advance(wall());
    journal.starts("a/2");
    let end = journal.completes("a/2");
    let term = journal.claims();
    let (port, requests) = collector(vec![answer(200, b"")]);
    let sources = sources(journal.store(end + 1));
    said(&sources, term, term + 1, vec![]);
    tell_all(&mut tracer(&journal, port, 1.0, &sources));
    let told = vec!["started a/2".to_owned(), "saga a/2".to_owned()];
    assert_eq!((sent(&requests), position(&journal)), (told, Some(term + 1)));
}

/// A collector that is away, slow to come to itself, and talks nonsense: what waits is bounded, what is dropped is counted, and what is in
/// doubt comes again.
#[test]
fn what_a_collector_does_not_take_waits_within_bounds() {
    let mut journal = Journal::new();
    let term = journal.claims();
    journal.starts("a/1");
    let one = journal.completes("a/1");
    let not_now = || answer(429, b"");
    let (port, requests) = collector(vec![not_now(), Vec::new(), b"\r\n\r\n".to_vec(), answer(503, b"x"), answer(200, b"")]);
    let sources = sources(journal.store(0));
    let mut tracer = tracer(&journal, port, 1.0, &sources);
    said(&sources, term, one + 1, vec![journal.ended("a/1", one)]);
    // It ends meanwhile: nothing is said to be told.
    let looks = Cell::new(0);
    let ends = || {
        looks.set(looks.get() + 1);
        looks.get() > 1
    };
    tracer.turn(&ends);
    assert!(position(&journal).is_none_or(|position| position <= one), "{:?}", position(&journal));
    // More than may wait.
    let many = |from: i64| (from..from + 20_000).map(|_| journal.ended("a/1", one)).collect::<Vec<_>>();
    said(&sources, term, one + 1, many(0));
    let begun = Instant::now();
    while counted(&sources, EXPORTED) == 0 {
        assert!(begun.elapsed() < PATIENCE, "it was never taken");
        tracer.turn(FOR_EVER);
    }
    tell_all(&mut tracer);
    assert_eq!(counted(&sources, DROPPED), 20_001 - WAITING_MAX);
    assert!(sent(&requests).iter().all(|span| span == "saga a/1"));
    assert_eq!(position(&journal), Some(one + 1));
}

/// What is not wanted is counted, and not sent for ever.
#[test]
fn what_a_collector_refuses_is_not_sent_again() {
    let mut journal = Journal::new();
    let term = journal.claims();
    journal.starts("a/1");
    let one = journal.completes("a/1");
    let (port, requests) = collector(vec![answer(400, b""), answer(200, b"")]);
    let sources = sources(journal.store(0));
    said(&sources, term, one + 1, vec![journal.ended("a/1", one)]);
    tell_all(&mut tracer(&journal, port, 1.0, &sources));
    assert_eq!((sent(&requests).len(), counted(&sources, DROPPED), counted(&sources, EXPORTED)), (1, 1, 0));
    assert_eq!(position(&journal), Some(one + 1));
}
