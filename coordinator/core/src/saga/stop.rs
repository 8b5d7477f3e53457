//! Stopping: from here on the saga undoes. A failure, the deadline and whatever else ends it early are nothing but this.

use std::sync::Arc;

use ringmaster_schemas::journal::{Failure, Phase, Place, SagaEvent};
use ringmaster_schemas::state::{Entry, Waits, Work};

use super::decide::Draft;
use crate::faults::mutated;

impl Draft<'_> {
    /// Nothing new begins. What waits to be asked again is given up; an attempt that is out is awaited up to its timeout, without
    /// retry: what it did is then known. Then what was done is undone.
    pub(super) fn stop(&mut self, failure: Arc<Failure>) {
        self.happen(SagaEvent::CompensationBegan { failure: failure.clone() });
        let given_up = |entry: &Entry| {
            let out = entry.waits == Waits::Reply && !mutated("open_attempt_not_awaited");
            entry.work == Work::Asked && entry.open() && !out
        };
        for place in 0..self.next_place() {
            if given_up(self.entry(place)) && self.step_at(place).node.phase == Phase::Compensatable {
                self.happen(SagaEvent::Failed { place, failure: failure.clone() });
            }
        }
        self.unwind();
    }

    /// The name of the step that is under way.
    pub(super) fn open_step(&self) -> Option<Arc<str>> {
        let place: Place = self.open_place()?;
        Some(self.step_at(place).node.name.clone())
    }
}
