//! How partitions come to a worker, and are asked to leave.

use ringmaster_bus::Bus;
use ringmaster_core::partition::{Happened, Partition, StageName};

use super::{Gone, Inner, Stop, Worker};
use crate::runtime::clock::Now;

impl<B: Bus> Worker<B> {
    /// Hosts one more partition from now on; it claims at the next turn. One that is followed here is claimed from what is known of it.
    /// Otherwise it must not be hosted already, and be of the setup that the worker was made of, or of later news.
    pub fn assign(&mut self, partition: Partition) {
        let number = partition.number();
        if self.inner.follows(number) {
            self.inner.hosts.get_mut(number).expect("it is hosted").ready = true;
        } else {
            self.inner.host(partition);
        }
    }

    /// Follows a partition that another instance owns, until it is assigned or revoked. It must not be hosted already.
    pub fn follow(&mut self, partition: Partition, now: Now) {
        let number = partition.number();
        self.inner.host(partition);
        self.inner.hosts.get_mut(number).expect("it was just taken in").ready = false;
        self.inner.tell(number, now, Happened::Followed);
    }

    /// Hosts a partition no more, between two turns. What is confirmed is written; what is on its way is left to the journal: whoever
    /// claims next finds there what of it counts, and sends what was not delivered.
    pub fn revoke(&mut self, number: i32, now: Now) -> Result<(), Stop> {
        self.inner.checkpoint(number, now);
        self.inner.let_go(&mut self.bus, number);
        self.inner.stop.take().map_or(Ok(()), Err)
    }

    /// Begins to hand a partition over: its inputs are read no more, and what was begun is confirmed, delivered and written in the turns
    /// that follow. [`Worker::take_gone`] tells when it has left.
    pub fn hand_over(&mut self, number: i32, now: Now) {
        self.inner.begin_to_leave(&mut self.bus, number, now);
    }

    /// The same for all that it hosts: an orderly end. [`Worker::is_empty`] tells when that is reached.
    pub fn hand_over_all(&mut self, now: Now) {
        for number in self.inner.hosts.numbers() {
            self.hand_over(number, now);
        }
    }

    /// True if it hosts nothing.
    pub fn is_empty(&self) -> bool {
        self.inner.hosts.len() == 0
    }

    /// Partitions that left by themselves since this was asked last, and why.
    pub fn take_gone(&mut self) -> Vec<Gone> {
        std::mem::take(&mut self.inner.gone)
    }
}

impl Inner {
    fn host(&mut self, mut partition: Partition) {
        partition.add_inputs(&self.learned);
        self.hosts.insert(partition);
    }

    /// True if it is followed here, and not to be claimed.
    pub(super) fn follows(&self, number: i32) -> bool {
        self.hosts.get(number).is_some_and(|hosted| hosted.partition.stage() == StageName::Following && !hosted.ready)
    }
}
