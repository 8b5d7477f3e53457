//! A cluster that says of itself that it has no brokers, as one does that shuts down: librdkafka forgets all it knew, for good. Every
//! client must find its way back by the addresses that it began with. Skipped, saying so, where the broker's jars are not there.

#![allow(clippy::print_stdout)]

use std::collections::{BTreeSet, HashMap};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ringmaster_bus::kafka::broker::{Broker, LIBS};
use ringmaster_bus::kafka::{KafkaBus, KafkaSettings};
use ringmaster_bus::{Bus, BusEvent, Message, TopicPartition};

const PATIENCE: Duration = Duration::from_secs(120);
/// So many that taking the answer takes a client longer than seeing the connection's end: that is when it goes wrong.
const PARTITIONS: i32 = 1_000;
const ROUNDS: usize = 4;
/// As many as a coordinator asks at once after a doubt.
const QUESTIONS: usize = 8;
/// Kafka's number of the request for metadata.
const METADATA: i16 = 3;

/// Stands between clients and the broker, which tells them to come this way.
struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    broker: Mutex<String>,
    /// Answers name no broker.
    emptied: AtomicBool,
    emptied_count: AtomicUsize,
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    fn start() -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let (port, shared) = (listener.local_addr().expect("an address").port(), Arc::<Shared>::default());
        let theirs = shared.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let shared = theirs.clone();
                // How a connection ends does not matter: clients make another.
                std::thread::spawn(move || between(client.expect("a client"), &shared));
            }
        });
        Proxy { port, shared }
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Ends all connections that there are.
    fn cut(&self) {
        self.shared.open.lock().expect("no panic").drain(..).for_each(|socket| drop(socket.shutdown(Shutdown::Both)));
    }
}

fn between(mut client: TcpStream, shared: &Arc<Shared>) -> io::Result<()> {
    let mut broker = TcpStream::connect(&*shared.broker.lock().expect("no panic"))?;
    let asked: Arc<Mutex<HashMap<i32, (i16, i16)>>> = Arc::default();
    shared.open.lock().expect("no panic").extend([client.try_clone()?, broker.try_clone()?]);
    let (mut from_client, mut to_broker, known) = (client.try_clone()?, broker.try_clone()?, asked.clone());
    std::thread::spawn(move || -> io::Result<()> {
        while let Ok(frame) = frame(&mut from_client) {
            let (api, version) = (i16::from_be_bytes([frame[0], frame[1]]), i16::from_be_bytes([frame[2], frame[3]]));
            known.lock().expect("no panic").insert(correlation(&frame[4..]), (api, version));
            write(&mut to_broker, &frame)?;
        }
        to_broker.shutdown(Shutdown::Both)
    });
    while let Ok(mut frame) = frame(&mut broker) {
        let what = asked.lock().expect("no panic").remove(&correlation(&frame));
        if shared.emptied.load(SeqCst)
            && let Some((METADATA, version)) = what
        {
            frame = without_brokers(&frame, version);
            write(&mut client, &frame)?;
            shared.emptied_count.fetch_add(1, SeqCst);
            // The end comes at the heels of the answer.
            break;
        }
        write(&mut client, &frame)?;
    }
    client.shutdown(Shutdown::Both)
}

fn correlation(bytes: &[u8]) -> i32 {
    i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

fn frame(from: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let mut frame = vec![0; i32::from_be_bytes(length) as usize];
    from.read_exact(&mut frame)?;
    Ok(frame)
}

fn write(to: &mut TcpStream, frame: &[u8]) -> io::Result<()> {
    to.write_all(&[&(frame.len() as i32).to_be_bytes(), frame].concat())
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
    doubts: usize,
    bounds: usize,
}

impl Line {
    fn new(address: String, topic: &str) -> Line {
        let mut bus = KafkaBus::new(KafkaSettings::new(address)).expect("a bus");
        let at = TopicPartition { topic: bus.topic(topic), partition: 0 };
        Line { bus, at, values: BTreeSet::new(), acknowledged: 0, doubts: 0, bounds: 0 }
    }

    fn poll(&mut self) {
        let Line { bus, values, acknowledged, doubts, bounds, .. } = self;
        bus.poll(Duration::from_millis(20), &mut |event| match event {
            BusEvent::Record(record) => drop(values.insert(record.value.expect("a value").to_vec())),
            BusEvent::Acknowledged { .. } => *acknowledged += 1,
            BusEvent::Doubt { .. } => *doubts += 1,
            BusEvent::Bounds { .. } => *bounds += 1,
            _ => {}
        });
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
    let proxy = Proxy::start();
    let broker = Broker::start_with(&[("advertised.listeners", &format!("PLAINTEXT://{}", proxy.address()))]).expect("a broker");
    *proxy.shared.broker.lock().expect("no panic") = broker.address().to_owned();
    broker.create_topic("emptied", PARTITIONS, &[]).expect("a topic");

    // Of each kind of client one: a reader, a member of a group, a sender, and the one that asks.
    let mut reader = Line::new(proxy.address(), "emptied");
    reader.bus.read(reader.at, 0);
    let mut member = Line::new(proxy.address(), "emptied");
    let topic = member.at.topic;
    member.bus.join("members", &[topic]).expect("it joins");
    let mut writer = Line::new(proxy.address(), "emptied");
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
        proxy.shared.emptied_count.store(0, SeqCst);
        proxy.shared.emptied.store(true, SeqCst);
        proxy.cut();
        let begun = Instant::now();
        // Each asks when it has connected again.
        while proxy.shared.emptied_count.load(SeqCst) < 4 && begun.elapsed() < Duration::from_secs(10) {
            [&mut reader, &mut member, &mut writer].into_iter().for_each(Line::poll);
        }
        assert!(proxy.shared.emptied_count.load(SeqCst) >= 3, "the fault hit nothing");
        proxy.shared.emptied.store(false, SeqCst);

        ask(&mut writer);
        writer.until("questions are answered", |line| line.bounds == QUESTIONS * (1 + round));
        send(&mut writer, round);
        writer.until("another record is written", |line| line.acknowledged == 1 + round);
        reader.until("another record is read", |line| line.values.len() == 1 + round);
        member.until("another record is read by the member", |line| line.values.len() == 1 + round);
        println!("round {round}: {:?}", begun.elapsed());
    }
}
