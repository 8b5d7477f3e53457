//! What the expressions of a node may see: what failed, and which try it is.

use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::Place;
use ringmaster_schemas::state::{Saga, Work};

use super::decide::{Above, Draft};
use super::scope::Scope;
use super::values::View;
use crate::definition::{ROOT, Role, Verb};
use crate::faults::mutated;

/// At the saga's end.
pub(super) fn of_end<'a>(saga: &'a Saga, above: &'a [Above<'a>], now: Millis) -> View<'a> {
    View { saga, above, failure: saga.failure.as_deref(), round: 1, event: None, undone: false, now }
}

impl Draft<'_> {
    /// Of a node that is about to be entered.
    pub(super) fn view(&self, node: u16) -> View<'_> {
        self.view_at(node, self.next_place())
    }

    /// The same at a place, that is the next one, or where it was parked: its own entry counts for no try before it.
    pub(super) fn view_at(&self, node: u16, place: Place) -> View<'_> {
        let failure = self.nearest_reaction(node).and_then(|owner| self.last_entry(owner));
        let failure = failure.and_then(|place| self.entry(place).cause());
        // Who has an entry that is open already is being entered: an arm of a choice is asked for then.
        let is_inside = || self.last_entry(node).is_some_and(|place| self.entry(place).work == Work::Open);
        let place = if mutated("parked_counts_as_a_try") { self.next_place() } else { place };
        let round = self.tries(node, place, || !is_inside());
        View {
            saga: self.saga(),
            above: self.above,
            failure: failure.map(Arc::as_ref),
            round,
            event: None,
            undone: false,
            now: self.now,
        }
    }

    /// Of the undo of what was done at a place.
    pub(super) fn view_of_undo(&self, place: Place) -> View<'_> {
        let saga = self.saga();
        let failure = match self.halted(place) {
            Some(Scope::Root) => saga.failure.as_ref(),
            Some(Scope::At(scope)) => self.entry(scope).failure(),
            None => self.entry(place).cause().or(saga.failure.as_ref()),
        };
        // The try that is undone is over: it counts, and no other is about to begin.
        let round = self.tries(self.entry(place).node, place, || true);
        View { saga, above: self.above, failure: failure.map(Arc::as_ref), round, event: None, undone: true, now: self.now }
    }

    /// The node in whose reaction a node stands, however deep.
    fn nearest_reaction(&self, node: u16) -> Option<u16> {
        let nodes = &self.definition.nodes;
        let is_reaction = |list: &u16| matches!(nodes[usize::from(*list)].verb, Verb::Sequence(Role::Reaction));
        self.definition.around(node).find(is_reaction).map(|list| nodes[usize::from(list)].parent)
    }

    /// The node around (or the node itself) that is tried again.
    fn retried_around(&self, node: u16) -> Option<u16> {
        let is_retried = |node: &u16| self.definition.nodes[usize::from(*node)].is_retried();
        std::iter::once(node).chain(self.definition.around(node)).find(is_retried)
    }

    /// Which try of what is tried again around a node this is, if it is entered at a place: `round`. It counts in one entry of the
    /// scope around. `begins`: the node itself has no entry of this try yet.
    fn tries(&self, node: u16, at: Place, begins: impl FnOnce() -> bool) -> i64 {
        let Some(retried) = self.retried_around(node) else { return 1 };
        let entries = &self.saga().entries[..usize::from(at)];
        let scope = self.definition.nodes[usize::from(retried)].scope;
        let since = if scope == ROOT { 0 } else { entries.iter().rposition(|entry| entry.node == scope).unwrap_or(0) };
        let before = entries[since..].iter().filter(|entry| entry.node == retried).count() as i64;
        before + i64::from(retried == node && begins())
    }

    /// The id of an emission on the way, unique in the saga: the step's name, with its round behind the first, that is the round of
    /// the nearest thing around it that has rounds.
    pub(super) fn emission_id(&self, node: u16) -> Arc<str> {
        let name = &self.definition.nodes[usize::from(node)].name;
        let rounds = |retried: u16| self.saga().entries.iter().filter(|entry| entry.node == retried).count();
        let has_rounds = |around: &u16| {
            let around = &self.definition.nodes[usize::from(*around)];
            around.is_scope || !(around.verb.is_composite() || matches!(around.verb, Verb::Emit(_)))
        };
        match self.definition.around(node).find(has_rounds).map_or(1, rounds) {
            0 | 1 => name.clone(),
            round => format!("{name}~{round}").into(),
        }
    }
}
