//! The broker in virtual time: what is on the wire, what is kept, what clients are still to be told.

mod wire;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ringmaster_schemas::Millis;

use super::client::SimBus;
use super::faults::{Fate, Faults};
use super::log::{SimRecord, Topics};
use crate::{SendError, Sender, Specification, TopicPartition};

/// How often each fault was really done.
pub type Hits = BTreeMap<&'static str, u64>;

/// One simulated broker; clones are the same.
#[derive(Debug, Clone)]
pub struct SimBroker {
    inner: Arc<Mutex<Broker>>,
}

#[derive(Debug)]
pub(super) struct Broker {
    pub(super) now: Millis,
    pub(super) rng: fastrand::Rng,
    pub(super) faults: Faults,
    pub(super) topics: Topics,
    /// What happens later, in the order of time and then of its making.
    events: BTreeMap<(Millis, u64), Event>,
    moment: u64,
    /// By client number; none when it is gone.
    pub(super) clients: Vec<Option<Client>>,
    /// Committed positions, by group, topic and partition.
    pub(super) committed: BTreeMap<(String, String, i32), i64>,
    commits_land_at: Millis,
    hits: Hits,
}

/// What the broker's side knows of a client.
#[derive(Debug, Default)]
pub(super) struct Client {
    pub(super) frozen: bool,
    /// What happened while it was frozen, or between polls.
    pub(super) told: VecDeque<Told>,
    pub(super) senders: BTreeMap<u32, Lanes>,
    /// Records of its own that wait for it to be thawed.
    held: Vec<Request>,
}

/// Per partition: when the last record arrives, and when its acknowledgement does, so that order is kept.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: BTreeMap<TopicPartition, (Millis, Millis)>,
    /// Tags that were not answered yet, in the order they were sent.
    open: Vec<u64>,
    broken: bool,
    /// After a doubt: some answers never come.
    mute: bool,
    /// It sends no more; some answers to what it sent still come.
    closed: bool,
}

/// What a client is told at its next poll.
#[derive(Debug)]
pub(super) enum Told {
    Acknowledged(Sender, u64, Option<i64>),
    Failed(Sender, u64, SendError),
    Doubt(Sender, String),
    Assigned(Vec<TopicPartition>),
}

#[derive(Debug, Clone)]
struct Request {
    client: u32,
    sender: Sender,
    tag: u64,
    to: TopicPartition,
    /// Leaves its client then.
    leaves_at: Millis,
    record: SimRecord,
    fate: Fate,
}

#[derive(Debug)]
enum Event {
    /// A record arrives at the broker.
    Arrive(Request),
    /// A record is kept for nobody to be told.
    Keep(TopicPartition, SimRecord),
    Tell(u32, Told),
    Commit(String, String, i32, i64),
}

impl SimBroker {
    /// An empty broker at time `now`.
    pub fn new(seed: u64, now: Millis, faults: Faults) -> Self {
        let broker = Broker {
            now,
            rng: fastrand::Rng::with_seed(seed),
            faults,
            topics: Topics::default(),
            events: BTreeMap::new(),
            moment: 0,
            clients: Vec::new(),
            committed: BTreeMap::new(),
            commits_land_at: 0,
            hits: Hits::new(),
        };
        SimBroker { inner: Arc::new(Mutex::new(broker)) }
    }

    /// A new client.
    pub fn client(&self) -> SimBus {
        let mut broker = self.lock();
        broker.clients.push(Some(Client::default()));
        SimBus::new(self.clone(), (broker.clients.len() - 1) as u32)
    }

    /// The virtual time.
    pub fn now(&self) -> Millis {
        self.lock().now
    }

    /// Moves the time; everything that is due by then happens.
    pub fn advance(&self, to: Millis) {
        self.lock().advance(to);
    }

    /// From now on these faults.
    pub fn set_faults(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    /// Stops a client as SIGSTOP would, or lets it go on: what has not left it waits.
    pub fn freeze(&self, client: u32, frozen: bool) {
        self.lock().freeze(client, frozen);
    }

    /// Puts a record into a topic from outside, without faults; its offset.
    pub fn put(&self, topic: &str, partition: i32, key: Option<&[u8]>, value: &[u8]) -> i64 {
        let mut broker = self.lock();
        let at = TopicPartition { topic: broker.topics.names.handle(topic), partition };
        let sent = broker.next_moment();
        let record = SimRecord {
            offset: 0,
            timestamp: 0,
            key: key.map(<[u8]>::to_vec),
            value: value.to_vec(),
            headers: Vec::new(),
            client: None,
            sent,
            appended: 0,
        };
        broker.keep(at, record).expect("the topic exists")
    }

    /// All that a partition holds now, from its start, and what clients deleted before that.
    pub fn log(&self, topic: &str, partition: i32) -> Vec<Arc<SimRecord>> {
        self.log_from(topic, partition, 0)
    }

    /// The same, without so many of the first.
    pub fn log_from(&self, topic: &str, partition: i32, skipped: usize) -> Vec<Arc<SimRecord>> {
        let broker = self.lock();
        broker.topics.find(topic).map_or_else(Vec::new, |found| {
            let log = &found.partitions[partition as usize];
            let behind = skipped.saturating_sub(log.deleted.len());
            let deleted = log.deleted.iter().skip(skipped);
            deleted.chain(log.records.iter().skip(behind)).cloned().collect()
        })
    }

    /// How many records of a topic clients deleted.
    pub fn deleted_count(&self, topic: &str) -> usize {
        self.lock().topics.find(topic).map_or(0, |found| found.partitions.iter().map(|log| log.deleted.len()).sum())
    }

    /// How many partitions a topic has; 0 if there is no such topic.
    pub fn partitions(&self, topic: &str) -> i32 {
        self.lock().topics.find(topic).map_or(0, |found| found.partitions.len() as i32)
    }

    /// The newest records of a partition vanish, as on a broker whose machine lost power; returns them.
    pub fn lose_tail(&self, topic: &str, partition: i32, count: usize) -> Vec<Arc<SimRecord>> {
        let mut broker = self.lock();
        let log = &mut broker.topics.find_mut(topic).expect("the topic exists").partitions[partition as usize];
        let lost = log.records.split_off(log.records.len().saturating_sub(count));
        let end = log.end();
        log.cuts.push(end);
        *broker.hits.entry("tail_lost").or_default() += lost.len() as u64;
        lost
    }

    /// The leader of a partition goes, and another one leads it after so long; how many records were on their way to it. What it had handed
    /// to its followers is kept, and whoever sends that again is told so without an offset; all else arrives at the new one.
    pub fn change_leader(&self, topic: &str, partition: i32, after_ms: Millis) -> usize {
        let mut broker = self.lock();
        let at = TopicPartition { topic: broker.topics.names.handle(topic), partition };
        broker.change_leader(at, after_ms)
    }

    /// How many records are on their way to a partition.
    pub fn on_the_way_to(&self, topic: &str, partition: i32) -> usize {
        let mut broker = self.lock();
        let at = TopicPartition { topic: broker.topics.names.handle(topic), partition };
        broker.requests_to(at).count()
    }

    /// The log forgets everything below an offset, as retention would.
    pub fn forget(&self, topic: &str, partition: i32, below: i64) {
        let mut broker = self.lock();
        let log = &mut broker.topics.find_mut(topic).expect("the topic exists").partitions[partition as usize];
        let count = usize::try_from(below - log.start).unwrap_or(0).min(log.records.len());
        log.records.drain(..count);
        log.start += count as i64;
    }

    /// Deletes a topic with everything in it.
    pub fn delete(&self, topic: &str) {
        let mut broker = self.lock();
        broker.topics.delete(topic);
        broker.committed.retain(|(_, name, _), _| name != topic);
    }

    /// Changes one setting of a topic.
    pub fn set(&self, topic: &str, key: &str, value: &str) {
        let mut broker = self.lock();
        let settings = &mut broker.topics.find_mut(topic).expect("the topic exists").settings;
        settings.retain(|(known, _)| known != key);
        settings.push((key.to_owned(), value.to_owned()));
    }

    /// A topic refuses what is sent to it (not authorised), or takes it again.
    pub fn refuse(&self, topic: &str, refusing: bool) {
        self.lock().topics.find_mut(topic).expect("the topic exists").refusing = refusing;
    }

    /// Where a group would go on.
    pub fn committed(&self, group: &str, topic: &str, partition: i32) -> Option<i64> {
        self.lock().committed.get(&(group.to_owned(), topic.to_owned(), partition)).copied()
    }

    /// How often each fault was really done.
    pub fn hits(&self) -> Hits {
        self.lock().hits.clone()
    }

    /// Records that have not arrived, and answers that were not given.
    pub fn on_the_wire(&self) -> usize {
        self.lock().events.len()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Broker> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Broker {
    pub(super) fn make(&mut self, what: &Specification) -> bool {
        let mut id = [0; 16];
        self.rng.fill(&mut id);
        self.topics.make(what, id)
    }

    pub(super) fn hit(&mut self, fault: &'static str) {
        *self.hits.entry(fault).or_default() += 1;
    }

    fn next_moment(&mut self) -> u64 {
        self.moment += 1;
        self.moment
    }

    /// A random time of 0 to `max`.
    pub(super) fn within(&mut self, max: Millis) -> Millis {
        self.rng.i64(0..=max.max(0))
    }

    /// When an answer to a question of now comes.
    pub(super) fn answer_at(&mut self) -> Millis {
        self.now + self.within(self.faults.answer_max_ms)
    }

    /// When what is in the log now gets to a reader.
    pub(super) fn fetched_at(&mut self) -> Millis {
        self.now + self.within(self.faults.fetch_max_ms)
    }

    fn chance(&mut self, rate: f64) -> bool {
        rate > 0.0 && self.rng.f64() < rate
    }

    fn schedule(&mut self, at: Millis, event: Event) {
        let moment = self.next_moment();
        self.events.insert((at.max(self.now), moment), event);
    }

    fn advance(&mut self, to: Millis) {
        while let Some((&(at, moment), _)) = self.events.first_key_value()
            && at <= to
        {
            self.now = self.now.max(at);
            let event = self.events.remove(&(at, moment)).expect("it was looked at");
            self.happen(event);
        }
        self.now = self.now.max(to);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive(request) => self.arrive(request),
            Event::Keep(to, record) => {
                let _offset = self.keep(to, record);
            }
            Event::Tell(client, told) => self.tell(client, told),
            Event::Commit(group, topic, partition, next) => {
                self.committed.insert((group, topic, partition), next);
            }
        }
    }

    fn tell(&mut self, client: u32, told: Told) {
        let Some(found) = self.clients[client as usize].as_mut() else {
            return;
        };
        match &told {
            Told::Acknowledged(sender, tag, _) | Told::Failed(sender, tag, _) => {
                let Some(lanes) = found.senders.get_mut(&sender.0) else {
                    return;
                };
                let Some(place) = lanes.open.iter().position(|open| open == tag) else {
                    return;
                };
                lanes.open.remove(place);
            }
            Told::Doubt(..) | Told::Assigned(_) => {}
        }
        found.told.push_back(told);
    }

    fn keep(&mut self, to: TopicPartition, mut record: SimRecord) -> Option<i64> {
        let (now, moment) = (self.now, self.next_moment());
        let log = self.topics.partition_mut(to)?;
        (record.offset, record.timestamp, record.appended) = (log.end(), now, moment);
        let offset = record.offset;
        log.records.push(Arc::new(record));
        Some(offset)
    }
}
