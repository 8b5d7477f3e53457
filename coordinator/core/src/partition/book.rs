//! How participants do of late, and when that is so bad that their breakers open.
//!
//! What is counted is what this partition asked: it decides by what it sees, whichever instance owns the others. An attempt belongs to
//! the time at which it was sent, however long it takes until its end is known: of what was asked in the same time so many have failed.
//! If ends were counted when they come, silences of a busy time, which are late by their timeout, would be held against the few
//! answers of the quiet time that follows.

use std::sync::Arc;

use ringmaster_schemas::Millis;

use super::BreakerSettings;
use crate::faults::mutated;

/// A window is so many cells wide.
const CELLS: i64 = 10;
/// So many cells are remembered: a window that ends with an attempt whose timeout is over only now. What was sent longer ago counts as
/// if it had been sent in the oldest window, where nothing good was heard since; else nobody knows any more how much was asked beside it.
const REMEMBERED: i64 = 64;

/// What was asked, by participant, in cells of the steady clock.
#[derive(Debug, Default)]
pub(super) struct Book {
    pages: Vec<(Arc<str>, Page)>,
    /// Whose breaker is to open, and why.
    tripped: Vec<(Arc<str>, Arc<str>)>,
}

/// What was asked in a cell's time, and how much of that failed or was not answered.
#[derive(Debug, Default, Clone, Copy)]
struct Cell {
    asked: u32,
    bad: u32,
}

#[derive(Debug)]
struct Page {
    /// When the first attempt was sent that counts: what was sent before its breaker is as it is says nothing of now.
    begun: Millis,
    /// When something was answered well, or when it began.
    well_at: Millis,
    /// The cell of the newest attempt that was answered well.
    well_cell: i64,
    /// Number of the newest cell, from the beginning of the clock.
    newest: i64,
    cells: [Cell; REMEMBERED as usize],
}

impl Page {
    fn new(begun: Millis) -> Page {
        Page { begun, well_at: begun, well_cell: i64::MIN, newest: 0, cells: [Cell::default(); REMEMBERED as usize] }
    }

    /// Forgets what is too long before this cell.
    fn turn_to(&mut self, cell: i64) {
        if cell > self.newest {
            for passed in self.newest.max(cell - REMEMBERED) + 1..=cell {
                *self.cell(passed) = Cell::default();
            }
            self.newest = cell;
        }
    }

    fn cell(&mut self, number: i64) -> &mut Cell {
        &mut self.cells[number.rem_euclid(REMEMBERED) as usize]
    }

    /// An attempt of this cell failed: why that is too bad, if it is.
    fn failed(&mut self, sent: i64, now: Millis, settings: &BreakerSettings) -> Option<String> {
        // Who has not said anything good for as long as would do is looked at by what it was asked since then alone.
        let is_silent = (now - self.well_at) * 100 >= settings.window_ms * i64::from(settings.share_percent);
        let oldest = self.newest - REMEMBERED + CELLS;
        if sent < oldest && !is_silent && !mutated("forgotten_times_counted") {
            return None;
        }
        let sent = sent.clamp(oldest, self.newest);
        self.cell(sent).bad += 1;
        let whole = sent - CELLS + 1;
        let from = if is_silent { whole.max(self.well_cell.saturating_add(1)) } else { whole };
        let (mut asked, mut bad) = (0, 0);
        for number in from..=sent {
            let cell = self.cell(number);
            (asked, bad) = (asked + cell.asked, bad + cell.bad);
        }
        let asked = asked.max(bad);
        let is_bad = bad >= settings.minimum && u64::from(bad) * 100 >= u64::from(asked) * u64::from(settings.share_percent);
        let seconds = settings.window_ms / 1000;
        is_bad.then(|| format!("{bad} of its last {asked} attempts failed or were not answered, within {seconds} s"))
    }
}

/// The cell of a time.
fn cell_of(at: Millis, settings: &BreakerSettings) -> i64 {
    at.div_euclid(settings.window_ms / CELLS)
}

impl Book {
    /// A participant is asked something.
    pub(super) fn asked(&mut self, participant: &str, at: Millis, settings: &BreakerSettings) {
        let known = self.pages.iter().position(|(name, _)| **name == *participant);
        let place = known.unwrap_or_else(|| {
            self.pages.push((participant.into(), Page::new(at)));
            self.pages.len() - 1
        });
        let page = &mut self.pages[place].1;
        page.turn_to(cell_of(at, settings));
        page.cell(page.newest).asked += 1;
    }

    /// What a participant was asked ended, well or not. `sent`: when its open attempt was sent; none: an attempt before it, whose end
    /// is counted already.
    pub(super) fn ended(
        &mut self,
        participant: &str,
        well: bool,
        (sent, now): (Option<Millis>, Millis),
        settings: &BreakerSettings,
    ) {
        let Some(place) = self.pages.iter().position(|(name, _)| **name == *participant) else { return };
        let (name, page) = &mut self.pages[place];
        let counts = |sent: &Millis| *sent >= page.begun || mutated("ends_of_before_counted");
        if well {
            page.well_at = now;
        }
        let Some(sent) = sent.filter(counts) else { return };
        let sent = cell_of(if mutated("ends_counted_as_they_come") { now } else { sent }, settings);
        if well {
            page.well_cell = page.well_cell.max(sent);
            return;
        }
        page.turn_to(cell_of(now, settings));
        if let Some(why) = page.failed(sent, now, settings) {
            self.tripped.push((name.clone(), why.into()));
            self.pages.swap_remove(place);
        }
    }

    /// The wall clock has jumped forward by so much: what runs out by that was not waited for as long as it says.
    pub(super) fn jumped(&mut self, by: Millis, settings: &BreakerSettings) {
        if by > settings.window_ms / CELLS && !mutated("jump_held_against_participants") {
            self.pages.clear();
        }
    }

    /// What it did is forgotten.
    pub(super) fn forget(&mut self, participant: &str) {
        self.pages.retain(|(name, _)| **name != *participant);
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

    impl Book {
        fn asks(&mut self, times: usize, at: Millis) {
            (0..times).for_each(|_| self.asked("payment", at, &SETTINGS));
        }

        /// Ends of what was sent then; whether it is to open, and why.
        fn ends(&mut self, times: usize, well: bool, sent: Millis, now: Millis) -> Option<String> {
            (0..times).for_each(|_| self.ended("payment", well, (Some(sent), now), &SETTINGS));
            self.take_tripped().pop().map(|(_, why)| why.to_string())
        }
    }

    #[test]
    fn it_opens_by_the_share_of_a_window_that_is_large_enough() {
        let mut book = Book::default();
        book.asks(3, 0);
        assert_eq!(book.ends(3, false, 0, 1), None, "too few to tell");
        book.asks(1, 1);
        let why = "4 of its last 4 attempts failed or were not answered, within 10 s";
        assert_eq!(book.ends(1, false, 1, 2).as_deref(), Some(why));
        assert_eq!(book.ends(9, false, 1, 2), None, "it is to open already");
        book.asks(9, 10);
        assert_eq!(book.ends(4, false, 10, 12), None, "the others may be answered yet");
        assert!(book.ends(1, false, 10, 12).is_some(), "five of nine");
    }

    #[test]
    fn an_attempt_belongs_to_the_time_at_which_it_was_sent() {
        for silences in [30, 50] {
            let mut book = Book::default();
            book.asks(100, 0);
            assert_eq!(book.ends(100 - silences, true, 0, 100), None);
            book.asks(1, 8_000);
            book.ends(1, true, 8_000, 8_100);
            // The busy time's silences come when little is asked.
            assert_eq!(book.ends(silences, false, 0, 9_000).is_some(), silences == 50, "{silences}");
        }
    }

    #[test]
    fn what_was_before_the_window_counts_no_more() {
        for (later, opens) in [(10_000, false), (9_999, true), (1_000_000, false)] {
            let mut book = Book::default();
            book.asks(3, 0);
            assert_eq!(book.ends(3, false, 0, 0), None);
            book.asks(1, later);
            assert_eq!(book.ends(1, false, later, later).is_some(), opens, "{later}");
        }
    }

    #[test]
    fn silence_for_the_share_of_a_window_needs_no_more() {
        for (silent_ms, opens) in [(4_999, false), (5_000, true)] {
            let mut book = Book::default();
            book.asks(100, 0);
            book.ends(100, true, 0, 100);
            book.asks(4, 1_000);
            assert_eq!(book.ends(4, false, 1_000, 100 + silent_ms).is_some(), opens, "{silent_ms}");
        }
        let mut book = Book::default();
        book.asks(100, 0);
        book.ends(100, true, 0, 100);
        book.asks(4, 1_000);
        book.ended("payment", true, (None, 3_000), &SETTINGS);
        assert_eq!(book.ends(4, false, 1_000, 6_000), None, "a late answer is an answer");
    }

    #[test]
    fn what_runs_out_after_longer_than_is_remembered_counts_all_the_same() {
        let mut book = Book::default();
        for at in 0..400 {
            book.asks(1, at * 1_000);
        }
        let opens = (0..400).find(|at| book.ends(1, false, at * 1_000, 400_000 + at * 1_000).is_some());
        assert!(opens.is_some_and(|at| at <= 10), "{opens:?}");
    }

    #[test]
    fn what_was_sent_in_a_time_that_is_forgotten_is_not_held_against_another() {
        let mut book = Book::default();
        book.asks(150, 0);
        assert_eq!(book.ends(135, true, 0, 100), None);
        for at in (1..300).map(|at| at * 1_000) {
            book.asks(1, at);
            assert_eq!(book.ends(1, true, at, at + 100), None);
        }
        assert_eq!(book.ends(15, false, 0, 299_200), None, "a tenth of what was asked then");
    }

    #[test]
    fn each_has_its_own_window_and_what_is_forgotten_is() {
        let mut book = Book::default();
        for (name, times) in [("payment", 3), ("shipping", 3), ("payment", 1)] {
            for _ in 0..times {
                book.asked(name, 5, &SETTINGS);
                book.ended(name, false, (Some(5), 6), &SETTINGS);
            }
        }
        let tripped: Vec<_> = book.take_tripped().into_iter().map(|(name, _)| name).collect();
        assert_eq!(tripped, ["payment".into()]);
        book.asks(4, 10);
        book.forget("payment");
        assert_eq!(book.ends(4, false, 10, 11), None);
        book.asks(1, 12);
        assert_eq!(book.ends(9, false, 10, 13), None, "what was sent before it was forgotten");
        book.asks(3, 14);
        assert!(book.ends(4, false, 14, 15).is_some());
    }
}
