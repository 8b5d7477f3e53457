//! Drivers against a simulated broker and partitions that decide as a coordinator does: whoever crashes, and wherever, each act is done once
//! and counted as what it was.

mod stage;

use std::sync::atomic::Ordering;

use ringmaster_bus::Specification;
use ringmaster_bus::sim::{Faults, SimBroker};
use ringmaster_schemas::journal::{Change, Rejected, RejectionReason};

use super::super::book::State;
use super::super::record::Order;
use super::*;
use stage::{ID, PARTITIONS, SAGAS, all, announced, clients, now, play, saga, stands, taken, to_the_end};

#[test]
fn each_saga_of_a_batch_is_acted_on_once_at_its_rate_and_no_other() {
    play(|stage| {
        stage.begin(10);
        let (mut driver, batches) = stage.driver();
        let seconds = to_the_end(&mut driver, &batches, 0);
        assert_eq!(stands(&batches), (State::Done, SAGAS, BTreeMap::new()));
        assert_eq!(stage.acted(), (vec![1; SAGAS], 0));
        assert!((6..20).contains(&seconds), "60 at 10 a second: {seconds} s");
        driver.turn(&all(), now(seconds + 1));
        assert!(driver.hand.is_none() && driver.flights.is_empty(), "who has nothing to do keeps nothing");
    });
}

#[test]
fn what_has_moved_on_is_left_alone() {
    play(|stage| {
        stage.begin(1_000);
        (0..7).for_each(|number| stage.moves(&saga(number)));
        let (mut driver, batches) = stage.driver();
        to_the_end(&mut driver, &batches, 0);
        assert_eq!(stands(&batches), (State::Done, SAGAS - 7, [("MOVED_ON".to_owned(), 7)].into()));
        assert_eq!(stage.acted().0[..7], [0; 7]);
        let told = batches.look(|book| book.batch(ID).map(|batch| batch.examples.len()));
        assert_eq!(told, Ok(Some(7)), "they are named");
    });
}

/// Whoever is killed leaves what it announced, what it sent, and what the journal says; the next one goes on from there.
#[test]
fn a_crash_anywhere_loses_nothing_does_nothing_twice_and_counts_right() {
    for crash in ["announced", "sent and not taken", "half sent and not taken", "taken"] {
        play(|stage| {
            stage.begin(20);
            let (mut first, seen) = stage.driver();
            let windows = announced(&mut first, &seen, 1);
            let count: usize = windows.iter().map(|window| window.to - window.from).sum();
            assert!((15..=20).contains(&count), "{count}");
            let mut hand = first.take_hand().expect("a client");
            first.begin_flights(&mut hand, (&[], &windows)).expect("they begin");
            let mut hand = hand.bus;
            stage.owned.store(crash == "taken", Ordering::SeqCst);
            match crash {
                "announced" => {}
                "taken" => {
                    first.fly(&mut hand, now(1)).expect("they are answered");
                    assert!(first.flights.values().all(|sent| sent.flight.is_settled()));
                }
                _ => {
                    let records = first.flights.values().flat_map(|sent| sent.flight.open(PARTITIONS));
                    let keep = if crash == "sent and not taken" { usize::MAX } else { count / 2 };
                    let records: Vec<_> = records.take(keep).map(|one| (one.partition, one.key, one.bytes)).collect();
                    blocking::append_each(&mut hand, &stage.topics.control, &records).expect("they are sent");
                }
            }
            drop((first, seen, hand));
            let (mut second, batches) = stage.driver();
            // It comes before the partitions decide again.
            second.turn(&BTreeSet::new(), now(2));
            stage.owned.store(true, Ordering::SeqCst);
            to_the_end(&mut second, &batches, 3);
            assert_eq!(stands(&batches), (State::Done, SAGAS, BTreeMap::new()), "{crash}");
            assert_eq!(stage.acted(), (vec![1; SAGAS], 0), "{crash}");
        });
    }
}

/// One of them was frozen, say, and does not know that another has its partitions.
#[test]
fn two_who_think_that_they_have_the_same_do_it_once() {
    play(|stage| {
        stage.begin(10);
        let drivers: Vec<_> = (0..2).map(|_| stage.driver()).collect();
        let ends: Vec<i64> = std::thread::scope(|scope| {
            let each = drivers.into_iter().map(|(mut driver, batches)| {
                scope.spawn(move || {
                    let end = to_the_end(&mut driver, &batches, 0);
                    assert_eq!(stands(&batches), (State::Done, SAGAS, BTreeMap::new()));
                    end
                })
            });
            each.collect::<Vec<_>>().into_iter().map(|one| one.join().expect("it ends")).collect()
        });
        assert_eq!(stage.acted(), (vec![1; SAGAS], 0), "{ends:?}");
    });
}

/// Whoever lost a partition may still write to its journal: that is nothing, for every reader.
#[test]
fn what_does_not_count_in_the_journal_is_not_counted_here() {
    play(|stage| {
        stage.begin(1_000);
        let (mut driver, batches) = stage.driver();
        stage.owned.store(false, Ordering::SeqCst);
        let before = stage.decided().terms.clone();
        (0..PARTITIONS).for_each(|partition| stage.claim(partition));
        let windows = announced(&mut driver, &batches, 1);
        let mut hand = driver.take_hand().expect("a client");
        driver.begin_flights(&mut hand, (&[], &windows)).expect("they begin");
        for record in driver.flights.values().flat_map(|sent| sent.flight.open(PARTITIONS)) {
            let rejected = Rejected { saga: "order/x".into(), reason: RejectionReason::NotPossible, detail: "void".into() };
            stage.record(record.partition, before[&record.partition], &record.bytes, Change::Rejected(rejected));
        }
        // Whose place is taken by what is void is in doubt, and claims again.
        (0..PARTITIONS).for_each(|partition| stage.claim(partition));
        stage.owned.store(true, Ordering::SeqCst);
        to_the_end(&mut driver, &batches, 2);
        assert_eq!(stands(&batches), (State::Done, SAGAS, BTreeMap::new()));
        assert_eq!(stage.acted(), (vec![1; SAGAS], 0));
    });
}

/// Events and answers are of others, who may write what an act says.
#[test]
fn what_only_looks_like_an_act_is_none() {
    play(|stage| {
        stage.begin(1_000);
        let (mut driver, batches) = stage.driver();
        stage.owned.store(false, Ordering::SeqCst);
        let windows = announced(&mut driver, &batches, 1);
        let mut hand = driver.take_hand().expect("a client");
        driver.begin_flights(&mut hand, (&[], &windows)).expect("they begin");
        for record in driver.flights.values().flat_map(|sent| sent.flight.open(PARTITIONS)) {
            let place = {
                let mut decided = stage.decided();
                let term = decided.terms.get_mut(&record.partition).expect("it is claimed");
                term.1 += 1;
                (term.0, term.1 - 1)
            };
            stage.record_of([7; 16], record.partition, place, &record.bytes, taken("order/x"));
        }
        stage.owned.store(true, Ordering::SeqCst);
        to_the_end(&mut driver, &batches, 2);
        assert_eq!(stands(&batches), (State::Done, SAGAS, BTreeMap::new()));
        assert_eq!(stage.acted(), (vec![1; SAGAS], 0), "each was sent all the same");
    });
}

#[test]
fn a_stop_ends_behind_what_is_announced() {
    play(|stage| {
        stage.begin(10);
        let (mut driver, batches) = stage.driver();
        let windows = announced(&mut driver, &batches, 1);
        let count: usize = windows.iter().map(|window| window.to - window.from).sum();
        stage.order(Order::Pause);
        (2..20).for_each(|second| driver.turn(&all(), now(second)));
        assert_eq!(stands(&batches), (State::Paused, count, BTreeMap::new()));
        stage.order(Order::Resume);
        driver.turn(&BTreeSet::new(), now(20));
        let more = announced(&mut driver, &batches, 22).iter().map(|window| window.to - window.from).sum::<usize>();
        assert!((1..=10).contains(&more), "nothing was saved up while it was paused: {more}");
        stage.order(Order::Stop);
        (23..40).for_each(|second| driver.turn(&all(), now(second)));
        assert_eq!(stands(&batches), (State::Stopped, count + more, BTreeMap::new()));
        let (acted, others) = stage.acted();
        assert_eq!((acted.iter().sum::<usize>(), acted.iter().max(), others), (count + more, Some(&1), 0));
    });
}

#[test]
fn a_topic_that_is_not_there_is_said_and_what_is_not_read_is_no_ground_to_act_on() {
    let (broker, topics) = (SimBroker::new(1, 0, Faults::none()), Topics::new("ringmaster"));
    let batches = Arc::new(Batches::new(|_| Ok(())));
    let mut driver = Driver::new(topics.clone(), PARTITIONS, batches.clone(), clients(&broker));
    driver.turn(&all(), now(0));
    let why = batches.look(|_| ()).expect_err("it is not there");
    assert!(why.contains("ringmaster topics apply"), "{why}");
    let what = Specification { name: topics.batches.clone(), partitions: 1, replication: 1, settings: vec![] };
    broker.client().create(&what).expect("made");
    driver.turn(&all(), now(10));
    assert_eq!(batches.look(|book| book.all().count()), Ok(0));
}
