//! A broker that names the leaders of some partitions along with an error, and says of others that they have none: an answer that
//! librdkafka reads into memory that it does not fill. Every partition must be read on.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::{ClientContext, Message as _, Offset, TopicPartitionList};
use ringmaster_bus::kafka::broker::{Broker, LIBS};
use ringmaster_bus::kafka::{Client, KafkaBus, KafkaSettings};
use ringmaster_bus::{Bus, Message, TopicPartition};

use crate::proxy::{Answer, Asked, Proxy};

const PATIENCE: Duration = Duration::from_secs(120);
const PARTITIONS: i32 = 8;
const ROUNDS: usize = 6;
/// Kafka's number of the request for records.
const FETCH: i16 = 1;

/// An answer to a fetch that names a leader for the first partition only: to all others it says that there is none.
fn without_most_leaders(asked: &Asked, answer: &[u8], broker: &str) -> Vec<u8> {
    assert!(asked.version >= 16, "version {} has another form", asked.version);
    // Behind the header (with the client's name and no tags), four numbers, isolation, session and its epoch, how many topics: a topic.
    let name = usize::from(asked.frame[9]);
    let topic = 10 + name + 1 + 4 + 4 + 4 + 1 + 4 + 4 + 1;
    // The correlation, no tags; no throttling, no error, no session; one topic.
    let mut to = [&answer[..4], &[0; 1 + 4 + 2 + 4], &[2]].concat();
    to.extend_from_slice(&asked.frame[topic..topic + 16]);
    to.push(PARTITIONS as u8 + 1);
    for partition in 0..PARTITIONS {
        to.extend_from_slice(&partition.to_be_bytes());
        // It does not lead; four offsets and a replica that are not known, no transactions, no records.
        to.extend_from_slice(&6i16.to_be_bytes());
        to.extend_from_slice(&[0xff; 8 + 8 + 8]);
        to.push(1);
        to.extend_from_slice(&[0xff; 4]);
        to.push(1);
        // A tag of 9 bytes: the leader, its epoch, no tags.
        let leader: i32 = if partition == 0 { 1 } else { -1 };
        to.extend_from_slice(&[1, 1, 9]);
        to.extend_from_slice(&leader.to_be_bytes());
        to.extend_from_slice(&0i32.to_be_bytes());
        to.push(0);
    }
    to.push(0);
    // A tag: one node, its number, address, no rack, no tags.
    let (host, port) = broker.split_once(':').expect("a port");
    let port: i32 = port.parse().expect("a number");
    let node = [&[2][..], &1i32.to_be_bytes(), &[host.len() as u8 + 1], host.as_bytes(), &port.to_be_bytes(), &[0, 0]].concat();
    to.extend_from_slice(&[1, 0, node.len() as u8]);
    to.extend_from_slice(&node);
    to
}

/// What librdkafka says.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<String>>>);

impl ClientContext for Said {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.lock().expect("no panic").push(format!("{facility}: {message}"));
    }
}

impl ConsumerContext for Said {}

#[test]
fn partitions_without_a_leader_are_read_again() {
    if !Broker::is_available() {
        println!("skipped: {LIBS} does not name a folder with the jars of Kafka");
        return;
    }
    let told = Arc::new(AtomicUsize::new(0));
    let (left, here) = (told.clone(), Arc::<Mutex<String>>::default());
    let theirs = here.clone();
    let proxy = Proxy::start(move |asked, answer| {
        if asked.api != FETCH || left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_err() {
            return Answer::AsItIs;
        }
        Answer::Instead(without_most_leaders(asked, answer, &theirs.lock().expect("no panic")))
    });
    here.lock().expect("no panic").clone_from(&proxy.address);
    proxy.broker.create_topic("leaders", PARTITIONS, &[]).expect("a topic");

    let said = Said::default();
    let reader: BaseConsumer<Said> = ClientConfig::new()
        .set("bootstrap.servers", &proxy.address)
        .set("group.id", "leaders")
        .set("auto.offset.reset", "error")
        .create_with_context(said.clone())
        .expect("a consumer");
    let mut assigned = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        assigned.add_partition_offset("leaders", partition, Offset::Offset(0)).expect("a place");
    }
    reader.assign(&assigned).expect("they are assigned");
    let passthrough = vec![(Client::SETTING.to_owned(), "librdkafka".to_owned())];
    let mut bus = KafkaBus::new(KafkaSettings { passthrough, ..KafkaSettings::new(proxy.address.clone()) }).expect("a bus");
    let (topic, sender) = (bus.topic("leaders"), bus.open_sender().expect("a sender"));

    let mut read = vec![0; PARTITIONS as usize];
    for round in 1..=ROUNDS {
        for partition in 0..PARTITIONS {
            let message = Message { to: TopicPartition { topic, partition }, key: None, value: b"a record", headers: &[] };
            bus.send(sender, message, 0).expect("it is taken");
        }
        let begun = Instant::now();
        while read.iter().any(|count| *count < round) || told.load(SeqCst) > 0 {
            assert!(begun.elapsed() < PATIENCE, "round {round}: of each partition were read {read:?}; {:?}", said.0);
            bus.poll(Duration::from_millis(1), &mut |_| {});
            if let Some(Ok(record)) = reader.poll(Duration::from_millis(10)) {
                read[record.partition() as usize] += 1;
            }
        }
        told.store(1, SeqCst);
    }
    let said = said.0.lock().expect("no panic");
    let wrong: Vec<_> = said.iter().filter(|line| line.starts_with("METADATAUPDATE")).collect();
    assert!(wrong.is_empty(), "librdkafka took what was not told: {wrong:#?}");
}
