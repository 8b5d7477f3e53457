//! Metrics that are read from counts when somebody asks: how many sagas stand where, and what participants have not answered.

use ringmaster_schemas::Millis;

use super::{Kind, Metric};
use crate::runtime::ParticipantTotals;

/// How a gauge is read from what a participant was asked, at this time.
pub type ParticipantLevel = fn(&ParticipantTotals, Millis) -> f64;

const fn gauge(name: &'static str, unit: &'static str, help: &'static str, labels: &'static [&'static str]) -> Metric {
    Metric { name, kind: Kind::Gauge, unit, help, labels }
}

pub(super) const fn of_participant(name: &'static str, unit: &'static str, help: &'static str) -> Metric {
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
        |of, _| of.sums.retrying as f64,
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

const fn histogram(name: &'static str, help: &'static str, labels: &'static [&'static str]) -> Metric {
    Metric { name, kind: Kind::Histogram, unit: "seconds", help, labels }
}

const fn counter(name: &'static str, unit: &'static str, help: &'static str, labels: &'static [&'static str]) -> Metric {
    Metric { name, kind: Kind::Counter, unit, help, labels }
}

/// How long sagas took.
pub const SAGA_SECONDS: Metric = histogram(
    "ringmaster_saga_duration_seconds",
    "Sagas that have ended, from the turn that started them",
    &["definition", "outcome"],
);
/// How long steps took.
pub const STEP_SECONDS: Metric = histogram(
    "ringmaster_step_duration_seconds",
    "Steps that have ended, from their first attempt, or since they wait, with all retries and all parking; `direction` undo: their undos, from the last attempt",
    &["definition", "step", "direction"],
);
/// Which steps are refused.
pub const STEP_REFUSED: Metric = counter(
    "ringmaster_step_refused_total",
    "steps",
    "Steps that were refused: by their participant, or by an approval; `direction` undo: undos that were, and need a person",
    &["definition", "step", "direction"],
);
/// Which steps fail, and why.
pub const STEP_FAILED: Metric = counter(
    "ringmaster_step_failed_total",
    "steps",
    "Steps that failed: attempts or time used up, given up by their participant, an expression failed; also those that need a person for that. About the 50 most frequent codes, then `other`",
    &["definition", "step", "direction", "code"],
);
/// How long the journal takes.
pub const APPEND_SECONDS: Metric = histogram(
    "ringmaster_journal_append_seconds",
    "Journal records, from when they are sent until they are confirmed: what they cause leaves then",
    &[],
);
/// How long it takes until what is decided is sent.
pub const RELEASE_SECONDS: Metric = histogram(
    "ringmaster_decide_to_release_seconds",
    "Journal records that cause commands or events, from the decision of their first turn until brokers have all of them",
    &[],
);
/// How long participants take.
pub const RESPONSE_SECONDS: Metric = histogram(
    "ringmaster_participant_response_seconds",
    "Attempts that were answered, from when they were decided until the answer was taken, whatever it says",
    &["participant"],
);
/// What participants are asked.
pub const ISSUED: Metric = counter(
    "ringmaster_participant_issued_total",
    "attempts",
    "Attempts of commands and undos, repeated ones too",
    &["participant"],
);
/// What becomes of it.
pub const ENDED: Metric = counter(
    "ringmaster_participant_ended_total",
    "attempts",
    "Attempts that ended: succeeded, refused, failed, timed_out, dropped (said by a person, or not waited for any more); late: answers to one that had ended",
    &["participant", "outcome"],
);
/// What is parked.
pub const PARKINGS: Metric = counter(
    "ringmaster_participant_parkings_total",
    "commands",
    "Times that a command was parked, since its participant was not asked",
    &["participant"],
);
