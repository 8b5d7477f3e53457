//! Results that are read under one name are kept with the same fields, in whichever way they came: by the step of that name, by another
//! one in its stead (`as`), by one of several waits for the same event.

use std::collections::BTreeMap;

use super::listeners::Listening;
use super::tree::Tree;
use crate::definition::expression::Root;
use crate::definition::expression::scope::{Reads, Uses};

/// Which nodes' results are kept alike, and what is read of them.
pub(super) struct Alike<'a> {
    /// By node, one of those that it is like.
    first: BTreeMap<u16, u16>,
    /// By node, the one under whose name it is read, if that is another one.
    names: BTreeMap<u16, u16>,
    listeners: &'a [Listening<'a>],
    uses: &'a Uses,
}

impl<'a> Alike<'a> {
    pub(super) fn of(tree: &Tree<'_>, listeners: &'a [Listening<'a>], uses: &'a Uses) -> Alike<'a> {
        let mut first: BTreeMap<u16, u16> = tree.givers().map(|(node, _)| (node, node)).collect();
        let names: BTreeMap<u16, u16> = tree.givers().filter_map(|(node, _)| Some((node, tree.stands_for(node)?))).collect();
        let in_stead = names.iter().map(|(node, name)| (*node, *name));
        let by_event = listeners.iter().flat_map(|one| one.waits.iter().map(|wait| (*wait, one.waits[0])));
        for (one, other) in in_stead.chain(by_event) {
            let (from, to) = (first[&one], first[&other]);
            first.values_mut().filter(|first| **first == from).for_each(|first| *first = to);
        }
        Alike { first, names, listeners, uses }
    }

    /// What is kept of a node's result; nothing where nobody reads it.
    pub(super) fn result(&self, node: u16) -> Option<Reads> {
        self.uses.of(Root::Result(*self.names.get(&node).unwrap_or(&node)))?;
        self.layout(node)
    }

    /// What is read of it, or of any that is like it.
    fn layout(&self, node: u16) -> Option<Reads> {
        let is_like = |other: &u16| self.first.get(other) == self.first.get(&node);
        let results = self.first.keys().filter(|other| is_like(other)).filter_map(|other| self.uses.of(Root::Result(*other)));
        let results = results.cloned().reduce(|all, more| all.and(&more))?;
        let events = self.listeners.iter().zip(0..).filter(|(one, _)| one.waits.iter().any(is_like));
        Some(events.filter_map(|(_, number)| self.uses.of(Root::Event(number))).fold(results, |all, own| all.and(own)))
    }

    /// What is kept of an event: what its own expressions read, and what is read of it as a result.
    pub(super) fn event(&self, number: u16) -> Option<Reads> {
        let result = self.listeners[usize::from(number)].waits.first().and_then(|wait| self.layout(*wait));
        result.or_else(|| self.uses.of(Root::Event(number)).cloned())
    }
}
