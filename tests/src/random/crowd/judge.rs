//! What a crowd came to, held against what was written, asked and done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringmaster_core::saga::Effect;
use ringmaster_schemas::journal::SagaEvent;
use ringmaster_schemas::names::{parse_saga_id, partition_of};
use ringmaster_schemas::state::{Saga, Status};

use super::super::behave::{Account, Participants};
use super::super::laws;
use super::super::value::FIELDS;
use super::definitions::{Definitions, Kind, One};
use super::journal::{Stories, Story};
use super::people::ids_of;
use crate::live::PARTITIONS;

/// A record as it was sent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sent {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) key: Vec<u8>,
    /// Of an event, by its header.
    pub(super) id: Option<String>,
    pub(super) value: Vec<u8>,
}

impl Sent {
    /// A record that is to be sent.
    pub(super) fn of(effect: &Effect) -> Sent {
        let id = effect.headers().find(|(name, _)| *name == "ce_id").map(|(_, id)| id.to_owned());
        let (key, value) = (effect.key().to_vec(), effect.value().to_vec());
        Sent { topic: effect.topic.to_string(), partition: partition_of(&key, PARTITIONS), key, id, value }
    }
}

/// All that is seen of a crowd.
pub(super) struct Seen {
    pub(super) definitions: Definitions,
    pub(super) stories: Stories,
    /// What each key's start said.
    pub(super) starts: BTreeMap<String, Start>,
    /// By saga.
    pub(super) participants: BTreeMap<Arc<str>, Participants>,
    /// What steps gave, by saga.
    pub(super) told: BTreeMap<Arc<str>, BTreeMap<String, i64>>,
    /// What arrived at participants and listeners.
    pub(super) arrived: BTreeSet<Sent>,
}

/// What a start event said.
pub(super) struct Start {
    /// The fields that sagas of one row know.
    pub(super) fields: [i64; FIELDS.len()],
    /// All of it.
    pub(super) event: serde_json::Value,
}

impl Seen {
    /// Nothing yet. `replies`: the topic of answers.
    pub(super) fn new(definitions: Definitions, replies: String) -> Seen {
        Seen {
            definitions,
            stories: Stories::new(replies),
            starts: BTreeMap::new(),
            participants: BTreeMap::new(),
            told: BTreeMap::new(),
            arrived: BTreeSet::new(),
        }
    }
}

/// What a crowd came to.
pub struct Judged {
    seen: Seen,
    /// Sagas that completed.
    pub completed: u64,
    /// Sagas that were undone.
    pub compensated: u64,
    /// Sagas that wait for a person, behind all that was tried.
    pub stuck: u64,
}

impl Judged {
    pub(super) fn of(seen: Seen) -> Judged {
        let mut judged = Judged { completed: 0, compensated: 0, stuck: 0, seen };
        let stories = &judged.seen.stories;
        let single = stories.single.values().filter_map(|story| Some((story.saga()?, story.saga()?.stuck())));
        let families = stories.families.iter().filter_map(|(id, family)| Some((family.root(id)?, family.is_stuck())));
        for (saga, is_stuck) in single.chain(families) {
            match saga.status {
                Status::Completed if !is_stuck => judged.completed += 1,
                Status::Compensated if !is_stuck => judged.compensated += 1,
                _ => judged.stuck += 1,
            }
        }
        judged
    }

    /// How many definitions there were.
    pub fn definitions(&self) -> usize {
        self.seen.definitions.0.len()
    }

    /// How many sagas were started.
    pub fn sagas(&self) -> u64 {
        (self.seen.starts.len() * self.definitions()) as u64
    }

    /// All that is not as it must be. `rows`: those of a store, by their partition, kind and key.
    pub fn wrong(&self, rows: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
        let (mut wrong, stories) = (Vec::new(), &self.seen.stories);
        for (key, start) in &self.seen.starts {
            for (id, one) in ids_of(&self.seen.definitions, key).into_iter().zip(&self.seen.definitions.0) {
                let faults = self.saga(&id, one, start).unwrap_or_else(|| vec!["started, and not in the journal".to_owned()]);
                wrong.extend(faults.into_iter().map(|fault| format!("{id}: {fault}")));
            }
        }
        let known = self.seen.starts.len() * self.seen.definitions.0.len();
        if stories.len() != known {
            wrong.push(format!("the journal has {} sagas, of which {known} were started", stories.len()));
        }
        wrong.extend(stories.faults());
        wrong.extend(self.stored(rows));
        wrong.extend(self.sent());
        wrong
    }

    /// What is wrong with a saga; none if nothing is known of it.
    fn saga(&self, id: &Arc<str>, one: &One, start: &Start) -> Option<Vec<String>> {
        let nobody = BTreeMap::new();
        let accounts = self.seen.participants.get(id).map_or(&nobody, |participants| &participants.accounts);
        match &one.kind {
            Kind::Single(..) => self.story(id, one, start, (self.seen.stories.single.get(id)?, accounts)),
            Kind::Family(known) => Some(self.seen.stories.families.get(id)?.wrong(known, id, &start.event, accounts)),
        }
    }

    fn story(
        &self,
        id: &Arc<str>,
        one: &One,
        start: &Start,
        (story, accounts): (&Story, &BTreeMap<String, Account>),
    ) -> Option<Vec<String>> {
        let Kind::Single(plan, compiled) = &one.kind else { return None };
        let none = BTreeMap::new();
        let told = self.seen.told.get(id).unwrap_or(&none);
        let known = laws::Known { plan, definition: compiled.definition(), start: start.fields, told };
        let (mut faults, saga) = (story.faults.clone(), story.saga()?);
        for (number, happened) in story.history.iter().enumerate() {
            let before: Option<&Saga> = number.checked_sub(1).map(|before| &*story.history[before].behind);
            faults.extend(laws::way(&known, before, happened));
            faults.extend(laws::stuck(known.definition, happened));
        }
        faults.extend(laws::reacts(known.definition, &story.history, 0));
        let acted = story.history.iter().any(|happened| matches!(happened.event, SagaEvent::Acted { .. }));
        if saga.stuck() && !acted {
            faults.push("people helped, and nothing that they did was taken".to_owned());
        }
        faults.extend(laws::ledger(known.definition, saga, accounts));
        faults.extend(laws::whole_way(&known, &story.history));
        faults.extend(laws::bodies(&known, compiled.schemas(), &story.history));
        Some(faults)
    }

    /// The store has the rows that the journal makes, and no other of theirs; the turns that they name, whoever makes all rows of the
    /// journal anew holds against it.
    fn stored(&self, rows: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
        let place = |row: &Saga| {
            let partition = partition_of(parse_saga_id(&row.id).1.as_bytes(), PARTITIONS);
            (format!("{partition}/Saga/{}", row.id), (row.id.clone(), row.encode_state()))
        };
        let made: BTreeMap<String, (Arc<str>, Vec<u8>)> = self.seen.stories.rows().map(|row| place(row)).collect();
        let state_of = |key: &String, id| Saga::decode(id, rows.get(key)?).ok().map(|saga| saga.encode_state());
        let is_theirs = |key: &&String| key.splitn(3, '/').nth(2).is_some_and(|id| self.seen.definitions.of(id).is_some());
        let differ = made.iter().filter(|(key, (id, state))| state_of(key, id).as_ref() != Some(state));
        let differ = differ.map(|(key, _)| format!("the store has another row of {key} than its journal makes"));
        let strange = rows.keys().filter(is_theirs).filter(|key| !made.contains_key(*key));
        differ.chain(strange.map(|key| format!("the store has {key}, and the journal makes no such row"))).collect()
    }

    /// All that the journal says to have been sent arrived, and nothing else did.
    fn sent(&self) -> Vec<String> {
        let sent = &self.seen.stories.sent;
        let told = |what: &str, some: Vec<&Sent>| {
            let first = some.first().map(|sent| format!("{}: {}", sent.topic, String::from_utf8_lossy(&sent.value)));
            first.map(|first| format!("{} records {what}, the first to {first}", some.len()))
        };
        let lost = told("were to be sent, and did not arrive", sent.difference(&self.seen.arrived).collect());
        let strange = told("arrived, and the journal sends none such", self.seen.arrived.difference(sent).collect());
        lost.into_iter().chain(strange).collect()
    }
}

#[cfg(test)]
mod tests;
