//! What a fetcher does with brokers that move, go and come, and with leaders that change.

use std::time::Duration;

use super::super::requests::Api;
use super::reads::Reads;
use super::scripted::{Act, PARTITIONS, Scripted};

fn lead(broker: &Scripted, topic: &str, partition: i32, leader: i32) {
    broker.state().leaders.insert((topic.to_owned(), partition), leader);
}

#[test]
fn each_leader_gets_one_request() {
    let broker = Scripted::cluster(3, &[]);
    for partition in 0..PARTITIONS {
        lead(&broker, "commands", partition, 1 + partition % 3);
        broker.append("commands", partition, 4);
    }
    let mut reads = Reads::from(&broker.address_of(2));
    (0..PARTITIONS).for_each(|partition| reads.read("commands", partition, 0));
    reads.until("all ends", |reads| reads.ends.len() == PARTITIONS as usize);
    (0..PARTITIONS).for_each(|partition| reads.check(&broker, "commands", partition, 0));
    let state = broker.state();
    for ((me, topic, partition), offsets) in &state.fetched {
        assert_eq!((*me, topic.as_str()), (1 + partition % 3, "commands"), "its leader is asked");
        assert!(offsets.is_sorted(), "{offsets:?}");
    }
}

#[test]
fn leaders_that_move_again_and_again_lose_and_double_nothing() {
    let broker = Scripted::cluster(3, &[]);
    let mut reads = Reads::from(&broker.address());
    (0..4).for_each(|partition| reads.read("commands", partition, 0));
    let mut random = fastrand::Rng::with_seed(11);
    for _ in 0..60 {
        (0..4).for_each(|partition| broker.append("commands", partition, random.i32(1..5)));
        lead(&broker, "commands", random.i32(0..4), random.i32(1..4));
        reads.turns(random.usize(0..5));
    }
    let ends: Vec<i64> = (0..4).map(|partition| broker.state().shelf("commands", partition).next()).collect();
    reads.until("all ends", |reads| (0..4).all(|partition| reads.is_at("commands", partition, ends[partition as usize])));
    (0..4).for_each(|partition| reads.check(&broker, "commands", partition, 0));
    assert!(reads.unreadable.is_empty(), "{:?}", reads.unreadable);
}

/// Nobody leads it for a while; for too long, and that is said.
#[test]
fn a_partition_without_a_leader_is_waited_for_and_then_said() {
    let broker = Scripted::start(&[]);
    (0..2).for_each(|partition| broker.append("commands", partition, 5));
    lead(&broker, "commands", 0, -1);
    let mut reads = Reads::from(&broker.address());
    (0..2).for_each(|partition| reads.read("commands", partition, 0));
    reads.until("the other", |reads| reads.is_at("commands", 1, 5));
    assert!(reads.unreadable.is_empty());
    reads.until_tried("that nobody leads it", |reads| !reads.unreadable.is_empty());
    assert!(reads.unreadable[0].1.contains("nobody leads it"), "{:?}", reads.unreadable);
    lead(&broker, "commands", 0, 1);
    reads.until_tried("it is read", |reads| reads.is_at("commands", 0, 5));
    reads.check(&broker, "commands", 0, 0);
    assert_eq!(reads.unreadable.len(), 1);
}

/// A broker that does not answer is not waited for if others lead what it led; if nobody else does, it is given up after a while.
#[test]
fn a_silent_broker_is_left() {
    for moves in [true, false] {
        let broker = Scripted::cluster(2, &[]);
        (0..2).for_each(|partition| broker.append("commands", partition, 5));
        lead(&broker, "commands", 1, 2);
        let mut reads = Reads::from(&broker.address());
        (0..2).for_each(|partition| reads.read("commands", partition, 0));
        reads.until("both ends", |reads| reads.is_at("commands", 0, 5) && reads.is_at("commands", 1, 5));
        broker.state().silent = Some(2);
        reads.until("held", |_| broker.state().held_count > 0);
        broker.append("commands", 1, 5);
        reads.turns(5);
        assert_eq!(reads.offsets("commands", 1).len(), 5);
        if moves {
            lead(&broker, "commands", 1, 1);
            reads.skip(Duration::from_secs(6));
            reads.until("it is read on", |reads| reads.is_at("commands", 1, 10));
            // The answer comes after all, and is about another position.
            broker.release();
            broker.append("commands", 1, 5);
        } else {
            reads.skip(Duration::from_secs(31));
            broker.state().silent = None;
        }
        let end = if moves { 15 } else { 10 };
        reads.until_tried("it is read on", |reads| reads.is_at("commands", 1, end));
        (0..2).for_each(|partition| reads.check(&broker, "commands", partition, 0));
        assert!(reads.out_of_range.is_empty() && reads.unreadable.is_empty());
    }
}

/// The address is the same, and there is nobody for a while.
#[test]
fn a_broker_that_goes_and_comes_is_found_again() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    drop(listener);
    let mut reads = Reads::from(&address);
    reads.read("commands", 0, 0);
    let mut turns = 0;
    let begun = std::time::Instant::now();
    while begun.elapsed() < Duration::from_secs(1) {
        reads.turn();
        turns += 1;
    }
    assert!(turns < 500, "{turns} turns in a second of waiting");
    let broker = Scripted::start(&[(Api::Fetch, Act::Cut { done: true }), (Api::Metadata, Act::Cut { done: true })]);
    broker.append("commands", 0, 5);
    let mut reads = Reads::from(&format!("{address},{}", broker.address()));
    reads.read("commands", 0, 0);
    reads.until("it is read", |reads| reads.is_at("commands", 0, 5));
    reads.check(&broker, "commands", 0, 0);
    assert!(reads.unreadable.is_empty());
}

/// A broker looks at the end of a log, then reads, and what was appended in between is given as well.
#[test]
fn what_stands_behind_the_end_that_was_told_is_read() {
    let broker = Scripted::start(&[]);
    (0..4).for_each(|_| broker.append("commands", 0, 5));
    let mut reads = Reads::from(&broker.address());
    for early in [3, 5, 11, 20] {
        broker.state().shelf_mut("commands", 0).early = early;
        reads.visited.clear();
        reads.read("commands", 0, 0);
        reads.until("all of it", |reads| reads.offsets("commands", 0).len() == 20);
        reads.check(&broker, "commands", 0, 0);
        assert_eq!(reads.unreadable, [], "{early} behind what was told");
    }
    broker.state().shelf_mut("commands", 0).early = 0;
    reads.until("its end", |reads| reads.is_at("commands", 0, 20));
}
