//! Runs of faults, and answers with bytes changed, by seed.

use std::time::Duration;

use super::acts;
use super::line::Line;
use super::scripted::{Act, Scripted};
use crate::kafka::direct::requests::{self, Api};
use crate::kafka::direct::wire::{Get, Put as _};

#[test]
fn any_run_of_faults() {
    std::thread::scope(|scope| {
        for worker in 0..8 {
            scope.spawn(move || {
                for seed in (0..15).map(|round| 1 + worker + 8 * round) {
                    let mut random = fastrand::Rng::with_seed(seed);
                    let acts: Vec<_> = (0..random.usize(3..14)).map(|_| fault(&mut random)).collect();
                    let broker = Scripted::cluster(random.usize(1..4), &acts);
                    let mut line = Line::to(&broker.address());
                    for round in 0..10 {
                        let leaders = (0..3).map(|partition| (("commands".to_owned(), partition), random.i32(1..3)));
                        if broker.address().contains(',') {
                            broker.state().leaders.extend(leaders);
                        }
                        line.drive(20 * round..20 * (round + 1));
                    }
                    line.settle();
                    assert_eq!(line.done.len(), 200, "seed {seed}: {acts:?} {:?} {:?}", line.failed, line.fatal);
                    line.check(&broker);
                }
            });
        }
    });
}

fn fault(random: &mut fastrand::Rng) -> (Api, Act) {
    let api = [Api::Versions, Api::Identity, Api::Metadata, Api::Produce, Api::Produce][random.usize(..5)];
    let retried = [-1, 2, 5, 6, 7, 13, 19, 20, 56, 74, 75];
    (api, acts::passing(random, api, &retried, 40))
}

/// It may believe them, since no checksum protects an answer; but it never hangs, panics or says a thing twice. Its clock runs ahead
/// while nothing happens.
#[test]
fn fuzzed_answers_are_survived() {
    std::thread::scope(|scope| {
        for worker in 0..32 {
            scope.spawn(move || {
                for seed in (0..38).map(|round| 1 + worker + 32 * round) {
                    let mut random = fastrand::Rng::with_seed(seed);
                    let mut acts = Vec::new();
                    for _ in 0..6 {
                        let api = [Api::Versions, Api::Identity, Api::Metadata, Api::Produce][random.usize(..4)];
                        acts.push((api, acts::fuzzed(&mut random, 200)));
                    }
                    let broker = Scripted::start(&acts);
                    let mut line = Line::to(&broker.address());
                    line.drive(0..30);
                    let mut skipped = 0;
                    while !line.is_settled() {
                        let happened = (0..3).any(|_| line.turn_within(Duration::from_millis(2)));
                        if !happened {
                            line.skip(Duration::from_millis(500));
                            skipped += 1;
                        }
                        assert!(skipped < 1_000, "seed {seed}: it hangs: {acts:?}");
                    }
                }
            });
        }
    });
}

/// What is read of an answer is never more than it has bytes, whatever they are.
#[test]
fn any_bytes_are_an_answer_or_none() {
    let mut random = fastrand::Rng::with_seed(7);
    for case in 0..200_000 {
        let mut bytes = honest(case % 4);
        acts::garble(&mut random, &mut bytes);
        let mut get = Get(&bytes);
        match case % 4 {
            0 => drop(requests::versions(&mut get)),
            1 => {
                if let Ok(requests::Identity { found: Ok((id, epoch)), .. }) = requests::identity(&mut get) {
                    assert!(id >= 0 && epoch >= 0);
                }
            }
            2 => {
                if let Ok(found) = requests::metadata(&mut get) {
                    let partitions: usize = found.topics.iter().map(|topic| topic.partitions.len()).sum();
                    assert!(found.brokers.len() + found.topics.len() + partitions <= bytes.len());
                }
            }
            _ => {
                let mut count = 0;
                let _ = requests::produced(&mut get, &mut |_| {
                    count += 1;
                    Ok(())
                });
                assert!(count <= bytes.len());
            }
        }
    }
}

/// A short answer of each kind.
fn honest(kind: i32) -> Vec<u8> {
    let mut out = Vec::new();
    match kind {
        0 => {
            out.i16(0);
            out.count(6);
            for api in [0, 1, 2, 3, 18, 22] {
                out.i16(api);
                out.i16(0);
                out.i16(13);
                out.no_tags();
            }
            out.i32(0);
        }
        1 => {
            out.i32(0);
            out.i16(0);
            out.i64(5);
            out.i16(0);
        }
        2 => {
            out.i32(0);
            out.count(1);
            out.i32(1);
            out.string("host");
            out.i32(9092);
            out.null();
            out.no_tags();
            out.null();
            out.i32(1);
            out.count(1);
            out.i16(0);
            out.string("commands");
            out.put(&[7; 16]);
            out.i8(0);
            out.count(2);
            for partition in 0..2 {
                out.i16(0);
                out.i32(partition);
                out.i32(1);
                out.i32(0);
                for _ in 0..3 {
                    out.count(1);
                    out.i32(1);
                }
                out.no_tags();
            }
            out.i32(0);
        }
        _ => {
            out.count(1);
            out.string("commands");
            out.count(2);
            for partition in 0..2 {
                out.i32(partition);
                out.i16(0);
                out.i64(7);
                out.i64(-1);
                out.i64(0);
                out.count(0);
                out.null();
                out.no_tags();
            }
            out.no_tags();
            out.i32(0);
        }
    }
    out.no_tags();
    out
}
