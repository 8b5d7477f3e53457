//! What it does with brokers that do what they should, or are not there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode as Code;

use super::super::batch::Compression;
use super::super::producer::Producer;
use super::super::security::Security;
use super::line::Line;
use super::scripted::{PARTITIONS, Scripted};
use crate::signal::Signal;

#[test]
fn a_turn_is_one_request() {
    let broker = Scripted::start(&[]);
    let mut line = Line::to(&broker.address());
    line.send("commands", 0, 0).expect("taken");
    line.settle();
    let before = broker.state().asked[&0];
    for tag in 1..7 {
        line.send(if tag % 2 == 0 { "commands" } else { "replies" }, (tag % 3) as i32, tag).expect("taken");
    }
    line.settle();
    let after = broker.state().asked[&0];
    // The second topic's leaders were not known in the first turn.
    assert!(after - before <= 2, "{} requests for six partitions", after - before);
    assert_eq!(line.done[&0], Some(0));
    line.check(&broker);
}

#[test]
fn a_topic_that_is_not_there_is_refused_and_others_go_on() {
    let broker = Scripted::start(&[]);
    broker.state().missing.insert("commands".to_owned());
    let mut line = Line::to(&broker.address());
    line.send("commands", 0, 1).expect("taken");
    line.send("replies", 0, 2).expect("taken");
    line.until("the other", |line| line.done.contains_key(&2));
    line.skip(Duration::from_secs(4));
    line.settle();
    assert_eq!(line.failed[&1], Code::UnknownTopicOrPartition);
    broker.state().missing.clear();
    line.send("commands", 0, 3).expect("taken");
    line.send("commands", PARTITIONS, 4).expect("taken");
    line.settle();
    assert_eq!((line.done.get(&3), line.failed.get(&4)), (Some(&Some(0)), Some(&Code::UnknownPartition)));
    assert_eq!(line.send("commands", -1, 5), Err(Code::UnknownPartition));
    line.check(&broker);
}

/// It is deleted under the producer, and made again: its batch is refused, and the next one has its number.
#[test]
fn a_topic_that_goes_and_comes_is_refused_and_taken() {
    let broker = Scripted::start(&[]);
    let mut line = Line::to(&broker.address());
    line.send("commands", 0, 1).expect("taken");
    line.settle();
    broker.state().missing.insert("commands".to_owned());
    line.send("commands", 0, 2).expect("taken");
    line.until("an answer", |_| broker.state().produced[&(1, "commands".to_owned(), 0)] == 2);
    while !line.is_settled() {
        line.turn();
        line.skip(Duration::from_millis(500));
    }
    assert_eq!(line.failed[&2], Code::UnknownTopicOrPartition);
    {
        let mut state = broker.state();
        state.missing.clear();
        state.logs.clear();
    }
    line.send("commands", 0, 3).expect("taken");
    line.settle();
    assert_eq!(line.done[&3], Some(0), "in the new one");
    assert_eq!(line.fatal, None);
}

#[test]
fn a_broker_that_is_away_is_a_doubt_and_costs_no_cpu() {
    // Not a port that was free a moment ago: another test's broker may get it, and would be written to.
    let gone = "127.0.0.1:1";
    let mut line = Line::to(gone);
    line.send("commands", 0, 1).expect("taken");
    line.until("a doubt", |line| !line.doubts.is_empty());
    assert!(line.doubts[0].contains("no broker can be reached") && line.doubts[0].contains(gone), "{:?}", line.doubts);
    let (mut turns, begun) = (0, Instant::now());
    while begun.elapsed() < Duration::from_secs(1) {
        line.turn();
        turns += 1;
    }
    assert!(turns < 500, "{turns} turns in a second of waiting");
    assert_eq!(line.doubts.len(), 1, "it is said once");
}

#[test]
fn addresses_are_checked() {
    let poll = mio::Poll::new().expect("a poll");
    let made = |bootstrap: &str| {
        let registry = poll.registry().try_clone().expect("a registry");
        let security = Security::default();
        Producer::new(bootstrap, security, Compression::Lz4, registry, Arc::new(Signal::default()), Instant::now()).map(drop)
    };
    for good in ["127.0.0.1:1", "a.example:9092, b.example:9093", "[::1]:9092", "host", "PLAINTEXT://127.0.0.1:1"] {
        assert_eq!(made(good), Ok(()), "{good}");
    }
    for (bad, why) in
        [("", "no broker is named"), (" , ", "no broker is named"), ("host:port", "has no port"), ("host:99999", "has no port")]
    {
        assert!(made(bad).is_err_and(|said| said.contains(why)), "{bad}");
    }
}

/// A batch that is larger than its topic takes is refused with all of its records, again and again.
#[test]
fn no_batch_of_several_is_larger_than_it_may_be() {
    let broker = Scripted::start(&[]);
    let mut line = Line::to(&broker.address());
    line.batch_bytes = 2_000;
    // What the bus leaves for the batch's own header.
    broker.state().batch_bytes_max = 2_000 + 128;
    let long = "h".repeat(300);
    for tag in 0..100 {
        let headers = [("ce_id", long.as_str()), ("ce_source", "a saga")];
        let headers = if tag % 4 == 0 { &headers[..] } else { &[] };
        line.send_with("commands", 0, tag, tag.to_string().as_bytes(), headers).expect("taken");
    }
    line.settle();
    assert_eq!(line.failed.len(), 0, "{:?}", line.failed);
    line.check(&broker);
}

#[test]
fn what_no_broker_reads_is_not_sent() {
    let mut line = Line::to("127.0.0.1:1");
    assert_eq!(line.send_with("commands", 0, 1, &vec![0; (64 << 20) + 1], &[]), Err(Code::MessageSizeTooLarge));
}

/// Those that find no room in a request are the first of the next one.
#[test]
fn no_partition_waits_for_others_for_ever() {
    let broker = Scripted::start(&[]);
    let mut line = Line::to(&broker.address());
    line.batch_bytes = 1;
    let value = vec![0; 1 << 20];
    for round in 0..3 {
        for partition in 0..PARTITIONS {
            let tag = u64::try_from(round * PARTITIONS + partition).expect("small");
            line.send_with("commands", partition, tag, &value, &[]).expect("taken");
        }
    }
    let behind = |line: &Line, round: u64| (0..12).filter(|partition| !line.done.contains_key(&(12 * round + partition))).count();
    line.until("all", |line| {
        let begun = (12..36).any(|tag| line.done.contains_key(&tag));
        assert!(!begun || behind(line, 0) <= 6, "some were served twice, and {} not at all", behind(line, 0));
        line.is_settled()
    });
    assert_eq!(line.done.len(), 36);
}
