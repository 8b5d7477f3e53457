//! The load: orders at their intended times, outcomes taken, latency from the intended time.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use ringmaster_bus::{Bus, BusEvent, Message, Pace, SendError, TopicPartition};
use ringmaster_demo::orders::{self, ORDERS, OUTCOMES};
use ringmaster_schemas::names::partition_of;

use crate::schedule::Schedule;
use crate::window::{Measured, Plan};

/// What keys of a bench begin with.
pub(crate) const RUN: &str = "b-";
/// How long a turn waits if nothing happens: how late an order may be sent.
const WAIT: Duration = Duration::from_millis(2);
/// How long the last outcomes may take.
const DRAIN_MAX: Duration = Duration::from_secs(60);

/// Appends the order of this key and number to a buffer.
pub(crate) type Writer = Box<dyn Fn(&str, u64, &mut Vec<u8>)>;

/// A client that places orders and waits for their outcomes, window by window.
pub(crate) struct Load<B: Bus> {
    bus: B,
    writer: Writer,
    partitions: i32,
    sender: ringmaster_bus::Sender,
    topic: ringmaster_bus::Topic,
    schedule: Schedule,
    /// Sorted by partition, since alternating partitions costs the client.
    burst: Vec<(i32, u64)>,
    value: Vec<u8>,
    unsent: Vec<(i32, u64)>,
}

impl<B: Bus> Load<B> {
    /// Reads all outcomes; nothing is placed yet.
    pub(crate) fn new(mut bus: B, writer: Writer, partitions: i32) -> Result<Load<B>> {
        let outcomes = bus.topic(OUTCOMES);
        for partition in 0..partitions {
            bus.read(TopicPartition { topic: outcomes, partition }, 0);
        }
        let (sender, topic) = (bus.open_sender()?, bus.topic(ORDERS));
        Ok(Load {
            bus,
            writer,
            partitions,
            sender,
            topic,
            schedule: Schedule::new(),
            burst: Vec::new(),
            value: Vec::new(),
            unsent: Vec::new(),
        })
    }

    /// Orders placed so far.
    pub(crate) fn issued(&self) -> u64 {
        self.schedule.issued() as u64
    }

    /// Places orders by the plan; every one has its outcome when it returns. `look` is asked where the measured part begins and ends.
    pub(crate) fn window<T>(&mut self, plan: &Plan, mut look: impl FnMut() -> T) -> Result<(Measured, T, T)> {
        self.schedule.open();
        self.run_until(plan.settle, plan)?;
        let (before, begun) = (look(), self.schedule.measure());
        self.run_until(plan.settle + plan.measured, plan)?;
        let measured = self.schedule.measured(&begun);
        let after = look();
        self.drain()?;
        Ok((measured, before, after))
    }

    fn run_until(&mut self, end: Duration, plan: &Plan) -> Result<()> {
        // A client of its own pace: one that sends every order by itself would measure its own requests.
        let mut pace = Pace::default();
        while self.schedule.is_within(end) {
            self.issue(plan)?;
            let events = self.take(WAIT)?;
            pace.after_turn(events, self.bus.turn_min());
        }
        Ok(())
    }

    fn issue(&mut self, plan: &Plan) -> Result<()> {
        for number in self.schedule.due(plan) {
            let key = orders::key(RUN, number as u64);
            self.burst.push((partition_of(key.as_bytes(), self.partitions), number as u64));
        }
        self.send_burst()
    }

    /// Sends what could not be sent before, and the burst.
    fn send_burst(&mut self) -> Result<()> {
        self.burst.append(&mut self.unsent);
        self.burst.sort_unstable();
        for &(partition, number) in &self.burst {
            let key = orders::key(RUN, number);
            self.value.clear();
            (self.writer)(&key, number, &mut self.value);
            let to = TopicPartition { topic: self.topic, partition };
            match self.bus.send(self.sender, Message { to, key: Some(key.as_bytes()), value: &self.value, headers: &[] }, number) {
                Ok(()) => {}
                Err(SendError::Full) => self.unsent.push((partition, number)),
                Err(why) => return Err(why.into()),
            }
        }
        self.burst.clear();
        Ok(())
    }

    fn take(&mut self, wait: Duration) -> Result<usize> {
        let Load { bus, schedule, .. } = self;
        let mut failed = None;
        let events = bus.poll(wait, &mut |event| match event {
            BusEvent::Record(record) => {
                let key = record.key.and_then(|key| std::str::from_utf8(key).ok());
                if let Some(number) = key.and_then(|key| orders::number_of(RUN, key)) {
                    schedule.finish(number as usize);
                }
            }
            BusEvent::Failed { why, .. } => failed = Some(why),
            _ => {}
        });
        failed.map_or(Ok(events), |why| Err(why.into()))
    }

    fn drain(&mut self) -> Result<()> {
        let since = Instant::now();
        while self.schedule.open_count() > 0 {
            self.send_burst()?;
            self.take(Duration::from_millis(10))?;
            if since.elapsed() > DRAIN_MAX {
                let (open, all) = (self.schedule.open_count(), self.issued());
                bail!("{open} of {all} orders have no outcome after {} s", DRAIN_MAX.as_secs());
            }
        }
        Ok(())
    }
}
