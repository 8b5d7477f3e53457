//! What lies in quarantine is taken in after all, by `ringmaster quarantine redrive`, and what was missed by `replay input`: once, whatever dies meanwhile.

use ringmaster_demo::orders::{self, ORDERS, OrderWriter};
use ringmaster_schemas::journal::JournalRecord;
use ringmaster_schemas::names::partition_of;
use ringmaster_schemas::registry::Schemas;
use ringmaster_tests::live::{Coordinator, PARTITIONS, RUN, World, said, say, until};
use serde_json::Value;

const SCHEMA: &str = "sagas/schemas/OrderPlaced.avsc";
/// What the producer has and nobody else knows yet.
const OLDER: &str = r#""default": null}
  ]"#;
const NEWER: &str = r#""default": null},
    {"name": "note", "type": "string", "default": ""}
  ]"#;

/// An order by the schema that lies in the folder now, with what that has more.
fn order(world: &World, number: u64, more: &[u8]) -> (String, Vec<u8>) {
    let (key, mut value) = (orders::key(RUN, number), Vec::new());
    let schemas: Schemas = world.schemas();
    OrderWriter::new(schemas.named("OrderPlaced").expect("an example schema")).put(&key, number, &mut value);
    value.extend_from_slice(more);
    (key, value)
}

/// A command on the quarantine, and how it ends.
fn quarantine(world: &World, arguments: &[&str], code: i32, words: &[&str]) -> String {
    let output = world.ringmaster(&[&["quarantine"], arguments].concat());
    said(&output, code, words);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The entries that are listed, as JSON.
fn listed(world: &World, arguments: &[&str]) -> Vec<Value> {
    let text = quarantine(world, &[&["list", "--json"], arguments].concat(), 0, &[]);
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// One whose schema nobody knows yet, one in the wrong partition, and what is no order. The services are nobody: each saga asks once.
#[test]
fn a_quarantined_order_is_taken_once_when_its_schema_has_come() {
    let world = World::bare("redriven");
    world.apply_topics();
    world.edit(SCHEMA, OLDER, NEWER);
    let (newer, value) = order(&world, 0, &[0]);
    world.edit(SCHEMA, NEWER, OLDER);
    let (astray, other) = order(&world, 1, &[]);
    let home = |key: &str| partition_of(key.as_bytes(), PARTITIONS);
    world.write(ORDERS, home(&newer), Some(newer.as_bytes()), Some(&value));
    world.write(ORDERS, (home(&astray) + 1) % PARTITIONS, Some(astray.as_bytes()), Some(&other));
    world.write(ORDERS, 0, None, Some(b"no order"));
    let mut coordinator = world.coordinator("blue");
    coordinator.wait_ready();
    until("all are in quarantine", || listed(&world, &[]).len() == 3);

    quarantine(&world, &["redrive"], 2, &["say which records"]);
    quarantine(
        &world,
        &["redrive", "--topic", "orders"],
        0,
        &["3 records would be brought again", "1 UNKNOWN_SCHEMA from orders", "--expected 3"],
    );
    let hand = ["--by", "ann", "--why", "the schema is there"];
    quarantine(&world, &[&["redrive", "--topic", "orders", "--expected", "2"], &hand[..]].concat(), 12, &["3 records now, not 2"]);
    assert_eq!((world.command_count("inventory"), listed(&world, &[]).len()), (0, 3), "nothing was done");
    let now = ["redrive", "--topic", "orders", "--expected", "3"];
    let words = [
        "it started order-fulfilment/ord-",
        "1 started",
        "2 quarantined",
        "back in quarantine: UNKNOWN_SCHEMA",
        "before that, as quarantine",
    ];
    quarantine(&world, &[&now, &hand[..]].concat(), 12, &words);
    until("inventory is asked for the one that was astray", || world.command_count("inventory") == 1);
    until("the others are back", || listed(&world, &[]).len() == 2);

    // The schema comes; one is taken, and everything dies.
    coordinator.stop();
    world.edit(SCHEMA, OLDER, NEWER);
    let mut coordinator = world.coordinator("blue");
    coordinator.wait_ready();
    let now = ["redrive", "--reason", "unknown_schema", "--expected", "1"];
    quarantine(&world, &[&now, &hand[..]].concat(), 0, &[&format!("it started order-fulfilment/{newer}"), "1 started"]);
    until("inventory is asked for it, too", || world.command_count("inventory") == 2);
    let data = coordinator.kill();
    std::fs::remove_dir_all(&data).expect("the store can go");
    let mut coordinator = world.coordinator("blue");
    coordinator.wait_ready();

    nothing_is_done_twice(&world, &coordinator, &newer);
    coordinator.stop();
    say("redriven: an order whose schema came late, and one that was astray, were taken once");
}

fn nothing_is_done_twice(world: &World, coordinator: &Coordinator, newer: &str) {
    let hand = ["--by", "ann", "--why", "the schema is there"];
    // All that were ever there are brought once more: nothing is done twice.
    let all = listed(world, &["--all"]);
    assert_eq!(all.len(), 5, "{all:?}");
    let is_taken = |entry: &&Value| entry["reason"] != "UNDECODABLE";
    let ids: Vec<&str> = all.iter().filter(is_taken).map(|entry| entry["id"].as_str().expect("text")).collect();
    let again = [&["redrive", "--expected", "3"], &ids[..], &hand[..]].concat();
    quarantine(world, &again, 0, &["DUPLICATE", "3 known"]);
    let shown = quarantine(world, &["show", ids[0]], 0, &["since then", "by ann: the schema is there"]);
    assert!(shown.contains("redriven 2"), "{shown}");
    let history = world.ringmaster(&["saga", "history", &format!("order-fulfilment/{newer}")]);
    said(&history, 0, &["ann", "the schema is there"]);

    quarantine(
        world,
        &["discard", "--reason", "UNDECODABLE", "--expected", "1", "--by", "ann", "--why", "a mistake"],
        0,
        &["1 record discarded"],
    );
    quarantine(world, &["list"], 0, &["nothing is in quarantine", "5 that were redriven or discarded"]);
    quarantine(world, &["list", "--all"], 0, &["by ann: a mistake"]);
    assert_eq!(coordinator.metric("ringmaster_sagas_started_total"), 0.0, "by this one: both had begun");
    assert_eq!(coordinator.metric("ringmaster_inputs_rejected_total"), 3.0);
}

/// A coordinator that began behind them has missed orders; one was begun by hand since.
#[test]
fn orders_that_were_missed_are_started_once() {
    let world = World::bare("replayed");
    world.apply_topics();
    world.place("none", 0..4);
    world.write(ORDERS, 0, None, Some(b"no order"));
    world.edit("ringmaster.toml", "[kafka]", "start_at = \"latest\"\n[kafka]");
    let mut coordinator = world.coordinator("blue");
    coordinator.wait_ready();
    let id = |number| format!("order-fulfilment/{}", orders::key(RUN, number));
    let by_hand = format!(
        r#"{{"order_id":"{}","customer_id":"c-1","region":"EU","total":"12.50","currency":"EUR","items":[{{"sku":"a","qty":1}}]}}"#,
        orders::key(RUN, 0)
    );
    std::fs::write(world.folder().join("order.json"), by_hand).expect("a file can be written");
    let hand = ["--by", "ann", "--why", "they were missed"];
    said(&world.ringmaster(&[&["act", "start", &id(0), "--yes", "--event", "order.json"], &hand[..]].concat()), 0, &["done"]);
    until("it is known", || coordinator.saga(&id(0)).is_some());

    let address = coordinator.address.to_string();
    let range = ["replay", "input", "orders", "--from", "2020-01-01T00:00:00Z", "--to", "2100-01-01T00:00:00Z", "--api", &address];
    let replay = |more: &[&str], code: i32, words: &[&str]| said(&world.ringmaster(&[&range[..], more].concat()), code, words);
    replay(&[], 0, &["3 missing", "1 known", "1 unreadable", "--expected 3"]);
    replay(&[&["--expected", "4"], &hand[..]].concat(), 12, &["3 records now, not 4"]);
    assert_eq!(coordinator.metric("ringmaster_sagas_started_total"), 1.0, "nothing was done");
    replay(
        &[&["--expected", "3", "--rate", "2"], &hand[..]].concat(),
        0,
        &["2 of 3", &format!("it started {}", id(3)), "3 started"],
    );
    until("all are known", || (0..4).all(|number| coordinator.saga(&id(number)).is_some()));
    replay(&[], 0, &["0 missing", "4 known", "nothing is missing"]);
    assert_eq!(coordinator.metric("ringmaster_sagas_started_total"), 4.0, "each once");
    said(&world.ringmaster(&["saga", "history", &id(3)]), 0, &["ann", "they were missed"]);
    coordinator.stop();
    say("replayed: three orders that were missed were started once");
}

/// Orders that are written from now on are read: that a partition is owned says not yet where it begins.
fn wait_begun(world: &World) {
    let begins = |value: &Vec<u8>| match JournalRecord::decode(value) {
        Ok(JournalRecord::Positions(begun)) => begun.positions.iter().any(|position| *position.name == *ORDERS),
        _ => false,
    };
    let journal = world.topics().journal;
    until("all begin to read", || (0..PARTITIONS).all(|partition| world.values(&journal, partition).iter().any(begins)));
}

/// Behind a coordinator's back: two orders that it missed, one so old that it may have run and been forgotten. In front of its eyes: one as
/// old, and one in the wrong partition; both lie in quarantine.
#[test]
fn what_is_too_old_is_started_only_if_that_is_said() {
    let world = World::bare("too old");
    world.apply_topics();
    world.edit("sagas/order-fulfilment.yaml", "deadline: 3d\n", "deadline: 3d\nretain: 1h\n");
    let long_ago = ringmaster_bus::clock::now().wall - 2 * 3_600_000;
    let (home, id) = (|key: &str| partition_of(key.as_bytes(), PARTITIONS), |key: &str| format!("order-fulfilment/{key}"));
    let (forgotten, old) = order(&world, 2, &[]);
    let (late, as_old) = order(&world, 3, &[]);
    let (astray, other) = order(&world, 4, &[]);
    world.place("none", 0..2);
    world.write_as_of(long_ago, (ORDERS, home(&forgotten), Some(forgotten.as_bytes()), Some(&old)));
    world.edit("ringmaster.toml", "[kafka]", "start_at = \"latest\"\n[kafka]");
    let coordinator = world.owner("blue");
    wait_begun(&world);
    world.write_as_of(long_ago, (ORDERS, home(&late), Some(late.as_bytes()), Some(&as_old)));
    world.write(ORDERS, (home(&astray) + 1) % PARTITIONS, Some(astray.as_bytes()), Some(&other));
    until("both are in quarantine", || listed(&world, &[]).len() == 2);
    assert_eq!(listed(&world, &["--reason", "TOO_OLD"]).len(), 1);

    let address = coordinator.address.to_string();
    let range = ["replay", "input", "orders", "--from", "2020-01-01T00:00:00Z", "--to", "2100-01-01T00:00:00Z", "--api", &address];
    let replay = |more: &[&str], code: i32, words: &[&str]| said(&world.ringmaster(&[&range[..], more].concat()), code, words);
    let hand = ["--by", "ann", "--why", "they never ran"];
    replay(&[], 0, &["2 missing", "1 too old", "--accept-old", "2 in quarantine", "quarantine redrive", "--expected 2"]);
    replay(&["--json"], 0, &[r#""in_quarantine":2"#, r#""missing":2"#, r#""too_old":1"#]);
    replay(&[&["--expected", "3"], &hand[..]].concat(), 12, &["2 records now, not 3"]);
    replay(&["--accept-old"], 0, &["3 missing", "2 in quarantine", "--expected 3"]);
    replay(&["--accept-old", "--expected", "3"], 2, &["--why"]);
    assert_eq!(world.command_count("inventory"), 0, "nothing was done");
    replay(&[&["--accept-old", "--expected", "3"], &hand[..]].concat(), 0, &["3 started", &id(&forgotten)]);
    said(&world.ringmaster(&["saga", "history", &id(&forgotten)]), 0, &["ann", "they never ran"]);

    // What lies in quarantine is not begun by that, and is as old.
    until("three are started", || coordinator.metric("ringmaster_sagas_started_total") == 3.0);
    assert_eq!(listed(&world, &[]).len(), 2);
    quarantine(&world, &["redrive", "--topic", "orders"], 0, &["1 record would be brought again", "not 1: they are TOO_OLD"]);
    let all = ["redrive", "--topic", "orders", "--accept-old", "--expected", "2"];
    quarantine(&world, &[&all, &hand[..]].concat(), 0, &["2 started"]);
    said(&world.ringmaster(&["saga", "history", &id(&late)]), 0, &["ann", "they never ran"]);
    until("all are known", || [&forgotten, &late, &astray].iter().all(|key| coordinator.saga(&id(key)).is_some()));
    replay(&["--accept-old"], 0, &["0 missing", "5 known"]);
    assert_eq!(coordinator.metric("ringmaster_sagas_started_total"), 5.0, "each once");
    coordinator.stop();
    say("too old: two old orders were started when that was said, and why");
}
