//! A client of a log: the [`Bus`] of one thread.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::TopicId;

use super::log::Shared;
use super::reader::{MADE_AGAIN, Reader};
use super::topic::TopicLog;
use super::writer::Writer;
use crate::signal::Signal;
use crate::{
    Bus, BusError, BusEvent, Description, Message, SendError, Sender, Specification, Topic, TopicNames, TopicPartition, Waker,
};

/// Acknowledgements, and again records, visited by one poll: enough to spread its costs, few enough that the caller answers soon.
const EVENTS_MAX: usize = 4_096;
/// Records of one partition visited by one poll, so that a long one does not starve the others.
const PARTITION_EVENTS_MAX: usize = 1_024;
/// Positions that were committed are written at the latest so long after; more often is a file rewritten for nothing.
const COMMIT_EVERY: Duration = Duration::from_millis(50);
/// Shortest turn under load: each is a write and a batch of its own.
const TURN_MIN: Duration = Duration::from_millis(3);
/// How often a client looks for news in a log that another process owns.
const REFRESH_EVERY: Duration = Duration::from_millis(50);

/// A client of a [`super::Log`], for one thread; made by [`super::Log::client`].
#[derive(Debug)]
pub struct EmbeddedBus {
    log: Arc<Shared>,
    /// Of this client in its log.
    number: u64,
    names: TopicNames,
    signal: Arc<Signal>,
    writer: Writer,
    readers: Vec<Reader>,
    /// The reader that is visited first by the next poll.
    turn: usize,
    questions: Vec<Question>,
    /// The identities that topics must have.
    expected: HashMap<Topic, TopicId>,
    /// What the next poll visits first.
    assigned: Option<Vec<TopicPartition>>,
    commits: HashMap<String, HashMap<TopicPartition, i64>>,
    commit_at: Option<Instant>,
    /// Of the log when missing topics were looked for last; 0 if they are to be looked for anyway.
    generation: u64,
}

#[derive(Debug, Clone)]
enum Question {
    Bounds(TopicPartition),
    OffsetAt(TopicPartition, Millis),
    Topics(u64, Vec<Topic>),
}

impl EmbeddedBus {
    pub(super) fn new(log: Arc<Shared>, number: u64) -> Self {
        Self {
            log,
            number,
            names: TopicNames::default(),
            signal: Arc::default(),
            writer: Writer::default(),
            readers: Vec::new(),
            turn: 0,
            questions: Vec::new(),
            expected: HashMap::new(),
            assigned: None,
            commits: HashMap::new(),
            commit_at: None,
            generation: 0,
        }
    }

    fn visit_all(&mut self, visit: &mut dyn FnMut(BusEvent<'_>)) -> usize {
        let mut count = 0;
        if let Some(assigned) = self.assigned.take() {
            visit(BusEvent::Assigned(assigned));
            count += 1;
        }
        count += self.writer.visit(EVENTS_MAX, visit);
        self.find_missing();
        count += self.answer(visit);
        count + self.visit_readers(visit)
    }

    fn visit_readers(&mut self, visit: &mut dyn FnMut(BusEvent<'_>)) -> usize {
        let (mut count, reader_count) = (0, self.readers.len());
        for step in 0..reader_count {
            let at = (self.turn + step) % reader_count;
            let reader = &mut self.readers[at];
            if !reader.paused {
                let was_there = reader.is_there();
                count += reader.visit(PARTITION_EVENTS_MAX.min(EVENTS_MAX.saturating_sub(count)), visit);
                if was_there != reader.is_there() {
                    // It may have been made again before this was seen, and nothing new says so.
                    self.generation = 0;
                }
            }
            if count >= EVENTS_MAX {
                self.turn = at + 1;
                break;
            }
        }
        count
    }

    /// Topics may have been made since they were missing.
    fn find_missing(&mut self) {
        let generation = self.log.generation();
        if self.generation != generation {
            self.generation = generation;
            for reader in &mut self.readers {
                reader.open(&self.log, &self.signal);
            }
        }
    }

    /// Answers questions about topics that exist.
    fn answer(&mut self, visit: &mut dyn FnMut(BusEvent<'_>)) -> usize {
        let asked = self.questions.len();
        let (log, names, expected) = (&self.log, &self.names, &self.expected);
        self.questions.retain(|question| {
            let at = match question {
                Question::Bounds(at) | Question::OffsetAt(at, _) => *at,
                Question::Topics(question, topics) => {
                    let topics = topics.iter().map(|&topic| (topic, log.describe(names.name(topic)))).collect();
                    visit(BusEvent::Described { question: *question, topics });
                    return false;
                }
            };
            let Some(topic) = log.find(names.name(at.topic)) else {
                return true;
            };
            if expected.get(&at.topic).is_some_and(|id| *id != topic.id) {
                visit(BusEvent::Unreadable(at, MADE_AGAIN.to_owned()));
                return false;
            }
            let Some(partition) = usize::try_from(at.partition).ok().and_then(|number| topic.partitions.get(number)) else {
                return true;
            };
            match question {
                Question::OffsetAt(_, time) => match partition.offset_at(*time) {
                    Ok(offset) => visit(BusEvent::OffsetAt { at, offset }),
                    Err(why) => visit(BusEvent::Unreadable(at, why)),
                },
                Question::Bounds(_) | Question::Topics(..) => {
                    let (start, end) = partition.bounds();
                    visit(BusEvent::Bounds { at, start, end });
                }
            }
            false
        });
        asked - self.questions.len()
    }

    fn commit_if_due(&mut self) {
        if self.commit_at.is_some_and(|due| due <= Instant::now()) {
            self.write_commits();
        }
    }

    fn write_commits(&mut self) {
        self.commit_at = None;
        for (group, next) in self.commits.drain() {
            let next: Vec<_> =
                next.iter().map(|(at, &offset)| (self.names.name(at.topic).to_owned(), at.partition, offset)).collect();
            if let Err(error) = self.log.commit(&group, &next) {
                tracing::warn!(group, %error, "positions could not be committed; they are read again after a crash");
            }
        }
    }

    /// How long to wait for something to happen before something is to be done.
    fn wait_at_most(&self, until_deadline: Duration) -> Duration {
        let mut wait = until_deadline;
        if let Some(due) = self.commit_at {
            wait = wait.min(due.saturating_duration_since(Instant::now()));
        }
        if self.log.is_owned() { wait } else { wait.min(REFRESH_EVERY) }
    }

    fn refresh(&mut self) {
        if let Err(error) = self.log.load_topics() {
            tracing::warn!(%error, "the log's topics could not be looked at");
        }
        for reader in &mut self.readers {
            reader.refresh();
        }
    }

    fn reader(&mut self, at: TopicPartition) -> Option<&mut Reader> {
        self.readers.iter_mut().find(|reader| reader.at == at)
    }
}

impl Bus for EmbeddedBus {
    fn topic(&mut self, name: &str) -> Topic {
        self.names.handle(name)
    }

    fn name_of(&self, topic: Topic) -> &str {
        self.names.name(topic)
    }

    fn describe(&mut self, names: &[&str]) -> Result<Vec<Option<Description>>, BusError> {
        if !self.log.is_owned() {
            self.log.load_topics()?;
        }
        Ok(names.iter().map(|name| self.log.describe(name)).collect())
    }

    fn create(&mut self, what: &Specification) -> Result<bool, BusError> {
        self.log.create(what)
    }

    fn delete_before(&mut self, at: TopicPartition, offset: i64) -> Result<(), BusError> {
        let name = self.names.name(at.topic);
        let topic = self.log.find(name).ok_or_else(|| BusError::Refused(format!("there is no topic {name}")))?;
        let partition = usize::try_from(at.partition).ok().and_then(|number| topic.partitions.get(number));
        let partition = partition.ok_or_else(|| BusError::Refused(format!("{name} has no partition {}", at.partition)))?;
        partition.delete_before(offset).map_err(BusError::Storage)
    }

    fn open_sender(&mut self) -> Result<Sender, BusError> {
        Ok(self.writer.open_sender())
    }

    fn close_sender(&mut self, sender: Sender) {
        self.writer.close_sender(sender);
    }

    fn send(&mut self, sender: Sender, message: Message<'_>, tag: u64) -> Result<(), SendError> {
        self.writer.send(&self.log, self.names.name(message.to.topic), sender, &message, tag)
    }

    fn read(&mut self, at: TopicPartition, from: i64) {
        let (log, signal) = (Arc::clone(&self.log), Arc::clone(&self.signal));
        if self.reader(at).is_none() {
            self.readers.push(Reader::new(at, self.names.name(at.topic), self.expected.get(&at.topic).copied(), from));
        }
        let reader = self.reader(at).expect("it is there now");
        reader.seek(from);
        reader.open(&log, &signal);
        if !log.is_owned() {
            reader.refresh();
        }
    }

    fn stop(&mut self, at: TopicPartition) {
        if let Some(found) = self.readers.iter().position(|reader| reader.at == at) {
            self.readers.swap_remove(found).close();
        }
    }

    fn pause(&mut self, which: &[TopicPartition], paused: bool) {
        for &at in which {
            if let Some(reader) = self.reader(at) {
                reader.pause(paused);
            }
        }
    }

    fn ask_bounds(&mut self, at: TopicPartition) {
        self.questions.push(Question::Bounds(at));
    }

    fn ask_offset_at(&mut self, at: TopicPartition, time: Millis) {
        self.questions.push(Question::OffsetAt(at, time));
    }

    fn expect(&mut self, topic: Topic, id: TopicId) {
        self.expected.insert(topic, id);
        self.readers.iter_mut().filter(|reader| reader.at.topic == topic).for_each(|reader| reader.expected = Some(id));
    }

    fn ask_topics(&mut self, topics: &[Topic], question: u64) {
        self.questions.push(Question::Topics(question, topics.to_vec()));
    }

    fn join(&mut self, group: &str, topics: &[Topic]) -> Result<(), BusError> {
        assert!(self.assigned.is_none(), "a bus joins a group at most once");
        let mut found: VecDeque<(Topic, Arc<TopicLog>)> = VecDeque::new();
        for &topic in topics {
            let name = self.names.name(topic);
            let log = self.log.find(name).ok_or_else(|| BusError::Refused(format!("there is no topic {name}; create it first")))?;
            found.push_back((topic, log));
        }
        self.log.groups.lock().unwrap_or_else(PoisonError::into_inner).join(group, self.number)?;
        let mut assigned = Vec::new();
        for (topic, log) in found {
            for (partition, partition_log) in (0..).zip(&log.partitions) {
                let groups = self.log.groups.lock().unwrap_or_else(PoisonError::into_inner);
                let committed = groups.committed(group, self.names.name(topic), log.id, partition);
                drop(groups);
                let at = TopicPartition { topic, partition };
                self.read(at, committed.unwrap_or_else(|| partition_log.bounds().0));
                self.reader(at).expect("it is read").is_member = true;
                assigned.push(at);
            }
        }
        self.assigned = Some(assigned);
        Ok(())
    }

    fn commit(&mut self, group: &str, next: &[(TopicPartition, i64)]) {
        if !self.log.is_owned() || next.is_empty() {
            return;
        }
        if !self.commits.contains_key(group) {
            self.commits.insert(group.to_owned(), HashMap::new());
        }
        self.commits.get_mut(group).expect("it is there now").extend(next.iter().copied());
        self.commit_at.get_or_insert_with(|| Instant::now() + COMMIT_EVERY);
    }

    fn committed(&mut self, group: &str, of: &[TopicPartition]) -> Result<Vec<Option<i64>>, BusError> {
        let groups = self.log.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let committed = |at: &TopicPartition| {
            let name = self.names.name(at.topic);
            groups.committed(group, name, self.log.find(name)?.id, at.partition)
        };
        Ok(of.iter().map(committed).collect())
    }

    fn turn_min(&self) -> Duration {
        TURN_MIN
    }

    fn full_poll(&self) -> Option<usize> {
        Some(PARTITION_EVENTS_MAX)
    }

    fn flush(&mut self) {
        self.writer.flush();
    }

    fn poll(&mut self, wait_max: Duration, visit: &mut dyn FnMut(BusEvent<'_>)) -> usize {
        let mut deadline = None;
        loop {
            self.signal.lower();
            self.writer.flush();
            let count = self.visit_all(visit);
            self.commit_if_due();
            if self.signal.take_woken() || count > 0 || wait_max.is_zero() {
                return count;
            }
            let now = Instant::now();
            let left = deadline.get_or_insert_with(|| now + wait_max).saturating_duration_since(now);
            if left.is_zero() {
                return 0;
            }
            self.signal.wait(self.wait_at_most(left));
            if !self.log.is_owned() {
                self.refresh();
            }
        }
    }

    fn waker(&self) -> Waker {
        let signal = Arc::clone(&self.signal);
        Arc::new(move || signal.wake())
    }
}

impl Drop for EmbeddedBus {
    fn drop(&mut self) {
        self.write_commits();
        for reader in &mut self.readers {
            reader.close();
        }
        self.log.groups.lock().unwrap_or_else(PoisonError::into_inner).leave(self.number);
    }
}

#[cfg(test)]
mod tests;
