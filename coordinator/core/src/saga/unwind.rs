//! Undoing: exactly what was done or may have been done, in the mirror of the tree: sequences backward, branches side by side. Each
//! undo has its own long budget.

use std::ops::Range;

use ringmaster_schemas::journal::{FailureKind, OrderFields, Place, SagaEvent};
use ringmaster_schemas::state::{Entry, Work};

use super::decide::{Draft, failure};
use super::flow::Way;
use super::scope::Scope;
use super::{COMMAND_BYTES_MAX, code};
use crate::definition::{Definition, ROOT, Undo, Verb};
use crate::faults::mutated;

impl Draft<'_> {
    /// Walks a scope's entries from the last to the first: what waits blocks, what was done or may have been done is undone, everything
    /// else is clean. The scope's end if all are. Called again after every end inside it; doing it twice changes nothing.
    pub(super) fn unwind(&mut self, scope: Scope) -> Way {
        match scope {
            Scope::Root => {
                let nodes = self.root..self.definition.nodes[usize::from(self.root)].end;
                if self.undoing() && self.clean_list(self.root, nodes, 0, self.next_place()) {
                    self.compensated();
                }
                Way::Rest
            }
            Scope::At(place) => {
                let is_over = self.entry(place).work != Work::Undoing;
                if is_over || !(self.is_clean(place) || mutated("composite_reacts_before_clean")) {
                    return Way::Rest;
                }
                if self.entry(place).children().is_some_and(|rows| rows.was_done) {
                    self.happen(SagaEvent::Undone { place });
                    return Way::Settled(place);
                }
                let failure = self.entry(place).failure().expect("it was stopped for a reason").clone();
                if self.entry(place).course().is_some_and(|course| course.refused) {
                    self.happen(SagaEvent::Refused { place, failure });
                } else {
                    self.happen(SagaEvent::Failed { place, failure });
                }
                Way::Settled(place)
            }
        }
    }

    /// True if all is clean that these nodes entered from one place to another, below the node `around`. What was entered in a scope is
    /// taken with the whole scope.
    fn clean_list(&mut self, around: u16, nodes: Range<u16>, from: Place, to: Place) -> bool {
        if mutated("undo_in_order_of_do") {
            return (from..to).all(|place| !nodes.contains(&self.entry(place).node) || self.clean_leaf(place));
        }
        let mut place = to;
        while place > from {
            place -= 1;
            let node = self.entry(place).node;
            if !nodes.contains(&node) {
                continue;
            }
            let Some(scope) = self.outermost_scope(around, node) else {
                if !self.clean_leaf(place) {
                    return false;
                }
                continue;
            };
            let entries = &self.saga().entries[usize::from(from)..=usize::from(place)];
            let at = from + entries.iter().rposition(|entry| entry.node == scope).expect("a scope is entered first") as Place;
            if !self.clean_inside(at, place + 1) {
                return false;
            }
            if self.entry(at).work == Work::Undoing && mutated("inner_scope_reacts_while_root_stops") {
                let Way::Settled(at) = self.unwind(Scope::At(at)) else { return false };
                let way = self.react_to(at);
                self.go(way);
                return false;
            }
            // Its own reaction is not asked any more.
            if matches!(self.entry(at).work, Work::Open | Work::Undoing) {
                self.happen(SagaEvent::Closed { place: at });
            }
            place = at;
        }
        true
    }

    /// The outermost scope that a node is, or lies in, below another node.
    fn outermost_scope(&self, around: u16, node: u16) -> Option<u16> {
        let inside = std::iter::once(node).chain(self.definition.around(node)).take_while(|node| *node != around);
        inside.filter(|node| self.definition.nodes[usize::from(*node)].is_scope).last()
    }

    /// True if all is clean that was entered in the scope at a place. Branches are walked each for itself; what a reaction of the scope
    /// did came behind them.
    fn clean_inside(&mut self, at: Place, to: Place) -> bool {
        let number = self.entry(at).node;
        let node = &self.definition.nodes[usize::from(number)];
        let Verb::Parallel(count) = node.verb else { return self.clean_list(number, number + 1..node.end, at + 1, to) };
        let branches: Vec<u16> = self.definition.lists(number).take(usize::from(count)).collect();
        let end = |list: u16| self.definition.nodes[usize::from(list)].end;
        let behind = branches.last().map_or(number + 1, |list| end(*list));
        if !self.clean_list(number, behind..node.end, at + 1, to) {
            return false;
        }
        let mut is_clean = true;
        for list in branches {
            let nodes = list..end(list);
            is_clean &= self.clean_list(number, nodes, at + 1, to);
            if !is_clean && mutated("parallel_undone_one_by_one") {
                return false;
            }
        }
        is_clean
    }

    /// True if nothing is left of what was done in a scope, or by the items of a for_each.
    fn is_clean(&mut self, place: Place) -> bool {
        match self.entry(place).children() {
            Some(rows) => rows.is_clean(),
            None => self.clean_inside(place, self.end_of(place)),
        }
    }

    fn clean_leaf(&mut self, place: Place) -> bool {
        let entry = self.entry(place);
        if entry.children().is_some() {
            return self.clean_items(place);
        }
        if entry.open() && !(entry.work == Work::Asked && mutated("open_attempt_forgotten_on_stop")) {
            return false;
        }
        let to_undo = to_undo(self.definition, entry);
        if to_undo {
            self.undo(place);
        }
        !to_undo
    }

    /// The first attempt of an undo, or it waits until its participant is asked again.
    pub(super) fn undo(&mut self, place: Place) {
        let Undo::Command { call, .. } = &self.step_at(place).asks.undo else { unreachable!("only what has an undo is undone") };
        if !self.park_undo(place, &call.participant) {
            self.undo_now(place);
        }
    }

    pub(super) fn undo_now(&mut self, place: Place) {
        let step = self.step_at(place);
        let Undo::Command { call, timeout_ms, within_ms, .. } = &step.asks.undo else {
            unreachable!("only what has an undo is undone");
        };
        let own = call.body.as_ref().map(|body| {
            let buffer = self.buffer();
            self.render_body(self.view_of_undo(place), body, buffer)
        });
        let own = match own.transpose() {
            Ok(Some(_)) if mutated("undo_has_the_body_of_its_do") => None,
            Ok(Some(body)) if body.len() > COMMAND_BYTES_MAX => {
                let message = format!("its command takes {} bytes; the limit is {COMMAND_BYTES_MAX}", body.len());
                return self.stuck(place, FailureKind::Error, code::DATA_TOO_BIG, &message);
            }
            Ok(body) => body,
            Err(error) => return self.stuck(place, FailureKind::Error, error.code, &error.to_string()),
        };
        let entry = self.entry(place).clone();
        let asked = entry.order.as_ref().expect("what is undone was asked").fields();
        // The do's own bytes stay in the do's encoding, also if the participant's setting has changed since.
        let (encoding, body) = match &own {
            Some(body) => (call.encoding, &body[..]),
            None => (asked.encoding, entry.body()),
        };
        // Branches are undone side by side, and what one turn sends must fit into a record: the rest follows when one of these ends.
        if self.undo_bytes > 0 && self.undo_bytes + body.len() > COMMAND_BYTES_MAX {
            self.put_off = true;
            return own.into_iter().for_each(|own| self.give_back(own));
        }
        self.undo_bytes += body.len();
        let until = self.now.saturating_add(*within_ms);
        let first_time = if mutated("undo_has_its_own_first_time") { self.now } else { asked.first_time };
        let fields = OrderFields {
            step: "",
            command: &call.command,
            encoding,
            envelope: call.envelope,
            first_time,
            until,
            keep: false,
            body,
        };
        let order = self.order(&step.node.name, entry.round, &fields);
        own.into_iter().for_each(|own| self.give_back(own));
        self.happen(SagaEvent::UndoIssued { place, order, due_at: until.min(self.now + timeout_ms) });
    }

    fn compensated(&mut self) {
        let emits = if self.root == ROOT { &self.definition.on_compensated[..] } else { &[] };
        match self.render("compensated", emits) {
            Ok((emissions, expires_at)) => self.happen(SagaEvent::Compensated { emissions, expires_at }),
            Err(error) => {
                let failure = failure(FailureKind::Error, error.code, &"on_compensated".into(), &error.to_string());
                self.enter_stuck(ROOT, failure);
            }
        }
    }
}

/// True if the entry was done, or may have been, and something undoes it.
fn to_undo(definition: &Definition, entry: &Entry) -> bool {
    let undo = definition.step(entry.node).map(|step| &step.asks.undo);
    let done = match entry.work {
        Work::Failed => !mutated("undo_only_what_succeeded"),
        Work::Refused => mutated("undo_a_refused_step"),
        Work::Done => true,
        Work::Closed => mutated("parked_step_undone"),
        Work::Nothing | Work::Asked | Work::UndoAsked | Work::Undone | Work::Open | Work::Undoing => false,
    };
    done && matches!(undo, Some(Undo::Command { .. }))
}
