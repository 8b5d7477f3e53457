//! One partition as one client reads it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use ringmaster_schemas::journal::TopicId;

use super::format::{Batch, RecordBytes};
use super::log::Shared;
use super::partition::{Cursor, Fetched, Partition, Watcher};
use crate::signal::Signal;
use crate::{BusEvent, Headers, Record, TopicPartition};

/// Why nothing is read of a topic that is not the one it must be.
pub(super) const MADE_AGAIN: &str = "it was deleted and made again: this is another topic, and nothing of it is read";

/// A position in a partition, and the batches ahead of it that are in memory.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) at: TopicPartition,
    pub(super) paused: bool,
    /// The identity that the topic must have; none if that does not matter.
    pub(super) expected: Option<TopicId>,
    /// It reads for a group: another topic of the name is read from its start.
    pub(super) is_member: bool,
    /// The topic that `position` is about, once it was there.
    opened: Option<TopicId>,
    name: String,
    /// The next offset to visit; the watcher shows it to the partition, which keeps what is needed.
    position: i64,
    source: Source,
    batches: VecDeque<Batch>,
    /// Bytes and records of the first batch that were visited or skipped.
    done_bytes: usize,
    done_count: i64,
    cursor: Cursor,
    /// The end at this position was reported.
    told_end: bool,
}

#[derive(Debug)]
enum Source {
    Open(Arc<Partition>, Watcher),
    /// The topic is not there; `told` if that was reported.
    Missing {
        told: bool,
    },
    /// It is out of range or damaged, which was reported; only another [`Reader::seek`] helps.
    Stopped(Arc<Partition>),
}

impl Reader {
    pub(super) fn new(at: TopicPartition, name: &str, expected: Option<TopicId>, from: i64) -> Self {
        Self {
            at,
            paused: false,
            expected,
            is_member: false,
            opened: None,
            name: name.to_owned(),
            position: from,
            source: Source::Missing { told: false },
            batches: VecDeque::new(),
            done_bytes: 0,
            done_count: 0,
            cursor: Cursor::default(),
            told_end: false,
        }
    }

    /// Goes on from another position.
    pub(super) fn seek(&mut self, from: i64) {
        self.close();
        self.source = Source::Missing { told: false };
        (self.position, self.opened) = (from, None);
        self.drop_batches();
        self.told_end = false;
    }

    pub(super) fn pause(&mut self, paused: bool) {
        self.paused = paused;
        self.told_end &= paused;
    }

    /// Finds the partition, if it is there now.
    pub(super) fn open(&mut self, log: &Shared, signal: &Arc<Signal>) {
        if !matches!(self.source, Source::Missing { .. }) {
            return;
        }
        let Some(topic) = log.find(&self.name).filter(|topic| self.expected.is_none_or(|id| id == topic.id)) else {
            return;
        };
        let Some(partition) = usize::try_from(self.at.partition).ok().and_then(|at| topic.partitions.get(at)) else {
            return;
        };
        if self.is_member && self.opened.is_some_and(|id| id != topic.id) {
            self.position = partition.bounds().0;
        }
        self.opened = Some(topic.id);
        let watcher = Watcher { signal: Arc::clone(signal), position: Arc::new(AtomicI64::new(self.position)) };
        partition.watch(watcher.clone());
        self.source = Source::Open(Arc::clone(partition), watcher);
    }

    /// Whether the partition was there when it was looked at last.
    pub(super) fn is_there(&self) -> bool {
        !matches!(self.source, Source::Missing { .. })
    }

    /// No more is read, nothing is kept for it.
    pub(super) fn close(&mut self) {
        if let Source::Open(partition, watcher) = &self.source {
            partition.unwatch(watcher);
        }
    }

    /// For a log of another process: takes in what is new.
    pub(super) fn refresh(&mut self) {
        if let Source::Open(partition, _) = &self.source
            && let Err(error) = partition.refresh()
        {
            tracing::warn!(topic = self.name, partition = self.at.partition, error, "the log's files could not be looked at");
        }
    }

    /// Visits records and what else is to say of this partition, at most so much; returns how much.
    pub(super) fn visit(&mut self, count_max: usize, visit: &mut dyn FnMut(BusEvent<'_>)) -> usize {
        let mut count = 0;
        while count < count_max {
            let partition = match &mut self.source {
                Source::Open(partition, _) => partition,
                Source::Stopped(partition) if partition.is_deleted() => {
                    self.source = Source::Missing { told: true };
                    return count;
                }
                Source::Stopped(_) | Source::Missing { told: true } => return count,
                Source::Missing { told } => {
                    *told = true;
                    let why = if self.expected.is_some() {
                        MADE_AGAIN.to_owned()
                    } else {
                        format!("{} has no partition {} here", self.name, self.at.partition)
                    };
                    visit(BusEvent::Unreadable(self.at, why));
                    return count + 1;
                }
            };
            if partition.is_deleted() {
                self.lose();
                visit(BusEvent::Unreadable(self.at, format!("the topic {} was deleted", self.name)));
                return count + 1;
            }
            if !self.batches.is_empty() {
                count += self.visit_batch(count_max - count, visit);
                continue;
            }
            // Without the lock: most looks find nothing.
            if self.told_end && partition.end() == self.position {
                return count;
            }
            let end = match partition.fetch(self.position, &mut self.cursor, &mut self.batches) {
                Ok(Fetched::Batches) => continue,
                Ok(Fetched::Nothing) if self.told_end => return count,
                Ok(Fetched::Nothing) => {
                    self.told_end = true;
                    BusEvent::CaughtUp(self.at, self.position)
                }
                Ok(Fetched::OutOfRange) => {
                    self.stop();
                    BusEvent::OutOfRange { at: self.at, position: self.position }
                }
                Err(why) => {
                    self.stop();
                    BusEvent::Unreadable(self.at, why)
                }
            };
            visit(end);
            return count + 1;
        }
        count
    }

    /// Visits records of the first batch in memory.
    fn visit_batch(&mut self, count_max: usize, visit: &mut dyn FnMut(BusEvent<'_>)) -> usize {
        let batch = self.batches.front().expect("there is one");
        let header = batch.header;
        let records = batch.records();
        let mut rest = &records[self.done_bytes..];
        let (mut offset, mut count) = (header.base + self.done_count, 0);
        while offset < header.next() && count < count_max {
            let record = RecordBytes::next(&mut rest).expect("a batch with a right CRC holds as many records as it says");
            if offset >= self.position {
                let headers = (record.headers.count > 0).then_some(&record.headers as &dyn Headers);
                let (key, value) = (record.key, Some(record.value));
                let record = Record { at: self.at, offset, timestamp: header.timestamp, key, value, headers };
                count += record.weight();
                visit(BusEvent::Record(record));
            }
            offset += 1;
        }
        (self.done_bytes, self.done_count) = (records.len() - rest.len(), offset - header.base);
        self.position = self.position.max(offset);
        if count > 0 {
            self.told_end = false;
        }
        if offset == header.next() {
            self.batches.pop_front();
            (self.done_bytes, self.done_count) = (0, 0);
        }
        if let Source::Open(_, watcher) = &self.source {
            watcher.position.store(self.position, Ordering::Relaxed);
        }
        count
    }

    fn stop(&mut self) {
        self.close();
        if let Source::Open(partition, _) = &self.source {
            self.source = Source::Stopped(Arc::clone(partition));
        }
    }

    fn lose(&mut self) {
        self.close();
        self.source = Source::Missing { told: true };
        self.drop_batches();
        self.told_end = false;
    }

    fn drop_batches(&mut self) {
        self.batches.clear();
        (self.done_bytes, self.done_count) = (0, 0);
        self.cursor = Cursor::default();
    }
}
