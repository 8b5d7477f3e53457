//! A field of the start event or of a result: a path of field indices, compiled to what must be passed over to reach it.

use std::sync::Arc;

use ringmaster_schemas::avro::{Node as Avro, NodeId, Raw, Schema, Value};
use ringmaster_schemas::codec::{Cursor, Malformed};

use super::tree::Root;

/// Where a path leads.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) root: Root,
    pub(crate) schema: Arc<Schema>,
    /// Field indices from the root record.
    pub(crate) path: Vec<u16>,
    hops: Vec<Hop>,
    target: NodeId,
}

/// What lies before a field.
#[derive(Debug, Clone, Copy)]
enum Hop {
    /// A variable-length number.
    Number,
    /// A length and so many bytes.
    Blob,
    /// So many bytes.
    Fixed(usize),
    /// Anything else.
    Value(NodeId),
    /// A union of null and a record on the way: this index is null.
    Optional(i64),
}

impl Place {
    /// The whole of a root.
    pub(crate) fn whole(root: Root, schema: Arc<Schema>) -> Place {
        let target = schema.root();
        Place { root, schema, path: Vec::new(), hops: Vec::new(), target }
    }

    /// A field of the record that this is.
    pub(crate) fn field(mut self, index: u16) -> Place {
        if let Avro::Union(branches) = self.schema.node(self.target) {
            let null = branches.iter().position(|branch| *self.schema.node(*branch) == Avro::Null);
            self.hops.push(Hop::Optional(null.map_or(-1, |null| null as i64)));
            self.target = self.schema.unwrap_optional(self.target);
        }
        let fields = self.schema.fields(self.target);
        self.hops.extend(fields[..usize::from(index)].iter().map(|before| hop(&self.schema, before.ty)));
        self.target = fields[usize::from(index)].ty;
        self.path.push(index);
        self
    }

    /// The bytes from the value on; none where null is on the way. Adds to `passed` the bytes that had to be read on the way.
    #[inline]
    fn seek<'a>(&self, bytes: &'a [u8], passed: &mut usize) -> Result<Option<Cursor<'a>>, Malformed> {
        let mut cursor = Cursor::new(bytes);
        for hop in &self.hops {
            match hop {
                Hop::Number => drop(cursor.varint()?),
                Hop::Blob => drop(cursor.blob()?),
                Hop::Fixed(size) => drop(cursor.take(*size)?),
                Hop::Value(node) => {
                    let before = cursor.rest.len();
                    self.schema.skip(*node, &mut cursor)?;
                    *passed += before - cursor.rest.len();
                }
                Hop::Optional(null) => {
                    if cursor.long()? == *null {
                        return Ok(None);
                    }
                }
            }
        }
        Ok(Some(cursor))
    }

    /// The value; null where null is on the way. Adds to `passed` as above.
    #[inline]
    pub(crate) fn read<'a>(&'a self, bytes: &'a [u8], passed: &mut usize) -> Result<Value<'a>, Malformed> {
        if self.path.is_empty() {
            return match self.schema.node(self.target) {
                Avro::Record(_) => Ok(Value::Raw(self.schema.open(bytes))),
                // A result that came without a body.
                _ if bytes.is_empty() => Ok(Value::Null),
                _ => self.schema.read(self.target, &mut Cursor::new(bytes)),
            };
        }
        match self.seek(bytes, passed)? {
            None => Ok(Value::Null),
            Some(mut cursor) => self.schema.read(self.target, &mut cursor),
        }
    }

    /// A list that is only walked over: its end is found on the way. None if it is not a list for certain.
    pub(crate) fn list<'a>(&'a self, bytes: &'a [u8], passed: &mut usize) -> Result<Option<Raw<'a>>, Malformed> {
        match self.schema.node(self.target) {
            Avro::Array(_) => Ok(self.seek(bytes, passed)?.map(|cursor| Raw::new(&self.schema, self.target, cursor.rest))),
            _ => Ok(None),
        }
    }
}

fn hop(schema: &Schema, node: NodeId) -> Hop {
    match schema.node(node) {
        Avro::Int | Avro::Long | Avro::Millis | Avro::Micros | Avro::Nanos | Avro::Date | Avro::Enum(_) => Hop::Number,
        Avro::Bytes | Avro::Str | Avro::Decimal { .. } => Hop::Blob,
        Avro::Fixed(size) | Avro::FixedDecimal { size, .. } => Hop::Fixed(*size),
        Avro::Bool => Hop::Fixed(1),
        Avro::Float => Hop::Fixed(4),
        Avro::Double => Hop::Fixed(8),
        Avro::Null | Avro::Array(_) | Avro::Map(_) | Avro::Union(_) | Avro::Record(_) | Avro::Dynamic => Hop::Value(node),
    }
}
