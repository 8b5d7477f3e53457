//! Metrics of what participants can do, and how many members they should have.

use super::Metric;
use super::counted::of_participant;
use crate::scaling::Told;

/// How a gauge is read from what is told of a participant; none: not known.
pub type ForetoldLevel = fn(&Told) -> Option<f64>;

/// By participant; NaN is not known yet.
pub const FORETOLD_GAUGES: [(Metric, ForetoldLevel); 6] = [
    (
        of_participant(
            "ringmaster_participant_capacity_per_second",
            "attempts",
            "What it can answer a second of what this instance's partitions ask; NaN: not known yet, also below",
        ),
        |told| told.estimate.capacity_per_s,
    ),
    (
        of_participant(
            "ringmaster_participant_utilisation_ratio",
            "ratio",
            "What it is asked, as a share of what it can answer: the highest is the bottleneck",
        ),
        |told| told.estimate.utilisation,
    ),
    (
        of_participant(
            "ringmaster_participant_slo_breach_seconds",
            "seconds",
            "When answers will take longer than its slo says; 0: they do; +Inf: not in sight",
        ),
        |told| {
            let is_known = told.estimate.capacity_per_s.is_some();
            told.estimate.breach_in_s.or(is_known.then_some(f64::INFINITY))
        },
    ),
    (
        of_participant(
            "ringmaster_participant_late_seconds",
            "seconds",
            "By how much the oldest command that it has not answered is older than its slo says; 0: it is not",
        ),
        |told| Some((told.estimate.oldest_s.unwrap_or(0.0) - told.estimate.slo_s).max(0.0)),
    ),
    (of_participant("ringmaster_participant_members", "members", "Members of its consumer group"), |told| {
        told.outside.members.map(f64::from)
    }),
    (
        of_participant(
            "ringmaster_participant_wanted_members",
            "members",
            "Members that it should have; take the max over instances, never the sum",
        ),
        |told| told.wanted.members.map(f64::from),
    ),
];
