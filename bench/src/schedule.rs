//! When orders are to be placed, and how long each took: the same for the product and the null saga.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::window::{Measured, Plan, latencies};

/// Orders of one burst.
const BURST_MAX: usize = 512;

/// All orders of a contender, by their numbers.
pub(crate) struct Schedule {
    begun: Instant,
    /// Intended time of each order, in microseconds since the begin.
    intended_us: Vec<u64>,
    /// Which of them have their outcome.
    done: Vec<bool>,
    finished: u64,
    /// The oldest that has none.
    oldest: usize,
    latency_us: Histogram<u64>,
    /// By how much an order that got its outcome was younger than the oldest that had none.
    overtaken_us: Histogram<u64>,
    /// Where the open window's orders begin: its time and its first order.
    opened: (u64, usize),
}

/// Where the measured part of a window began.
pub(crate) struct Begun {
    at: Instant,
    finished: u64,
}

impl Schedule {
    pub(crate) fn new() -> Schedule {
        Schedule {
            begun: Instant::now(),
            intended_us: Vec::new(),
            done: Vec::new(),
            finished: 0,
            oldest: 0,
            latency_us: latencies(),
            overtaken_us: latencies(),
            opened: (0, 0),
        }
    }

    /// Orders placed so far.
    pub(crate) fn issued(&self) -> usize {
        self.intended_us.len()
    }

    /// Orders that have no outcome yet.
    pub(crate) fn open_count(&self) -> usize {
        self.issued() - self.finished as usize
    }

    /// A window opens: its first order is due at once.
    pub(crate) fn open(&mut self) {
        self.opened = (self.now_us(), self.issued());
    }

    /// True as long as the open window has not lasted so long.
    pub(crate) fn is_within(&self, lasts: Duration) -> bool {
        self.now_us() < self.opened.0 + lasts.as_micros() as u64
    }

    /// Numbers of the orders that are due now, a burst at most; they count as placed.
    pub(crate) fn due(&mut self, plan: &Plan) -> std::ops::Range<usize> {
        let (issued, now_us, (opened_us, first)) = (self.issued(), self.now_us(), self.opened);
        let room = plan.in_flight.saturating_sub(self.open_count()).min(BURST_MAX);
        let count = plan.rate.map_or(room, |rate| {
            // The order of number n of a window is due at n / rate: the first at once.
            let due = ((now_us - opened_us) as f64 * rate / 1e6) as usize + 1;
            (first + due).saturating_sub(issued).min(room)
        });
        for number in issued..issued + count {
            let due = |rate: f64| opened_us + ((number - first) as f64 * 1e6 / rate) as u64;
            self.intended_us.push(plan.rate.map_or(now_us, due));
            self.done.push(false);
        }
        issued..issued + count
    }

    /// The outcome of an order came; one that came before counts once, and a number that was not placed is nobody's.
    pub(crate) fn finish(&mut self, number: usize) {
        if self.done.get(number) != Some(&false) {
            return;
        }
        self.done[number] = true;
        self.finished += 1;
        let intended = self.intended_us[number];
        self.latency_us.saturating_record(self.now_us().saturating_sub(intended).max(1));
        while self.done.get(self.oldest) == Some(&true) {
            self.oldest += 1;
        }
        let oldest = self.intended_us.get(self.oldest).map_or(intended, |oldest| *oldest);
        self.overtaken_us.saturating_record(intended.saturating_sub(oldest).max(1));
    }

    /// The measured part of a window begins.
    pub(crate) fn measure(&mut self) -> Begun {
        self.latency_us.reset();
        self.overtaken_us.reset();
        Begun { at: Instant::now(), finished: self.finished }
    }

    /// It ends.
    pub(crate) fn measured(&self, since: &Begun) -> Measured {
        let finished = self.finished - since.finished;
        let (latency_us, overtaken_us) = (Some(self.latency_us.clone()), Some(self.overtaken_us.clone()));
        Measured { lasted: since.at.elapsed(), finished, latency_us, overtaken_us }
    }

    fn now_us(&self) -> u64 {
        self.begun.elapsed().as_micros() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(rate: Option<f64>, in_flight: usize) -> Plan {
        Plan { rate, in_flight, settle: Duration::ZERO, measured: Duration::ZERO }
    }

    /// Without a rate the number in flight alone decides, and an outcome makes room for another order.
    #[test]
    fn orders_in_flight_are_bounded() {
        let mut schedule = Schedule::new();
        schedule.open();
        assert_eq!(schedule.due(&plan(None, 1_000)), 0..BURST_MAX);
        assert_eq!(schedule.due(&plan(None, 600)), BURST_MAX..600);
        assert_eq!(schedule.due(&plan(None, 600)), 600..600);
        schedule.finish(3);
        schedule.finish(10_000);
        assert_eq!((schedule.due(&plan(None, 600)), schedule.open_count()), (600..601, 600));
    }

    /// Whoever is served out of turn overtakes all who are older.
    #[test]
    fn overtaking_is_counted_from_the_oldest() {
        let mut schedule = Schedule::new();
        schedule.open();
        let begun = schedule.measure();
        schedule.due(&plan(None, 2));
        while schedule.now_us() < schedule.intended_us[1] + 2_000 {}
        schedule.due(&plan(None, 3));
        let apart = schedule.intended_us[2] - schedule.intended_us[0];
        for number in [2, 0, 1] {
            schedule.finish(number);
        }
        let overtaken = schedule.measured(&begun).overtaken_us.expect("it is counted");
        assert_eq!((overtaken.len(), overtaken.min()), (3, 1));
        assert!(overtaken.max() >= apart && apart >= 2_000, "{} of {apart}", overtaken.max());
    }

    /// With a rate orders are due by the clock, in each window from its own begin on.
    #[test]
    fn a_rate_counts_from_the_windows_begin() {
        let mut schedule = Schedule::new();
        for _ in 0..2 {
            schedule.open();
            let begun = schedule.measure();
            assert_eq!(schedule.due(&plan(Some(1e-6), 10)).len(), 1, "the first at once, the next in days");
            assert_eq!(schedule.due(&plan(Some(1e-6), 10)).len(), 0);
            schedule.finish(schedule.issued() - 1);
            let measured = schedule.measured(&begun);
            assert_eq!((measured.finished, measured.latency_us.map(|latencies| latencies.len())), (1, Some(1)));
        }
    }
}
