//! What a producer asks of its cluster: an identity, and who leads what.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::time::Instant;

use rdkafka::error::RDKafkaErrorCode as Code;

use super::super::lane::{Lane, UNKNOWN_TOPIC_MAX};
use super::super::requests::{self, Api, TopicFound};
use super::super::wire::{Get, Malformed};
use super::{Collected, Lanes, Producer, TICK};
use crate::kafka::native::{Delivery, code_of};
use crate::{Topic, TopicNames, TopicPartition};

impl Producer {
    pub(super) fn take_identity(&mut self, place: usize, get: &mut Get<'_>, now: Instant) -> Result<(), Malformed> {
        let answer = requests::identity(get)?;
        self.cluster.links[place].mute(answer.throttle_ms, now);
        match answer.found {
            // One that was asked for twice stays what it was: its numbers have been used.
            Ok(identity) => {
                self.identity.get_or_insert(identity);
            }
            // TOPIC_AUTHORIZATION_FAILED, CLUSTER_AUTHORIZATION_FAILED, TRANSACTIONAL_ID_AUTHORIZATION_FAILED
            Err(error @ (29 | 31 | 53)) if self.identity.is_none() => {
                self.break_off(&format!("this client may not produce ({}); give it WRITE on its topics", code_of(error)), now);
            }
            Err(error) => {
                tracing::debug!(error = %code_of(error), "a producer's identity is asked for again");
                self.identity_at = now + TICK;
            }
        }
        Ok(())
    }

    pub(super) fn take_metadata(
        &mut self,
        place: usize,
        get: &mut Get<'_>,
        names: &TopicNames,
        now: Instant,
    ) -> Result<(), Malformed> {
        let found = requests::metadata(get)?;
        self.cluster.take_brokers(place, &found, now)?;
        for topic in found.topics {
            let is_it = |(lanes, handle): &(&mut Lanes, u16)| !lanes.lanes.is_empty() && names.name(Topic(*handle)) == topic.name;
            // No other was asked for.
            if let Some((lanes, _)) = self.topics.iter_mut().zip(0..).find(is_it) {
                take_topic(lanes, &topic, now, &mut self.said, &mut self.collected);
            }
        }
        self.leave_silent(now);
        Ok(())
    }

    /// A broker that is silent, and whose partitions were given to others, may never answer: what is on its way to it goes to them.
    fn leave_silent(&mut self, now: Instant) {
        for place in 0..self.cluster.links.len() {
            let link = &self.cluster.links[place];
            let moved = |at: &TopicPartition| {
                let leader = self.known(*at).leader.and_then(|leader| self.cluster.place_of(leader));
                leader.is_some_and(|leader| leader != place)
            };
            if link.is_silent(now) && link.in_flight.iter().any(moved) {
                self.lose(place, &io::Error::other("it is silent, and others lead what it led"), now);
            }
        }
    }

    /// Asks where it is not known where to send to.
    pub(super) fn find_leaders(&mut self, now: Instant) {
        let is_known = |leader: i32| self.cluster.place_of(leader).is_some();
        let are_known = self.listed.iter().all(|at| self.known(*at).leader.is_some_and(is_known));
        self.cluster.find_leaders(are_known, now);
    }

    /// Connects to those that are needed.
    pub(super) fn reach(&mut self, now: Instant) {
        let leaders = self.listed.iter().filter_map(|at| self.known(*at).leader);
        let wanted: BTreeSet<usize> = leaders.filter_map(|leader| self.cluster.place_of(leader)).collect();
        let anyone = self.cluster.ask_at.is_some() || self.identity.is_none();
        for (place, why) in self.cluster.reach(wanted, anyone, now) {
            self.lost(place, &why, now);
        }
    }

    /// Asks for what is not known.
    pub(super) fn ask(&mut self, names: &TopicNames, now: Instant) {
        let identity = self.identity.is_none() && self.identity_at <= now && !self.cluster.asks(Api::Identity, now);
        if identity && let Some(connection) = self.cluster.anyone(now) {
            // An error shows when it is worked on next.
            let _ = connection.ask(Api::Identity, now, requests::put_identity);
        }
        if self.cluster.is_ask_due(now) {
            let topics = self.topics.iter().zip(0..).filter(|(topic, _)| !topic.lanes.is_empty());
            let wanted: Vec<&str> = topics.map(|(_, handle)| names.name(Topic(handle))).collect();
            self.cluster.ask(&wanted, now);
        }
    }
}

/// What the cluster says of one topic.
fn take_topic(lanes: &mut Lanes, topic: &TopicFound<'_>, now: Instant, said: &mut VecDeque<Delivery>, collected: &mut Collected) {
    let mut give_up = |lane: &mut Lane, error: Code| {
        let refused = lane.refuse(now, error, said);
        collected.take(refused.count, refused.bytes);
    };
    match topic.error {
        0 => {
            lanes.unknown_since = None;
            for &(number, leader, _) in &topic.partitions {
                if let Some(lane) = usize::try_from(number).ok().and_then(|number| lanes.lanes.get_mut(number)) {
                    lane.leader = leader;
                }
            }
            let count = topic.partitions.len();
            lanes.lanes.iter_mut().skip(count).for_each(|lane| give_up(lane, Code::UnknownPartition));
        }
        // UNKNOWN_TOPIC_OR_PARTITION: it may have been made just now.
        3 if now - *lanes.unknown_since.get_or_insert(now) < UNKNOWN_TOPIC_MAX => {
            lanes.lanes.iter_mut().for_each(|lane| lane.leader = None);
        }
        // INVALID_TOPIC_EXCEPTION, TOPIC_AUTHORIZATION_FAILED
        3 | 17 | 29 => lanes.lanes.iter_mut().for_each(|lane| give_up(lane, code_of(topic.error))),
        error => tracing::debug!(topic = topic.name, error = %code_of(error), "its leaders are asked for again"),
    }
}
