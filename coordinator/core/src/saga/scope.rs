//! Scopes: what is undone as a whole. Which one an entry lies in, and what lies in it, follows from the list of entries and the table.

use ringmaster_schemas::journal::Place;
use ringmaster_schemas::state::Work;

use super::decide::Draft;
use crate::definition::ROOT;

/// What is undone as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// The saga.
    Root,
    /// A group, choice or parallel: its entry.
    At(Place),
}

impl Draft<'_> {
    /// The newest entry of a node.
    pub(super) fn last_entry(&self, node: u16) -> Option<Place> {
        self.last_before(node, self.next_place())
    }

    fn last_before(&self, node: u16, before: Place) -> Option<Place> {
        let entries = &self.saga().entries[..usize::from(before)];
        entries.iter().rposition(|entry| entry.node == node).map(|place| place as Place)
    }

    /// The scope that an entry lies in.
    pub(super) fn scope_of(&self, place: Place) -> Scope {
        match self.definition.nodes[usize::from(self.entry(place).node)].scope {
            ROOT => Scope::Root,
            scope => Scope::At(self.last_before(scope, place).expect("a scope is entered before what is in it")),
        }
    }

    /// The outermost scope around an entry that is undone; none if it may go forward.
    pub(super) fn halted(&self, place: Place) -> Option<Scope> {
        if self.undoing() {
            return Some(Scope::Root);
        }
        let (mut found, mut inner) = (None, place);
        while let Scope::At(around) = self.scope_of(inner) {
            if self.entry(around).work == Work::Undoing {
                found = Some(Scope::At(around));
            }
            inner = around;
        }
        found
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
