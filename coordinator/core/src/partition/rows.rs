//! Rows as the owner sees them: what counts, and what is ahead of it.

use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::state::{RowKey, Saga, Status};

use super::owner::Owner;
use super::replica::is_remembered;
use super::table::Slot;

/// True if a row is one by now: it has not gone, and is not forgotten.
pub(super) fn is_there(saga: &Saga, expired: i64) -> bool {
    saga.status != Status::Swept && is_remembered(saga, expired)
}

impl Owner {
    /// The row at a place with all turns that were decided; none if it does not exist.
    pub(super) fn current(&self, slot: Slot) -> Option<&Arc<Saga>> {
        match self.ahead.rows.get(&slot) {
            Some(current) => Some(&current.saga),
            None => self.replica.table.row(slot).saga.as_ref(),
        }
    }

    /// The saga that a place means now: none if it never was, has not begun, or was forgotten.
    pub(super) fn visible(&self, slot: Slot) -> Option<&Arc<Saga>> {
        self.remembered(slot).filter(|saga| saga.began())
    }

    /// The same, or what came before it.
    pub(super) fn remembered(&self, slot: Slot) -> Option<&Arc<Saga>> {
        self.current(slot).filter(|saga| is_there(saga, self.ahead.expired))
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
