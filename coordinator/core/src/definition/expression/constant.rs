//! Conditions that are the same for every saga: they name nothing.

use super::evaluate::Machine;
use super::tree::{Loop, Node};
use super::value::Value;
use super::{Budget, Environment, Fault};

/// The value of a condition that reads nothing.
pub(super) fn constant(node: &Node) -> Option<Result<bool, Fault>> {
    without(node, |machine, node| machine.truth(node))
}

/// The value of a whole number that reads nothing.
pub(super) fn int(node: &Node) -> Option<Result<i64, Fault>> {
    without(node, |machine, node| match machine.eval(node)? {
        Value::Int(x) => Ok(x),
        other => Err(Fault::types("an int is needed, and this", &other)),
    })
}

fn without<T>(
    node: &Node,
    value: impl for<'e> FnOnce(&mut Machine<'e, '_>, &'e Node) -> Result<T, Fault>,
) -> Option<Result<T, Fault>> {
    if reads(node) {
        return None;
    }
    let budget = Budget::new();
    let nowhere = Environment::without_saga("", 0, &budget);
    Some(value(&mut Machine::new(&nowhere), node))
}

/// True if the value may be another in another saga, or at another time.
fn reads(node: &Node) -> bool {
    match node {
        Node::Key
        | Node::Now
        | Node::Started
        | Node::Round
        | Node::Position
        | Node::Failure(_)
        | Node::Path(_)
        | Node::Succeeded(_) => true,
        // Of a loop, whose list says it.
        Node::Const(_) | Node::Local(_) => false,
        Node::Field(of, _) | Node::Member { of, .. } | Node::Not(of) | Node::Negate(of) | Node::Present(of) | Node::Widen(of) => {
            reads(of)
        }
        Node::Matches(parts) => reads(&parts.0),
        Node::And(a, b)
        | Node::Or(a, b)
        | Node::Equal(a, b)
        | Node::Compare(_, a, b)
        | Node::In(a, b)
        | Node::Calculate(_, a, b)
        | Node::OrValue(a, b)
        | Node::Index { of: a, index: b, .. } => reads(a) || reads(b),
        Node::If(parts) => reads(&parts.0) || reads(&parts.1) || reads(&parts.2),
        Node::Object(fields) => fields.iter().any(|(_, value)| reads(value)),
        Node::List(items) | Node::Call(_, items) => items.iter().any(reads),
        Node::Table(rows, last) => rows.iter().any(|(test, value)| reads(test) || reads(value)) || reads(last),
        Node::Loop(looped) => {
            let Loop { range, filter, body, .. } = &**looped;
            reads(range) || filter.as_ref().is_some_and(reads) || reads(body)
        }
    }
}
