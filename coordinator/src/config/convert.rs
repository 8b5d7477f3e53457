//! Settings as the parts of an instance want them.

use std::path::{Path, PathBuf};

use ringmaster_bus::embedded::{Settings as LogSettings, Sync};
use ringmaster_bus::kafka::{Joining, KafkaSettings};
use ringmaster_core::definition::{DEFAULTS, compile};
use ringmaster_core::partition::Limits;
use ringmaster_core::saga::Tracing;
use ringmaster_schemas::Millis;
use ringmaster_schemas::names::Topics;

use super::{Config, Participant};
use crate::runtime::{CompileOptions, Deploying, InputOptions, InstanceSettings, Scrubber, SetupSettings, View};
use crate::scaling::{AskMembers, Scaling};

/// The group of the instances of a prefix.
pub fn group_of(prefix: &str) -> String {
    format!("{prefix}.instances")
}

impl Config {
    /// What partitions and workers are made of.
    pub fn setup(&self) -> SetupSettings {
        let limits = &self.limits;
        let millis = |duration: std::time::Duration| duration.as_millis() as Millis;
        SetupSettings {
            prefix: self.prefix.clone(),
            partitions: self.partitions,
            owner: self.instance.clone(),
            address: self.api.listen.map_or_else(String::new, |address| address.to_string()),
            start_at: self.start_at,
            inputs: self.inputs(),
            limits: Limits {
                record_bytes_max: limits.record_bytes_max,
                record_turns_max: limits.record_turns_max,
                in_flight_records_max: limits.in_flight_records_max,
                // The settings are for all partitions together.
                in_flight_max: (limits.in_flight_max / self.partitions as usize).max(1),
                memory_bytes_max: self.shares().partition,
                unreleased_effects_max: limits.unreleased_effects_max,
                timers_per_poll_max: limits.timers_per_poll_max,
            },
            breaker: self.breaker.settings(),
            tracing: self.tracing.as_ref().map(|endpoint| Tracing::new(&self.prefix, endpoint.ratio)),
            checkpoint_every_ms: millis(limits.checkpoint_every),
            checkpoint_rows_max: limits.checkpoint_rows_max,
            claim_backoff_first_ms: millis(limits.claim_backoff_first),
            claim_backoff_max_ms: millis(limits.claim_backoff_max),
        }
    }

    /// What an instance as a whole must know.
    pub fn instance(&self) -> InstanceSettings {
        InstanceSettings { flush_every: self.limits.flush_every, memory_max: self.limits.memory }
    }

    /// Who looks at all rows of the store of this view.
    pub fn scrubber(&self, view: Box<View>) -> Scrubber {
        let of = |(name, participant): (&String, &Participant)| (name.clone(), participant.remembers.as_millis() as Millis);
        Scrubber::new(view, self.participants.iter().map(of).collect(), DEFAULTS.remembers_ms)
    }

    /// The same in a process that others share, services and a log: what the system says of it is not the coordinator's alone, and
    /// is not held against `limits.memory`.
    pub fn instance_among_others(&self) -> InstanceSettings {
        InstanceSettings { memory_max: usize::MAX, ..self.instance() }
    }

    /// True if the events of this topic go through the router as settings say; those of a topic that has not P partitions do so anyway.
    pub fn is_routed(&self, topic: &str) -> bool {
        self.topics.get(topic).is_some_and(|topic| topic.routed)
    }

    fn inputs(&self) -> Vec<InputOptions> {
        let input = |(name, topic): (&String, &super::Topic)| InputOptions {
            topic: name.clone(),
            type_field: topic.type_field.clone(),
            default_type: topic.default_type.clone(),
            accept_new: topic.accept_new,
            routed: topic.routed,
        };
        self.topics.iter().map(input).collect()
    }

    /// How definitions are compiled.
    pub fn compile_options(&self) -> CompileOptions {
        let participant = |(name, participant): (&String, &super::Participant)| {
            let remembers_ms = participant.remembers.as_millis() as Millis;
            (name.clone(), compile::Participant { encoding: participant.encoding, remembers_ms })
        };
        let topic =
            |(name, topic): (&String, &super::Topic)| (name.clone(), compile::Topic { mode: topic.mode, encoding: topic.encoding });
        CompileOptions {
            participants: self.participants.iter().map(participant).collect(),
            topics: self.topics.iter().map(topic).collect(),
            prefix: Some(self.prefix.clone()),
        }
    }

    /// Where and how definitions are deployed.
    pub fn deploying(&self) -> Deploying {
        Deploying {
            prefix: self.prefix.clone(),
            partitions: self.partitions,
            schemas: self.schemas.clone(),
            options: self.compile_options(),
            typed: self.topics.iter().filter(|(_, topic)| topic.default_type.is_some()).map(|(name, _)| name.clone()).collect(),
        }
    }

    /// How Kafka is reached.
    pub fn kafka_settings(&self) -> KafkaSettings {
        KafkaSettings {
            passthrough: self.kafka.passthrough.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
            group: self.prefix.clone(),
            fetched_bytes_max: self.shares().fetched,
            ..KafkaSettings::new(&self.kafka.bootstrap)
        }
    }

    /// What tells which participant is about to be the bottleneck. `topics`: partition counts of what is sent to; `ask`: who asks the
    /// broker for the members of groups.
    pub fn scaling(&self, topics: impl IntoIterator<Item = (String, i32)>, ask: Option<Box<AskMembers>>) -> Scaling {
        let configured = self.participants.iter().map(|(name, participant)| (name.clone(), participant.scaling.clone()));
        Scaling::new(&self.prefix, self.partitions, configured.collect(), topics.into_iter().collect(), ask)
    }

    /// The group that shares the partitions out.
    pub fn group(&self) -> String {
        group_of(&self.prefix)
    }

    /// As whom the instance joins it; `address` is where its API listens, empty if nowhere.
    pub fn joining(&self, address: String) -> Joining {
        Joining {
            group: self.group(),
            address,
            topic: Topics::new(&self.prefix).journal,
            partitions: self.partitions,
            name: self.instance.clone(),
            leaves: self.leave_on_stop,
        }
    }

    /// How the embedded log is opened.
    pub fn log_settings(&self) -> LogSettings {
        let sync = if self.embedded.sync_always { Sync::Always } else { Sync::Never };
        LogSettings { sync, ..LogSettings::default() }
    }

    /// The definition files.
    pub fn definition_files(&self) -> Result<Vec<PathBuf>, crate::runtime::KnowledgeError> {
        crate::runtime::definition_files(&self.definitions)
    }

    /// The schema folder.
    pub fn schema_folder(&self) -> &Path {
        &self.schemas
    }
}
