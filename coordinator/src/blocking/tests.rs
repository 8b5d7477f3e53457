//! Reading to an end, on the simulated bus.

use super::*;

use ringmaster_bus::Specification;
use ringmaster_bus::sim::{Faults, SimBroker};

/// What a broker says of a partition that cannot be read is the error: "no answer" would send people to the wrong place.
#[test]
fn a_topic_that_cannot_be_read_says_why() {
    let broker = SimBroker::new(1, 0, Faults { fetch_count_max: 1, ..Faults::none() });
    let mut bus = broker.client();
    bus.create(&Specification { name: "history".to_owned(), partitions: 1, replication: 1, settings: vec![] }).expect("made");
    for _ in 0..3 {
        broker.put("history", 0, None, b"{}");
    }
    let mut read = |vanishes: bool| {
        let mut seen = 0;
        let end = read_within(&mut bus, "history", (0, 0), Duration::ZERO, &mut |_| {
            seen += 1;
            if vanishes {
                broker.delete("history");
            }
            true
        });
        (seen, end)
    };
    assert_eq!(read(false), (3, Ok(())));
    let (1, Err(BusError::Refused(why))) = read(true) else { panic!("it is gone behind the first record") };
    assert!(why.starts_with("history: it cannot be read from offset 1 of 3 on: ") && why.len() > 60, "{why}");
}

/// Who deletes the oldest records may do so at any moment: before the first is read that is no error, behind it something is missing.
#[test]
fn a_beginning_that_moves_is_no_error_until_something_was_read() {
    let broker = SimBroker::new(1, 0, Faults { fetch_count_max: 1, ..Faults::none() });
    let (mut bus, mut owner) = (broker.client(), broker.client());
    bus.create(&Specification { name: "history".to_owned(), partitions: 1, replication: 1, settings: vec![] }).expect("made");
    for number in 0..6 {
        broker.put("history", 0, None, number.to_string().as_bytes());
    }
    let at = TopicPartition { topic: bus.topic("history"), partition: 0 };
    let theirs = TopicPartition { topic: owner.topic("history"), partition: 0 };
    owner.delete_before(theirs, 2).expect("deleted");
    let mut seen = Vec::new();
    let stale = read_known(&mut bus, at, (0, 6), Duration::ZERO, &mut |read| {
        seen.push(read.offset);
        true
    });
    assert!(matches!(stale, Err(Unread::Moved)) && seen.is_empty(), "{seen:?}");
    let end = read_to_end(&mut bus, "history", 0, &mut |read| {
        seen.push(read.offset);
        if read.offset == 3 {
            owner.delete_before(theirs, 6).expect("deleted");
        }
        true
    });
    let Err(BusError::Refused(why)) = end else { panic!("some are missing: {seen:?}") };
    assert_eq!((&seen[..2], why.as_str()), (&[2, 3][..], "history: offset 4 vanished while it was read"));
}

/// Only what is asked for is visited: records of that partition, until the visitor has enough. It comes to an end, though more come
/// as long as it reads.
#[test]
fn others_and_later_records_are_not_visited() {
    let broker = SimBroker::new(1, 0, Faults { fetch_count_max: 100, ..Faults::none() });
    let mut bus = broker.client();
    bus.create(&Specification { name: "history".to_owned(), partitions: 2, replication: 1, settings: vec![] }).expect("made");
    for number in 0..20 {
        broker.put("history", number % 2, None, number.to_string().as_bytes());
    }
    let other = TopicPartition { topic: bus.topic("history"), partition: 1 };
    for enough in [1, 3, 10, 11] {
        bus.read(other, 0);
        let mut visited = Vec::new();
        read_to_end(&mut bus, "history", 0, &mut |read| {
            visited.push((read.partition, read.offset));
            broker.put("history", 0, None, b"later");
            visited.len() < enough
        })
        .expect("it is read");
        let count = broker.log("history", 0).len() as i64 - visited.len() as i64;
        let expected: Vec<_> = (0..count.min(enough as i64)).map(|offset| (0, offset)).collect();
        assert_eq!(visited, expected, "{enough}");
    }
}

/// Whoever follows several partitions is told of what comes to each while it reads, and not of what was there before.
#[test]
fn several_partitions_are_followed_at_once() {
    let broker = SimBroker::new(1, 0, Faults::none());
    let mut bus = broker.client();
    bus.create(&Specification { name: "history".to_owned(), partitions: 3, replication: 1, settings: vec![] }).expect("made");
    for number in 0..6 {
        broker.put("history", number % 3, None, number.to_string().as_bytes());
    }
    let ends = bounds_each(&mut bus, "history", 0..3).expect("it answers");
    assert_eq!(ends.into_iter().collect::<Vec<_>>(), [(0, (0, 2)), (1, (0, 2)), (2, (0, 2))]);
    let mut seen = Vec::new();
    let mut visit = |read: Read| {
        seen.push((read.partition, read.offset));
        if seen.len() == 1 {
            broker.put("history", 2, None, b"later");
        }
        seen.len() < 3
    };
    follow(&mut bus, "history", &[(0, 1), (1, 1), (2, 2)], Duration::from_secs(3_600), &mut visit).expect("it is read");
    seen.sort_unstable();
    assert_eq!(seen, [(0, 1), (1, 1), (2, 2)], "the last of them came meanwhile");
    follow(&mut bus, "history", &[(0, 2)], Duration::from_millis(50), &mut |_| panic!("nothing comes")).expect("its time is over");
}

/// What the broker says no to is mended elsewhere than a broker that does not answer.
#[test]
fn what_is_refused_is_told_from_what_is_not_answered() {
    let record = [(b"key".to_vec(), b"{}".to_vec())];
    for (faults, refuses, is_refused) in [
        (Faults::none(), true, true),
        (Faults { failed_but_kept: 1.0, ..Faults::none() }, false, false),
        (Faults { sender_broken: 1.0, ..Faults::none() }, false, false),
    ] {
        let broker = SimBroker::new(1, 0, Faults::none());
        let mut bus = broker.client();
        bus.create(&Specification { name: "acts".to_owned(), partitions: 1, replication: 1, settings: vec![] }).expect("made");
        broker.refuse("acts", refuses);
        broker.set_faults(faults);
        match append(&mut bus, "acts", 0, &record) {
            Err(BusError::Refused(why)) if is_refused => assert!(why.starts_with("acts: the topic refuses: "), "{why}"),
            Err(BusError::Unreachable(why)) if !is_refused => assert!(why.starts_with("acts: "), "{why}"),
            other => panic!("{other:?}"),
        }
    }
}
