//! Drivers against a simulated broker and partitions that decide as a coordinator does: whoever crashes, and wherever, each act is done once
//! and counted as what it was.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use ringmaster_bus::Specification;
use ringmaster_bus::sim::{Faults, SimBroker, SimBus};
use ringmaster_core::intake::ControlRecord;
use ringmaster_schemas::journal::{
    ActKind, Cause, Change, Claim, DecisionWriter, JournalRecord, Rejected, RejectionReason, SagaChange, SagaEvent, Stamp,
};
use ringmaster_schemas::names::partition_of;

use super::super::PREVIEW_MS;
use super::super::book::State;
use super::super::record::{Made, Order, Ordered, Part, Selected, What, parts_of};
use super::*;
use crate::api::Act;

const PARTITIONS: i32 = 3;
const ID: &str = "b-0123456789ab";
/// How many sagas a batch has here, and how many more there are beside it.
const SAGAS: usize = 60;
const OTHERS: usize = 10;

/// What partitions know: each saga's last turn, and how often it was acted on.
#[derive(Debug, Default)]
struct Decided {
    turns: HashMap<String, i64>,
    acts: HashMap<String, usize>,
    /// Records of the control topic that were read, by partition.
    read: BTreeMap<i32, usize>,
    /// By partition: the claim of its owner, by its offset, and the number of the next record.
    terms: BTreeMap<i32, (i64, i64)>,
}

/// A broker, and partitions that decide what comes to them while they are told to.
struct Stage {
    broker: SimBroker,
    topics: Topics,
    control: TopicId,
    decided: Mutex<Decided>,
    /// Somebody owns the partitions.
    owned: AtomicBool,
    ended: AtomicBool,
}

fn saga(number: usize) -> String {
    format!("order/o-{number}")
}

fn home(saga: &str) -> i32 {
    partition_of(saga.split_once('/').expect("an id").1.as_bytes(), PARTITIONS)
}

fn all() -> BTreeSet<i32> {
    (0..PARTITIONS).collect()
}

/// Some seconds after it began.
fn now(seconds: i64) -> Now {
    Now { wall: 1_800_000_000_000 + seconds * 1_000, steady: seconds * 1_000 }
}

impl Stage {
    fn new() -> Stage {
        let (broker, topics) = (SimBroker::new(1, 0, Faults::none()), Topics::new("ringmaster"));
        for (name, partitions) in [(&topics.control, PARTITIONS), (&topics.journal, PARTITIONS), (&topics.batches, 1)] {
            let what = Specification { name: name.clone(), partitions, replication: 1, settings: vec![] };
            broker.client().create(&what).expect("made");
        }
        let control = control::topic_id(&mut broker.client(), &topics).expect("it is there");
        let stage = Stage { broker, topics, control, decided: Mutex::default(), owned: true.into(), ended: false.into() };
        // Who owns the partitions, and what sagas did before.
        (0..PARTITIONS).for_each(|partition| stage.claim(partition));
        for number in 0..SAGAS + OTHERS {
            stage.moves(&saga(number));
        }
        stage
    }

    /// Somebody claims a partition.
    fn claim(&self, partition: i32) {
        let claim = Claim { id: [1; 16], owner: "blue".into(), address: "".into(), partitions: PARTITIONS, now: 0 };
        let offset = self.broker.put(&self.topics.journal, partition, None, &JournalRecord::Claim(claim).encode());
        self.decided().terms.insert(partition, (offset, 0));
    }

    fn decided(&self) -> MutexGuard<'_, Decided> {
        self.decided.lock().expect("no panic")
    }

    /// A record of a partition's journal that counts.
    fn journal(&self, decided: &mut Decided, partition: i32, act: &[u8], change: Change) -> i64 {
        let term = decided.terms.get_mut(&partition).expect("it is claimed");
        term.1 += 1;
        self.record(partition, (term.0, term.1 - 1), act, change)
    }

    fn record(&self, partition: i32, place: (i64, i64), act: &[u8], change: Change) -> i64 {
        self.record_of(self.control, partition, place, act, change)
    }

    /// The same, of an input of this topic.
    fn record_of(&self, topic: TopicId, partition: i32, (claim_offset, number): (i64, i64), act: &[u8], change: Change) -> i64 {
        let stamp = Stamp { claim_offset, claim: [1; 16], number, released: 0, now: 0 };
        let mut record = DecisionWriter::new(&stamp, &[topic], 0);
        record.push(&Cause::Input { topic: 0, next: 1 }, Some((0, act)), &[change]);
        self.broker.put(&self.topics.journal, partition, None, &record.finish())
    }

    /// The saga moves by itself.
    fn moves(&self, saga: &str) {
        let decided = &mut *self.decided();
        let offset = self.journal(decided, home(saga), b"{}", taken(saga));
        decided.turns.insert(saga.to_owned(), offset);
    }

    /// Decides what came, as partitions do, until it is ended.
    fn decide(&self) {
        while !self.ended.load(Ordering::SeqCst) {
            if self.owned.load(Ordering::SeqCst) {
                (0..PARTITIONS).for_each(|partition| self.decide_some(partition));
            }
            std::thread::yield_now();
        }
    }

    fn decide_some(&self, partition: i32) {
        let decided = &mut *self.decided();
        let skipped = decided.read.get(&partition).copied().unwrap_or(0);
        let new = self.broker.log_from(&self.topics.control, partition, skipped);
        decided.read.insert(partition, skipped + new.len());
        for record in new {
            let act = ControlRecord::read(&record.value).expect("it is an act");
            assert_eq!(home(&act.saga), partition, "it goes where its saga lives");
            assert_eq!((&*act.by, &*act.why), ("bob", "the shop closes"));
            if act.if_turn != decided.turns.get(&*act.saga).copied() {
                let detail = "the saga has moved".into();
                let rejected = Rejected { saga: (&*act.saga).into(), reason: RejectionReason::MovedOn, detail };
                self.journal(decided, partition, &record.value, Change::Rejected(rejected));
                continue;
            }
            let offset = self.journal(decided, partition, &record.value, taken(&act.saga));
            decided.turns.insert(act.saga.to_string(), offset);
            *decided.acts.entry(act.saga.to_string()).or_default() += 1;
        }
    }

    fn driver(&self) -> (Driver<SimBus>, Arc<Batches>) {
        let (broker, topics) = (self.broker.clone(), self.topics.clone());
        let append = move |records: &[Written]| {
            records.iter().for_each(|record| {
                broker.put(&topics.batches, 0, None, &record.bytes());
            });
            Ok(())
        };
        let batches = Arc::new(Batches::new(append));
        let driver = Driver::new(self.topics.clone(), PARTITIONS, batches.clone(), clients(&self.broker));
        (driver, batches)
    }

    /// Writes a batch of the first sagas as they are, and starts it.
    fn begin(&self, rate: u32) {
        let mut by_partition: BTreeMap<i32, Vec<Selected>> = BTreeMap::new();
        let decided = self.decided();
        for id in (0..SAGAS).map(saga) {
            by_partition.entry(home(&id)).or_default().push((id.clone(), decided.turns[&id]));
        }
        let made = Made {
            batch: ID.to_owned(),
            what: What { act: Act::Cancel, step: None, undo: false, outcome: None, code: None, value: None },
            filter: "status:parked".to_owned(),
            why: "the shop closes".to_owned(),
            by: "ann".to_owned(),
            expires_at: now(0).wall + PREVIEW_MS,
            shares: by_partition.iter().map(|(partition, sagas)| (*partition, sagas.len())).collect(),
            by_definition: BTreeMap::new(),
            by_status: BTreeMap::new(),
            by_step: BTreeMap::new(),
            sample: Vec::new(),
            missing: Vec::new(),
            left_out: 0,
        };
        let parts = by_partition.into_iter().flat_map(|(partition, sagas)| parts_of(ID, partition, sagas));
        self.say(Record::Made(Box::new(made)));
        parts.for_each(|part: Part| self.say(Record::Part(part)));
        self.order(Order::Start { expected: SAGAS, rate });
    }

    fn order(&self, order: Order) {
        self.say(Record::Ordered(Ordered { batch: ID.to_owned(), by: "bob".to_owned(), order }));
    }

    fn say(&self, says: Record) {
        self.broker.put(&self.topics.batches, 0, None, &Written::new(now(0).wall, says).bytes());
    }

    /// How often each saga was acted on: those of the batch, and the others.
    fn acted(&self) -> (Vec<usize>, usize) {
        let decided = self.decided();
        let of = |number| decided.acts.get(&saga(number)).copied().unwrap_or(0);
        ((0..SAGAS).map(of).collect(), (SAGAS..SAGAS + OTHERS).map(of).sum())
    }
}

fn clients(broker: &SimBroker) -> Clients<SimBus> {
    let (reader, hand) = (broker.clone(), broker.clone());
    Clients { reader: Box::new(move || Ok(reader.client())), hand: Box::new(move || Ok(hand.client())) }
}

fn taken(saga: &str) -> Change {
    let event = SagaEvent::Acted { act: ActKind::Cancel, by: "bob".into(), why: "w".into() };
    Change::Saga(SagaChange { saga: saga.into(), events: vec![event] })
}

/// Plays a story while partitions decide.
fn play(story: impl FnOnce(&Stage)) {
    let stage = Stage::new();
    std::thread::scope(|scope| {
        let deciding = scope.spawn(|| stage.decide());
        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| story(&stage)));
        stage.ended.store(true, Ordering::SeqCst);
        deciding.join().expect("partitions decide");
        if let Err(panic) = told {
            std::panic::resume_unwind(panic);
        }
    });
}

/// How it stands, how many were done and how many were not for which reason.
fn stands(batches: &Batches) -> (State, usize, BTreeMap<String, usize>) {
    let look = |book: &Book| book.batch(ID).map(|batch| (batch.state, batch.counts()));
    let (state, counts) = batches.look(look).expect("it is read").expect("it is known");
    (state, counts.done, counts.rejected)
}

/// Drives until the batch is done; turns are a second apart.
fn to_the_end(driver: &mut Driver<SimBus>, batches: &Batches, from: i64) -> i64 {
    for second in from..from + 1_000 {
        driver.turn(&all(), now(second));
        if batches.look(|book| book.batch(ID).is_some_and(|batch| batch.state == State::Done)) == Ok(true) {
            return second;
        }
    }
    panic!("it does not end: {:?}", batches.look(|book| format!("{:?}", book.batch(ID).map(|batch| batch.counts()))));
}

/// The first part of a turn: what is announced. None was sent yet.
fn announced(driver: &mut Driver<SimBus>, batches: &Batches, second: i64) -> Vec<Window> {
    driver.turn(&BTreeSet::new(), now(second - 1));
    let ready = |book: &Book| book.all().flat_map(|batch| Ready::of(batch, &all())).collect::<Vec<_>>();
    let ready = || batches.look(ready).expect("it is read");
    let mut hand = (driver.clients.hand)().expect("a client");
    driver.announce(&mut hand, ready(), now(second - 1)).expect("nothing is saved up yet");
    driver.announce(&mut hand, ready(), now(second)).expect("it is announced")
}

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
