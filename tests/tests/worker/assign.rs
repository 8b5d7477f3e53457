//! Partitions come and go under load: from one worker to another and back, and nothing is lost or done twice.

use std::collections::BTreeMap;
use std::time::Duration;

use ringmaster::runtime::{Gone, Now, Worker};
use ringmaster_bus::sim::{Faults, SimBroker, SimBus, SimRecord};
use ringmaster_core::partition::StageName;
use ringmaster_schemas::names::partition_of;
use ringmaster_store::sim::SimStore;
use ringmaster_tests::sim::Plan;
use ringmaster_tests::sim::coordinator::knowledge;
use ringmaster_tests::sim::service::SimService;

use crate::{BEGIN, Machine, STEP_MS, worker};

const PARTITIONS: i32 = 3;
const ORDERS: usize = 60;

/// Two workers with a store each, three services, and orders that keep coming.
struct Pair {
    machine: Machine,
    workers: [Worker<SimBus>; 2],
    services: [SimService; 3],
    placed: usize,
}

impl Pair {
    fn new() -> Pair {
        let machine = Machine::start(PARTITIONS);
        // The second one begins with nothing, the first with everything.
        let mut workers = [SimStore::new(), SimStore::new()].map(|store| worker(&machine.broker, &machine.setup, &store, 11));
        for number in 0..PARTITIONS {
            workers[1].revoke(number, now(&machine.broker)).expect("nothing is to be written");
        }
        let service = |name| SimService::new(name, knowledge().schemas.clone(), &Plan::calm(5), BEGIN);
        Pair { machine, workers, services: ["inventory", "payment", "shipping"].map(service), placed: 0 }
    }

    fn step(&mut self) {
        let broker = &self.machine.broker;
        broker.advance(broker.now() + STEP_MS);
        for worker in &mut self.workers {
            worker.turn(&|| now(broker), Duration::ZERO).unwrap_or_else(|stop| panic!("{stop}"));
        }
        for service in &mut self.services {
            service.turn(broker).unwrap_or_else(|why| panic!("{why}"));
        }
    }

    fn until(&mut self, what: &str, is_so: impl Fn(&Pair) -> bool) {
        let end = self.machine.broker.now() + 60_000;
        while !is_so(self) {
            assert!(self.machine.broker.now() < end, "not {what}");
            self.step();
        }
    }

    /// Moves a partition from one worker to the other, wherever it is.
    fn shift(&mut self, number: i32) {
        let from = usize::from(!hosts(&self.workers[0], number));
        self.workers[from].revoke(number, now(&self.machine.broker)).expect("it is written");
        let partition = self.machine.setup.partitions(0, 1).swap_remove(number as usize);
        self.workers[1 - from].assign(partition);
    }

    fn place(&mut self, count: usize) {
        for _ in 0..count {
            self.machine.order(&format!("ord-{}", self.placed));
            self.placed += 1;
        }
    }

    /// Outcomes by order.
    fn outcomes(&self) -> BTreeMap<String, usize> {
        let mut outcomes = BTreeMap::new();
        for partition in 0..self.machine.broker.partitions("order-outcomes") {
            let told = |record: &SimRecord| record.headers.iter().any(|(_, value)| value == "OrderCharged");
            for record in self.machine.broker.log("order-outcomes", partition).into_iter().filter(|record| !told(record)) {
                let key = record.key.as_deref().map(|key| String::from_utf8_lossy(key).into_owned()).unwrap_or_default();
                *outcomes.entry(key).or_default() += 1;
            }
        }
        outcomes
    }
}

fn now(broker: &SimBroker) -> Now {
    Now { wall: broker.now(), steady: broker.now() - BEGIN }
}

fn hosts(worker: &Worker<SimBus>, number: i32) -> bool {
    worker.partitions().any(|partition| partition.number() == number)
}

fn owned(pair: &Pair) -> usize {
    pair.workers.iter().flat_map(Worker::partitions).filter(|partition| partition.stage() == StageName::Owning).count()
}

#[test]
fn partitions_move_between_workers_under_load() {
    let mut pair = Pair::new();
    pair.until("owned", |pair| owned(pair) == PARTITIONS as usize);
    for round in 0..ORDERS / 2 {
        pair.place(2);
        pair.shift(round as i32 % PARTITIONS);
        (0..1 + round % 7).for_each(|_| pair.step());
    }
    pair.until("finished", |pair| pair.outcomes().len() == ORDERS);
    assert_eq!(owned(&pair), PARTITIONS as usize);
    // An outcome that was sent and not known to be delivered is sent again, with its id: here nothing goes wrong on the wire, but a
    // partition may leave between the two.
    let audits = pair.services.each_ref().map(|service| service.audit().unwrap_or_else(|why| panic!("{why}")));
    for audit in &audits {
        assert_eq!(audit.problems, [] as [String; 0]);
    }
}

#[test]
fn a_partition_that_leaves_disturbs_no_other() {
    let mut machine = Machine::owning(2);
    let claims = machine.worker.counters().claims;
    let clock = now(&machine.broker);
    machine.worker.revoke(0, clock).expect("it is written");
    assert_eq!(machine.worker.partitions().map(|partition| partition.number()).collect::<Vec<_>>(), [1]);
    let orders: Vec<String> = (0..8).map(|number| format!("ord-{number}")).collect();
    orders.iter().for_each(|id| machine.order(id));
    let mine = orders.iter().filter(|id| partition_of(id.as_bytes(), 2) == 1).count() as u64;
    assert!(mine > 0 && mine < 8);
    machine.until("started", 2_000, |machine| machine.worker.counters().started == mine);
    machine.worker.assign(machine.setup.partitions(0, 1).swap_remove(0));
    machine.until("started", 2_000, |machine| machine.worker.counters().started == 8);
    assert_eq!(machine.worker.counters().claims, claims + 1, "only the one that came claimed");
    assert_eq!(machine.worker.counters().doubts, 0);
}

/// Late acknowledgements of an earlier hosting are not taken for the present one's, though producer and numbers are the same.
#[test]
fn acknowledgements_of_an_earlier_hosting_are_not_taken() {
    for slow in [0, 20, 150] {
        let mut machine = Machine::owning(1);
        machine.broker.set_faults(Faults { wire_max_ms: slow + 1, linger_max_ms: slow, ..Faults::none() });
        for round in 0..40 {
            machine.order(&format!("ord-{round}"));
            machine.go(5 * (round % 5));
            let clock = now(&machine.broker);
            machine.worker.revoke(0, clock).expect("it is written");
            machine.worker.assign(machine.setup.partitions(0, 1).swap_remove(0));
        }
        machine.until("owned", 10_000, Machine::owns_all);
        machine.until("all journaled", 10_000, |machine| machine.worker.partitions().all(|partition| partition.quiet()));
        machine.go(2_000);
        let store = &machine.store;
        let mut count = 0;
        let mut visit = |_, _: &[u8]| {
            count += 1;
            true
        };
        ringmaster_store::Store::rows(store, 0, ringmaster_schemas::state::RowKind::Saga, &mut visit).expect("readable");
        assert_eq!(count, 40, "every order is a saga, once");
        assert_eq!(machine.worker.counters().doubts, 0, "{slow}: an old claim's place is not taken for the new one's");
    }
}

/// Handed over is only what is finished: the next owner finds nothing to send again, whatever was on its way.
#[test]
fn what_is_handed_over_is_finished() {
    for slow in [0, 30] {
        let mut machine = Machine::owning(2);
        machine.broker.set_faults(Faults { wire_max_ms: slow + 1, linger_max_ms: slow, ..Faults::none() });
        (0..20).for_each(|number| machine.order(&format!("ord-{number}")));
        machine.until("some have begun", 2_000, |machine| machine.worker.counters().started > 3);
        let clock = now(&machine.broker);
        machine.worker.hand_over(0, clock);
        machine.until("it has left", 12_000, |machine| !hosts(&machine.worker, 0));
        assert_eq!(machine.worker.take_gone(), [Gone::HandedOver(0)]);
        let stored = ringmaster_store::Store::checkpoint(&machine.store, 0).expect("readable").expect("it was written");
        let end = machine.broker.log("ringmaster.journal", 0).len() as i64;
        assert_eq!(stored.journal_offset, end, "all that it journaled is in the store");
        machine.worker.assign(machine.setup.partitions(0, 1).swap_remove(0));
        machine.until("owned", 2_000, Machine::owns_all);
        machine.until("all have begun", 5_000, |machine| machine.worker.counters().started == 20);
        assert_eq!((machine.worker.counters().resent, machine.worker.counters().doubts), (0, 0));
    }
}

/// Another worker claims: of the two that the first has, only that partition leaves it, and nothing of it is written any more.
#[test]
fn what_another_claimed_leaves_alone() {
    let mut machine = Machine::owning(2);
    let mut other = worker(&machine.broker, &machine.setup, &SimStore::new(), 5);
    other.revoke(1, now(&machine.broker)).expect("nothing is to be written");
    let both = |machine: &mut Machine, other: &mut Worker<SimBus>| {
        machine.turn().unwrap_or_else(|stop| panic!("{stop}"));
        other.turn(&|| now(&machine.broker), Duration::ZERO).unwrap_or_else(|stop| panic!("{stop}"));
    };
    let end = machine.broker.now() + 20_000;
    while hosts(&machine.worker, 0) {
        assert!(machine.broker.now() < end, "it does not find out");
        both(&mut machine, &mut other);
    }
    let gone = machine.worker.take_gone();
    assert!(matches!(&gone[..], [Gone::Fenced { partition: 0, .. }]), "{gone:?}");
    (0..8).for_each(|number| machine.order(&format!("ord-{number}")));
    while machine.worker.counters().started + other.counters().started < 8 {
        assert!(machine.broker.now() < end, "not all begin");
        both(&mut machine, &mut other);
    }
    assert!(machine.worker.counters().started > 0 && other.counters().started > 0, "both work");
    assert!(hosts(&machine.worker, 1) && hosts(&other, 0));
}
