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
            "By how much the oldest command that it has not answered is older than its slo says, or, while it answers nothing, its \
             silence; 0: it is not",
        ),
        |told| Some(late_s(told)),
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

/// An attempt's age ends with its time: of one that answers nothing it would be late, and not, and late again with each attempt. What is parked
/// is not asked.
fn late_s(told: &Told) -> f64 {
    let is_asked = told.estimate.unanswered > 0 || told.backlog.retrying > 0;
    let silent_s = told.backlog.silent_s.filter(|_| is_asked);
    let oldest_s = told.estimate.oldest_s.into_iter().chain(silent_s).reduce(f64::max);
    (oldest_s.unwrap_or(0.0) - told.estimate.slo_s).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scaling::{Backlog, Estimate};

    #[test]
    fn who_answers_nothing_is_late_all_the_time() {
        let late = |(unanswered, oldest_s): (u64, Option<f64>), (retrying, parked): (u64, u64), silent_s| {
            let told = Told::saturated("payment");
            let estimate = Estimate { unanswered, oldest_s, slo_s: 5.0, ..told.estimate };
            let backlog = Backlog { retrying, parked, silent_s, ..Backlog::default() };
            late_s(&Told { estimate, backlog, ..told })
        };
        assert_eq!(late((4, Some(9.0)), (0, 0), None), 4.0);
        assert_eq!(late((4, Some(2.0)), (0, 0), Some(2.0)), 0.0);
        assert_eq!(late((4, Some(2.0)), (36, 0), Some(87.0)), 82.0, "a new attempt makes it no better");
        assert_eq!(late((0, None), (40, 0), Some(87.0)), 82.0, "nor that all of them are over");
        assert_eq!(late((0, None), (0, 40), Some(87.0)), 0.0, "what is parked is not asked");
    }
}
