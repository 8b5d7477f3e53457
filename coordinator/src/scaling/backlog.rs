//! What waits for a participant, and for how long it has not answered: by this one is told that is down, which answers too little for
//! anything to be measured.

/// After so long without anything that is asked, silence is not told any more: there was nothing to answer.
const KEPT_MS: i64 = 60_000;

/// What waits for a participant, and whether anything comes back. As durations, so that what instances say can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Backlog {
    /// Commands that wait until it is asked again.
    pub parked: u64,
    /// For how long the oldest of those has.
    pub parked_oldest_s: Option<f64>,
    /// Commands that are to be repeated.
    pub retrying: u64,
    /// It has been asked for so long, and has answered nothing; none: it answers, or nothing was asked of it.
    pub silent_s: Option<f64>,
    /// How long ago it answered last; none: it never did since it is looked at.
    pub answered_s: Option<f64>,
    /// In so many partitions its breaker is open.
    pub open_in: usize,
    /// In so many partitions a person paused it.
    pub paused_in: usize,
}

/// What several instances say of their shares of one participant, as one.
pub fn combine_backlogs(shares: &[Backlog]) -> Backlog {
    let longest = |of: fn(&Backlog) -> Option<f64>| shares.iter().filter_map(of).reduce(f64::max);
    let answered_s = shares.iter().filter_map(|one| one.answered_s).reduce(f64::min);
    Backlog {
        parked: shares.iter().map(|one| one.parked).sum(),
        parked_oldest_s: longest(|one| one.parked_oldest_s),
        retrying: shares.iter().map(|one| one.retrying).sum(),
        // Whoever was answered last knows best.
        silent_s: longest(|one| one.silent_s).map(|silent_s| silent_s.min(answered_s.unwrap_or(f64::INFINITY))),
        answered_s,
        open_in: shares.iter().map(|one| one.open_in).sum(),
        paused_in: shares.iter().map(|one| one.paused_in).sum(),
    }
}

/// For how long nothing came back, by what is counted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Silence {
    /// It was asked then, and has answered nothing since.
    since_ms: Option<i64>,
    /// Something was asked of it, or waited for it.
    asked_ms: i64,
    answered_ms: Option<i64>,
}

impl Silence {
    /// At this time: whether it answered since the last look, and whether it was asked, or anything waits for it.
    pub(super) fn add(&mut self, at_ms: i64, answered: bool, asked: bool) {
        if answered {
            (self.since_ms, self.answered_ms) = (None, Some(at_ms));
        } else if asked {
            self.since_ms.get_or_insert(at_ms);
        } else if at_ms - self.asked_ms > KEPT_MS {
            self.since_ms = None;
        }
        if asked {
            self.asked_ms = at_ms;
        }
    }

    /// It has been asked for so long, and has answered nothing; and how long ago it answered last.
    pub(super) fn told(&self, at_ms: i64) -> (Option<f64>, Option<f64>) {
        let ago = |ms: i64| (at_ms - ms).max(0) as f64 / 1_000.0;
        (self.since_ms.map(ago), self.answered_ms.map(ago))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_begins_with_what_is_asked_and_ends_with_an_answer() {
        let mut silence = Silence::default();
        silence.add(0, false, false);
        assert_eq!(silence.told(90_000), (None, None), "who is asked nothing is not silent");
        silence.add(100_000, false, true);
        silence.add(130_000, false, true);
        assert_eq!(silence.told(130_000), (Some(30.0), None));
        silence.add(140_000, true, true);
        assert_eq!(silence.told(141_000), (None, Some(1.0)));
        // Nothing is asked for an hour, and then something is.
        silence.add(3_700_000, false, false);
        silence.add(3_740_000, false, true);
        assert_eq!(silence.told(3_741_000), (Some(1.0), Some(3_601.0)), "it was asked a second ago");
    }

    /// Between two attempts nothing may wait; after a while it is none of its doing that nothing comes back.
    #[test]
    fn what_is_asked_again_goes_on_with_its_silence() {
        let mut silence = Silence::default();
        for second in 0..300 {
            silence.add(second * 1_000, false, second % 50 == 0);
        }
        assert_eq!(silence.told(299_000), (Some(299.0), None));
        silence.add(311_000, false, false);
        assert_eq!(silence.told(311_000), (None, None));
    }

    #[test]
    fn who_was_answered_last_knows_best() {
        let of = |silent_s, answered_s| Backlog {
            parked: 3,
            parked_oldest_s: silent_s,
            retrying: 1,
            silent_s,
            answered_s,
            open_in: 2,
            paused_in: 1,
        };
        let both = combine_backlogs(&[of(Some(600.0), Some(601.0)), of(Some(5.0), None)]);
        assert_eq!((both.silent_s, both.answered_s), (Some(600.0), Some(601.0)));
        assert_eq!((both.parked, both.parked_oldest_s, both.retrying, both.open_in, both.paused_in), (6, Some(600.0), 2, 4, 2));
        assert_eq!(combine_backlogs(&[of(Some(600.0), None), of(None, Some(0.1))]).silent_s, Some(0.1), "another is answered");
        assert_eq!(combine_backlogs(&[of(Some(600.0), None), of(None, None)]).silent_s, Some(600.0), "another asks nothing");
        assert_eq!(combine_backlogs(&[]), Backlog::default());
    }
}
