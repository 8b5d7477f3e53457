//! What needs a person is counted from the first moment of owning on, whatever became of the process before.

use ringmaster::runtime::{Now, Status};
use ringmaster_schemas::state::{Index, RowKey};
use ringmaster_store::Store;

use crate::Machine;

impl Machine {
    /// The participant of a step answers its first attempt.
    fn answer(&self, order: &str, step: &str, outcome: &str) {
        let reply = format!(
            r#"{{"meta":{{"idempotency_key":"order-fulfilment/{order}/{step}/do","attempt":1,"outcome":"{outcome}","code":"BROKEN","message":null,"retryable":false}},"body":null}}"#
        );
        self.broker.put("ringmaster.replies", 0, Some(order.as_bytes()), reply.as_bytes());
    }

    /// As the gauges show it.
    fn stuck(&self) -> usize {
        let status = Status::default();
        status.report(0, self.worker.partitions());
        status.partitions().iter().map(|partition| partition.stuck).sum()
    }

    fn store_now(&mut self) {
        let now = Now { wall: self.broker.now(), steady: self.broker.now() };
        self.worker.checkpoint(now).expect("the store takes it");
        self.store.flush().expect("flushes");
    }

    /// Ids by the store's index of what is stuck.
    fn listed(&self) -> Vec<String> {
        let mut found = Vec::new();
        let visit = &mut |_, key: RowKey| {
            found.push(key.to_string());
            true
        };
        self.store.scan(0, Index::Stuck, i64::MIN, i64::MAX, visit).expect("readable");
        found
    }
}

/// The shipment of one order fails for good: it is the pivot, and never undone on a guess.
fn with_one_stuck() -> Machine {
    let mut machine = Machine::owning(1);
    for order in ["ord-1", "ord-2"] {
        machine.order(order);
        machine.go(100);
        for step in ["reserve_stock", "charge_payment"] {
            machine.answer(order, step, "succeeded");
            machine.go(100);
        }
    }
    machine.answer("ord-1", "ship", "failed");
    machine.until("stuck", 5_000, |machine| machine.stuck() == 1);
    machine
}

#[test]
fn a_restart_counts_what_is_stuck_in_the_store_and_behind_it() {
    let mut machine = with_one_stuck();
    machine.store_now();
    assert_eq!(machine.listed(), ["order-fulfilment/ord-1"]);
    // The second one is stuck in the journal alone when the process dies.
    machine.answer("ord-2", "ship", "failed");
    machine.until("stuck", 5_000, |machine| machine.stuck() == 2);
    machine.restart(2);
    machine.until("owned", 5_000, Machine::owns_all);
    assert_eq!(machine.stuck(), 2);
}

#[test]
fn what_is_settled_after_a_restart_is_neither_counted_nor_listed() {
    let mut machine = with_one_stuck();
    machine.store_now();
    machine.restart(2);
    machine.until("owned", 5_000, Machine::owns_all);
    assert_eq!(machine.stuck(), 1);
    // It was not shipped, says the service now: what was done before is undone.
    machine.answer("ord-1", "ship", "refused");
    machine.until("settled", 5_000, |machine| machine.stuck() == 0);
    machine.store_now();
    assert_eq!(machine.listed(), [] as [&str; 0]);
}
