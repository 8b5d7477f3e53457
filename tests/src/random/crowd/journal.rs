//! What the journal says became of sagas: by the counting rule (PROTOCOL.md rule 1) as the simulator has it, and by `apply` alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringmaster_core::saga::{Effect, Sender, apply, brought, effects, order_of};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Change, Decision, JournalRecord, SagaChange, SagaEvent};
use ringmaster_schemas::names::{self, command_topic};
use ringmaster_schemas::state::Saga;

use super::super::families::values;
use super::super::write::PARTICIPANTS;
use super::definitions::{Definitions, Kind};
use super::family::Family;
use super::judge::Sent;
use crate::laws;
use crate::sim::truth::Term;
use crate::stories::Happened;

/// All that happened to a saga of one row.
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
    /// Topics on which is looked at what arrives.
    listened: BTreeSet<String>,
    /// Of those that have one row.
    pub(super) single: BTreeMap<Arc<str>, Story>,
    /// Of those that have more.
    pub(super) families: BTreeMap<Arc<str>, Family>,
    /// The rows of values.
    pub(super) values: BTreeMap<Arc<str>, Arc<Saga>>,
    /// By an event's identity, which row of a family took it.
    taken: BTreeMap<Arc<str>, Arc<str>>,
    /// All that is to be sent to participants and listeners.
    pub(super) sent: BTreeSet<Sent>,
    /// What is wrong with none of them alone.
    faults: Vec<String>,
}

impl Stories {
    pub(super) fn new(replies: String) -> Stories {
        let commands = PARTICIPANTS.iter().map(|participant| command_topic(participant));
        Stories {
            terms: BTreeMap::new(),
            replies,
            listened: commands.chain(["told", "ends"].map(str::to_owned)).collect(),
            single: BTreeMap::new(),
            families: BTreeMap::new(),
            values: BTreeMap::new(),
            taken: BTreeMap::new(),
            sent: BTreeSet::new(),
            faults: Vec::new(),
        }
    }

    /// A saga as it is now.
    pub(super) fn saga(&self, id: &str) -> Option<&Arc<Saga>> {
        let family = || self.families.get(id).and_then(|family| family.root(id));
        self.single.get(id).and_then(Story::saga).or_else(family)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.single.len() + self.families.len()
    }

    /// All rows that the journal leaves.
    pub(super) fn rows(&self) -> impl Iterator<Item = &Arc<Saga>> {
        let families = self.families.values().flat_map(|family| family.rows.values());
        self.single.values().filter_map(Story::saga).chain(families)
    }

    /// What is wrong with none of them alone; once all rest.
    pub(super) fn faults(&self) -> Vec<String> {
        let row = |id: &str| self.families.get(names::root_of(id))?.rows.get(id);
        let rows = self.families.values().flat_map(|family| family.rows.values());
        self.faults.iter().cloned().chain(values::unsettled(rows, row, &self.values)).collect()
    }

    /// Takes a record of a partition; the ids of the crowd's sagas to which something happened.
    pub(super) fn take(
        &mut self,
        definitions: &Definitions,
        (partition, offset): (i32, i64),
        value: &[u8],
    ) -> Result<BTreeSet<Arc<str>>, String> {
        let failed = |what: String| format!("journal {partition}@{offset}: {what}");
        let Some(record) = JournalRecord::read(value).map_err(|error| failed(error.to_string()))? else {
            return Ok(BTreeSet::new());
        };
        if !self.terms.entry(partition).or_default().counts(offset, &record) {
            return Ok(BTreeSet::new());
        }
        let JournalRecord::Decision(Decision { stamp, turns, .. }) = record else { return Ok(BTreeSet::new()) };
        let mut moved = BTreeSet::new();
        for turn in turns {
            moved.extend(self.turn(definitions, partition, turn.changes, stamp.now).map_err(failed)?);
        }
        Ok(moved)
    }

    /// Takes what a turn changed at this time; the ids of the crowd's sagas among it.
    pub(super) fn turn(
        &mut self,
        definitions: &Definitions,
        partition: i32,
        changes: Vec<Change>,
        at: Millis,
    ) -> Result<BTreeSet<Arc<str>>, String> {
        let (mut moved, mut families) = (BTreeSet::new(), BTreeMap::<Arc<str>, Vec<SagaChange>>::new());
        for change in changes {
            let Change::Saga(change) = change else { continue };
            if names::is_value(&change.saga) {
                self.value(&change, at)?;
            } else if let Some(one) = definitions.of(&change.saga) {
                let root: Arc<str> = names::root_of(&change.saga).into();
                moved.insert(root.clone());
                match one.kind {
                    Kind::Single(..) => self.change(definitions, partition, &change, at)?,
                    Kind::Family(_) => families.entry(root).or_default().push(change),
                }
            }
        }
        for (root, changes) in families {
            self.family(definitions, (&root, partition), changes, at)?;
        }
        Ok(moved)
    }

    fn family(
        &mut self,
        definitions: &Definitions,
        (root, partition): (&Arc<str>, i32),
        changes: Vec<SagaChange>,
        at: Millis,
    ) -> Result<(), String> {
        let Some(Kind::Family(known)) = definitions.of(root).map(|one| &one.kind) else { return Ok(()) };
        for change in &changes {
            change.events.iter().for_each(|event| self.takes(&change.saga, event));
        }
        let (replies, listened, all) = (&self.replies, &self.listened, &mut self.sent);
        let mut sent = |saga: &Saga, events: &[SagaEvent]| {
            let sender = Sender { id: &saga.id, head: &saga.head, at, reply_topic: replies, partition, tracing: None };
            let effects = events.iter().flat_map(|event| effects_of(sender, saga, event)).collect::<Vec<_>>();
            all.extend(effects.iter().filter(|effect| listened.contains(&*effect.topic)).map(Sent::of));
            effects
        };
        self.families.entry(root.clone()).or_default().turn(known, changes, at, &mut sent)
    }

    /// L20: what takes an event that is known by a value is the only one that ever does.
    fn takes(&mut self, row: &Arc<str>, event: &SagaEvent) {
        let source = match event {
            SagaEvent::EventTaken { event, .. } => &event.source,
            SagaEvent::Answered { answer, .. } => &answer.source,
            _ => return,
        };
        if let Some(other) = self.taken.insert(source.clone(), row.clone()) {
            self.faults.push(format!("L20: {source} was taken by {other}, and by {row}"));
        }
    }

    fn value(&mut self, change: &SagaChange, at: Millis) -> Result<(), String> {
        let mut row = self.values.get(&change.saga).cloned();
        for event in &change.events {
            apply(&change.saga, &mut row, event, at).map_err(|illegal| illegal.to_string())?;
        }
        self.values.extend(row.map(|row| (change.saga.clone(), row)));
        Ok(())
    }

    fn change(&mut self, definitions: &Definitions, partition: i32, change: &SagaChange, at: Millis) -> Result<(), String> {
        let Some(Kind::Single(_, known)) = definitions.of(&change.saga).map(|one| &one.kind) else { return Ok(()) };
        let definition = known.definition();
        let story = self.single.entry(change.saga.clone()).or_default();
        let (mut saga, from) = (story.saga().cloned(), story.history.len());
        for event in &change.events {
            let before = saga.clone();
            apply(&change.saga, &mut saga, event, at).map_err(|illegal| illegal.to_string())?;
            let behind = saga.clone().ok_or("an event leaves no saga")?;
            story.faults.extend(laws::event(definition, before.as_deref(), event, &behind, at));
            story.history.push(Happened { event: event.clone(), at, behind, effects: Vec::new() });
        }
        let saga = saga.ok_or("a change without events")?;
        if saga.began() && saga.head.version() != definition.hash {
            return Err(format!("{} runs another version than was written here", change.saga));
        }
        story.faults.extend(laws::at_rest(definition, &saga));
        let sender = Sender { id: &change.saga, head: &saga.head, at, reply_topic: &self.replies, partition, tracing: None };
        for happened in &mut story.history[from..] {
            happened.effects = effects_of(sender, &saga, &happened.event);
            let listened = happened.effects.iter().filter(|effect| self.listened.contains(&*effect.topic));
            self.sent.extend(listened.map(Sent::of));
        }
        Ok(())
    }
}

/// All that an event causes to be sent, where its turn leaves the saga so.
fn effects_of(sender: Sender<'_>, saga: &Saga, event: &SagaEvent) -> Vec<Effect> {
    let mut topic_of = |command: &str| -> Arc<str> { command_topic(names::participant_of(command)).into() };
    let mut sent = Vec::new();
    effects(sender, event, order_of(saga, event), &mut topic_of, &mut String::new(), &mut sent);
    brought(sender, saga, event, &mut sent);
    sent
}
