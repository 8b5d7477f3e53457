//! Both sides of a match: a field of the event, and the saga's value.

use super::evaluate::Machine;
use super::lower::Lowerer;
use super::scope::{Names, Spot, Uses};
use super::types::Type;
use super::value::{Fault, Value};
use super::{Environment, Expression, ExpressionError, Parsed, SiteId};
use crate::definition::compile::Report;

/// One side, and what it is.
pub(crate) struct Side {
    pub(crate) expression: Expression,
    pub(crate) compared: Compared,
}

/// What is compared.
pub(crate) struct Compared(Type);

impl Side {
    /// The event's field, which may be absent, or the saga's value, which may not. What is wrong is reported.
    pub(crate) fn compile<'a>(
        names: &'a Names<'a>,
        report: &mut Report<'_>,
        uses: &mut Uses,
        (spot, is_field): (Spot, bool),
        parsed: &'a Parsed,
        site: SiteId,
    ) -> Option<Side> {
        let typed = Lowerer::lower(names, report, uses, spot, parsed)?;
        if typed.secret {
            let hint = "the value is part of ids and logs: let events be known by something that is not secret";
            report.error(&parsed.span, "this is secret, and a match is not", hint);
            return None;
        }
        let (inner, may_be_absent) = typed.ty.required();
        let message = match inner {
            Type::Text | Type::Int | Type::Dynamic if !may_be_absent || is_field || matches!(inner, Type::Dynamic) => None,
            Type::Text | Type::Int => {
                Some(("this may be absent, and then there is nothing to wait for".to_owned(), "write .orValue(...) behind it"))
            }
            other => Some((format!("a match compares strings or ints, and this is {other}"), "write string(x), or int(x)")),
        };
        if let Some((message, hint)) = message {
            report.error(&parsed.span, message, if is_field { "name another field" } else { hint });
            return None;
        }
        let compared = Compared(inner.clone());
        Some(Side { expression: Expression { node: typed.node, site, place: report.place(&parsed.span), item: None }, compared })
    }
}

impl Compared {
    /// Whether one can never be the other; and then what both are.
    pub(crate) fn differs(&self, other: &Compared) -> Option<String> {
        let differs = matches!((&self.0, &other.0), (Type::Text, Type::Int) | (Type::Int, Type::Text));
        differs.then(|| format!("{} and {}", self.0, other.0))
    }
}

impl Expression {
    /// The event's value: a string, or an int as text; none if the event has none.
    pub fn matched(&self, environment: &Environment<'_>) -> Result<Option<String>, ExpressionError> {
        let mut machine = Machine::new(environment);
        let value = machine.eval(&self.node);
        let text = value.and_then(|value| match value {
            Value::Text(text) => Ok(Some(text.into_owned())),
            Value::Int(x) => Ok(Some(x.to_string())),
            Value::Null => Ok(None),
            other => Err(Fault::types("what events are matched by is a string or an int, and this", &other)),
        });
        machine.settle();
        text.map_err(|fault| fault.at(&self.place))
    }
}
