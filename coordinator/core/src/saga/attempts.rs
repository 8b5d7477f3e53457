//! A command's attempts, the same for a step and for its undo: asked again by its own budget, then given up.

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{FailureKind, Order, OrderFields, Phase, Place, SagaEvent};
use ringmaster_schemas::names::{self, Direction};
use ringmaster_schemas::state::{Waits, Work};

use super::decide::Draft;
use super::flow::Way;
use super::values::View;
use super::{code, retry};
use crate::definition::{ExpressionError, Retry, Step, Template, Undo};
use crate::faults::mutated;

/// By what a command is tried again.
pub(super) struct Policy<'a> {
    pub(super) timeout_ms: Millis,
    within_ms: Option<Millis>,
    retry: &'a Retry,
}

impl<'a> Policy<'a> {
    pub(super) fn of(step: Step<'a>, direction: Direction) -> Self {
        match (direction, &step.asks.undo) {
            (Direction::Do, _) => {
                Policy { timeout_ms: step.asks.timeout_ms, within_ms: step.node.within_ms, retry: &step.asks.retry }
            }
            (Direction::Undo, Undo::Command { timeout_ms, within_ms, retry, .. }) => {
                Policy { timeout_ms: *timeout_ms, within_ms: Some(*within_ms), retry }
            }
            (Direction::Undo, Undo::Nothing | Undo::Never) => unreachable!("an asked undo has a command"),
        }
    }

    /// When all attempts are over that begin now.
    pub(super) fn until(&self, now: Millis) -> Millis {
        self.within_ms.map_or(Millis::MAX, |within| now.saturating_add(within))
    }
}

impl Draft<'_> {
    /// An order in its encoded form; `fields.step` is made of the step's name and the round.
    pub(super) fn order(&mut self, step: &str, round: u8, fields: &OrderFields<'_>) -> Order {
        let scratch = &mut self.scratch.record;
        if round == 1 {
            return Order::new(&OrderFields { step, ..*fields }, scratch);
        }
        Order::new(&OrderFields { step: &format!("{step}~{round}"), ..*fields }, scratch)
    }

    /// An order in its encoded form, as it is said.
    pub(super) fn order_as(&mut self, fields: &OrderFields<'_>) -> Order {
        Order::new(fields, &mut self.scratch.record)
    }

    /// A buffer that [`Draft::give_back`] takes again.
    pub(super) fn buffer(&mut self) -> Vec<u8> {
        let mut body = std::mem::take(&mut self.scratch.body);
        body.clear();
        body
    }

    /// A body, rendered into a buffer.
    pub(super) fn render_body(&self, view: View<'_>, template: &Template, mut body: Vec<u8>) -> Result<Vec<u8>, ExpressionError> {
        self.values.body(view, template, &mut body)?;
        Ok(body)
    }

    pub(super) fn give_back(&mut self, body: Vec<u8>) {
        self.scratch.body = body;
    }

    /// Which of its two commands the entry at `place` asks.
    pub(super) fn direction(&self, place: Place) -> Direction {
        match self.entry(place).work {
            Work::UndoAsked => Direction::Undo,
            _ => Direction::Do,
        }
    }

    /// The wait before a retry is over.
    pub(super) fn repeat(&mut self, place: Place) {
        if self.park(place, None) {
            return;
        }
        let direction = self.direction(place);
        let policy = Policy::of(self.step_at(place), direction);
        let (entry, until) = (self.entry(place), self.until(place));
        if self.now >= until && !mutated("within_ignored") {
            // Nobody looked for so long that its time is over: nothing is asked beyond it.
            let message = format!("its time ran out after {} attempts", entry.attempt);
            return self.give_up(place, FailureKind::Expired, code::EXPIRED, &message);
        }
        let attempt = entry.attempt + u16::from(!mutated("retry_keeps_its_attempt"));
        let due_at = until.min(self.now + policy.timeout_ms);
        self.happen(SagaEvent::CommandRepeated { place, direction, attempt, due_at });
    }

    /// The same command under the same key, with so much time for all that follows.
    pub(super) fn ask_anew(&mut self, place: Place, until: Millis) {
        let direction = self.direction(place);
        let timeout_ms = Policy::of(self.step_at(place), direction).timeout_ms;
        let entry = self.entry(place).clone();
        let attempt = entry.attempt + 1;
        let asked = entry.order.as_ref().expect("what is asked has an order").fields();
        let order = self.order_as(&OrderFields { until, body: entry.body(), ..asked });
        self.happen(SagaEvent::Retried { place, direction, attempt, order, due_at: until.min(self.now + timeout_ms) });
    }

    pub(super) fn until(&self, place: Place) -> Millis {
        self.entry(place).order.as_ref().expect("what is asked has an order").fields().until
    }

    /// The open attempt ran out. What its participant does not answer while it is not asked anyhow ends nothing: its time stands, and
    /// another attempt follows, whatever is left of either. An answer is no silence, whatever its code: what fails again and again is
    /// given up.
    pub(super) fn not_answered(&mut self, place: Place) {
        const MESSAGE: &str = "no reply within the attempt's time";
        let policy = Policy::of(self.step_at(place), self.direction(place));
        let may_pass = self.goes_on(place) && !policy.retry.not_on.iter().any(|never| **never == *code::TIMEOUT);
        if may_pass && (self.is_paused() || !self.breakers.is_empty()) && !mutated("parked_attempt_given_up") {
            let failure = self.failure_at(place, FailureKind::Failed, code::TIMEOUT, MESSAGE);
            if self.park(place, Some(failure)) {
                return;
            }
        }
        self.attempt_ended(place, code::TIMEOUT, MESSAGE, true);
    }

    /// True unless its scope undoes what it would do.
    fn goes_on(&self, place: Place) -> bool {
        self.direction(place) == Direction::Undo || self.halted(place).is_none() || mutated("retry_in_undoing_scope")
    }

    /// The open attempt failed or ran out: try again later, or give it up.
    pub(super) fn attempt_ended(&mut self, place: Place, code: &str, message: &str, retryable: bool) {
        let direction = self.direction(place);
        let policy = Policy::of(self.step_at(place), direction);
        let (attempt, until) = (self.entry(place).attempt, self.until(place));
        let order = self.entry(place).order.as_ref().expect("what is asked has an order");
        let key = names::idempotency_key(&self.saga().id, order.step(), direction);
        let counted = self.entry(place).counted_attempt();
        let due_at = self.now + retry::backoff_ms(policy.retry, i32::from(counted), &key);
        let retryable = retryable || (direction == Direction::Do && mutated("failure_for_good_retried"));
        let in_time = due_at < until || (direction == Direction::Do && mutated("within_ignored"));
        let goes_on = self.goes_on(place);
        let never = direction == Direction::Undo && mutated("undo_not_retried");
        if retryable && retry::allows(policy.retry, (attempt, counted), code) && in_time && goes_on && !never {
            let failure = self.failure_at(place, FailureKind::Failed, code, message);
            self.happen(SagaEvent::RetryScheduled { place, direction, due_at, failure });
        } else if retryable && !in_time {
            let message = format!("its time ran out after {attempt} attempts; the last one: {code} {message}");
            self.give_up(place, FailureKind::Expired, code::EXPIRED, &message);
        } else {
            self.give_up(place, FailureKind::Failed, code, message);
        }
    }

    /// Nothing more is tried, and whether it was done is not known: undo it too. An undo, a pivot and what comes behind are never
    /// guessed at, nor is anything whose participant may have forgotten it: a person must look.
    pub(super) fn give_up(&mut self, place: Place, kind: FailureKind, code: &str, message: &str) {
        let phase = self.step_at(place).node.phase;
        let guessed = match self.direction(place) {
            Direction::Undo => true,
            Direction::Do if phase != Phase::Compensatable => !mutated("pivot_undone_on_a_guess"),
            Direction::Do => code == code::TOO_OLD && !mutated("forgotten_undone"),
        };
        if guessed {
            return self.stuck(place, kind, code, message);
        }
        let failure = self.failure_at(place, kind, code, message);
        self.happen(SagaEvent::Failed { place, failure });
        self.go(Way::Settled(place));
    }

    /// True if this is the attempt that is out.
    pub(super) fn is_open(&self, place: Place, attempt: i32) -> bool {
        let entry = self.entry(place);
        entry.waits == Waits::Reply && (i32::from(entry.attempt) == attempt || mutated("stale_failure_taken"))
    }
}
