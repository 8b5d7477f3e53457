//! Lists, maps and records as the bytes they are, read when somebody asks.

use std::fmt;

use super::read::{block, dynamic};
use super::{EMPTY_ITEMS_MAX, Node, NodeId, Schema, Value};
use crate::codec::{Cursor, Malformed};

/// The bytes of a list, map or record, with their type. Of `ringmaster.Json` it is a list or a map.
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

    /// What it is. What is not one of the three (bytes opened as they are) counts as an empty list.
    pub fn kind(&self) -> Kind {
        match self.schema.node(self.node) {
            Node::Map(_) => Kind::Map,
            Node::Record(_) => Kind::Record,
            Node::Dynamic if Cursor::new(self.bytes).long() == Ok(dynamic::MAP) => Kind::Map,
            _ => Kind::List,
        }
    }

    /// The items of a list (none for others).
    pub fn items(&self) -> Items<'a> {
        Items(self.walk(Kind::List))
    }

    /// The entries of a map (none for others).
    pub fn entries(&self) -> Entries<'a> {
        Entries(self.walk(Kind::Map))
    }

    fn walk(&self, kind: Kind) -> Walk<'a> {
        let mut cursor = Cursor::new(self.bytes);
        let item = match self.schema.node(self.node) {
            Node::Array(item) if kind == Kind::List => Some(*item),
            Node::Map(item) if kind == Kind::Map => Some(*item),
            // Behind the branch's index, which was read when the kind was told.
            Node::Dynamic if self.kind() == kind => cursor.long().ok().filter(|branch| *branch >= dynamic::LIST).map(|_| self.node),
            _ => None,
        };
        let least = item.map_or(0, |item| self.schema.least_bytes(item)) + u32::from(kind == Kind::Map);
        Walk {
            schema: self.schema,
            item: item.unwrap_or(self.node),
            least,
            cursor,
            left: 0,
            ended: item.is_none(),
            empties: EMPTY_ITEMS_MAX,
        }
    }

    /// How many items or entries a list or map has; fields for a record.
    pub fn count(&self) -> Result<usize, Malformed> {
        let kind = self.kind();
        if kind == Kind::Record {
            return Ok(self.schema.fields(self.node).len());
        }
        let mut walk = self.walk(kind);
        let mut count = 0;
        while walk.advance()? {
            if kind == Kind::Map {
                walk.cursor.text()?;
            }
            walk.schema.skip(walk.item, &mut walk.cursor)?;
            count += 1;
        }
        Ok(count)
    }

    /// The field of a record by its index.
    pub fn field(&self, index: usize) -> Result<Value<'a>, Malformed> {
        let fields = self.schema.fields(self.node);
        let field = fields.get(index).ok_or(Malformed("record has no such field"))?;
        let mut cursor = Cursor::new(self.bytes);
        for before in &fields[..index] {
            self.schema.skip(before.ty, &mut cursor)?;
        }
        self.schema.read(field.ty, &mut cursor)
    }

    /// The field of a record, or the entry of a map, by name; `None` if there is none.
    pub fn named(&self, name: &str) -> Result<Option<Value<'a>>, Malformed> {
        if let Some((index, _)) = self.schema.field_named(self.node, name) {
            return self.field(index).map(Some);
        }
        let mut walk = self.walk(Kind::Map);
        while walk.advance()? {
            if walk.cursor.text()? == name {
                return walk.schema.read(walk.item, &mut walk.cursor).map(Some);
            }
            walk.schema.skip(walk.item, &mut walk.cursor)?;
        }
        Ok(None)
    }
}

/// A way over the blocks of a list or map.
#[derive(Debug, Clone)]
struct Walk<'a> {
    schema: &'a Schema,
    item: NodeId,
    least: u32,
    cursor: Cursor<'a>,
    left: u64,
    ended: bool,
    empties: u64,
}

impl<'a> Walk<'a> {
    /// True if an item follows at the cursor.
    #[inline]
    fn advance(&mut self) -> Result<bool, Malformed> {
        if self.ended {
            return Ok(false);
        }
        if self.left == 0 {
            // An error ends it too.
            self.ended = true;
            self.left = block(&mut self.cursor, self.least, &mut self.empties)?;
            self.ended = self.left == 0;
        }
        self.left = self.left.saturating_sub(1);
        Ok(!self.ended)
    }

    fn step<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Malformed>) -> Option<Result<T, Malformed>> {
        match self.advance() {
            Ok(false) => None,
            Ok(true) => {
                let result = read(self);
                self.ended |= result.is_err();
                Some(result)
            }
            Err(error) => Some(Err(error)),
        }
    }
}

/// The items of a list.
#[derive(Debug, Clone)]
pub struct Items<'a>(Walk<'a>);

/// The entries of a map.
#[derive(Debug, Clone)]
pub struct Entries<'a>(Walk<'a>);

impl<'a> Iterator for Items<'a> {
    type Item = Result<Value<'a>, Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.0.step(|walk| walk.schema.read(walk.item, &mut walk.cursor))
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<(&'a str, Value<'a>), Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.0.step(|walk| Ok((walk.cursor.text()?, walk.schema.read(walk.item, &mut walk.cursor)?)))
    }
}

impl fmt::Debug for Raw<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut json = String::new();
        match crate::json::render_masked(self.schema, self.node, self.bytes, &mut json) {
            Ok(()) => f.write_str(&json),
            Err(error) => write!(f, "<{} bytes, {error}>", self.bytes.len()),
        }
    }
}

/// Equal if type and bytes are.
impl PartialEq for Raw<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.schema.same_shape(self.node, other.schema, other.node) && self.bytes == other.bytes
    }
}
