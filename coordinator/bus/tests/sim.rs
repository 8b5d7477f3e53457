//! The simulated bus without faults does what every bus must do: what the simulator proves is proven on a bus like the others.

mod suite;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ringmaster_bus::sim::{Faults, SimBroker, SimBus};
use ringmaster_bus::{
    Bus, BusError, BusEvent, Description, Message, SendError, Sender, Specification, Topic, TopicPartition, Waker,
};
use ringmaster_schemas::journal::TopicId;

/// A client that keeps the virtual time at the wall clock and really waits.
struct RealTime {
    broker: SimBroker,
    bus: SimBus,
    woken: Arc<AtomicBool>,
}

fn wall() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis()).expect("it fits")
}

impl Bus for RealTime {
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
        self.broker.advance(wall());
        self.bus.send(sender, message, tag)
    }
    fn turn_min(&self) -> Duration {
        self.bus.turn_min()
    }
    fn full_poll(&self) -> Option<usize> {
        self.bus.full_poll()
    }
    fn flush(&mut self) {
        self.bus.flush();
    }
    fn read(&mut self, at: TopicPartition, from: i64) {
        self.bus.read(at, from);
    }
    fn stop(&mut self, at: TopicPartition) {
        self.bus.stop(at);
    }
    fn pause(&mut self, which: &[TopicPartition], paused: bool) {
        self.bus.pause(which, paused);
    }
    fn ask_bounds(&mut self, at: TopicPartition) {
        self.bus.ask_bounds(at);
    }
    fn ask_offset_at(&mut self, at: TopicPartition, time: i64) {
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
        let begun = Instant::now();
        loop {
            self.broker.advance(wall());
            let events = self.bus.poll(Duration::ZERO, visit);
            if events > 0 || begun.elapsed() >= wait_max || self.woken.swap(false, Ordering::SeqCst) {
                return events;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }
    fn waker(&self) -> Waker {
        let woken = self.woken.clone();
        Arc::new(move || woken.store(true, Ordering::SeqCst))
    }
}

struct Sim {
    broker: SimBroker,
}

impl suite::Rig for Sim {
    fn name(&self) -> &str {
        "sim"
    }
    fn client(&self) -> Box<dyn Bus + Send> {
        Box::new(RealTime { broker: self.broker.clone(), bus: self.broker.client(), woken: Arc::default() })
    }
    fn delete(&self, topic: &str) {
        self.broker.delete(topic);
    }
    fn forget(&self, topic: &str, partition: i32, below: i64) -> bool {
        self.broker.forget(topic, partition, below);
        true
    }
    fn narrow(&self, topic: &str, bytes: usize) -> bool {
        self.broker.set(topic, "max.message.bytes", &bytes.to_string());
        true
    }
    fn silence(&self) -> Duration {
        Duration::from_millis(20)
    }
}

#[test]
fn conforms() {
    suite::run_all(&Sim { broker: SimBroker::new(7, wall(), Faults::none()) });
}

/// What a client hears of what it sent, and when (ms behind the sending).
fn told(faults: Faults) -> Vec<(u64, bool, i64)> {
    let broker = SimBroker::new(7, 0, faults);
    let mut bus = broker.client();
    bus.create(&Specification { name: "t".to_owned(), partitions: 1, replication: 1, settings: vec![] }).expect("made");
    let at = TopicPartition { topic: bus.topic("t"), partition: 0 };
    let sender = bus.open_sender().expect("a sender");
    let sent = broker.now();
    for tag in 0..50 {
        bus.send(sender, Message { to: at, key: None, value: b"x", headers: &[] }, tag).expect("it takes it");
    }
    let mut told = Vec::new();
    while told.len() < 50 {
        broker.advance(broker.now() + 1);
        let at = broker.now() - sent;
        bus.poll(Duration::ZERO, &mut |event| match event {
            BusEvent::Acknowledged { tag, .. } => told.push((tag, true, at)),
            BusEvent::Failed { tag, .. } => told.push((tag, false, at)),
            _ => {}
        });
        assert!(at < 1_000_000, "every record has an answer");
    }
    told
}

/// As on a real broker: answers of a partition come in the order of what was sent, however long each was on the wire.
#[test]
fn answers_come_in_order() {
    let told = told(Faults { wire_max_ms: 50, ..Faults::none() });
    let tags: Vec<u64> = told.iter().map(|(tag, ..)| *tag).collect();
    assert_eq!(tags, (0..50).collect::<Vec<_>>());
    assert!(told.last().is_some_and(|(_, _, at)| *at > 50), "they took their time");
}

/// A failure that nobody reports is noticed after a time-out, not at once.
#[test]
fn what_fails_silently_is_noticed_late() {
    for faults in [
        Faults { failed_then_kept: 1.0, ..Faults::none() },
        Faults { lost: 1.0, ..Faults::none() },
        Faults { failed_but_kept: 1.0, ..Faults::none() },
    ] {
        let told = told(Faults { timeout_max_ms: 1_000, ..faults });
        assert!(told.iter().all(|(_, kept, _)| !kept));
        assert!(told.iter().filter(|(_, _, at)| *at > 100).count() > 25, "{told:?}");
    }
}
