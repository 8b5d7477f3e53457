//! What happened, to be counted once the record counts that says so.

use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Failure, FailureKind, Head, Opens, Order, Place, SagaEvent};
use ringmaster_schemas::names::Direction;
use ringmaster_schemas::state::{Saga, Waits, Work};
use smallvec::SmallVec;

use super::super::times::End;
use super::names::{Names, Number};
use crate::definition::ROOT;
use crate::faults::mutated;
use crate::saga::code;
use ringmaster_schemas::names::is_item;

/// One thing to be counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::partition) enum Tallied {
    /// Of sagas.
    Started,
    /// Its version, and how many milliseconds it took.
    Completed(Number, u32),
    Compensated(Number, u32),
    /// Of a participant's attempts.
    Asked(Number),
    Repeated(Number),
    /// How, and how many milliseconds after it was sent.
    Ended(Number, End, u32),
    /// An answer to an attempt that had ended.
    Late(Number),
    /// Of what is parked for it.
    Parked(Number),
    /// A step that ended: of which version, how many milliseconds after it began, which node, and whether that was its undo.
    Step(Number, u32, u16, bool),
    /// A step that began: of which version, and which node.
    StepBegan(Number, u16),
    /// A step that was refused: of which version, which node, and whether that was its undo.
    StepRefused(Number, u16, bool),
    /// The same of one that failed, and by which code.
    StepFailed(Number, u16, bool, Arc<str>),
}

/// How an attempt ended that did not succeed.
fn end_by(failure: &Failure) -> End {
    match failure.kind {
        FailureKind::Refused => End::Refused,
        FailureKind::Failed if *failure.code == *code::TIMEOUT => End::TimedOut,
        FailureKind::Failed => End::Failed,
        FailureKind::Expired => End::TimedOut,
        FailureKind::Deadline | FailureKind::Error | FailureKind::Cancelled => End::Dropped,
    }
}

/// The milliseconds from one time to another.
fn took(since: Millis, at: Millis) -> u32 {
    u32::try_from(at.saturating_sub(since).max(0)).unwrap_or(u32::MAX)
}

/// Events of a saga that is counted.
struct Tally<'a> {
    before: Option<&'a Saga>,
    /// Of a saga that begins in this turn.
    head: Option<&'a Head>,
    /// The version that it runs by, once that was asked for.
    version: Option<Number>,
    at: Millis,
    by_hand: bool,
    /// Something is stopped in this turn: what is given up from then on is so for another's failure.
    stopped: bool,
    /// Attempts of which the end was counted.
    ended: SmallVec<[Place; 2]>,
    /// Steps of which it was counted that they did not do it.
    not_done: SmallVec<[Place; 2]>,
    names: &'a mut Names,
    out: &'a mut Vec<Tallied>,
}

/// Adds what these events of a saga, as it was before them, are counted as; they happen at this time.
pub(in crate::partition) fn tally(
    (id, before, at): (&str, Option<&Saga>, Millis),
    events: &[SagaEvent],
    names: &mut Names,
    out: &mut Vec<Tallied>,
) {
    // What a person says is no answer.
    let by_hand = matches!(events.first(), Some(SagaEvent::Acted { .. }));
    let (ended, not_done) = (SmallVec::new(), SmallVec::new());
    let mut tally = Tally { before, head: None, version: None, at, by_hand, stopped: false, ended, not_done, names, out };
    for event in events {
        match event {
            SagaEvent::Started { head, .. } => {
                tally.head = Some(head);
                tally.out.extend((!is_item(id)).then_some(Tallied::Started));
            }
            SagaEvent::Completed { .. } | SagaEvent::Compensated { .. } if is_item(id) => {}
            SagaEvent::Completed { .. } | SagaEvent::Compensated { .. } => tally.ends(event),
            SagaEvent::Succeeded { place, .. }
            | SagaEvent::Refused { place, .. }
            | SagaEvent::Failed { place, .. }
            | SagaEvent::EventTaken { place, .. }
            | SagaEvent::Answered { place, .. }
            | SagaEvent::Undone { place } => {
                tally.step(*place);
                tally.outcome(event);
                tally.of_attempts(event);
            }
            SagaEvent::CommandIssued { node, .. } | SagaEvent::Entered { node, .. } | SagaEvent::Emitted { node, .. } => {
                tally.began(*node);
                tally.of_attempts(event);
            }
            SagaEvent::CompensationBegan { .. } | SagaEvent::ScopeStopped { .. } => tally.stopped = true,
            SagaEvent::Stuck { .. } => {
                tally.outcome(event);
                tally.of_attempts(event);
            }
            _ => tally.of_attempts(event),
        }
    }
}

impl<'a> Tally<'a> {
    /// It may begin and end in one turn.
    fn head(&self) -> Option<&'a Head> {
        self.head.or(self.before.map(|saga| &saga.head))
    }

    fn version(&mut self) -> Option<Number> {
        if self.version.is_none() {
            self.version = self.head().map(|head| self.names.version(head.version()));
        }
        self.version
    }

    fn ends(&mut self, event: &SagaEvent) {
        let (Some(version), Some(head)) = (self.version(), self.head()) else { return };
        let ms = took(head.started_at(), self.at);
        self.out.push(match event {
            SagaEvent::Completed { .. } => Tallied::Completed(version, ms),
            _ => Tallied::Compensated(version, ms),
        });
    }

    /// What was open at a place has ended.
    fn step(&mut self, place: Place) {
        let Some(entry) = self.before.and_then(|saga| saga.entry(place)).filter(|entry| entry.open()) else { return };
        let Some(version) = self.version() else { return };
        let is_undo = entry.work == Work::UndoAsked;
        // A first attempt is as old as what it waits for; and the order of an undo says when the step was asked first.
        let is_first = entry.attempt == 1 && entry.waits == Waits::Reply;
        let order = entry.order.as_ref().filter(|_| !is_undo && !is_first);
        let ms = took(order.map_or(entry.since, Order::first_time), self.at);
        self.out.push(Tallied::Step(version, ms, entry.node, is_undo));
    }

    /// A step begins; a saga as a whole is none.
    fn began(&mut self, node: u16) {
        if node != ROOT
            && let Some(version) = self.version()
        {
            self.out.push(Tallied::StepBegan(version, node));
        }
    }

    /// What was open at a place was refused, or failed: once a turn, since a reaction may say it again. What a person says of what is stuck
    /// is no answer; it failed when it became stuck.
    fn outcome(&mut self, event: &SagaEvent) {
        let (place, failure) = match event {
            SagaEvent::Failed { place, failure } | SagaEvent::Refused { place, failure } | SagaEvent::Stuck { place, failure } => {
                (*place, failure)
            }
            SagaEvent::Answered { place, answer, .. } => match &answer.failure {
                Some(failure) => (*place, failure),
                None => return,
            },
            _ => return,
        };
        let Some(entry) = self.before.and_then(|saga| saga.entry(place)).filter(|entry| entry.open()) else { return };
        let is_known = matches!(event, SagaEvent::Stuck { .. }) && entry.waits == Waits::Stuck;
        let by_hand = self.by_hand && entry.waits != Waits::Approval;
        let is_given_up = self.stopped && entry.work == Work::Asked;
        if by_hand || is_given_up || is_known || self.not_done.contains(&place) {
            return;
        }
        let Some(version) = self.version() else { return };
        self.not_done.push(place);
        let is_undo = entry.work == Work::UndoAsked;
        self.out.push(match failure.kind {
            FailureKind::Refused => Tallied::StepRefused(version, entry.node, is_undo),
            _ => Tallied::StepFailed(version, entry.node, is_undo, failure.code.clone()),
        });
    }

    fn of_attempts(&mut self, event: &SagaEvent) {
        match event {
            SagaEvent::CommandIssued { node, order, .. } => {
                let number = self.asks((*node, false), order);
                self.out.extend(number.map(Tallied::Asked));
            }
            SagaEvent::UndoIssued { place, order, .. } => {
                let number = self.node_at(*place).and_then(|node| self.asks((node, true), order));
                self.out.extend(number.map(Tallied::Asked));
            }
            SagaEvent::Retried { place, direction, order, .. } => {
                let is_undo = *direction == Direction::Undo;
                let number = self.node_at(*place).and_then(|node| self.asks((node, is_undo), order));
                self.out.extend(number.map(Tallied::Repeated));
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
            | SagaEvent::Withheld { place, failure: Some(failure) } => self.ended(*place, end_by(failure)),
            SagaEvent::Parked { place, participant, failure, .. } => {
                if let Some(failure) = failure {
                    self.ended(*place, end_by(failure));
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
        let entry = self.before?.entry(place)?;
        let version = self.version()?;
        self.names.asked_by(version, entry)
    }

    fn node_at(&self, place: Place) -> Option<u16> {
        self.before?.entry(place).map(|entry| entry.node)
    }

    /// Whom a node, or its undo, asks by this order.
    fn asks(&mut self, node: (u16, bool), order: &Order) -> Option<Number> {
        let version = self.version()?;
        Some(self.names.asked_at(version, node, order))
    }

    /// How what was asked at a place ended; an end says it once, whatever else follows from it in the same turn.
    fn ended(&mut self, place: Place, end: End) {
        let Some(entry) = self.before.and_then(|saga| saga.entry(place)) else { return };
        let is_first = !self.ended.contains(&place) || mutated("attempt_ends_twice_in_a_turn");
        let Some(number) = self.asked_at(place).filter(|_| is_first) else { return };
        if entry.waits == Waits::Reply {
            self.ended.push(place);
            let end = if self.by_hand { End::Dropped } else { end };
            self.out.push(Tallied::Ended(number, end, took(entry.since, self.at)));
        } else if end == End::Succeeded && !self.by_hand && matches!(entry.work, Work::Asked | Work::UndoAsked | Work::Refused) {
            self.ended.push(place);
            self.out.push(Tallied::Late(number));
        }
    }
}
