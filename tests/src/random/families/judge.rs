//! What can be said only at the end: what participants did is what the rows say, and what was told is in order.

use std::collections::{BTreeMap, BTreeSet};

use ringmaster_core::definition::Undo;
use ringmaster_schemas::state::{Saga, Status, Work};

use super::super::behave::Account;
use super::known::Known;
use super::world::World;

impl World<'_> {
    pub(super) fn judge(&mut self) {
        let Some(root) = self.rows.get(&self.root).cloned() else { return };
        if !root.ended() {
            return self.faults.push(format!("ends: the saga is {} and nothing more is to come", root.status));
        }
        self.count(match root.status {
            Status::Completed => "completed",
            _ => "compensated",
        });
        self.count("sagas");
        if self.rows.len() > 1 {
            self.faults.push(format!("L1: the saga has ended, and {} rows are left", self.rows.len()));
        }
        for row in self.graves.values().chain([&root]) {
            self.faults.extend(effects(self.known, row, &self.participants.accounts));
        }
        let told = Told { start: &self.start, bodies: &self.told, stood_for: &self.stood_for };
        self.faults.extend(told.wrong(self.known, &root));
        self.judge_values();
    }
}

/// L16: what was done is what the entries of a row say. `accounts`: by row and step.
pub(in crate::random) fn effects(known: &Known, row: &Saga, accounts: &BTreeMap<String, Account>) -> Vec<String> {
    let mut faults = Vec::new();
    for entry in &row.entries {
        let Some(order) = &entry.order else { continue };
        let key = format!("{}/{}", row.id, order.step());
        let Some(account) = accounts.get(&key).filter(|account| !account.left) else { continue };
        let step = known.of_row(row).step(entry.node);
        let undoes = step.is_some_and(|step| matches!(step.asks.undo, Undo::Command { .. }));
        let wrong = match entry.work {
            Work::Done if entry.went_on() => false,
            Work::Done => !account.effect,
            Work::Undone => account.effect,
            Work::Refused => account.effect && undoes,
            _ => false,
        };
        if wrong {
            faults.push(format!("L16: {key} is {}, and its participant says {account:?}", entry.work));
        }
    }
    faults
}

/// What the last step told.
pub(in crate::random) struct Told<'a> {
    /// What the start event said.
    pub(in crate::random) start: &'a serde_json::Value,
    /// All that was told.
    pub(in crate::random) bodies: &'a [serde_json::Value],
    /// For which lists a person gave a value: that there is nothing.
    pub(in crate::random) stood_for: &'a BTreeSet<String>,
}

impl Told<'_> {
    /// L18: results stand in the order of the items.
    pub(in crate::random) fn wrong(&self, known: &Known, root: &Saga) -> Vec<String> {
        let mut faults = Vec::new();
        for body in self.bodies {
            for (name, list) in body.as_object().into_iter().flatten().filter(|(name, _)| *name != "id") {
                let node = known.definitions[0].names.find(name);
                let entry = root.entries.iter().rfind(|entry| Some(entry.node) == node && entry.work != Work::Refused);
                let Some(rows) = entry.and_then(|entry| entry.children()) else {
                    faults.push(format!("L18: {name} was told, and was never gone through"));
                    continue;
                };
                let indexes: Vec<i64> = list.as_array().into_iter().flatten().filter_map(|item| item["i"].as_i64()).collect();
                let items: Vec<i64> = list.as_array().into_iter().flatten().filter_map(|item| item["item"].as_i64()).collect();
                let said_by_a_person = items.is_empty() && self.stood_for.contains(name);
                if said_by_a_person {
                    continue;
                }
                if !self.may_be_gone_through(&items) {
                    faults.push(format!("L18: the items of {name} were {items:?}, and the start is {}", self.start));
                }
                if indexes != (0..i64::from(rows.count)).collect::<Vec<i64>>() {
                    faults.push(format!("L18: the results of {name} are {list}, and it has {} items", rows.count));
                }
            }
        }
        faults
    }

    /// True for one of the lists that a definition may name.
    fn may_be_gone_through(&self, items: &[i64]) -> bool {
        let list =
            |name: &str| -> Vec<i64> { self.start[name].as_array().into_iter().flatten().filter_map(|n| n.as_i64()).collect() };
        let all = list("items");
        let large: Vec<i64> = all.iter().copied().filter(|n| *n > 1).collect();
        [list("few"), all, large].iter().any(|known| known == items)
    }
}
