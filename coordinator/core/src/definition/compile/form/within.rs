//! The steps in what cannot be read otherwise: they have names that others use, and mistakes of their own.

use super::super::keys::VERBS;
use super::super::report::Report;
use super::node::NodeForm;
use crate::definition::yaml::{Kind, Node, Style};

/// All lists of steps in a node, the outermost of each.
pub(super) fn lists(node: &Node, report: &mut Report<'_>) -> Vec<Vec<NodeForm>> {
    match &node.kind {
        Kind::List(items) if items.iter().any(is_step) => {
            vec![items.iter().filter(|item| is_step(item)).map(|item| NodeForm::read(item, None, report)).collect()]
        }
        Kind::List(items) => items.iter().flat_map(|item| lists(item, report)).collect(),
        Kind::Map(_) if is_step(node) => vec![vec![NodeForm::read(node, None, report)]],
        Kind::Map(entries) if !entries.is_empty() && entries.iter().all(|(_, value)| has_verb(value) && !is_step(value)) => {
            // Steps by their names, as others write them.
            vec![entries.iter().map(|(name, value)| NodeForm::read(value, Some(name), report)).collect()]
        }
        Kind::Map(entries) => {
            let inner = entries.iter().filter(|(key, _)| key.scalar().is_none_or(|key| !OTHERS.contains(&key)));
            inner.flat_map(|(_, value)| lists(value, report)).collect()
        }
        Kind::Scalar(..) => Vec::new(),
    }
}

/// The same as one list.
pub(super) fn steps(node: &Node, report: &mut Report<'_>) -> Vec<NodeForm> {
    lists(node, report).into_iter().flatten().collect()
}

/// A for_each and what is done for each item in one step, which is told: what is wrong in it is so below, too.
pub(super) fn for_each(node: &Node, each: &Node, report: &mut Report<'_>) -> NodeForm {
    const OWN: [&str; 4] = ["step", "as", "at_once", "result"];
    let Kind::Map(entries) = &node.kind else { return NodeForm::unreadable(node, report) };
    let is_own = |key: &Node| key.scalar().is_some_and(|key| OWN.contains(&key));
    let (mut own, mut inner) = (Vec::new(), Vec::new());
    for (key, value) in entries {
        let word = |word: &str| Node { kind: Kind::Scalar(word.to_owned(), Style::Plain), span: key.span.clone() };
        if key.span == each.span {
            own.push((word("for_each"), value.clone()));
        } else if is_own(key) {
            own.push((key.clone(), value.clone()));
        } else {
            inner.push((key.clone(), value.clone()));
        }
    }
    let name = node.named("step").unwrap_or(node).clone();
    let map = |entries| Node { kind: Kind::Map(entries), span: node.span.clone() };
    let mut item = map(inner);
    if let Kind::Map(entries) = &mut item.kind {
        let step = Node { kind: Kind::Scalar("step".to_owned(), Style::Plain), span: name.span.clone() };
        entries.insert(0, (step, name));
    }
    let steps = Node { kind: Kind::Scalar("steps".to_owned(), Style::Plain), span: each.span.clone() };
    own.push((steps, Node { kind: Kind::List(vec![item]), span: node.span.clone() }));
    NodeForm::read(&map(own), None, report)
}

/// What a step may have that holds no steps, or is read for itself.
pub(super) const OTHERS: [&str; 10] =
    ["with", "undo", "retry", "on_refused", "on_failed", "show", "escalate", "answer", "result", "if"];

fn is_step(node: &Node) -> bool {
    node.named("step").is_some_and(|name| name.scalar().is_some())
}

fn has_verb(node: &Node) -> bool {
    VERBS.iter().any(|(verb, _)| *verb != "steps" && node.named(verb).is_some())
}
