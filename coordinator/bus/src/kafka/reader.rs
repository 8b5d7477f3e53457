//! A consumer with the partitions that it reads: manually assigned, or as the member of a group.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::topic_partition_list::Offset;

use super::errors::bus_error;
use super::native::{Consumer, Fetched, Told};
use super::settings::KafkaSettings;
use crate::signal::Signal;
use crate::{BusError, BusEvent, Headers, Record, Topic, TopicNames, TopicPartition};

/// How long the group's committed offsets are waited for when partitions are assigned; asked again by the next poll.
const COMMITTED_TIMEOUT: Duration = Duration::from_secs(5);

/// One consumer.
pub(super) struct Reader {
    consumer: Consumer,
    group: String,
    is_member: bool,
    held: Vec<Held>,
    /// The index in `held` of the last record: runs of one partition are looked up once.
    last: usize,
    /// The handle and name of the last record's topic.
    last_topic: Option<(Topic, Vec<u8>)>,
    /// What the group gave and is not read yet.
    given: Option<Vec<TopicPartition>>,
}

/// A partition that is read.
#[derive(Debug)]
struct Held {
    at: TopicPartition,
    /// The next offset to be visited, or a lower one that is not there.
    next: i64,
    paused: bool,
    /// That it cannot be read was reported, and nothing came since.
    told_unreadable: bool,
    /// Out of range: librdkafka waits for another position.
    stopped: bool,
}

impl Reader {
    pub(super) fn new(settings: &KafkaSettings, group: &str, signal: &Arc<Signal>) -> Result<Self, BusError> {
        let consumer = Consumer::new(&settings.consumer(group), Arc::clone(signal)).map_err(|error| bus_error(&error))?;
        let (group, held) = (group.to_owned(), Vec::new());
        Ok(Self { consumer, group, is_member: false, held, last: 0, last_topic: None, given: None })
    }

    /// As [`Self::new`], and becomes a member of the group.
    pub(super) fn join(settings: &KafkaSettings, group: &str, topics: &[&str], signal: &Arc<Signal>) -> Result<Self, BusError> {
        let reader = Self { is_member: true, ..Self::new(settings, group, signal)? };
        reader.consumer.client().subscribe(topics).map_err(|error| bus_error(&error))?;
        Ok(reader)
    }

    pub(super) fn group(&self) -> &str {
        &self.group
    }

    pub(super) fn holds(&self, at: TopicPartition) -> bool {
        self.held.iter().any(|held| held.at == at)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.held.is_empty()
    }

    /// Whether the group gave something that is not read yet, so that a poll must not wait for long.
    pub(super) fn is_waiting(&self) -> bool {
        self.given.is_some()
    }

    pub(super) fn read(&mut self, names: &TopicNames, at: TopicPartition, from: i64) {
        let paused = self.held.iter().find(|held| held.at == at).is_some_and(|held| held.paused);
        self.stop(names, at);
        self.held.push(Held { at, next: from, paused, told_unreadable: false, stopped: false });
        let assigned = if self.is_member {
            self.assign_all(names)
        } else {
            list(names, [(at, Offset::Offset(from))]).and_then(|list| self.consumer.client().incremental_assign(&list))
        };
        check(assigned, "read");
        if paused {
            self.pause_held(names, &[at], true);
        }
    }

    pub(super) fn stop(&mut self, names: &TopicNames, at: TopicPartition) {
        let Some(found) = self.held.iter().position(|held| held.at == at) else {
            return;
        };
        self.held.swap_remove(found);
        let unassigned = if self.is_member {
            self.assign_all(names)
        } else {
            list(names, [(at, Offset::Invalid)]).and_then(|list| self.consumer.client().incremental_unassign(&list))
        };
        check(unassigned, "stop reading");
    }

    pub(super) fn pause(&mut self, names: &TopicNames, which: &[TopicPartition], paused: bool) {
        let mut changed = Vec::new();
        for held in self.held.iter_mut().filter(|held| held.paused != paused && which.contains(&held.at)) {
            held.paused = paused;
            changed.push(held.at);
        }
        if !changed.is_empty() {
            self.pause_held(names, &changed, paused);
        }
    }

    fn pause_held(&self, names: &TopicNames, which: &[TopicPartition], paused: bool) {
        let client = self.consumer.client();
        let done = list(names, which.iter().map(|&at| (at, Offset::Invalid)))
            .and_then(|list| if paused { client.pause(&list) } else { client.resume(&list) });
        check(done, "pause or resume");
    }

    /// Commits without waiting; what goes wrong is logged when it is known.
    pub(super) fn commit(&self, names: &TopicNames, next: impl Iterator<Item = (TopicPartition, i64)>) {
        let committed = list(names, next.map(|(at, next)| (at, Offset::Offset(next))))
            .and_then(|list| self.consumer.client().commit(&list, CommitMode::Async));
        if let Err(error) = committed {
            tracing::warn!(group = self.group, %error, "positions could not be committed; they are read again after a crash");
        }
    }

    /// Visits up to so many events; returns how many. What is not visible to the caller does not count.
    pub(super) fn visit(&mut self, names: &mut TopicNames, count_max: usize, visit: &mut dyn FnMut(BusEvent<'_>)) -> usize {
        let mut count = self.read_given(names, visit);
        let Self { consumer, held, last, last_topic, given, is_member, .. } = self;
        let mut revoked = false;
        while count < count_max {
            let any = consumer.visit_one(&mut |told| {
                count += match told {
                    Told::Fetched(record) => visit_record(record, names, held, last, last_topic, visit),
                    Told::Partition { topic, partition, offset, code, text } => {
                        let at = TopicPartition { topic: names.handle(&topic), partition };
                        visit_error(at, offset, code, &text, held, visit)
                    }
                    Told::Client { code, text } => {
                        tracing::debug!(%code, text, "consumer");
                        0
                    }
                    Told::Given(partitions) => {
                        *given = Some(handles(names, &partitions));
                        0
                    }
                    Told::Taken(partitions) => {
                        let taken = handles(names, &partitions);
                        held.retain(|held| !taken.contains(&held.at));
                        (*given, revoked) = (None, true);
                        visit(BusEvent::Revoked(taken));
                        1
                    }
                    Told::NotCommitted(text) => {
                        tracing::warn!(text, "positions could not be committed; they are read again after a crash");
                        0
                    }
                };
            });
            if revoked && *is_member {
                check(consumer.client().unassign(), "give partitions back");
                revoked = false;
            }
            if !any || given.is_some() {
                break;
            }
        }
        count + self.read_given(names, visit)
    }

    /// Reads what the group gave, from the committed offsets.
    fn read_given(&mut self, names: &TopicNames, visit: &mut dyn FnMut(BusEvent<'_>)) -> usize {
        let Some(given) = self.given.take() else {
            return 0;
        };
        let positions = list(names, given.iter().map(|&at| (at, Offset::Invalid)))
            .and_then(|list| self.consumer.client().committed_offsets(list, COMMITTED_TIMEOUT));
        let positions = match positions {
            Ok(positions) => positions,
            Err(error) => {
                tracing::warn!(group = self.group, %error, "committed offsets are asked for again");
                self.given = Some(given);
                return 0;
            }
        };
        self.held.clear();
        for element in positions.elements() {
            let Some(at) = given.iter().find(|at| names.name(at.topic) == element.topic() && at.partition == element.partition())
            else {
                continue;
            };
            let next = if let Offset::Offset(committed) = element.offset() { committed } else { BEGINNING };
            self.held.push(Held { at: *at, next, paused: false, told_unreadable: false, stopped: false });
        }
        check(self.assign_all(names), "read what the group gave");
        visit(BusEvent::Assigned(given));
        1
    }

    /// Assigns all that is held, from where it was; for a member, which cannot be given partitions one by one.
    fn assign_all(&self, names: &TopicNames) -> KafkaResult<()> {
        let position = |next| {
            if next == BEGINNING { Offset::Beginning } else { Offset::Offset(next) }
        };
        let all = list(names, self.held.iter().map(|held| (held.at, position(held.next))))?;
        self.consumer.client().assign(&all)
    }
}

/// The first offset that there is, whatever it is.
const BEGINNING: i64 = -1;

fn visit_record(
    record: Fetched<'_>,
    names: &mut TopicNames,
    held: &mut [Held],
    last: &mut usize,
    last_topic: &mut Option<(Topic, Vec<u8>)>,
    visit: &mut dyn FnMut(BusEvent<'_>),
) -> usize {
    let name = record.topic().to_bytes();
    let topic = match last_topic {
        Some((topic, known)) if known == name => *topic,
        _ => {
            let topic = names.handle(&String::from_utf8_lossy(name));
            *last_topic = Some((topic, name.to_vec()));
            topic
        }
    };
    let at = TopicPartition { topic, partition: record.partition() };
    if held.get(*last).is_none_or(|held| held.at != at) {
        let Some(found) = held.iter().position(|held| held.at == at) else {
            return 0;
        };
        *last = found;
    }
    let held = &mut held[*last];
    let offset = record.offset();
    if offset < held.next || held.paused {
        return 0;
    }
    (held.next, held.told_unreadable) = (offset + 1, false);
    let headers = record.headers();
    let headers = headers.as_ref().map(|headers| headers as &dyn Headers);
    visit(BusEvent::Record(Record {
        at,
        offset,
        timestamp: record.timestamp(),
        key: record.key(),
        value: record.value(),
        headers,
    }));
    1
}

fn visit_error(
    at: TopicPartition,
    offset: i64,
    code: Code,
    text: &str,
    held: &mut [Held],
    visit: &mut dyn FnMut(BusEvent<'_>),
) -> usize {
    let Some(held) = held.iter_mut().find(|held| held.at == at) else {
        return 0;
    };
    match code {
        // One that was on its way when the partition was paused or read from elsewhere is not about this position.
        Code::PartitionEOF if offset < held.next || held.paused => 0,
        Code::PartitionEOF => {
            held.told_unreadable = false;
            visit(BusEvent::CaughtUp(at, offset));
            1
        }
        Code::AutoOffsetReset | Code::OffsetOutOfRange if held.stopped => 0,
        Code::AutoOffsetReset | Code::OffsetOutOfRange => {
            held.stopped = true;
            visit(BusEvent::OutOfRange { at, position: held.next });
            1
        }
        _ if held.told_unreadable => 0,
        _ => {
            held.told_unreadable = true;
            visit(BusEvent::Unreadable(at, format!("{code}: {text}")));
            1
        }
    }
}

fn handles(names: &mut TopicNames, partitions: &[(String, i32)]) -> Vec<TopicPartition> {
    partitions.iter().map(|(topic, partition)| TopicPartition { topic: names.handle(topic), partition: *partition }).collect()
}

fn list(names: &TopicNames, elements: impl IntoIterator<Item = (TopicPartition, Offset)>) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for (at, offset) in elements {
        list.add_partition_offset(names.name(at.topic), at.partition, offset)?;
    }
    Ok(list)
}

/// These calls only pass an order to librdkafka's own thread. They fail if the client is being destroyed or has a fatal error, and
/// what cannot be read then shows in the partitions.
fn check(done: Result<(), KafkaError>, what: &str) {
    if let Err(error) = done {
        tracing::error!(%error, "librdkafka refused to {what}");
    }
}
