//! Validating and reading: one pass, no allocation, every read bounded by the bytes that are left.

use rust_decimal::Decimal;

use super::{NodeId, Schema};
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

/// The bytes of a list, map or record, with their type.
#[derive(Clone, Copy)]
pub struct Raw<'a> {
    schema: &'a Schema,
    node: NodeId,
    bytes: &'a [u8],
}

/// What a [`Raw`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Items in order.
    List,
    /// Text to value.
    Map,
    /// Fields by name.
    Record,
}

/// The items of a list.
#[derive(Debug, Clone)]
pub struct Items<'a> {
    raw: Raw<'a>,
}

/// The entries of a map.
#[derive(Debug, Clone)]
pub struct Entries<'a> {
    raw: Raw<'a>,
}

impl Schema {
    /// Checks that the bytes are exactly one value of this schema. What passes can be read without error, except that a number of
    /// `ringmaster.Json` may have more digits than a decimal holds.
    pub fn validate(&self, bytes: &[u8]) -> Result<(), DecodeError> {
        todo!()
    }

    /// Passes over one value, checking everything.
    pub fn skip(&self, node: NodeId, cursor: &mut Cursor<'_>) -> Result<(), Malformed> {
        todo!()
    }

    /// Reads one value: scalars as they are (of a union the branch's), lists, maps and records as validated bytes.
    pub fn read<'a>(&'a self, node: NodeId, cursor: &mut Cursor<'a>) -> Result<Value<'a>, Malformed> {
        todo!()
    }

    /// The whole of already validated bytes as a value, without looking at them.
    pub fn open<'a>(&'a self, bytes: &'a [u8]) -> Raw<'a> {
        Raw { schema: self, node: self.root(), bytes }
    }

    /// The value at a path of field indices from the root record, skipping what is before it. Null on the way gives null.
    pub fn field<'a>(&'a self, bytes: &'a [u8], path: &[u16]) -> Result<Value<'a>, Malformed> {
        todo!()
    }
}

impl<'a> Raw<'a> {
    /// Bytes of a type, taken as they are: reading them finds out if they are not what they should be.
    pub fn new(schema: &'a Schema, node: NodeId, bytes: &'a [u8]) -> Self {
        Raw { schema, node, bytes }
    }

    /// Its schema.
    pub fn schema(&self) -> &'a Schema {
        self.schema
    }

    /// Its type.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// Its bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        todo!()
    }

    /// The items of a list (empty for others).
    pub fn items(&self) -> Items<'a> {
        todo!()
    }

    /// The entries of a map (empty for others).
    pub fn entries(&self) -> Entries<'a> {
        todo!()
    }

    /// How many items or entries a list or map has; fields for a record.
    pub fn count(&self) -> Result<usize, Malformed> {
        todo!()
    }

    /// The field of a record by its index.
    pub fn field(&self, index: usize) -> Result<Value<'a>, Malformed> {
        todo!()
    }

    /// The field of a record, or the entry of a map, by name; `None` if there is none.
    pub fn named(&self, name: &str) -> Result<Option<Value<'a>>, Malformed> {
        todo!()
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<Value<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        todo!()
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<(&'a str, Value<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        todo!()
    }
}

impl std::fmt::Debug for Raw<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        todo!()
    }
}

/// Equal if type shape and bytes are.
impl PartialEq for Raw<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.schema.same_shape(self.node, other.schema, other.node) && self.bytes == other.bytes
    }
}
