//! A client of the simulated broker: the [`Bus`] of one simulated process. Dropping it is that process's end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::TopicId;

use super::broker::{Lanes, SimBroker, Told};
use super::log::{PartitionLog, SimRecord, Topics};
use crate::{
    Bus, BusError, BusEvent, Description, Message, Record, SendError, Sender, Specification, Topic, TopicNames, TopicPartition,
    Waker,
};

/// Why nothing is read of a topic that is not the one it must be.
const MADE_AGAIN: &str = "it was deleted and made again: this is another topic, and nothing of it is read";

/// Events visited by one poll.
const EVENTS_MAX: usize = 1_000;

/// A client; made by [`SimBroker::client`].
#[derive(Debug)]
pub struct SimBus {
    broker: SimBroker,
    number: u32,
    /// As the broker has them: handles are the same for all clients.
    names: TopicNames,
    senders_opened: u32,
    readers: Vec<Reader>,
    questions: Vec<Question>,
    /// The identities that topics must have.
    expected: BTreeMap<Topic, TopicId>,
}

#[derive(Debug)]
struct Reader {
    at: TopicPartition,
    position: i64,
    paused: bool,
    fetch: Option<Fetch>,
    /// The end that was last reported.
    reported: Option<i64>,
    out_of_range: bool,
    /// So many times its log had been cut off when it last fetched; none if it never did.
    cuts_seen: Option<usize>,
    unreadable: bool,
    /// Of a member: the topic that it reads. Another one of the name is read from its start.
    member_of: Option<TopicId>,
}

/// What a fetch found: everything below `end`, given at `at`.
#[derive(Debug, Clone, Copy)]
struct Fetch {
    end: i64,
    at: Millis,
}

#[derive(Debug)]
struct Question {
    of: Asked,
    answer_at: Millis,
}

#[derive(Debug)]
enum Asked {
    Bounds(TopicPartition),
    OffsetAt(TopicPartition, Millis),
    Topics(u64, Vec<Topic>),
}

/// What one poll found; visited without the broker's lock, since a visitor may end by a panic.
enum Found {
    Told(Told),
    Record(TopicPartition, Arc<SimRecord>),
    CaughtUp(TopicPartition, i64),
    OutOfRange(TopicPartition, i64),
    Unreadable(TopicPartition, String),
    Bounds(TopicPartition, i64, i64),
    OffsetAt(TopicPartition, i64),
    Described(u64, Vec<(Topic, Option<Description>)>),
}

/// The log of a partition, or why there is none.
fn look<'a>(topics: &'a Topics, expected: &BTreeMap<Topic, TopicId>, at: TopicPartition) -> Result<&'a PartitionLog, &'static str> {
    let topic = topics.topic(at).ok_or("there is no such topic")?;
    if expected.get(&at.topic).is_some_and(|id| *id != topic.id) {
        return Err(MADE_AGAIN);
    }
    topics.partition(at).ok_or("there is no such partition")
}

impl SimBus {
    pub(super) fn new(broker: SimBroker, number: u32) -> Self {
        SimBus {
            broker,
            number,
            names: TopicNames::default(),
            senders_opened: 0,
            readers: Vec::new(),
            questions: Vec::new(),
            expected: BTreeMap::new(),
        }
    }

    /// Its number at its broker.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Keeps the handles of this client those of the broker: every name that others named first is named here too.
    fn learn_names(&mut self, until: Topic) {
        let broker = self.broker.lock();
        for handle in 0..=until.0 {
            let name = broker.topics.names.name(Topic(handle));
            let here = self.names.handle(name);
            debug_assert_eq!(here, Topic(handle), "names come in the broker's order");
        }
    }

    fn find(&mut self) -> Vec<Found> {
        let mut found = Vec::new();
        let broker = self.broker.clone();
        let mut broker = broker.lock();
        broker.doubt(self.number);
        let client = broker.clients[self.number as usize].as_mut().expect("a client that polls exists");
        assert!(!client.frozen, "a frozen client is not polled");
        let mut told: Vec<Told> = client.told.drain(..).collect();
        // What is assigned comes before what is read of it.
        found.extend(told.extract_if(.., |told| matches!(told, Told::Assigned(_))).map(Found::Told));
        if broker.rng.bool() {
            found.extend(told.drain(..).map(Found::Told));
        }
        self.answer(&mut broker, &mut found);
        let first = if self.readers.is_empty() { 0 } else { broker.rng.usize(..self.readers.len()) };
        for step in 0..self.readers.len() {
            let reader = (first + step) % self.readers.len();
            self.readers[reader].fetch(&mut broker, &self.expected, &mut found);
        }
        found.extend(told.into_iter().map(Found::Told));
        found
    }

    fn answer(&mut self, broker: &mut super::broker::Broker, found: &mut Vec<Found>) {
        let now = broker.now;
        let expected = &self.expected;
        self.questions.retain(|question| {
            if question.answer_at > now {
                return true;
            }
            let at = match &question.of {
                Asked::Bounds(at) | Asked::OffsetAt(at, _) => *at,
                Asked::Topics(number, topics) => {
                    let name = |topic: Topic| broker.topics.names.name(topic);
                    let describe = |topic: Topic| broker.topics.find(name(topic)).map(super::log::TopicLog::describe);
                    found.push(Found::Described(*number, topics.iter().map(|&topic| (topic, describe(topic))).collect()));
                    return false;
                }
            };
            let log = match look(&broker.topics, expected, at) {
                Err(MADE_AGAIN) => {
                    found.push(Found::Unreadable(at, MADE_AGAIN.into()));
                    return false;
                }
                Ok(log) if log.led_from <= now => log,
                _ => return true,
            };
            found.push(match question.of {
                Asked::OffsetAt(_, time) => {
                    let first = log.records.iter().find(|record| record.timestamp >= time);
                    Found::OffsetAt(at, first.map_or(log.end(), |record| record.offset))
                }
                Asked::Bounds(_) | Asked::Topics(..) => Found::Bounds(at, log.start, log.end()),
            });
            false
        });
    }

    fn reader(&mut self, at: TopicPartition) -> Option<&mut Reader> {
        self.readers.iter_mut().find(|reader| reader.at == at)
    }
}

impl Reader {
    fn fetch(&mut self, broker: &mut super::broker::Broker, expected: &BTreeMap<Topic, TopicId>, found: &mut Vec<Found>) {
        if self.paused || self.out_of_range || found.len() >= EVENTS_MAX {
            return;
        }
        let log = match look(&broker.topics, expected, self.at) {
            Ok(log) => log,
            Err(why) => {
                if !std::mem::replace(&mut self.unreadable, true) {
                    found.push(Found::Unreadable(self.at, why.into()));
                }
                return;
            }
        };
        self.unreadable = false;
        let (end, led_from) = (log.end(), log.led_from);
        let id = broker.topics.topic(self.at).expect("it was looked at").id;
        if self.member_of.is_some_and(|known| known != id) {
            (self.member_of, self.position, self.fetch, self.reported) = (Some(id), log.start, None, None);
        }
        if !log.holds(self.position, &mut self.cuts_seen) {
            self.out_of_range = true;
            found.push(Found::OutOfRange(self.at, self.position));
            return;
        }
        let fetch = match self.fetch {
            Some(fetch) => fetch,
            None if self.position < end || self.reported != Some(end) => {
                let at = broker.fetched_at().max(led_from);
                *self.fetch.insert(Fetch { end, at })
            }
            None => return,
        };
        if fetch.at > broker.now {
            return;
        }
        let count = broker.rng.i64(1..=broker.faults.fetch_count_max.max(1) as i64);
        let to = fetch.end.min(self.position + count);
        let log = broker.topics.partition(self.at).expect("it was looked at");
        found.extend((self.position..to).filter_map(|offset| log.at(offset)).map(|record| Found::Record(self.at, record.clone())));
        self.position = to.max(self.position);
        if self.position >= fetch.end {
            found.push(Found::CaughtUp(self.at, self.position));
            (self.fetch, self.reported) = (None, Some(self.position));
        }
    }
}

impl Drop for SimBus {
    fn drop(&mut self) {
        self.broker.lock().gone(self.number);
    }
}

impl Bus for SimBus {
    fn topic(&mut self, name: &str) -> Topic {
        let topic = self.broker.lock().topics.names.handle(name);
        self.learn_names(topic);
        topic
    }

    fn name_of(&self, topic: Topic) -> &str {
        self.names.name(topic)
    }

    fn describe(&mut self, names: &[&str]) -> Result<Vec<Option<Description>>, BusError> {
        let broker = self.broker.lock();
        Ok(names.iter().map(|name| broker.topics.find(name).map(super::log::TopicLog::describe)).collect())
    }

    fn create(&mut self, what: &Specification) -> Result<bool, BusError> {
        let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if what.name.is_empty() || !what.name.chars().all(letters) || what.partitions < 1 {
            return Err(BusError::Refused(format!("'{}' with {} partitions is no topic", what.name, what.partitions)));
        }
        Ok(self.broker.lock().make(what))
    }

    fn delete_before(&mut self, at: TopicPartition, offset: i64) -> Result<(), BusError> {
        let mut broker = self.broker.lock();
        let log = broker.topics.partition_mut(at).ok_or_else(|| BusError::Refused("there is no such topic".to_owned()))?;
        log.delete_before(offset);
        Ok(())
    }

    fn open_sender(&mut self) -> Result<Sender, BusError> {
        let sender = Sender(self.senders_opened);
        self.senders_opened += 1;
        let mut broker = self.broker.lock();
        let client = broker.clients[self.number as usize].as_mut().expect("a client that opens a sender exists");
        client.senders.insert(sender.0, Lanes::default());
        Ok(sender)
    }

    fn close_sender(&mut self, sender: Sender) {
        self.broker.lock().close_sender(self.number, sender);
    }

    fn send(&mut self, sender: Sender, message: Message<'_>, tag: u64) -> Result<(), SendError> {
        let record = SimRecord {
            offset: -1,
            timestamp: 0,
            key: message.key.map(<[u8]>::to_vec),
            value: message.value.to_vec(),
            headers: message.headers.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
            client: None,
            sent: 0,
            appended: 0,
        };
        self.broker.lock().send(self.number, sender, tag, message.to, record)
    }

    fn read(&mut self, at: TopicPartition, from: i64) {
        self.learn_names(at.topic);
        let fresh = Reader {
            at,
            position: from,
            paused: false,
            fetch: None,
            reported: None,
            out_of_range: false,
            cuts_seen: None,
            unreadable: false,
            member_of: None,
        };
        match self.reader(at) {
            Some(reader) => *reader = Reader { paused: reader.paused, ..fresh },
            None => self.readers.push(fresh),
        }
    }

    fn stop(&mut self, at: TopicPartition) {
        self.readers.retain(|reader| reader.at != at);
    }

    fn pause(&mut self, which: &[TopicPartition], paused: bool) {
        for &at in which {
            if let Some(reader) = self.reader(at) {
                reader.paused = paused;
            }
        }
    }

    fn ask_bounds(&mut self, at: TopicPartition) {
        let mut broker = self.broker.lock();
        let answer_at = broker.answer_at();
        self.questions.push(Question { of: Asked::Bounds(at), answer_at });
    }

    fn ask_offset_at(&mut self, at: TopicPartition, time: Millis) {
        let mut broker = self.broker.lock();
        let answer_at = broker.answer_at();
        self.questions.push(Question { of: Asked::OffsetAt(at, time), answer_at });
    }

    fn expect(&mut self, topic: Topic, id: TopicId) {
        self.expected.insert(topic, id);
    }

    fn ask_topics(&mut self, topics: &[Topic], question: u64) {
        let mut broker = self.broker.lock();
        let answer_at = broker.answer_at();
        self.questions.push(Question { of: Asked::Topics(question, topics.to_vec()), answer_at });
    }

    fn join(&mut self, group: &str, topics: &[Topic]) -> Result<(), BusError> {
        let mut broker = self.broker.lock();
        let mut given = Vec::new();
        for &topic in topics {
            let name = broker.topics.names.name(topic).to_owned();
            let count = broker.topics.find(&name).map_or(0, |found| found.partitions.len() as i32);
            for partition in 0..count {
                let committed = broker.committed.get(&(group.to_owned(), name.clone(), partition)).copied();
                let at = TopicPartition { topic, partition };
                let start = broker.topics.partition(at).expect("it was counted").start;
                given.push((at, committed.unwrap_or(start)));
            }
        }
        let assigned = given.iter().map(|&(at, _)| at).collect();
        broker.clients[self.number as usize].as_mut().expect("a client that joins exists").told.push_back(Told::Assigned(assigned));
        drop(broker);
        for (at, from) in given {
            self.read(at, from);
            let id = self.broker.lock().topics.topic(at).map(|topic| topic.id);
            self.reader(at).expect("it is read").member_of = id;
        }
        Ok(())
    }

    fn commit(&mut self, group: &str, next: &[(TopicPartition, i64)]) {
        let mut broker = self.broker.lock();
        for &(at, offset) in next {
            broker.commit(group, at, offset);
        }
    }

    fn committed(&mut self, group: &str, of: &[TopicPartition]) -> Result<Vec<Option<i64>>, BusError> {
        let broker = self.broker.lock();
        let name = |at: &TopicPartition| broker.topics.names.name(at.topic).to_owned();
        Ok(of.iter().map(|at| broker.committed.get(&(group.to_owned(), name(at), at.partition)).copied()).collect())
    }

    fn turn_min(&self) -> Duration {
        Duration::ZERO
    }

    fn full_poll(&self) -> Option<usize> {
        self.broker.lock().faults.full_poll
    }

    /// What is sent is on its way at once.
    fn flush(&mut self) {}

    fn poll(&mut self, wait_max: Duration, visit: &mut dyn FnMut(BusEvent<'_>)) -> usize {
        let mut found = self.find();
        let wait_ms = Millis::try_from(wait_max.as_millis()).unwrap_or(Millis::MAX);
        for _ in 0..wait_ms {
            if !found.is_empty() {
                break;
            }
            let next = self.broker.now() + 1;
            self.broker.advance(next);
            found = self.find();
        }
        let mut count = 0;
        for one in &found {
            let event = match one {
                Found::Told(Told::Acknowledged(sender, tag, offset)) => {
                    BusEvent::Acknowledged { sender: *sender, tag: *tag, offset: *offset }
                }
                Found::Told(Told::Failed(sender, tag, why)) => BusEvent::Failed { sender: *sender, tag: *tag, why: why.clone() },
                Found::Told(Told::Doubt(sender, why)) => BusEvent::Doubt { sender: *sender, why: why.clone() },
                Found::Told(Told::Assigned(which)) => BusEvent::Assigned(which.clone()),
                Found::Record(at, record) => BusEvent::Record(Record {
                    at: *at,
                    offset: record.offset,
                    timestamp: record.timestamp,
                    key: record.key.as_deref(),
                    value: Some(&record.value),
                    headers: (!record.headers.is_empty()).then_some(&**record as &dyn crate::Headers),
                }),
                Found::CaughtUp(at, offset) => BusEvent::CaughtUp(*at, *offset),
                Found::OutOfRange(at, position) => BusEvent::OutOfRange { at: *at, position: *position },
                Found::Unreadable(at, why) => BusEvent::Unreadable(*at, why.clone()),
                Found::Bounds(at, start, end) => BusEvent::Bounds { at: *at, start: *start, end: *end },
                Found::OffsetAt(at, offset) => BusEvent::OffsetAt { at: *at, offset: *offset },
                Found::Described(question, topics) => BusEvent::Described { question: *question, topics: topics.clone() },
            };
            count += event.weight();
            visit(event);
        }
        count
    }

    fn waker(&self) -> Waker {
        Arc::new(|| {})
    }
}
