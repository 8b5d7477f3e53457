//! Writing values by a schema, whatever holds them.

use std::sync::Arc;

use rust_decimal::Decimal;

use super::fit::{Fit, fit, kind_word, type_word, value_word, view_word};
use super::raw::{Kind, Raw};
use super::{EMPTY_ITEMS_MAX, Field, Node, NodeId, RECORD_DEPTH_MAX, Schema, Source, Value, View, decimal, dynamic};
use crate::codec::{put_blob, put_long, put_text};
use crate::json;

/// Union branches that one value may try in vain: branches inside branches would multiply without a limit.
const VAIN_BRANCHES_MAX: u32 = 64;

/// Why a value does not fit its schema, and which.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}{why}", if path.is_empty() { String::new() } else { format!("{path}: ") }, value.as_ref().map_or_else(String::new, |value| format!("{value} ")))]
pub struct EncodeError {
    /// The field, for example `items[2].qty`; empty for the whole.
    pub path: String,
    /// What is wrong: of the value, where there is one. Holds no data, which may be secret.
    pub why: String,
    /// The value that is wrong.
    pub value: Option<String>,
}

impl EncodeError {
    fn new(why: impl Into<String>) -> Self {
        EncodeError { path: String::new(), why: why.into(), value: None }
    }

    #[cold]
    fn of(value: String, why: impl Into<String>) -> Self {
        EncodeError { value: Some(value), ..EncodeError::new(why) }
    }

    /// What is wrong, in words that hold no data.
    pub fn without_value(&self) -> String {
        if self.value.is_some() { format!("its value {}", self.why) } else { self.why.clone() }
    }

    #[cold]
    fn inside(mut self, step: &str) -> Self {
        if !self.path.is_empty() && !self.path.starts_with('[') {
            self.path.insert(0, '.');
        }
        self.path.insert_str(0, step);
        self
    }
}

impl Schema {
    /// Appends the value as one of this schema. On an error `out` is as it was.
    ///
    /// Unions are chosen by value; fields that are missing get their default, or null; an integer may stand for a decimal or a
    /// floating-point number; decimals are rescaled only without loss and checked against the precision; enums are written by
    /// symbol; a field that the record does not have is an error (not so in a [`Raw`] of another schema: its further fields are
    /// left out); a timestamp loses what is finer than the schema's unit.
    pub fn encode<S: Source>(&self, source: &S, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.encode_at(self.root(), source, out)
    }

    /// The same for a part of the schema: a record can be written field by field without building a tree
    /// ([`Field::default`] for those that are missing).
    pub fn encode_at<S: Source>(&self, node: NodeId, source: &S, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let start = out.len();
        let mut encoder = Encoder { schema: self, out, vain: VAIN_BRANCHES_MAX, depth: RECORD_DEPTH_MAX, empties: EMPTY_ITEMS_MAX };
        let result = encoder.put(node, &source.view());
        if result.is_err() {
            out.truncate(start);
        }
        result
    }
}

struct Encoder<'e> {
    schema: &'e Schema,
    out: &'e mut Vec<u8>,
    vain: u32,
    depth: u32,
    empties: u64,
}

impl<'e> Encoder<'e> {
    fn put<S: Source>(&mut self, id: NodeId, view: &View<'_, S>) -> Result<(), EncodeError> {
        let schema = self.schema;
        match (schema.node(id), view) {
            (Node::Union(branches), view) => self.union(branches, view),
            (Node::Record(fields), View::Record(pairs)) => self.deeper(|this| this.record(id, fields, pairs)),
            (Node::Dynamic, view) => self.deeper(|this| this.dynamic(id, view)),
            (Node::Array(item), View::List(items)) => self.list(*item, items),
            (Node::Map(item), View::Record(pairs)) => self.map(*item, pairs),
            (_, View::Value(Value::Raw(raw))) => self.raw(id, raw),
            (_, View::Value(value)) => self.scalar(id, value),
            (_, View::List(_)) => Err(self.mismatch(id, "a list")),
            (_, View::Record(_)) => Err(self.mismatch(id, "a record")),
        }
    }

    fn deeper(&mut self, run: impl FnOnce(&mut Self) -> Result<(), EncodeError>) -> Result<(), EncodeError> {
        self.depth = self.depth.checked_sub(1).ok_or_else(|| EncodeError::new("records are nested too deeply"))?;
        let result = run(self);
        self.depth += 1;
        result
    }

    fn record<S: Source>(&mut self, id: NodeId, fields: &[Field], pairs: &[(Arc<str>, S)]) -> Result<(), EncodeError> {
        let mut used = 0;
        for (index, field) in fields.iter().enumerate() {
            // Usually both are in the same order.
            let same_place = pairs.get(index).filter(|(name, _)| **name == *field.name);
            match same_place.or_else(|| pairs.iter().find(|(name, _)| **name == *field.name)) {
                Some((_, source)) => {
                    used += 1;
                    self.put(field.ty, &source.view()).map_err(|error| error.inside(&field.name))?;
                }
                None => self.missing(field)?,
            }
        }
        if used == pairs.len() {
            return Ok(());
        }
        let foreign = pairs.iter().map(|(name, _)| &**name).find(|name| fields.iter().all(|field| *field.name != **name));
        let name = self.schema.name_of(id).unwrap_or("the record");
        Err(EncodeError::new(match foreign {
            Some(foreign) => format!("{name} has no field {foreign}"),
            None => format!("a field of {name} is given twice"),
        }))
    }

    fn missing(&mut self, field: &Field) -> Result<(), EncodeError> {
        let default =
            field.default.as_deref().ok_or_else(|| EncodeError::new("it is missing and has no default").inside(&field.name))?;
        self.out.extend_from_slice(default);
        Ok(())
    }

    fn count(&mut self, item: NodeId, count: usize) -> Result<(), EncodeError> {
        if self.schema.least_bytes(item) == 0 {
            let left = self.empties.checked_sub(count as u64);
            self.empties = left.ok_or_else(|| EncodeError::new(format!("more than {EMPTY_ITEMS_MAX} items without content")))?;
        }
        if count > 0 {
            put_long(self.out, count as i64);
        }
        Ok(())
    }

    fn list<S: Source>(&mut self, item: NodeId, items: &[S]) -> Result<(), EncodeError> {
        self.count(item, items.len())?;
        for (index, source) in items.iter().enumerate() {
            self.put(item, &source.view()).map_err(|error| error.inside(&format!("[{index}]")))?;
        }
        self.out.push(0);
        Ok(())
    }

    fn map<S: Source>(&mut self, item: NodeId, pairs: &[(Arc<str>, S)]) -> Result<(), EncodeError> {
        if !pairs.is_empty() {
            put_long(self.out, pairs.len() as i64);
        }
        for (key, source) in pairs {
            put_text(self.out, key);
            self.put(item, &source.view()).map_err(|error| error.inside(key))?;
        }
        self.out.push(0);
        Ok(())
    }

    fn union<S: Source>(&mut self, branches: &[NodeId], view: &View<'_, S>) -> Result<(), EncodeError> {
        let start = self.out.len();
        let mut first_error = None;
        for wanted in [Fit::Exact, Fit::Widened] {
            for (index, branch) in branches.iter().enumerate().filter(|(_, branch)| fit(self.schema, **branch, view) == wanted) {
                if first_error.is_some() {
                    self.vain = self
                        .vain
                        .checked_sub(1)
                        .ok_or_else(|| EncodeError::new("too many branches of unions fit at first sight"))?;
                }
                let (depth, empties) = (self.depth, self.empties);
                put_long(self.out, index as i64);
                match self.put(*branch, view) {
                    Ok(()) => return Ok(()),
                    Err(error) => first_error = first_error.or(Some(error)),
                }
                self.out.truncate(start);
                (self.depth, self.empties) = (depth, empties);
            }
        }
        Err(first_error.unwrap_or_else(|| {
            let types: Vec<_> = branches.iter().map(|branch| type_word(self.schema, *branch)).collect();
            EncodeError::new(format!("{} where one of {} is wanted", view_word(view), types.join(", ")))
        }))
    }

    fn scalar(&mut self, id: NodeId, value: &Value<'_>) -> Result<(), EncodeError> {
        match (self.schema.node(id), *value) {
            (Node::Null, Value::Null) => {}
            (Node::Bool, Value::Bool(value)) => self.out.push(u8::from(value)),
            (Node::Int, Value::Int(value)) => {
                let narrow = i32::try_from(value);
                let value = narrow.map_err(|_| EncodeError::of(value.to_string(), "does not fit an int of 32 bits"))?;
                put_long(self.out, i64::from(value));
            }
            (Node::Long, Value::Int(value)) => put_long(self.out, value),
            (Node::Float, Value::Double(value)) => self.out.extend_from_slice(&(value as f32).to_le_bytes()),
            (Node::Double, Value::Double(value)) => self.out.extend_from_slice(&value.to_le_bytes()),
            (Node::Float, Value::Int(value)) => self.out.extend_from_slice(&(value as f32).to_le_bytes()),
            (Node::Double, Value::Int(value)) => self.out.extend_from_slice(&(value as f64).to_le_bytes()),
            (Node::Bytes, Value::Bytes(value)) => put_blob(self.out, value),
            (Node::Fixed(size), Value::Bytes(value)) if value.len() == *size => self.out.extend_from_slice(value),
            (Node::Str, Value::Text(value)) => put_text(self.out, value),
            (Node::Enum(symbols), Value::Text(value)) => {
                let index = symbols.iter().position(|symbol| **symbol == *value);
                let index =
                    index.ok_or_else(|| EncodeError::of(format!("{value:?}"), format!("is none of {}", symbols.join(", "))))?;
                put_long(self.out, index as i64);
            }
            (Node::Decimal { .. } | Node::FixedDecimal { .. }, Value::Int(value)) => self.decimal(id, i128::from(value), 0)?,
            (Node::Decimal { .. } | Node::FixedDecimal { .. }, Value::Decimal(value)) => {
                self.decimal(id, value.mantissa(), value.scale())?
            }
            (Node::Millis, Value::Timestamp(value)) => put_long(self.out, value.div_euclid(1000)),
            (Node::Micros, Value::Timestamp(value)) => put_long(self.out, value),
            (Node::Nanos, Value::Timestamp(value)) => {
                put_long(
                    self.out,
                    value.checked_mul(1000).ok_or_else(|| EncodeError::new("the timestamp does not fit nanoseconds"))?,
                );
            }
            (Node::Date, Value::Date(value)) => put_long(self.out, i64::from(value)),
            (_, value) => return Err(self.mismatch(id, value_word(&value))),
        }
        Ok(())
    }

    fn decimal(&mut self, id: NodeId, unscaled: i128, from: u32) -> Result<(), EncodeError> {
        let (precision, scale, size) = match *self.schema.node(id) {
            Node::Decimal { precision, scale } => (precision, scale, None),
            Node::FixedDecimal { size, precision, scale } => (precision, scale, Some(size)),
            _ => return Err(self.mismatch(id, "a decimal")),
        };
        let shown =
            || Decimal::try_from_i128_with_scale(unscaled, from).map_or_else(|_| unscaled.to_string(), |value| value.to_string());
        let rescaled = decimal::rescale(unscaled, from as i32, scale as i32).ok_or_else(|| {
            EncodeError::of(shown(), format!("does not fit decimal({precision},{scale}) without losing digits: round it"))
        })?;
        let fits = decimal::fits(rescaled, precision)
            && match size {
                None => {
                    decimal::put_unscaled(self.out, rescaled);
                    true
                }
                Some(size) => decimal::put_unscaled_fixed(self.out, rescaled, size),
            };
        if fits { Ok(()) } else { Err(EncodeError::of(shown(), format!("has more digits than decimal({precision},{scale})"))) }
    }

    /// Bytes of some schema: copied where they mean the same, else by name and value.
    fn raw(&mut self, id: NodeId, raw: &Raw<'_>) -> Result<(), EncodeError> {
        if self.schema.same_shape(id, raw.schema(), raw.node()) {
            self.out.extend_from_slice(raw.bytes());
            return Ok(());
        }
        let broken = |error: crate::codec::Malformed| EncodeError::new(error.to_string());
        match (self.schema.node(id), raw.kind()) {
            (Node::Array(item), Kind::List) => {
                self.count(*item, raw.count().map_err(broken)?)?;
                for (index, value) in raw.items().enumerate() {
                    self.value(*item, value.map_err(broken)?).map_err(|error| error.inside(&format!("[{index}]")))?;
                }
                self.out.push(0);
                Ok(())
            }
            (Node::Map(item), Kind::Map) => {
                self.count(*item, raw.count().map_err(broken)?)?;
                for entry in raw.entries() {
                    let (key, value) = entry.map_err(broken)?;
                    put_text(self.out, key);
                    self.value(*item, value).map_err(|error| error.inside(key))?;
                }
                self.out.push(0);
                Ok(())
            }
            (Node::Record(fields), Kind::Record | Kind::Map) => self.deeper(|this| {
                for field in fields {
                    match raw.named(&field.name).map_err(broken)? {
                        Some(value) => this.value(field.ty, value).map_err(|error| error.inside(&field.name))?,
                        None => this.missing(field)?,
                    }
                }
                Ok(())
            }),
            (_, kind) => Err(self.mismatch(id, kind_word(kind))),
        }
    }

    fn value(&mut self, id: NodeId, value: Value<'_>) -> Result<(), EncodeError> {
        self.put::<Value<'_>>(id, &View::Value(value))
    }

    /// As `ringmaster.Json`: what JSON cannot say is the text that the JSON out would have.
    fn dynamic<S: Source>(&mut self, id: NodeId, view: &View<'_, S>) -> Result<(), EncodeError> {
        let branch = |this: &mut Self, index| put_long(this.out, index);
        match view {
            View::List(items) => {
                branch(self, dynamic::LIST);
                self.list(id, items)
            }
            View::Record(pairs) => {
                branch(self, dynamic::MAP);
                self.map(id, pairs)
            }
            View::Value(Value::Raw(raw)) => self.dynamic_raw(raw),
            View::Value(scalar) => {
                let mut text = String::new();
                match *scalar {
                    Value::Null => branch(self, dynamic::NULL),
                    Value::Bool(value) => {
                        branch(self, dynamic::BOOL);
                        self.out.push(u8::from(value));
                    }
                    Value::Int(value) => {
                        branch(self, dynamic::LONG);
                        put_long(self.out, value);
                    }
                    Value::Double(value) if value.is_finite() => text = format!("{value:?}"),
                    Value::Double(_) => {
                        return Err(EncodeError::new("a number that is not finite"));
                    }
                    Value::Decimal(value) => text = value.to_string(),
                    Value::Text(value) => {
                        branch(self, dynamic::TEXT);
                        put_text(self.out, value);
                    }
                    Value::Bytes(value) => json::base64::encode(value, &mut text),
                    Value::Timestamp(value) => json::time::put_timestamp(value, &mut text),
                    Value::Date(value) => json::time::put_date(value, &mut text),
                    Value::Raw(_) => {}
                }
                if matches!(scalar, Value::Double(_) | Value::Decimal(_)) {
                    branch(self, dynamic::NUMBER);
                    put_text(self.out, &text);
                } else if matches!(scalar, Value::Bytes(_) | Value::Timestamp(_) | Value::Date(_)) {
                    branch(self, dynamic::TEXT);
                    put_text(self.out, &text);
                }
                Ok(())
            }
        }
    }

    /// By way of JSON: rare, and there is only one way from a schema's values to JSON's.
    fn dynamic_raw(&mut self, raw: &Raw<'_>) -> Result<(), EncodeError> {
        if *raw.schema().node(raw.node()) == Node::Dynamic {
            self.out.extend_from_slice(raw.bytes());
            return Ok(());
        }
        let mut text = String::new();
        json::render(raw.schema(), raw.node(), raw.bytes(), &mut text).map_err(|error| EncodeError::new(error.to_string()))?;
        json::dynamic(text.as_bytes(), self.out).map_err(|error| EncodeError { path: error.path, why: error.why, value: None })
    }

    #[cold]
    fn mismatch(&self, id: NodeId, given: &str) -> EncodeError {
        EncodeError::new(format!("{given} where {} is wanted", type_word(self.schema, id)))
    }
}
