//! Validating and reading: one pass, no allocation, every read bounded by the bytes that are left.

use rust_decimal::Decimal;

use super::raw::Raw;
use super::{EMPTY_ITEMS_MAX, Node, NodeId, RECORD_DEPTH_MAX, Schema, decimal};
use crate::codec::{Cursor, Malformed};

/// Why bytes are not a value of the schema, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why} (byte {offset}{})", if field.is_empty() { String::new() } else { format!(", field {field}") })]
pub struct DecodeError {
    /// What is wrong.
    pub why: &'static str,
    /// How many bytes were read before it.
    pub offset: usize,
    /// The top-level field it is in; empty if not in one.
    pub field: String,
}

/// A value that borrows from the bytes it was read from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Nothing.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer of 32 or 64 bits.
    Int(i64),
    /// A floating-point number.
    Double(f64),
    /// An exact number, at most 28 digits.
    Decimal(Decimal),
    /// Text, or an enum's symbol.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Microseconds since 1970-01-01 UTC.
    Timestamp(i64),
    /// Days since 1970-01-01.
    Date(i32),
    /// A list, map or record: skipped over, read when somebody asks.
    Raw(Raw<'a>),
}

/// Branches of `ringmaster.Json`'s union.
pub(crate) mod dynamic {
    pub(crate) const NULL: i64 = 0;
    pub(crate) const BOOL: i64 = 1;
    pub(crate) const LONG: i64 = 2;
    pub(crate) const NUMBER: i64 = 3;
    pub(crate) const TEXT: i64 = 4;
    pub(crate) const LIST: i64 = 5;
    pub(crate) const MAP: i64 = 6;
}

const NO_BRANCH: Malformed = Malformed("union has no such branch");
const TOO_DEEP: Malformed = Malformed("records are nested too deeply");

/// What a pass over one value may still use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    /// Records inside one another.
    pub(super) depth: u32,
    /// Items without bytes, in all lists together.
    pub(super) empties: u64,
}

impl Budget {
    pub(super) const WHOLE: Budget = Budget { depth: RECORD_DEPTH_MAX, empties: EMPTY_ITEMS_MAX };

    /// Runs something one record deeper.
    #[inline(always)]
    pub(super) fn deeper<T>(&mut self, run: impl FnOnce(&mut Self) -> Result<T, Malformed>) -> Result<T, Malformed> {
        self.depth = self.depth.checked_sub(1).ok_or(TOO_DEEP)?;
        let result = run(self);
        self.depth += 1;
        result
    }
}

impl Schema {
    /// Checks that the bytes are exactly one value of this schema. What passes can be read without error, except that a number of
    /// `ringmaster.Json` may have more digits than a decimal holds.
    pub fn validate(&self, bytes: &[u8]) -> Result<(), DecodeError> {
        let mut cursor = Cursor::new(bytes);
        match self.skip(self.root, &mut cursor).and_then(|()| cursor.end()) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.explain(bytes, error, cursor)),
        }
    }

    /// Passes over one value, checking everything.
    #[inline]
    pub fn skip(&self, node: NodeId, cursor: &mut Cursor<'_>) -> Result<(), Malformed> {
        self.pass(node, cursor, &mut Budget::WHOLE.clone())
    }

    /// Reads one value: scalars as they are (of a union the branch's), lists, maps and records as validated bytes.
    #[inline]
    pub fn read<'a>(&'a self, node: NodeId, cursor: &mut Cursor<'a>) -> Result<Value<'a>, Malformed> {
        Ok(match self.node(node) {
            Node::Null => Value::Null,
            Node::Bool => Value::Bool(cursor.boolean()?),
            Node::Int => Value::Int(i64::from(cursor.int()?)),
            Node::Long => Value::Int(cursor.long()?),
            Node::Float => Value::Double(f64::from(f32::from_le_bytes(cursor.take(4)?.try_into().expect("four bytes")))),
            Node::Double => Value::Double(f64::from_le_bytes(cursor.take(8)?.try_into().expect("eight bytes"))),
            Node::Bytes => Value::Bytes(cursor.blob()?),
            Node::Fixed(size) => Value::Bytes(cursor.take(*size)?),
            Node::Str => Value::Text(cursor.text()?),
            Node::Enum(symbols) => Value::Text(symbols.get(index(cursor)?).ok_or(Malformed("enum has no such symbol"))?),
            Node::Decimal { precision, scale } => {
                Value::Decimal(decimal::decimal(decimal::unscaled(cursor.blob()?, *precision)?, *scale)?)
            }
            Node::FixedDecimal { size, precision, scale } => {
                Value::Decimal(decimal::decimal(decimal::unscaled(cursor.take(*size)?, *precision)?, *scale)?)
            }
            Node::Millis => Value::Timestamp(millis(cursor)?.wrapping_mul(1000)),
            Node::Micros => Value::Timestamp(cursor.long()?),
            Node::Nanos => Value::Timestamp(cursor.long()?.div_euclid(1000)),
            Node::Date => Value::Date(cursor.int()?),
            Node::Union(branches) => {
                return self.read(*branches.get(index(cursor)?).ok_or(NO_BRANCH)?, cursor);
            }
            Node::Array(_) | Node::Map(_) | Node::Record(_) => self.read_raw(node, cursor)?,
            Node::Dynamic => return self.read_dynamic(node, cursor),
        })
    }

    fn read_raw<'a>(&'a self, node: NodeId, cursor: &mut Cursor<'a>) -> Result<Value<'a>, Malformed> {
        let from = cursor.rest;
        self.skip(node, cursor)?;
        Ok(Value::Raw(Raw::new(self, node, &from[..from.len() - cursor.rest.len()])))
    }

    fn read_dynamic<'a>(&'a self, node: NodeId, cursor: &mut Cursor<'a>) -> Result<Value<'a>, Malformed> {
        let mut inner = *cursor;
        let value = match inner.long()? {
            dynamic::NULL => Value::Null,
            dynamic::BOOL => Value::Bool(inner.boolean()?),
            dynamic::LONG => Value::Int(inner.long()?),
            dynamic::NUMBER => {
                Value::Decimal(decimal::decimal_of(inner.text()?).ok_or(Malformed("a number of more than 28 digits"))?)
            }
            dynamic::TEXT => Value::Text(inner.text()?),
            // The bytes keep the branch, so that they are a whole value of `ringmaster.Json`.
            dynamic::LIST | dynamic::MAP => return self.read_raw(node, cursor),
            _ => return Err(NO_BRANCH),
        };
        *cursor = inner;
        Ok(value)
    }

    /// The whole of already validated bytes, without looking at them.
    pub fn open<'a>(&'a self, bytes: &'a [u8]) -> Raw<'a> {
        Raw::new(self, self.root, bytes)
    }

    /// The value at a path of field indices from the root record, skipping what is before it. Null on the way gives null.
    pub fn field<'a>(&'a self, bytes: &'a [u8], path: &[u16]) -> Result<Value<'a>, Malformed> {
        let (mut node, mut cursor) = (self.root, Cursor::new(bytes));
        for &step in path {
            if let Node::Union(branches) = self.node(node) {
                node = *branches.get(index(&mut cursor)?).ok_or(NO_BRANCH)?;
            }
            match self.node(node) {
                Node::Null => return Ok(Value::Null),
                Node::Record(fields) => {
                    let field = fields.get(usize::from(step)).ok_or(Malformed("record has no such field"))?;
                    for before in &fields[..usize::from(step)] {
                        self.skip(before.ty, &mut cursor)?;
                    }
                    node = field.ty;
                }
                _ => return Err(Malformed("a path through something that is not a record")),
            }
        }
        self.read(node, &mut cursor)
    }

    /// One pass, no allocation: everything is checked, nothing kept.
    pub(super) fn pass(&self, id: NodeId, cursor: &mut Cursor<'_>, budget: &mut Budget) -> Result<(), Malformed> {
        match self.node(id) {
            Node::Null => {}
            Node::Bool => {
                cursor.boolean()?;
            }
            Node::Int | Node::Date => {
                cursor.int()?;
            }
            Node::Long | Node::Micros | Node::Nanos => {
                cursor.varint()?;
            }
            Node::Millis => {
                millis(cursor)?;
            }
            Node::Float => {
                cursor.take(4)?;
            }
            Node::Double => {
                cursor.take(8)?;
            }
            Node::Bytes => {
                cursor.blob()?;
            }
            Node::Fixed(size) => {
                cursor.take(*size)?;
            }
            Node::Decimal { precision, .. } => {
                decimal::unscaled(cursor.blob()?, *precision)?;
            }
            Node::FixedDecimal { size, precision, .. } => {
                decimal::unscaled(cursor.take(*size)?, *precision)?;
            }
            Node::Str => {
                cursor.text()?;
            }
            Node::Enum(symbols) => {
                if index(cursor)? >= symbols.len() {
                    return Err(Malformed("enum has no such symbol"));
                }
            }
            Node::Array(item) => self.pass_list(*item, cursor, budget)?,
            Node::Map(item) => blocks(cursor, self.least_bytes(*item) + 1, budget, |cursor, budget| {
                cursor.text()?;
                self.pass(*item, cursor, budget)
            })?,
            Node::Union(branches) => self.pass(*branches.get(index(cursor)?).ok_or(NO_BRANCH)?, cursor, budget)?,
            // A record of nothing but nulls has no bytes: passing over it must not cost the more the more fields it claims.
            Node::Record(_) if self.least_bytes(id) == 0 => {}
            Node::Record(fields) => {
                budget.deeper(|budget| fields.iter().try_for_each(|field| self.pass(field.ty, cursor, budget)))?
            }
            Node::Dynamic => budget.deeper(|budget| self.pass_dynamic(id, cursor, budget))?,
        }
        Ok(())
    }

    fn pass_list(&self, item: NodeId, cursor: &mut Cursor<'_>, budget: &mut Budget) -> Result<(), Malformed> {
        let least = self.least_bytes(item);
        if least > 0 {
            return blocks(cursor, least, budget, |cursor, budget| self.pass(item, cursor, budget));
        }
        while block(cursor, 0, &mut budget.empties)? > 0 {}
        Ok(())
    }

    fn pass_dynamic(&self, id: NodeId, cursor: &mut Cursor<'_>, budget: &mut Budget) -> Result<(), Malformed> {
        match cursor.long()? {
            dynamic::NULL => Ok(()),
            dynamic::BOOL => cursor.boolean().map(drop),
            dynamic::LONG => cursor.long().map(drop),
            dynamic::NUMBER if decimal::is_number(cursor.text()?) => Ok(()),
            dynamic::NUMBER => Err(Malformed("text that is not a JSON number")),
            dynamic::TEXT => cursor.text().map(drop),
            dynamic::LIST => blocks(cursor, 1, budget, |cursor, budget| self.pass(id, cursor, budget)),
            dynamic::MAP => blocks(cursor, 2, budget, |cursor, budget| {
                cursor.text()?;
                self.pass(id, cursor, budget)
            }),
            _ => Err(NO_BRANCH),
        }
    }

    #[inline(always)]
    pub(crate) fn least_bytes(&self, id: NodeId) -> u32 {
        self.least[id.0 as usize]
    }

    /// Says where bytes are wrong: a second, slower pass finds the field.
    #[cold]
    pub(super) fn explain(&self, bytes: &[u8], error: Malformed, at: Cursor<'_>) -> DecodeError {
        let mut cursor = Cursor::new(bytes);
        let field = self.fields(self.root).iter().find(|field| self.skip(field.ty, &mut cursor).is_err());
        let field = field.map_or_else(String::new, |field| field.name.to_string());
        DecodeError { why: error.0, offset: bytes.len() - at.rest.len(), field }
    }
}

/// A union's or enum's index.
#[inline(always)]
pub(super) fn index(cursor: &mut Cursor<'_>) -> Result<usize, Malformed> {
    usize::try_from(cursor.long()?).map_err(|_| Malformed("negative index"))
}

#[inline(always)]
fn millis(cursor: &mut Cursor<'_>) -> Result<i64, Malformed> {
    let value = cursor.long()?;
    if value.checked_mul(1000).is_some() { Ok(value) } else { Err(Malformed("timestamp out of range")) }
}

/// The next block's number of items, 0 at the end, bounded by the bytes that are left: each item takes `least` of them.
#[inline(always)]
pub(crate) fn block(cursor: &mut Cursor<'_>, least: u32, empties: &mut u64) -> Result<u64, Malformed> {
    let count = cursor.long()?;
    if count < 0 {
        let bytes = cursor.long()?;
        if bytes < 0 || bytes as u64 > cursor.rest.len() as u64 {
            return Err(Malformed("block claims more bytes than there are"));
        }
    }
    let count = count.unsigned_abs();
    let most = match least {
        0 => *empties,
        least => cursor.rest.len() as u64 / u64::from(least),
    };
    if count > most {
        return Err(Malformed("block claims more items than there are bytes"));
    }
    if least == 0 {
        *empties -= count;
    }
    Ok(count)
}

/// Runs over the items of all blocks.
#[inline]
pub(super) fn blocks<'a>(
    cursor: &mut Cursor<'a>,
    least: u32,
    budget: &mut Budget,
    mut item: impl FnMut(&mut Cursor<'a>, &mut Budget) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    loop {
        let count = block(cursor, least, &mut budget.empties)?;
        if count == 0 {
            return Ok(());
        }
        for _ in 0..count {
            item(cursor, budget)?;
        }
    }
}
