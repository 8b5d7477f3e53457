//! A producer with what it said, and what must hold of that however it went.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode as Code;

use super::super::batch::Compression;
use super::super::producer::Producer;
use super::super::security::Security;
use super::scripted::Scripted;
use crate::kafka::native::Delivery;
use crate::signal::Signal;
use crate::{Message, TopicNames, TopicPartition};

/// For what must happen, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(120);
/// One wait for sockets.
const WAIT: Duration = Duration::from_millis(20);
pub(super) const BATCH_BYTES: usize = 600;

/// Where a record went: topic, partition, tag.
pub(super) type Sent = (String, i32, u64);

/// A producer with what it said.
pub(super) struct Line {
    pub(super) producer: Producer,
    poll: mio::Poll,
    names: TopicNames,
    /// How far its clock is ahead of the machine's.
    ahead: Duration,
    pub(super) batch_bytes: usize,
    pub(super) sent: Vec<Sent>,
    pub(super) done: HashMap<u64, Option<i64>>,
    pub(super) failed: HashMap<u64, Code>,
    pub(super) doubts: Vec<String>,
    pub(super) fatal: Option<String>,
}

impl Line {
    pub(super) fn to(address: &str) -> Self {
        Line::secured(address, Security::default())
    }

    pub(super) fn secured(address: &str, security: Security) -> Self {
        let poll = mio::Poll::new().expect("a poll");
        let registry = poll.registry().try_clone().expect("a registry");
        let signal = Arc::new(Signal::default());
        let producer = Producer::new(address, security, Compression::None, registry, signal, Instant::now()).expect("addresses");
        Line {
            producer,
            poll,
            names: TopicNames::default(),
            ahead: Duration::ZERO,
            batch_bytes: BATCH_BYTES,
            sent: Vec::new(),
            done: HashMap::new(),
            failed: HashMap::new(),
            doubts: Vec::new(),
            fatal: None,
        }
    }

    fn now(&self) -> Instant {
        Instant::now() + self.ahead
    }

    /// So much time passes for the producer alone.
    pub(super) fn skip(&mut self, time: Duration) {
        self.ahead += time;
    }

    pub(super) fn send(&mut self, topic: &str, partition: i32, tag: u64) -> Result<(), Code> {
        let headers: &[(&str, &str)] = if tag.is_multiple_of(3) { &[("ce_id", "a/1"), ("x", "")] } else { &[] };
        self.send_with(topic, partition, tag, tag.to_string().as_bytes(), headers)
    }

    pub(super) fn send_with(
        &mut self,
        topic: &str,
        partition: i32,
        tag: u64,
        value: &[u8],
        headers: &[(&str, &str)],
    ) -> Result<(), Code> {
        let to = TopicPartition { topic: self.names.handle(topic), partition };
        let key = (!tag.is_multiple_of(5)).then_some(&b"a key"[..]);
        let now = self.now();
        self.producer.send(&Message { to, key, value, headers }, tag, self.batch_bytes, now)?;
        self.sent.push((topic.to_owned(), partition, tag));
        Ok(())
    }

    /// A poll of the bus: what was sent goes out, what came is taken. True if anything was said.
    pub(super) fn turn(&mut self) -> bool {
        self.turn_within(WAIT)
    }

    pub(super) fn turn_within(&mut self, wait_max: Duration) -> bool {
        let now = self.now();
        let Line { producer, poll, names, done, failed, doubts, fatal, .. } = self;
        producer.flush(names, now);
        let count = producer.visit(names, 4_096, now, &mut |delivery| match delivery {
            Delivery::Done { tag, offset } => assert!(done.insert(tag, offset).is_none(), "{tag} is confirmed twice"),
            Delivery::Failed { tag, code, .. } => assert!(failed.insert(tag, code).is_none(), "{tag} fails twice"),
            Delivery::Error { text, fatal: true, .. } => *fatal = Some(text),
            Delivery::Error { text, .. } => doubts.push(text),
        });
        let wait = producer.due(now).map_or(wait_max, |due| due.saturating_duration_since(now));
        let mut events = mio::Events::with_capacity(8);
        poll.poll(&mut events, Some(wait.min(wait_max))).expect("a poll");
        count > 0 || !events.is_empty()
    }

    pub(super) fn turns(&mut self, count: usize) {
        for _ in 0..count {
            self.turn();
        }
    }

    pub(super) fn until(&mut self, what: &str, holds: impl Fn(&Line) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            let (done, failed, doubts) = (self.done.len(), self.failed.len(), &self.doubts);
            assert!(begun.elapsed() < PATIENCE, "{what}: {done} confirmed, {failed} failed, doubts {doubts:?}, {:?}", self.fatal);
            self.turn();
        }
    }

    /// Each record that was sent has its outcome.
    pub(super) fn settle(&mut self) {
        self.until("outcomes", Line::is_settled);
    }

    pub(super) fn is_settled(&self) -> bool {
        self.done.len() + self.failed.len() == self.sent.len()
    }

    /// Sends so many records to three partitions of two topics, a few a turn, from this tag on.
    pub(super) fn drive(&mut self, tags: std::ops::Range<u64>) {
        for tag in tags {
            let (topic, partition) = (if tag % 7 < 4 { "commands" } else { "replies" }, (tag % 3) as i32);
            if let Err(code) = self.send(topic, partition, tag) {
                assert_eq!(code, Code::Fatal, "it is broken, and says so");
            }
            if tag % 10 == 9 {
                self.turn();
            }
        }
    }

    /// What must hold however it went.
    pub(super) fn check(&self, broker: &Scripted) {
        let state = broker.state();
        for (topic, partition, tag) in &self.sent {
            let one = u8::from(self.done.contains_key(tag)) + u8::from(self.failed.contains_key(tag));
            assert_eq!(one, 1, "{tag} has one outcome");
            if let Some(Some(offset)) = self.done.get(tag) {
                let values = &state.logs[&(topic.clone(), *partition)].values;
                assert_eq!(values[*offset as usize], tag.to_string().as_bytes(), "what is confirmed is there");
            }
        }
        for (at, log) in &state.logs {
            let tags: Vec<u64> =
                log.values.iter().map(|value| std::str::from_utf8(value).expect("text").parse().expect("a tag")).collect();
            assert!(tags.windows(2).all(|two| two[0] < two[1]), "{at:?}: each once, in order: {tags:?}");
            let there: HashSet<u64> = tags.into_iter().collect();
            for (topic, partition, tag) in &self.sent {
                if (topic, *partition) == (&at.0, at.1) && self.done.contains_key(tag) {
                    assert!(there.contains(tag), "{tag} is confirmed and not there");
                }
            }
        }
    }
}
