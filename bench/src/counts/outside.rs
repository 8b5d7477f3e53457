//! A bus whose own work is not counted: only what the worker does between its calls, and what it does with each event.

use std::time::Duration;

use ringmaster_bus::{
    Bus, BusError, BusEvent, Description, Message, SendError, Sender, Specification, Topic, TopicPartition, Waker,
};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::TopicId;

use super::allocator::cross;

/// A bus behind the line.
pub(super) struct Outside<B>(pub(super) B);

impl<B: Bus> Bus for Outside<B> {
    fn topic(&mut self, name: &str) -> Topic {
        cross(|| self.0.topic(name))
    }
    fn name_of(&self, topic: Topic) -> &str {
        cross(|| self.0.name_of(topic))
    }
    fn describe(&mut self, names: &[&str]) -> Result<Vec<Option<Description>>, BusError> {
        cross(|| self.0.describe(names))
    }
    fn create(&mut self, what: &Specification) -> Result<bool, BusError> {
        cross(|| self.0.create(what))
    }
    fn delete_before(&mut self, at: TopicPartition, offset: i64) -> Result<(), BusError> {
        cross(|| self.0.delete_before(at, offset))
    }
    fn open_sender(&mut self) -> Result<Sender, BusError> {
        cross(|| self.0.open_sender())
    }
    fn close_sender(&mut self, sender: Sender) {
        cross(|| self.0.close_sender(sender));
    }
    fn send(&mut self, sender: Sender, message: Message<'_>, tag: u64) -> Result<(), SendError> {
        cross(|| self.0.send(sender, message, tag))
    }
    fn turn_min(&self) -> Duration {
        self.0.turn_min()
    }
    fn full_poll(&self) -> Option<usize> {
        self.0.full_poll()
    }
    fn flush(&mut self) {
        cross(|| self.0.flush());
    }

    fn read(&mut self, at: TopicPartition, from: i64) {
        cross(|| self.0.read(at, from));
    }
    fn stop(&mut self, at: TopicPartition) {
        cross(|| self.0.stop(at));
    }
    fn pause(&mut self, which: &[TopicPartition], paused: bool) {
        cross(|| self.0.pause(which, paused));
    }
    fn ask_bounds(&mut self, at: TopicPartition) {
        cross(|| self.0.ask_bounds(at));
    }
    fn ask_offset_at(&mut self, at: TopicPartition, time: Millis) {
        cross(|| self.0.ask_offset_at(at, time));
    }
    fn expect(&mut self, topic: Topic, id: TopicId) {
        cross(|| self.0.expect(topic, id));
    }
    fn ask_topics(&mut self, topics: &[Topic], question: u64) {
        cross(|| self.0.ask_topics(topics, question));
    }
    fn join(&mut self, group: &str, topics: &[Topic]) -> Result<(), BusError> {
        cross(|| self.0.join(group, topics))
    }
    fn commit(&mut self, group: &str, next: &[(TopicPartition, i64)]) {
        cross(|| self.0.commit(group, next));
    }
    fn committed(&mut self, group: &str, of: &[TopicPartition]) -> Result<Vec<Option<i64>>, BusError> {
        cross(|| self.0.committed(group, of))
    }
    fn poll(&mut self, wait_max: Duration, visit: &mut dyn FnMut(BusEvent<'_>)) -> usize {
        cross(|| self.0.poll(wait_max, &mut |event| cross(|| visit(event))))
    }
    fn waker(&self) -> Waker {
        cross(|| self.0.waker())
    }
}
