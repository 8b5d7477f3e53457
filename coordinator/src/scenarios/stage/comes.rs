//! What comes to a scenario's saga by itself: events that it listens to, and people's answers to approvals.

use std::sync::Arc;

use ringmaster_core::intake::{self, Event, InputRecord, Origin, Typing};
use ringmaster_core::saga::{Act, ActInput, EarlyInput, EventInput, Input as SagaInput, name_of};
use ringmaster_schemas::names::saga_id;
use ringmaster_schemas::state::{Saga, Waits};

use super::{Stage, Trouble, TypeHeader};
use crate::scenarios::form::{Approval, Ends, Incoming, StartEvent};

impl Stage<'_> {
    /// The start event, through the door that events come in by.
    pub(super) fn start(&mut self) -> Result<(), Trouble> {
        let StartEvent { number, json: text, line } = &self.scenario.start;
        // What no event starts begins with its input, as if a person started it.
        let start = self.definition.starts.get(usize::from(*number));
        let (kind, topic) = start.map_or(("input", "by-hand"), |start| (&*start.event, &*start.topic));
        let headers = TypeHeader(kind);
        let record = InputRecord {
            offset: 0,
            timestamp: self.now,
            key: Some(self.scenario.key.as_bytes()),
            value: Some(text.as_bytes()),
            headers: Some(&headers),
        };
        let unusable = |refused: intake::Refused| Trouble {
            line: *line,
            message: format!("the start event cannot be used, it would go to quarantine as {}: {}", refused.reason, refused.detail),
        };
        let typing = Typing { field: "type", default: Some(kind) };
        let (_, event) = Event::recognise(&record, typing, self.known.schemas).map_err(unusable)?;
        let origin = Origin { topic, partition: 0 };
        match self.projections.start((self.definition, *number), 0, &event, origin, self.now) {
            Ok(Some(mut input)) => {
                self.coverage.borrow_mut().of(&self.scenario.definition).started(*number, true);
                self.id = saga_id(&self.definition.name, &input.key).into();
                self.before(&mut input.early)?;
                self.take_root(SagaInput::Start(input))
            }
            Ok(None) => {
                self.coverage.borrow_mut().of(&self.scenario.definition).started(*number, false);
                Ok(())
            }
            Err(refused) if self.scenario.ends.0 == Ends::NotStarted => {
                self.not_started = Some((refused.reason.to_string(), refused.detail));
                Ok(())
            }
            Err(refused) => Err(unusable(refused)),
        }
    }

    /// What comes before the saga.
    pub(super) fn before(&mut self, early: &mut Vec<EarlyInput>) -> Result<(), Trouble> {
        for event in &self.scenario.before {
            let listener = &event.definition.listeners[usize::from(event.listener)];
            if listener.matches.is_some() {
                self.matched(event)?;
                continue;
            }
            let until = self.now.saturating_add(listener.keep_ms);
            early.push(EarlyInput { event: self.listened(event)?, until });
        }
        Ok(())
    }

    /// An event that the saga listens to.
    pub(super) fn event(&mut self, event: &Incoming) -> Result<(), Trouble> {
        if event.definition.listeners[usize::from(event.listener)].matches.is_some() {
            return self.matched(event);
        }
        if !self.rows.contains_key(&self.id) {
            return Ok(());
        }
        let input = self.listened(event)?;
        self.take_root(SagaInput::Event(input))
    }

    /// The same, through the door that events come in by.
    pub(super) fn listened(&mut self, event: &Incoming) -> Result<EventInput, Trouble> {
        let trouble = |message: String| Trouble { line: event.line, message };
        let unusable = |refused: intake::Refused| {
            trouble(format!("this event cannot be used, it would go to quarantine as {}: {}", refused.reason, refused.detail))
        };
        let listener = &event.definition.listeners[usize::from(event.listener)];
        let headers = TypeHeader(&listener.event);
        let record = InputRecord {
            offset: 0,
            timestamp: self.now,
            key: Some(self.scenario.key.as_bytes()),
            value: Some(event.text.as_bytes()),
            headers: Some(&headers),
        };
        let typing = Typing { field: "type", default: Some(&listener.event) };
        let (_, recognised) = Event::recognise(&record, typing, self.known.schemas).map_err(unusable)?;
        let listened = self.projections.listened(&event.definition, event.listener, &recognised, self.now);
        let (key, data) = listened.map_err(unusable)?;
        if saga_id(&self.definition.name, &key) != *self.id {
            return Err(trouble(format!("this event is for the saga of key '{key}', and the scenario's is {}", self.id)));
        }
        self.events += 1;
        Ok(EventInput { listener: event.listener, source: format!("{}/0/{}", listener.topic, self.events).into(), data })
    }

    /// A person says yes or no.
    pub(super) fn answer_to_approval(&mut self, approval: &Approval) -> Result<(), Trouble> {
        let act = if approval.yes { Act::Approve } else { Act::Refuse };
        let (step, by, why) = (Some(approval.step.clone()), approval.by.as_str().into(), approval.note.as_str().into());
        // Of an item the first that asks: of ids that differ in a number alone the shorter one has the smaller.
        let asks = |saga: &&Arc<Saga>| {
            let mut open = saga.entries.iter().filter(|entry| entry.waits == Waits::Approval);
            let definition = super::version_of(saga, self.known).unwrap_or(self.definition);
            open.any(|entry| *name_of(definition, entry) == *approval.step)
        };
        let row = self
            .rows
            .values()
            .filter(asks)
            .min_by_key(|saga| (saga.id.len(), saga.id.clone()))
            .map_or_else(|| self.id.clone(), |saga| saga.id.clone());
        self.take(&row, SagaInput::Act(ActInput { act, step, by, why, if_turn: None }))
    }
}
