//! Metrics of the HTTP port: how long answers take, and what becomes of acts.

use super::{Kind, Metric};

/// How long answers take.
pub const REQUEST_SECONDS: Metric = Metric {
    name: "ringmaster_http_request_seconds",
    kind: Kind::Histogram,
    unit: "seconds",
    help: "Requests, from when they come until their answer begins; also those that are sent away",
    labels: &["route"],
};
/// What becomes of acts.
pub const ACTS: Metric = Metric {
    name: "ringmaster_acts_total",
    kind: Kind::Counter,
    unit: "acts",
    help: "Acts that were asked for over HTTP: done, rejected, open (nobody took it in time), refused (not allowed, wrong, or not brought); one that is asked for twice by its key counts twice",
    labels: &["act", "outcome"],
};
