//! What is asked of brokers: who leads what, where logs begin, and records.

use std::collections::BTreeSet;
use std::ops::Bound::{Excluded, Unbounded};
use std::time::{Duration, Instant};

use ringmaster_schemas::journal::TopicId;

use super::super::fetches::{self, From, Named};
use super::super::requests::Api;
use super::{Fetcher, Wanted};
use crate::kafka::direct::link::Link;
use crate::{Topic, TopicNames, TopicPartition};

/// So often it is asked who leads what while there is a doubt.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A fetch brings so many bytes, however many brokers there are.
const REQUEST_BYTES_MIN: usize = 64 << 10;
/// What a topic has instead of an identity where its cluster is older than they are.
const NO_ID: TopicId = [0; 16];

impl Fetcher {
    /// Where the broker is that leads a partition.
    fn place_of(&self, at: TopicPartition) -> Option<usize> {
        let (leader, _) = self.topics[usize::from(at.topic.0)].leader(at.partition)?;
        self.cluster.place_of(leader)
    }

    /// Asks where it is not known where to fetch from.
    pub(super) fn find_leaders(&mut self, now: Instant) {
        let are_known = self.parts.values().all(|part| !part.is_wanted() || self.place_of(part.held.at).is_some());
        self.cluster.find_leaders(are_known, now);
        // By names a topic may be another one, and a broker that is silent may lead no more: then it is fetched from another.
        let is_doubtful =
            |link: &mut Link<Wanted>| link.up().is_some() && (!link.takes_ids || !link.is_muted(now) && link.owed(now).is_none());
        let was_long_ago = self.cluster.asked_at.is_some_and(|asked| asked + LOOK_EVERY <= now);
        if was_long_ago && self.cluster.links.iter_mut().any(is_doubtful) {
            self.cluster.ask_soon(now);
        }
    }

    /// Connects to those that are needed.
    pub(super) fn reach(&mut self, now: Instant) {
        let wanted = self.parts.values().filter(|part| part.is_wanted() && !part.held.paused);
        let wanted: BTreeSet<usize> = wanted.filter_map(|part| self.place_of(part.held.at)).collect();
        for (place, why) in self.cluster.reach(wanted, self.cluster.ask_at.is_some(), now) {
            self.lost(place, &why, now);
        }
    }

    /// Asks who leads what is read.
    pub(super) fn ask(&mut self, names: &TopicNames, now: Instant) {
        if self.cluster.is_ask_due(now) {
            let mut topics: Vec<_> = self.parts.keys().map(|at| at.topic).collect();
            topics.dedup();
            let topics: Vec<&str> = topics.into_iter().map(|topic| names.name(topic)).collect();
            self.cluster.ask(&topics, now);
        }
    }

    /// One request to each broker that has none in flight: all partitions that it leads.
    pub(super) fn dispatch(&mut self, names: &TopicNames, now: Instant) {
        let is_free = |link: &mut Link<Wanted>| link.in_flight.is_empty() && !link.is_muted(now) && link.up().is_some();
        if self.is_full() || !self.cluster.links.iter_mut().any(is_free) {
            return;
        }
        let mut led = self.led(now);
        let brokers = led.iter().filter(|led| !led.is_empty()).count();
        let mut any = false;
        for (place, mut led) in led.drain(..).enumerate().filter(|(_, led)| !led.is_empty()) {
            if !is_free(&mut self.cluster.links[place]) {
                continue;
            }
            any = true;
            self.cluster.links[place].muted_until = None;
            // Who has no position yet is given one first.
            if led.iter().any(|at| self.parts[at].position < 0) {
                led.retain(|at| self.parts[at].position < 0);
                self.ask_of(place, Api::Offsets, &led, 0, names, now);
            } else {
                let has_id = |at: &TopicPartition| self.topics[usize::from(at.topic.0)].found.is_some_and(|id| id != NO_ID);
                let by_id = self.cluster.links[place].takes_ids && led.iter().all(has_id);
                let bytes_max = (self.how.ahead_bytes_max / 2 / brokers).max(REQUEST_BYTES_MIN);
                self.ask_of(place, if by_id { Api::Fetch } else { Api::FetchByName }, &led, bytes_max, names, now);
            }
        }
        if any {
            let first = self.first.and_then(|first| self.parts.range((Excluded(first), Unbounded)).next());
            self.first = first.or_else(|| self.parts.first_key_value()).map(|(at, _)| *at);
        }
    }

    /// By the place of their leader, the partitions that are to be asked for now.
    fn led(&self, now: Instant) -> Vec<Vec<TopicPartition>> {
        let mut led = vec![Vec::new(); self.cluster.links.len()];
        let first = self.first.unwrap_or(TopicPartition { topic: Topic(0), partition: i32::MIN });
        let all = self.parts.range(first..).chain(self.parts.range(..first));
        for (at, _) in all.filter(|(_, part)| part.is_ready(now)) {
            if let Some(place) = self.place_of(*at) {
                led[place].push(*at);
            }
        }
        led
    }

    fn ask_of(&mut self, place: usize, api: Api, led: &[TopicPartition], bytes_max: usize, names: &TopicNames, now: Instant) {
        let mut topics: Vec<(Named<'_>, Vec<From>)> = Vec::new();
        let mut wanted = Vec::with_capacity(led.len());
        for group in led.chunk_by(|a, b| a.topic == b.topic) {
            let known = &self.topics[usize::from(group[0].topic.0)];
            let id = known.found.unwrap_or(NO_ID);
            let partitions = group.iter().map(|at| {
                let part = &self.parts[at];
                wanted.push(Wanted { at: *at, id, turn: part.turn, position: part.position, asked_at: now });
                let (_, epoch) = known.leader(at.partition).unwrap_or((0, -1));
                From { partition: at.partition, epoch, offset: part.position, before: part.epoch, bytes_max: part.bytes_max }
            });
            let named = if api == Api::Fetch { Named::Id(id) } else { Named::Name(names.name(group[0].topic)) };
            topics.push((named, partitions.collect()));
        }
        let link = &mut self.cluster.links[place];
        link.in_flight = wanted;
        let connection = link.up().expect("it was up a moment ago");
        // An error shows when it is worked on next.
        let _ = connection.ask(api, now, |out| {
            if api == Api::Offsets {
                fetches::put_offsets(out, &topics);
            } else {
                fetches::put_fetch(out, &self.how, bytes_max, &topics);
            }
        });
    }
}
