//! In which order things are done and undone, and what a reaction finds.

use ringmaster_core::definition::{Definition, ROOT, Verb};
use ringmaster_schemas::journal::{ItemEvent, SagaEvent};
use ringmaster_schemas::names::Direction;
use ringmaster_schemas::state::{Entry, Saga, Status, Work};

use super::scopes::{has_stray, holds, is_clean, is_dirty, later_is_clean, may_react, side_by_side, undone_around};
use super::{Broken, One};

/// L4: an undo is asked, or parked, when nothing that came later is open, or still to be undone; branches do not wait for each other, nor does a
/// stray.
pub(super) fn undone_is_what_nothing_later_hangs_on(one: One<'_>) -> Broken {
    let before = one.before?;
    let (SagaEvent::UndoIssued { place, .. } | SagaEvent::Parked { place, direction: Direction::Undo, .. }) = one.event else {
        return None;
    };
    // It was looked at when it was parked: what is found done since is undone beside it, as beside an undo that is out.
    if before.entry(*place).is_none_or(|entry| entry.open()) {
        return None;
    }
    let waits = !has_stray(before, *place) && !later_is_clean(one.definition, before, *place);
    waits.then(|| "something later is not clean".to_owned())
}

/// L4, the other way round: what can be undone is, branches side by side.
pub(super) fn what_can_be_undone_is(definition: &Definition, saga: &Saga) -> Broken {
    let left = (0..saga.entries.len()).find(|place| {
        let entry = &saga.entries[*place];
        let Some(scope) = undone_around(definition, saga, *place).filter(|_| !entry.open() && is_dirty(definition, entry)) else {
            return false;
        };
        let inside = |node: u16| scope.is_none_or(|scope| holds(definition, saga.entries[scope].node, node));
        let blocks = |later: &Entry| (later.open() || is_dirty(definition, later)) && inside(later.node);
        let mut later = (place + 1..saga.entries.len()).filter(|later| blocks(&saga.entries[*later]));
        later.all(|later| side_by_side(definition, saga, *place, later))
    });
    left.map(|place| format!("{} could be undone and is left", saga.entries[place].name()))
}

/// L6: a reaction begins, and it goes on without a node, only where that left nothing behind.
pub(super) fn a_reaction_finds_nothing_left_behind(one: One<'_>) -> Broken {
    let (SagaEvent::ReactionBegan { place, .. } | SagaEvent::WentOn { place, .. }) = one.event else { return None };
    let clean = one.before.is_some_and(|saga| is_clean(one.definition, saga, *place));
    (!clean).then(|| "it goes on where something is left behind".to_owned())
}

/// L10: a reaction that tries again begins at most as often as it says, in one entry of the scope around.
pub(super) fn a_reaction_begins_as_often_as_it_may(one: One<'_>) -> Broken {
    let SagaEvent::ReactionBegan { place, list } = one.event else { return None };
    (!may_react(one.definition, one.behind, *place, *list)).then(|| "a reaction begins once more than it may".to_owned())
}

/// L18: nothing begins before all that stands before it in its list has ended well, or was left out.
pub(super) fn nothing_begins_before_what_stands_before_it(one: One<'_>) -> Broken {
    let definition = one.definition;
    let saga = one.before.filter(|saga| saga.status == Status::Running)?;
    let node = match one.event {
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
    let mut earlier = lists.flat_map(|(list, until)| definition.lists(list).take_while(move |child| *child < until));
    earlier.find_map(|earlier| unsettled(definition, saga, earlier))
}

/// L18: items begin once each, in the order of their list.
pub(super) fn items_begin_once_each(one: One<'_>) -> Broken {
    let SagaEvent::Item { place, event: ItemEvent::Began { index, .. } } = one.event else { return None };
    let begun = |saga: Option<&Saga>| Some(saga?.entry(*place)?.children()?.begun);
    let (before, behind) = (begun(one.before), begun(Some(one.behind)));
    let in_order = before == Some(*index) && behind == Some(*index + 1);
    (!in_order).then(|| format!("item {index} begins where {before:?} had, and {behind:?} have then"))
}

/// What of a node, or of what is in it, has not ended, if anything.
fn unsettled(definition: &Definition, saga: &Saga, node: u16) -> Broken {
    let open = |entry: &&Entry| {
        let is_open = (entry.open() && entry.stray().is_none()) || matches!(entry.work, Work::Open | Work::Undoing);
        is_open && holds(definition, node, entry.node)
    };
    if let Some(entry) = saga.entries.iter().find(open) {
        let name = &definition.nodes[usize::from(entry.node)].name;
        return Some(format!("{name} is {}, and what stands behind it begins", entry.work));
    }
    let scope = definition.nodes[usize::from(node)].scope;
    let since = saga.entries.iter().rposition(|entry| entry.node == scope).unwrap_or(0);
    let last = saga.entries[since..].iter().rev().find(|entry| entry.node == node)?;
    let well = last.work == Work::Done && last.stray().is_none() || last.went_on();
    (!well).then(|| format!("{} is {}, and what stands behind it begins", last.name(), last.work))
}
