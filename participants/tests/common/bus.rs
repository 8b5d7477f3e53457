//! A bus in memory whose every failure is scripted: what these tests do to a participant, a broker does seldom and not when asked.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use ringmaster_bus::{
    Bus, BusError, BusEvent, Description, Message, Record, SendError, Sender, Specification, Topic, TopicNames, TopicPartition,
    Waker,
};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::TopicId;

/// A key and a value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// What survives its clients: topics and committed offsets.
#[derive(Default)]
pub struct Log {
    pub partitions: HashMap<String, i32>,
    pub records: BTreeMap<(String, i32), Vec<Pair>>,
    pub committed: HashMap<(String, i32), i64>,
}

/// A client.
pub struct TestBus {
    pub log: Rc<RefCell<Log>>,
    names: TopicNames,
    sender_count: u32,
    events: VecDeque<Event>,
    positions: BTreeMap<(String, i32), i64>,
    paused: Vec<TopicPartition>,
    /// Records that one poll visits.
    pub poll_max: usize,
    /// What the next sends come to; then they succeed.
    pub send_errors: VecDeque<SendError>,
    /// What sends that were taken come to later; `None` for never heard of.
    pub fates: VecDeque<Option<SendError>>,
    /// Partitions that the group gives; all, if none.
    pub given: Option<usize>,
    pub closed: Vec<Sender>,
}

enum Event {
    Acknowledged(Sender, u64, i64),
    Failed(Sender, u64, SendError),
    Doubt(Sender),
    Assigned(Vec<TopicPartition>),
    Revoked(Vec<TopicPartition>),
}

impl TestBus {
    pub fn new(log: &Rc<RefCell<Log>>) -> Self {
        TestBus {
            log: Rc::clone(log),
            names: TopicNames::default(),
            sender_count: 0,
            events: VecDeque::new(),
            positions: BTreeMap::new(),
            paused: Vec::new(),
            poll_max: 100,
            send_errors: VecDeque::new(),
            fates: VecDeque::new(),
            given: None,
            closed: Vec::new(),
        }
    }

    pub fn doubt(&mut self) {
        self.events.push_back(Event::Doubt(Sender(self.sender_count)));
    }

    pub fn revoke(&mut self, count: usize) {
        let mut taken = Vec::new();
        for _ in 0..count {
            let ((topic, partition), _) = self.positions.pop_first().expect("something is read");
            taken.push(TopicPartition { topic: self.names.handle(&topic), partition });
        }
        self.events.push_back(Event::Revoked(taken));
    }

    pub fn assign_all(&mut self, topic: &str) {
        let count = self.given.unwrap_or(self.log.borrow().partitions[topic] as usize);
        let topic_handle = self.names.handle(topic);
        let mut given = Vec::new();
        for partition in 0..count as i32 {
            let name = (topic.to_owned(), partition);
            let from = self.log.borrow().committed.get(&name).copied().unwrap_or(0);
            self.positions.insert(name, from);
            given.push(TopicPartition { topic: topic_handle, partition });
        }
        self.events.push_back(Event::Assigned(given));
    }
}

impl Bus for TestBus {
    fn topic(&mut self, name: &str) -> Topic {
        self.names.handle(name)
    }

    fn name_of(&self, topic: Topic) -> &str {
        self.names.name(topic)
    }

    fn describe(&mut self, names: &[&str]) -> Result<Vec<Option<Description>>, BusError> {
        let log = self.log.borrow();
        let one = |name: &&str| {
            let partitions = *log.partitions.get(*name)?;
            Some(Description { name: (*name).to_owned(), id: [0; 16], partitions, copies: None, settings: Vec::new() })
        };
        Ok(names.iter().map(one).collect())
    }

    fn create(&mut self, what: &Specification) -> Result<bool, BusError> {
        Ok(self.log.borrow_mut().partitions.insert(what.name.clone(), what.partitions).is_none())
    }

    fn delete_before(&mut self, _: TopicPartition, _: i64) -> Result<(), BusError> {
        unreachable!()
    }
    fn open_sender(&mut self) -> Result<Sender, BusError> {
        self.sender_count += 1;
        Ok(Sender(self.sender_count))
    }

    fn close_sender(&mut self, sender: Sender) {
        self.closed.push(sender);
    }

    fn send(&mut self, sender: Sender, message: Message<'_>, tag: u64) -> Result<(), SendError> {
        assert!(!self.closed.contains(&sender), "a closed sender is used");
        if let Some(error) = self.send_errors.pop_front() {
            return Err(error);
        }
        let name = self.names.name(message.to.topic).to_owned();
        let fate = self.fates.pop_front().unwrap_or(Some(SendError::Full));
        let mut log = self.log.borrow_mut();
        let count = log.partitions.get(&name).copied().unwrap_or(0);
        if !(0..count).contains(&message.to.partition) {
            self.events.push_back(Event::Failed(sender, tag, SendError::Refused(format!("no partition {}", message.to.partition))));
            return Ok(());
        }
        let records = log.records.entry((name, message.to.partition)).or_default();
        let stored = (message.key.unwrap_or_default().to_vec(), message.value.to_vec());
        match fate {
            // The usual fate: it is in the log and acknowledged.
            Some(SendError::Full) => {
                records.push(stored);
                self.events.push_back(Event::Acknowledged(sender, tag, records.len() as i64 - 1));
            }
            Some(error @ SendError::Unknown(_)) => {
                records.push(stored);
                self.events.push_back(Event::Failed(sender, tag, error));
            }
            Some(error) => self.events.push_back(Event::Failed(sender, tag, error)),
            None => {}
        }
        Ok(())
    }

    fn turn_min(&self) -> Duration {
        Duration::ZERO
    }
    fn limit_records(&mut self, most: usize) {
        self.poll_max = self.poll_max.min(most);
    }
    fn flush(&mut self) {}

    fn read(&mut self, at: TopicPartition, from: i64) {
        self.positions.insert((self.names.name(at.topic).to_owned(), at.partition), from);
    }

    fn stop(&mut self, at: TopicPartition) {
        self.positions.remove(&(self.names.name(at.topic).to_owned(), at.partition));
    }

    fn pause(&mut self, which: &[TopicPartition], paused: bool) {
        self.paused.retain(|at| !which.contains(at));
        if paused {
            self.paused.extend(which);
        }
    }

    fn ask_bounds(&mut self, _: TopicPartition) {
        unreachable!("a participant asks no bounds");
    }

    fn ask_offset_at(&mut self, _: TopicPartition, _: Millis) {
        unreachable!("a participant asks for no time");
    }

    fn expect(&mut self, _: Topic, _: TopicId) {
        unreachable!("a participant takes whatever topic has the name");
    }

    fn ask_topics(&mut self, _: &[Topic], _: u64) {
        unreachable!("a participant asks for no topics");
    }

    fn join(&mut self, _: &str, topics: &[Topic]) -> Result<(), BusError> {
        let name = self.names.name(topics[0]).to_owned();
        self.assign_all(&name);
        Ok(())
    }

    fn commit(&mut self, _: &str, next: &[(TopicPartition, i64)]) {
        for &(at, offset) in next {
            let name = (self.names.name(at.topic).to_owned(), at.partition);
            let old = self.log.borrow_mut().committed.insert(name, offset);
            assert!(old.is_none_or(|old| old <= offset), "a commit went back: {old:?} to {offset}");
        }
    }

    fn committed(&mut self, _: &str, of: &[TopicPartition]) -> Result<Vec<Option<i64>>, BusError> {
        let log = self.log.borrow();
        let name = |at: &TopicPartition| (self.names.name(at.topic).to_owned(), at.partition);
        Ok(of.iter().map(|at| log.committed.get(&name(at)).copied()).collect())
    }

    fn poll(&mut self, _: Duration, visit: &mut dyn FnMut(BusEvent<'_>)) -> usize {
        let mut count = 0;
        while let Some(event) = self.events.pop_front() {
            count += 1;
            match event {
                Event::Acknowledged(sender, tag, offset) => visit(BusEvent::Acknowledged { sender, tag, offset: Some(offset) }),
                Event::Failed(sender, tag, why) => visit(BusEvent::Failed { sender, tag, why }),
                Event::Doubt(sender) => visit(BusEvent::Doubt { sender, why: "scripted".to_owned() }),
                Event::Assigned(given) => visit(BusEvent::Assigned(given)),
                Event::Revoked(taken) => visit(BusEvent::Revoked(taken)),
            }
        }
        let log = self.log.borrow();
        let mut left = self.poll_max;
        for ((name, partition), position) in &mut self.positions {
            let at = TopicPartition { topic: self.names.handle(name), partition: *partition };
            if self.paused.contains(&at) {
                continue;
            }
            let records = log.records.get(&(name.clone(), *partition)).map_or(&[][..], Vec::as_slice);
            for (key, value) in records.iter().skip(*position as usize).take(left) {
                visit(BusEvent::Record(Record {
                    at,
                    offset: *position,
                    timestamp: 0,
                    key: Some(key),
                    value: Some(value),
                    headers: None,
                }));
                *position += 1;
                count += 1;
                left -= 1;
            }
        }
        count
    }

    fn waker(&self) -> Waker {
        std::sync::Arc::new(|| {})
    }
}
