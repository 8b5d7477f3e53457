//! Parking: what would be asked of a participant whose breaker is not closed waits, and no clock of its saga runs meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{BreakerEvent, Failure, FailureKind, Place, SagaEvent};
use ringmaster_schemas::names::{Direction, participant_of};
use ringmaster_schemas::state::{Breaker, BreakerState, Entry, Waits, Work};

use super::attempts::Policy;
use super::decide::Draft;
use super::{ATTEMPTS_MAX, code};
use crate::faults::mutated;

/// The breakers of a partition that are not closed, by participant. Nearly always there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Breakers(BTreeMap<Arc<str>, Breaker>);

impl Breakers {
    /// True if nothing may be asked of this participant but what is let go from what is parked; its name, to be shared.
    pub fn parks(&self, participant: &str) -> Option<&Arc<str>> {
        if self.0.is_empty() { None } else { self.0.get_key_value(participant).map(|(name, _)| name) }
    }

    /// True if nothing is asked of this participant but probes: what fails meanwhile is held against no saga. While it drains a
    /// failure counts as ever, else what fails again and again would go round without end.
    pub fn is_out(&self, participant: &str) -> bool {
        let counts = |breaker: &Breaker| breaker.state == BreakerState::Draining && !mutated("failure_forgiven_while_draining");
        self.get(participant).is_some_and(|breaker| !counts(breaker))
    }

    /// The breaker of a participant, if it is not closed.
    pub fn get(&self, participant: &str) -> Option<&Breaker> {
        self.0.get(participant)
    }

    /// All of them, by participant.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Breaker)> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if all are closed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Makes true what happened to a breaker at this time.
    pub fn apply(&mut self, participant: &Arc<str>, event: &BreakerEvent, at: Millis) {
        self.set(participant, Breaker::after(event, at));
    }

    /// Sets a breaker as it is stored; none: it is closed.
    pub fn set(&mut self, participant: &Arc<str>, breaker: Option<Breaker>) {
        match breaker {
            Some(breaker) => self.0.insert(participant.clone(), breaker),
            None => self.0.remove(participant),
        };
    }
}

impl Draft<'_> {
    /// Whose breaker what would be asked of a participant waits for, if it must.
    pub(super) fn parks(&self, participant: &str) -> Option<Arc<str>> {
        self.breakers.parks(participant).filter(|_| !mutated("parked_participant_asked")).cloned()
    }

    /// The next attempt of what is asked waits, if its participant is not asked now. `failure`: how the last one ended, if that was
    /// just now.
    pub(super) fn park(&mut self, place: Place, failure: Option<Arc<Failure>>) -> bool {
        if self.breakers.is_empty() && !self.is_paused() {
            return false;
        }
        if self.withhold(place, failure.clone()) {
            return true;
        }
        let order = self.entry(place).order.as_ref().expect("what is asked has an order");
        let Some(participant) = self.parks(participant_of(order.command())) else { return false };
        if failure.is_some() && !self.breakers.is_out(&participant) {
            return false;
        }
        let direction = self.direction(place);
        self.happen(SagaEvent::Parked { place, direction, participant, failure });
        true
    }

    /// What is parked goes out, whatever its breaker says: it is its turn; not while its saga is paused. Nothing happens if it is not
    /// parked any more.
    pub(super) fn unpark(&mut self, place: Place) {
        let is_parked = |entry: &Entry| entry.waits == Waits::Parked;
        let first = self.saga().entries.iter().position(is_parked).map(|first| first as Place);
        let place = first.filter(|_| mutated("unpark_without_order")).unwrap_or(place);
        if self.saga().entry(place).is_some_and(is_parked) && !self.withhold_parked(place) {
            self.let_go(place);
        }
    }

    /// What was parked or withheld goes out.
    pub(super) fn let_go(&mut self, place: Place) {
        let entry = self.entry(place);
        match entry.work {
            Work::Nothing => {
                let way = self.issue_at(place, entry.node, entry.round);
                self.go(way);
            }
            Work::Asked | Work::UndoAsked => self.ask_parked(place),
            Work::Done | Work::Failed => self.undo_now(place),
            Work::Refused | Work::Undone | Work::Closed | Work::Open | Work::Undoing => unreachable!("it is never parked"),
        }
    }

    /// The same command under the same key; its time has stood while it was parked. Where it failed while nobody was asked there is enough
    /// for an attempt, and what a person asks for has all its time before it.
    fn ask_parked(&mut self, place: Place) {
        let policy = Policy::of(self.step_at(place), self.direction(place));
        let entry = self.entry(place);
        if entry.attempt == ATTEMPTS_MAX {
            return self.give_up(place, FailureKind::Failed, code::TIMEOUT, "it was asked as often as can be counted");
        }
        let parked_ms = if mutated("parked_clock_runs") { 0 } else { self.now - entry.since };
        let is_anew = entry.due_at > i64::from(entry.attempt);
        let least = if is_anew { self.now.saturating_add(policy.timeout_ms) } else { self.now };
        let left = self.until(place).saturating_add(parked_ms).max(least);
        let is_whole = entry.due_at == 0 && !mutated("parked_retry_without_budget");
        self.ask_anew(place, if is_whole { policy.until(self.now) } else { left });
    }

    /// An undo waits before it is even made, if its participant is not asked now.
    pub(super) fn park_undo(&mut self, place: Place, participant: &str) -> bool {
        let Some(participant) = self.parks(participant).filter(|_| !mutated("undo_not_parked")) else { return false };
        self.happen(SagaEvent::Parked { place, direction: Direction::Undo, participant, failure: None });
        true
    }
}
