//! Expressions: CEL's syntax, our own typed and bounded tree (LANGUAGE.md section 4).
//!
//! ```text
//! source -> parse (cel's parser) -> lower (names, types, certainty, with positions) -> tree -> evaluate over Avro bytes
//! ```
//!
//! [`scope`] says what may be named where and what is certain there, [`types`] and [`fits`] what goes with what, [`calls`],
//! [`signatures`] and [`functions`] what operators and functions take and do, [`template`] makes bodies.

mod alone;
mod arithmetic;
mod calls;
mod constant;
mod evaluate;
mod fits;
mod functions;
pub(crate) mod items;
mod loops;
mod lower;
pub(crate) mod matching;
mod number;
mod parse;
mod paths;
mod place;
mod plain;
mod regexes;
mod rules;
pub(crate) mod scope;
pub(crate) mod searched;
mod shaped;
mod signatures;
mod template;
mod time;
mod tree;
pub(crate) mod types;
mod unparsed;
mod value;

pub use alone::{condition_over, record_over};

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::avro::Schema;
use ringmaster_schemas::journal::Failure;

use crate::definition::compile::Report;
use crate::definition::limits::{Limit, bytes, count, limit};
use evaluate::Machine;
use lower::Lowerer;
pub(crate) use parse::Parsed;
pub(crate) use scope::RESERVED;
pub use searched::SearchKind;
pub(crate) use shaped::schema_of;
pub(crate) use template::{Compiler, Form};
pub(crate) use tree::Root;
use types::Type;
use value::{Fault, Value};

/// Most nodes that the expressions of one turn may evaluate: about 10 ms, so that no definition can hold a partition up.
pub const NODES_PER_TURN_MAX: u32 = 1_000_000;

/// What an expression may have at most.
pub(super) fn limits() -> Vec<Limit> {
    vec![
        limit!(parse::BYTES_MAX, "an expression", bytes),
        limit!(parse::PARSER_DEPTH_MAX, "nesting of an expression as it is written", |n| format!("{n} levels")),
        limit!(lower::DEPTH_MAX, "nesting of an expression as it is evaluated", |n| format!("{n} levels")),
        limit!(lower::NODES_MAX, "an expression with the rules that it names", |n| format!("{n} nodes")),
        limit!(lower::LOOPS_MAX, "loops inside one another", count),
        limit!(rules::RULES_DEEP_MAX, "rules that stand on one another", count),
        limit!(lower::LITERAL_DIGITS_MAX, "a number that is written beside a decimal", |n| format!("{n} digits")),
        limit!(number::DIGITS_MAX, "a decimal", |n| format!("{n} digits")),
        limit!(arithmetic::TEXT_BYTES_MAX, "a text that an expression makes", bytes),
        limit!(regexes::REGEX_BYTES_MAX, "a regular expression, compiled", bytes),
        limit!(regexes::REGEXES_MAX, "regular expressions of a definition", count),
        limit!(scope::FACTS_MAX, "what is known to be there at one place, by conditions around it", |n| format!("{n} paths")),
        limit!(scope::FACT_BYTES_MAX, "such a path", bytes),
        limit!(scope::PATH_NAMES_MAX, "names of such a path", count),
        limit!(scope::FACT_NODES_MAX, "what is looked at of a condition, for such paths", |n| format!("{n} nodes")),
        limit!(self::NODES_PER_TURN_MAX, "expressions of one turn", |n| format!("{n} nodes evaluated")),
    ]
}

/// What expressions of a saga can read, borrowed for one turn.
#[derive(Clone, Copy)]
pub struct Environment<'a> {
    /// The saga's key; in the start's own `key` and `if` the record's.
    pub key: &'a str,
    /// Bytes of the start event by `Start.kept`: `start`, and `event` in the start's own expressions.
    pub start: &'a [u8],
    /// Bytes of the event that came, by what is kept of it: `event` in the `key` and `if` of what listens to it.
    pub event: &'a [u8],
    /// Bytes of a node's result by its `kept`, by its number: `None` unless it has succeeded, empty where nothing of it is
    /// kept or it came without a body.
    pub results: &'a dyn Fn(u16) -> Option<&'a [u8]>,
    /// Bytes of the item of a for_each by its `item`, by the for_each's number: `None` outside its items.
    pub item: &'a dyn Fn(u16) -> Option<&'a [u8]>,
    /// Which item of the innermost for_each it is, from 0.
    pub index: i64,
    /// What failed: why the saga, or what is around the expression, is undone, or what its reaction is for.
    pub failure: Option<&'a Failure>,
    /// Which try this is of the nearest node around that is tried again, from 1.
    pub round: i64,
    /// The turn's time.
    pub now: Millis,
    /// When the saga started.
    pub started: Millis,
    /// What the turn's expressions may still cost.
    pub budget: &'a Budget,
}

impl<'a> Environment<'a> {
    /// Where there is no saga yet: nothing but a key and the time.
    pub fn without_saga(key: &'a str, now: Millis, budget: &'a Budget) -> Environment<'a> {
        Environment {
            key,
            start: &[],
            event: &[],
            results: &|_| None,
            item: &|_| None,
            index: 0,
            failure: None,
            round: 1,
            now,
            started: now,
            budget,
        }
    }
}

/// What the expressions of one turn may still cost, in nodes.
#[derive(Debug)]
pub struct Budget(Cell<u32>);

impl Budget {
    /// A whole turn's.
    pub fn new() -> Self {
        Budget(Cell::new(NODES_PER_TURN_MAX))
    }

    /// What is left, in nodes.
    pub fn left(&self) -> u32 {
        self.0.get()
    }

    /// A whole turn's again.
    pub fn refill(&self) {
        self.0.set(NODES_PER_TURN_MAX);
    }

    fn leave(&self, left: u32) {
        self.0.set(left);
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

impl Fault {
    #[cold]
    fn at(self, place: &str) -> ExpressionError {
        ExpressionError { code: self.code(), message: self.message().to_owned(), place: place.to_owned() }
    }
}

/// Which of a definition's expressions or bodies: each has a number of its own, in the order of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SiteId(pub u16);

/// A checked expression.
pub struct Expression {
    node: tree::Node,
    site: SiteId,
    place: Box<str>,
    /// Of a list of items: the schema by which each is kept.
    item: Option<Arc<Schema>>,
}

/// Checks a rule that no expression names.
pub(crate) fn check_rule(names: &scope::Names<'_>, report: &mut Report<'_>, spot: scope::Spot, rule: usize) {
    Lowerer::rule_alone(names, report, &mut scope::Uses::default(), spot, rule);
}

/// What an expression must give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// A condition.
    Truth,
    /// A key.
    Key,
    /// A duration or an instant.
    Time,
    /// A role.
    Role,
    /// A whole number.
    Int,
}

impl Expression {
    pub(crate) fn compile<'a>(
        names: &'a scope::Names<'a>,
        report: &mut Report<'_>,
        uses: &mut scope::Uses,
        spot: scope::Spot,
        parsed: &'a Parsed,
        wanted: Wanted,
        site: SiteId,
    ) -> Option<Expression> {
        let typed = Lowerer::lower(names, report, uses, spot, parsed)?;
        if typed.secret && matches!(wanted, Wanted::Key | Wanted::Role) {
            let (what, hint) = match wanted {
                Wanted::Key => {
                    ("a key is not", "keys are part of ids, logs and records: let it be known by something that is not secret")
                }
                _ => ("a role is not", "who may answer is shown to people: name a role that is not secret"),
            };
            report.error(&parsed.span, format!("this is secret, and {what}"), hint);
            return None;
        }
        let what = match (wanted, &typed.ty) {
            (_, Type::Dynamic)
            | (Wanted::Truth, Type::Bool)
            | (Wanted::Key, Type::Text | Type::Int)
            | (Wanted::Time, Type::Duration | Type::Timestamp)
            | (Wanted::Role, Type::Text)
            | (Wanted::Int, Type::Int) => None,
            (Wanted::Truth, _) => Some("a condition is a bool"),
            (Wanted::Key, _) => Some("a key is a string or an int"),
            (Wanted::Time, _) => Some("a sleep is a duration or a timestamp"),
            (Wanted::Role, _) => Some("a role is a string"),
            (Wanted::Int, _) => Some("a priority is an int from 0 to 9"),
        };
        if let Some(what) = what {
            let hint = match (typed.ty.required().1, wanted) {
                (true, _) => "write .orValue(...) behind it",
                (false, Wanted::Truth) => typed.ty.compared(),
                (false, Wanted::Key | Wanted::Role) => "write string(x)",
                (false, Wanted::Int) => "write int(x)",
                (false, Wanted::Time) => "sleep: 14d, sleep: duration('14d') or sleep: timestamp(x)",
            };
            report.error(&parsed.span, format!("{what}, not {}", typed.ty), hint);
            return None;
        }
        Some(Expression { node: typed.node, site, place: report.place(&parsed.span), item: None })
    }

    /// Its number in its definition.
    pub fn site(&self) -> SiteId {
        self.site
    }

    /// The value of a condition that is the same for every saga.
    pub(crate) fn constant(&self) -> Option<Result<bool, ExpressionError>> {
        Some(constant::constant(&self.node)?.map_err(|fault| fault.at(&self.place)))
    }

    /// The value of a priority that is the same for every saga.
    pub(crate) fn constant_int(&self) -> Option<Result<i64, ExpressionError>> {
        Some(constant::int(&self.node)?.map_err(|fault| fault.at(&self.place)))
    }

    /// The value of an `if`.
    pub fn truth(&self, environment: &Environment<'_>) -> Result<bool, ExpressionError> {
        let mut machine = Machine::new(environment);
        let truth = machine.truth(&self.node);
        machine.settle();
        truth.map_err(|fault| fault.at(&self.place))
    }

    /// The value of a key: a string, or an int as text.
    pub fn text(&self, environment: &Environment<'_>) -> Result<String, ExpressionError> {
        let mut machine = Machine::new(environment);
        let value = machine.eval(&self.node);
        let text = value.and_then(|value| match value {
            Value::Text(text) => Ok(text.into_owned()),
            Value::Int(x) => Ok(x.to_string()),
            other => Err(Fault::types("a key or a role is a string or an int, and this", &other)),
        });
        machine.settle();
        text.map_err(|fault| fault.at(&self.place))
    }
}

impl Expression {
    /// The value of a priority: an int.
    pub fn int(&self, environment: &Environment<'_>) -> Result<i64, ExpressionError> {
        let mut machine = Machine::new(environment);
        let value = machine.eval(&self.node);
        let int = value.and_then(|value| match value {
            Value::Int(x) => Ok(x),
            other => Err(Fault::types("a priority is an int, and this", &other)),
        });
        machine.settle();
        int.map_err(|fault| fault.at(&self.place))
    }
}

/// The last instant that can be waited for, in milliseconds: the end of the year 9999.
const LAST_INSTANT: Millis = 253_402_300_799_999;

impl Expression {
    /// When a sleep that begins now is over: behind a duration, or at an instant. What is over already is over now.
    pub fn instant(&self, environment: &Environment<'_>) -> Result<Millis, ExpressionError> {
        let mut machine = Machine::new(environment);
        let value = machine.eval(&self.node);
        let instant = value.and_then(|value| {
            // Not a moment too early.
            let millis = |micros: i64| micros.div_euclid(1_000) + i64::from(micros.rem_euclid(1_000) > 0);
            let at = match value {
                Value::Duration(micros) => environment.now.saturating_add(millis(micros)),
                Value::Timestamp(micros) => millis(micros),
                other => return Err(Fault::types("a sleep is a duration or a timestamp, and this", &other)),
            };
            if at > LAST_INSTANT {
                return Err(Fault::new("OUT_OF_RANGE", "a sleep beyond the year 9999"));
            }
            Ok(at.max(environment.now))
        });
        machine.settle();
        instant.map_err(|fault| fault.at(&self.place))
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({})", self.place)
    }
}

/// A checked body.
pub struct Template {
    schema: Arc<Schema>,
    pieces: Vec<template::Piece>,
    output: template::Output,
    site: SiteId,
    place: Box<str>,
}

impl Template {
    /// Its number in its definition.
    pub fn site(&self) -> SiteId {
        self.site
    }

    /// Appends the body in its final encoding: Avro bytes by the command's or event's schema (without header or meta), or the text
    /// of a JSON object. On an error `out` is as it was.
    pub fn render(&self, environment: &Environment<'_>, out: &mut Vec<u8>) -> Result<(), ExpressionError> {
        let start = out.len();
        let mut machine = Machine::new(environment);
        let rendered = match self.output {
            template::Output::Avro => self.write(&mut machine, out),
            template::Output::Json => self.write_json(&mut machine, out),
        };
        machine.settle();
        if rendered.is_err() {
            out.truncate(start);
        }
        rendered
    }

    fn write_json<'s>(&'s self, machine: &mut Machine<'s, '_>, out: &mut Vec<u8>) -> Result<(), ExpressionError> {
        let mut avro = Vec::with_capacity(128);
        self.write(machine, &mut avro)?;
        let mut json = String::with_capacity(avro.len() * 2);
        let rendered = ringmaster_schemas::json::render(&self.schema, self.schema.root(), &avro, &mut json);
        rendered.map_err(|error| Fault::from(error).at(&self.place))?;
        if !json.starts_with('{') {
            return Err(Fault::new("TYPE", "a body is a record").at(&self.place));
        }
        out.extend_from_slice(json.as_bytes());
        Ok(())
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({} at {})", self.schema.name(), self.place)
    }
}

#[cfg(test)]
mod tests;
