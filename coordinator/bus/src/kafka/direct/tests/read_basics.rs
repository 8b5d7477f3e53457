//! What a fetcher does with brokers that do what they should, or are not there.

use std::time::{Duration, Instant};

use super::super::fetches::Fetching;
use super::super::requests::Api;
use super::reads::Reads;
use super::scripted::{Act, PARTITIONS, Scripted};
use super::shelf::{TRANSACTIONAL, batch, records};
use crate::kafka::held::MADE_AGAIN;

#[test]
fn all_partitions_are_one_request_and_an_idle_reader_makes_few() {
    let broker = Scripted::start(&[]);
    for topic in ["commands", "replies"] {
        (0..PARTITIONS).for_each(|partition| broker.append(topic, partition, 20));
    }
    let mut reads = Reads::from(&broker.address());
    for topic in ["commands", "replies"] {
        (0..PARTITIONS).for_each(|partition| reads.read(topic, partition, 5));
    }
    reads.until("all ends", |reads| reads.ends.len() == 24);
    assert!(broker.state().asked[&1] <= 3, "{} fetches of 24 partitions", broker.state().asked[&1]);
    for topic in ["commands", "replies"] {
        (0..PARTITIONS).for_each(|partition| reads.check(&broker, topic, partition, 5));
    }
    // What comes is there at once, and its end is said.
    broker.append("replies", 3, 2);
    reads.until("the new end", |reads| reads.is_at("replies", 3, 22));
    let (before, begun) = (broker.state().asked[&1], Instant::now());
    while begun.elapsed() < Duration::from_secs(1) {
        reads.turn();
    }
    // A fetch waits for 30 ms at this broker.
    let asked = broker.state().asked[&1] - before;
    assert!((1..=40).contains(&asked), "{asked} fetches in a second of nothing");
    assert!(reads.ends.values().all(|ends| ends.len() <= 2), "each end is said once: {:?}", reads.ends);
}

#[test]
fn any_position_is_read_from_and_what_came_of_another_is_dropped() {
    let broker = Scripted::start(&[]);
    for _ in 0..20 {
        broker.append("commands", 0, 10);
    }
    let mut reads = Reads::from(&broker.address());
    reads.read("commands", 0, 0);
    reads.until("a beginning", |reads| !reads.visited.is_empty());
    let mut random = fastrand::Rng::with_seed(3);
    for _ in 0..50 {
        let from = random.i64(0..=200);
        reads.read("commands", 0, from);
        reads.turns(random.usize(0..4));
        let visited = reads.offsets("commands", 0);
        assert!(visited.iter().copied().eq((from..200).take(visited.len())), "from {from}: {visited:?}");
    }
    reads.stop("commands", 0);
    reads.visited.clear();
    broker.append("commands", 0, 1);
    reads.turns(5);
    assert!(reads.visited.is_empty() && reads.fetcher.is_idle());
    reads.read("commands", 0, -1);
    reads.until("from the beginning, wherever it is", |reads| reads.is_at("commands", 0, 201));
    reads.check(&broker, "commands", 0, 0);
    assert_eq!(broker.state().asked[&2], 1);
}

#[test]
fn out_of_range_is_said_once_and_another_position_helps() {
    let broker = Scripted::start(&[]);
    broker.append("commands", 0, 10);
    broker.state().shelf_mut("commands", 1).start = 7;
    broker.append("commands", 1, 3);
    let mut reads = Reads::from(&broker.address());
    reads.read("commands", 0, 11);
    reads.read("commands", 1, 6);
    reads.until("both", |reads| reads.out_of_range.len() == 2);
    reads.skip(Duration::from_secs(10));
    reads.turns(10);
    reads.out_of_range.sort();
    assert_eq!(reads.out_of_range, [(("commands".to_owned(), 0), 11), (("commands".to_owned(), 1), 6)]);
    assert!(reads.visited.is_empty() && reads.ends.is_empty() && reads.unreadable.is_empty(), "no jump");
    reads.read("commands", 0, 10);
    reads.read("commands", 1, 7);
    reads.until("the ends", |reads| reads.is_at("commands", 0, 10) && reads.is_at("commands", 1, 10));
    reads.check(&broker, "commands", 1, 7);
}

/// What is visited before is said before; what was lost behind it is out of range at the position that was reached.
#[test]
fn what_retention_took_meanwhile_is_out_of_range() {
    let broker = Scripted::start(&[]);
    broker.append("commands", 0, 20);
    let mut reads = Reads::from(&broker.address());
    reads.read("commands", 0, 0);
    reads.until("the end", |reads| reads.is_at("commands", 0, 20));
    {
        let mut state = broker.state();
        let shelf = state.shelf_mut("commands", 0);
        (shelf.start, shelf.batches) = (40, Vec::new());
    }
    reads.until("it", |reads| !reads.out_of_range.is_empty());
    assert_eq!(reads.out_of_range, [(("commands".to_owned(), 0), 20)]);
}

/// A log that lost records which were read, and has others at their offsets, is as good as another one.
#[test]
fn a_log_that_was_cut_and_written_anew_is_out_of_range() {
    let broker = Scripted::start(&[]);
    broker.append("commands", 0, 10);
    let mut reads = Reads::from(&broker.address());
    reads.read("commands", 0, 0);
    reads.until("the end", |reads| reads.is_at("commands", 0, 10));
    // Another leads, and what was the last batch never came to it.
    broker.append("commands", 0, 10);
    reads.until("the end", |reads| reads.is_at("commands", 0, 20));
    {
        let mut state = broker.state();
        let shelf = state.shelf_mut("commands", 0);
        shelf.batches.pop();
        shelf.epoch = 1;
    }
    broker.append("commands", 0, 30);
    reads.until("it", |reads| !reads.out_of_range.is_empty());
    assert_eq!(reads.out_of_range, [(("commands".to_owned(), 0), 20)]);
    assert_eq!(reads.offsets("commands", 0).len(), 20, "nothing of the new ones");
    // A leader that is new and has everything is none of that.
    reads.read("commands", 0, 10);
    reads.until("the end", |reads| reads.is_at("commands", 0, 40));
    broker.state().shelf_mut("commands", 0).epoch = 2;
    broker.append("commands", 0, 5);
    reads.until("the end", |reads| reads.is_at("commands", 0, 45));
    assert_eq!(reads.out_of_range.len(), 1);
}

#[test]
fn a_topic_that_is_not_there_is_unreadable_until_it_is() {
    let broker = Scripted::start(&[]);
    broker.state().missing.insert("commands".to_owned());
    broker.append("replies", 0, 1);
    let mut reads = Reads::from(&broker.address());
    reads.read("commands", 0, 0);
    reads.read("replies", 0, 0);
    reads.read("replies", PARTITIONS, 0);
    reads.until("the other", |reads| reads.is_at("replies", 0, 1));
    reads.until("a partition that is not there", |reads| reads.unreadable.len() == 1);
    assert!(reads.unreadable[0].0.1 == PARTITIONS && reads.unreadable[0].1.contains("it does not exist"), "{:?}", reads.unreadable);
    reads.until_tried("that it is not there", |reads| reads.unreadable.len() == 2);
    assert!(reads.unreadable[1].0.0 == "commands" && reads.unreadable[1].1.contains("it does not exist"), "{:?}", reads.unreadable);
    for _ in 0..40 {
        reads.skip(Duration::from_millis(500));
        reads.turn_within(Duration::from_millis(1));
    }
    assert_eq!(reads.unreadable.len(), 2, "each is said once");
    broker.state().missing.clear();
    broker.append("commands", 0, 3);
    reads.until_tried("it is read", |reads| reads.is_at("commands", 0, 3));
    reads.check(&broker, "commands", 0, 0);
    // It goes again, and comes as it was.
    broker.state().missing.insert("commands".to_owned());
    reads.until_tried("that it is gone", |reads| reads.unreadable.len() == 3);
    broker.state().missing.clear();
    broker.append("commands", 0, 3);
    reads.until_tried("it is read on", |reads| reads.is_at("commands", 0, 6));
    reads.check(&broker, "commands", 0, 0);
}

/// Whatever lies at the same offsets of a topic that was made again, nothing of it is visited if another is expected.
#[test]
fn nothing_is_read_of_a_topic_made_again() {
    for fetch_max in [18, 12] {
        let broker = Scripted::start(&[]);
        broker.state().fetch_max = fetch_max;
        broker.append("commands", 0, 10);
        let mut reads = Reads::from(&broker.address());
        let at = reads.at("commands", 0);
        let id = super::shelf::id_of(&broker.state(), "commands");
        reads.fetcher.expect(at.topic, id);
        reads.read("commands", 0, 0);
        reads.until("the end", |reads| reads.is_at("commands", 0, 10));
        broker.state().made.insert("commands".to_owned(), 2);
        if fetch_max == 18 {
            broker.append("commands", 0, 10);
        } else {
            // By name it is seen when it is looked at, within a second of its clock.
            reads.skip(Duration::from_secs(2));
        }
        reads.until_tried("that it is another one", |reads| !reads.unreadable.is_empty());
        broker.append("commands", 0, 10);
        reads.read("commands", 0, 0);
        for _ in 0..20 {
            reads.skip(Duration::from_millis(500));
            reads.turn_within(Duration::from_millis(2));
        }
        assert!(reads.visited.is_empty() && reads.ends.is_empty(), "{:?}", reads.visited);
        assert!(reads.unreadable.iter().all(|(_, why)| why == MADE_AGAIN), "{:?}", reads.unreadable);
        assert_eq!(reads.unreadable.len(), 2, "once for each time that it is read: {:?}", reads.unreadable);
        // The new one may be meant after all.
        let id = super::shelf::id_of(&broker.state(), "commands");
        reads.fetcher.expect(at.topic, id);
        reads.until_tried("it is read", |reads| !reads.ends.is_empty());
        reads.check(&broker, "commands", 0, 0);
    }
}

/// Whoever expects nothing reads what there is, as brokers without identities have it, too.
#[test]
fn whoever_expects_no_identity_reads_on() {
    for (fetch_max, has_no_ids) in [(18, false), (18, true), (12, false), (12, true)] {
        let broker = Scripted::start(&[]);
        (broker.state().fetch_max, broker.state().has_no_ids) = (fetch_max, has_no_ids);
        broker.append("commands", 0, 10);
        let mut reads = Reads::from(&broker.address());
        reads.read("commands", 0, 0);
        reads.until("the end", |reads| reads.is_at("commands", 0, 10));
        broker.state().made.insert("commands".to_owned(), 2);
        broker.append("commands", 0, 10);
        reads.until_tried("the end of the new one", |reads| reads.is_at("commands", 0, 20));
        reads.check(&broker, "commands", 0, 0);
        assert!(reads.unreadable.is_empty());
    }
}

#[test]
fn a_broker_that_is_too_old_is_said_to_be() {
    let broker = Scripted::start(&[]);
    broker.state().fetch_max = 11;
    broker.append("commands", 0, 1);
    let mut reads = Reads::from(&broker.address());
    reads.read("commands", 0, 0);
    reads.turns(20);
    assert!(reads.visited.is_empty() && !broker.state().asked.contains_key(&1), "it is not asked");
}

/// A batch comes whole whatever a fetch has for a limit, and no partition starves behind others.
#[test]
fn batches_larger_than_every_limit_are_read_and_no_partition_starves() {
    let broker = Scripted::start(&[]);
    let value = "v".repeat(9 << 20);
    for partition in 0..4 {
        for _ in 0..3 {
            let mut state = broker.state();
            let shelf = state.shelf_mut("commands", partition);
            let records = records([(None, value.as_bytes())].into_iter());
            shelf.push(batch(shelf.next(), 0, -1, 1, 0, &records));
        }
    }
    let (mut poll, how) = (
        mio::Poll::new().expect("a poll"),
        Fetching { wait_ms: 30, bytes_min: 1, ahead_bytes_max: 16 << 20, partition_bytes_max: 1 << 20 },
    );
    let registry = poll.registry().try_clone().expect("a registry");
    let now = Instant::now();
    let mut fetcher =
        super::super::fetcher::Fetcher::new(&broker.address(), Default::default(), how, registry, std::sync::Arc::default(), now)
            .expect("addresses");
    let mut names = crate::TopicNames::default();
    let topic = names.handle("commands");
    (0..4).for_each(|partition| fetcher.read(crate::TopicPartition { topic, partition }, 0));
    let mut seen = vec![0; 4];
    while seen.iter().any(|count| *count < 3) {
        assert!(now.elapsed() < Duration::from_secs(120), "{seen:?}");
        fetcher.visit(&names, 1, Instant::now(), &mut |event| {
            if let crate::BusEvent::Record(record) = event {
                assert!(record.value.is_some_and(|read| read == value.as_bytes()));
                seen[record.at.partition as usize] += 1;
            }
        });
        let (least, most) = (seen.iter().min(), seen.iter().max());
        assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 2), "{seen:?}");
        poll.poll(&mut mio::Events::with_capacity(8), Some(Duration::from_millis(5))).expect("a poll");
    }
}

/// What is fetched ahead is bounded, whatever waits at the broker.
#[test]
fn a_reader_that_visits_little_fetches_little() {
    let broker = Scripted::start(&[]);
    let value = "v".repeat(1 << 20);
    for partition in 0..PARTITIONS {
        let mut state = broker.state();
        let shelf = state.shelf_mut("commands", partition);
        let values = records((0..5).map(|_| (None, value.as_bytes())));
        for _ in 0..4 {
            shelf.push(batch(shelf.next(), 0, -1, 5, 4, &values));
        }
    }
    let mut reads = Reads::from(&broker.address());
    reads.events_max = 0;
    (0..PARTITIONS).for_each(|partition| reads.read("commands", partition, 0));
    reads.until("fetches", |_| broker.state().asked.contains_key(&1));
    for _ in 0..50 {
        reads.turn_within(Duration::from_millis(10));
    }
    let fetched = broker.state().asked[&1];
    assert!(fetched <= 3, "{fetched} fetches of 8 MiB while nothing is visited");
}

#[test]
fn what_transactions_took_back_is_not_visited_and_ends_are_behind_what_is_stable() {
    let broker = Scripted::start(&[]);
    {
        let mut state = broker.state();
        let shelf = state.shelf_mut("commands", 0);
        // Offsets 0 and 1: kept; 2 and 3 aborted between others; then one by the same producer that is kept.
        shelf.append_as(2, TRANSACTIONAL, 7);
        shelf.append_as(2, TRANSACTIONAL, 8);
        shelf.append(1);
        shelf.mark(8, 2, false);
        shelf.mark(7, 0, true);
        shelf.append_as(1, TRANSACTIONAL, 8);
        shelf.mark(8, 7, true);
        shelf.append_as(1, TRANSACTIONAL, 9);
        shelf.stable = Some(9);
    }
    for from in 0..10 {
        let mut reads = Reads::from(&broker.address());
        reads.read("commands", 0, from);
        reads.until("the stable end", |reads| reads.is_at("commands", 0, 9) || from > 9 && !reads.ends.is_empty());
        let expected: Vec<i64> = [0, 1, 4, 7].into_iter().filter(|offset| *offset >= from).collect();
        assert_eq!(reads.offsets("commands", 0), expected, "from {from}");
        reads.turns(3);
        assert_eq!(reads.offsets("commands", 0), expected, "what is open is not visited");
    }
    let mut reads = Reads::from(&broker.address());
    reads.read("commands", 0, 0);
    reads.until("the stable end", |reads| reads.is_at("commands", 0, 9));
    {
        let mut state = broker.state();
        let shelf = state.shelf_mut("commands", 0);
        shelf.stable = None;
        shelf.mark(9, 9, false);
    }
    broker.append("commands", 0, 1);
    reads.until("the end", |reads| reads.is_at("commands", 0, 12));
    assert_eq!(reads.offsets("commands", 0), [0, 1, 4, 7, 11]);
}

/// An answer that says nothing at once, again and again, is not asked for without a pause.
#[test]
fn a_broker_that_answers_nothing_at_once_is_not_asked_all_the_time() {
    let broker = Scripted::start(&[]);
    broker.append("commands", 0, 5);
    // Below what is stable, and yet nothing: the rest is on its way from elsewhere.
    broker.state().shelf_mut("commands", 0).batches[0].1 = Vec::new();
    let mut reads = Reads::from(&broker.address());
    reads.read("commands", 0, 0);
    reads.until("an answer", |_| broker.state().asked.get(&1).is_some_and(|asked| *asked > 1));
    let (before, begun) = (broker.state().asked[&1], Instant::now());
    while begun.elapsed() < Duration::from_secs(1) {
        reads.turn();
    }
    let asked = broker.state().asked[&1] - before;
    assert!(asked <= 60, "{asked} fetches in a second");
    assert!(reads.ends.is_empty(), "it is not the end");
}

/// A wish to hear nothing is heeded.
#[test]
fn a_broker_that_wants_to_hear_nothing_hears_nothing() {
    let broker = Scripted::start(&[]);
    broker.append("commands", 0, 5);
    broker.state().push(Api::Fetch, Act::Throttle(5_000));
    let mut reads = Reads::from(&broker.address());
    reads.read("commands", 0, 0);
    reads.until("the end", |reads| reads.is_at("commands", 0, 5));
    broker.append("commands", 0, 5);
    reads.turns(10);
    assert_eq!((broker.state().asked[&1], reads.offsets("commands", 0).len()), (1, 5));
    reads.skip(Duration::from_secs(5));
    reads.until("the end", |reads| reads.is_at("commands", 0, 10));
}
