//! A participant's answer: any attempt's final answer settles the step; what comes again, late or otherwise is a rejection.

use ringmaster_schemas::journal::{FailureKind, Phase, Place, RejectionReason as Reason, SagaEvent};
use ringmaster_schemas::names::Direction;
use ringmaster_schemas::state::{Entry, Waits, Work};
use ringmaster_schemas::{Data, state};

use super::decide::{Draft, failure};
use super::flow::Way;
use super::scope::Scope;
use super::{Outcome, RESULT_BYTES_MAX, ROW_DATA_BYTES_MAX, Rejection, ReplyInput, code};
use crate::definition::{ROOT, Undo};
use crate::faults::mutated;

impl Draft<'_> {
    pub(super) fn reply(&mut self, reply: &ReplyInput) -> Result<(), Rejection> {
        let asked = |entry: &Entry| entry.order.as_ref().is_some_and(|order| order.is_of(&reply.step));
        let Some(place) = self.saga().entries.iter().position(asked) else {
            return Err(Rejection::new(Reason::NeverAsked, format!("step '{}' was never asked", reply.step)));
        };
        let place = place as Place;
        match reply.direction {
            Direction::Do => self.answer_to_do(place, reply),
            Direction::Undo => self.answer_to_undo(place, reply),
        }
    }

    fn answer_to_do(&mut self, place: Place, reply: &ReplyInput) -> Result<(), Rejection> {
        use Work::{Asked, Closed, Done, Failed, Nothing, Open, Refused, UndoAsked, Undoing, Undone};
        let reason = match (self.entry(place).work, &reply.outcome) {
            (Asked, Outcome::Succeeded { result }) => {
                self.succeeded(place, result.as_ref());
                return Ok(());
            }
            (Asked, Outcome::Refused { code, message }) => {
                self.refused(place, code, message);
                return Ok(());
            }
            (Asked, Outcome::Failed { code, message, retryable }) if self.is_open(place, reply.attempt) => {
                self.attempt_ended(place, code, message, *retryable);
                return Ok(());
            }
            (Refused, Outcome::Succeeded { result }) => return self.done_after_all(place, result.as_ref(), reply),
            (Done, Outcome::Succeeded { .. }) | (Refused, Outcome::Refused { .. }) => Reason::RepeatedReply,
            (Done, Outcome::Refused { .. }) => Reason::ContradictingReply,
            (Failed | UndoAsked | Undone, Outcome::Succeeded { .. }) if mutated("late_success_taken_after_undo") => {
                self.happen(SagaEvent::Succeeded { place, result: None, passes: false });
                return Ok(());
            }
            (Undone, Outcome::Succeeded { result })
                if self.entry(place).waits == Waits::Stuck && mutated("stuck_takes_late_success_after_undo") =>
            {
                self.succeeded(place, result.as_ref());
                return Ok(());
            }
            (Failed | UndoAsked | Undone, Outcome::Succeeded { .. } | Outcome::Refused { .. }) => Reason::LateReply,
            (Asked | Done | Refused | Failed | UndoAsked | Undone, Outcome::Failed { .. }) => Reason::StaleAttempt,
            (Nothing | Closed | Open | Undoing, _) => Reason::NeverAsked,
        };
        Err(self.rejected(reason, place, reply))
    }

    fn answer_to_undo(&mut self, place: Place, reply: &ReplyInput) -> Result<(), Rejection> {
        use Work::{Asked, Closed, Done, Failed, Nothing, Open, Refused, UndoAsked, Undoing, Undone};
        let reason = match (self.entry(place).work, &reply.outcome) {
            (UndoAsked, Outcome::Succeeded { .. }) => {
                self.happen(SagaEvent::Undone { place });
                self.go(Way::Settled(place));
                return Ok(());
            }
            (UndoAsked, Outcome::Refused { code, message }) if mutated("undo_refusal_retried") => {
                self.attempt_ended(place, code, message, true);
                return Ok(());
            }
            (UndoAsked, Outcome::Refused { code, message }) if self.entry(place).waits != Waits::Stuck => {
                self.stuck(place, FailureKind::Refused, code, message);
                return Ok(());
            }
            (UndoAsked, Outcome::Failed { code, message, retryable }) if self.is_open(place, reply.attempt) => {
                self.attempt_ended(place, code, message, *retryable);
                return Ok(());
            }
            (Undone, Outcome::Succeeded { .. }) | (UndoAsked, Outcome::Refused { .. }) => Reason::RepeatedReply,
            (Undone, Outcome::Refused { .. }) => Reason::ContradictingReply,
            (UndoAsked | Undone, Outcome::Failed { .. }) => Reason::StaleAttempt,
            (Nothing | Asked | Done | Refused | Failed | Closed | Open | Undoing, _) => Reason::NeverAsked,
        };
        Err(self.rejected(reason, place, reply))
    }

    pub(super) fn succeeded(&mut self, place: Place, result: Option<&Data>) {
        let node = &self.definition.nodes[usize::from(self.entry(place).node)];
        let size = result.map_or(0, |result| result.bytes().len());
        let held = self.held_bytes();
        let too_big = is_too_big(held, size);
        let kept = result.filter(|_| !too_big && !mutated("result_forgotten")).cloned();
        self.happen(SagaEvent::Succeeded { place, result: kept, passes: node.passes });
        if self.is_pivot(place) && self.saga().remembered_stop().is_some() {
            self.happen(SagaEvent::StopForgotten {});
        }
        let way = self.with_result(place, held, size, too_big);
        self.go(way);
    }

    /// Behind what has ended well; what is too big to be kept fails loudly.
    pub(super) fn with_result(&mut self, place: Place, held: usize, size: usize, too_big: bool) -> Way {
        if !too_big || self.halted(place).is_some() {
            return Way::Settled(place);
        }
        // What all items gave together may be as large as the row allows.
        let has_items = self.entry(place).children().is_some();
        let message = if size > RESULT_BYTES_MAX && !has_items {
            format!("what expressions read of its result takes {size} bytes; the limit is {RESULT_BYTES_MAX}")
        } else {
            format!(
                "what expressions read of its result takes {size} bytes beside {held} that the saga holds; the limit is {ROW_DATA_BYTES_MAX}"
            )
        };
        self.without_result(place, code::DATA_TOO_BIG, &message)
    }

    /// It is done, and what it gave cannot be kept: nothing goes on without.
    pub(super) fn without_result(&mut self, place: Place, code: &str, message: &str) -> Way {
        if self.halted(place).is_some() {
            return Way::Settled(place);
        }
        let node = &self.definition.nodes[usize::from(self.entry(place).node)];
        match node.phase {
            Phase::Compensatable => {
                let failure = failure(FailureKind::Error, code, &node.name, message);
                self.stop(Scope::Root, failure, false)
            }
            Phase::Pivot | Phase::Retriable => {
                self.stuck(place, FailureKind::Error, code, message);
                Way::Rest
            }
        }
    }

    /// Known not done, and final for its key.
    fn refused(&mut self, place: Place, code: &str, message: &str) {
        if mutated("refusal_retried") && self.entry(place).waits == Waits::Reply {
            return self.attempt_ended(place, code, message, true);
        }
        let failure = self.failure_at(place, FailureKind::Refused, code, message);
        self.happen(SagaEvent::Refused { place, failure });
        self.go(Way::Settled(place));
    }

    /// Refused first, done after all. Where it is waited for, that is what was wanted. Else it is undone: with what is around it if that
    /// is undone, else by itself, since nothing counted on it. Where nothing can undo it, a person must know.
    fn done_after_all(&mut self, place: Place, result: Option<&Data>, reply: &ReplyInput) -> Result<(), Rejection> {
        if self.entry(place).waits == Waits::Stuck {
            self.succeeded(place, result);
            return Ok(());
        }
        let undone = matches!(self.step_at(place).asks.undo, Undo::Command { .. });
        if !undone || mutated("contradiction_ignored") {
            return Err(self.rejected(Reason::ContradictingReply, place, reply));
        }
        let halted = self.halted(place);
        let stray = halted.is_none() && !mutated("contradiction_reopens_saga");
        self.happen(SagaEvent::ContradictionFound { place, stray });
        match halted {
            Some(scope) => {
                self.close_stuck_end();
                self.go(Way::Unwind(scope));
            }
            None => self.undo(place),
        }
        Ok(())
    }

    /// The end that could not be told is no end yet.
    fn close_stuck_end(&mut self) {
        let stuck = |entry: &state::Entry| entry.node == ROOT && entry.open();
        if let Some(place) = self.saga().entries.iter().position(stuck) {
            self.happen(SagaEvent::Closed { place: place as Place });
        }
    }

    fn rejected(&self, reason: Reason, place: Place, reply: &ReplyInput) -> Rejection {
        let entry = self.entry(place);
        let said = match &reply.outcome {
            Outcome::Succeeded { .. } => "succeeded".to_owned(),
            Outcome::Refused { code, .. } => format!("refused {code}"),
            Outcome::Failed { code, .. } => format!("failed {code}"),
        };
        let stands = match entry.waits {
            Waits::No => entry.work.to_string(),
            waits => format!("{}, waits: {waits}", entry.work),
        };
        let direction = reply.direction.as_str();
        Rejection::new(
            reason,
            format!("attempt {} of {}/{direction} says {said}; the step stands at '{stands}'", reply.attempt, reply.step),
        )
    }
}

/// True if so many bytes of a result, beside those that the row holds, are more than state keeps.
pub(super) fn is_too_big(held: usize, bytes: usize) -> bool {
    bytes > RESULT_BYTES_MAX || held + bytes > ROW_DATA_BYTES_MAX
}
