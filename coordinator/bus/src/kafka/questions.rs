//! Questions to the broker, asked on a side thread until it answers them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::TopicId;

use super::admin::{self, Admin};
use super::bus::drop_aside;
use super::errors::bus_error;
use super::native::identities;
use super::revival::SILENCE;
use super::settings::KafkaSettings;
use crate::signal::Signal;
use crate::{BusError, Description, Topic, TopicPartition};

/// How long one question may take before it is asked again.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Between two rounds, when questions are left without an answer.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// A question. Equal ones that wait are asked once; those about topics come first, since a partition without a leader holds a round up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Question {
    Topics(u64, Vec<(Topic, String)>),
    Bounds(TopicPartition, Name),
    OffsetAt(TopicPartition, Name, Millis),
}

/// A topic's name, and the identity that it must have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) name: String,
    pub(super) expected: Option<TopicId>,
}

/// An answer.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    Topics(u64, Vec<(Topic, Option<Description>)>),
    Bounds {
        at: TopicPartition,
        start: i64,
        end: i64,
    },
    OffsetAt {
        at: TopicPartition,
        offset: i64,
    },
    /// The name belongs to another topic than the one that was meant.
    MadeAgain(TopicPartition),
}

/// The side thread; it ends when this is dropped, after the question that it is asking.
#[derive(Debug)]
pub(super) struct Questions {
    asked: Sender<Question>,
    pub(super) answers: Receiver<Answer>,
}

impl Questions {
    /// Starts the thread; the signal is raised for each answer.
    pub(super) fn start(settings: KafkaSettings, signal: Arc<Signal>) -> Self {
        let ((asked, questions), (answered, answers)) = (unbounded(), unbounded());
        let thread = std::thread::Builder::new().name("kafka-questions".to_owned());
        let run = move || run(&settings, &questions, &answered, &signal);
        thread.spawn(run).expect("a thread can be started");
        Self { asked, answers }
    }

    pub(super) fn ask(&self, question: Question) {
        // The thread ends only when this sender is gone.
        let _ = self.asked.send(question);
    }
}

fn run(settings: &KafkaSettings, questions: &Receiver<Question>, answers: &Sender<Answer>, signal: &Signal) {
    let mut clients: Option<Clients> = None;
    let mut open = BTreeSet::new();
    // Since when a question has had no answer.
    let mut waiting: Option<Instant> = None;
    loop {
        let received = if open.is_empty() {
            questions.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            questions.recv_timeout(AGAIN_AFTER)
        };
        match received {
            Ok(question) => {
                open.insert(question);
                open.extend(questions.try_iter());
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if clients.is_none() {
            clients = Clients::new(settings).inspect_err(|error| tracing::warn!(%error, "no client to ask the broker by")).ok();
        }
        let Some(known) = &clients else { continue };
        let begun = Instant::now();
        for answer in known.round(&mut open) {
            // Whoever asked may be gone.
            let _ = answers.send(answer);
            signal.raise();
        }
        // Whatever the error is: a client may have lost its cluster, or believe in leaders that are none.
        let since = *waiting.get_or_insert(begun);
        if open.is_empty() {
            waiting = None;
        } else if since.elapsed() >= SILENCE {
            clients.take().into_iter().for_each(drop_aside);
            waiting = None;
        }
    }
}

/// What questions are asked by.
struct Clients {
    offsets: BaseConsumer,
    topics: Admin,
}

impl Clients {
    fn new(settings: &KafkaSettings) -> Result<Self, BusError> {
        let offsets = settings.consumer(&settings.group).create().map_err(|error| bus_error(&error))?;
        Ok(Clients { offsets, topics: admin::client(settings)? })
    }

    /// Asks each question once, and keeps those that have no answer.
    fn round(&self, open: &mut BTreeSet<Question>) -> Vec<Answer> {
        let mut answers = Vec::new();
        let mut failed = None;
        open.retain(|question| match self.ask(question) {
            Ok(answer) => {
                answers.push((question.clone(), answer));
                false
            }
            Err(error) => {
                failed = Some(error);
                true
            }
        });
        // Only now: what an answer is about was the topic that it is now, and identities never come back.
        let answers = self.of_the_same(answers, open).unwrap_or_else(|error| {
            failed = Some(error);
            Vec::new()
        });
        if let Some(error) = failed {
            tracing::debug!(%error, questions = open.len(), "the broker is asked again");
        }
        answers
    }

    fn ask(&self, question: &Question) -> Result<Answer, BusError> {
        let client = &self.offsets;
        let refused = |error| bus_error(&error);
        match question {
            Question::Topics(number, topics) => {
                let names: Vec<&str> = topics.iter().map(|(_, name)| name.as_str()).collect();
                let found = admin::describe_by(&self.topics, &names)?;
                Ok(Answer::Topics(*number, topics.iter().map(|(topic, _)| *topic).zip(found).collect()))
            }
            Question::Bounds(at, topic) => {
                let (start, end) = client.fetch_watermarks(&topic.name, at.partition, TIMEOUT).map_err(refused)?;
                Ok(Answer::Bounds { at: *at, start, end })
            }
            Question::OffsetAt(at, topic, time) => {
                let mut asked = TopicPartitionList::new();
                asked.add_partition_offset(&topic.name, at.partition, Offset::Offset(*time)).map_err(refused)?;
                let found = client.offsets_for_times(asked, TIMEOUT).map_err(refused)?;
                let element = found.elements().into_iter().next();
                let offset = match element.map(|element| element.error().map(|()| element.offset())).transpose().map_err(refused)? {
                    Some(Offset::Offset(offset)) => offset,
                    // No record is so late.
                    _ => client.fetch_watermarks(&topic.name, at.partition, TIMEOUT).map_err(refused)?.1,
                };
                Ok(Answer::OffsetAt { at: *at, offset })
            }
        }
    }

    /// Takes answers back that are about another topic than the expected one; all of them, if the broker does not say.
    fn of_the_same(&self, answers: Vec<(Question, Answer)>, open: &mut BTreeSet<Question>) -> Result<Vec<Answer>, BusError> {
        let expected: BTreeMap<&str, TopicId> = answers.iter().filter_map(|(question, _)| question.expected()).collect();
        let names: Vec<&str> = expected.keys().copied().collect();
        let found = if names.is_empty() { Ok(Vec::new()) } else { identities(self.offsets.client(), &names, TIMEOUT) };
        let found = match found {
            Ok(found) => found,
            Err((_, why)) => {
                open.extend(answers.iter().map(|(question, _)| question.clone()));
                return Err(BusError::Unreachable(why));
            }
        };
        let is_other = |name: &str, id: TopicId| !found.iter().any(|identity| identity.name == name && identity.id == id);
        let judge = |(question, answer): &(Question, Answer)| match (question.expected(), answer) {
            (Some((name, id)), Answer::Bounds { at, .. } | Answer::OffsetAt { at, .. }) if is_other(name, id) => {
                Answer::MadeAgain(*at)
            }
            _ => answer.clone(),
        };
        Ok(answers.iter().map(judge).collect())
    }
}

impl Question {
    /// The name that it is about, with the identity that it must have.
    fn expected(&self) -> Option<(&str, TopicId)> {
        match self {
            Question::Topics(..) => None,
            Question::Bounds(_, topic) | Question::OffsetAt(_, topic, _) => Some((&topic.name, topic.expected?)),
        }
    }
}
