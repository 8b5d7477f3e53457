//! What is selected over HTTP, who may what, and what is refused. What becomes of acts is the driver's: `coordinator/tests/cli/batches.rs` runs
//! all of it.

use std::sync::Weak;

use axum::http::{HeaderMap, Uri};
use ringmaster_schemas::journal::RejectionReason;
use ringmaster_schemas::names::{partition_of, saga_id};
use ringmaster_schemas::state::{Batch as Rows, Entry, RowChange, RowKey, Saga, Turns, Waits, index_keys};
use ringmaster_store::Store as _;
use ringmaster_store::sim::SimStore;

use super::super::tests::{ROOM, checkpoint, sources, with_a_trip, with_a_trip_of};
use super::super::{ActEnd, SagaLine};
use super::*;
use crate::batches::{Batches, Counts, Made, OPEN_MAX, Settled, State, Window};
use crate::runtime::{Knowledge, Newest};

const PARTITIONS: i32 = 4;

/// Batches of which the topic is here: what is written is read at once.
fn batches() -> Arc<Batches> {
    let batches = Arc::new_cyclic(|own: &Weak<Batches>| {
        let own = own.clone();
        Batches::new(move |records| {
            let own = own.upgrade().expect("it is there");
            records.iter().cloned().for_each(|record| own.take(record));
            Ok(())
        })
    });
    batches.is_read();
    batches
}

/// A coordinator with so many trips that wait for the hotel, of which the first is as an earlier build stored it.
fn served(count: usize) -> Sources {
    served_with(count, with_a_trip())
}

/// The same with other trips.
fn served_with(count: usize, (knowledge, saga): (Knowledge, Saga)) -> Sources {
    let store = SimStore::new();
    let mut rows: Vec<Vec<RowChange>> = (0..PARTITIONS).map(|_| Vec::new()).collect();
    for number in 0..count {
        let (mut saga, key) = (saga.clone(), format!("t-{number}"));
        saga.id = saga_id("trip", &key).into();
        saga.turns = Turns::default();
        if number > 0 {
            saga.turns.remember(number as i64);
        }
        let change = RowChange { after: index_keys(&saga), ..RowChange::plain(RowKey::Saga(saga.id.clone()), Some(saga.encode())) };
        rows[partition_of(key.as_bytes(), PARTITIONS) as usize].push(change);
    }
    for (partition, rows) in (0..).zip(rows) {
        store.write(&Rows { partition, base_offset: -1, checkpoint: checkpoint(17), rows }).expect("applies");
    }
    let knowledge = Arc::new(Newest::new(Arc::new(knowledge)));
    Sources { knowledge, batches: batches(), ..sources(Arc::new(store)) }
}

/// What a selection of one writes down.
fn made(sources: &Sources) -> Made {
    let id = selected(sources, CANCEL).expect("it may").batch;
    sources.batches.look(|book| book.batch(&id).map(|batch| batch.made.clone())).expect("it is read").expect("it is known")
}

fn body(text: &str) -> BatchBody {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn selected(sources: &Sources, text: &str) -> Result<BatchShown, (u16, String)> {
    let request = Request { uri: Uri::from_static("/api/v1/batches"), headers: HeaderMap::new() };
    let id = select::select(sources, &request, &body(text), "ann".to_owned()).map_err(Refusal::told)?;
    find(sources, &id).map_err(Refusal::told)
}

fn known(role: &str) -> Principal {
    Principal { name: "bob".to_owned(), roles: vec![role.parse().expect("a role")], is_known: true }
}

fn ordered(sources: &Sources, id: &str, wanted: Order) -> Result<BatchShown, (u16, String)> {
    order(sources, &known("operator"), id, (None, wanted)).map_err(Refusal::told)
}

const CANCEL: &str = r#"{"act":"cancel","filter":"definition:trip","why":"the hotel closed"}"#;

#[test]
fn all_that_a_filter_means_is_frozen_as_it_was_seen() {
    // More than a page.
    let sources = served(2_345);
    let batch = selected(&sources, CANCEL).expect("it may");
    assert_eq!((batch.state, batch.matched, batch.left_out), (State::Previewed, 2_344, 1));
    assert_eq!((batch.by_definition["trip"], batch.by_status["running"], batch.by_step["room: reply"]), (2_344, 2_344, 2_344));
    assert_eq!((batch.sample.len(), batch.progress.left, batch.progress.done), (10, 2_344, 0));
    let look = |book: &crate::batches::Book| {
        let batch = book.batch(&batch.batch).expect("it is known");
        let all = (0..PARTITIONS).map(|partition| {
            let to = batch.shares[&partition].count;
            let window = Window { batch: batch.made.batch.clone(), partition, from: 0, to, journal: 0 };
            (partition, batch.sagas(&window).to_vec())
        });
        all.collect::<Vec<_>>()
    };
    let mut turns = Vec::new();
    for (partition, sagas) in sources.batches.look(look).expect("it is read") {
        for (saga, if_turn) in sagas {
            assert_eq!(saga, format!("trip/t-{if_turn}"), "each with its own last turn");
            assert_eq!(partition_of(&saga.as_bytes()["trip/".len()..], PARTITIONS), partition);
            turns.push(if_turn);
        }
    }
    let all = sources.batches.look(|found| found.batch(&batch.batch).map(|of| of.all_sagas().count()));
    assert_eq!(all, Ok(Some(2_344)), "each can be seen before it is started");
    turns.sort_unstable();
    assert_eq!(turns, (1..2_345).collect::<Vec<_>>(), "each once");
}

/// What moves while pages are read may be in two of them.
#[test]
fn what_comes_twice_is_selected_once_as_it_was_seen_first() {
    let sources = served(2);
    let line = selected(&sources, CANCEL).expect("it may").sample.remove(0);
    let mut selection = select::Selection::default();
    for if_turn in [line.if_turn, Some(99)] {
        selection.add(SagaLine { if_turn, ..line.clone() }, &body(CANCEL), PARTITIONS);
    }
    let all: Vec<&(String, i64)> = selection.by_partition.values().flatten().collect();
    assert_eq!(all, [&("trip/t-1".to_owned(), 1)]);
}

#[test]
fn only_those_at_the_step_are_selected() {
    let sources = served(5);
    let resolve = r#"{"act":"resolve","filter":"definition:trip","why":"w","step":"room","outcome":"refused","code":"C"}"#;
    let batch = selected(&sources, resolve).expect("it may");
    assert_eq!((batch.matched, batch.outcome, batch.code.as_deref()), (4, Some(ActEnd::Refused), Some("C")));
    let undo = resolve.replace("\"why\"", "\"undo\":true,\"why\"");
    assert_eq!(selected(&sources, &undo).map(|batch| batch.matched), Ok(0));
    let (code, why) = selected(&sources, &resolve.replace("\"room\"", "\"flight\"")).expect_err("there is no such step");
    assert!(code == 404 && why.contains("no version of trip has a step 'flight'"), "{code} {why}");
    assert_eq!(selected(&sources, &CANCEL.replace("definition:trip", "status:stuck")).map(|batch| batch.matched), Ok(0));
    let (code, why) = selected(&sources, &CANCEL.replace("definition:trip", "status:sick")).expect_err("no filter");
    assert_eq!(code, 400, "{why}");
}

/// A saga that waits at several steps is shown by one of them.
#[test]
fn a_saga_that_is_stuck_at_two_steps_is_selected_by_either() {
    let (knowledge, mut saga) = with_a_trip_of(&format!("{ROOM}{}{}", ROOM.replace("room", "flight"), ROOM.replace("room", "car")));
    let definition = knowledge.catalog.by_hash(&saga.head.version()).expect("it is deployed");
    let flight = (0..9).find(|node| definition.node(*node).is_some_and(|node| &*node.name == "flight"));
    let second = Entry { node: flight.expect("it is there"), since: 11, ..saga.entries[0].clone() };
    saga.entries.push(second);
    saga.entries.iter_mut().for_each(|entry| entry.waits = Waits::Stuck);
    let sources = served_with(2, (knowledge, saga));
    let retry = |step: &str, filter: &str| format!(r#"{{"act":"retry","filter":"{filter}","why":"w","step":"{step}"}}"#);
    for (step, filter, count) in [
        ("room", "definition:trip", 1),
        ("flight", "definition:trip", 1),
        ("flight", "step:flight", 1),
        ("car", "definition:trip", 0),
    ] {
        assert_eq!(selected(&sources, &retry(step, filter)).map(|batch| batch.matched), Ok(count), "{step}, {filter}");
    }
    let (code, why) = selected(&sources, &retry("flight", "step:room")).expect_err("two steps");
    assert!(code == 400 && why.contains("say it once"), "{code} {why}");
}

/// What refuses the first of its records refuses them all, and is told.
#[test]
fn why_nothing_more_is_taken_is_told() {
    let sources = served(20);
    let made = Made { shares: [(0, OPEN_MAX / 2 - 10)].into(), ..made(&sources) };
    for batch in ["b-1", "b-2"] {
        let says = Record::Made(Box::new(Made { batch: batch.to_owned(), ..made.clone() }));
        sources.batches.post(&[Written::new(wall(), says)], PATIENCE).expect("there is room");
    }
    let (code, why) = selected(&sources, CANCEL).expect_err("there are too many");
    assert!(code == 409 && why.contains("stop one that is of no use"), "{code} {why}");
}

/// Another instance may be asked next, which reads it in a moment.
#[test]
fn what_another_instance_has_just_made_is_waited_for() {
    let sources = served(3);
    let says = Record::Made(Box::new(Made { batch: "b-late".to_owned(), shares: [].into(), ..made(&sources) }));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(50));
            sources.batches.take(Written::new(wall(), says));
        });
        let look = |batch: &crate::batches::Batch| batch.state;
        let found = sources.batches.look_soon("b-late", Duration::from_secs(60), look);
        assert_eq!(found, Ok(Some(State::Previewed)));
    });
    assert_eq!(sources.batches.look_soon("b-never", Duration::ZERO, |_| ()), Ok(None));
    assert_eq!(ordered(&sources, "b-never", Order::Stop).map_err(|(code, _)| code).map(|_| ()), Err(404));
}

/// What cannot be asked would be left out in silence.
#[test]
fn a_partition_that_cannot_be_asked_is_a_reason_to_refuse() {
    let sources = served(40);
    sources.status.given(Some(&[0, 1, 2].into()));
    sources.status.hosts(&[0, 1, 2]);
    let (code, why) = selected(&sources, CANCEL).expect_err("partition 3 is nobody's");
    assert!(code == 503 && why.contains("allow_missing"), "{code} {why}");
    let batch = selected(&sources, &CANCEL.replace("\"why\"", "\"allow_missing\":true,\"why\"")).expect("it is meant");
    assert!(batch.missing.iter().any(|missing| missing.partition == 3), "it is named: {:?}", batch.missing);
    assert!(batch.partitions.iter().all(|share| share.partition != 3), "{:?}", batch.partitions);
}

#[test]
fn a_batch_is_started_as_it_was_seen_and_says_how_far_it_is() {
    let sources = served(7);
    let id = selected(&sources, CANCEL).expect("it may").batch;
    let start = |expected| Order::Start { expected, rate: 7 };
    assert_eq!(ordered(&sources, &id, start(7)).map_err(|(code, _)| code).err(), Some(409), "there are six");
    assert_eq!(ordered(&sources, "b-nothing", start(6)).map_err(|(code, _)| code).err(), Some(404));
    let batch = ordered(&sources, &id, start(6)).expect("so many");
    assert_eq!((batch.state, batch.rate, &*batch.orders[0].by, &*batch.orders[0].order), (State::Running, Some(7), "bob", "start"));
    for (wanted, state) in [(Order::Pause, State::Paused), (Order::Resume, State::Running)] {
        assert_eq!(ordered(&sources, &id, wanted).map(|batch| batch.state), Ok(state));
        assert_eq!(ordered(&sources, &id, wanted).map_err(|(code, _)| code).err(), Some(409), "{wanted:?} once more");
    }
    let share = batch.partitions.iter().find(|share| share.matched > 1).expect("six sagas of four partitions").clone();
    let (partition, to) = (share.partition, share.matched);
    let window = Window { batch: id.clone(), partition, from: 0, to, journal: 0 };
    let rejected = [(RejectionReason::MovedOn.as_str().to_owned(), 1)].into();
    let settled = Settled { batch: id.clone(), partition, to, counts: Counts { done: to - 1, rejected }, examples: Vec::new() };
    sources.batches.take(Written::new(wall(), Record::Window(window)));
    let progress = |sources: &Sources| find(sources, &id).expect("it is known").progress;
    assert_eq!((progress(&sources).on_their_way, progress(&sources).left), (to, 6));
    sources.batches.take(Written::new(wall(), Record::Settled(settled)));
    let BatchProgress { done, moved_on, rejected, left, on_their_way } = progress(&sources);
    assert_eq!((done, moved_on, rejected, left, on_their_way), (to - 1, 1, 0, 6 - to, 0));
    assert_eq!(ordered(&sources, &id, Order::Stop).map(|batch| batch.state), Ok(State::Stopped));
}

#[test]
fn approvals_of_many_are_for_an_admin() {
    let sources = served(2);
    for (role, act, may) in [("operator", Act::Cancel, true), ("operator", Act::Approve, false), ("admin", Act::Refuse, true)] {
        assert_eq!(may_approve(&known(role), act).is_ok(), may, "{role} {act:?}");
    }
    let approve = selected(&sources, &CANCEL.replace("cancel", "approve")).expect("it is selected").batch;
    let start = Order::Start { expected: 1, rate: 1 };
    assert_eq!(ordered(&sources, &approve, start).map_err(|(code, _)| code).err(), Some(403), "who starts it may do it, too");
}

#[test]
fn what_says_too_little_or_too_much_is_refused() {
    for (text, why) in [
        (r#"{"act":"start","filter":"status:stuck","why":"w"}"#, "sagas that are there"),
        (r#"{"act":"participant_pause","filter":"status:stuck","why":"w"}"#, "sagas that are there"),
        (r#"{"act":"cancel","filter":" ","why":"w"}"#, "nothing would mean all"),
        (r#"{"act":"cancel","filter":"status:stuck","why":" "}"#, "says why"),
        (r#"{"act":"retry","filter":"status:stuck","why":"w","undo":true}"#, "`undo` is said of a `step`"),
        (r#"{"act":"resolve","filter":"status:stuck","why":"w","outcome":"refused"}"#, "says `step` and `outcome`"),
        (r#"{"act":"resolve","filter":"status:stuck","why":"w","step":"ship"}"#, "says `step` and `outcome`"),
        (r#"{"act":"resolve","filter":"status:stuck","why":"w","step":"s","outcome":"succeeded","code":"X"}"#, "`code`"),
        (r#"{"act":"resolve","filter":"status:stuck","why":"w","step":"s","outcome":"refused","value":1}"#, "`value`"),
        (r#"{"act":"cancel","filter":"status:stuck","why":"w","value":1}"#, "`value` is said to"),
    ] {
        let parsed = serde_json::from_str::<BatchBody>(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let said = parsed.check().expect_err(text);
        assert!(said.contains(why), "{text}: {said}");
    }
    let large = format!(r#"{{"act":"skip","filter":"status:stuck","why":"w","step":"s","value":"{}"}}"#, "x".repeat(10_000));
    assert!(body(&large).check().is_err_and(|why| why.contains("10,000")));
    assert_eq!(body(&CANCEL.replace("\"why\"", "\"step\":\"room\",\"why\"")).check(), Ok(()), "a step selects, whatever the act");
    for wrong in [r#"{"act":"cancel","why":"w"}"#, r#"{"act":"cancel","filter":"x","why":"w","saga":"a/b"}"#, "{}"] {
        assert!(serde_json::from_str::<BatchBody>(wrong).is_err(), "{wrong}");
    }
}
