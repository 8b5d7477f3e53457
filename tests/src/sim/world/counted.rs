//! What is counted of a run.

use std::collections::BTreeSet;

/// What is counted of a run.
#[derive(Debug, Clone, Default)]
pub struct Counted {
    /// Incidents that really did something.
    pub hits: u32,
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
