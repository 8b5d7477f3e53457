//! Types of expressions, and how they follow from schemas.

use std::fmt;
use std::sync::Arc;

use ringmaster_schemas::avro::{Node, NodeId, Schema};

use super::number::DIGITS_MAX;

/// A type. Avro's integers are all `Int`, its instants all `Timestamp`, its enums `Text`.
#[derive(Debug, Clone)]
pub(crate) enum Type {
    /// Of an empty list's items: fits everywhere.
    Never,
    Null,
    Bool,
    Int,
    Double,
    /// Digits behind the point, where all values of it have so many at most, and that is known.
    Decimal(Option<u32>),
    Text,
    Bytes,
    Timestamp,
    Date,
    Duration,
    List(Box<Type>),
    Map(Box<Type>),
    /// A record of a schema.
    Record(Arc<Schema>, NodeId),
    /// A record that an expression makes.
    Object(Arc<[ObjectField]>),
    /// Known only at run time: JSON without a schema, unions of several types.
    Dynamic,
    /// May be absent.
    Optional(Box<Type>),
    /// What is wrong with it is told already: it may be anything, and no more is said of it.
    Unknown,
}

/// The schema of what is wrong, which is told: no saga is ever kept by it.
pub(super) const UNKNOWN: &str = "ringmaster.Unknown";

/// A field of a record that an expression makes.
#[derive(Debug, Clone)]
pub(crate) struct ObjectField {
    pub(crate) name: Arc<str>,
    pub(crate) ty: Type,
    /// It is made of a field that its schema calls secret.
    pub(crate) secret: bool,
}

impl Type {
    /// True if a field of it, however deep, is one that its schema calls secret.
    pub(crate) fn holds_secret(&self) -> bool {
        match self {
            Type::List(inner) | Type::Map(inner) | Type::Optional(inner) => inner.holds_secret(),
            Type::Record(schema, node) => schema.holds_secret(*node),
            Type::Object(fields) => fields.iter().any(|field| field.secret || field.ty.holds_secret()),
            _ => false,
        }
    }

    /// True if what is known only at run time is in it.
    pub(crate) fn is_dynamic_within(&self) -> bool {
        match self {
            Type::Dynamic => true,
            Type::List(inner) | Type::Map(inner) | Type::Optional(inner) => inner.is_dynamic_within(),
            _ => false,
        }
    }

    /// True if something of which nobody knows what it is, which is told, is in it.
    fn is_unknown_within(&self) -> bool {
        match self {
            Type::Unknown => true,
            Type::List(inner) | Type::Map(inner) | Type::Optional(inner) => inner.is_unknown_within(),
            Type::Record(schema, node) => {
                let fields = schema.fields(*node);
                fields.iter().any(|field| schema.name_of(schema.unwrap_optional(field.ty)) == Some(UNKNOWN))
            }
            Type::Object(fields) => fields.iter().any(|field| field.ty.is_unknown_within()),
            _ => false,
        }
    }

    /// The type that an expression sees for a schema's node.
    pub(crate) fn of(schema: &Arc<Schema>, node: NodeId) -> Type {
        match schema.node(node) {
            Node::Null => Type::Null,
            Node::Bool => Type::Bool,
            Node::Int | Node::Long => Type::Int,
            Node::Float | Node::Double => Type::Double,
            Node::Fixed(_) if schema.name_of(node) == Some(UNKNOWN) => Type::Unknown,
            Node::Bytes | Node::Fixed(_) => Type::Bytes,
            Node::Str | Node::Enum(_) => Type::Text,
            Node::Array(item) => Type::List(Box::new(Type::of(schema, *item))),
            Node::Map(value) => Type::Map(Box::new(Type::of(schema, *value))),
            Node::Union(branches) => {
                let inner = schema.unwrap_optional(node);
                if inner != node {
                    Type::of(schema, inner).optional()
                } else if branches.len() == 1 {
                    Type::of(schema, branches[0])
                } else if schema.is_optional(node) {
                    Type::Dynamic.optional()
                } else {
                    Type::Dynamic
                }
            }
            Node::Record(_) => Type::Record(schema.clone(), node),
            Node::Decimal { scale, .. } | Node::FixedDecimal { scale, .. } => Type::Decimal(Some(*scale)),
            Node::Millis | Node::Micros | Node::Nanos => Type::Timestamp,
            Node::Date => Type::Date,
            Node::Dynamic => Type::Dynamic,
        }
    }

    /// How a condition is made of it; empty where none can be.
    pub(crate) fn compared(&self) -> &'static str {
        match self {
            Type::Text => "compare it, for example with == 'EU'",
            Type::Int | Type::Double | Type::Decimal(_) => "compare it, for example with > 5",
            Type::Timestamp | Type::Date | Type::Duration => "compare it, for example with < now",
            Type::List(_) => "ask its items: x.exists(y, ...), or size(x) > 0",
            Type::Map(_) => "ask for a key: 'a' in x, or size(x) > 0",
            Type::Record(..) | Type::Object(_) => "compare one of its fields, or ask has(x.FIELD)",
            Type::Bytes => "compare it with ==, or ask size(x) > 0",
            _ => "compare it, for example with == null",
        }
    }

    /// The same, perhaps absent.
    pub(crate) fn optional(self) -> Type {
        match self {
            Type::Optional(_) | Type::Null => self,
            other => Type::Optional(Box::new(other)),
        }
    }

    /// The type without "perhaps absent", and whether it was there.
    pub(crate) fn required(&self) -> (&Type, bool) {
        match self {
            Type::Optional(inner) => (inner, true),
            other => (other, false),
        }
    }

    pub(crate) fn is_number(&self) -> bool {
        matches!(self, Type::Int | Type::Double | Type::Decimal(_) | Type::Dynamic)
    }

    /// True if a value of one is a value of the other, without any conversion.
    pub(crate) fn same(&self, other: &Type) -> bool {
        match (self, other) {
            (Type::Null, Type::Null)
            | (Type::Bool, Type::Bool)
            | (Type::Int, Type::Int)
            | (Type::Double, Type::Double)
            | (Type::Decimal(_), Type::Decimal(_))
            | (Type::Text, Type::Text)
            | (Type::Bytes, Type::Bytes)
            | (Type::Timestamp, Type::Timestamp)
            | (Type::Date, Type::Date)
            | (Type::Duration, Type::Duration)
            | (Type::Dynamic, Type::Dynamic)
            | (Type::Never | Type::Unknown, _)
            | (_, Type::Never | Type::Unknown) => true,
            (Type::List(a), Type::List(b)) | (Type::Map(a), Type::Map(b)) | (Type::Optional(a), Type::Optional(b)) => a.same(b),
            (Type::Record(a, x), Type::Record(b, y)) => {
                a.same_shape(*x, b, *y) || self.is_unknown_within() || other.is_unknown_within()
            }
            (Type::Object(a), Type::Object(b)) => {
                a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a.name == b.name && a.ty.same(&b.ty))
            }
            _ => false,
        }
    }

    /// The type that values of both have, if there is one: of `c ? a : b`, of a list's items.
    pub(crate) fn join(&self, other: &Type) -> Option<Type> {
        Some(match (self, other) {
            (Type::Never, t) | (t, Type::Never) => t.clone(),
            (Type::Unknown, _) | (_, Type::Unknown) => Type::Unknown,
            (Type::Null, t) | (t, Type::Null) => t.clone().optional(),
            (Type::Optional(a), b) | (b, Type::Optional(a)) => a.join(b.required().0)?.optional(),
            (Type::Dynamic, _) | (_, Type::Dynamic) => Type::Dynamic,
            (Type::Int, Type::Decimal(digits)) | (Type::Decimal(digits), Type::Int) => Type::Decimal(*digits),
            (Type::Int, Type::Double) | (Type::Double, Type::Int) => Type::Double,
            (Type::List(a), Type::List(b)) => Type::List(Box::new(a.join(b)?)),
            (a, b) if a.same(b) => a.widest(b),
            _ => return None,
        })
    }

    /// Of two types that are the same: with the more digits, where they differ in that.
    fn widest(&self, other: &Type) -> Type {
        match (self, other) {
            (Type::Never, t) | (t, Type::Never) => t.clone(),
            (Type::Decimal(a), Type::Decimal(b)) => Type::Decimal(a.zip(*b).map(|(a, b)| a.max(b))),
            (Type::List(a), Type::List(b)) => Type::List(Box::new(a.widest(b))),
            (Type::Map(a), Type::Map(b)) => Type::Map(Box::new(a.widest(b))),
            (Type::Optional(a), Type::Optional(b)) => Type::Optional(Box::new(a.widest(b))),
            (Type::Object(a), Type::Object(b)) => {
                let widest = |(a, b): (&ObjectField, &ObjectField)| ObjectField {
                    ty: a.ty.widest(&b.ty),
                    secret: a.secret || b.secret,
                    ..a.clone()
                };
                Type::Object(a.iter().zip(b.iter()).map(widest).collect())
            }
            _ => self.clone(),
        }
    }

    /// The type of a product.
    pub(crate) fn product(self, a: &Type, b: &Type) -> Type {
        let digits = |ty: &Type| match ty {
            Type::Int => Some(0),
            Type::Decimal(digits) => *digits,
            _ => None,
        };
        match self {
            Type::Decimal(_) => {
                let both = digits(a).zip(digits(b)).map(|(a, b)| a + b);
                Type::Decimal(both.filter(|digits| *digits <= DIGITS_MAX))
            }
            other => other,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Never => f.write_str("nothing"),
            Type::Null => f.write_str("null"),
            Type::Bool => f.write_str("bool"),
            Type::Int => f.write_str("int"),
            Type::Double => f.write_str("double"),
            Type::Decimal(_) => f.write_str("decimal"),
            Type::Text => f.write_str("string"),
            Type::Bytes => f.write_str("bytes"),
            Type::Timestamp => f.write_str("timestamp"),
            Type::Date => f.write_str("date"),
            Type::Duration => f.write_str("duration"),
            Type::List(item) if matches!(**item, Type::Unknown) => f.write_str("list"),
            Type::Map(value) if matches!(**value, Type::Unknown) => f.write_str("map"),
            Type::List(item) => write!(f, "list of {item}"),
            Type::Map(value) => write!(f, "map of {value}"),
            Type::Record(schema, node) => write!(f, "{}", schema.name_of(*node).unwrap_or("record")),
            Type::Object(_) => f.write_str("record"),
            Type::Dynamic => f.write_str("dynamic"),
            Type::Optional(inner) => write!(f, "optional {inner}"),
            Type::Unknown => f.write_str("unknown"),
        }
    }
}
