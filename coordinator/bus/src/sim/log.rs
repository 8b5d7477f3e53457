//! What the simulated broker keeps.

use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::TopicId;

use crate::{Description, Headers, Specification, TopicPartition};

/// Largest record of a topic that has no `max.message.bytes`, as on Kafka.
const RECORD_BYTES_MAX: usize = 1_048_588;

/// A record as the broker keeps it, and what only a simulator knows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimRecord {
    /// Its offset.
    pub offset: i64,
    /// When it was appended.
    pub timestamp: Millis,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Vec<u8>,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// Which client sent it; none if it was put there from outside.
    pub client: Option<u32>,
    /// The moment when it was sent: moments are numbered across the whole broker.
    pub sent: u64,
    /// The moment when it was appended.
    pub appended: u64,
}

impl Headers for SimRecord {
    fn find(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().rfind(|(known, _)| known == name).map(|(_, value)| value.as_bytes())
    }
}

/// One partition.
#[derive(Debug, Clone, Default)]
pub(super) struct PartitionLog {
    pub(super) start: i64,
    /// What clients deleted, for whoever checks what they did.
    pub(super) deleted: Vec<Arc<SimRecord>>,
    pub(super) records: Vec<Arc<SimRecord>>,
    /// Where its tail was cut off, each time.
    pub(super) cuts: Vec<i64>,
    /// It has no leader before this time.
    pub(super) led_from: Millis,
}

impl PartitionLog {
    pub(super) fn end(&self) -> i64 {
        self.start + self.records.len() as i64
    }

    /// Whether a reader may go on from here, which had seen so many cuts when it last fetched (none if it never did). One that had read what
    /// was cut off learns of it from the epoch of the leader (KIP-320), also when the log is as long again.
    pub(super) fn holds(&self, position: i64, cuts_seen: &mut Option<usize>) -> bool {
        let seen = cuts_seen.replace(self.cuts.len()).unwrap_or(self.cuts.len()).min(self.cuts.len());
        (self.start..=self.end()).contains(&position) && self.cuts[seen..].iter().all(|cut| position <= *cut)
    }

    pub(super) fn delete_before(&mut self, offset: i64) {
        let count = usize::try_from(offset - self.start).unwrap_or(0).min(self.records.len());
        self.deleted.extend(self.records.drain(..count));
        self.start += count as i64;
    }

    pub(super) fn at(&self, offset: i64) -> Option<&Arc<SimRecord>> {
        self.records.get(usize::try_from(offset - self.start).ok()?)
    }
}

/// One topic.
#[derive(Debug, Clone)]
pub(super) struct TopicLog {
    pub(super) name: String,
    pub(super) id: TopicId,
    pub(super) settings: Vec<(String, String)>,
    pub(super) partitions: Vec<PartitionLog>,
    /// It refuses what is sent, until it is told otherwise.
    pub(super) refusing: bool,
}

impl TopicLog {
    pub(super) fn new(what: &Specification, id: TopicId) -> Self {
        let mut settings = what.settings.clone();
        let defaults = [
            ("cleanup.policy", "delete"),
            ("retention.ms", "604800000"),
            ("retention.bytes", "-1"),
            ("unclean.leader.election.enable", "false"),
        ];
        let bytes_max = RECORD_BYTES_MAX.to_string();
        for (name, value) in defaults.into_iter().chain([("max.message.bytes", &*bytes_max)]) {
            if !settings.iter().any(|(known, _)| known == name) {
                settings.push((name.to_owned(), value.to_owned()));
            }
        }
        let count = usize::try_from(what.partitions).expect("a topic has partitions");
        TopicLog { name: what.name.clone(), id, settings, partitions: vec![PartitionLog::default(); count], refusing: false }
    }

    pub(super) fn describe(&self) -> Description {
        Description {
            name: self.name.clone(),
            id: self.id,
            partitions: self.partitions.len() as i32,
            copies: Some(1),
            settings: self.settings.clone(),
        }
    }

    pub(super) fn record_bytes_max(&self) -> usize {
        let set = self.settings.iter().find(|(name, _)| name == "max.message.bytes");
        set.and_then(|(_, value)| value.parse().ok()).unwrap_or(RECORD_BYTES_MAX)
    }
}

/// Topics in the order they were made; handles are the same for all clients.
#[derive(Debug, Default)]
pub(super) struct Topics {
    pub(super) names: crate::TopicNames,
    logs: Vec<TopicLog>,
}

impl Topics {
    pub(super) fn make(&mut self, what: &Specification, id: TopicId) -> bool {
        if self.find(&what.name).is_some() {
            return false;
        }
        self.logs.push(TopicLog::new(what, id));
        true
    }

    pub(super) fn delete(&mut self, name: &str) {
        self.logs.retain(|topic| topic.name != name);
    }

    pub(super) fn find(&self, name: &str) -> Option<&TopicLog> {
        self.logs.iter().find(|topic| topic.name == name)
    }

    pub(super) fn find_mut(&mut self, name: &str) -> Option<&mut TopicLog> {
        self.logs.iter_mut().find(|topic| topic.name == name)
    }

    pub(super) fn topic(&self, at: TopicPartition) -> Option<&TopicLog> {
        self.find(self.names.name(at.topic))
    }

    pub(super) fn partition(&self, at: TopicPartition) -> Option<&PartitionLog> {
        self.topic(at)?.partitions.get(usize::try_from(at.partition).ok()?)
    }

    pub(super) fn partition_mut(&mut self, at: TopicPartition) -> Option<&mut PartitionLog> {
        let name = self.names.name(at.topic).to_owned();
        self.find_mut(&name)?.partitions.get_mut(usize::try_from(at.partition).ok()?)
    }
}
