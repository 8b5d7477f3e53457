//! Rules stand for their expressions, checked where they are used.

use cel::common::ast::IdedExpr;

use super::constant::constant;
use super::lower::{Lowerer, Typed, fit};
use super::parse::Parsed;
use super::scope::{RuleBody, facts};
use super::tree::Node;
use super::types::Type;
use crate::definition::compile::{as_name, did_you_mean_or};

/// Rules that stand on one another: each may be as deep as an expression, and evaluation goes as deep as all together.
pub(super) const RULES_DEEP_MAX: usize = 8;

impl<'a> Lowerer<'a, '_, '_> {
    /// A rule stands for its expression, checked where it is used.
    pub(super) fn rule(&mut self, e: &'a IdedExpr, name: &str) -> Option<Typed> {
        let names = self.names;
        let Some(index) = names.rules.iter().position(|rule| rule.name == name || as_name(&rule.name) == name) else {
            // Where the rules cannot be read any name may be one.
            if names.rules.iter().any(|rule| rule.name.is_empty()) {
                return None;
            }
            return self.fail(
                e.id,
                format!("there is no rule '{name}'"),
                did_you_mean_or(name, names.rules.iter().map(|rule| rule.name.as_str()), "rules: { NAME: EXPRESSION }"),
            );
        };
        if self.rules_open.contains(&index) {
            return self.fail(
                e.id,
                format!("rule '{name}' needs itself"),
                "a rule may name others, of which none may name it, directly or by a third",
            );
        }
        if self.rules_open.len() >= RULES_DEEP_MAX {
            return self.fail(e.id, format!("more than {RULES_DEEP_MAX} rules stand on one another"), "write some of them as one");
        }
        self.uses.rule(name);
        self.rules_open.push(index);
        let (parsed, depth) = (self.parsed, std::mem::take(&mut self.depth));
        // A rule does not see the items of loops around it, but they keep their places.
        let hidden: Vec<String> = self.locals.iter_mut().map(|(local, _)| std::mem::take(local)).collect();
        let typed = self.rule_body(&names.rules[index].body);
        for ((local, _), name) in self.locals.iter_mut().zip(hidden) {
            *local = name;
        }
        (self.parsed, self.depth) = (parsed, depth);
        self.rules_open.pop();
        typed
    }

    pub(super) fn rule_body(&mut self, body: &'a RuleBody) -> Option<Typed> {
        match body {
            RuleBody::One(parsed) => self.within(parsed),
            RuleBody::Table(rows, otherwise) => {
                let outside = self.spot.facts.len();
                let (mut tests, mut values) = (Vec::new(), Vec::new());
                for (condition, then) in rows {
                    let test = self.within(condition).and_then(|test| self.truth(&condition.root, test));
                    let before = self.spot.facts.len();
                    facts(&condition.root, true, self.names.rules, &mut self.spot.facts);
                    let value = self.within(then);
                    self.spot.facts.truncate(before);
                    facts(&condition.root, false, self.names.rules, &mut self.spot.facts);
                    if let Some(Ok(truth)) = test.as_ref().and_then(constant) {
                        let (message, hint) = match truth {
                            true => ("this is always true: no row behind it is ever taken", "remove the rows behind it"),
                            false => ("this is never true: the row is never taken", "remove the row"),
                        };
                        self.report.warning(&condition.span, message, hint);
                    }
                    if let (Some(test), Some(value)) = (test, value) {
                        tests.push(test);
                        values.push(value);
                    }
                }
                let last = self.within(otherwise);
                self.spot.facts.truncate(outside);
                values.push(last?);
                if values.len() <= rows.len() {
                    return None;
                }
                self.table(tests, values, rows, otherwise)
            }
        }
    }

    fn table(
        &mut self,
        tests: Vec<Node>,
        mut values: Vec<Typed>,
        rows: &'a [(Parsed, Parsed)],
        otherwise: &'a Parsed,
    ) -> Option<Typed> {
        self.settle(&otherwise.root, &mut values)?;
        let mut ty = Type::Never;
        for (value, parsed) in values.iter().zip(rows.iter().map(|(_, then)| then).chain([otherwise])) {
            let Some(joined) = ty.join(&value.ty) else {
                self.report.error(
                    &parsed.span,
                    format!("this is {}, the values above are {ty}", value.ty),
                    "all values of a table have one type",
                );
                return None;
            };
            ty = joined;
        }
        let mut nodes: Vec<Node> = values.into_iter().map(|value| fit(value.node, &value.ty, &ty)).collect();
        let last = nodes.pop().expect("a table has an else");
        Some(Typed::new(Node::Table(tests.into_iter().zip(nodes).collect(), Box::new(last)), ty))
    }
}
