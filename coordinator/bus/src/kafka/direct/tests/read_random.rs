//! Runs of faults, and answers with bytes changed, by seed.

use std::time::Duration;

use super::super::fetches::{self, From, Named};
use super::super::requests::Api;
use super::super::wire::{Get, Put as _};
use super::acts;
use super::reads::Reads;
use super::scripted::{Act, Scripted};

#[test]
fn any_run_of_faults() {
    std::thread::scope(|scope| {
        for worker in 0..8 {
            scope.spawn(move || {
                for seed in (0..15).map(|round| 1 + worker + 8 * round) {
                    let mut random = fastrand::Rng::with_seed(seed);
                    let acts: Vec<_> = (0..random.usize(3..14)).map(|_| fault(&mut random)).collect();
                    let brokers = random.usize(1..4);
                    let broker = Scripted::cluster(brokers, &acts);
                    let mut reads = Reads::from(&broker.address());
                    reads.events_max = random.usize(1..40);
                    (0..3).for_each(|partition| reads.read("commands", partition, if seed % 2 == 0 { 0 } else { -1 }));
                    for _ in 0..30 {
                        broker.append("commands", random.i32(0..3), random.i32(1..20));
                        let leader = random.i32(1..=brokers as i32);
                        broker.state().leaders.insert(("commands".to_owned(), random.i32(0..3)), leader);
                        reads.turns(random.usize(0..4));
                        step(&mut reads, &mut random);
                    }
                    (0..3).for_each(|partition| reads.pause("commands", partition, false));
                    let ends: Vec<_> = (0..3).map(|partition| broker.state().shelf("commands", partition).next()).collect();
                    let what = format!("seed {seed}: {acts:?}");
                    reads.until_tried(&what, |reads| {
                        (0..3).all(|partition| reads.is_at("commands", partition, ends[partition as usize]))
                    });
                    assert!(reads.out_of_range.is_empty(), "{what}");
                    for partition in 0..3 {
                        let from = reads.offsets("commands", partition).first().copied().unwrap_or(ends[partition as usize]);
                        reads.check(&broker, "commands", partition, from);
                    }
                }
            });
        }
    });
}

/// Something that a caller does.
fn step(reads: &mut Reads, random: &mut fastrand::Rng) {
    let partition = random.i32(0..3);
    match random.u8(..8) {
        0 => reads.pause("commands", partition, random.bool()),
        1 => {
            let reached = reads.offsets("commands", partition).last().map_or(0, |last| last + 1);
            reads.stop("commands", partition);
            reads.read("commands", partition, random.i64(0..=reached));
        }
        _ => {}
    }
}

fn fault(random: &mut fastrand::Rng) -> (Api, Act) {
    let api = [Api::Versions, Api::Offsets, Api::Metadata, Api::Fetch, Api::Fetch][random.usize(..5)];
    let passing = [3, 5, 6, 7, 8, 9, 13, 56, 74, 75, 78, 100];
    (api, acts::passing(random, api, &passing, 400))
}

/// Records have checksums, the rest has not: it may be believed; but nothing hangs, panics, or is said twice, and no other record is
/// visited than those that are there.
#[test]
fn fuzzed_answers_are_survived() {
    std::thread::scope(|scope| {
        for worker in 0..16 {
            scope.spawn(move || {
                for seed in (0..30).map(|round| 1 + worker + 16 * round) {
                    let mut random = fastrand::Rng::with_seed(seed);
                    let mut acts = Vec::new();
                    for _ in 0..8 {
                        let api = [Api::Versions, Api::Offsets, Api::Metadata, Api::Fetch, Api::Fetch][random.usize(..5)];
                        acts.push((api, acts::fuzzed(&mut random, 300)));
                    }
                    let broker = Scripted::start(&acts);
                    (0..3).for_each(|partition| broker.append("commands", partition, 30));
                    let mut reads = Reads::from(&broker.address());
                    reads.is_lied_to = true;
                    (0..3).for_each(|partition| reads.read("commands", partition, if seed % 3 == 0 { -1 } else { 0 }));
                    let mut skipped = 0;
                    while !(0..3).all(|partition| reads.is_at("commands", partition, 30)) {
                        if !(0..3).any(|_| reads.turn_within(Duration::from_millis(2))) {
                            reads.skip(Duration::from_millis(500));
                            skipped += 1;
                        }
                        // A lie about a position is believed, and helped by another one.
                        for ((topic, partition), _) in std::mem::take(&mut reads.out_of_range) {
                            reads.read(&topic, partition, 0);
                        }
                        // So is a lie about the beginning: whoever reads from there knows no better.
                        if skipped == 500 {
                            (0..3).for_each(|partition| reads.read("commands", partition, 0));
                        }
                        assert!(skipped < 1_000, "seed {seed}: it hangs: {acts:?} {:?} {:?}", reads.visited, reads.unreadable);
                    }
                }
            });
        }
    });
}

/// What is read of an answer is never more than it has bytes, whatever they are.
#[test]
fn any_bytes_are_an_answer_or_none() {
    let mut random = fastrand::Rng::with_seed(9);
    for case in 0..200_000 {
        let mut bytes = if case % 3 < 2 { fetched(case % 3 == 0) } else { begins() };
        acts::garble(&mut random, &mut bytes);
        let mut count = 0;
        if case % 3 < 2 {
            let _ = fetches::fetched(&mut Get(&bytes), case % 3 == 0, &mut |fetched| {
                count += 1 + fetched.aborted.len();
                assert!(bytes.get(fetched.records).is_some(), "records are within the answer");
                Ok(())
            });
        } else {
            let _ = fetches::offsets(&mut Get(&bytes), &mut |_| {
                count += 1;
                Ok(())
            });
        }
        assert!(count <= bytes.len());
    }
}

/// A short answer to a fetch.
fn fetched(by_id: bool) -> Vec<u8> {
    let mut out = Vec::new();
    out.i32(0);
    out.i16(0);
    out.i32(0);
    out.count(1);
    if by_id {
        out.put(&[3; 16]);
    } else {
        out.string("commands");
    }
    out.count(2);
    for partition in 0..2 {
        out.i32(partition);
        out.i16(0);
        (0..3).for_each(|_| out.i64(9));
        out.count(2);
        for _ in 0..2 {
            out.i64(1);
            out.i64(2);
            out.no_tags();
        }
        out.i32(-1);
        out.count(5);
        out.put(b"bytes");
        out.no_tags();
    }
    out.no_tags();
    out.no_tags();
    out
}

/// A short answer to where logs begin.
fn begins() -> Vec<u8> {
    let mut out = Vec::new();
    out.i32(0);
    out.count(1);
    out.string("commands");
    out.count(2);
    for partition in 0..2 {
        out.i32(partition);
        out.i16(0);
        out.i64(-1);
        out.i64(5);
        out.i32(0);
        out.no_tags();
    }
    out.no_tags();
    out.no_tags();
    out
}

/// What is asked has the form of its version: it is read to its last byte.
#[test]
fn requests_are_whole() {
    let from = |partition| From { partition, epoch: 3, offset: 9, before: 2, bytes_max: 77 };
    let how = fetches::Fetching { wait_ms: 5, bytes_min: 6, ahead_bytes_max: 9, partition_bytes_max: 7 };
    for named in [Named::Id([4; 16]), Named::Name("commands")] {
        let mut out = Vec::new();
        fetches::put_fetch(&mut out, &how, 8, &[(named, vec![from(0), from(1)])]);
        let name = if matches!(named, Named::Id(_)) { 16 } else { 9 };
        // Replica, wait, least, most, isolation, session and its epoch; one topic; two partitions; nothing forgotten, no rack, no tags.
        assert_eq!(out.len(), 25 + 1 + name + 1 + 2 * 33 + 1 + 3);
        assert_eq!(out[4..16], [0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0, 8]);
    }
}
