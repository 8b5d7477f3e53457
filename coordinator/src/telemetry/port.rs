//! What the HTTP port was asked since the process started: how long answers took, and what became of acts.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ringmaster_core::partition::Histogram;

use super::family::Family;
use super::names::{ACTS, Metric, REQUEST_SECONDS};

/// All of it.
pub(super) struct Port(Mutex<Asked>);

struct Asked {
    requests: Family<Histogram>,
    acts: Family<u64>,
}

impl Port {
    pub(super) fn new() -> Port {
        Port(Mutex::new(Asked { requests: Family::new(&REQUEST_SECONDS), acts: Family::new(&ACTS) }))
    }

    /// A request to this route was answered.
    pub(super) fn answered(&self, route: &str, took: Duration) {
        let ms = u32::try_from(took.as_millis()).unwrap_or(u32::MAX);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).requests.of(&[route]).add(ms);
    }

    /// An act was asked for, and this became of it.
    pub(super) fn act(&self, act: &str, outcome: &str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).acts.of(&[act, outcome]) += 1;
    }

    pub(super) fn render(&self, out: &mut String) {
        let asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        asked.requests.render(out);
        asked.acts.render_numbers(out);
    }
}

/// All metrics that are told here.
pub(super) const ALL: [&Metric; 2] = [&REQUEST_SECONDS, &ACTS];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_acts_are_counted_by_what_was_asked() {
        let port = Port::new();
        port.answered("GET /metrics", Duration::from_micros(1_500));
        port.answered("GET /metrics", Duration::from_millis(30));
        port.act("cancel", "done");
        port.act("cancel", "done");
        port.act("cancel", "refused");
        let mut text = String::new();
        port.render(&mut text);
        for line in [
            r#"ringmaster_http_request_seconds_bucket{route="GET /metrics",le="0.001"} 1"#,
            r#"ringmaster_http_request_seconds_bucket{route="GET /metrics",le="0.05"} 2"#,
            r#"ringmaster_http_request_seconds_count{route="GET /metrics"} 2"#,
            r#"ringmaster_acts_total{act="cancel",outcome="done"} 2"#,
            r#"ringmaster_acts_total{act="cancel",outcome="refused"} 1"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
