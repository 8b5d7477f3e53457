//! Whoever takes snapshots, and who is restored by them, beside one worker: what a run of the simulator meets only by luck.

use std::sync::Arc;
use std::time::Duration;

use ringmaster::runtime::{Now, SnapshotSettings, SnapshotTaker, Stop, Taken};
use ringmaster_bus::sim::SimBus;
use ringmaster_core::partition::Why;
use ringmaster_schemas::names::Topics;
use ringmaster_store::Store;

use crate::Machine;
use crate::store::rows;

const SNAPSHOTS: &str = "ringmaster.snapshots";

fn taker(machine: &Machine, retention_ms: i64) -> SnapshotTaker<SimBus> {
    let (owner, topics, journal) = ("test".into(), Topics::new("ringmaster"), machine.setup.journal());
    let settings = SnapshotSettings { retention_ms, owner, topics, journal };
    let mut number = 0;
    let id = move || {
        number += 1;
        [number; 16]
    };
    SnapshotTaker::new(machine.broker.client(), settings, Box::new(id))
}

impl Machine {
    fn now(&self) -> Now {
        Now { wall: self.broker.now(), steady: self.broker.now() }
    }

    /// Everything so far is stored, and survives a crash.
    fn flushed(&mut self) {
        let now = self.now();
        self.worker.checkpoint(now).expect("the store takes it");
        self.store.flush().expect("flushes");
    }

    /// One turn of who takes snapshots.
    fn takes(&self, taker: &mut SnapshotTaker<SimBus>) -> Option<Taken> {
        let store = self.store.clone();
        let view = move || Ok(Arc::new(store.as_flushed()) as Arc<dyn Store>);
        taker.turn(&[0], &view, self.now(), Duration::ZERO)
    }

    /// A snapshot within so many turns, between which this happens.
    fn taken(&mut self, taker: &mut SnapshotTaker<SimBus>, turns: usize, between: impl Fn(&mut Machine, usize)) -> Option<Taken> {
        (0..turns).find_map(|turn| {
            between(self, turn);
            self.takes(taker)
        })
    }
}

fn with_orders(count: usize) -> Machine {
    let mut machine = Machine::owning(1);
    for number in 0..count {
        machine.order(&format!("ord-{number}"));
        machine.go(50);
    }
    machine.go(500);
    machine.flushed();
    machine
}

/// What is stored is always ahead of what the journal was when that was asked a moment ago: so it is asked behind the look.
#[test]
fn one_is_taken_however_fast_the_journal_grows() {
    let mut machine = with_orders(1);
    let mut taker = taker(&machine, 100);
    // Behind the first there is something to be read, which takes its time.
    for number in [1, 2] {
        let taken = machine.taken(&mut taker, 200, |machine, turn| {
            machine.order(&format!("next-{number}-{turn}"));
            machine.go(50);
            machine.flushed();
        });
        assert_eq!(taken.map(|taken| taken.manifest.number), Some(number));
    }
}

/// A topic that does not take what is sent: nothing comes of it but another try, and nothing is deleted meanwhile.
#[test]
fn what_is_refused_is_tried_again() {
    let mut machine = with_orders(3);
    let mut taker = taker(&machine, 100);
    machine.broker.refuse(SNAPSHOTS, true);
    assert_eq!(machine.taken(&mut taker, 200, |machine, _| machine.go(20)), None);
    assert_eq!(machine.broker.deleted_count("ringmaster.journal"), 0);
    machine.broker.refuse(SNAPSHOTS, false);
    let taken = machine.taken(&mut taker, 200, |machine, _| machine.go(20)).expect("one was taken");
    assert_eq!(taken.manifest.number, 1, "what came to no manifest has no number");
}

/// The journal's beginning is gone, and no snapshot stands for it: the next one has all, and a lost disk is made of it.
fn with_all_in_one(machine: &mut Machine) -> Taken {
    let mut taker = taker(machine, 100);
    let until = machine.store.checkpoint(0).expect("readable").expect("stored").journal_offset;
    machine.broker.forget("ringmaster.journal", 0, until - 2);
    let taken = machine.taken(&mut taker, 200, |machine, _| machine.go(20)).expect("one was taken");
    let since = taken.manifest.since.as_ref().expect("it begins somewhere");
    assert_eq!((since, taken.manifest.rows >= 5), (&taken.manifest.until, true), "it has all");
    machine.store.lose();
    taken
}

#[test]
fn a_snapshot_that_has_all_needs_nothing_of_the_journal() {
    let mut machine = with_orders(5);
    with_all_in_one(&mut machine);
    machine.restart(2);
    machine.until("owned", 3_000, Machine::owns_all);
    machine.flushed();
    assert_eq!(rows(&machine), 5);
    let restored = machine.worker.partitions().next().and_then(|one| one.restored()).expect("it was made anew");
    assert_eq!(restored.snapshot, Some(1));
}

/// It is tried once, and not for ever.
#[test]
fn a_snapshot_that_has_all_and_does_not_fit_is_tried_once() {
    let mut machine = with_orders(5);
    let taken = with_all_in_one(&mut machine);
    let end = machine.broker.log("ringmaster.journal", 0).last().expect("a record").offset + 1;
    // What it was built upon is lost, and the next claim takes the place.
    machine.broker.lose_tail("ringmaster.journal", 0, (end - taken.manifest.until.journal_offset) as usize + 1);
    machine.restart(2);
    let stop = (0..2_000).find_map(|_| machine.turn().err()).expect("it cannot go on");
    assert!(matches!(&stop, Stop::Partition(Why::JournalCut { snapshots, .. }) if snapshots.contains("snapshot 1")), "{stop}");
    assert_eq!(machine.store.checkpoint(0), Ok(None), "nothing was put there");
}
