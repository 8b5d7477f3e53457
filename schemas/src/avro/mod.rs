//! Schemas known only at run time: compiled once, then bytes are validated, read, written and resolved by them without allocating.
//!
//! An Avro schema becomes a table of [`Node`]s. [`Schema::validate`] checks bytes in one pass (bounds, UTF-8, ranges, nothing left
//! over), after which [`read`](Schema::read) hands out values that borrow from them; [`Schema::encode`] writes values,
//! [`Resolver`] turns the bytes of one version of a schema into those of another.

mod canonical;
mod common;
mod compile;
mod decimal;
mod defaults;
mod encode;
mod fit;
mod plan;
mod raw;
mod read;
mod resolve;
mod shape;
mod source;
mod tree;

use std::fmt;

pub use canonical::crc64;
pub(crate) use canonical::identity;
pub use common::{Common, Differing, Gap};
pub(crate) use compile::JSON_TEXT;
pub(crate) use decimal::{fits, is_number, put_unscaled, put_unscaled_fixed};
pub use decimal::{parse_number, power_of_ten, rescale};
pub use encode::EncodeError;
pub(crate) use fit::type_word;
pub use raw::{Entries, Items, Kind, Raw};
pub use read::{DecodeError, Value};
pub(crate) use read::{block, dynamic};
pub use resolve::Resolver;
pub(crate) use source::{Document, inline};
pub use tree::{Source, Tree, View};

/// Records inside records that data may have: enough for 64 nested JSON containers and the leaf in the innermost (a leaf of
/// `ringmaster.Json` is a record too), few enough that no recursion reaches the end of a thread's stack.
pub const RECORD_DEPTH_MAX: u32 = 65;
/// Lists, maps and unions directly inside one another, without a record between, that a schema may have: with
/// [`RECORD_DEPTH_MAX`] this bounds every recursion over data.
pub const NESTING_MAX: u32 = 8;
/// Items without any bytes (nulls) that the lists of one value may claim together: they cost nothing on the wire, so the bytes
/// do not bound them.
pub const EMPTY_ITEMS_MAX: u64 = 65_536;
/// Bytes of a decimal's unscaled number: more than any of 28 digits needs, and what a 128 bit number holds.
pub const DECIMAL_BYTES_MAX: usize = 16;
/// Digits of a decimal: what `rust_decimal` keeps exactly.
pub const DECIMAL_DIGITS_MAX: u32 = 28;
/// Nodes of one schema: generous for people, small enough to compile in milliseconds.
pub const NODES_MAX: usize = 4_096;
/// Nulls that a record without any bytes may hold: it costs nothing on the wire, so the bytes do not bound the work of showing it.
pub const NULL_FIELDS_MAX: u32 = 1_024;
/// Full name of the built-in schema of JSON without a schema; compiled to [`Node::Dynamic`].
pub const JSON_NAME: &str = "ringmaster.Json";

/// A place in a schema's table of nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(crate) u32);

/// One type of a schema. Logical types that are not listed (uuid, time-of-day, local timestamps) are their underlying type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// Nothing; no bytes.
    Null,
    /// A boolean.
    Bool,
    /// 32 bits.
    Int,
    /// 64 bits.
    Long,
    /// 32 bits, IEEE 754.
    Float,
    /// 64 bits, IEEE 754.
    Double,
    /// Any bytes.
    Bytes,
    /// UTF-8.
    Str,
    /// One of these symbols.
    Enum(Box<[Box<str>]>),
    /// So many bytes.
    Fixed(usize),
    /// A list.
    Array(NodeId),
    /// Text to value.
    Map(NodeId),
    /// One of these.
    Union(Box<[NodeId]>),
    /// Fields in order.
    Record(Box<[Field]>),
    /// A decimal in `bytes`.
    Decimal {
        /// Digits in all.
        precision: u32,
        /// Digits behind the point.
        scale: u32,
    },
    /// A decimal in `fixed`.
    FixedDecimal {
        /// Bytes.
        size: usize,
        /// Digits in all.
        precision: u32,
        /// Digits behind the point.
        scale: u32,
    },
    /// An instant in milliseconds.
    Millis,
    /// An instant in microseconds.
    Micros,
    /// An instant in nanoseconds.
    Nanos,
    /// Days since 1970-01-01.
    Date,
    /// Any JSON value (`ringmaster.Json`): on the wire a record with a union in it, here one type of its own.
    Dynamic,
}

/// A field of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: Box<str>,
    /// Names that it had before: where a writer has none of its name, a field of one of these is it.
    pub aliases: Box<[Box<str>]>,
    /// Its type.
    pub ty: NodeId,
    /// The Avro bytes that stand for it where it is missing: its declared default, else null where its type allows null.
    pub default: Option<Box<[u8]>>,
    /// Property `secret: true`: its value shows as `***` in logs, console and diffs.
    pub secret: bool,
}

impl Field {
    /// Its name, and those that it had before.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&*self.name).chain(self.aliases.iter().map(|alias| &**alias))
    }
}

/// A compiled schema: immutable, shared as `Arc<Schema>`.
pub struct Schema {
    name: Box<str>,
    key: i64,
    fingerprint: u64,
    text: Box<str>,
    root: NodeId,
    nodes: Box<[Node]>,
    /// Fewest bytes that a value of the node takes; 0 only where it never takes any.
    least: Box<[u32]>,
    /// Equal for two nodes, also of two schemas, only if their bytes mean the same: field names, symbols and logical types
    /// count, the names of types only where they tell the branches of a union apart.
    shapes: Box<[u64]>,
    /// Full names of records, enums and fixed types; empty for others.
    names: Box<[Box<str>]>,
    /// Full names that records, enums and fixed types had before.
    aliases: Box<[Box<[Box<str>]>]>,
    /// Default symbols of enums: index into its symbols.
    enum_defaults: Box<[Option<u32>]>,
}

/// Why a schema cannot be used, where it stands, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {why}")]
pub struct SchemaError {
    /// The file or the schema's name.
    pub place: String,
    /// What is wrong and what to do.
    pub why: String,
}

impl SchemaError {
    pub(crate) fn new(place: impl Into<String>, why: impl Into<String>) -> Self {
        SchemaError { place: place.into(), why: why.into() }
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schema({} {:016x})", self.name, self.key)
    }
}

/// Two schemas are equal if their keys are: canonical form, logical types, defaults and aliases.
impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Schema {}

impl Schema {
    /// The full name of its record (or enum, or fixed type); for others the type's word, such as `string`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its identity: the first 8 bytes of SHA-256 over canonical form, logical types, defaults and aliases.
    pub fn key(&self) -> i64 {
        self.key
    }

    /// CRC-64-AVRO of the canonical form: what a single-object header carries.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Its JSON, with every type it names defined at first use.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The type of a whole value.
    pub fn root(&self) -> NodeId {
        self.root
    }

    /// What a node is.
    #[inline(always)]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// The full name of a record, enum or fixed type.
    pub fn name_of(&self, id: NodeId) -> Option<&str> {
        let name = &*self.names[id.0 as usize];
        (!name.is_empty()).then_some(name)
    }

    /// Full names that a record, enum or fixed type had before.
    pub(crate) fn aliases_of(&self, id: NodeId) -> &[Box<str>] {
        &self.aliases[id.0 as usize]
    }

    /// The fields of a record, in order; none for other types.
    pub fn fields(&self, id: NodeId) -> &[Field] {
        match self.node(id) {
            Node::Record(fields) => fields,
            _ => &[],
        }
    }

    /// True if a field of it, however deep, is secret.
    pub fn holds_secret(&self, id: NodeId) -> bool {
        !self.secrets(id).is_empty()
    }

    /// True if some of it, however deep, is any JSON value: nothing is known of what that holds.
    pub fn holds_any_json(&self, id: NodeId) -> bool {
        let mut found = false;
        self.walk(id, |node| found |= matches!(node, Node::Dynamic));
        found
    }

    /// Its secret fields, however deep.
    pub fn secrets(&self, id: NodeId) -> Vec<&Field> {
        let mut found = Vec::new();
        self.walk(id, |node| {
            if let Node::Record(fields) = node {
                found.extend(fields.iter().filter(|field| field.secret));
            }
        });
        found
    }

    /// Visits a node and all below it, each once.
    fn walk<'s>(&'s self, id: NodeId, mut visit: impl FnMut(&'s Node)) {
        let (mut left, mut seen) = (vec![id], std::collections::BTreeSet::new());
        while let Some(id) = left.pop() {
            // A record may hold others of its own type.
            if !seen.insert(id) {
                continue;
            }
            visit(self.node(id));
            match self.node(id) {
                Node::Record(fields) => left.extend(fields.iter().map(|field| field.ty)),
                Node::Array(inner) | Node::Map(inner) => left.push(*inner),
                Node::Union(branches) => left.extend(branches.iter().copied()),
                _ => {}
            }
        }
    }

    /// Where a record's field stands, and its type.
    pub fn field_named(&self, id: NodeId, name: &str) -> Option<(usize, &Field)> {
        self.fields(id).iter().enumerate().find(|(_, field)| &*field.name == name)
    }

    /// For a union of null and one type that type, for other types themselves: what an expression sees.
    pub fn unwrap_optional(&self, id: NodeId) -> NodeId {
        match self.node(id) {
            Node::Union(branches) => match &branches[..] {
                [one, other] if *self.node(*one) == Node::Null => *other,
                [one, other] if *self.node(*other) == Node::Null => *one,
                _ => id,
            },
            _ => id,
        }
    }

    /// True if null is a value of the type.
    pub fn is_optional(&self, id: NodeId) -> bool {
        match self.node(id) {
            Node::Null | Node::Dynamic => true,
            Node::Union(branches) => branches.iter().any(|branch| *self.node(*branch) == Node::Null),
            _ => false,
        }
    }

    /// True if this is the same to Avro's fingerprint as `other`, and all its values are of this too and mean the same: decimals of no more
    /// digits, and instants and days, which a plain number holds as well.
    pub(crate) fn covers(&self, other: &Schema) -> bool {
        let wider = |(node, other): (&Node, &Node)| match (node, other) {
            (Node::Decimal { precision, scale }, Node::Decimal { precision: p, scale: s }) => precision >= p && scale == s,
            (Node::FixedDecimal { size, precision, scale }, Node::FixedDecimal { size: z, precision: p, scale: s }) => {
                precision >= p && scale == s && size == z
            }
            (Node::Long, Node::Millis | Node::Micros | Node::Nanos) | (Node::Int, Node::Date) => true,
            (Node::Record(fields), Node::Record(others)) => fields.len() == others.len(),
            (node, other) => node == other,
        };
        // Schemas of one fingerprint have their types in the same order.
        self.fingerprint == other.fingerprint
            && self.nodes.len() == other.nodes.len()
            && self.nodes.iter().zip(&other.nodes).all(wider)
    }

    /// True if bytes of `node` are bytes of `other`'s `other_node` with the same meaning.
    #[inline]
    pub fn same_shape(&self, node: NodeId, other: &Schema, other_node: NodeId) -> bool {
        self.shapes[node.0 as usize] == other.shapes[other_node.0 as usize]
    }
}
