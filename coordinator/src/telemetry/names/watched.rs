//! Metrics that are there for alerts: how old stores are, how often partitions change hands, who is not asked; and what became of alerts.

use super::{Kind, Metric};

const fn metric(kind: Kind, name: &'static str, unit: &'static str, help: &'static str, labels: &'static [&'static str]) -> Metric {
    Metric { name, kind, unit, help, labels }
}

/// How old the store is.
pub const CHECKPOINT_AGE: Metric = metric(
    Kind::Gauge,
    "ringmaster_checkpoint_age_seconds",
    "seconds",
    "How long ago the newest happened that the partition's last checkpoint holds, if something happened since; else 0",
    &["partition"],
);
/// How much of an input is not read.
pub const LAG_RECORDS: Metric = metric(
    Kind::Gauge,
    "ringmaster_input_lag_records",
    "records",
    "Records of a partition of an input that is read here which are not taken yet; NaN: the broker did not say",
    &["topic", "partition"],
);
/// How old that is.
pub const LAG_SECONDS: Metric = metric(
    Kind::Gauge,
    "ringmaster_input_lag_seconds",
    "seconds",
    "How old the first of those is, by its timestamp; 0: there is none; NaN: not known",
    &["topic", "partition"],
);
/// How large the store is.
pub const STORE_BYTES: Metric = metric(
    Kind::Gauge,
    "ringmaster_store_bytes",
    "bytes",
    "Bytes of the files of this instance's store, all partitions; what is not flushed yet, and what was moved aside, is in none of them",
    &[],
);
/// How often partitions change hands.
pub const TAKEOVERS: Metric = metric(
    Kind::Counter,
    "ringmaster_takeovers_total",
    "takeovers",
    "Times that this instance became the owner of the partition, its starts included",
    &["partition"],
);
/// Who is not asked.
pub const BREAKER: Metric = metric(
    Kind::Gauge,
    "ringmaster_participant_breaker",
    "level",
    "How its breaker stands, of all partitions the worst: 0 asked as usual, 1 draining, 2 paused by a person, 3 open by itself",
    &["participant"],
);
/// What became of alerts that a webhook is told.
pub const DELIVERIES: Metric = metric(
    Kind::Counter,
    "ringmaster_alert_deliveries_total",
    "changes",
    "Changes of alerts for the webhook: delivered, refused by it, dropped since too many waited",
    &["outcome"],
);

/// Spans that a collector has taken.
pub const TRACES_EXPORTED: Metric = metric(
    Kind::Counter,
    "ringmaster_trace_spans_exported_total",
    "spans",
    "Spans that the collector has taken; what follows a crash or a takeover may be sent again, and is the same",
    &[],
);
/// Spans that nobody gets.
pub const TRACES_DROPPED: Metric = metric(
    Kind::Counter,
    "ringmaster_trace_spans_dropped_total",
    "spans",
    "Spans that are in no trace: too many waited (about as many as are counted), or the collector does not want them",
    &[],
);

/// What became of spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceOutcome {
    /// They were taken.
    Exported,
    /// They are in no trace.
    Dropped,
}

/// What became of a change that the webhook is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// It was taken.
    Delivered,
    /// The other side does not want it, now or later.
    Refused,
    /// Too many waited, and it was the oldest.
    Dropped,
}

impl Delivery {
    /// All of them, by their numbers.
    pub const ALL: [Delivery; 3] = [Delivery::Delivered, Delivery::Refused, Delivery::Dropped];

    /// As it is scraped.
    pub fn as_str(self) -> &'static str {
        match self {
            Delivery::Delivered => "delivered",
            Delivery::Refused => "refused",
            Delivery::Dropped => "dropped",
        }
    }
}
