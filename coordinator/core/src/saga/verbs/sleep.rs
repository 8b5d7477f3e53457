//! A sleep: nothing happens until its time.

use ringmaster_schemas::journal::{Opens, Place, SagaEvent};
use ringmaster_schemas::state::Detail;

use super::super::decide::Draft;
use super::super::flow::Way;
use crate::definition::Sleep;
use crate::faults::mutated;

impl Draft<'_> {
    /// It begins; one that is over already goes on at once.
    pub(in super::super) fn sleep(&mut self, number: u16, sleep: &Sleep) -> Way {
        let wakes_at = match sleep {
            Sleep::For(millis) => Ok(self.now.saturating_add(*millis)),
            Sleep::Computed(expression) => self.values.wakes_at(self.view(number), expression),
        };
        let wakes_at = match wakes_at {
            Ok(at) => at,
            Err(error) => return self.fails_to_begin(number, &error),
        };
        let until = self.definition.nodes[usize::from(number)].until(self.now);
        let (place, due_at, expires) = (self.next_place(), wakes_at.min(until), until < wakes_at);
        self.happen(SagaEvent::Entered { place, node: number, round: self.round(number), opens: Opens::Sleep { due_at, expires } });
        if due_at <= self.now { self.wakes(place) } else { Way::Rest }
    }

    /// Its time has come.
    pub(in super::super) fn wakes(&mut self, place: Place) -> Way {
        let expires = matches!(self.entry(place).detail(), Some(Detail::Expires {}));
        if expires && !mutated("sleep_beyond_its_within") {
            return self.expired(place, "its within was over before its sleep");
        }
        let passes = self.definition.nodes[usize::from(self.entry(place).node)].passes;
        self.happen(SagaEvent::Succeeded { place, result: None, passes });
        Way::Settled(place)
    }
}
