//! A participant's answer: any attempt's final answer settles the step; what comes again, late or otherwise is a rejection.

use std::sync::Arc;

use bytes::Bytes;
use ringmaster_schemas::journal::{
    Failure, FailureKind, Phase, RejectionReason as Reason, SagaEvent, StepEnded, StepSucceeded, StepUndone,
};
use ringmaster_schemas::names::Direction;
use ringmaster_schemas::state::{Status, StepState};

use super::decide::Draft;
use super::{Outcome, RESULT_BYTES_MAX, Rejection, ReplyInput, code};
use crate::definition::Undo;
use crate::faults::mutated;

impl Draft<'_> {
    pub(super) fn reply(&mut self, reply: &ReplyInput) -> Result<(), Rejection> {
        let found = self.saga().steps.iter().find(|step| step.name == reply.step).map(|step| (step.index, step.state));
        let Some((index, state)) = found else {
            return Err(Rejection::new(Reason::NeverAsked, format!("step '{}' was never asked", reply.step)));
        };
        match reply.direction {
            Direction::Do => self.reply_to_do(index, state, reply),
            Direction::Undo => self.reply_to_undo(index, state, reply),
        }
    }

    fn reply_to_do(&mut self, index: i32, state: StepState, reply: &ReplyInput) -> Result<(), Rejection> {
        use StepState::{
            Asked, Contradicted, Failed, Refused, RetryWaiting, Stuck, Succeeded, UndoAsked, UndoRetryWaiting, UndoStuck, Undone,
        };
        match (state, &reply.outcome) {
            (Asked | RetryWaiting | Stuck, Outcome::Succeeded { result, result_schema }) => {
                self.succeeded(index, result.clone(), *result_schema);
            }
            (Asked, Outcome::Refused { code, message }) if mutated("refusal_retried") => {
                self.attempt_ended(index, code, message, true)
            }
            (Stuck, Outcome::Refused { .. }) if self.row(index).phase == Phase::Retriable => {
                return Err(rejection(Reason::RepeatedReply, state, reply));
            }
            (Asked | RetryWaiting | Stuck, Outcome::Refused { code, message }) => self.refused(index, code, message),
            (Asked, Outcome::Failed { code, message, retryable }) if self.is_open(index, reply.attempt) => {
                self.attempt_ended(index, code, message, *retryable);
            }
            (_, Outcome::Failed { .. }) => return Err(rejection(Reason::StaleAttempt, state, reply)),
            (Succeeded | Contradicted, Outcome::Succeeded { .. }) | (Refused, Outcome::Refused { .. }) => {
                return Err(rejection(Reason::RepeatedReply, state, reply));
            }
            (Succeeded, Outcome::Refused { .. }) => return Err(rejection(Reason::ContradictingReply, state, reply)),
            (Refused, Outcome::Succeeded { .. }) if mutated("contradiction_ignored") => {
                return Err(rejection(Reason::ContradictingReply, state, reply));
            }
            (Refused, Outcome::Succeeded { .. }) => return self.contradiction(index, state, reply),
            (
                Failed | Contradicted | UndoAsked | UndoRetryWaiting | UndoStuck | Undone,
                Outcome::Succeeded { .. } | Outcome::Refused { .. },
            ) => return Err(rejection(Reason::LateReply, state, reply)),
        }
        Ok(())
    }

    fn succeeded(&mut self, index: i32, result: Option<Bytes>, result_schema: i64) {
        let size = result.as_ref().map_or(0, Bytes::len);
        let forget = size > RESULT_BYTES_MAX || mutated("result_forgotten");
        let (result, result_schema) = if forget { (None, 0) } else { (result, result_schema) };
        self.happen(SagaEvent::StepSucceeded(StepSucceeded { step: index, result, result_schema }));
        if size <= RESULT_BYTES_MAX {
            self.advance();
            return;
        }
        let step = self.row(index);
        let (name, phase) = (step.name.clone(), step.phase);
        let message = format!("what expressions read of its result takes {size} bytes; the limit is {RESULT_BYTES_MAX}");
        match phase {
            Phase::Compensatable => {
                let kind = FailureKind::Error;
                self.compensate(Failure { code: code::DATA_TOO_BIG.into(), step: name, kind, message: message.into() });
            }
            Phase::Pivot | Phase::Retriable => self.stuck(index, &name, false, code::DATA_TOO_BIG, &message),
        }
    }

    fn refused(&mut self, index: i32, code: &Arc<str>, message: &Arc<str>) {
        let step = self.row(index);
        let name = step.name.clone();
        if step.phase == Phase::Retriable && !mutated("refusal_behind_pivot_undoes") {
            return self.stuck(index, &name, false, code, message);
        }
        self.happen(SagaEvent::StepRefused(StepEnded { step: index, code: code.clone(), message: message.clone() }));
        self.compensate(Failure { code: code.clone(), step: name, kind: FailureKind::Refused, message: message.clone() });
    }

    /// Refused first, done after all: it is undone like everything that was done. Where nothing can undo it, a person must know.
    fn contradiction(&mut self, index: i32, state: StepState, reply: &ReplyInput) -> Result<(), Rejection> {
        match self.definition.steps[index as usize].undo {
            Undo::Command { .. } => {}
            Undo::Nothing | Undo::Never => return Err(rejection(Reason::ContradictingReply, state, reply)),
        }
        let undoing = self
            .saga()
            .steps
            .iter()
            .any(|step| matches!(step.state, StepState::UndoAsked | StepState::UndoRetryWaiting | StepState::UndoStuck));
        debug_assert!(
            matches!(self.saga().status, Status::Compensating | Status::Compensated),
            "a refused step makes its saga undo"
        );
        self.happen(SagaEvent::ContradictionFound(StepUndone { step: index }));
        if !undoing {
            self.undo_next();
        }
        Ok(())
    }

    fn reply_to_undo(&mut self, index: i32, state: StepState, reply: &ReplyInput) -> Result<(), Rejection> {
        use StepState::{
            Asked, Contradicted, Failed, Refused, RetryWaiting, Stuck, Succeeded, UndoAsked, UndoRetryWaiting, UndoStuck, Undone,
        };
        match (state, &reply.outcome) {
            (UndoAsked | UndoRetryWaiting | UndoStuck, Outcome::Succeeded { .. }) => {
                if self.row(index).undo.is_none() {
                    return Err(rejection(Reason::NeverAsked, state, reply));
                }
                self.happen(SagaEvent::StepUndone(StepUndone { step: index }));
                self.undo_next();
            }
            (UndoAsked, Outcome::Refused { code, message }) if mutated("undo_refusal_retried") => {
                self.undo_attempt_ended(index, code, message, true);
            }
            (UndoAsked | UndoRetryWaiting, Outcome::Refused { code, message }) => {
                let name = self.row(index).name.clone();
                self.stuck(index, &name, true, code, message);
            }
            (UndoAsked, Outcome::Failed { code, message, retryable }) if self.is_open_undo(index, reply.attempt) => {
                self.undo_attempt_ended(index, code, message, *retryable);
            }
            (UndoAsked | UndoRetryWaiting | UndoStuck | Undone, Outcome::Failed { .. }) => {
                return Err(rejection(Reason::StaleAttempt, state, reply));
            }
            (Undone, Outcome::Succeeded { .. }) | (UndoStuck, Outcome::Refused { .. }) => {
                return Err(rejection(Reason::RepeatedReply, state, reply));
            }
            (Undone, Outcome::Refused { .. }) => return Err(rejection(Reason::ContradictingReply, state, reply)),
            (Asked | RetryWaiting | Succeeded | Refused | Failed | Stuck | Contradicted, _) => {
                return Err(rejection(Reason::NeverAsked, state, reply));
            }
        }
        Ok(())
    }

    fn is_open(&self, index: i32, attempt: i32) -> bool {
        self.row(index).call.attempt == attempt || mutated("stale_failure_taken")
    }

    fn is_open_undo(&self, index: i32, attempt: i32) -> bool {
        self.row(index).undo.as_ref().is_some_and(|undo| undo.attempt == attempt) || mutated("stale_failure_taken")
    }
}

fn rejection(reason: Reason, state: StepState, reply: &ReplyInput) -> Rejection {
    let said = match &reply.outcome {
        Outcome::Succeeded { .. } => "succeeded".to_owned(),
        Outcome::Refused { code, .. } => format!("refused {code}"),
        Outcome::Failed { code, .. } => format!("failed {code}"),
    };
    let direction = reply.direction.as_str();
    Rejection::new(
        reason,
        format!("attempt {} of {}/{direction} says {said}; the step stands at '{state}'", reply.attempt, reply.step),
    )
}
