//! What follows when something was refused or failed: its reaction, by its code. It left nothing behind by then.

use std::sync::Arc;

use ringmaster_schemas::journal::{Failure, FailureKind, Phase, Place, SagaEvent};
use ringmaster_schemas::state::Work;

use super::decide::Draft;
use super::flow::Way;
use super::scope::Scope;
use crate::definition::{Definition, Next, On, Reaction, Undo, Verb};
use crate::faults::mutated;

impl Draft<'_> {
    /// The reaction to an entry's end. What may have been done is undone alone before anything but an undo of the whole follows.
    pub(super) fn react_to(&mut self, place: Place) -> Way {
        let (failure, refused) = self.cause_of(place);
        if self.is_pivot(place)
            && let Some(remembered) = self.saga().remembered_stop().cloned()
            && !mutated("remembered_stop_forgotten_on_refusal")
        {
            return self.stop(Scope::Root, remembered, false);
        }
        let reaction = self.reaction(place, &failure, refused);
        if reaction == Reaction::Undo {
            return self.stop(self.scope_of(place), failure, refused);
        }
        let is_unknown = self.entry(place).work == Work::Failed && !mutated("unknown_not_undone_before_reaction");
        let undo = self.definition.step(self.entry(place).node).map(|step| &step.asks.undo);
        if is_unknown && matches!(undo, Some(Undo::Command { .. })) {
            self.undo(place);
            return Way::Rest;
        }
        match reaction {
            Reaction::Undo => unreachable!("it was looked at"),
            Reaction::GoOn => {
                let node = self.entry(place).node;
                let passes = self.definition.nodes[usize::from(node)].passes;
                self.happen(SagaEvent::WentOn { place, passes });
                Way::Behind(node)
            }
            Reaction::Stuck => {
                self.happen(SagaEvent::Stuck { place, failure });
                Way::Rest
            }
            Reaction::Steps { list, .. } => {
                self.happen(SagaEvent::ReactionBegan { place, list });
                Way::Into(list)
            }
        }
    }

    /// Why an entry ended without success, and whether it was refused; else it failed.
    pub(super) fn cause_of(&self, place: Place) -> (Arc<Failure>, bool) {
        let entry = self.entry(place);
        let cause = entry.cause().expect("what did not end well says why").clone();
        (cause, entry.work == Work::Refused || entry.course().is_some_and(|course| course.refused))
    }

    /// The first that is for this code and not used up, else what is by default.
    fn reaction(&self, place: Place, failure: &Failure, refused: bool) -> Reaction {
        let node = &self.definition.nodes[usize::from(self.entry(place).node)];
        let by_default = match node.phase {
            Phase::Compensatable | Phase::Pivot => Reaction::Undo,
            Phase::Retriable if mutated("refusal_behind_pivot_undoes") => Reaction::Undo,
            Phase::Retriable => Reaction::Stuck,
        };
        // What a definition could not foresee passes all that it foresees.
        if !matches!(failure.kind, FailureKind::Refused | FailureKind::Failed | FailureKind::Expired) {
            return by_default;
        }
        let fits = |on: &&On| on.code.as_deref().is_none_or(|code| *code == *failure.code) && !self.is_used_up(place, on.reaction);
        let reactions = if refused { &node.on_refused } else { &node.on_failed };
        reactions.iter().find(fits).map_or(by_default, |on| on.reaction)
    }

    /// True if a retry was tried as often as it may be, in this entry of the scope around.
    fn is_used_up(&self, place: Place, reaction: Reaction) -> bool {
        let Reaction::Steps { list, next: Next::Retry, at_most } = reaction else { return false };
        let since = match self.scope_of(place) {
            Scope::Root => 0,
            Scope::At(scope) => scope,
        };
        let began = |earlier: &Place| self.entry(*earlier).reaction() == Some(list);
        let used = (since..place).filter(began).count();
        used >= usize::from(at_most) && !mutated("at_most_ignored")
    }

    /// True if an entry is the pivot's, or that of what stands in its stead.
    pub(super) fn is_pivot(&self, place: Place) -> bool {
        is_pivot(self.definition, self.entry(place).node)
    }
}

/// True if a node is the pivot, or a run of the saga that holds it: not what is around it.
pub(super) fn is_pivot(definition: &Definition, node: u16) -> bool {
    let node = &definition.nodes[usize::from(node)];
    node.phase == Phase::Pivot && matches!(node.verb, Verb::Do(_) | Verb::Run(_))
}
