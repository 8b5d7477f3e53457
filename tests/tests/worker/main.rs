//! The worker around its partitions: its clocks, its store, its end. On the simulated broker, with a clock of the test's own.

mod assign;
mod behind;
mod clock;
mod deploys;
mod ends;
mod panics;
mod pauses;
mod snapshots;
mod store;
mod stores;
mod stuck;

use std::sync::Arc;
use std::time::Duration;

use ringmaster::runtime::{Now, Setup, Stop, Turn, Worker};
use ringmaster_bus::sim::{Faults, SimBroker, SimBus};
use ringmaster_core::partition::StageName;
use ringmaster_schemas::Millis;
use ringmaster_schemas::names::partition_of;
use ringmaster_store::sim::SimStore;
use ringmaster_tests::sim::Plan;
use ringmaster_tests::sim::coordinator::{knowledge, make_topics, setup};

/// Virtual time at which tests begin.
const BEGIN: Millis = 1_700_000_000_000;
/// Virtual time between two turns.
const STEP_MS: Millis = 5;

/// A broker, a store, a worker, and a wall clock that can be set.
struct Machine {
    broker: SimBroker,
    setup: Setup,
    store: SimStore,
    worker: Worker<SimBus>,
    /// By how much the wall clock is wrong.
    ahead_ms: Millis,
}

impl Machine {
    /// A worker that has not claimed yet.
    fn start(partitions: i32) -> Machine {
        let broker = SimBroker::new(7, BEGIN, Faults::none());
        make_topics(&broker, partitions, partitions);
        let setup = setup(&broker, &Plan { partitions, ..Plan::calm(7) }, "test");
        let store = SimStore::new();
        let worker = worker(&broker, &setup, &store, 1);
        Machine { broker, setup, store, worker, ahead_ms: 0 }
    }

    /// One that owns everything.
    fn owning(partitions: i32) -> Machine {
        let mut machine = Machine::start(partitions);
        machine.until("owned", 2_000, Machine::owns_all);
        machine
    }

    /// The process dies; another one begins on the same disk, whose flushed state survived.
    fn restart(&mut self, seed: u64) {
        self.store.crash();
        self.worker = worker(&self.broker, &self.setup, &self.store, seed);
    }

    fn owns_all(&self) -> bool {
        self.worker.partitions().all(|partition| partition.stage() == StageName::Owning)
    }

    fn turn(&mut self) -> Result<Turn, Stop> {
        self.broker.advance(self.broker.now() + STEP_MS);
        let clock = || Now { wall: self.broker.now() + self.ahead_ms, steady: self.broker.now() - BEGIN };
        self.worker.turn(&clock, Duration::ZERO)
    }

    /// Takes turns until it is so, for at most so much virtual time.
    fn until(&mut self, what: &str, within_ms: Millis, is_so: impl Fn(&Machine) -> bool) {
        let end = self.broker.now() + within_ms;
        while !is_so(self) {
            assert!(self.broker.now() < end, "not {what} within {within_ms} ms");
            self.turn().unwrap_or_else(|stop| panic!("not {what}: {stop}"));
        }
    }

    /// Takes turns for so much virtual time.
    fn go(&mut self, for_ms: Millis) {
        let end = self.broker.now() + for_ms;
        while self.broker.now() < end {
            self.turn().unwrap_or_else(|stop| panic!("{stop}"));
        }
    }

    /// Places an order.
    fn order(&self, id: &str) {
        let order = format!(
            r#"{{"type":"OrderPlaced","order_id":"{id}","customer_id":"c-1","region":"EU","total":"120.50","currency":"EUR","items":[{{"sku":"sku-1","qty":2}}]}}"#
        );
        let home = partition_of(id.as_bytes(), self.setup.partition_count());
        self.broker.put("orders", home, Some(id.as_bytes()), order.as_bytes());
    }
}

fn worker(broker: &SimBroker, setup: &Setup, store: &SimStore, seed: u64) -> Worker<SimBus> {
    let mut random = fastrand::Rng::with_seed(seed);
    let ids = move || {
        let mut id = [0; 16];
        random.fill(&mut id);
        id
    };
    let partitions = setup.partitions(0, 1);
    Worker::new(broker.client(), setup.worker(), partitions, knowledge(), Arc::new(store.clone()), Box::new(ids))
}
