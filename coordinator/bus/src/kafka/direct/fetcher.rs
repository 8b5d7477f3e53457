//! The fetcher: what is read, what was fetched, and the order in which things are done.
//!
//! ```text
//! read -> parts -> asking.rs: a fetch a broker -> link -> taking.rs: answers -> ahead.rs: records, ends, errors
//! ```

mod ahead;
mod asking;
mod part;
mod taking;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::Registry;
use ringmaster_schemas::journal::TopicId;

use super::cluster::Cluster;
use super::fetches::Fetching;
use super::link::Worked;
use super::requests::Api;
use super::security::Security;
use super::wire::Get;
use crate::kafka::held::{AGAIN_AFTER, MADE_AGAIN};
use crate::signal::Signal;
use crate::{BusEvent, Topic, TopicNames, TopicPartition};
use ahead::{Ahead, Answer, Piece, Visits, What};
use part::Part;

/// While something is read, times are looked at so often.
const TICK: Duration = Duration::from_millis(100);
/// A longer answer is none: a request of a producer has 100 MiB at most, and a batch comes whole whatever a fetch has for a limit.
const ANSWER_BYTES_MAX: usize = 120 << 20;

/// Reads partitions. It takes the time as an argument, and waits for nothing.
pub(in crate::kafka) struct Fetcher {
    how: Fetching,
    cluster: Cluster<Wanted>,
    parts: BTreeMap<TopicPartition, Part>,
    /// By topic handle.
    topics: Vec<Known>,
    ahead: Ahead,
    /// The last turn of a partition; each is used once.
    turn: u64,
    /// The first partition of the last fetch: the next one begins behind it, so that each comes first.
    first: Option<TopicPartition>,
    /// An answer made no sense, and none did since.
    is_puzzled: bool,
}

/// A partition in a request that is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wanted {
    at: TopicPartition,
    id: TopicId,
    turn: u64,
    /// From where it was asked for: an answer from elsewhere is about another position.
    position: i64,
    asked_at: Instant,
}

/// What is known of a topic.
#[derive(Debug, Default)]
struct Known {
    /// As it must be; none if that does not matter.
    expected: Option<TopicId>,
    /// As the cluster said last.
    found: Option<TopicId>,
    /// Since when the cluster does not know it.
    unknown_since: Option<Instant>,
    /// By partition: the number of the broker that leads it, and for the how manieth time it is led.
    leaders: Vec<Option<(i32, i32)>>,
}

impl Wanted {
    /// The partition, if it still waits for this.
    fn of<'p>(&self, parts: &'p mut BTreeMap<TopicPartition, Part>) -> Option<&'p mut Part> {
        parts.get_mut(&self.at).filter(|part| part.takes(self.turn) && !part.waits && part.position == self.position)
    }
}

impl Known {
    /// It belongs to another topic than it must.
    fn is_other(&self) -> bool {
        self.expected.is_some() && self.found.is_some() && self.expected != self.found
    }

    fn leader(&self, partition: i32) -> Option<(i32, i32)> {
        usize::try_from(partition).ok().and_then(|partition| *self.leaders.get(partition)?)
    }
}

impl Fetcher {
    /// Of the cluster that one of these brokers belongs to (`host:port` each).
    pub(in crate::kafka) fn new(
        bootstrap: &str,
        security: Security,
        how: Fetching,
        registry: Registry,
        signal: Arc<Signal>,
        now: Instant,
    ) -> Result<Self, String> {
        Ok(Fetcher {
            how,
            cluster: Cluster::new(bootstrap, security, ANSWER_BYTES_MAX, registry, signal, now)?,
            parts: BTreeMap::new(),
            topics: Vec::new(),
            ahead: Ahead::default(),
            turn: 0,
            first: None,
            is_puzzled: false,
        })
    }

    /// Reads a partition from this offset on, instead of where it was read; -1 for the beginning.
    pub(in crate::kafka) fn read(&mut self, at: TopicPartition, from: i64) {
        self.turn += 1;
        let mut part = Part::new(at, from, self.turn, self.how.partition_bytes_max);
        part.held.paused = self.parts.get(&at).is_some_and(|before| before.held.paused);
        self.parts.insert(at, part);
        self.known(at.topic);
        self.refuse_others();
    }

    /// Reads a partition no more.
    pub(in crate::kafka) fn stop(&mut self, at: TopicPartition) {
        self.parts.remove(&at);
    }

    /// What came before a pause stays, and is visited behind it: whoever pauses often would fetch it again each time.
    pub(in crate::kafka) fn pause(&mut self, which: &[TopicPartition], paused: bool) {
        for at in which {
            if let Some(part) = self.parts.get_mut(at).filter(|part| part.held.paused != paused) {
                (part.held.paused, part.end_said) = (paused, None);
            }
        }
    }

    pub(in crate::kafka) fn is_idle(&self) -> bool {
        self.parts.is_empty()
    }

    /// Reads nothing of this name from another topic than this.
    pub(in crate::kafka) fn expect(&mut self, topic: Topic, id: TopicId) {
        self.known(topic).expected = Some(id);
        self.refuse_others();
    }

    /// Visits up to so many events; returns how many.
    pub(in crate::kafka) fn visit(
        &mut self,
        names: &TopicNames,
        count_max: usize,
        now: Instant,
        visit: &mut dyn FnMut(BusEvent<'_>),
    ) -> usize {
        if self.parts.is_empty() && self.ahead.is_empty() {
            return 0;
        }
        self.read_again(now);
        self.work(names, now);
        let was_full = self.is_full();
        let mut visits = Visits { now, count: 0, count_max, visit };
        self.ahead.visit(&mut self.parts, &mut visits);
        let count = visits.count;
        if was_full && count == 0 {
            self.forget_paused();
        }
        if was_full && !self.is_full() {
            self.dispatch(names, now);
        }
        count
    }

    /// What waits for the end of a pause takes the room of others no longer: it is fetched again.
    fn forget_paused(&mut self) {
        for part in self.parts.values_mut().filter(|part| part.held.paused) {
            self.turn += 1;
            part.begin_again(self.turn);
        }
        self.ahead.forget(&self.parts);
    }

    /// When it is to be visited although no socket and no signal says so.
    pub(in crate::kafka) fn due(&self, now: Instant) -> Option<Instant> {
        if self.ahead.has_work(&self.parts) {
            return Some(now);
        }
        if self.parts.is_empty() {
            return None;
        }
        let parts = self.parts.values().flat_map(|part| [part.held.again_at, part.held_until]).flatten();
        let muted = self.cluster.links.iter().filter_map(|link| link.muted_until);
        // What was due before could not be done then; the tick tries it again.
        parts.chain(muted).chain(self.cluster.ask_at).filter(|at| *at > now).chain([now + TICK]).min()
    }

    fn is_full(&self) -> bool {
        self.ahead.bytes() >= self.how.ahead_bytes_max / 2
    }

    fn known(&mut self, topic: Topic) -> &mut Known {
        let topic = usize::from(topic.0);
        if self.topics.len() <= topic {
            self.topics.resize_with(topic + 1, Known::default);
        }
        &mut self.topics[topic]
    }

    /// Tries what could not be read again: a topic may be back, a batch mended.
    fn read_again(&mut self, now: Instant) {
        let is_due = |part: &&mut Part| part.held.again_at.is_some_and(|due| due <= now);
        let mut any = false;
        for part in self.parts.values_mut().filter(is_due) {
            (part.held.holds, part.held.stopped, part.held.again_at) = (false, false, Some(now + AGAIN_AFTER));
            self.turn += 1;
            part.begin_again(self.turn);
            any = true;
        }
        if any {
            self.refuse_others();
        }
    }

    /// Nothing is visited of topics that are others than they must be.
    fn refuse_others(&mut self) {
        let topics = &self.topics;
        let is_other = |part: &&mut Part| part.is_wanted() && topics[usize::from(part.held.at.topic.0)].is_other();
        let mut pieces = VecDeque::new();
        for part in self.parts.values_mut().filter(is_other) {
            self.turn += 1;
            part.begin_again(self.turn);
            pieces.push_back(error_of(part, What::Lost(MADE_AGAIN.to_owned())));
        }
        self.ahead.push(Answer { bytes: Vec::new(), pieces });
    }

    fn work(&mut self, names: &TopicNames, now: Instant) {
        self.cluster.forget_links();
        for place in 0..self.cluster.links.len() {
            if let Worked::Lost(why) = self.cluster.work(place, now) {
                self.lost(place, &why, now);
            }
            if let Err(error) = self.answers(place, names, now) {
                if error.kind() == io::ErrorKind::InvalidData && !std::mem::replace(&mut self.is_puzzled, true) {
                    let broker = &self.cluster.links[place].address;
                    tracing::warn!(broker, %error, "reading begins again with another connection");
                }
                if let Worked::Lost(why) = self.cluster.links[place].lose(&error, now) {
                    self.lost(place, &why, now);
                }
            }
        }
        self.find_leaders(now);
        self.reach(now);
        self.ask(names, now);
        self.dispatch(names, now);
    }

    /// Takes the answers of one broker.
    fn answers(&mut self, place: usize, names: &TopicNames, now: Instant) -> io::Result<()> {
        loop {
            let Some(connection) = self.cluster.links[place].up() else { return Ok(()) };
            let Some((api, range)) = connection.next()? else { return Ok(()) };
            let answer = connection.bytes(range);
            match api {
                Api::Metadata => {
                    let answer = answer.to_vec();
                    self.take_metadata(place, &mut Get(&answer), names, now)?;
                }
                Api::Offsets => {
                    let answer = answer.to_vec();
                    self.take_offsets(place, &mut Get(&answer), names, now)?;
                }
                Api::Fetch | Api::FetchByName => {
                    // Records are visited where they are in this copy: the connection's room is for what comes behind it.
                    let mut copy = self.ahead.room();
                    copy.extend_from_slice(answer);
                    self.take_fetched(place, copy, api == Api::Fetch, names, now)?;
                    self.is_puzzled = false;
                }
                Api::Versions | Api::Identity | Api::Produce | Api::Handshake | Api::Authenticate => {}
                Api::Coordinator | Api::Leave => {}
            }
        }
    }

    /// A connection is gone; what was asked by it is asked again.
    fn lost(&mut self, place: usize, why: &str, now: Instant) {
        tracing::debug!(why, "reader: connection lost");
        self.cluster.links[place].in_flight.clear();
        // It may lead them no more.
        self.cluster.ask_soon(now);
    }
}

/// Nothing is fetched of a partition before this is visited.
fn error_of(part: &mut Part, what: What) -> Piece {
    part.waits = true;
    Piece { at: part.held.at, turn: part.turn, what }
}
