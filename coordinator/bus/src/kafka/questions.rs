//! Questions about offsets, asked on a side thread until the broker answers them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};
use ringmaster_schemas::Millis;

use crate::TopicPartition;
use crate::signal::Signal;

/// How long one question may take before it is asked again.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Between two rounds, when questions are left without an answer.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// A question, with the topic's name. Equal ones that wait are asked once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Question {
    Bounds(TopicPartition, String),
    OffsetAt(TopicPartition, String, Millis),
}

/// An answer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Answer {
    Bounds { at: TopicPartition, start: i64, end: i64 },
    OffsetAt { at: TopicPartition, offset: i64 },
}

/// The side thread; it ends when this is dropped, after the question that it is asking.
#[derive(Debug)]
pub(super) struct Questions {
    asked: Sender<Question>,
    pub(super) answers: Receiver<Answer>,
}

impl Questions {
    /// Starts the thread; the signal is raised for each answer.
    pub(super) fn start(config: ClientConfig, signal: Arc<Signal>) -> Self {
        let ((asked, questions), (answered, answers)) = (unbounded(), unbounded());
        let thread = std::thread::Builder::new().name("kafka-offsets".to_owned());
        let run = move || run(&config, &questions, &answered, &signal);
        thread.spawn(run).expect("a thread can be started");
        Self { asked, answers }
    }

    pub(super) fn ask(&self, question: Question) {
        // The thread ends only when this sender is gone.
        let _ = self.asked.send(question);
    }
}

fn run(config: &ClientConfig, questions: &Receiver<Question>, answers: &Sender<Answer>, signal: &Signal) {
    let mut client: Option<BaseConsumer> = None;
    let mut open = BTreeSet::new();
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
        if client.is_none() {
            client = config.create().inspect_err(|error| tracing::warn!(%error, "no client to ask for offsets")).ok();
        }
        let Some(client) = &client else { continue };
        let mut failed = None;
        open.retain(|question| match ask(client, question) {
            Ok(answer) => {
                // Whoever asked may be gone.
                let _ = answers.send(answer);
                signal.raise();
                false
            }
            Err(error) => {
                failed = Some(error);
                true
            }
        });
        if let Some(error) = failed {
            tracing::debug!(%error, questions = open.len(), "offsets are asked for again");
        }
    }
}

fn ask(client: &BaseConsumer, question: &Question) -> KafkaResult<Answer> {
    match question {
        Question::Bounds(at, topic) => {
            let (start, end) = client.fetch_watermarks(topic, at.partition, TIMEOUT)?;
            Ok(Answer::Bounds { at: *at, start, end })
        }
        Question::OffsetAt(at, topic, time) => {
            let mut asked = TopicPartitionList::new();
            asked.add_partition_offset(topic, at.partition, Offset::Offset(*time))?;
            let found = client.offsets_for_times(asked, TIMEOUT)?;
            let element = found.elements().into_iter().next();
            let offset = match element.map(|element| element.error().map(|()| element.offset())).transpose()? {
                Some(Offset::Offset(offset)) => offset,
                // No record is so late.
                _ => client.fetch_watermarks(topic, at.partition, TIMEOUT)?.1,
            };
            Ok(Answer::OffsetAt { at: *at, offset })
        }
    }
}
