//! Who places orders and counts what becomes of them, on Kafka: one thread, so that a test can do other things meanwhile.
//!
//! An order is sent until the broker acknowledges it, so one may be in the log twice: the coordinator must reject the second.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::{ClientContext, Message, Offset, TopicPartitionList};
use ringmaster_demo::orders::{self, ORDERS, OUTCOMES, OrderWriter, Outcome};
use ringmaster_schemas::names::partition_of;
use ringmaster_schemas::registry::Schemas;

use super::{PARTITIONS, PATIENCE, RUN, say, until};

/// Orders that are sent and not acknowledged: more would only lie in the client's queue while the broker is away.
const UNACKNOWLEDGED_MAX: usize = 5_000;
/// Until a fault has hit, more orders come as long as fewer than these are on their way: however slow the fault is, it hits some.
const OPEN_IN_FLIGHT: usize = 500;
/// Orders that must be on their way in front of what stands still; twice as many are placed, of which 89 of 100 surely need every process.
const STUCK: u64 = 20;

#[derive(Debug, Default)]
struct State {
    stop: bool,
    /// Orders that shall exist, and how fast they come.
    wanted: u64,
    rate: f64,
    /// A fault is to hit soon: more orders come by themselves, and are wanted.
    open: bool,
    /// Acknowledged by the broker.
    issued: BTreeSet<u64>,
    /// To be sent again.
    failed: Vec<u64>,
    unacknowledged: usize,
    /// Outcomes by order; a repeat of the same is one.
    outcomes: BTreeMap<u64, BTreeSet<Vec<u8>>>,
}

type Shared = Arc<Mutex<State>>;

/// How orders are written to their topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placing {
    /// With the order's id as the key, by murmur2 on so many partitions.
    ByKey(i32),
    /// The same key, wherever librdkafka's own partitioner puts it.
    ByLibrdkafka,
    /// Without a key, anywhere.
    WithoutKey,
}

/// The shop of one test.
pub struct Shop {
    state: Shared,
    thread: Option<JoinHandle<()>>,
    fulfilled: u64,
}

impl Shop {
    /// Places nothing yet; sees all outcomes.
    pub fn open(address: &str, schemas: &Schemas, placing: Placing) -> Shop {
        let state = Shared::default();
        let writer = OrderWriter::new(schemas.named("OrderPlaced").expect("an example schema"));
        let fulfilled = schemas.named("OrderFulfilled").expect("an example schema").fingerprint();
        let (producer, consumer) = (producer(address, &state), consumer(address));
        let mut counter = Counter { state: state.clone(), producer, consumer, writer, placing, sent: 0, since: Instant::now() };
        let thread = std::thread::Builder::new().name("shop".into()).spawn(move || counter.run()).expect("a thread can be started");
        Shop { state, thread: Some(thread), fulfilled }
    }

    /// Places so many more orders, at a rate per second; returns at once.
    pub fn order(&self, count: u64, rate: f64) {
        let mut state = self.lock();
        state.wanted += count;
        state.rate = rate;
    }

    /// Orders that shall exist.
    pub fn wanted(&self) -> u64 {
        self.lock().wanted
    }

    /// Orders that are in the log.
    pub fn issued(&self) -> u64 {
        self.lock().issued.len() as u64
    }

    /// Orders that have an outcome.
    pub fn finished(&self) -> u64 {
        self.lock().outcomes.len() as u64
    }

    /// Orders in the log that have no outcome.
    pub fn in_flight(&self) -> BTreeSet<u64> {
        let state = self.lock();
        state.issued.iter().filter(|number| !state.outcomes.contains_key(number)).copied().collect()
    }

    /// What an order's outcomes said; more than one is a contradiction.
    pub fn outcomes(&self, number: u64) -> Vec<Vec<u8>> {
        self.lock().outcomes.get(&number).map(|values| values.iter().cloned().collect()).unwrap_or_default()
    }

    /// Waits until so many orders have an outcome, and others have none: the middle of the load, where a fault must hit. More orders
    /// than were wanted come from now on, until it has.
    pub fn wait_middle(&self, finished: u64) {
        self.lock().open = true;
        until("orders in the middle of their way", || self.finished() >= finished && self.in_flight().len() >= 3);
    }

    /// Places more orders, and waits until those of them that need every process are on their way: what stands still already keeps them
    /// there, so that a fault behind this hits some, however fast all others are.
    pub fn wait_stuck(&self) {
        let before = {
            let mut state = self.lock();
            state.wanted += 2 * STUCK;
            state.issued.clone()
        };
        let needs_all = |number: &&u64| orders::outcome(**number) == Outcome::Fulfilled;
        until("orders that wait for what stands still", || {
            self.in_flight().difference(&before).filter(needs_all).count() as u64 >= STUCK
        });
    }

    /// The orders that a fault hit, called right behind it: in the log before, and without an outcome when all that had been sent
    /// before has been seen. Panics if there are none: then the fault proves nothing.
    pub fn hit(&self, fault: &str) -> BTreeSet<u64> {
        let before = self.lock().issued.clone();
        std::thread::sleep(Duration::from_millis(200));
        self.lock().open = false;
        let hit: BTreeSet<u64> = self.in_flight().intersection(&before).copied().collect();
        say(&format!("{fault}: {} orders were on their way, {} had ended", hit.len(), self.finished()));
        assert!(!hit.is_empty(), "{fault} hit nothing that was on its way");
        hit
    }

    /// Waits until all wanted orders have an outcome.
    pub fn wait_all(&self) {
        self.lock().open = false;
        let begun = Instant::now();
        while self.finished() < self.wanted() {
            let missing = self.in_flight();
            assert!(
                begun.elapsed() < PATIENCE,
                "of {} orders {} are in the log and {} have no outcome after {} s, the first {:?}",
                self.wanted(),
                self.issued(),
                missing.len(),
                PATIENCE.as_secs(),
                missing.iter().take(5).collect::<Vec<_>>()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Every order has exactly one outcome, and the right one.
    pub fn check_outcomes(&self) {
        let state = self.lock();
        for (number, values) in &state.outcomes {
            assert_eq!(values.len(), 1, "order {number} has contradicting outcomes");
            let value = values.first().expect("one");
            let is_fulfilled = value.len() > 10 && value[2..10] == self.fulfilled.to_le_bytes();
            let expected = orders::outcome(*number) == Outcome::Fulfilled;
            assert_eq!(is_fulfilled, expected, "the outcome of order {number} is of the wrong type");
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        if let Ok(mut state) = self.state.lock() {
            state.stop = true;
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Counter {
    state: Shared,
    producer: BaseProducer<Acknowledgements>,
    consumer: BaseConsumer,
    writer: OrderWriter,
    placing: Placing,
    sent: u64,
    since: Instant,
}

impl Counter {
    fn run(&mut self) {
        let mut last = (0, Instant::now());
        while !self.state.lock().expect("no holder panics").stop {
            self.place();
            self.producer.poll(Duration::ZERO);
            while let Some(Ok(record)) = self.consumer.poll(Duration::from_millis(1)) {
                self.take(record.key(), record.payload());
            }
            if last.1.elapsed() >= Duration::from_secs(2) {
                let finished = self.state.lock().expect("no holder panics").outcomes.len();
                if finished != last.0 {
                    say(&format!("  {finished} outcomes"));
                }
                last = (finished, Instant::now());
            }
        }
        // Nothing that is still queued is waited for.
        self.producer.purge(rdkafka::producer::PurgeConfig::default().queue().inflight());
    }

    /// Sends what failed again, and what is due by the rate.
    fn place(&mut self) {
        let numbers = {
            let mut state = self.state.lock().expect("no holder panics");
            let mut numbers = std::mem::take(&mut state.failed);
            let in_flight = state.issued.len().saturating_sub(state.outcomes.len()) + state.unacknowledged;
            let more = state.open && in_flight < OPEN_IN_FLIGHT;
            if self.sent == state.wanted && !more {
                self.since = Instant::now();
            }
            let due = (self.since.elapsed().as_secs_f64() * state.rate) as u64;
            if more {
                state.wanted = state.wanted.max(self.sent + due.min(OPEN_IN_FLIGHT as u64));
            }
            let room = UNACKNOWLEDGED_MAX.saturating_sub(state.unacknowledged) as u64;
            let new = due.min(state.wanted - self.sent).min(room);
            if new > 0 {
                numbers.extend(self.sent..self.sent + new);
                self.sent += new;
                self.since = Instant::now();
            }
            state.unacknowledged += numbers.len();
            numbers
        };
        for number in numbers {
            let key = orders::key(RUN, number);
            let mut value = Vec::with_capacity(128);
            self.writer.put(&key, number, &mut value);
            let mut record = BaseRecord::with_opaque_to(ORDERS, number as usize).payload(&value);
            record.key = (self.placing != Placing::WithoutKey).then_some(&key);
            record.partition = match self.placing {
                Placing::ByKey(count) => Some(partition_of(key.as_bytes(), count)),
                Placing::ByLibrdkafka | Placing::WithoutKey => None,
            };
            if self.producer.send(record).is_err() {
                failed(&self.state, number);
            }
        }
    }

    fn take(&self, key: Option<&[u8]>, value: Option<&[u8]>) {
        let key = key.and_then(|key| std::str::from_utf8(key).ok());
        let Some(number) = key.and_then(|key| orders::number_of(RUN, key)) else { return };
        let mut state = self.state.lock().expect("no holder panics");
        state.outcomes.entry(number).or_default().insert(value.unwrap_or_default().to_vec());
    }
}

fn failed(state: &Shared, number: u64) {
    let mut state = state.lock().expect("no holder panics");
    state.unacknowledged -= 1;
    state.failed.push(number);
}

struct Acknowledgements(Shared);

impl ClientContext for Acknowledgements {}

impl ProducerContext for Acknowledgements {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        match result {
            Ok(_) => {
                let mut state = self.0.lock().expect("no holder panics");
                state.unacknowledged -= 1;
                state.issued.insert(number as u64);
            }
            Err(_) => failed(&self.0, number as u64),
        }
    }
}

fn producer(address: &str, state: &Shared) -> BaseProducer<Acknowledgements> {
    ClientConfig::new()
        .set("bootstrap.servers", address)
        .set("acks", "all")
        .set("linger.ms", "1")
        .set("reconnect.backoff.max.ms", "500")
        .set("log_level", "0")
        .create_with_context(Acknowledgements(state.clone()))
        .expect("a producer can be made")
}

fn consumer(address: &str) -> BaseConsumer {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", address)
        .set("group.id", "shop")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "20")
        .set("reconnect.backoff.max.ms", "500")
        .set("log_level", "0")
        .create()
        .expect("a consumer can be made");
    let mut all = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        all.add_partition_offset(OUTCOMES, partition, Offset::Beginning).expect("the beginning is an offset");
    }
    consumer.assign(&all).expect("partitions can be read");
    consumer
}
