//! The producer: what waits, what was said, and the order in which things are done.
//!
//! ```text
//! lanes (one a partition) -> produce.rs: a request a broker -> link -> answers -> deliveries
//!                            leaders.rs: identity, leaders; ../cluster.rs: brokers
//! ```

mod leaders;
mod produce;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::Registry;
use rdkafka::error::RDKafkaErrorCode as Code;

use super::batch::Compression;
use super::cluster::Cluster;
use super::lane::Lane;
use super::link::{Link, Worked};
use super::requests::Api;
use super::security::Security;
use super::wire::Get;
use crate::kafka::native::Delivery;
use crate::signal::Signal;
use crate::{Message, TopicNames, TopicPartition};

/// A record that is not confirmed for so long is given back, and its owner decides.
pub(super) const DELIVERY_MAX: Duration = Duration::from_secs(30);
/// While something is not confirmed, times are looked at so often.
const TICK: Duration = Duration::from_millis(100);
/// Pauses between two questions whether a silent broker leads still.
const SILENT_PAUSE: Duration = Duration::from_secs(1);
/// Records collected and not sent, in all, and their bytes.
const COLLECTED_COUNT_MAX: usize = 500_000;
const COLLECTED_BYTES_MAX: usize = 64 << 20;
/// A larger record is sent to nobody: brokers end connections that send more than 100 MiB at once.
const RECORD_BYTES_MAX: usize = 64 << 20;
/// No topic has more partitions; bounds the tables whatever a partition's number claims.
const PARTITION_MAX: i32 = 100_000;
/// A longer answer is none: those to a producer have a few dozen bytes a partition.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// An idempotent producer. It takes the time as an argument, and waits for nothing.
pub(in crate::kafka) struct Producer {
    /// What is on its way to a broker are the partitions whose batches are in one request.
    cluster: Cluster<TopicPartition>,
    compression: Compression,
    /// By topic handle.
    topics: Vec<Lanes>,
    /// Partitions that have something to send or to be sent again, and those that wait for an answer.
    listed: Vec<TopicPartition>,
    identity: Option<(i64, i16)>,
    /// An identity is not asked for before.
    identity_at: Instant,
    collected: Collected,
    /// Since when no broker can be reached although there is something to send.
    is_cut_off: bool,
    /// It can send nothing any more.
    is_broken: bool,
    said: VecDeque<Delivery>,
    look_at: Instant,
}

/// Records that are not in a batch yet, and their bytes.
#[derive(Debug, Default)]
struct Collected {
    count: usize,
    bytes: usize,
}

impl Collected {
    fn take(&mut self, count: usize, bytes: usize) {
        self.count -= count;
        self.bytes -= bytes;
    }
}

/// A topic's partitions.
#[derive(Default)]
struct Lanes {
    lanes: Vec<Lane>,
    /// Since when the cluster does not know it.
    unknown_since: Option<Instant>,
}

impl Producer {
    /// Of the cluster that one of these brokers belongs to (`host:port` each). Begins to connect.
    pub(in crate::kafka) fn new(
        bootstrap: &str,
        security: Security,
        compression: Compression,
        registry: Registry,
        signal: Arc<Signal>,
        now: Instant,
    ) -> Result<Self, String> {
        let mut producer = Producer {
            cluster: Cluster::new(bootstrap, security, ANSWER_BYTES_MAX, registry, signal, now)?,
            compression,
            topics: Vec::new(),
            listed: Vec::new(),
            identity: None,
            identity_at: now,
            collected: Collected::default(),
            is_cut_off: false,
            is_broken: false,
            said: VecDeque::new(),
            look_at: now,
        };
        // An identity takes three round trips: they are made before there is something to send.
        producer.reach(now);
        Ok(producer)
    }

    /// Collects a copy of a record.
    pub(in crate::kafka) fn send(&mut self, message: &Message<'_>, tag: u64, batch_bytes: usize, now: Instant) -> Result<(), Code> {
        if self.is_broken {
            return Err(Code::Fatal);
        }
        // A participant is told by the command where to reply.
        if !(0..=PARTITION_MAX).contains(&message.to.partition) {
            return Err(Code::UnknownPartition);
        }
        if message.key.map_or(0, <[u8]>::len) + message.value.len() > RECORD_BYTES_MAX {
            return Err(Code::MessageSizeTooLarge);
        }
        if self.collected.count >= COLLECTED_COUNT_MAX || self.collected.bytes >= COLLECTED_BYTES_MAX {
            return Err(Code::QueueFull);
        }
        let lane = self.lane(message.to);
        let bytes = lane.push(message, tag, batch_bytes, now);
        let listed = std::mem::replace(&mut lane.is_listed, true);
        if !listed {
            self.listed.push(message.to);
        }
        self.collected.count += 1;
        self.collected.bytes += bytes;
        Ok(())
    }

    fn lane(&mut self, at: TopicPartition) -> &mut Lane {
        let (topic, partition) = (usize::from(at.topic.0), usize::try_from(at.partition).expect("checked when it was sent"));
        if self.topics.len() <= topic {
            self.topics.resize_with(topic + 1, Lanes::default);
        }
        let lanes = &mut self.topics[topic].lanes;
        if lanes.len() <= partition {
            lanes.resize_with(partition + 1, Lane::default);
        }
        &mut lanes[partition]
    }

    /// The lane of a partition that something was sent to.
    fn known(&self, at: TopicPartition) -> &Lane {
        &self.topics[usize::from(at.topic.0)].lanes[at.partition as usize]
    }

    /// Sends what is collected to every broker that has answered.
    pub(in crate::kafka) fn flush(&mut self, names: &TopicNames, now: Instant) {
        if self.listed.is_empty() || self.is_broken {
            return;
        }
        self.find_leaders(now);
        self.reach(now);
        self.dispatch(names, now);
    }

    /// Visits what happened, so many at most; returns how many.
    pub(in crate::kafka) fn visit(
        &mut self,
        names: &TopicNames,
        count_max: usize,
        now: Instant,
        visit: &mut dyn FnMut(Delivery),
    ) -> usize {
        if !self.is_broken {
            self.work(names, now);
        }
        let count = self.said.len().min(count_max);
        self.said.drain(..count).for_each(visit);
        count
    }

    /// When it is to be visited although no socket and no signal says so.
    pub(in crate::kafka) fn due(&self, now: Instant) -> Option<Instant> {
        if !self.said.is_empty() {
            return Some(now);
        }
        if self.is_broken || (self.listed.is_empty() && self.identity.is_some()) {
            return None;
        }
        let held = self.listed.iter().filter_map(|at| self.known(*at).held_until);
        let muted = self.cluster.links.iter().filter_map(|link| link.muted_until);
        // What was due before could not be done then; the tick tries it again.
        held.chain(muted).chain(self.cluster.ask_at).filter(|at| *at > now).chain([self.look_at]).min()
    }

    fn work(&mut self, names: &TopicNames, now: Instant) {
        let mut answered = false;
        self.cluster.forget_links();
        for place in 0..self.cluster.links.len() {
            match self.cluster.work(place, now) {
                Worked::Well => {}
                Worked::Opened => {
                    self.is_cut_off = false;
                    answered = true;
                }
                Worked::Lost(why) => self.lost(place, &why, now),
            }
            match self.answers(place, names, now) {
                Ok(any) => answered |= any,
                Err(error) => self.lose(place, &error, now),
            }
            if self.is_broken {
                return;
            }
        }
        if now >= self.look_at {
            self.look_at = now + TICK;
            self.look(now);
            answered = true;
        }
        if !self.is_broken && (answered || self.cluster.ask_at.is_some_and(|at| at <= now)) {
            self.find_leaders(now);
            self.reach(now);
            self.ask(names, now);
            self.dispatch(names, now);
        }
    }

    /// Takes the answers of one broker; true if there was one.
    fn answers(&mut self, place: usize, names: &TopicNames, now: Instant) -> io::Result<bool> {
        let mut any = false;
        loop {
            let Some(connection) = self.cluster.links[place].up() else { return Ok(any) };
            let Some((api, range)) = connection.next()? else { return Ok(any) };
            // Answers are small, and taking them changes links.
            let answer = connection.bytes(range).to_vec();
            let mut get = Get(&answer);
            match api {
                Api::Versions | Api::Handshake | Api::Authenticate | Api::Fetch | Api::FetchByName | Api::Offsets => {}
                Api::Coordinator | Api::Leave => {}
                Api::Identity => self.take_identity(place, &mut get, now)?,
                Api::Metadata => self.take_metadata(place, &mut get, names, now)?,
                Api::Produce => self.take_produced(place, &mut get, names, now)?,
            }
            any = true;
        }
    }

    /// Closes a connection that is of no use any more.
    fn lose(&mut self, place: usize, why: &io::Error, now: Instant) {
        if let Worked::Lost(why) = self.cluster.links[place].lose(why, now) {
            self.lost(place, &why, now);
        }
    }

    /// A connection is gone, and what was on its way with it is in doubt; it is sent again.
    fn lost(&mut self, place: usize, why: &str, now: Instant) {
        let in_flight = std::mem::take(&mut self.cluster.links[place].in_flight);
        tracing::debug!(why, batches = in_flight.len(), "producer: connection lost");
        for at in &in_flight {
            self.lane(*at).lose();
        }
        if !in_flight.is_empty() {
            let text = format!("{why}; {} batches were on their way", in_flight.len());
            self.said.push_back(Delivery::Error { code: Code::BrokerTransportFailure, text, fatal: false });
        }
        // It may lead them no more.
        self.cluster.ask_soon(now);
        if !self.is_cut_off && !self.listed.is_empty() && self.cluster.links.iter().all(Link::is_down) {
            self.is_cut_off = true;
            let text = format!("no broker can be reached; the last one: {why}");
            self.said.push_back(Delivery::Error { code: Code::AllBrokersDown, text, fatal: false });
        }
    }

    /// Nothing can be sent by this producer any more.
    fn break_off(&mut self, why: &str, now: Instant) {
        self.said.push_back(Delivery::Error { code: Code::Fatal, text: why.to_owned(), fatal: true });
        self.is_broken = true;
        for lane in self.topics.iter_mut().flat_map(|topic| &mut topic.lanes) {
            lane.expire(now, Code::Fatal, &mut self.said);
        }
        (self.collected, self.cluster.ask_at) = (Collected::default(), None);
        self.listed.clear();
        self.cluster.links.iter_mut().for_each(Link::close);
    }

    /// Gives back what is not confirmed in time, and asks whether a broker that is silent leads still.
    fn look(&mut self, now: Instant) {
        let is_silent = self.cluster.links.iter().any(|link| link.is_silent(now));
        if is_silent && self.cluster.asked_at.is_none_or(|asked| now - asked >= SILENT_PAUSE) {
            self.cluster.ask_soon(now);
        }
        let Some(before) = now.checked_sub(DELIVERY_MAX) else { return };
        let mut is_unsure = false;
        for at in &self.listed {
            let topic = &mut self.topics[usize::from(at.topic.0)];
            let expired = topic.lanes[at.partition as usize].expire(before, Code::MessageTimedOut, &mut self.said);
            self.collected.take(expired.count, expired.bytes);
            is_unsure |= expired.is_unsure;
        }
        if is_unsure {
            self.break_off(&format!("a batch was not answered within {} s", DELIVERY_MAX.as_secs()), now);
        }
    }
}
