//! The load: orders at their intended times, outcomes taken, latency from the intended time.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use hdrhistogram::Histogram;
use ringmaster_bus::{Bus, BusEvent, Message, Pace, SendError, TopicPartition};
use ringmaster_demo::orders::{self, ORDERS, OUTCOMES, OrderWriter};
use ringmaster_schemas::names::partition_of;

/// What keys of a bench begin with.
pub(crate) const RUN: &str = "b-";
/// Orders of one burst: sorted by partition, since alternating partitions costs the client.
const BURST_MAX: usize = 512;
/// How long a turn waits if nothing happens: how late an order may be sent.
const WAIT: Duration = Duration::from_millis(2);
/// How long the last outcomes may take.
const DRAIN_MAX: Duration = Duration::from_secs(60);

/// What to drive.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) rate: Option<f64>,
    pub(crate) in_flight: usize,
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
    pub(crate) partitions: i32,
}

/// What was seen between warm-up and end.
#[derive(Debug)]
pub(crate) struct Window {
    pub(crate) lasted: Duration,
    pub(crate) finished: u64,
    pub(crate) latency_us: Histogram<u64>,
}

/// All that was driven.
#[derive(Debug)]
pub(crate) struct Driven<T> {
    pub(crate) issued: u64,
    pub(crate) window: Window,
    /// What `look` saw at the window's begin and end.
    pub(crate) before: T,
    pub(crate) after: T,
}

struct Driver<'a, B: Bus> {
    bus: &'a mut B,
    writer: &'a OrderWriter,
    partitions: i32,
    sender: ringmaster_bus::Sender,
    topic: ringmaster_bus::Topic,
    /// Intended time of each order, in microseconds since the begin.
    intended_us: Vec<u64>,
    begun: Instant,
    finished: u64,
    seen: Vec<bool>,
    latency_us: Histogram<u64>,
    burst: Vec<(i32, u64)>,
    value: Vec<u8>,
    unsent: Vec<(i32, u64)>,
}

/// Drives the plan to its end; every order has its outcome when it returns.
pub(crate) fn drive<B: Bus, T>(bus: &mut B, writer: &OrderWriter, plan: &Plan, mut look: impl FnMut() -> T) -> Result<Driven<T>> {
    let outcomes = bus.topic(OUTCOMES);
    for partition in 0..plan.partitions {
        bus.read(TopicPartition { topic: outcomes, partition }, 0);
    }
    let (sender, topic) = (bus.open_sender()?, bus.topic(ORDERS));
    let mut driver = Driver {
        bus,
        writer,
        partitions: plan.partitions,
        sender,
        topic,
        intended_us: Vec::new(),
        begun: Instant::now(),
        finished: 0,
        seen: Vec::new(),
        latency_us: Histogram::new_with_bounds(1, 600_000_000, 3)?,
        burst: Vec::new(),
        value: Vec::new(),
        unsent: Vec::new(),
    };
    driver.run_until(plan.warm_up, plan)?;
    let (before, begun, finished) = (look(), Instant::now(), driver.finished);
    driver.latency_us.reset();
    driver.run_until(plan.warm_up + plan.measured, plan)?;
    let after = look();
    let window = Window { lasted: begun.elapsed(), finished: driver.finished - finished, latency_us: driver.latency_us.clone() };
    driver.drain()?;
    Ok(Driven { issued: driver.intended_us.len() as u64, window, before, after })
}

impl<B: Bus> Driver<'_, B> {
    fn run_until(&mut self, end: Duration, plan: &Plan) -> Result<()> {
        // A client of its own pace: one that sends every order by itself would measure its own requests.
        let mut pace = Pace::default();
        while self.begun.elapsed() < end {
            self.issue(plan)?;
            pace.after_turn(self.take(WAIT)?);
        }
        Ok(())
    }

    fn issue(&mut self, plan: &Plan) -> Result<()> {
        let issued = self.intended_us.len();
        let room = plan.in_flight.saturating_sub(issued - self.finished as usize).min(BURST_MAX);
        let now_us = self.begun.elapsed().as_micros() as u64;
        let count = match plan.rate {
            None => room,
            // The order of number n is due at n / rate: the first at once.
            Some(rate) => ((now_us as f64 * rate / 1e6) as usize + 1).saturating_sub(issued).min(room),
        };
        self.burst.append(&mut self.unsent);
        for number in issued..issued + count {
            let intended = plan.rate.map_or(now_us, |rate| (number as f64 * 1e6 / rate) as u64);
            self.intended_us.push(intended);
            self.seen.push(false);
            let key = orders::key(RUN, number as u64);
            self.burst.push((partition_of(key.as_bytes(), self.partitions), number as u64));
        }
        self.burst.sort_unstable();
        let burst = std::mem::take(&mut self.burst);
        for &(partition, number) in &burst {
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
        self.burst = burst;
        self.burst.clear();
        Ok(())
    }

    fn take(&mut self, wait: Duration) -> Result<usize> {
        let Driver { bus, seen, finished, latency_us, intended_us, begun, .. } = self;
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
            let unsent = std::mem::take(&mut self.unsent);
            self.burst = unsent;
            if !self.burst.is_empty() {
                let plan = Plan {
                    rate: None,
                    in_flight: 0,
                    warm_up: Duration::ZERO,
                    measured: Duration::ZERO,
                    partitions: self.partitions,
                };
                self.issue(&plan)?;
            }
            self.take(Duration::from_millis(10))?;
            if since.elapsed() > DRAIN_MAX {
                bail!(
                    "{} of {} orders have no outcome after {} s",
                    self.intended_us.len() as u64 - self.finished,
                    self.intended_us.len(),
                    DRAIN_MAX.as_secs()
                );
            }
        }
        Ok(())
    }
}
