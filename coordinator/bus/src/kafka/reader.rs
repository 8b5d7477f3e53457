//! A consumer with the partitions that it reads: manually assigned, or as the member of a group.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::Offset;
use ringmaster_schemas::journal::TopicId;

use super::errors::bus_error;
use super::held::{AGAIN_AFTER, Held, Identity, refuse_others, visit_error, visit_record};
use super::native::{Consumer, Told, id_text};
use super::revival::Revival;
use super::settings::KafkaSettings;
use crate::signal::Signal;
use crate::{BusError, BusEvent, Topic, TopicNames, TopicPartition};

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
    identities: HashMap<Topic, Identity>,
    /// One of them is not as it must be.
    has_other: bool,
    bootstrap: String,
    revival: Revival,
}

impl Reader {
    pub(super) fn new(settings: &KafkaSettings, group: &str, signal: &Arc<Signal>) -> Result<Self, BusError> {
        let consumer = Consumer::new(&settings.consumer(group), Arc::clone(signal)).map_err(|error| bus_error(&error))?;
        let (group, held) = (group.to_owned(), Vec::new());
        Ok(Self {
            consumer,
            group,
            is_member: false,
            held,
            last: 0,
            last_topic: None,
            given: None,
            identities: HashMap::new(),
            has_other: false,
            bootstrap: settings.bootstrap.clone(),
            revival: Revival::default(),
        })
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

    /// Reads nothing of this name from another topic than this.
    pub(super) fn expect(&mut self, topic: Topic, id: &TopicId) {
        let identity = self.identities.entry(topic).or_default();
        identity.expected = Some(id_text(id));
        self.has_other |= identity.is_other();
    }

    pub(super) fn read(&mut self, names: &TopicNames, at: TopicPartition, from: i64) {
        let paused = self.held.iter().find(|held| held.at == at).is_some_and(|held| held.paused);
        self.read_as(names, Held { paused, ..Held::new(at, from) });
    }

    /// Reads a partition from its next offset, instead of how it was read.
    fn read_as(&mut self, names: &TopicNames, held: Held) {
        let Held { at, next: from, paused, .. } = held;
        self.stop(names, at);
        self.held.push(held);
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
        self.read_again(names);
        count += self.refuse_others(visit);
        let Self { consumer, held, last, last_topic, given, is_member, identities, has_other, .. } = self;
        // A group gives a member partitions soon, unless it has more members than partitions.
        let mut owes = *is_member && held.is_empty();
        let (mut revoked, mut anew) = (false, Vec::new());
        while count < count_max {
            let any = consumer.visit_one(&mut |told| {
                count += match told {
                    Told::Fetched(record) => visit_record(record, names, held, last, last_topic, visit),
                    Told::Partition { topic, partition, offset, code, text } => {
                        let at = TopicPartition { topic: names.handle(&topic), partition };
                        visit_error(at, offset, code, &text, held, visit)
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
                    Told::Identity { topic, id } => {
                        let topic = names.handle(&topic);
                        let identity = identities.entry(topic).or_default();
                        if *is_member && identity.found.as_ref().is_some_and(|found| *found != id) {
                            anew.push(topic);
                        }
                        identity.found = Some(id);
                        *has_other |= identity.is_other();
                        refuse_others(identities, held, visit)
                    }
                    Told::Client { .. } | Told::NotCommitted(_) | Told::NoLeader => {
                        owes |= note(&told);
                        0
                    }
                };
            });
            if revoked && *is_member {
                check(consumer.client().unassign(), "give partitions back");
                revoked = false;
            }
            if let Some(topic) = anew.pop() {
                // Positions of the old topic mean nothing in the new one; a member reads all of it.
                held.iter_mut().filter(|held| held.at.topic == topic).for_each(|held| held.next = BEGINNING);
                check(assign_all(consumer, held, names), "read what was made again");
            }
            if !any || given.is_some() {
                break;
            }
        }
        if owes && self.revival.suspect(Instant::now()) {
            self.consumer.add_brokers(&self.bootstrap);
        }
        count + self.read_given(names, visit)
    }

    /// When something that cannot be read is to be tried again, so that a poll does not wait for longer.
    pub(super) fn again_at(&self) -> Option<Instant> {
        self.held.iter().filter_map(|held| held.again_at).min()
    }

    /// Tries what could not be read again: a topic may be back, a batch mended.
    fn read_again(&mut self, names: &TopicNames) {
        let now = Instant::now();
        let is_due = |held: &&Held| held.again_at.is_some_and(|due| due <= now);
        let due: Vec<_> = self.held.iter().filter(is_due).map(|held| (held.at, held.next, held.paused)).collect();
        for (at, next, paused) in due {
            let again = Held { paused, again_at: Some(now + AGAIN_AFTER), ..Held::new(at, next) };
            if self.is_member {
                self.seek(names, again);
            } else {
                self.read_as(names, again);
            }
        }
    }

    /// Reads a member's partition from its next offset. What the group gave is assigned when it is given and at no other time: an
    /// assignment in the middle of a rebalance leaves the member without partitions for good.
    fn seek(&mut self, names: &TopicNames, held: Held) {
        let (at, next) = (held.at, position(held.next));
        if let Some(found) = self.held.iter_mut().find(|held| held.at == at) {
            *found = held;
        }
        let sought = self.consumer.client().seek(names.name(at.topic), at.partition, next, Duration::ZERO);
        if let Err(error) = sought {
            tracing::debug!(topic = names.name(at.topic), partition = at.partition, %error, "cannot be read yet");
        }
    }

    /// What is read since an identity was found to be another one.
    fn refuse_others(&mut self, visit: &mut dyn FnMut(BusEvent<'_>)) -> usize {
        if self.has_other { refuse_others(&self.identities, &mut self.held, visit) } else { 0 }
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
            self.held.push(Held::new(*at, next));
        }
        check(self.assign_all(names), "read what the group gave");
        // A partition that was paused before it was taken away would stay so.
        self.pause_held(names, &given, false);
        visit(BusEvent::Assigned(given));
        1
    }

    fn assign_all(&self, names: &TopicNames) -> KafkaResult<()> {
        assign_all(&self.consumer, &self.held, names)
    }
}

/// Notes what is no event for the caller; whether it says that a broker owes something.
fn note(told: &Told<'_>) -> bool {
    match told {
        Told::Client { code, text } => tracing::debug!(%code, text, "consumer"),
        Told::NotCommitted(text) => {
            tracing::warn!(text, "positions could not be committed; they are read again after a crash");
        }
        _ => {}
    }
    !matches!(told, Told::Client { .. })
}

/// Assigns all that is held, from where it was; for a member, which cannot be given partitions one by one.
fn assign_all(consumer: &Consumer, held: &[Held], names: &TopicNames) -> KafkaResult<()> {
    let all = list(names, held.iter().map(|held| (held.at, position(held.next))))?;
    consumer.client().assign(&all)
}

fn position(next: i64) -> Offset {
    if next == BEGINNING { Offset::Beginning } else { Offset::Offset(next) }
}

/// The first offset that there is, whatever it is.
const BEGINNING: i64 = -1;

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
