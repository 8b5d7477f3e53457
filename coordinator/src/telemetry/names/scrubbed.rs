//! Metrics of a look at all rows of the store, which is taken now and then (`limits.scrub_every`): as of the last one.

use super::{Kind, Metric};

const fn gauge(name: &'static str, unit: &'static str, help: &'static str, labels: &'static [&'static str]) -> Metric {
    Metric { name, kind: Kind::Gauge, unit, help, labels }
}

/// What is lost.
pub const ORPHANS: Metric = gauge(
    "ringmaster_orphans",
    "rows",
    "Rows that nothing will ever wake, or that cannot be read, and places of indexes without their rows: must be 0; the log names them",
    &["partition"],
);
/// When that was looked for.
pub const SCRUBBED: Metric = gauge(
    "ringmaster_scrubbed_timestamp_seconds",
    "seconds",
    "When all rows of the partition were looked at last, since 1970",
    &["partition"],
);
/// What is about to be older than anybody remembers.
pub const RETENTION_USED: Metric = gauge(
    "ringmaster_retention_used_ratio",
    "ratio",
    "The largest age of a saga that lives, as a share of how long the participants that it asks remember what they did",
    &["partition"],
);
/// What does not go on as usual.
pub const TOO_LONG: Metric = gauge(
    "ringmaster_waiting_too_long",
    "steps",
    "Steps that wait for three times as long as 99 of 100 take, of those of which 100 ended since the process started; not what is parked, paused or needs a person",
    &["definition", "step"],
);
/// Who is waited for.
pub const APPROVALS: Metric =
    gauge("ringmaster_approvals_waiting", "approvals", "Approvals that are waited for, by each role that may give them", &["role"]);
/// And how long.
pub const APPROVALS_OLDEST: Metric =
    gauge("ringmaster_approvals_oldest_seconds", "seconds", "How long the oldest of those is waited for", &["role"]);
