//! `rules`: named expressions, and tables of them.

use std::ops::Range;

use super::super::fields::{Else, Fields};
use super::super::keys::ROW;
use super::super::report::Report;
use super::name_of;
use crate::definition::expression::Parsed;
use crate::definition::expression::scope::{Rule, RuleBody};
use crate::definition::yaml::{Kind, Node};

/// Rules of one definition.
pub(in crate::definition::compile) const RULES_MAX: usize = 200;

/// `None` where there are too many, or none can be read.
pub(super) fn read(node: &Node, report: &mut Report<'_>) -> Option<Vec<Rule>> {
    let Kind::Map(entries) = &node.kind else {
        report.error(&node.span, format!("rules are a map, not {}", node.describe()), "name: expression");
        return None;
    };
    if entries.len() > RULES_MAX {
        report.error(&node.span, format!("more than {RULES_MAX} rules"), "");
        return None;
    }
    let mut rules = Vec::new();
    for (key, value) in entries {
        // By a wrong name it is found all the same.
        let name =
            name_of(key, "a rule's name", report).map_or_else(|| key.scalar().unwrap_or_default().to_owned(), |name| name.text);
        let body = match &value.kind {
            Kind::List(rows) => read_table(rows, &value.span, report),
            _ => Some(RuleBody::One(Parsed::new(value, report))),
        };
        let body = body.unwrap_or_else(|| RuleBody::One(Parsed::unreadable(value.span.clone(), "")));
        rules.push(Rule { name, body });
    }
    Some(rules)
}

/// Rows of `{ if, then }`, the last `{ else }`.
fn read_table(rows: &[Node], span: &Range<usize>, report: &mut Report<'_>) -> Option<RuleBody> {
    let mut table = Some(Vec::new());
    let Some((last, before)) = rows.split_last() else {
        report.error(span, "a table ends with else", "- { else: expression }");
        return None;
    };
    for row in before {
        if let Some(Else { key, .. }) = Else::of(row) {
            report.error(&key.span, "else is the last row", "move it behind the rows with a condition");
            return None;
        }
        let read = Fields::of(row, &ROW, &[], report).and_then(|fields| {
            let condition =
                fields.needed("if", "- { if: condition, then: value }; only the last row is - { else: value }", report)?;
            let then = fields.needed("then", "- { if: condition, then: value }", report)?;
            Some((Parsed::new(condition, report), Parsed::new(then, report)))
        });
        match (&mut table, read) {
            (Some(table), Some(read)) => table.push(read),
            (table, _) => *table = None,
        }
    }
    let otherwise = match Else::of(last) {
        Some(Else { value, alone: true, .. }) => Parsed::new(value, report),
        Some(Else { key, .. }) => {
            report.error(&key.span, "else is followed by its value, and has nothing beside it", "- { else: value }");
            return None;
        }
        None => {
            report.error(&last.span, "a table ends with else", "- { else: value }");
            return None;
        }
    };
    Some(RuleBody::Table(table?, otherwise))
}
