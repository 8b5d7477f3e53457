//! A saga with items and sub-sagas, as the journal tells of it: all its rows, each turn held to the laws of a row and to those of a family.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringmaster_core::saga::{Effect, Moved, Room, apply};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{SagaChange, SagaEvent};
use ringmaster_schemas::names::parse_saga_id;
use ringmaster_schemas::state::{Saga, Status, Waits};
use ringmaster_schemas::wire::{self, Body};

use super::super::behave::Account;
use super::super::families::judge::{Told, effects};
use super::super::families::known::Known;
use super::super::families::{laws, mail};

/// Laws that one family may break until no more of it is told.
const FAULTS_MAX: usize = 20;

/// The rows of a saga.
#[derive(Debug, Default)]
pub(super) struct Family {
    pub(super) rows: BTreeMap<Arc<str>, Arc<Saga>>,
    /// Rows that are gone, as they were last.
    graves: BTreeMap<Arc<str>, Arc<Saga>>,
    /// Bodies of its last step.
    told: Vec<serde_json::Value>,
    /// Rows on which somebody acted.
    acted: BTreeSet<Arc<str>>,
    /// Laws that broke while it was read.
    faults: Vec<String>,
}

/// It has ended, and nothing of it waits: what is found to be done behind the end is undone, by a person where that is refused.
pub(super) fn is_over(saga: &Saga) -> bool {
    saga.ended() && !waits_at_all(saga)
}

fn waits_at_all(row: &Saga) -> bool {
    row.entries.iter().any(|entry| entry.waits != Waits::No)
}

impl Family {
    /// Takes what happened to its rows in a turn. `sent`: all that events of a row cause to be sent, where they leave it so.
    pub(super) fn turn(
        &mut self,
        known: &Known,
        changes: Vec<SagaChange>,
        at: Millis,
        sent: &mut dyn FnMut(&Saga, &[SagaEvent]) -> Vec<Effect>,
    ) -> Result<(), String> {
        let mut moved = Vec::new();
        for SagaChange { saga: id, events } in changes {
            let before = self.rows.get(&id).cloned();
            let saga = self.change(known, &id, &events, at)?;
            sent(&saga, &events).iter().for_each(|effect| self.told_by(known, &id, effect));
            if saga.status == Status::Swept {
                let last = self.rows.remove(&id);
                self.graves.extend(last.map(|last| (id.clone(), last)));
            } else {
                self.rows.insert(id.clone(), saga.clone());
            }
            moved.push(Moved { id, before, definition: known.of_row(&saga), events, saga });
        }
        // How much room a turn had is not told: what it had to do all the same is.
        self.faults.extend(mail::left(&self.rows, &moved, Room::NONE));
        self.faults.extend(laws::room(&moved, Room::USUAL));
        self.faults.extend(laws::family(known, &self.rows));
        self.faults.truncate(FAULTS_MAX);
        Ok(())
    }

    /// What the events of a turn make of a row.
    fn change(&mut self, known: &Known, id: &Arc<str>, events: &[SagaEvent], at: Millis) -> Result<Arc<Saga>, String> {
        let mut row = self.rows.get(id).cloned();
        for event in events {
            if matches!(event, SagaEvent::Acted { .. }) {
                self.acted.insert(id.clone());
            }
            let was = row.clone();
            self.faults.extend(laws::before(known, &self.rows, id, was.as_deref(), event));
            apply(id, &mut row, event, at).map_err(|illegal| illegal.to_string())?;
            let behind = row.as_deref().ok_or("an event leaves no row")?;
            let version = behind.head.version();
            let definition = known.definitions.iter().find(|definition| definition.hash == version);
            let definition = definition.ok_or_else(|| format!("{id} runs another version than was written here"))?;
            self.faults.extend(laws::event(definition, was.as_deref(), event, behind, at));
            self.faults.extend(laws::search(definition, event, behind));
        }
        row.ok_or_else(|| format!("{id}: a change without events"))
    }

    /// What its last step tells, and whether a command is keyed as it must be.
    fn told_by(&mut self, known: &Known, id: &str, effect: &Effect) {
        let Ok(command) = wire::decode_command(effect.value(), &known.schemas) else { return };
        if let (true, Body::Json(body)) = (&*command.meta.command == "bank.Tell", command.body) {
            self.told.push(serde_json::from_str(body).expect("a body is JSON"));
        }
        if *effect.key() != *parse_saga_id(id).1.as_bytes() {
            self.faults.push(format!("wire: the command {} is not keyed by the saga's key", command.meta.idempotency_key));
        }
    }

    /// The saga itself.
    pub(super) fn root(&self, id: &str) -> Option<&Arc<Saga>> {
        self.rows.get(id)
    }

    /// It has ended, and nothing of it waits.
    pub(super) fn is_over(&self, id: &str) -> bool {
        self.root(id).is_some_and(|root| root.ended()) && self.rows.values().all(|row| !waits_at_all(row))
    }

    /// One of its rows needs a person.
    pub(super) fn is_stuck(&self) -> bool {
        self.rows.values().any(|row| row.stuck())
    }

    /// Nothing of it goes on by itself, nobody waits for anybody, and something needs a person: of whom `is_left` says that nobody
    /// does more for that row.
    pub(super) fn rests(&self, far: Millis, is_left: impl Fn(&Saga) -> bool) -> bool {
        let waits = |row: &Saga| row.entries.iter().any(|entry| matches!(entry.waits, Waits::Approval | Waits::Event));
        let is_idle = |row: &Arc<Saga>| row.due_at() >= far && !row.parked() && row.paused().is_none() && !waits(row);
        self.is_stuck() && self.rows.values().all(|row| is_idle(row) && (!row.stuck() || is_left(row)))
    }

    /// All that is not as it must be in the end. `start`: what its event said; `accounts`: of its participants, by row and step below it.
    pub(super) fn wrong(
        &self,
        known: &Known,
        id: &str,
        start: &serde_json::Value,
        accounts: &BTreeMap<String, Account>,
    ) -> Vec<String> {
        let mut faults = self.faults.clone();
        let helpless = self.rows.values().filter(|row| row.stuck() && !self.acted.contains(&row.id));
        faults.extend(helpless.map(|row| format!("people helped {}, and nothing that they did was taken", row.id)));
        let Some(root) = self.root(id) else { return vec!["its own row is gone".to_owned()] };
        if !root.ended() {
            return faults;
        }
        if self.rows.len() > 1 {
            faults.push(format!("L1: the saga has ended, and {} rows are left", self.rows.len()));
        }
        let accounts = accounts.iter().map(|(step, account)| (format!("{id}/{step}"), account.clone())).collect();
        for row in self.graves.values().chain([root]) {
            faults.extend(effects(known, row, &accounts));
        }
        let stood_for = &BTreeSet::new();
        faults.extend(Told { start, bodies: &self.told, stood_for }.wrong(known, root));
        faults
    }
}
