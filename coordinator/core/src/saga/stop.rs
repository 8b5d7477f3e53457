//! Stopping: from here on a scope, or the saga, is undone. A failure, a cancel, the deadline and a `within` are nothing but this.

use std::sync::Arc;

use ringmaster_schemas::journal::{Failure, FailureKind, Phase, Place, RejectionReason, SagaEvent};
use ringmaster_schemas::state::{Status, Waits, Work};

use super::decide::{Draft, failure};
use super::flow::Way;
use super::scope::Scope;
use super::{Rejection, code};
use crate::definition::ROOT;
use crate::faults::mutated;

impl Draft<'_> {
    /// Nothing new begins in it. What waits to be asked again, or for a person, is given up; an attempt that is out is awaited up to
    /// its timeout, without retry: what it did is then known. Then what was done is undone. Afterwards a scope is refused, or failed.
    pub(super) fn stop(&mut self, scope: Scope, failure: Arc<Failure>, refused: bool) -> Way {
        let inside: Vec<Place> = match scope {
            Scope::Root => {
                self.happen(SagaEvent::CompensationBegan { failure: failure.clone() });
                (0..self.next_place()).collect()
            }
            Scope::At(place) => {
                self.happen(SagaEvent::ScopeStopped { place, refused, failure: failure.clone() });
                self.below(place).collect()
            }
        };
        for place in inside {
            self.give_up_on(place, &failure);
        }
        Way::Unwind(scope)
    }

    fn give_up_on(&mut self, place: Place, failure: &Arc<Failure>) {
        let entry = self.entry(place);
        let out = entry.waits == Waits::Reply && !mutated("open_attempt_not_awaited");
        let is_given_up = || self.definition.nodes[usize::from(entry.node)].phase == Phase::Compensatable && !out;
        match (entry.work, entry.waits) {
            (Work::Asked, Waits::Reply | Waits::Retry | Waits::Stuck | Waits::Parked | Waits::Paused) if is_given_up() => {
                self.happen(SagaEvent::Failed { place, failure: failure.clone() });
            }
            (Work::Nothing, Waits::Parked) if mutated("parked_left_open_on_stop") => {}
            (Work::Nothing, Waits::Time | Waits::Approval | Waits::Event | Waits::Parked | Waits::Paused)
                if !mutated("wait_left_open_on_stop") =>
            {
                self.happen(SagaEvent::Closed { place });
            }
            (Work::Open, Waits::Children) => {
                self.happen(SagaEvent::ScopeStopped { place, refused: false, failure: failure.clone() });
            }
            // Its time is no matter any more, nor is its reaction: it is undone with what is around it.
            (Work::Open, _) | (Work::Refused | Work::Failed | Work::Undone, Waits::Stuck) => {
                self.happen(SagaEvent::Closed { place })
            }
            _ => {}
        }
    }

    /// A cancel: what was done is undone, if the saga can still go back.
    pub(super) fn cancel(&mut self, why: &str) -> Result<(), Rejection> {
        if let Some(above) = self.above.last() {
            let (what, it) = if self.root == ROOT { ("a sub-saga", "it") } else { ("an item", "the item") };
            let detail = format!("{what} is not cancelled by itself: cancel {}, or let {it} be refused", above.saga.id);
            return Err(Rejection::new(RejectionReason::NotPossible, detail));
        }
        let (reason, detail) = match self.saga().status {
            Status::Completed | Status::Compensated => (RejectionReason::Ended, "the saga has ended"),
            Status::Compensating => (RejectionReason::Undoing, "the saga undoes already"),
            Status::Expected | Status::Swept => (RejectionReason::UnknownSaga, "the saga has not begun"),
            Status::Running if self.saga().passed && !mutated("cancel_behind_pivot") => {
                (RejectionReason::BehindPivot, "the saga is behind its pivot: nothing can be undone any more")
            }
            Status::Running if self.saga().remembered_stop().is_some() => {
                (RejectionReason::Undoing, "a stop is remembered already, for the case that the pivot is refused")
            }
            Status::Running => {
                let step = self.open_step().unwrap_or_default();
                self.stop_all(failure(FailureKind::Cancelled, code::CANCELLED, &step, why));
                return Ok(());
            }
        };
        Err(Rejection::new(reason, detail))
    }

    /// While the pivot is in flight a stop is remembered: if the pivot is refused all is undone, and if it succeeds, it is too late to
    /// go back.
    pub(super) fn stop_all(&mut self, failure: Arc<Failure>) {
        let in_flight = |place: Place| self.is_pivot(place) && self.is_in_flight(place);
        if (0..self.next_place()).any(in_flight) && !mutated("cancel_while_pivot_in_flight") {
            self.happen(SagaEvent::StopRemembered { failure });
            return;
        }
        let way = self.stop(Scope::Root, failure, false);
        self.go(way);
    }

    /// True if a command is out, or a sub-saga is under way: whether it can still go back it knows itself.
    fn is_in_flight(&self, place: Place) -> bool {
        let entry = self.entry(place);
        let runs = || entry.work == Work::Open && entry.children().is_some_and(|rows| rows.child(0).is_some());
        entry.work == Work::Asked || (runs() && !mutated("run_with_pivot_stopped_without_asking"))
    }

    /// The saga above remembers a stop. Behind the pivot that is told already.
    pub(super) fn stop_asked(&mut self, failure: &Arc<Failure>) {
        let saga = self.saga();
        if saga.status == Status::Running && !saga.passed && saga.remembered_stop().is_none() {
            self.stop_all(failure.clone());
        }
    }

    /// The name of the step that is under way.
    pub(super) fn open_step(&self) -> Option<Arc<str>> {
        let place: Place = self.open_place()?;
        self.definition.node(self.entry(place).node).map(|node| node.name.clone())
    }
}
