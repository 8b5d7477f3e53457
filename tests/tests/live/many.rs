//! One act on many sagas: what was shown is hit, or less, whoever takes over meanwhile.

use std::collections::BTreeSet;
use std::process::Output;

use ringmaster_demo::orders;
use ringmaster_tests::live::{Process, RUN, World, binary, say, until};

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
    // One of them moves on, and one more comes that was not seen.
    let first = format!("{}/{}", orders::SAGA, orders::key(RUN, 0));
    said(&world.ringmaster(&["act", "cancel", &first, "--by", "bob", "--why", "asked by phone"]), 0, &["done"]);
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
    assert!(told.contains("29 done, 1 rejected"), "{told}");
    until("green has all", || green.is_ready());
    // Whoever takes over sends again what is not known to have been sent, under the same identity.
    let ended = || world.keys(orders::OUTCOMES).into_values().flatten().collect::<BTreeSet<String>>();
    until("each has its outcome", || ended().len() == ORDERS as usize);
    let outcomes = world.record_count(orders::OUTCOMES);
    said(&on(&["--expected", "30"]), 12, &["0 done, 30 rejected"]);
    assert_eq!((world.record_count(orders::OUTCOMES), ended().len()), (outcomes, ORDERS as usize), "nothing was done twice");
    assert_eq!(green.metric("ringmaster_partition_parked"), 1.0, "what was not shown is not hit");
    green.stop();
    say("  29 of 30 were cancelled, over the takeover of their owner; one had moved on, one was not shown");
}
