//! What a record of the topic means by what stands before it, whoever wrote it.

use std::collections::BTreeMap;

use super::super::PREVIEW_MS;
use super::super::record::{What, parts_of};
use super::*;
use crate::api::Act;

const ID: &str = "b-0123456789ab";
const NOW: Millis = 1_800_000_000_000;

fn made(shares: &[(i32, usize)]) -> Made {
    Made {
        batch: ID.to_owned(),
        what: What { act: Act::Cancel, step: None, undo: false, outcome: None, code: None, value: None },
        filter: "status:parked".to_owned(),
        why: "the shop closes".to_owned(),
        by: "ann".to_owned(),
        expires_at: NOW + PREVIEW_MS,
        shares: shares.iter().copied().collect(),
        by_definition: BTreeMap::new(),
        by_status: BTreeMap::new(),
        by_step: BTreeMap::new(),
        sample: Vec::new(),
        missing: Vec::new(),
        left_out: 0,
    }
}

fn part(partition: i32, from: usize, count: usize) -> Record {
    let sagas = (from..from + count).map(|place| (format!("order/{partition}-{place}"), place as i64)).collect();
    Record::Part(Part { batch: ID.to_owned(), partition, from, sagas })
}

fn order(order: Order) -> Record {
    Record::Ordered(Ordered { batch: ID.to_owned(), by: "bob".to_owned(), order })
}

fn start(expected: usize) -> Record {
    order(Order::Start { expected, rate: 10 })
}

fn window(partition: i32, from: usize, to: usize) -> Record {
    Record::Window(Window { batch: ID.to_owned(), partition, from, to, journal: 100 })
}

fn settled(partition: i32, to: usize, done: usize, moved_on: usize) -> Record {
    let rejected = [("MOVED_ON".to_owned(), moved_on)].into_iter().filter(|(_, count)| *count > 0).collect();
    let counts = Counts { done, rejected };
    Record::Settled(Settled { batch: ID.to_owned(), partition, to, counts, examples: Vec::new() })
}

impl Book {
    fn at(&mut self, at: Millis, says: Record) -> Result<(), Void> {
        self.take(Written::new(at, says))
    }

    fn now(&mut self, says: Record) -> Result<(), Void> {
        self.at(NOW, says)
    }

    fn is(&self) -> (State, usize, usize) {
        let batch = self.batch(ID).expect("it is known");
        (batch.state, batch.counts().count(), batch.on_their_way())
    }
}

/// A batch of three sagas of partition 1 and two of partition 4.
fn previewed() -> Book {
    let mut book = Book::default();
    for says in [Record::Made(Box::new(made(&[(1, 3), (4, 2)]))), part(1, 0, 2), part(4, 0, 2), part(1, 2, 1)] {
        book.now(says).expect("it is what comes next");
    }
    book
}

fn running() -> Book {
    let mut book = previewed();
    book.now(start(5)).expect("so many it has");
    book
}

#[test]
fn a_batch_goes_from_a_look_to_its_end() {
    let mut book = running();
    assert_eq!(book.is(), (State::Running, 0, 0));
    for (says, expected) in [
        (window(1, 0, 2), (State::Running, 0, 2)),
        (window(4, 0, 2), (State::Running, 0, 4)),
        (settled(1, 2, 1, 1), (State::Running, 2, 2)),
        (window(1, 2, 3), (State::Running, 2, 3)),
        (settled(4, 2, 2, 0), (State::Running, 4, 1)),
        (settled(1, 3, 0, 1), (State::Done, 5, 0)),
    ] {
        book.now(says.clone()).unwrap_or_else(|why| panic!("{says:?}: {why}"));
        assert_eq!(book.is(), expected, "{says:?}");
    }
    let counts = book.batch(ID).expect("it is known").counts();
    assert_eq!((counts.done, counts.rejected["MOVED_ON"]), (3, 2));
}

#[test]
fn nothing_is_done_before_all_of_it_is_written_down_and_as_many_as_were_seen() {
    let mut book = Book::default();
    assert!(book.now(start(5)).is_err(), "there is none");
    book.now(Record::Made(Box::new(made(&[(1, 3), (4, 2)])))).expect("new");
    assert!(book.now(Record::Made(Box::new(made(&[(1, 1)])))).is_err(), "an id is of one batch");
    for wrong in [part(1, 1, 2), part(1, 0, 4), part(2, 0, 1), start(5), window(1, 0, 1)] {
        assert!(book.now(wrong.clone()).is_err(), "{wrong:?}");
    }
    for says in [part(1, 0, 3), part(4, 0, 1)] {
        book.now(says).expect("it is what comes next");
        assert!(book.now(start(5)).is_err(), "it is not whole");
    }
    book.now(part(4, 1, 1)).expect("the last");
    for wrong in [start(4), start(6), window(1, 0, 1), order(Order::Pause), order(Order::Resume), part(4, 2, 1)] {
        assert!(book.now(wrong.clone()).is_err(), "{wrong:?}");
        assert_eq!(book.is(), (State::Previewed, 0, 0));
    }
    book.now(start(5)).expect("so many it has");
    assert!(book.now(start(5)).is_err(), "of two who start it one does");
}

/// Two instances may think that they have a partition: what the second one writes means nothing.
#[test]
fn nothing_is_announced_twice_and_nothing_is_counted_twice() {
    let mut book = running();
    for wrong in [window(1, 1, 2), window(1, 0, 4), window(1, 0, 0), window(3, 0, 1), settled(1, 1, 1, 0)] {
        assert!(book.now(wrong.clone()).is_err(), "{wrong:?}");
    }
    book.now(window(1, 0, 2)).expect("the first");
    for wrong in [window(1, 0, 2), window(1, 0, 3), window(1, 2, 3), settled(1, 3, 3, 0), settled(1, 2, 1, 0), settled(1, 2, 3, 0)]
    {
        assert!(book.now(wrong.clone()).is_err(), "{wrong:?}");
        assert_eq!(book.is(), (State::Running, 0, 2));
    }
    book.now(settled(1, 2, 2, 0)).expect("they are two");
    assert!(book.now(settled(1, 2, 2, 0)).is_err() && book.now(window(1, 0, 2)).is_err());
    assert_eq!(book.is(), (State::Running, 2, 0));
}

#[test]
fn what_is_announced_is_seen_to_its_end_whatever_people_say() {
    for (said, stands) in [(Order::Pause, State::Paused), (Order::Stop, State::Stopped)] {
        let mut book = running();
        book.now(window(1, 0, 2)).expect("it runs");
        book.now(order(said)).expect("it may");
        assert!(book.now(window(4, 0, 1)).is_err(), "nothing more is announced");
        let owned = [1, 4].into();
        let batch = book.batch(ID).expect("it is known");
        let on_their_way: Vec<Window> = batch.windows(&owned).cloned().collect();
        assert_eq!((on_their_way.len(), batch.ready(&owned).count()), (1, 0));
        assert_eq!(batch.sagas(&on_their_way[0]).len(), 2, "its sagas are still known");
        book.now(settled(1, 2, 2, 0)).expect("it was announced");
        assert_eq!(book.is(), (stands, 2, 0));
    }
    let mut book = running();
    book.now(order(Order::Pause)).expect("it runs");
    assert!(book.now(order(Order::Pause)).is_err() && book.now(window(1, 0, 1)).is_err());
    book.now(order(Order::Resume)).expect("it is paused");
    book.now(window(1, 0, 3)).expect("it runs");
    book.now(order(Order::Stop)).expect("it runs");
    assert!([Order::Stop, Order::Resume, Order::Pause].into_iter().all(|said| book.now(order(said)).is_err()));
}

#[test]
fn a_look_grows_old_and_so_does_what_runs() {
    let mut book = previewed();
    let late = NOW + PREVIEW_MS + 1;
    assert!(book.at(late, start(5)).is_err_and(|why| why.contains("expired")));
    assert_eq!(book.is(), (State::Expired, 0, 0));
    let mut book = running();
    book.at(late, window(1, 0, 2)).expect("it was started in time");
    assert!(book.at(NOW + STARTED_MS + 1, window(4, 0, 2)).is_err());
    assert_eq!(book.is(), (State::Expired, 0, 2));
    book.at(NOW + STARTED_MS + 2, settled(1, 2, 2, 0)).expect("what was announced is counted");
}

#[test]
fn memory_is_bounded_and_what_is_over_gives_it_back() {
    let mut book = Book::default();
    let of = |number: usize, count: usize| Record::Made(Box::new(Made { batch: format!("b-{number}"), ..made(&[(0, count)]) }));
    assert!(book.now(of(0, MATCHED_MAX + 1)).is_err());
    let whole = OPEN_MAX / MATCHED_MAX;
    (0..whole).for_each(|number| book.now(of(number, MATCHED_MAX)).expect("there is room"));
    assert!(book.now(of(whole, 1)).is_err_and(|why| why.contains("stop one")));
    let stop = Ordered { batch: "b-0".to_owned(), by: "ann".to_owned(), order: Order::Stop };
    book.now(Record::Ordered(stop)).expect("it may");
    book.now(of(whole, 1)).expect("there is room again");
    for number in whole + 1..REMEMBERED_MAX {
        book.now(of(number, 0)).expect("an empty one");
    }
    book.now(of(REMEMBERED_MAX, 0)).expect("the oldest that is over is forgotten");
    assert!(book.batch("b-0").is_none() && book.batch("b-1").is_some());
    assert_eq!((book.all().count(), book.all().next().map(|batch| &*batch.made.batch)), (REMEMBERED_MAX, Some("b-1000")));
    assert!(book.now(of(REMEMBERED_MAX + 1, 0)).is_err(), "none of those is over");
}

#[test]
fn parts_are_whole_and_each_fits_into_a_record() {
    let sagas: Vec<Selected> =
        (0..5_432).map(|place| (format!("order/{}{place}", "k".repeat(place % 700)), place as i64)).collect();
    let parts = parts_of(ID, 3, sagas.clone());
    let mut put_together = Vec::new();
    for part in parts {
        assert_eq!((part.from, part.partition), (put_together.len(), 3));
        let record = Written::new(NOW, Record::Part(part.clone()));
        assert!(record.bytes().len() < 500_000, "{}", record.bytes().len());
        put_together.extend(part.sagas);
    }
    assert_eq!(put_together, sagas);
}

/// What a build has written the next one reads.
#[test]
fn records_are_read_as_they_were_written() {
    let value = serde_json::from_str("{\"amount\":12345678901234567890.10}").expect("JSON");
    let what = What { act: Act::Skip, step: Some("ship".to_owned()), value: Some(value), ..made(&[]).what };
    let made = Record::Made(Box::new(Made { what, ..made(&[(1, 3)]) }));
    for says in [made, part(1, 0, 2), start(5), window(1, 0, 2), settled(1, 2, 1, 1)] {
        let written = Written::new(NOW, says);
        let read: Written = serde_json::from_slice(&written.bytes()).expect("it is read");
        assert_eq!((read.at, read.bytes()), (NOW, written.bytes()));
    }
    let golden = r#"{"id":"x","at":7,"says":{"window":{"batch":"b-1","partition":3,"from":0,"to":2,"journal":9}}}"#;
    let read: Written = serde_json::from_str(golden).expect("it is read");
    assert_eq!(read.bytes(), golden.as_bytes());
}

#[test]
fn orders_are_bounded_and_it_can_be_stopped_all_the_same() {
    let mut book = running();
    let mut wishes = [Order::Pause, Order::Resume].into_iter().cycle();
    for _ in 1..ORDERS_MAX {
        book.now(order(wishes.next().expect("endless"))).expect("there is room");
    }
    let why = book.now(order(wishes.next().expect("endless"))).expect_err("it was said often enough");
    assert!(why.contains("stop it"), "{why}");
    book.now(order(Order::Stop)).expect("always");
    assert_eq!(book.batch(ID).map(|batch| batch.orders.len()), Some(ORDERS_MAX + 1));
}

#[test]
fn what_is_over_is_forgotten_when_its_topic_forgets_it() {
    let mut book = running();
    let tick = |book: &mut Book, at| assert!(book.at(at, part(9, 0, 1)).is_err(), "it is of none");
    tick(&mut book, NOW + REMEMBERED_MS - 1);
    assert_eq!(book.batch(ID).map(|batch| batch.state), Some(State::Expired));
    tick(&mut book, NOW + REMEMBERED_MS);
    assert!(book.batch(ID).is_some());
    tick(&mut book, NOW + REMEMBERED_MS + 1);
    assert!(book.batch(ID).is_none() && book.all().count() == 0);
}
