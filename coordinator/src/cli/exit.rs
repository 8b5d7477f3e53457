//! Exit codes that mean something: one table for `--help`, the README, and the code.

use std::fmt;

use ringmaster_bus::BusError;
use ringmaster_core::partition::Why;
use ringmaster_store::StoreError;

use crate::config::{BusKind, Config, ConfigError};
use crate::runtime::{DeployError, KnowledgeError, SetupError, Stop};

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It did what it was asked.
    Done = 0,
    /// It failed in a way that no other code names.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// Another process runs under this instance's name.
    Fenced = 3,
    /// Settings or topics are not as they must be.
    Refused = 4,
    /// The broker, or the coordinator that was asked, does not answer.
    Unreachable = 5,
    /// A definition, a schema or a scenario has errors.
    Definition = 6,
    /// Files are in use by another process.
    Taken = 7,
    /// The journal, or a topic that an instance relies on, is not what it was.
    Journal = 8,
    /// What was asked for does not exist.
    NotFound = 9,
    /// What was waited for did not happen in time.
    Waited = 10,
    /// Whoever asked may not.
    NotAllowed = 11,
    /// An act was understood and not taken.
    Rejected = 12,
    /// The store cannot be written or read.
    Store = 13,
}

/// Every code and what it tells whoever started the command.
pub const EXITS: [(Exit, &str); 14] = [
    (Exit::Done, "done"),
    (
        Exit::Failed,
        "failed; the message says why. Of `definitions diff` and `replay journal`: there is a difference, and nothing failed",
    ),
    (Exit::Usage, "the command line is wrong"),
    (Exit::Fenced, "another process runs under the name of this instance; give each a name of its own (--set instance=...)"),
    (Exit::Refused, "settings or topics are not as they must be; restarting does not help"),
    (Exit::Unreachable, "no answer from the broker, or from the coordinator that was asked; try again later"),
    (Exit::Definition, "a definition, a schema or a scenario has errors; nothing was deployed"),
    (Exit::Taken, "the data directory is in use by another process"),
    (
        Exit::Journal,
        "the journal, an input or an internal topic was deleted, cut, made again, or cannot be replayed; a person must decide",
    ),
    (Exit::NotFound, "what was asked for does not exist"),
    (Exit::Waited, "what was waited for did not happen in time"),
    (Exit::NotAllowed, "not allowed: the coordinator wants a token, or one with another role"),
    (Exit::Rejected, "the act was understood and not taken; the message says why"),
    (Exit::Store, "the store cannot be written or read: look at its disk, and start again; what is damaged is made anew then"),
];

/// The table as it stands below `--help`.
pub fn table() -> String {
    EXITS.iter().map(|(exit, meaning)| format!("  {}  {meaning}\n", *exit as u8)).collect()
}

/// Why a command did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// For whoever started it.
    pub exit: Exit,
    /// For people; may have several lines. Empty if the code says it all.
    pub message: String,
    /// The brokers do not answer.
    is_of_brokers: bool,
}

impl Failure {
    /// A failure with a message.
    pub fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Failure { exit, message: message.to_string(), is_of_brokers: false }
    }

    /// Brokers that do not answer are named, since the commonest reason is a wrong address.
    pub(super) fn naming_brokers(mut self, config: &Config) -> Failure {
        if self.is_of_brokers && config.bus == BusKind::Kafka {
            self.message += &format!("\n(kafka.bootstrap.servers is {})", config.kafka.bootstrap);
        }
        self
    }
}

impl From<BusError> for Failure {
    fn from(error: BusError) -> Self {
        let exit = match &error {
            BusError::Unreachable(_) => Exit::Unreachable,
            BusError::Refused(_) => Exit::Refused,
            BusError::Storage(_) => Exit::Failed,
            BusError::Taken(_) => Exit::Taken,
        };
        Failure { is_of_brokers: exit == Exit::Unreachable, ..Failure::new(exit, error) }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Failure::new(Exit::Refused, error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let exit = match &error {
            StoreError::Taken(_) => Exit::Taken,
            StoreError::Stale { .. } | StoreError::Damaged(_) | StoreError::Io(_) => Exit::Store,
        };
        Failure::new(exit, error)
    }
}

impl From<SetupError> for Failure {
    fn from(error: SetupError) -> Self {
        match error {
            SetupError::Bus(error) => error.into(),
            SetupError::Topics(_) => Failure::new(Exit::Refused, error),
        }
    }
}

impl From<DeployError> for Failure {
    fn from(error: DeployError) -> Self {
        match error {
            DeployError::Knowledge(error) => error.into(),
            DeployError::Topics(error) => error.into(),
        }
    }
}

impl From<KnowledgeError> for Failure {
    fn from(error: KnowledgeError) -> Self {
        match error {
            KnowledgeError::Bus(error) => error.into(),
            KnowledgeError::File { path, error } if error.kind() == std::io::ErrorKind::NotFound => {
                Failure::new(Exit::NotFound, format_args!("{}: there is no such file", path.display()))
            }
            KnowledgeError::File { .. } => Failure::new(Exit::Failed, error),
            KnowledgeError::Schemas(_) | KnowledgeError::Definitions(_) => Failure::new(Exit::Definition, error),
            KnowledgeError::Record { .. } => Failure::new(Exit::Journal, error),
        }
    }
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Self {
        let exit = match &stop {
            Stop::Bus(_) => Exit::Unreachable,
            Stop::Group(_) => Exit::Fenced,
            Stop::Panicked { .. } => Exit::Failed,
            Stop::Topic(_) => Exit::Journal,
            Stop::Partition(why) => match why {
                Why::Fenced { .. } => Exit::Fenced,
                Why::PartitionsDiffer { .. } => Exit::Refused,
                Why::JournalCut { .. }
                | Why::JournalMadeAgain(_)
                | Why::TopicMadeAgain { .. }
                | Why::InputLost { .. }
                | Why::Corrupt { .. } => Exit::Journal,
                Why::Store { .. } => Exit::Store,
            },
        };
        Failure { is_of_brokers: exit == Exit::Unreachable, ..Failure::new(exit, stop) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_code_once_and_in_order() {
        let codes: Vec<u8> = EXITS.iter().map(|(exit, _)| *exit as u8).collect();
        assert_eq!(codes, (0..=13).collect::<Vec<u8>>());
    }

    #[test]
    fn a_wrong_file_and_a_damaged_topic_have_codes_of_their_own() {
        let record = KnowledgeError::Record { topic: "ringmaster.definitions".into(), offset: 3, detail: "damaged".into() };
        let file = KnowledgeError::File { path: "x.yaml".into(), error: std::io::Error::other("gone") };
        let missing = KnowledgeError::File { path: "x.yaml".into(), error: std::io::ErrorKind::NotFound.into() };
        for (error, exit, part) in [
            (record, Exit::Journal, "ringmaster.definitions: the record at offset 3 cannot be used: damaged"),
            (KnowledgeError::Definitions(Vec::new()), Exit::Definition, ""),
            (KnowledgeError::Schemas(Vec::new()), Exit::Definition, ""),
            (file, Exit::Failed, "x.yaml: gone"),
            (missing, Exit::NotFound, "x.yaml: there is no such file"),
            (KnowledgeError::Bus(BusError::Unreachable("no answer".into())), Exit::Unreachable, "no answer"),
        ] {
            let failure = Failure::from(error);
            assert!(failure.exit == exit && failure.message.contains(part), "{failure:?}");
        }
    }

    #[test]
    fn a_fenced_instance_has_its_own_code_and_names_the_other() {
        let why = Why::Fenced { partition: 3, owner: "blue".to_owned(), address: "10.0.0.7:8080".to_owned() };
        let failure = Failure::from(Stop::Partition(why));
        assert_eq!(failure.exit, Exit::Fenced);
        assert!(failure.message.contains("blue") && failure.message.contains("10.0.0.7:8080"), "{}", failure.message);
    }
}
