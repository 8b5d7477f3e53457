//! What the journal says, by a counting rule of its own: what counts, what is true, what must be sent because of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringmaster::runtime::Knowledge;
use ringmaster_bus::sim::{SimBroker, SimRecord};
use ringmaster_core::definition::Definition;
use ringmaster_core::saga::{Breakers, Effect, Sender, apply, brought, effects as saga_effects, order_of, returned};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{BreakerEvent, Cause, Change, ClaimId, JournalRecord, Opens, Rejected, SagaEvent, Turn};
use ringmaster_schemas::names;
use ringmaster_schemas::state::Saga;

use super::coordinator::knowledge;
use crate::laws;

/// Topics of inputs, in the order of every partition's inputs.
pub const INPUTS: [&str; 4] = ["ringmaster.replies", "orders", "ringmaster.control", "ringmaster.inbox"];
/// The place of the orders there.
pub const ORDERS: usize = 1;

/// A record of the journal and what it is.
pub struct Judged {
    /// As the broker holds it.
    pub record: Arc<SimRecord>,
    /// What it says.
    pub says: JournalRecord,
    /// True: it counts.
    pub counts: bool,
}

/// An effect that a counting record causes.
pub struct Due {
    /// Offset of that record.
    pub offset: i64,
    /// Which of its effects.
    pub index: i32,
    /// The moment when that record was appended.
    pub since: u64,
    /// What is to be sent.
    pub effect: Effect,
    /// The journal set it apart: its topic refused.
    pub apart: bool,
}

/// One partition of the journal.
pub struct Truth {
    /// Which.
    pub partition: i32,
    /// All records.
    pub records: Vec<Judged>,
    /// What is true in the end.
    pub sagas: BTreeMap<Arc<str>, Arc<Saga>>,
    /// By saga, the offsets of the counting records that changed it since it began, in order.
    pub turns: BTreeMap<Arc<str>, Vec<i64>>,
    /// All effects, in order.
    pub effects: Vec<Due>,
    /// Who is not asked in the end.
    pub breakers: Breakers,
    /// How often breakers opened.
    pub openings: usize,
    /// How often something was parked.
    pub parkings: usize,
    /// What was not taken.
    pub rejected: Vec<Rejected>,
    /// How many records went to quarantine.
    pub quarantined: usize,
    /// Next offset by input.
    pub positions: [i64; 4],
    /// How far its router is, by partition of the topic of orders.
    pub routed_to: BTreeMap<i32, i64>,
    /// How far it took what routers brought, by partition of that topic.
    pub marks: BTreeMap<i32, i64>,
    /// Time of the newest counting record.
    pub now: Millis,
    /// Turns by input and offset.
    pub taken: BTreeMap<(usize, i64), u32>,
    term: Term,
}

/// The counting rule (PROTOCOL.md rule 1), written a second time.
#[derive(Default)]
pub(crate) struct Term {
    claim: Option<(i64, ClaimId)>,
    number: i64,
}

impl Term {
    /// Whether the next record of the log counts.
    pub(crate) fn counts(&mut self, offset: i64, record: &JournalRecord) -> bool {
        match (record, record.stamp()) {
            (JournalRecord::Claim(claim), _) => {
                (self.claim, self.number) = (Some((offset, claim.id)), 0);
                false
            }
            (_, Some(stamp)) => {
                let counts = self.claim == Some((stamp.claim_offset, stamp.claim)) && stamp.number == self.number;
                self.number += i64::from(counts);
                counts
            }
            (_, None) => false,
        }
    }
}

fn definition_of<'k>(knowledge: &'k Knowledge, saga: &Saga) -> Result<&'k Definition, String> {
    let definition = knowledge.catalog.by_hash(&saga.head.version());
    definition.map(|definition| &**definition).ok_or_else(|| format!("{} runs an unknown version", saga.id))
}

fn keeps_laws(broken: Vec<String>) -> Result<(), String> {
    broken.into_iter().next().map_or(Ok(()), Err)
}

impl Truth {
    /// Nothing was read yet.
    pub fn new(partition: i32) -> Truth {
        Truth {
            partition,
            records: Vec::new(),
            sagas: BTreeMap::new(),
            turns: BTreeMap::new(),
            effects: Vec::new(),
            breakers: Breakers::default(),
            openings: 0,
            parkings: 0,
            rejected: Vec::new(),
            quarantined: 0,
            positions: [0; 4],
            routed_to: BTreeMap::new(),
            marks: BTreeMap::new(),
            now: 0,
            taken: BTreeMap::new(),
            term: Term::default(),
        }
    }

    /// Reads what its partition holds beyond what was read before. What was read must still be there.
    pub fn go_on(
        &mut self,
        broker: &SimBroker,
        topics: &[[u8; 16]; 4],
        turned: &mut dyn FnMut(&Truth, &Judged, &Turn) -> Result<(), String>,
    ) -> Result<(), String> {
        let partition = self.partition;
        for record in broker.log_from("ringmaster.journal", partition, self.records.len()) {
            let says =
                JournalRecord::decode(&record.value).map_err(|error| format!("journal {partition}@{}: {error}", record.offset))?;
            let counts = self.term.counts(record.offset, &says);
            let judged = Judged { record, says, counts };
            if counts {
                self.take(&judged, topics, turned).map_err(|why| format!("journal {partition}@{}: {why}", judged.record.offset))?;
            }
            self.records.push(judged);
        }
        Ok(())
    }

    fn take(
        &mut self,
        judged: &Judged,
        topics: &[[u8; 16]; 4],
        turned: &mut dyn FnMut(&Truth, &Judged, &Turn) -> Result<(), String>,
    ) -> Result<(), String> {
        if let Some(stamp) = judged.says.stamp() {
            if stamp.now < self.now {
                return Err(format!("time runs backwards, from {} to {}", self.now, stamp.now));
            }
            self.now = stamp.now;
        }
        match &judged.says {
            JournalRecord::Decision(decision) => {
                let (at, mut effects) = (decision.stamp.now, Vec::new());
                for turn in &decision.turns {
                    turned(self, judged, turn)?;
                    if let Cause::Input { topic, next } = &turn.cause {
                        let topic = decision.topics.get(*topic as usize).ok_or("a cause names no topic")?;
                        let index = topics.iter().position(|known| known == topic).ok_or("a cause names an unknown topic")?;
                        self.advance(index, *next)?;
                        *self.taken.entry((index, next - 1)).or_default() += 1;
                    }
                    if let Cause::Routed { next, from, .. } = &turn.cause {
                        self.advance(INPUTS.len() - 1, *next)?;
                        self.bring(topics, &from.source, from.partition, from.offset)?;
                    }
                    for change in &turn.changes {
                        self.change(change, at, &mut effects)?;
                        self.turned(change, judged.record.offset);
                    }
                }
                let (offset, since) = (judged.record.offset, judged.record.appended);
                let due = effects.into_iter().zip(0..).map(|(effect, index)| Due { offset, index, since, effect, apart: false });
                self.effects.extend(due);
            }
            JournalRecord::Positions(positions) => {
                for position in &positions.positions {
                    if position.name.contains('/') {
                        self.commit(&position.name, position.next)?;
                    } else if let Some(index) = topics.iter().position(|known| *known == position.topic) {
                        self.advance(index, position.next)?;
                    }
                }
            }
            JournalRecord::Claim(_) | JournalRecord::Bare(_) => {}
        }
        Ok(())
    }

    fn turned(&mut self, change: &Change, offset: i64) {
        let Change::Saga(change) = change else { return };
        let turns = self.turns.entry(change.saga.clone()).or_default();
        if change.events.iter().any(|event| matches!(event, SagaEvent::Started { .. })) {
            turns.clear();
        }
        if turns.last() != Some(&offset) {
            turns.push(offset);
        }
    }

    fn advance(&mut self, index: usize, next: i64) -> Result<(), String> {
        let before = self.positions[index];
        if next < before || (next == before && next != 0) {
            return Err(format!("the position of {} goes from {before} to {next}", INPUTS[index]));
        }
        self.positions[index] = next;
        Ok(())
    }

    /// A record that was routed is taken, once.
    fn bring(&mut self, topics: &[[u8; 16]; 4], source: &[u8; 16], partition: i32, offset: i64) -> Result<(), String> {
        let mark = self.marks.entry(partition).or_default();
        if *source != topics[ORDERS] || offset < *mark {
            return Err(format!("{}/{partition}@{offset} is taken by the inbox, whose mark is {mark}", INPUTS[ORDERS]));
        }
        *mark = offset + 1;
        Ok(())
    }

    /// The router is so far, or says by whose key a saga is started.
    fn commit(&mut self, name: &str, next: i64) -> Result<(), String> {
        let mut parts = name.split('/').skip(1);
        let (Some(Ok(partition)), None) = (parts.next().map(str::parse), parts.next()) else { return Ok(()) };
        let before = self.routed_to.insert(partition, next).unwrap_or(0);
        if next < before {
            return Err(format!("the router of {name} goes from {before} to {next}"));
        }
        Ok(())
    }

    fn change(&mut self, change: &Change, at: Millis, effects: &mut Vec<Effect>) -> Result<(), String> {
        match change {
            Change::Saga(change) => {
                let mut saga = self.sagas.remove(&change.saga);
                // A row whose retention is over may begin again.
                if matches!(change.events.first(), Some(SagaEvent::Started { .. }))
                    && saga.as_ref().is_some_and(|saga| saga.ended())
                {
                    saga = None;
                }
                let knowledge = knowledge();
                let parks = |event: &&SagaEvent| {
                    matches!(event, SagaEvent::Parked { .. } | SagaEvent::Entered { opens: Opens::Parked { .. }, .. })
                };
                self.parkings += change.events.iter().filter(parks).count();
                for event in &change.events {
                    let before = saga.clone();
                    apply(&change.saga, &mut saga, event, at).map_err(|illegal| illegal.to_string())?;
                    let behind = saga.as_ref().ok_or("an event leaves no saga")?;
                    let definition = definition_of(&knowledge, behind)?;
                    keeps_laws(laws::event(definition, before.as_deref(), event, behind, at))?;
                }
                let saga = saga.ok_or("a change leaves no saga")?;
                keeps_laws(laws::at_rest(definition_of(&knowledge, &saga)?, &saga))?;
                let reply_topic = INPUTS[0];
                let sender =
                    Sender { id: &change.saga, head: &saga.head, at, reply_topic, partition: self.partition, tracing: None };
                let mut topic_of = |command: &str| -> Arc<str> { names::command_topic(names::participant_of(command)).into() };
                for event in &change.events {
                    saga_effects(sender, event, order_of(&saga, event), &mut topic_of, &mut String::new(), effects);
                }
                change.events.iter().for_each(|event| brought(sender, &saga, event, effects));
                self.sagas.insert(change.saga.clone(), saga);
            }
            Change::Rejected(rejected) => self.rejected.push(rejected.clone()),
            Change::Quarantined(quarantined) => {
                self.quarantined += 1;
                let key = quarantined.key.as_deref().unwrap_or_default();
                effects.push(Effect::new("ringmaster.quarantine".into(), key, 0, |value| value.extend(quarantined.encode())));
            }
            Change::Undeliverable(place) => {
                let apart = self.effects.iter_mut().find(|due| due.offset == place.offset && due.index == place.index);
                apart.ok_or("an effect that is not due is set apart")?.apart = true;
            }
            Change::Breaker(change) => {
                self.breakers.apply(&change.participant, &change.event, at);
                self.openings += usize::from(matches!(change.event, BreakerEvent::Opened { .. }));
            }
            Change::ValueReturned(release) => effects.push(returned(release, INPUTS[0])),
            Change::Expired(_) | Change::Delivered(_) => {}
        }
        Ok(())
    }
}
