//! A wait: an event of others; and what takes events beside it. One that comes before it is waited for is kept, also before there is a saga.

use std::sync::Arc;

use ringmaster_schemas::Data;
use ringmaster_schemas::journal::{FailureKind, KeptEvent, Opens, Phase, Place, RejectionReason as Reason, SagaEvent, TakenEvent};
use ringmaster_schemas::state::{Detail, Entry, Status, Waits, Work};

use super::super::answer::is_too_big;
use super::super::decide::Draft;
use super::super::flow::Way;
use super::super::passed::is_behind;
use super::super::{EARLY_MAX, EventInput, Rejection};
use crate::definition::{ExpressionError, Listener, Verb};
use crate::faults::mutated;

impl Draft<'_> {
    /// It begins to wait; an event that came before is taken at once.
    pub(in super::super) fn wait(&mut self, number: u16) -> Way {
        let value = match self.value_of(number) {
            Ok(value) => value,
            Err(error) => return self.fails_to_begin(number, &error),
        };
        let until = self.definition.nodes[usize::from(number)].until(self.now);
        let (place, round) = (self.next_place(), self.round(number));
        self.happen(SagaEvent::Entered { place, node: number, round, opens: Opens::Wait { until } });
        match value {
            Some(name) => self.claims(place, name),
            None => self.takes_early(place),
        }
    }

    /// What listens to an event takes one that came before, at once.
    pub(super) fn takes_early(&mut self, place: Place) -> Way {
        let Some((_, listener)) = self.listener_of(place) else { return Way::Rest };
        let is_meant = |event: &&Arc<KeptEvent>| event.topic == listener.topic && event.kind == listener.event;
        let early: Vec<Arc<KeptEvent>> = self.saga().early().iter().filter(is_meant).cloned().collect();
        for event in early {
            match self.fits(place, event.data.bytes()) {
                Ok(false) => {}
                Ok(true) => return self.takes(place, (&event.source, &event.data), true),
                Err(error) => return self.cannot_tell(place, &error),
            }
        }
        Way::Rest
    }

    /// An event came for this saga.
    pub(in super::super) fn event(&mut self, event: &EventInput) -> Result<(), Rejection> {
        let listener = &self.definition.listeners[usize::from(event.listener)];
        if listener.cancels {
            return self.cancel(&format!("cancelled by {}", event.source));
        }
        if self.knows(&event.source) && !mutated("event_taken_twice") {
            return Err(Rejection::new(Reason::Duplicate, format!("the same event came before: {}", event.source)));
        }
        if self.saga().status != Status::Running {
            return Ok(());
        }
        let is_for = |place: &Place| self.listener_of(*place).is_some_and(|(number, _)| number == event.listener);
        let mut waiting: Vec<Place> = (0..self.next_place()).filter(|place| is_for(place) && self.takes_events(*place)).collect();
        if mutated("event_to_second_wait") {
            waiting.reverse();
        }
        for place in waiting {
            match self.fits(place, event.data.bytes()) {
                Ok(false) => {}
                Ok(true) => {
                    let way = self.takes(place, (&event.source, &event.data), false);
                    self.go(way);
                    return Ok(());
                }
                // What needs a person does so whatever comes.
                Err(_) if self.entry(place).waits == Waits::Stuck => {}
                Err(error) => {
                    let way = self.cannot_tell(place, &error);
                    self.go(way);
                    return Ok(());
                }
            }
        }
        if !self.may_come(event) {
            return Ok(());
        }
        let kept = KeptEvent {
            topic: listener.topic.clone(),
            kind: listener.event.clone(),
            source: event.source.clone(),
            until: self.now.saturating_add(listener.keep_ms),
            schema: 0,
            data: event.data.clone(),
        };
        self.keep(Arc::new(kept))
    }

    /// An event came before there is a saga.
    pub(in super::super) fn expect(&mut self, event: &Arc<KeptEvent>) -> Result<(), Rejection> {
        if self.row.as_ref().is_some_and(|row| row.early().iter().any(|known| known.source == event.source)) {
            return Err(Rejection::new(Reason::Duplicate, format!("the same event came before: {}", event.source)));
        }
        self.keep(event.clone())
    }

    fn keep(&mut self, event: Arc<KeptEvent>) -> Result<(), Rejection> {
        let early = self.row.as_ref().map_or(0, |row| row.early().len());
        let held = if self.row.is_some() { self.held_bytes() } else { 0 };
        let bytes = event.data.bytes().len();
        if early >= EARLY_MAX || is_too_big(held, bytes) {
            let detail = format!(
                "an event of {bytes} bytes, {early} events and {held} bytes wait already: at most {EARLY_MAX} events, and as many bytes as a row may hold"
            );
            return Err(Rejection::new(Reason::TooManyEarly, detail));
        }
        self.happen(SagaEvent::EventKept { event });
        Ok(())
    }

    /// What listens for the entry at a place.
    fn listener_of(&self, place: Place) -> Option<(u16, &'_ Listener)> {
        let (listener, _) = self.definition.node(self.entry(place).node)?.verb.listens()?;
        Some((listener, &self.definition.listeners[usize::from(listener)]))
    }

    /// True if the event of this identity was taken, or is kept.
    pub(super) fn knows(&self, source: &Arc<str>) -> bool {
        let took = |entry: &Entry| matches!(entry.detail(), Some(Detail::Taken { source: taken }) if taken == source);
        self.saga().entries.iter().any(took) || self.saga().early().iter().any(|event| event.source == *source)
    }

    /// It waits, or its time is over and a person is needed: what was wanted is taken late, too. Of an approval no answer is.
    pub(super) fn takes_events(&self, place: Place) -> bool {
        let entry = self.entry(place);
        let is_wait = matches!(self.definition.nodes[usize::from(entry.node)].verb, Verb::Wait(_));
        let is_late = is_wait && entry.waits == Waits::Stuck && matches!(entry.work, Work::Nothing | Work::Refused);
        matches!(entry.waits, Waits::Event | Waits::Approval) || (is_late && self.halted(place).is_none())
    }

    pub(super) fn fits(&self, place: Place, event: &[u8]) -> Result<bool, ExpressionError> {
        self.fits_node(self.entry(place).node, event)
    }

    /// Whether the event is the one that a node would wait for, as things are now.
    fn fits_node(&self, number: u16, event: &[u8]) -> Result<bool, ExpressionError> {
        let Some((_, Some(condition))) = self.definition.nodes[usize::from(number)].verb.listens() else { return Ok(true) };
        if mutated("event_taken_whatever_it_says") {
            return Ok(true);
        }
        self.values.condition(super::super::values::View { event: Some(event), ..self.view(number) }, condition)
    }

    /// Takes an event. `early`: it is one that was kept.
    pub(super) fn takes(&mut self, place: Place, (source, data): (&Arc<str>, &Data), early: bool) -> Way {
        if self.entry(place).waits == Waits::Approval {
            return self.answered(place, (source, data), early);
        }
        let node = &self.definition.nodes[usize::from(self.entry(place).node)];
        let held = self.held_bytes();
        let data = Some(data).filter(|_| !early && node.kept().is_some());
        let size = data.map_or(0, |data| data.bytes().len());
        let too_big = is_too_big(held, size);
        let result = data.filter(|_| !too_big).cloned();
        let event = Arc::new(TakenEvent { source: source.clone(), early, result });
        self.happen(SagaEvent::EventTaken { place, event, passes: node.passes });
        self.with_result(place, held, size, too_big)
    }

    /// Whether the event is the one cannot be told.
    pub(super) fn cannot_tell(&mut self, place: Place, error: &ExpressionError) -> Way {
        let node = &self.definition.nodes[usize::from(self.entry(place).node)];
        if node.phase == Phase::Compensatable {
            let failure = self.failure_at(place, FailureKind::Error, error.code, &error.to_string());
            self.happen(SagaEvent::Refused { place, failure });
            return Way::Settled(place);
        }
        self.stuck(place, FailureKind::Error, error.code, &error.to_string());
        Way::Rest
    }

    /// True if something may still come to wait for it: it stands before the saga, or may be tried again. Whether it is the one is asked
    /// then: what its condition reads may not be there yet.
    fn may_come(&self, event: &EventInput) -> bool {
        let listens = |verb: &Verb| verb.listens().is_some_and(|(number, _)| number == event.listener);
        let is_it = |node: &u16| !mutated("early_if_tested_too_soon") || self.fits_node(*node, event.data.bytes()) == Ok(true);
        let waits = (0..).zip(&self.definition.nodes).filter(|(_, node)| listens(&node.verb)).map(|(number, _)| number);
        let mut waits = waits.filter(is_it);
        let was_entered = |node: u16| self.saga().entries.iter().any(|entry| entry.node == node);
        let is_left = |node: u16| is_behind(self.definition, self.saga(), node);
        let is_retried = |node: &u16| self.definition.nodes[usize::from(*node)].is_retried() && !is_left(*node);
        waits.any(|wait| {
            let again = std::iter::once(wait).chain(self.definition.around(wait)).any(|around| is_retried(&around));
            again || (!was_entered(wait) && !is_left(wait))
        })
    }
}
