//! Which partitions a process is to have, as a group of processes agrees on.
//!
//! ```text
//! Given -> claim them -> ... -> Taken: finish them -> give_back -> another member is given them
//!                               Lost: another member may have them already
//! ```
//!
//! A group is a hint only: it says who should claim a partition of the journal, and the claim says who owns it.

use std::sync::Arc;
use std::time::Duration;

use crate::signal::Signal;
use crate::{BusError, Waker};

/// What a group says to a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Granted {
    /// These too are its own from now on. There may be none: that it is a member is worth knowing.
    Given(Vec<i32>),
    /// These are to be another's as soon as [`Membership::give_back`] has been called with them, which must be soon.
    Taken(Vec<i32>),
    /// These are its own no more, and may be another's already. They are to be given back too.
    Lost(Vec<i32>),
    /// It is no member and will be none.
    Refused(BusError),
}

/// A member of a group.
pub trait Membership: Send {
    /// The next thing that the group says, for which it waits at most so long.
    fn poll(&mut self, wait: Duration) -> Option<Granted>;

    /// Nothing more is done with these, which [`Granted::Taken`] or [`Granted::Lost`] named.
    fn give_back(&mut self, partitions: &[i32]);

    /// Leaves the group, so that others are given at once what this one had. Returns when that is done, or cannot be.
    fn leave(self: Box<Self>);

    /// Ends a waiting [`Membership::poll`] from another thread.
    fn waker(&self) -> Waker;
}

/// The only member: of a bus that no other process can use.
pub struct Alone {
    partitions: Option<Vec<i32>>,
    signal: Arc<Signal>,
}

impl Alone {
    /// It is given so many partitions, all there are.
    pub fn new(partitions: i32) -> Self {
        Alone { partitions: Some((0..partitions).collect()), signal: Arc::default() }
    }
}

impl Membership for Alone {
    fn poll(&mut self, wait: Duration) -> Option<Granted> {
        if let Some(all) = self.partitions.take() {
            return Some(Granted::Given(all));
        }
        self.signal.lower();
        if !self.signal.take_woken() {
            self.signal.wait(wait);
        }
        None
    }

    fn give_back(&mut self, _: &[i32]) {}

    fn leave(self: Box<Self>) {}

    fn waker(&self) -> Waker {
        let signal = Arc::clone(&self.signal);
        Arc::new(move || signal.wake())
    }
}
