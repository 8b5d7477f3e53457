//! Several brokers: leaders that move, and one that is silent.

use std::time::Duration;

use super::line::Line;
use super::scripted::{Act, Scripted};
use crate::kafka::direct::requests::Api;

fn at(partition: i32) -> (String, i32) {
    ("commands".to_owned(), partition)
}

#[test]
fn each_leader_gets_one_request() {
    let broker = Scripted::cluster(3, &[]);
    broker.state().leaders.extend((0..6).map(|partition| (at(partition), 1 + partition % 3)));
    let mut line = Line::to(&broker.address());
    (0..6).for_each(|tag| line.send("commands", tag as i32, tag).expect("taken"));
    line.settle();
    // Links may be open at different times.
    (6..12).for_each(|tag| line.send("commands", (tag - 6) as i32, tag).expect("taken"));
    let before = broker.state().asked[&0];
    line.settle();
    assert_eq!(broker.state().asked[&0] - before, 3, "one a broker");
    assert!(broker.state().produced.keys().all(|(broker, _, partition)| *broker == 1 + partition % 3));
    line.check(&broker);
}

/// The old leader has the batch and does not answer yet; the new one must not get anything of the partition before. If it is silent for
/// long, it is left: its connection is closed, and the same batch goes to the new one.
#[test]
fn a_partition_moves_only_when_its_request_is_answered_or_given_up() {
    for is_frozen in [false, true] {
        let broker = Scripted::cluster(2, &[]);
        broker.state().leaders.extend(["another", "third"].map(|topic| ((topic.to_owned(), 0), 2)));
        let mut line = Line::to(&broker.address());
        line.send("commands", 0, 1).expect("taken");
        line.send("another", 0, 2).expect("taken");
        line.settle();
        broker.state().push(Api::Produce, Act::Hold);
        line.send("commands", 0, 3).expect("taken");
        line.until("it is held", |_| broker.state().script[&0].is_empty());
        broker.state().leaders.insert(at(0), 2);
        line.send("commands", 0, 4).expect("taken");
        // It makes the producer ask, another than the silent one, and learn who leads now.
        line.send("third", 0, 5).expect("taken");
        line.until("the other topic", |line| line.done.contains_key(&5));
        line.turns(10);
        assert_eq!(broker.state().produced.get(&(2, "commands".to_owned(), 0)), None, "the old leader has not answered");
        if is_frozen {
            line.skip(Duration::from_secs(6));
        } else {
            broker.release();
        }
        line.settle();
        line.check(&broker);
        assert_eq!((line.done.get(&3), line.done.get(&4)), (Some(&Some(1)), Some(&Some(2))), "{:?}", line.fatal);
        assert_eq!(line.doubts.len(), usize::from(is_frozen), "{:?}", line.doubts);
        assert!(line.doubts.iter().all(|why| why.contains("others lead what it led")), "{:?}", line.doubts);
    }
}

/// One that is silent, and leads still, is waited for.
#[test]
fn a_silent_leader_is_not_left_while_it_leads() {
    let broker = Scripted::cluster(2, &[]);
    let mut line = Line::to(&broker.address());
    line.send("commands", 0, 1).expect("taken");
    line.settle();
    broker.state().push(Api::Produce, Act::Hold);
    line.send("commands", 0, 2).expect("taken");
    line.until("it is held", |_| broker.state().script[&0].is_empty());
    line.skip(Duration::from_secs(6));
    let asked = broker.state().asked[&3];
    line.until("another is asked", |_| broker.state().asked[&3] > asked);
    // Nor while nobody leads.
    broker.state().leaders.insert(at(0), -1);
    line.skip(Duration::from_secs(2));
    line.until("another is asked again", |_| broker.state().asked[&3] > asked + 1);
    line.turns(10);
    assert_eq!(line.doubts.len(), 0, "{:?}", line.doubts);
    broker.state().leaders.clear();
    broker.release();
    line.settle();
    line.check(&broker);
    assert_eq!((line.done[&2], line.doubts.len()), (Some(1), 0));
}

#[test]
fn leaders_that_move_again_and_again_lose_and_double_nothing() {
    let broker = Scripted::cluster(3, &[]);
    let mut line = Line::to(&broker.address());
    for round in 0..40u64 {
        {
            let mut state = broker.state();
            for partition in 0..3 {
                for topic in ["commands", "replies"] {
                    let leader = (round as i32 * (1 + partition) + partition) % 4;
                    // Now and then nobody leads.
                    state.leaders.insert((topic.to_owned(), partition), if leader == 0 { -1 } else { leader });
                }
            }
            if round % 7 == 3 {
                state.push(Api::Produce, Act::Cut { done: round % 2 == 0 });
            }
        }
        line.drive(20 * round..20 * (round + 1));
        line.turns(3);
    }
    broker.state().leaders.clear();
    line.settle();
    assert_eq!((line.done.len(), &line.fatal), (800, &None), "{:?}", line.failed);
    line.check(&broker);
}

/// A broker that says nothing is not waited for when another may know; what it says later changes nothing.
#[test]
fn a_silent_broker_is_not_the_only_one_that_is_asked() {
    let broker = Scripted::cluster(2, &[(Api::Identity, Act::Hold)]);
    let mut line = Line::to(&broker.address());
    line.send("commands", 0, 1).expect("taken");
    line.send("commands", 1, 2).expect("taken");
    broker.state().leaders.extend([(at(0), 2), (at(1), 1)]);
    line.until("it is held", |_| broker.state().script[&22].is_empty());
    line.skip(Duration::from_secs(6));
    line.until("another gives an identity", |_| broker.state().asked[&22] == 2);
    line.until("what it leads is written", |line| !line.done.is_empty());
    broker.release();
    line.settle();
    line.send("commands", 0, 3).expect("taken");
    line.send("commands", 1, 4).expect("taken");
    line.settle();
    let state = broker.state();
    assert!(state.logs.values().all(|log| log.batches.len() == 1), "one producer, whatever is told later");
    drop(state);
    assert_eq!((line.done.len(), line.failed.len()), (4, 0));
    line.check(&broker);
}

/// A topic that another broker does not know for a while, with a batch on its way to the one that leads it: what becomes of that batch
/// only its leader says.
#[test]
fn a_topic_is_not_refused_while_its_batch_is_on_its_way() {
    let broker = Scripted::cluster(2, &[]);
    let mut line = Line::to(&broker.address());
    line.send("commands", 0, 1).expect("taken");
    line.settle();
    broker.state().push(Api::Produce, Act::Hold);
    line.send("commands", 0, 2).expect("taken");
    line.until("it is held", |_| broker.state().script[&0].is_empty());
    {
        let mut state = broker.state();
        state.missing.insert("commands".to_owned());
        state.leaders.insert(("another".to_owned(), 0), 2);
    }
    line.send("another", 0, 3).expect("taken");
    line.skip(Duration::from_secs(6));
    line.until("the other topic", |line| line.done.contains_key(&3));
    // It is asked for again and again meanwhile, for longer than a topic may be unknown.
    let asked = broker.state().asked[&3];
    line.skip(Duration::from_secs(4));
    line.until("it is asked for", |_| broker.state().asked[&3] >= asked + 2);
    broker.state().missing.clear();
    broker.release();
    line.until("the batch", |line| line.done.contains_key(&2) || line.failed.contains_key(&2));
    line.send("commands", 0, 4).expect("taken");
    line.settle();
    line.check(&broker);
    assert_eq!((line.done[&2], line.done[&4]), (Some(1), Some(2)), "{:?}", line.failed);
}

/// Nothing was to be sent to it so far, so that there is no connection to it.
#[test]
fn a_broker_that_nobody_needed_is_asked_when_the_others_are_silent() {
    let broker = Scripted::cluster(2, &[]);
    let mut line = Line::to(&broker.address_of(1));
    line.send("commands", 0, 1).expect("taken");
    line.settle();
    broker.state().push(Api::Produce, Act::Hold);
    line.send("commands", 0, 2).expect("taken");
    line.until("it is held", |_| broker.state().script[&0].is_empty());
    broker.state().leaders.insert(("another".to_owned(), 0), 2);
    line.send("another", 0, 3).expect("taken");
    line.turns(3);
    line.skip(Duration::from_secs(6));
    line.until("the other topic", |line| line.done.contains_key(&3));
    assert!(!line.done.contains_key(&2), "the first broker is silent still");
    broker.release();
    line.settle();
    line.check(&broker);
}
