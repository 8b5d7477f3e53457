//! `search`: the values by which people find a saga.

use super::super::fields::{Fields, Word};
use super::super::keys::SEARCH;
use super::super::report::Report;
use super::name_of;
use crate::definition::expression::Parsed;
use crate::definition::expression::scope::RESERVED;
use crate::definition::yaml::{Kind, Node};

/// Values that one definition is searched by.
pub(in crate::definition::compile) const SEARCH_MAX: usize = 8;

const FORM: &str = "search: { customer: start.customer_id }";

pub(in crate::definition::compile) struct SearchForm {
    pub(in crate::definition::compile) name: Word,
    pub(in crate::definition::compile) value: Parsed,
    /// No other saga of the definition has the same value while this one lives.
    pub(in crate::definition::compile) unique: bool,
}

impl SearchForm {
    /// Those that can be read.
    pub(super) fn read_all(node: Option<&Node>, report: &mut Report<'_>) -> Vec<SearchForm> {
        let Some(node) = node else { return Vec::new() };
        let entries = match &node.kind {
            Kind::Map(entries) if !entries.is_empty() => entries,
            Kind::Map(_) => {
                report.error(&node.span, "'search' is empty", FORM);
                return Vec::new();
            }
            _ => {
                report.error(&node.span, format!("search is a map, not {}", node.describe()), FORM);
                let items = if let Kind::List(items) = &node.kind { &items[..] } else { &[] };
                let values = items.iter().filter(|item| item.scalar().is_some());
                let unnamed = |value: &Node| {
                    let name = Word::unreadable(&value.span);
                    SearchForm { name, value: Parsed::new(value, report), unique: false }
                };
                return values.map(unnamed).collect();
            }
        };
        if let Some((name, _)) = entries.get(SEARCH_MAX) {
            let hint = "keep those that people look for; what else a saga began with is shown with it";
            report.error(&name.span, format!("more than {SEARCH_MAX} values to search by"), hint);
            return Vec::new();
        }
        entries.iter().filter_map(|(name, value)| SearchForm::read(name, value, report)).collect()
    }

    fn read(name: &Node, value: &Node, report: &mut Report<'_>) -> Option<SearchForm> {
        // Whatever it is called, its value is looked at.
        let name = name_of(name, "the name of a value", &RESERVED, report).unwrap_or_else(|| Word::unreadable(&name.span));
        let (value, unique) = match &value.kind {
            Kind::Map(_) => {
                let fields = Fields::of(value, &SEARCH, &[], report)?;
                let unique = match fields.node("unique").map(|node| (node.scalar(), node)) {
                    None | Some((Some("false"), _)) => false,
                    Some((Some("true"), _)) => true,
                    Some((_, node)) => {
                        report.error(&node.span, "unique is true or false", "unique: true");
                        false
                    }
                };
                (fields.needed("value", "value: an expression", report), unique)
            }
            _ => (Some(value), false),
        };
        let value = value.map_or_else(|| Parsed::unreadable(name.span.clone(), ""), |value| Parsed::new(value, report));
        Some(SearchForm { name, value, unique })
    }
}
