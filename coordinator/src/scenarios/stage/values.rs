//! Values by which a scenario's events are matched: their rows, and letters between those and whoever waits, which come at once.

use std::sync::Arc;

use ringmaster_core::definition::Definition;
use ringmaster_core::intake::{self, Event, InputRecord, Typing};
use ringmaster_core::saga::{ClaimInput, ClaimNews, Effect, Input as SagaInput, Sender, ValueInput, decide_value, value_effects};
use ringmaster_schemas::Data;
use ringmaster_schemas::journal::{KeptEvent, Letter, Place, ValueName};

use super::{Stage, Trouble, TypeHeader};
use crate::scenarios::form::Incoming;

impl<'s> Stage<'s> {
    /// An event goes to the row of its value.
    pub(super) fn matched(&mut self, event: &Incoming) -> Result<(), Trouble> {
        let unusable = |refused: intake::Refused| Trouble {
            line: event.line,
            message: format!("this event cannot be used, it would go to quarantine as {}: {}", refused.reason, refused.detail),
        };
        let listener = &event.definition.listeners[usize::from(event.listener)];
        let headers = TypeHeader(&listener.event);
        let (key, value) = (Some(self.scenario.key.as_bytes()), Some(event.text.as_bytes()));
        let record = InputRecord { offset: 0, timestamp: self.now, key, value, headers: Some(&headers) };
        let typing = Typing { field: "type", default: Some(&listener.event) };
        let (_, recognised) = Event::recognise(&record, typing, self.known.schemas).map_err(unusable)?;
        let value = self.projections.matched(&event.definition, event.listener, &recognised, self.now).map_err(unusable)?;
        let field = listener.matches.as_ref().expect("what is matched says by which field").name.clone();
        let Some(value) = value else {
            let message = format!("this event has no {field}: nobody could wait for it");
            return Err(Trouble { line: event.line, message });
        };
        self.events += 1;
        let (topic, kind) = (listener.topic.clone(), listener.event.clone());
        let source = format!("{topic}/0/{}", self.events).into();
        let until = self.now.saturating_add(listener.keep_ms);
        let data = Data::new(event.text.as_bytes());
        let kept = KeptEvent { topic: topic.clone(), kind: kind.clone(), source, until, schema: 0, data };
        let id = ValueName { topic, kind, field, value: value.into() }.id().into();
        self.value(&id, &ValueInput::Event(Arc::new(kept)));
        Ok(())
    }

    /// A letter comes.
    pub(super) fn letter(&mut self, letter: Letter) -> Result<(), Trouble> {
        match letter {
            Letter::Claim(claim) => self.value(&claim.name.id().into(), &ValueInput::Claim(Arc::new(claim))),
            Letter::Release(release) => self.value(&release.name.id().into(), &ValueInput::Release(Arc::new(release))),
            Letter::Answer(answer) => {
                let news = if answer.granted { ClaimNews::Granted } else { ClaimNews::Denied };
                return self.news(&answer.row, ClaimInput { place: answer.place, at: answer.at, news });
            }
            Letter::Given(claim) => {
                return self.news(&claim.row, ClaimInput { place: claim.place, at: claim.at, news: ClaimNews::Granted });
            }
            Letter::Event(brought) => {
                let Some((definition, listener)) = self.listener_at(&brought.row, brought.place) else { return Ok(()) };
                let data = self.projections.kept(definition, listener, &brought.event, self.known.schemas);
                let data = data.map_err(|refused| self.trouble(self.scenario.line, refused.detail))?;
                let news = ClaimNews::Event { source: brought.event.source, data };
                return self.news(&brought.row, ClaimInput { place: brought.place, at: brought.at, news });
            }
        }
        Ok(())
    }

    fn listener_at(&self, row: &Arc<str>, place: Place) -> Option<(&'s Definition, u16)> {
        let row = self.rows.get(row)?;
        let definition = super::version_of(row, self.known).unwrap_or(self.definition);
        Some((definition, definition.node(row.entry(place)?.node)?.verb.listens()?.0))
    }

    fn news(&mut self, row: &Arc<str>, input: ClaimInput) -> Result<(), Trouble> {
        if !self.rows.contains_key(row) {
            return Ok(());
        }
        self.take(row, SagaInput::Claim(input))
    }

    fn value(&mut self, id: &Arc<str>, input: &ValueInput) {
        let Ok(decided) = decide_value(id, self.values.get(id), input, self.now) else { return };
        for event in &decided.events {
            let sender = Sender { id, head: &decided.saga.head, at: self.now, reply_topic: "replies", partition: 0, tracing: None };
            self.letters.extend(value_effects(sender, &decided.saga, event).iter().filter_map(letter_of));
            self.values.insert(id.clone(), decided.saga.clone());
        }
    }
}

/// The letter that an effect is; none if it is a command.
pub(super) fn letter_of(effect: &Effect) -> Option<Letter> {
    Letter::is_one(effect.value()).then(|| Letter::decode(effect.value()).expect("a letter that is sent can be read"))
}
