//! When a client of librdkafka is to be told again where its cluster is.
//!
//! A broker that shuts down may answer that the cluster has no brokers, and end the connection at the heels of that. librdkafka
//! 2.10 to 2.12 then forgets every broker it knew, and the way back that it began when the connection ended is called off by the
//! very answer that makes it needed (`rd_kafka_rebootstrap_tmr_stop`): the client never connects again and says nothing. Met when a
//! broker was restarted in an orderly way; `tests/proxied/emptied.rs` makes it happen. So a client that owes something and is
//! silent is given the first addresses once more, which harms no other.

use std::time::{Duration, Instant};

/// So long a client may owe something: leaders move, brokers are slow.
pub(super) const SILENCE: Duration = Duration::from_secs(5);
/// Signs that are further apart than this are not of one silence.
const APART: Duration = Duration::from_secs(30);
/// While a cluster is really away its addresses are given seldom: each time may cost the client a thread until it is back.
const PAUSE_MAX: Duration = Duration::from_secs(300);

/// One client's silence.
#[derive(Debug)]
pub(super) struct Revival {
    /// Since when, and when its last sign was.
    silent: Option<(Instant, Instant)>,
    again_at: Option<Instant>,
    pause: Duration,
}

impl Default for Revival {
    fn default() -> Self {
        Revival { silent: None, again_at: None, pause: SILENCE }
    }
}

impl Revival {
    /// A sign that it owes something. True if it is to be told the addresses now.
    pub(super) fn suspect(&mut self, now: Instant) -> bool {
        let since = match self.silent {
            Some((since, last)) if now.saturating_duration_since(last) <= APART => since,
            _ => {
                *self = Revival::default();
                now
            }
        };
        self.silent = Some((since, now));
        let due = self.again_at.unwrap_or(since + SILENCE) <= now;
        if due {
            self.pause = (self.pause * 2).min(PAUSE_MAX);
            self.again_at = Some(now + self.pause);
        }
        due
    }

    /// It gave what it owed.
    pub(super) fn heard(&mut self) {
        if self.silent.is_some() {
            *self = Revival::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seconds at which a client that gives a sign every second is told the addresses.
    fn told(signs: impl Iterator<Item = u64>) -> Vec<u64> {
        let (begin, mut revival) = (Instant::now(), Revival::default());
        signs.filter(|second| revival.suspect(begin + Duration::from_secs(*second))).collect()
    }

    #[test]
    fn a_silent_client_is_told_and_then_ever_more_seldom() {
        assert_eq!(told(0..100), [5, 15, 35, 75]);
        let told = told(0..4_000);
        assert!(told.windows(2).all(|two| two[1] - two[0] <= 300) && told.len() < 20, "{told:?}");
    }

    #[test]
    fn signs_far_apart_are_no_silence() {
        assert_eq!(told((0..400).step_by(40)), [0; 0]);
    }

    #[test]
    fn what_it_owed_ends_it() {
        let (begin, mut revival) = (Instant::now(), Revival::default());
        for second in 0..50 {
            assert!(!revival.suspect(begin + Duration::from_secs(second)));
            if second % 4 == 3 {
                revival.heard();
            }
        }
    }
}
