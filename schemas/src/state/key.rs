//! What a row is known by.

use std::fmt;
use std::sync::Arc;

/// What kinds of row there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowKind {
    /// Sagas, by id.
    Saga,
    /// Effects that are not known to be delivered, in the journal's order.
    Outbox,
    /// Breakers that are not closed, by participant.
    Breaker,
    /// The partition's counts: one row.
    Counts,
}

/// A row's key within its partition. Rows of a kind are ordered by it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowKey {
    /// A saga's id.
    Saga(Arc<str>),
    /// An effect: the offset of the record that caused it, and which of that record's effects it is, from 0.
    Outbox(i64, i32),
    /// A participant's name.
    Breaker(Arc<str>),
    /// The only one of its kind.
    Counts,
}

impl RowKey {
    /// The key of a saga's row.
    pub fn saga(id: &str) -> Self {
        RowKey::Saga(id.into())
    }

    /// What kind of row it is.
    pub fn kind(&self) -> RowKind {
        match self {
            RowKey::Saga(_) => RowKind::Saga,
            RowKey::Outbox(_, _) => RowKind::Outbox,
            RowKey::Breaker(_) => RowKind::Breaker,
            RowKey::Counts => RowKind::Counts,
        }
    }
}

impl fmt::Display for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RowKey::Saga(id) => f.write_str(id),
            RowKey::Outbox(offset, index) => write!(f, "effect {index} of the record at {offset}"),
            RowKey::Breaker(participant) => write!(f, "the breaker of {participant}"),
            RowKey::Counts => f.write_str("the counts"),
        }
    }
}
