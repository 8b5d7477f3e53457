//! What is done to many at a rate can be interrupted, and gone on with: each is hit once.

use std::collections::BTreeMap;

use ringmaster_demo::orders::{self, ORDERS, OrderWriter};
use ringmaster_schemas::names::{command_topic, partition_of};
use ringmaster_tests::live::{Coordinator, PARTITIONS, Process, RUN, World, binary, said, say, until};

/// At one a second there is time to interrupt in the middle.
const COUNT: u64 = 12;
const HAND: [&str; 4] = ["--by", "ann", "--why", "the outage"];

/// Starts a command of `ringmaster` at one a second and interrupts it behind the third; how many it did. `done`: what it says of one that it
/// did; `words`: how it says that others are left.
fn interrupt(world: &World, (name, all): (&str, u64), arguments: &[&str], done: &str, words: &[&str]) -> u64 {
    let expected = all.to_string();
    let arguments = [arguments, &["--expected", &expected, "--rate", "1"], &HAND].concat();
    let mut process = Process::start(name, &binary("ringmaster"), &arguments, world.folder());
    until("it is in the middle", || process.said().contains(&format!("3 of {all}")));
    process.interrupt();
    let (code, told) = (process.wait(), process.said());
    assert_eq!(code, 1, "{told}");
    let count = told.lines().filter(|line| line.contains(done) && !line.contains("interrupted")).count() as u64;
    assert!((3..all).contains(&count), "{count} were done: {told}");
    let left = format!("interrupted: {} ", all - count);
    [&[left.as_str()], words].concat().iter().for_each(|words| assert!(told.contains(words), "'{words}' is not said:\n{told}"));
    say(&format!("  {name}: interrupted behind {count} of {all}"));
    count
}

/// How often inventory was asked for each of these orders.
fn asked(world: &World, numbers: std::ops::Range<u64>) -> Vec<usize> {
    let mut asked: BTreeMap<String, usize> = BTreeMap::new();
    world.keys(&command_topic("inventory")).into_values().flatten().for_each(|key| *asked.entry(key).or_default() += 1);
    numbers.map(|number| asked.get(&orders::key(RUN, number)).copied().unwrap_or_default()).collect()
}

/// What was told was done, and no more. (Metrics are a moment behind.)
fn started(coordinator: &Coordinator, count: u64) {
    let started = || coordinator.metric("ringmaster_sagas_started_total") as u64;
    until("as many are started", || started() >= count);
    assert_eq!(started(), count, "no other is started");
}

/// The services are nobody: each order that starts asks inventory, and waits.
#[test]
fn what_is_done_to_many_is_interrupted_and_gone_on_with() {
    let world = World::bare("interrupted");
    world.apply_topics();
    // Else whoever does not answer is asked again.
    let undo = "    undo: inventory.ReleaseStock          # its body is the do's\n";
    world.edit("sagas/order-fulfilment.yaml", undo, &format!("{undo}    timeout: 1h\n    within: 2h\n"));
    world.place("none", 0..COUNT);
    world.edit("ringmaster.toml", "[kafka]", "start_at = \"latest\"\n[kafka]");
    let coordinator = world.owner("blue");
    replay_input(&world, &coordinator);
    redrive(&world, &coordinator);
    coordinator.stop();
}

/// Orders that were missed are started.
fn replay_input(world: &World, coordinator: &Coordinator) {
    let address = coordinator.address.to_string();
    let range = ["replay", "input", "orders", "--from", "2020-01-01T00:00:00Z", "--to", "2100-01-01T00:00:00Z", "--api", &address];
    let words = ["wait still", "without --expected the same command says how many"];
    let count = interrupt(world, ("replay-input", COUNT), &range, "it started ", &words);
    started(coordinator, count);
    // What is known is told as of the last checkpoint.
    let rest = COUNT - count;
    let counted = format!("add --expected {rest} ");
    until("it says how many are left", || String::from_utf8_lossy(&world.ringmaster(&range).stdout).contains(&counted));
    let again = world.ringmaster(&[&range[..], &["--expected", &rest.to_string()], &HAND].concat());
    said(&again, 0, &[&format!("{rest} started")]);
    started(coordinator, COUNT);
    until("inventory is asked for each", || world.command_count("inventory") >= COUNT as i64);
    assert_eq!(asked(world, 0..COUNT), vec![1; COUNT as usize], "each once");
}

/// As many more, in the wrong partitions, are brought to their own.
fn redrive(world: &World, coordinator: &Coordinator) {
    let schemas = world.schemas();
    let writer = OrderWriter::new(schemas.named("OrderPlaced").expect("an example schema"));
    for number in COUNT..2 * COUNT {
        let (key, mut value) = (orders::key(RUN, number), Vec::new());
        writer.put(&key, number, &mut value);
        world.write(ORDERS, (partition_of(key.as_bytes(), PARTITIONS) + 1) % PARTITIONS, Some(key.as_bytes()), Some(&value));
    }
    let all = ["quarantine", "redrive", "--topic", "orders"];
    let are_left = |count: u64| {
        let counted = format!("add --expected {count} ");
        until("they are in quarantine", || String::from_utf8_lossy(&world.ringmaster(&all).stdout).contains(&counted));
    };
    are_left(COUNT);
    let words = ["wait still", "without --expected the same command says how many"];
    let count = interrupt(world, ("redrive", COUNT), &all, "it started ", &words);
    started(coordinator, COUNT + count);
    let rest = COUNT - count;
    are_left(rest);
    let again = world.ringmaster(&[&all[..], &["--expected", &rest.to_string()], &HAND].concat());
    said(&again, 0, &[&format!("{rest} started")]);
    said(&world.ringmaster(&["quarantine", "list"]), 0, &["nothing is in quarantine", &format!("{COUNT} that were redriven")]);
    until("inventory is asked for each", || world.command_count("inventory") >= 2 * COUNT as i64);
    assert_eq!(asked(world, 0..2 * COUNT), vec![1; 2 * COUNT as usize], "each once");
}
