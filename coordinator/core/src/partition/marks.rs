//! How far what routers hand on was taken, by topic and partition that it was routed from (PROTOCOL.md section 4).

use std::collections::BTreeMap;
use std::sync::Arc;

use ringmaster_schemas::journal::{Position, TopicId};

/// What becomes of a record of the inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accepts {
    /// It is taken.
    Takes,
    /// It was taken before.
    Again,
    /// What its session sent before it was not taken: another session will send both.
    Gap,
}

/// The next offset of each topic and partition that records were routed from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Marks(BTreeMap<(TopicId, i32), i64>);

impl Marks {
    /// The next offset that is taken from there.
    pub(super) fn next(&self, source: TopicId, partition: i32) -> i64 {
        self.0.get(&(source, partition)).copied().unwrap_or(0)
    }

    /// Everything from there below `next` was taken.
    pub(super) fn pass(&mut self, source: TopicId, partition: i32, next: i64) {
        self.0.insert((source, partition), next);
    }

    /// As a checkpoint holds them, beside where inputs go on.
    pub(super) fn positions(&self) -> impl Iterator<Item = Position> + '_ {
        self.0.iter().map(|((topic, partition), next)| Position {
            topic: *topic,
            name: Arc::from(format!("/{partition}")),
            next: *next,
        })
    }
}

/// The positions of a checkpoint: where inputs go on, and marks.
pub(super) fn told_apart(all: Vec<Position>) -> (Vec<Position>, Marks) {
    let (mut positions, mut marks) = (Vec::with_capacity(all.len()), Marks::default());
    for position in all {
        match position.name.strip_prefix('/').and_then(|partition| partition.parse().ok()) {
            Some(partition) => marks.pass(position.topic, partition, position.next),
            None => positions.push(position),
        }
    }
    (positions, marks)
}
