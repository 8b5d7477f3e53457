//! Faults that meet: what is certain of a batch, and what is not.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode as Code;

use super::line::{BATCH_BYTES, Line};
use super::scripted::{Act, Scripted};
use crate::kafka::direct::batch::Compression;
use crate::kafka::direct::lane::{Lane, Verdict};
use crate::kafka::direct::producer::DELIVERY_MAX;
use crate::kafka::direct::requests::Api;
use crate::{Message, Topic, TopicPartition};

/// The first try was written and its answer lost; the second is refused. The number of the batch is not used for another one: the
/// broker would take that for the first, and confirm what it does not have.
#[test]
fn the_number_of_a_batch_that_may_be_written_is_used_for_no_other() {
    for (code, done) in [(10, true), (10, false), (29, true), (40, true), (40, false)] {
        let broker = Scripted::start(&[]);
        let mut line = Line::to(&broker.address());
        line.send("commands", 0, 1).expect("taken");
        line.settle();
        {
            let mut state = broker.state();
            state.push(Api::Produce, Act::Cut { done });
            state.push(Api::Produce, Act::Error { code, done: false });
        }
        line.send("commands", 0, 2).expect("taken");
        line.settle();
        assert!(line.failed.contains_key(&2) && !line.doubts.is_empty(), "{code}");
        line.send("commands", 0, 3).expect("taken");
        line.settle();
        assert_eq!(line.fatal.is_some(), !done, "{code}: a broker that has not the batch says so");
        assert_eq!(line.done.get(&3), if done { Some(&Some(2)) } else { None }, "{code}");
        line.check(&broker);
    }
}

/// The same, refused by what the cluster says of the topic.
#[test]
fn nor_if_the_topic_is_refused_meanwhile() {
    let broker = Scripted::start(&[]);
    let mut line = Line::to(&broker.address());
    line.send("commands", 0, 1).expect("taken");
    line.settle();
    {
        let mut state = broker.state();
        state.push(Api::Produce, Act::Cut { done: true });
        // NOT_LEADER_OR_FOLLOWER, so that it is asked who is.
        state.push(Api::Produce, Act::Error { code: 6, done: false });
        state.push(Api::Metadata, Act::Honest);
        (0..3).for_each(|_| state.push(Api::Metadata, Act::Error { code: 29, done: true }));
    }
    line.send("commands", 0, 2).expect("taken");
    line.settle();
    broker.state().script.clear();
    line.send("commands", 0, 3).expect("taken");
    line.settle();
    line.check(&broker);
    assert_eq!(line.done.get(&3), Some(&Some(2)), "{:?} {:?}", line.failed, line.fatal);
}

/// Its place could never be taken.
#[test]
fn a_batch_that_is_not_answered_in_time_breaks_the_producer() {
    let broker = Scripted::start(&[(Api::Produce, Act::Hold)]);
    let mut line = Line::to(&broker.address());
    line.send("commands", 0, 1).expect("taken");
    line.until("it is held", |_| broker.state().script[&0].is_empty());
    line.skip(Duration::from_secs(31));
    line.settle();
    assert_eq!((line.failed.get(&1), line.fatal.is_some()), (Some(&Code::MessageTimedOut), true));
    assert_eq!(line.send("commands", 0, 2), Err(Code::Fatal));
    line.check(&broker);
}

/// A partition that has too few replicas for long takes nothing, and others are not to suffer from it.
#[test]
fn what_is_certainly_not_written_fails_alone() {
    let to = TopicPartition { topic: Topic(0), partition: 0 };
    let message = Message { to, key: None, value: b"x", headers: &[] };
    let (begun, later) = (Instant::now(), Instant::now() + DELIVERY_MAX);
    // NOT_ENOUGH_REPLICAS; the same when it was written already; no answer.
    for (error, is_unsure) in [(Some(19), false), (Some(20), true), (None, true)] {
        let (mut lane, mut said) = (Lane::default(), VecDeque::new());
        lane.push(&message, 1, BATCH_BYTES, begun);
        lane.seal((1, 0), 0, Compression::None);
        let first = lane.sealed_bytes().to_vec();
        lane.is_in_flight = true;
        if let Some(error) = error {
            assert!(matches!(lane.settle(error, -1, begun, &mut said), Verdict::Again(false)));
        }
        assert_eq!(lane.sealed_bytes(), first, "it is sent again as it was");
        let expired = lane.expire(begun, Code::MessageTimedOut, &mut said);
        assert_eq!((expired.is_unsure, said.len()), (is_unsure, 1), "{error:?}");
        lane.push(&message, 1, BATCH_BYTES, later);
        lane.seal((1, 0), 0, Compression::None);
        assert_eq!(lane.sealed_bytes() == first, !is_unsure, "{error:?}: with the number that is expected");
    }
}

/// An answer with a place that cannot be: it is written, nobody knows where.
#[test]
fn an_offset_that_cannot_be_is_none() {
    let broker = Scripted::start(&[(Api::Produce, Act::Base(i64::MAX)), (Api::Produce, Act::Base(i64::MIN))]);
    let mut line = Line::to(&broker.address());
    (0..4).for_each(|tag| line.send("commands", 0, tag).expect("taken"));
    line.settle();
    line.send("commands", 0, 4).expect("taken");
    line.settle();
    assert!((1..5).all(|tag| line.done[&tag].is_none()), "{:?}", line.done);
}

/// A broker that has no identity to give yet is not asked as fast as it answers.
#[test]
fn an_identity_is_asked_for_with_pauses() {
    let acts: Vec<_> = (0..100_000).map(|_| (Api::Identity, Act::Error { code: 14, done: true })).collect();
    let broker = Scripted::start(&acts);
    let mut line = Line::to(&broker.address());
    line.send("commands", 0, 1).expect("taken");
    let begun = Instant::now();
    line.until("some answers", |_| broker.state().asked.get(&22).is_some_and(|asked| *asked >= 5));
    let (asked, most) = (broker.state().asked[&22], 2 + begun.elapsed().as_millis() / 50);
    assert!(asked as u128 <= most, "{asked} questions, at most {most} in this time");
    broker.state().script.clear();
    line.settle();
    assert_eq!(line.done[&1], Some(0));
}
