//! One act on many sagas: what was shown is hit, or less, whoever takes over meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Output;

use ringmaster_demo::orders;
use ringmaster_schemas::journal::{Change, JournalRecord, SagaEvent};
use ringmaster_schemas::names::partition_of;
use ringmaster_tests::live::{Coordinator, PARTITIONS, Process, RUN, World, binary, say, until};
use serde_json::Value;

use super::takeover::wait_shared;

const ORDERS: u64 = 300;

fn said(output: &Output, code: i32, words: &[&str]) -> String {
    let all = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{all}");
    words.iter().for_each(|word| assert!(all.contains(word), "'{word}' is not said:\n{all}"));
    all
}

fn saga(number: u64) -> String {
    format!("{}/{}", orders::SAGA, orders::key(RUN, number))
}

/// How often each saga was acted on by somebody, by what counts in the journal.
fn acted(world: &World, by: &str) -> BTreeMap<String, usize> {
    let mut acted = BTreeMap::new();
    for partition in 0..PARTITIONS {
        for (offset, value) in (0..).zip(world.values(&world.topics().journal, partition)) {
            let Ok(JournalRecord::Decision(decision)) = JournalRecord::decode(&value) else { continue };
            if decision.stamp.claim_offset + 1 + decision.stamp.number != offset {
                continue;
            }
            for change in decision.turns.iter().flat_map(|turn| &turn.changes) {
                let Change::Saga(change) = change else { continue };
                let is_its = |event: &&SagaEvent| matches!(event, SagaEvent::Acted { by: who, .. } if **who == *by);
                let count = change.events.iter().filter(is_its).count();
                if count > 0 {
                    *acted.entry(change.saga.to_string()).or_default() += count;
                }
            }
        }
    }
    acted
}

/// Selects until as many are listed (a list is as of the last checkpoint), and gives the batch's id.
fn preview(world: &World, api: &str, arguments: &[&str], count: u64) -> String {
    let all = [&["batch", "preview"], arguments, &["--by", "ann", "--why", "the shop closes", "--api", api, "--json"]].concat();
    let mut id = String::new();
    until("as many are listed", || {
        let output = world.ringmaster(&all);
        // While a partition moves there is nothing to say of it.
        let Ok(batch) = serde_json::from_slice::<Value>(&output.stdout) else { return false };
        id = batch["batch"].as_str().expect("an id").to_owned();
        batch["matched"] == count
    });
    id
}

#[test]
fn many_are_cancelled_as_they_were_seen_over_a_takeover() {
    let world = World::bare("acts on many");
    world.configure("\"session.timeout.ms\" = \"2000\"");
    world.apply_topics();
    let (blue, green) = (world.owner("blue"), world.owner("green"));
    wait_shared("both have a share", &[&blue, &green]);
    let api = green.address.to_string();
    let pause = world.ringmaster(&["participant", "pause", "inventory", "--yes", "--by", "ann", "--why", "they move"]);
    said(&pause, 0, &["8 of 8"]);
    world.place("none", 0..ORDERS);
    let parked = || blue.metric("ringmaster_partition_parked") + green.metric("ringmaster_partition_parked");
    until("all are parked", || parked() == ORDERS as f64);
    let id = preview(&world, &api, &["cancel", "--parked"], ORDERS);
    let (all, fewer) = (ORDERS.to_string(), (ORDERS - 1).to_string());
    let on = |what: &[&str]| world.ringmaster(&[&["batch"], what, &["--by", "bob", "--api", &api]].concat());
    said(&on(&["start", &id, "--expected", &fewer]), 12, &["300 sagas, not 299: nothing is done"]);
    // Each instance knows it.
    let other = world.ringmaster(&["batch", "show", &id, "--api", &blue.address.to_string()]);
    said(&other, 0, &["300 left"]);
    assert_eq!(world.record_count(orders::OUTCOMES), 0, "nothing was done");
    // One of them ends, one moves on to where it could be cancelled still, and more come that were not seen.
    let (first, second) = (saga(0), saga(1));
    for (act, saga) in [("cancel", &first), ("pause", &second)] {
        said(&world.ringmaster(&["act", act, saga, "--yes", "--by", "eve", "--why", "asked by phone"]), 0, &["done"]);
    }
    let arguments = ["batch", "start", &id, "--expected", &all, "--rate", "40", "--by", "bob", "--api", &api];
    let mut acting = Process::start("batch-start", &binary("ringmaster"), &arguments, world.folder());
    world.place("none", ORDERS..ORDERS + 20);
    until("some are done", || world.record_count(orders::OUTCOMES) > 30);
    blue.kill();
    say(&format!("  kill -9 of a coordinator when {} of {ORDERS} had ended", world.record_count(orders::OUTCOMES)));
    world.place("none", ORDERS + 20..ORDERS + 40);
    assert_eq!(acting.wait(), 12, "{}", acting.said());
    let told = acting.said();
    assert!(told.contains("298 done, 2 moved on, 0 rejected, 0 left"), "{told}");
    let of_second = format!("{second}  MOVED_ON");
    assert!(told.lines().any(|line| line.starts_with(&of_second)), "it is not as it was seen:\n{told}");
    until("green has all", || green.is_ready());
    let ended = || world.keys(orders::OUTCOMES).into_values().flatten().collect::<BTreeSet<String>>();
    until("each has its outcome", || ended().len() == ORDERS as usize - 1);
    until("what came meanwhile is parked", || green.metric("ringmaster_partition_parked") == 41.0);
    let acted = acted(&world, "bob");
    let once: BTreeMap<String, usize> = (2..ORDERS).map(|number| (saga(number), 1)).collect();
    assert_eq!(acted, once, "each of those that were shown and had not moved on, once, and no other");
    let known = green.saga(&second).expect("it is known");
    assert!(known["status"] == "running" && known["paused"]["by"] == "eve", "{known}");
    let history = world.ringmaster(&["saga", "history", &saga(7), "--api", &api]);
    said(&history, 0, &["bob acts: cancel (the shop closes)", &format!("batch {id}")]);
    said(&on(&["start", &id, "--expected", &all]), 12, &["is done: it cannot be started"]);
    say("  298 of 300 were cancelled, over the takeover of their owner; one had ended, one had moved on, 40 were not shown");
    pause_and_resume(&world, &green, &second);
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
    let resolve = ["resolve", "--stuck", "--step", "ship", "--outcome", "succeeded"];
    let undo = preview(&world, &api, &[&resolve[..], &["--undo"]].concat(), 0);
    said(&world.ringmaster(&["batch", "show", &undo, "--api", &api]), 0, &["resolve at the undo of ship (succeeded)", "0 sagas"]);
    let value = r#"{"tracking": "T-1"}"#;
    let id = preview(&world, &api, &[&resolve[..], &["--value", value]].concat(), keys.len() as u64);
    // One is asked again meanwhile: what was said of it is not to be said any more.
    let moved = format!("{}/{}", orders::SAGA, keys[0]);
    said(&world.ringmaster(&["act", "retry", &moved, "--yes", "--by", "bob", "--why", "it is back"]), 0, &["done"]);
    let start = world.ringmaster(&["batch", "start", &id, "--expected", "3", "--by", "ann", "--api", &api]);
    let told = said(&start, 12, &["2 done, 1 moved on"]);
    assert!(told.contains(&format!("{moved}  MOVED_ON")), "{told}");
    until("two are completed", || world.record_count(orders::OUTCOMES) == 2);
    assert_eq!(world.command_count("shipping"), keys.len() as i64 + 1, "only the one of which nothing was said is asked again");
    coordinator.stop();
    say("  two of three were resolved, one had moved on");
}

/// Those that are parked, of which one is paused: that is resumed; then all are paused and resumed.
fn pause_and_resume(world: &World, green: &Coordinator, paused: &str) {
    let api = &*green.address.to_string();
    let act_on = |act: &str, filter: &[&str], count: u64| {
        let (id, all) = (preview(world, api, &[&[act], filter].concat(), count), count.to_string());
        let start = ["batch", "start", &id, "--expected", &all, "--rate", "500", "--by", "ann", "--api", api];
        said(&world.ringmaster(&start), 0, &[&format!("{count} done, 0 moved on, 0 rejected, 0 left")]);
        id
    };
    let resumed = act_on("resume", &["--paused"], 1);
    said(&world.ringmaster(&["saga", "history", paused, "--api", api]), 0, &[&format!("batch {resumed}")]);
    // Until that is stored it would be selected as it was.
    until("it is shown as resumed", || green.saga(paused).is_some_and(|saga| saga["paused"].is_null()));
    for (act, filter) in [("pause", &["--parked", "--participant", "inventory"][..]), ("resume", &["--paused"])] {
        act_on(act, filter, 41);
    }
    say("  41 were paused and resumed by a filter");
}
