//! How often something happens, how that changes, and how long it takes where nothing queues: by counts that only grow, in bounded memory.

use std::collections::VecDeque;

/// A rate forgets what is older than a few times this;
pub(super) const RATE_MS: u32 = 30_000;
/// one that is to tell soon of a step upwards, sooner.
pub(super) const LATELY_MS: u32 = 10_000;
/// So many standard errors are chance.
const CHANCE_ERRORS: f64 = 2.0;

/// How often a second something happens, smoothed over so long; what was before it began is not taken for silence.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rate<const OVER_MS: u32> {
    sum: f64,
    weight: f64,
}

impl<const OVER_MS: u32> Rate<OVER_MS> {
    /// So many in so long.
    pub(super) fn add(&mut self, count: f64, ms: f64) {
        let share = 1.0 - (-ms / f64::from(OVER_MS)).exp();
        self.sum += share * (count * 1_000.0 / ms - self.sum);
        self.weight += share * (1.0 - self.weight);
    }

    pub(super) fn per_s(&self) -> f64 {
        if self.weight > 0.0 { self.sum / self.weight } else { 0.0 }
    }

    /// The same less what may be chance, if single ones come independently.
    pub(super) fn surely_per_s(&self) -> f64 {
        let per_s = self.per_s();
        // What it goes by is as much as a plain count over so long; at its beginning, as what there was.
        let counted_s = 2.0 * f64::from(OVER_MS) / 1_000.0 * self.weight / (2.0 - self.weight);
        if counted_s > 0.0 { (per_s - CHANCE_ERRORS * (per_s / counted_s).sqrt()).max(0.0) } else { 0.0 }
    }

    pub(super) fn scale(&mut self, by: f64) {
        self.sum *= by;
    }
}

/// The slope is told by so many counts,
const SLOPE_COUNTS: usize = 24;
/// by so many where less than this comes in each of them: chance would hide it,
const SLOPE_COUNTS_MAX: usize = 60;
const SLOPE_FEW: f64 = 500.0;
/// each of so long.
const SLOPE_MS: i64 = 5_000;
/// A slope below so many standard errors may be chance.
const SLOPE_ERRORS: f64 = 4.0;

/// How fast a rate grows.
#[derive(Debug, Clone, Default)]
pub(super) struct Slope {
    rates: VecDeque<f64>,
    since: Option<i64>,
    count: f64,
    per_s2: f64,
}

impl Slope {
    /// So many until now.
    pub(super) fn add(&mut self, at_ms: i64, count: f64) {
        let since = *self.since.get_or_insert(at_ms);
        self.count += count;
        let took = at_ms - since;
        if took < SLOPE_MS {
            return;
        }
        if self.rates.len() == SLOPE_COUNTS_MAX {
            self.rates.pop_front();
        }
        self.rates.push_back(self.count * 1_000.0 / took as f64);
        (self.since, self.count) = (Some(at_ms), 0.0);
        self.per_s2 = self.fitted();
    }

    /// By how much a second the rate grows each second; 0 if it does not for sure.
    pub(super) fn per_s2(&self) -> f64 {
        self.per_s2
    }

    /// A straight line through the counts, if it rises for sure.
    fn fitted(&self) -> f64 {
        let step_s = SLOPE_MS as f64 / 1_000.0;
        let many = self.rates.len().min(SLOPE_COUNTS);
        if many < SLOPE_COUNTS {
            return 0.0;
        }
        let lately = self.rates.range(self.rates.len() - many..);
        let few = lately.sum::<f64>() / many as f64 * step_s < SLOPE_FEW;
        let n = if few { self.rates.len() } else { many };
        let rates = self.rates.range(self.rates.len() - n..);
        let (middle, mean) = ((n - 1) as f64 / 2.0, rates.clone().sum::<f64>() / n as f64);
        let each = || rates.clone().enumerate().map(|(place, rate)| (place as f64 - middle, rate - mean));
        let spread: f64 = each().map(|(x, _)| x * x).sum();
        let slope = each().map(|(x, y)| x * y).sum::<f64>() / spread;
        let rest: f64 = each().map(|(x, y)| (y - slope * x).powi(2)).sum();
        let error = (rest / (n as f64 - 2.0) / spread).sqrt();
        if slope > SLOPE_ERRORS * error { slope / step_s } else { 0.0 }
    }
}

/// Responses are told apart by pieces of time as long as this,
const PIECE_MS: i64 = 10_000;
/// so many of them;
const PIECES: usize = 60;
/// of these one in so many is quiet.
const QUIET_SHARE: usize = 4;
/// A piece has at least so many answers: fewer are waited for.
const PIECE_ANSWERS_MIN: u64 = 20;

/// How long answers take where nothing queues.
#[derive(Debug, Clone, Default)]
pub(super) struct Quiet {
    /// When each ended: answers, and how long they took together.
    pieces: VecDeque<(i64, u64, f64)>,
    since: Option<i64>,
    answers: u64,
    ms: f64,
    service_s: Option<f64>,
}

impl Quiet {
    /// So many answers more, which took so long together.
    pub(super) fn add(&mut self, at_ms: i64, answers: u64, ms: f64) {
        let since = *self.since.get_or_insert(at_ms);
        (self.answers, self.ms) = (self.answers + answers, self.ms + ms);
        if at_ms - since < PIECE_MS || self.answers < PIECE_ANSWERS_MIN {
            return;
        }
        self.pieces.push_back((at_ms, self.answers, self.ms));
        let old = at_ms - PIECE_MS * PIECES as i64;
        while self.pieces.len() > PIECES || self.pieces.front().is_some_and(|(at, ..)| *at < old && self.pieces.len() > QUIET_SHARE)
        {
            self.pieces.pop_front();
        }
        (self.since, self.answers, self.ms) = (Some(at_ms), 0, 0.0);
        self.service_s = self.quietest();
    }

    /// In seconds, by the quietest quarter of what is remembered; none before there was an answer.
    pub(super) fn service_s(&self) -> Option<f64> {
        self.service_s.or_else(|| (self.answers > 0).then(|| self.ms / self.answers as f64 / 1_000.0))
    }

    fn quietest(&self) -> Option<f64> {
        let mut pieces: Vec<_> = self.pieces.iter().map(|(_, answers, ms)| (*answers, *ms)).collect();
        let mean = |(answers, ms): &(u64, f64)| ms / *answers as f64;
        pieces.sort_unstable_by(|one, other| mean(one).total_cmp(&mean(other)));
        pieces.truncate(pieces.len().div_ceil(QUIET_SHARE));
        let (answers, ms) = pieces.iter().fold((0, 0.0), |(answers, ms), piece| (answers + piece.0, ms + piece.1));
        (answers > 0).then(|| ms / answers as f64 / 1_000.0)
    }
}
