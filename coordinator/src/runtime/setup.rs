//! From topics as the broker describes them to partitions that can be claimed; each thing that is wrong is said, and nothing starts.
//!
//! A topic that no newest version needs is missing at most to sagas that run by an older one: it stops nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use ringmaster_bus::{Bus, BusError, Description};
use ringmaster_core::definition::Definition;
use ringmaster_core::partition::{BreakerSettings, InputSettings, Limits, Partition, Role, Settings, StartAt};
use ringmaster_core::saga::Tracing;
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::TopicId;
use ringmaster_schemas::names::Topics;

use super::knowledge::Knowledge;
use super::watch::{Rules, Use, Watched};
use super::worker::WorkerSettings;
use crate::durability::durability;

/// What an instance must know beside its definitions.
#[derive(Debug, Clone)]
pub struct SetupSettings {
    /// Prefix of internal topics.
    pub prefix: String,
    /// P.
    pub partitions: i32,
    /// The instance's name.
    pub owner: String,
    /// Where its API listens.
    pub address: String,
    /// Where reading of new inputs begins.
    pub start_at: StartAt,
    /// What differs for some input topics.
    pub inputs: Vec<InputOptions>,
    /// Bounds of one partition.
    pub limits: Limits,
    /// When a participant's breaker opens by itself, and how what was parked goes out again.
    pub breaker: BreakerSettings,
    /// Which sagas are traced; none if none is.
    pub tracing: Option<Tracing>,
    /// State is written this often.
    pub checkpoint_every_ms: Millis,
    /// Or when so many rows of a partition have changed.
    pub checkpoint_rows_max: usize,
    /// First pause before claiming again.
    pub claim_backoff_first_ms: Millis,
    /// Longest pause before claiming again.
    pub claim_backoff_max_ms: Millis,
}

/// The JSON field that names an event's type, where nothing else is set.
pub const TYPE_FIELD: &str = "type";

/// Options of an input topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputOptions {
    /// Its name.
    pub topic: String,
    /// The JSON field that names an event's type.
    pub type_field: String,
    /// The type where nothing else tells it.
    pub default_type: Option<String>,
    /// Take it as new if it was deleted and made again.
    pub accept_new: bool,
    /// Its records go through the router, whatever their keys and partitions.
    pub routed: bool,
}

impl SetupSettings {
    /// True if a topic of events is not read directly: it has another number of partitions, the setting says so, or events of it are
    /// matched by values (`matched`), which lie in any partition.
    pub fn is_routed(&self, topic: &Description, matched: &BTreeSet<Arc<str>>) -> bool {
        topic.partitions != self.partitions
            || matched.contains(topic.name.as_str())
            || self.inputs.iter().any(|options| options.topic == topic.name && options.routed)
    }
}

/// All that workers are made of.
#[derive(Debug, Clone)]
pub struct Setup {
    worker: WorkerSettings,
    partition: Settings,
    missing: BTreeSet<String>,
    durability: Option<String>,
}

/// Why an instance cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The broker could not be asked.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// Topics are not as they must be; one line each.
    #[error("topics are not as they must be:\n{}\nrun `ringmaster topics apply` to make what is missing, or mend the settings named above", .0.join("\n"))]
    Topics(Vec<String>),
}

/// Asks the broker for all topics and checks them against what definitions and protocol need.
pub fn prepare(bus: &mut impl Bus, settings: &SetupSettings, knowledge: &Knowledge) -> Result<Setup, SetupError> {
    let topics = Topics::new(&settings.prefix);
    let listened: Vec<String> = knowledge.catalog.listener_topics().iter().map(|topic| topic.to_string()).collect();
    let mut starts: Vec<String> = knowledge.catalog.input_topics().iter().map(|topic| topic.to_string()).collect();
    let outputs: BTreeSet<String> = knowledge
        .catalog
        .newest_versions()
        .flat_map(|newest| newest.outputs())
        .chain([topics.quarantine.clone(), topics.inbox.clone(), topics.replies.clone()])
        .collect();
    // One topic may be read and written: what one saga emits starts another.
    let mut needed: BTreeSet<&str> =
        [&topics.journal, &topics.snapshots, &topics.replies, &topics.control, &topics.inbox, &topics.definitions, &topics.schemas]
            .map(String::as_str)
            .into();
    needed.extend(starts.iter().chain(&outputs).map(String::as_str));
    let older: BTreeSet<String> = knowledge.catalog.versions().iter().flat_map(|(version, _)| version.outputs()).collect();
    // What only sagas of older versions listen to is read as long as it is there.
    let older: BTreeSet<String> = older.into_iter().chain(listened.iter().cloned()).collect();
    let needed: BTreeSet<String> = needed.into_iter().map(str::to_owned).collect();
    starts.extend(listened.into_iter().filter(|topic| !needed.contains(topic)));
    let names: Vec<&str> = older.iter().chain(&needed).map(String::as_str).collect::<BTreeSet<_>>().into_iter().collect();
    let (mut found, mut wrong, mut missing) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for (name, description) in names.iter().zip(bus.describe(&names)?) {
        let faults = faults_of(name, description.as_ref(), &topics, settings.partitions);
        match description {
            _ if !faults.is_empty() && needed.contains(*name) => wrong.extend(faults),
            Some(description) if faults.is_empty() => found.push(description),
            Some(_) | None => drop(missing.insert((*name).to_owned())),
        }
    }
    if !wrong.is_empty() {
        return Err(SetupError::Topics(wrong.into_iter().collect()));
    }
    let described = |name: &str| found.iter().find(|description| description.name == name).expect("missing topics were reported");
    let limits = limits(settings, described(&topics.journal));
    let inbox = described(&topics.inbox);
    let bytes_max = message_bytes(inbox).saturating_sub(ROUTED_BESIDE_BYTES).min(limits.record_bytes_max);
    let partition = Settings {
        number: 0,
        partitions: settings.partitions,
        owner: settings.owner.as_str().into(),
        address: settings.address.as_str().into(),
        journal: described(&topics.journal).id,
        reply_topic: topics.replies.as_str().into(),
        quarantine_topic: topics.quarantine.as_str().into(),
        inputs: vec![
            own(described(&topics.replies), Role::Replies, settings),
            own(described(&topics.control), Role::Control, settings),
            own(inbox, Role::Inbox { bytes_max }, settings),
        ],
        limits,
        breaker: settings.breaker.clone(),
        tracing: settings.tracing.clone(),
    };
    let worker = worker_settings(&topics, settings, partition.limits.record_bytes_max);
    let mut setup = Setup { worker, partition, missing, durability: durability(described(&topics.journal)) };
    let outputs: BTreeSet<&str> = outputs.iter().chain(&older).map(String::as_str).collect();
    setup.extend((settings, &knowledge.catalog.matched_topics()), &found, &starts, &outputs);
    Ok(setup)
}

/// What a worker must know before it is known which topics of others are used.
fn worker_settings(topics: &Topics, settings: &SetupSettings, journal_bytes: usize) -> WorkerSettings {
    WorkerSettings {
        journal: topics.journal.clone(),
        definitions: topics.definitions.clone(),
        inputs: vec![topics.replies.clone(), topics.control.clone(), topics.inbox.clone()],
        outputs: Vec::new(),
        topics: Vec::new(),
        rules: Rules {
            topics: topics.clone(),
            direct: Vec::new(),
            routed: Vec::new(),
            partitions: settings.partitions,
            journal_bytes,
        },
        group: settings.prefix.clone(),
        checkpoint_every_ms: settings.checkpoint_every_ms,
        checkpoint_rows_max: settings.checkpoint_rows_max,
        claim_backoff_first_ms: settings.claim_backoff_first_ms,
        claim_backoff_max_ms: settings.claim_backoff_max_ms,
    }
}

/// What is wrong with a topic that is needed, one line each.
pub(super) fn faults_of(name: &str, found: Option<&Description>, topics: &Topics, partitions: i32) -> Vec<String> {
    found.map_or_else(|| vec![format!("  {name}: does not exist")], |found| crate::topics::faults(found, topics, &[], partitions))
}

impl Setup {
    /// What an acknowledged record of the journal survives; none if the bus does not tell.
    pub fn durability(&self) -> Option<&str> {
        self.durability.as_deref()
    }

    /// What a worker must know.
    pub fn worker(&self) -> WorkerSettings {
        self.worker.clone()
    }

    /// Topics that only versions send to that are not the newest, and that do not exist or are not as they must be. What a saga that
    /// still runs by one of them sends there waits as undeliverable.
    pub fn missing(&self) -> &BTreeSet<String> {
        &self.missing
    }

    /// Takes in more topics as the broker describes them: those that events start sagas on, and those that effects go to. What is known
    /// stays as and where it is.
    pub(super) fn extend(
        &mut self,
        (settings, matched): (&SetupSettings, &BTreeSet<Arc<str>>),
        found: &[Description],
        starts: &[String],
        outputs: &BTreeSet<&str>,
    ) {
        let Setup { worker, partition, missing, .. } = self;
        for description in found {
            let name = &description.name;
            if starts.contains(name) && !worker.inputs.contains(name) {
                let is_routed = settings.is_routed(description, matched);
                let inputs = events(description, settings, is_routed);
                worker.inputs.extend(inputs.iter().map(|_| name.clone()));
                if is_routed {
                    worker.rules.routed.push((name.clone(), description.partitions));
                } else {
                    worker.rules.direct.push(name.clone());
                }
                partition.inputs.extend(inputs);
            }
            if outputs.contains(name.as_str()) && worker.outputs.iter().all(|(known, _)| known != name) {
                worker.outputs.push((name.clone(), description.partitions));
            }
            let watched = watched(description, &worker.rules.topics, &worker.inputs);
            match worker.topics.iter_mut().find(|known| *known.name == **name) {
                // One that was written to alone is read now.
                Some(known) => known.used = watched.used,
                None => worker.topics.push(watched),
            }
            missing.remove(name);
        }
    }

    /// Notes topics that only versions send to that are not in force, and that do not exist.
    pub(super) fn miss(&mut self, topics: impl IntoIterator<Item = String>) {
        let new: Vec<String> = topics.into_iter().filter(|topic| !self.sends_to(topic)).collect();
        self.missing.extend(new);
    }

    /// True if the topic is read.
    pub(super) fn reads(&self, topic: &str) -> bool {
        self.worker.inputs.iter().any(|known| known == topic)
    }

    /// What is wrong with topics of events that a definition matches by values: each partition reads its own part of them so far.
    pub(super) fn not_routed(&self, definition: &Definition) -> Vec<String> {
        let direct = &self.worker.rules.direct;
        let matched = definition.listeners.iter().filter(|listener| listener.matches.is_some()).map(|listener| &*listener.topic);
        let topics: BTreeSet<&str> = matched.filter(|topic| direct.iter().any(|known| known == topic)).collect();
        let say = |topic: &&str| {
            format!(
                "  {topic}: is read directly, and events that are matched by a value go by the inbox: start the coordinator again"
            )
        };
        topics.iter().map(say).collect()
    }

    /// True if effects go there.
    pub(super) fn sends_to(&self, topic: &str) -> bool {
        self.worker.outputs.iter().any(|(known, _)| known == topic)
    }

    /// Topics whose records go through the router, with their numbers of partitions.
    pub fn routed(&self) -> &[(String, i32)] {
        &self.worker.rules.routed
    }

    /// What is read, in order.
    pub(super) fn inputs(&self) -> &[InputSettings] {
        &self.partition.inputs
    }

    /// Whether sagas are traced.
    pub fn is_traced(&self) -> bool {
        self.partition.tracing.is_some()
    }

    /// The journal's identity.
    pub fn journal(&self) -> TopicId {
        self.partition.journal
    }

    /// P.
    pub fn partition_count(&self) -> i32 {
        self.partition.partitions
    }

    /// What this partition is told.
    pub fn partition(&self, number: i32) -> Settings {
        Settings { number, ..self.partition.clone() }
    }

    /// The partitions of worker `index` of `count`.
    pub fn partitions(&self, index: usize, count: usize) -> Vec<Partition> {
        let numbers = (0..self.partition.partitions).filter(|number| *number as usize % count == index);
        numbers.map(|number| Partition::new(self.partition(number))).collect()
    }
}

/// What a record of the inbox may hold beside the record that is routed: what could not be routed of it, headers, and the log's framing.
const ROUTED_BESIDE_BYTES: usize = 256 << 10;

/// The largest record that a topic takes, as far as its bus says so.
fn message_bytes(topic: &Description) -> usize {
    let setting = topic.settings.iter().find(|(name, _)| name == "max.message.bytes");
    setting.and_then(|(_, value)| value.parse().ok()).unwrap_or(usize::MAX)
}

/// A journal record must fit into what the topic takes, with room for the log's own framing.
fn limits(settings: &SetupSettings, journal: &Description) -> Limits {
    const FRAMING_BYTES: usize = 4096;
    let most = message_bytes(journal).saturating_sub(FRAMING_BYTES);
    Limits { record_bytes_max: settings.limits.record_bytes_max.min(most), ..settings.limits.clone() }
}

fn watched(description: &Description, topics: &Topics, inputs: &[String]) -> Watched {
    let name = &description.name;
    let used = if *name == topics.journal {
        Use::Journal
    } else if inputs.contains(name) {
        Use::Input
    } else if [&topics.definitions, &topics.schemas, &topics.quarantine, &topics.snapshots].contains(&name) {
        Use::History
    } else {
        Use::Output
    };
    Watched { name: name.as_str().into(), id: description.id, used }
}

/// A topic of the coordinator's own: answers to commands of this very journal, and acts on its sagas. None may be passed over.
fn own(description: &Description, role: Role, settings: &SetupSettings) -> InputSettings {
    InputSettings {
        topic: description.id,
        name: description.name.as_str().into(),
        role,
        start_at: StartAt::Earliest,
        accept_new: settings.inputs.iter().any(|options| options.topic == description.name && options.accept_new),
    }
}

/// A topic of events: read directly, or by as many shares as a partition routes of it.
fn events(description: &Description, settings: &SetupSettings, is_routed: bool) -> Vec<InputSettings> {
    let options = settings.inputs.iter().find(|options| options.topic == description.name);
    let type_field: Arc<str> = options.map_or(TYPE_FIELD, |options| &options.type_field).into();
    let default_type: Option<Arc<str>> = options.and_then(|options| options.default_type.as_deref()).map(Arc::from);
    let of = |role| InputSettings {
        topic: description.id,
        name: description.name.as_str().into(),
        role,
        start_at: settings.start_at,
        accept_new: options.is_some_and(|options| options.accept_new),
    };
    if !is_routed {
        return vec![of(Role::Events { type_field, default_type })];
    }
    let shares = (description.partitions + settings.partitions - 1) / settings.partitions;
    let role = |slot| Role::Source {
        type_field: type_field.clone(),
        default_type: default_type.clone(),
        slot,
        partitions: description.partitions,
    };
    (0..shares).map(|slot| of(role(slot))).collect()
}
