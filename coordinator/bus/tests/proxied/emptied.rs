//! A cluster that says of itself that it has no brokers, as one does that shuts down: librdkafka forgets all it knew, for good. Every
//! client must find its way back by the addresses that it began with.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use ringmaster_bus::kafka::broker::{Broker, LIBS};
use ringmaster_bus::kafka::{Client, KafkaBus, KafkaSettings};
use ringmaster_bus::{Bus, BusEvent, Message, TopicPartition};

use crate::proxy::{Answer, Asked, Proxy};

const PATIENCE: Duration = Duration::from_secs(120);
/// So many that taking the answer takes a client longer than seeing the connection's end: that is when it goes wrong.
const PARTITIONS: i32 = 1_000;
const ROUNDS: usize = 4;
/// As many as a coordinator asks at once after a doubt.
const QUESTIONS: usize = 8;
/// Kafka's number of the request for metadata.
const METADATA: i16 = 3;

/// What the test and the proxy both see.
#[derive(Default)]
struct Shared {
    /// Answers name no broker.
    emptied: AtomicBool,
    emptied_count: AtomicUsize,
}

impl Shared {
    /// The end comes at the heels of an answer without brokers.
    fn judge(&self, asked: &Asked, answer: &[u8]) -> Answer {
        if !self.emptied.load(SeqCst) || asked.api != METADATA {
            return Answer::AsItIs;
        }
        self.emptied_count.fetch_add(1, SeqCst);
        Answer::Last(without_brokers(answer, asked.version))
    }
}

/// An answer with metadata, its list of brokers empty: correlation, tags, throttle time, brokers (number, host, port, rack, tags).
fn without_brokers(frame: &[u8], version: i16) -> Vec<u8> {
    assert!(version >= 9, "version {version} has another form");
    let brokers = 4 + 1 + 4;
    let mut at = brokers + 1;
    for _ in 1..frame[brokers] {
        at += 4;
        at += usize::from(frame[at]);
        at += 4;
        at += usize::from(frame[at]).max(1);
        assert_eq!(frame[at], 0, "no tags");
        at += 1;
    }
    [&frame[..brokers], &[1], &frame[at..]].concat()
}

/// A bus with what it heard.
struct Line {
    bus: KafkaBus,
    at: TopicPartition,
    values: BTreeSet<Vec<u8>>,
    acknowledged: usize,
    bounds: usize,
}

impl Line {
    fn new(address: String, topic: &str, client: Client) -> Line {
        let passthrough = vec![(Client::SETTING.to_owned(), format!("{client:?}").to_lowercase())];
        let mut bus = KafkaBus::new(KafkaSettings { passthrough, ..KafkaSettings::new(address) }).expect("a bus");
        let at = TopicPartition { topic: bus.topic(topic), partition: 0 };
        Line { bus, at, values: BTreeSet::new(), acknowledged: 0, bounds: 0 }
    }

    fn poll(&mut self) {
        let Line { bus, values, acknowledged, bounds, .. } = self;
        let mut visited = 0;
        let said = bus.poll(Duration::from_millis(20), &mut |event| {
            visited += 1;
            match event {
                BusEvent::Record(record) => drop(values.insert(record.value.expect("a value").to_vec())),
                BusEvent::Acknowledged { .. } => *acknowledged += 1,
                BusEvent::Bounds { .. } => *bounds += 1,
                _ => {}
            }
        });
        assert_eq!(said, visited, "what goes wrong is noted, and is no event");
    }

    fn until(&mut self, what: &str, holds: impl Fn(&Line) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(begun.elapsed() < PATIENCE, "{what}: within {} s it did not happen", PATIENCE.as_secs());
            self.poll();
        }
    }
}

fn ask(line: &mut Line) {
    let topic = line.at.topic;
    (0..QUESTIONS as i32).for_each(|partition| line.bus.ask_bounds(TopicPartition { topic, partition }));
}

#[test]
fn clients_come_back_when_a_cluster_named_no_broker() {
    if !Broker::is_available() {
        println!("skipped: {LIBS} does not name a folder with the jars of Kafka");
        return;
    }
    let shared = Arc::<Shared>::default();
    let theirs = shared.clone();
    let proxy = Proxy::start(move |asked, answer| theirs.judge(asked, answer));
    for client in [Client::Librdkafka, Client::Direct] {
        come_back(&proxy, &shared, client);
    }
}

fn come_back(proxy: &Proxy, shared: &Shared, client: Client) {
    let (address, name) = (|| proxy.address.clone(), format!("emptied-{client:?}"));
    let partitions = if client == Client::Direct { QUESTIONS as i32 } else { PARTITIONS };
    proxy.broker.create_topic(&name, partitions, &[]).expect("a topic");

    // Of each kind of client one: a reader, a member of a group, a sender, and the one that asks.
    let mut reader = Line::new(address(), &name, client);
    reader.bus.read(reader.at, 0);
    let mut member = Line::new(address(), &name, client);
    let topic = member.at.topic;
    member.bus.join(&format!("members-{client:?}"), &[topic]).expect("it joins");
    let mut writer = Line::new(address(), &name, client);
    let sender = writer.bus.open_sender().expect("a sender");
    let send = |writer: &mut Line, round: usize| {
        let value = round.to_string();
        let message = Message { to: writer.at, key: None, value: value.as_bytes(), headers: &[] };
        writer.bus.send(sender, message, 0).expect("it is taken");
    };
    send(&mut writer, 0);
    writer.until("the first record is written", |line| line.acknowledged == 1);
    reader.until("the first record is read", |line| line.values.len() == 1);
    member.until("the first record is read by the member", |line| line.values.len() == 1);
    ask(&mut writer);
    writer.until("answers", |line| line.bounds == QUESTIONS);

    for round in 1..=ROUNDS {
        shared.emptied_count.store(0, SeqCst);
        shared.emptied.store(true, SeqCst);
        proxy.cut();
        let begun = Instant::now();
        // Each asks when it has connected again.
        while shared.emptied_count.load(SeqCst) < 4 && begun.elapsed() < Duration::from_secs(10) {
            [&mut reader, &mut member, &mut writer].into_iter().for_each(Line::poll);
        }
        assert!(shared.emptied_count.load(SeqCst) >= 3, "the fault hit nothing");
        shared.emptied.store(false, SeqCst);

        ask(&mut writer);
        writer.until("questions are answered", |line| line.bounds == QUESTIONS * (1 + round));
        send(&mut writer, round);
        writer.until("another record is written", |line| line.acknowledged == 1 + round);
        reader.until("another record is read", |line| line.values.len() == 1 + round);
        member.until("another record is read by the member", |line| line.values.len() == 1 + round);
        println!("{client:?}, round {round}: {:?}", begun.elapsed());
    }
}
