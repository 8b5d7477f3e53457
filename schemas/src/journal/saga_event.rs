//! What happens to one saga: past tense, self-contained, so that `apply` and `effects` need neither definition nor clock.
//!
//! An event names what it happens to by its *place*: the number of an entry in the saga's list. It carries no time of its own: the
//! `now` of its record is the turn's.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::{DefinitionHash, Encoding, FailureKind};
use crate::codec::{Avro, Cursor, Malformed, put_blob, put_long, put_text};
use crate::names::Direction;
use crate::shared::{Data, Shared};
use crate::{Millis, record, variants};

/// The number of an entry in a saga's list.
pub type Place = u16;

variants! {
    /// One thing that happened.
    pub enum SagaEvent {
        /// It exists.
        Started {
            /// What never changes.
            head: Head,
            /// When its deadline is.
            deadline_at: Option<Millis>,
        } = 0,
        /// A node's `if` was false.
        Skipped {
            /// Its number in the definition.
            node: u16,
            /// It holds the pivot: the saga is behind it now.
            passes: bool,
        } = 1,
        /// A node was reached that asks nobody yet.
        Entered {
            /// Its place: the next one.
            place: Place,
            /// Its number in the definition; 0 is the saga as a whole, at its end.
            node: u16,
            /// Which entry of this node it is, from 1.
            round: u8,
            /// How it begins.
            opens: Opens,
        } = 2,
        /// A node was reached, and its command is to be sent.
        CommandIssued {
            /// Its place: the next one.
            place: Place,
            /// Its number in the definition.
            node: u16,
            /// Which entry of this node it is, from 1.
            round: u8,
            /// What is to be sent, the same in every attempt.
            order: Order,
            /// When this attempt runs out.
            due_at: Millis,
        } = 3,
        /// A command is to be sent once more.
        CommandRepeated {
            /// Whose.
            place: Place,
            /// The node's own, or its undo's.
            direction: Direction,
            /// From 2.
            attempt: u16,
            /// When this attempt runs out.
            due_at: Millis,
        } = 4,
        /// What was done, or may have been, is to be undone.
        UndoIssued {
            /// Whose.
            place: Place,
            /// What is to be sent, the same in every attempt.
            order: Order,
            /// When this attempt runs out.
            due_at: Millis,
        } = 5,
        /// An attempt failed or ran out; the next one is due later.
        RetryScheduled {
            /// Whose.
            place: Place,
            /// The node's own, or its undo's.
            direction: Direction,
            /// When the next attempt is issued.
            due_at: Millis,
            /// How this one ended.
            failure: Arc<Failure>,
        } = 6,
        /// Done.
        Succeeded {
            /// What.
            place: Place,
            /// The result's fields that expressions of this version can read, as Avro; none if none are read.
            result: Option<Data>,
            /// It is the pivot: the saga is behind it now.
            passes: bool,
        } = 7,
        /// The participant refused: known not done.
        Refused {
            /// What.
            place: Place,
            /// Why.
            failure: Arc<Failure>,
        } = 8,
        /// Given up: whether it was done is not known.
        Failed {
            /// What.
            place: Place,
            /// Why.
            failure: Arc<Failure>,
        } = 9,
        /// From here on the saga undoes what was done or may have been done.
        CompensationBegan {
            /// Why.
            failure: Arc<Failure>,
        } = 10,
        /// A compensation is done.
        Undone {
            /// Whose.
            place: Place,
        } = 11,
        /// Given up with nothing done.
        Closed {
            /// What.
            place: Place,
        } = 12,
        /// It needs a person.
        Stuck {
            /// What.
            place: Place,
            /// Why, and what would help.
            failure: Arc<Failure>,
        } = 13,
        /// What was known as not done was done after all.
        ContradictionFound {
            /// What.
            place: Place,
            /// Nothing ever counted on it, and the saga does not undo: it is undone by itself.
            stray: bool,
        } = 14,
        /// The deadline passed behind the pivot, or while the pivot was in flight: noted, nothing is undone.
        MarkedLate {
            /// The deadline.
            due_at: Millis,
        } = 15,
        /// Everything is done.
        Completed {
            /// Events for others.
            emissions: Vec<Emission>,
            /// When its row may go.
            expires_at: Millis,
        } = 16,
        /// Everything is undone.
        Compensated {
            /// Events for others.
            emissions: Vec<Emission>,
            /// When its row may go.
            expires_at: Millis,
        } = 17,
    }
}

variants! {
    /// How an entry begins that asks nobody yet.
    pub enum Opens {
        /// It cannot begin: its command, or the event at the end, cannot be made. A person must look at it.
        Stuck {
            /// Why.
            failure: Arc<Failure>,
        } = 0,
    }
}

record! {
    /// Why something failed.
    pub struct Failure {
        /// For programs: the participant's code, or TIMEOUT, EXPIRED, DATA_TOO_BIG...
        pub code: Arc<str>,
        /// The node's name.
        pub step: Arc<str>,
        /// What kind.
        pub kind: FailureKind,
        /// For people.
        pub message: Arc<str>,
    }
}

record! {
    /// A domain event for others, rendered.
    pub struct Emission {
        /// Where to.
        pub topic: Arc<str>,
        /// The record's key.
        pub key: Arc<str>,
        /// The event's type.
        pub kind: Arc<str>,
        /// Unique within the saga: `ce_id` is the saga id, `/`, and this.
        pub id: Arc<str>,
        /// The body, framed as its topic wants it.
        pub body: Bytes,
        /// How.
        pub encoding: Encoding,
        /// False: no CloudEvents headers (the topic's option `plain`).
        pub headers: bool,
    }
}

/// What of a saga never changes, encoded once: event and row share it. Definition and key stand in the saga's id.
#[derive(Clone, PartialEq, Eq)]
pub struct Head(Shared);

/// The fields of a [`Head`], borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadFields<'a> {
    /// Version of its definition: it keeps it.
    pub version: DefinitionHash,
    /// Offset of that version in the definitions topic: an owner that has not read so far waits.
    pub version_offset: i64,
    /// Time of the turn that started it.
    pub started_at: Millis,
    /// Key of the schema of `start`.
    pub start_schema: i64,
    /// Identity of the start event: `ce_source`/`ce_id`, or topic/partition/offset.
    pub source: &'a str,
    /// W3C trace context of the start event.
    pub traceparent: Option<&'a str>,
    /// The start event's fields that expressions of this version can read, as Avro.
    pub start: &'a [u8],
}

impl Head {
    /// Encodes a head.
    pub fn new(fields: &HeadFields<'_>) -> Self {
        let mut out = Vec::with_capacity(64 + fields.source.len() + fields.start.len());
        fields.version.put(&mut out);
        put_long(&mut out, fields.version_offset);
        put_long(&mut out, fields.started_at);
        put_long(&mut out, fields.start_schema);
        put_text(&mut out, fields.source);
        put_optional(&mut out, fields.traceparent);
        let tail_at = out.len();
        put_blob(&mut out, fields.start);
        Head(Shared::new(&out, tail_at))
    }

    /// What it says.
    pub fn fields(&self) -> HeadFields<'_> {
        let mut cursor = self.0.fields();
        HeadFields { start: self.start(), ..head_fields(&mut cursor).expect("it was read when it was made") }
    }

    /// Version of the saga's definition.
    pub fn version(&self) -> DefinitionHash {
        self.fields().version
    }

    /// The start event's fields that expressions can read.
    pub fn start(&self) -> &[u8] {
        self.0.tail()
    }

    pub(crate) fn put_without_start(&self, out: &mut Vec<u8>) {
        self.0.put_without_tail(out);
    }
}

/// All but the last.
fn head_fields<'a>(cursor: &mut Cursor<'a>) -> Result<HeadFields<'a>, Malformed> {
    Ok(HeadFields {
        version: Avro::take(cursor)?,
        version_offset: cursor.long()?,
        started_at: cursor.long()?,
        start_schema: cursor.long()?,
        source: cursor.text()?,
        traceparent: take_optional(cursor)?,
        start: &[],
    })
}

impl Avro for Head {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }
    fn take(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        take_shared(cursor, |cursor| head_fields(cursor).map(|_| ())).map(Head)
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fields().fmt(f)
    }
}

/// A command that is the same in every attempt, encoded once: event, row, what is sent and what is sent again share it.
#[derive(Clone, PartialEq, Eq)]
pub struct Order(Shared);

/// The fields of an [`Order`], borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderFields<'a> {
    /// The node's name, with `~` and its round behind the first.
    pub step: &'a str,
    /// For example `payment.Charge`.
    pub command: &'a str,
    /// How its body is encoded.
    pub encoding: Encoding,
    /// Fingerprint of the command's envelope schema (its single-object header); 0 for JSON.
    pub envelope: i64,
    /// When the node's own command was first journaled; an undo carries that of what it undoes.
    pub first_time: Millis,
    /// When it runs out as a whole, retries included.
    pub until: Millis,
    /// The undo's body is this one's, byte for byte: it stays when the command is done.
    pub keep: bool,
    /// The body, encoded once.
    pub body: &'a [u8],
}

impl Order {
    /// Encodes an order.
    pub fn new(fields: &OrderFields<'_>) -> Self {
        let mut out = Vec::with_capacity(48 + fields.step.len() + fields.command.len() + fields.body.len());
        put_text(&mut out, fields.step);
        put_text(&mut out, fields.command);
        fields.encoding.put(&mut out);
        put_long(&mut out, fields.envelope);
        put_long(&mut out, fields.first_time);
        put_long(&mut out, fields.until);
        fields.keep.put(&mut out);
        let tail_at = out.len();
        put_blob(&mut out, fields.body);
        Order(Shared::new(&out, tail_at))
    }

    /// What it says.
    pub fn fields(&self) -> OrderFields<'_> {
        let mut cursor = self.0.fields();
        OrderFields { body: self.body(), ..order_fields(&mut cursor).expect("it was read when it was made") }
    }

    /// The node's name, with its round behind the first.
    pub fn step(&self) -> &str {
        self.0.fields().text().expect("it was read when it was made")
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        self.0.tail()
    }

    pub(crate) fn put_without_body(&self, out: &mut Vec<u8>) {
        self.0.put_without_tail(out);
    }
}

/// All but the last.
fn order_fields<'a>(cursor: &mut Cursor<'a>) -> Result<OrderFields<'a>, Malformed> {
    Ok(OrderFields {
        step: cursor.text()?,
        command: cursor.text()?,
        encoding: Avro::take(cursor)?,
        envelope: cursor.long()?,
        first_time: cursor.long()?,
        until: cursor.long()?,
        keep: cursor.boolean()?,
        body: &[],
    })
}

impl Avro for Order {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }
    fn take(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        take_shared(cursor, |cursor| order_fields(cursor).map(|_| ())).map(Order)
    }
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fields().fmt(f)
    }
}

/// Reads a record whose last field is `bytes`, and keeps its bytes as they are.
fn take_shared<'a>(
    cursor: &mut Cursor<'a>,
    fields: impl FnOnce(&mut Cursor<'a>) -> Result<(), Malformed>,
) -> Result<Shared, Malformed> {
    let whole = cursor.rest;
    fields(cursor)?;
    let tail_at = whole.len() - cursor.rest.len();
    cursor.blob()?;
    Ok(Shared::new(&whole[..whole.len() - cursor.rest.len()], tail_at))
}

fn put_optional(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        None => out.push(0),
        Some(text) => {
            out.push(2);
            put_text(out, text);
        }
    }
}

fn take_optional<'a>(cursor: &mut Cursor<'a>) -> Result<Option<&'a str>, Malformed> {
    match cursor.long()? {
        0 => Ok(None),
        1 => cursor.text().map(Some),
        _ => Err(Malformed("union has no such branch")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Events wait in vectors and are copied into records: a large variant would make all of them large.
    #[test]
    fn an_event_is_small() {
        assert!(size_of::<SagaEvent>() <= 40, "{}", size_of::<SagaEvent>());
    }
}
