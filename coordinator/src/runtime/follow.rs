//! Takes in what is deployed while an instance runs.
//!
//! ```text
//! topic of definitions, topic of schemas -> compiled, their topics looked at -> News -> every worker, between two of its turns
//! ```
//!
//! A version that cannot be taken in stops nothing: the one before it stays in force, and the log says why. One whose topics are missing
//! is looked at again until they are there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ringmaster_bus::{Bus, BusEvent, Description, TopicPartition};
use ringmaster_core::definition::{Catalog, DefinitionRecord};
use ringmaster_schemas::Millis;
use ringmaster_schemas::names::Topics;
use ringmaster_schemas::registry::Schemas;

use super::candidate::{Candidate, held_back};
use super::clock::Now;
use super::deploy::Deploying;
use super::folder::Folder;
use super::knowledge::{Knowledge, KnowledgeError, KnownSchemas, add_schema, append_schemas, read_record};
use super::news::{News, in_force};
use super::said::Said;
use super::setup::{Setup, SetupSettings, faults_of};
use crate::topics;

/// What keeps a version from being taken in is looked at this often,
const LOOK_EVERY_MS: Millis = 1_000;
/// and this often what only versions lack that are not in force any more.
const LOOK_SELDOM_MS: Millis = 5_000;

/// How an instance follows what is deployed.
#[derive(Debug, Clone)]
pub struct Following {
    /// What partitions and workers are made of.
    pub setup: SetupSettings,
    /// Where and how definitions are deployed.
    pub deploying: Deploying,
    /// Topics that are missing are made: nobody else can.
    pub makes_topics: bool,
    /// What changes in this folder of definitions is deployed.
    pub folder: Option<std::path::PathBuf>,
}

/// Follows both topics on a bus of its own.
pub struct Follower<B: Bus> {
    bus: B,
    following: Following,
    topics: Topics,
    knowledge: Arc<Knowledge>,
    setup: Setup,
    definitions: Tail,
    schemas: Tail,
    /// All schemas, those included that no knowledge has yet.
    all: Schemas,
    /// What the topic of schemas holds, as far as it is read: all of it, also what was known at the start.
    known: KnownSchemas,
    /// What was known at the start: no news.
    first: KnownSchemas,
    /// Schemas came that no knowledge has yet.
    grown: bool,
    /// Versions that are not taken in yet, by offset.
    waiting: BTreeMap<i64, DefinitionRecord>,
    /// Of those, what could not be compiled once: its schemas may be on their way yet.
    failed: BTreeSet<i64>,
    /// How far the schemas must be read before versions are compiled: asked behind the last of those.
    need: Need,
    look_at: Millis,
    said: Said<About>,
    folder: Option<Folder>,
}

/// What something is wrong with.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum About {
    /// The topic of definitions cannot be read.
    Definitions,
    /// The topic of schemas cannot be read.
    Schemas,
    /// Nothing can be taken in.
    Taking,
    /// A version of this saga waits.
    Saga(String),
}

/// One topic, read for ever.
struct Tail {
    at: TopicPartition,
    next: i64,
}

/// The end of the topic of schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Unasked,
    Asked,
    Known(i64),
}

impl<B: Bus> Follower<B> {
    /// Goes on behind what an instance knows.
    pub fn new(mut bus: B, following: Following, knowledge: Arc<Knowledge>, setup: Setup) -> Self {
        let topics = Topics::new(&following.deploying.prefix);
        let mut tail = |name: &str, next| Tail { at: TopicPartition { topic: bus.topic(name), partition: 0 }, next };
        let (definitions, schemas) = (tail(&topics.definitions, knowledge.catalog.loaded_to()), tail(&topics.schemas, 0));
        let folder = following.folder.as_deref().map(|folder| Folder::new(folder, &following.deploying.schemas));
        let mut follower = Follower {
            bus,
            topics,
            all: knowledge.schemas.clone(),
            first: knowledge.schemas.iter().map(|schema| (schema.key(), knowledge.schemas.is_part(schema))).collect(),
            knowledge,
            setup,
            definitions,
            schemas,
            known: KnownSchemas::new(),
            grown: false,
            waiting: BTreeMap::new(),
            failed: BTreeSet::new(),
            need: Need::Unasked,
            look_at: Millis::MIN,
            said: Said::default(),
            folder,
            following,
        };
        follower.resume();
        follower
    }

    /// Reads on; calls that wait for the broker may have lost what came meanwhile.
    fn resume(&mut self) {
        self.bus.read(self.definitions.at, self.definitions.next);
        self.bus.read(self.schemas.at, self.schemas.next);
    }

    /// Takes what came, waiting at most so long for it; news, if there are any.
    pub fn turn(&mut self, now: Now, wait: Duration) -> Option<News> {
        self.poll(wait);
        self.deploy_folder(now);
        if !self.is_due(now) {
            return None;
        }
        let taken = match self.take() {
            Ok(taken) => {
                self.said.mended(&About::Taking);
                taken
            }
            Err(error) => {
                self.said.say(About::Taking, &format!("what was deployed cannot be taken in yet, it is tried again: {error}"));
                None
            }
        };
        self.resume();
        let is_done = self.waiting.is_empty() && !self.grown;
        self.look_at = now.steady + if is_done { LOOK_SELDOM_MS } else { LOOK_EVERY_MS };
        taken
    }

    fn poll(&mut self, wait: Duration) {
        if self.need == Need::Unasked {
            self.bus.ask_bounds(self.schemas.at);
            self.need = Need::Asked;
        }
        let Follower { bus, topics, definitions, schemas, all, known, first, waiting, need, said, .. } = self;
        let (mut came, mut grew) = (false, false);
        let schemas_at = schemas.at;
        let of = |at: TopicPartition| match at == schemas_at {
            true => (About::Schemas, &topics.schemas),
            false => (About::Definitions, &topics.definitions),
        };
        bus.poll(wait, &mut |event| match event {
            BusEvent::Record(record) if record.at == definitions.at && record.offset >= definitions.next => {
                definitions.next = record.offset + 1;
                came = true;
                said.mended(&About::Definitions);
                match read_record(&topics.definitions, record.offset, record.value) {
                    Ok(version) => waiting.extend(version.map(|version| (record.offset, version))),
                    Err(error) => tracing::error!("{error}"),
                }
            }
            BusEvent::Record(record) if record.at == schemas.at && record.offset >= schemas.next => {
                schemas.next = record.offset + 1;
                said.mended(&About::Schemas);
                match add_schema(&topics.schemas, record.offset, record.value, all) {
                    Ok(Some(added)) => grew |= known.insert(added) && !first.contains(&added),
                    Ok(None) => {}
                    Err(error) => tracing::error!("{error}"),
                }
            }
            BusEvent::CaughtUp(at, offset) => {
                said.mended(&of(at).0);
                if at == schemas.at {
                    schemas.next = schemas.next.max(offset);
                }
            }
            BusEvent::Bounds { at, end, .. } if at == schemas.at => *need = Need::Known(end),
            BusEvent::Unreadable(at, why) => {
                let (about, topic) = of(at);
                said.say(about, &format!("{topic}: what is deployed is not taken in, since it cannot be read: {why}"));
            }
            BusEvent::OutOfRange { at, position } => {
                let (about, topic) = of(at);
                said.say(about, &format!("{topic}: what is deployed is not taken in: offset {position} is not there any more"));
            }
            _ => {}
        });
        self.grown |= grew;
        if came || grew {
            self.look_at = Millis::MIN;
        }
        if came {
            // Its schemas stand before a version, so that their end as it is now is far enough.
            self.need = Need::Unasked;
        }
    }

    /// Every schema that a version may need is read, and there is something to take in, or to look at again.
    fn is_due(&self, now: Now) -> bool {
        let all_read = matches!(self.need, Need::Known(end) if self.schemas.next >= end);
        let again = !self.waiting.is_empty() || !self.setup.missing().is_empty();
        all_read && (self.grown || again) && now.steady >= self.look_at
    }

    fn deploy_folder(&mut self, now: Now) {
        let Some(folder) = &mut self.folder else { return };
        if folder.deploy_changes(&mut self.bus, &self.following.deploying, self.following.makes_topics, now) {
            self.resume();
            self.need = Need::Unasked;
        }
    }

    /// Takes in whatever can be.
    fn take(&mut self) -> Result<Option<News>, KnowledgeError> {
        let candidates = self.compile();
        if self.following.makes_topics {
            let mut catalog = self.knowledge.catalog.clone();
            candidates.iter().for_each(|candidate| catalog.insert(candidate.definition.clone(), candidate.offset));
            let Deploying { prefix, partitions, .. } = &self.following.deploying;
            topics::apply(&mut self.bus, &topics::needed_by(&catalog, prefix, *partitions), 1)?;
        }
        let found = self.describe(&candidates)?;
        let (mut catalog, mut deployed, mut setup) =
            (self.knowledge.catalog.clone(), self.knowledge.deployed.clone(), self.setup.clone());
        let missing = setup.missing().len();
        let mut taken = Vec::new();
        let held = held_back(&candidates, &catalog, |candidate| self.wrong_topics(candidate, &found));
        for candidate in candidates {
            if let Some(wrong) = held.get(&candidate.offset) {
                let DefinitionRecord { name, file, line, .. } = &candidate.record;
                let wrong = wrong.join("\n");
                let text = format!(
                    "{file}:{line}: this version of {name} was deployed, and is in force when what it needs is as it must be \
                     (topics: `ringmaster topics apply`); until then the one before is:\n{wrong}"
                );
                self.said.say(About::Saga(name.clone()), &text);
                continue;
            }
            catalog.insert(candidate.definition.clone(), candidate.offset);
            taken.push(candidate);
        }
        self.add_topics(&mut setup, (&taken, &catalog), &found);
        append_schemas(&mut self.bus, &self.topics, &self.all, &mut self.known)?;
        if taken.is_empty() && !self.grown && setup.missing().len() == missing {
            return Ok(None);
        }
        let (mut all_in_force, mut records) = (Vec::new(), self.knowledge.records.clone());
        for Candidate { offset, record, is_newest, .. } in &taken {
            self.waiting.remove(offset);
            records.insert(*offset, Arc::new(record.clone()));
            if *is_newest {
                deployed.insert(record.name.clone(), record.schemas.clone());
                all_in_force.push(in_force(&catalog, record));
                self.said.mended(&About::Saga(record.name.clone()));
            }
        }
        (self.setup, self.grown) = (setup, false);
        self.knowledge = Arc::new(Knowledge { catalog, schemas: self.all.clone(), deployed, records });
        Ok(Some(News { knowledge: self.knowledge.clone(), setup: self.setup.clone(), in_force: all_in_force }))
    }

    /// The versions that wait, compiled. One that cannot be is tried once more behind a new look at the schemas, and then passed over and
    /// said.
    fn compile(&mut self) -> Vec<Candidate> {
        let catalog = &self.knowledge.catalog;
        let (mut compiled, mut refused) = (Vec::new(), Vec::new());
        for (&offset, record) in &self.waiting {
            match catalog.compiled(record, &mut self.following.deploying.options.settings(&mut self.all)) {
                Ok(definition) => compiled.push(Candidate { offset, record: record.clone(), definition, is_newest: false }),
                Err(error) => refused.push((offset, KnowledgeError::of_record(error, &self.topics.definitions, offset))),
            }
        }
        let mut names = BTreeSet::new();
        for candidate in compiled.iter_mut().rev() {
            let is_last = names.insert(candidate.record.name.clone());
            candidate.is_newest =
                is_last && catalog.newest_since(&candidate.record.name).is_none_or(|since| since < candidate.offset);
        }
        for (offset, error) in refused {
            if self.failed.insert(offset) {
                self.need = Need::Unasked;
                continue;
            }
            self.failed.remove(&offset);
            self.waiting.remove(&offset);
            tracing::error!("what was deployed cannot be used here, and the version before stays in force:\n{error}");
        }
        compiled
    }

    /// Topics that are not used yet, or that are missing, as the broker describes them; none for one that does not exist.
    fn describe(&mut self, candidates: &[Candidate]) -> Result<BTreeMap<String, Option<Description>>, KnowledgeError> {
        let mut names = self.setup.missing().clone();
        for candidate in candidates {
            let inputs = candidate.inputs().into_iter().filter(|topic| candidate.is_newest && !self.setup.reads(topic));
            names.extend(inputs);
            names.extend(candidate.definition.outputs().into_iter().filter(|topic| !self.setup.sends_to(topic)));
        }
        let names: Vec<String> = names.into_iter().collect();
        let asked: Vec<&str> = names.iter().map(String::as_str).collect();
        let found = if asked.is_empty() { Vec::new() } else { self.bus.describe(&asked)? };
        Ok(names.into_iter().zip(found).collect())
    }

    /// What is wrong with the topics of a version, of those that are not used yet.
    fn wrong_topics(&self, candidate: &Candidate, found: &BTreeMap<String, Option<Description>>) -> Vec<String> {
        let inputs = candidate.inputs();
        let needed: BTreeSet<String> = candidate.definition.outputs().into_iter().chain(inputs.iter().cloned()).collect();
        let of = |name: &String| found.get(name).map(|description| self.faults(name, description.as_ref()));
        needed.iter().filter_map(of).flatten().chain(self.setup.not_routed(&candidate.definition)).collect()
    }

    fn faults(&self, name: &str, found: Option<&Description>) -> Vec<String> {
        faults_of(name, found, &self.topics, self.following.deploying.partitions)
    }

    /// Topics of what is taken in, and those that were missing and are there now.
    fn add_topics(
        &self,
        setup: &mut Setup,
        (taken, catalog): (&[Candidate], &Catalog),
        found: &BTreeMap<String, Option<Description>>,
    ) {
        let newest = taken.iter().filter(|candidate| candidate.is_newest);
        let starts: Vec<String> = newest.flat_map(Candidate::inputs).collect();
        let mut outputs = setup.missing().clone();
        outputs.extend(taken.iter().flat_map(|candidate| candidate.definition.outputs()));
        let is_used = |name: &str| starts.iter().any(|start| start == name) || outputs.contains(name);
        let right = found.iter().filter(|(name, _)| is_used(name)).filter_map(|(name, description)| {
            description.as_ref().filter(|found| self.faults(name, Some(found)).is_empty()).cloned()
        });
        let right: Vec<Description> = right.collect();
        let settings = (&self.following.setup, &catalog.matched_topics());
        setup.extend(settings, &right, &starts, &outputs.iter().map(String::as_str).collect());
        setup.miss(outputs);
    }
}
