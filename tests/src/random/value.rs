//! Expressions of random definitions: as they are written, and what they come to by a reckoning of its own.

use std::collections::BTreeMap;

/// Fields of a start event; each is a small number.
pub(super) const FIELDS: [&str; 4] = ["a", "b", "c", "d"];

/// A number.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// Itself.
    Const(i64),
    /// A field of the start event.
    Start(usize),
    /// What a step gave, or 0.
    Result(String),
    /// What a step certainly gave.
    Certain(String),
    /// Which try it is, where something is tried again.
    Round,
    /// Cannot be computed where a field of the start event is 0.
    Broken(usize),
}

/// An `if`.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Condition {
    /// The number is not smaller.
    AtLeast(Value, i64),
    /// The number is smaller.
    Below(Value, i64),
    /// The step has succeeded, or has not.
    Has(String, bool),
}

/// What expressions see.
#[derive(Debug, Clone, Default)]
pub(super) struct View {
    /// Fields of the start event.
    pub(super) start: [i64; FIELDS.len()],
    /// Which try it is.
    pub(super) round: i64,
    /// What is done, by the names under which it is read, and what it gave; nothing if nobody knows.
    pub(super) results: BTreeMap<String, Option<i64>>,
}

/// It cannot be computed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct CannotBeComputed;

impl View {
    fn result(&self, step: &str) -> Option<i64> {
        *self.results.get(step)?
    }
}

impl Value {
    pub(super) fn text(&self) -> String {
        match self {
            Value::Const(number) => number.to_string(),
            Value::Start(field) => format!("start.{}", FIELDS[*field]),
            Value::Result(step) => format!("steps.?{step}.?n.orValue(0)"),
            Value::Certain(step) => format!("steps.{step}.n"),
            Value::Round => "round".to_owned(),
            Value::Broken(field) => format!("12 / start.{}", FIELDS[*field]),
        }
    }

    pub(super) fn of(&self, view: &View) -> Result<i64, CannotBeComputed> {
        match self {
            Value::Const(number) => Ok(*number),
            Value::Start(field) => Ok(view.start[*field]),
            Value::Result(step) => Ok(view.result(step).unwrap_or(0)),
            Value::Certain(step) => view.result(step).ok_or(CannotBeComputed),
            Value::Round => Ok(view.round),
            Value::Broken(field) => 12i64.checked_div(view.start[*field]).ok_or(CannotBeComputed),
        }
    }

    /// The step that it reads.
    pub(super) fn step(&self) -> Option<&str> {
        match self {
            Value::Result(step) | Value::Certain(step) => Some(step),
            Value::Const(_) | Value::Start(_) | Value::Round | Value::Broken(_) => None,
        }
    }
}

impl Condition {
    pub(super) fn text(&self) -> String {
        match self {
            Condition::AtLeast(value, bound) => format!("{} >= {bound}", value.text()),
            Condition::Below(value, bound) => format!("{} < {bound}", value.text()),
            Condition::Has(step, wanted) => format!("has(steps.{step}) == {wanted}"),
        }
    }

    pub(super) fn of(&self, view: &View) -> Result<bool, CannotBeComputed> {
        match self {
            Condition::AtLeast(value, bound) => Ok(value.of(view)? >= *bound),
            Condition::Below(value, bound) => Ok(value.of(view)? < *bound),
            Condition::Has(step, wanted) => Ok(view.results.contains_key(step) == *wanted),
        }
    }
}
