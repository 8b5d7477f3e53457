//! What is compared: contenders under the same plan, and what a window of one of them came to.

use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;

use crate::machine::Used;
use crate::traffic::Traffic;

/// The load of a window.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Orders a second; none: as fast as `in_flight` allows.
    pub(crate) rate: Option<f64>,
    /// Most orders under way at once.
    pub(crate) in_flight: usize,
    /// Under load, but not measured yet.
    pub(crate) settle: Duration,
    pub(crate) measured: Duration,
}

impl Plan {
    /// For people.
    pub(crate) fn load(&self) -> String {
        match self.rate {
            Some(rate) => format!("{rate}/s"),
            None => format!("{} in flight", self.in_flight),
        }
    }
}

/// What the driver saw of a window.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    pub(crate) lasted: Duration,
    pub(crate) finished: u64,
    /// From the intended time of sending; none where a program says only how many there were.
    pub(crate) latency_us: Option<Histogram<u64>>,
    /// By how much an order that got its outcome was younger than the oldest without one.
    pub(crate) overtaken_us: Option<Histogram<u64>>,
}

/// CPU and context switches by who had them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    pub(crate) coordinator: Used,
    pub(crate) broker: Used,
    pub(crate) services: Used,
    /// The bench's own process: whoever drives, and the embedded log.
    pub(crate) driver: Used,
}

impl Cost {
    pub(crate) fn since(self, before: Cost) -> Cost {
        Cost {
            coordinator: self.coordinator.since(before.coordinator),
            broker: self.broker.since(before.broker),
            services: self.services.since(before.services),
            driver: self.driver.since(before.driver),
        }
    }

    pub(crate) fn parts(&self) -> [Used; 4] {
        [self.coordinator, self.broker, self.services, self.driver]
    }
}

/// One window of a contender.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    pub(crate) measured: Measured,
    pub(crate) cost: Cost,
    /// What the broker was asked meanwhile; none where there is no broker.
    pub(crate) traffic: Option<Traffic>,
}

impl Window {
    pub(crate) fn per_second(&self) -> f64 {
        self.measured.finished as f64 / self.measured.lasted.as_secs_f64()
    }

    /// A quantity of the window, by its sagas.
    pub(crate) fn per_saga(&self, quantity: f64) -> f64 {
        quantity / self.measured.finished.max(1) as f64
    }

    /// CPU of all, in microseconds a saga.
    pub(crate) fn cpu_us(&self) -> f64 {
        self.per_saga(self.cost.parts().iter().map(|used| used.cpu.as_secs_f64() * 1e6).sum())
    }
}

/// Something that carries sagas under a plan. Between two windows nothing of it is under way.
pub(crate) trait Contender {
    fn name(&self) -> &'static str;
    fn window(&mut self, plan: &Plan) -> Result<Window>;
}

/// An empty histogram of latencies: a microsecond to ten minutes, three digits.
pub(crate) fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 600_000_000, 3).expect("the bounds are right")
}
