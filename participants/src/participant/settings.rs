//! How a participant is set up, and why it ends.

use ringmaster_bus::BusError;
use ringmaster_schemas::avro::SchemaError;
use ringmaster_schemas::{Millis, names};

use super::membership::REASSIGNED_WITHIN_MS;
use crate::faults::Faults;
use crate::ledger::LedgerError;

pub use ringmaster_schemas::names::REMEMBERS_MS;

/// How a participant runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The consumer group; a service with a ledger is alone in it.
    pub group: String,
    /// The topic it reads.
    pub commands: String,
    /// How long ids are remembered. The coordinator's deadlines must be shorter.
    pub remembers_ms: Millis,
    /// So long each command takes, one after the other: for trying out what happens when a service has too much to do.
    pub service_ms: Millis,
    /// What goes wrong on purpose.
    pub faults: Faults,
}

impl Settings {
    /// Of the service of this name, beside a coordinator with this prefix.
    pub fn new(service: &str, prefix: &str) -> Self {
        Settings {
            group: format!("{prefix}.participant.{service}"),
            commands: names::command_topic(service),
            remembers_ms: REMEMBERS_MS,
            service_ms: 0,
            faults: Faults::default(),
        }
    }
}

/// Why a participant cannot go on. It is not to be used again; a new one on the same ledger takes up where it ended.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// Its store cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The broker cannot be used.
    #[error("the bus: {0}")]
    Bus(#[from] BusError),
    /// A command's schema cannot be used.
    #[error("schema {0}")]
    Schema(#[from] SchemaError),
    /// The command topic does not exist.
    #[error("the topic {0} does not exist: `ringmaster topics apply` makes it")]
    NoTopic(String),
    /// The command topic got more partitions meanwhile.
    #[error("the topic {0} has got more partitions since the service started: start it again")]
    Repartitioned(String),
    /// Somebody else reads the same commands into another ledger.
    #[error(
        "another member is in the group {group} ({assigned} of {partitions} partitions of {topic} were assigned here): a ledger belongs \
         to one process, so a service runs once. Stop the other one; one that has to scale shares a database"
    )]
    AnotherMember {
        /// The group.
        group: String,
        /// The command topic.
        topic: String,
        /// Partitions that this member has.
        assigned: usize,
        /// Partitions of the topic.
        partitions: usize,
    },
    /// All partitions were taken away and not given back.
    #[error("the group {group} gave no partition back for {REASSIGNED_WITHIN_MS} ms: is another member in it?")]
    Abandoned {
        /// The group.
        group: String,
    },
    /// Commands were deleted before they were read.
    #[error(
        "{topic} partition {partition} does not reach back to offset {position}, where the group {group} stands: commands were deleted \
         unread (the service was away for longer than the topic's retention?). Their sagas ask again or are stuck; to go on, set the \
         group's offsets to what is left (kafka-consumer-groups --reset-offsets --to-earliest)"
    )]
    PositionLost {
        /// The command topic.
        topic: String,
        /// The group.
        group: String,
        /// Which partition.
        partition: i32,
        /// The committed offset.
        position: i64,
    },
    /// It was to run without a ledger, and its answers depend on what it did.
    #[error("{0} cannot be without a ledger: its answers depend on what it did before")]
    NeedsLedger(&'static str),
    /// A fault says that the process ends here.
    #[error("scripted crash, {}", if *.effect_stored { "effects stored, replies not sent" } else { "nothing stored" })]
    ScriptedCrash {
        /// Whether the turn's effects are in the ledger.
        effect_stored: bool,
    },
}
