//! What lies in which scope, told again from the table alone: the engine's own answer is not asked.

use super::postponed;
use ringmaster_core::definition::{Definition, Next, Node, ROOT, Reaction, Role, Undo, Verb};
use ringmaster_schemas::journal::{Place, SagaEvent};
use ringmaster_schemas::names::Direction;
use ringmaster_schemas::state::{Entry, Saga, Status, Work};

/// The node that an event is about, and where its entry is or would be.
fn about(saga: &Saga, event: &SagaEvent) -> Option<(u16, usize)> {
    let end = saga.entries.len();
    match event {
        // It may have been parked there.
        SagaEvent::CommandIssued { place, node, .. } => Some((*node, usize::from(*place).min(end))),
        SagaEvent::Postponed { next } => Some((next.node, end)),
        SagaEvent::Entered { node, .. } | SagaEvent::Emitted { node, .. } | SagaEvent::Skipped { node, .. } => Some((*node, end)),
        SagaEvent::CommandRepeated { place, .. }
        | SagaEvent::Retried { place, .. }
        | SagaEvent::Parked { place, .. }
        | SagaEvent::Withheld { place, .. }
        | SagaEvent::ReactionBegan { place, .. }
        | SagaEvent::WentOn { place, .. }
        | SagaEvent::EventTaken { place, .. }
        | SagaEvent::Answered { place, .. }
        | SagaEvent::Escalated { place, .. } => Some((saga.entry(*place)?.node, usize::from(*place))),
        _ => None,
    }
}

/// The entries of the scopes around a node that stands at a place, the nearest first. A reaction stands beside its node, not in it.
pub(crate) fn around(definition: &Definition, saga: &Saga, node: u16, at: usize) -> Vec<usize> {
    let (mut found, mut inner, mut at) = (Vec::new(), node, at);
    let mut is_beside = false;
    for outer in definition.around(node) {
        let node = &definition.nodes[usize::from(outer)];
        if let Verb::Sequence(role) = node.verb {
            is_beside = role == Role::Reaction;
        } else if node.is_scope && !is_beside {
            let place = saga.entries[..at].iter().rposition(|entry| entry.node == outer);
            at = place.unwrap_or_default();
            found.extend(place);
        }
        inner = outer;
    }
    debug_assert_eq!(inner, ROOT);
    found
}

/// The outermost of what is undone around an entry: a place, or none for the saga as a whole.
pub(super) fn undone_around(definition: &Definition, saga: &Saga, place: usize) -> Option<Option<usize>> {
    if saga.status == Status::Compensating {
        return Some(None);
    }
    let scopes = around(definition, saga, saga.entries[place].node, place);
    scopes.into_iter().rev().find(|scope| saga.entries[*scope].work == Work::Undoing).map(Some)
}

/// True if the entry is undone with what is around it.
pub(crate) fn is_undone_with(definition: &Definition, saga: &Saga, place: usize) -> bool {
    undone_around(definition, saga, place).is_some()
}

/// True if something around what an event is about is undone.
pub(super) fn is_halted(definition: &Definition, saga: &Saga, event: &SagaEvent) -> bool {
    let Some((node, at)) = about(saga, event) else { return false };
    around(definition, saga, node, at).iter().any(|scope| saga.entries[*scope].work == Work::Undoing)
}

/// True if nothing is open or still to be undone that came behind this place in what is undone around it. Branches side by side do
/// not wait for each other.
pub(super) fn later_is_clean(definition: &Definition, saga: &Saga, place: Place) -> bool {
    let entry = &saga.entries[usize::from(place)];
    let scopes = around(definition, saga, entry.node, usize::from(place));
    let undoing = scopes.iter().rev().find(|scope| saga.entries[**scope].work == Work::Undoing);
    let is_all = saga.status == Status::Compensating;
    let inside = |other: u16| match undoing {
        _ if is_all => true,
        Some(scope) => holds(definition, saga.entries[*scope].node, other),
        // Undone alone: nothing else is.
        None => false,
    };
    let (at, behind) = (usize::from(place), usize::from(place) + 1..saga.entries.len());
    behind
        .filter(|later| inside(saga.entries[*later].node))
        .all(|later| side_by_side(definition, saga, at, later) || !is_dirty(definition, &saga.entries[later]))
}

/// A stray is undone by itself, now or when its undo is no more parked.
pub(super) fn is_dirty(definition: &Definition, entry: &Entry) -> bool {
    let has_items = entry.work == Work::Done && entry.children().is_some_and(|rows| rows.undoes && rows.begun > 0);
    let undo = has_items || matches!(entry.work, Work::Done | Work::Failed) && undoes(definition, entry);
    entry.stray().is_none() && (entry.open() || undo)
}

/// The command that a node asks, or its undo does.
pub(crate) fn asks(definition: &Definition, node: u16, direction: Direction) -> Option<&str> {
    let asks = definition.step(node)?.asks;
    match (direction, &asks.undo) {
        (Direction::Do, _) => Some(&asks.call.command),
        (Direction::Undo, Undo::Command { call, .. }) => Some(&call.command),
        (Direction::Undo, Undo::Nothing | Undo::Never) => None,
    }
}

fn undoes(definition: &Definition, entry: &Entry) -> bool {
    definition.step(entry.node).is_some_and(|step| matches!(step.asks.undo, Undo::Command { .. }))
}

pub(super) fn holds(definition: &Definition, outer: u16, inner: u16) -> bool {
    (outer..definition.nodes[usize::from(outer)].end).contains(&inner)
}

/// True if two entries stand in different branches of one parallel, of the same round of it.
pub(super) fn side_by_side(definition: &Definition, saga: &Saga, earlier: usize, later: usize) -> bool {
    let (one, other) = (saga.entries[earlier].node, saga.entries[later].node);
    let branch = |node: u16| matches!(definition.nodes[usize::from(node)].verb, Verb::Sequence(Role::Branch));
    let parents = |node: u16| definition.around(node).filter(|list| branch(*list)).collect::<Vec<_>>();
    let (ones, others) = (parents(one), parents(other));
    let parent = |list: u16| definition.nodes[usize::from(list)].parent;
    let again = |parallel: u16| saga.entries[earlier..=later].iter().any(|entry| entry.node == parallel);
    ones.iter().any(|a| others.iter().any(|b| a != b && parent(*a) == parent(*b) && !again(parent(*a))))
}

/// True if a node that was refused or failed has left nothing behind: nothing of it is open, and nothing waits for its undo.
pub(super) fn is_clean(definition: &Definition, saga: &Saga, place: Place) -> bool {
    let entry = &saga.entries[usize::from(place)];
    let own = match entry.work {
        // A person may go on without knowing, and where nothing could begin.
        Work::Refused | Work::Undone | Work::Closed | Work::Nothing => true,
        // It may be stuck: a person goes on without it.
        Work::Failed => !undoes(definition, entry),
        // Found done behind its reaction, and undone by itself.
        _ => entry.stray().is_some(),
    };
    let next = saga.entries.iter().skip(usize::from(place) + 1).position(|later| later.node == entry.node);
    let end = next.map_or(saga.entries.len(), |next| usize::from(place) + 1 + next);
    let bodies = |node: u16| {
        let reaction = |list: &u16| matches!(definition.nodes[usize::from(*list)].verb, Verb::Sequence(Role::Reaction));
        let lists: Vec<u16> = definition.lists(entry.node).filter(|list| !reaction(list)).collect();
        lists.iter().any(|list| holds(definition, *list, node))
    };
    own && saga.entries[usize::from(place) + 1..end]
        .iter()
        .filter(|inner| bodies(inner.node))
        .all(|inner| !is_dirty(definition, inner))
}

/// True if a reaction has not begun more often than it may, in one entry of the scope around.
pub(super) fn may_react(definition: &Definition, saga: &Saga, place: Place, list: u16) -> bool {
    let entry = &saga.entries[usize::from(place)];
    let since = around(definition, saga, entry.node, usize::from(place)).first().copied().unwrap_or(0);
    let began = saga.entries[since..].iter().filter(|other| other.reaction() == Some(list)).count();
    let node: &Node = &definition.nodes[usize::from(entry.node)];
    node.reactions().any(|reaction| match reaction {
        Reaction::Steps { list: known, next, at_most } if *known == list => *next != Next::Retry || began <= usize::from(*at_most),
        _ => false,
    })
}

/// True if the definition has branches side by side.
pub(super) fn has_branches(definition: &Definition) -> bool {
    definition.nodes.iter().any(|node| matches!(node.verb, Verb::Parallel(_)))
}

/// True for a scope that is open, or undone, and in which nothing is open.
pub(super) fn is_orphan(definition: &Definition, saga: &Saga, entry: &Entry, place: usize) -> bool {
    let inside = |inner: &&Entry| inner.open() && holds(definition, entry.node, inner.node);
    let is_postponed = postponed(definition, saga).any(|next| holds(definition, entry.node, next.node));
    matches!(entry.work, Work::Open | Work::Undoing) && !is_postponed && !saga.entries[place..].iter().any(|inner| inside(&inner))
}

/// True if an entry of a completed saga is one that may be left so: done, left out, tried again, or in what was undone as a whole.
pub(super) fn ended_well(definition: &Definition, saga: &Saga, place: usize) -> bool {
    let entry = &saga.entries[place];
    let tried_again = || saga.entries[place + 1..].iter().any(|later| later.node == entry.node);
    let undone_around = || {
        let scopes = around(definition, saga, entry.node, place);
        scopes.iter().any(|scope| matches!(saga.entries[*scope].work, Work::Refused | Work::Failed | Work::Closed))
    };
    // An end that a person let go untold.
    let untold = entry.node == ROOT && entry.work == Work::Closed;
    untold || entry.work == Work::Done && entry.stray().is_none() || entry.went_on() || tried_again() || undone_around()
}

/// True for what is undone by itself.
pub(super) fn has_stray(saga: &Saga, place: Place) -> bool {
    saga.entry(place).is_some_and(|entry| entry.stray().is_some())
}
