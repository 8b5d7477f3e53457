//! The Kafka bus on a real broker: what every bus must do, and what a broker does to it. Skipped, saying so, where the broker's jars
//! are not there.

#![allow(clippy::print_stdout)]

mod suite;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use ringmaster_bus::kafka::broker::{Broker, LIBS};
use ringmaster_bus::kafka::{KafkaBus, KafkaSettings};
use ringmaster_bus::{Bus, BusEvent, Message, SendError, Sender, TopicPartition};

struct OnKafka {
    broker: Broker,
}

impl suite::Rig for OnKafka {
    fn name(&self) -> &str {
        "kafka"
    }

    fn client(&self) -> Box<dyn Bus + Send> {
        Box::new(KafkaBus::new(KafkaSettings::new(self.broker.address())).expect("a bus"))
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
    open_and_aborted_transactions_are_not_read_and_not_within_bounds(&broker);
    a_second_member_of_a_group_is_seen(&broker);
    a_poll_lasts_until_something_happens(&broker);
    suite::run_all(&OnKafka { broker });
}

#[test]
fn survives_its_broker() {
    let Some(mut broker) = start() else { return };
    a_broker_that_freezes_is_waited_for_without_burning_cpu(&broker);
    a_broker_that_dies_causes_doubt_and_no_acknowledged_record_is_lost(&mut broker);
}

fn bus(broker: &Broker) -> KafkaBus {
    KafkaBus::new(KafkaSettings::new(broker.address())).expect("a bus")
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
fn a_poll_lasts_until_something_happens(broker: &Broker) {
    let mut bus = bus(broker);
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

/// What a broker that dies does to records in flight, and what of it is said.
fn a_broker_that_dies_causes_doubt_and_no_acknowledged_record_is_lost(broker: &mut Broker) {
    broker.create_topic("killed", 1, &[]).expect("a topic");
    let mut bus = bus(broker);
    let at = partitions(&mut bus, "killed", 1)[0];
    let sender = bus.open_sender().expect("a sender");
    let (mut sent, mut acknowledged, mut doubts, mut in_flight_at_kill) = (0, vec![], vec![], 0);
    let begun = Instant::now();
    let mut killed = false;
    while doubts.is_empty() {
        assert!(begun.elapsed() < suite::heard::PATIENCE, "no doubt");
        for _ in 0..200 {
            if sent < 400_000 {
                send(&mut bus, sender, at, sent);
                sent += 1;
            }
        }
        bus.poll(Duration::from_millis(1), &mut |event| match event {
            BusEvent::Acknowledged { tag, offset, .. } => acknowledged.push((tag, offset)),
            BusEvent::Doubt { sender: whose, why } => doubts.push((whose, why)),
            _ => {}
        });
        if !killed && acknowledged.len() > 5_000 {
            in_flight_at_kill = sent as usize - acknowledged.len();
            broker.kill().expect("killed");
            killed = true;
        }
    }
    assert!(in_flight_at_kill > 0, "the fault hit nothing");
    assert!(doubts.iter().all(|(whose, why)| *whose == sender && !why.is_empty()));
    broker.restart().expect("it starts again");
    // The same sender goes on: each record once and in order, whatever was in flight.
    while acknowledged.len() < sent as usize {
        assert!(begun.elapsed() < 3 * suite::heard::PATIENCE, "{} of {sent} acknowledged", acknowledged.len());
        bus.poll(Duration::from_millis(50), &mut |event| match event {
            BusEvent::Acknowledged { tag, offset, .. } => acknowledged.push((tag, offset)),
            BusEvent::Failed { tag, why, .. } => panic!("{tag} failed: {why}"),
            _ => {}
        });
    }
    assert!(acknowledged.iter().map(|(tag, _)| *tag).eq(0..sent), "acknowledgements come in order");
    let there = everything(&mut bus, at);
    assert!(there.iter().copied().eq(0..sent), "each record once, in order");
    let offsets = acknowledged.iter().filter_map(|(tag, offset)| Some((*tag, (*offset)?)));
    offsets.for_each(|(tag, offset)| assert_eq!(tag as i64, offset));
    // A new sender after the doubt, as the protocol takes one.
    bus.close_sender(sender);
    let sender = bus.open_sender().expect("a sender");
    send(&mut bus, sender, at, sent);
    let mut confirmed = false;
    while !confirmed {
        assert!(begun.elapsed() < 4 * suite::heard::PATIENCE, "the new sender is not confirmed");
        bus.poll(Duration::from_millis(50), &mut |event| confirmed |= matches!(event, BusEvent::Acknowledged { .. }));
    }
    assert_eq!(everything(&mut bus, at).len() as u64, sent + 1);
}

fn a_broker_that_freezes_is_waited_for_without_burning_cpu(broker: &Broker) {
    broker.create_topic("frozen", 2, &[]).expect("a topic");
    let mut bus = bus(broker);
    let at = partitions(&mut bus, "frozen", 2);
    let (at, elsewhere) = (at[0], at[1]);
    let sender = bus.open_sender().expect("a sender");
    bus.read(at, 0);
    let (mut read, mut acknowledged, begun) = (0, 0, Instant::now());
    let mut sent = 0;
    while read < 1_000 {
        send(&mut bus, sender, at, sent);
        sent += 1;
        bus.poll(Duration::ZERO, &mut |event| count(&event, &mut read, &mut acknowledged));
    }
    let mut member = self::bus(broker);
    let topic = member.topic("frozen");
    member.join("frozen", &[topic]).expect("it joins");
    let mut assigned = false;
    while !assigned {
        member.poll(Duration::from_millis(100), &mut |event| assigned |= matches!(event, BusEvent::Assigned(_)));
    }
    broker.pause().expect("paused");
    for _ in 0..1_000 {
        send(&mut bus, sender, at, sent);
        sent += 1;
    }
    // What was on its way still comes.
    while bus.poll(Duration::from_millis(500), &mut |event| count(&event, &mut read, &mut acknowledged)) > 0 {}
    assert!(acknowledged < sent, "the fault hit nothing");
    let (cpu, waited) = (cpu_time(), Instant::now());
    while waited.elapsed() < Duration::from_secs(2) {
        bus.poll(Duration::from_secs(2), &mut |event| count(&event, &mut read, &mut acknowledged));
    }
    let cpu = cpu_time() - cpu;
    assert!(cpu < Duration::from_millis(500), "{cpu:?} of CPU in 2 s of waiting for acknowledgements");
    // Another sender is told when the bus holds as much as it may.
    let (other, mut taken) = (bus.open_sender().expect("a sender"), 0u64);
    let full = loop {
        let message = Message { to: elsewhere, key: None, value: b"more and more", headers: &[] };
        match bus.send(other, message, taken) {
            Ok(()) => taken += 1,
            Err(why) => break why,
        }
        if taken % 1_000 == 0 {
            bus.poll(Duration::ZERO, &mut |_| {});
        }
        assert!(taken < 2_000_000, "there is no bound");
    };
    assert_eq!(full, SendError::Full);
    bus.close_sender(other);
    let dropped = Instant::now();
    drop(member);
    println!("a member left a frozen broker in {:?}", dropped.elapsed());
    assert!(
        dropped.elapsed() < suite::heard::PATIENCE / 2,
        "a member that ends must not wait for a broker: {:?}",
        dropped.elapsed()
    );
    broker.resume().expect("resumed");
    while read < sent || acknowledged < sent {
        assert!(begun.elapsed() < 4 * suite::heard::PATIENCE, "{read} read and {acknowledged} acknowledged of {sent}");
        bus.poll(Duration::from_millis(100), &mut |event| count(&event, &mut read, &mut acknowledged));
    }
    assert_eq!((read, acknowledged), (sent, sent));
}

fn count(event: &BusEvent<'_>, read: &mut u64, acknowledged: &mut u64) {
    match event {
        BusEvent::Record(record) => {
            assert_eq!(record.offset as u64, *read);
            *read += 1;
        }
        BusEvent::Acknowledged { tag, .. } => {
            assert_eq!(tag, acknowledged);
            *acknowledged += 1;
        }
        BusEvent::Failed { tag, why, .. } => panic!("{tag} failed: {why}"),
        _ => {}
    }
}

/// CPU time of this thread, in the clock ticks of /proc (10 ms): other tests run beside it.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("/proc");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("a name").split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<u64>().expect("a number");
    Duration::from_millis(10 * (ticks(11) + ticks(12)))
}

/// Topics of users may be written in transactions.
fn open_and_aborted_transactions_are_not_read_and_not_within_bounds(broker: &Broker) {
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
    let mut bus = bus(broker);
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
