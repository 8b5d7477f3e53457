//! What is undone, in which order, and what goes on: told from the table and the entries alone.

use ringmaster_core::definition::{Definition, ROOT, Verb};
use ringmaster_schemas::journal::SagaEvent;
use ringmaster_schemas::state::{Entry, Saga, Status, Work};

use crate::laws::scopes::{around, holds, is_dirty, side_by_side};
use crate::stories::Happened;

/// The outermost of what is undone around an entry: a place, or none for the saga as a whole.
fn undone_around(definition: &Definition, saga: &Saga, place: usize) -> Option<Option<usize>> {
    if saga.status == Status::Compensating {
        return Some(None);
    }
    let scopes = around(definition, saga, saga.entries[place].node, place);
    scopes.into_iter().rev().find(|scope| saga.entries[*scope].work == Work::Undoing).map(Some)
}

/// True if the entry is undone with what is around it.
pub(super) fn is_undone_with(definition: &Definition, saga: &Saga, place: usize) -> bool {
    undone_around(definition, saga, place).is_some()
}

/// L4, the other way round: what can be undone is, branches side by side.
pub(in crate::random) fn idle(definition: &Definition, saga: &Saga) -> Option<String> {
    let left = (0..saga.entries.len()).find(|place| {
        let entry = &saga.entries[*place];
        let Some(scope) = undone_around(definition, saga, *place).filter(|_| !entry.open() && is_dirty(definition, entry)) else {
            return false;
        };
        let inside = |node: u16| scope.is_none_or(|scope| holds(definition, saga.entries[scope].node, node));
        let blocks = |later: &&Entry| (later.open() || is_dirty(definition, later)) && inside(later.node);
        let later = saga.entries[place + 1..].iter().filter(blocks);
        later.filter(|later| !side_by_side(definition, entry.node, later.node)).count() == 0
    });
    left.map(|place| format!("L4: {} could be undone and is left", saga.entries[place].name()))
}

/// Nothing begins before all that stands before it in its list has ended well, or was left out.
pub(in crate::random) fn order(definition: &Definition, before: Option<&Saga>, happened: &Happened) -> Option<String> {
    let saga = before.filter(|saga| saga.status == Status::Running)?;
    let node = match &happened.event {
        SagaEvent::CommandIssued { node, .. }
        | SagaEvent::Entered { node, .. }
        | SagaEvent::Emitted { node, .. }
        | SagaEvent::Skipped { node, .. } => *node,
        // The end.
        SagaEvent::Completed { .. } => ROOT,
        _ => return None,
    };
    let mut inner = node;
    let lists = std::iter::once(node).chain(definition.around(node)).filter_map(|outer| {
        let is_list = matches!(definition.nodes[usize::from(outer)].verb, Verb::Sequence(_));
        let child = std::mem::replace(&mut inner, outer);
        is_list.then_some((outer, if child == outer { definition.nodes[usize::from(outer)].end } else { child }))
    });
    let before = lists.flat_map(|(list, until)| definition.lists(list).take_while(move |child| *child < until));
    before.collect::<Vec<u16>>().into_iter().find_map(|earlier| unsettled(definition, saga, earlier))
}

/// What of a node, or of what is in it, has not ended, if anything.
fn unsettled(definition: &Definition, saga: &Saga, node: u16) -> Option<String> {
    let open = |entry: &&Entry| {
        let is_open = (entry.open() && entry.stray().is_none()) || matches!(entry.work, Work::Open | Work::Undoing);
        is_open && holds(definition, node, entry.node)
    };
    if let Some(entry) = saga.entries.iter().find(open) {
        let name = &definition.nodes[usize::from(entry.node)].name;
        return Some(format!("order: {name} is {}, and what stands behind it begins", entry.work));
    }
    let scope = definition.nodes[usize::from(node)].scope;
    let since = saga.entries.iter().rposition(|entry| entry.node == scope).unwrap_or(0);
    let last = saga.entries[since..].iter().rev().find(|entry| entry.node == node)?;
    let well = last.work == Work::Done && last.stray().is_none() || last.went_on();
    (!well).then(|| format!("order: {} is {}, and what stands behind it begins", last.name(), last.work))
}
