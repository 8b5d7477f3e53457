//! A saga that a person paused: nothing of it begins and nothing is asked again until it is resumed. What comes is taken all the same,
//! and undo goes on.

use std::sync::Arc;

use ringmaster_schemas::journal::{Failure, Next, Place, RejectionReason, SagaEvent};
use ringmaster_schemas::names::{Direction, root_of};
use ringmaster_schemas::state::{Paused, Saga, Status, Waits, Work};

use super::Rejection;
use super::acts::{ActInput, not_possible};
use super::decide::{Above, Draft};
use super::flow::{Branch, Way};
use super::scope::{Scope, halted};
use crate::definition::{Definition, ROOT};
use crate::faults::mutated;

/// What begins when a paused saga is resumed, in order: not what lies in something that is undone since, or over.
pub fn postponed<'s>(definition: &'s Definition, saga: &'s Saga) -> impl Iterator<Item = Next> + 's {
    let all = saga.paused().map_or(&[][..], |paused| &paused.postponed);
    all.iter().filter(|next| to_come_in(definition, saga, next.node).is_some()).cloned()
}

/// What a node that was postponed lies in, if it may still begin: that goes forward.
fn to_come_in(definition: &Definition, saga: &Saga, node: u16) -> Option<Scope> {
    let scope = definition.nodes[usize::from(node)].scope;
    // In the row of an item nothing is around its body.
    let outermost = match definition.list_of(&saga.id) {
        ROOT => ROOT,
        list => definition.nodes[usize::from(list)].parent,
    };
    if node == ROOT || scope == outermost {
        return (saga.status == Status::Running).then_some(Scope::Root);
    }
    let place = saga.entries.iter().rposition(|entry| entry.node == scope)?;
    let is_open = saga.entries[place].work == Work::Open && halted(definition, saga, place as Place).is_none();
    (is_open || mutated("postponed_begins_in_what_is_over")).then_some(Scope::At(place as Place))
}

/// The nearest row above that a person paused.
pub(super) fn is_paused_above<'s>(above: &'s [Above<'_>]) -> Option<&'s Arc<str>> {
    let is_own = |paused: &Paused| !paused.is_with_above();
    above.iter().find(|above| above.saga.paused().is_some_and(is_own)).map(|above| &above.saga.id)
}

impl Draft<'_> {
    pub(super) fn is_paused(&self) -> bool {
        self.saga().paused().is_some()
    }

    /// What would begin does not, for now.
    pub(super) fn postpone(&mut self, node: u16, again: bool) -> Way {
        self.happen(SagaEvent::Postponed { next: Next { node, again } });
        Way::Rest
    }

    /// What would be asked again is not, for now.
    pub(super) fn withhold(&mut self, place: Place, failure: Option<Arc<Failure>>) -> bool {
        let is_withheld = self.is_paused() && self.direction(place) == Direction::Do && !mutated("paused_asks_again");
        if is_withheld {
            self.happen(SagaEvent::Withheld { place, failure });
        }
        is_withheld
    }

    /// The turn of what is parked has come while its saga is paused.
    pub(super) fn withhold_parked(&mut self, place: Place) -> bool {
        let entry = self.entry(place);
        let is_forward = matches!(entry.work, Work::Nothing | Work::Asked);
        let is_withheld = entry.waits == Waits::Parked && is_forward && self.is_paused() && !mutated("paused_lets_go");
        if is_withheld {
            self.happen(SagaEvent::Withheld { place, failure: None });
        }
        is_withheld
    }

    /// True if something is still to begin in a node: it was postponed, or is about to begin since the saga is resumed.
    pub(super) fn is_to_begin_in(&self, number: u16) -> bool {
        let nodes = number + 1..self.definition.nodes[usize::from(number)].end;
        let resumed = self.branches.iter().filter_map(|branch| match branch {
            Branch::Resumed { next, scope } if self.is_to_come(next, *scope) => Some(next.node),
            Branch::Resumed { .. } | Branch::Of { .. } => None,
        });
        let mut all = resumed.chain(postponed(self.definition, self.saga()).map(|next| next.node));
        all.any(|node| nodes.contains(&node)) && !mutated("join_forgets_postponed")
    }

    /// True if what was postponed lies in what it did when the saga was resumed. What began before it in that turn may have ended that:
    /// what has begun again since has begun without it.
    fn is_to_come(&self, next: &Next, scope: Scope) -> bool {
        let now = to_come_in(self.definition, self.saga(), next.node);
        now == Some(scope) || now.is_some() && mutated("postponed_begins_in_the_next_round")
    }

    /// What was postponed begins, unless what it lay in is over.
    pub(super) fn resumed(&self, next: &Next, scope: Scope) -> Way {
        match next {
            _ if !self.is_to_come(next, scope) => Way::Rest,
            Next { node: ROOT, .. } => Way::Ended(self.root),
            Next { node, again: true } => Way::Again(*node),
            Next { node, again: false } => Way::Enter(*node),
        }
    }

    pub(super) fn may_pause(&self) -> Result<(), Rejection> {
        match self.saga().status {
            Status::Completed | Status::Compensated => Err(Rejection::new(RejectionReason::Ended, "the saga has ended")),
            Status::Compensating => {
                Err(Rejection::new(RejectionReason::Undoing, "the saga undoes: that goes on, and is not paused"))
            }
            Status::Expected | Status::Swept => Err(Rejection::new(RejectionReason::UnknownSaga, "the saga has not begun")),
            Status::Running => Ok(()),
        }
    }

    pub(super) fn pause(&mut self, input: &ActInput) -> Result<(), Rejection> {
        self.may_pause()?;
        if let Some(paused) = self.saga().paused() {
            let already = match is_paused_above(self.above).filter(|_| paused.is_with_above()) {
                Some(above) => format!("it is paused already, with {above}"),
                None => format!("{} has paused it already: {}", paused.by, paused.why),
            };
            return Err(not_possible(&already));
        }
        if self.root != ROOT {
            return Err(not_possible(&format!("an item is not paused by itself: pause {}", root_of(self.id))));
        }
        // No name stands for what is paused with a saga above it.
        let by = if input.by.is_empty() { "?".into() } else { input.by.clone() };
        self.happen(SagaEvent::Paused { by, why: input.why.clone() });
        Ok(())
    }

    /// A row below a saga that a person paused is paused with it, and goes on with it: it sees to that itself, before it looks at what
    /// came. That it is told to comes later, so that its clocks stand from about then on. What fits into no record does not go on
    /// beside that (`may_go_on`): it is told to.
    pub(super) fn pause_with_above(&mut self, may_go_on: bool) {
        let runs = self.row.as_ref().is_some_and(|row| row.status == Status::Running);
        if self.above.is_empty() || !runs {
            return;
        }
        match (self.saga().paused(), is_paused_above(self.above)) {
            (None, Some(above)) if !mutated("items_not_paused") => {
                self.happen(SagaEvent::Paused { by: "".into(), why: above.clone() });
            }
            (Some(paused), None) if may_go_on && paused.is_with_above() && !mutated("items_not_resumed") => self.goes_on_again(),
            _ => {}
        }
    }

    pub(super) fn resume(&mut self) -> Result<(), Rejection> {
        self.may_pause()?;
        let Some(paused) = self.saga().paused() else { return Err(not_possible("it is not paused")) };
        if let Some(above) = is_paused_above(self.above) {
            return Err(not_possible(&match paused.is_with_above() {
                true => format!("it is paused with {above}: resume that"),
                false => format!("{above} above it is paused, too: resume that first"),
            }));
        }
        self.goes_on_again();
        Ok(())
    }

    /// What was withheld is asked again, and what was postponed begins.
    fn goes_on_again(&mut self) {
        let lies_in = |next: Next| Some(Branch::Resumed { scope: to_come_in(self.definition, self.saga(), next.node)?, next });
        let mut begin: Vec<Branch> = postponed(self.definition, self.saga()).filter_map(lies_in).collect();
        // The first is taken first.
        begin.reverse();
        self.happen(SagaEvent::Resumed {});
        if !mutated("postponed_forgotten") {
            self.branches = begin;
        }
        for place in 0..self.next_place() {
            if self.entry(place).waits == Waits::Paused && !mutated("withheld_forgotten") {
                self.asks_again(place);
            }
        }
        self.go(Way::Rest);
    }

    /// It goes out, or waits until its participant is asked again.
    fn asks_again(&mut self, place: Place) {
        let participant = self.parks(&self.step_at(place).asks.call.participant).filter(|_| !mutated("resumed_asks_the_parked"));
        match participant {
            Some(participant) => {
                self.happen(SagaEvent::Parked { place, direction: Direction::Do, participant, failure: None });
            }
            None => self.let_go(place),
        }
    }
}
