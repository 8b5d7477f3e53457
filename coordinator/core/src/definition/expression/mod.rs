//! Expressions: CEL's syntax, our own typed and bounded tree (LANGUAGE.md section 4).
//!
//!     source -> cel's parser -> lower (names, types, certainty, with positions) -> tree -> evaluate over Avro bytes

use std::cell::Cell;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::Failure;

/// Most nodes that the expressions of one turn may evaluate: about 10 ms, so that no definition can hold a partition up.
pub const NODES_PER_TURN_MAX: u32 = 1_000_000;

/// What expressions of a saga can read, borrowed for one turn.
#[derive(Clone, Copy)]
pub struct Environment<'a> {
    /// The saga's key; in the start's own `key` and `if` the record's.
    pub key: &'a str,
    /// Bytes of the start event by `Start.kept`: `start`, and `event` in the start's own expressions.
    pub start: &'a [u8],
    /// Bytes of a step's result by its `kept`, by the step's place: `None` unless it has succeeded, empty when nothing is kept.
    pub results: &'a dyn Fn(usize) -> Option<&'a [u8]>,
    /// Why the saga is undone, if it is.
    pub failure: Option<&'a Failure>,
    /// The turn's time.
    pub now: Millis,
    /// When the saga started.
    pub started: Millis,
    /// What the turn's expressions may still cost.
    pub budget: &'a Budget,
}

/// What the expressions of one turn may still cost, in nodes.
#[derive(Debug)]
pub struct Budget(Cell<u32>);

impl Budget {
    /// A whole turn's.
    pub fn new() -> Self {
        Budget(Cell::new(NODES_PER_TURN_MAX))
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::new()
    }
}

/// Why an expression failed at run time. It fails its saga, never the partition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message} ({place})")]
pub struct ExpressionError {
    /// For programs: OVERFLOW, DIVISION_BY_ZERO, ABSENT, TYPE, OUT_OF_RANGE, TOO_EXPENSIVE, DATA_TOO_BIG, MALFORMED.
    pub code: &'static str,
    /// For people.
    pub message: String,
    /// Where it stands: `sagas/order-fulfilment.yaml:12:9`.
    pub place: String,
}

/// A checked expression.
#[derive(Debug)]
pub struct Expression {
    place: String,
}

impl Expression {
    /// The value of an `if`.
    pub fn truth(&self, environment: &Environment<'_>) -> Result<bool, ExpressionError> {
        let _ = environment;
        Err(ExpressionError { code: "TYPE", message: String::new(), place: self.place.clone() })
    }

    /// The value of a key: a string, or an int as text.
    pub fn text(&self, environment: &Environment<'_>) -> Result<String, ExpressionError> {
        let _ = environment;
        Err(ExpressionError { code: "TYPE", message: String::new(), place: self.place.clone() })
    }
}

/// A checked body.
#[derive(Debug)]
pub struct Template {
    place: String,
}

impl Template {
    /// Appends the body in its final encoding: Avro bytes by the command's or event's schema (without header or meta), or the text
    /// of a JSON object. On an error `out` is as it was.
    pub fn render(&self, environment: &Environment<'_>, out: &mut Vec<u8>) -> Result<(), ExpressionError> {
        let _ = (environment, out);
        Err(ExpressionError { code: "TYPE", message: String::new(), place: self.place.clone() })
    }
}
