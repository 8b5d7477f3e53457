//! Twice the load that can be carried: what gets done, where the rest waits, and how it is afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use crate::rounds::is_steady;
use crate::window::{Contender, Plan, Window};

/// How much more than can be carried.
const TIMES: f64 = 2.0;
/// A load that is carried with ease, before and afterwards.
pub(crate) const CALM: f64 = 0.7;
/// How often is looked at what is in flight.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What can say how many sagas wait for an answer.
pub(crate) trait InFlight: Contender {
    /// Looks at it, on any thread; none if it cannot be known now.
    fn in_flight(&self) -> Box<dyn Fn() -> Option<u64> + Send>;
}

/// What overload came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Overload {
    /// Orders a second that were placed.
    pub(crate) rate: f64,
    /// Sagas a second that are carried, in windows right before and afterwards: what is stored grows, and both grow dear.
    pub(crate) peak_per_s: f64,
    /// Sagas a second that ended meanwhile, and the same by what is carried.
    pub(crate) per_s: f64,
    pub(crate) per_peak: f64,
    /// Most sagas that waited for an answer at once.
    pub(crate) in_flight_max: u64,
    /// By how much an order that ended was younger than the oldest that had not: 99 of 100 by less.
    pub(crate) overtaken_p99_ms: f64,
    /// CPU meanwhile, in microseconds by the sagas that ended.
    pub(crate) cpu_us_coordinator: f64,
    pub(crate) cpu_us_broker: f64,
    pub(crate) cpu_us_services: f64,
    pub(crate) cpu_us_driver: f64,
    /// At 0.7 of what can be carried, before and afterwards.
    pub(crate) calm_p99_ms: f64,
    pub(crate) afterwards_p99_ms: f64,
    /// False if the machine changed meanwhile.
    pub(crate) steady: bool,
}

/// A full window and a calm one, an overloaded one of which all orders get their outcome, a calm and a full one again.
pub(crate) fn run(product: &mut dyn InFlight, peak: f64, plan: &Plan, speed: &mut dyn FnMut() -> f64) -> Result<Overload> {
    let at = |share: f64| Plan { rate: Some(peak * share), in_flight: usize::MAX, ..plan.clone() };
    let full = Plan { rate: None, ..plan.clone() };
    let mut speeds = vec![speed()];
    let (full_before, before) = (product.window(&full)?, product.window(&at(CALM))?);
    speeds.push(speed());
    let (ends, most) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let watch = {
        let (look, ends, most) = (product.in_flight(), ends.clone(), most.clone());
        std::thread::spawn(move || {
            loop {
                most.fetch_max(look().unwrap_or(0), Ordering::Relaxed);
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                std::thread::sleep(LOOK_EVERY);
            }
        })
    };
    let window = product.window(&at(TIMES));
    speeds.push(speed());
    ends.store(true, Ordering::Relaxed);
    watch.join().expect("looking does not panic");
    let (window, after, full_after) = (window?, product.window(&at(CALM))?, product.window(&full)?);
    speeds.push(speed());
    let carried = (full_before.per_second() + full_after.per_second()) / 2.0;
    let p99 = |window: &Window| window.measured.latency_us.as_ref().map_or(0.0, |us| us.value_at_quantile(0.99) as f64 / 1e3);
    let overtaken = window.measured.overtaken_us.as_ref().map_or(0.0, |us| us.value_at_quantile(0.99) as f64 / 1e3);
    let [coordinator, broker, services, driver] = window.cost.parts().map(|used| window.per_saga(used.cpu.as_secs_f64() * 1e6));
    Ok(Overload {
        rate: peak * TIMES,
        peak_per_s: carried,
        per_s: window.per_second(),
        per_peak: window.per_second() / carried,
        in_flight_max: most.load(Ordering::Relaxed),
        overtaken_p99_ms: overtaken,
        cpu_us_coordinator: coordinator,
        cpu_us_broker: broker,
        cpu_us_services: services,
        cpu_us_driver: driver,
        calm_p99_ms: p99(&before),
        afterwards_p99_ms: p99(&after),
        steady: speeds.windows(2).all(|pair| is_steady(&speeds, pair[0], pair[1])),
    })
}

impl Overload {
    /// For people.
    pub(crate) fn line(&self) -> String {
        format!(
            "overload, {:.0} orders/s: {:.0} sagas/s, {:.2} of the {:.0} that are carried; at most {} in flight; p99 of overtaking {:.0} ms; \
             CPU a saga {:.0} (coordinator) + {:.0} (broker) + {:.0} (services) + {:.0} us (driver); p99 at {CALM} of what is carried {:.0} ms before and {:.0} ms afterwards{}",
            self.rate,
            self.per_s,
            self.per_peak,
            self.peak_per_s,
            self.in_flight_max,
            self.overtaken_p99_ms,
            self.cpu_us_coordinator,
            self.cpu_us_broker,
            self.cpu_us_services,
            self.cpu_us_driver,
            self.calm_p99_ms,
            self.afterwards_p99_ms,
            if self.steady { "" } else { "; the machine changed meanwhile: take no figure from this" }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::{Cost, Measured, latencies};

    /// Ends 100 sagas a second, however many are placed; its latency is how many times that it was asked for.
    struct Steady(Vec<Option<f64>>);

    impl Contender for Steady {
        fn name(&self) -> &'static str {
            "product"
        }

        fn window(&mut self, plan: &Plan) -> Result<Window> {
            self.0.push(plan.rate);
            assert_eq!(plan.in_flight == usize::MAX, plan.rate.is_some(), "whoever is overloaded does not choose");
            let (mut latency_us, mut overtaken_us) = (latencies(), latencies());
            latency_us.record(plan.rate.unwrap_or(1.0) as u64 * 1_000)?;
            overtaken_us.record(5_000)?;
            let measured = Measured {
                lasted: Duration::from_secs(1),
                finished: if plan.rate.is_some() { 95 } else { 80 + 10 * self.0.len() as u64 },
                latency_us: Some(latency_us),
                overtaken_us: Some(overtaken_us),
            };
            Ok(Window { measured, cost: Cost::default(), traffic: None })
        }
    }

    impl InFlight for Steady {
        fn in_flight(&self) -> Box<dyn Fn() -> Option<u64> + Send> {
            Box::new(|| Some(77))
        }
    }

    #[test]
    fn overload_stands_between_two_calm_windows() {
        let mut product = Steady(Vec::new());
        let plan = Plan { rate: None, in_flight: 5, settle: Duration::ZERO, measured: Duration::ZERO };
        let found = run(&mut product, 100.0, &plan, &mut || 1.0).expect("it runs");
        assert!(found.steady && !found.line().contains("take no figure"), "{found:?}");
        let mut speeds = [1.0, 1.0, 0.5, 1.0].into_iter();
        let changed = run(&mut Steady(Vec::new()), 100.0, &plan, &mut || speeds.next().expect("four looks")).expect("it runs");
        assert!(!changed.steady && changed.line().contains("take no figure"), "{changed:?}");
        assert_eq!(product.0, [None, Some(70.0), Some(200.0), Some(70.0), None]);
        assert_eq!((found.per_s, found.peak_per_s, found.in_flight_max, found.overtaken_p99_ms.round()), (95.0, 110.0, 77, 5.0));
        assert!(found.calm_p99_ms > 69.0 && found.afterwards_p99_ms < 71.0, "{found:?}");
    }
}
