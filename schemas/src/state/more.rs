//! What few sagas have.

use std::sync::Arc;

use super::{ClaimedValue, Mailbox, Saga, SeenEvent};
use crate::journal::{KeptEvent, Next};
use crate::{Millis, record};

/// What few sagas have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SagaMore {
    /// Events that came before something waits for them, in the order in which they came; each shared with the event that says so.
    pub early: Vec<Arc<KeptEvent>>,
    /// A person paused it.
    pub paused: Option<Paused>,
    /// How many events told that something of it needs a person.
    pub stuck_told: u16,
    /// Values that its waits have claimed.
    pub claims: Vec<ClaimedValue>,
    /// Of a value's row: who has the value.
    pub mailbox: Option<Box<Mailbox>>,
    /// Of a value's row: events with it that were looked at, the oldest first.
    pub seen: Vec<SeenEvent>,
}

record! {
    /// That a saga is paused.
    pub struct Paused {
        /// Since when.
        pub since: Millis,
        /// By whom; nobody where it is paused with a saga above it.
        pub by: Arc<str>,
        /// Why, in their words; or the id of the saga above.
        pub why: Arc<str>,
        /// What would have begun meanwhile, in order.
        pub postponed: Vec<Next>,
    }
}

impl Paused {
    /// True if a saga above it is paused, and it with that.
    pub fn is_with_above(&self) -> bool {
        self.by.is_empty()
    }
}

impl Saga {
    /// How many events told that something of it needs a person.
    pub fn stuck_told(&self) -> u16 {
        self.more.as_ref().map_or(0, |more| more.stuck_told)
    }

    /// That a person paused it.
    pub fn paused(&self) -> Option<&Paused> {
        self.more.as_ref()?.paused.as_ref()
    }

    /// Events that came early, in the order in which they came.
    pub fn early(&self) -> &[Arc<KeptEvent>] {
        self.more.as_ref().map_or(&[], |more| &more.early)
    }
}
