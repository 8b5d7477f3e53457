//! Participants of known capacity in virtual time, and what the books make of them.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::{Basis, Estimator, Known, Sample};

/// Numbers by chance, the same for the same seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Of mean 1.
    fn exponential(&mut self) -> f64 {
        -(1.0 - self.next()).ln()
    }
}

/// A participant.
#[derive(Clone, Copy, Debug)]
struct Served {
    /// Served at once.
    servers: usize,
    service_s: f64,
    /// Exponential; else nearly constant.
    is_markov: bool,
}

impl Served {
    fn capacity(&self) -> f64 {
        self.servers as f64 / self.service_s
    }
}

/// What happened in a run.
#[derive(Debug, Default)]
struct Run {
    /// When, what it was taken to answer as a share of what it can, and how that was known: every 5 s.
    capacities: Vec<(f64, f64, Basis)>,
    warned_at: Option<f64>,
    /// An answer took longer than 5 s for the first time.
    missed_at: Option<f64>,
    /// The first attempt timed out (10 s).
    timed_out_at: Option<f64>,
}

/// Runs for so long; `load` is the share of the capacity that arrives at a time.
fn run(served: Served, known: Known, seed: u64, until: f64, load: impl Fn(f64) -> f64) -> Run {
    let mut random = Random(seed.wrapping_mul(7919));
    let mut free: BinaryHeap<Reverse<u64>> = (0..served.servers).map(|_| Reverse(0)).collect();
    let mut ends: BinaryHeap<Reverse<(u64, u64)>> = BinaryHeap::new();
    let mut pending = VecDeque::new();
    let (mut books, mut estimator, mut out) = (Sample::default(), Estimator::default(), Run::default());
    let mut arrives_at = random.exponential() / (load(0.0) * served.capacity());
    let us = |s: f64| (s * 1e6) as u64;
    for tick in 0..(until * 10.0) as u64 {
        let now = tick as f64 / 10.0;
        while arrives_at <= now {
            let Reverse(idle_at) = free.pop().expect("servers");
            let start = us(arrives_at).max(idle_at);
            let factor = if served.is_markov { random.exponential() } else { 0.95 + 0.1 * random.next() };
            let end = start + us(served.service_s * factor);
            free.push(Reverse(end));
            ends.push(Reverse((end, us(arrives_at))));
            pending.push_back((us(arrives_at), end));
            books.issued += 1;
            let took = end - us(arrives_at);
            if took > 5_000_000 && out.missed_at.is_none() {
                out.missed_at = Some(arrives_at + 5.0);
            }
            if took > 10_000_000 && out.timed_out_at.is_none() {
                out.timed_out_at = Some(arrives_at + 10.0);
            }
            arrives_at += random.exponential() / (load(arrives_at) * served.capacity());
        }
        while let Some(Reverse((end, since))) = ends.peek().copied()
            && end <= us(now)
        {
            ends.pop();
            books.answered += 1;
            books.responses += 1;
            books.response_ms += (end - since).div_ceil(1_000);
        }
        while pending.front().is_some_and(|(_, end)| *end <= us(now)) {
            pending.pop_front();
        }
        books.at_ms = (now * 1_000.0) as i64;
        books.unanswered = ends.len() as u64;
        books.oldest_ms = pending.front().map(|(since, _)| (us(now) - since) as i64 / 1_000);
        estimator.add(books, &known);
        let estimate = estimator.estimate(&known);
        if let Some(basis) = estimate.basis
            && tick % 50 == 0
        {
            out.capacities.push((now, estimate.capacity_per_s.unwrap_or(0.0) / served.capacity(), basis));
        }
        if estimate.warns {
            out.warned_at.get_or_insert(now);
        }
    }
    out
}

/// How many runs of each kind; more by hand: RINGMASTER_SCALING_SEEDS=100.
fn seeds() -> std::ops::Range<u64> {
    0..std::env::var("RINGMASTER_SCALING_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(1)
}

/// One to 32 at once, by chance and nearly constant, 50 or 160 a second.
fn services() -> Vec<Served> {
    let rates = [(1, 50.0), (4, 50.0), (8, 50.0), (32, 160.0)];
    let both = |(servers, per_s)| [true, false].map(|is_markov| Served { servers, service_s: servers as f64 / per_s, is_markov });
    rates.into_iter().flat_map(both).collect()
}

fn known(served: Served, is_known: bool) -> Known {
    Known { slo_s: 5.0, concurrency: is_known.then_some(served.servers as u32), members: Some(1), share: 1.0 }
}

/// The mean of what was measured, as a share of what is so.
fn mean(capacities: &[(f64, f64, Basis)]) -> f64 {
    let measured: Vec<f64> = capacities.iter().filter(|one| one.2 == Basis::Measured).map(|one| one.1).collect();
    measured.iter().sum::<f64>() / measured.len() as f64
}

#[test]
fn a_ramp_is_warned_of_before_the_first_timeout() {
    for served in services() {
        for is_known in [false, true] {
            let mut means = Vec::new();
            for seed in seeds() {
                let run = run(served, known(served, is_known), seed, 600.0, |t| 0.5 + t / 600.0);
                let lead = run.timed_out_at.zip(run.warned_at).map(|(timed_out, warned)| timed_out - warned);
                let least = if is_known { 80.0 } else { 45.0 };
                assert!(lead >= Some(least), "seed {seed}, {served:?}, concurrency known: {is_known}: {lead:?} s");
                means.push(mean(&run.capacities));
            }
            let mean = means.iter().sum::<f64>() / means.len() as f64;
            assert!((0.95..1.05).contains(&mean), "{served:?}: {mean} of the capacity");
        }
    }
}

#[test]
fn a_step_is_told_soon_after_answers_are_late() {
    for served in services() {
        let mut means = Vec::new();
        for seed in seeds() {
            let run = run(served, known(served, false), seed, 480.0, |t| if t < 200.0 { 0.8 } else { 0.8 * 1.3 });
            means.push(mean(&run.capacities));
            if let Some(missed) = run.missed_at {
                let late = run.warned_at.map_or(f64::INFINITY, |warned| warned - missed);
                assert!(late <= 35.0, "seed {seed}, {served:?}: {late} s late");
            }
        }
        let mean = means.iter().sum::<f64>() / means.len() as f64;
        assert!((0.95..1.05).contains(&mean), "{served:?}: {mean} of the capacity");
    }
}

#[test]
fn nothing_is_said_in_an_hour_of_steady_work() {
    for served in services() {
        for (rho, is_known) in [(0.8, true), (0.9, false), (0.9, true)] {
            // What runs for an hour and has no queue is the same, known or not.
            if seeds().end == 1 && (is_known != served.is_markov) {
                continue;
            }
            for seed in seeds() {
                let run = run(served, known(served, is_known), seed, 3_600.0, |_| rho);
                assert_eq!(run.warned_at, None, "seed {seed}, {served:?} at {rho}, concurrency known: {is_known}");
            }
        }
    }
}
