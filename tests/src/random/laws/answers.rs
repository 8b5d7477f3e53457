//! The table of answers: what an answer means follows from what is known of its entry, and from nothing else.

use ringmaster_core::definition::{Definition, Do, Undo};
use ringmaster_core::saga::{Outcome, Rejection, ReplyInput, code};
use ringmaster_schemas::journal::{Phase, RejectionReason as Reason, SagaEvent};
use ringmaster_schemas::names::Direction;
use ringmaster_schemas::state::{Entry, Saga, Waits, Work};

use crate::laws::is_undone_with;
use crate::stories::Happened;

/// What must come first of an answer.
#[derive(Debug, PartialEq)]
enum Expected {
    Succeeded,
    Refused,
    Contradiction,
    Undone,
    Stuck,
    /// Asked again later, or given up.
    AttemptEnded,
    Rejected(Reason),
}

/// An answer is taken, or rejected, as the table says.
pub(super) fn answer(
    definition: &Definition,
    before: &Saga,
    reply: &ReplyInput,
    taken: &Result<usize, Rejection>,
    happened: &[Happened],
) -> Option<String> {
    let asked = |entry: &&Entry| entry.order.as_ref().is_some_and(|order| order.step() == &*reply.step);
    let Some(entry) = before.entries.iter().find(asked) else {
        let never = matches!(taken, Err(rejection) if rejection.reason == Reason::NeverAsked);
        return (!never).then(|| format!("answers: {} was never asked, and is answered", reply.step));
    };
    let asks = definition.step(entry.node)?.asks;
    let expected = match reply.direction {
        Direction::Do => to_do(entry, asks, reply),
        Direction::Undo => to_undo(entry, reply),
    };
    let first = happened.first().map(|happened| &happened.event);
    let fits = match (&expected, taken, first) {
        (Expected::Rejected(reason), Err(rejection), _) => rejection.reason == *reason,
        (Expected::Succeeded, Ok(_), Some(SagaEvent::Succeeded { result, .. })) => {
            matches!(&reply.outcome, Outcome::Succeeded { result: given } if given == result)
        }
        (Expected::Refused, Ok(_), Some(SagaEvent::Refused { .. }))
        | (Expected::Contradiction, Ok(_), Some(SagaEvent::ContradictionFound { .. }))
        | (Expected::Undone, Ok(_), Some(SagaEvent::Undone { .. }))
        | (Expected::Stuck, Ok(_), Some(SagaEvent::Stuck { .. })) => true,
        (Expected::AttemptEnded, Ok(_), Some(event)) => {
            return attempt_ended(definition, before, entry, reply, event);
        }
        _ => false,
    };
    (!fits).then(|| format!("answers: {expected:?} was expected of {:?} where it is {}, not {first:?}", reply.outcome, entry.work))
}

fn to_do(entry: &Entry, asks: &Do, reply: &ReplyInput) -> Expected {
    let undoes = matches!(asks.undo, Undo::Command { .. });
    match (entry.work, &reply.outcome) {
        (Work::Asked, Outcome::Succeeded { .. }) => Expected::Succeeded,
        (Work::Asked, Outcome::Refused { .. }) => Expected::Refused,
        (Work::Asked, Outcome::Failed { .. }) if is_open(entry, reply) => Expected::AttemptEnded,
        (Work::Refused, Outcome::Succeeded { .. }) if entry.waits == Waits::Stuck => Expected::Succeeded,
        (Work::Refused, Outcome::Succeeded { .. }) if undoes => Expected::Contradiction,
        (Work::Refused, Outcome::Succeeded { .. }) | (Work::Done, Outcome::Refused { .. }) => {
            Expected::Rejected(Reason::ContradictingReply)
        }
        (Work::Done, Outcome::Succeeded { .. }) | (Work::Refused, Outcome::Refused { .. }) => {
            Expected::Rejected(Reason::RepeatedReply)
        }
        (Work::Failed | Work::UndoAsked | Work::Undone, Outcome::Succeeded { .. } | Outcome::Refused { .. }) => {
            Expected::Rejected(Reason::LateReply)
        }
        (Work::Nothing | Work::Closed | Work::Open | Work::Undoing, _) => Expected::Rejected(Reason::NeverAsked),
        (_, Outcome::Failed { .. }) => Expected::Rejected(Reason::StaleAttempt),
    }
}

fn to_undo(entry: &Entry, reply: &ReplyInput) -> Expected {
    match (entry.work, &reply.outcome) {
        (Work::UndoAsked, Outcome::Succeeded { .. }) => Expected::Undone,
        (Work::UndoAsked, Outcome::Refused { .. }) if entry.waits != Waits::Stuck => Expected::Stuck,
        (Work::UndoAsked, Outcome::Failed { .. }) if is_open(entry, reply) => Expected::AttemptEnded,
        (Work::UndoAsked | Work::Undone, Outcome::Failed { .. }) => Expected::Rejected(Reason::StaleAttempt),
        (Work::Undone, Outcome::Succeeded { .. }) | (Work::UndoAsked, Outcome::Refused { .. }) => {
            Expected::Rejected(Reason::RepeatedReply)
        }
        (Work::Undone, Outcome::Refused { .. }) => Expected::Rejected(Reason::ContradictingReply),
        _ => Expected::Rejected(Reason::NeverAsked),
    }
}

fn is_open(entry: &Entry, reply: &ReplyInput) -> bool {
    entry.waits == Waits::Reply && i32::from(entry.attempt) == reply.attempt
}

/// A failure that may pass is tried again while attempts are left and nothing undoes, whatever its participant's breaker says; else it is
/// given up: failed where it can be undone, stuck elsewhere.
fn attempt_ended(definition: &Definition, before: &Saga, entry: &Entry, reply: &ReplyInput, event: &SagaEvent) -> Option<String> {
    let step = definition.step(entry.node)?;
    let Outcome::Failed { code: said, retryable, .. } = &reply.outcome else { return None };
    let retry = match (&step.asks.undo, reply.direction) {
        (Undo::Command { retry, .. }, Direction::Undo) => retry,
        _ => &step.asks.retry,
    };
    let left = retry.attempts.is_none_or(|most| u32::from(entry.counted_attempt()) < most);
    let forward = reply.direction == Direction::Do;
    let place = before.entries.iter().position(|other| std::ptr::eq(other, entry))?;
    let may_pass = *retryable && !retry.not_on.contains(said) && !(forward && is_undone_with(definition, before, place));
    let may = may_pass && left;
    let guessed = forward && step.node.phase == Phase::Compensatable && &**said != code::TOO_OLD;
    let fits = match event {
        SagaEvent::RetryScheduled { .. } => may,
        // Its time is over.
        SagaEvent::Failed { failure, .. } => guessed && (!may || &*failure.code == code::EXPIRED),
        SagaEvent::Stuck { failure, .. } => !guessed && (!may || &*failure.code == code::EXPIRED),
        _ => false,
    };
    (!fits).then(|| format!("answers: {:?} of attempt {} makes {event:?}", reply.outcome, entry.attempt))
}
