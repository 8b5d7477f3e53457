//! The load: orders at their intended times, outcomes taken, latency from the intended time.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use hdrhistogram::Histogram;
use ringmaster_bus::{Bus, BusEvent, Message, Pace, SendError, TopicPartition};
use ringmaster_demo::orders::{self, ORDERS, OUTCOMES, OrderWriter};
use ringmaster_schemas::names::partition_of;

use crate::window::{Measured, Plan, latencies};

/// What keys of a bench begin with.
pub(crate) const RUN: &str = "b-";
/// Orders of one burst: sorted by partition, since alternating partitions costs the client.
const BURST_MAX: usize = 512;
/// How long a turn waits if nothing happens: how late an order may be sent.
const WAIT: Duration = Duration::from_millis(2);
/// How long the last outcomes may take.
const DRAIN_MAX: Duration = Duration::from_secs(60);

/// A client that places orders and waits for their outcomes, window by window.
pub(crate) struct Load<B: Bus> {
    bus: B,
    writer: OrderWriter,
    partitions: i32,
    sender: ringmaster_bus::Sender,
    topic: ringmaster_bus::Topic,
    begun: Instant,
    /// Intended time of each order, in microseconds since the begin.
    intended_us: Vec<u64>,
    finished: u64,
    seen: Vec<bool>,
    latency_us: Histogram<u64>,
    burst: Vec<(i32, u64)>,
    value: Vec<u8>,
    unsent: Vec<(i32, u64)>,
}

/// Where a window's orders begin: its time and its first order.
struct Opened {
    at_us: u64,
    first: usize,
}

impl<B: Bus> Load<B> {
    /// Reads all outcomes; nothing is placed yet.
    pub(crate) fn new(mut bus: B, writer: OrderWriter, partitions: i32) -> Result<Load<B>> {
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
            begun: Instant::now(),
            intended_us: Vec::new(),
            finished: 0,
            seen: Vec::new(),
            latency_us: latencies(),
            burst: Vec::new(),
            value: Vec::new(),
            unsent: Vec::new(),
        })
    }

    /// Orders placed so far.
    pub(crate) fn issued(&self) -> u64 {
        self.intended_us.len() as u64
    }

    /// Places orders by the plan; every one has its outcome when it returns. `look` is asked where the measured part begins and ends.
    pub(crate) fn window<T>(&mut self, plan: &Plan, mut look: impl FnMut() -> T) -> Result<(Measured, T, T)> {
        let opened = Opened { at_us: self.now_us(), first: self.intended_us.len() };
        let end = |lasts: Duration| opened.at_us + lasts.as_micros() as u64;
        self.run_until(end(plan.settle), plan, &opened)?;
        self.latency_us.reset();
        let (before, begun, finished) = (look(), Instant::now(), self.finished);
        self.run_until(end(plan.settle + plan.measured), plan, &opened)?;
        let measured =
            Measured { lasted: begun.elapsed(), finished: self.finished - finished, latency_us: Some(self.latency_us.clone()) };
        let after = look();
        self.drain()?;
        Ok((measured, before, after))
    }

    fn now_us(&self) -> u64 {
        self.begun.elapsed().as_micros() as u64
    }

    fn run_until(&mut self, end_us: u64, plan: &Plan, opened: &Opened) -> Result<()> {
        // A client of its own pace: one that sends every order by itself would measure its own requests.
        let mut pace = Pace::default();
        while self.now_us() < end_us {
            self.issue(plan, opened)?;
            let events = self.take(WAIT)?;
            pace.after_turn(events, self.bus.turn_min());
        }
        Ok(())
    }

    fn issue(&mut self, plan: &Plan, opened: &Opened) -> Result<()> {
        let issued = self.intended_us.len();
        let room = plan.in_flight.saturating_sub(issued - self.finished as usize).min(BURST_MAX);
        let now_us = self.now_us();
        let count = match plan.rate {
            None => room,
            // The order of number n of a window is due at n / rate: the first at once.
            Some(rate) => {
                let due = ((now_us - opened.at_us) as f64 * rate / 1e6) as usize + 1;
                (opened.first + due).saturating_sub(issued).min(room)
            }
        };
        for number in issued..issued + count {
            let due = |rate: f64| opened.at_us + ((number - opened.first) as f64 * 1e6 / rate) as u64;
            self.intended_us.push(plan.rate.map_or(now_us, due));
            self.seen.push(false);
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
            self.writer.put(&key, number, &mut self.value);
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
        let Load { bus, seen, finished, latency_us, intended_us, begun, .. } = self;
        let mut failed = None;
        let events = bus.poll(wait, &mut |event| match event {
            BusEvent::Record(record) => {
                let key = record.key.and_then(|key| std::str::from_utf8(key).ok());
                let Some(number) = key.and_then(|key| orders::number_of(RUN, key)) else { return };
                let number = number as usize;
                if number < seen.len() && !std::mem::replace(&mut seen[number], true) {
                    *finished += 1;
                    let now_us = begun.elapsed().as_micros() as u64;
                    latency_us.saturating_record(now_us.saturating_sub(intended_us[number]).max(1));
                }
            }
            BusEvent::Failed { why, .. } => failed = Some(why),
            _ => {}
        });
        failed.map_or(Ok(events), |why| Err(why.into()))
    }

    fn drain(&mut self) -> Result<()> {
        let since = Instant::now();
        while (self.finished as usize) < self.intended_us.len() {
            self.send_burst()?;
            self.take(Duration::from_millis(10))?;
            if since.elapsed() > DRAIN_MAX {
                let (open, all) = (self.issued() - self.finished, self.issued());
                bail!("{open} of {all} orders have no outcome after {} s", DRAIN_MAX.as_secs());
            }
        }
        Ok(())
    }
}
