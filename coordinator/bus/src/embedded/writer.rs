//! What one client sends: collected per topic-partition, written at its next poll, acknowledged in order.

use std::collections::VecDeque;
use std::sync::Arc;

use super::format::{BatchBuilder, size_max};
use super::log::Shared;
use super::partition::Partition;
use crate::{BusEvent, Message, SendError, Sender, TopicPartition};

/// Collected bytes of one topic-partition that are written without waiting for the next poll: bounds memory, and larger writes are
/// not cheaper.
const BATCH_BYTES_MAX: usize = 256 << 10;
/// Records that were sent and whose acknowledgement was not visited yet; a client that polls now and then never sees it.
const QUEUED_COUNT_MAX: usize = 1_000_000;

/// The sending half of a client.
#[derive(Debug, Default)]
pub(super) struct Writer {
    /// By topic handle, then by partition; none until the first send.
    destinations: Vec<Vec<Option<Destination>>>,
    /// Those with collected records, in the order of their first.
    dirty: Vec<TopicPartition>,
    written: VecDeque<Written>,
    queued_count: usize,
    open: Vec<Sender>,
    opened_count: u32,
    /// Emptied lists of tags, to be filled again.
    spare: Vec<Vec<(Sender, u64)>>,
}

#[derive(Debug)]
struct Destination {
    partition: Arc<Partition>,
    batch: BatchBuilder,
    /// Of each collected record.
    tags: Vec<(Sender, u64)>,
}

/// A batch that was written, or not, and has acknowledgements to be visited.
#[derive(Debug)]
struct Written {
    base: Result<i64, SendError>,
    tags: Vec<(Sender, u64)>,
    visited: usize,
}

impl Writer {
    pub(super) fn open_sender(&mut self) -> Sender {
        let sender = Sender(self.opened_count);
        self.opened_count += 1;
        self.open.push(sender);
        sender
    }

    pub(super) fn close_sender(&mut self, sender: Sender) {
        self.open.retain(|&open| open != sender);
    }

    /// Collects a record; `name` is that of the topic.
    pub(super) fn send(
        &mut self,
        log: &Shared,
        name: &str,
        sender: Sender,
        message: &Message<'_>,
        tag: u64,
    ) -> Result<(), SendError> {
        if !self.open.contains(&sender) {
            return Err(SendError::Broken("it was closed".to_owned()));
        }
        if self.queued_count >= QUEUED_COUNT_MAX {
            return Err(SendError::Full);
        }
        let destination = self.destination(log, name, message.to)?;
        let (bytes, bytes_max) = (size_max(message), destination.partition.keeping.record_bytes_max);
        if bytes > bytes_max {
            return Err(SendError::TooBig(format!("{bytes} bytes; {name} takes {bytes_max} (max.message.bytes)")));
        }
        destination.batch.push(message);
        destination.tags.push((sender, tag));
        let (first, full) = (destination.batch.count() == 1, destination.batch.bytes().len() >= BATCH_BYTES_MAX);
        self.queued_count += 1;
        if first {
            self.dirty.push(message.to);
        }
        if full {
            self.dirty.retain(|&dirty| dirty != message.to);
            self.write(message.to);
        }
        Ok(())
    }

    /// Writes everything that was collected, one write per topic-partition.
    pub(super) fn flush(&mut self) {
        let mut dirty = std::mem::take(&mut self.dirty);
        for to in dirty.drain(..) {
            self.write(to);
        }
        self.dirty = dirty;
    }

    /// Visits acknowledgements and failures, at most so many; returns how many.
    pub(super) fn visit(&mut self, count_max: usize, visit: &mut dyn FnMut(BusEvent<'_>)) -> usize {
        let mut count = 0;
        while count < count_max {
            let Some(front) = self.written.front_mut() else {
                break;
            };
            let end = front.tags.len().min(front.visited + count_max - count);
            for (at, &(sender, tag)) in front.tags[..end].iter().enumerate().skip(front.visited) {
                if !self.open.contains(&sender) {
                    continue;
                }
                visit(match &front.base {
                    Ok(base) => BusEvent::Acknowledged { sender, tag, offset: Some(base + at as i64) },
                    Err(why) => BusEvent::Failed { sender, tag, why: why.clone() },
                });
            }
            count += end - front.visited;
            self.queued_count -= end - front.visited;
            front.visited = end;
            if end == front.tags.len() {
                let mut tags = self.written.pop_front().expect("it is there").tags;
                tags.clear();
                self.spare.push(tags);
            }
        }
        count
    }

    fn write(&mut self, to: TopicPartition) {
        let destination = self.destinations[usize::from(to.topic.0)][to.partition as usize].as_mut().expect("it was collected for");
        let base = destination.partition.append(&mut destination.batch);
        if let Err(why) = &base {
            tracing::error!(records = destination.tags.len(), %why, "a batch could not be written");
        }
        let tags = std::mem::replace(&mut destination.tags, self.spare.pop().unwrap_or_default());
        self.written.push_back(Written { base, tags, visited: 0 });
    }

    fn destination(&mut self, log: &Shared, name: &str, to: TopicPartition) -> Result<&mut Destination, SendError> {
        let (topic, partition) = (usize::from(to.topic.0), usize::try_from(to.partition).unwrap_or(usize::MAX));
        let known = self.destinations.get(topic).and_then(|partitions| partitions.get(partition)).and_then(Option::as_ref);
        // One that still has records of the deleted topic fails them first.
        let usable = known.is_some_and(|known| !known.partition.is_deleted() || known.batch.count() > 0);
        if !usable {
            let new =
                Destination { partition: find(log, name, partition)?, batch: BatchBuilder::with_capacity(0), tags: Vec::new() };
            if self.destinations.len() <= topic {
                self.destinations.resize_with(topic + 1, Vec::new);
            }
            let partitions = &mut self.destinations[topic];
            if partitions.len() <= partition {
                partitions.resize_with(partition + 1, || None);
            }
            partitions[partition] = Some(new);
        }
        Ok(self.destinations[topic][partition].as_mut().expect("just made"))
    }
}

fn find(log: &Shared, name: &str, partition: usize) -> Result<Arc<Partition>, SendError> {
    if !log.is_owned() {
        return Err(SendError::Refused("the log is open for reading only".to_owned()));
    }
    let topic = log.find(name).ok_or_else(|| SendError::Refused(format!("there is no topic {name}")))?;
    let count = topic.partitions.len();
    let found = topic.partitions.get(partition).ok_or_else(|| SendError::Refused(format!("{name} has {count} partitions only")))?;
    Ok(Arc::clone(found))
}
