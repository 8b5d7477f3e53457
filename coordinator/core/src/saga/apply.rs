//! What is now true: the only place where a saga's state changes, live and in replay alike.
//!
//! Released arms are frozen: golden journals replay for ever. A pair of state and event that is not listed is an [`IllegalEvent`]: a
//! bug when live, corruption when replaying.

use std::sync::Arc;

use bytes::Bytes;
use ringmaster_schemas::journal::{
    CommandIssued, Ended, Failure, FailureKind, Order, RetryScheduled, SagaEvent, Started, StepStuck,
};
use ringmaster_schemas::state::{Call, Saga, Status, Step, StepState};

use crate::faults::mutated;

/// An event that cannot happen to a saga in this state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event} cannot happen to {saga} ({state})")]
pub struct IllegalEvent {
    /// The saga's id, or what is known of it.
    pub saga: String,
    /// Where it stands.
    pub state: String,
    /// What was to happen.
    pub event: String,
}

/// Makes an event true.
pub fn apply(saga: &mut Option<Saga>, event: &SagaEvent) -> Result<(), IllegalEvent> {
    match (saga.as_mut(), event) {
        (None, SagaEvent::Started(started)) => {
            *saga = Some(begin(started));
            Ok(())
        }
        // An id whose finished row has expired may start again; the partition takes the old row away before.
        (None, event) => Err(illegal_without_saga(event)),
        (Some(saga), event) => change(saga, event),
    }
}

fn begin(started: &Started) -> Saga {
    Saga {
        definition: started.definition.clone(),
        version: started.version,
        version_offset: started.version_offset,
        key: started.key.clone(),
        status: Status::Running,
        started_at: started.at,
        deadline_at: started.deadline_at,
        late: false,
        start: started.start.clone(),
        start_schema: started.start_schema,
        traceparent: started.traceparent.clone(),
        source: started.source.clone(),
        next: 0,
        steps: Vec::new(),
        failure: None,
        stuck_at_end: None,
        ended_at: 0,
        expires_at: 0,
    }
}

fn change(saga: &mut Saga, event: &SagaEvent) -> Result<(), IllegalEvent> {
    use Status::{Compensated, Compensating, Completed, Running};
    match (saga.status, event) {
        (Running, SagaEvent::StepSkipped(skipped)) if skipped.step == saga.next => saga.next += 1,
        (Running | Compensating, SagaEvent::CommandIssued(issued)) => return issue(saga, issued, event),
        (Running | Compensating, SagaEvent::RetryScheduled(retry)) => return schedule(saga, retry, event),
        (Running, SagaEvent::StepSucceeded(done)) => {
            use StepState::{Asked, RetryWaiting, Stuck};
            let step = expect(saga, done.step, &[Asked, RetryWaiting, Stuck], event)?;
            step.state = StepState::Succeeded;
            step.result = done.result.clone();
            step.result_schema = done.result_schema;
        }
        (Running, SagaEvent::StepRefused(ended)) => {
            use StepState::{Asked, RetryWaiting, Stuck};
            let step = expect(saga, ended.step, &[Asked, RetryWaiting, Stuck], event)?;
            step.state = StepState::Refused;
            (step.code, step.message) = (ended.code.clone(), ended.message.clone());
        }
        (Running, SagaEvent::StepFailed(ended)) => {
            use StepState::{Asked, RetryWaiting};
            let step = expect(saga, ended.step, &[Asked, RetryWaiting], event)?;
            step.state = StepState::Failed;
            (step.code, step.message) = (ended.code.clone(), ended.message.clone());
        }
        (Running, SagaEvent::CompensationBegan(failure)) => {
            saga.status = Compensating;
            saga.failure = Some(failure.clone());
        }
        (Compensating, SagaEvent::StepUndone(undone)) => {
            use StepState::{UndoAsked, UndoRetryWaiting, UndoStuck};
            expect(saga, undone.step, &[UndoAsked, UndoRetryWaiting, UndoStuck], event)?.state = StepState::Undone;
        }
        (Running | Compensating, SagaEvent::StepStuck(stuck)) => return get_stuck(saga, stuck, event),
        (Running, SagaEvent::MarkedLate(_)) if !saga.late => saga.late = true,
        (Compensating | Compensated, SagaEvent::ContradictionFound(found)) => {
            expect(saga, found.step, &[StepState::Refused], event)?.state = StepState::Contradicted;
            saga.status = Compensating;
            saga.stuck_at_end = None;
            saga.ended_at = 0;
            saga.expires_at = 0;
        }
        (Running, SagaEvent::Completed(ended)) => end(saga, Completed, ended),
        (Compensating, SagaEvent::Compensated(ended)) => end(saga, Compensated, ended),
        (
            Running | Compensating | Completed | Compensated,
            SagaEvent::Started(_)
            | SagaEvent::StepSkipped(_)
            | SagaEvent::CommandIssued(_)
            | SagaEvent::RetryScheduled(_)
            | SagaEvent::StepSucceeded(_)
            | SagaEvent::StepRefused(_)
            | SagaEvent::StepFailed(_)
            | SagaEvent::CompensationBegan(_)
            | SagaEvent::StepUndone(_)
            | SagaEvent::StepStuck(_)
            | SagaEvent::MarkedLate(_)
            | SagaEvent::ContradictionFound(_)
            | SagaEvent::Completed(_)
            | SagaEvent::Compensated(_),
        ) => return Err(illegal(saga, event)),
    }
    Ok(())
}

fn issue(saga: &mut Saga, issued: &CommandIssued, event: &SagaEvent) -> Result<(), IllegalEvent> {
    use StepState::{Asked, Contradicted, Failed, RetryWaiting, Succeeded, UndoAsked, UndoRetryWaiting};
    match (issued.undo, &issued.order) {
        (false, Some(order)) => {
            if saga.status != Status::Running || issued.step != saga.next || issued.attempt != 1 {
                return Err(illegal(saga, event));
            }
            saga.next += i32::from(!mutated("issued_step_is_next_again"));
            let step = Step {
                index: issued.step,
                name: order.name.clone(),
                state: Asked,
                phase: order.phase,
                call: call(order, issued, issued.at),
                undo: None,
                result: None,
                result_schema: 0,
                code: Arc::default(),
                message: Arc::default(),
            };
            saga.steps.push(step);
        }
        (false, None) => {
            let step = expect(saga, issued.step, &[Asked, RetryWaiting], event)?;
            step.state = Asked;
            (step.call.attempt, step.call.due_at) = (issued.attempt, issued.due_at);
        }
        (true, Some(order)) => {
            let step = expect(saga, issued.step, &[Succeeded, Failed, Contradicted], event)?;
            step.state = UndoAsked;
            let first_time = if mutated("undo_has_its_own_first_time") { issued.at } else { step.call.first_time };
            step.undo = Some(call(order, issued, first_time));
        }
        (true, None) => {
            let step = expect(saga, issued.step, &[UndoAsked, UndoRetryWaiting], event)?;
            step.state = UndoAsked;
            let undo = step.undo.as_mut().expect("a step whose undo was asked has one");
            (undo.attempt, undo.due_at) = (issued.attempt, issued.due_at);
        }
    }
    Ok(())
}

fn call(order: &Order, issued: &CommandIssued, first_time: i64) -> Call {
    Call {
        command: order.command.clone(),
        body: order.body.clone(),
        encoding: order.encoding,
        envelope: order.envelope,
        attempt: issued.attempt,
        first_time,
        due_at: issued.due_at,
        until: order.until,
    }
}

fn schedule(saga: &mut Saga, retry: &RetryScheduled, event: &SagaEvent) -> Result<(), IllegalEvent> {
    let asked = if retry.undo { StepState::UndoAsked } else { StepState::Asked };
    let step = expect(saga, retry.step, &[asked], event)?;
    (step.code, step.message) = (retry.code.clone(), retry.message.clone());
    if retry.undo {
        step.state = StepState::UndoRetryWaiting;
        step.undo.as_mut().expect("a step whose undo was asked has one").due_at = retry.due_at;
    } else {
        step.state = StepState::RetryWaiting;
        if !mutated("retry_at_once") {
            step.call.due_at = retry.due_at;
        }
    }
    Ok(())
}

fn get_stuck(saga: &mut Saga, stuck: &StepStuck, event: &SagaEvent) -> Result<(), IllegalEvent> {
    use StepState::{Asked, Contradicted, Failed, RetryWaiting, Succeeded, UndoAsked, UndoRetryWaiting, UndoStuck};
    let place = saga.steps.iter().position(|step| step.index == stuck.step);
    let Some(place) = place else {
        // Nothing was issued: an emission at the end, or a step whose command could not be rendered.
        let reason = Failure {
            code: stuck.code.clone(),
            step: stuck.name.clone(),
            kind: FailureKind::Error,
            message: stuck.message.clone(),
        };
        saga.stuck_at_end = Some(reason);
        return Ok(());
    };
    let legal: &[StepState] = if stuck.undo {
        &[UndoAsked, UndoRetryWaiting, Succeeded, Failed, Contradicted, UndoStuck]
    } else {
        &[Asked, RetryWaiting, Succeeded, StepState::Stuck]
    };
    if !legal.contains(&saga.steps[place].state) {
        return Err(illegal(saga, event));
    }
    let step = &mut saga.steps[place];
    step.state = if stuck.undo { UndoStuck } else { StepState::Stuck };
    (step.code, step.message) = (stuck.code.clone(), stuck.message.clone());
    Ok(())
}

/// A finished saga's row stays small: it is the duplicate guard. A refused step keeps its body, since a contradicting answer may
/// still have to be undone.
fn end(saga: &mut Saga, status: Status, ended: &Ended) {
    saga.status = status;
    saga.ended_at = ended.at;
    saga.expires_at = ended.expires_at;
    let contradictable = saga.steps.iter().any(|step| step.state == StepState::Refused);
    let forget_refused = mutated("ended_row_forgets_refused_body");
    if !contradictable {
        saga.start = Bytes::new();
    }
    for step in &mut saga.steps {
        if !contradictable {
            step.result = None;
            step.result_schema = 0;
        }
        if step.state != StepState::Refused || forget_refused {
            step.call.body = Bytes::new();
        }
        if let Some(undo) = &mut step.undo {
            undo.body = Bytes::new();
        }
    }
}

fn expect<'a>(saga: &'a mut Saga, index: i32, legal: &[StepState], event: &SagaEvent) -> Result<&'a mut Step, IllegalEvent> {
    let place = saga.steps.iter().position(|step| step.index == index && legal.contains(&step.state));
    match place {
        Some(place) => Ok(&mut saga.steps[place]),
        None => Err(illegal(saga, event)),
    }
}

fn illegal(saga: &Saga, event: &SagaEvent) -> IllegalEvent {
    let steps: Vec<String> = saga.steps.iter().map(|step| format!("{} {}", step.name, step.state)).collect();
    IllegalEvent { saga: saga.id(), state: format!("{}; {}", saga.status, steps.join(", ")), event: format!("{event:?}") }
}

fn illegal_without_saga(event: &SagaEvent) -> IllegalEvent {
    IllegalEvent { saga: "a saga".into(), state: "not started".into(), event: format!("{event:?}") }
}
