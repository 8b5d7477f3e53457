//! What is counted of what is reported.

use super::*;

/// Each counter at another number, so that none can stand for another.
fn counted(times: u64) -> Counters {
    Counters {
        inputs: times,
        skipped: 2 * times,
        unexpected: 23 * times,
        started: 3 * times,
        completed: 4 * times,
        compensated: 5 * times,
        stuck: 6 * times,
        rejected: 7 * times,
        quarantined: 8 * times,
        commands: 9 * times,
        retries: 10 * times,
        timers: 11 * times,
        records: 12 * times,
        record_bytes: 13 * times,
        turns: 14 * times,
        effects: 15 * times,
        resent: 16 * times,
        replayed: 17 * times,
        doubts: 18 * times,
        claims: 19 * times,
        pauses: 20 * times,
        full_polls: 21 * times,
        errors: 22 * times,
        breakers: 24 * times,
        routed: 25 * times,
        routed_again: 26 * times,
        route_gaps: 27 * times,
        route_sessions: 28 * times,
        events_expired: 29 * times,
    }
}

#[test]
fn who_becomes_an_owner_is_counted_once_each_time() {
    let status = Status::default();
    let partition = |partition, phase| PartitionStatus { phase, ..PartitionStatus::owned(partition) };
    let (owning, claiming) = (StageName::Owning, StageName::Claiming);
    status.report_own(0, vec![partition(0, owning), partition(1, claiming)]);
    status.report_own(1, vec![partition(2, owning)]);
    status.report_own(0, vec![partition(0, owning), partition(1, owning)]);
    status.report_own(0, vec![partition(1, owning)]);
    status.report_own(0, vec![partition(0, owning), partition(1, claiming)]);
    assert_eq!(status.takeovers(), [(0, 2), (1, 1), (2, 1)].into());
}

#[test]
fn what_was_reported_is_not_reported_again() {
    assert_eq!(since(&counted(7), &counted(2)), counted(5));
}
