//! Writing values by a schema, whatever holds them.

use std::sync::Arc;

use rust_decimal::Decimal;

use super::{NodeId, Schema, Value};

/// Why a value does not fit its schema, and which.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{why}", if path.is_empty() { String::new() } else { format!("{path}: ") })]
pub struct EncodeError {
    /// The field, for example `items[2].qty`; empty for the whole.
    pub path: String,
    /// What is wrong.
    pub why: String,
}

/// An owned value.
#[derive(Debug, Clone, PartialEq)]
pub enum Tree {
    /// Nothing.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Double(f64),
    /// An exact number.
    Decimal(Decimal),
    /// Text, or an enum's symbol.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Microseconds since 1970-01-01 UTC.
    Timestamp(i64),
    /// Days since 1970-01-01.
    Date(i32),
    /// A list.
    List(Vec<Tree>),
    /// A record or a map.
    Record(Vec<(Arc<str>, Tree)>),
}

/// Whatever can be written by a schema: a [`Tree`], a [`Value`], an expression's result.
pub trait Source: Sized {
    /// How it looks from outside.
    fn view(&self) -> View<'_, Self>;
}

/// One level of a value to be written.
#[derive(Debug, Clone, Copy)]
pub enum View<'s, S> {
    /// A scalar, or bytes of some schema (also of another one than is written: fields by name).
    Value(Value<'s>),
    /// A list.
    List(&'s [S]),
    /// A record or a map.
    Record(&'s [(Arc<str>, S)]),
}

impl Source for Tree {
    fn view(&self) -> View<'_, Self> {
        View::Value(match self {
            Tree::Null => Value::Null,
            Tree::Bool(value) => Value::Bool(*value),
            Tree::Int(value) => Value::Int(*value),
            Tree::Double(value) => Value::Double(*value),
            Tree::Decimal(value) => Value::Decimal(*value),
            Tree::Text(value) => Value::Text(value),
            Tree::Bytes(value) => Value::Bytes(value),
            Tree::Timestamp(value) => Value::Timestamp(*value),
            Tree::Date(value) => Value::Date(*value),
            Tree::List(items) => return View::List(items),
            Tree::Record(fields) => return View::Record(fields),
        })
    }
}

impl Source for Value<'_> {
    fn view(&self) -> View<'_, Self> {
        View::Value(*self)
    }
}

impl Schema {
    /// Appends the value as one of this schema. On an error `out` is as it was.
    ///
    /// Unions are chosen by value; fields that are missing get their default, or null; decimals are rescaled only without loss and
    /// checked against the precision; enums are written by symbol; a field that the record does not have is an error; a
    /// timestamp loses what is finer than the schema's unit.
    pub fn encode<S: Source>(&self, source: &S, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.encode_at(self.root(), source, out)
    }

    /// The same for a part of the schema: a record can be written field by field without building a tree
    /// (`Field::default` for those that are missing).
    pub fn encode_at<S: Source>(&self, node: NodeId, source: &S, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        todo!()
    }
}
