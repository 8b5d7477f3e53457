//! Rows as the owner sees them: what counts, and what is ahead of it.

use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::state::{RowKey, Saga, Status};

use super::ahead::Ahead;
use super::owner::Owner;
use super::replica::is_remembered;
use super::table::{Slot, Table};

fn current<'a>(ahead: &'a Ahead, table: &'a Table, slot: Slot) -> Option<&'a Arc<Saga>> {
    match ahead.rows.get(&slot) {
        Some(current) => Some(&current.saga),
        None => table.row(slot).saga.as_ref(),
    }
}

/// What a place means now, as [`Owner::remembered`] says it.
pub(super) fn remembered<'a>(ahead: &'a Ahead, table: &'a Table, slot: Slot) -> Option<&'a Arc<Saga>> {
    let is_there = |saga: &&Arc<Saga>| saga.status != Status::Swept && is_remembered(saga, ahead.expired);
    current(ahead, table, slot).filter(is_there)
}

impl Owner {
    /// The row at a place with all turns that were decided; none if it does not exist.
    pub(super) fn current(&self, slot: Slot) -> Option<&Arc<Saga>> {
        current(&self.ahead, &self.replica.table, slot)
    }

    /// The saga that a place means now: none if it never was, has not begun, or was forgotten.
    pub(super) fn visible(&self, slot: Slot) -> Option<&Arc<Saga>> {
        self.remembered(slot).filter(|saga| saga.began())
    }

    /// The same, or what came before it.
    pub(super) fn remembered(&self, slot: Slot) -> Option<&Arc<Saga>> {
        remembered(&self.ahead, &self.replica.table, slot)
    }

    /// When something of the row at a place is due.
    pub(super) fn due_at(&self, slot: Slot) -> Millis {
        let is_due = |saga: &&Arc<Saga>| saga.began() || saga.mailbox().is_some();
        self.remembered(slot).filter(is_due).map_or(Millis::MAX, |saga| saga.due_at())
    }

    /// The place of a saga's row in memory.
    pub(super) fn slot_of(&self, key: &RowKey) -> Option<Slot> {
        match key {
            RowKey::Saga(id) => self.replica.table.place(id),
            RowKey::Outbox(..) | RowKey::Breaker(_) | RowKey::Counts => None,
        }
    }
}
