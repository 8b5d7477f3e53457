//! Going forward: the next step, its attempts, and giving it up.

use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{
    CommandIssued, Ended, Failure, FailureKind, Order, Phase, RetryScheduled, SagaEvent, StepEnded, StepSkipped, StepStuck,
};
use ringmaster_schemas::names::{self, Direction};
use ringmaster_schemas::state::Step;

use super::decide::Draft;
use super::{COMMAND_BYTES_MAX, ROW_BYTES_MAX, code, retry};
use crate::definition::Emit;
use crate::faults::mutated;

impl Draft<'_> {
    /// Considers steps from the first that was not yet: skips, issues one, or ends the saga.
    pub(super) fn advance(&mut self) {
        let definition = self.definition;
        loop {
            let next = self.saga().next as usize;
            let Some(step) = definition.steps.get(next) else {
                return self.complete();
            };
            match self.values.condition(self.saga(), next, self.now) {
                Ok(true) => return self.issue(next),
                Ok(false) if mutated("condition_ignored") => return self.issue(next),
                Ok(false) => self.happen(SagaEvent::StepSkipped(StepSkipped { step: next as i32, name: step.name.clone() })),
                Err(error) => return self.expression_failed(&step.name, &error),
            }
        }
    }

    fn issue(&mut self, index: usize) {
        let definition = self.definition;
        let step = &definition.steps[index];
        let body = match self.values.body(self.saga(), &step.call, self.now) {
            Ok(body) => body.expect("a step's own command has its own body"),
            Err(error) => return self.expression_failed(&step.name, &error),
        };
        let held: usize = self.saga().start.len() + self.saga().steps.iter().map(held_bytes).sum::<usize>();
        if (body.len() > COMMAND_BYTES_MAX || held + body.len() > ROW_BYTES_MAX) && !mutated("big_command_sent") {
            let message = format!(
                "its command takes {} bytes beside {held} that the saga holds; limits are {COMMAND_BYTES_MAX} for a command and {ROW_BYTES_MAX} for a saga",
                body.len()
            );
            return self.fail_before_issue(&step.name, code::DATA_TOO_BIG, &message);
        }
        let until = self.now.saturating_add(step.within_ms);
        self.happen(SagaEvent::CommandIssued(CommandIssued {
            step: index as i32,
            undo: false,
            attempt: 1,
            order: Some(Order {
                name: step.name.clone(),
                phase: step.phase,
                command: step.call.command.clone(),
                body,
                encoding: step.call.encoding,
                envelope: step.call.envelope,
                until,
            }),
            due_at: until.min(self.now + step.timeout_ms),
            at: self.now,
        }));
    }

    /// The wait before a retry is over.
    pub(super) fn issue_again(&mut self, index: i32) {
        let timeout_ms = self.definition.steps[index as usize].timeout_ms;
        let call = &self.row(index).call;
        let (attempt, until) = (call.attempt + i32::from(!mutated("retry_keeps_its_attempt")), call.until);
        self.happen(SagaEvent::CommandIssued(CommandIssued {
            step: index,
            undo: false,
            attempt,
            order: None,
            due_at: until.min(self.now + timeout_ms),
            at: self.now,
        }));
    }

    /// The open attempt failed or ran out: try again later, or give the step up.
    pub(super) fn attempt_ended(&mut self, index: i32, code: &str, message: &str, retryable: bool) {
        let definition = self.definition;
        let policy = &definition.steps[index as usize].retry;
        let step = self.row(index);
        let name = step.name.clone();
        let attempt = step.call.attempt;
        let key = names::idempotency_key(&self.saga().id(), &name, Direction::Do);
        let due_at = self.now + retry::backoff_ms(policy, attempt, &key);
        let retryable = retryable || mutated("failure_for_good_retried");
        let in_time = due_at < step.call.until || mutated("within_ignored");
        if retryable && retry::allows(policy, attempt, code) && in_time {
            self.happen(SagaEvent::RetryScheduled(RetryScheduled {
                step: index,
                undo: false,
                due_at,
                code: code.into(),
                message: message.into(),
            }));
            return;
        }
        let spent = retryable && due_at >= step.call.until;
        if spent {
            let message = format!("its time ran out after {attempt} attempts; the last one: {code} {message}");
            self.give_up(index, &name, FailureKind::Expired, code::EXPIRED, &message);
        } else {
            self.give_up(index, &name, FailureKind::Failed, code, message);
        }
    }

    /// Nothing more is tried, and whether it was done is not known: undo it too; a pivot, or what comes behind, is never undone on a
    /// guess, nor is anything whose participant may have forgotten it.
    pub(super) fn give_up(&mut self, index: i32, name: &Arc<str>, kind: FailureKind, code: &str, message: &str) {
        let never_undone = self.row(index).phase != Phase::Compensatable && !mutated("pivot_undone_on_a_guess");
        if never_undone || (code == code::TOO_OLD && !mutated("forgotten_undone")) {
            self.stuck(index, name, false, code, message);
            return;
        }
        self.happen(SagaEvent::StepFailed(StepEnded { step: index, code: code.into(), message: message.into() }));
        self.compensate(Failure { code: code.into(), step: name.clone(), kind, message: message.into() });
    }

    /// A step (or an emission at the end) failed before anything of it was sent.
    pub(super) fn fail_before_issue(&mut self, name: &str, code: &str, message: &str) {
        let next = self.saga().next;
        let forward_only = match self.definition.steps.get(next as usize) {
            Some(step) => step.phase == Phase::Retriable,
            // An emission at the end: without a pivot all can still be undone.
            None => self.definition.steps.iter().any(|step| step.phase != Phase::Compensatable),
        };
        if forward_only {
            self.stuck(next, &name.into(), false, code, message);
        } else {
            self.compensate(Failure { code: code.into(), step: name.into(), kind: FailureKind::Error, message: message.into() });
        }
    }

    pub(super) fn stuck(&mut self, index: i32, name: &Arc<str>, undo: bool, code: &str, message: &str) {
        self.happen(SagaEvent::StepStuck(StepStuck {
            step: index,
            name: name.clone(),
            undo,
            code: code.into(),
            message: message.into(),
        }));
    }

    fn complete(&mut self) {
        match self.render("completed", &self.definition.on_completed) {
            Ok(ended) => self.happen(SagaEvent::Completed(ended)),
            Err(error) => self.expression_failed("on_completed", &error),
        }
    }

    pub(super) fn render(&self, how: &str, emits: &[Emit]) -> Result<Ended, crate::definition::ExpressionError> {
        let mut emissions = Vec::with_capacity(emits.len());
        for (i, emit) in emits.iter().enumerate() {
            emissions.push(self.values.emission(self.saga(), emit, &format!("{how}/{i}"), self.now)?);
        }
        let expires_at: Millis = self.now.saturating_add(self.definition.retain_ms);
        Ok(Ended { emissions, expires_at, at: self.now })
    }

    pub(super) fn row(&self, index: i32) -> &Step {
        self.saga().steps.iter().find(|step| step.index == index).expect("an issued step has a row")
    }
}

fn held_bytes(step: &Step) -> usize {
    step.call.body.len() + step.undo.as_ref().map_or(0, |undo| undo.body.len()) + step.result.as_ref().map_or(0, bytes::Bytes::len)
}
