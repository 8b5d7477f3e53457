//! Every metric: name, kind, unit, meaning, labels. The table of docs/OPERATING.md is this table.

mod counted;
mod foretold;
mod port;
mod scrubbed;
mod watched;

pub use counted::*;
pub use foretold::*;
pub use port::*;
use ringmaster_core::partition::{Counters, Held, StageName};
pub use scrubbed::*;
pub use watched::*;

use crate::runtime::{PartitionStatus, TopicStatus};

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// As it is scraped.
    pub name: &'static str,
    /// How it moves.
    pub kind: Kind,
    /// What one of it is.
    pub unit: &'static str,
    /// What it says.
    pub help: &'static str,
    /// What it is told apart by.
    pub labels: &'static [&'static str],
}

/// How a metric moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only up, from 0 at the start of the process.
    Counter,
    /// Up and down.
    Gauge,
    /// So many took so long, from 0 at the start of the process.
    Histogram,
}

impl Kind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// How a counter is read from what partitions count.
pub type Count = fn(&Counters) -> u64;
/// How a gauge is read from what a worker last said of a partition.
pub type Level = fn(&PartitionStatus) -> f64;

const fn counter(name: &'static str, unit: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, unit, help, labels: &[] }
}

const fn gauge(name: &'static str, unit: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, unit, help, labels: &["partition"] }
}

/// What happened in this instance since it started. Replay does not count.
pub const COUNTERS: [(Metric, Count); 29] = [
    (counter("ringmaster_inputs_total", "records", "Records taken from input topics"), |c| c.inputs),
    (counter("ringmaster_inputs_skipped_total", "records", "Events of a type that no definition names"), |c| c.skipped),
    (
        counter("ringmaster_events_expired_total", "events", "Events that were kept until somebody waits for them, and forgotten"),
        |c| c.events_expired,
    ),
    (counter("ringmaster_events_unexpected_total", "records", "Events that a definition names, and no saga waits for"), |c| {
        c.unexpected
    }),
    (counter("ringmaster_inputs_rejected_total", "records", "Inputs understood and not taken: duplicates, late replies"), |c| {
        c.rejected
    }),
    (counter("ringmaster_inputs_quarantined_total", "records", "Inputs that could not be understood or used"), |c| c.quarantined),
    (counter("ringmaster_sagas_started_total", "sagas", "Sagas that began"), |c| c.started),
    (counter("ringmaster_sagas_completed_total", "sagas", "Sagas that did everything"), |c| c.completed),
    (counter("ringmaster_sagas_compensated_total", "sagas", "Sagas that undid everything"), |c| c.compensated),
    (counter("ringmaster_saga_steps_stuck_total", "steps", "Steps, compensations or emissions that need a person"), |c| c.stuck),
    (
        counter(
            "ringmaster_saga_errors_total",
            "failures",
            "Sagas that failed by their definition: an expression failed, or data was too big; the log names them",
        ),
        |c| c.errors,
    ),
    (counter("ringmaster_commands_total", "commands", "Commands issued, retries included"), |c| c.commands),
    (counter("ringmaster_commands_retried_total", "commands", "Commands issued again after a failure or a timeout"), |c| c.retries),
    (counter("ringmaster_timers_fired_total", "timers", "Timeouts, retries and deadlines that came due"), |c| c.timers),
    (counter("ringmaster_turns_total", "turns", "Turns journaled: all that one input or timer causes"), |c| c.turns),
    (counter("ringmaster_journal_records_total", "records", "Journal records appended"), |c| c.records),
    (counter("ringmaster_journal_bytes_total", "bytes", "Bytes of journal records appended, before compression"), |c| {
        c.record_bytes
    }),
    (counter("ringmaster_effects_total", "records", "Commands and events sent to their topics"), |c| c.effects),
    (counter("ringmaster_effects_resent_total", "records", "Commands and events sent again after a failure or a takeover"), |c| {
        c.resent
    }),
    (counter("ringmaster_journal_replayed_total", "records", "Journal records read again to rebuild state"), |c| c.replayed),
    (counter("ringmaster_doubts_total", "doubts", "Times a partition dropped its speculative state to claim again"), |c| c.doubts),
    (counter("ringmaster_claims_total", "claims", "Claims appended to the journal"), |c| c.claims),
    (
        counter(
            "ringmaster_full_polls_total",
            "polls",
            "Polls that brought a turn's work or more: sagas that were begun come first",
        ),
        |c| c.full_polls,
    ),
    (
        counter(
            "ringmaster_breaker_openings_total",
            "openings",
            "Times that a partition asked a participant no more: by itself, or paused by a person; the log says why",
        ),
        |c| c.breakers,
    ),
    (counter("ringmaster_routed_total", "records", "Records handed on by the inbox: of topics that are not read directly"), |c| {
        c.routed
    }),
    (counter("ringmaster_routed_again_total", "records", "Records of the inbox that had come before, and were passed over"), |c| {
        c.routed_again
    }),
    (
        counter(
            "ringmaster_route_failures_total",
            "failures",
            "Times the inbox did not take what is routed, and it was sent again",
        ),
        |c| c.route_sessions,
    ),
    (
        counter(
            "ringmaster_route_gaps_total",
            "records",
            "Records of the inbox that were not taken, since one before them is missing",
        ),
        |c| c.route_gaps,
    ),
    (counter("ringmaster_pauses_total", "pauses", "Times inputs were held because a bound was reached"), |c| c.pauses),
];

/// Who has a partition: told by name where there is nothing else to tell of it.
pub const PARTITION_OWNED: &str = "ringmaster_partition_owned";

/// Where each partition stands.
pub const PARTITION_GAUGES: [(Metric, Level); 16] = [
    (gauge(PARTITION_OWNED, "boolean", "1 if this instance owns the partition and reads its inputs"), |p| {
        f64::from(u8::from(p.phase == StageName::Owning))
    }),
    (
        gauge(
            "ringmaster_partition_held",
            "level",
            "Because a bound is reached: 1 while no saga is started, 2 while no input is read; else 0",
        ),
        |p| match p.held {
            Held::Nothing | Held::Behind => 0.0,
            Held::Starts => 1.0,
            Held::All => 2.0,
        },
    ),
    (
        gauge("ringmaster_partition_in_flight", "sagas", "Sagas in memory that wait for an answer: those of limits.in_flight_max"),
        |p| p.in_flight as f64,
    ),
    (
        gauge("ringmaster_partition_stuck", "sagas", "Sagas that need a person now; `ringmaster saga list --stuck` names them"),
        |p| p.stuck as f64,
    ),
    (
        gauge(
            "ringmaster_partition_parked",
            "sagas",
            "Sagas of which something is parked, since its participant is not asked now, or that are paused",
        ),
        |p| p.parked as f64,
    ),
    (
        gauge(
            "ringmaster_partition_open_breakers",
            "participants",
            "Participants that are not asked now, or only little by little; `ringmaster participant list` names them",
        ),
        |p| p.breakers as f64,
    ),
    (gauge("ringmaster_partition_journal_offset", "offset", "The next offset of the journal"), |p| p.journal_offset as f64),
    (gauge("ringmaster_partition_rows", "rows", "Saga rows in memory"), |p| p.rows as f64),
    (gauge("ringmaster_partition_row_bytes", "bytes", "Bytes of saga rows in memory, about"), |p| p.row_bytes as f64),
    (
        gauge("ringmaster_partition_unreleased_effects", "records", "Commands and events that the broker has not acknowledged"),
        |p| p.unreleased as f64,
    ),
    (
        gauge(
            "ringmaster_partition_undeliverable_effects",
            "records",
            "Commands and events that wait until their topic takes them",
        ),
        |p| p.undeliverable as f64,
    ),
    (
        gauge(
            "ringmaster_partition_restore_seconds",
            "seconds",
            "How long it took to make the state anew, until it was owned, where the store had nothing; else 0",
        ),
        |p| p.restored.map_or(0.0, |restored| restored.took_ms as f64 / 1000.0),
    ),
    (gauge("ringmaster_partition_restore_bytes", "bytes", "Bytes of the snapshot that the state was made of; 0 for none"), |p| {
        p.restored.map_or(0.0, |restored| restored.bytes as f64)
    }),
    (
        gauge(
            "ringmaster_partition_snapshot_timestamp_seconds",
            "seconds",
            "When this instance took its last snapshot of the partition, since 1970; 0 if it took none",
        ),
        |p| p.snapshot.map_or(0.0, |snapshot| snapshot.taken_at as f64 / 1000.0),
    ),
    (gauge("ringmaster_partition_snapshot_bytes", "bytes", "Bytes of that snapshot"), |p| {
        p.snapshot.map_or(0.0, |snapshot| snapshot.bytes as f64)
    }),
    (
        gauge(
            "ringmaster_partition_journal_start",
            "offset",
            "The journal was deleted below this offset when that snapshot was taken: `journal_retention`",
        ),
        |p| p.snapshot.map_or(0.0, |snapshot| snapshot.journal_start as f64),
    ),
];

/// How warm the copy of another instance's partition is.
pub const STANDBY: Metric = gauge(
    "ringmaster_partition_standby",
    "level",
    "A copy of another instance's partition: 1 while it catches up, 2 if it is warm; else 0",
);

/// How a gauge is read from what workers last said of a topic.
pub type TopicLevel = fn(&TopicStatus) -> f64;

/// What is wrong with topics; by their names.
pub const TOPIC_GAUGES: [(Metric, TopicLevel); 2] = [
    (
        Metric {
            name: "ringmaster_input_unreadable",
            kind: Kind::Gauge,
            unit: "partitions",
            help: "Partitions of the topic that cannot be read now; /readyz and the log say why",
            labels: &["topic"],
        },
        |status| status.troubles.iter().filter(|trouble| trouble.partition.is_some()).count() as f64,
    ),
    (
        Metric {
            name: "ringmaster_topic_faults",
            kind: Kind::Gauge,
            unit: "faults",
            help: "What is wrong with the topic since the start: missing, grown, changed; /readyz and the log say what",
            labels: &["topic"],
        },
        |status| status.troubles.iter().filter(|trouble| trouble.partition.is_none()).count() as f64,
    ),
];

/// Why a request, or a connection, was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// Without a token that is good.
    Unauthorized,
    /// By somebody who may not.
    Forbidden,
    /// With a body that is too big.
    TooBig,
    /// While too many were being answered.
    TooMany,
    /// It took too long.
    TooSlow,
    /// A connection that gave way to another, or was not taken.
    Connections,
}

impl Denied {
    /// All of them, by their numbers.
    pub const ALL: [Denied; 6] =
        [Denied::Unauthorized, Denied::Forbidden, Denied::TooBig, Denied::TooMany, Denied::TooSlow, Denied::Connections];

    /// As it is scraped and logged.
    pub fn as_str(self) -> &'static str {
        match self {
            Denied::Unauthorized => "unauthorized",
            Denied::Forbidden => "forbidden",
            Denied::TooBig => "too-big",
            Denied::TooMany => "too-many",
            Denied::TooSlow => "too-slow",
            Denied::Connections => "connections",
        }
    }
}

/// How often each of them was.
pub const DENIED: Metric = Metric {
    name: "ringmaster_http_denied_total",
    kind: Kind::Counter,
    unit: "requests",
    help: "Requests that were not answered: unauthorized, forbidden, too-big, too-many, too-slow; and connections that gave way to others",
    labels: &["why"],
};

/// Who watch over connections that stay.
pub const LIVE_CLIENTS: Metric = Metric {
    name: "ringmaster_live_clients",
    kind: Kind::Gauge,
    unit: "clients",
    help: "Clients that watch live (`/api/v1/live`) at this instance; at most 64",
    labels: &[],
};

/// 1, with the version and the instance's name.
pub const INFO: Metric = Metric {
    name: "ringmaster_info",
    kind: Kind::Gauge,
    unit: "boolean",
    help: "Always 1: which version this is",
    labels: &["version", "instance"],
};
/// When the process started.
pub const STARTED: Metric = Metric {
    name: "process_start_time_seconds",
    kind: Kind::Gauge,
    unit: "seconds",
    help: "When the process started, since 1970",
    labels: &[],
};
/// Memory of the process.
pub const MEMORY: Metric = Metric {
    name: "process_resident_memory_bytes",
    kind: Kind::Gauge,
    unit: "bytes",
    help: "Memory that the process holds",
    labels: &[],
};
/// CPU of the process.
pub const CPU: Metric = Metric {
    name: "process_cpu_seconds_total",
    kind: Kind::Gauge,
    unit: "seconds",
    help: "CPU that the process has used, user and system",
    labels: &[],
};

/// The whole table, in the order of the README.
pub fn all() -> impl Iterator<Item = Metric> {
    let counters = COUNTERS.into_iter().map(|(metric, _)| metric);
    let gauges = PARTITION_GAUGES.into_iter().map(|(metric, _)| metric);
    let topics = TOPIC_GAUGES.into_iter().map(|(metric, _)| metric);
    counters
        .chain(gauges)
        .chain([STANDBY])
        .chain(topics)
        .chain(super::counted::all().copied())
        .chain(super::foretold::all().copied())
        .chain(super::took::ALL.into_iter().copied())
        .chain(super::watched::ALL.into_iter().copied())
        .chain(super::scrubbed::ALL.into_iter().copied())
        .chain(super::port::ALL.into_iter().copied())
        .chain([DELIVERIES, TRACES_EXPORTED, TRACES_DROPPED, DENIED, LIVE_CLIENTS, INFO, STARTED, MEMORY, CPU])
}
