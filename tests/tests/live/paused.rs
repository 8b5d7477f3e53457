//! A participant that a person pauses, by `ringmaster participant`: every partition takes it and answers, and nothing is asked meanwhile.

use std::process::Output;
use std::time::Instant;

use ringmaster_demo::orders;
use ringmaster_schemas::names::partition_of;
use ringmaster_tests::live::{PARTITIONS, RUN, World, say, until};

/// The services are this test: it answers each command by hand.
#[test]
fn a_paused_participant_is_asked_nothing_until_it_is_resumed() {
    let world = World::bare("paused");
    world.apply_topics();
    let on_it = |arguments: &[&str]| {
        world.ringmaster(&[&["participant"], arguments, &["--by", "ann", "--why", "they move", "--timeout", "60"]].concat())
    };
    let nobody = world.ringmaster(&["participant", "pause", "shipping", "--by", "bob", "--why", "x", "--timeout", "1"]);
    said(&nobody, 10, "nobody took it within the time in partitions 0, 1, 2, 3, 4, 5, 6, 7");
    let mut coordinator = world.coordinator("blue");
    coordinator.wait_ready();
    said(&on_it(&["pause", "payment"]), 0, "payment is paused in 8 of 8 partitions");
    said(&on_it(&["pause", "payment"]), 12, "NOT_POSSIBLE: ann paused it already: they move");
    said(&on_it(&["pause", "paymnt"]), 12, "no saga asks 'paymnt'; there are inventory, payment, shipping");
    said(&on_it(&["resume", "inventory"]), 12, "it is not paused: it is asked");
    until("what nobody took was taken", || coordinator.metric("ringmaster_partition_open_breakers") == 16.0);

    world.place("none", 0..1);
    let key = orders::key(RUN, 0);
    let id = format!("{}/{key}", orders::SAGA);
    until("inventory is asked", || world.command_count("inventory") == 1);
    let reply = format!(
        r#"{{"meta":{{"idempotency_key":"{id}/reserve_stock/do","attempt":1,"outcome":"succeeded"}},"body":{{"reservation_id":"r-1"}}}}"#
    );
    let partition = partition_of(key.as_bytes(), PARTITIONS);
    world.write(&world.topics().replies, partition, Some(key.as_bytes()), Some(reply.as_bytes()));
    until("it is parked", || coordinator.saga(&id).is_some_and(|saga| saga["why"][0]["breaker"]["state"] == "paused"));
    assert_eq!(world.command_count("payment"), 0);

    // A store that is lost is made again from the journal, breakers and what is parked too.
    let data = coordinator.kill();
    std::fs::remove_dir_all(&data).expect("the store can go");
    let mut coordinator = world.coordinator("blue");
    coordinator.wait_ready();
    until("it is parked still", || coordinator.saga(&id).is_some_and(|saga| saga["why"][0]["breaker"]["by"] == "ann"));
    let resumed = on_it(&["resume", "payment", "--json"]);
    said(&resumed, 0, r#""done":[0,1,2,3,4,5,6,7]"#);
    until("payment is asked", || world.command_count("payment") == 1);
    until("its breakers are closed", || coordinator.metric("ringmaster_partition_open_breakers") == 8.0);
    assert_eq!(coordinator.metric("ringmaster_partition_parked"), 0.0);
    coordinator.stop();
    say("paused: nothing was asked until it was resumed, also by a coordinator without a store");
}

fn said(output: &Output, code: i32, words: &str) {
    let all = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{all}");
    assert!(all.contains(words), "'{words}' is not said:\n{all}");
}

/// The service is gone for longer than any order's step may take. Not one order fails for it: all are parked, and complete when it is
/// back, with load still on.
#[test]
fn payment_down_under_load_parks_orders_and_not_one_fails_for_it() {
    let mut world = World::new("payment down");
    world.edit(
        "sagas/order-fulfilment.yaml",
        "    undo: payment.Refund\n",
        "    undo: payment.Refund\n    timeout: 2s\n    within: 8s\n    retry: { attempts: 3 }\n",
    );
    world.configure("[breaker]\nprobe_every = \"1s\"\nminimum = 3");
    let coordinator = world.owner("blue");
    let shop = world.shop();
    shop.order(300, 100.0);
    until("orders end", || shop.finished() >= 100);
    world.take_service("payment").kill();
    let down = Instant::now();
    shop.order(1_400, 200.0);
    until("no partition asks payment any more", || {
        coordinator.metric("ringmaster_partition_open_breakers") == f64::from(PARTITIONS)
    });
    until("orders are parked", || coordinator.metric("ringmaster_partition_parked") >= 1_000.0);
    let outage = down.elapsed();
    let list = world.ringmaster(&["participant", "list", "--set", &format!("api.listen={}", coordinator.address)]);
    said(&list, 0, "payment");
    world.start_service("payment", &[]);
    let back = Instant::now();
    shop.order(200, 100.0);
    until("nothing is parked any more", || {
        coordinator.metric("ringmaster_partition_parked") == 0.0 && coordinator.metric("ringmaster_partition_open_breakers") == 0.0
    });
    let drain = back.elapsed();
    say(&format!(
        "payment was down for {:.1} s, and what was parked was gone {:.1} s after it was back, with half the load on: {:.2} of it",
        outage.as_secs_f64(),
        drain.as_secs_f64(),
        drain.as_secs_f64() / outage.as_secs_f64()
    ));
    assert_eq!(coordinator.metric("ringmaster_saga_steps_stuck_total"), 0.0, "nobody is needed");
    world.close(shop, coordinator);
}
