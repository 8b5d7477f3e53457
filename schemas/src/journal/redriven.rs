//! What is taken in after all: a record that lies in quarantine, or that was missed, as it is brought to every partition again; and what a
//! person has said of a quarantined one.

use std::sync::Arc;

use bytes::Bytes;

use super::{QuarantineReason, RoutedHeader, known};
use crate::codec::{Avro, Cursor, Malformed, put_long};
use crate::{Millis, record, symbols};

/// The first number of a record of the inbox that is taken in after all: what a router hands on begins with the journal's version.
pub const REDRIVEN_VERSION: i64 = 4;
/// The first number of what was said of a record of the quarantine, in the same topic: the record itself begins with the journal's version.
pub const MARK_VERSION: i64 = 3;

record! {
    /// A record that is to be taken in after all. Every partition gets it, and takes what of it is its own.
    pub struct Redriven {
        /// Tells this sending from all others, for whoever looks in the journal for what became of it.
        pub id: Arc<str>,
        /// What none can read this partition tells: of all that get it, one.
        pub tells: bool,
        /// Where it was read.
        pub topic: Arc<str>,
        /// Where it was read.
        pub partition: i32,
        /// Where it was read.
        pub offset: i64,
        /// The record's timestamp; 0 if it has none.
        pub timestamp: Millis,
        /// The record's key.
        pub key: Option<Bytes>,
        /// The record's value; none in the journal, where nothing came of it.
        pub value: Option<Bytes>,
        /// Those of its headers that are of use.
        pub headers: Vec<RoutedHeader>,
        /// Who wants it.
        pub by: Arc<str>,
        /// Why.
        pub why: Arc<str>,
        /// A start is taken that is older than finished sagas are remembered.
        pub accept_old: bool,
        /// Why it could not be taken before; none if it does not lie in quarantine.
        pub was: Option<WasQuarantined>,
    }
}

record! {
    /// An entry of the quarantine, and its reason.
    pub struct WasQuarantined {
        /// The partition of the topic of quarantined records.
        pub partition: i32,
        /// And the offset there.
        pub offset: i64,
        /// Why, for programs.
        pub reason: QuarantineReason,
        /// Why, for people.
        pub detail: Arc<str>,
    }
}

record! {
    /// What a person has said of a quarantined record of the same partition. Nothing is ever deleted.
    pub struct QuarantineMark {
        /// Of which: its offset.
        pub offset: i64,
        /// What.
        pub act: QuarantineAct,
        /// Who.
        pub by: Arc<str>,
        /// Why.
        pub why: Arc<str>,
        /// When.
        pub at: Millis,
        /// What became of it.
        pub outcome: Arc<str>,
    }
}

symbols! {
    /// What is done with a quarantined record.
    pub enum QuarantineAct {
        /// It was brought to the partitions again.
        Redriven = 0 "REDRIVEN",
        /// It is of no use to anybody.
        Discarded = 1 "DISCARDED",
    }
}

impl Redriven {
    /// The value of a record of the inbox, version first.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.value.as_ref().map_or(0, Bytes::len) + 256);
        put_long(&mut out, REDRIVEN_VERSION);
        self.put(&mut out);
        out
    }

    /// True if a record of the inbox is one that is taken in after all.
    pub fn is_one(bytes: &[u8]) -> bool {
        Cursor::new(bytes).long() == Ok(REDRIVEN_VERSION)
    }

    /// Reads one.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(bytes);
        known(&mut cursor, REDRIVEN_VERSION)?;
        let redriven = <Redriven as Avro>::take(&mut cursor)?;
        cursor.end()?;
        Ok(redriven)
    }

    /// What is kept of it where nothing came of it: who wanted what, and no bytes.
    pub fn without_record(&self) -> Redriven {
        Redriven { key: None, value: None, headers: Vec::new(), ..self.clone() }
    }
}

impl QuarantineMark {
    /// The value of a record of the topic of quarantined records, version first.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        put_long(&mut out, MARK_VERSION);
        self.put(&mut out);
        out
    }

    /// True if a record of that topic says something of another.
    pub fn is_one(bytes: &[u8]) -> bool {
        Cursor::new(bytes).long() == Ok(MARK_VERSION)
    }

    /// Reads one.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(bytes);
        known(&mut cursor, MARK_VERSION)?;
        let mark = <QuarantineMark as Avro>::take(&mut cursor)?;
        cursor.end()?;
        Ok(mark)
    }
}
