//! What is counted of a run.

use std::collections::{BTreeMap, BTreeSet};

/// What becomes of a process at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Struck {
    /// It dies.
    Died,
    /// It stands still, and goes on.
    Stood,
}

/// What is counted of a run.
#[derive(Debug, Clone, Default)]
pub struct Counted {
    /// Where a process was struck while orders were under way, and how: how often.
    pub struck: BTreeMap<(&'static str, Struck), u32>,
    /// Coordinators that died.
    pub crashes: u32,
    /// Coordinators that stood still, and went on.
    pub standstills: u32,
    /// Partitions that were claimed where a warm copy of them was.
    pub warm_claims: u32,
    /// Snapshots that were taken.
    pub snapshots: u32,
    /// States that were made of one: by partition and journal offset.
    pub restored: BTreeSet<(i32, i64)>,
}
