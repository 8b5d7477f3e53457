//! What waits for an event that is known by a value: it claims the value, and gives it back when it waits no more.

use std::sync::Arc;

use ringmaster_schemas::journal::{FailureKind, Place, RejectionReason as Reason, SagaEvent, ValueClaim, ValueName, ValueRelease};
use ringmaster_schemas::names::KEY_BYTES_MAX;
use ringmaster_schemas::state::{Detail, Waits};

use super::super::decide::Draft;
use super::super::flow::Way;
use super::super::{ClaimInput, ClaimNews, Rejection, code};
use crate::definition::ExpressionError;
use crate::faults::mutated;

impl Draft<'_> {
    /// The value that a node is about to claim; none if its event is not known by one.
    pub(super) fn value_of(&self, number: u16) -> Result<Option<ValueName>, ExpressionError> {
        let node = &self.definition.nodes[usize::from(number)];
        let (Some(expression), Some((listener, _))) = (node.verb.claims(), node.verb.listens()) else { return Ok(None) };
        let value = self.values.text(self.view(number), expression)?;
        if value.is_empty() || value.len() > KEY_BYTES_MAX {
            let message = format!("a value by which events are known has 1 to {KEY_BYTES_MAX} bytes, and this has {}", value.len());
            return Err(ExpressionError { code: "OUT_OF_RANGE", message, place: node.name.to_string() });
        }
        let listener = &self.definition.listeners[usize::from(listener)];
        let field = listener.matches.as_ref().expect("what is known by a value names the field").name.clone();
        Ok(Some(ValueName { topic: listener.topic.clone(), kind: listener.event.clone(), field, value: value.into() }))
    }

    /// What has begun to wait claims its value.
    pub(super) fn claims(&mut self, place: Place, name: ValueName) -> Way {
        // What waited before in this row gives its value back first: it may be the same.
        self.release_values();
        let waiting = self.saga().claims().iter().map(|claim| claim.place).filter(|place| self.needs_value(*place)).collect();
        let claim = Arc::new(ValueClaim { name, row: self.id.clone(), place, at: self.now, waiting });
        self.happen(SagaEvent::ValueClaimed { place, claim });
        Way::Rest
    }

    /// The value's partition writes.
    #[inline(never)]
    pub(in super::super) fn claim_news(&mut self, input: &ClaimInput) -> Result<(), Rejection> {
        let ClaimInput { place, at, news } = input;
        // A row of this id that waits since another time is another one.
        let Some(claim) = self.saga().claim_at(*place).filter(|claim| claim.at == *at) else { return Ok(()) };
        match news {
            ClaimNews::Granted if claim.granted => {}
            ClaimNews::Granted => {
                self.happen(SagaEvent::ValueGranted { place: *place });
                let way = self.has_value(*place);
                self.go(way);
            }
            // One that is granted is denied no more: this is of no claim that still stands.
            ClaimNews::Denied if claim.granted => {}
            ClaimNews::Denied => self.denied(*place),
            ClaimNews::Unreadable { source } if self.knows(source) || claim.passed.contains(source) => {}
            ClaimNews::Unreadable { source } => {
                self.happen(SagaEvent::EventPassed { place: *place, source: source.clone() });
            }
            ClaimNews::Event { source, data } => {
                let is_known = self.knows(source) || claim.passed.contains(source);
                if is_known && !mutated("matched_event_taken_twice") {
                    return Err(Rejection::new(Reason::Duplicate, format!("the same event came before: {source}")));
                }
                if self.halted(*place).is_none() && self.takes_events(*place) {
                    self.looks_at(*place, source, data);
                }
            }
        }
        Ok(())
    }

    /// Another one has the value: the claim is over, whatever becomes of the wait.
    fn denied(&mut self, place: Place) {
        let waits = matches!(self.entry(place).waits, Waits::Event | Waits::Approval);
        let name = &self.saga().claim_at(place).expect("it was looked at").name;
        let message = match self.is_claimed_alone(place) {
            true => format!("another saga of {} that has not ended has {}={}", name.kind, name.field, name.value),
            false => format!("{} is waited for with this {} already, by another step or saga", name.kind, name.field),
        };
        // Behind the pivot it needs a person then: by itself no event would ever come to it.
        if !mutated("denied_claim_stands") {
            self.release(place);
        }
        if !waits || self.halted(place).is_some() {
            return;
        }
        let failure = self.failure_at(place, FailureKind::Refused, code::VALUE_TAKEN, &message);
        self.happen(SagaEvent::Refused { place, failure });
        self.go(Way::Settled(place));
    }

    fn looks_at(&mut self, place: Place, source: &Arc<str>, data: &ringmaster_schemas::Data) {
        match self.fits(place, data.bytes()) {
            Ok(true) => {
                let way = self.takes(place, (source, data), false);
                self.go(way);
            }
            Ok(false) => self.happen(SagaEvent::EventPassed { place, source: source.clone() }),
            // It was looked at: whoever has the value next is not to fail by the same event.
            Err(error) => {
                if !mutated("event_nobody_can_tell_of_stays") {
                    self.happen(SagaEvent::EventPassed { place, source: source.clone() });
                }
                // What needs a person does so whatever comes.
                if self.entry(place).waits == Waits::Stuck {
                    return;
                }
                let way = self.cannot_tell(place, &error);
                self.go(way);
            }
        }
    }

    /// What waits no more gives its value back, with what it has looked at.
    #[inline(never)]
    pub(in super::super) fn release_values(&mut self) {
        let over = |place: Place| !self.needs_value(place);
        let all: Vec<Place> = self.row.iter().flat_map(|row| row.claims()).map(|claim| claim.place).collect();
        for place in all.into_iter().filter(|place| over(*place)).collect::<Vec<_>>() {
            self.release(place);
        }
    }

    fn release(&mut self, place: Place) {
        let claim = self.saga().claim_at(place).expect("it was looked at");
        let taken = match self.entry(place).detail() {
            Some(Detail::Taken { source }) => Some(source.clone()),
            _ => None,
        };
        let seen = claim.passed.iter().cloned().chain(taken).collect();
        let release = ValueRelease { name: claim.name.clone(), row: self.id.clone(), place, at: claim.at, seen };
        self.happen(SagaEvent::ValueReleased { place, release: Arc::new(release) });
    }
}
