//! What has been so for a while: a window that slides, second by second.

use std::collections::VecDeque;

use super::Sample;

/// A window is no longer than this,
pub(super) const WINDOW_MAX_MS: i64 = 60_000;
/// and ends as soon as so many answers came in it.
const WINDOW_ANSWERS: u64 = 400;
/// It slides by so much.
const STEP_MS: i64 = 1_000;

/// A second of it.
#[derive(Debug, Clone, Copy)]
struct Step {
    /// When it began, and what had been counted by then.
    since_ms: i64,
    answered: u64,
    timed_out: u64,
    /// The smallest count in it.
    unanswered_min: u64,
}

/// The last minute.
#[derive(Debug, Clone, Default)]
pub(super) struct Window(VecDeque<Step>);

/// What was so in a window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) ms: i64,
    pub(super) answered: u64,
    pub(super) timed_out: u64,
    pub(super) unanswered_min: u64,
}

impl Window {
    /// Takes one more sample. At the end of a step: what was so in the shortest window that is at least so long, and has answers enough.
    pub(super) fn add(&mut self, now: &Sample, least_ms: i64) -> Option<Seen> {
        let is_new = self.0.back().is_none_or(|step| now.at_ms - step.since_ms >= STEP_MS);
        let seen = is_new.then(|| self.seen(now, least_ms)).flatten();
        if is_new {
            let &Sample { at_ms: since_ms, answered, timed_out, unanswered: unanswered_min, .. } = now;
            self.0.push_back(Step { since_ms, answered, timed_out, unanswered_min });
            while self.0.front().is_some_and(|step| now.at_ms - step.since_ms > WINDOW_MAX_MS) {
                self.0.pop_front();
            }
        }
        let last = self.0.back_mut()?;
        last.unanswered_min = last.unanswered_min.min(now.unanswered);
        seen
    }

    fn seen(&self, now: &Sample, least_ms: i64) -> Option<Seen> {
        let mut unanswered_min = now.unanswered;
        for step in self.0.iter().rev() {
            unanswered_min = unanswered_min.min(step.unanswered_min);
            let (ms, answered) = (now.at_ms - step.since_ms, now.answered.saturating_sub(step.answered));
            if ms >= least_ms && (answered >= WINDOW_ANSWERS || ms >= WINDOW_MAX_MS) {
                let timed_out = now.timed_out.saturating_sub(step.timed_out);
                return Some(Seen { ms, answered, timed_out, unanswered_min });
            }
        }
        None
    }
}
