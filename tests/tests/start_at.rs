//! Where reading of an input begins that the journal has no position for: with the oldest record, with the next one, or at a time; on
//! every bus, with records in the topic that are older than the coordinator.

#![allow(clippy::print_stdout, reason = "a test says what it did")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringmaster::config::Config;
use ringmaster::runtime::{Now, SetupSettings, Worker, load_knowledge, now, prepare};
use ringmaster::topics;
use ringmaster_bus::embedded::{Log, Settings};
use ringmaster_bus::kafka::broker::Broker;
use ringmaster_bus::kafka::{KafkaBus, KafkaSettings};
use ringmaster_bus::sim::{Faults, SimBroker};
use ringmaster_bus::{Bus, BusEvent, Message, TopicPartition};
use ringmaster_core::partition::StartAt;
use ringmaster_demo::orders::{self, ORDERS, OrderWriter};
use ringmaster_schemas::names::Topics;
use ringmaster_store::sim::SimStore;

const PATIENCE: Duration = Duration::from_secs(120);
const WAIT: Duration = Duration::from_millis(20);

#[test]
fn on_the_embedded_bus() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = Log::open(folder.path(), Settings::default()).expect("a log");
    run(|| log.client(), &now);
}

#[test]
fn on_the_simulated_bus() {
    let broker = SimBroker::new(11, 1_769_817_600_000, Faults::none());
    run(|| broker.client(), &|| Now { wall: broker.now(), steady: broker.now() });
}

#[test]
fn on_kafka() {
    if !Broker::is_available() {
        println!("not tested on Kafka: RINGMASTER_KAFKA_LIBS names no folder with its jars");
        return;
    }
    let broker = Broker::start().expect("a broker");
    run(|| KafkaBus::new(KafkaSettings::new(broker.address())).expect("a bus"), &now);
}

fn run<B: Bus>(open: impl Fn() -> B, clock: &dyn Fn() -> Now) {
    // One journal for each, so that each finds no position; the topic of orders is the same.
    let mut earliest = Case::open(&open, "earliest", StartAt::Earliest);
    earliest.place(0..5);
    earliest.until(clock, "all old orders", |started| started == 5);
    earliest.until_it_is_quiet(clock);

    let mut latest = Case::open(&open, "latest", StartAt::Latest);
    latest.until_it_reads(clock);
    assert_eq!(latest.taken(), (0, 0), "nothing old is read");
    // Stamps are in milliseconds: the next one is younger than all before.
    let between = clock().wall + 1;
    let begun = Instant::now();
    while clock().wall <= between {
        latest.turn(clock);
        assert!(begun.elapsed() < PATIENCE, "time stands still");
    }
    latest.place(5..7);
    latest.until(clock, "both new orders", |started| started == 2);
    assert_eq!(latest.taken(), (2, 2), "and nothing else was read");

    let mut timed = Case::open(&open, "timed", StartAt::Time(between));
    timed.until(clock, "both new orders", |started| started == 2);
    assert_eq!(timed.taken(), (2, 2));
    // Where reading begins was journaled: it is not found out again.
    for case in [&mut earliest, &mut latest] {
        case.restart(&open);
        case.until_it_reads(clock);
    }
    assert_eq!(latest.taken(), (0, 0), "a restart goes on where it was");
    earliest.until(clock, "what came since", |started| started == 2);
}

/// A coordinator with a journal of its own, of one partition.
struct Case<B: Bus> {
    worker: Option<Worker<B>>,
    settings: SetupSettings,
    store: Arc<SimStore>,
    bus: B,
    writer: OrderWriter,
}

impl<B: Bus> Case<B> {
    fn open(open: &impl Fn() -> B, prefix: &str, start_at: StartAt) -> Self {
        let config = Config::parse("test", "partitions = 1\nworkers = 1\n").expect("these settings are right");
        let settings = SetupSettings { prefix: prefix.to_owned(), start_at, ..config.setup() };
        let mut bus = open();
        let sagas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sagas");
        let internal = topics::needed(&Topics::new(prefix), 1, &[], &[], &[]);
        topics::apply(&mut bus, &internal, 1).expect("topics can be made");
        let knowledge = load(&mut bus, &settings);
        topics::apply(&mut bus, &topics::needed_by(&knowledge.catalog, prefix, 1), 1).expect("topics can be made");
        let schemas =
            ringmaster_schemas::registry::Schemas::load_folder(&sagas.join("schemas")).expect("the example schemas are right");
        let writer = OrderWriter::new(schemas.named("OrderPlaced").expect("an example schema"));
        let mut case = Case { worker: None, settings, store: Arc::new(SimStore::new()), bus, writer };
        case.restart(open);
        case
    }

    fn restart(&mut self, open: &impl Fn() -> B) {
        self.worker = None;
        let knowledge = load(&mut self.bus, &self.settings);
        let setup = prepare(&mut self.bus, &self.settings, &knowledge).unwrap_or_else(|error| panic!("{error}"));
        let mut ids = fastrand::Rng::new();
        let id = move || {
            let mut id = [0; 16];
            ids.fill(&mut id);
            id
        };
        let partitions = setup.partitions(0, 1);
        let worker = Worker::new(open(), setup.worker(), partitions, Arc::new(knowledge), self.store.clone(), Box::new(id));
        self.worker = Some(worker);
    }

    /// Puts orders into the topic.
    fn place(&mut self, numbers: std::ops::Range<u64>) {
        let to = TopicPartition { topic: self.bus.topic(ORDERS), partition: 0 };
        let sender = self.bus.open_sender().expect("a sender");
        let (mut left, begun) = (numbers.clone().count(), Instant::now());
        for number in numbers {
            let (key, mut value) = (orders::key("old-", number), Vec::new());
            self.writer.put(&key, number, &mut value);
            let message = Message { to, key: Some(key.as_bytes()), value: &value, headers: &[] };
            self.bus.send(sender, message, number).expect("there is room");
        }
        while left > 0 {
            assert!(begun.elapsed() < PATIENCE, "{left} orders are not in the log");
            self.bus.poll(WAIT, &mut |event| left -= usize::from(matches!(event, BusEvent::Acknowledged { .. })));
        }
        self.bus.close_sender(sender);
    }

    fn turn(&mut self, clock: &dyn Fn() -> Now) {
        let worker = self.worker.as_mut().expect("it runs");
        worker.turn(clock, WAIT).unwrap_or_else(|stop| panic!("{}: {stop}", self.settings.prefix));
    }

    fn until(&mut self, clock: &dyn Fn() -> Now, what: &str, holds: impl Fn(u64) -> bool) {
        let begun = Instant::now();
        while !holds(self.taken().1) {
            assert!(begun.elapsed() < PATIENCE, "{}: {what} did not start: {:?}", self.settings.prefix, self.taken());
            self.turn(clock);
        }
    }

    /// Until what was decided is in the journal, and its effects are out: what is not would be decided again after a restart.
    fn until_it_is_quiet(&mut self, clock: &dyn Fn() -> Now) {
        let begun = Instant::now();
        while !self.worker.as_ref().expect("it runs").quiet() {
            assert!(begun.elapsed() < PATIENCE, "{}: something is on its way for ever", self.settings.prefix);
            self.turn(clock);
        }
    }

    /// Until the positions of all inputs are in the journal.
    fn until_it_reads(&mut self, clock: &dyn Fn() -> Now) {
        let begun = Instant::now();
        let positions =
            |worker: &Worker<B>| worker.partitions().map(|partition| partition.confirmed_positions().count()).sum::<usize>();
        while positions(self.worker.as_ref().expect("it runs")) < 2 {
            assert!(begun.elapsed() < PATIENCE, "{}: its inputs have no positions", self.settings.prefix);
            self.turn(clock);
        }
    }

    /// Records that were read, and sagas that were started, since the worker began.
    fn taken(&self) -> (u64, u64) {
        let counters = self.worker.as_ref().expect("it runs").counters();
        (counters.inputs, counters.started)
    }
}

fn load(bus: &mut impl Bus, settings: &SetupSettings) -> ringmaster::runtime::Knowledge {
    let sagas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sagas");
    let files = [sagas.join("order-fulfilment.yaml")];
    let config = Config::parse("test", "").expect("the defaults are right");
    let loaded = load_knowledge(bus, &settings.prefix, &sagas.join("schemas"), &files, &config.compile_options(), 0);
    loaded.unwrap_or_else(|error| panic!("{error}"))
}
