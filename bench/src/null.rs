//! The null saga: the records and bytes of an order saga, in the same bursts, without decoding, deciding or state; the most that
//! bus and clients can carry.
//!
//! ```text
//! order -> journal -> command -> reply -> journal -> ... -> outcome: 8 records and 4 journaled turns
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use ringmaster_bus::{Bus, BusEvent, Message, Record, SendError, Sender, Specification, Topic, TopicPartition};
use ringmaster_demo::rig::Buses;

use crate::machine;
use crate::schedule::Schedule;
use crate::site::{Site, wall_ms};
use crate::window::{Contender, Cost, Plan, Window};

/// Topics, behind the name of the contender: several run beside one another.
const TOPICS: [&str; 7] = ["orders", "commands-1", "commands-2", "commands-3", "replies", "outcomes", "journal"];
/// Bytes as the order saga has them (measured by this bench): order, command, reply, outcome, and a turn's share of the journal.
const ORDER_BYTES: usize = 90;
const COMMAND_BYTES: usize = 210;
const REPLY_BYTES: usize = 90;
const OUTCOME_BYTES: usize = 50;
const TURN_BYTES: usize = 320;
/// Turns of one journal record: it must stay below the topic's largest message.
const TURNS_MAX: usize = 2000;
/// How long a turn waits if nothing happens: between windows nobody turns in circles.
const WAIT: Duration = Duration::from_millis(20);
/// The same while a full queue keeps something, or orders are due by the clock.
const WAIT_SHORT: Duration = Duration::from_millis(1);
/// On the embedded log a null saga writes 2 KiB, and there may be half a million a second: what was read goes, and the journal, which
/// nobody reads, after a second. A broker keeps what it is used to keep: it would delete by age what is not read yet.
const RETENTION_MS: &str = "1000";
const PASSED_EVERY: Duration = Duration::from_millis(500);
/// How long the last outcomes of a window may take.
const DRAIN_MAX: Duration = Duration::from_secs(60);

/// Null sagas, window by window; its clients run as long as it lives.
pub(crate) struct Null<'a, B: Bus> {
    name: &'static str,
    site: &'a Site,
    bus: B,
    orders: Topic,
    partitions: i32,
    queue: Queue,
    schedule: Schedule,
    passed: Passed,
    threads: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

impl<'a, B: Bus + Send + 'static> Null<'a, B> {
    pub(crate) fn start(name: &'static str, site: &'a Site, buses: &impl Buses<Bus = B>, partitions: i32) -> Result<Null<'a, B>> {
        let mut bus = buses.open()?;
        let is_embedded = site.address().is_none();
        for part in TOPICS {
            let settings = is_embedded.then(|| ("retention.ms".to_owned(), RETENTION_MS.to_owned())).into_iter().collect();
            bus.create(&Specification { name: format!("{name}-{part}"), partitions, replication: 1, settings })?;
        }
        let (stop, passed) = (Arc::new(AtomicBool::new(false)), || Passed::new(is_embedded));
        let threads = vec![
            spawn(coordinator, name, buses.open()?, partitions, passed(), stop.clone()),
            spawn(participants, name, buses.open()?, partitions, passed(), stop.clone()),
        ];
        read_all(&mut bus, name, &["outcomes"], partitions);
        let (orders, queue) = (topic_of(&mut bus, name, "orders"), Queue::new(bus.open_sender()?));
        let (schedule, passed) = (Schedule::new(), passed());
        Ok(Null { name, site, bus, orders, partitions, queue, schedule, passed, threads, stop })
    }

    /// Ends its clients.
    pub(crate) fn finish(self) -> Result<()> {
        self.stop.store(true, Ordering::SeqCst);
        self.threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| anyhow!("the null saga panicked")))
    }

    fn run_until(&mut self, end: Duration, plan: &Plan) {
        while self.schedule.is_within(end) {
            for number in self.schedule.due(plan) {
                let partition = (number / 64 % self.partitions as usize) as i32;
                let to = TopicPartition { topic: self.orders, partition };
                self.queue.push(to, format!("b-{number:08}").as_bytes(), ORDER_BYTES, 0, 0);
            }
            self.take(if plan.rate.is_some() { WAIT_SHORT } else { WAIT });
        }
    }

    /// Sends what waits, and takes outcomes.
    fn take(&mut self, wait: Duration) {
        let wait = if self.queue.send(&mut self.bus) { wait } else { WAIT_SHORT };
        let Null { bus, schedule, passed, .. } = self;
        bus.poll(wait, &mut |event| {
            if let BusEvent::Record(record) = event {
                passed.note(&record);
                let key = record.key.and_then(|key| std::str::from_utf8(key).ok()).and_then(|key| key.strip_prefix("b-"));
                if let Some(number) = key.and_then(|key| key.parse().ok()) {
                    schedule.finish(number);
                }
            }
        });
        passed.say(bus);
    }

    fn drain(&mut self) -> Result<()> {
        let since = Instant::now();
        while self.schedule.open_count() > 0 {
            self.take(WAIT);
            if self.threads.iter().any(JoinHandle::is_finished) || since.elapsed() > DRAIN_MAX {
                bail!("{} of {} null sagas did not end", self.schedule.open_count(), self.schedule.issued());
            }
        }
        Ok(())
    }
}

impl<B: Bus + Send + 'static> Contender for Null<'_, B> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn window(&mut self, plan: &Plan) -> Result<Window> {
        let look = |site: &Site| {
            let cost = Cost { broker: site.broker_used(), driver: machine::used("self"), ..Cost::default() };
            (cost, wall_ms())
        };
        self.schedule.open();
        self.run_until(plan.settle, plan);
        let ((before, from_ms), begun) = (look(self.site), self.schedule.measure());
        self.run_until(plan.settle + plan.measured, plan);
        let measured = self.schedule.measured(&begun);
        let (after, to_ms) = look(self.site);
        self.drain()?;
        Ok(Window { measured, cost: after.since(before), traffic: self.site.traffic(from_ms, to_ms)? })
    }
}

fn spawn<B: Bus + Send + 'static>(
    run: fn(&mut B, &str, i32, Passed, &AtomicBool),
    name: &'static str,
    mut bus: B,
    partitions: i32,
    passed: Passed,
    stop: Arc<AtomicBool>,
) -> JoinHandle<()> {
    std::thread::spawn(move || run(&mut bus, name, partitions, passed, &stop))
}

/// A record to be sent: where to, its key, its size, its step, and the tag of its acknowledgement.
type Waiting = (TopicPartition, Box<[u8]>, usize, u8, u64);
/// What came in one poll of a partition: keys and steps.
type Turns = Vec<(Box<[u8]>, u8)>;

/// What is to be sent, in the order it came; a full queue keeps it.
struct Queue {
    sender: Sender,
    waiting: VecDeque<Waiting>,
    bytes: [u8; 4096],
}

impl Queue {
    fn new(sender: Sender) -> Self {
        Queue { sender, waiting: VecDeque::new(), bytes: [b'x'; 4096] }
    }

    fn push(&mut self, to: TopicPartition, key: &[u8], size: usize, step: u8, tag: u64) {
        self.waiting.push_back((to, key.into(), size, step, tag));
    }

    /// False if the bus is full.
    fn send(&mut self, bus: &mut impl Bus) -> bool {
        while let Some((to, key, size, step, tag)) = self.waiting.front() {
            self.bytes[0] = *step;
            match bus.send(self.sender, Message { to: *to, key: Some(key), value: &self.bytes[..*size], headers: &[] }, *tag) {
                Ok(()) => drop(self.waiting.pop_front()),
                Err(SendError::Full) => return false,
                Err(why) => panic!("the null saga cannot send: {why}"),
            }
        }
        true
    }
}

/// How far topics were read: the embedded log deletes what all have passed, if they say so. Kafka's broker goes by age; there nothing is
/// said, for it would be requests more.
struct Passed {
    is_said: bool,
    /// The last record's partition, and what stands behind it there.
    run: Option<(TopicPartition, i64)>,
    next: BTreeMap<TopicPartition, i64>,
    said: Instant,
}

impl Passed {
    fn new(is_said: bool) -> Self {
        Passed { is_said, run: None, next: BTreeMap::new(), said: Instant::now() }
    }

    /// Records come in runs of a partition.
    fn note(&mut self, record: &Record<'_>) {
        let run = (record.at, record.offset + 1);
        if let Some(before) = self.run.replace(run).filter(|(at, _)| *at != record.at) {
            self.next.extend([before]);
        }
    }

    fn say(&mut self, bus: &mut impl Bus) {
        if self.is_said && self.said.elapsed() >= PASSED_EVERY {
            self.next.extend(self.run.take());
            bus.commit("null", &std::mem::take(&mut self.next).into_iter().collect::<Vec<_>>());
            self.said = Instant::now();
        }
    }
}

fn topic_of(bus: &mut impl Bus, name: &str, part: &str) -> Topic {
    bus.topic(&format!("{name}-{part}"))
}

fn read_all(bus: &mut impl Bus, name: &str, parts: &[&str], partitions: i32) {
    for part in parts {
        let topic = topic_of(bus, name, part);
        for partition in 0..partitions {
            bus.read(TopicPartition { topic, partition }, 0);
        }
    }
}

/// Journals what came, as one record a partition and poll, and sends what follows once it is acknowledged.
fn coordinator<B: Bus>(bus: &mut B, name: &str, partitions: i32, mut passed: Passed, stop: &AtomicBool) {
    read_all(bus, name, &["orders", "replies"], partitions);
    let next = ["commands-1", "commands-2", "commands-3", "outcomes"].map(|part| topic_of(bus, name, part));
    let journal = topic_of(bus, name, "journal");
    let sender = bus.open_sender().expect("a producer");
    let mut queue = Queue::new(sender);
    let mut open: Vec<Turns> = vec![Vec::new(); partitions as usize];
    let mut pending: Vec<VecDeque<Turns>> = vec![VecDeque::new(); partitions as usize];
    let (mut record, mut wait) = (Vec::new(), WAIT);
    while !stop.load(Ordering::Relaxed) {
        let mut confirmed = Vec::new();
        bus.poll(wait, &mut |event| match event {
            BusEvent::Record(record) => {
                passed.note(&record);
                let step = record.value.map_or(0, |value| value[0]);
                open[record.at.partition as usize].push((record.key.unwrap_or_default().into(), step));
            }
            BusEvent::Acknowledged { tag, .. } if tag < u64::from(u32::MAX) => confirmed.push(tag as usize),
            _ => {}
        });
        passed.say(bus);
        for partition in confirmed {
            let mut turns = pending[partition].pop_front().expect("a record was on its way");
            turns.sort_by_key(|(_, step)| *step);
            for (key, step) in turns {
                let to = TopicPartition { topic: next[usize::from(step)], partition: partition as i32 };
                let size = if step == 3 { OUTCOME_BYTES } else { COMMAND_BYTES };
                queue.push(to, &key, size, step, u64::MAX);
            }
        }
        for (partition, turns) in open.iter_mut().enumerate() {
            while !turns.is_empty() {
                let rest = turns.split_off(turns.len().min(TURNS_MAX));
                record.clear();
                record.resize(turns.len() * TURN_BYTES, b'j');
                let to = TopicPartition { topic: journal, partition: partition as i32 };
                match bus.send(sender, Message { to, key: None, value: &record, headers: &[] }, partition as u64) {
                    Ok(()) => pending[partition].push_back(std::mem::replace(turns, rest)),
                    Err(SendError::Full) => {
                        turns.extend(rest);
                        break;
                    }
                    Err(why) => panic!("the null saga cannot journal: {why}"),
                }
            }
        }
        let full = !queue.send(bus) || open.iter().any(|turns| !turns.is_empty());
        wait = if full { WAIT_SHORT } else { WAIT };
    }
}

fn participants<B: Bus>(bus: &mut B, name: &str, partitions: i32, mut passed: Passed, stop: &AtomicBool) {
    read_all(bus, name, &["commands-1", "commands-2", "commands-3"], partitions);
    let replies = topic_of(bus, name, "replies");
    let mut queue = Queue::new(bus.open_sender().expect("a producer"));
    let mut wait = WAIT;
    while !stop.load(Ordering::Relaxed) {
        let mut answers: Vec<(i32, Box<[u8]>, u8)> = Vec::new();
        bus.poll(wait, &mut |event| {
            if let BusEvent::Record(record) = event {
                passed.note(&record);
                let step = record.value.map_or(0, |value| value[0]);
                answers.push((record.at.partition, record.key.unwrap_or_default().into(), step + 1));
            }
        });
        passed.say(bus);
        answers.sort_by_key(|(partition, _, _)| *partition);
        for (partition, key, step) in answers {
            queue.push(TopicPartition { topic: replies, partition }, &key, REPLY_BYTES, step, 0);
        }
        wait = if queue.send(bus) { WAIT } else { WAIT_SHORT };
    }
}
