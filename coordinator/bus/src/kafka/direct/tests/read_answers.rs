//! Every error that a broker can answer a reader, and every way to answer wrong, at the first, a middle and the last request.

use std::time::Duration;

use super::super::requests::Api;
use super::acts;
use super::answers::{Moment, codes, each};
use super::reads::Reads;
use super::scripted::{Act, Scripted};

/// A reader whose request at this moment meets this; everything is read in the end.
fn run(broker: &Scripted, api: Api, act: &Act, moment: Moment) -> Reads {
    let from = if api == Api::Offsets { -1 } else { 0 };
    (0..3).for_each(|partition| broker.append("commands", partition, 20));
    if moment == Moment::First {
        broker.state().push(api, act.clone());
    }
    let mut reads = Reads::from(&broker.address());
    (0..3).for_each(|partition| reads.read("commands", partition, from));
    let is_read = |reads: &Reads, topic: &str, end: i64| (0..3).all(|partition| reads.is_at(topic, partition, end));
    if moment != Moment::First {
        reads.until("the first ends", |reads| is_read(reads, "commands", 20));
        broker.state().push(api, act.clone());
    }
    if moment == Moment::Middle {
        (0..3).for_each(|partition| broker.append("commands", partition, 20));
    }
    // A new topic's leaders are asked for, and its beginning.
    (0..3).for_each(|partition| broker.append("replies", partition, 3));
    (0..3).for_each(|partition| reads.read("replies", partition, from));
    let end = if moment == Moment::Middle { 40 } else { 20 };
    reads.until_tried("it is met", |reads| {
        let out_of_range = reads.out_of_range.len();
        let of = |topic: &str, end| (0..3).filter(|partition| reads.is_at(topic, *partition, end)).count();
        broker.state().script[&api.key()].is_empty() && of("commands", end) + of("replies", 3) + out_of_range >= 6
    });
    for (at, _) in reads.out_of_range.clone() {
        assert!(matches!(act, Act::Error { code: 1, .. } | Act::Whole(1)), "{act:?}: {:?}", reads.out_of_range);
        let from = reads.offsets(&at.0, at.1).last().map_or(0, |last| last + 1);
        let visited = reads.visited.remove(&at);
        reads.read(&at.0, at.1, from);
        reads.visited.extend(visited.map(|visited| (at, visited)));
    }
    reads.until_tried("all is read", |reads| is_read(reads, "commands", end) && is_read(reads, "replies", 3));
    for topic in ["commands", "replies"] {
        (0..3).for_each(|partition| reads.check(broker, topic, partition, 0));
    }
    reads
}

const MOMENTS: [Moment; 3] = [Moment::First, Moment::Middle, Moment::Last];

/// What a reader says of an error that comes once: nothing, if it may pass by itself. Stated apart from the fetcher's own table.
fn is_silent(code: i16) -> bool {
    [1, 3, 5, 6, 7, 8, 9, 13, 56, 70, 71, 74, 75, 78, 89, 100, 103, 106].contains(&code)
}

/// Brokers before Kafka 3.1 are asked by names.
#[test]
fn every_error_of_a_fetch() {
    let kinds = [(Api::Fetch, 18), (Api::FetchByName, 12)];
    let cases: Vec<_> = codes().flat_map(|code| MOMENTS.map(|moment| kinds.map(|kind| (code, moment, kind)))).flatten().collect();
    each(&cases, |&(code, moment, (api, fetch_max))| {
        for act in [Act::Error { code, done: true }, Act::Whole(code)] {
            let broker = Scripted::start(&[]);
            broker.state().fetch_max = fetch_max;
            let reads = run(&broker, api, &act, moment);
            assert_eq!(reads.unreadable.is_empty(), is_silent(code), "{api:?} {act:?} {moment:?}: {:?}", reads.unreadable);
            assert_eq!(reads.out_of_range.is_empty(), code != 1, "{api:?} {act:?} {moment:?}");
            assert!(reads.unreadable.len() <= 6, "each is said once: {:?}", reads.unreadable);
        }
    });
}

#[test]
fn every_error_of_offsets() {
    let cases: Vec<_> = codes().flat_map(|code| [Moment::First, Moment::Last].map(|moment| (code, moment))).collect();
    each(&cases, |&(code, moment)| {
        let broker = Scripted::start(&[]);
        let reads = run(&broker, Api::Offsets, &Act::Error { code, done: true }, moment);
        // There is no position that could be out of range.
        assert_eq!(reads.unreadable.is_empty(), is_silent(code) && code != 1, "{code} {moment:?}: {:?}", reads.unreadable);
        assert!(reads.out_of_range.is_empty());
    });
}

#[test]
fn every_error_of_metadata() {
    let cases: Vec<_> = codes().flat_map(|code| [Moment::First, Moment::Last].map(|moment| (code, moment))).collect();
    each(&cases, |&(code, moment)| {
        let broker = Scripted::start(&[]);
        let reads = run(&broker, Api::Metadata, &Act::Error { code, done: true }, moment);
        // INVALID_TOPIC_EXCEPTION, TOPIC_AUTHORIZATION_FAILED: that is said. Else leaders are asked for again.
        assert_eq!(!reads.unreadable.is_empty(), matches!(code, 17 | 29), "{code} {moment:?}: {:?}", reads.unreadable);
    });
}

/// An error that stays is said, whatever it is; a reader that goes on then reads all.
#[test]
fn an_error_that_stays_is_said_once() {
    let cases: Vec<i16> = codes().filter(|code| *code != 1).collect();
    each(&cases, |&code| {
        let broker = Scripted::start(&[]);
        broker.append("commands", 0, 5);
        for _ in 0..10_000 {
            broker.state().push(Api::Fetch, Act::Error { code, done: true });
        }
        let mut reads = Reads::from(&broker.address());
        reads.read("commands", 0, 0);
        reads.until_tried("that it is unreadable", |reads| !reads.unreadable.is_empty());
        for _ in 0..30 {
            reads.skip(Duration::from_millis(500));
            reads.turn_within(Duration::from_millis(1));
        }
        assert_eq!(reads.unreadable.len(), 1, "{code}: {:?}", reads.unreadable);
        assert!(reads.visited.is_empty() && reads.ends.is_empty() && reads.out_of_range.is_empty());
        broker.state().script.clear();
        reads.until_tried("all is read", |reads| reads.is_at("commands", 0, 5));
        reads.check(&broker, "commands", 0, 0);
    });
}

/// Connections that are cut, answers that are cut, late or nonsense, at every request of each kind.
#[test]
fn whatever_becomes_of_an_answer_nothing_is_lost_or_doubled() {
    let mut acts = acts::wrong();
    acts.extend([Act::Base(-5), Act::Half(100)]);
    acts.extend([60, 100, 200, 300, 400].map(Act::Short));
    let mut cases = Vec::new();
    for act in &acts {
        for api in [Api::Versions, Api::Metadata, Api::Fetch, Api::Offsets] {
            let moments = if api == Api::Versions { &MOMENTS[..1] } else { &MOMENTS[..] };
            cases.extend(
                moments.iter().filter(|moment| api != Api::Offsets || **moment != Moment::Middle).map(|moment| (act, api, *moment)),
            );
        }
    }
    each(&cases, |&(act, api, moment)| {
        let broker = Scripted::start(&[]);
        let reads = run(&broker, api, act, moment);
        assert!(reads.unreadable.is_empty(), "{act:?} of {api:?}, {moment:?}: {:?}", reads.unreadable);
    });
}
