//! The journal's records: what happened, in the order that decides it (PROTOCOL.md section 1).
//!
//! Every record begins with [`VERSION`]. A released version is frozen: never change a field, only add branches and versions; golden
//! bytes in `schemas/golden/` hold that.

mod came;
mod emission;
mod items;
mod opens;
mod reasons;
mod redriven;
mod routed;
mod saga_event;
mod sealed;
mod search;
mod turn;
mod values;

use std::sync::Arc;

pub use came::*;
pub use emission::*;
pub use items::*;
pub use opens::*;
pub use reasons::*;
pub use redriven::*;
pub use routed::*;
pub use saga_event::*;
pub use sealed::*;
pub use search::*;
pub use turn::*;
pub use values::*;

use crate::codec::{Avro, Cursor, Malformed, put_long};
use crate::{Millis, record, union};

/// Version of the journal's format, the first number of every record.
pub const VERSION: i64 = 2;

/// No version will ever be higher, so that a record of one is told from bytes that are none.
const VERSION_MAX: u8 = 15;

/// A claim's identity: random, new for every attempt, never one per instance.
pub type ClaimId = [u8; 16];
/// The broker's identity of a topic: a topic that was deleted and made again is another one.
pub type TopicId = [u8; 16];
/// Content hash of a definition (the first 16 bytes of SHA-256 over its text and the keys of its schemas).
pub type DefinitionHash = [u8; 16];

union! {
    /// One record of a journal partition.
    pub enum JournalRecord {
        /// Whoever appends it owns the partition from here, until the next claim.
        Claim(Claim) = 0,
        /// The turns of one poll.
        Decision(Decision) = 1,
        /// Where reading goes on, when inputs were skipped or an input is new.
        Positions(Positions) = 2,
        /// Nothing but its stamp: it carries `released`.
        Bare(Bare) = 3,
    }
}

record! {
    /// The head of a reign. Its offset is the C of every record that counts under it.
    pub struct Claim {
        /// New for every attempt.
        pub id: ClaimId,
        /// The instance's name, for people.
        pub owner: Arc<str>,
        /// Where its API listens, for people; empty if nowhere.
        pub address: Arc<str>,
        /// P, fixed for life by the first claim.
        pub partitions: i32,
        /// When it was written.
        pub now: Millis,
    }
}

record! {
    /// What every record but a claim carries: what makes it count, and how far effects were delivered.
    pub struct Stamp {
        /// Offset of the claim under which it was written.
        pub claim_offset: i64,
        /// That claim's identity.
        pub claim: ClaimId,
        /// 0 for the first record of the claim, then one more each.
        pub number: i64,
        /// Exclusive offset: all effects of every counting record below are acknowledged by the broker.
        pub released: i64,
        /// The partition's time: max(wall clock, the last journaled one).
        pub now: Millis,
    }
}

record! {
    /// The turns of one poll.
    pub struct Decision {
        /// What makes it count.
        pub stamp: Stamp,
        /// The input topics that causes index into.
        pub topics: Vec<TopicId>,
        /// At least one.
        pub turns: Vec<Turn>,
    }
}

record! {
    /// Where reading goes on.
    pub struct Positions {
        /// What makes it count.
        pub stamp: Stamp,
        /// Only those that moved.
        pub positions: Vec<Position>,
    }
}

record! {
    /// The next offset to read of this partition of an input topic.
    pub struct Position {
        /// Which topic.
        pub topic: TopicId,
        /// Its name, so that a topic that was deleted and made again is noticed. With a slash it is about one partition of a topic that
        /// is routed: `orders/17` is how far the router is, `orders/17/SAGA` the version by whose key SAGA is started (its offset
        /// in the topic of definitions), `/17` the mark: what came from there by the inbox.
        pub name: Arc<str>,
        /// Exclusive: everything below was taken.
        pub next: i64,
    }
}

record! {
    /// A record that only carries its stamp.
    pub struct Bare {
        /// What makes it count.
        pub stamp: Stamp,
    }
}

/// Takes the format's version, or says what to do about another.
fn known_version(cursor: &mut Cursor<'_>) -> Result<(), Malformed> {
    match cursor.long()? {
        VERSION => Ok(()),
        1 => Err(Malformed(
            "it was written in format version 1 and this build reads version 2, which cannot continue it. Let its sagas end under the build that wrote it; then set another `prefix` and an empty data directory",
        )),
        _ => Err(Malformed("it is of a format version that this build does not know: use the build that wrote it, or a newer one")),
    }
}

/// The same of what has a version of its own.
fn known(cursor: &mut Cursor<'_>, version: i64) -> Result<(), Malformed> {
    if cursor.long()? == version {
        return Ok(());
    }
    Err(Malformed("it is of a format version that this build does not know: use the build that wrote it, or a newer one"))
}

impl JournalRecord {
    /// The record's bytes, version first.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        put_long(&mut out, VERSION);
        self.put(&mut out);
        out
    }

    /// Reads a journal record; an unknown version or leftover bytes are errors.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(bytes);
        known_version(&mut cursor)?;
        let record = JournalRecord::take(&mut cursor)?;
        cursor.end()?;
        Ok(record)
    }

    /// Reads what stands in the journal: none for what is foreign ([`JournalRecord::is_foreign`]).
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, Malformed> {
        if JournalRecord::is_foreign(bytes) { Ok(None) } else { JournalRecord::decode(bytes).map(Some) }
    }

    /// True for bytes that no version of this project ever wrote: a tombstone, text, somebody's JSON. They are neither a claim nor
    /// counting, and so they are void. What begins as a record of some version and cannot be read may count, and is not foreign.
    pub fn is_foreign(bytes: &[u8]) -> bool {
        bytes.first().is_none_or(|first| !(2..=2 * VERSION_MAX).contains(first) || first % 2 == 1)
    }

    /// The stamp of everything but a claim.
    pub fn stamp(&self) -> Option<&Stamp> {
        match self {
            JournalRecord::Claim(_) => None,
            JournalRecord::Decision(decision) => Some(&decision.stamp),
            JournalRecord::Positions(positions) => Some(&positions.stamp),
            JournalRecord::Bare(bare) => Some(&bare.stamp),
        }
    }
}
