//! Gives batches time to form: a loop that polls again at once under load pays a request for every handful of records.
//!
//! Measured on Kafka, 2 cores with everything on them: as fast as it goes, 22,800 sagas/s with 15 us of broker CPU a saga (17,500 and
//! 29 us without, beside other work). How long a turn must be is the bus's to say ([`crate::Bus::turn_min`]).

use std::time::{Duration, Instant};

/// From so many events a second on, a loop is under load. Below, every event is taken as soon as it comes.
const BUSY_PER_SECOND: f64 = 4_000.0;
/// So long events are counted before the loop is judged.
const WINDOW: Duration = Duration::from_millis(50);

/// The pace of one loop.
#[derive(Debug)]
pub struct Pace {
    window: Instant,
    events: usize,
    is_busy: bool,
    turned: Instant,
}

impl Default for Pace {
    fn default() -> Self {
        let now = Instant::now();
        Pace { window: now, events: 0, is_busy: false, turned: now }
    }
}

impl Pace {
    /// After a turn that took so many events: waits for the rest of the bus's shortest turn, if the loop is under load.
    pub fn after_turn(&mut self, events: usize, turn_min: Duration) {
        self.events += events;
        let elapsed = self.window.elapsed();
        if elapsed >= WINDOW {
            self.is_busy = self.events as f64 / elapsed.as_secs_f64() >= BUSY_PER_SECOND;
            (self.window, self.events) = (Instant::now(), 0);
        }
        if self.is_busy
            && let Some(rest) = turn_min.checked_sub(self.turned.elapsed())
        {
            std::thread::sleep(rest);
        }
        self.turned = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURN: Duration = Duration::from_millis(3);

    #[test]
    fn only_a_loop_under_load_is_held() {
        let mut pace = Pace::default();
        std::thread::sleep(WINDOW);
        pace.after_turn(10, TURN);
        assert!(!pace.is_busy, "ten events in 50 ms are taken one by one");
        std::thread::sleep(WINDOW);
        pace.after_turn(1_000_000, TURN);
        assert!(pace.is_busy, "a million events are not");
    }

    /// What is judged is events a second, not in a window.
    #[test]
    fn events_are_counted_by_the_second() {
        let per_second = |events: usize, seconds: u64| {
            let begun = Instant::now().checked_sub(Duration::from_secs(seconds)).expect("the machine runs longer");
            let mut pace = Pace { window: begun, events: 0, is_busy: false, turned: begun };
            pace.after_turn(events, TURN);
            pace.is_busy
        };
        // A thread may stand still for as long as it takes to pass from one call to the next.
        assert!(!per_second(39_000, 10) && per_second(80_000, 10));
    }
}
