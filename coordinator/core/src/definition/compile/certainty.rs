//! What can be read, and what is certain, before each node: one walk over the table.

use super::tree::{PlannedVerb, Tree};
use crate::definition::ROOT;
use crate::definition::expression::scope::Known;

/// What is known before each node, and behind them all.
pub(super) struct Certainty {
    before: Vec<Known>,
    end: Known,
}

impl Certainty {
    pub(super) fn of(tree: &Tree<'_>) -> Certainty {
        let mut certainty = Certainty { before: vec![Known::default(); tree.nodes.len()], end: Known::default() };
        certainty.end = certainty.walk(tree, ROOT, Known::default());
        certainty
    }

    /// Notes what is known before a node and before all that belongs to it; what is known behind it, if it ends well.
    fn walk(&mut self, tree: &Tree<'_>, number: u16, known: Known) -> Known {
        let node = tree.node(number);
        self.before[usize::from(number)] = known.clone();
        let conditional = node.form.is_some_and(|form| form.condition.is_some());
        match node.verb {
            PlannedVerb::Sequence(_) => {
                let (mut child, mut known) = (number + 1, known);
                while child < node.end {
                    known = self.walk(tree, child, known);
                    child = tree.node(child).end;
                }
                known
            }
            PlannedVerb::Do(_) => known.with(number, !conditional),
            PlannedVerb::Emit(_) | PlannedVerb::Refuse(_) => known,
            PlannedVerb::Group => {
                let behind = self.walk(tree, number + 1, known.clone());
                if conditional { known.may(&behind) } else { behind }
            }
            // Each arm knows what stands before the choice, and nothing of the others.
            PlannedVerb::Switch(_) => {
                let arms: Vec<Known> = tree.children(number).map(|list| self.walk(tree, list, known.clone())).collect();
                arms.iter().fold(known, Known::may)
            }
        }
    }

    pub(super) fn before(&self, node: u16) -> Known {
        self.before[usize::from(node)].clone()
    }

    /// Behind all steps.
    pub(super) fn end(&self) -> Known {
        self.end.clone()
    }
}
