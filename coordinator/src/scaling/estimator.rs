//! One participant as the books tell it: how much it is asked, how much it can do, and when it will be late.

use super::breach::{Standing, error};
use super::rates::{LATELY_MS, Quiet, RATE_MS, Rate, Slope};
use super::window::{Seen, WINDOW_MAX_MS, Window};
use super::{Basis, Estimate, Known, Sample};

/// A window is at least as long as this,
const WINDOW_MIN_MS: i64 = 5_000;
/// and as so many times an answer takes.
const WINDOW_SERVICES: f64 = 25.0;
/// Fewer answers than this say nothing.
const WINDOW_ANSWERS_MIN: u64 = 20;
/// Of so many answers one attempt may have timed out.
const TIMED_OUT_SHARE: u64 = 20;
/// So many times what is carried out at once must wait, at every moment of a window, for that to be a queue.
const QUEUE_FACTOR: f64 = 1.5;
/// A new capacity counts so much.
const CAPACITY_SHARE: f64 = 0.3;
/// What was measured longer ago is not known any more.
const CAPACITY_KEPT_MS: i64 = 3_600_000;
/// While a group shares anew who answers what, what it answers is not what it can.
const SETTLE_MS: i64 = 15_000;
/// A service takes at least so long: nothing is divided by less.
const SERVICE_S_MIN: f64 = 0.000_1;
/// What is further off than this is not said aloud, and nothing before it was so for so long; what is near is said sooner.
const WARNS: [(f64, i64); 2] = [(300.0, 30_000), (60.0, 10_000)];

/// Takes samples, and tells what follows. It has no clock, and its memory is bounded.
#[derive(Debug, Clone, Default)]
pub struct Estimator {
    begun_ms: Option<i64>,
    last: Sample,
    arrive: Rate<RATE_MS>,
    /// The same, of the last seconds.
    lately: Rate<LATELY_MS>,
    answer: Rate<RATE_MS>,
    arrivals: Slope,
    quiet: Quiet,
    window: Window,
    /// Windows begin again then.
    settled_ms: i64,
    members: Option<u32>,
    /// Of one member, if members are known, and when it was measured last.
    capacity: Option<(f64, i64)>,
    /// Since when a breach is as near as that, in the order of [`WARNS`].
    near_since_ms: [Option<i64>; WARNS.len()],
}

/// How many a capacity is shared by that is told for one.
fn shared_by(members: Option<u32>) -> f64 {
    f64::from(members.unwrap_or(1).max(1))
}

impl Estimator {
    /// Takes what the books say now: later than before, and counts that are no smaller.
    pub fn add(&mut self, sample: Sample, known: &Known) {
        let before = std::mem::replace(&mut self.last, sample);
        let (at_ms, ms) = (sample.at_ms, sample.at_ms - before.at_ms);
        if self.begun_ms.is_none() || ms <= 0 {
            self.begun_ms.get_or_insert(at_ms);
            self.members = known.members;
            return;
        }
        let issued = sample.issued.saturating_sub(before.issued) as f64;
        self.arrive.add(issued, ms as f64);
        self.lately.add(issued, ms as f64);
        self.answer.add(sample.answered.saturating_sub(before.answered) as f64, ms as f64);
        self.arrivals.add(at_ms, issued);
        let responses = sample.responses.saturating_sub(before.responses);
        self.quiet.add(at_ms, responses, sample.response_ms.saturating_sub(before.response_ms) as f64);
        self.take_members(known.members);
        self.watch();
        let breach_s = self.standing(known).breach_in_s().unwrap_or(f64::INFINITY);
        for ((near_s, _), since_ms) in WARNS.into_iter().zip(&mut self.near_since_ms) {
            *since_ms = if breach_s < near_s { since_ms.or(Some(at_ms)) } else { None };
        }
    }

    /// It is asked from here so many times as much as before, since partitions came or went: so are all rates and capacities. What of
    /// theirs is unanswered comes and goes with them, and was neither issued nor answered now.
    pub fn rescale(&mut self, by: f64) {
        self.arrive.scale(by);
        self.lately.scale(by);
        self.answer.scale(by);
        self.arrivals = Slope::default();
        self.capacity = self.capacity.map(|(capacity, at)| (capacity * by, at));
        self.settle();
        self.near_since_ms = [None; WARNS.len()];
    }

    /// What it answers in the next seconds says nothing of what it can.
    fn settle(&mut self) {
        self.window = Window::default();
        self.settled_ms = self.last.at_ms + SETTLE_MS;
    }

    fn take_members(&mut self, members: Option<u32>) {
        let before = std::mem::replace(&mut self.members, members);
        if before == members {
            return;
        }
        match (before, members) {
            // What all of them can is known, and is now told for one; or the other way round.
            (None, Some(_)) | (Some(_), None) => {
                let by = shared_by(before) / shared_by(members);
                self.capacity = self.capacity.map(|(capacity, at)| (capacity * by, at));
            }
            _ => self.settle(),
        }
    }

    /// Looks for a window in which there was always a queue.
    fn watch(&mut self) {
        let now = self.last;
        if now.at_ms < self.settled_ms {
            return;
        }
        let Some(service_s) = self.quiet.service_s() else { return };
        let least_ms = WINDOW_MIN_MS.max((WINDOW_SERVICES * service_s * 1_000.0) as i64).min(WINDOW_MAX_MS);
        let Some(Seen { ms, answered, timed_out, unanswered_min }) = self.window.add(&now, least_ms) else { return };
        // What it answers of attempts that are not waited for any more is not all known here.
        let is_told = answered >= WINDOW_ANSWERS_MIN && timed_out * TIMED_OUT_SHARE <= answered;
        let per_s = answered as f64 * 1_000.0 / ms as f64;
        if is_told && unanswered_min as f64 > QUEUE_FACTOR * per_s * service_s + 1.0 {
            let one = per_s / shared_by(self.members);
            let one = self.measured().map_or(one, |known| known + CAPACITY_SHARE * (one - known));
            self.capacity = Some((one, now.at_ms));
            self.window = Window::default();
        }
    }

    /// What one member can, if that was measured.
    fn measured(&self) -> Option<f64> {
        self.capacity.filter(|(_, at_ms)| self.last.at_ms - at_ms < CAPACITY_KEPT_MS).map(|(one, _)| one)
    }

    /// What one member can, and how that is known.
    fn one(&self, known: &Known) -> Option<(f64, Basis)> {
        let estimate = || {
            let (service_s, _) = (self.quiet.service_s()?, self.members?);
            Some(f64::from(known.concurrency?) * known.share / service_s.max(SERVICE_S_MIN))
        };
        let (one, basis) = match self.measured() {
            Some(one) => (one, Basis::Measured),
            None => (estimate()?, Basis::Estimate),
        };
        // What it does it can.
        let does = self.answer.per_s() - 2.0 * error(self.answer.per_s());
        Some((one.max(does / shared_by(self.members)), basis))
    }

    fn standing(&self, known: &Known) -> Standing {
        let members = f64::from(self.members.unwrap_or(1));
        Standing {
            arrive: self.arrive.per_s(),
            growth: self.arrivals.per_s2(),
            unanswered: self.last.unanswered,
            oldest_s: self.last.oldest_ms.filter(|_| self.last.unanswered > 0).map(|ms| ms as f64 / 1_000.0),
            capacity: self.one(known).map(|(one, _)| one * members),
            service_s: self.quiet.service_s(),
            slo_s: known.slo_s,
            seen_s: self.begun_ms.map_or(0.0, |begun_ms| (self.last.at_ms - begun_ms) as f64 / 1_000.0),
        }
    }

    /// What follows from all that it was told.
    pub fn estimate(&self, known: &Known) -> Estimate {
        let is_for = |since: Option<i64>, ms| since.is_some_and(|since| self.last.at_ms - since >= ms);
        let warns = WARNS.into_iter().zip(self.near_since_ms).any(|((_, ms), since)| is_for(since, ms));
        let one = self.one(known);
        let told = Estimate {
            answer_per_s: self.answer.per_s(),
            lately_per_s: self.lately.surely_per_s(),
            one_per_s: one.map(|(one, _)| one),
            basis: one.map(|(_, basis)| basis),
            warns,
            ..Estimate::of(&self.standing(known))
        };
        told.with_response()
    }
}
