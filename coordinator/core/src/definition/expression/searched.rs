//! What a saga is searched by: one value of one kind, as text.

use std::fmt;

use ringmaster_schemas::names::KEY_BYTES_MAX;

use super::evaluate::Machine;
use super::lower::Lowerer;
use super::scope::{Names, Spot, Uses};
use super::types::Type;
use super::value::{Fault, Value};
use super::{Environment, Expression, ExpressionError, Parsed, SiteId};
use crate::definition::compile::Report;

/// What kind of values a definition is searched by under one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchKind {
    /// A string, or the symbol of an enum.
    Text,
    /// A whole number.
    Int,
    /// `true` or `false`.
    Bool,
    /// A decimal, as it is written.
    Decimal,
    /// Known only when it is there.
    Dynamic,
}

impl SearchKind {
    fn of(ty: &Type) -> Option<SearchKind> {
        match ty {
            Type::Text => Some(SearchKind::Text),
            Type::Int => Some(SearchKind::Int),
            Type::Bool => Some(SearchKind::Bool),
            Type::Decimal(_) => Some(SearchKind::Decimal),
            Type::Dynamic => Some(SearchKind::Dynamic),
            _ => None,
        }
    }

    /// True if values of one are looked for as values of the other.
    pub fn fits(self, other: SearchKind) -> bool {
        self == other || self == SearchKind::Dynamic || other == SearchKind::Dynamic
    }
}

impl fmt::Display for SearchKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SearchKind::Text => "string",
            SearchKind::Int => "int",
            SearchKind::Bool => "bool",
            SearchKind::Decimal => "decimal",
            SearchKind::Dynamic => "dynamic",
        })
    }
}

/// Checks what a saga is searched by. What is wrong is reported.
pub(crate) fn compile<'a>(
    names: &'a Names<'a>,
    report: &mut Report<'_>,
    uses: &mut Uses,
    spot: Spot,
    parsed: &'a Parsed,
    site: SiteId,
) -> Option<(Expression, SearchKind)> {
    let typed = Lowerer::lower(names, report, uses, spot, parsed)?;
    if typed.secret {
        let hint = "what is searched is part of indexes and addresses: search by something that is not secret";
        report.error(&parsed.span, "this is secret, and what is searched is not", hint);
        return None;
    }
    let Some(kind) = SearchKind::of(typed.ty.required().0) else {
        let hint = match typed.ty.required().0 {
            Type::List(_) | Type::Map(_) | Type::Record(..) | Type::Object(_) | Type::Null | Type::Never => {
                "name one of its values"
            }
            _ => "write string(x)",
        };
        let message = format!("a value to search by is a string, an int, a bool or a decimal, and this is {}", typed.ty);
        report.error(&parsed.span, message, hint);
        return None;
    };
    Some((Expression { node: typed.node, site, place: report.place(&parsed.span), item: None }, kind))
}

impl Expression {
    /// What a saga is searched by, as text; none if it is absent.
    pub fn searched(&self, environment: &Environment<'_>) -> Result<Option<String>, ExpressionError> {
        let mut machine = Machine::new(environment);
        let value = machine.eval(&self.node);
        let text = value.and_then(|value| match value {
            Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text.into_owned())),
            Value::Int(x) => Ok(Some(x.to_string())),
            Value::Bool(x) => Ok(Some(x.to_string())),
            Value::Decimal(x) => Ok(Some(x.to_string())),
            other => Err(Fault::types("a value to search by is a string, an int, a bool or a decimal, and this", &other)),
        });
        machine.settle();
        let text = text.and_then(|text| match text.as_ref().map_or(0, String::len) {
            size if size > KEY_BYTES_MAX => {
                let message = format!("a value to search by has at most {KEY_BYTES_MAX} bytes, and this has {size}");
                Err(Fault::new("OUT_OF_RANGE", message))
            }
            _ => Ok(text),
        });
        text.map_err(|fault| fault.at(&self.place))
    }
}
