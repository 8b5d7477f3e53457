//! The [`Bus`] of one thread on Kafka.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::TopicId;

use super::errors::send_error;
use super::held::MADE_AGAIN;
use super::inlet::Inlet;
use super::limits::Limits;
use super::outlet::Outlet;
use super::questions::{Answer, Name, Question, Questions};
use super::reader::Reader;
use super::settings::{Client, KafkaSettings};
use super::sockets::Sockets;
use super::{admin, direct, members};
use crate::signal::Signal;
use crate::{
    Bus, BusError, BusEvent, Description, Message, SendError, Sender, Specification, Topic, TopicNames, TopicPartition, Waker,
};

/// Acknowledgements of a sender, and again records, visited by one poll: enough to spread its costs, few enough that the caller
/// answers soon.
const EVENTS_MAX: usize = 1_024;
/// Positions are committed so often: each commit is a request, and they are for lag tools only.
const COMMIT_EVERY: Duration = Duration::from_millis(100);
/// The number of questions that the bus itself asks; their answers are not visited.
const OWN_QUESTION: u64 = u64::MAX;
/// How long a poll waits when the group gave partitions whose committed offsets the broker did not tell.
const GIVEN_AGAIN_AFTER: Duration = Duration::from_millis(200);
/// Shortest turns under load. librdkafka sends a request a partition, so that a shorter turn makes many more of them (the null saga at
/// 5,000/s: p50 87 ms with 1 ms, 76 with 3); ours sends one a broker (the product: 28 ms with 1 ms, 54 with 3).
const TURN_MIN: Duration = Duration::from_millis(3);
const TURN_MIN_DIRECT: Duration = Duration::from_millis(1);

/// A bus on Kafka, for one thread.
pub struct KafkaBus {
    settings: KafkaSettings,
    client: Client,
    /// Of our own connections.
    security: direct::Security,
    names: TopicNames,
    signal: Arc<Signal>,
    senders: Vec<(Sender, Outlet)>,
    /// For clients with sockets of their own.
    sockets: Option<Sockets>,
    opened_count: u32,
    /// For [`Bus::read`]; none once the bus has joined a group without having read anything.
    inlet: Option<Inlet>,
    member: Option<Reader>,
    /// For groups whose positions are committed without being a member, other than the reader's.
    committers: Vec<Reader>,
    questions: Option<Questions>,
    /// The identities that topics must have.
    expected: HashMap<Topic, TopicId>,
    limits: Limits,
    records_max: usize,
    commits: HashMap<String, HashMap<TopicPartition, i64>>,
    commit_at: Option<Instant>,
}

impl KafkaBus {
    /// Makes the clients; does not wait for a broker.
    ///
    /// Errors: [`BusError::Refused`] for settings that the protocol owns, or that librdkafka does not take.
    pub fn new(settings: KafkaSettings) -> Result<Self, BusError> {
        let (client, security) = settings.checked()?;
        let signal = Arc::default();
        let mut sockets = None;
        let inlet = Some(Inlet::open(client, &security, &settings, &signal, &mut sockets)?);
        Ok(Self {
            settings,
            client,
            security,
            names: TopicNames::default(),
            signal,
            senders: Vec::new(),
            sockets,
            opened_count: 0,
            inlet,
            member: None,
            committers: Vec::new(),
            questions: None,
            expected: HashMap::new(),
            limits: Limits::default(),
            records_max: EVENTS_MAX,
            commits: HashMap::new(),
            commit_at: None,
        })
    }

    fn visit_all(&mut self, visit: &mut dyn FnMut(BusEvent<'_>)) -> usize {
        let (mut count, mut refused) = (0, false);
        let limits = &self.limits;
        for (sender, outlet) in &mut self.senders {
            outlet.flush(&self.names);
            count += outlet.visit(*sender, &self.names, limits, EVENTS_MAX, &mut refused, visit);
        }
        if refused {
            self.ask_limits();
        }
        count += self.visit_answers(visit);
        if let Some(inlet) = &mut self.inlet {
            count += inlet.visit(&mut self.names, EVENTS_MAX, visit);
        }
        if let Some(member) = &mut self.member {
            count += member.visit(&mut self.names, self.records_max, visit);
        }
        for committer in &mut self.committers {
            committer.visit(&mut self.names, EVENTS_MAX, &mut |_| {});
        }
        count
    }

    fn visit_answers(&mut self, visit: &mut dyn FnMut(BusEvent<'_>)) -> usize {
        let answers: Vec<Answer> = self.questions.iter().flat_map(|questions| questions.answers.try_iter()).collect();
        let mut count = 0;
        for answer in answers {
            if let Answer::Topics(_, topics) = &answer {
                topics.iter().filter_map(|(_, found)| found.as_ref()).for_each(|found| self.note_limit(found));
            }
            visit(match answer {
                Answer::Topics(OWN_QUESTION, _) => continue,
                Answer::Topics(question, topics) => BusEvent::Described { question, topics },
                Answer::Bounds { at, start, end } => BusEvent::Bounds { at, start, end },
                Answer::OffsetAt { at, offset } => BusEvent::OffsetAt { at, offset },
                Answer::MadeAgain(at) => BusEvent::Unreadable(at, MADE_AGAIN.to_owned()),
            });
            count += 1;
        }
        let batch_bytes = self.limits.batch_bytes();
        for (sender, outlet) in self.senders.iter_mut().filter(|(_, outlet)| outlet.batch_bytes > batch_bytes) {
            // Said once: whoever goes on with it has been told.
            outlet.batch_bytes = batch_bytes;
            visit(BusEvent::Doubt {
                sender: *sender,
                why: format!("a topic takes batches of {batch_bytes} bytes only, fewer than before"),
            });
            count += 1;
        }
        count
    }

    fn note_limit(&mut self, description: &Description) {
        self.limits.note(self.names.handle(&description.name), description);
    }

    /// What was too large is judged by newer limits when it comes again.
    fn ask_limits(&mut self) {
        if let Some(topics) = self.limits.ask() {
            self.ask_topics(&topics, OWN_QUESTION);
        }
    }

    /// A topic's name for a question.
    fn named(&self, topic: Topic) -> Name {
        Name { name: self.names.name(topic).to_owned(), expected: self.expected.get(&topic).copied() }
    }

    fn commit_if_due(&mut self) {
        if self.commit_at.is_some_and(|due| due <= Instant::now()) {
            self.write_commits();
        }
    }

    fn write_commits(&mut self) {
        self.commit_at = None;
        for (group, next) in std::mem::take(&mut self.commits) {
            if self.committer(&group).is_none() {
                match Reader::new(&self.settings, &group, &self.signal) {
                    Ok(committer) => self.committers.push(committer),
                    Err(error) => tracing::warn!(group, %error, "no client to commit positions with"),
                }
            }
            if let Some(committer) = self.committer(&group) {
                committer.commit(&self.names, next.into_iter());
            }
        }
    }

    /// What commits positions of this group.
    fn committer(&self, group: &str) -> Option<&Reader> {
        let inlet = self.inlet.iter().filter_map(Inlet::committer);
        self.member.iter().chain(inlet).chain(&self.committers).find(|reader| reader.group() == group)
    }

    /// How long to wait for something to happen before something is to be done.
    fn wait_at_most(&self, until_deadline: Duration) -> Duration {
        let read = self.inlet.iter().filter_map(Inlet::due).chain(self.member.iter().filter_map(Reader::again_at)).min();
        let senders = self.senders.iter().filter_map(|(_, outlet)| outlet.due()).min();
        let dues = [self.commit_at, read, senders].into_iter().flatten().map(|due| due.saturating_duration_since(Instant::now()));
        let given = self.member.as_ref().is_some_and(Reader::is_waiting).then_some(GIVEN_AGAIN_AFTER);
        dues.chain(given).fold(until_deadline, Duration::min)
    }

    /// What is to read from now on.
    fn open_inlet(&mut self) -> Result<Inlet, BusError> {
        let mut inlet = Inlet::open(self.client, &self.security, &self.settings, &self.signal, &mut self.sockets)?;
        self.expected.iter().for_each(|(topic, id)| inlet.expect(*topic, *id));
        Ok(inlet)
    }

    fn ask(&mut self, question: Question) {
        let questions = self.questions.get_or_insert_with(|| Questions::start(self.settings.clone(), Arc::clone(&self.signal)));
        questions.ask(question);
    }
}

impl Bus for KafkaBus {
    fn topic(&mut self, name: &str) -> Topic {
        self.names.handle(name)
    }

    fn name_of(&self, topic: Topic) -> &str {
        self.names.name(topic)
    }

    fn describe(&mut self, names: &[&str]) -> Result<Vec<Option<Description>>, BusError> {
        let described = admin::describe(&self.settings, names)?;
        described.iter().flatten().for_each(|description| self.note_limit(description));
        Ok(described)
    }

    fn create(&mut self, what: &Specification) -> Result<bool, BusError> {
        admin::create(&self.settings, what)
    }

    fn delete_before(&mut self, at: TopicPartition, offset: i64) -> Result<(), BusError> {
        admin::delete_before(&self.settings, self.names.name(at.topic), at.partition, offset)
    }

    fn open_sender(&mut self) -> Result<Sender, BusError> {
        let (batch_bytes, sockets) = (self.limits.batch_bytes(), &mut self.sockets);
        let outlet = Outlet::open(self.client, &self.security, &self.settings, batch_bytes, &self.signal, sockets)?;
        let sender = Sender(self.opened_count);
        self.opened_count += 1;
        self.senders.push((sender, outlet));
        Ok(sender)
    }

    fn close_sender(&mut self, sender: Sender) {
        if let Some(found) = self.senders.iter().position(|(open, _)| *open == sender) {
            drop_aside(self.senders.swap_remove(found).1);
        }
    }

    fn send(&mut self, sender: Sender, message: Message<'_>, tag: u64) -> Result<(), SendError> {
        let Some((_, outlet)) = self.senders.iter_mut().find(|(open, _)| *open == sender) else {
            return Err(SendError::Broken("it was closed".to_owned()));
        };
        let topic = message.to.topic;
        let bytes = message.key.map_or(0, <[u8]>::len) + message.value.len();
        if let Err(why) = self.limits.check(topic, self.names.name(topic), bytes) {
            self.ask_limits();
            return Err(why);
        }
        let sent = outlet.send(&self.names, &message, tag);
        sent.map_err(|code| send_error(code, false))
    }

    fn read(&mut self, at: TopicPartition, from: i64) {
        if let Some(member) = self.member.as_mut().filter(|member| member.holds(at)) {
            return member.read(&self.names, at, from);
        }
        if self.inlet.is_none() {
            self.inlet = Some(self.open_inlet().expect("it could be made before"));
        }
        if let Some(inlet) = &mut self.inlet {
            inlet.read(&self.names, at, from);
        }
    }

    fn stop(&mut self, at: TopicPartition) {
        self.inlet.iter_mut().for_each(|inlet| inlet.stop(&self.names, at));
        self.member.iter_mut().for_each(|member| member.stop(&self.names, at));
    }

    fn pause(&mut self, which: &[TopicPartition], paused: bool) {
        self.inlet.iter_mut().for_each(|inlet| inlet.pause(&self.names, which, paused));
        self.member.iter_mut().for_each(|member| member.pause(&self.names, which, paused));
    }

    fn ask_bounds(&mut self, at: TopicPartition) {
        self.ask(Question::Bounds(at, self.named(at.topic)));
    }

    fn ask_offset_at(&mut self, at: TopicPartition, time: Millis) {
        self.ask(Question::OffsetAt(at, self.named(at.topic), time));
    }

    fn expect(&mut self, topic: Topic, id: TopicId) {
        self.expected.insert(topic, id);
        self.inlet.iter_mut().for_each(|inlet| inlet.expect(topic, id));
        self.member.iter_mut().for_each(|member| member.expect(topic, &id));
    }

    fn ask_topics(&mut self, topics: &[Topic], question: u64) {
        let topics = topics.iter().map(|&topic| (topic, self.names.name(topic).to_owned())).collect();
        self.ask(Question::Topics(question, topics));
    }

    fn join(&mut self, group: &str, topics: &[Topic]) -> Result<(), BusError> {
        assert!(self.member.is_none(), "a bus joins a group at most once");
        let names: Vec<&str> = topics.iter().map(|&topic| self.names.name(topic)).collect();
        self.member = Some(Reader::join(&self.settings, group, &names, &self.signal)?);
        if let Some(unused) = self.inlet.take_if(|inlet| inlet.is_idle()) {
            drop_aside(unused);
        }
        Ok(())
    }

    fn commit(&mut self, group: &str, next: &[(TopicPartition, i64)]) {
        if next.is_empty() {
            return;
        }
        if !self.commits.contains_key(group) {
            self.commits.insert(group.to_owned(), HashMap::new());
        }
        self.commits.get_mut(group).expect("it is there now").extend(next.iter().copied());
        self.commit_at.get_or_insert_with(|| Instant::now() + COMMIT_EVERY);
    }

    fn committed(&mut self, group: &str, of: &[TopicPartition]) -> Result<Vec<Option<i64>>, BusError> {
        let of: Vec<(&str, i32)> = of.iter().map(|at| (self.names.name(at.topic), at.partition)).collect();
        members::committed(&self.settings, group, &of)
    }

    fn turn_min(&self) -> Duration {
        match self.client {
            Client::Direct => TURN_MIN_DIRECT,
            Client::Librdkafka => TURN_MIN,
        }
    }

    fn full_poll(&self) -> Option<usize> {
        (self.client == Client::Direct).then_some(EVENTS_MAX)
    }

    fn limit_records(&mut self, most: usize) {
        self.records_max = most.clamp(1, EVENTS_MAX);
    }

    fn flush(&mut self) {
        self.senders.iter_mut().for_each(|(_, outgoing)| outgoing.flush(&self.names));
    }

    fn poll(&mut self, wait_max: Duration, visit: &mut dyn FnMut(BusEvent<'_>)) -> usize {
        let mut deadline = None;
        loop {
            // Before the look: what comes after it raises the signal again.
            self.signal.lower();
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
            let at_most = self.wait_at_most(left);
            match &mut self.sockets {
                None => self.signal.wait(at_most),
                Some(sockets) => sockets.wait(&self.signal, at_most),
            }
        }
    }

    fn waker(&self) -> Waker {
        let signal = Arc::clone(&self.signal);
        Arc::new(move || signal.wake())
    }
}

impl Drop for KafkaBus {
    fn drop(&mut self) {
        self.write_commits();
        for (_, producer) in self.senders.drain(..) {
            drop_aside(producer);
        }
        if let Some(inlet) = self.inlet.take() {
            drop_aside(inlet);
        }
        self.committers.drain(..).for_each(drop_aside);
        // The member is dropped here: it leaves its group before this returns, so that the next one need not wait for its session
        // to end.
    }
}

/// Dropping a producer purges and flushes for up to half a second, closing a consumer waits for the broker.
pub(super) fn drop_aside<T: Send + 'static>(what: T) {
    let spawned = std::thread::Builder::new().name("kafka-close".to_owned()).spawn(move || drop(what));
    if let Err(error) = spawned {
        tracing::warn!(%error, "no thread to close a Kafka client with; it was closed here");
    }
}
