//! Undoing: exactly what was done or may have been done, in mirror order, each by its own long budget.

use ringmaster_schemas::journal::{CommandIssued, Failure, Order, RetryScheduled, SagaEvent};
use ringmaster_schemas::names::{self, Direction};
use ringmaster_schemas::state::{Step, StepState};

use super::decide::Draft;
use super::{COMMAND_BYTES_MAX, code, retry};
use crate::definition::Undo;
use crate::faults::mutated;

impl Draft<'_> {
    pub(super) fn compensate(&mut self, failure: Failure) {
        self.happen(SagaEvent::CompensationBegan(failure));
        self.undo_next();
    }

    /// The last step that was done or may have been done and is not yet undone; the saga's end if there is none.
    pub(super) fn undo_next(&mut self) {
        let definition = self.definition;
        let to_undo = |step: &Step| {
            let undo = &definition.steps[step.index as usize].undo;
            match (step.state, undo) {
                (StepState::Failed, _) if mutated("undo_only_what_succeeded") => None,
                (StepState::Refused, Undo::Command { .. }) if mutated("undo_a_refused_step") => Some((step.index, undo)),
                (StepState::Succeeded | StepState::Failed | StepState::Contradicted, Undo::Command { .. }) => {
                    Some((step.index, undo))
                }
                _ => None,
            }
        };
        let steps = &self.saga().steps;
        let next =
            if mutated("undo_in_order_of_do") { steps.iter().find_map(to_undo) } else { steps.iter().rev().find_map(to_undo) };
        match next {
            Some((index, Undo::Command { call, timeout_ms, within_ms, .. })) => {
                let step = self.row(index);
                let (name, phase) = (step.name.clone(), step.phase);
                let body = match self.values.body(self.saga(), call, self.now) {
                    Ok(Some(_)) if mutated("undo_has_the_body_of_its_do") => step.call.body.clone(),
                    Ok(Some(body)) if body.len() > COMMAND_BYTES_MAX => {
                        let message = format!("its command takes {} bytes; the limit is {COMMAND_BYTES_MAX}", body.len());
                        return self.stuck(index, &name, true, code::DATA_TOO_BIG, &message);
                    }
                    Ok(Some(body)) => body,
                    Ok(None) => step.call.body.clone(),
                    Err(error) => return self.stuck(index, &name, true, error.code, &error.to_string()),
                };
                // The do's own bytes stay in the do's encoding, also if the participant's setting has changed since.
                let encoding = if call.body.is_none() { step.call.encoding } else { call.encoding };
                let until = self.now.saturating_add(*within_ms);
                self.happen(SagaEvent::CommandIssued(CommandIssued {
                    step: index,
                    undo: true,
                    attempt: 1,
                    order: Some(Order {
                        name,
                        phase,
                        command: call.command.clone(),
                        body,
                        encoding,
                        envelope: call.envelope,
                        until,
                    }),
                    due_at: until.min(self.now + timeout_ms),
                    at: self.now,
                }));
            }
            Some((_, Undo::Nothing | Undo::Never)) => unreachable!("only steps with a command were looked for"),
            None => self.compensated(),
        }
    }

    fn compensated(&mut self) {
        match self.render("compensated", &self.definition.on_compensated) {
            Ok(ended) => self.happen(SagaEvent::Compensated(ended)),
            Err(error) => {
                let end = self.definition.steps.len() as i32;
                self.stuck(end, &"on_compensated".into(), false, error.code, &error.to_string());
            }
        }
    }

    /// The wait before a compensation's retry is over.
    pub(super) fn undo_again(&mut self, index: i32) {
        let timeout_ms = match &self.definition.steps[index as usize].undo {
            Undo::Command { timeout_ms, .. } => *timeout_ms,
            Undo::Nothing | Undo::Never => unreachable!("an asked undo has a command"),
        };
        let undo = self.row(index).undo.as_ref().expect("an asked undo has a row");
        let (attempt, until) = (undo.attempt + 1, undo.until);
        self.happen(SagaEvent::CommandIssued(CommandIssued {
            step: index,
            undo: true,
            attempt,
            order: None,
            due_at: until.min(self.now + timeout_ms),
            at: self.now,
        }));
    }

    /// The open attempt of a compensation failed or ran out.
    pub(super) fn undo_attempt_ended(&mut self, index: i32, code: &str, message: &str, retryable: bool) {
        let definition = self.definition;
        let policy = match &definition.steps[index as usize].undo {
            Undo::Command { retry, .. } => retry,
            Undo::Nothing | Undo::Never => unreachable!("an asked undo has a command"),
        };
        let step = self.row(index);
        let name = step.name.clone();
        let undo = step.undo.as_ref().expect("an asked undo has a row");
        let key = names::idempotency_key(&self.saga().id(), &name, Direction::Undo);
        let due_at = self.now + retry::backoff_ms(policy, undo.attempt, &key);
        if mutated("undo_not_retried") {
            return self.stuck(index, &name, true, code, message);
        }
        if retryable && retry::allows(policy, undo.attempt, code) && due_at < undo.until {
            self.happen(SagaEvent::RetryScheduled(RetryScheduled {
                step: index,
                undo: true,
                due_at,
                code: code.into(),
                message: message.into(),
            }));
        } else if retryable && due_at >= undo.until {
            let message = format!("its time ran out after {} attempts; the last one: {code} {message}", undo.attempt);
            self.stuck(index, &name, true, code::EXPIRED, &message);
        } else {
            self.stuck(index, &name, true, code, message);
        }
    }
}
