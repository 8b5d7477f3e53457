//! What the journal says became of sagas: by the counting rule (PROTOCOL.md rule 1) as the simulator has it, and by `apply` alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringmaster_core::saga::{Sender, apply, brought, effects, order_of};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Change, Decision, JournalRecord, SagaChange};
use ringmaster_schemas::names;
use ringmaster_schemas::state::Saga;

use super::definitions::Definitions;
use crate::laws;
use crate::sim::truth::Term;
use crate::stories::Happened;

/// All that happened to a saga.
#[derive(Debug, Default)]
pub(super) struct Story {
    pub(super) history: Vec<Happened>,
    /// Laws that broke while it was read.
    pub(super) faults: Vec<String>,
}

impl Story {
    /// As it is now.
    pub(super) fn saga(&self) -> Option<&Arc<Saga>> {
        self.history.last().map(|last| &last.behind)
    }
}

/// The stories of all sagas of a crowd.
pub(super) struct Stories {
    terms: BTreeMap<i32, Term>,
    replies: String,
    pub(super) by_id: BTreeMap<Arc<str>, Story>,
}

impl Stories {
    pub(super) fn new(replies: String) -> Stories {
        Stories { terms: BTreeMap::new(), replies, by_id: BTreeMap::new() }
    }

    /// Takes a record of a partition; the ids of the crowd's sagas to which something happened.
    pub(super) fn take(
        &mut self,
        definitions: &Definitions,
        (partition, offset): (i32, i64),
        value: &[u8],
    ) -> Result<Vec<Arc<str>>, String> {
        let failed = |what: String| format!("journal {partition}@{offset}: {what}");
        let Some(record) = JournalRecord::read(value).map_err(|error| failed(error.to_string()))? else { return Ok(Vec::new()) };
        if !self.terms.entry(partition).or_default().counts(offset, &record) {
            return Ok(Vec::new());
        }
        let JournalRecord::Decision(Decision { stamp, turns, .. }) = record else { return Ok(Vec::new()) };
        let mut moved = Vec::new();
        for change in turns.into_iter().flat_map(|turn| turn.changes) {
            let Change::Saga(change) = change else { continue };
            if definitions.of(&change.saga).is_some() {
                self.change(definitions, partition, &change, stamp.now).map_err(failed)?;
                moved.push(change.saga);
            }
        }
        Ok(moved)
    }

    fn change(&mut self, definitions: &Definitions, partition: i32, change: &SagaChange, at: Millis) -> Result<(), String> {
        let one = definitions.of(&change.saga).expect("it was looked at");
        let definition = one.definition();
        let story = self.by_id.entry(change.saga.clone()).or_default();
        let (mut saga, from) = (story.saga().cloned(), story.history.len());
        for event in &change.events {
            let before = saga.clone();
            apply(&change.saga, &mut saga, event, at).map_err(|illegal| format!("{}: {illegal}", change.saga))?;
            let behind = saga.clone().ok_or("an event leaves no saga")?;
            story.faults.extend(laws::event(definition, before.as_deref(), event, &behind, at));
            story.history.push(Happened { event: event.clone(), at, behind, effects: Vec::new() });
        }
        let saga = saga.ok_or("a change without events")?;
        if saga.began() && saga.head.version() != definition.hash {
            return Err(format!("{} runs another version than was written here", change.saga));
        }
        story.faults.extend(laws::at_rest(definition, &saga));
        let sender = Sender { id: &change.saga, head: &saga.head, at, reply_topic: &self.replies, partition };
        let mut topic_of = |command: &str| -> Arc<str> { names::command_topic(names::participant_of(command)).into() };
        for happened in &mut story.history[from..] {
            let order = order_of(&saga, &happened.event);
            effects(sender, &happened.event, order, &mut topic_of, &mut String::new(), &mut happened.effects);
            brought(sender, &saga, &happened.event, &mut happened.effects);
        }
        Ok(())
    }
}
