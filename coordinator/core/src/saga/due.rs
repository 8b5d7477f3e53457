//! What is due: the saga's own deadline first, then its leaves in order.

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{FailureKind, Place, SagaEvent};
use ringmaster_schemas::state::{Waits, Work};

use super::code;
use super::decide::{Draft, failure};
use super::scope::Scope;
use crate::faults::mutated;

impl Draft<'_> {
    /// Everything of this saga that is due.
    pub(super) fn due(&mut self) {
        let saga = self.saga();
        let deadline = if mutated("deadline_in_undo") { saga.deadline_at.filter(|_| !saga.ended()) } else { saga.deadline() };
        if let Some(due_at) = deadline.filter(|due_at| *due_at <= self.now) {
            self.deadline(due_at);
        }
        let over = self.saga().early().iter().filter(|event| event.until <= self.now).count();
        if over > 0 && !mutated("early_events_kept_for_ever") {
            self.happen(SagaEvent::EventsExpired { count: over as u16 });
        }
        for place in 0..self.next_place() {
            // Where something is undone already, a turn can go back to here.
            let before = (self.undo_bytes > 0).then(|| (self.row.clone(), self.events.len()));
            self.put_off = false;
            self.leaf_due(place);
            // An undo that does not fit beside those of others would be forgotten: what it is for is due in the next turn.
            if let Some((row, events)) = before.filter(|_| self.put_off && !mutated("all_undone_in_one_turn")) {
                self.row = row;
                self.events.truncate(events);
                return;
            }
        }
    }

    fn leaf_due(&mut self, place: Place) {
        if self.clock(place).is_some_and(|at| at <= self.now) {
            self.time_is_over(place);
        }
        if self.entry(place).due_at() > self.now {
            return;
        }
        match self.entry(place).waits {
            Waits::Reply => self.not_answered(place),
            Waits::Retry => self.repeat(place),
            Waits::Time if self.is_paused() && !mutated("paused_sleeper_wakes") => {}
            Waits::Time => {
                let way = self.wakes(place);
                self.go(way);
            }
            // By its own work, which is no matter of time.
            Waits::Children => {}
            Waits::No | Waits::Stuck | Waits::Approval | Waits::Event | Waits::Parked | Waits::Paused => {
                unreachable!("it is never due")
            }
        }
    }

    /// When the time of a scope, an approval or a wait is over.
    fn clock(&self, place: Place) -> Option<Millis> {
        let entry = self.entry(place);
        if entry.work == Work::Done && mutated("within_fires_on_done_scope") {
            let node = &self.definition.nodes[usize::from(entry.node)];
            return node.within_ms.filter(|_| node.is_scope).map(|within| entry.since + within);
        }
        entry.clock()
    }

    /// The time of a scope, or of an approval, is over. Its clock stands while a person is needed.
    fn time_is_over(&mut self, place: Place) {
        if self.halted(place).is_some() || self.saga().held_since.is_some() {
            return;
        }
        match self.entry(place).waits {
            Waits::Approval => {
                let way = self.unanswered(place);
                return self.go(way);
            }
            Waits::Event => {
                let way = self.expired(place, self.not_in_time(place));
                return self.go(way);
            }
            _ => {}
        }
        let failure = self.failure_at(place, FailureKind::Expired, code::EXPIRED, "its time ran out");
        let way = self.stop(Scope::At(place), failure, false);
        self.go(way);
    }

    /// Behind the pivot the deadline is only noted.
    fn deadline(&mut self, due_at: Millis) {
        if self.saga().passed && !mutated("deadline_undoes_behind_pivot") {
            self.happen(SagaEvent::MarkedLate { due_at });
            return;
        }
        let step = self.open_step().unwrap_or_default();
        self.stop_all(failure(FailureKind::Deadline, code::DEADLINE, &step, "the saga's deadline ran out"));
    }
}
