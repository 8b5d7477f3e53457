//! Calls that wait for the broker: describe, create, delete records. For start-up and tools; each takes its own short-lived client.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, ConfigResourceResult, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::errors::bus_error;
use super::native::identities;
use super::settings::KafkaSettings;
use crate::{BusError, Description, Specification};

/// How long a call waits for the broker.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The settings that [`Description`] tells.
const TOLD: [&str; 7] = [
    "cleanup.policy",
    "retention.ms",
    "retention.bytes",
    "max.message.bytes",
    "unclean.leader.election.enable",
    "min.insync.replicas",
    "flush.messages",
];

pub(super) fn describe(settings: &KafkaSettings, names: &[&str]) -> Result<Vec<Option<Description>>, BusError> {
    describe_by(&client(settings)?, names)
}

/// As [`describe`], by a client that is there already.
pub(super) fn describe_by(admin: &Admin, names: &[&str]) -> Result<Vec<Option<Description>>, BusError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    // A broker refuses a question that names a topic twice.
    let mut once = names.to_vec();
    once.sort_unstable();
    once.dedup();
    let found = identities(admin.inner(), &once, TIMEOUT)
        .map_err(|(code, text)| explain(&KafkaError::AdminOp(code), &format!("topics cannot be described: {text}")))?;
    let resources: Vec<ResourceSpecifier<'_>> = found.iter().map(|identity| ResourceSpecifier::Topic(&identity.name)).collect();
    let answers = if resources.is_empty() {
        Vec::new()
    } else {
        block_on(admin.describe_configs(&resources, &options())).map_err(|error| bus_error(&error))?
    };
    let mut described = Vec::new();
    // Answers come in the order of the question.
    for (identity, answer) in found.iter().zip(answers) {
        if let Some(settings) = configuration(&identity.name, answer)? {
            let (name, id, partitions, copies) = (identity.name.clone(), identity.id, identity.partitions, identity.copies);
            described.push(Description { name, id, partitions, copies, settings });
        }
    }
    Ok(names.iter().map(|name| described.iter().find(|description| description.name == *name).cloned()).collect())
}

/// None if the topic has vanished.
fn configuration(name: &str, answer: ConfigResourceResult) -> Result<Option<Vec<(String, String)>>, BusError> {
    match answer {
        Ok(found) => {
            let entries = found.entries.into_iter().filter(|entry| TOLD.contains(&&*entry.name));
            Ok(Some(entries.filter_map(|entry| Some((entry.name, entry.value?))).collect()))
        }
        Err(Code::UnknownTopicOrPartition | Code::UnknownTopic) => Ok(None),
        // Not allowed to see settings: the topic is there all the same.
        Err(Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed) => Ok(Some(Vec::new())),
        Err(code) => Err(explain(&KafkaError::AdminOp(code), &format!("the settings of {name} cannot be read: {code}"))),
    }
}

pub(super) fn create(settings: &KafkaSettings, what: &Specification) -> Result<bool, BusError> {
    let admin = client(settings)?;
    let mut topic = NewTopic::new(&what.name, what.partitions, TopicReplication::Fixed(what.replication));
    for (key, value) in &what.settings {
        topic = topic.set(key, value);
    }
    let answers = block_on(admin.create_topics([&topic], &options())).map_err(|error| bus_error(&error))?;
    match answers.into_iter().next() {
        Some(Ok(_)) => Ok(true),
        Some(Err((_, Code::TopicAlreadyExists))) => Ok(false),
        Some(Err((name, code))) => Err(explain(&KafkaError::AdminOp(code), &format!("topic {name:?} cannot be made: {code}"))),
        None => Err(BusError::Unreachable("the broker gave no answer for the topic".to_owned())),
    }
}

/// DeleteRecords (KIP-107): the broker moves the partition's start.
pub(super) fn delete_before(settings: &KafkaSettings, topic: &str, partition: i32, offset: i64) -> Result<(), BusError> {
    let admin = client(settings)?;
    let mut offsets = TopicPartitionList::with_capacity(1);
    offsets.add_partition_offset(topic, partition, Offset::Offset(offset)).map_err(|error| bus_error(&error))?;
    let answers = block_on(admin.delete_records(&offsets, &options())).map_err(|error| bus_error(&error))?;
    let said = |error: &KafkaError| explain(error, &format!("records of {topic} {partition} cannot be deleted: {error}"));
    answers.elements().iter().try_for_each(|answer| answer.error().map_err(|error| said(&error)))
}

/// A client that asks, makes and deletes.
pub(super) type Admin = AdminClient<DefaultClientContext>;

/// A new one.
pub(super) fn client(settings: &KafkaSettings) -> Result<Admin, BusError> {
    settings.common().create().map_err(|error| bus_error(&error))
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT))
}

/// The kind of an error, with other words.
fn explain(error: &KafkaError, text: &str) -> BusError {
    match bus_error(error) {
        BusError::Unreachable(_) => BusError::Unreachable(text.to_owned()),
        _ => BusError::Refused(text.to_owned()),
    }
}

/// Waits for an answer of an [`AdminClient`], whose own thread completes it.
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let (mut future, mut context) = (pin!(future), Context::from_waker(&waker));
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}
