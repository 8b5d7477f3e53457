//! Where rows are found without knowing their keys.

use super::Saga;
use crate::Millis;

/// An index: rows in the order of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Index {
    /// By the time at which something is due.
    Due,
    /// By the bucket in which the row expires.
    Expiry,
    /// By the time since which a person is needed.
    Stuck,
}

/// A row's places in the indexes. A row that expires waits for nothing else: it has that one place, so that whoever deletes it
/// needs no other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IndexKeys {
    /// When something is due; none if it waits for nothing.
    pub due: Option<Millis>,
    /// The bucket in which it expires; none while it is needed.
    pub expiry: Option<i64>,
    /// Since when it needs a person; none if it does not.
    pub stuck: Option<Millis>,
}

impl IndexKeys {
    /// A row that is found by its key alone.
    pub const NONE: IndexKeys = IndexKeys { due: None, expiry: None, stuck: None };

    /// The row's place in an index, if it has one.
    pub fn place(&self, index: Index) -> Option<i64> {
        match index {
            Index::Due => self.due,
            Index::Expiry => self.expiry,
            Index::Stuck => self.stuck,
        }
    }
}

impl Index {
    /// All of them.
    pub const ALL: [Index; 3] = [Index::Due, Index::Expiry, Index::Stuck];
}

/// A row's places in the indexes, by what it says.
pub fn index_keys(saga: &Saga) -> IndexKeys {
    match saga.expiry_bucket() {
        Some(bucket) => IndexKeys { expiry: Some(bucket), ..IndexKeys::NONE },
        None => {
            let due = Some(saga.due_at()).filter(|due| *due != Millis::MAX);
            IndexKeys { due, stuck: saga.stuck_since(), ..IndexKeys::NONE }
        }
    }
}
