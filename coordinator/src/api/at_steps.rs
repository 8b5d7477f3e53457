//! What is known of each step of a picture: how much waits there, and how it does.
//!
//! ```text
//! counts of this version -> what waits, by step
//! what began, ended, was refused here -> the same of all instances, added up -> rates, shares, and how long it takes
//! ```

use std::collections::BTreeMap;

use ringmaster_core::definition::{Catalog, Verb};
use ringmaster_core::partition::Histogram;
use ringmaster_schemas::names::unhex;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::overview::DefinitionCounts;
use crate::telemetry::{Metrics, StepSeen};

/// How much waits at a step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WaitingThere {
    /// Sagas of which this is what they wait for most.
    pub sagas: i64,
    /// Whatever waits there: branches side by side, and items.
    pub open: i64,
    /// The same by reason: how many are open.
    pub reasons: BTreeMap<String, i64>,
}

/// How a step does, as instances saw it since they were started; null is what is not known.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StepPace {
    /// How many began a second, over about the last minute, or since an instance was started if that is less; null in its first second.
    pub started_per_s: Option<f64>,
    /// How long half of those took that ended, at most, with all retries and parking: estimated as if times were even within their bucket.
    /// Null if none has ended, or that is above an hour.
    pub p50_s: Option<f64>,
    /// The same of 99 of 100.
    pub p99_s: Option<f64>,
    /// Those that were refused, as a share of those that ended.
    pub refused_share: Option<f64>,
    /// How long they and their undos took, as a share of what all steps of all definitions took.
    pub time_share: Option<f64>,
    /// How many have ended.
    pub ended: u64,
    /// How many of them were refused.
    pub refused: u64,
    /// How many failed, or need a person for that.
    pub failed: u64,
    /// How long they and their undos took in all.
    pub seconds: f64,
    /// How many took so long that they are in each bucket of `ringmaster_step_duration_seconds`, and beyond the last: each once.
    pub buckets: Vec<u64>,
}

impl StepPace {
    fn of(seen: &StepSeen, window_s: Option<f64>) -> StepPace {
        StepPace {
            started_per_s: window_s.map(|window_s| seen.began as f64 / window_s),
            ended: seen.durations.count(),
            refused: seen.refused,
            failed: seen.failed,
            seconds: seen.took_ms as f64 / 1_000.0,
            buckets: seen.durations.counts.to_vec(),
            ..StepPace::default()
        }
    }

    /// Adds it to what other instances say. A rate that one of them does not know is not known of all.
    pub(super) fn add_to(self, all: &mut BTreeMap<String, StepPace>, step: String) {
        let Some(known) = all.get_mut(&step) else { return drop(all.insert(step, self)) };
        known.started_per_s = known.started_per_s.zip(self.started_per_s).map(|(one, other)| one + other);
        known.ended += self.ended;
        known.refused += self.refused;
        known.failed += self.failed;
        known.seconds += self.seconds;
        known.buckets.iter_mut().zip(self.buckets).for_each(|(count, more)| *count += more);
    }
}

/// How each step of a version does here, and how long all steps of all definitions took: nothing is concluded of it yet.
pub(super) fn paces(metrics: &Metrics, catalog: &Catalog, hash: &str) -> (BTreeMap<String, StepPace>, f64) {
    let version = unhex::<16>(hash).unwrap_or_default();
    let (all, definition) = (metrics.steps_seen(&version), catalog.by_hash(&version));
    let is_step = |verb: &Verb| match verb {
        Verb::Do(_) | Verb::Emit(_) | Verb::Refuse(_) => true,
        Verb::Sleep(_) | Verb::Approval(_) | Verb::Wait(_) | Verb::ForEach(_) | Verb::Run(_) => true,
        Verb::Sequence(_) | Verb::Group | Verb::Choice(_) | Verb::Parallel(_) | Verb::Claim(_) => false,
    };
    let nodes = definition.into_iter().flat_map(|definition| (0..).zip(&definition.nodes));
    let steps = nodes.filter(|(_, node)| is_step(&node.verb)).map(|(number, node)| {
        let seen = all.steps.get(&number).copied().unwrap_or_default();
        (node.name.to_string(), StepPace::of(&seen, all.window_s))
    });
    (steps.collect(), all.all_ms as f64 / 1_000.0)
}

/// What follows of what all instances say.
pub(super) fn concluded(steps: &mut BTreeMap<String, StepPace>, all_steps_s: &mut f64) {
    *all_steps_s = rounded(*all_steps_s);
    for of in steps.values_mut() {
        let share = |part: f64, whole: f64| (whole > 0.0).then(|| rounded(part / whole));
        of.started_per_s = of.started_per_s.map(rounded);
        (of.p50_s, of.p99_s) = (quantile(&of.buckets, 0.5), quantile(&of.buckets, 0.99));
        of.refused_share = share(of.refused as f64, of.ended as f64);
        of.time_share = share(of.seconds, *all_steps_s);
        of.seconds = rounded(of.seconds);
    }
}

/// No more digits than anybody reads.
fn rounded(number: f64) -> f64 {
    (number * 10_000.0).round() / 10_000.0
}

/// Within which time, in seconds, this part of what these buckets count lies.
fn quantile(buckets: &[u64], part: f64) -> Option<f64> {
    let mut took = Histogram::default();
    took.counts.iter_mut().zip(buckets).for_each(|(count, known)| *count = *known);
    took.quantile_ms(part).map(|ms| rounded(ms / 1_000.0))
}

impl WaitingThere {
    pub(super) fn add(&mut self, other: &WaitingThere) {
        self.sagas += other.sagas;
        self.open += other.open;
        other.reasons.iter().for_each(|(reason, open)| *self.reasons.entry(reason.clone()).or_insert(0) += open);
    }
}

/// What waits at each step. What is of the saga as a whole is at none.
pub(super) fn waits(counts: Option<&DefinitionCounts>) -> BTreeMap<String, WaitingThere> {
    let mut all: BTreeMap<String, WaitingThere> = BTreeMap::new();
    for of in counts.iter().flat_map(|counts| &counts.waits) {
        let Some(step) = &of.step else { continue };
        let reasons = BTreeMap::from([(of.reason.clone(), of.open)]);
        all.entry(step.clone()).or_default().add(&WaitingThere { sagas: of.sagas, open: of.open, reasons });
    }
    all
}

#[cfg(test)]
mod tests {
    use ringmaster_core::partition::BOUNDS_MS;

    use super::*;

    fn took(ms: &[u32]) -> StepSeen {
        let mut durations = Histogram::default();
        ms.iter().for_each(|ms| durations.add(*ms));
        StepSeen { durations, took_ms: durations.sum_ms, ..StepSeen::default() }
    }

    /// What one is quick at and another slow is neither's time, nor the mean of both.
    #[test]
    fn buckets_of_instances_are_added_and_no_percentiles() {
        let quick = StepSeen { refused: 1, failed: 2, began: 90, ..took(&[4; 98]) };
        let slow = StepSeen { refused: 2, began: 30, ..took(&[15_000, 15_000]) };
        let mut all = [("room".to_owned(), StepPace::of(&quick, Some(60.0)))].into();
        StepPace::of(&slow, Some(10.0)).add_to(&mut all, "room".to_owned());
        StepPace::of(&StepSeen::default(), None).add_to(&mut all, "seat".to_owned());
        concluded(&mut all, &mut 60.784);
        let (room, seat) = (&all["room"], &all["seat"]);
        assert_eq!((room.ended, room.refused, room.failed, room.started_per_s), (100, 3, 2, Some(4.5)));
        assert_eq!((room.p50_s, room.p99_s), (Some(0.0035), Some(20.0)), "in the middle of 2 to 5 ms, and of 10 to 30 s");
        assert_eq!((room.refused_share, room.time_share), (Some(0.03), Some(0.5)));
        let unknown = StepPace { buckets: vec![0; BOUNDS_MS.len() + 1], time_share: Some(0.0), ..StepPace::default() };
        assert_eq!(*seat, unknown, "none has ended: of that nothing is known but that it took no time");
        StepPace::of(&StepSeen { began: 6, ..quick }, None).add_to(&mut all, "room".to_owned());
        assert_eq!(all["room"].started_per_s, None, "one of them does not know yet");
        concluded(&mut all, &mut 0.0);
        assert_eq!(all["seat"].time_share, None);
    }

    #[test]
    fn what_is_beyond_all_bounds_is_not_known() {
        let of = |ms: &[u32]| [0.5, 0.99].map(|part| quantile(&took(ms).durations.counts, part));
        assert_eq!(of(&[]), [None, None]);
        assert_eq!(of(&[1, 4_000_000, 4_000_000]), [None, None]);
        assert_eq!(of(&[1, 1, 4_000_000]), [Some(0.0008), None]);
        assert_eq!(of(&[3_600_000]), [Some(2_250.0), Some(3_573.0)]);
    }
}
