//! What participants were asked by the partitions of an instance, as its workers last said: many times a second, away from what is hot.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use ringmaster_core::partition::{AskedSoFar, Partition};

/// What was asked by one partition that is owned here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionAsked {
    /// Which.
    pub partition: i32,
    /// Where its owner's claim is in the journal: of another term, nothing is known of what went on in between.
    pub term: i64,
    /// By participant.
    pub participants: Vec<(Arc<str>, AskedSoFar)>,
}

/// What was said last, by worker.
#[derive(Debug, Default)]
pub struct AskedBoard(Mutex<BTreeMap<usize, Vec<PartitionAsked>>>);

impl PartitionAsked {
    /// Of a partition that is owned here.
    fn of(partition: &Partition) -> Option<PartitionAsked> {
        let (term, _) = partition.term()?;
        let mut participants = Vec::new();
        partition.each_asked(&mut |name, asked| participants.push((name.clone(), asked)));
        Some(PartitionAsked { partition: partition.number(), term, participants })
    }
}

impl AskedBoard {
    /// A worker says what its partitions have asked.
    pub fn report<'a>(&self, worker: usize, partitions: impl Iterator<Item = &'a Partition>) {
        self.put(worker, partitions.filter_map(PartitionAsked::of).collect());
    }

    /// The same, of what is known already.
    pub(crate) fn put(&self, worker: usize, asked: Vec<PartitionAsked>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(worker, asked);
    }

    /// What all workers have said.
    pub fn all(&self) -> Vec<PartitionAsked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().flatten().cloned().collect()
    }
}
