//! What has happened lately, as instances tell it: rates, how long sagas took, and which alerts fire.

use ringmaster_core::partition::{BOUNDS_MS, Histogram};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::alerts::AlertShown;
use crate::alerts::{Alert, State};
use crate::telemetry::Within;

/// So many alerts are told, those first that page.
const ALERTS_MAX: usize = 20;

/// What has happened within a while.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Rates {
    /// How long that is, in seconds: longer than a second, or shorter than a minute, where no moment is known that was so long ago.
    pub within_s: f64,
    /// Sagas that began, a second.
    pub started_per_s: f64,
    /// Sagas that did everything, a second.
    pub completed_per_s: f64,
    /// Sagas that undid everything, a second.
    pub compensated_per_s: f64,
}

/// What has happened lately.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Lately {
    /// In the last second.
    pub second: Rates,
    /// In the last minute.
    pub minute: Rates,
    /// How long the sagas took that ended in the last minute.
    pub saga_time: SagaTime,
}

/// How long sagas took, from their start to their end.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SagaTime {
    /// Half of them took no longer than this, in seconds: between the bounds of a bucket it is reckoned as if all were spread evenly. Null: none
    /// has ended, or it is above an hour.
    pub p50_s: Option<f64>,
    /// The same of 99 of 100.
    pub p99_s: Option<f64>,
    /// How many took so long; what is not here was none.
    pub buckets: Vec<SagaTimeBucket>,
}

/// So many took so long.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SagaTimeBucket {
    /// No longer than this, in seconds, and longer than the bound before; null: longer than an hour.
    pub up_to_s: Option<f64>,
    /// So many.
    pub sagas: u64,
}

/// An alert that fires, in short: `alerts` has the rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AlertBrief {
    /// The rule's name.
    pub name: String,
    /// page or warn.
    pub severity: String,
    /// Since when it holds, RFC 3339.
    pub since: String,
    /// One line.
    pub summary: String,
    /// Who says so.
    pub instance: String,
}

fn seconds(ms: u32) -> f64 {
    f64::from(ms) / 1_000.0
}

/// No more digits than anybody reads.
fn rounded(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}

impl Rates {
    fn of(within: &Within) -> Rates {
        let within_s = within.ms as f64 / 1_000.0;
        let rate = |count: u64| rounded(count as f64 / within_s);
        Rates {
            within_s,
            started_per_s: rate(within.grown.started),
            completed_per_s: rate(within.grown.completed),
            compensated_per_s: rate(within.grown.compensated),
        }
    }

    fn add(&mut self, other: &Rates) {
        self.within_s = self.within_s.max(other.within_s);
        self.started_per_s = rounded(self.started_per_s + other.started_per_s);
        self.completed_per_s = rounded(self.completed_per_s + other.completed_per_s);
        self.compensated_per_s = rounded(self.compensated_per_s + other.compensated_per_s);
    }
}

impl SagaTime {
    fn of(took: &Histogram) -> SagaTime {
        let bound = |place: usize| BOUNDS_MS.get(place).map(|ms| seconds(*ms));
        let buckets = took.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        let buckets = buckets.map(|(place, count)| SagaTimeBucket { up_to_s: bound(place), sagas: *count }).collect();
        let [p50_s, p99_s] = [0.5, 0.99].map(|share| took.quantile_ms(share).map(|ms| rounded(ms / 1_000.0)));
        SagaTime { p50_s, p99_s, buckets }
    }

    /// As it can be added to what others say. An instance of another build may have other bounds: what is none of ours is in the next one.
    fn histogram(&self) -> Histogram {
        let mut took = Histogram::default();
        for bucket in &self.buckets {
            let place = bucket.up_to_s.map_or(BOUNDS_MS.len(), |up_to_s| BOUNDS_MS.partition_point(|ms| seconds(*ms) < up_to_s));
            took.counts[place] += bucket.sagas;
        }
        took
    }
}

impl Lately {
    pub(super) fn of((second, minute): &(Within, Within)) -> Lately {
        Lately { second: Rates::of(second), minute: Rates::of(minute), saga_time: SagaTime::of(&minute.grown.took) }
    }

    /// What two say that may not know anything yet.
    pub(super) fn both(one: Option<Lately>, other: Option<Lately>) -> Option<Lately> {
        let (mut all, other) = match (one, other) {
            (Some(one), Some(other)) => (one, other),
            (one, other) => return one.or(other),
        };
        all.second.add(&other.second);
        all.minute.add(&other.minute);
        let mut took = all.saga_time.histogram();
        took.merge(&other.saga_time.histogram());
        all.saga_time = SagaTime::of(&took);
        Some(all)
    }
}

impl AlertBrief {
    /// Of those that fire.
    pub(super) fn all(alerts: &[Alert], instance: &str) -> Vec<AlertBrief> {
        let firing = alerts.iter().filter(|alert| alert.state == State::Firing);
        let brief =
            |AlertShown { name, severity, since, summary, instance, .. }| AlertBrief { name, severity, since, summary, instance };
        firing.map(|alert| brief(AlertShown::of(alert, instance))).collect()
    }

    /// Those that page first, then those that have fired for longest, and no more than anybody reads.
    pub(super) fn first(mut all: Vec<AlertBrief>) -> Vec<AlertBrief> {
        all.sort_by(|one, other| (&one.severity, &one.since, &one.name).cmp(&(&other.severity, &other.since, &other.name)));
        all.truncate(ALERTS_MAX);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Sums;

    fn within(ms: i64, started: u64, took_ms: &[u32]) -> Within {
        let mut took = Histogram::default();
        took_ms.iter().for_each(|ms| took.add(*ms));
        Within { ms, grown: Sums { started, completed: took.count(), compensated: 1, took } }
    }

    #[test]
    fn what_instances_say_of_the_last_minute_adds_up() {
        let one = Lately::of(&(within(1_000, 30, &[]), within(60_000, 600, &[3; 98])));
        let other = Lately::of(&(within(2_000, 10, &[]), within(30_000, 300, &[40, 4_000_000])));
        assert_eq!((one.saga_time.p50_s, other.saga_time.p99_s), (Some(0.004), None));
        assert_eq!(Lately::both(Some(one.clone()), None), Some(one.clone()));
        assert_eq!(Lately::both(None, None), None);
        let both = Lately::both(Some(one), Some(other)).expect("what they say");
        assert_eq!((both.second.within_s, both.second.started_per_s), (2.0, 35.0));
        assert_eq!((both.minute.within_s, both.minute.started_per_s, both.minute.completed_per_s), (60.0, 20.0, 1.7));
        let bucket = |up_to_s, sagas| SagaTimeBucket { up_to_s, sagas };
        assert_eq!(both.saga_time.buckets, [bucket(Some(0.005), 98), bucket(Some(0.05), 1), bucket(None, 1)]);
        assert_eq!((both.saga_time.p50_s, both.saga_time.p99_s), (Some(0.004), Some(0.05)), "of all, and not the mean of two");
    }

    #[test]
    fn what_nobody_ended_took_no_time() {
        let none = Lately::of(&(within(1_000, 0, &[]), within(1_000, 0, &[])));
        assert_eq!(none.saga_time, SagaTime::default());
        assert_eq!(serde_json::to_value(&none).expect("JSON")["saga_time"]["p99_s"], serde_json::Value::Null);
    }
}
