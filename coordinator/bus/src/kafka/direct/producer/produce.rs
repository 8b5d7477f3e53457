//! Requests with batches, and what brokers answer to them.

use std::io;
use std::time::{Instant, SystemTime};

use super::super::connection::Connection;
use super::super::lane::Verdict;
use super::super::requests::{self, Api};
use super::super::wire::{Get, Malformed, Put as _};
use super::{Lanes, Producer};
use crate::kafka::native::code_of;
use crate::{TopicNames, TopicPartition};

/// A request has no further batch behind so many bytes.
const REQUEST_BYTES: usize = 4 << 20;

impl Producer {
    /// One request to each broker that has none in flight.
    pub(super) fn dispatch(&mut self, names: &TopicNames, now: Instant) {
        let Some(identity) = self.identity else { return };
        let timestamp = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis() as i64);
        self.unlist();
        for place in 0..self.cluster.links.len() {
            let link = &mut self.cluster.links[place];
            if link.is_muted(now) || !link.in_flight.is_empty() || link.up().is_none() {
                continue;
            }
            link.muted_until = None;
            let mut batches = self.batches(place, identity, timestamp, now);
            if batches.is_empty() {
                continue;
            }
            batches.sort_unstable();
            let topics = &self.topics;
            let connection = self.cluster.links[place].up().expect("it was up a moment ago");
            // An error shows when it is worked on next.
            let _ = ask_to_produce(connection, &batches, topics, names, now);
            self.cluster.links[place].in_flight = batches;
        }
    }

    /// The partitions of one broker's next request, their batches sealed.
    fn batches(&mut self, place: usize, identity: (i64, i16), timestamp: i64, now: Instant) -> Vec<TopicPartition> {
        let (mut batches, mut size, mut left_out) = (Vec::new(), 0, None);
        for (index, &at) in self.listed.iter().enumerate() {
            let lane = &mut self.topics[usize::from(at.topic.0)].lanes[at.partition as usize];
            let leads = lane.leader.is_some_and(|leader| self.cluster.place_of(leader) == Some(place));
            if !leads || !lane.is_ready(now) {
                continue;
            }
            if size > REQUEST_BYTES {
                left_out = Some(index);
                break;
            }
            let (bytes, count, uncollected) = lane.seal(identity, timestamp, self.compression);
            lane.is_in_flight = true;
            size += bytes;
            self.collected.take(count, uncollected);
            batches.push(at);
        }
        // Those that found no room are the first of the next request, or those before them would fill it again.
        self.listed.rotate_left(left_out.unwrap_or(0));
        batches
    }

    /// Takes those from the list that have nothing to send and wait for nothing.
    fn unlist(&mut self) {
        let topics = &mut self.topics;
        self.listed.retain(|at| {
            let lane = &mut topics[usize::from(at.topic.0)].lanes[at.partition as usize];
            lane.is_listed = lane.has_work();
            lane.is_listed
        });
    }

    pub(super) fn take_produced(
        &mut self,
        place: usize,
        get: &mut Get<'_>,
        names: &TopicNames,
        now: Instant,
    ) -> Result<(), Malformed> {
        let Producer { cluster, topics, said, .. } = self;
        let waiting = &mut cluster.links[place].in_flight;
        let (mut next, mut broke, mut ask) = (0, None, false);
        let throttle_ms = requests::produced(get, &mut |produced| {
            // In the order of the request; if not, it is looked for.
            let is_it = |at: &TopicPartition| at.partition == produced.partition && names.name(at.topic) == produced.topic;
            let found = if waiting.get(next).is_some_and(is_it) { Some(next) } else { waiting.iter().position(is_it) };
            let at = waiting[found.ok_or(Malformed)?];
            next += 1;
            let lane = &mut topics[usize::from(at.topic.0)].lanes[at.partition as usize];
            match lane.settle(produced.error, produced.base, now, said) {
                Verdict::Settled => {}
                Verdict::Again(leader) => ask |= leader,
                Verdict::Broken => broke = Some(code_of(produced.error)),
            }
            Ok(())
        });
        // What is not answered, whatever else is wrong with the answer, is in doubt with the connection.
        waiting.retain(|at| topics[usize::from(at.topic.0)].lanes[at.partition as usize].is_in_flight);
        let is_whole = waiting.is_empty();
        if ask {
            self.cluster.ask_soon(now);
        }
        if let Some(code) = broke {
            self.break_off(&code.to_string(), now);
            return Ok(());
        }
        self.cluster.links[place].mute(throttle_ms?, now);
        if is_whole { Ok(()) } else { Err(Malformed) }
    }
}

fn ask_to_produce(
    connection: &mut Connection,
    batches: &[TopicPartition],
    topics: &[Lanes],
    names: &TopicNames,
    now: Instant,
) -> io::Result<()> {
    connection.ask(Api::Produce, now, |out| {
        requests::put_produce(out, batches.chunk_by(|a, b| a.topic == b.topic).count());
        for group in batches.chunk_by(|a, b| a.topic == b.topic) {
            out.string(names.name(group[0].topic));
            out.count(group.len());
            for at in group {
                let bytes = topics[usize::from(at.topic.0)].lanes[at.partition as usize].sealed_bytes();
                out.i32(at.partition);
                out.count(bytes.len());
                out.extend_from_slice(bytes);
                out.no_tags();
            }
            out.no_tags();
        }
        out.no_tags();
    })
}
