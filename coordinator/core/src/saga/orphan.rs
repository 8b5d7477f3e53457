//! Rows that nothing will ever wake: there must be none. A check of what is stored, for whoever looks at all of it.
//!
//! A row is an orphan if, as it stands,
//!
//! - something of it is open, and waits for a timer that it does not have; for a participant whose breaker is closed; for being resumed
//!   without being paused; or for rows below it of which none is left, or one is gone,
//! - nothing of it is open, it has not ended, and nothing of it is ever due, or
//! - the row above it is gone.
//!
//! Whatever waits for an answer, an event, an approval or a person waits for something outside: that is no orphan, however long it takes.
//! What is in the indexes is another question, which a row alone does not answer.

use ringmaster_schemas::Millis;
use ringmaster_schemas::names::{below, item_id, run_id};
use ringmaster_schemas::state::{Entry, Saga, Status, Waits};

use crate::definition::Definition;

/// What is stored beside a row.
pub trait Beside {
    /// True if there is a row of this id.
    fn has_row(&self, id: &str) -> Result<bool, String>;
    /// True if this participant's breaker is not closed.
    fn is_broken(&self, participant: &str) -> bool;
}

/// Why nothing will ever wake a row, in words; none if something will, or if it needs no waking. Without its definition it is not known
/// which rows are below it. The error is that of whoever is asked for other rows.
pub fn orphan(saga: &Saga, definition: Option<&Definition>, beside: &dyn Beside) -> Result<Option<String>, String> {
    if let Some(of) = below(&saga.id).filter(|_| saga.began() && saga.status != Status::Swept)
        && !beside.has_row(of.above)?
    {
        return Ok(Some(format!("the row above it, {}, is gone", of.above)));
    }
    if !matches!(saga.status, Status::Running | Status::Compensating) {
        return Ok(None);
    }
    for entry in saga.entries.iter().filter(|entry| entry.open()) {
        let found = of_entry(saga, entry, beside).map(|why| Ok(Some(why)));
        if let Some(why) = found.unwrap_or_else(|| of_rows_below(saga, entry, definition, beside))? {
            let step = definition.and_then(|definition| definition.node(entry.node)).map_or(entry.name(), |node| &*node.name);
            return Ok(Some(format!("step {step} {why}")));
        }
    }
    let is_asleep = !saga.entries.iter().any(Entry::open) && saga.due_at() == Millis::MAX && saga.paused().is_none();
    Ok(is_asleep.then(|| "nothing of it is open, and it has not ended".to_owned()))
}

fn of_entry(saga: &Saga, entry: &Entry, beside: &dyn Beside) -> Option<String> {
    let never = |what: &str| (saga.entry_due_at(entry) == Millis::MAX).then(|| format!("waits for {what}, and has no timer"));
    match entry.waits {
        Waits::Reply => never("an answer in time"),
        Waits::Retry => never("its next attempt"),
        Waits::Time => never("its time"),
        Waits::Parked => match entry.parked_for() {
            None => Some("is parked for nobody".to_owned()),
            Some(participant) if beside.is_broken(participant) => None,
            Some(participant) => Some(format!("is parked for {participant}, which is asked as usual")),
        },
        Waits::Paused => saga.paused().is_none().then(|| "waits until its saga is resumed, which is not paused".to_owned()),
        Waits::Children => match entry.children() {
            None => Some("waits for rows below it, and knows of none".to_owned()),
            Some(rows) => {
                let is_idle = rows.open.is_empty() && rows.work(saga.paused().is_some()).is_none() && saga.paused().is_none();
                is_idle.then(|| "waits for rows below it, and none is under way".to_owned())
            }
        },
        Waits::No | Waits::Stuck | Waits::Approval | Waits::Event => None,
    }
}

/// A row below it that is under way, and is gone.
fn of_rows_below(
    saga: &Saga,
    entry: &Entry,
    definition: Option<&Definition>,
    beside: &dyn Beside,
) -> Result<Option<String>, String> {
    let node = definition.and_then(|definition| definition.node(entry.node));
    let (Waits::Children, Some(node), Some(rows)) = (entry.waits, node, entry.children()) else { return Ok(None) };
    for child in &rows.open {
        let item = item_id(&saga.id, &node.name, entry.round, child.index);
        // A run's sub-saga is its only row.
        let is_there = beside.has_row(&item)? || child.index == 0 && beside.has_row(&run_id(&saga.id, &node.name, entry.round))?;
        if !is_there {
            return Ok(Some(format!("waits for {item}, which is gone")));
        }
    }
    Ok(None)
}
