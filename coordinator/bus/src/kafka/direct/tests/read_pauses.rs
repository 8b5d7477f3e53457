//! What a fetcher does with partitions that are paused, and what was fetched of them.

use super::super::fetches::Fetching;
use super::batches::CODECS;
use super::reads::Reads;
use super::scripted::Scripted;
use super::shelf::{batch, numbers};

#[test]
fn a_pause_loses_and_repeats_nothing() {
    let broker = Scripted::start(&[]);
    let mut reads = Reads::from(&broker.address());
    let mut random = fastrand::Rng::with_seed(5);
    (0..2).for_each(|partition| reads.read("commands", partition, 0));
    for _ in 0..100 {
        (0..2).for_each(|partition| broker.append("commands", partition, random.i32(1..9)));
        let (partition, paused) = (random.i32(0..2), random.bool());
        reads.pause("commands", partition, paused);
        let before = reads.offsets("commands", partition).len();
        reads.turns(random.usize(0..3));
        assert!(!paused || reads.offsets("commands", partition).len() == before, "nothing while it is paused");
    }
    (0..2).for_each(|partition| reads.pause("commands", partition, false));
    let ends = (0..2).map(|partition| broker.state().shelf("commands", partition).next()).collect::<Vec<_>>();
    reads.until("both ends", |reads| (0..2).all(|partition| reads.is_at("commands", partition, ends[partition as usize])));
    (0..2).for_each(|partition| reads.check(&broker, "commands", partition, 0));
}

/// What came before a pause is visited behind it, and fetched once; meanwhile others are visited.
#[test]
fn what_was_fetched_before_a_pause_is_not_fetched_again() {
    let broker = Scripted::start(&[]);
    (0..2).for_each(|partition| broker.append("commands", partition, 50));
    let mut reads = Reads::from(&broker.address());
    reads.events_max = 7;
    (0..2).for_each(|partition| reads.read("commands", partition, 0));
    reads.until("both begin", |reads| !reads.visited.is_empty());
    let before = reads.offsets("commands", 0).len();
    for _ in 0..3 {
        reads.pause("commands", 0, true);
        reads.until("the other", |reads| reads.is_at("commands", 1, 50));
        assert_eq!(reads.offsets("commands", 0).len(), before, "nothing while it is paused");
        reads.pause("commands", 0, false);
        reads.pause("commands", 0, true);
    }
    reads.pause("commands", 0, false);
    reads.until("its end", |reads| reads.is_at("commands", 0, 50));
    reads.check(&broker, "commands", 0, 0);
    let fetched = &broker.state().fetched[&(1, "commands".to_owned(), 0)];
    assert_eq!(fetched.iter().filter(|offset| **offset < 50).count(), 1, "{fetched:?}");
}

/// A batch that is visited by halves, while those of others are expanded in between, goes on where it was.
#[test]
fn halves_of_compressed_batches_go_on_behind_pauses() {
    let broker = Scripted::start(&[]);
    for ((codec, compress), partition) in CODECS.into_iter().zip(0..) {
        for base in [0, 20, 40] {
            let packed = compress(&numbers(base, 20));
            broker.state().shelf_mut("commands", partition).push(batch(base, i16::from(codec), -1, 20, 19, &packed));
        }
    }
    let mut random = fastrand::Rng::with_seed(11);
    for _ in 0..20 {
        let mut reads = Reads::from(&broker.address());
        reads.events_max = random.usize(1..9);
        (0..6).for_each(|partition| reads.read("commands", partition, 0));
        for _ in 0..60 {
            reads.pause("commands", random.i32(0..6), random.bool());
            reads.turn();
        }
        (0..6).for_each(|partition| reads.pause("commands", partition, false));
        reads.until("all ends", |reads| (0..6).all(|partition| reads.is_at("commands", partition, 60)));
        (0..6).for_each(|partition| reads.check(&broker, "commands", partition, 0));
    }
}

/// What waits for the end of a pause must not keep what others need: their answers may be what ends it.
#[test]
fn what_is_paused_takes_no_room_of_others() {
    let broker = Scripted::start(&[]);
    for partition in 0..2 {
        (0..100).for_each(|_| broker.append("commands", partition, 50));
    }
    let how = Fetching { wait_ms: 30, bytes_min: 1, ahead_bytes_max: 64 << 10, partition_bytes_max: 1 << 20 };
    let mut reads = Reads::with(&broker.address(), how);
    reads.events_max = 1;
    reads.read("commands", 0, 0);
    reads.until("it begins", |reads| !reads.visited.is_empty());
    reads.pause("commands", 0, true);
    reads.events_max = 100;
    reads.read("commands", 1, 0);
    reads.until("the other", |reads| reads.is_at("commands", 1, 5_000));
    reads.pause("commands", 0, false);
    reads.until("its end", |reads| reads.is_at("commands", 0, 5_000));
    (0..2).for_each(|partition| reads.check(&broker, "commands", partition, 0));
}
