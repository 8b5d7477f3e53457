//! Comparing what lies there: a field with a field or a constant, as most conditions do. Such values borrow and are never dropped,
//! which is a good part of what a condition costs.

use std::cmp::Ordering;

use ringmaster_schemas::avro;

use super::evaluate::Machine;
use super::number;
use super::place::Place;
use super::tree::{Const, Node};
use super::value::{Fault, Value, nodes_of};

impl<'s> Machine<'s, '_> {
    /// The order of two values.
    pub(super) fn ordered(&mut self, a: &'s Node, b: &'s Node) -> Result<Ordering, Fault> {
        if self.is_plain(a) && self.is_plain(b) {
            let (a, b) = (self.plain(a)?, self.plain(b)?);
            return match order(&a, &b) {
                Some(ordering) => Ok(ordering),
                None => Value::from(a).compare(&b.into()),
            };
        }
        self.eval(a)?.compare(&self.eval(b)?)
    }

    /// Whether two values are equal.
    pub(super) fn equal(&mut self, a: &'s Node, b: &'s Node) -> Result<bool, Fault> {
        if self.is_plain(a) && self.is_plain(b) {
            let (a, b) = (self.plain(a)?, self.plain(b)?);
            return match (&a, &b) {
                (avro::Value::Text(a), avro::Value::Text(b)) => Ok(a == b),
                (avro::Value::Int(a), avro::Value::Int(b)) => Ok(a == b),
                _ => Value::from(a).equals(&b.into()),
            };
        }
        self.eval(a)?.equals(&self.eval(b)?)
    }

    /// True for what most conditions compare: fields and constants, which can be looked at where they lie.
    #[inline]
    fn is_plain(&self, node: &Node) -> bool {
        match node {
            Node::Path(_) | Node::Key => true,
            Node::Const(value) => !matches!(value, Const::Duration(_)),
            Node::Field(of, _) => matches!(**of, Node::Local(slot) if matches!(self.locals[slot], Value::Raw(_))),
            _ => false,
        }
    }

    /// The same value at the same cost as [`Machine::eval`] of what is plain, without a value to drop.
    #[inline]
    fn plain(&mut self, node: &'s Node) -> Result<avro::Value<'s>, Fault> {
        self.spend(1)?;
        let value = match node {
            Node::Path(place) => self.read(place)?,
            Node::Field(of, index) => match **of {
                Node::Local(slot) => self.field_of_local(slot, usize::from(*index))?.unwrap_or(avro::Value::Null),
                _ => avro::Value::Null,
            },
            Node::Const(value) => plain_constant(value),
            _ => avro::Value::Text(self.environment.key),
        };
        match &value {
            avro::Value::Text(text) => self.spend(nodes_of(text.len()))?,
            avro::Value::Bytes(bytes) => self.spend(nodes_of(bytes.len()))?,
            avro::Value::Raw(raw) => self.spend(nodes_of(raw.bytes().len()))?,
            _ => {}
        }
        Ok(value)
    }

    /// The value at a place.
    #[inline(always)]
    pub(super) fn read(&mut self, place: &'s Place) -> Result<avro::Value<'s>, Fault> {
        let Some(bytes) = self.bytes_of(place.root) else { return Ok(avro::Value::Null) };
        let mut passed = 0;
        let value = place.read(bytes, &mut passed)?;
        self.spend(nodes_of(passed))?;
        Ok(value)
    }

    /// A field of a loop's item, looked at where it lies; none if the item was made by an expression.
    #[inline]
    pub(super) fn field_of_local(&mut self, slot: usize, index: usize) -> Result<Option<avro::Value<'s>>, Fault> {
        let Value::Raw(raw) = self.locals[slot] else { return Ok(None) };
        self.spend(nodes_of(raw.bytes().len()))?;
        Ok(Some(raw.field(index)?))
    }
}

/// A constant that is plain: none of them is a duration, which bytes cannot hold.
#[inline]
fn plain_constant(value: &Const) -> avro::Value<'_> {
    match value {
        Const::Null => avro::Value::Null,
        Const::Bool(x) => avro::Value::Bool(*x),
        Const::Int(x) | Const::Duration(x) => avro::Value::Int(*x),
        Const::Double(x) => avro::Value::Double(*x),
        Const::Decimal(x) => avro::Value::Decimal(*x),
        Const::Text(x) => avro::Value::Text(x),
        Const::Bytes(x) => avro::Value::Bytes(x),
        Const::Timestamp(x) => avro::Value::Timestamp(*x),
    }
}

/// The order of two of the same type; none where it takes a second look.
#[inline]
fn order(a: &avro::Value<'_>, b: &avro::Value<'_>) -> Option<Ordering> {
    Some(match (a, b) {
        (avro::Value::Text(a), avro::Value::Text(b)) => a.cmp(b),
        (avro::Value::Int(a), avro::Value::Int(b)) => a.cmp(b),
        (avro::Value::Decimal(a), avro::Value::Decimal(b)) => number::order(a, b),
        (avro::Value::Bool(a), avro::Value::Bool(b)) => a.cmp(b),
        _ => return None,
    })
}
