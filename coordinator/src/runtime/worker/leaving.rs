//! How partitions leave a worker: in good order, or because they are another instance's.
//!
//! ```text
//! handed over: inputs are read no more -> what was begun is confirmed and delivered -> `released` is journaled -> checkpoint -> gone
//! fenced: another claim was found -> gone, and nothing of it is written
//! ```

use std::time::Duration;

use ringmaster_bus::{Bus, TopicPartition};
use ringmaster_core::faults::reached;
use ringmaster_core::partition::{Happened, StageName};
use ringmaster_schemas::Millis;

use super::hosted::Hosted;
use super::{Inner, until};
use crate::runtime::clock::Now;

/// Handing over takes at most this long; what is not finished then is found in the journal by whoever claims next.
const HAND_OVER_MAX_MS: Millis = 10_000;
/// While it hands over a worker looks this often whether it is done.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A partition that left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gone {
    /// It was handed over as was asked.
    HandedOver(i32),
    /// Another instance claimed it: who, and where its API listens.
    Fenced {
        /// Which partition.
        partition: i32,
        /// The other instance's name.
        owner: String,
        /// Where its API listens; empty if nowhere.
        address: String,
    },
}

/// How far a partition that is handed over has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaving {
    /// It leaves then in any case, by the steady clock.
    until: Millis,
    /// How far its effects were delivered is in the journal, or on its way there.
    released: bool,
}

impl Hosted {
    /// How long until something is due without anything happening.
    pub(super) fn idle(&self, now: Now) -> Duration {
        match self.leaving {
            None => self.partition.idle(now.wall, now.steady),
            Some(leaving) => LOOK_EVERY.min(until(leaving.until, now.steady)),
        }
    }
}

impl Inner {
    pub(super) fn is_leaving(&self, number: i32) -> bool {
        self.hosts.get(number).is_some_and(|hosted| hosted.leaving.is_some())
    }

    /// Begins to hand a partition over, if it is here and that has not begun. One that is followed has nothing to hand over.
    pub(super) fn begin_to_leave(&mut self, bus: &mut impl Bus, number: i32, now: Now) {
        if self.follows(number) {
            self.checkpoint(number, now);
            return self.let_go(bus, number);
        }
        let Some(hosted) = self.hosts.get_mut(number).filter(|hosted| hosted.leaving.is_none()) else { return };
        self.some_leave = true;
        hosted.leaving = Some(Leaving { until: now.steady + HAND_OVER_MAX_MS, released: false });
        (0..self.inputs.len()).for_each(|index| bus.stop(self.input_at(index, number)));
    }

    /// Lets those go that are done, or another's.
    pub(super) fn leave_when_done(&mut self, bus: &mut impl Bus, now: Now) {
        if !self.some_leave {
            return;
        }
        for number in self.hosts.numbers() {
            let is_fenced = self.hosts.get(number).is_some_and(|hosted| hosted.partition.stage() == StageName::Stopped);
            if is_fenced {
                self.let_go(bus, number);
            } else if self.is_done(bus, number, now) {
                reached("shutdown_half");
                self.checkpoint(number, now);
                self.let_go(bus, number);
                tracing::info!(partition = number, "handed over");
                self.gone.push(Gone::HandedOver(number));
            }
        }
        self.some_leave = self.hosts.iter().any(|one| one.leaving.is_some() || one.partition.stage() == StageName::Stopped);
    }

    /// True if nothing of a partition that is handed over is on its way any more, or that takes too long.
    fn is_done(&mut self, bus: &mut impl Bus, number: i32, now: Now) -> bool {
        let Some(Hosted { partition, leaving: Some(leaving), .. }) = self.hosts.get_mut(number) else { return false };
        if now.steady >= leaving.until || partition.stage() != StageName::Owning {
            return true;
        }
        if !partition.quiet() {
            return false;
        }
        if leaving.released {
            return true;
        }
        leaving.released = true;
        self.tell(number, now, Happened::Drained);
        self.execute(bus, now);
        false
    }

    /// Another instance has claimed a partition: nothing of it may be written or sent any more.
    pub(super) fn fenced(&mut self, partition: i32, owner: String, address: String) {
        tracing::warn!(partition, owner, address, "another instance claimed this partition: it is given up, the others go on");
        self.some_leave = true;
        self.gone.push(Gone::Fenced { partition, owner, address });
    }

    /// Hosts a partition no more; nothing of it is read from here on.
    pub(super) fn let_go(&mut self, bus: &mut impl Bus, number: i32) {
        let Some(hosted) = self.hosts.remove(number) else { return };
        if !hosted.partition.quiet() {
            reached("revoked_in_flight");
        }
        self.unsent.retain(|(of, _)| *of != number);
        let inputs: Vec<TopicPartition> = (0..self.inputs.len()).map(|index| self.input_at(index, number)).collect();
        bus.pause(&inputs, false);
        let journal = TopicPartition { topic: self.journal, partition: number };
        let snapshots = TopicPartition { topic: self.snapshots, partition: number };
        inputs.into_iter().chain([journal, snapshots]).for_each(|at| bus.stop(at));
    }
}
