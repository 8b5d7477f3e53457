//! The stored state goes only when it is known that the journal can bring it back, and is never an older one than it was.

use std::cell::Cell;
use std::rc::Rc;

use ringmaster::runtime::{Now, Stop};
use ringmaster_core::faults;
use ringmaster_core::partition::{StageName, Why};
use ringmaster_schemas::state::{RowKey, RowKind, Saga};
use ringmaster_store::Store;
use ringmaster_store::sim::SimStore;
use ringmaster_tests::sim::Plan;
use ringmaster_tests::sim::coordinator::setup;

use crate::{Machine, worker};

pub(crate) fn rows(machine: &Machine) -> usize {
    let mut count = 0;
    machine
        .store
        .rows(0, RowKind::Saga, &mut |_, _| {
            count += 1;
            true
        })
        .expect("readable");
    count
}

/// A machine whose journal lost so many of its newest records, and everything below `below`.
fn with_journal_of_another_life(lost: usize, below: i64) -> Machine {
    let mut machine = Machine::owning(1);
    for number in 0..5 {
        machine.order(&format!("ord-{number}"));
        machine.go(50);
    }
    machine.go(1_000);
    let now = Now { wall: machine.broker.now(), steady: machine.broker.now() };
    machine.worker.checkpoint(now).expect("the store takes it");
    machine.store.flush().expect("flushes");
    assert_eq!(rows(&machine), 5);
    machine.broker.lose_tail("ringmaster.journal", 0, lost);
    machine.broker.forget("ringmaster.journal", 0, below);
    machine.restart(2);
    machine
}

/// The journal lost its tail, and its beginning was deleted: what is stored is the only copy.
#[test]
fn what_the_journal_cannot_bring_back_is_not_forgotten() {
    // One record lost: the new claim takes its place, and is not what the checkpoint was built upon. Many: the checkpoint is behind
    // the journal's end.
    for lost in [1, 4] {
        let mut machine = with_journal_of_another_life(lost, 1);
        let stop = (0..1_000).find_map(|_| machine.turn().err()).expect("it cannot go on");
        assert!(matches!(stop, Stop::Partition(Why::JournalCut { start: 1, needed: 0, .. })), "{stop}");
        assert_eq!(rows(&machine), 5, "{lost} lost: nothing is forgotten");
        assert!(machine.store.checkpoint(0).expect("readable").is_some());
    }
}

/// Records of the journal are deleted while it is looked through for others' claims: whenever that happens, it ends with the reason.
#[test]
fn a_journal_that_is_cut_while_it_is_looked_through_ends_the_worker() {
    for turns in 0..8 {
        let mut machine = Machine::owning(1);
        machine.order("ord-1");
        machine.go(1_000);
        for _ in 0..3 {
            machine.broker.put("ringmaster.journal", 0, None, b"somebody else's");
        }
        machine.until("in doubt", 5_000, |machine| machine.worker.partitions().all(|one| one.stage() == StageName::Scanning));
        let end = machine.broker.log("ringmaster.journal", 0).len() as i64;
        for _ in 0..turns {
            machine.turn().expect("it goes on");
        }
        machine.broker.forget("ringmaster.journal", 0, end - 1);
        let stop = (0..4_000).find_map(|_| machine.turn().err()).unwrap_or_else(|| panic!("{turns} turns: it waits for ever"));
        assert!(matches!(stop, Stop::Partition(Why::JournalCut { .. })), "{turns} turns: {stop}");
    }
}

/// The journal lost its tail and begins at 0: everything that it still says is true again, and nothing else.
#[test]
fn what_the_journal_can_bring_back_is_built_again() {
    for lost in [1, 4] {
        let mut machine = with_journal_of_another_life(lost, 0);
        machine.until("owned", 3_000, Machine::owns_all);
        machine.go(1_000);
        assert_eq!(rows(&machine), 5, "{lost} lost: what was not journaled is read again");
    }
}

/// A row whose bytes were never written like that is met once: the next start does not run into it again.
#[test]
fn a_row_that_cannot_be_read_is_built_again() {
    let mut machine = Machine::owning(1);
    machine.order("ord-1");
    machine.go(1_000);
    let now = Now { wall: machine.broker.now(), steady: machine.broker.now() };
    machine.worker.checkpoint(now).expect("the store takes it");
    machine.store.flush().expect("flushes");
    let mut stored = Vec::new();
    let mut note = |key, _: &[u8]| {
        stored.push(key);
        true
    };
    machine.store.rows(0, RowKind::Saga, &mut note).expect("readable");
    let [key @ RowKey::Saga(id)] = &stored[..] else { panic!("{stored:?}") };
    machine.restart(2);
    machine.until("owned", 3_000, Machine::owns_all);
    machine.store.spoil(0, key);
    machine.order("ord-1");
    let stop = (0..1_000).find_map(|_| machine.turn().err()).expect("it cannot be read");
    assert!(matches!(&stop, Stop::Partition(Why::Store { detail, .. }) if detail.contains(&**id)), "{stop}");

    machine.restart(3);
    machine.until("owned", 3_000, Machine::owns_all);
    machine.go(1_000);
    let row = machine.store.row(0, key).expect("readable").expect("built again");
    assert!(Saga::decode(id, &row).is_ok());
}

/// Two workers of one process have one store: what one of them had staged before the other took over is not written over what the other
/// stored (PROTOCOL.md rule 8).
#[test]
fn an_older_batch_is_not_written_over_a_newer_one() {
    let offset = |store: &SimStore| store.checkpoint(0).expect("readable").map_or(-1, |checkpoint| checkpoint.journal_offset);
    for mutant in [None, Some("stale_batch_applied")] {
        let mut machine = Machine::owning(1);
        machine.order("ord-1");
        machine.go(30);
        let (broker, store, newer) = (machine.broker.clone(), machine.store.clone(), Rc::new(Cell::new(-1)));
        let stored = newer.clone();
        faults::mutate(mutant);
        let meanwhile = move || {
            let setup = setup(&broker, &Plan { partitions: 1, ..Plan::calm(7) }, "test");
            let worker = worker(&broker, &setup, &store, 2);
            let mut other = Machine { broker, setup, store, worker, ahead_ms: 0 };
            other.until("owned by the other", 3_000, Machine::owns_all);
            other.order("ord-2");
            other.go(500);
            let now = Now { wall: other.broker.now(), steady: other.broker.now() };
            other.worker.checkpoint(now).expect("the store takes it");
            stored.set(offset(&other.store));
        };
        faults::freeze_at("batch_built", 0, Box::new(meanwhile));
        let stopped = (0..200).find_map(|_| (newer.get() < 0).then(|| machine.turn().err()).flatten());
        faults::mutate(None);
        assert!(newer.get() > 0, "{mutant:?}: nothing was staged");
        let is_older = offset(&machine.store) < newer.get();
        assert_eq!((stopped.is_some(), is_older), (mutant.is_none(), mutant.is_some()), "{mutant:?}: {stopped:?}");
    }
}
