//! What never changes: a saga's head, and what is asked. Encoded once; whoever holds it shares the bytes.

use std::fmt;

use super::{DefinitionHash, Encoding, SearchValues};
use crate::Millis;
use crate::codec::{Avro, Cursor, Malformed, put_blob, put_long, put_text};
use crate::shared::Shared;

/// What of a saga never changes, encoded once: event and row share it. Definition and key stand in the saga's id.
#[derive(Clone, PartialEq, Eq)]
pub struct Head(Shared);

/// The fields of a [`Head`], borrowed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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
    /// What the saga is searched by.
    pub search: SearchValues<'a>,
    /// The start event's fields that expressions of this version can read, as Avro.
    pub start: &'a [u8],
}

impl Head {
    /// What it takes in memory, once for all who share it.
    pub fn held_bytes(&self) -> usize {
        self.0.held_bytes()
    }

    /// Encodes a head; `scratch` is any buffer, used again and again.
    pub fn new(fields: &HeadFields<'_>, scratch: &mut Vec<u8>) -> Self {
        scratch.clear();
        fields.version.put(scratch);
        put_long(scratch, fields.version_offset);
        put_long(scratch, fields.started_at);
        put_long(scratch, fields.start_schema);
        put_text(scratch, fields.source);
        put_came(scratch, fields);
        let tail_at = scratch.len();
        put_blob(scratch, fields.start);
        Head(Shared::new(scratch, tail_at))
    }

    /// What it says.
    pub fn fields(&self) -> HeadFields<'_> {
        let mut cursor = self.0.fields();
        HeadFields { start: self.start(), ..head_fields(&mut cursor).expect("it was read when it was made") }
    }

    /// Version of the saga's definition.
    pub fn version(&self) -> DefinitionHash {
        Avro::take(&mut self.0.fields()).expect("it was read when it was made")
    }

    /// Time of the turn that started it: each expression asks, and the texts behind it are not looked at for that.
    pub fn started_at(&self) -> Millis {
        let mut cursor = self.0.fields();
        let read = |cursor: &mut Cursor<'_>| {
            let _: DefinitionHash = Avro::take(cursor)?;
            cursor.long()?;
            cursor.long()
        };
        read(&mut cursor).expect("it was read when it was made")
    }

    /// W3C trace context of the start event; the source before it is passed over.
    pub fn traceparent(&self) -> Option<&str> {
        self.came().0
    }

    /// What the saga is searched by.
    pub fn search(&self) -> SearchValues<'_> {
        self.came().1
    }

    fn came(&self) -> (Option<&str>, SearchValues<'_>) {
        let mut cursor = self.0.fields();
        let read = |cursor: &mut Cursor<'_>| {
            let _: DefinitionHash = Avro::take(cursor)?;
            for _ in 0..3 {
                cursor.long()?;
            }
            cursor.blob().map(|_source| ())
        };
        read(&mut cursor).and_then(|()| take_came(&mut cursor)).expect("it was read when it was made")
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
    let fields = HeadFields {
        version: Avro::take(cursor)?,
        version_offset: cursor.long()?,
        started_at: cursor.long()?,
        start_schema: cursor.long()?,
        source: cursor.text()?,
        ..HeadFields::default()
    };
    let (traceparent, search) = take_came(cursor)?;
    Ok(HeadFields { traceparent, search, ..fields })
}

/// The branch behind a trace context, or none, is both with what the saga is searched by.
const SEARCHED: i64 = 2;

fn put_came(out: &mut Vec<u8>, fields: &HeadFields<'_>) {
    if !fields.search.is_empty() {
        put_long(out, SEARCHED);
    }
    put_optional(out, fields.traceparent);
    fields.search.put(out);
}

fn take_came<'a>(cursor: &mut Cursor<'a>) -> Result<(Option<&'a str>, SearchValues<'a>), Malformed> {
    let mut ahead = *cursor;
    if ahead.long()? != SEARCHED {
        return Ok((take_optional(cursor)?, SearchValues::default()));
    }
    *cursor = ahead;
    Ok((take_optional(cursor)?, SearchValues::take(cursor)?))
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
    /// What it takes in memory, once for all who share it.
    pub fn held_bytes(&self) -> usize {
        self.0.held_bytes()
    }

    /// Encodes an order; `scratch` is any buffer, used again and again.
    pub fn new(fields: &OrderFields<'_>, scratch: &mut Vec<u8>) -> Self {
        scratch.clear();
        put_text(scratch, fields.step);
        put_text(scratch, fields.command);
        fields.encoding.put(scratch);
        put_long(scratch, fields.envelope);
        put_long(scratch, fields.first_time);
        put_long(scratch, fields.until);
        fields.keep.put(scratch);
        let tail_at = scratch.len();
        put_blob(scratch, fields.body);
        Order(Shared::new(scratch, tail_at))
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

    /// True if this is its [`step`](Order::step): as bytes, which need not be looked at for text.
    pub fn is_of(&self, step: &str) -> bool {
        self.0.fields().blob().is_ok_and(|name| name == step.as_bytes())
    }

    /// What is asked: `payment.Charge`.
    pub fn command(&self) -> &str {
        let mut cursor = self.0.fields();
        cursor.blob().and_then(|_| cursor.text()).expect("it was read when it was made")
    }

    /// When it was asked first: each end of a step asks, and the texts before it are not looked at for that.
    pub fn first_time(&self) -> Millis {
        let mut cursor = self.0.fields();
        let read = |cursor: &mut Cursor<'_>| {
            cursor.blob()?;
            cursor.blob()?;
            let _: Encoding = Avro::take(cursor)?;
            cursor.long()?;
            cursor.long()
        };
        read(&mut cursor).expect("it was read when it was made")
    }

    /// The undo's body is this one's.
    pub fn keep(&self) -> bool {
        let mut cursor = self.0.fields();
        let read = |cursor: &mut Cursor<'_>| {
            cursor.blob()?;
            cursor.blob()?;
            let _: Encoding = Avro::take(cursor)?;
            for _ in 0..3 {
                cursor.long()?;
            }
            cursor.boolean()
        };
        read(&mut cursor).expect("it was read when it was made")
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        self.0.tail()
    }

    /// True if both are one and the same, so that nothing of them need be compared.
    pub(crate) fn is(&self, other: &Order) -> bool {
        self.0.is(&other.0)
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
