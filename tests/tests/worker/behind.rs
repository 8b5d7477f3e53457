//! A worker that gets more than it can take: what was begun comes first.

use ringmaster::runtime::Now;
use ringmaster_bus::sim::Faults;
use ringmaster_core::partition::Held;

use crate::{BEGIN, Machine};

/// From so many events on a poll is full here.
const FULL: usize = 20;

/// A machine whose polls find what [`flood`] put, and are full with it.
fn machine() -> Machine {
    let machine = Machine::owning(1);
    machine.broker.set_faults(Faults { full_poll: Some(FULL), fetch_max_ms: 0, ..Faults::none() });
    machine
}

/// What looks like answers, and is none.
fn flood(machine: &Machine) {
    for _ in 0..FULL {
        machine.broker.put("ringmaster.replies", 0, Some(b"nobody"), b"{}");
    }
}

fn held(machine: &Machine) -> Held {
    machine.worker.partitions().next().expect("there is one").held()
}

fn started(machine: &Machine) -> u64 {
    machine.worker.counters().started
}

/// While polls are full no saga begins, and with the first that is not, it does.
#[test]
fn who_is_behind_begins_nothing_new() {
    let mut machine = machine();
    for turn in 0..100 {
        flood(&machine);
        machine.turn().expect("it goes on");
        if turn == 10 {
            assert_eq!(held(&machine), Held::Behind);
            machine.order("ord-1");
        }
    }
    assert_eq!((held(&machine), started(&machine)), (Held::Behind, 0));
    let counters = machine.worker.counters();
    assert!(counters.pauses == 0 && counters.full_polls >= 90, "no bound was reached: {counters:?}");
    machine.until("begun", 100, |machine| started(machine) == 1);
    assert_eq!(held(&machine), Held::Nothing);
}

/// Whoever becomes an owner again meanwhile begins nothing new either.
#[test]
fn an_owner_after_a_doubt_is_behind_too() {
    let mut machine = machine();
    let behind = |machine: &mut Machine| {
        for _ in 0..400 {
            flood(machine);
            machine.turn().expect("it goes on");
            if machine.owns_all() && held(machine) == Held::Behind {
                return true;
            }
        }
        false
    };
    assert!(behind(&mut machine));
    machine.broker.set_faults(Faults { doubt: 1.0, full_poll: Some(FULL), fetch_max_ms: 0, ..Faults::none() });
    let doubts = machine.worker.counters().doubts;
    while machine.worker.counters().doubts == doubts {
        flood(&machine);
        machine.turn().expect("it goes on");
    }
    assert_eq!(held(&machine), Held::Nothing, "it owns nothing now");
    machine.broker.set_faults(Faults { full_poll: Some(FULL), fetch_max_ms: 0, ..Faults::none() });
    assert!(behind(&mut machine), "again");
}

/// A partition that claims and reads its journal, which may take long, holds up no saga of another.
#[test]
fn who_reads_its_journal_holds_up_nobody() {
    let mut machine = Machine::owning(2);
    machine.broker.set_faults(Faults { full_poll: Some(FULL), fetch_max_ms: 0, ..Faults::none() });
    while held(&machine) != Held::Behind {
        flood(&machine);
        machine.turn().expect("it goes on");
    }
    let now = Now { wall: machine.broker.now(), steady: machine.broker.now() - BEGIN };
    machine.worker.revoke(1, now).expect("it is written");
    machine.worker.assign(machine.setup.partitions(0, 1).swap_remove(1));
    let mut turns = 0;
    loop {
        flood(&machine);
        machine.turn().expect("it goes on");
        if machine.owns_all() {
            break;
        }
        assert_eq!(held(&machine), Held::Nothing, "turn {turns}");
        turns += 1;
    }
    assert!(turns > 0, "it takes a while");
}

/// What only looks like answers keeps new sagas away for a while, not for ever.
#[test]
fn a_flood_does_not_keep_new_sagas_away_for_ever() {
    let mut machine = machine();
    let mut turns = 0;
    while started(&machine) == 0 {
        // Twice what makes a poll full: one may find a part of what was put, and the next one the rest.
        (0..2).for_each(|_| flood(&machine));
        machine.turn().expect("it goes on");
        turns += 1;
        if turns == 10 {
            machine.order("ord-1");
        }
        assert!(turns < 1_000, "it begins");
    }
    assert!(turns > 400, "{turns} turns: what was begun came first");
    machine.turn().expect("it goes on");
    flood(&machine);
    machine.turn().expect("it goes on");
    assert_eq!(held(&machine), Held::Behind, "and again");
}
