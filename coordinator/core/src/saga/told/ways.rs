//! Which way led to what happened: the choices around it, and those before it that left no trace.

use super::{Teller, Told};
use crate::definition::{Node, ROOT, Role, Verb};

impl Teller<'_> {
    /// Tells the choices on the way to a node, and those before it that were left by an empty arm.
    pub(super) fn comes_to(&mut self, node: u16, out: &mut Vec<Told>) {
        let ways = self.empty_ways_before(node).into_iter().chain(self.ways_to(node)).collect();
        self.takes(ways, out);
    }

    /// All of its list is behind the row.
    pub(super) fn comes_to_end(&mut self, out: &mut Vec<Told>) {
        let ways = self.empty_ways_before(self.node(self.list).map_or(ROOT, |list| list.end));
        self.takes(ways, out);
    }

    fn takes(&mut self, ways: Vec<(u16, usize)>, out: &mut Vec<Told>) {
        for (choice, arm) in ways {
            if self.choices.contains_key(&choice) {
                continue;
            }
            self.choices.insert(choice, Some(arm));
            let (name, count) = (self.name_of(choice), self.arms_of(choice));
            let is_else = if arm + 1 == count { ", else" } else { "" };
            let text = format!("{name} takes arm {} of {count}{is_else}", arm + 1);
            out.push(Told { event: "arm_taken", step: Some(name), text });
        }
    }

    fn arms_of(&self, choice: u16) -> usize {
        self.node(choice).map_or(0, |node| if let Verb::Choice(arms) = &node.verb { arms.len() } else { 0 })
    }

    /// The choices around a node in its row's list, from the outermost, each with the arm that the node lies in.
    pub(super) fn ways_to(&self, mut node: u16) -> Vec<(u16, usize)> {
        let mut ways = Vec::new();
        while node != ROOT
            && let Some(list) = self.node(node).map(|node| node.parent).filter(|list| *list != self.list)
            && let Some(owner) = self.node(list).map(|list| list.parent)
        {
            if let Some(Verb::Choice(arms)) = self.node(owner).map(|owner| &owner.verb) {
                ways.extend(arms.iter().position(|arm| arm.list == list).map(|arm| (owner, arm)));
            }
            node = owner;
        }
        ways.reverse();
        ways
    }

    /// Choices before a node that were gone through and left no trace: only the last arm may be empty.
    fn empty_ways_before(&self, node: u16) -> Vec<(u16, usize)> {
        let Some(definition) = self.definition else { return Vec::new() };
        let last_is_empty = |(choice, found): (u16, &Node)| match &found.verb {
            Verb::Choice(arms) => {
                let list = arms.last()?.list;
                let is_empty = definition.node(list)?.end == list + 1;
                let is_own = definition.list_around(choice) == self.list;
                (is_own && found.end <= node && is_empty && self.was_reached(choice)).then_some((choice, arms.len() - 1))
            }
            _ => None,
        };
        (0..).zip(&definition.nodes).filter_map(last_is_empty).collect()
    }

    /// True unless it, or what it lies in, was skipped or passed by.
    fn was_reached(&self, number: u16) -> bool {
        let Some(node) = self.node(number) else { return false };
        let Some(list) = self.node(node.parent) else { return false };
        if self.skipped.contains(&number) {
            return false;
        }
        if node.parent == self.list {
            return true;
        }
        match list.verb {
            Verb::Sequence(Role::Root) => true,
            Verb::Sequence(Role::Body | Role::Branch) => self.was_reached(list.parent),
            // It is told by what happens in it.
            Verb::Sequence(Role::Reaction) => false,
            Verb::Sequence(Role::Arm) => {
                self.ways_to(number).last().is_some_and(|(choice, arm)| self.choices.get(choice) == Some(&Some(*arm)))
            }
            _ => unreachable!("nodes lie in lists"),
        }
    }
}
