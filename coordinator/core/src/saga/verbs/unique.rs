//! What of its search values a saga has alone: each is claimed before anything else begins, and given back when the saga has ended.

use std::sync::Arc;

use ringmaster_schemas::journal::{Opens, Place, SagaEvent, ValueName};
use ringmaster_schemas::state::{Waits, Work};

use super::super::decide::Draft;
use super::super::flow::Way;
use crate::definition::Verb;
use crate::faults::mutated;

impl Draft<'_> {
    /// The saga waits until it has the value; one that it does not have is nobody's.
    pub(in super::super) fn claim_alone(&mut self, number: u16, name: &Arc<str>) -> Way {
        let saga = self.saga();
        let value = saga.head.search().keys().find(|key| *key.name == **name && !key.value.is_empty());
        let Some(value) = value.map(|key| Arc::from(key.value)) else { return Way::Behind(number) };
        // No topic is called nothing: what waits for an event with this value claims another one.
        let name = ValueName { topic: "".into(), kind: self.definition.name.clone(), field: name.clone(), value };
        let until = self.definition.nodes[usize::from(number)].until(self.now);
        let (place, round) = (self.next_place(), self.round(number));
        self.happen(SagaEvent::Entered { place, node: number, round, opens: Opens::Wait { until } });
        let way = self.claims(place, name);
        if mutated("unique_started_before_answer") { self.has_value(place) } else { way }
    }

    /// It has the value that it claimed: where that is the saga's own, the saga goes on.
    pub(super) fn has_value(&mut self, place: Place) -> Way {
        let is_alone = self.is_claimed_alone(place) && self.entry(place).waits == Waits::Event;
        if !is_alone || self.halted(place).is_some() {
            return Way::Rest;
        }
        self.happen(SagaEvent::Succeeded { place, result: None, passes: false });
        Way::Settled(place)
    }

    /// What is claimed at a place is for the saga as a whole.
    pub(super) fn is_claimed_alone(&self, place: Place) -> bool {
        matches!(self.definition.nodes[usize::from(self.entry(place).node)].verb, Verb::Claim(_))
    }

    /// What did not come in time.
    pub(in super::super) fn not_in_time(&self, place: Place) -> &'static str {
        match self.is_claimed_alone(place) {
            true => "the value's partition did not answer in time",
            false => "the event did not come in time",
        }
    }

    /// What is claimed at a place is needed still: by what waits there, or by the saga.
    pub(super) fn needs_value(&self, place: Place) -> bool {
        if !self.is_claimed_alone(place) {
            return self.takes_events(place);
        }
        let is_held = self.entry(place).work == Work::Done && (!self.saga().ended() || mutated("unique_not_released"));
        is_held || self.entry(place).waits == Waits::Event
    }
}
