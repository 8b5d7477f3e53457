//! A partition that is read: from where it is fetched next, and why it is not, if that is so.

use std::time::{Duration, Instant};

use crate::TopicPartition;
use crate::kafka::held::Held;

/// A partition that its broker cannot give now is asked for again after so long, twice as long each time, up to a second.
const AGAIN: Duration = Duration::from_millis(50);
const AGAIN_MAX: Duration = Duration::from_secs(1);
/// One that no broker gives for so long is said to be unreadable: leaders move, brokers restart.
const FAILING_MAX: Duration = Duration::from_secs(30);

/// One partition of a fetcher.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) held: Held,
    /// From where it is fetched next; negative for the beginning of its log, wherever that is.
    pub(super) position: i64,
    /// The epoch of what was fetched before that; -1 if it is not known.
    pub(super) epoch: i32,
    /// What was asked for, or came, in another turn is not wanted any more.
    pub(super) turn: u64,
    /// An error of it is to be visited first.
    pub(super) waits: bool,
    /// The end that was said last: it is said once.
    pub(super) end_said: Option<i64>,
    /// A request of it is answered with at most so many bytes.
    pub(super) bytes_max: i32,
    /// Nothing is asked until then.
    pub(super) held_until: Option<Instant>,
    tries: u32,
    failing_since: Option<Instant>,
}

impl Part {
    pub(super) fn new(at: TopicPartition, from: i64, turn: u64, bytes_max: i32) -> Self {
        Part {
            held: Held::new(at, from),
            position: from,
            epoch: -1,
            turn,
            waits: false,
            end_said: None,
            bytes_max,
            held_until: None,
            tries: 0,
            failing_since: None,
        }
    }

    /// What was asked for and what came is not wanted any more: it is fetched again from where it was visited.
    pub(super) fn begin_again(&mut self, turn: u64) {
        self.turn = turn;
        (self.position, self.epoch, self.waits, self.end_said) = (self.held.next, -1, false, None);
    }

    /// True if somebody must be found who leads it.
    pub(super) fn is_wanted(&self) -> bool {
        !self.waits && !self.held.holds && !self.held.stopped
    }

    /// True if what came of it in this turn is to be visited, once it is not paused.
    pub(super) fn takes(&self, turn: u64) -> bool {
        self.turn == turn && !self.held.holds && !self.held.stopped
    }

    /// True if it may be asked for now.
    pub(super) fn is_ready(&self, now: Instant) -> bool {
        self.is_wanted() && !self.held.paused && self.held_until.is_none_or(|until| until <= now)
    }

    /// It was answered without an error.
    pub(super) fn is_well(&mut self) {
        (self.held_until, self.tries, self.failing_since) = (None, 0, None);
    }

    /// It cannot be had now. True if that is so for too long.
    pub(super) fn fails(&mut self, now: Instant) -> bool {
        self.held_until = Some(now + (AGAIN * 2u32.saturating_pow(self.tries)).min(AGAIN_MAX));
        self.tries = self.tries.saturating_add(1);
        now.saturating_duration_since(*self.failing_since.get_or_insert(now)) >= FAILING_MAX
    }
}
