//! What arrived: a record's bytes are told apart, checked and projected onto what expressions can read, before anything is decided.
//!
//! ```text
//! bytes -> Event::recognise (type, identity) -> Projections::start  -> StartInput    a domain event
//!                                            -> Projections::listened -> EventInput  the same, for a saga that waits for it
//! bytes -> Answer::read (whom it is for)     -> Projections::reply  -> ReplyInput    a participant's answer
//! bytes -> ControlRecord::read (which saga)  -> its input           -> ActInput      a person's act
//! ```
//!
//! Nothing here knows a saga, a store or a journal: what cannot be taken is [`Refused`], with the reason and what to do. What is not
//! read does not matter; what is read is exact.

mod bounds;
mod control;
mod event;
mod project;
mod reply;
mod structured;
#[cfg(test)]
mod tests;

use std::fmt::Display;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{QuarantineReason, RoutedHeader};

pub use bounds::beginning;
pub use control::{ControlAct, ControlOutcome, ControlRecord, ParticipantAct, ParticipantRecord};
pub(crate) use event::Body;
pub use event::{Event, Origin, Typing};
pub use project::Projections;
pub use reply::Answer;

/// Bytes of a participant's code: a word for programs.
pub const CODE_BYTES_MAX: usize = 100;
/// Bytes of a participant's message: some sentences for people. State and logs keep it.
pub const MESSAGE_BYTES_MAX: usize = 1024;
/// Bytes of an event's source, and of its id.
pub const ID_BYTES_MAX: usize = 200;

/// A record of an input topic.
#[derive(Clone, Copy)]
pub struct InputRecord<'a> {
    /// Its offset.
    pub offset: i64,
    /// Its timestamp; 0 if the log has none.
    pub timestamp: Millis,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value.
    pub value: Option<&'a [u8]>,
    /// None if the record has none.
    pub headers: Option<&'a dyn Headers>,
}

/// The headers of a record, as its bus holds them.
pub trait Headers {
    /// The last header of this name: the one that counts.
    fn find(&self, name: &str) -> Option<&[u8]>;
}

/// Those that were kept with a record.
impl Headers for Vec<RoutedHeader> {
    fn find(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|header| *header.name == *name).map(|header| &*header.value)
    }
}

/// A record that is not taken: it goes to quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Why, for programs.
    pub reason: QuarantineReason,
    /// Why, for people, and what to do.
    pub detail: String,
    /// Fingerprint of its schema, where one is known.
    pub schema: Option<u64>,
}

impl Refused {
    pub(crate) fn new(reason: QuarantineReason, detail: impl Display, schema: Option<u64>) -> Self {
        Refused { reason, detail: detail.to_string(), schema }
    }

    fn undecodable(detail: impl Display, schema: Option<u64>) -> Self {
        Refused::new(QuarantineReason::Undecodable, detail, schema)
    }
}
