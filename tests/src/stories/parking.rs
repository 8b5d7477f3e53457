//! Participants that are not asked for a while.

use std::sync::Arc;

use ringmaster_core::saga::Input;
use ringmaster_schemas::journal::{BreakerEvent, Place};
use ringmaster_schemas::state::rank_of;

use super::stage::Stage;

impl Stage {
    pub(crate) fn pause(&mut self, participant: &str) -> Vec<String> {
        let event = BreakerEvent::Opened { by: Some("ann".into()), why: "maintenance".into() };
        self.breakers.apply(&participant.into(), &event, self.now);
        vec![format!("{participant} is asked no more")]
    }

    /// What was parked goes out, the lowest rank first, as the partition lets it go.
    pub(crate) fn resume(&mut self, participant: &str) -> Vec<String> {
        let name: Arc<str> = participant.into();
        self.breakers.apply(&name, &BreakerEvent::Draining { by: Some("ann".into()), why: "done".into() }, self.now);
        let mut lines = vec![format!("{participant} is asked again")];
        while let Some(place) = self.first_parked(participant) {
            lines.extend(self.input(&Input::Unpark(place)));
        }
        self.breakers.apply(&name, &BreakerEvent::Closed { why: "nothing is parked".into() }, self.now);
        lines
    }

    /// What would go out next does not fit into a journal record.
    pub(super) fn parked_too_big(&mut self, participant: &str) -> Result<Vec<String>, String> {
        let place = self.first_parked(participant).ok_or_else(|| format!("nothing is parked for {participant}"))?;
        Ok(self.input(&Input::TooBig { bytes: None, step: None, place: Some(place) }))
    }

    /// What goes out next for a participant.
    pub(crate) fn first_parked(&self, participant: &str) -> Option<Place> {
        let saga = self.saga.as_deref()?;
        let parked =
            saga.entries.iter().zip(0..).filter(|(entry, _)| entry.parked_for().is_some_and(|name| **name == *participant));
        parked.min_by_key(|(entry, place)| (rank_of(saga, entry), *place)).map(|(_, place)| place)
    }
}
