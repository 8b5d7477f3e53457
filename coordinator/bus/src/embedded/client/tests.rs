//! What a client does between polls, and while one waits.

use super::*;

use crate::embedded::{Log, Settings};

const PATIENCE: Duration = Duration::from_secs(60);

fn topic(bus: &mut EmbeddedBus) -> TopicPartition {
    let what = Specification { name: "t".to_owned(), partitions: 1, replication: 1, settings: vec![] };
    assert_eq!(bus.create(&what), Ok(true));
    TopicPartition { topic: bus.topic("t"), partition: 0 }
}

/// Whoever dies while nothing happens has lost no more positions than one who is busy.
#[test]
fn positions_are_written_while_a_poll_waits() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut bus = Log::open(folder.path(), Settings::default()).expect("a log").client();
    let at = topic(&mut bus);
    bus.commit("g", &[(at, 1)]);
    let (wake, written) = (bus.waker(), folder.path().join("groups/g"));
    let waiting = std::thread::spawn(move || bus.poll(10 * PATIENCE, &mut |_| {}));
    let begun = Instant::now();
    while !written.exists() {
        assert!(begun.elapsed() < PATIENCE, "nothing is written before the poll ends");
        std::thread::sleep(Duration::from_millis(1));
    }
    wake();
    assert_eq!(waiting.join().expect("it ends"), 0);
}

/// Deletes the topic and makes it again, with one record.
fn make_again(log: &Log) {
    assert_eq!(log.delete("t"), Ok(true));
    let mut writer = log.client();
    let to = topic(&mut writer);
    let sender = writer.open_sender().expect("a sender");
    writer.send(sender, Message { to, key: None, value: b"new", headers: &[] }, 0).expect("taken");
    writer.poll(Duration::ZERO, &mut |_| {});
}

/// Records read by ten polls.
fn read(bus: &mut EmbeddedBus) -> i32 {
    let mut read = 0;
    for _ in 0..10 {
        bus.poll(Duration::ZERO, &mut |event| read += i32::from(matches!(event, BusEvent::Record(_))));
    }
    read
}

#[test]
fn a_topic_that_was_made_again_between_two_polls_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = Log::open(folder.path(), Settings::default()).expect("a log");
    let mut bus = log.client();
    let at = topic(&mut bus);
    bus.join("g", &[at.topic]).expect("it joins");
    for _ in 0..3 {
        assert_eq!(read(&mut bus), 0);
        make_again(&log);
        assert_eq!(read(&mut bus), 1, "a member reads all of the new one");
    }
}

#[test]
fn an_identity_that_is_said_while_a_topic_is_read_counts() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = Log::open(folder.path(), Settings::default()).expect("a log");
    let mut bus = log.client();
    let at = topic(&mut bus);
    let id = bus.describe(&["t"]).expect("an answer")[0].as_ref().expect("it exists").id;
    bus.read(at, 0);
    assert_eq!(read(&mut bus), 0);
    bus.expect(at.topic, id);
    make_again(&log);
    assert_eq!(read(&mut bus), 0, "this is another topic");
}
