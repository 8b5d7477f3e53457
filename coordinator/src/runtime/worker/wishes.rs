//! What partitions wish, done on the bus.

use ringmaster_bus::{Bus, Message, SendError, TopicPartition};
use ringmaster_core::faults::reached;
use ringmaster_core::partition::{Forward, Happened, Tag, Why, Wish};
use ringmaster_schemas::Millis;
use smallvec::SmallVec;

use super::hosted::Hosted;
use super::{Inner, Stop};
use crate::runtime::clock::Now;
use crate::runtime::effects::Address;

/// Headers that most effects have at most.
const HEADERS: usize = 10;

impl Inner {
    pub(super) fn end_of_poll(&mut self, now: Now) {
        for place in 0..self.hosts.len() {
            let number = self.hosts.number_at(place);
            // What was begun is finished, nothing new begins.
            let is_leaving = self.some_leave && self.is_leaving(number);
            self.tell(number, now, if is_leaving { Happened::PollEndedInStop } else { Happened::PollEnded });
        }
    }

    /// Does what the partitions wish, until they wish nothing more.
    pub(super) fn execute(&mut self, bus: &mut impl Bus, now: Now) {
        for (number, tag) in std::mem::take(&mut self.unsent) {
            if let Some(hosted) = self.hosts.get_mut(number) {
                hosted.wishes.push(Wish::Send(tag));
            }
        }
        loop {
            if let Some(why) = self.doubt.take() {
                self.give_up_sender(bus, &why, now);
            }
            let mut idle = true;
            for place in 0..self.hosts.len() {
                let number = self.hosts.number_at(place);
                let wishes = self.hosts.get_mut(number).map(|hosted| std::mem::take(&mut hosted.wishes)).unwrap_or_default();
                if !wishes.is_empty() {
                    idle = false;
                    self.execute_one(bus, number, wishes, now);
                }
            }
            if idle && self.doubt.is_none() {
                debug_assert!(
                    self.hosts.iter().all(|hosted| hosted.wishes.is_empty()),
                    "a wish left here waits for the next event"
                );
                return;
            }
        }
    }

    fn execute_one(&mut self, bus: &mut impl Bus, number: i32, mut wishes: Vec<Wish>, now: Now) {
        let mut sends = Vec::new();
        for wish in wishes.drain(..) {
            match wish {
                Wish::Send(tag) => sends.push(tag),
                other => self.execute_wish(bus, number, other, now),
            }
        }
        if let Some(hosted) = self.hosts.get_mut(number)
            && hosted.wishes.is_empty()
        {
            hosted.wishes = wishes;
        }
        self.send(bus, number, &sends, now);
    }

    fn execute_wish(&mut self, bus: &mut impl Bus, number: i32, wish: Wish, now: Now) {
        let journal = TopicPartition { topic: self.journal, partition: number };
        let snapshots = TopicPartition { topic: self.snapshots, partition: number };
        let input = |index: usize, inner: &Inner| inner.input_at(index, number);
        match wish {
            Wish::Append { bytes, tag } => self.append(bus, number, &bytes, tag, now),
            Wish::Forward(forward) => {
                let Forward { to, key, bytes, tag } = *forward;
                let to = TopicPartition { topic: self.inbox, partition: to };
                self.send_one(bus, number, Message { to, key: key.as_deref(), value: &bytes, headers: &[] }, tag, now);
            }
            Wish::Send(_) => unreachable!("sends are taken together"),
            Wish::ReadJournal(from) => bus.read(journal, from),
            Wish::StopJournal => bus.stop(journal),
            Wish::AskJournal => bus.ask_bounds(journal),
            Wish::AskSnapshots => bus.ask_bounds(snapshots),
            Wish::ReadSnapshots(from) => bus.read(snapshots, from),
            Wish::StopSnapshots => bus.stop(snapshots),
            Wish::ReadInput(index, from) if !self.is_leaving(number) => {
                reached("resend_done_before_read");
                bus.read(input(index, self), from);
            }
            Wish::ReadInput(_, _) => {}
            Wish::StopInputs => (0..self.inputs.len()).for_each(|index| bus.stop(input(index, self))),
            Wish::AskInput(index) => bus.ask_bounds(input(index, self)),
            Wish::AskInputAt(index, time) => bus.ask_offset_at(input(index, self), time),
            Wish::AskDefinitions => bus.ask_bounds(self.definitions),
            Wish::Pause(index, paused) => bus.pause(&[input(index, self)], paused),
            Wish::Doubt(why) => {
                self.doubt.get_or_insert(why);
            }
            Wish::Ready => self.hosts.get_mut(number).expect("it wishes").ready = true,
            Wish::Owned => {
                self.owned_since = now.steady;
                // What was replayed is to be seen at once: the store may have been another instance's until now.
                self.hosts.get_mut(number).expect("it wishes").checkpoint_at = Millis::MIN;
                tracing::info!(partition = number, "owned");
            }
            Wish::ClearStore => {
                tracing::warn!(partition = number, "the stored state is none to go on from: it is moved aside, and made anew");
                if let Err(error) = self.store.clear(number) {
                    self.store_failed(number, &error);
                }
            }
            Wish::Tell(note) => self.diary.tell(number, note, now.steady),
            Wish::StepDown(Why::Fenced { owner, address, .. }) => self.fenced(number, owner, address),
            Wish::StepDown(why) => {
                tracing::error!(partition = number, %why, "stopped");
                self.stop.get_or_insert(Stop::Partition(why));
            }
        }
    }

    fn append(&mut self, bus: &mut impl Bus, number: i32, bytes: &[u8], tag: Tag, now: Now) {
        let to = TopicPartition { topic: self.journal, partition: number };
        reached(if tag == Tag::Claim { "claim_sent" } else { "first_appended_second_on_wire" });
        self.send_one(bus, number, Message { to, key: None, value: bytes, headers: &[] }, tag, now);
    }

    /// Sends a record; one that the bus does not take has failed like any other.
    fn send_one(&mut self, bus: &mut impl Bus, number: i32, message: Message<'_>, tag: Tag, now: Now) {
        let (Some(sender), Some(hosted)) = (self.sender, self.hosts.get(number)) else { return };
        let address = Address { partition: number, epoch: hosted.epoch, tag };
        if let Err(why) = bus.send(sender, message, address.encode()) {
            let full = || SendError::Unknown("the send queue is full".into());
            self.failed(number, sender, tag, if why == SendError::Full { full() } else { why }, now);
        }
    }

    /// Sends effects in bursts by topic: alternating topics record by record costs half as much again on Kafka.
    fn send(&mut self, bus: &mut impl Bus, number: i32, tags: &[Tag], now: Now) {
        let Inner { sender: Some(sender), hosts, routes, unsent, .. } = self else { return };
        let (sender, Some(Hosted { partition, epoch, .. })) = (*sender, hosts.get_mut(number)) else { return };
        let mut refused = Vec::new();
        for tag in routes.order(partition, tags) {
            let Some(effect) = partition.effect(tag) else {
                continue;
            };
            let Some(to) = routes.to(&effect.topic, effect.key()) else {
                refused.push((tag, unknown_topic(&effect.topic)));
                continue;
            };
            let headers: SmallVec<[(&str, &str); HEADERS]> = effect.headers().collect();
            let message = Message { to, key: Some(effect.key()), value: effect.value(), headers: &headers };
            match bus.send(sender, message, Address { partition: number, epoch: *epoch, tag }.encode()) {
                Ok(()) => {}
                Err(SendError::Full) => unsent.push((number, tag)),
                Err(why) => refused.push((tag, why)),
            }
            reached("later_effect_acked_earlier_not");
            reached("resend_half");
        }
        for (tag, why) in refused {
            self.failed(number, sender, tag, why, now);
        }
        if !tags.is_empty() {
            reached("resend_unacked");
        }
    }
}

/// A topic that only a version sends to that is not in force any more need not exist; what goes there waits as undeliverable.
fn unknown_topic(topic: &str) -> SendError {
    SendError::Refused(format!("the topic '{topic}' does not exist, or is not as it must be: `ringmaster topics apply` makes it"))
}
