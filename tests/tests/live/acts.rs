//! What people do to a stuck saga, by `ringmaster act`: taken by the running coordinator, answered, journaled, and replayed.

use std::process::Output;

use ringmaster_demo::orders;
use ringmaster_schemas::names::partition_of;
use ringmaster_tests::live::{PARTITIONS, RUN, World, say, until};

/// The services are this test: it answers each command by hand.
#[test]
fn a_stuck_order_is_asked_again_resolved_and_stays_so() {
    let world = World::bare("acts");
    world.apply_topics();
    let mut coordinator = world.coordinator("blue");
    coordinator.wait_ready();
    world.place("none", 0..1);
    let key = orders::key(RUN, 0);
    let id = format!("{}/{key}", orders::SAGA);
    let answer = |step: &str, attempt: u32, rest: &str| {
        let reply = format!(r#"{{"meta":{{"idempotency_key":"{id}/{step}/do","attempt":{attempt},"outcome":{rest}}}"#);
        let partition = partition_of(key.as_bytes(), PARTITIONS);
        world.write(&world.topics().replies, partition, Some(key.as_bytes()), Some(reply.as_bytes()));
    };
    for (service, step) in [("inventory", "reserve_stock"), ("payment", "charge_payment")] {
        until("it is asked", || world.command_count(service) == 1);
        answer(step, 1, r#""succeeded"},"body":{"reservation_id":"r-1","charge_id":"c-1"}"#);
    }
    until("shipping is asked", || world.command_count("shipping") == 1);
    let act = |arguments: &[&str]| {
        world.ringmaster(&[&["act"], arguments, &["--yes", "--by", "ann", "--why", "seen in the books"]].concat())
    };
    said(&act(&["retry", &id]), 12, "NOT_STUCK");
    answer("ship", 1, r#""failed","code":"BROKEN","retryable":false},"body":null"#);
    until("it is stuck", || coordinator.metric("ringmaster_saga_steps_stuck_total") == 1.0);

    said(&act(&["skip", &id]), 12, "NOT_POSSIBLE");
    said(&act(&["retry", &id, "--if-turn", "0"]), 12, "MOVED_ON");
    said(&act(&["retry", "order-fulfilment/nobody"]), 12, "UNKNOWN_SAGA");
    said(&act(&["retry", &id, "--step", "ship"]), 0, "done");
    until("shipping is asked again", || world.command_count("shipping") == 2);
    answer("ship", 2, r#""failed","code":"BROKEN","retryable":false},"body":null"#);
    until("it is stuck again", || coordinator.metric("ringmaster_saga_steps_stuck_total") == 2.0);
    said(&act(&["resolve", &id, "--step", "ship", "--outcome", "succeeded", "--value", r#"{"tracking": 7}"#]), 12, "tracking");
    said(&act(&["resolve", &id, "--step", "ship", "--outcome", "succeeded", "--value", r#"{"tracking": "T-1"}"#]), 0, "done");
    until("it is completed", || world.record_count(orders::OUTCOMES) == 1);

    // What was done stays done, by a coordinator that reads the journal from its beginning.
    let data = coordinator.kill();
    std::fs::remove_dir_all(&data).expect("the store can go");
    let mut coordinator = world.coordinator("blue");
    coordinator.wait_ready();
    until("it is known", || coordinator.saga(&id).is_some_and(|saga| saga["status"] == "completed"));
    said(&act(&["cancel", &id]), 12, "ENDED");

    // One whose event was lost.
    let lost =
        r#"{"order_id":"lost-1","customer_id":"c-1","region":"EU","total":"12.50","currency":"EUR","items":[{"sku":"a","qty":1}]}"#;
    std::fs::write(world.folder().join("lost.json"), lost).expect("a file can be written");
    said(&act(&["start", "order-fulfilment/lost-2", "--event", "lost.json"]), 12, "starts order-fulfilment/lost-1");
    said(&act(&["start", "order-fulfilment/lost-1", "--event", "lost.json"]), 0, "done");
    said(&act(&["start", "order-fulfilment/lost-1", "--event", "lost.json"]), 12, "DUPLICATE");
    said(&act(&["start", "order-fulfilment/lost-3"]), 2, "--event FILE");
    until("inventory is asked for it", || world.command_count("inventory") == 2);
    coordinator.stop();
    say("acts: a stuck order was asked again, and resolved");
}

/// A coordinator that does not run takes nothing: whoever waits is told.
#[test]
fn an_act_that_nobody_takes_is_told_and_taken_later() {
    let world = World::bare("acts without a coordinator");
    world.apply_topics();
    let act =
        || world.ringmaster(&["act", "cancel", "order-fulfilment/o-1", "--yes", "--by", "ann", "--why", "x", "--timeout", "1"]);
    said(&act(), 10, "nobody took it within the time");
    let mut coordinator = world.coordinator("blue");
    coordinator.wait_ready();
    until("it is taken, and rejected", || coordinator.metric("ringmaster_inputs_rejected_total") == 1.0);
    coordinator.stop();
    say("acts: one that nobody took was taken by the next coordinator");
}

fn said(output: &Output, code: i32, words: &str) {
    let all = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{all}");
    assert!(all.contains(words), "'{words}' is not said:\n{all}");
}

/// Paused while a command is out: its answer is taken, over a crash with a lost store too, and what comes next waits for a person.
#[test]
fn a_paused_order_goes_on_when_it_is_resumed() {
    let world = World::bare("held");
    world.apply_topics();
    let mut coordinator = world.coordinator("blue");
    coordinator.wait_ready();
    world.place("none", 0..1);
    let key = orders::key(RUN, 0);
    let id = format!("{}/{key}", orders::SAGA);
    let act = |act: &str| world.ringmaster(&["act", act, &id, "--yes", "--by", "ann", "--why", "the customer calls"]);
    until("inventory is asked", || world.command_count("inventory") == 1);
    said(&act("resume"), 12, "NOT_POSSIBLE: it is not paused");
    said(&act("pause"), 0, "done");
    said(&act("pause"), 12, "ann has paused it already: the customer calls");
    let reply = format!(
        r#"{{"meta":{{"idempotency_key":"{id}/reserve_stock/do","attempt":1,"outcome":"succeeded"}},"body":{{"reservation_id":"r-1"}}}}"#
    );
    let partition = partition_of(key.as_bytes(), PARTITIONS);
    world.write(&world.topics().replies, partition, Some(key.as_bytes()), Some(reply.as_bytes()));
    let waits = |saga: serde_json::Value| saga["why"][0]["reason"] == "paused" && saga["paused"]["by"] == "ann";
    until("what comes next waits", || coordinator.saga(&id).is_some_and(waits));

    let data = coordinator.kill();
    std::fs::remove_dir_all(&data).expect("the store can go");
    let mut coordinator = world.coordinator("blue");
    coordinator.wait_ready();
    until("it is paused still", || coordinator.saga(&id).is_some_and(waits));
    let address = coordinator.address.to_string();
    let listed = world.ringmaster(&["saga", "list", "--paused", "--api", &address]);
    said(&listed, 0, &id);
    assert_eq!(world.command_count("payment"), 0, "nothing goes forward");
    said(&act("resume"), 0, "done");
    until("payment is asked", || world.command_count("payment") == 1);
    coordinator.stop();
    say("acts: a paused order waited over a crash, and went on");
}
