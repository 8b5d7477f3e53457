//! Laws that need to know more than an event and a row: what was written, what was asked, who did what. What holds for every saga
//! whatever was asked stands in [`crate::laws`].

mod answers;
mod events;
mod parking;
mod reactions;
mod told;
mod turns;
mod way;
mod written;

use std::collections::BTreeMap;

use ringmaster_core::definition::{Definition, Undo};
use ringmaster_schemas::state::{Entry, Saga, Waits, Work};

use super::behave::Account;
pub(super) use events::{Arrived, Came, came, kept, moved_in};
pub(super) use reactions::reacts;
pub(super) use told::bodies;
pub(super) use turns::{stuck, turn};
pub(super) use way::{Known, way, whole_way};
pub(super) use written::written;

/// L16: what participants hold in the end is what the saga says to have done, and what nothing undoes. Of what needs a person nobody
/// knows.
pub(super) fn ledger(definition: &Definition, saga: &Saga, accounts: &BTreeMap<String, Account>) -> Vec<String> {
    let mut faults = Vec::new();
    let undoes = |entry: &Entry| definition.step(entry.node).is_some_and(|step| matches!(step.asks.undo, Undo::Command { .. }));
    for (step, account) in accounts.iter().filter(|(_, account)| !account.left) {
        let entry = saga.entries.iter().find(|entry| entry.order.is_some() && entry.name() == step);
        let Some(entry) = entry else {
            faults.push(format!("L16: {step} was asked and stands nowhere"));
            continue;
        };
        let may_stay = entry.work == Work::Done || entry.waits == Waits::Stuck || !undoes(entry);
        if account.effect && !may_stay {
            faults.push(format!("L16: {step} is {} and left something behind", entry.work));
        }
        if !account.effect && entry.work == Work::Done {
            faults.push(format!("L16: {step} is done, and is not there"));
        }
    }
    faults
}
