//! What a partition is told once: its topics and its bounds.

use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{QUARANTINE_RAW_BYTES_MAX, TopicId};

use crate::saga::{ROW_BYTES_MAX, Tracing};

/// What a partition must know before it starts; fixed for the life of the instance.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which partition.
    pub number: i32,
    /// P: how many there are.
    pub partitions: i32,
    /// The instance's name, written into claims for people.
    pub owner: Arc<str>,
    /// Where the instance's API listens, written into claims for people.
    pub address: Arc<str>,
    /// The journal topic's identity.
    pub journal: TopicId,
    /// Where replies are to go.
    pub reply_topic: Arc<str>,
    /// Where quarantined records are sent.
    pub quarantine_topic: Arc<str>,
    /// What is read.
    pub inputs: Vec<InputSettings>,
    /// Bounds.
    pub limits: Limits,
    /// When a participant's breaker opens by itself, and how what was parked goes out again.
    pub breaker: BreakerSettings,
    /// Which sagas are traced; none if none is.
    pub tracing: Option<Tracing>,
}

/// When a participant's breaker opens by itself, and how what was parked goes out again.
#[derive(Debug, Clone)]
pub struct BreakerSettings {
    /// False: breakers open only by a person.
    pub on: bool,
    /// Of what was asked within so long a time the share is taken.
    pub window_ms: Millis,
    /// From this share of failures and silences on it opens, in percent.
    pub share_percent: u32,
    /// If there are at least so many of them.
    pub minimum: u32,
    /// While it is open one command goes out this often, as a probe.
    pub probe_ms: Millis,
    /// While it drains at most so many are out at once.
    pub drain_max: usize,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        BreakerSettings { on: true, window_ms: 10_000, share_percent: 50, minimum: 10, probe_ms: 5_000, drain_max: 64 }
    }
}

/// One input topic; the partition reads its own number of it.
#[derive(Debug, Clone)]
pub struct InputSettings {
    /// The broker's identity of it.
    pub topic: TopicId,
    /// Its name.
    pub name: Arc<str>,
    /// What it carries.
    pub role: Role,
    /// Where reading begins if the journal has no position for it.
    pub start_at: StartAt,
    /// Take a topic that was deleted and made again as new, instead of refusing it.
    pub accept_new: bool,
}

/// What an input topic carries.
#[derive(Debug, Clone)]
pub enum Role {
    /// Domain events.
    Events {
        /// The JSON field that names the type.
        type_field: Arc<str>,
        /// The type where nothing else tells it.
        default_type: Option<Arc<str>>,
    },
    /// Answers of participants.
    Replies,
    /// What people do to sagas.
    Control,
    /// Domain events of a topic that is not read directly: they are handed on by the inbox. This partition reads partition
    /// `number + slot * P` of it.
    Source {
        /// The JSON field that names the type.
        type_field: Arc<str>,
        /// The type where nothing else tells it.
        default_type: Option<Arc<str>>,
        /// Which of this partition's shares.
        slot: i32,
        /// How many partitions the topic has.
        partitions: i32,
    },
    /// What routers hand on.
    Inbox {
        /// So many bytes of one record are handed on at most.
        bytes_max: usize,
    },
}

impl Settings {
    /// Which partition of an input's topic is read; none where the topic has not so many.
    pub fn partition_of(&self, index: usize) -> Option<i32> {
        match self.inputs[index].role {
            Role::Source { slot, partitions, .. } => {
                let partition = self.number + slot * self.partitions;
                (partition < partitions).then_some(partition)
            }
            Role::Events { .. } | Role::Replies | Role::Control | Role::Inbox { .. } => Some(self.number),
        }
    }

    /// By what name the journal keeps where an input goes on.
    pub(super) fn place_of(&self, index: usize) -> Arc<str> {
        let InputSettings { name, role, .. } = &self.inputs[index];
        match (role, self.partition_of(index)) {
            (Role::Source { .. }, Some(partition)) => format!("{name}/{partition}").into(),
            _ => name.clone(),
        }
    }

    /// Where and how many bytes routers hand on.
    pub(super) fn inbox(&self) -> Option<usize> {
        self.inputs.iter().find_map(|input| match input.role {
            Role::Inbox { bytes_max } => Some(bytes_max),
            _ => None,
        })
    }
}

/// Where reading of a new input begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    /// With the oldest record.
    Earliest,
    /// With the next record.
    Latest,
    /// With the first record at or after this time.
    Time(Millis),
}

/// Bounds of one partition, so that nothing grows with the load.
#[derive(Debug, Clone)]
pub struct Limits {
    /// A journal record's bytes: below the topic's `max.message.bytes` and the client's batch size.
    pub record_bytes_max: usize,
    /// Turns in one record: bounds what one lost acknowledgement undoes.
    pub record_turns_max: usize,
    /// Unconfirmed records: deep enough to hide a round trip, shallow enough to replay at once.
    pub in_flight_records_max: usize,
    /// Sagas that wait for an answer; above it none is started. What waits in the topics costs nothing, and commands that wait in a
    /// participant's topic must not become older than their timeouts.
    pub in_flight_max: usize,
    /// Bytes in memory: rows, effects, records on their way. Above half of it no saga is started, above it inputs pause until a
    /// checkpoint has trimmed them.
    pub memory_bytes_max: usize,
    /// Effects that are not acknowledged; above it inputs pause.
    pub unreleased_effects_max: usize,
    /// Timers fired in one poll: a burst of them must not make one huge record.
    pub timers_per_poll_max: usize,
}

impl Limits {
    /// The smallest `record_bytes_max`: a row's worth of events, a command that undoes, the events of an end, or a quarantined record
    /// with its bytes, must fit into a record.
    pub const RECORD_BYTES_MIN: usize = ROW_BYTES_MAX + 2 * QUARANTINE_RAW_BYTES_MAX + (64 << 10);
    /// The smallest `memory_bytes_max`: a few rows of any size.
    pub const MEMORY_BYTES_MIN: usize = 8 * ROW_BYTES_MAX;
}
