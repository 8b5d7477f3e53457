//! A partition that is read: one slot for each record, in order, until its reply is acknowledged.

use std::collections::VecDeque;

use ringmaster_bus::TopicPartition;

use super::ReplyTopic;

/// A tag is the lane in the upper bits, the slot's number in the lower.
pub(super) const LANE_SHIFT: u32 = 44;

/// One partition that is read.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) at: TopicPartition,
    /// Number of the first slot.
    pub(super) first: u64,
    pub(super) slots: VecDeque<Slot>,
    /// What may be committed; none before anything is done.
    pub(super) next: Option<i64>,
    pub(super) committed: Option<i64>,
}

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) next_offset: i64,
    pub(super) state: State,
    pub(super) arena: u32,
    pub(super) start: u32,
    pub(super) key_length: u32,
    pub(super) value_length: u32,
    pub(super) has_key: bool,
    pub(super) repeated: bool,
    pub(super) tries: u8,
    pub(super) reply_to: ReplyTopic,
    pub(super) partition: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Waiting,
    Sent,
    Done,
}

/// The bytes of one turn's replies; free for another turn when all are acknowledged.
#[derive(Debug, Default)]
pub(super) struct Arena {
    pub(super) bytes: Vec<u8>,
    pub(super) waiting: u32,
}

impl Slot {
    /// Of a record that needs no reply.
    pub(super) fn done(next_offset: i64) -> Self {
        Slot {
            next_offset,
            state: State::Done,
            arena: 0,
            start: 0,
            key_length: 0,
            value_length: 0,
            has_key: false,
            repeated: false,
            tries: 0,
            reply_to: ReplyTopic(0),
            partition: 0,
        }
    }
}

impl Lane {
    pub(super) fn advance(&mut self) {
        while let Some(slot) = self.slots.front()
            && slot.state == State::Done
        {
            self.next = Some(slot.next_offset);
            self.first += 1;
            self.slots.pop_front();
        }
    }

    pub(super) fn tag_behind(&self, lane: usize) -> u64 {
        ((lane as u64) << LANE_SHIFT) | (self.first + self.slots.len() as u64)
    }
}
