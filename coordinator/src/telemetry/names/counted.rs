//! Metrics that are read from counts when somebody asks: how many sagas stand where, and what participants have not answered.

use ringmaster_schemas::Millis;

use super::{Kind, Metric};
use crate::runtime::ParticipantTotals;

/// How a gauge is read from what a participant was asked, at this time.
pub type ParticipantLevel = fn(&ParticipantTotals, Millis) -> f64;

const fn gauge(name: &'static str, unit: &'static str, help: &'static str, labels: &'static [&'static str]) -> Metric {
    Metric { name, kind: Kind::Gauge, unit, help, labels }
}

const fn of_participant(name: &'static str, unit: &'static str, help: &'static str) -> Metric {
    gauge(name, unit, help, &["participant"])
}

/// How sagas stand.
pub const SAGAS: Metric = gauge(
    "ringmaster_sagas",
    "sagas",
    "Sagas of this instance's partitions, by how they stand and what they wait for most; those that have ended as long as they are remembered",
    &["definition", "status", "reason"],
);

/// What participants have not done yet, by their names.
pub const PARTICIPANT_GAUGES: [(Metric, ParticipantLevel); 7] = [
    (
        of_participant("ringmaster_participant_unanswered", "attempts", "Commands that are sent, and not answered or given up"),
        |of, _| of.unanswered.count as f64,
    ),
    (
        of_participant(
            "ringmaster_participant_oldest_unanswered_seconds",
            "seconds",
            "How long ago the oldest of those was sent; 0 for none",
        ),
        |of, now| of.unanswered.age_s(now) as f64,
    ),
    (
        of_participant(
            "ringmaster_participant_retrying",
            "commands",
            "Commands that failed or were not answered, and are to be sent again",
        ),
        |of, _| of.retrying as f64,
    ),
    (of_participant("ringmaster_participant_parked", "commands", "Commands that wait until it is asked again"), |of, _| {
        of.parked.count as f64
    }),
    (
        of_participant(
            "ringmaster_participant_oldest_parked_seconds",
            "seconds",
            "How long the oldest of those has waited; 0 for none",
        ),
        |of, now| of.parked.age_s(now) as f64,
    ),
    (
        of_participant(
            "ringmaster_participant_stuck",
            "commands",
            "Commands that need a person; `ringmaster saga list --stuck` names their sagas",
        ),
        |of, _| of.stuck.count as f64,
    ),
    (
        of_participant(
            "ringmaster_participant_oldest_stuck_seconds",
            "seconds",
            "How long the oldest of those has needed one; 0 for none",
        ),
        |of, now| of.stuck.age_s(now) as f64,
    ),
];
