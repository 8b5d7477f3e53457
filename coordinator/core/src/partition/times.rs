//! How long things took, and what participants were asked, in this instance's life: what a replay makes anew is not counted again.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringmaster_schemas::journal::DefinitionHash;
use ringmaster_schemas::names::Direction;

/// Upper bounds of the buckets, in milliseconds, inclusive; above the last one is one more.
pub const BOUNDS_MS: [u32; 18] =
    [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 300_000, 900_000, 3_600_000];

/// So many took so long: plain numbers that are only added to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Histogram {
    /// How many took longer than the bound before and no longer than this one.
    pub counts: [u64; BOUNDS_MS.len() + 1],
    /// How long all of them took together, in milliseconds.
    pub sum_ms: u64,
}

impl Histogram {
    /// One took so long.
    pub fn add(&mut self, ms: u32) {
        let bucket = BOUNDS_MS.partition_point(|bound| *bound < ms);
        self.counts[bucket] += 1;
        self.sum_ms += u64::from(ms);
    }

    /// Adds what another one counted.
    pub fn merge(&mut self, other: &Histogram) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, more)| *count += more);
        self.sum_ms += other.sum_ms;
    }

    /// The bound below which 99 of 100 lie; none if less than 100 are known, or that is beyond the last bound.
    pub fn p99_ms(&self) -> Option<u32> {
        let all = self.count();
        let mut below = 0;
        let is_it = |count: &u64| {
            below += count;
            below * 100 >= all * 99
        };
        let bucket = self.counts.iter().position(is_it).filter(|_| all >= 100)?;
        BOUNDS_MS.get(bucket).copied()
    }

    /// So long took this share of them at most, in milliseconds: within a bucket they are taken to be spread evenly, as Prometheus's
    /// `histogram_quantile` has it. None of nothing, and beyond the last bound.
    pub fn quantile_ms(&self, share: f64) -> Option<f64> {
        let (rank, mut below) = (share * self.count() as f64, 0.0);
        for (place, count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let count = *count as f64;
            if below + count >= rank {
                let from = place.checked_sub(1).map_or(0.0, |before| f64::from(BOUNDS_MS[before]));
                let to = f64::from(*BOUNDS_MS.get(place)?);
                return Some(from + (to - from) * ((rank - below) / count));
            }
            below += count;
        }
        None
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// It was done.
    Succeeded,
    /// It was refused.
    Refused,
    /// Its participant could not.
    Failed,
    /// Its time was over.
    TimedOut,
    /// By a person, or by something that is not its participant's doing.
    Dropped,
}

impl End {
    /// All of them.
    pub const ALL: [End; 5] = [End::Succeeded, End::Refused, End::Failed, End::TimedOut, End::Dropped];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            End::Succeeded => "succeeded",
            End::Refused => "refused",
            End::Failed => "failed",
            End::TimedOut => "timed_out",
            End::Dropped => "dropped",
        }
    }
}

/// What a participant was asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asked {
    /// Attempts, repeated ones too.
    pub issued: u64,
    /// Of those that ended, in the order of [`End::ALL`].
    pub ended: [u64; End::ALL.len()],
    /// Answers that came when their attempt had ended.
    pub late: u64,
    /// Times that something was parked for it.
    pub parkings: u64,
    /// From an attempt to its answer, whatever that says.
    pub response: Histogram,
}

/// A step of a version, or its undo.
pub type StepKey = (DefinitionHash, u16, Direction);

/// All that took its time since this was taken last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Times {
    /// Sagas that have ended, from their start: by version, and whether they did everything.
    pub sagas: BTreeMap<(DefinitionHash, bool), Histogram>,
    /// Steps, from their first attempt, or since they wait: by version and node.
    pub steps: BTreeMap<StepKey, Histogram>,
    /// Steps that began, undos not among them.
    pub began: BTreeMap<(DefinitionHash, u16), u64>,
    /// Steps that were refused.
    pub refused: BTreeMap<StepKey, u64>,
    /// Steps that failed, or failed so that they need a person, by code: so many codes at once, then `other`.
    pub failed: BTreeMap<(StepKey, Arc<str>), u64>,
    /// By name.
    pub participants: BTreeMap<Arc<str>, Asked>,
    /// Journal records, from when they are sent until they are confirmed.
    pub appends: Histogram,
    /// Journal records that cause something, from when their first turn is decided until brokers have all of that.
    pub releases: Histogram,
}

impl Asked {
    fn merge(&mut self, other: &Asked) {
        self.issued += other.issued;
        self.ended.iter_mut().zip(other.ended).for_each(|(count, more)| *count += more);
        self.late += other.late;
        self.parkings += other.parkings;
        self.response.merge(&other.response);
    }
}

impl Times {
    /// Adds what was counted elsewhere, or later.
    pub fn merge(&mut self, other: &Times) {
        other.sagas.iter().for_each(|(key, of)| self.sagas.entry(*key).or_default().merge(of));
        other.steps.iter().for_each(|(key, of)| self.steps.entry(*key).or_default().merge(of));
        other.began.iter().for_each(|(key, count)| *self.began.entry(*key).or_default() += count);
        other.refused.iter().for_each(|(key, count)| *self.refused.entry(*key).or_default() += count);
        other.failed.iter().for_each(|(key, count)| *self.failed.entry(key.clone()).or_default() += count);
        other.participants.iter().for_each(|(name, of)| self.participants.entry(name.clone()).or_default().merge(of));
        self.appends.merge(&other.appends);
        self.releases.merge(&other.releases);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_them_is_reckoned_within_its_bucket() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile_ms(0.5), None);
        (0..4).for_each(|_| histogram.add(8));
        assert_eq!([0.0, 0.5, 1.0].map(|share| histogram.quantile_ms(share)), [Some(5.0), Some(7.5), Some(10.0)]);
        (0..4).for_each(|_| histogram.add(1));
        assert_eq!([0.25, 0.75].map(|share| histogram.quantile_ms(share)), [Some(0.5), Some(7.5)]);
        histogram.add(40_000_000);
        assert_eq!(histogram.quantile_ms(0.99), None, "beyond the last bound");
    }

    #[test]
    fn what_99_of_100_take_is_known_when_there_were_100() {
        let mut histogram = Histogram::default();
        (0..98).for_each(|_| histogram.add(3));
        histogram.add(40);
        assert_eq!(histogram.p99_ms(), None, "99 are too few");
        histogram.add(40_000_000);
        assert_eq!(histogram.p99_ms(), Some(50));
        histogram.add(40_000_000);
        assert_eq!(histogram.p99_ms(), None, "it is beyond all bounds");
    }

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let mut histogram = Histogram::default();
        [0, 1, 2, 3, 5, 3_600_000, 3_600_001, u32::MAX].into_iter().for_each(|ms| histogram.add(ms));
        assert_eq!((histogram.counts[0], histogram.counts[1], histogram.counts[2]), (2, 1, 2));
        assert_eq!((histogram.counts[17], histogram.counts[18], histogram.count()), (1, 2, 8));
        assert_eq!(histogram.sum_ms, 11 + 7_200_001 + u64::from(u32::MAX));
        let mut twice = histogram;
        twice.merge(&histogram);
        assert_eq!((twice.count(), twice.sum_ms), (16, 2 * histogram.sum_ms));
    }
}
