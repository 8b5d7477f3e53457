//! What can be written by a schema: owned trees, values read from other bytes, and whatever else shows itself as one of them.

use std::sync::Arc;

use rust_decimal::Decimal;

use super::Value;

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
