//! Replies that the broker has not acknowledged yet, and how far reading may be committed behind them.
//!
//! Every record read from a partition takes a slot of its lane, in order; a slot is done when its reply is acknowledged (or none is
//! needed). The offset behind the contiguous done slots is what may be committed: a crash reads the rest again and answers it from
//! the ledger. A reply may be sent twice (after a doubt), which its reader recognises; it is never not sent.

mod lane;

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;

use ringmaster_bus::{Bus, BusError, Message, SendError, Sender, Topic, TopicPartition};
use ringmaster_schemas::Millis;

use lane::{Arena, LANE_SHIFT, Lane, Slot, State};

/// Different reply topics a service remembers; hostile commands could name any number. More are not answered.
const REPLY_TOPICS_MAX: usize = 64;
/// How often a reply is tried that its topic refuses (it may be created late) before it is given up: the command is asked again
/// and answered from the ledger.
const REFUSED_TRIES_MAX: u8 = 10;
/// Pause between those tries.
const REFUSED_PAUSE_MS: Millis = 1_000;
/// Pauses before a broken sender is replaced: growing, so that an outage costs nothing, and short enough to be over with it.
const RENEW_PAUSE_MS: Range<Millis> = 100..5_000;
/// The tag of a reply's deliberate repetition, whose fate nobody waits for.
const NO_TAG: u64 = u64::MAX;
/// No arena is open.
const NO_ARENA: u32 = u32::MAX;

/// What replies came to, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReplyCounts {
    /// Handed to the bus, repetitions included.
    pub sent: u64,
    /// In the log.
    pub acknowledged: u64,
    /// Sent once more because it was not known whether they arrived.
    pub resent: u64,
    /// Given up: too large, or their topic refuses them.
    pub undeliverable: u64,
}

/// What is to be done with a rendered reply.
pub(crate) struct Pending {
    pub(crate) reply_to: ReplyTopic,
    pub(crate) partition: i32,
    /// Not before.
    pub(crate) due_at: Millis,
    pub(crate) repeated: bool,
}

/// A reply topic by its place in a table, since names cannot be resolved while the bus is polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReplyTopic(u16);

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    lanes: Vec<Lane>,
    arenas: Vec<Arena>,
    free: Vec<u32>,
    /// Arena that this turn's replies are rendered into.
    current: u32,
    /// Replies to be sent, by reply partition and tag: bursts per partition are what makes sending cheap.
    ready: Vec<(u64, u64)>,
    later: BTreeSet<(Millis, u64)>,
    topics: Vec<(Box<str>, Option<Topic>)>,
    sender: Option<Sender>,
    /// Senders to be closed; what still happens to them is ignored.
    stale: Vec<Sender>,
    renew_at: Millis,
    renew_pause_ms: Millis,
    waiting: usize,
    waiting_bytes: usize,
    pub(crate) counts: ReplyCounts,
}

impl Outbox {
    /// Begins anew on these partitions of the command topic (`lanes[n]` is partition n). What was unanswered is read again.
    pub(crate) fn reset(&mut self, lanes: Vec<TopicPartition>) {
        let fresh = |at| Lane { at, first: 0, slots: VecDeque::new(), next: None, committed: None };
        let mut stale = std::mem::take(&mut self.stale);
        stale.extend(self.sender);
        *self = Outbox {
            lanes: lanes.into_iter().map(fresh).collect(),
            topics: std::mem::take(&mut self.topics),
            stale,
            counts: self.counts,
            renew_at: self.renew_at,
            renew_pause_ms: self.renew_pause_ms,
            ..Outbox::default()
        };
    }

    /// Replies that are not acknowledged.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Their bytes.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// When a held reply or a new sender is due, if one is.
    pub(crate) fn due_at(&self) -> Option<Millis> {
        let held = self.later.first().map(|&(due, _)| due);
        let renewal = (self.sender.is_none() && !self.ready.is_empty()).then_some(self.renew_at);
        held.into_iter().chain(renewal).min()
    }

    /// Begins a turn: the arena that [`Outbox::arena`] gives is empty.
    pub(crate) fn open_arena(&mut self) {
        self.current = self.free.pop().unwrap_or_else(|| {
            self.arenas.push(Arena::default());
            u32::try_from(self.arenas.len() - 1).expect("arenas are bounded by replies in flight")
        });
        self.arenas[self.current as usize].bytes.clear();
    }

    /// Ends a turn: an arena that nothing waits in is free again.
    pub(crate) fn close_arena(&mut self) {
        if self.arenas[self.current as usize].waiting == 0 {
            self.free.push(self.current);
        }
        self.current = NO_ARENA;
    }

    /// Where this turn's keys and values are rendered, one behind the other.
    pub(crate) fn arena(&mut self) -> &mut Vec<u8> {
        &mut self.arenas[self.current as usize].bytes
    }

    /// The place of a reply topic; none if there are too many.
    pub(crate) fn reply_topic(&mut self, name: &str) -> Option<ReplyTopic> {
        let known = self.topics.iter().position(|(known, _)| **known == *name);
        let place = match known {
            Some(place) => place,
            None if self.topics.len() < REPLY_TOPICS_MAX => {
                self.topics.push((name.into(), None));
                self.topics.len() - 1
            }
            None => return None,
        };
        Some(ReplyTopic(place as u16))
    }

    /// A record that needs no reply.
    pub(crate) fn skip(&mut self, lane: usize, next_offset: i64) {
        self.lanes[lane].slots.push_back(Slot::done(next_offset));
        self.lanes[lane].advance();
    }

    /// A record whose reply stands in the arena from `start` on: first the key, then the value.
    pub(crate) fn queue(
        &mut self,
        lane: usize,
        next_offset: i64,
        start: usize,
        key: Option<&[u8]>,
        pending: &Pending,
        now: Millis,
    ) {
        let arena = &mut self.arenas[self.current as usize];
        let key_length = key.map_or(0, <[u8]>::len);
        let length = arena.bytes.len() - start;
        arena.waiting += 1;
        let tag = self.lanes[lane].tag_behind(lane);
        self.lanes[lane].slots.push_back(Slot {
            next_offset,
            state: State::Waiting,
            arena: self.current,
            start: u32::try_from(start).expect("a turn's replies are bounded"),
            key_length: key_length as u32,
            value_length: (length - key_length) as u32,
            has_key: key.is_some(),
            repeated: pending.repeated,
            tries: 0,
            reply_to: pending.reply_to,
            partition: pending.partition,
        });
        self.waiting += 1;
        self.waiting_bytes += length;
        match pending.due_at <= now {
            true => self.ready.push((burst(pending.reply_to, pending.partition), tag)),
            false => {
                self.later.insert((pending.due_at, tag));
            }
        }
    }

    /// Sends what is due, by partition. What the bus does not take now stays for the next call.
    pub(crate) fn send(&mut self, bus: &mut impl Bus, now: Millis) -> Result<(), BusError> {
        while let Some(&(due, tag)) = self.later.first()
            && due <= now
        {
            self.later.pop_first();
            let slot = self.slot(tag).expect("a held reply has its slot");
            let place = burst(slot.reply_to, slot.partition);
            self.ready.push((place, tag));
        }
        if self.ready.is_empty() {
            return Ok(());
        }
        let Some(sender) = self.sender(bus, now)? else {
            return Ok(());
        };
        for (name, topic) in &mut self.topics {
            topic.get_or_insert_with(|| bus.topic(name));
        }
        let mut ready = std::mem::take(&mut self.ready);
        ready.sort_by_key(|&(place, _)| place);
        let mut taken = 0;
        for &(_, tag) in &ready {
            if !self.send_one(bus, sender, tag, now) {
                break;
            }
            taken += 1;
        }
        ready.drain(..taken);
        // A broken sender puts everything that is not acknowledged back into `ready`; what was not tried is among it.
        if self.sender.is_some() {
            self.ready.append(&mut ready);
        }
        Ok(())
    }

    /// Sends one reply; `false` if nothing more can be sent now.
    fn send_one(&mut self, bus: &mut impl Bus, sender: Sender, tag: u64, now: Millis) -> bool {
        let Some(slot) = self.slot(tag) else {
            return true;
        };
        let (repeated, message) = (slot.repeated, self.message(slot));
        match bus.send(sender, message, tag) {
            Ok(()) => {
                self.counts.sent += 1;
                if repeated && bus.send(sender, self.message(self.slot(tag).expect("it was just sent")), NO_TAG).is_ok() {
                    self.counts.sent += 1;
                }
                self.slot_mut(tag).expect("it was just sent").state = State::Sent;
                true
            }
            Err(SendError::Full) => false,
            Err(why) => {
                self.failed(tag, &why, now);
                self.sender.is_some()
            }
        }
    }

    fn message(&self, slot: &Slot) -> Message<'_> {
        let start = slot.start as usize;
        let value = start + slot.key_length as usize;
        let bytes = &self.arenas[slot.arena as usize].bytes;
        let topic = self.topics[usize::from(slot.reply_to.0)].1.expect("reply topics are resolved before they are sent to");
        Message {
            to: TopicPartition { topic, partition: slot.partition },
            key: slot.has_key.then(|| &bytes[start..value]),
            value: &bytes[value..value + slot.value_length as usize],
            headers: &[],
        }
    }

    /// The broker has it.
    pub(crate) fn acknowledged(&mut self, sender: Sender, tag: u64) {
        if self.sender != Some(sender) || tag == NO_TAG {
            return;
        }
        self.counts.acknowledged += 1;
        self.renew_pause_ms = 0;
        self.done(tag);
    }

    /// The bus could not confirm it.
    pub(crate) fn not_sent(&mut self, sender: Sender, tag: u64, why: &SendError, now: Millis) {
        if self.sender == Some(sender) && tag != NO_TAG {
            self.failed(tag, why, now);
        }
    }

    fn failed(&mut self, tag: u64, why: &SendError, now: Millis) {
        let Some(slot) = self.slot_mut(tag) else {
            return;
        };
        slot.state = State::Waiting;
        match why {
            SendError::TooBig(_) => self.give_up(tag, why),
            SendError::Refused(_) if slot.tries + 1 >= REFUSED_TRIES_MAX => self.give_up(tag, why),
            SendError::Refused(_) => {
                slot.tries += 1;
                self.later.insert((now + REFUSED_PAUSE_MS, tag));
            }
            SendError::Full | SendError::Unknown(_) => {
                self.counts.resent += 1;
                self.later.insert((now + RENEW_PAUSE_MS.start, tag));
            }
            SendError::Broken(why) => {
                let why = why.clone();
                self.doubt(&why, now);
            }
        }
    }

    fn give_up(&mut self, tag: u64, why: &SendError) {
        self.counts.undeliverable += 1;
        if let Some(slot) = self.slot(tag) {
            let topic = &*self.topics[usize::from(slot.reply_to.0)].0;
            tracing::warn!(%why, reply_to = topic, partition = slot.partition, "reply given up; its answer is in the ledger");
        }
        self.done(tag);
    }

    /// The client doubts its connection: everything unacknowledged is sent again, by a new sender.
    pub(crate) fn doubted(&mut self, sender: Sender, why: &str, now: Millis) {
        if self.sender == Some(sender) {
            self.doubt(why, now);
        }
    }

    fn doubt(&mut self, why: &str, now: Millis) {
        tracing::warn!(why, waiting = self.waiting, "replies in doubt: sending them again by a new sender");
        self.renew_pause_ms = (self.renew_pause_ms * 2).clamp(RENEW_PAUSE_MS.start, RENEW_PAUSE_MS.end);
        self.renew_at = now + self.renew_pause_ms;
        self.stale.extend(self.sender.take());
        self.ready.clear();
        let held: BTreeSet<u64> = self.later.iter().map(|&(_, tag)| tag).collect();
        for (number, lane) in self.lanes.iter_mut().enumerate() {
            for (slot, at) in lane.slots.iter_mut().zip(lane.first..) {
                let tag = ((number as u64) << LANE_SHIFT) | at;
                if slot.state != State::Done && !held.contains(&tag) {
                    self.counts.resent += u64::from(slot.state == State::Sent);
                    slot.state = State::Waiting;
                    self.ready.push((burst(slot.reply_to, slot.partition), tag));
                }
            }
        }
    }

    fn sender(&mut self, bus: &mut impl Bus, now: Millis) -> Result<Option<Sender>, BusError> {
        for stale in self.stale.drain(..) {
            bus.close_sender(stale);
        }
        if self.sender.is_none() && now >= self.renew_at {
            self.sender = match bus.open_sender() {
                Ok(sender) => Some(sender),
                Err(BusError::Unreachable(why)) => {
                    tracing::warn!(why, "no sender: trying again");
                    self.renew_at = now + RENEW_PAUSE_MS.end;
                    None
                }
                Err(other) => return Err(other),
            };
        }
        Ok(self.sender)
    }

    /// Partitions whose committed offset is behind, with what may be committed; they count as committed from here.
    pub(crate) fn commits(&mut self, out: &mut Vec<(TopicPartition, i64)>) {
        out.clear();
        for lane in &mut self.lanes {
            if let Some(next) = lane.next
                && lane.committed != lane.next
            {
                lane.committed = lane.next;
                out.push((lane.at, next));
            }
        }
    }

    fn done(&mut self, tag: u64) {
        let Some(slot) = self.slot_mut(tag) else {
            return;
        };
        if slot.state == State::Done {
            return;
        }
        slot.state = State::Done;
        let (arena, length) = (slot.arena, (slot.key_length + slot.value_length) as usize);
        self.waiting -= 1;
        self.waiting_bytes -= length;
        let bytes = &mut self.arenas[arena as usize];
        bytes.waiting -= 1;
        if bytes.waiting == 0 && arena != self.current {
            self.free.push(arena);
        }
        self.lanes[(tag >> LANE_SHIFT) as usize].advance();
    }

    fn slot(&self, tag: u64) -> Option<&Slot> {
        let lane = self.lanes.get((tag >> LANE_SHIFT) as usize)?;
        let number = tag & ((1 << LANE_SHIFT) - 1);
        lane.slots.get(usize::try_from(number.checked_sub(lane.first)?).ok()?)
    }

    fn slot_mut(&mut self, tag: u64) -> Option<&mut Slot> {
        let lane = self.lanes.get_mut((tag >> LANE_SHIFT) as usize)?;
        let number = tag & ((1 << LANE_SHIFT) - 1);
        lane.slots.get_mut(usize::try_from(number.checked_sub(lane.first)?).ok()?)
    }
}

/// Orders replies by where they go.
fn burst(topic: ReplyTopic, partition: i32) -> u64 {
    (u64::from(topic.0) << 32) | u64::from(partition as u32)
}
