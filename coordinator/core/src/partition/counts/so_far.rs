//! What each participant was asked so far, as it stands now: of whoever wants to know how fast that moves.

use std::sync::Arc;

use ringmaster_schemas::state::BreakerState;

use super::Counts;
use crate::partition::{Partition, Stage};

/// What one participant was asked by a partition, since its journal began or its counts did: numbers of which only differences count,
/// and what waits now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AskedSoFar {
    /// Attempts, repeated ones too.
    pub issued: u64,
    /// Of those that ended by an answer, whatever it says.
    pub answered: u64,
    /// Answers that came when their attempt had ended.
    pub late: u64,
    /// Of those whose time was over.
    pub timed_out: u64,
    /// How long answers took together, in milliseconds, since this instance has the partition.
    pub response_ms: u64,
    /// Attempts that have not ended.
    pub unanswered: u64,
    /// The second in which the oldest of those was sent, or the beginning of that hour, as of the last checkpoint.
    pub oldest_s: Option<i64>,
    /// What is parked for it, as of the last checkpoint.
    pub parked: u64,
    /// Since when the oldest of those is, as precisely as above.
    pub parked_s: Option<i64>,
    /// What it is to be asked again, as of the last checkpoint.
    pub retrying: u64,
    /// It is asked nothing but probes: its breaker is open, or a person paused it.
    pub is_out: bool,
    /// That was a person.
    pub is_paused: bool,
}

impl Partition {
    /// Tells of each participant what it was asked so far; of none where this is not the owner.
    pub fn each_asked(&self, tell: &mut dyn FnMut(&Arc<str>, AskedSoFar)) {
        let Stage::Owning(owner) = &self.stage else { return };
        let breakers = &owner.replica.breakers;
        owner.replica.counts.each_asked(&mut |name, asked| {
            let is_paused = breakers.get(name).is_some_and(|breaker| breaker.state == BreakerState::Paused);
            tell(name, AskedSoFar { is_out: breakers.is_out(name), is_paused, ..asked });
        });
    }
}

impl Counts {
    fn each_asked(&self, tell: &mut dyn FnMut(&Arc<str>, AskedSoFar)) {
        let number = |count: i64| u64::try_from(count).unwrap_or(0);
        for of in &self.participants {
            let sums = &of.sums;
            // Whatever was asked has ended, or is not answered: that is known before the rows are stored that say so.
            let unanswered = number(sums.attempts() - sums.ended());
            let asked = AskedSoFar {
                issued: number(sums.attempts()),
                answered: number(sums.succeeded + sums.refused + sums.failed),
                late: number(sums.late),
                timed_out: number(sums.timed_out),
                response_ms: of.response_ms,
                unanswered,
                oldest_s: of.unanswered.oldest(),
                parked: number(of.parked.all),
                parked_s: of.parked.oldest(),
                retrying: number(sums.retrying),
                is_out: false,
                is_paused: false,
            };
            tell(&sums.name, asked);
        }
    }
}
