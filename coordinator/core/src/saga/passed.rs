//! What a row still knows of nodes that leave no entry: which were skipped, what was emitted, which way was taken.

use std::ops::Range;

use ringmaster_schemas::state::{Entry, Saga, Status, Work};

use super::scope::fits;
use crate::definition::{Arm, Definition, Node, ROOT, Role, Verb};

/// What became of a node that is behind the saga and has no entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passed {
    /// Its `if` was false, or it lies on a way that was not taken.
    Skipped,
    /// Its event was emitted.
    Emitted,
    /// One of both: the row does not know, the journal does.
    EmittedOrSkipped,
    /// This arm of a choice was taken, from 1.
    Arm(usize),
}

/// The nodes that the row says something of beside its entries, by their numbers, in the definition's order.
pub fn passed(definition: &Definition, saga: &Saga) -> Vec<(u16, Passed)> {
    if !fits(definition, saga) {
        return Vec::new();
    }
    let row = Row::of_saga(definition, saga);
    // What lies in another row's list is that row's to say.
    let own = |number: &u16| definition.list_around(*number) == row.list;
    let nodes = (0..).zip(&definition.nodes).filter(|(number, _)| own(number));
    nodes.filter_map(|(number, node)| Some((number, row.of(number, node)?))).collect()
}

/// True if the saga has gone on behind a node; or the node lies where this row never comes to: around an item, or in one.
pub(super) fn is_behind(definition: &Definition, saga: &Saga, number: u16) -> bool {
    let row = Row::of_saga(definition, saga);
    number != ROOT && (definition.list_around(number) != row.list || row.is_behind(number))
}

struct Row<'a> {
    definition: &'a Definition,
    saga: &'a Saga,
    /// What it goes through: all steps; of an item the body of its for_each.
    list: u16,
}

impl<'a> Row<'a> {
    fn of_saga(definition: &'a Definition, saga: &'a Saga) -> Row<'a> {
        Row { definition, saga, list: definition.list_of(&saga.id) }
    }

    fn of(&self, number: u16, node: &Node) -> Option<Passed> {
        if self.is_in_reaction_that_did_not_begin(number) {
            return None;
        }
        match &node.verb {
            Verb::Do(_)
            | Verb::Refuse(_)
            | Verb::Sleep(_)
            | Verb::Approval(_)
            | Verb::Wait(_)
            | Verb::ForEach(_)
            | Verb::Run(_) => (!self.entered(number..node.end) && self.is_behind(number)).then_some(Passed::Skipped),
            Verb::Emit(_) if !self.is_behind(number) => None,
            Verb::Emit(_) if !self.may_be_left_out(number) && self.certainly_reached(number) => Some(Passed::Emitted),
            Verb::Emit(_) if self.is_on_another_way(number) => Some(Passed::Skipped),
            Verb::Emit(_) => Some(Passed::EmittedOrSkipped),
            Verb::Choice(arms) => {
                let taken = arms.iter().position(|arm| self.entered(arm.list..self.node(arm.list).end))?;
                Some(Passed::Arm(taken + 1))
            }
            Verb::Sequence(_) | Verb::Group | Verb::Parallel(_) | Verb::Claim(_) => None,
        }
    }

    /// What is only for a refusal that did not come is neither skipped nor passed by.
    fn is_in_reaction_that_did_not_begin(&self, number: u16) -> bool {
        let is_reaction = |list: &u16| matches!(self.node(*list).verb, Verb::Sequence(Role::Reaction));
        self.definition.around(number).filter(is_reaction).any(|list| !self.entered(list..self.node(list).end))
    }

    fn node(&self, number: u16) -> &Node {
        &self.definition.nodes[usize::from(number)]
    }

    /// Something in this range has an entry, or would have one if the saga were not paused.
    fn entered(&self, range: Range<u16>) -> bool {
        let postponed = self.saga.paused().map_or(&[][..], |paused| &paused.postponed);
        self.saga.entries.iter().any(|entry| range.contains(&entry.node)) || postponed.iter().any(|next| range.contains(&next.node))
    }

    /// True if the saga has gone on behind it: something later in its list was entered, or its list is behind the saga.
    fn is_behind(&self, number: u16) -> bool {
        let (node, list) = (self.node(number), self.node(number).parent);
        if self.entered(node.end..self.node(list).end) {
            return true;
        }
        if list == self.list {
            let is_postponed = self.saga.paused().is_some_and(|paused| paused.postponed.iter().any(|next| next.node == ROOT));
            let its_end = |entry: &Entry| entry.node == ROOT;
            return match self.saga.status {
                Status::Completed => true,
                Status::Running => is_postponed || self.saga.entries.iter().any(its_end),
                Status::Compensating | Status::Compensated | Status::Expected | Status::Swept => false,
            };
        }
        self.is_behind(self.node(list).parent)
    }

    /// True if a scope around it ended early, by a failure in it, and nothing says that the node was reached before that.
    fn may_be_left_out(&self, number: u16) -> bool {
        let (node, list) = (self.node(number), self.node(number).parent);
        let owner = self.node(list).parent;
        if list == self.list || self.entered(node.end..self.node(list).end) {
            return false;
        }
        let is_body = !matches!(self.node(list).verb, Verb::Sequence(Role::Reaction));
        let newest = self.saga.entries.iter().rfind(|entry| entry.node == owner).filter(|_| is_body && self.node(owner).is_scope);
        newest.is_some_and(|entry| !matches!(entry.work, Work::Done | Work::Open)) || self.may_be_left_out(owner)
    }

    /// No condition stands before a node that is behind the saga, or one that was true.
    fn certainly_reached(&self, number: u16) -> bool {
        let (node, list) = (self.node(number), self.node(number).parent);
        if node.condition.is_some() {
            return false;
        }
        if list == self.list || self.entered(list..self.node(list).end) {
            return true;
        }
        match self.node(list).verb {
            Verb::Sequence(Role::Root | Role::Body | Role::Branch) => self.certainly_reached(self.node(list).parent),
            Verb::Sequence(Role::Arm | Role::Reaction) => false,
            _ => unreachable!("nodes lie in lists"),
        }
    }

    /// True if it lies in an arm of a choice of which another one was taken.
    fn is_on_another_way(&self, number: u16) -> bool {
        let list = self.node(number).parent;
        let owner = self.node(list).parent;
        if list == self.list || self.entered(list..self.node(list).end) {
            return false;
        }
        let taken = |arm: &Arm| self.entered(arm.list..self.node(arm.list).end);
        let is_other = matches!(&self.node(owner).verb, Verb::Choice(arms) if arms.iter().any(taken));
        is_other && matches!(self.node(list).verb, Verb::Sequence(Role::Arm)) || self.is_on_another_way(owner)
    }
}
