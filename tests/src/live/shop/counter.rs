//! The shop's thread: it sends orders until they are acknowledged, and reads outcomes.

use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::{ClientContext, Message, Offset, TopicPartitionList};
use ringmaster_demo::orders::{self, ORDERS, OUTCOMES, OrderWriter};
use ringmaster_schemas::names::partition_of;

use super::{OPEN_IN_FLIGHT, Placing, Shared};
use crate::live::read::has_read_all;
use crate::live::{PARTITIONS, RUN, say};

/// Orders that are sent and not acknowledged: more would only lie in the client's queue while the broker is away.
const UNACKNOWLEDGED_MAX: usize = 5_000;

/// What the thread owns.
pub(super) struct Counter {
    state: Shared,
    producer: BaseProducer<Acknowledgements>,
    consumer: BaseConsumer,
    writer: OrderWriter,
    placing: Placing,
    says: bool,
    since: Instant,
}

impl Counter {
    pub(super) fn new(address: &str, state: &Shared, writer: OrderWriter, placing: Placing, says: bool) -> Counter {
        let (producer, consumer) = (producer(address, state), consumer(address));
        Counter { state: state.clone(), producer, consumer, writer, placing, says, since: Instant::now() }
    }

    pub(super) fn run(&mut self) {
        let mut last = (0, Instant::now());
        while !self.state.lock().expect("no holder panics").stop {
            self.place();
            self.producer.poll(Duration::ZERO);
            while let Some(Ok(record)) = self.consumer.poll(Duration::from_millis(1)) {
                self.take(record.key(), record.payload(), record.timestamp().to_millis().unwrap_or_default());
            }
            self.look_for_end();
            if last.1.elapsed() >= Duration::from_secs(2) {
                let finished = self.state.lock().expect("no holder panics").outcomes.len();
                if self.says && finished != last.0 {
                    say(&format!("  {finished} outcomes"));
                }
                last = (finished, Instant::now());
            }
        }
        // Nothing that is still queued is waited for.
        self.producer.purge(rdkafka::producer::PurgeConfig::default().queue().inflight());
    }

    fn look_for_end(&mut self) {
        let is_asked = self.state.lock().is_ok_and(|state| state.asks_for_end && !state.is_at_end);
        if is_asked && has_read_all(&self.consumer) {
            self.state.lock().expect("no holder panics").is_at_end = true;
        }
    }

    /// Sends what failed again, and what is due by the rate.
    fn place(&mut self) {
        let numbers = {
            let mut state = self.state.lock().expect("no holder panics");
            let mut numbers = std::mem::take(&mut state.failed);
            let in_flight = state.under_way.len() + state.unacknowledged;
            let more = state.open && in_flight < OPEN_IN_FLIGHT;
            if state.sent == state.wanted && !more {
                self.since = Instant::now();
            }
            let due = (self.since.elapsed().as_secs_f64() * state.rate) as u64;
            if more {
                state.wanted = state.wanted.max(state.sent + due.min(OPEN_IN_FLIGHT as u64));
            }
            let room = UNACKNOWLEDGED_MAX.saturating_sub(state.unacknowledged) as u64;
            let new = due.min(state.wanted - state.sent).min(room);
            if new > 0 {
                numbers.extend(state.sent..state.sent + new);
                state.sent += new;
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

    fn take(&self, key: Option<&[u8]>, value: Option<&[u8]>, written_ms: i64) {
        let key = key.and_then(|key| std::str::from_utf8(key).ok());
        let Some(number) = key.and_then(|key| orders::number_of(RUN, key)) else { return };
        let mut state = self.state.lock().expect("no holder panics");
        state.under_way.remove(&number);
        if let Some(mark) = &mut state.mark {
            mark.take(number, written_ms);
        }
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
                // Its outcome may have been quicker than this.
                if !state.outcomes.contains_key(&(number as u64)) {
                    state.under_way.insert(number as u64);
                }
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
