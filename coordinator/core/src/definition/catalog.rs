//! All known versions of all definitions: the topic of definitions, as a table.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use hashbrown::{Equivalent, HashMap};
use ringmaster_schemas::journal::DefinitionHash;
use ringmaster_schemas::names::hex;

use super::heard::{Listening, Matching, Starting, add_field};
use super::{Definition, DefinitionRecord, RecordError, Run, Settings};
use crate::faults::mutated;

/// All known versions. Look-ups on the hot path allocate nothing.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    versions: HashMap<DefinitionHash, Version>,
    names: BTreeMap<Arc<str>, Named>,
    starts: HashMap<Start, Vec<Starting>>,
    listening: HashMap<Start, Vec<Listening>>,
    matching: HashMap<Start, Vec<Matching>>,
    default_types: HashMap<Arc<str>, Arc<str>>,
    /// By version: by which version it runs others.
    runs: HashMap<DefinitionHash, BTreeMap<Arc<str>, DefinitionHash>>,
    loaded_to: i64,
}

#[derive(Debug, Clone)]
struct Version {
    definition: Arc<Definition>,
    /// Of the first record of its content.
    offset: i64,
}

/// What is known under one name.
#[derive(Debug, Clone)]
struct Named {
    newest: DefinitionHash,
    /// Of the record that made it the newest.
    since: i64,
}

/// Event types by topic.
type Types<'a> = BTreeMap<&'a Arc<str>, BTreeSet<&'a Arc<str>>>;

/// Topic and event type.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Start(Arc<str>, Arc<str>);

impl Hash for Start {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Borrowed(&self.0, &self.1).hash(state);
    }
}

#[derive(Hash)]
struct Borrowed<'a>(&'a str, &'a str);

impl Equivalent<Start> for Borrowed<'_> {
    fn equivalent(&self, key: &Start) -> bool {
        *self.0 == *key.0 && *self.1 == *key.1
    }
}

impl Catalog {
    /// Takes the record at `offset` of the topic of definitions, compiled if it is not known. On an error nothing has changed.
    pub fn add(
        &mut self,
        record: &DefinitionRecord,
        offset: i64,
        settings: &mut Settings<'_>,
    ) -> Result<Arc<Definition>, RecordError> {
        let definition = self.compiled(record, settings)?;
        self.insert(definition.clone(), offset);
        Ok(definition)
    }

    /// The version of a record: the known one, or compiled now.
    pub fn compiled(&self, record: &DefinitionRecord, settings: &mut Settings<'_>) -> Result<Arc<Definition>, RecordError> {
        match self.versions.values().find(|known| hex(&known.definition.hash) == record.hash) {
            Some(known) => Ok(known.definition.clone()),
            None => Ok(Arc::new(record.compile(settings)?)),
        }
    }

    /// Takes the version of the record at `offset`. The last record of a name in the log is its newest version, also if an earlier one is
    /// taken later; a version that comes again is the newest again (an edit was taken back) and keeps its number and offset.
    pub fn insert(&mut self, definition: Arc<Definition>, offset: i64) {
        let hash = definition.hash;
        let named = self.names.entry(definition.name.clone()).or_insert(Named { newest: hash, since: offset });
        if offset >= named.since {
            (named.newest, named.since) = (hash, offset);
        }
        let version = self.versions.entry(hash).or_insert(Version { definition, offset });
        version.offset = version.offset.min(offset);
        self.loaded_to = self.loaded_to.max(offset + 1);
        self.index();
        self.index_listeners();
        self.index_runs();
    }

    /// Every version runs the newest ones, as far as these keep what it counts on.
    fn index_runs(&mut self) {
        let mut all = HashMap::new();
        for Version { definition, .. } in self.versions.values() {
            let found = definition.runs().filter_map(|(_, run)| Some((run.saga.clone(), self.newest_for(run)?)));
            let found: BTreeMap<_, _> = found.collect();
            if !found.is_empty() {
                all.insert(definition.hash, found);
            }
        }
        self.runs = all;
    }

    fn newest_for(&self, run: &Run) -> Option<DefinitionHash> {
        let keeps = |version: &&Version| {
            let contract = version.definition.contract.as_deref();
            *version.definition.name == *run.saga && contract.is_some_and(|contract| contract.breaks(&run.contract).is_none())
        };
        let newest = self.versions.get(&self.names.get(&run.saga)?.newest).filter(keeps);
        let version = newest.or_else(|| self.versions.values().filter(keeps).max_by_key(|version| version.offset))?;
        Some(version.definition.hash)
    }

    /// Only newest versions start sagas.
    fn index(&mut self) {
        self.starts.clear();
        // What is only listened to says its type, wherever sagas start: deploying a listener must not make starts untyped.
        let (mut started, mut heard): (Types<'_>, Types<'_>) = Default::default();
        for named in self.names.values() {
            let definition = &self.versions[&named.newest].definition;
            for (start, number) in definition.starts.iter().zip(0..) {
                let starting = Starting { definition: definition.clone(), start: number };
                self.starts.entry(Start(start.topic.clone(), start.event.clone())).or_default().push(starting);
                started.entry(&start.topic).or_default().insert(&start.event);
            }
            for listener in &definition.listeners {
                heard.entry(&listener.topic).or_default().insert(&listener.event);
            }
        }
        heard.retain(|topic, _| !started.contains_key(topic));
        let only = started.into_iter().chain(heard).filter(|(_, types)| types.len() == 1);
        self.default_types = only.flat_map(|(topic, types)| types.into_iter().map(|kind| (topic.clone(), kind.clone()))).collect();
    }

    /// All versions listen on: sagas keep theirs.
    fn index_listeners(&mut self) {
        self.listening.clear();
        self.matching.clear();
        let mut versions: Vec<&Version> = self.versions.values().collect();
        versions.sort_by_key(|version| version.offset);
        for Version { definition, .. } in versions {
            let is_newest = self.names[&definition.name].newest == definition.hash;
            for (listener, number) in definition.listeners.iter().zip(0..) {
                if let Some(field) = &listener.matches {
                    let all = self.matching.entry(Start(listener.topic.clone(), listener.event.clone())).or_default();
                    add_field(all, field, definition, (number, listener.keep_ms));
                    continue;
                }
                let all = self.listening.entry(Start(listener.topic.clone(), listener.event.clone())).or_default();
                let same = |known: &&mut Listening| {
                    let other = &known.definition.listeners[usize::from(known.listener)];
                    let reads = (other.kept.key(), &other.key_text) == (listener.kept.key(), &listener.key_text);
                    known.definition.name == definition.name && reads
                };
                match all.iter_mut().find(same) {
                    Some(known) => {
                        known.versions.push(definition.hash);
                        known.is_newest |= is_newest;
                        // How long one is kept is the newest's to say.
                        if is_newest {
                            (known.definition, known.listener) = (definition.clone(), number);
                        }
                    }
                    None => {
                        let (definition, versions) = (definition.clone(), vec![definition.hash]);
                        all.push(Listening { definition, listener: number, is_newest, versions });
                    }
                }
            }
        }
    }

    /// True if this record is what new sagas of its name get already: nothing to append.
    pub fn is_newest(&self, record: &DefinitionRecord) -> bool {
        self.names.get(record.name.as_str()).is_some_and(|named| hex(&named.newest) == record.hash)
    }

    /// A version by its content hash.
    pub fn by_hash(&self, hash: &DefinitionHash) -> Option<&Arc<Definition>> {
        self.versions.get(hash).map(|version| &version.definition)
    }

    /// Where a version first stands in the topic of definitions.
    pub fn offset_of(&self, hash: &DefinitionHash) -> Option<i64> {
        self.versions.get(hash).map(|version| version.offset)
    }

    /// The version of this name that first stands at this offset of the topic of definitions.
    pub fn version_at(&self, name: &str, offset: i64) -> Option<&Arc<Definition>> {
        let mut versions = self.versions.values();
        versions.find(|version| version.offset == offset && *version.definition.name == *name).map(|version| &version.definition)
    }

    /// A version's running number, from 1: the first of its content in the log.
    pub fn number_of(&self, hash: &DefinitionHash) -> Option<u32> {
        let of = self.versions.get(hash)?;
        let is_before = |version: &&Version| version.definition.name == of.definition.name && version.offset <= of.offset;
        Some(self.versions.values().filter(is_before).count() as u32)
    }

    /// The version that new sagas of this name get: the last in the log.
    pub fn newest(&self, name: &str) -> Option<&Arc<Definition>> {
        self.names.get(name).and_then(|named| self.by_hash(&named.newest))
    }

    /// By which version a saga of this version runs another one, and where that first stands in the topic of definitions: by the newest
    /// that keeps what it counts on.
    pub fn sub_saga(&self, of: &DefinitionHash, saga: &str) -> Option<(&Definition, i64)> {
        let version = self.versions.get(self.runs.get(of)?.get(saga)?)?;
        Some((&version.definition, version.offset))
    }

    /// The offset of the record that made the newest version of this name the newest.
    pub fn newest_since(&self, name: &str) -> Option<i64> {
        self.names.get(name).map(|named| named.since)
    }

    /// The newest versions that start on this event, in order of their names.
    pub fn starting_on(&self, topic: &str, event: &str) -> &[Starting] {
        self.starts.get(&Borrowed(topic, event)).map_or(&[], Vec::as_slice)
    }

    /// What listens to this event beside starts, by definitions and their versions.
    pub fn listening_on(&self, topic: &str, event: &str) -> &[Listening] {
        self.listening.get(&Borrowed(topic, event)).map_or(&[], Vec::as_slice)
    }

    /// True if any version matches events by a value.
    pub fn has_matches(&self) -> bool {
        !self.matching.is_empty()
    }

    /// The fields by which versions match this event, each as often as versions read it differently.
    pub fn matching_on(&self, topic: &str, event: &str) -> &[Matching] {
        self.matching.get(&Borrowed(topic, event)).map_or(&[], Vec::as_slice)
    }

    /// Topics of events that any version matches by a value: what is read there goes by the inbox.
    pub fn matched_topics(&self) -> BTreeSet<Arc<str>> {
        self.matching.keys().map(|event| event.0.clone()).collect()
    }

    /// Topics of the events that can be for a saga of this name, or for one that it runs, at any depth: of all versions of both.
    pub fn topics_for(&self, name: &str) -> BTreeSet<&Arc<str>> {
        let (mut names, mut topics) = (vec![name], BTreeSet::new());
        let mut next = 0;
        while let Some(&name) = names.get(next) {
            next += 1;
            for version in self.versions.values().map(|version| &version.definition).filter(|version| *version.name == *name) {
                topics.extend(version.inputs());
                for (_, run) in version.runs().filter(|_| !mutated("inputs_of_runs_unread")) {
                    if !names.contains(&&*run.saga) {
                        names.push(&run.saga);
                    }
                }
            }
        }
        topics
    }

    /// True if a newest version starts on events of this topic.
    pub fn starts_on(&self, topic: &str) -> bool {
        self.starts.keys().any(|start| *start.0 == *topic)
    }

    /// The one event type that newest versions start on in this topic, or listen to where none starts; none if there are several or
    /// none.
    pub fn default_type(&self, topic: &str) -> Option<&str> {
        self.default_types.get(topic).map(|kind| &**kind)
    }

    /// Topics whose events need not say their type in this catalog, and must in a later one where several types start, with that type.
    pub fn types_lost_in(&self, later: &Catalog) -> Vec<(Arc<str>, Arc<str>)> {
        let lost = self.default_types.iter().filter(|(topic, _)| later.default_type(topic).is_none() && later.reads(topic));
        let mut lost: Vec<_> = lost.map(|(topic, kind)| (topic.clone(), kind.clone())).collect();
        lost.sort();
        lost
    }

    /// True if a newest version starts on a topic, or listens to it.
    fn reads(&self, topic: &str) -> bool {
        self.newest_versions().any(|version| version.inputs().iter().any(|known| ***known == *topic))
    }

    /// The next offset of the topic of definitions to read.
    pub fn loaded_to(&self) -> i64 {
        self.loaded_to
    }

    /// Every version, in order of name and number.
    pub fn versions(&self) -> Vec<(&Arc<Definition>, u32)> {
        let mut all: Vec<&Version> = self.versions.values().collect();
        all.sort_by(|a, b| (&a.definition.name, a.offset).cmp(&(&b.definition.name, b.offset)));
        let mut number = 0;
        let numbered = all.iter().enumerate().map(|(place, version)| {
            let is_first = place == 0 || all[place - 1].definition.name != version.definition.name;
            number = if is_first { 1 } else { number + 1 };
            (&version.definition, number)
        });
        numbered.collect()
    }

    /// The newest version of each name, in order of the names.
    pub fn newest_versions(&self) -> impl Iterator<Item = &Arc<Definition>> {
        self.names.values().map(|named| &self.versions[&named.newest].definition)
    }

    /// Topics that newest versions start on or listen to, in order.
    pub fn input_topics(&self) -> Vec<Arc<str>> {
        let topics: BTreeSet<&Arc<str>> = self.newest_versions().flat_map(|definition| definition.inputs()).collect();
        topics.into_iter().cloned().collect()
    }

    /// Topics that any version listens to beside its start, in order.
    pub fn listener_topics(&self) -> Vec<Arc<str>> {
        self.collect(|definition| definition.listeners.iter().map(|listener| listener.topic.clone()).collect())
    }

    /// Topics that any version emits to, in order.
    pub fn emit_topics(&self) -> Vec<Arc<str>> {
        self.collect(|definition| definition.emits().map(|emit| emit.topic.clone()).collect())
    }

    /// Participants that any version uses, in order.
    pub fn participants(&self) -> Vec<Arc<str>> {
        self.collect(|definition| definition.participants().map(Arc::from).collect())
    }

    fn collect(&self, of: impl Fn(&Definition) -> Vec<Arc<str>>) -> Vec<Arc<str>> {
        let all: BTreeSet<Arc<str>> = self.versions.values().flat_map(|version| of(&version.definition)).collect();
        all.into_iter().collect()
    }
}
