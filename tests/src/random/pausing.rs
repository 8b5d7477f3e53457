//! Sagas that a person pauses and resumes. Participants that are paused and resumed, or that are not asked for a while for their failures: what is parked for them goes out
//! one by one.

use std::sync::Arc;

use ringmaster_core::saga::{Act, Input};
use ringmaster_schemas::journal::{BreakerEvent, Place};
use ringmaster_schemas::names::step_of_round;
use ringmaster_schemas::state::{BreakerState, Status, Waits};

use super::run::World;
use super::turn::Reason;
use super::write::{self, PARTICIPANTS};

impl World<'_> {
    /// True if something waits for a participant that is not asked.
    pub(super) fn is_parked(&self) -> bool {
        self.stage.saga.as_ref().is_some_and(|saga| saga.parked())
    }

    /// The place of something that is parked, now and then.
    pub(super) fn any_parked(&mut self) -> Option<Place> {
        let entries = self.stage.saga.iter().flat_map(|saga| &saga.entries).zip(0..);
        let parked = entries.filter(|(entry, _)| entry.waits == Waits::Parked).map(|(_, place)| place);
        let place = self.random.choice(parked.collect::<Vec<Place>>());
        place.filter(|_| self.random.bool())
    }

    /// What came would have caused more than a record holds.
    pub(super) fn too_big(&mut self) {
        self.count("turns that were too big");
        if let Some(place) = self.any_parked() {
            let too_big = Input::TooBig { bytes: None, step: None, place: Some(place) };
            let _ = self.turn(&too_big, format!("what is parked at {place} is too big to go out"));
            return;
        }
        let too_big = Input::TooBig { bytes: Some(2_000_000), step: None, place: None };
        let _ = self.turn(&too_big, "what came next is too big".to_owned());
    }

    /// A person pauses the saga, or resumes it; now and then where that cannot be.
    pub(super) fn pause_saga(&mut self) {
        let Some(saga) = &self.stage.saga else { return };
        let (is_paused, status) = (saga.paused().is_some(), saga.status);
        let resumes = is_paused != (self.random.u32(0..8) == 0);
        let act = if resumes { Act::Resume } else { Act::Pause };
        let expected = match status {
            Status::Expected | Status::Swept => return,
            Status::Completed | Status::Compensated => Err(Reason::Ended),
            Status::Compensating => Err(Reason::Undoing),
            Status::Running if resumes == is_paused => Ok(()),
            Status::Running => Err(Reason::NotPossible),
        };
        let taken = self.acts(act, None, None);
        self.count(if resumes { "sagas that were resumed" } else { "sagas that were paused" });
        if taken != expected {
            self.faults
                .push(format!("acts: a saga that is {status}, paused: {is_paused}, and to be resumed: {resumes}, says {taken:?}"));
        }
    }

    /// A participant is paused, or what is parked for it goes out; now and then just one of that, as a probe, or what is not parked.
    pub(super) fn pause(&mut self) {
        let name: Arc<str> = PARTICIPANTS[self.random.usize(..PARTICIPANTS.len())].into();
        match self.stage.breakers.get(&name).map(|breaker| breaker.state) {
            None => {
                self.count("pauses");
                let by = self.random.bool().then(|| "ann".into());
                self.breaks(&name, &BreakerEvent::Opened { by, why: "it is not asked now".into() });
            }
            Some(BreakerState::Open | BreakerState::Paused) => match self.random.u32(0..4) {
                0 => self.breaks(&name, &BreakerEvent::Draining { by: None, why: "it is asked again".into() }),
                1 => self.let_go_any(),
                _ => self.let_go_one(&name),
            },
            Some(BreakerState::Draining) if self.random.u32(0..8) == 0 => {
                self.breaks(&name, &BreakerEvent::Opened { by: None, why: "it failed again".into() });
            }
            Some(BreakerState::Draining) => self.drain(&name),
        }
    }

    /// What is found done then is undone late: rare by itself, and easily got wrong.
    pub(super) fn pause_before_undo(&mut self, step: &str) {
        let name: Arc<str> = write::participants(step_of_round(step)).1.into();
        if self.pauses > 0.0 && self.stage.breakers.get(&name).is_none() && self.random.bool() {
            self.breaks(&name, &BreakerEvent::Opened { by: None, why: "it is not asked now".into() });
        }
    }

    /// In a calm world all are asked again, and what is parked goes out, one a turn; false if nothing is left to do.
    pub(super) fn resume_all(&mut self) -> bool {
        if self.stage.saga.as_ref().is_some_and(|saga| saga.paused().is_some()) {
            let _ = self.acts(Act::Resume, None, None);
            return true;
        }
        let Some(name) = self.stage.breakers.iter().map(|(name, _)| name.clone()).next() else { return false };
        self.drain(&name);
        true
    }

    /// What waits for a participant goes out, the lowest rank first; it is asked as ever when nothing does.
    fn drain(&mut self, name: &Arc<str>) {
        match self.stage.first_parked(name) {
            Some(place) => self.let_go(place),
            None => self.breaks(name, &BreakerEvent::Closed { why: "nothing is parked".into() }),
        }
    }

    fn let_go_one(&mut self, name: &Arc<str>) {
        if let Some(place) = self.stage.first_parked(name) {
            self.count("probes");
            self.let_go(place);
        }
    }

    /// Any entry: it is parked no more, or never was.
    fn let_go_any(&mut self) {
        let entries = self.stage.saga.as_ref().map_or(0, |saga| saga.entries.len());
        let place = self.random.usize(..=entries);
        self.let_go(place as Place);
    }

    fn let_go(&mut self, place: Place) {
        let _ = self.turn(&Input::Unpark(place), format!("what is parked at {place} goes out"));
    }

    fn breaks(&mut self, name: &Arc<str>, event: &BreakerEvent) {
        self.stage.breakers.apply(name, event, self.stage.now);
        let from = self.stage.history.len();
        self.turns.push(super::run::Told { at: self.stage.now, came: format!("{name}: {event:?}"), from, rejected: None });
    }
}
