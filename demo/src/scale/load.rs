//! Who places orders at their times, whatever becomes of them, and counts their outcomes.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use ringmaster_bus::kafka::{KafkaBus, KafkaSettings};
use ringmaster_bus::{Bus, BusEvent, Message, SendError, Sender, Topic, TopicPartition};
use ringmaster_schemas::names::partition_of;
use ringmaster_schemas::registry::Schemas;

use super::site::{ORDER_PLACED, PARTITIONS};
use crate::orders::{self, ORDERS, OUTCOMES, OrderWriter};

/// What keys begin with.
const RUN: &str = "ord-";

/// Orders, and what became of them.
pub(super) struct Load {
    bus: KafkaBus,
    sender: Sender,
    topic: Topic,
    writer: OrderWriter,
    rate: f64,
    /// From when on orders come at this rate, and how many had come before.
    since: Instant,
    before: u64,
    issued: u64,
    /// Outcomes, by order.
    outcomes: HashMap<u64, u32>,
    moved: Instant,
}

impl Load {
    /// Places nothing yet.
    pub(super) fn open(broker: &str) -> Result<Load> {
        let mut bus = KafkaBus::new(KafkaSettings::new(broker))?;
        let mut schemas = Schemas::builtin();
        let schema = schemas.add(ORDER_PLACED).context("OrderPlaced")?;
        let writer = OrderWriter::new(&schema);
        let outcomes = bus.topic(OUTCOMES);
        for partition in 0..PARTITIONS {
            bus.read(TopicPartition { topic: outcomes, partition }, 0);
        }
        let (sender, topic, now) = (bus.open_sender()?, bus.topic(ORDERS), Instant::now());
        let outcomes = HashMap::new();
        Ok(Load { bus, sender, topic, writer, rate: 0.0, since: now, before: 0, issued: 0, outcomes, moved: now })
    }

    /// From now on so many come a second.
    pub(super) fn go_at(&mut self, rate: f64) {
        (self.rate, self.since, self.before) = (rate, Instant::now(), self.issued);
    }

    /// Places what is due, and takes outcomes; waits so long for them.
    pub(super) fn turn(&mut self, wait: Duration) -> Result<()> {
        let due = self.before + (self.since.elapsed().as_secs_f64() * self.rate) as u64;
        while self.issued < due && self.issue()? {}
        let Load { bus, outcomes, moved, .. } = self;
        let mut failed = None;
        bus.poll(wait, &mut |event| match event {
            BusEvent::Record(record) => {
                let number = record.key.and_then(|key| orders::number_of(RUN, std::str::from_utf8(key).ok()?));
                *outcomes.entry(number.unwrap_or(u64::MAX)).or_default() += 1;
                *moved = Instant::now();
            }
            BusEvent::Failed { why, .. } => failed = Some(why),
            _ => {}
        });
        failed.map_or(Ok(()), |why| Err(why.into()))
    }

    /// Places the next one; false if that cannot be now.
    fn issue(&mut self) -> Result<bool> {
        let key = orders::key(RUN, self.issued);
        let mut value = Vec::with_capacity(128);
        self.writer.put(&key, self.issued, &mut value);
        let to = TopicPartition { topic: self.topic, partition: partition_of(key.as_bytes(), PARTITIONS) };
        match self.bus.send(self.sender, Message { to, key: Some(key.as_bytes()), value: &value, headers: &[] }, self.issued) {
            Ok(()) => {
                if self.finished() == self.issued {
                    self.moved = Instant::now();
                }
                self.issued += 1;
                Ok(true)
            }
            Err(SendError::Full) => Ok(false),
            Err(why) => Err(why.into()),
        }
    }

    /// Orders that were placed.
    pub(super) fn issued(&self) -> u64 {
        self.issued
    }

    /// Orders that have an outcome.
    pub(super) fn finished(&self) -> u64 {
        self.outcomes.len() as u64
    }

    /// How long nothing has come of orders that are there.
    pub(super) fn still_for(&self) -> Duration {
        if self.finished() < self.issued { self.moved.elapsed() } else { Duration::ZERO }
    }

    /// Orders without an outcome, those with more than one, and outcomes of orders that were not placed.
    pub(super) fn wrong(&self) -> (u64, u64, u64) {
        let missing = (0..self.issued).filter(|number| !self.outcomes.contains_key(number)).count();
        let doubled = self.outcomes.values().filter(|count| **count > 1).count();
        let unknown = self.outcomes.keys().filter(|number| **number >= self.issued).count();
        (missing as u64, doubled as u64, unknown as u64)
    }
}
