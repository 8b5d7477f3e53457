//! What brokers answer: who leads what, where logs begin, and records.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode as Code;

use super::super::fetches::{self, Fetched, Named};
use super::super::lane::UNKNOWN_TOPIC_MAX;
use super::super::records::{self, Aborted, Behind, Found};
use super::super::requests::{self, TopicFound};
use super::super::wire::{Get, Malformed};
use super::ahead::{Answer, Batches, Piece, What};
use super::part::Part;
use super::{ANSWER_BYTES_MAX, Fetcher, Known, Wanted, error_of};
use crate::kafka::errors::unreadable;
use crate::kafka::native::code_of;
use crate::{TopicNames, TopicPartition};

/// A broker that has nothing waits before it says so. One that does not is asked again after so long.
const QUIET: Duration = Duration::from_millis(20);

/// What an error says of a partition that was asked for.
enum Trouble {
    /// Its position is not in the log.
    OutOfRange,
    /// Not now, and perhaps not here.
    Later,
    /// It is not to be had, and why.
    Lost(String),
}

impl Trouble {
    /// By <https://kafka.apache.org/protocol#protocol_error_codes>.
    fn of(error: i16) -> Self {
        match error {
            1 => Trouble::OutOfRange,
            // CORRUPT_MESSAGE: the broker itself finds a batch damaged.
            2 => Trouble::Lost(unreadable(Code::BadMessage, "its broker says so")),
            // UNKNOWN_TOPIC_OR_PARTITION, LEADER_NOT_AVAILABLE, NOT_LEADER_OR_FOLLOWER, REQUEST_TIMED_OUT, BROKER_NOT_AVAILABLE,
            // REPLICA_NOT_AVAILABLE, NETWORK_EXCEPTION, KAFKA_STORAGE_ERROR, FETCH_SESSION_ID_NOT_FOUND,
            // INVALID_FETCH_SESSION_EPOCH, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH, OFFSET_NOT_AVAILABLE,
            // THROTTLING_QUOTA_EXCEEDED, UNKNOWN_TOPIC_ID, INCONSISTENT_TOPIC_ID, FETCH_SESSION_TOPIC_ID_ERROR
            3 | 5 | 6 | 7 | 8 | 9 | 13 | 56 | 70 | 71 | 74 | 75 | 78 | 89 | 100 | 103 | 106 => Trouble::Later,
            error => Trouble::Lost(unreadable(code_of(error), &format!("error {error} of its leader"))),
        }
    }
}

impl Fetcher {
    pub(super) fn take_metadata(
        &mut self,
        place: usize,
        get: &mut Get<'_>,
        names: &TopicNames,
        now: Instant,
    ) -> Result<(), Malformed> {
        let found = requests::metadata(get)?;
        self.cluster.take_brokers(place, &found, now)?;
        let mut pieces = VecDeque::new();
        for topic in &found.topics {
            // No other was asked for.
            let Some(handle) = self.parts.keys().map(|at| at.topic).find(|handle| names.name(*handle) == topic.name) else {
                continue;
            };
            let all = TopicPartition { topic: handle, partition: i32::MIN }..=TopicPartition { topic: handle, partition: i32::MAX };
            let parts = self.parts.range_mut(all).map(|(_, part)| part).filter(|part| part.is_wanted());
            take_topic(&mut self.topics[usize::from(handle.0)], topic, parts, now, &mut pieces);
        }
        self.ahead.push(Answer { bytes: Vec::new(), pieces });
        self.refuse_others();
        Ok(())
    }

    pub(super) fn take_offsets(
        &mut self,
        place: usize,
        get: &mut Get<'_>,
        names: &TopicNames,
        now: Instant,
    ) -> Result<(), Malformed> {
        let asked = std::mem::take(&mut self.cluster.links[place].in_flight);
        let mut found = Vec::new();
        let throttle_ms = fetches::offsets(get, &mut |begins| {
            found.push((find(&asked, found.len(), Named::Name(begins.topic), begins.partition, names)?, begins));
            if begins.error == 0 && begins.offset < 0 { Err(Malformed) } else { Ok(()) }
        })?;
        self.cluster.links[place].mute(throttle_ms, now);
        let mut pieces = VecDeque::new();
        for (wanted, begins) in found {
            match wanted.of(&mut self.parts) {
                Some(part) if begins.error == 0 => {
                    part.is_well();
                    part.position = begins.offset;
                }
                Some(part) => pieces.extend(meet(part, begins.error, now)),
                None => {}
            }
            if begins.error != 0 {
                self.cluster.ask_soon(now);
            }
        }
        self.ahead.push(Answer { bytes: Vec::new(), pieces });
        Ok(())
    }

    pub(super) fn take_fetched(
        &mut self,
        place: usize,
        answer: Vec<u8>,
        by_id: bool,
        names: &TopicNames,
        now: Instant,
    ) -> Result<(), Malformed> {
        let asked = std::mem::take(&mut self.cluster.links[place].in_flight);
        // All of it makes sense, or nothing is taken.
        let mut found = Vec::with_capacity(asked.len());
        let (throttle_ms, error) = fetches::fetched(&mut Get(&answer), by_id, &mut |fetched| {
            found.push((find(&asked, found.len(), fetched.topic, fetched.partition, names)?, fetched));
            Ok(())
        })?;
        self.cluster.links[place].mute(throttle_ms, now);
        let (mut pieces, mut has_news) = (VecDeque::new(), false);
        let is_quick = asked.first().is_some_and(|wanted| now.saturating_duration_since(wanted.asked_at) < QUIET);
        if error != 0 {
            found.clear();
            for wanted in &asked {
                pieces.extend(wanted.of(&mut self.parts).and_then(|part| meet(part, error, now)));
            }
            self.cluster.ask_soon(now);
        }
        for (wanted, fetched) in found {
            let Some(part) = wanted.of(&mut self.parts) else {
                has_news = true;
                continue;
            };
            if fetched.error == 0 {
                let batches = take_batches(part, &answer, fetched, now);
                has_news |= batches.is_some();
                pieces.extend(batches);
            } else {
                pieces.extend(meet(part, fetched.error, now));
                self.cluster.ask_soon(now);
                has_news = true;
            }
        }
        if !has_news && is_quick {
            let until = now + QUIET;
            let muted_until = &mut self.cluster.links[place].muted_until;
            *muted_until = (*muted_until).max(Some(until));
        }
        self.ahead.push(Answer { bytes: answer, pieces });
        Ok(())
    }
}

/// What was asked, to which this is the answer: in the order of the request; if not, it is looked for.
fn find(asked: &[Wanted], next: usize, topic: Named<'_>, partition: i32, names: &TopicNames) -> Result<Wanted, Malformed> {
    let is_it = |wanted: &&Wanted| {
        wanted.at.partition == partition
            && match topic {
                Named::Id(id) => wanted.id == id,
                Named::Name(name) => names.name(wanted.at.topic) == name,
            }
    };
    asked.get(next).filter(is_it).or_else(|| asked.iter().find(is_it)).copied().ok_or(Malformed)
}

/// What an error makes of a partition.
fn meet(part: &mut Part, error: i16, now: Instant) -> Option<Piece> {
    match Trouble::of(error) {
        Trouble::OutOfRange => Some(error_of(part, What::OutOfRange)),
        Trouble::Lost(why) => Some(error_of(part, What::Lost(why))),
        Trouble::Later => part.fails(now).then(|| error_of(part, What::Lost(unreadable(code_of(error), "for half a minute")))),
    }
}

/// What a fetch brought of a partition without an error.
fn take_batches(part: &mut Part, answer: &[u8], fetched: Fetched<'_>, now: Instant) -> Option<Piece> {
    if fetched.is_cut {
        return Some(error_of(part, What::OutOfRange));
    }
    let (bytes, begin) = (&answer[fetched.records.clone()], part.position);
    let Behind { next, epoch, is_known } = records::behind(bytes);
    if next.is_some_and(|next| next > begin) {
        (part.position, part.epoch) = (next.unwrap_or(begin), epoch);
    }
    if bytes.is_empty() || part.position > begin || !is_known {
        part.is_well();
    } else {
        match records::find(bytes) {
            // It would come whole if it came first.
            Ok(Found::Cut(Some(size))) if size > ANSWER_BYTES_MAX / 2 => {
                let why = format!("the batch with offset {begin} cannot be read: it has {size} bytes");
                return Some(error_of(part, What::Lost(why)));
            }
            Ok(Found::Cut(Some(size))) => part.bytes_max = part.bytes_max.max(i32::try_from(size).unwrap_or(i32::MAX)),
            // Nothing that was asked for.
            _ if part.fails(now) => {
                let why = "its leader answers with other records than were asked for".to_owned();
                return Some(error_of(part, What::Lost(why)));
            }
            _ => {}
        }
    }
    let is_end = fetched.end == begin && part.end_said != Some(begin);
    if bytes.is_empty() && !is_end {
        return None;
    }
    // What comes behind a batch that makes no sense is not asked for before that is said.
    part.waits |= !is_known;
    let aborted = Aborted::new(fetched.aborted);
    let batches = Batches { bytes: fetched.records, end: fetched.end, position: begin, aborted, open: None };
    Some(Piece { at: part.held.at, turn: part.turn, what: What::Batches(batches) })
}

/// What the cluster says of one topic, whose partitions these are.
fn take_topic<'p>(
    known: &mut Known,
    topic: &TopicFound<'_>,
    parts: impl Iterator<Item = &'p mut Part>,
    now: Instant,
    pieces: &mut VecDeque<Piece>,
) {
    let mut lost: Option<Code> = None;
    match topic.error {
        0 => {
            (known.unknown_since, known.found) = (None, Some(topic.id));
            known.leaders = vec![None; topic.partitions.len()];
            for &(number, leader, epoch) in &topic.partitions {
                if let Some(known) = usize::try_from(number).ok().and_then(|number| known.leaders.get_mut(number)) {
                    *known = leader.map(|leader| (leader, epoch));
                }
            }
        }
        // UNKNOWN_TOPIC_OR_PARTITION: it may have been made just now.
        3 => {
            known.leaders.clear();
            let since = *known.unknown_since.get_or_insert(now);
            lost = (now.saturating_duration_since(since) >= UNKNOWN_TOPIC_MAX).then_some(Code::UnknownTopicOrPartition);
        }
        // INVALID_TOPIC_EXCEPTION, TOPIC_AUTHORIZATION_FAILED
        17 | 29 => lost = Some(code_of(topic.error)),
        error => tracing::debug!(topic = topic.name, error = %code_of(error), "its leaders are asked for again"),
    }
    for part in parts {
        let is_beyond =
            topic.error == 0 && usize::try_from(part.held.at.partition).map_or(true, |number| number >= known.leaders.len());
        let code = if is_beyond { Some(Code::UnknownPartition) } else { lost };
        if let Some(code) = code {
            pieces.push_back(error_of(part, What::Lost(unreadable(code, "its cluster says so"))));
        } else if known.leader(part.held.at.partition).is_none() && part.fails(now) && topic.error != 3 {
            pieces.push_back(error_of(part, What::Lost("nobody leads it for half a minute".to_owned())));
        }
    }
}
