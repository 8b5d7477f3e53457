//! The same services on the real embedded log, each on its own thread with its ledger in RocksDB, and on the simulated broker with
//! everything that can go wrong there.

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{REPLIES, START, World, charge, refund};
use ringmaster_bus::embedded::{self, EmbeddedBus, Log};
use ringmaster_bus::sim::{Faults, SimBroker, SimBus};
use ringmaster_bus::{Bus, BusEvent, Message, Specification, TopicPartition, clock};
use ringmaster_participants::audit::Audit;
use ringmaster_participants::ledger::{RocksLedger, SimLedger};
use ringmaster_participants::services::Payment;
use ringmaster_participants::{Counts, Participant, Settings, Stop, run, schemas};
use ringmaster_schemas::wire::{self, Outcome};
use ringmaster_schemas::{Millis, names};

const COMMANDS: &str = "payment.commands";
const PARTITIONS: i32 = 4;

/// A record: partition, key, value.
type Encoded = (i32, Vec<u8>, Vec<u8>);

/// Charges of orders from..to, every ninth refunded, every seventh asked twice.
fn commands(from: u32, to: u32, first_time: Millis) -> Vec<Encoded> {
    let mut world: World<Payment> = World::new(Payment::demo);
    let mut encoded = Vec::new();
    for n in from..to {
        let order = format!("ord-{n}");
        let mut all = vec![charge(&order, "1.25")];
        if n % 7 == 0 {
            all.push(charge(&order, "1.25").again(2));
        }
        if n % 9 == 0 {
            all.push(refund(&order, "1.25"));
        }
        for mut command in all {
            command.first_time = first_time;
            let value = world.encode(&command);
            encoded.push((names::partition_of(order.as_bytes(), PARTITIONS), order.clone().into_bytes(), value));
        }
    }
    encoded
}

/// Cents that stand after the orders 0..count.
fn expected(count: i128) -> i128 {
    (count - (count + 8) / 9) * 125
}

fn make_topics(bus: &mut impl Bus) {
    for name in [COMMANDS, REPLIES] {
        bus.create(&Specification { name: name.to_owned(), partitions: PARTITIONS, replication: -1, settings: Vec::new() })
            .unwrap();
    }
}

/// Counts the final answers in replies, by key.
fn note(value: &[u8], known: &ringmaster_schemas::registry::Schemas, answers: &mut BTreeMap<String, u32>) {
    let reply = wire::decode_reply(value, known).unwrap();
    assert_eq!(reply.meta.outcome, Outcome::Succeeded);
    *answers.entry(reply.meta.idempotency_key.into_owned()).or_default() += 1;
}

/// Sends commands, runs the service on a thread until that many replies are there in all, stops it.
fn session(log: &Log, data: &Path, sent: &[Encoded], replies: usize) -> (Counts, BTreeMap<String, u32>) {
    let mut client = log.client();
    make_topics(&mut client);
    let (commands, replied) = (client.topic(COMMANDS), client.topic(REPLIES));
    let sender = client.open_sender().unwrap();
    for (tag, (partition, key, value)) in sent.iter().enumerate() {
        let to = TopicPartition { topic: commands, partition: *partition };
        client.send(sender, Message { to, key: Some(key), value, headers: &[] }, tag as u64).unwrap();
    }
    for partition in 0..PARTITIONS {
        client.read(TopicPartition { topic: replied, partition }, 0);
    }
    let mut known = schemas::demo();
    for command in ["payment.Charge", "payment.Refund"] {
        known.reply_envelope(command).unwrap();
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let mut bus: EmbeddedBus = log.client();
        let waker = bus.waker();
        let stop = &stop;
        let service = scope.spawn(move || {
            let ledger = RocksLedger::open(data).unwrap();
            let mut service =
                Participant::new(Payment::demo(), ledger, schemas::demo(), Settings::new("payment", "ringmaster")).unwrap();
            run::run(&mut service, &mut bus, stop).unwrap();
            service.counts()
        });
        let (mut answers, mut count, end) = (BTreeMap::new(), 0, Instant::now() + Duration::from_secs(120));
        while count < replies && Instant::now() < end {
            client.poll(Duration::from_millis(20), &mut |event| {
                if let BusEvent::Record(record) = event {
                    count += 1;
                    note(record.value.unwrap(), &known, &mut answers);
                }
            });
        }
        assert_eq!(count, replies, "not all were answered");
        stop.store(true, Ordering::Relaxed);
        waker();
        (service.join().unwrap(), answers)
    })
}

#[test]
fn on_the_embedded_log_a_stopped_service_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (log_folder, data) = (folder.path().join("log"), folder.path().join("payment"));
    let now = clock::wall();
    let first = commands(0, 900, now);
    let log = Log::open(&log_folder, embedded::Settings::default()).unwrap();
    let (counts, answers) = session(&log, &data, &first, first.len());
    assert_eq!((counts.commands, counts.undecodable, counts.failed), (first.len() as u64, 0, 0));
    assert_eq!(answers.len(), 1_000);
    drop(log);

    // What was committed at the end is not read again, also after the log itself was opened anew.
    let log = Log::open(&log_folder, embedded::Settings::default()).unwrap();
    let second = commands(900, 1_800, now);
    let (counts, answers) = session(&log, &data, &second, first.len() + second.len());
    assert_eq!(counts.commands, second.len() as u64);
    assert_eq!(answers.len(), 2_000);
    let audit = Audit::of(&RocksLedger::open_read_only(&data).unwrap(), Millis::MIN).unwrap();
    assert!(audit.closes(), "{:?}", audit.problems);
    assert_eq!(audit.accounts[0].done_units - audit.accounts[0].undone_units, expected(1_800));
}

/// A service on the simulated broker; crashed by dropping it and its client.
struct Process {
    bus: SimBus,
    service: Participant<Payment, SimLedger>,
}

impl Process {
    fn start(broker: &SimBroker, ledger: &SimLedger) -> Self {
        let mut bus = broker.client();
        let settings = Settings::new("payment", "ringmaster");
        let mut service = Participant::new(Payment::demo(), ledger.clone(), schemas::demo(), settings).unwrap();
        service.start(&mut bus).unwrap();
        Process { bus, service }
    }

    fn turn(&mut self, broker: &SimBroker) -> Result<(), Stop> {
        self.service.turn(&mut self.bus, broker.now(), Duration::from_millis(5)).map(drop)
    }
}

#[test]
fn on_the_simulated_broker_every_fault_leaves_the_books_closed_and_every_command_answered() {
    for seed in 0..25 {
        let mut random = fastrand::Rng::with_seed(seed);
        let broker = SimBroker::new(seed, START, Faults::swarm(&mut random));
        make_topics(&mut broker.client());
        let mut ledger = SimLedger::default();
        let mut process = Process::start(&broker, &ledger);
        let sent = commands(0, 180, START);
        for (partition, key, value) in &sent {
            broker.put(COMMANDS, *partition, Some(key), value);
            if random.u32(0..4) == 0 {
                process.turn(&broker).unwrap();
            }
            if random.u32(0..40) == 0 {
                drop(process);
                ledger = ledger.crash();
                process = Process::start(&broker, &ledger);
            }
        }
        broker.set_faults(Faults::none());
        for _ in 0..4_000 {
            process.turn(&broker).unwrap();
        }
        let mut known = schemas::demo();
        for command in ["payment.Charge", "payment.Refund"] {
            known.reply_envelope(command).unwrap();
        }
        let mut answers = BTreeMap::new();
        for partition in 0..PARTITIONS {
            for record in broker.log(REPLIES, partition) {
                note(&record.value, &known, &mut answers);
            }
        }
        assert_eq!(answers.len(), 200, "seed {seed}: not all were answered");
        let audit = Audit::of(&ledger, Millis::MIN).unwrap();
        assert!(audit.closes(), "seed {seed}: {:?}", audit.problems);
        assert_eq!(audit.accounts[0].done_units - audit.accounts[0].undone_units, expected(180), "seed {seed}");
        let committed: i64 = (0..PARTITIONS).filter_map(|n| broker.committed("ringmaster.participant.payment", COMMANDS, n)).sum();
        assert_eq!(committed, sent.len() as i64, "seed {seed}: not all is committed");
    }
}
