//! `rules`: named expressions, and tables of them.

use std::ops::Range;

use super::super::fields::{Else, Fields};
use super::super::keys::ROW;
use super::super::report::Report;
use super::name_of;
use crate::definition::expression::Parsed;
use crate::definition::expression::scope::{RESERVED, Rule, RuleBody};
use crate::definition::yaml::{Kind, Node};

/// Rules of one definition.
pub(in crate::definition::compile) const RULES_MAX: usize = 200;

/// `None` where there are too many.
pub(super) fn read(node: &Node, report: &mut Report<'_>) -> Option<Vec<Rule>> {
    let Kind::Map(entries) = &node.kind else {
        report.error(
            &node.span,
            format!("rules are a map, not {}", node.describe()),
            "rules: { NAME: EXPRESSION }, without dashes",
        );
        let items = if let Kind::List(items) = &node.kind { &items[..] } else { &[] };
        let single = |item: &Node| {
            if let Kind::Map(entries) = &item.kind { entries.first().cloned().filter(|_| entries.len() == 1) } else { None }
        };
        let named: Vec<_> = items.iter().filter_map(single).collect();
        let mut rules = rules(&named, report);
        if named.is_empty() || named.len() < items.len() {
            // What the others are called nobody knows: then any name may be one.
            rules.push(Rule { name: String::new(), body: RuleBody::One(Parsed::unreadable(node.span.clone(), "")) });
        }
        return Some(rules);
    };
    if entries.len() > RULES_MAX {
        let hint = "rules with the same values are one table; what belongs together is a saga of its own";
        report.error(&node.span, format!("more than {RULES_MAX} rules"), hint);
        return None;
    }
    Some(rules(entries, report))
}

fn rules(entries: &[(Node, Node)], report: &mut Report<'_>) -> Vec<Rule> {
    let mut rules = Vec::new();
    for (key, value) in entries {
        // By a wrong name it is found all the same.
        let name = name_of(key, "a rule's name", &RESERVED, report)
            .map_or_else(|| key.scalar().unwrap_or_default().to_owned(), |name| name.text);
        let body = match &value.kind {
            Kind::List(rows) => read_table(rows, &value.span, report),
            Kind::Map(_) if ["if", "then", "else"].iter().any(|word| value.named(word).is_some()) => {
                let hint = "a table is a list: - { if: condition, then: value }, one or more, and last - { else: value }";
                report.error(&value.span, "a rule is an expression or a table, not a map", hint);
                None
            }
            _ => Some(RuleBody::One(Parsed::new(value, report))),
        };
        let body = body.unwrap_or_else(|| RuleBody::One(Parsed::unreadable(value.span.clone(), "")));
        rules.push(Rule { name, body });
    }
    rules
}

/// Rows of `{ if, then }`, the last `{ else }`.
fn read_table(rows: &[Node], span: &Range<usize>, report: &mut Report<'_>) -> Option<RuleBody> {
    let (mut table, mut is_early) = (Vec::new(), false);
    let Some((last, before)) = rows.split_last() else {
        report.error(span, "a table ends with else", "- { else: expression }");
        return None;
    };
    for row in before {
        if let Some(Else { key, .. }) = Else::of(row) {
            report.error(&key.span, "else is the last row", "move it behind the rows with a condition");
            is_early = true;
            continue;
        }
        let read = Fields::of(row, &ROW, &[], report).and_then(|fields| {
            let condition =
                fields.needed("if", "- { if: condition, then: value }; only the last row is - { else: value }", report)?;
            let then = fields.needed("then", "- { if: condition, then: value }", report)?;
            Some((Parsed::new(condition, report), Parsed::new(then, report)))
        });
        table.extend(read);
    }
    let otherwise = match Else::of(last) {
        Some(Else { value, alone: true, .. }) => Parsed::new(value, report),
        Some(Else { key, .. }) => {
            report.error(&key.span, "else is followed by its value, and has nothing beside it", "- { else: value }");
            Parsed::unreadable(last.span.clone(), "")
        }
        None => {
            if !is_early {
                report.error(&last.span, "a table ends with else", "- { else: value }");
            }
            Parsed::unreadable(last.span.clone(), "")
        }
    };
    Some(RuleBody::Table(table, otherwise))
}
