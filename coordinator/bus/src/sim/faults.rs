//! What can go wrong with a record that is sent, and how often.

use ringmaster_schemas::Millis;

/// Rates are per sent record unless they say otherwise; times are in milliseconds of virtual time.
#[derive(Debug, Clone, PartialEq)]
pub struct Faults {
    /// Reported as failed, and never kept.
    pub lost: f64,
    /// Kept, and reported as failed: the acknowledgement was lost.
    pub failed_but_kept: f64,
    /// Reported as failed while it is on the wire, and kept later.
    pub failed_then_kept: f64,
    /// Kept, and acknowledged without an offset: a retry found that the broker had it.
    pub offset_unknown: f64,
    /// Kept, acknowledged, and kept once more at any later time.
    pub kept_again: f64,
    /// Kept twice, and acknowledged with the second offset.
    pub kept_twice: f64,
    /// [`crate::SendError::Full`] from the send itself.
    pub refused_locally: f64,
    /// The sender breaks at this record: it and everything unacknowledged fails, some of it kept.
    pub sender_broken: f64,
    /// Per poll: the client reports a doubt; some acknowledgements of that sender never come.
    pub doubt: f64,
    /// Of the records that a closed sender left behind: kept much later, by nobody any more.
    pub left_behind: f64,
    /// One way on the wire takes 0 to this.
    pub wire_max_ms: Millis,
    /// A record waits in its client 0 to this before it is on the wire.
    pub linger_max_ms: Millis,
    /// A failure that nobody reports is noticed after 1 to this.
    pub timeout_max_ms: Millis,
    /// What is kept late comes up to this much later.
    pub late_max_ms: Millis,
    /// What a reader gets is 0 to this old.
    pub fetch_max_ms: Millis,
    /// A reader gets 1 to this many records a poll.
    pub fetch_count_max: usize,
    /// From so many events on a poll was full; never, if none.
    pub full_poll: Option<usize>,
    /// Answers to questions take 0 to this.
    pub answer_max_ms: Millis,
}

impl Faults {
    /// Nothing goes wrong, and everything takes a millisecond or so.
    pub fn none() -> Self {
        Faults {
            lost: 0.0,
            failed_but_kept: 0.0,
            failed_then_kept: 0.0,
            offset_unknown: 0.0,
            kept_again: 0.0,
            kept_twice: 0.0,
            refused_locally: 0.0,
            sender_broken: 0.0,
            doubt: 0.0,
            left_behind: 0.0,
            wire_max_ms: 1,
            linger_max_ms: 0,
            timeout_max_ms: 100,
            late_max_ms: 1_000,
            fetch_max_ms: 1,
            fetch_count_max: 1_000,
            full_poll: None,
            answer_max_ms: 1,
        }
    }

    /// Some faults, and some not at all, so that runs differ in kind and not only in luck.
    pub fn swarm(rng: &mut fastrand::Rng) -> Self {
        let mut rate = |of: f64| if rng.bool() { of * rng.f64() } else { 0.0 };
        let rates = Faults {
            lost: rate(0.02),
            failed_but_kept: rate(0.02),
            failed_then_kept: rate(0.02),
            offset_unknown: rate(0.02),
            kept_again: rate(0.02),
            kept_twice: rate(0.02),
            refused_locally: rate(0.02),
            sender_broken: rate(0.005),
            doubt: rate(0.002),
            left_behind: rate(1.0),
            ..Faults::none()
        };
        Faults {
            wire_max_ms: rng.i64(0..=30),
            linger_max_ms: rng.i64(0..=5),
            timeout_max_ms: rng.i64(10..=1_000),
            late_max_ms: rng.i64(50..=5_000),
            fetch_max_ms: rng.i64(0..=20),
            fetch_count_max: rng.usize(1..=40),
            full_poll: rng.bool().then(|| rng.usize(1..=100)),
            answer_max_ms: rng.i64(0..=30),
            ..rates
        }
    }
}

/// What becomes of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Kept,
    Lost,
    FailedButKept,
    FailedThenKept,
    OffsetUnknown,
    KeptAgain,
    KeptTwice,
}

impl Faults {
    pub(super) fn fate(&self, rng: &mut fastrand::Rng) -> Fate {
        let mut left = rng.f64();
        let fates = [
            (self.lost, Fate::Lost),
            (self.failed_but_kept, Fate::FailedButKept),
            (self.failed_then_kept, Fate::FailedThenKept),
            (self.offset_unknown, Fate::OffsetUnknown),
            (self.kept_again, Fate::KeptAgain),
            (self.kept_twice, Fate::KeptTwice),
        ];
        for (rate, fate) in fates {
            left -= rate;
            if left < 0.0 {
                return fate;
            }
        }
        Fate::Kept
    }
}
