//! Which type of a union a value is meant for, and the words that errors use for types and values.

use super::raw::{Kind, Raw};
use super::{Node, NodeId, Schema, Value, View};

/// How well a value fits a type, told without looking inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    No,
    /// An integer for a decimal or floating-point number, a record for a map, a record of other fields.
    Widened,
    Exact,
}

pub(super) fn fit<S>(schema: &Schema, id: NodeId, view: &View<'_, S>) -> Fit {
    let exact = |yes| if yes { Fit::Exact } else { Fit::No };
    let value = match (schema.node(id), view) {
        (Node::Dynamic, _) => return Fit::Widened,
        (node, View::List(_)) => return exact(matches!(node, Node::Array(_))),
        // A record with foreign or missing fields is tried last: its error says which.
        (Node::Record(fields), View::Record(pairs)) => {
            let given = |name: &str| pairs.iter().any(|(other, _)| **other == *name);
            let known = |name: &str| fields.iter().any(|field| *field.name == *name);
            let fits = pairs.iter().all(|(name, _)| known(name))
                && fields.iter().all(|field| field.default.is_some() || given(&field.name));
            return if fits { Fit::Exact } else { Fit::Widened };
        }
        (node, View::Record(_)) => {
            return if matches!(node, Node::Map(_)) { Fit::Widened } else { Fit::No };
        }
        (_, View::Value(value)) => value,
    };
    match (schema.node(id), value) {
        (Node::Int, Value::Int(value)) => exact(i32::try_from(*value).is_ok()),
        (Node::Long, Value::Int(_)) => Fit::Exact,
        (Node::Decimal { .. } | Node::FixedDecimal { .. } | Node::Float | Node::Double, Value::Int(_)) => Fit::Widened,
        (Node::Decimal { .. } | Node::FixedDecimal { .. }, Value::Decimal(_)) => Fit::Exact,
        (Node::Float, Value::Double(_)) => Fit::Widened,
        (Node::Double, Value::Double(_)) => Fit::Exact,
        (Node::Null, Value::Null) | (Node::Bool, Value::Bool(_)) | (Node::Str, Value::Text(_)) => Fit::Exact,
        (Node::Bytes, Value::Bytes(_)) | (Node::Date, Value::Date(_)) => Fit::Exact,
        (Node::Fixed(size), Value::Bytes(value)) => exact(value.len() == *size),
        (Node::Enum(symbols), Value::Text(text)) => exact(symbols.iter().any(|symbol| **symbol == **text)),
        (Node::Millis | Node::Micros | Node::Nanos, Value::Timestamp(_)) => Fit::Exact,
        (_, Value::Raw(raw)) => fit_raw(schema, id, raw),
        _ => Fit::No,
    }
}

fn fit_raw(schema: &Schema, id: NodeId, raw: &Raw<'_>) -> Fit {
    match (schema.node(id), raw.kind()) {
        _ if schema.same_shape(id, raw.schema(), raw.node()) => Fit::Exact,
        (Node::Array(_), Kind::List) | (Node::Map(_), Kind::Map) | (Node::Record(_), Kind::Record | Kind::Map) => Fit::Widened,
        _ => Fit::No,
    }
}

pub(super) fn view_word<S>(view: &View<'_, S>) -> &'static str {
    match view {
        View::Value(value) => value_word(value),
        View::List(_) => "a list",
        View::Record(_) => "a record",
    }
}

pub(super) fn value_word(value: &Value<'_>) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a bool",
        Value::Int(_) => "an int",
        Value::Double(_) => "a double",
        Value::Decimal(_) => "a decimal",
        Value::Text(_) => "a string",
        Value::Bytes(_) => "bytes",
        Value::Timestamp(_) => "a timestamp",
        Value::Date(_) => "a date",
        Value::Raw(raw) => kind_word(raw.kind()),
    }
}

pub(super) fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::List => "a list",
        Kind::Map => "a map",
        Kind::Record => "a record",
    }
}

/// A type as errors call it.
pub(crate) fn type_word(schema: &Schema, id: NodeId) -> String {
    let word = match schema.node(id) {
        Node::Null => "null",
        Node::Bool => "a bool",
        Node::Int | Node::Long => "an int",
        Node::Float | Node::Double => "a double",
        Node::Bytes => "bytes",
        Node::Str => "a string",
        Node::Array(_) => "a list",
        Node::Map(_) => "a map",
        Node::Millis | Node::Micros | Node::Nanos => "a timestamp",
        Node::Date => "a date",
        Node::Dynamic => "any JSON",
        Node::Enum(symbols) => return format!("one of {}", symbols.join(", ")),
        Node::Fixed(size) => return format!("{size} bytes"),
        Node::Decimal { precision, scale } | Node::FixedDecimal { precision, scale, .. } => {
            return format!("a decimal({precision},{scale})");
        }
        Node::Record(_) => return format!("a record {}", schema.name_of(id).unwrap_or_default()),
        Node::Union(branches) => {
            let words: Vec<_> = branches.iter().map(|branch| type_word(schema, *branch)).collect();
            return words.join(" or ");
        }
    };
    word.to_owned()
}
