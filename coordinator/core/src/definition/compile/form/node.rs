//! A node: its name, what all nodes may have, and its verb.

use super::super::fields::{Fields, Word};
use super::super::report::Report;
use super::do_::DoForm;
use super::{Length, expression, name_of};
use crate::definition::expression::Parsed;
use crate::definition::yaml::{Kind, Node};

/// Steps of one definition: a row holds them all.
const STEPS_MAX: usize = 200;

/// What a step may have: `step`, `if`, `within`, `description`, and the keys of its verb.
const KEYS: [&str; 10] = ["step", "do", "if", "with", "undo", "timeout", "within", "retry", "pivot", "description"];
/// Verbs, their keys, and what all nodes will have.
const LATER: [&str; 18] = [
    "emit",
    "wait",
    "sleep",
    "approval",
    "run",
    "for_each",
    "parallel",
    "switch",
    "steps",
    "refuse",
    "on_refused",
    "on_failed",
    "as",
    "match",
    "keep",
    "show",
    "escalate",
    "answer",
];

pub(in crate::definition::compile) struct NodeForm {
    pub(in crate::definition::compile) name: Word,
    pub(in crate::definition::compile) condition: Option<Parsed>,
    pub(in crate::definition::compile) within: Option<Length>,
    pub(in crate::definition::compile) verb: VerbForm,
}

/// What a node does, as it is written.
pub(in crate::definition::compile) enum VerbForm {
    Do(DoForm),
}

/// A list of nodes.
pub(super) fn read_steps(node: &Node, report: &mut Report<'_>) -> Option<Vec<NodeForm>> {
    let Kind::List(items) = &node.kind else {
        report.error(&node.span, format!("steps are a list, not {}", node.describe()), "- step: NAME");
        return None;
    };
    if items.is_empty() || items.len() > STEPS_MAX {
        report.error(&node.span, format!("a definition has 1 to {STEPS_MAX} steps, not {}", items.len()), "");
        return None;
    }
    let mut steps = Some(Vec::new());
    let mut names: Vec<(String, usize)> = Vec::new();
    for item in items {
        let step = NodeForm::read(item, report);
        if let Some(step) = &step {
            if let Some((_, first)) = names.iter().find(|(name, _)| *name == step.name.text) {
                report.error(
                    &step.name.span,
                    format!("step '{}' is defined twice", step.name.text),
                    format!("it is first on line {first}"),
                );
            }
            names.push((step.name.text.clone(), report.line(step.name.span.start)));
        }
        match (&mut steps, step) {
            (Some(steps), Some(step)) => steps.push(step),
            (steps, _) => *steps = None,
        }
    }
    steps
}

impl NodeForm {
    fn read(node: &Node, report: &mut Report<'_>) -> Option<NodeForm> {
        let fields = Fields::new(node, "a step", &KEYS, &LATER, report)?;
        let name = fields.needed("step", "step: NAME", report).and_then(|node| name_of(node, "a step's name", report));
        let later = fields.entries().iter().any(|(key, _)| key.scalar().is_some_and(|key| LATER.contains(&key)));
        // A verb that this version does not know is told already.
        let unknown = later && fields.node("do").is_none();
        let condition = expression(fields.node("if"), report);
        let within = fields.duration("within", report);
        let verb = if unknown { None } else { DoForm::read(&fields, within.as_ref(), report).map(VerbForm::Do) };
        Some(NodeForm { name: name?, condition: condition?, within, verb: verb? })
    }
}
