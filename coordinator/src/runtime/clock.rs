//! What a worker makes of the two clocks: waits by the steady one, and a word when the wall clock was set.

use std::time::Duration;

pub use ringmaster_bus::clock::{Now, now, wall};
use ringmaster_schemas::Millis;

/// A wait inside the process: how long until `due` by the steady clock, as a duration.
pub(super) fn until(due: Millis, now: Millis) -> Duration {
    Duration::from_millis(due.saturating_sub(now).max(0) as u64)
}

/// Less than this between two looks is drift, or a loop that was held up between its two readings.
const JUMP_MS: Millis = 1_000;

/// Notices when the wall clock was set.
#[derive(Debug, Default)]
pub(super) struct Jumps {
    last: Option<Now>,
}

impl Jumps {
    /// By how much the wall clock jumped since the last look, if it did; negative is back.
    pub(super) fn notice(&mut self, now: Now) -> Option<Millis> {
        let last = self.last.replace(now)?;
        let by = (now.wall - last.wall) - (now.steady - last.steady);
        (by.abs() >= JUMP_MS).then_some(by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_is_noticed_once_and_a_long_pause_is_none() {
        let mut jumps = Jumps::default();
        let mut look = |wall, steady| jumps.notice(Now { wall, steady });
        assert_eq!(look(1_000_000, 0), None, "the first look has nothing to compare with");
        assert_eq!(look(1_060_000, 60_000), None, "a minute by both");
        assert_eq!(look(1_060_999, 60_000), None, "as good as nothing");
        assert_eq!(look(8_260_999, 60_000), Some(7_200_000));
        assert_eq!(look(8_261_009, 60_010), None);
        assert_eq!(look(1_061_019, 60_020), Some(-7_200_000));
    }

    #[test]
    fn the_steady_clock_goes_on() {
        let (before, after) = (now(), now());
        assert!(after.steady >= before.steady && before.wall > 1_700_000_000_000);
    }
}
