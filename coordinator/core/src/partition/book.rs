//! How participants answer of late, and when that is so bad that their breakers open.
//!
//! What is counted is what this partition asked: it decides by what it sees, whichever instance owns the others.

use std::sync::Arc;

use ringmaster_schemas::Millis;

use super::BreakerSettings;

/// A window is so many cells wide: as one begins, the oldest is forgotten.
const CELLS: usize = 10;

/// Answers by participant, in windows of the steady clock.
#[derive(Debug, Default)]
pub(super) struct Book {
    windows: Vec<(Arc<str>, Window)>,
    /// Whose breaker is to open, and why.
    tripped: Vec<(Arc<str>, Arc<str>)>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Window {
    /// Number of the newest cell, from the beginning of the clock.
    cell: i64,
    /// Answers, and what was none or a failure.
    counts: [(u32, u32); CELLS],
}

impl Window {
    /// The cell of now.
    fn now(&mut self, cell: i64) -> &mut (u32, u32) {
        if cell > self.cell {
            let passed = usize::try_from(cell - self.cell).unwrap_or(CELLS).min(CELLS);
            for back in 0..passed {
                self.counts[(cell - back as i64).rem_euclid(CELLS as i64) as usize] = (0, 0);
            }
            self.cell = cell;
        }
        &mut self.counts[self.cell.rem_euclid(CELLS as i64) as usize]
    }
}

impl Book {
    /// A participant answered, well or not at all.
    pub(super) fn note(&mut self, participant: &Arc<str>, well: bool, steady: Millis, settings: &BreakerSettings) {
        let at =
            self.windows.iter().position(|(name, _)| Arc::ptr_eq(name, participant) || **name == **participant).unwrap_or_else(
                || {
                    self.windows.push((participant.clone(), Window::default()));
                    self.windows.len() - 1
                },
            );
        let (name, window) = &mut self.windows[at];
        let cell = window.now(steady.div_euclid(settings.window_ms / CELLS as i64));
        if well {
            cell.0 += 1;
            return;
        }
        cell.1 += 1;
        let sum = |(well, bad), (more_well, more_bad): &(u32, u32)| (well + more_well, bad + more_bad);
        let (well, bad) = window.counts.iter().fold((0, 0), sum);
        if bad >= settings.minimum && u64::from(bad) * 100 >= u64::from(well + bad) * u64::from(settings.share_percent) {
            let seconds = settings.window_ms / 1000;
            let why = format!("{bad} of its last {} attempts failed or were not answered, within {seconds} s", well + bad);
            self.tripped.push((name.clone(), why.into()));
            *window = Window::default();
        }
    }

    /// What it did is forgotten.
    pub(super) fn forget(&mut self, participant: &str) {
        self.windows.retain(|(name, _)| **name != *participant);
    }

    /// Whose breakers are to open since this was asked last, and why.
    pub(super) fn take_tripped(&mut self) -> Vec<(Arc<str>, Arc<str>)> {
        std::mem::take(&mut self.tripped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: BreakerSettings =
        BreakerSettings { on: true, window_ms: 10_000, share_percent: 50, minimum: 4, probe_ms: 5_000, drain_max: 64 };

    fn noted(notes: &[(Millis, bool)]) -> Vec<(Arc<str>, Arc<str>)> {
        let mut book = Book::default();
        notes.iter().for_each(|(at, well)| book.note(&"payment".into(), *well, *at, &SETTINGS));
        book.take_tripped()
    }

    #[test]
    fn it_opens_by_the_share_of_a_window_that_is_large_enough() {
        let bad = |at| (at, false);
        assert_eq!(noted(&[bad(0), bad(1), bad(2)]), [], "too few to tell");
        let tripped = noted(&[bad(0), bad(1), bad(2), bad(3)]);
        assert_eq!(tripped[0].1, "4 of its last 4 attempts failed or were not answered, within 10 s".into());
        let well: Vec<_> = (0..5).map(|at| (at, true)).collect();
        assert_eq!(noted(&[&well[..], &[bad(5), bad(6), bad(7), bad(8)]].concat()), [], "less than half");
        assert_eq!(noted(&[&well[..], &[bad(5), bad(6), bad(7), bad(8), bad(9)]].concat()).len(), 1);
    }

    #[test]
    fn what_was_before_the_window_counts_no_more() {
        assert_eq!(noted(&[(0, false), (0, false), (0, false), (10_000, false)]), []);
        assert_eq!(noted(&[(0, false), (0, false), (0, false), (9_999, false)]).len(), 1);
        let long_ago: Vec<_> = (0..100).map(|_| (0, true)).collect();
        assert_eq!(noted(&[&long_ago[..], &[(1_000_000, false); 4]].concat()).len(), 1);
    }

    #[test]
    fn each_has_its_own_window() {
        let mut book = Book::default();
        for (name, times) in [("payment", 3), ("shipping", 3), ("payment", 1)] {
            (0..times).for_each(|_| book.note(&name.into(), false, 5, &SETTINGS));
        }
        let tripped: Vec<_> = book.take_tripped().into_iter().map(|(name, _)| name).collect();
        assert_eq!(tripped, ["payment".into()]);
        book.forget("shipping");
        (0..3).for_each(|_| book.note(&"shipping".into(), false, 5, &SETTINGS));
        assert_eq!(book.take_tripped(), []);
    }
}
