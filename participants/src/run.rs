//! Turns in a loop, on a thread of the caller's: for the binaries, the demo and the bench.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ringmaster_bus::clock::now;
use ringmaster_bus::{Bus, Pace};
use ringmaster_schemas::Millis;

use crate::ledger::Ledger;
use crate::participant::{Participant, Stop};
use crate::service::Service;

/// Longest wait for something to happen: how late a stop is seen at most where nobody wakes the bus.
const WAIT_MAX: Duration = Duration::from_millis(100);
/// So long a stopped participant waits for the acknowledgements of replies it has sent; the rest is read again next time.
const FINISH_MAX_MS: Millis = 5_000;

/// Starts the participant and takes turns until `stop` is set; then finishes what is in flight and commits.
///
/// Setting `stop` and calling the bus's waker ends it at once.
pub fn run<S: Service, L: Ledger>(participant: &mut Participant<S, L>, bus: &mut impl Bus, stop: &AtomicBool) -> Result<(), Stop> {
    participant.start(bus)?;
    let mut wait = WAIT_MAX;
    let mut pace = Pace::default();
    while !stop.load(Ordering::Relaxed) {
        let report = participant.turn(bus, now(), wait)?;
        pace.after_turn(report.events, bus.turn_min());
        wait = report.due_at.map_or(WAIT_MAX, |due| until(due).min(WAIT_MAX));
    }
    finish(participant, bus)
}

/// Takes no more commands, waits for the acknowledgements of the last replies, commits.
fn finish<S: Service, L: Ledger>(participant: &mut Participant<S, L>, bus: &mut impl Bus) -> Result<(), Stop> {
    participant.stop_reading(bus);
    let end_at = now().steady + FINISH_MAX_MS;
    while participant.turn(bus, now(), Duration::from_millis(10))?.in_flight > 0 && now().steady < end_at {}
    participant.commit(bus, now());
    participant.turn(bus, now(), Duration::ZERO)?;
    Ok(())
}

fn until(due: Millis) -> Duration {
    Duration::from_millis(u64::try_from(due - now().steady).unwrap_or(0))
}
