//! What has happened lately: sums as they were at moments of the last minute, and what they grew by since.

use std::collections::VecDeque;
use std::sync::Mutex;

use ringmaster_core::partition::Histogram;

/// So long ago is lately.
const MINUTE_MS: i64 = 60_000;
/// What the last second was is told by marks that are no older than so much, however seldom they are made.
const SECOND_MS: i64 = 1_000;
/// More marks than one a second are not kept.
const MARKS_MAX: usize = 62;

/// Sums at a moment, since the process began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sums {
    /// Sagas that began.
    pub(crate) started: u64,
    /// That did everything.
    pub(crate) completed: u64,
    /// That undid everything.
    pub(crate) compensated: u64,
    /// How long those took that have ended.
    pub(crate) took: Histogram,
}

/// What happened within a while.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Within {
    /// How long that is, in milliseconds.
    pub(crate) ms: i64,
    /// What happened meanwhile.
    pub(crate) grown: Sums,
}

/// Sums of the last minute, one a second.
#[derive(Debug, Default)]
pub(super) struct Lately(Mutex<VecDeque<(i64, Sums)>>);

impl Lately {
    /// So it is at this moment, in milliseconds of a clock that never goes back.
    pub(super) fn mark(&self, now: i64, sums: Sums) {
        let mut marks = self.0.lock().expect("no panic while sums were compared");
        // One from before the minute stays: what the minute began with.
        while marks.len() >= MARKS_MAX || marks.get(1).is_some_and(|(at, _)| *at <= now - MINUTE_MS) {
            marks.pop_front();
        }
        marks.push_back((now, sums));
    }

    /// What happened within the last second, and within the last minute, up to the newest mark; none before the second one.
    pub(super) fn within(&self) -> Option<(Within, Within)> {
        let marks = self.0.lock().expect("no panic while sums were compared");
        let (newest_at, newest) = *marks.back()?;
        let since = |ms: i64| {
            // The newest that is so old, or else the oldest that there is.
            let old_enough = marks.iter().rev().skip(1).find(|(at, _)| *at <= newest_at - ms);
            let (at, sums) = old_enough.or(marks.front()).filter(|(at, _)| *at < newest_at)?;
            Some(Within { ms: newest_at - at, grown: newest.less(sums) })
        };
        Some((since(SECOND_MS)?, since(MINUTE_MS)?))
    }
}

impl Sums {
    fn less(&self, before: &Sums) -> Sums {
        let mut took = self.took;
        took.counts.iter_mut().zip(before.took.counts).for_each(|(count, before)| *count -= before);
        took.sum_ms -= before.took.sum_ms;
        Sums {
            started: self.started - before.started,
            completed: self.completed - before.completed,
            compensated: self.compensated - before.compensated,
            took,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(started: u64, took_ms: &[u32]) -> Sums {
        let mut took = Histogram::default();
        took_ms.iter().for_each(|ms| took.add(*ms));
        Sums { started, completed: took.count(), compensated: 0, took }
    }

    #[test]
    fn a_second_and_a_minute_are_told_as_long_as_they_are() {
        let lately = Lately::default();
        assert_eq!(lately.within(), None);
        lately.mark(5_000, sums(10, &[]));
        assert_eq!(lately.within(), None, "one moment is no while");
        lately.mark(6_000, sums(14, &[3]));
        let (second, minute) = lately.within().expect("two moments");
        assert_eq!((second.ms, second.grown.started, second), (1_000, 4, minute));
        for moment in 7..=200 {
            lately.mark(moment * 1_000, sums(moment as u64 * 2, &vec![7; moment as usize]));
        }
        let (second, minute) = lately.within().expect("moments");
        assert_eq!((second.ms, second.grown), (1_000, sums(2, &[7])));
        assert_eq!((minute.ms, minute.grown), (60_000, sums(120, &[7; 60])));
    }

    /// Of one that is looked at seldom, the last second is as long as it takes.
    #[test]
    fn marks_that_are_made_seldom_say_how_long_they_span() {
        let lately = Lately::default();
        for moment in 0..100 {
            lately.mark(moment * 45_000, sums(moment as u64 * 9, &[]));
        }
        let (second, minute) = lately.within().expect("moments");
        assert_eq!((second.ms, second.grown.started), (45_000, 9));
        assert_eq!((minute.ms, minute.grown.started), (90_000, 18));
        for moment in 0..10_000 {
            lately.mark(4_500_000 + moment, sums(900, &[]));
        }
        assert_eq!(lately.0.lock().expect("no panic").len(), MARKS_MAX, "however often");
    }
}
