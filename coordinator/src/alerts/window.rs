//! How much counters have grown lately, as Prometheus reckons it: resets are seen through, and what lies between the first sample of the
//! window and its beginning is guessed from the rest.
//!
//! All series of one metric are sampled at the same times; of each only changes are kept.

use std::collections::{BTreeMap, VecDeque};

/// So many series are looked at; more than any metric of ours has.
const SERIES_MAX: usize = 20_000;

/// The counters of one condition.
#[derive(Debug, Default)]
pub(super) struct Windows {
    /// When samples were taken, in milliseconds: those of the window.
    taken: VecDeque<i64>,
    series: BTreeMap<Vec<String>, Counter>,
}

#[derive(Debug)]
struct Counter {
    /// Its first sample.
    since: i64,
    /// Its newest.
    until: i64,
    /// What it has been, from when on; the first is from the beginning of the window, or before.
    values: VecDeque<(i64, f64)>,
}

impl Windows {
    /// Samples are taken now; `window_ms` back is as far as anybody looks.
    pub(super) fn begin(&mut self, now: i64, window_ms: i64) {
        self.taken.push_back(now);
        let from = now - window_ms;
        while self.taken.front().is_some_and(|taken| *taken < from) {
            self.taken.pop_front();
        }
        self.series.retain(|_, counter| counter.until >= from);
        for counter in self.series.values_mut() {
            while counter.values.get(1).is_some_and(|(since, _)| *since <= from) {
                counter.values.pop_front();
            }
        }
    }

    /// One of them.
    pub(super) fn sample(&mut self, labels: Vec<String>, now: i64, value: f64) {
        if let Some(counter) = self.series.get_mut(&labels) {
            counter.until = now;
            if counter.values.back().is_none_or(|(_, last)| *last != value) {
                counter.values.push_back((now, value));
            }
        } else if self.series.len() < SERIES_MAX {
            let counter = Counter { since: now, until: now, values: [(now, value)].into() };
            self.series.insert(labels, counter);
        }
    }

    /// By how much each has grown in the window that ends now.
    pub(super) fn grown(&self, now: i64, window_ms: i64) -> impl Iterator<Item = (&Vec<String>, f64)> {
        self.series.iter().filter_map(move |(labels, counter)| Some((labels, self.of(counter, now, now - window_ms)?)))
    }

    /// None of a counter that has no two samples there.
    fn of(&self, counter: &Counter, now: i64, from: i64) -> Option<f64> {
        let first_at = self.taken.partition_point(|taken| *taken < from.max(counter.since));
        let behind = self.taken.partition_point(|taken| *taken <= counter.until);
        let count = behind.checked_sub(first_at).filter(|count| *count >= 2)?;
        let (first, last) = (self.taken[first_at], self.taken[behind - 1]);
        let begins = counter.values.partition_point(|(since, _)| *since <= first).checked_sub(1)?;
        let mut values = counter.values.range(begins..).map(|(_, value)| *value);
        let began = values.next()?;
        let (mut before, mut lost) = (began, 0.0);
        for value in values {
            if value < before {
                // It began anew: what it had is not taken back.
                lost += before;
            }
            before = value;
        }
        let grown = before - began + lost;
        let s = |ms: i64| ms as f64 / 1_000.0;
        let (mut to_start, to_end, sampled) = (s(first - from), s(now - last), s(last - first));
        let between = sampled / (count - 1) as f64;
        if grown > 0.0 && began >= 0.0 {
            // Further back than that it would have been below 0.
            to_start = to_start.min(sampled * (began / grown));
        }
        let reach = |gap: f64| if gap < between * 1.1 { gap } else { between / 2.0 };
        Some(grown * ((sampled + reach(to_start) + reach(to_end)) / sampled))
    }
}
