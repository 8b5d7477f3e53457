//! An entry of the ledger: what one idempotency key did, and the answer that every repeat of it gets.
//!
//! Laid out by hand, version first: `version, first_time (8 bytes, little-endian), effect, outcome`, then Avro primitives: command,
//! code, message, movements, result. A released version is never changed, only followed by another.

use ringmaster_schemas::Millis;
use ringmaster_schemas::codec::{Cursor, Malformed, put_blob, put_long, put_text};
use ringmaster_schemas::wire::Outcome;

use crate::ledger::kind;

/// Version of the layout, the first byte of every entry.
pub const VERSION: u8 = 1;
/// Version, time, effect, outcome.
const HEAD_BYTES: usize = 11;

/// What a command changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Nothing: it was refused, or it is an undo that found nothing to undo.
    Nothing,
    /// A do that was done, and stands.
    Done,
    /// A do that was done, and was undone.
    Undone,
    /// An undo that undid its do.
    Reversal,
    /// A do that did not come before its undo did: it will be refused.
    UndoneBefore,
}

impl Effect {
    const ALL: [Effect; 5] = [Effect::Nothing, Effect::Done, Effect::Undone, Effect::Reversal, Effect::UndoneBefore];

    /// The word in tables and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Effect::Nothing => "nothing",
            Effect::Done => "done",
            Effect::Undone => "undone",
            Effect::Reversal => "reversal",
            Effect::UndoneBefore => "undone_before",
        }
    }
}

/// One answered command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// When its key was first journaled, as the command says.
    pub first_time: Millis,
    /// What it changed.
    pub effect: Effect,
    /// What was answered: succeeded or refused; a failure is not remembered, since it did nothing and may be asked again.
    pub outcome: Outcome,
    /// For example `payment.Charge`.
    pub command: &'a str,
    /// A refusal's code.
    pub code: Option<&'a str>,
    /// A refusal's message.
    pub message: Option<&'a str>,
    /// What it moved ([`Movements`]).
    pub movements: &'a [u8],
    /// The result in Avro; none for null.
    pub result: Option<&'a [u8]>,
}

impl<'a> Entry<'a> {
    /// Appends the entry's bytes.
    pub fn put(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        out.extend_from_slice(&self.first_time.to_le_bytes());
        out.push(self.effect as u8);
        out.push(outcome_byte(self.outcome));
        put_text(out, self.command);
        put_optional(out, self.code.map(str::as_bytes));
        put_optional(out, self.message.map(str::as_bytes));
        put_blob(out, self.movements);
        put_optional(out, self.result);
    }

    /// Reads an entry.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(bytes);
        let head = cursor.take(HEAD_BYTES)?;
        if head[0] != VERSION {
            return Err(Malformed("entry of an unknown version"));
        }
        let entry = Entry {
            first_time: first_time(bytes),
            effect: *Effect::ALL.get(usize::from(head[9])).ok_or(Malformed("entry with an unknown effect"))?,
            outcome: outcome_of(head[10])?,
            command: cursor.text()?,
            code: optional(&mut cursor)?.map(text).transpose()?,
            message: optional(&mut cursor)?.map(text).transpose()?,
            movements: cursor.blob()?,
            result: optional(&mut cursor)?,
        };
        cursor.end()?;
        Ok(entry)
    }
}

/// The time of an entry without reading the rest of it; the end of time for bytes that are no entry, so that they are kept.
pub fn first_time(entry: &[u8]) -> Millis {
    entry.get(1..9).map_or(Millis::MAX, |bytes| Millis::from_le_bytes(bytes.try_into().expect("eight bytes were taken")))
}

/// Replaces `out` by the ledger's key of an idempotency key.
pub fn key_of(idempotency_key: &str, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&kind::ENTRY);
    out.extend_from_slice(idempotency_key.as_bytes());
}

fn outcome_byte(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Succeeded => 0,
        Outcome::Refused => 1,
        Outcome::Failed => unreachable!("a failure has no entry"),
    }
}

fn outcome_of(byte: u8) -> Result<Outcome, Malformed> {
    match byte {
        0 => Ok(Outcome::Succeeded),
        1 => Ok(Outcome::Refused),
        _ => Err(Malformed("entry with an unknown outcome")),
    }
}

fn put_optional(out: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        None => out.push(0),
        Some(value) => {
            out.push(2);
            put_blob(out, value);
        }
    }
}

fn optional<'a>(cursor: &mut Cursor<'a>) -> Result<Option<&'a [u8]>, Malformed> {
    match cursor.long()? {
        0 => Ok(None),
        1 => Ok(Some(cursor.blob()?)),
        _ => Err(Malformed("union has no such branch")),
    }
}

fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed("text is not UTF-8"))
}

/// What a command moves: so many units on these accounts. Pieces of a SKU, hundredths of a currency, slots of a region.
#[derive(Debug, Clone, Default)]
pub struct Movements {
    bytes: Vec<u8>,
}

impl Movements {
    /// Adds a movement.
    pub fn add(&mut self, account: &str, units: i64) {
        put_text(&mut self.bytes, account);
        put_long(&mut self.bytes, units);
    }

    /// Forgets them, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// As an entry keeps them; [`movements`] reads them.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The movements of an entry, in order: account and units.
pub fn movements(bytes: &[u8]) -> impl Iterator<Item = Result<(&str, i64), Malformed>> {
    let mut cursor = Cursor::new(bytes);
    std::iter::from_fn(move || {
        if cursor.rest.is_empty() {
            return None;
        }
        let read = cursor.text().and_then(|account| Ok((account, cursor.long()?)));
        if read.is_err() {
            cursor.rest = &[];
        }
        Some(read)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_as_it_was_written_and_nothing_shorter_is_one() {
        let mut moved = Movements::default();
        moved.add("sku-1", 3);
        moved.add("sku-2", -70_000);
        let entry = Entry {
            first_time: 1_700_000_000_123,
            effect: Effect::Reversal,
            outcome: Outcome::Refused,
            command: "inventory.ReserveStock",
            code: Some("OUT_OF_STOCK"),
            message: None,
            movements: moved.bytes(),
            result: Some(b"\x04ok"),
        };
        let mut bytes = Vec::new();
        entry.put(&mut bytes);
        assert_eq!(Entry::read(&bytes), Ok(entry));
        assert_eq!(first_time(&bytes), 1_700_000_000_123);
        let read: Result<Vec<_>, _> = movements(entry.movements).collect();
        assert_eq!(read, Ok(vec![("sku-1", 3), ("sku-2", -70_000)]));
        for length in 0..bytes.len() {
            assert!(Entry::read(&bytes[..length]).is_err(), "cut to {length}");
        }
    }

    /// Bytes of version 1 as they are on disks: a change of the layout must be another version.
    #[test]
    fn version_one_is_frozen() {
        let mut bytes = Vec::new();
        let entry = Entry {
            first_time: 1,
            effect: Effect::Done,
            outcome: Outcome::Succeeded,
            command: "a.B",
            code: None,
            message: Some("m"),
            movements: b"\x02x\x04",
            result: Some(b"\x02r"),
        };
        entry.put(&mut bytes);
        let golden = b"\x01\x01\0\0\0\0\0\0\0\x01\x00\x06a.B\x00\x02\x02m\x06\x02x\x04\x02\x04\x02r";
        assert_eq!(bytes, golden);
    }
}
