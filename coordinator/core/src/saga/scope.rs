//! Scopes: what is undone as a whole. Which one an entry lies in, and what lies in it, follows from the list of entries and the table.

use ringmaster_schemas::journal::Place;
use ringmaster_schemas::state::{Saga, Status, Work};

use super::decide::Draft;
use crate::definition::{Definition, Node};

/// What is undone as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// The saga.
    Root,
    /// A group, choice or parallel: its entry.
    At(Place),
}

/// The scope that an entry lies in.
pub(super) fn scope_of(definition: &Definition, saga: &Saga, place: Place) -> Scope {
    match definition.nodes[usize::from(saga.entries[usize::from(place)].node)].scope {
        // What is around an item is no matter of its own row.
        scope if scope <= definition.list_of(&saga.id) => Scope::Root,
        scope => Scope::At(last_before(saga, scope, place).expect("a scope is entered before what is in it")),
    }
}

/// True if a row can be one of this definition: its nodes are there, and each scope was entered before what lies in it. What reads a
/// row for people asks first, since a damaged one must not end whoever looks.
pub(super) fn fits(definition: &Definition, saga: &Saga) -> bool {
    let is_in_place = |(place, node): (Place, &Node)| match node.scope {
        scope if scope <= definition.list_of(&saga.id) => true,
        scope => last_before(saga, scope, place).is_some(),
    };
    let mut entries = saga.entries.iter().zip(0..);
    entries.all(|(entry, place)| definition.node(entry.node).is_some_and(|node| is_in_place((place, node))))
        && saga.paused().is_none_or(|paused| paused.postponed.iter().all(|next| definition.node(next.node).is_some()))
}

/// The outermost scope around an entry that is undone; none if it may go forward.
pub(super) fn halted(definition: &Definition, saga: &Saga, place: Place) -> Option<Scope> {
    if saga.status == Status::Compensating {
        return Some(Scope::Root);
    }
    let (mut found, mut inner) = (None, place);
    while let Scope::At(around) = scope_of(definition, saga, inner) {
        if saga.entries[usize::from(around)].work == Work::Undoing {
            found = Some(Scope::At(around));
        }
        inner = around;
    }
    found
}

/// The newest entry of a node before a place.
fn last_before(saga: &Saga, node: u16, before: Place) -> Option<Place> {
    let entries = &saga.entries[..usize::from(before)];
    entries.iter().rposition(|entry| entry.node == node).map(|place| place as Place)
}

impl Draft<'_> {
    /// The newest entry of a node.
    pub(super) fn last_entry(&self, node: u16) -> Option<Place> {
        last_before(self.saga(), node, self.next_place())
    }

    /// The scope that an entry lies in.
    pub(super) fn scope_of(&self, place: Place) -> Scope {
        scope_of(self.definition, self.saga(), place)
    }

    /// The outermost scope around an entry that is undone; none if it may go forward.
    pub(super) fn halted(&self, place: Place) -> Option<Scope> {
        halted(self.definition, self.saga(), place)
    }

    /// Where a scope's entries end: at its next round, or at the end of the list.
    pub(super) fn end_of(&self, place: Place) -> Place {
        let node = self.entry(place).node;
        let behind = (place + 1..self.next_place()).find(|later| self.entry(*later).node == node);
        behind.unwrap_or(self.next_place())
    }

    /// The entries that lie in the scope of this entry.
    pub(super) fn below(&self, place: Place) -> impl Iterator<Item = Place> {
        let number = self.entry(place).node;
        let nodes = number + 1..self.definition.nodes[usize::from(number)].end;
        (place + 1..self.end_of(place)).filter(move |inner| nodes.contains(&self.entry(*inner).node))
    }
}
