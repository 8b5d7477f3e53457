//! The wall clock jumps, forward and back: no wait inside the process is longer for it.

use ringmaster_bus::sim::Faults;
use ringmaster_schemas::Millis;
use ringmaster_store::Store;

use crate::Machine;

const HOUR_MS: Millis = 3_600_000;
/// Jumps that were seen in the field, and their neighbours.
const JUMPS: [Millis; 6] = [2 * HOUR_MS, HOUR_MS / 2, 90_000, -90_000, -2 * HOUR_MS, 10 * 24 * HOUR_MS];

/// In doubt while the clock is wrong: the pause before the next claim is a pause, not a date.
#[test]
fn what_is_in_doubt_while_the_clock_is_wrong_is_claimed_again() {
    for jump in JUMPS {
        let mut machine = Machine::owning(2);
        machine.ahead_ms = jump;
        machine.broker.set_faults(Faults { doubt: 1.0, ..Faults::none() });
        machine.order("ord-1");
        machine.until("in doubt", 5_000, |machine| machine.worker.counters().doubts > 0);
        machine.broker.set_faults(Faults::none());
        machine.ahead_ms = 0;
        machine.until("owned again", 3_000, Machine::owns_all);
    }
}

/// The same, when it is wrong only once the pause has begun.
#[test]
fn a_jump_during_the_pause_does_not_make_it_longer() {
    for jump in JUMPS {
        let mut machine = Machine::owning(1);
        machine.broker.set_faults(Faults { doubt: 1.0, ..Faults::none() });
        machine.order("ord-1");
        machine.until("in doubt", 5_000, |machine| machine.worker.counters().doubts > 0);
        machine.broker.set_faults(Faults::none());
        machine.ahead_ms = jump;
        machine.until("owned again", 3_000, Machine::owns_all);
    }
}

#[test]
fn state_is_written_and_positions_are_committed_whatever_the_clock_says() {
    for jump in JUMPS {
        let mut machine = Machine::owning(1);
        machine.go(100);
        for ahead in [jump, 0] {
            machine.ahead_ms = ahead;
            machine.go(100);
            let stored =
                |machine: &Machine| machine.store.checkpoint(0).expect("readable").map_or(-1, |stored| stored.journal_offset);
            let committed = |machine: &Machine| machine.broker.committed(&machine.setup.worker().group, "orders", 0).unwrap_or(0);
            let before = (stored(&machine), committed(&machine));
            machine.order(&format!("ord-{ahead}"));
            machine.until("written", 1_000, |machine| stored(machine) > before.0);
            machine.until("committed", 6_000, |machine| committed(machine) > before.1);
        }
    }
}

/// How long a worker may wait is until its next timer is due, also when the wall clock has gone back.
#[test]
fn a_worker_waits_until_something_is_due() {
    for jump in [0, -2 * HOUR_MS] {
        let mut machine = Machine::owning(1);
        machine.order("ord-1");
        machine.until("started", 2_000, |machine| machine.worker.counters().started == 1);
        machine.ahead_ms = jump;
        let idle = machine.turn().expect("it goes on").idle.as_millis();
        assert!((1_400..1_600).contains(&idle), "{idle} ms: its command has 1,500 ms");
    }
}
