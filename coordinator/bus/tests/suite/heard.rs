//! What a bus said, and the small steps that cases are made of.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ringmaster_bus::{
    BYTES_AN_EVENT, Bus, BusEvent, Description, Message, SendError, Sender, Specification, Topic, TopicPartition,
};

/// How long something may take that must happen.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A record as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    pub at: TopicPartition,
    pub offset: i64,
    pub timestamp: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub has_headers: bool,
}

/// Everything that a bus said.
#[derive(Debug, Default)]
pub struct Heard {
    pub records: Vec<Read>,
    pub caught_up: Vec<(TopicPartition, i64)>,
    pub bounds: Vec<(TopicPartition, i64, i64)>,
    pub offsets_at: Vec<(TopicPartition, i64)>,
    pub out_of_range: Vec<(TopicPartition, i64)>,
    pub acknowledged: Vec<(Sender, u64, Option<i64>)>,
    pub failed: Vec<(Sender, u64, SendError)>,
    pub assigned: Vec<Vec<TopicPartition>>,
    pub unreadable: Vec<(TopicPartition, String)>,
    pub described: Vec<(u64, Vec<(Topic, Option<Description>)>)>,
    /// Doubts are expected.
    pub takes_doubts: bool,
    pub doubts: Vec<Sender>,
    /// For these names, what the records' headers say.
    pub headers: Vec<BTreeMap<&'static str, Option<Vec<u8>>>>,
}

pub const HEADER_NAMES: [&str; 4] = ["ce_id", "empty", "twice", "absent"];

impl Heard {
    pub fn note(&mut self, event: BusEvent<'_>) {
        match event {
            BusEvent::Record(record) => {
                let find = |headers: &dyn ringmaster_bus::Headers| {
                    HEADER_NAMES.iter().map(|name| (*name, headers.find(name).map(<[u8]>::to_vec))).collect()
                };
                self.headers.push(record.headers.map(find).unwrap_or_default());
                self.records.push(Read {
                    at: record.at,
                    offset: record.offset,
                    timestamp: record.timestamp,
                    key: record.key.map(<[u8]>::to_vec),
                    value: record.value.map(<[u8]>::to_vec),
                    has_headers: record.headers.is_some(),
                });
            }
            BusEvent::CaughtUp(at, offset) => self.caught_up.push((at, offset)),
            BusEvent::Bounds { at, start, end } => self.bounds.push((at, start, end)),
            BusEvent::OffsetAt { at, offset } => self.offsets_at.push((at, offset)),
            BusEvent::OutOfRange { at, position } => self.out_of_range.push((at, position)),
            BusEvent::Acknowledged { sender, tag, offset } => self.acknowledged.push((sender, tag, offset)),
            BusEvent::Failed { sender, tag, why } => self.failed.push((sender, tag, why)),
            BusEvent::Doubt { sender, .. } if self.takes_doubts => self.doubts.push(sender),
            BusEvent::Doubt { why, .. } => panic!("a doubt without a reason: {why}"),
            BusEvent::Assigned(which) => self.assigned.push(which),
            BusEvent::Revoked(_) => {}
            BusEvent::Unreadable(at, why) => self.unreadable.push((at, why)),
            BusEvent::Described { question, topics } => self.described.push((question, topics)),
        }
    }

    pub fn values(&self) -> Vec<String> {
        let text = |read: &Read| String::from_utf8_lossy(read.value.as_deref().expect("a value")).into_owned();
        self.records.iter().map(text).collect()
    }

    /// Polls until this holds.
    pub fn until(&mut self, bus: &mut dyn Bus, what: &str, holds: impl Fn(&Heard) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            self.poll(bus, Duration::from_millis(50));
            assert!(begun.elapsed() < PATIENCE, "{what} did not happen; heard {self:?}");
        }
    }

    /// Polls for so long.
    pub fn during(&mut self, bus: &mut dyn Bus, time: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < time {
            self.poll(bus, Duration::from_millis(10));
        }
    }

    /// Polls once; how many events it visited.
    pub fn poll(&mut self, bus: &mut dyn Bus, wait_max: Duration) -> usize {
        let mut visited = 0;
        let said = bus.poll(wait_max, &mut |event| {
            visited += 1;
            if let BusEvent::Record(record) = &event {
                visited += (record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len)) / BYTES_AN_EVENT;
            }
            self.note(event);
        });
        assert_eq!(said, visited, "a poll says how many events it visited, of which large ones count for several");
        said
    }
}

/// A topic of its own for a case, with so many partitions.
pub fn topic(bus: &mut dyn Bus, name: &str, partitions: i32, settings: &[(&str, &str)]) -> Vec<TopicPartition> {
    let name = format!("{name}-{}", fastrand::u32(..));
    let settings = settings.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
    let made = bus.create(&Specification { name: name.clone(), partitions, replication: 1, settings });
    assert_eq!(made, Ok(true), "{name} is new");
    let begun = Instant::now();
    while bus.describe(&[&name]).expect("an answer")[0].is_none() {
        assert!(begun.elapsed() < PATIENCE, "{name} is not seen");
    }
    let topic = bus.topic(&name);
    (0..partitions).map(|partition| TopicPartition { topic, partition }).collect()
}

pub fn send(bus: &mut dyn Bus, sender: Sender, to: TopicPartition, value: &str, tag: u64) {
    let message = Message { to, key: Some(b"key"), value: value.as_bytes(), headers: &[] };
    assert_eq!(bus.send(sender, message, tag), Ok(()));
}

/// Sends `from..to` as text and waits for the acknowledgements.
pub fn fill(bus: &mut dyn Bus, to: TopicPartition, values: std::ops::Range<u64>) {
    let sender = bus.open_sender().expect("a sender");
    let count = values.clone().count();
    for value in values {
        send(bus, sender, to, &value.to_string(), value);
    }
    let mut heard = Heard::default();
    heard.until(bus, "all acknowledged", |heard| heard.acknowledged.len() == count);
    bus.close_sender(sender);
}

pub fn numbers(range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}
/// As [`fill`], for a bus that also reads.
pub fn fill_while(bus: &mut dyn Bus, to: TopicPartition, values: std::ops::Range<u64>, heard: &mut Heard) {
    let sender = bus.open_sender().expect("a sender");
    let (count, before) = (values.clone().count(), heard.acknowledged.len());
    for value in values {
        send(bus, sender, to, &value.to_string(), value);
    }
    heard.until(bus, "all acknowledged", |heard| heard.acknowledged.len() == before + count);
    bus.close_sender(sender);
}

pub fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    since.as_millis() as i64
}
