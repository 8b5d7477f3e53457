//! A participant that a person pauses, by `ringmaster participant`: every partition takes it and answers, and nothing is asked meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Output;
use std::time::{Duration, Instant};

use ringmaster_demo::orders::{self, Outcome};
use ringmaster_schemas::names::{command_topic, partition_of};
use ringmaster_tests::live::{PARTITIONS, RUN, World, say, until};

/// The services are this test: it answers each command by hand.
#[test]
fn a_paused_participant_is_asked_nothing_until_it_is_resumed() {
    let world = World::bare("paused");
    world.apply_topics();
    let on_it = |arguments: &[&str]| {
        world
            .ringmaster(&[&["participant"], arguments, &["--yes", "--by", "ann", "--why", "they move", "--timeout", "60"]].concat())
    };
    let nobody = world.ringmaster(&["participant", "pause", "shipping", "--yes", "--by", "bob", "--why", "x", "--timeout", "1"]);
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

/// How long payment is away.
const OUTAGE: Duration = Duration::from_secs(60);

/// The service is gone for a minute, which is longer than any order's step may take. Not one order fails for it: all are parked, and complete
/// when it is back, with half the load still on. What was parked is gone within 1.2 times the outage (that was 1 s where it was
/// measured); those that go first go first.
#[test]
fn payment_down_under_load_parks_orders_and_not_one_fails_for_it() {
    let mut world = World::new("payment down");
    world.edit(
        "sagas/order-fulfilment.yaml",
        "    undo: payment.Refund\n",
        "    undo: payment.Refund\n    timeout: 2s\n    within: 30s\n",
    );
    // The later an order comes the larger it is, a little: those of the outage's last seconds go first.
    world.edit("sagas/order-fulfilment.yaml", "deadline: 3d\n", "deadline: 3d\npriority: \"start.total > 34.00 ? 9 : 5\"\n");
    world.configure("[breaker]\nprobe_every = \"1s\"\nminimum = 3");
    let coordinator = world.owner("blue");
    let shop = world.shop();
    shop.order(300, 100.0);
    until("orders end", || shop.finished() >= 100);
    world.take_service("payment").kill();
    let down = Instant::now();
    shop.order(1_400, 24.0);
    until("no partition asks payment any more", || {
        coordinator.metric("ringmaster_partition_open_breakers") == f64::from(PARTITIONS)
    });
    until("orders are parked", || coordinator.metric("ringmaster_partition_parked") >= 1_000.0);
    until("a minute is over, and all are placed", || down.elapsed() >= OUTAGE && shop.issued() == shop.wanted());
    let (outage, parked) = (down.elapsed(), coordinator.metric("ringmaster_partition_parked"));
    let asked = world.keys(&command_topic("payment"));
    let list = world.ringmaster(&["participant", "list", "--set", &format!("api.listen={}", coordinator.address)]);
    said(&list, 0, "payment");
    world.start_service("payment", &[]);
    let back = Instant::now();
    shop.order(400, 12.0);
    until("nothing is parked any more", || {
        coordinator.metric("ringmaster_partition_parked") == 0.0 && coordinator.metric("ringmaster_partition_open_breakers") == 0.0
    });
    let drain = back.elapsed();
    say(&format!(
        "payment was down for {:.1} s, and the {parked} orders that were parked were gone {:.1} s after it was back, with half the load on: {:.2} of it",
        outage.as_secs_f64(),
        drain.as_secs_f64(),
        drain.as_secs_f64() / outage.as_secs_f64()
    ));
    assert!(drain <= outage.mul_f64(1.2), "the drain took {drain:?}");
    assert_eq!(coordinator.metric("ringmaster_saga_steps_stuck_total"), 0.0, "nobody is needed");
    let gold_count = first_go_first(&world, &asked);
    say(&format!("{gold_count} of them went before the rest"));
    world.close(shop, coordinator);
}

/// Of what was asked behind the outage for the first time, and was placed in it: in each partition what goes first stands before the rest.
/// How many did. (Others were asked before, to find out whether payment is back.)
fn first_go_first(world: &World, before: &BTreeMap<i32, Vec<String>>) -> usize {
    let mut gold_count = 0;
    let mut seen_count = 0;
    for (partition, keys) in world.keys(&command_topic("payment")) {
        let known = before.get(&partition).map_or(&[][..], Vec::as_slice);
        let number = |key: &String| orders::number_of(RUN, key).expect("an order's key");
        let first = |key: &&String| !known.contains(key) && (300..1_700).contains(&number(key));
        let mut orders: Vec<u64> = keys[known.len()..].iter().filter(first).map(number).collect();
        let mut seen = BTreeSet::new();
        // An attempt that had no answer in time is another record.
        orders.retain(|order| seen.insert(*order));
        let is_gold = |order: &u64| *order > 1_401 || orders::outcome(*order) == Outcome::Declined;
        let rest = orders.iter().position(|order| !is_gold(order)).unwrap_or(orders.len());
        let late: Vec<&u64> = orders[rest..].iter().filter(|order| is_gold(order)).collect();
        assert!(late.is_empty(), "partition {partition}: {late:?} went behind others: {orders:?}");
        (gold_count, seen_count) = (gold_count + rest, seen_count + orders.len());
    }
    assert!(gold_count > 100 && seen_count > 600, "{gold_count} of {seen_count} went first");
    gold_count
}
