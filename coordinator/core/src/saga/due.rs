//! What is due: the saga's own deadline first, then its leaves in order.

use ringmaster_schemas::journal::{FailureKind, Phase, Place, SagaEvent};
use ringmaster_schemas::state::{Status, Waits};

use super::code;
use super::decide::{Draft, failure};
use crate::faults::mutated;

impl Draft<'_> {
    /// Everything of this saga that is due.
    pub(super) fn due(&mut self) {
        let saga = self.saga();
        let running = saga.status == Status::Running || mutated("deadline_in_undo");
        let deadline = saga.deadline_at.filter(|_| running && !saga.late && saga.held_since.is_none() && !saga.ended());
        if let Some(due_at) = deadline.filter(|due_at| *due_at <= self.now) {
            self.deadline(due_at);
        }
        for place in 0..self.next_place() {
            if self.entry(place).due_at() > self.now {
                continue;
            }
            match self.entry(place).waits {
                Waits::Reply => self.attempt_ended(place, code::TIMEOUT, "no reply within the attempt's time", true),
                Waits::Retry => self.repeat(place),
                Waits::No | Waits::Stuck => unreachable!("it is never due"),
            }
        }
    }

    /// Before the pivot is asked, the deadline undoes; from then on it is only noted: if the pivot is refused, all is undone anyway, and
    /// if it succeeds, it is too late to go back.
    fn deadline(&mut self, due_at: ringmaster_schemas::Millis) {
        let behind = |place: Place| {
            let step = self.definition.step(self.entry(place).node);
            step.is_some_and(|step| step.node.phase != Phase::Compensatable)
        };
        let too_late = self.saga().passed || (0..self.next_place()).any(behind);
        if too_late && !mutated("deadline_undoes_behind_pivot") {
            self.happen(SagaEvent::MarkedLate { due_at });
            return;
        }
        let step = self.open_step().unwrap_or_default();
        self.stop(failure(FailureKind::Deadline, code::DEADLINE, &step, "the saga's deadline ran out"));
    }
}
