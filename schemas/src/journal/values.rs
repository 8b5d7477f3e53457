//! Values by which events are matched: who waits for an event with a value claims that at the value's own partition, which keeps such
//! events, and brings them to whoever holds it (PROTOCOL.md section 4).
//!
//! ```text
//! wait -> Claim -> the value's partition -> Given, or Answer -> wait;   event -> the value's partition -> Event -> wait;   wait -> Release
//! ```

use std::sync::Arc;

use super::{KeptEvent, Place, known};
use crate::codec::{Avro, Cursor, Malformed, put_long};
use crate::{Millis, names, record, union};

/// The first number of a letter: what a router hands on begins with the journal's version.
pub const LETTER_VERSION: i64 = 3;

record! {
    /// A value, and of what: events of one type on one topic are matched by one of their fields.
    pub struct ValueName {
        /// The topic.
        pub topic: Arc<str>,
        /// The events' type.
        pub kind: Arc<str>,
        /// Their field.
        pub field: Arc<str>,
        /// The value, as text.
        pub value: Arc<str>,
    }
}

impl ValueName {
    /// The id of its row, in the partition of the value.
    pub fn id(&self) -> String {
        names::value_id(&self.topic, &self.kind, &self.field, &self.value)
    }
}

record! {
    /// A wait claims a value.
    pub struct ValueClaim {
        /// Which.
        pub name: ValueName,
        /// The row that waits.
        pub row: Arc<str>,
        /// And its entry.
        pub place: Place,
        /// When it began to wait: a row of this id that is there later is another one.
        pub at: Millis,
        /// Earlier entries of this row that still wait for an event with some value: all others wait no more.
        pub waiting: Vec<Place>,
    }
}

record! {
    /// A wait is over: the value is free again.
    pub struct ValueRelease {
        /// Which.
        pub name: ValueName,
        /// The row that waited.
        pub row: Arc<str>,
        /// And its entry.
        pub place: Place,
        /// When it began to wait.
        pub at: Millis,
        /// Identities of the events that it has looked at: nobody else is to have them.
        pub seen: Vec<Arc<str>>,
    }
}

record! {
    /// What the value's partition says of a claim.
    pub struct ValueAnswer {
        /// The row that waits.
        pub row: Arc<str>,
        /// And its entry.
        pub place: Place,
        /// When it began to wait.
        pub at: Millis,
        /// It has the value; else another one does.
        pub granted: bool,
    }
}

record! {
    /// An event with a value, for whoever holds that.
    pub struct ValueEvent {
        /// The row that waits.
        pub row: Arc<str>,
        /// And its entry.
        pub place: Place,
        /// When it began to wait.
        pub at: Millis,
        /// The event, as it came.
        pub event: KeptEvent,
    }
}

union! {
    /// What one partition writes to another, by the inbox. All of it may come again, late, and in another order.
    pub enum Letter {
        /// To the value's partition.
        Claim(ValueClaim) = 0,
        /// To the value's partition.
        Release(ValueRelease) = 1,
        /// To the partition of the row that waits.
        Answer(ValueAnswer) = 2,
        /// To the partition of the row that waits.
        Event(ValueEvent) = 3,
        /// To the partition of the row that waits, which has the value: if nobody waits there any more, it is given back.
        Given(ValueClaim) = 4,
    }
}

impl Letter {
    /// The value of a record of the inbox, version first.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        put_long(&mut out, LETTER_VERSION);
        self.put(&mut out);
        out
    }

    /// True if a record of the inbox is a letter: else a router has handed it on.
    pub fn is_one(bytes: &[u8]) -> bool {
        Cursor::new(bytes).long() == Ok(LETTER_VERSION)
    }

    /// Reads a letter.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(bytes);
        known(&mut cursor, LETTER_VERSION)?;
        let letter = <Letter as Avro>::take(&mut cursor)?;
        cursor.end()?;
        Ok(letter)
    }
}
