//! When answers will take longer than they should.

use super::rates::RATE_MS;

/// Nothing is foretold before a participant was looked at for so long.
const FORETELL_AFTER_S: f64 = 150.0;
/// So many standard errors are chance.
const EXCESS_ERRORS: f64 = 2.0;

/// What that follows from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    /// What arrives a second, and by how much that grows each second.
    pub(super) arrive: f64,
    pub(super) growth: f64,
    pub(super) unanswered: u64,
    pub(super) oldest_s: Option<f64>,
    pub(super) capacity: Option<f64>,
    pub(super) service_s: Option<f64>,
    pub(super) slo_s: f64,
    /// How long it was looked at.
    pub(super) seen_s: f64,
}

impl Standing {
    /// In so many seconds; 0 if it is so already, none if that is not in sight, or not known.
    pub(super) fn breach_in_s(&self) -> Option<f64> {
        if self.unanswered > 0 && self.oldest_s.is_some_and(|oldest| oldest > self.slo_s) {
            return Some(0.0);
        }
        let (capacity, service_s) = (self.capacity?, self.service_s?);
        if self.seen_s < FORETELL_AFTER_S {
            return None;
        }
        // The rate is told as it was so long ago.
        let arrive = self.arrive + self.growth * f64::from(RATE_MS) / 1_000.0;
        let left = capacity * (self.slo_s - service_s) - self.unanswered as f64;
        full_in_s(left, arrive - capacity, EXCESS_ERRORS * error(self.arrive), self.growth)
    }
}

/// How far a smoothed rate is off by chance alone, if single ones come independently: one standard error.
pub(super) fn error(per_s: f64) -> f64 {
    (per_s * 1_000.0 / (2.0 * f64::from(RATE_MS))).sqrt()
}

/// When a queue is full that has room for so many. It grows by so many a second, of which so many may be chance, and that itself grows
/// by so many each second.
fn full_in_s(left: f64, excess: f64, chance: f64, growth: f64) -> Option<f64> {
    if left <= 0.0 {
        return Some(0.0);
    }
    let excess = if excess > 0.0 { (excess - chance).max(0.0) } else { excess };
    if growth <= 0.0 {
        return (excess > 0.0).then(|| left / excess);
    }
    if excess < 0.0 {
        // Until then it does not grow.
        return Some(-excess / growth + (2.0 * left / growth).sqrt());
    }
    Some(((excess * excess + 2.0 * growth * left).sqrt() - excess) / growth)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_full_when_what_it_grows_by_has_added_up() {
        for (left, excess, chance, growth, full) in [
            (0.0, -5.0, 0.0, 0.0, Some(0.0)),
            (100.0, -5.0, 0.0, 0.0, None),
            (100.0, 5.0, 0.0, 0.0, Some(20.0)),
            (100.0, 5.0, 1.0, 0.0, Some(25.0)),
            (100.0, 5.0, 6.0, 0.0, None),
            // It begins to grow after 10 s, and 100 have come 20 s later: 0.5 * 20² / 2.
            (100.0, -5.0, 0.0, 0.5, Some(30.0)),
            (100.0, 0.0, 0.0, 0.5, Some(20.0)),
            (100.0, 5.0, 0.0, 0.5, Some(12.360_679_8)),
        ] {
            let found = full_in_s(left, excess, chance, growth);
            let is_it = found.zip(full).map_or(found == full, |(found, full)| (found - full).abs() < 1e-6);
            assert!(is_it, "{left} {excess} {chance} {growth}: {found:?}, not {full:?}");
        }
    }

    #[test]
    fn nothing_is_foretold_too_soon_and_what_is_late_is_late() {
        let standing = Standing {
            arrive: 120.0,
            growth: 0.0,
            unanswered: 40,
            oldest_s: Some(1.0),
            capacity: Some(100.0),
            service_s: Some(0.1),
            slo_s: 5.0,
            seen_s: 150.0,
        };
        let breach = |of: Standing| of.breach_in_s();
        let foretold = breach(standing).expect("it is in sight");
        assert!((foretold - 450.0 / (20.0 - 2.0 * 2.0_f64.sqrt())).abs() < 1e-6, "{foretold}");
        // The rate is 80 as it was 30 s ago, so that it is 95, and 100 in 10 s.
        let growing = breach(Standing { arrive: 80.0, growth: 0.5, ..standing }).expect("it is in sight");
        assert!((growing - (10.0 + 1_800.0_f64.sqrt())).abs() < 1e-6, "{growing}");
        assert_eq!(breach(Standing { seen_s: 149.9, ..standing }), None);
        assert_eq!(breach(Standing { seen_s: 1.0, oldest_s: Some(5.1), capacity: None, ..standing }), Some(0.0));
        assert_eq!(breach(Standing { seen_s: 1.0, oldest_s: Some(5.1), unanswered: 0, ..standing }), None);
        assert_eq!(breach(Standing { capacity: None, ..standing }), None);
        assert_eq!(breach(Standing { unanswered: 491, ..standing }), Some(0.0), "the queue has no more room");
    }
}
