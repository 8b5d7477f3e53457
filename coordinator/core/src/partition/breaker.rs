//! Participants' breakers: who is not asked now, by whose doing and why. Every opening and closing is a turn of its own, so that each
//! replay parks what was parked.

use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{BreakerChange, BreakerEvent, Cause, FailureKind, RejectionReason, SagaEvent};
use ringmaster_schemas::names::reader_of;
use ringmaster_schemas::state::{BreakerState, Saga, Waits, Work};

use super::input::rejected;
use super::owner::Owner;
use super::turn::Turn;
use super::{Context, Note, Wish};
use crate::definition::{Definition, Undo};
use crate::intake::{ParticipantAct, ParticipantRecord};
use crate::saga::{Effect, Rejection};

impl Owner {
    /// Something becomes of a breaker by itself.
    pub(super) fn breaker(&mut self, participant: &Arc<str>, event: BreakerEvent, cx: &mut Context<'_>) {
        self.push_small(Turn::of(Cause::Upkeep {}).breaker(participant, event), cx);
    }

    /// A turn says so: it is true ahead of the turn's confirmation.
    pub(super) fn set_breaker(&mut self, change: &BreakerChange, at: Millis, cx: &mut Context<'_>) {
        let BreakerChange { participant, event } = change;
        let was_closed = self.ahead.breakers.get(participant).is_none();
        self.ahead.breakers.apply(participant, event, at);
        self.book.forget(participant);
        cx.counters.breakers += u64::from(matches!(event, BreakerEvent::Opened { .. }));
        match self.ahead.breakers.get(participant) {
            None => self.drains.end(participant),
            Some(breaker) => {
                let probe_at = cx.steady.saturating_add(self.settings.breaker.probe_ms);
                self.drains.begin(participant, breaker, was_closed, probe_at);
            }
        }
        let (participant, event) = (participant.clone(), event.clone());
        cx.out.push(Wish::Tell(Note::Breaker { participant, event }));
    }

    /// Opens the breakers of those that answer badly.
    pub(super) fn trip(&mut self, cx: &mut Context<'_>) {
        for (participant, why) in self.book.take_tripped() {
            let state = self.ahead.breakers.get(&participant).map(|breaker| breaker.state);
            if matches!(state, None | Some(BreakerState::Draining)) {
                self.breaker(&participant, BreakerEvent::Opened { by: None, why }, cx);
            }
        }
    }

    /// True if what this participant does may open its breaker.
    fn is_counted(&self, participant: &str) -> bool {
        let breaker = self.ahead.breakers.get(participant);
        self.settings.breaker.on && breaker.is_none_or(|breaker| breaker.state == BreakerState::Draining)
    }

    /// Notes if the wall clock has jumped: before anything runs out by that, and before a time is taken by which it would be forgotten.
    pub(super) fn note_jump(&mut self, cx: &Context<'_>) {
        self.book.jumped(self.clock.jumped(cx.clocks()), &self.settings.breaker);
    }

    /// A time of the partition by the steady clock. Where the wall clock has jumped since, it is off by as much: what was asked before
    /// that does not count.
    fn steady_of(&self, at: Millis, cx: &Context<'_>) -> Millis {
        cx.steady - (self.clock.time(cx.clocks()) - at)
    }

    /// Notes what participants are asked by what goes out in a turn at this time.
    pub(super) fn note_asked(&mut self, effects: &[Effect], at: Millis, cx: &Context<'_>) {
        if !self.settings.breaker.on {
            return;
        }
        for participant in effects.iter().filter_map(|effect| reader_of(&effect.topic)) {
            if self.is_counted(participant) {
                self.book.asked(participant, self.steady_of(at, cx), &self.settings.breaker);
            }
        }
    }

    /// Notes how participants answered: what these events say of what was asked of them before.
    pub(super) fn note_answers(&mut self, definition: &Definition, before: &Saga, events: &[SagaEvent], cx: &Context<'_>) {
        if !self.settings.breaker.on && self.ahead.breakers.is_empty() {
            return;
        }
        // What a person says is no answer.
        if matches!(events.first(), Some(SagaEvent::Acted { .. })) {
            return;
        }
        let now = self.turn_time(cx);
        for event in events {
            let (place, failure) = match event {
                SagaEvent::Succeeded { place, .. } | SagaEvent::Refused { place, .. } | SagaEvent::Undone { place } => {
                    (*place, None)
                }
                SagaEvent::RetryScheduled { place, failure, .. }
                | SagaEvent::Failed { place, failure }
                | SagaEvent::Stuck { place, failure }
                | SagaEvent::Parked { place, failure: Some(failure), .. } => (*place, Some(failure)),
                _ => continue,
            };
            let Some(entry) = before.entry(place).filter(|entry| entry.open()) else { continue };
            let Some(step) = definition.step(entry.node) else { continue };
            let well = match failure {
                None => true,
                Some(failure) if *failure.step != *step.node.name => continue,
                Some(failure) => match failure.kind {
                    FailureKind::Refused => true,
                    FailureKind::Failed | FailureKind::Expired => false,
                    FailureKind::Deadline | FailureKind::Cancelled | FailureKind::Error => continue,
                },
            };
            let participant = match (&step.asks.undo, entry.work) {
                (Undo::Command { call, .. }, Work::UndoAsked) => &call.participant,
                _ => &step.asks.call.participant,
            };
            let settings = &self.settings.breaker;
            let sent = (entry.waits == Waits::Reply).then_some(entry.since);
            if self.is_counted(participant) {
                let sent = sent.map(|sent| self.steady_of(sent, cx));
                self.book.ended(participant, well, (sent, cx.steady), settings);
            }
            self.drains.note(participant, well.then_some(settings.drain_max), (&before.id, place), (sent, now));
        }
    }

    /// What a person does to a participant.
    pub(super) fn act_on_participant<'a>(&self, act: &ParticipantRecord<'_>, turn: Turn<'a>, cx: &Context<'_>) -> Turn<'a> {
        let participant: Arc<str> = (&*act.participant).into();
        let not_possible = |detail: String| {
            let rejection = Rejection { reason: RejectionReason::NotPossible, detail };
            rejected(&participant, rejection)
        };
        let breaker = self.ahead.breakers.get(&participant);
        let known = cx.catalog.participants();
        if breaker.is_none() && !known.contains(&participant) {
            return turn.with(not_possible(format!("no saga asks '{participant}'; there are {}", known.join(", "))));
        }
        let (by, why) = (act.by(), act.why());
        match (act.act, breaker) {
            (ParticipantAct::Pause, Some(breaker)) if breaker.state == BreakerState::Paused => {
                let who = breaker.by.as_deref().unwrap_or("somebody");
                turn.with(not_possible(format!("{who} paused it already: {}", breaker.why)))
            }
            (ParticipantAct::Pause, _) => turn.breaker(&participant, BreakerEvent::Opened { by: Some(by), why }),
            (ParticipantAct::Resume, None) => turn.with(not_possible("it is not paused: it is asked".to_owned())),
            (ParticipantAct::Resume, Some(breaker)) if breaker.state == BreakerState::Draining => {
                turn.with(not_possible("it is resumed already: what was parked goes out little by little".to_owned()))
            }
            (ParticipantAct::Resume, Some(_)) => turn.breaker(&participant, BreakerEvent::Draining { by: Some(by), why }),
        }
    }
}
