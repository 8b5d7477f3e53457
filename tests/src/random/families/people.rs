//! What people do: they answer to approvals, and act on what is stuck.

use std::sync::Arc;

use ringmaster_core::definition::Verb;
use ringmaster_core::saga::{Act, ActInput, Input, Outcome, name_of};
use ringmaster_schemas::journal::Place;
use ringmaster_schemas::names;
use ringmaster_schemas::state::{Entry, Saga, Waits, Work};

use super::known::asks_for_approval;
use super::world::{HELPED_MAX, World};
use crate::stories::{Said, project};

impl World<'_> {
    /// Somebody answers to an approval that waits.
    pub(super) fn answer_approval(&mut self) {
        let Some(saga) = self.rows.values().find(|saga| asks_for_approval(saga)).cloned() else { return };
        let entry = saga.entries.iter().find(|entry| entry.waits == Waits::Approval).expect("it was looked at");
        let act = if self.random.u32(0..3) > 0 { Act::Approve } else { Act::Refuse };
        self.count("approvals that were answered");
        self.acts(&saga.id, act, name_of(self.known.of_row(&saga), entry));
    }

    fn acts(&mut self, id: &Arc<str>, act: Act, step: String) {
        let came = format!("a person acts on {step}: {act:?}");
        let act = ActInput { act, step: Some(step.into()), by: "ann".into(), why: "looked at it".into(), if_turn: None };
        self.turn(id, Input::Act(act), &came);
    }

    /// A person pauses a saga or a sub-saga, or resumes one that is paused.
    pub(super) fn pause_saga(&mut self) {
        let is_item = |id: &Arc<str>| names::below(id).is_some_and(|below| below.item.is_some());
        let all: Vec<Arc<Saga>> = self.rows.values().filter(|saga| !is_item(&saga.id)).cloned().collect();
        let root = all.iter().position(|saga| saga.id == self.root).filter(|_| self.random.bool());
        let Some(saga) = root.map(|root| &all[root]).or(self.random.choice(&all)) else { return };
        let resumes = saga.paused().is_some() != (self.random.u32(0..8) == 0);
        self.count(if resumes { "sagas that were resumed" } else { "sagas that were paused" });
        self.acts_on(&saga.id, if resumes { Act::Resume } else { Act::Pause });
    }

    /// In a calm world people resume what they have paused; false if nothing is.
    pub(super) fn resume_any(&mut self) -> bool {
        let is_own = |saga: &&Arc<Saga>| saga.paused().is_some_and(|paused| !paused.is_with_above());
        // One below another is not resumed before that.
        let Some(id) = self.rows.values().find(is_own).map(|saga| saga.id.clone()) else { return false };
        self.acts_on(&id, Act::Resume);
        // One that is to be undone is not resumed: that goes on.
        self.rows.get(&id).is_none_or(|saga| saga.paused().is_none())
    }

    fn acts_on(&mut self, id: &Arc<str>, act: Act) {
        let came = format!("a person says {act:?}");
        let act = ActInput { act, step: None, by: "ann".into(), why: "the customer calls".into(), if_turn: None };
        self.turn(id, Input::Act(act), &came);
    }

    /// A person acts on something that is stuck.
    pub(super) fn act(&mut self) {
        let stuck: Vec<(Arc<str>, Place)> = self.stuck();
        let Some((id, place)) = self.random.choice(&stuck).cloned() else { return };
        self.count("acts of people");
        let saga = self.rows[&id].clone();
        let entry = &saga.entries[usize::from(place)];
        let act = match self.random.u32(0..4) {
            0 | 1 => Act::Retry,
            2 => Act::Skip { value: None, given: false },
            _ => self.stands_for(&saga, entry),
        };
        if let (Act::Skip { .. }, Some(order)) = (&act, &entry.order) {
            self.participants.leave(&format!("{id}/{}", order.step()));
        }
        self.acts(&id, act, name_of(self.known.of_row(&saga), entry));
    }

    /// A person says that there are no items, or what a sub-saga would have given, where that is a value; else it goes on without one.
    fn stands_for(&mut self, saga: &Saga, entry: &Entry) -> Act {
        let node = self.known.of_row(saga).node(entry.node).filter(|node| matches!(node.verb, Verb::ForEach(_) | Verb::Run(_)));
        match node.and_then(|node| Some((node, node.kept()?))) {
            Some((node, kept)) => {
                let is_list = matches!(node.verb, Verb::ForEach(_));
                self.count(if is_list { "lists that a person gave" } else { "results that a person gave" });
                self.stood_for.insert(node.name.to_string());
                let text = if is_list { "[]" } else { r#"{"n":0,"more":[]}"# };
                let value = Some(ringmaster_schemas::Data::new(&project(kept, kept, text).expect("it fits")));
                Act::Skip { value, given: true }
            }
            None => Act::Skip { value: None, given: false },
        }
    }

    fn stuck(&self) -> Vec<(Arc<str>, Place)> {
        let of = |saga: &Arc<Saga>| -> Vec<(Arc<str>, Place)> {
            let entries = saga.entries.iter().zip(0..).filter(|(entry, _)| entry.waits == Waits::Stuck);
            entries.map(|(_, place)| (saga.id.clone(), place)).collect()
        };
        self.rows.values().flat_map(of).collect()
    }

    /// In a calm world people see to what is stuck: they ask again, or say how it ended; false if nothing is.
    pub(super) fn help(&mut self) -> bool {
        // One after the other: what one waits for another may have.
        let stuck = self.stuck();
        let Some((id, place)) = stuck.get(self.helped as usize % stuck.len().max(1)).cloned() else { return false };
        self.helped += 1;
        if self.helped == HELPED_MAX {
            self.cancel();
            return true;
        }
        let saga = self.rows[&id].clone();
        let entry = &saga.entries[usize::from(place)];
        let step = name_of(self.known.of_row(&saga), entry);
        let act = match (entry.work, &entry.order) {
            (Work::UndoAsked, Some(order)) => {
                self.participants.close(&format!("{id}/{}", order.step()));
                Act::Resolve(Outcome::Succeeded { result: None })
            }
            (Work::Asked, Some(order)) => {
                let key = format!("{id}/{}", order.step());
                let account = self.participants.accounts.entry(key.clone()).or_default();
                match account.result() {
                    Some(Said::Succeeded(Some(result))) => {
                        let node = self.known.of_row(&saga).node(entry.node).and_then(|node| node.kept());
                        let result =
                            node.map(|kept| ringmaster_schemas::Data::new(&project(kept, kept, &result).expect("it fits")));
                        Act::Resolve(Outcome::Succeeded { result })
                    }
                    _ => {
                        self.participants.close(&key);
                        Act::Resolve(Outcome::Refused { code: "NO".into(), message: "said by a person".into() })
                    }
                }
            }
            _ if self.random.u32(0..3) == 0 => self.stands_for(&saga, entry),
            _ => Act::Retry,
        };
        if let (Act::Skip { .. }, Some(order)) = (&act, &entry.order) {
            self.participants.leave(&format!("{id}/{}", order.step()));
        }
        self.acts(&id, act, step);
        true
    }
}
