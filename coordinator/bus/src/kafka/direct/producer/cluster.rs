//! What is asked of the cluster: an identity, who leads what, and where they are.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ops::Range;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode as Code;

use super::super::lane::{Lane, UNKNOWN_TOPIC_MAX};
use super::super::link::{Link, Worked};
use super::super::requests::{self, Api, TopicFound};
use super::super::wire::{Get, Malformed};
use super::{Collected, Lanes, Producer, TICK};
use crate::kafka::native::{Delivery, code_of};
use crate::{Topic, TopicNames};

/// Pauses between two questions for leaders, doubling while there is none.
pub(super) const ASK_PAUSE: Range<Duration> = Duration::from_millis(50)..Duration::from_secs(1);
/// No cluster has more brokers; bounds what a wrong answer makes us keep.
const BROKERS_MAX: usize = 2_000;
/// When any broker will do, so many are tried at once.
const TRIED_MAX: usize = 4;

impl Producer {
    pub(super) fn take_identity(&mut self, place: usize, get: &mut Get<'_>, now: Instant) -> Result<(), Malformed> {
        let answer = requests::identity(get)?;
        self.links[place].mute(answer.throttle_ms, now);
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
        if found.brokers.len() > BROKERS_MAX {
            return Err(Malformed);
        }
        self.links[place].mute(found.throttle_ms, now);
        self.brokers.clear();
        for (number, host, port) in &found.brokers {
            let address = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
            let known = self.links.iter().position(|link| link.address == address);
            let place = known.unwrap_or_else(|| {
                self.links.push(Link::new(address, now));
                self.links.len() - 1
            });
            self.brokers.insert(*number, place);
        }
        for topic in found.topics {
            let is_it = |(lanes, handle): &(&mut Lanes, u16)| !lanes.lanes.is_empty() && names.name(Topic(*handle)) == topic.name;
            // No other was asked for.
            if let Some((lanes, _)) = self.topics.iter_mut().zip(0..).find(is_it) {
                take_topic(lanes, &topic, now, &mut self.said, &mut self.collected);
            }
        }
        Ok(())
    }

    /// Drops links to where no broker is any more: each restart of a broker may give it another address.
    pub(super) fn forget_links(&mut self) {
        if self.links.len() <= 2 * (self.first_count + self.brokers.len()) {
            return;
        }
        let used: BTreeSet<usize> = self.brokers.values().copied().collect();
        let (mut places, mut moved) = (0.., HashMap::new());
        self.links.retain(|link| {
            let place = places.next().expect("it has no end");
            let stays = place < self.first_count || used.contains(&place) || !link.is_down();
            if stays {
                moved.insert(place, moved.len());
            }
            stays
        });
        self.brokers.values_mut().for_each(|place| *place = moved[place]);
    }

    /// Asks where it is not known where to send to.
    pub(super) fn find_leaders(&mut self, now: Instant) {
        let is_known = |leader: i32| self.brokers.contains_key(&leader);
        if self.listed.iter().all(|at| self.known(*at).leader.is_some_and(is_known)) {
            self.ask_pause = ASK_PAUSE.start;
        } else {
            self.ask_soon(now);
        }
    }

    pub(super) fn ask_soon(&mut self, now: Instant) {
        let earliest = self.asked_at.map_or(now, |asked| now.max(asked + self.ask_pause));
        self.ask_at.get_or_insert(earliest);
    }

    /// Connects to those that are needed.
    pub(super) fn reach(&mut self, now: Instant) {
        let leaders = self.listed.iter().filter_map(|at| self.known(*at).leader);
        let mut wanted: BTreeSet<usize> = leaders.filter_map(|leader| self.brokers.get(&leader).copied()).collect();
        if (self.ask_at.is_some() || self.identity.is_none()) && self.links.iter().all(|link| link.owed(now).is_none()) {
            // Anyone will do.
            let trying =
                self.links.iter_mut().filter(|link| !link.is_down()).filter_map(|link| link.up().is_none().then_some(())).count();
            let due = (0..self.links.len()).filter(|place| self.links[*place].is_due(now));
            wanted.extend(due.take(TRIED_MAX.saturating_sub(trying)));
        }
        for place in wanted {
            if let Worked::Lost(why) = self.links[place].want(now, &self.registry, &self.signal) {
                self.lost(place, &why, now);
            }
        }
    }

    /// Asks whoever owes the least for what is not known. A broker that is silent is not waited for: another may know.
    pub(super) fn ask(&mut self, names: &TopicNames, now: Instant) {
        let asks = |api: Api| self.links.iter().any(|link| link.asks(api, now));
        let identity = self.identity.is_none() && self.identity_at <= now && !asks(Api::Identity);
        let leaders = self.ask_at.is_some_and(|at| at <= now) && !asks(Api::Metadata);
        let answering = self.links.iter_mut().filter_map(|link| Some((link.owed(now)?, link)));
        let Some((_, link)) = answering.min_by_key(|(owed, _)| *owed) else { return };
        let Some(connection) = link.up() else { return };
        if identity {
            // An error shows when it is worked on next.
            let _ = connection.ask(Api::Identity, now, requests::put_identity);
        }
        if leaders {
            let topics = self.topics.iter().zip(0..).filter(|(topic, _)| !topic.lanes.is_empty());
            let wanted: Vec<&str> = topics.map(|(_, handle)| names.name(Topic(handle))).collect();
            let _ = connection.ask(Api::Metadata, now, |out| requests::put_metadata(out, wanted.into_iter()));
            (self.ask_at, self.asked_at) = (None, Some(now));
            self.ask_pause = (self.ask_pause * 2).min(ASK_PAUSE.end);
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
            for &(number, leader) in &topic.partitions {
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

/// `host` alone means Kafka's usual port.
pub(super) fn link_of(address: &str) -> Result<String, String> {
    let address = address.rsplit_once("://").map_or(address, |(_, rest)| rest);
    match address.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && !host.ends_with(':') => match port.parse::<u16>() {
            Ok(_) => Ok(address.to_owned()),
            Err(_) => Err(format!("'{address}' has no port; brokers are host:port")),
        },
        _ => Ok(format!("{address}:9092")),
    }
}
