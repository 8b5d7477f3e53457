//! What becomes of orders since a moment at which something was done: which of them it hit, and when work went on behind it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use ringmaster_bus::clock;
use ringmaster_demo::orders::{self, Outcome};
use ringmaster_schemas::names::partition_of;

use crate::live::{PARTITIONS, RUN};

/// A moment, and what was seen since then.
#[derive(Debug, Clone)]
pub struct Mark {
    at: Instant,
    at_ms: i64,
    /// Under way at that moment: in the log, and without an outcome that was written before.
    under_way: BTreeSet<u64>,
    /// Orders from this one on were placed behind it.
    next: u64,
    /// By partition: when the first outcome was seen that was written behind it.
    first: BTreeMap<i32, Duration>,
    /// By partition: when the first order that was placed behind it, and that needs every service, had its outcome.
    moved: BTreeMap<i32, Duration>,
}

/// The partition of an order, and of its saga.
fn home(number: u64) -> i32 {
    partition_of(orders::key(RUN, number).as_bytes(), PARTITIONS)
}

/// How many of these orders are of these partitions.
pub(super) fn count(numbers: &BTreeSet<u64>, partitions: &BTreeSet<i32>) -> usize {
    numbers.iter().filter(|number| partitions.contains(&home(**number))).count()
}

impl Mark {
    pub(super) fn new(under_way: BTreeSet<u64>, next: u64) -> Mark {
        let (at, at_ms) = (Instant::now(), clock::now().wall);
        Mark { at, at_ms, under_way, next, first: BTreeMap::new(), moved: BTreeMap::new() }
    }

    /// Takes an outcome that was written at this time.
    pub(super) fn take(&mut self, number: u64, written_ms: i64) {
        if written_ms <= self.at_ms {
            self.under_way.remove(&number);
            return;
        }
        let (since, partition) = (self.at.elapsed(), home(number));
        self.first.entry(partition).or_insert(since);
        if number >= self.next && orders::outcome(number) == Outcome::Fulfilled {
            self.moved.entry(partition).or_insert(since);
        }
    }

    /// How long ago that is.
    pub fn elapsed(&self) -> Duration {
        self.at.elapsed()
    }

    /// How many orders of these partitions were under way.
    pub fn under_way(&self, partitions: &BTreeSet<i32>) -> usize {
        count(&self.under_way, partitions)
    }

    /// When the first order of one of these partitions ended behind it; none if none has yet.
    pub fn first(&self, partitions: &BTreeSet<i32>) -> Option<Duration> {
        self.first.iter().filter(|(partition, _)| partitions.contains(partition)).map(|(_, since)| *since).min()
    }

    /// When in each of these partitions an order had ended that was placed behind it; none while one has none.
    pub fn moved(&self, partitions: &BTreeSet<i32>) -> Option<Duration> {
        let times: Option<Vec<Duration>> = partitions.iter().map(|partition| self.moved.get(partition).copied()).collect();
        times?.into_iter().max()
    }
}
