//! Which records of the journal changed a row: said by whoever knows their offsets, so that no event and no `apply` need to.

use std::sync::Arc;

use ringmaster_schemas::names::is_value;
use ringmaster_schemas::state::Saga;

use super::law;

/// Who makes a change true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taker {
    /// The owner, whose record is in the making.
    Owner,
    /// A reader of the journal.
    Replay,
    /// A reader of the journal who makes a state of a snapshot.
    Restore,
}

/// The counting record at this offset has changed the row. That of a value is nobody's history.
pub(super) fn remember(saga: &mut Arc<Saga>, offset: i64, taker: Taker) {
    if !is_value(&saga.id) && law::remembers_turns(taker) {
        // Whoever changed it holds it alone.
        Arc::make_mut(saga).turns.remember(offset);
    }
}
