//! What partitions count.

/// What happened, counted since the instance started; replay does not count.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the metrics, described in their table")]
pub struct Counters {
    pub inputs: u64,
    pub skipped: u64,
    pub unexpected: u64,
    pub started: u64,
    pub completed: u64,
    pub compensated: u64,
    pub stuck: u64,
    pub errors: u64,
    pub rejected: u64,
    pub quarantined: u64,
    pub commands: u64,
    pub retries: u64,
    pub timers: u64,
    pub records: u64,
    pub record_bytes: u64,
    pub turns: u64,
    pub effects: u64,
    pub resent: u64,
    pub replayed: u64,
    pub doubts: u64,
    pub claims: u64,
    pub pauses: u64,
    pub full_polls: u64,
    pub breakers: u64,
    pub routed: u64,
    pub routed_again: u64,
    pub route_gaps: u64,
    pub route_sessions: u64,
    pub events_expired: u64,
}
