//! A broker and partitions that decide as a coordinator does, against which drivers are tried.

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

use super::super::super::PREVIEW_MS;
use super::super::super::book::State;
use super::super::super::record::{Made, Order, Ordered, Part, Selected, What, parts_of};
use super::super::*;
use crate::api::Act;

pub(super) const PARTITIONS: i32 = 3;
pub(super) const ID: &str = "b-0123456789ab";
/// How many sagas a batch has here, and how many more there are beside it.
pub(super) const SAGAS: usize = 60;
pub(super) const OTHERS: usize = 10;

/// What partitions know: each saga's last turn, and how often it was acted on.
#[derive(Debug, Default)]
pub(super) struct Decided {
    pub(super) turns: HashMap<String, i64>,
    pub(super) acts: HashMap<String, usize>,
    /// Records of the control topic that were read, by partition.
    pub(super) read: BTreeMap<i32, usize>,
    /// By partition: the claim of its owner, by its offset, and the number of the next record.
    pub(super) terms: BTreeMap<i32, (i64, i64)>,
}

/// A broker, and partitions that decide what comes to them while they are told to.
pub(super) struct Stage {
    pub(super) broker: SimBroker,
    pub(super) topics: Topics,
    pub(super) control: TopicId,
    pub(super) decided: Mutex<Decided>,
    /// Somebody owns the partitions.
    pub(super) owned: AtomicBool,
    pub(super) ended: AtomicBool,
}

pub(super) fn saga(number: usize) -> String {
    format!("order/o-{number}")
}

pub(super) fn home(saga: &str) -> i32 {
    partition_of(saga.split_once('/').expect("an id").1.as_bytes(), PARTITIONS)
}

pub(super) fn all() -> BTreeSet<i32> {
    (0..PARTITIONS).collect()
}

/// Some seconds after it began.
pub(super) fn now(seconds: i64) -> Now {
    Now { wall: 1_800_000_000_000 + seconds * 1_000, steady: seconds * 1_000 }
}

impl Stage {
    pub(super) fn new() -> Stage {
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
    pub(super) fn claim(&self, partition: i32) {
        let claim = Claim { id: [1; 16], owner: "blue".into(), address: "".into(), partitions: PARTITIONS, now: 0 };
        let offset = self.broker.put(&self.topics.journal, partition, None, &JournalRecord::Claim(claim).encode());
        self.decided().terms.insert(partition, (offset, 0));
    }

    pub(super) fn decided(&self) -> MutexGuard<'_, Decided> {
        self.decided.lock().expect("no panic")
    }

    /// A record of a partition's journal that counts.
    pub(super) fn journal(&self, decided: &mut Decided, partition: i32, act: &[u8], change: Change) -> i64 {
        let term = decided.terms.get_mut(&partition).expect("it is claimed");
        term.1 += 1;
        self.record(partition, (term.0, term.1 - 1), act, change)
    }

    pub(super) fn record(&self, partition: i32, place: (i64, i64), act: &[u8], change: Change) -> i64 {
        self.record_of(self.control, partition, place, act, change)
    }

    /// The same, of an input of this topic.
    pub(super) fn record_of(
        &self,
        topic: TopicId,
        partition: i32,
        (claim_offset, number): (i64, i64),
        act: &[u8],
        change: Change,
    ) -> i64 {
        let stamp = Stamp { claim_offset, claim: [1; 16], number, released: 0, now: 0 };
        let mut record = DecisionWriter::new(&stamp, &[topic], 0);
        record.push(&Cause::Input { topic: 0, next: 1 }, Some((0, act)), &[change]);
        self.broker.put(&self.topics.journal, partition, None, &record.finish())
    }

    /// The saga moves by itself.
    pub(super) fn moves(&self, saga: &str) {
        let decided = &mut *self.decided();
        let offset = self.journal(decided, home(saga), b"{}", taken(saga));
        decided.turns.insert(saga.to_owned(), offset);
    }

    /// Decides what came, as partitions do, until it is ended.
    pub(super) fn decide(&self) {
        while !self.ended.load(Ordering::SeqCst) {
            if self.owned.load(Ordering::SeqCst) {
                (0..PARTITIONS).for_each(|partition| self.decide_some(partition));
            }
            std::thread::yield_now();
        }
    }

    pub(super) fn decide_some(&self, partition: i32) {
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

    pub(super) fn driver(&self) -> (Driver<SimBus>, Arc<Batches>) {
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
    pub(super) fn begin(&self, rate: u32) {
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

    pub(super) fn order(&self, order: Order) {
        self.say(Record::Ordered(Ordered { batch: ID.to_owned(), by: "bob".to_owned(), order }));
    }

    pub(super) fn say(&self, says: Record) {
        self.broker.put(&self.topics.batches, 0, None, &Written::new(now(0).wall, says).bytes());
    }

    /// How often each saga was acted on: those of the batch, and the others.
    pub(super) fn acted(&self) -> (Vec<usize>, usize) {
        let decided = self.decided();
        let of = |number| decided.acts.get(&saga(number)).copied().unwrap_or(0);
        ((0..SAGAS).map(of).collect(), (SAGAS..SAGAS + OTHERS).map(of).sum())
    }
}

pub(super) fn clients(broker: &SimBroker) -> Clients<SimBus> {
    let (reader, hand) = (broker.clone(), broker.clone());
    Clients { reader: Box::new(move || Ok(reader.client())), hand: Box::new(move || Ok(hand.client())) }
}

pub(super) fn taken(saga: &str) -> Change {
    let event = SagaEvent::Acted { act: ActKind::Cancel, by: "bob".into(), why: "w".into() };
    Change::Saga(SagaChange { saga: saga.into(), events: vec![event] })
}

/// Plays a story while partitions decide.
pub(super) fn play(story: impl FnOnce(&Stage)) {
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
pub(super) fn stands(batches: &Batches) -> (State, usize, BTreeMap<String, usize>) {
    let look = |book: &Book| book.batch(ID).map(|batch| (batch.state, batch.counts()));
    let (state, counts) = batches.look(look).expect("it is read").expect("it is known");
    (state, counts.done, counts.rejected)
}

/// Drives until the batch is done; turns are a second apart.
pub(super) fn to_the_end(driver: &mut Driver<SimBus>, batches: &Batches, from: i64) -> i64 {
    for second in from..from + 1_000 {
        driver.turn(&all(), now(second));
        if batches.look(|book| book.batch(ID).is_some_and(|batch| batch.state == State::Done)) == Ok(true) {
            return second;
        }
    }
    panic!("it does not end: {:?}", batches.look(|book| format!("{:?}", book.batch(ID).map(|batch| batch.counts()))));
}

/// The first part of a turn: what is announced. None was sent yet.
pub(super) fn announced(driver: &mut Driver<SimBus>, batches: &Batches, second: i64) -> Vec<Window> {
    driver.turn(&BTreeSet::new(), now(second - 1));
    let ready = |book: &Book| book.all().flat_map(|batch| Ready::of(batch, &all())).collect::<Vec<_>>();
    let ready = || batches.look(ready).expect("it is read");
    let mut hand = (driver.clients.hand)().expect("a client");
    driver.announce(&mut hand, ready(), now(second - 1)).expect("nothing is saved up yet");
    driver.announce(&mut hand, ready(), now(second)).expect("it is announced")
}
