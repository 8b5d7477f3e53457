//! Replies on their way, and how far reading may be committed behind them.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use ringmaster_bus::{Bus, BusError, Message, SendError, Sender, Topic, TopicPartition};
use ringmaster_schemas::Millis;

/// Different reply topics that are known; hostile commands could name any number.
const TOPICS_MAX: usize = 64;
/// How often a reply is tried that its topic refuses (it may be made late) before it is given up: the command is asked again.
const TRIES_MAX: u8 = 10;
/// Pause between those tries, and before a broken sender is replaced.
const PAUSE_MS: Millis = 1_000;
/// Pause before what may not have arrived is sent again.
const AGAIN_MS: Millis = 100;

/// The command that a reply is for.
type Place = (TopicPartition, i64);

/// A reply to be sent.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) to: String,
    pub(super) partition: i32,
    pub(super) key: Option<Box<[u8]>>,
    pub(super) value: Box<[u8]>,
    pub(super) tries: u8,
}

/// A partition that is read.
#[derive(Debug, Default)]
struct Lane {
    /// Behind the last record that was read.
    next: i64,
    /// What may be committed up to there was.
    committed: i64,
    /// By offset of their commands.
    open: BTreeMap<i64, Reply>,
}

/// All replies that are not acknowledged.
#[derive(Debug, Default)]
pub(super) struct Replies {
    lanes: BTreeMap<TopicPartition, Lane>,
    ready: VecDeque<Place>,
    later: BTreeSet<(Millis, Place)>,
    /// By tag.
    sent: HashMap<u64, Place>,
    next_tag: u64,
    topics: HashMap<String, Topic>,
    sender: Option<Sender>,
    /// To be closed; what still happens to them is ignored.
    stale: Vec<Sender>,
    renew_at: Millis,
}

impl Replies {
    /// A partition is read from now on.
    pub(super) fn open(&mut self, at: TopicPartition) {
        self.lanes.insert(at, Lane::default());
    }

    /// A partition is read no more: whoever reads it answers what is open.
    pub(super) fn close(&mut self, at: TopicPartition) {
        self.lanes.remove(&at);
    }

    /// How many are not acknowledged.
    pub(super) fn open_count(&self) -> usize {
        self.lanes.values().map(|lane| lane.open.len()).sum()
    }

    /// When something is due, if nothing else happens.
    pub(super) fn due_at(&self) -> Option<Millis> {
        let renewal = (self.sender.is_none() && !self.ready.is_empty()).then_some(self.renew_at);
        self.later.first().map(|(due, _)| *due).into_iter().chain(renewal).min()
    }

    /// A record was read; its reply, and when it is due.
    pub(super) fn read(&mut self, at: TopicPartition, offset: i64, reply: Option<(Reply, Millis)>, now: Millis) {
        let lane = self.lanes.entry(at).or_default();
        lane.next = offset + 1;
        let Some((reply, due)) = reply else { return };
        lane.open.insert(offset, reply);
        if due <= now {
            self.ready.push_back((at, offset));
        } else {
            self.later.insert((due, (at, offset)));
        }
    }

    /// Sends what is due. What the bus does not take now stays for the next call.
    pub(super) fn send(&mut self, bus: &mut impl Bus, now: Millis) -> Result<(), BusError> {
        while let Some((_, place)) = self.later.first().copied().filter(|(due, _)| *due <= now) {
            self.later.pop_first();
            self.ready.push_back(place);
        }
        self.stale.drain(..).for_each(|sender| bus.close_sender(sender));
        if self.ready.is_empty() {
            return Ok(());
        }
        if self.sender.is_none() && now >= self.renew_at {
            match bus.open_sender() {
                Ok(sender) => self.sender = Some(sender),
                Err(BusError::Unreachable(why)) => {
                    tracing::warn!(why, "replies cannot be sent: trying again");
                    self.renew_at = now + PAUSE_MS;
                }
                Err(other) => return Err(other),
            }
        }
        while let Some(sender) = self.sender {
            let Some(place) = self.ready.pop_front() else { break };
            let Some(reply) = self.lanes.get(&place.0).and_then(|lane| lane.open.get(&place.1)) else { continue };
            let Some(topic) = topic(&mut self.topics, bus, &reply.to) else {
                tracing::warn!(reply_to = reply.to, "not answered: too many other topics were named before");
                self.done(place);
                continue;
            };
            let to = TopicPartition { topic, partition: reply.partition };
            let message = Message { to, key: reply.key.as_deref(), value: &reply.value, headers: &[] };
            match bus.send(sender, message, self.next_tag) {
                Ok(()) => {
                    self.sent.insert(self.next_tag, place);
                    self.next_tag += 1;
                }
                Err(SendError::Full) => {
                    self.ready.push_front(place);
                    return Ok(());
                }
                Err(why) => self.failed(place, &why, now),
            }
        }
        Ok(())
    }

    /// The log has it.
    pub(super) fn acknowledged(&mut self, sender: Sender, tag: u64) {
        if self.sender == Some(sender)
            && let Some(place) = self.sent.remove(&tag)
        {
            self.done(place);
        }
    }

    /// It was not confirmed.
    pub(super) fn not_sent(&mut self, sender: Sender, tag: u64, why: &SendError, now: Millis) {
        if self.sender == Some(sender)
            && let Some(place) = self.sent.remove(&tag)
        {
            self.failed(place, why, now);
        }
    }

    /// What this sender has not confirmed is sent again, by another one: a reply that comes twice does no harm.
    pub(super) fn doubted(&mut self, sender: Sender, why: &str, now: Millis) {
        if self.sender != Some(sender) {
            return;
        }
        tracing::warn!(why, "replies in doubt: sending them again");
        self.stale.extend(self.sender.take());
        self.renew_at = now + AGAIN_MS;
        self.ready.extend(self.sent.drain().map(|(_, place)| place));
    }

    fn failed(&mut self, place: Place, why: &SendError, now: Millis) {
        let Some(reply) = self.lanes.get_mut(&place.0).and_then(|lane| lane.open.get_mut(&place.1)) else { return };
        match why {
            SendError::Refused(_) if reply.tries + 1 < TRIES_MAX => {
                reply.tries += 1;
                self.later.insert((now + PAUSE_MS, place));
            }
            SendError::TooBig(_) | SendError::Refused(_) => {
                tracing::warn!(%why, reply_to = reply.to, partition = reply.partition, "a reply is given up");
                self.done(place);
            }
            SendError::Full | SendError::Unknown(_) => drop(self.later.insert((now + AGAIN_MS, place))),
            SendError::Broken(why) => {
                self.ready.push_back(place);
                if let Some(sender) = self.sender {
                    self.doubted(sender, why, now);
                }
            }
        }
    }

    fn done(&mut self, (at, offset): Place) {
        if let Some(lane) = self.lanes.get_mut(&at) {
            lane.open.remove(&offset);
        }
    }

    /// Partitions with more to commit than before, and up to where: nothing that is open is passed.
    pub(super) fn commits(&mut self) -> Vec<(TopicPartition, i64)> {
        let mut commits = Vec::new();
        for (at, lane) in &mut self.lanes {
            let next = lane.open.keys().next().copied().unwrap_or(lane.next);
            if next > lane.committed {
                lane.committed = next;
                commits.push((*at, next));
            }
        }
        commits
    }
}

/// The handle of a reply topic; none if there are too many.
fn topic(known: &mut HashMap<String, Topic>, bus: &mut impl Bus, name: &str) -> Option<Topic> {
    if !known.contains_key(name) {
        if known.len() >= TOPICS_MAX {
            return None;
        }
        known.insert(name.to_owned(), bus.topic(name));
    }
    known.get(name).copied()
}
