//! The orderly end of an instance: what is on its way arrives, and the next start has nothing to do again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ringmaster::runtime::{Instance, InstanceSettings, Parts, Status, now};
use ringmaster_bus::sim::{Faults, SimBroker, SimBus};
use ringmaster_bus::{
    Alone, Bus, BusError, BusEvent, Description, Message, SendError, Sender, Specification, Topic, TopicPartition, Waker,
};
use ringmaster_core::partition::Held;
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::TopicId;
use ringmaster_schemas::names::partition_of;
use ringmaster_store::Store;
use ringmaster_tests::sim::Plan;
use ringmaster_tests::sim::coordinator::{knowledge, make_topics, setup};

use crate::stores::Watched;

const PARTITIONS: i32 = 2;
/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// Longer than any test.
const NEVER: Duration = Duration::from_secs(24 * 3_600);

/// A bus on which acknowledgements can be held, until the worker's end has begun.
struct Holding {
    bus: SimBus,
    holds: Arc<AtomicBool>,
    held: Vec<(Sender, u64, Option<i64>)>,
}

impl Bus for Holding {
    fn topic(&mut self, name: &str) -> Topic {
        self.bus.topic(name)
    }

    fn name_of(&self, topic: Topic) -> &str {
        self.bus.name_of(topic)
    }

    fn describe(&mut self, names: &[&str]) -> Result<Vec<Option<Description>>, BusError> {
        self.bus.describe(names)
    }

    fn create(&mut self, what: &Specification) -> Result<bool, BusError> {
        self.bus.create(what)
    }

    fn delete_before(&mut self, at: TopicPartition, offset: i64) -> Result<(), BusError> {
        self.bus.delete_before(at, offset)
    }
    fn open_sender(&mut self) -> Result<Sender, BusError> {
        self.bus.open_sender()
    }

    fn close_sender(&mut self, sender: Sender) {
        self.bus.close_sender(sender);
    }

    fn send(&mut self, sender: Sender, message: Message<'_>, tag: u64) -> Result<(), SendError> {
        self.bus.send(sender, message, tag)
    }

    fn turn_min(&self) -> Duration {
        self.bus.turn_min()
    }
    fn flush(&mut self) {
        self.bus.flush();
    }

    fn read(&mut self, at: TopicPartition, from: i64) {
        self.bus.read(at, from);
    }

    /// Inputs are read no more: the end has begun.
    fn stop(&mut self, at: TopicPartition) {
        self.holds.store(false, Ordering::SeqCst);
        self.bus.stop(at);
    }

    fn pause(&mut self, which: &[TopicPartition], paused: bool) {
        self.bus.pause(which, paused);
    }

    fn ask_bounds(&mut self, at: TopicPartition) {
        self.bus.ask_bounds(at);
    }

    fn ask_offset_at(&mut self, at: TopicPartition, time: Millis) {
        self.bus.ask_offset_at(at, time);
    }

    fn expect(&mut self, topic: Topic, id: TopicId) {
        self.bus.expect(topic, id);
    }

    fn ask_topics(&mut self, topics: &[Topic], question: u64) {
        self.bus.ask_topics(topics, question);
    }

    fn join(&mut self, group: &str, topics: &[Topic]) -> Result<(), BusError> {
        self.bus.join(group, topics)
    }

    fn commit(&mut self, group: &str, next: &[(TopicPartition, i64)]) {
        self.bus.commit(group, next);
    }

    fn committed(&mut self, group: &str, of: &[TopicPartition]) -> Result<Vec<Option<i64>>, BusError> {
        self.bus.committed(group, of)
    }

    fn poll(&mut self, wait_max: Duration, visit: &mut dyn FnMut(BusEvent<'_>)) -> usize {
        let Holding { bus, holds, held } = self;
        let holds = holds.load(Ordering::SeqCst);
        let mut count = 0;
        if !holds {
            for (sender, tag, offset) in held.drain(..) {
                visit(BusEvent::Acknowledged { sender, tag, offset });
                count += 1;
            }
        }
        bus.poll(wait_max, &mut |event| match event {
            BusEvent::Acknowledged { sender, tag, offset } if holds => held.push((sender, tag, offset)),
            other => {
                visit(other);
                count += 1;
            }
        });
        count
    }

    fn waker(&self) -> Waker {
        self.bus.waker()
    }
}

/// A running instance on a broker and a store that are looked at.
struct World {
    broker: SimBroker,
    store: Arc<dyn Store>,
    flushes: Arc<AtomicUsize>,
    holds: Arc<AtomicBool>,
    status: Arc<Status>,
    instance: Instance,
}

impl World {
    /// Starts it, and waits until it owns everything.
    fn start(flush_every: Duration) -> World {
        World::with(InstanceSettings { flush_every, memory_max: usize::MAX })
    }

    fn with(settings: InstanceSettings) -> World {
        // An instance has the machine's clock: by another one orders would be too old.
        let broker = SimBroker::new(7, now().wall, Faults::none());
        make_topics(&broker, PARTITIONS, PARTITIONS);
        let setup = setup(&broker, &Plan { partitions: PARTITIONS, ..Plan::calm(7) }, "test");
        let store = Watched::default();
        let (flushes, store): (_, Arc<dyn Store>) = (store.flushes.clone(), Arc::new(store));
        let (status, holds) = (Arc::new(Status::default()), Arc::<AtomicBool>::default());
        let bus = Holding { bus: broker.client(), holds: holds.clone(), held: Vec::new() };
        let report = Arc::new(|_: &_, _: &_| {});
        let (knowledge, report) = (knowledge(), report as _);
        let parts = Parts {
            setup: &setup,
            knowledge: &knowledge,
            store: &store,
            settings,
            status: &status,
            report: &report,
            standby: None,
        };
        let instance = Instance::start(vec![bus], Box::new(Alone::new(PARTITIONS)), &parts);
        let world = World { broker, store, flushes, holds, status, instance };
        world.until("owned", || world.status.ready());
        world
    }

    fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let since = Instant::now();
        while !is_so() {
            assert!(since.elapsed() < PATIENCE && !self.instance.failed(), "not {what}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn what_was_begun_is_finished_and_the_next_start_finds_nothing_to_do() {
    let world = World::start(NEVER);
    world.holds.store(true, Ordering::SeqCst);
    let order = r#"{"type":"OrderPlaced","order_id":"ord-1","customer_id":"c-1","region":"EU","total":"120.50","currency":"EUR","items":[{"sku":"sku-1","qty":2}]}"#;
    let home = partition_of(b"ord-1", PARTITIONS);
    world.broker.put("orders", home, Some(b"ord-1"), order.as_bytes());
    let says = |value: &[u8]| value.windows(5).any(|word| word == b"ord-1");
    world.until("journaled", || world.broker.log("ringmaster.journal", home).iter().any(|record| says(&record.value)));
    let commands =
        |broker: &SimBroker| -> usize { (0..PARTITIONS).map(|partition| broker.log("inventory.commands", partition).len()).sum() };
    assert_eq!(commands(&world.broker), 0, "that the journal has it is not known yet");
    world.instance.stop();
    let stopped = world.instance.join();
    assert!(stopped.stops.is_empty(), "{:?}", stopped.stops);
    // What is still on the wire arrives.
    world.broker.advance(world.broker.now() + 60_000);
    assert_ne!(commands(&world.broker), 0, "the command that follows from it was sent");
    for partition in 0..PARTITIONS {
        let stored = world.store.checkpoint(partition).expect("readable").expect("it was written");
        let end = world.broker.log("ringmaster.journal", partition).len() as i64;
        assert_eq!(stored.journal_offset, end, "partition {partition}: nothing is left to be read");
    }
}

/// What the system says of the process reaches partitions: one that has rows in memory starts no saga while it is over its bound.
#[test]
fn a_process_over_its_bound_starts_nothing() {
    let items = (0..600).map(|number| format!(r#"{{"sku":"sku-{number}","qty":2}}"#)).collect::<Vec<_>>().join(",");
    for (memory_max, held) in [(1, Held::Starts), (usize::MAX, Held::Nothing)] {
        let world = World::with(InstanceSettings { flush_every: NEVER, memory_max });
        let mut begun = 0;
        for key in (0..).map(|number| format!("ord-{number}")).filter(|key| partition_of(key.as_bytes(), PARTITIONS) == 0).take(100)
        {
            let order = format!(
                r#"{{"type":"OrderPlaced","order_id":"{key}","customer_id":"c-1","region":"EU","total":"120.50","currency":"EUR","items":[{items}]}}"#
            );
            world.broker.put("orders", 0, Some(key.as_bytes()), order.as_bytes());
            begun += 1;
        }
        let status = || world.status.partitions().into_iter().find(|status| status.partition == 0).expect("it is told of");
        if held == Held::Nothing {
            world.until("all is begun", || status().in_flight == begun);
            // What is on its way to the journal may be held for a moment.
            world.until("nothing is held", || status().held == held);
        } else {
            world.until("it is held", || status().held == held);
        }
        world.instance.stop();
        world.instance.join();
    }
}

#[test]
fn the_store_is_flushed_at_the_end_and_as_often_as_is_asked_for() {
    let seldom = World::start(NEVER);
    seldom.instance.stop();
    seldom.instance.join();
    assert_eq!(seldom.flushes.load(Ordering::SeqCst), 1, "only at the end");

    let often = World::start(Duration::from_millis(1));
    often.until("flushed again and again", || often.flushes.load(Ordering::SeqCst) > 3);
    often.instance.stop();
    often.instance.join();
}
