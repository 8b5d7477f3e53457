//! What comes to a scenario's saga by itself: events that it listens to, and people's answers to approvals.

use std::sync::Arc;

use ringmaster_core::intake::{self, Event, InputRecord, Typing};
use ringmaster_core::saga::{Act, ActInput, EarlyInput, EventInput, Input as SagaInput, name_of};
use ringmaster_schemas::names::saga_id;
use ringmaster_schemas::state::{Saga, Waits};

use super::{Stage, Trouble, TypeHeader};
use crate::scenarios::form::{Approval, Incoming};

impl Stage<'_> {
    /// What comes before the saga.
    pub(super) fn before(&mut self, early: &mut Vec<EarlyInput>) -> Result<(), Trouble> {
        for event in &self.scenario.before {
            let listener = &self.definition.listeners[usize::from(event.listener)];
            if listener.field.is_some() {
                self.matched(event)?;
                continue;
            }
            let until = self.now.saturating_add(listener.keep_ms);
            early.push(EarlyInput { event: self.listened(event)?, until });
        }
        Ok(())
    }

    /// A reply, through the door that replies come in by.
    pub(super) fn deliver(&mut self, reply: &[u8], line: usize) -> Result<(), Trouble> {
        let unusable = |refused: intake::Refused| Trouble {
            line,
            message: format!("this answer cannot be used, it would go to quarantine as {}: {}", refused.reason, refused.detail),
        };
        let answer = intake::Answer::read(reply, self.known.schemas).map_err(unusable)?;
        let input = self.projections.reply(&answer, Some(self.definition)).map_err(unusable)?;
        self.take(&answer.saga().into(), SagaInput::Reply(input))
    }

    /// An event that the saga listens to.
    pub(super) fn event(&mut self, event: &Incoming) -> Result<(), Trouble> {
        if self.definition.listeners[usize::from(event.listener)].field.is_some() {
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
        let listener = &self.definition.listeners[usize::from(event.listener)];
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
        let listened = self.projections.listened(self.definition, event.listener, &recognised, self.now);
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
            open.any(|entry| *name_of(self.definition, entry) == *approval.step)
        };
        let row = self
            .rows
            .values()
            .filter(asks)
            .min_by_key(|saga| (saga.id.len(), saga.id.clone()))
            .map_or_else(|| self.id.clone(), |saga| saga.id.clone());
        self.take(&row, SagaInput::Act(ActInput { act, step, by, why, if_state: None }))
    }
}
