//! The direct client on a real broker by every protocol and mechanism: what every way in must carry, and what is said where client and
//! broker do not fit. Skipped, saying so, where the broker's jars are not there.

#![allow(clippy::print_stdout)]

mod papers;

use std::time::{Duration, Instant};

use ringmaster_bus::kafka::broker::{Broker, LIBS, Secured};
use ringmaster_bus::kafka::{Client, KafkaBus, KafkaSettings};
use ringmaster_bus::{Bus, BusEvent, Message, Sender, TopicPartition};

use papers::{PASSWORD, Papers, USER};

/// Longer than anything takes on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(120);
const PARTITIONS: i32 = 2;
const MECHANISMS: [&str; 3] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

type Settings = Vec<(String, String)>;

fn settings(pairs: &[(&str, &str)]) -> Settings {
    pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// What is needed to come in.
fn needed(papers: &Papers, protocol: &str, mechanism: &str) -> Settings {
    let mut needed = settings(&[("security.protocol", protocol)]);
    if protocol.ends_with("SSL") {
        needed.extend(settings(&[("ssl.ca.pem", &papers.authority)]));
    }
    match protocol {
        "SSL" => needed.extend(settings(&[("ssl.certificate.pem", &papers.client.0), ("ssl.key.pem", &papers.client.1)])),
        // Its certificate is for another name.
        "SASL_SSL" => needed.extend(settings(&[("ssl.endpoint.identification.algorithm", "none")])),
        _ => {}
    }
    if protocol.starts_with("SASL") {
        needed.extend(settings(&[("sasl.mechanism", mechanism), ("sasl.username", USER), ("sasl.password", PASSWORD)]));
    }
    needed
}

fn bus(address: String, client: Client, mut passthrough: Settings) -> KafkaBus {
    passthrough.push((Client::SETTING.to_owned(), format!("{client:?}").to_lowercase()));
    KafkaBus::new(KafkaSettings { passthrough, ..KafkaSettings::new(address) }).expect("a bus")
}

/// A bus by one way in, and what it heard.
struct Way {
    name: String,
    bus: KafkaBus,
    at: Vec<TopicPartition>,
    sender: Sender,
    sent: u64,
    acknowledged: Vec<(u64, Option<i64>)>,
    doubts: Vec<String>,
    /// By partition.
    read: Vec<Vec<u64>>,
    ends: Vec<bool>,
}

impl Way {
    fn new(secured: &Secured, papers: &Papers, protocol: &str, mechanism: &str) -> Self {
        let name = format!("by-{protocol}-{mechanism}");
        let mut bus = bus(secured.address(protocol), Client::Direct, needed(papers, protocol, mechanism));
        secured.broker.create_topic(&name, PARTITIONS, &[]).expect("a topic");
        let topic = bus.topic(&name);
        let at = (0..PARTITIONS).map(|partition| TopicPartition { topic, partition }).collect();
        let sender = bus.open_sender().expect("a sender");
        let (read, ends) = (vec![Vec::new(); PARTITIONS as usize], vec![false; PARTITIONS as usize]);
        Way { name, bus, at, sender, sent: 0, acknowledged: Vec::new(), doubts: Vec::new(), read, ends }
    }

    fn send(&mut self, count: u64) {
        for tag in self.sent..self.sent + count {
            let (to, value) = (self.at[(tag % PARTITIONS as u64) as usize], tag.to_string());
            self.bus.send(self.sender, Message { to, key: None, value: value.as_bytes(), headers: &[] }, tag).expect("taken");
        }
        self.sent += count;
    }

    fn poll(&mut self, wait: Duration) {
        let Way { bus, acknowledged, doubts, read, ends, name, .. } = self;
        bus.poll(wait, &mut |event| match event {
            BusEvent::Acknowledged { tag, offset, .. } => acknowledged.push((tag, offset)),
            BusEvent::Doubt { why, .. } => doubts.push(why),
            BusEvent::Failed { tag, why, .. } => panic!("{name}: {tag} failed: {why}"),
            BusEvent::Record(record) => {
                let value = std::str::from_utf8(record.value.expect("a value")).expect("text");
                read[record.at.partition as usize].push(value.parse().expect("a number"));
            }
            BusEvent::CaughtUp(at, _) => ends[at.partition as usize] = true,
            _ => {}
        });
    }

    fn until(&mut self, what: &str, holds: impl Fn(&Way) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(
                begun.elapsed() < PATIENCE,
                "{}: {what}: {} acknowledged, {:?}",
                self.name,
                self.acknowledged.len(),
                self.doubts
            );
            self.poll(Duration::from_millis(50));
        }
    }

    fn is_settled(&self) -> bool {
        self.acknowledged.len() as u64 == self.sent
    }
}

#[test]
fn each_way_in_carries_records_and_none_is_open_to_others() {
    if !Broker::is_available() {
        println!("skipped: {LIBS} does not name a folder with the jars of Kafka");
        return;
    }
    let papers = Papers::new();
    let mut secured = papers.start();
    let protocols = ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"];
    let mechanisms = |protocol: &str| if protocol.starts_with("SASL") { &MECHANISMS[..] } else { &[""][..] };
    let mut ways: Vec<Way> = protocols
        .iter()
        .flat_map(|protocol| mechanisms(protocol).iter().map(|mechanism| Way::new(&secured, &papers, protocol, mechanism)))
        .collect();
    assert_eq!(ways.len(), 8);
    for way in &mut ways {
        way.send(500);
        way.until("all is acknowledged", Way::is_settled);
        assert!(way.doubts.is_empty(), "{}: {:?}", way.name, way.doubts);
    }
    strangers(&secured, &papers);
    // Connections that are cut with something on its way over each.
    secured.broker.pause().expect("paused");
    for way in &mut ways {
        way.send(500);
        (0..5).for_each(|_| way.poll(Duration::from_millis(1)));
        assert!(!way.is_settled(), "the fault hits something");
    }
    secured.broker.kill().expect("killed");
    for way in &mut ways {
        way.until("a doubt", |way| way.doubts.iter().any(|why| why.contains("batches were on their way")));
    }
    secured.broker.restart().expect("it starts again");
    for way in &mut ways {
        way.until("all is acknowledged behind it", Way::is_settled);
        way.at.iter().for_each(|at| way.bus.read(*at, 0));
        way.until("all is read", |way| way.ends.iter().all(|end| *end) && way.read.iter().flatten().count() as u64 >= way.sent);
        for (partition, read) in (0..).zip(&way.read) {
            let expected = (0..way.sent).filter(|tag| tag % PARTITIONS as u64 == partition);
            assert!(read.iter().copied().eq(expected), "{}: each record once and in order: {read:?}", way.name);
        }
        for (tag, offset) in &way.acknowledged {
            let place = (tag / PARTITIONS as u64) as i64;
            assert!(offset.is_none_or(|offset| offset == place), "{}: {tag} is at {offset:?}", way.name);
        }
    }
}

/// Whoever does not fit gets a doubt that says what is wrong, and librdkafka a doubt too.
fn strangers(secured: &Secured, papers: &Papers) {
    let ssl = |from: &str, to: &str, change: &[(&str, &str)]| {
        let mut with = needed(papers, from, MECHANISMS[1]);
        with.extend(settings(change));
        (secured.address(to), with)
    };
    let mut cases = vec![
        (ssl("PLAINTEXT", "SSL", &[]), "security.protocol is ssl or sasl_ssl"),
        (ssl("SSL", "PLAINTEXT", &[]), "security.protocol is plaintext or sasl_plaintext"),
        (ssl("SASL_PLAINTEXT", "PLAINTEXT", &[]), "this listener takes no SASL"),
        (ssl("PLAINTEXT", "SASL_PLAINTEXT", &[]), "security.protocol is sasl_plaintext or sasl_ssl"),
        (ssl("SSL", "SSL", &[("ssl.ca.pem", &papers.other)]), "ssl.ca.location names the certificate of who signed it"),
        (ssl("SASL_SSL", "SASL_SSL", &[("ssl.endpoint.identification.algorithm", "https")]), "for other names (other.example)"),
        (
            (secured.address("SSL"), settings(&[("security.protocol", "ssl"), ("ssl.ca.pem", &papers.authority)])),
            "ssl.certificate.location",
        ),
    ];
    for mechanism in MECHANISMS {
        for protocol in ["SASL_PLAINTEXT", "SASL_SSL"] {
            let change = [("sasl.mechanism", mechanism), ("sasl.password", "of somebody else")];
            cases.push((ssl(protocol, protocol, &change), "see sasl.username and sasl.password"));
        }
    }
    for ((address, with), says) in cases {
        for client in [Client::Direct, Client::Librdkafka] {
            let mut bus = bus(address.clone(), client, with.clone());
            let (topic, sender) = (bus.topic("by-PLAINTEXT-"), bus.open_sender().expect("a sender"));
            let to = TopicPartition { topic, partition: 0 };
            bus.send(sender, Message { to, key: None, value: b"of a stranger", headers: &[] }, 0).expect("taken");
            let (begun, mut doubts) = (Instant::now(), Vec::new());
            while doubts.is_empty() {
                assert!(begun.elapsed() < PATIENCE, "{client:?}: no doubt that says: {says}");
                bus.poll(Duration::from_millis(50), &mut |event| match event {
                    BusEvent::Doubt { why, .. } => doubts.push(why),
                    BusEvent::Acknowledged { .. } => panic!("{client:?}: it was let in, and should hear: {says}"),
                    _ => {}
                });
            }
            println!("{client:?}: {doubts:?}");
            let is_told = client == Client::Librdkafka || doubts.iter().any(|why| why.contains(says) && why.contains(&address));
            assert!(is_told && !doubts.concat().contains("somebody else"), "{doubts:?} should say: {says}");
        }
    }
}
