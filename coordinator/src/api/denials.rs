//! Who was sent away: counted always, logged now and then, so that a flood fills no disk.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::problem::Problem;
use crate::telemetry::Metrics;
use crate::telemetry::names::Denied;

/// At most one line about each kind so often.
const SAID_EVERY: Duration = Duration::from_secs(1);
/// A name or a path is told up to here.
const SHOWN_CHARS_MAX: usize = 100;

impl Denied {
    /// What whoever is sent away is told.
    pub(super) fn problem(self) -> Problem {
        match self {
            Denied::Unauthorized => Problem::Unauthorized,
            Denied::Forbidden => Problem::Forbidden,
            Denied::TooBig => Problem::TooBig,
            Denied::TooMany | Denied::Connections => Problem::TooMany,
            Denied::TooSlow => Problem::NotNow,
        }
    }
}

/// When a kind was last told, and how many were not told since.
type Told = (Option<Instant>, u64);

/// All that were sent away.
pub(super) struct Denials {
    metrics: Arc<Metrics>,
    told: Mutex<[Told; Denied::ALL.len()]>,
}

impl Denials {
    pub(super) fn new(metrics: Arc<Metrics>) -> Denials {
        Denials { metrics, told: Mutex::default() }
    }

    /// One more, who asked for this.
    pub(super) fn add(&self, denied: Denied, who: &str, at: &str, detail: &str) {
        self.metrics.denied(denied);
        let Some(untold) = self.is_told(denied, Instant::now()) else { return };
        let why = denied.as_str();
        tracing::warn!(who = shown(who), at = shown(at), why, untold, "a request was not answered: {detail}");
    }

    /// Whether this one is logged; with it, how many of its kind were not.
    fn is_told(&self, denied: Denied, now: Instant) -> Option<u64> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, untold) = &mut told[denied as usize];
        if last.is_some_and(|last| now.duration_since(last) < SAID_EVERY) {
            *untold += 1;
            return None;
        }
        *last = Some(now);
        Some(std::mem::take(untold))
    }
}

/// What others sent, cut.
fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_told_once_a_second_with_how_many_were_not() {
        let denials = Denials::new(Arc::new(Metrics::new("test")));
        let begin = Instant::now();
        let told = |denied, after_ms| denials.is_told(denied, begin + Duration::from_millis(after_ms));
        assert_eq!(told(Denied::Unauthorized, 0), Some(0));
        assert_eq!((told(Denied::Unauthorized, 1), told(Denied::Unauthorized, 999)), (None, None));
        assert_eq!(told(Denied::Forbidden, 999), Some(0), "another kind");
        assert_eq!(told(Denied::Unauthorized, 1_000), Some(2));
        assert_eq!(told(Denied::Unauthorized, 2_000), Some(0));
        assert_eq!(shown(&"ü".repeat(300)).chars().count(), 100);
    }
}
