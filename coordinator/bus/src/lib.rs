//! One trait for a partitioned, durable log, and three of them: Kafka, embedded segment files, and the simulator's.
//!
//! ```text
//! open topics -> read from offsets -> poll: records, acknowledgements, doubts -> send -> poll ...
//! ```
//!
//! A bus belongs to one thread, which calls [`Bus::poll`] for everything that happens; nothing comes by another way. Records are
//! borrowed while they are visited. There is no automatic offset reset anywhere: a reader says where it begins, and a position that
//! the log no longer has is an event ([`BusEvent::OutOfRange`]), never a jump.

pub mod clock;
pub mod embedded;
#[cfg(feature = "librdkafka")]
pub mod kafka;
#[cfg(all(feature = "fuzz", not(feature = "librdkafka")))]
#[path = "kafka/decoders.rs"]
pub mod kafka;
pub mod sim;

mod membership;
mod names;
mod pace;
mod signal;

use std::time::Duration;

pub use membership::{Alone, Granted, Membership};
pub use names::TopicNames;
pub use pace::Pace;
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::TopicId;

/// A topic of this bus, from [`Bus::topic`]: an index, so that the hot path compares no names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(pub u16);

/// One partition of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// Which topic.
    pub topic: Topic,
    /// Which of its partitions, from 0.
    pub partition: i32,
}

/// An idempotent producer of this bus. A new one has a new number; numbers are never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sender(pub u32);

/// What the broker says of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Its name.
    pub name: String,
    /// The broker's identity of it: new when a topic is deleted and made again.
    pub id: TopicId,
    /// How many partitions it has.
    pub partitions: i32,
    /// How many brokers have each partition, of the partition that fewest have; none if the bus does not know.
    pub copies: Option<i32>,
    /// Settings that the protocol cares for, by Kafka's names (`cleanup.policy`, `retention.ms`, `retention.bytes`,
    /// `max.message.bytes`, `unclean.leader.election.enable`, `min.insync.replicas`, `flush.messages`); absent if the bus does not know
    /// them.
    pub settings: Vec<(String, String)>,
}

/// A topic to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Specification {
    /// Its name.
    pub name: String,
    /// How many partitions.
    pub partitions: i32,
    /// Copies of each; -1 for the broker's default.
    pub replication: i32,
    /// Settings by Kafka's names.
    pub settings: Vec<(String, String)>,
}

/// A record to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// Where to.
    pub to: TopicPartition,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value.
    pub value: &'a [u8],
    /// Its headers; dear on Kafka.
    pub headers: &'a [(&'a str, &'a str)],
}

/// A poll is as full by so many bytes of a record as by one event more.
pub const BYTES_AN_EVENT: usize = 8 << 10;

/// A record that was read.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    /// Where it was read.
    pub at: TopicPartition,
    /// Its offset.
    pub offset: i64,
    /// Its timestamp as the log has it; 0 if it has none.
    pub timestamp: Millis,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value; none for a tombstone.
    pub value: Option<&'a [u8]>,
    /// Its headers; none if it has none.
    pub headers: Option<&'a dyn Headers>,
}

impl BusEvent<'_> {
    /// What it counts for in a poll.
    pub(crate) fn weight(&self) -> usize {
        if let BusEvent::Record(record) = self { record.weight() } else { 1 }
    }
}

impl Record<'_> {
    /// What it counts for in a poll: large ones are more work each, and nothing else is done meanwhile.
    pub(crate) fn weight(&self) -> usize {
        let bytes = self.key.map_or(0, <[u8]>::len) + self.value.map_or(0, <[u8]>::len);
        1 + bytes / BYTES_AN_EVENT
    }
}

/// The headers of a record.
pub trait Headers {
    /// The last header of this name: the one that counts, as `lastHeader` of Kafka's Java clients.
    fn find(&self, name: &str) -> Option<&[u8]>;
}

/// Why a record could not be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The bus's own queue is full; poll and try again.
    #[error("the send queue is full")]
    Full,
    /// It is larger than the topic or the client allows.
    #[error("the record is too large: {0}")]
    TooBig(String),
    /// The topic does not take it now and will not by itself: it does not exist, or this client may not write to it.
    #[error("the topic refuses: {0}")]
    Refused(String),
    /// It may or may not have been written.
    #[error("not known whether it was written: {0}")]
    Unknown(String),
    /// The sender can send nothing any more.
    #[error("the sender is broken: {0}")]
    Broken(String),
}

/// What can go wrong with a call that waits for the broker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    /// The broker does not answer; try again later.
    #[error("the broker does not answer: {0}")]
    Unreachable(String),
    /// It answered no.
    #[error("{0}")]
    Refused(String),
    /// Files of the embedded bus cannot be used.
    #[error("{0}")]
    Storage(String),
    /// Somebody else has it: the directory's lock, or another member in a group that allows one.
    #[error("{0}")]
    Taken(String),
}

/// How [`BusEvent::Unreadable`] begins if a broker's records themselves are damaged: no waiting helps. The embedded log names the file.
pub const DAMAGED: &str = "a batch is damaged";

/// Everything that happens on a bus.
pub enum BusEvent<'a> {
    /// A record, in the order of its partition.
    Record(Record<'a>),
    /// The reader has been given everything below this offset and there was no more at that moment.
    CaughtUp(TopicPartition, i64),
    /// The answer to [`Bus::ask_bounds`]: what the log held at some moment after the question.
    Bounds {
        /// Which partition.
        at: TopicPartition,
        /// The oldest offset that can be read.
        start: i64,
        /// The offset that the next record will have (for topics with transactions: the last stable one).
        end: i64,
    },
    /// The answer to [`Bus::ask_offset_at`]: the first offset with a timestamp at or after the time, or the end.
    OffsetAt {
        /// Which partition.
        at: TopicPartition,
        /// The offset.
        offset: i64,
    },
    /// The position to read from is not in the log.
    OutOfRange {
        /// Which partition.
        at: TopicPartition,
        /// The position.
        position: i64,
    },
    /// A record is in the log. `offset` is none where the bus does not know it (a retry that the broker already had).
    Acknowledged {
        /// By which producer.
        sender: Sender,
        /// As given to [`Bus::send`].
        tag: u64,
        /// Where it is.
        offset: Option<i64>,
    },
    /// A record that [`Bus::send`] took was not confirmed.
    Failed {
        /// By which producer.
        sender: Sender,
        /// As given to [`Bus::send`].
        tag: u64,
        /// Why.
        why: SendError,
    },
    /// The client reports something after which unconfirmed records of this sender cannot be trusted: fatal errors, all brokers
    /// down, a connection lost.
    Doubt {
        /// Which producer.
        sender: Sender,
        /// Why, for people.
        why: String,
    },
    /// The group gave this member these partitions; they are read from their committed offsets (the beginning, if none).
    Assigned(Vec<TopicPartition>),
    /// The group took them away.
    Revoked(Vec<TopicPartition>),
    /// A partition cannot be read now (its topic vanished or is another one, reading it is not allowed, a batch is damaged), and why.
    /// Reading goes on by itself when it can.
    Unreadable(TopicPartition, String),
    /// The answer to [`Bus::ask_topics`]: what the broker said after the question.
    Described {
        /// As it was given with the question.
        question: u64,
        /// The topics that were asked for; `None` for one that does not exist.
        topics: Vec<(Topic, Option<Description>)>,
    },
}

/// Ends a [`Bus::poll`] early, from any thread.
pub type Waker = std::sync::Arc<dyn Fn() + Send + Sync>;

/// A partitioned, durable log.
pub trait Bus {
    /// The handle of a topic name; the same name gives the same handle. Asks no broker.
    fn topic(&mut self, name: &str) -> Topic;

    /// The name behind a handle.
    fn name_of(&self, topic: Topic) -> &str;

    /// What the broker says of these topics; `None` for one that does not exist. Waits for the broker, for start-up and tools.
    fn describe(&mut self, names: &[&str]) -> Result<Vec<Option<Description>>, BusError>;

    /// Makes a topic; `Ok(false)` if it exists already (whatever its settings). Waits for the broker.
    fn create(&mut self, what: &Specification) -> Result<bool, BusError>;

    /// Deletes what a partition holds below an offset, of which the caller knows that nobody needs it: that of all records, or of as many
    /// as the log can let go of. Waits for the broker.
    fn delete_before(&mut self, at: TopicPartition, offset: i64) -> Result<(), BusError>;

    /// A new producer. Records of one sender to one partition are appended in the order of [`Bus::send`], each at most once.
    fn open_sender(&mut self) -> Result<Sender, BusError>;

    /// Drops a producer; what it had queued may or may not still be written. Events of it may still come and are to be ignored.
    fn close_sender(&mut self, sender: Sender);

    /// Queues a record; the bytes are copied or written before it returns. Exactly one `Acknowledged` or `Failed` with this tag
    /// follows an `Ok`, unless the sender is closed before. Never waits.
    fn send(&mut self, sender: Sender, message: Message<'_>, tag: u64) -> Result<(), SendError>;

    /// The shortest turn under load that pays, for whoever polls in a loop ([`Pace`]): what it adds to a step's latency is less than
    /// what full queues and small batches would.
    fn turn_min(&self) -> Duration;

    /// A [`Bus::poll`] of so many events was a full one: a turn's work, behind which more probably waits. Whoever is behind may hold back
    /// what can wait ([`Bus::pause`]), which costs nothing here. None where it is dear: librdkafka drops what it fetched ahead, and fetches
    /// it again.
    fn full_poll(&self) -> Option<usize> {
        None
    }

    /// From now on a [`Bus::poll`] of a member of a group ([`Bus::join`]) visits no more records than this, one at least: for whoever takes
    /// long over each. Only Kafka has many members.
    fn limit_records(&mut self, _: usize) {}

    /// Lets go of what was sent since the last [`Bus::poll`], which else does so: for whoever pauses in between. What needs an answer of
    /// the broker first stays until the next poll.
    fn flush(&mut self);

    /// Reads this partition from this offset on (instead of where it was read, if it was).
    fn read(&mut self, at: TopicPartition, from: i64);

    /// Reads this partition no more; nothing of it is visited after this returns.
    fn stop(&mut self, at: TopicPartition);

    /// Holds reading of these partitions, or goes on where it was held. Nothing of a paused partition is visited; nothing is lost.
    fn pause(&mut self, which: &[TopicPartition], paused: bool);

    /// Asks what the log of this partition holds now; the answer comes as [`BusEvent::Bounds`]. It is asked again by itself until
    /// the broker answers.
    fn ask_bounds(&mut self, at: TopicPartition);

    /// Asks for the first offset at or after a time; the answer comes as [`BusEvent::OffsetAt`].
    fn ask_offset_at(&mut self, at: TopicPartition, time: Millis);

    /// From now on this handle means the topic of this identity. Should its name belong to another one, made anew, then nothing of that
    /// is visited and no question is answered from it: it is [`BusEvent::Unreadable`].
    fn expect(&mut self, topic: Topic, id: TopicId);

    /// Asks what the broker says of these topics from now on, as [`Bus::describe`] does without waiting; the answer comes as one
    /// [`BusEvent::Described`]. It is asked again by itself until the broker answers.
    fn ask_topics(&mut self, topics: &[Topic], question: u64);

    /// Becomes a member of a group on these topics; `Assigned` says what it reads. At most once in a bus's life.
    fn join(&mut self, group: &str, topics: &[Topic]) -> Result<(), BusError>;

    /// Commits the group's positions (the next offsets to read). Without a group named by [`Bus::join`], `group` names it, so
    /// that lag tools work. Does not wait; what is not yet committed at a crash is read again.
    fn commit(&mut self, group: &str, next: &[(TopicPartition, i64)]);

    /// What the group committed for each of these partitions, in their order; none where it committed nothing. Waits for the broker, so
    /// that what was committed before it by anybody, and has arrived, is in the answer.
    fn committed(&mut self, group: &str, of: &[TopicPartition]) -> Result<Vec<Option<i64>>, BusError>;

    /// Visits what has happened, up to a bounded number of events; waits at most this long if nothing has. Returns the number of
    /// events visited, of which a large record counts for several: for one more each [`BYTES_AN_EVENT`].
    fn poll(&mut self, wait_max: Duration, visit: &mut dyn FnMut(BusEvent<'_>)) -> usize;

    /// Ends a waiting [`Bus::poll`] from another thread.
    fn waker(&self) -> Waker;
}
