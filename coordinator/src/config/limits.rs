//! `[limits]`: how much is taken on at once, and how often what is done by the clock.

use std::time::Duration;

use ringmaster_core::partition::Limits as PartitionLimits;

use super::layers::Layers;
use super::{Limits, memory, values};

/// Larger records than this are a mistake: a journal record is held in memory some times over.
const RECORD_BYTES_MAX: usize = 32 << 20;
/// More memory than any machine has.
const MEMORY_MAX: usize = 1 << 44;
/// What a process takes if nothing is said, where its partitions need no more.
const MEMORY: usize = 512 << 20;
/// Sagas that wait for an answer, if nothing is said.
const IN_FLIGHT: usize = 100_000;

/// `[limits]`
pub(super) fn read(layers: &mut Layers, partitions: usize, workers: usize) -> Limits {
    let memory_min = memory::min(partitions, workers);
    let (memory, in_flight) = (MEMORY.max(memory_min), IN_FLIGHT.max(partitions));
    let backoff = || values::duration_within("1ms", "10m");
    let limits = Limits {
        in_flight_records_max: layers.read(&["limits", "in_flight_records_max"], 64, values::count(1, 10_000)),
        memory: layers.read(&["limits", "memory"], memory, values::bytes_within(memory_min, MEMORY_MAX)),
        in_flight_max: layers.read(&["limits", "in_flight_max"], in_flight, values::count(partitions, 100_000_000)),
        unreleased_effects_max: layers.read(&["limits", "unreleased_effects_max"], 20_000, values::count(1, 10_000_000)),
        record_bytes_max: layers.read(
            &["limits", "record_bytes_max"],
            512 << 10,
            values::bytes_within(PartitionLimits::RECORD_BYTES_MIN, RECORD_BYTES_MAX),
        ),
        record_turns_max: layers.read(&["limits", "record_turns_max"], 2_000, values::count(1, 100_000)),
        timers_per_poll_max: layers.read(&["limits", "timers_per_poll_max"], 1_000, values::count(1, 1_000_000)),
        checkpoint_every: layers.read(
            &["limits", "checkpoint_every"],
            Duration::from_secs(2),
            values::duration_within("10ms", "1h"),
        ),
        checkpoint_rows_max: layers.read(&["limits", "checkpoint_rows_max"], 100_000, values::count(1, 10_000_000)),
        flush_every: layers.read(&["limits", "flush_every"], Duration::from_secs(10), values::duration_within("10ms", "1d")),
        scrub_every: layers.read(&["limits", "scrub_every"], Duration::from_secs(600), values::duration_within("1s", "7d")),
        claim_backoff_first: layers.read(&["limits", "claim_backoff_first"], Duration::from_millis(100), backoff()),
        claim_backoff_max: layers.read(&["limits", "claim_backoff_max"], Duration::from_secs(10), backoff()),
    };
    if limits.claim_backoff_first > limits.claim_backoff_max {
        layers.problem("limits.claim_backoff_first is longer than limits.claim_backoff_max".to_owned());
    }
    limits
}
