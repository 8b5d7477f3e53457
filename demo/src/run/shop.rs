//! Who places the demo's orders, and counts what becomes of them. What was issued, and what has come, it reads from the log.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::Result;
use hdrhistogram::Histogram;
use ringmaster::blocking;
use ringmaster::runtime::Knowledge;
use ringmaster_bus::{Bus, BusEvent, Message, SendError, Sender, Topic, TopicPartition};
use ringmaster_schemas::names::partition_of;

use crate::orders::{self, ORDERS, OUTCOMES, OrderWriter};

/// What keys of the demo begin with.
pub(super) const RUN: &str = "ord-";
const WAIT: Duration = Duration::from_millis(5);

/// The shop.
pub(super) struct Shop<B: Bus> {
    bus: B,
    sender: Sender,
    topic: Topic,
    partitions: i32,
    writer: OrderWriter,
    /// Numbers that are still to be issued, the next one last.
    left: Vec<u64>,
    issued: u64,
    issued_before: u64,
    orders: u64,
    finished: HashSet<u64>,
    begun: Instant,
    /// When each order of this run was to be sent, by number.
    intended: Vec<Option<Instant>>,
    latency_us: Histogram<u64>,
    moved: Instant,
}

impl<B: Bus> Shop<B> {
    /// Finds out what the log holds already.
    pub(super) fn open(mut bus: B, knowledge: &Knowledge, partitions: i32, orders: u64) -> Result<Self> {
        let schema =
            knowledge.schemas.named("OrderPlaced").ok_or_else(|| anyhow::anyhow!("the schema folder has no OrderPlaced"))?;
        let writer = OrderWriter::new(schema);
        let mut issued = HashSet::new();
        for partition in 0..partitions {
            blocking::read_to_end(&mut bus, ORDERS, partition, &mut |read| {
                issued.extend(number_of(read.key.as_deref()));
                true
            })?;
        }
        let outcomes = bus.topic(OUTCOMES);
        for partition in 0..partitions {
            bus.read(TopicPartition { topic: outcomes, partition }, 0);
        }
        let (sender, topic) = (bus.open_sender()?, bus.topic(ORDERS));
        let left: Vec<u64> = (0..orders).rev().filter(|number| !issued.contains(number)).collect();
        let before = orders - left.len() as u64;
        Ok(Shop {
            bus,
            sender,
            topic,
            partitions,
            writer,
            left,
            issued: before,
            issued_before: before,
            orders,
            finished: HashSet::new(),
            begun: Instant::now(),
            intended: vec![None; orders as usize],
            latency_us: Histogram::new_with_bounds(1, 600_000_000, 3).expect("these bounds are valid"),
            moved: Instant::now(),
        })
    }

    /// Issues what is due at `rate` a second, and takes outcomes.
    pub(super) fn turn(&mut self, rate: f64) -> Result<()> {
        let issued_now = self.issued - self.issued_before;
        // The order of place n is due at n / rate: the first at once.
        let due = ((self.begun.elapsed().as_secs_f64() * rate) as u64 + 1).saturating_sub(issued_now);
        for place in 0..due {
            let Some(&number) = self.left.last() else { break };
            let intended = self.begun + Duration::from_secs_f64((issued_now + place) as f64 / rate);
            if !self.issue(number)? {
                break;
            }
            self.intended[number as usize] = Some(intended);
            self.left.pop();
            self.issued += 1;
        }
        let Shop { bus, finished, latency_us, intended, moved, .. } = self;
        let mut failed = None;
        bus.poll(WAIT, &mut |event| match event {
            BusEvent::Record(record) => {
                let Some(number) = number_of(record.key) else { return };
                if finished.insert(number) {
                    *moved = Instant::now();
                    if let Some(Some(at)) = intended.get(number as usize) {
                        latency_us.saturating_record(at.elapsed().as_micros().max(1) as u64);
                    }
                }
            }
            BusEvent::Failed { why, .. } => failed = Some(why),
            _ => {}
        });
        failed.map_or(Ok(()), |why| Err(why.into()))
    }

    fn issue(&mut self, number: u64) -> Result<bool> {
        let key = orders::key(RUN, number);
        let mut value = Vec::with_capacity(128);
        self.writer.put(&key, number, &mut value);
        let to = TopicPartition { topic: self.topic, partition: partition_of(key.as_bytes(), self.partitions) };
        match self.bus.send(self.sender, Message { to, key: Some(key.as_bytes()), value: &value, headers: &[] }, number) {
            Ok(()) => Ok(true),
            Err(SendError::Full) => Ok(false),
            Err(why) => Err(why.into()),
        }
    }

    /// True once every order has its outcome.
    pub(super) fn done(&self) -> bool {
        self.finished.len() as u64 >= self.orders
    }

    /// Orders that are in the log.
    pub(super) fn issued(&self) -> u64 {
        self.issued
    }

    /// Orders that an earlier run had put there.
    pub(super) fn issued_before(&self) -> u64 {
        self.issued_before
    }

    /// Orders whose outcome has come.
    pub(super) fn finished(&self) -> u64 {
        self.finished.len() as u64
    }

    /// How long no outcome has come while some were missing.
    pub(super) fn still_for(&self) -> Duration {
        if self.left.is_empty() { self.moved.elapsed() } else { Duration::ZERO }
    }

    /// From the intended time of sending to the outcome, in microseconds, of orders issued in this run.
    pub(super) fn latency_us(&self) -> &Histogram<u64> {
        &self.latency_us
    }
}

fn number_of(key: Option<&[u8]>) -> Option<u64> {
    orders::number_of(RUN, std::str::from_utf8(key?).ok()?)
}
