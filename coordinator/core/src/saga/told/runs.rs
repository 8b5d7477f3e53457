//! What happens to a run and its sub-saga, in words.

use ringmaster_schemas::journal::{ItemEvent, Place, SagaEvent};
use ringmaster_schemas::names::run_id;

use super::items::is_paused;
use super::{Teller, Told, said};
use crate::definition::Verb;

impl Teller<'_> {
    /// True if an event is about the sub-saga of a run, which is told then.
    pub(super) fn of_run(&mut self, event: &SagaEvent, out: &mut Vec<Told>) -> bool {
        let SagaEvent::Item { place, event } = event else { return false };
        if !self.is_run(*place) {
            return false;
        }
        let id = self.run_id(*place);
        let (word, text) = match event {
            ItemEvent::Began { .. } => ("run_began", format!("begins {id}")),
            ItemEvent::Ended { well: true, .. } => ("run_ended", format!("{id} has ended well")),
            ItemEvent::Ended { well: false, .. } => ("run_ended", format!("{id} has ended, and left nothing behind")),
            ItemEvent::Recalled { .. } => ("run_recalled", format!("{id} is to be undone")),
            ItemEvent::Held { held: true, .. } => {
                ("run_held", format!("{id} needs a person, or is parked or paused: no clock runs"))
            }
            ItemEvent::Held { held: false, .. } => ("run_held", format!("{id} goes on")),
            ItemEvent::Told { paused, .. } => ("run_told", format!("{id} is told: {}", is_paused(*paused))),
            ItemEvent::UndoBegan { failure } => ("recalled", format!("undoes what {id} did: {}", said(failure))),
            ItemEvent::Swept { .. } => ("run_swept", format!("{id} is needed no more")),
            ItemEvent::Lingers { .. } => ("run_lingers", format!("{id} stays until what was found late is undone")),
            ItemEvent::Passed { .. } => ("run_passed", format!("{id} is behind its pivot, and so is this saga")),
            ItemEvent::StopAsked { .. } => {
                ("run_asked", format!("{id} is told of the stop: it stops if it is not behind its pivot"))
            }
        };
        self.say(out, word, *place, &text);
        true
    }

    /// True if what stands at a place runs a saga.
    pub(super) fn is_run(&self, place: Place) -> bool {
        let name = self.places.get(&place).map(String::as_str).unwrap_or_default();
        let name = name.split_once('~').map_or(name, |(name, _)| name);
        self.definition.and_then(|definition| definition.run_named(name)).is_some()
    }

    fn run_id(&self, place: Place) -> String {
        let name = self.places.get(&place).map(String::as_str).unwrap_or_default();
        run_id(self.id, name, 1)
    }

    pub(super) fn run(&mut self, place: Place, out: &mut Vec<Told>) {
        let name = self.places.get(&place).map(String::as_str).unwrap_or_default();
        let name = name.split_once('~').map_or(name, |(name, _)| name).to_owned();
        let node = self.definition.and_then(|definition| definition.names.find(&name)).and_then(|node| self.node(node));
        if let Some(Verb::Run(run)) = node.map(|node| &node.verb) {
            let text = format!("runs {}", run.saga);
            self.say(out, "began", place, &text);
        }
    }
}
