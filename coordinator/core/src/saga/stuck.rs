//! What is told to others when something of a saga begins to need a person: `on_stuck`.

use std::sync::Arc;

use ringmaster_schemas::journal::{Emission, FailureKind, Opens, Place, SagaEvent};
use ringmaster_schemas::state::Waits;

use super::decide::Draft;
use super::values::View;
use super::{EMITTED_BYTES_MAX, code, name_of};
use crate::definition::{Emit, ExpressionError};
use crate::faults::mutated;

impl Draft<'_> {
    /// The entry that begins to need a person by this event.
    pub(super) fn becomes_stuck(&self, event: &SagaEvent) -> Option<Place> {
        let place = match event {
            SagaEvent::Stuck { place, .. } | SagaEvent::Entered { place, opens: Opens::Stuck { .. }, .. } => *place,
            _ => return None,
        };
        let is_new = self.row.as_ref().and_then(|saga| saga.entry(place)).is_none_or(|entry| entry.waits != Waits::Stuck);
        (is_new || mutated("stuck_told_again")).then_some(place)
    }

    /// Each emission has an id of its own, by how many there were: one entry may need a person more than once. What cannot be made is not
    /// told, and the saga is stuck all the same.
    pub(super) fn tell_stuck(&mut self, place: Place) {
        let definition = self.definition;
        for emit in &definition.on_stuck {
            let event = match self.emission_of_stuck(place, emit) {
                Ok(emission) => SagaEvent::StuckTold { place, emission: Some(Arc::new(emission)), failure: None },
                Err(error) => {
                    let failure = self.failure_at(place, FailureKind::Error, error.code, &error.to_string());
                    SagaEvent::StuckTold { place, emission: None, failure: Some(failure) }
                }
            };
            self.happen(event);
        }
    }

    fn emission_of_stuck(&mut self, place: Place, emit: &Emit) -> Result<Emission, ExpressionError> {
        let number = if mutated("stuck_told_under_one_id") { 1 } else { self.saga().stuck_told().saturating_add(1) };
        let name = name_of(self.definition, self.entry(place));
        let id = format!("stuck/{name}/{number}");
        let mut body = self.buffer();
        let (saga, failure) = (self.saga(), self.entry(place).failure());
        let view =
            View { saga, above: self.above, failure: failure.map(Arc::as_ref), round: 1, event: None, undone: true, now: self.now };
        let emission = self.values.emission(view, emit, &id, &mut body);
        self.give_back(body);
        let emission = emission?;
        let texts = [&emission.topic, &emission.key, &emission.kind, &emission.id];
        self.emitted_bytes += emission.body.len() + texts.iter().map(|text| text.len()).sum::<usize>();
        if self.emitted_bytes > EMITTED_BYTES_MAX {
            let bytes = self.emitted_bytes;
            let message = format!("what is emitted in one turn takes {bytes} bytes; the limit is {EMITTED_BYTES_MAX}");
            return Err(ExpressionError { code: code::DATA_TOO_BIG, message, place: id });
        }
        Ok(emission)
    }
}
