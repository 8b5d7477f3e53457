//! What can never happen: steps behind a refusal without a condition, refusals behind the pivot.

use ringmaster_schemas::journal::Phase;

use super::super::report::Report;
use super::super::tree::{PlannedVerb, Tree};

pub(in crate::definition::compile) fn check(tree: &Tree<'_>, report: &mut Report<'_>) {
    for number in 0..tree.nodes.len() as u16 {
        let planned = tree.node(number);
        if let PlannedVerb::Refuse(refuse) = planned.verb
            && planned.phase == Phase::Retriable
        {
            let hint = "behind the pivot there is only forward: refuse before it";
            report.error(&refuse.code.span, "nothing can be refused behind the pivot", hint);
        }
        if let PlannedVerb::Sequence(_) = planned.verb
            && let Some(end) = tree.children(number).find(|child| always_refuses(tree, *child))
            && let (Some(first), Some(next)) = (tree.node(end).form, tree.nodes.get(usize::from(tree.node(end).end)))
            && tree.node(end).end < planned.end
            && let Some(next) = next.form
        {
            let hint = format!("'{}' refuses always: give it an if, or remove what stands behind it", first.name.text);
            report.error(&next.name.span, "this is never reached", hint);
        }
    }
}

/// True if every way through a node ends in a refusal.
fn always_refuses(tree: &Tree<'_>, number: u16) -> bool {
    let planned = tree.node(number);
    let is_certain = planned.form.is_none_or(|form| form.condition.is_none());
    is_certain
        && match planned.verb {
            PlannedVerb::Refuse(_) => true,
            PlannedVerb::Do(_) | PlannedVerb::Emit(_) | PlannedVerb::Sleep(_) | PlannedVerb::Approval(_) => false,
            PlannedVerb::Unreadable(_) => false,
            // Its list may be empty.
            PlannedVerb::Wait(_) | PlannedVerb::ForEach(_) | PlannedVerb::Run(..) | PlannedVerb::Claim(_) => false,
            PlannedVerb::Sequence(_) => tree.children(number).any(|child| always_refuses(tree, child)),
            PlannedVerb::Group | PlannedVerb::Switch(_) => tree.bodies(number).all(|list| always_refuses(tree, list)),
            PlannedVerb::Parallel => tree.bodies(number).any(|list| always_refuses(tree, list)),
        }
        // A reaction may go on all the same.
        && planned.form.is_none_or(|form| form.on_refused.is_empty())
}
