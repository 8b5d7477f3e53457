//! When a command is tried again: exponential, capped, with a jitter that follows from the command's id.

use ringmaster_schemas::Millis;
use ringmaster_schemas::names::murmur2;

use super::ATTEMPTS_MAX;
use crate::definition::{DEFAULTS, Retry};
use crate::faults::mutated;

/// Either way: enough to spread a burst, too little to surprise anybody.
const JITTER: f64 = DEFAULTS.jitter_percent as f64 / 100.0;

/// The wait before the attempt after `attempt` (from 1) of the command with this idempotency key. Deterministic.
pub(super) fn backoff_ms(retry: &Retry, attempt: i32, idempotency_key: &str) -> Millis {
    let exponent = attempt.saturating_sub(1).min(64);
    let base = (retry.first_ms as f64 * retry.factor.powi(exponent)).min(retry.max_ms as f64);
    let hash =
        murmur2(idempotency_key.as_bytes()).wrapping_add((attempt as u32).wrapping_mul(0x9e37_79b9)).wrapping_mul(0x85eb_ca6b);
    let share = f64::from(hash >> 8) / f64::from(1u32 << 24);
    (base * (1.0 - JITTER + 2.0 * JITTER * share)).round().max(1.0) as Millis
}

/// Whether another attempt may follow attempt `attempt`, the `counted`-th since it was asked anew, that ended with `code`.
pub(super) fn allows(retry: &Retry, (attempt, counted): (u16, u16), code: &str) -> bool {
    let more = retry.attempts.is_none_or(|max| u32::from(counted) < max) || mutated("attempts_ignored");
    let never = retry.not_on.iter().any(|never| &**never == code) && !mutated("not_on_ignored");
    more && !never && attempt < ATTEMPTS_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_cap_and_spread_by_a_fifth() {
        let retry = Retry { attempts: Some(3), first_ms: 200, factor: 2.0, max_ms: 30_000, not_on: vec!["NEVER".into()] };
        for attempt in 1..40 {
            let base = (200.0 * 2f64.powi(attempt - 1)).min(30_000.0);
            for key in ["a/1/x/do", "a/2/x/do", "a/3/x/undo"] {
                let wait = backoff_ms(&retry, attempt, key) as f64;
                assert!(wait >= base * 0.79 && wait <= base * 1.21, "{attempt} {key} {wait}");
                assert_eq!(wait as Millis, backoff_ms(&retry, attempt, key));
            }
        }
        let first: std::collections::BTreeSet<_> = (0..50).map(|i| backoff_ms(&retry, 1, &format!("a/{i}/x/do"))).collect();
        assert!(first.len() > 20, "retries of many sagas must not come at one moment");
        assert!(!allows(&Retry { attempts: None, ..retry.clone() }, (ATTEMPTS_MAX, 1), "X"));
        assert!(allows(&retry, (2, 2), "X") && !allows(&retry, (3, 3), "X") && !allows(&retry, (1, 1), "NEVER"));
        assert!(allows(&retry, (9, 2), "X") && !allows(&retry, (9, 3), "X"), "counted from where it was asked anew");
    }
}
