//! What an input means for a saga: events, or a rejection. Reads state, changes nothing.

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Failure, FailureKind, Phase, RejectionReason, SagaEvent, Started, StepEnded};
use ringmaster_schemas::state::{Saga, Status, StepState};

use super::values::Values;
use super::{Input, Rejection, StartInput, apply, code};
use crate::definition::{Definition, ExpressionError};
use crate::faults::mutated;

/// What was decided, and what it makes true: `saga` is the state before with the events applied by [`apply`], nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// What happened, in order. Empty if the input means nothing (nothing of the saga is due).
    pub events: Vec<SagaEvent>,
    /// What is true then.
    pub saga: Saga,
}

/// Decides what `input` means for `saga` (none: it does not exist) at `now`.
pub fn decide(
    definition: &Definition,
    values: &dyn Values,
    saga: Option<&Saga>,
    input: &Input,
    now: Millis,
) -> Result<Decided, Rejection> {
    let mut draft = Draft { definition, values, now, saga: saga.cloned(), events: Vec::new() };
    match (input, saga) {
        (Input::Start(start), None) => draft.start(start)?,
        (Input::Start(start), Some(saga)) => return Err(duplicate(saga, start)),
        (Input::Reply(_) | Input::Due | Input::TooBig { .. }, None) => {
            return Err(Rejection::new(RejectionReason::UnknownSaga, "no saga of this id lives, or is remembered"));
        }
        (Input::Reply(reply), Some(_)) => draft.reply(reply)?,
        (Input::Due, Some(_)) => draft.due(),
        (Input::TooBig { bytes }, Some(_)) => draft.too_big(*bytes)?,
    }
    let Draft { events, saga, .. } = draft;
    Ok(Decided { events, saga: saga.expect("a decided saga exists") })
}

fn duplicate(saga: &Saga, start: &StartInput) -> Rejection {
    let same = if saga.source == start.source {
        "the same event"
    } else if saga.ended() {
        "another event; the saga has ended"
    } else if saga.start_schema == start.start_schema && saga.start == start.start {
        "another event with the same content"
    } else {
        "another event with different content"
    };
    Rejection::new(RejectionReason::Duplicate, format!("{same}; the saga was started by {}", saga.source))
}

/// A decision in the making: every event is applied at once, so that what follows sees what is true.
pub(super) struct Draft<'a> {
    pub(super) definition: &'a Definition,
    pub(super) values: &'a dyn Values,
    pub(super) now: Millis,
    saga: Option<Saga>,
    events: Vec<SagaEvent>,
}

impl Draft<'_> {
    pub(super) fn happen(&mut self, event: SagaEvent) {
        if let Err(illegal) = apply(&mut self.saga, &event) {
            panic!("decide made an illegal event: {illegal}");
        }
        self.events.push(event);
    }

    pub(super) fn saga(&self) -> &Saga {
        self.saga.as_ref().expect("the saga has started")
    }

    fn start(&mut self, start: &StartInput) -> Result<(), Rejection> {
        let definition = self.definition;
        if let Some(time) = start.event_time
            && time < self.now - definition.retain_ms
            && !mutated("old_start_taken")
        {
            let detail = format!(
                "the event is {} s old and finished sagas are remembered for {} s: it may have run already",
                (self.now - time) / 1000,
                definition.retain_ms / 1000
            );
            return Err(Rejection::new(RejectionReason::TooOld, detail));
        }
        self.happen(SagaEvent::Started(Started {
            definition: definition.name.clone(),
            version: definition.hash,
            version_offset: start.version_offset,
            key: start.key.clone(),
            start: start.start.clone(),
            start_schema: start.start_schema,
            traceparent: start.traceparent.clone(),
            deadline_at: definition.deadline_ms.map_or(Millis::MAX, |deadline| self.now.saturating_add(deadline)),
            source: start.source.clone(),
            at: self.now,
        }));
        self.advance();
        Ok(())
    }

    /// Everything of this saga that is due, the saga's own deadline first.
    fn due(&mut self) {
        let saga = self.saga();
        if saga.status == Status::Running && !saga.late && !saga.stuck() && saga.deadline_at <= self.now {
            self.deadline();
        }
        let now = self.now;
        let leaf = self.saga().steps.iter().find_map(|step| {
            let undo_due = step.undo.as_ref().map_or(Millis::MAX, |undo| undo.due_at);
            match step.state {
                StepState::Asked | StepState::RetryWaiting if step.call.due_at <= now => Some((step.index, step.state)),
                StepState::UndoAsked | StepState::UndoRetryWaiting if undo_due <= now => Some((step.index, step.state)),
                _ => None,
            }
        });
        match leaf {
            Some((step, StepState::Asked)) => self.attempt_ended(step, code::TIMEOUT, "no reply within the attempt's time", true),
            Some((step, StepState::RetryWaiting)) => self.issue_again(step),
            Some((step, StepState::UndoAsked)) => {
                self.undo_attempt_ended(step, code::TIMEOUT, "no reply within the attempt's time", true)
            }
            Some((step, _)) => self.undo_again(step),
            None => {}
        }
    }

    /// Before the pivot is asked, the deadline undoes; from then on it is only noted: if the pivot is refused, all is undone
    /// anyway, and if it succeeds, it is too late to go back.
    fn deadline(&mut self) {
        let due_at = self.saga().deadline_at;
        let may_undo = mutated("deadline_undoes_behind_pivot");
        if !may_undo && self.saga().steps.iter().any(|step| step.phase != Phase::Compensatable) {
            self.happen(SagaEvent::MarkedLate(ringmaster_schemas::journal::MarkedLate { due_at }));
            return;
        }
        let open = self.saga().steps.iter().find(|step| matches!(step.state, StepState::Asked | StepState::RetryWaiting));
        let open = open.map(|step| (step.index, step.name.clone()));
        let message = "the saga's deadline ran out";
        if let Some((step, _)) = &open
            && !mutated("deadline_forgets_open_step")
        {
            self.happen(SagaEvent::StepFailed(StepEnded { step: *step, code: code::DEADLINE.into(), message: message.into() }));
        }
        let step = open.map_or_else(|| "".into(), |(_, name)| name);
        self.compensate(Failure { code: code::DEADLINE.into(), step, kind: FailureKind::Deadline, message: message.into() });
    }

    /// The turn that was decided does not fit into a journal record: the leaf that waits fails before anything is sent. An undo, and
    /// what was stuck already, needs a person. An ended saga changes only by a contradicting answer, which is then not taken.
    fn too_big(&mut self, bytes: usize) -> Result<(), Rejection> {
        use StepState::{Asked, RetryWaiting, Stuck, UndoAsked, UndoRetryWaiting, UndoStuck};
        let message = format!("what comes next would take {bytes} bytes in one journal record");
        if self.saga().ended() {
            return Err(Rejection::new(RejectionReason::ContradictingReply, format!("{message}: it is not taken")));
        }
        let open = self
            .saga()
            .steps
            .iter()
            .find(|step| matches!(step.state, Asked | RetryWaiting | Stuck | UndoAsked | UndoRetryWaiting | UndoStuck));
        match open.map(|step| (step.index, step.state, step.name.clone())) {
            Some((step, Asked | RetryWaiting, name)) => self.give_up(step, &name, FailureKind::Error, code::DATA_TOO_BIG, &message),
            Some((step, state, name)) => self.stuck(step, &name, state != Stuck, code::DATA_TOO_BIG, &message),
            // The last emission could not be rendered before.
            None => self.stuck(self.definition.steps.len() as i32, &"end".into(), false, code::DATA_TOO_BIG, &message),
        }
        Ok(())
    }

    pub(super) fn expression_failed(&mut self, name: &str, error: &ExpressionError) {
        self.fail_before_issue(name, error.code, &error.to_string());
    }
}
