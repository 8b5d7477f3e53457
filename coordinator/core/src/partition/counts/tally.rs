//! What happened, to be counted once the record counts that says so.

use ringmaster_schemas::journal::{Failure, FailureKind, Opens, Place, SagaEvent};
use ringmaster_schemas::state::{Saga, Waits, Work};
use smallvec::SmallVec;

use super::facets::is_item;
use super::names::{Names, Number};
use crate::faults::mutated;
use crate::saga::code;

/// One thing to be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::partition) enum Tallied {
    /// Of sagas.
    Started,
    Completed,
    Compensated,
    /// Of a participant's attempts.
    Asked(Number),
    Repeated(Number),
    Ended(Number, End),
    /// An answer to an attempt that had ended.
    Late(Number),
    /// Of what is parked for it.
    Parked(Number),
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::partition) enum End {
    Succeeded,
    Refused,
    Failed,
    TimedOut,
    /// By a person, or by something that is not its participant's doing.
    Dropped,
}

impl End {
    /// Of one that ended without success.
    fn by(failure: &Failure) -> End {
        match failure.kind {
            FailureKind::Refused => End::Refused,
            FailureKind::Failed if *failure.code == *code::TIMEOUT => End::TimedOut,
            FailureKind::Failed => End::Failed,
            FailureKind::Expired => End::TimedOut,
            FailureKind::Deadline | FailureKind::Error | FailureKind::Cancelled => End::Dropped,
        }
    }
}

/// Events of a saga that is counted.
struct Tally<'a> {
    before: Option<&'a Saga>,
    by_hand: bool,
    /// Attempts of which the end was counted.
    ended: SmallVec<[Place; 2]>,
    names: &'a mut Names,
    out: &'a mut Vec<Tallied>,
}

/// Adds what these events of a saga, as it was before them, are counted as.
pub(in crate::partition) fn tally(
    (id, before): (&str, Option<&Saga>),
    events: &[SagaEvent],
    names: &mut Names,
    out: &mut Vec<Tallied>,
) {
    // What a person says is no answer.
    let by_hand = matches!(events.first(), Some(SagaEvent::Acted { .. }));
    let mut tally = Tally { before, by_hand, ended: SmallVec::new(), names, out };
    for event in events {
        match event {
            SagaEvent::Started { .. } | SagaEvent::Completed { .. } | SagaEvent::Compensated { .. } if is_item(id) => {}
            SagaEvent::Started { .. } => tally.out.push(Tallied::Started),
            SagaEvent::Completed { .. } => tally.out.push(Tallied::Completed),
            SagaEvent::Compensated { .. } => tally.out.push(Tallied::Compensated),
            _ => tally.of_attempts(event),
        }
    }
}

impl Tally<'_> {
    fn of_attempts(&mut self, event: &SagaEvent) {
        match event {
            SagaEvent::CommandIssued { order, .. } | SagaEvent::UndoIssued { order, .. } => {
                let number = self.names.asked(order.command());
                self.out.push(Tallied::Asked(number));
            }
            SagaEvent::Retried { order, .. } => {
                let number = self.names.asked(order.command());
                self.out.push(Tallied::Repeated(number));
            }
            SagaEvent::CommandRepeated { place, .. } => {
                let number = self.asked_at(*place);
                self.out.extend(number.map(Tallied::Repeated));
            }
            SagaEvent::Succeeded { place, .. } | SagaEvent::Undone { place } | SagaEvent::ContradictionFound { place, .. } => {
                self.ended(*place, End::Succeeded);
            }
            SagaEvent::Refused { place, failure }
            | SagaEvent::Failed { place, failure }
            | SagaEvent::Stuck { place, failure }
            | SagaEvent::RetryScheduled { place, failure, .. }
            | SagaEvent::Withheld { place, failure: Some(failure) } => self.ended(*place, End::by(failure)),
            SagaEvent::Parked { place, participant, failure, .. } => {
                if let Some(failure) = failure {
                    self.ended(*place, End::by(failure));
                }
                self.parked(participant);
            }
            SagaEvent::Entered { opens: Opens::Parked { participant }, .. } => self.parked(participant),
            _ => {}
        }
    }

    fn parked(&mut self, participant: &str) {
        let number = self.names.participant(participant);
        self.out.push(Tallied::Parked(number));
    }

    /// Whom the entry at a place had asked.
    fn asked_at(&mut self, place: Place) -> Option<Number> {
        let order = self.before?.entry(place)?.order.as_ref()?;
        Some(self.names.asked(order.command()))
    }

    /// How what was asked at a place ended; an end says it once, whatever else follows from it in the same turn.
    fn ended(&mut self, place: Place, end: End) {
        let Some(entry) = self.before.and_then(|saga| saga.entry(place)) else { return };
        let is_first = !self.ended.contains(&place) || mutated("attempt_ends_twice_in_a_turn");
        let Some(order) = entry.order.as_ref().filter(|_| is_first) else { return };
        let number = self.names.asked(order.command());
        if entry.waits == Waits::Reply {
            self.ended.push(place);
            let end = if self.by_hand { End::Dropped } else { end };
            self.out.push(Tallied::Ended(number, end));
        } else if end == End::Succeeded && !self.by_hand && matches!(entry.work, Work::Asked | Work::UndoAsked | Work::Refused) {
            self.ended.push(place);
            self.out.push(Tallied::Late(number));
        }
    }
}
