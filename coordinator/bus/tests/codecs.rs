//! The Kafka bus reads what producers compress, by all codecs there are; and a batch that cannot be read is said, and passed by nobody.
//! Skipped, saying so, where the broker's jars are not there.

#![allow(clippy::print_stdout)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use ringmaster_bus::kafka::broker::{Broker, LIBS};
use ringmaster_bus::kafka::segment::{RECORDS, batches, seal};
use ringmaster_bus::kafka::{Client, KafkaBus, KafkaSettings};
use ringmaster_bus::{Bus, BusEvent, TopicPartition};

const PATIENCE: Duration = Duration::from_secs(60);

fn start() -> Option<Broker> {
    if !Broker::is_available() {
        println!("skipped: {LIBS} does not name a folder with the jars of Kafka");
        return None;
    }
    Some(Broker::start().expect("a broker"))
}

/// One batch of so many records, each long enough to be worth compressing.
fn produce(broker: &Broker, topic: &str, codec: &str, count: usize) -> Vec<String> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.address()).set("compression.type", codec).set("linger.ms", "1000");
    let producer: BaseProducer = config.create().expect("a producer");
    let values: Vec<String> = (0..count).map(|number| format!("{codec} {number} {}", "a long tail ".repeat(40))).collect();
    for value in &values {
        producer.send(BaseRecord::<(), str>::to(topic).partition(0).payload(value)).expect("taken");
    }
    producer.flush(PATIENCE).expect("written");
    values
}

/// What a bus said of one partition.
#[derive(Debug, Default)]
struct Heard {
    values: Vec<String>,
    offsets: Vec<i64>,
    ends: Vec<i64>,
    unreadable: Vec<String>,
}

impl Heard {
    fn until(&mut self, bus: &mut KafkaBus, what: &str, holds: impl Fn(&Heard) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(begun.elapsed() < PATIENCE, "{what} did not happen: {self:?}");
            bus.poll(Duration::from_millis(100), &mut |event| match event {
                BusEvent::Record(record) => {
                    self.values.push(String::from_utf8_lossy(record.value.expect("a value")).into_owned());
                    self.offsets.push(record.offset);
                }
                BusEvent::CaughtUp(_, end) => self.ends.push(end),
                BusEvent::Unreadable(_, why) => self.unreadable.push(why),
                _ => {}
            });
        }
    }
}

const CLIENTS: [Client; 2] = [Client::Librdkafka, Client::Direct];

fn reader(broker: &Broker, topic: &str, client: Client) -> KafkaBus {
    let passthrough = vec![(Client::SETTING.to_owned(), format!("{client:?}").to_lowercase())];
    let mut bus = KafkaBus::new(KafkaSettings { passthrough, ..KafkaSettings::new(broker.address()) }).expect("a bus");
    let at = TopicPartition { topic: bus.topic(topic), partition: 0 };
    bus.read(at, 0);
    bus
}

fn segment(broker: &Broker, topic: &str) -> PathBuf {
    broker.folder().join(format!("data/{topic}-0/00000000000000000000.log"))
}

#[test]
fn all_codecs_and_damaged_batches() {
    let Some(mut broker) = start() else { return };
    records_of_every_codec_are_read(&broker);
    a_damaged_batch_is_said_and_not_passed(&mut broker);
}

fn records_of_every_codec_are_read(broker: &Broker) {
    broker.create_topic("compressed", 1, &[]).expect("a topic");
    // What a topic says of its compression holds for all producers.
    broker.create_topic("recompressed", 1, &[("compression.type", "zstd")]).expect("a topic");
    for topic in ["compressed", "recompressed"] {
        let codecs = ["none", "gzip", "snappy", "lz4", "zstd"];
        let sent: Vec<String> = codecs.iter().flat_map(|codec| produce(broker, topic, codec, 50)).collect();
        for client in CLIENTS {
            let mut bus = reader(broker, topic, client);
            let mut heard = Heard::default();
            heard.until(&mut bus, "all records", |heard| heard.values.len() >= sent.len() || !heard.unreadable.is_empty());
            assert_eq!(heard.unreadable, [""; 0], "{client:?}");
            assert!(heard.values == sent, "{topic}, {client:?}: what was sent is read");
        }
        let found: Vec<u8> = batches(&std::fs::read(segment(broker, topic)).expect("a segment")).map(|batch| batch.codec).collect();
        let expected: Vec<u8> = if topic == "compressed" { vec![0, 1, 2, 3, 4] } else { vec![4; 5] };
        assert_eq!(found, expected, "{topic}: each batch lies in the log as its codec says");
    }
}

/// Three batches, of which the second is spoiled while the broker is down, and mended later.
struct Spoiled {
    topic: &'static str,
    path: PathBuf,
    /// The segment before it was spoiled.
    whole: Vec<u8>,
}

impl Spoiled {
    fn of(topic: &'static str, path: PathBuf, with_right_crc: bool) -> Spoiled {
        let whole = std::fs::read(&path).expect("a segment");
        let second = batches(&whole).nth(1).expect("three batches");
        let mut spoiled = whole.clone();
        let batch = &mut spoiled[second.bytes];
        batch[RECORDS..].iter_mut().take(8).for_each(|byte| *byte ^= 0x5a);
        if with_right_crc {
            seal(batch);
        }
        std::fs::write(&path, &spoiled).expect("spoiled");
        Spoiled { topic, path, whole }
    }

    fn mend(&self) {
        let grown = std::fs::read(&self.path).expect("a segment");
        std::fs::write(&self.path, [&self.whole[..], &grown[self.whole.len()..]].concat()).expect("mended");
    }
}

fn a_damaged_batch_is_said_and_not_passed(broker: &mut Broker) {
    let topics = [("damaged", false), ("undecompressable", true)];
    for (topic, _) in topics {
        broker.create_topic(topic, 1, &[]).expect("a topic");
        (0..3).for_each(|_| drop(produce(broker, topic, "zstd", 50)));
        let mut heard = Heard::default();
        heard.until(&mut reader(broker, topic, Client::Librdkafka), "everything while it is whole", |heard| {
            heard.values.len() == 150
        });
    }
    broker.stop().expect("stopped");
    let spoiled = topics.map(|(topic, with_right_crc)| Spoiled::of(topic, segment(broker, topic), with_right_crc));
    broker.restart().expect("it starts again");
    let both = |spoiled: &Spoiled| CLIENTS.map(|client| (reader(broker, spoiled.topic, client), Heard::default(), client));
    let mut readers: Vec<_> = spoiled.iter().flat_map(both).collect();
    for (bus, heard, client) in &mut readers {
        heard.until(bus, "that it is unreadable", |heard| !heard.unreadable.is_empty());
        assert!(heard.unreadable[0].contains("a batch is damaged"), "{client:?}: {heard:?}");
    }
    for spoiled in &spoiled {
        produce(broker, spoiled.topic, "zstd", 50);
    }
    // It is tried again every two seconds, and nothing behind it is given meanwhile.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(5) {
        for (bus, _, client) in &mut readers {
            bus.poll(Duration::from_millis(20), &mut |event| {
                let passed = matches!(event, BusEvent::Record(_) | BusEvent::CaughtUp(..));
                assert!(!passed, "{client:?}: something passed the damaged batch");
                assert!(!matches!(event, BusEvent::Unreadable(..)), "{client:?}: it is said once");
            });
        }
    }
    for (_, heard, _) in &readers {
        assert!(heard.offsets.iter().copied().eq(0..50) && heard.ends.is_empty(), "what is before it is read, once: {heard:?}");
    }
    broker.stop().expect("stopped");
    spoiled.iter().for_each(Spoiled::mend);
    broker.restart().expect("it starts again");
    for (bus, heard, _) in &mut readers {
        heard.until(bus, "reading goes on", |heard| heard.offsets.len() >= 200 && heard.ends.contains(&200));
        assert!(heard.offsets.iter().copied().eq(0..200), "each once, in order: {:?}", heard.offsets);
    }
}
