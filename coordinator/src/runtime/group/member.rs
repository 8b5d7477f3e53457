//! The thread that is the instance's member of the group.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ringmaster_bus::{Granted, Membership, Waker};

use super::standby::Wanted;
use super::{Order, Shares};
use crate::runtime::clock::now;
use crate::runtime::status::Status;
use crate::runtime::worker::{Gone, Stop};

/// How long it waits for the group when nothing is due.
const WAIT_MAX: Duration = Duration::from_millis(100);

/// What one worker is to do, in order.
#[derive(Default)]
pub(in crate::runtime) struct Orders(Mutex<Vec<Order>>);

impl Orders {
    fn put(&self, order: Order) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(order);
    }

    pub(in crate::runtime) fn take(&self) -> Vec<Order> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A partition left a worker, of this hosting.
pub(in crate::runtime) type Left = (Gone, u64);

/// How a worker says what left it.
pub(in crate::runtime) struct Says {
    left: Sender<Left>,
    wake: Waker,
}

impl Says {
    pub(in crate::runtime) fn left(&self, left: Left) {
        // Nobody listens any more at the end.
        let _ = self.left.send(left);
        (self.wake)();
    }
}

/// The instance's member, and the workers that host for it.
pub(in crate::runtime) struct Team {
    member: Box<dyn Membership>,
    shares: Shares,
    workers: Vec<(Arc<Orders>, Waker)>,
    says: Sender<Left>,
    left: Receiver<Left>,
    status: Arc<Status>,
    /// What of others is to be followed.
    wanted: Wanted,
}

impl Team {
    pub(in crate::runtime) fn new(member: Box<dyn Membership>, workers: Vec<(Arc<Orders>, Waker)>, status: Arc<Status>) -> Team {
        let (says, left) = channel();
        let (shares, wanted) = (Shares::new(workers.len()), Wanted::default());
        Team { member, shares, workers, says, left, status, wanted }
    }

    /// Where it is told what of others is to be followed.
    pub(in crate::runtime) fn wanted(&self) -> Wanted {
        self.wanted.clone()
    }

    /// For a worker.
    pub(in crate::runtime) fn says(&self) -> Says {
        Says { left: self.says.clone(), wake: self.member.waker() }
    }

    /// Ends a wait.
    pub(in crate::runtime) fn waker(&self) -> Waker {
        self.member.waker()
    }

    /// Until all workers have ended. While they end in good order nothing is given to them, and what the group takes meanwhile it has
    /// when this one leaves.
    pub(in crate::runtime) fn run(mut self, stopping: &AtomicBool, ended: &AtomicBool) -> Result<(), Stop> {
        while !ended.load(Ordering::SeqCst) {
            let granted = self.member.poll(WAIT_MAX);
            if stopping.load(Ordering::SeqCst) {
                // Also that it is no member any more: it was about to be none.
                continue;
            }
            if let Some(Granted::Refused(why)) = granted {
                return Err(Stop::Group(why.to_string()));
            }
            self.turn(granted.as_ref());
        }
        self.member.leave();
        Ok(())
    }

    fn turn(&mut self, granted: Option<&Granted>) {
        let mut orders = Vec::new();
        if let Some(granted) = granted {
            say(granted);
            orders.extend(self.shares.granted(granted));
            self.status.given(self.shares.given());
        }
        let now = now().steady;
        for (gone, hosting) in self.left.try_iter() {
            orders.extend(self.shares.gone(&gone, hosting, now));
        }
        orders.extend(self.shares.due(now));
        if let Some(wanted) = self.wanted.lock().unwrap_or_else(PoisonError::into_inner).take() {
            orders.extend(self.shares.follow(&wanted));
        }
        for order in orders {
            match order {
                Order::GiveBack(partitions) => self.member.give_back(&partitions),
                Order::Host { worker, .. }
                | Order::HandOver { worker, .. }
                | Order::Drop { worker, .. }
                | Order::Follow { worker, .. }
                | Order::Unfollow { worker, .. } => {
                    let (orders, wake) = &self.workers[worker];
                    orders.put(order);
                    wake();
                }
            }
        }
    }
}

fn say(granted: &Granted) {
    match granted {
        Granted::Given(partitions) => tracing::info!(?partitions, "the group gives these partitions to this instance"),
        Granted::Taken(partitions) if partitions.is_empty() => {}
        Granted::Taken(partitions) => tracing::info!(?partitions, "handing over: the group gives these partitions to others"),
        Granted::Lost(partitions) => {
            tracing::warn!(
                ?partitions,
                "the group counts this instance out: it was silent for too long, or cut off; it joins again"
            );
        }
        Granted::Refused(_) => {}
    }
}
