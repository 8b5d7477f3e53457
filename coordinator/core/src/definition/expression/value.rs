//! Values at run time: borrowed from the bytes they were read from wherever possible.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use ringmaster_schemas::avro::{self, Kind, Raw, Source, View};
use ringmaster_schemas::codec::Malformed;
use rust_decimal::Decimal;

use super::number;

/// A value.
#[derive(Debug, Clone)]
pub(crate) enum Value<'a> {
    /// Absent.
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Decimal(Decimal),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
    /// Microseconds since 1970-01-01 UTC.
    Timestamp(i64),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds.
    Duration(i64),
    /// A list, map or record as it lies in the bytes.
    Raw(Raw<'a>),
    /// A list that an expression made.
    List(Vec<Value<'a>>),
    /// A record that an expression made.
    Object(Vec<(Arc<str>, Value<'a>)>),
}

/// Why an evaluation failed, without the place. Boxed: what is rare must not make results large.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fault(Box<(&'static str, Cow<'static, str>)>);

impl Fault {
    #[cold]
    pub(crate) fn new(code: &'static str, message: impl Into<Cow<'static, str>>) -> Fault {
        Fault(Box::new((code, message.into())))
    }

    pub(crate) fn code(&self) -> &'static str {
        self.0.0
    }

    pub(crate) fn message(&self) -> &str {
        &self.0.1
    }

    #[cold]
    pub(crate) fn types(what: &str, value: &Value<'_>) -> Fault {
        Fault::new("TYPE", format!("{what} {}", value.describe()))
    }
}

impl From<Malformed> for Fault {
    #[cold]
    fn from(error: Malformed) -> Self {
        Fault::new("MALFORMED", error.to_string())
    }
}

impl<'a> From<avro::Value<'a>> for Value<'a> {
    #[inline]
    fn from(value: avro::Value<'a>) -> Self {
        match value {
            avro::Value::Null => Value::Null,
            avro::Value::Bool(x) => Value::Bool(x),
            avro::Value::Int(x) => Value::Int(x),
            avro::Value::Double(x) => Value::Double(x),
            avro::Value::Decimal(x) => Value::Decimal(x),
            avro::Value::Text(x) => Value::Text(Cow::Borrowed(x)),
            avro::Value::Bytes(x) => Value::Bytes(Cow::Borrowed(x)),
            avro::Value::Timestamp(x) => Value::Timestamp(x),
            avro::Value::Date(x) => Value::Date(x),
            avro::Value::Raw(raw) => Value::Raw(raw),
        }
    }
}

impl Source for Value<'_> {
    fn view(&self) -> View<'_, Self> {
        View::Value(match self {
            Value::Null => avro::Value::Null,
            Value::Bool(x) => avro::Value::Bool(*x),
            Value::Int(x) => avro::Value::Int(*x),
            Value::Double(x) => avro::Value::Double(*x),
            Value::Decimal(x) => avro::Value::Decimal(*x),
            Value::Text(x) => avro::Value::Text(x),
            Value::Bytes(x) => avro::Value::Bytes(x),
            Value::Timestamp(x) => avro::Value::Timestamp(*x),
            Value::Date(x) => avro::Value::Date(*x),
            // Avro has no durations; the checks let none get here but out of arithmetic on values without a schema.
            Value::Duration(x) => avro::Value::Int(*x),
            Value::Raw(raw) => avro::Value::Raw(*raw),
            Value::List(items) => return View::List(items),
            Value::Object(fields) => return View::Record(fields),
        })
    }
}

/// What passing over so many bytes costs, in nodes.
#[inline]
pub(crate) fn nodes_of(bytes: usize) -> u32 {
    u32::try_from(bytes / 64).unwrap_or(u32::MAX)
}

impl<'a> Value<'a> {
    /// What reading or copying it costs beside its own node, in nodes: what is long must not be read for nothing.
    pub(crate) fn weight(&self) -> u32 {
        match self {
            Value::Text(text) => nodes_of(text.len()),
            Value::Bytes(bytes) => nodes_of(bytes.len()),
            Value::Raw(raw) => nodes_of(raw.bytes().len()),
            Value::List(items) => items.iter().map(|item| 1 + item.weight()).sum(),
            Value::Object(fields) => fields.iter().map(|(_, value)| 1 + value.weight()).sum(),
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Double(_)
            | Value::Decimal(_)
            | Value::Timestamp(_)
            | Value::Date(_)
            | Value::Duration(_) => 0,
        }
    }

    /// What it is, for people.
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Value::Null => "is absent",
            Value::Bool(_) => "is a bool",
            Value::Int(_) => "is an int",
            Value::Double(_) => "is a double",
            Value::Decimal(_) => "is a decimal",
            Value::Text(_) => "is a string",
            Value::Bytes(_) => "is bytes",
            Value::Timestamp(_) => "is a timestamp",
            Value::Date(_) => "is a date",
            Value::Duration(_) => "is a duration",
            Value::Raw(raw) => match raw.kind() {
                Kind::List => "is a list",
                Kind::Map => "is a map",
                Kind::Record => "is a record",
            },
            Value::List(_) => "is a list",
            Value::Object(_) => "is a record",
        }
    }

    /// An entry of a map, a field of a record, by name.
    pub(crate) fn named(&self, name: &str) -> Result<Option<Value<'a>>, Fault> {
        match self {
            Value::Raw(raw) => Ok(raw.named(name)?.map(Value::from)),
            Value::Object(fields) => Ok(fields.iter().find(|(field, _)| **field == *name).map(|(_, value)| value.clone())),
            _ => Ok(None),
        }
    }

    /// Calls `each` with every item of a list until it says false.
    pub(crate) fn each(self, each: &mut dyn FnMut(Value<'a>) -> Result<bool, Fault>) -> Result<(), Fault> {
        match self {
            Value::Raw(raw) if raw.kind() == Kind::List => {
                for item in raw.items() {
                    if !each(item?.into())? {
                        break;
                    }
                }
            }
            // A loop over a map takes its keys.
            Value::Raw(raw) if raw.kind() == Kind::Map => {
                for entry in raw.entries() {
                    if !each(Value::Text(Cow::Borrowed(entry?.0)))? {
                        break;
                    }
                }
            }
            Value::List(items) => {
                for item in items {
                    if !each(item)? {
                        break;
                    }
                }
            }
            other => return Err(Fault::types("a list is needed here and it", &other)),
        }
        Ok(())
    }

    /// Items of a list, entries of a map, characters of a text, bytes.
    pub(crate) fn size(&self) -> Result<i64, Fault> {
        Ok(match self {
            Value::Text(text) => text.chars().count() as i64,
            Value::Bytes(bytes) => bytes.len() as i64,
            Value::Raw(raw) => raw.count()? as i64,
            Value::List(items) => items.len() as i64,
            Value::Object(fields) => fields.len() as i64,
            other => return Err(Fault::types("size() of something that", other)),
        })
    }

    /// Equal by value: numbers across types, lists item by item, records field by field.
    pub(crate) fn equals(&self, other: &Value<'a>) -> Result<bool, Fault> {
        Ok(match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Text(a), Value::Text(b)) => a == b,
            (Value::Bytes(a), Value::Bytes(b)) => a == b,
            (Value::Date(a), Value::Date(b)) => a == b,
            (Value::Timestamp(a), Value::Timestamp(b)) | (Value::Duration(a), Value::Duration(b)) => a == b,
            (Value::Raw(_) | Value::List(_) | Value::Object(_), Value::Raw(_) | Value::List(_) | Value::Object(_)) => {
                self.equals_deeply(other)?
            }
            _ => self.compare(other).is_ok_and(Ordering::is_eq),
        })
    }

    fn equals_deeply(&self, other: &Value<'a>) -> Result<bool, Fault> {
        if let (Value::Raw(a), Value::Raw(b)) = (self, other)
            && a == b
        {
            return Ok(true);
        }
        match (self.entries()?, other.entries()?) {
            (Entries::List(a), Entries::List(b)) => {
                if a.len() != b.len() {
                    return Ok(false);
                }
                for (x, y) in a.iter().zip(&b) {
                    if !x.equals(y)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (Entries::Named(a), Entries::Named(b)) => {
                if a.len() != b.len() {
                    return Ok(false);
                }
                for (name, x) in &a {
                    match b.iter().find(|(other, _)| other == name) {
                        Some((_, y)) if x.equals(y)? => {}
                        _ => return Ok(false),
                    }
                }
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn entries(&self) -> Result<Entries<'a>, Fault> {
        Ok(match self {
            Value::Raw(raw) => match raw.kind() {
                Kind::List => Entries::List(raw.items().map(|item| Ok(item?.into())).collect::<Result<_, Fault>>()?),
                Kind::Map => {
                    let entries = raw.entries().map(|entry| entry.map(|(name, value)| (name.into(), value.into())));
                    Entries::Named(entries.collect::<Result<_, Malformed>>()?)
                }
                Kind::Record => {
                    let fields = raw.schema().fields(raw.node());
                    let values = fields.iter().enumerate().map(|(i, field)| Ok((field.name.as_ref().into(), raw.field(i)?.into())));
                    Entries::Named(values.collect::<Result<_, Fault>>()?)
                }
            },
            Value::List(items) => Entries::List(items.clone()),
            Value::Object(fields) => Entries::Named(fields.clone()),
            other => return Err(Fault::types("a list or record is needed here and it", other)),
        })
    }

    /// The order of two numbers, texts, instants, durations, booleans.
    #[inline]
    pub(crate) fn compare(&self, other: &Value<'a>) -> Result<Ordering, Fault> {
        Ok(match (self, other) {
            (Value::Int(a), Value::Int(b)) => a.cmp(b),
            (Value::Decimal(a), Value::Decimal(b)) => number::order(a, b),
            (Value::Decimal(a), Value::Int(b)) => number::order(a, &Decimal::from(*b)),
            (Value::Int(a), Value::Decimal(b)) => number::order(&Decimal::from(*a), b),
            (Value::Double(a), Value::Double(b)) => float(*a, *b)?,
            (Value::Double(a), Value::Int(b)) => float(*a, *b as f64)?,
            (Value::Int(a), Value::Double(b)) => float(*a as f64, *b)?,
            (Value::Text(a), Value::Text(b)) => a.cmp(b),
            (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
            (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
            (Value::Date(a), Value::Date(b)) => a.cmp(b),
            (Value::Timestamp(a), Value::Timestamp(b)) | (Value::Duration(a), Value::Duration(b)) => a.cmp(b),
            (a, b) => {
                return Err(Fault::new(
                    "TYPE",
                    format!("cannot compare: the left side {}, the right side {}", a.describe(), b.describe()),
                ));
            }
        })
    }
}

enum Entries<'a> {
    List(Vec<Value<'a>>),
    Named(Vec<(Arc<str>, Value<'a>)>),
}

fn float(a: f64, b: f64) -> Result<Ordering, Fault> {
    a.partial_cmp(&b).ok_or_else(|| Fault::new("TYPE", "not a number has no order"))
}
