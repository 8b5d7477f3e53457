//! A sender under load, and all that became of what it sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use ringmaster_bus::kafka::{Client, KafkaBus, KafkaSettings};
use ringmaster_bus::{Bus, BusEvent, Message, SendError, Sender, TopicPartition};

/// Longer than anything takes on a machine that is busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// Records of a partition that are not settled, at most, and those that a turn adds.
pub(crate) const WINDOW: u64 = 40;
const BURST: u64 = 4;
/// So long a turn is, that a test does not write millions of records.
const TURN: Duration = Duration::from_millis(4);

/// What others see of a writer while it writes.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Of each partition: records that were sent, and those that are settled.
    pub(crate) sent: Vec<AtomicU64>,
    pub(crate) settled: Vec<AtomicU64>,
    /// Of each partition: how many were sent when the last one that was acknowledged was.
    pub(crate) acknowledged: Vec<AtomicU64>,
    pub(crate) doubts: AtomicU64,
    pub(crate) is_over: AtomicBool,
}

impl Seen {
    /// Records of these partitions on their way.
    pub(crate) fn on_their_way(&self, which: &[usize]) -> u64 {
        which.iter().map(|&at| self.sent[at].load(SeqCst) - self.settled[at].load(SeqCst)).sum()
    }
}

/// A record, and what became of it.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) partition: usize,
    /// Its place among those of its partition, from 1 on.
    number: u64,
    /// Which of the writer's senders.
    pub(crate) sender: u64,
    pub(crate) outcome: Option<Result<Option<i64>, SendError>>,
}

/// A writer. A record's value is the writer's name and the place of the record in `all`.
pub(crate) struct Writer {
    pub(crate) client: Client,
    bus: KafkaBus,
    at: Vec<TopicPartition>,
    sender: Sender,
    /// How many senders it had before this one, each broken.
    pub(crate) broken: u64,
    is_broken: bool,
    pub(crate) all: Vec<Sent>,
    pub(crate) reasons: Vec<String>,
    seen: Arc<Seen>,
}

impl Writer {
    pub(crate) fn new(bootstrap: &str, client: Client, topic: &str, partitions: i32) -> Self {
        let mut passthrough = vec![(Client::SETTING.to_owned(), format!("{client:?}").to_lowercase())];
        if client == Client::Librdkafka {
            // So that a request's time is over before a record's.
            passthrough.push(("socket.timeout.ms".to_owned(), "5000".to_owned()));
        }
        let mut bus = KafkaBus::new(KafkaSettings { passthrough, ..KafkaSettings::new(bootstrap) }).expect("a bus");
        let topic = bus.topic(topic);
        let at: Vec<_> = (0..partitions).map(|partition| TopicPartition { topic, partition }).collect();
        let sender = bus.open_sender().expect("a sender");
        let counts = || at.iter().map(|_| AtomicU64::new(0)).collect();
        let seen = Seen { sent: counts(), settled: counts(), acknowledged: counts(), ..Seen::default() };
        let (broken, is_broken, all, reasons) = (0, false, Vec::new(), Vec::new());
        Writer { client, bus, at, sender, broken, is_broken, all, reasons, seen: Arc::new(seen) }
    }

    pub(crate) fn seen(&self) -> Arc<Seen> {
        self.seen.clone()
    }

    /// Writes until it is told that it is over, and everything has its outcome.
    pub(crate) fn run(mut self) -> Self {
        let mut over_at = None;
        let every: Vec<usize> = (0..self.at.len()).collect();
        loop {
            if self.seen.is_over.load(SeqCst) {
                let left = self.seen.on_their_way(&every);
                if left == 0 {
                    return self;
                }
                let begun = *over_at.get_or_insert_with(Instant::now);
                assert!(begun.elapsed() < PATIENCE, "{:?}: {left} records have no outcome", self.client);
            } else if !self.is_broken {
                self.send();
            } else if self.seen.on_their_way(&every) == 0 {
                self.go_on_with_another();
            }
            self.turn();
        }
    }

    fn send(&mut self) {
        for (partition, &to) in self.at.iter().enumerate() {
            for _ in 0..BURST.min(WINDOW - self.seen.on_their_way(&[partition])) {
                let tag = self.all.len() as u64;
                let value = format!("{:?} {tag}", self.client);
                match self.bus.send(self.sender, Message { to, key: None, value: value.as_bytes(), headers: &[] }, tag) {
                    Ok(()) => {}
                    Err(SendError::Broken(why)) => {
                        self.reasons.push(why);
                        self.is_broken = true;
                        return;
                    }
                    Err(other) => panic!("{:?}: not taken: {other}", self.client),
                }
                let number = 1 + self.seen.sent[partition].fetch_add(1, SeqCst);
                self.all.push(Sent { partition, number, sender: self.broken, outcome: None });
            }
        }
    }

    fn turn(&mut self) {
        let begun = Instant::now();
        self.bus.flush();
        std::thread::sleep(TURN.saturating_sub(begun.elapsed()));
        let Writer { bus, all, seen, reasons, is_broken, .. } = self;
        bus.poll(Duration::ZERO, &mut |event| {
            let (tag, outcome) = match event {
                BusEvent::Acknowledged { tag, offset, .. } => (tag, Ok(offset)),
                BusEvent::Failed { tag, why, .. } => {
                    *is_broken |= matches!(why, SendError::Broken(_));
                    (tag, Err(why))
                }
                BusEvent::Doubt { why, .. } => {
                    seen.doubts.fetch_add(1, SeqCst);
                    reasons.push(why);
                    return;
                }
                _ => return,
            };
            let sent = &mut all[tag as usize];
            if outcome.is_ok() {
                seen.acknowledged[sent.partition].store(sent.number, SeqCst);
            }
            assert!(sent.outcome.replace(outcome).is_none(), "{tag} has two outcomes");
            seen.settled[sent.partition].fetch_add(1, SeqCst);
        });
    }

    /// As the protocol takes one when a sender broke.
    fn go_on_with_another(&mut self) {
        self.bus.close_sender(self.sender);
        self.sender = self.bus.open_sender().expect("a sender");
        self.broken += 1;
        self.is_broken = false;
    }
}
