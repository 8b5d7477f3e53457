//! A fetcher with what it said, and what must hold of that however it went.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::fetcher::Fetcher;
use super::super::fetches::Fetching;
use super::super::security::Security;
use super::scripted::Scripted;
use crate::signal::Signal;
use crate::{BusEvent, TopicNames, TopicPartition};

/// For what must happen, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(120);
/// One wait for sockets.
const WAIT: Duration = Duration::from_millis(20);
/// Events visited at once: few, so that batches are visited in parts.
const EVENTS_MAX: usize = 7;

/// Topic and partition.
pub(super) type At = (String, i32);

/// A fetcher with what it said.
pub(super) struct Reads {
    pub(super) fetcher: Fetcher,
    poll: mio::Poll,
    pub(super) names: TopicNames,
    /// How far its clock is ahead of the machine's.
    ahead: Duration,
    pub(super) events_max: usize,
    /// Batches may have been moved: no checksum covers where they are in their log.
    pub(super) is_lied_to: bool,
    /// Offsets that were visited since a partition was read.
    pub(super) visited: HashMap<At, Vec<i64>>,
    pub(super) ends: HashMap<At, Vec<i64>>,
    /// The end that was said last, unless something else was said since.
    end_said: HashMap<At, i64>,
    pub(super) out_of_range: Vec<(At, i64)>,
    pub(super) unreadable: Vec<(At, String)>,
}

/// As it is set up by default, with shorter waits.
pub(super) const HOW: Fetching = Fetching { wait_ms: 30, bytes_min: 1, ahead_bytes_max: 16 << 20, partition_bytes_max: 1 << 20 };

impl Reads {
    pub(super) fn from(address: &str) -> Self {
        Reads::with(address, HOW)
    }

    pub(super) fn with(address: &str, how: Fetching) -> Self {
        Reads::secured(address, how, Security::default())
    }

    pub(super) fn secured(address: &str, how: Fetching, security: Security) -> Self {
        let poll = mio::Poll::new().expect("a poll");
        let registry = poll.registry().try_clone().expect("a registry");
        let fetcher =
            Fetcher::new(address, security, how, registry, Arc::new(Signal::default()), Instant::now()).expect("addresses");
        Reads {
            fetcher,
            poll,
            names: TopicNames::default(),
            ahead: Duration::ZERO,
            events_max: EVENTS_MAX,
            is_lied_to: false,
            visited: HashMap::new(),
            ends: HashMap::new(),
            end_said: HashMap::new(),
            out_of_range: Vec::new(),
            unreadable: Vec::new(),
        }
    }

    pub(super) fn at(&mut self, topic: &str, partition: i32) -> TopicPartition {
        TopicPartition { topic: self.names.handle(topic), partition }
    }

    pub(super) fn read(&mut self, topic: &str, partition: i32, from: i64) {
        let at = self.at(topic, partition);
        self.visited.remove(&(topic.to_owned(), partition));
        self.ends.remove(&(topic.to_owned(), partition));
        self.end_said.remove(&(topic.to_owned(), partition));
        self.fetcher.read(at, from);
    }

    pub(super) fn stop(&mut self, topic: &str, partition: i32) {
        let at = self.at(topic, partition);
        self.fetcher.stop(at);
    }

    pub(super) fn pause(&mut self, topic: &str, partition: i32, paused: bool) {
        let at = self.at(topic, partition);
        self.end_said.remove(&(topic.to_owned(), partition));
        self.fetcher.pause(&[at], paused);
    }

    fn now(&self) -> Instant {
        Instant::now() + self.ahead
    }

    /// So much time passes for the fetcher alone.
    pub(super) fn skip(&mut self, time: Duration) {
        self.ahead += time;
    }

    /// A poll of the bus; true if anything was said.
    pub(super) fn turn(&mut self) -> bool {
        self.turn_within(WAIT)
    }

    pub(super) fn turn_within(&mut self, wait_max: Duration) -> bool {
        let now = self.now();
        let Reads { fetcher, poll, names, visited, ends, end_said, out_of_range, unreadable, .. } = self;
        let of = |at: TopicPartition| (names.name(at.topic).to_owned(), at.partition);
        let (mut said, is_lied_to) = (0, self.is_lied_to);
        let count = fetcher.visit(names, self.events_max, now, &mut |event| {
            said += 1;
            match event {
                BusEvent::Record(record) => {
                    let value = String::from_utf8_lossy(record.value.expect("a value"));
                    assert!(is_lied_to || value == record.offset.to_string(), "{value} at {}", record.offset);
                    assert_eq!((record.key, record.timestamp), (Some(&b"a key"[..]), 1_000));
                    if let Some(headers) = record.headers {
                        assert_eq!((headers.find("ce_id"), headers.find("x")), (Some(&b"b"[..]), Some(&b""[..])));
                        assert_eq!(headers.find("y"), None);
                    }
                    let visited = visited.entry(of(record.at)).or_default();
                    assert!(
                        visited.last().is_none_or(|last| *last < record.offset),
                        "in order, once: {visited:?}, {}",
                        record.offset
                    );
                    visited.push(record.offset);
                }
                BusEvent::CaughtUp(at, end) => {
                    let last = visited.get(&of(at)).and_then(|visited| visited.last().copied());
                    assert!(last.is_none_or(|last| last < end), "{end} is said behind {last:?}");
                    assert_ne!(end_said.insert(of(at), end), Some(end), "it is said once");
                    ends.entry(of(at)).or_default().push(end);
                }
                BusEvent::OutOfRange { at, position } => out_of_range.push((of(at), position)),
                BusEvent::Unreadable(at, why) => {
                    end_said.remove(&of(at));
                    unreadable.push((of(at), why));
                }
                _ => panic!("something else is said"),
            }
        });
        assert_eq!(count, said);
        let wait = fetcher.due(now).map_or(wait_max, |due| due.saturating_duration_since(now));
        let mut events = mio::Events::with_capacity(8);
        poll.poll(&mut events, Some(wait.min(wait_max))).expect("a poll");
        count > 0 || !events.is_empty()
    }

    pub(super) fn turns(&mut self, count: usize) {
        for _ in 0..count {
            self.turn();
        }
    }

    pub(super) fn until(&mut self, what: &str, holds: impl Fn(&Reads) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            let Reads { visited, ends, out_of_range, unreadable, .. } = self;
            let patience = begun.elapsed() < PATIENCE;
            assert!(patience, "{what}: {visited:?}, ends {ends:?}, out of range {out_of_range:?}, {unreadable:?}");
            self.turn();
        }
    }

    /// As [`Self::until`], where something is tried again by its clock alone.
    pub(super) fn until_tried(&mut self, what: &str, holds: impl Fn(&Reads) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(begun.elapsed() < PATIENCE, "{what}: {:?}, {:?}", self.visited, self.unreadable);
            if !(0..3).any(|_| self.turn_within(Duration::from_millis(2))) {
                self.skip(Duration::from_millis(250));
            }
        }
    }

    /// True if a partition is read up to this end, and that was said.
    pub(super) fn is_at(&self, topic: &str, partition: i32, end: i64) -> bool {
        self.ends.get(&(topic.to_owned(), partition)).is_some_and(|ends| ends.contains(&end))
    }

    pub(super) fn offsets(&self, topic: &str, partition: i32) -> Vec<i64> {
        self.visited.get(&(topic.to_owned(), partition)).cloned().unwrap_or_default()
    }

    /// Everything of a partition from this offset on was visited, once and in order.
    pub(super) fn check(&self, broker: &Scripted, topic: &str, partition: i32, from: i64) {
        let next = broker.state().shelf(topic, partition).next();
        let visited = self.offsets(topic, partition);
        assert!(visited.iter().copied().eq(from..next), "{topic} {partition} from {from} to {next}: {visited:?}");
    }
}
