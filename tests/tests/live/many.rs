//! One act on many sagas: what was shown is hit, or less, whoever takes over meanwhile.

use std::collections::BTreeSet;
use std::process::Output;

use ringmaster_demo::orders;
use ringmaster_schemas::names::partition_of;
use ringmaster_tests::live::{PARTITIONS, Process, RUN, World, binary, say, until};

use super::takeover::wait_shared;

const ORDERS: u64 = 30;

fn said(output: &Output, code: i32, words: &[&str]) -> String {
    let all = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{all}");
    words.iter().for_each(|word| assert!(all.contains(word), "'{word}' is not said:\n{all}"));
    all
}

#[test]
fn many_are_cancelled_as_they_were_seen_over_a_takeover() {
    let world = World::bare("acts on many");
    world.configure("\"session.timeout.ms\" = \"2000\"");
    world.apply_topics();
    let (blue, green) = (world.owner("blue"), world.owner("green"));
    wait_shared("both have a share", &[&blue, &green]);
    let api = green.address.to_string();
    let pause = world.ringmaster(&["participant", "pause", "inventory", "--by", "ann", "--why", "they move"]);
    said(&pause, 0, &["8 of 8"]);
    world.place("none", 0..ORDERS);
    let parked = || blue.metric("ringmaster_partition_parked") + green.metric("ringmaster_partition_parked");
    until("all are parked", || parked() == ORDERS as f64);
    // A list is as of the last checkpoint.
    let selected = |file: &str| world.ringmaster(&["act-many", "cancel", "--parked", "--into", file, "--api", &api]);
    let mut tries = 0;
    until("all are listed", || {
        tries += 1;
        let all = said(&selected(&format!("try-{tries}.json")), 0, &["nothing was done"]);
        all.contains(&format!("{ORDERS} order-fulfilment at reserve_stock"))
    });
    let file = format!("try-{tries}.json");
    said(&selected(&file), 4, &[&file]);
    let on = |more: &[&str]| {
        let all = [&["act-many", "cancel", "--from", &file, "--by", "ann", "--why", "the shop closes"], more].concat();
        world.ringmaster(&all)
    };
    said(&on(&[]), 0, &["nothing was done", &format!("--expected {ORDERS}")]);
    said(&on(&["--expected", "29"]), 12, &["30 sagas now, not 29"]);
    let retry = world.ringmaster(&["act-many", "retry", "--from", &file, "--by", "ann", "--why", "x", "--expected", "30"]);
    said(&retry, 4, &["cancel"]);
    assert_eq!(world.record_count(orders::OUTCOMES), 0, "nothing was done");
    // One of them ends, one moves on to where it could be cancelled still, and one more comes that was not seen.
    let [first, second] = [0, 1].map(|number| format!("{}/{}", orders::SAGA, orders::key(RUN, number)));
    for (act, saga) in [("cancel", &first), ("pause", &second)] {
        said(&world.ringmaster(&["act", act, saga, "--by", "bob", "--why", "asked by phone"]), 0, &["done"]);
    }
    world.place("none", ORDERS..ORDERS + 1);
    until("it is parked", || parked() == ORDERS as f64);
    let arguments =
        ["act-many", "cancel", "--from", &file, "--by", "ann", "--why", "the shop closes", "--expected", "30", "--rate", "2"];
    let mut acting = Process::start("act-many", &binary("ringmaster"), &arguments, world.folder());
    until("some are done", || world.record_count(orders::OUTCOMES) > 3);
    blue.kill();
    say(&format!("  kill -9 of a coordinator when {} of {ORDERS} had ended", world.record_count(orders::OUTCOMES)));
    assert_eq!(acting.wait(), 12, "{}", acting.said());
    let told = acting.said();
    assert!(told.contains("28 done, 2 rejected"), "{told}");
    let of_second = format!("{second}  MOVED_ON");
    assert!(told.lines().any(|line| line.starts_with(&of_second)), "it is not as it was seen:\n{told}");
    until("green has all", || green.is_ready());
    // Whoever takes over sends again what is not known to have been sent, under the same identity.
    let ended = || world.keys(orders::OUTCOMES).into_values().flatten().collect::<BTreeSet<String>>();
    until("each has its outcome", || ended().len() == ORDERS as usize - 1);
    let outcomes = world.record_count(orders::OUTCOMES);
    said(&on(&["--expected", "30"]), 12, &["0 done, 30 rejected"]);
    assert_eq!((world.record_count(orders::OUTCOMES), ended().len()), (outcomes, ORDERS as usize - 1), "nothing was done twice");
    assert_eq!(green.metric("ringmaster_partition_parked"), 2.0, "what was not shown, or has moved on, is not hit");
    let known = green.saga(&second).expect("it is known");
    assert!(known["status"] == "running" && known["paused"]["by"] == "bob", "{known}");
    say("  28 of 30 were cancelled, over the takeover of their owner; one had ended, one had moved on, one was not shown");
    pause_and_resume(&world, &api, &second, &format!("{}/{}", orders::SAGA, orders::key(RUN, ORDERS)));
    green.stop();
}

/// A participant broke down, and its books say of all orders that it had done them. The services are this test.
#[test]
fn many_that_are_stuck_are_resolved_by_what_the_books_say() {
    let world = World::bare("many that are stuck");
    world.apply_topics();
    // Else whoever does not answer is asked again.
    world.edit_steps("    timeout: 1h\n    within: 2h\n");
    let coordinator = world.owner("blue");
    let keys: Vec<String> = (0..3).map(|number| orders::key(RUN, number)).collect();
    world.place("none", 0..keys.len() as u64);
    let bodies = r#"{"reservation_id":"r-1","charge_id":"c-1"}"#;
    for (service, step, rest) in [
        ("inventory", "reserve_stock", format!(r#""succeeded"}},"body":{bodies}"#)),
        ("payment", "charge_payment", format!(r#""succeeded"}},"body":{bodies}"#)),
        ("shipping", "ship", r#""failed","code":"BROKEN","retryable":false},"body":null"#.to_owned()),
    ] {
        until("all are asked", || world.command_count(service) == keys.len() as i64);
        for key in &keys {
            let reply =
                format!(r#"{{"meta":{{"idempotency_key":"{}/{key}/{step}/do","attempt":1,"outcome":{rest}}}"#, orders::SAGA);
            let partition = partition_of(key.as_bytes(), PARTITIONS);
            world.write(&world.topics().replies, partition, Some(key.as_bytes()), Some(reply.as_bytes()));
        }
    }
    until("all are stuck", || coordinator.metric("ringmaster_saga_steps_stuck_total") == keys.len() as f64);
    let api = coordinator.address.to_string();
    let many = |more: &[&str]| world.ringmaster(&[&["act-many", "resolve"], more].concat());
    said(&many(&["--stuck", "--into", "none.json", "--api", &api]), 2, &["--step", "--outcome"]);
    let of_ship = ["--stuck", "--step", "ship", "--into", "none.json", "--api", &api];
    for (more, word) in [
        (&["--outcome", "succeeded", "--code", "X"][..], "--code"),
        (&["--outcome", "refused", "--value", "1"], "--value"),
        (&["--outcome", "succeeded", "--value", "null"], "null"),
    ] {
        said(&many(&[&of_ship[..], more].concat()), 2, &[word]);
    }
    said(&many(&[&of_ship[..], &["--outcome", "succeeded", "--undo"]].concat()), 0, &["0 sagas at ship"]);
    std::fs::remove_file(world.folder().join("none.json")).expect("it was written");
    said(&world.ringmaster(&["act-many", "start", "--stuck", "--into", "none.json"]), 2, &["replay input"]);
    let (ended, value) = (["--stuck", "--step", "ship", "--outcome", "succeeded", "--value"], r#"{"tracking": "T-1"}"#);
    let (mut tries, mut file) = (0, String::new());
    until("all are listed", || {
        tries += 1;
        file = format!("resolve-{tries}.json");
        let all =
            said(&many(&[&ended[..], &[value, "--into", &file, "--api", &api]].concat()), 0, &["nothing was done", "succeeded"]);
        all.contains(&format!("--expected {} ", keys.len()))
    });
    // One is asked again meanwhile: what was said of it is not to be said any more.
    let moved = format!("{}/{}", orders::SAGA, keys[0]);
    said(&world.ringmaster(&["act", "retry", &moved, "--by", "bob", "--why", "it is back"]), 0, &["done"]);
    let on = ["--from", &file, "--by", "ann", "--why", "seen in the books", "--expected", "3"];
    let other = [&on[..], &["--outcome", "refused"]].concat();
    said(&many(&other), 2, &["--outcome"]);
    let told = said(&many(&on), 12, &["2 done, 1 rejected"]);
    assert!(told.contains(&format!("{moved}  MOVED_ON")), "{told}");
    until("two are completed", || world.record_count(orders::OUTCOMES) == 2);
    assert_eq!(world.command_count("shipping"), keys.len() as i64 + 1, "only the one of which nothing was said is asked again");
    coordinator.stop();
    say("  two of three were resolved, one had moved on");
}

/// Acts on as many as a filter finds, once a list has so many.
fn act_on(world: &World, api: &str, act: &str, filter: &[&str], count: usize) -> String {
    let (mut tries, mut file) = (0, String::new());
    until("as many are listed", || {
        tries += 1;
        file = format!("{act}-{count}-{tries}.json");
        let all = [&["act-many", act, "--into", &file, "--api", api], filter].concat();
        said(&world.ringmaster(&all), 0, &["nothing was done"]).contains(&format!("--expected {count} "))
    });
    let many = count.to_string();
    let all = ["act-many", act, "--from", &file, "--by", "ann", "--why", "stocktaking", "--expected", &many];
    said(&world.ringmaster(&all), 0, &[&format!("{count} done, 0 rejected")])
}

/// Two are parked, of which one is paused: that is resumed; then both are paused and resumed.
fn pause_and_resume(world: &World, api: &str, paused: &str, other: &str) {
    // Else a list would still have states of before.
    let all_go_on = || {
        until("none is paused", || {
            let listed = world.ringmaster(&["saga", "list", "--paused", "--api", api]);
            String::from_utf8_lossy(&listed.stdout).contains("no saga is meant by waits:paused")
        });
    };
    let told = act_on(world, api, "resume", &["--paused"], 1);
    assert!(told.contains(paused) && !told.contains(other), "{told}");
    all_go_on();
    for (act, filter) in [("pause", &["--parked", "--participant", "inventory"][..]), ("resume", &["--paused"])] {
        let told = act_on(world, api, act, filter, 2);
        assert!(told.contains(paused) && told.contains(other), "{told}");
    }
    all_go_on();
    say("  two were paused and resumed by a filter");
}
