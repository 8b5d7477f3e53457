//! How long a worker waits before it claims again.

use ringmaster_bus::sim::Faults;
use ringmaster_schemas::Millis;

use crate::Machine;

/// Virtual time that a turn, an answer and a scan may add to a pause.
const SLACK_MS: Millis = 40;

/// Brings it into doubt; how long it takes from there to the next claim.
fn pause(machine: &mut Machine, order: &str) -> Millis {
    let (doubts, claims) = (machine.worker.counters().doubts, machine.worker.counters().claims);
    machine.broker.set_faults(Faults { doubt: 1.0, ..Faults::none() });
    machine.order(order);
    machine.until("in doubt", 5_000, |machine| machine.worker.counters().doubts > doubts);
    machine.broker.set_faults(Faults::none());
    let begun = machine.broker.now();
    machine.until("claimed", 60_000, |machine| machine.worker.counters().claims > claims);
    let paused = machine.broker.now() - begun;
    machine.until("owned", 5_000, Machine::owns_all);
    paused
}

/// Two instances must not duel: each doubt in a row doubles the pause, and half a minute of calm forgives them.
#[test]
fn doubts_in_a_row_pause_longer_and_calm_forgives_them() {
    let mut machine = Machine::owning(1);
    let first = machine.setup.worker().claim_backoff_first_ms;
    for calm in 0..2 {
        for row in 0..4 {
            let paused = pause(&mut machine, &format!("ord-{calm}-{row}"));
            let expected = first << row;
            assert!(
                (expected..=expected + SLACK_MS).contains(&paused),
                "doubt {row} of its row, calm {calm}: {paused} ms, not {expected}"
            );
        }
        machine.go(31_000);
    }
}
