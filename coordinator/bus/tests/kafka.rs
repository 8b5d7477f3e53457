//! The Kafka bus on a real broker: what every bus must do, and what a broker does to it. Skipped, saying so, where the broker's jars
//! are not there.

#![allow(clippy::print_stdout)]

mod faults;
mod suite;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use ringmaster_bus::kafka::broker::{Broker, LIBS};
use ringmaster_bus::kafka::{Client, KafkaBus, KafkaSettings};
use ringmaster_bus::{Bus, BusEvent, Message, Sender, TopicPartition};

struct OnKafka {
    broker: Broker,
    client: Client,
}

impl suite::Rig for OnKafka {
    fn name(&self) -> &str {
        "kafka"
    }

    fn client(&self) -> Box<dyn Bus + Send> {
        Box::new(bus_by(&self.broker, self.client))
    }

    fn delete(&self, topic: &str) {
        self.broker.delete_topic(topic).expect("deleted");
    }

    fn forget(&self, topic: &str, partition: i32, below: i64) -> bool {
        self.broker.delete_records(topic, partition, below).expect("deleted");
        true
    }

    fn narrow(&self, topic: &str, bytes: usize) -> bool {
        self.broker.alter_topic(topic, "max.message.bytes", &bytes.to_string()).expect("altered");
        true
    }

    fn silence(&self) -> Duration {
        Duration::from_millis(300)
    }
}

fn start() -> Option<Broker> {
    if !Broker::is_available() {
        println!("skipped: {LIBS} does not name a folder with the jars of Kafka");
        return None;
    }
    Some(Broker::start().expect("a broker"))
}

/// One broker for all that does it no harm: starting one takes longer than most of them.
#[test]
fn conforms() {
    let Some(broker) = start() else { return };
    open_and_aborted_transactions_are_not_read_and_not_within_bounds(&broker, Client::Librdkafka);
    a_second_member_of_a_group_is_seen(&broker);
    what_was_paused_is_read_where_the_group_gives_it_again(&broker);
    a_member_reads_no_more_at_once_than_it_may(&broker);
    a_poll_lasts_until_something_happens(&broker, Client::Librdkafka);
    suite::run_all(&OnKafka { broker, client: Client::Librdkafka });
}

#[test]
fn our_own_client_conforms() {
    let Some(broker) = start() else { return };
    open_and_aborted_transactions_are_not_read_and_not_within_bounds(&broker, Client::Direct);
    a_poll_lasts_until_something_happens(&broker, Client::Direct);
    suite::run_all(&OnKafka { broker, client: Client::Direct });
}

#[test]
fn survives_its_broker() {
    let Some(mut broker) = start() else { return };
    for client in [Client::Librdkafka, Client::Direct] {
        faults::a_broker_that_freezes_is_waited_for_without_burning_cpu(&broker, client);
        faults::a_broker_that_dies_causes_doubt_and_no_acknowledged_record_is_lost(&mut broker, client);
    }
}

fn bus(broker: &Broker) -> KafkaBus {
    bus_by(broker, Client::Librdkafka)
}

fn bus_by(broker: &Broker, client: Client) -> KafkaBus {
    let passthrough = vec![(Client::SETTING.to_owned(), format!("{client:?}").to_lowercase())];
    KafkaBus::new(KafkaSettings { passthrough, ..KafkaSettings::new(broker.address()) }).expect("a bus")
}

fn partitions(bus: &mut KafkaBus, name: &str, count: i32) -> Vec<TopicPartition> {
    let topic = bus.topic(name);
    (0..count).map(|partition| TopicPartition { topic, partition }).collect()
}

fn send(bus: &mut KafkaBus, sender: Sender, to: TopicPartition, tag: u64) {
    let value = tag.to_string();
    bus.send(sender, Message { to, key: None, value: value.as_bytes(), headers: &[] }, tag).expect("it is taken");
}

/// Everything in a partition up to the end that the log has now, as numbers.
fn everything(bus: &mut KafkaBus, at: TopicPartition) -> Vec<u64> {
    let (mut values, mut end) = (vec![], false);
    bus.read(at, 0);
    let begun = Instant::now();
    while !end {
        assert!(begun.elapsed() < suite::heard::PATIENCE, "the end does not come");
        bus.poll(Duration::from_millis(100), &mut |event| match event {
            BusEvent::Record(record) => {
                assert_eq!(record.offset, values.len() as i64);
                values.push(std::str::from_utf8(record.value.expect("a value")).expect("text").parse().expect("a number"));
            }
            BusEvent::CaughtUp(..) => end = true,
            _ => {}
        });
    }
    bus.stop(at);
    values
}

/// Nothing happened: a poll waits for as long as it may. An answer ends it, however long it may wait.
fn a_poll_lasts_until_something_happens(broker: &Broker, client: Client) {
    let mut bus = bus_by(broker, client);
    broker.create_topic("waited-for", 1, &[]).expect("a topic");
    let at = partitions(&mut bus, "waited-for", 1)[0];
    let sender = bus.open_sender().expect("a sender");
    send(&mut bus, sender, at, 0);
    bus.read(at, 0);
    let (mut settled, wait) = (0, Duration::from_millis(300));
    while settled < 3 {
        let begun = Instant::now();
        let count = bus.poll(wait, &mut |_| {});
        assert!(count > 0 || begun.elapsed() >= wait, "it ended after {:?} with nothing", begun.elapsed());
        settled = if count == 0 { settled + 1 } else { 0 };
    }
    bus.ask_bounds(at);
    let (begun, mut bounds) = (Instant::now(), None);
    let count = bus.poll(10 * suite::heard::PATIENCE, &mut |event| match event {
        BusEvent::Bounds { start, end, .. } => bounds = Some((start, end)),
        _ => panic!("something else happened"),
    });
    assert!(begun.elapsed() < suite::heard::PATIENCE, "nothing woke it");
    assert_eq!((count, bounds), (1, Some((0, 1))));
}

/// Topics of users may be written in transactions.
fn open_and_aborted_transactions_are_not_read_and_not_within_bounds(broker: &Broker, client: Client) {
    broker.create_topic("transacted", 1, &[]).expect("a topic");
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.address()).set("transactional.id", "a service");
    let producer: BaseProducer = config.create().expect("a producer");
    let wait = suite::heard::PATIENCE;
    producer.init_transactions(wait).expect("begun");
    let transaction = |value: &str| {
        producer.begin_transaction().expect("begun");
        producer.send(BaseRecord::<(), str>::to("transacted").partition(0).payload(value)).expect("sent");
        producer.flush(wait).expect("written");
    };
    let mut bus = bus_by(broker, client);
    let at = partitions(&mut bus, "transacted", 1)[0];
    bus.read(at, 0);
    let mut values = vec![];
    let mut hear = |bus: &mut KafkaBus, time: Duration| {
        let (begun, mut asked, mut ends, mut bounds) = (Instant::now(), false, vec![], vec![]);
        while bounds.is_empty() {
            // A commit's marker follows a moment after the producer has its answer.
            if !asked && begun.elapsed() >= time {
                bus.ask_bounds(at);
                asked = true;
            }
            bus.poll(Duration::from_millis(50), &mut |event| match event {
                BusEvent::Record(record) => values.push(record.value.expect("a value").to_vec()),
                BusEvent::CaughtUp(_, end) => ends.push(end),
                BusEvent::Bounds { end, .. } => bounds.push(end),
                _ => {}
            });
        }
        (values.len(), ends, bounds)
    };
    transaction("taken back");
    let (read, _, bounds) = hear(&mut bus, Duration::from_secs(1));
    assert_eq!((read, &*bounds), (0, &[0][..]), "an open transaction is beyond the end");
    producer.abort_transaction(wait).expect("aborted");
    transaction("kept");
    let (read, _, _) = hear(&mut bus, Duration::from_secs(1));
    assert_eq!(read, 0);
    producer.commit_transaction(wait).expect("committed");
    // Two records and two markers: the reader's end is the log's, once the last marker is there.
    let (begun, mut end) = (Instant::now(), None);
    let read = loop {
        let (read, ends, bounds) = hear(&mut bus, Duration::ZERO);
        end = ends.last().copied().or(end);
        if end == Some(4) && *bounds == [4] {
            break read;
        }
        assert!(begun.elapsed() < suite::heard::PATIENCE, "the end is not where it must be: {end:?}, {bounds:?}");
    };
    assert_eq!(read, 1, "what was committed, once");
    assert_eq!(values, [b"kept"]);
}

fn a_second_member_of_a_group_is_seen(broker: &Broker) {
    broker.create_topic("membered", 2, &[]).expect("a topic");
    let assigned = |bus: &mut KafkaBus, last: &mut Option<usize>| {
        bus.poll(Duration::from_millis(50), &mut |event| match event {
            BusEvent::Assigned(which) => *last = Some(which.len()),
            BusEvent::Revoked(_) => *last = None,
            _ => {}
        });
    };
    let (mut one, mut two) = (bus(broker), bus(broker));
    let (mut ones, mut twos, begun) = (None, None, Instant::now());
    let topic = one.topic("membered");
    one.join("g", &[topic]).expect("it joins");
    while ones != Some(2) {
        assigned(&mut one, &mut ones);
        assert!(begun.elapsed() < suite::heard::PATIENCE, "{ones:?}");
    }
    let topic = two.topic("membered");
    two.join("g", &[topic]).expect("it joins");
    while (ones, twos) != (Some(1), Some(1)) {
        assigned(&mut one, &mut ones);
        assigned(&mut two, &mut twos);
        assert!(begun.elapsed() < 2 * suite::heard::PATIENCE, "{ones:?} {twos:?}");
    }
    drop(two);
    while ones != Some(2) {
        assigned(&mut one, &mut ones);
        assert!(begun.elapsed() < 3 * suite::heard::PATIENCE, "what the other left: {ones:?}");
    }
}

/// A pause is of what a member has: what is taken from it and given again is read like anything new.
fn what_was_paused_is_read_where_the_group_gives_it_again(broker: &Broker) {
    broker.create_topic("paused-and-given", 2, &[]).expect("a topic");
    let mut first = bus(broker);
    let at = partitions(&mut first, "paused-and-given", 2);
    first.join("pausing", &[at[0].topic]).expect("joined");
    let begun = Instant::now();
    let (mut given, mut read) = (0, 0);
    let turn = |bus: &mut KafkaBus, given: &mut usize, read: &mut usize| {
        bus.poll(Duration::from_millis(50), &mut |event| match event {
            BusEvent::Assigned(all) => *given = all.len(),
            BusEvent::Record(_) => *read += 1,
            _ => {}
        });
        assert!(begun.elapsed() < 4 * suite::heard::PATIENCE, "{given} given, {read} read");
    };
    while given != 2 {
        turn(&mut first, &mut given, &mut read);
    }
    first.pause(&at, true);
    let mut second = bus(broker);
    let topic = second.topic("paused-and-given");
    second.join("pausing", &[topic]).expect("joined");
    let (mut of_second, mut by_second) = (0, 0);
    while (given, of_second) != (1, 1) {
        turn(&mut first, &mut given, &mut read);
        turn(&mut second, &mut of_second, &mut by_second);
    }
    let mut writer = bus(broker);
    let to = partitions(&mut writer, "paused-and-given", 2);
    let sender = writer.open_sender().expect("a sender");
    to.iter().zip(0..).for_each(|(to, tag)| send(&mut writer, sender, *to, tag));
    while (read, by_second) != (1, 1) {
        turn(&mut first, &mut given, &mut read);
        turn(&mut second, &mut of_second, &mut by_second);
        writer.poll(Duration::ZERO, &mut |_| {});
    }
}

/// Whoever takes long over each record has no more of them in hand than it wants.
fn a_member_reads_no_more_at_once_than_it_may(broker: &Broker) {
    const RECORDS: u64 = 500;
    broker.create_topic("little-at-once", 1, &[]).expect("a topic");
    let mut writer = bus(broker);
    let to = partitions(&mut writer, "little-at-once", 1)[0];
    let sender = writer.open_sender().expect("a sender");
    (0..RECORDS).for_each(|tag| send(&mut writer, sender, to, tag));
    let mut most_of = |limit: Option<usize>, group: &str| {
        let mut member = bus(broker);
        let topic = member.topic("little-at-once");
        limit.into_iter().for_each(|limit| member.limit_records(limit));
        member.join(group, &[topic]).expect("joined");
        let (mut all, mut most, begun) = (0, 0, Instant::now());
        while all < RECORDS {
            let mut read = 0;
            member.poll(Duration::from_millis(50), &mut |event| read += u64::from(matches!(event, BusEvent::Record(_))));
            writer.poll(Duration::ZERO, &mut |_| {});
            (all, most) = (all + read, most.max(read));
            assert!(begun.elapsed() < 4 * suite::heard::PATIENCE, "{all} are read");
        }
        most
    };
    assert!(most_of(None, "much") > 7, "so many lie there");
    let most = [Some(7), Some(1), Some(0)].map(|limit| most_of(limit, &format!("little-{limit:?}").replace(['(', ')'], "-")));
    assert!(most.iter().zip([7, 1, 1]).all(|(most, limit)| *most <= limit), "{most:?}");
}

/// Started by the test below: starts a broker, says its pid, and waits to be killed.
#[test]
fn child() {
    if std::env::var_os("RINGMASTER_TEST_CHILD").is_some() {
        let broker = start().expect("the jars");
        println!("\npid {} {}", broker.pid(), broker.folder().display());
        std::thread::sleep(10 * suite::heard::PATIENCE);
    }
}

#[test]
fn a_broker_dies_with_the_process_that_started_it() {
    if !Broker::is_available() {
        return;
    }
    let mut child = Command::new(std::env::current_exe().expect("this test"));
    let child = child.args(["--exact", "child", "--nocapture"]).env("RINGMASTER_TEST_CHILD", "1");
    let mut child = child.stdout(Stdio::piped()).spawn().expect("a child");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines().map(|line| line.expect("a line"));
    let said = lines.into_iter().find_map(|line| line.strip_prefix("pid ").map(str::to_owned)).expect("it says the pid");
    let (pid, folder) = said.split_once(' ').expect("two words");
    let alive = || std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains("kafka.Kafka"));
    assert!(alive());
    child.kill().expect("killed");
    child.wait().expect("dead");
    assert!(Path::new(folder).exists(), "{folder}: where it keeps what it has");
    // The shell beside it ends it, and takes its folder away.
    let begun = Instant::now();
    while alive() || Path::new(folder).exists() {
        assert!(begun.elapsed() < suite::heard::PATIENCE, "the broker, or its folder, lives on");
        std::thread::sleep(Duration::from_millis(20));
    }
}
