//! What can be read, and what is certain, before each node: one walk over the table.

use std::collections::BTreeMap;

use super::tree::{PlannedVerb, Tree};
use crate::definition::expression::scope::Known;
use crate::definition::{Next, ROOT, Reaction};

/// What is known before each node, and behind them all.
pub(super) struct Certainty {
    before: Vec<Known>,
    /// Behind the steps of an item, by their list.
    items: BTreeMap<u16, Known>,
    end: Known,
}

/// What is known behind a node that gives a result.
fn given(tree: &Tree<'_>, number: u16, known: Known) -> Known {
    if let Some(other) = tree.stands_for(number) {
        return known.with(other, true);
    }
    let known = known.with(number, true);
    // Whose name it has in mind that names none, which is told, nobody knows: it may be any.
    let says = tree.node(number).form.is_some_and(|form| form.stands_for.is_some());
    let meant: Vec<u16> = if says { tree.could_stand_for(number).map(|(other, _)| other).collect() } else { Vec::new() };
    meant.into_iter().fold(known, |known, other| known.with(other, true))
}

impl Certainty {
    pub(super) fn of(tree: &Tree<'_>) -> Certainty {
        let mut certainty =
            Certainty { before: vec![Known::default(); tree.nodes.len()], items: BTreeMap::new(), end: Known::default() };
        certainty.end = certainty.walk(tree, ROOT, Known::default());
        certainty
    }

    /// Notes what is known before a node and before all that belongs to it; what is known behind it, if it ends well.
    fn walk(&mut self, tree: &Tree<'_>, number: u16, known: Known) -> Known {
        let node = tree.node(number);
        let known = self.earlier_rounds(tree, number, known);
        self.before[usize::from(number)] = known.clone();
        let done = match node.verb {
            PlannedVerb::Sequence(_) => tree.children(number).fold(known.clone(), |known, child| self.walk(tree, child, known)),
            PlannedVerb::Run(..) if !node.verb.gives() => known.clone(),
            PlannedVerb::Do(_) | PlannedVerb::Approval(_) | PlannedVerb::Wait(_) | PlannedVerb::Run(..) => {
                given(tree, number, known.clone())
            }
            // What is in it is there, in whichever way.
            PlannedVerb::Unreadable(_) => {
                let lists: Vec<Known> = tree.bodies(number).map(|list| self.walk(tree, list, known.clone())).collect();
                given(tree, number, lists.iter().fold(known.clone(), Known::and))
            }
            PlannedVerb::Emit(_) | PlannedVerb::Refuse(_) | PlannedVerb::Sleep(_) | PlannedVerb::Claim(_) => known.clone(),
            PlannedVerb::Group => self.walk(tree, number + 1, known.clone()),
            // What is done in the items is theirs: outside only the list of what they give can be read.
            PlannedVerb::ForEach(_) => {
                let item = self.walk(tree, number + 1, known.clone());
                self.items.insert(number + 1, item);
                if node.verb.gives() { known.clone().with(number, true) } else { known.clone() }
            }
            // Each arm knows what stands before the choice, and nothing of the others.
            PlannedVerb::Switch(_) => {
                let arms: Vec<Known> = tree.bodies(number).map(|list| self.walk(tree, list, known.clone())).collect();
                arms.iter().fold(known.clone(), Known::may)
            }
            // Branches do not see each other; behind them all are done.
            PlannedVerb::Parallel => {
                let branches: Vec<Known> = tree.bodies(number).map(|list| self.walk(tree, list, known.clone())).collect();
                branches.iter().fold(known.clone(), Known::and)
            }
        };
        let behind = self.reacted(tree, number, &known, done);
        let conditional = node.form.is_some_and(|form| form.condition.is_some());
        if conditional { known.may(&behind) } else { behind }
    }

    /// A node that is entered again can read what its reaction did before; not under the name of a step in it, which stands before,
    /// beside or behind whoever reads.
    fn earlier_rounds(&self, tree: &Tree<'_>, number: u16, known: Known) -> Known {
        let retries = |list: &u16| tree.next_of(*list) == Some(Next::Retry);
        let lists: Vec<u16> = tree.reaction_lists(number).filter(retries).collect();
        let inside = |step: u16| lists.iter().any(|list| tree.holds(*list, step));
        // Nor a for_each: what it gives follows from expressions, and those that stand behind are not read yet.
        let is_read =
            |step: u16| tree.each_that_hides(step, number).is_none() && !matches!(tree.node(step).verb, PlannedVerb::ForEach(_));
        let own = tree.givers().filter(|(step, node)| inside(*step) && node.stands_for.is_none() && is_read(*step));
        own.fold(known, |known, (step, _)| known.with(step, false))
    }

    /// Behind a node whose reactions may go on: certain is what all ways give.
    fn reacted(&mut self, tree: &Tree<'_>, number: u16, before: &Known, done: Known) -> Known {
        let Some(form) = tree.node(number).form else { return done };
        let failed = before.clone().may(&done);
        let mut behind = done;
        if form.reactions().any(|on| matches!(on.reaction, Reaction::GoOn)) {
            behind = behind.meet(&failed);
        }
        let lists: Vec<u16> = tree.reaction_lists(number).collect();
        for list in lists {
            let reacted = self.walk(tree, list, failed.clone());
            behind = if tree.next_of(list) == Some(Next::GoOn) { behind.meet(&reacted) } else { behind.may(&reacted) };
        }
        behind
    }

    pub(super) fn before(&self, node: u16) -> Known {
        self.before[usize::from(node)].clone()
    }

    /// Behind the steps of an item, which are this list.
    pub(super) fn item(&self, list: u16) -> Known {
        self.items[&list].clone()
    }

    /// Behind all steps.
    pub(super) fn end(&self) -> Known {
        self.end.clone()
    }
}
