//! Deploying: definition files become versions in the topic of definitions, with the schemas that they need before them.
//!
//! ```text
//! files + what is deployed -> Plan (nothing is written) -> its topics are looked at -> publish: schemas, then definitions
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ringmaster_bus::{Bus, BusError, Description};
use ringmaster_core::definition::{Catalog, CompileError, DefinitionRecord};
use ringmaster_schemas::Millis;
use ringmaster_schemas::names::Topics;
use ringmaster_schemas::registry::Schemas;

use super::knowledge::{
    CompileOptions, Knowledge, KnowledgeError, KnownSchemas, SchemasOfSagas, append_schemas, catalog_of, compile_all,
    compile_files, complete, read_definitions, read_schemas, schemas_of,
};
use super::sent::Sent;
use super::setup::{SetupError, SetupSettings, faults_of};
use crate::{blocking, topics};

/// Names that one line tells of.
const NAMED_MAX: usize = 8;

/// Where and how definitions are deployed.
#[derive(Debug, Clone, Default)]
pub struct Deploying {
    /// Prefix of internal topics.
    pub prefix: String,
    /// P.
    pub partitions: i32,
    /// The schema folder.
    pub schemas: PathBuf,
    /// How definitions are compiled.
    pub options: CompileOptions,
    /// Topics that have a `default_type` of their own.
    pub typed: BTreeSet<String>,
}

/// What a deploy of files comes to.
#[derive(Debug)]
pub struct Plan {
    /// What will be known then.
    pub knowledge: Knowledge,
    /// What becomes of each definition of the files.
    pub changes: Vec<Change>,
    /// What is odd in them.
    pub warnings: Vec<CompileError>,
    /// Sagas that are deployed and in none of the files.
    pub others: Vec<String>,
    /// Sagas that are the first to match events of a topic which was read before, and that topic: a coordinator that runs and reads it
    /// directly takes them in at its next start.
    pub first_to_match: Vec<(String, String)>,
    /// Topics whose events needed not say their type before, with that type: now they must.
    types_lost: Vec<(Arc<str>, Arc<str>)>,
    known: KnownSchemas,
}

/// What a deploy does to a saga.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The definition.
    pub record: DefinitionRecord,
    /// The version that new sagas get now, if there is one.
    pub before: Option<u32>,
    /// The one that they will get.
    pub after: u32,
}

impl Change {
    /// True if there is nothing to append.
    pub fn is_none(&self) -> bool {
        self.before == Some(self.after)
    }
}

/// Records of definitions, and what is odd in them.
pub(super) type Compiled = (Vec<DefinitionRecord>, Vec<CompileError>);

/// Why nothing was deployed.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// Files, schemas or what is deployed cannot be used.
    #[error(transparent)]
    Knowledge(#[from] KnowledgeError),
    /// Topics that they need are missing, or not as they must be.
    #[error(transparent)]
    Topics(#[from] SetupError),
}

impl DeployError {
    /// A mistake of files is mended in them. Topics are made, brokers come back, and topics are repaired elsewhere.
    pub(super) fn is_of_files(&self) -> bool {
        match self {
            DeployError::Knowledge(error) => match error {
                KnowledgeError::File { .. } | KnowledgeError::Schemas(_) | KnowledgeError::Definitions(_) => true,
                KnowledgeError::Bus(_) | KnowledgeError::Record { .. } => false,
            },
            DeployError::Topics(SetupError::Bus(_) | SetupError::Topics(_)) => false,
        }
    }
}

impl Plan {
    /// Compiles files against what is deployed. All errors of all files are returned.
    pub fn make(bus: &mut impl Bus, deploying: &Deploying, files: &[PathBuf], now: Millis) -> Result<Plan, KnowledgeError> {
        Plan::made(bus, deploying, |schemas, deployed| compile_files(schemas, files, &deploying.options, deployed, now))
    }

    /// The same of files that somebody sends.
    pub fn of_sent(bus: &mut impl Bus, deploying: &Deploying, files: &Sent, now: Millis) -> Result<Plan, KnowledgeError> {
        Plan::made(bus, deploying, |schemas, deployed| files.compile(schemas, &deploying.options, deployed, now))
    }

    /// Says by whom it is deployed.
    pub fn by(mut self, name: Option<&str>) -> Plan {
        self.changes.iter_mut().for_each(|change| change.record.deployed_by = name.map(str::to_owned));
        self
    }

    /// What a deploy of them would come to, by what is known here: no bus is asked.
    pub fn of_known(knowledge: &Knowledge, deploying: &Deploying, files: &Sent, now: Millis) -> Result<Plan, KnowledgeError> {
        let mut schemas = knowledge.known_schemas(&deploying.schemas)?;
        let compiled = files.compile(&mut schemas, &deploying.options, &knowledge.deployed, now)?;
        let records = knowledge.records.iter().map(|(offset, record)| (*offset, (**record).clone())).collect();
        Plan::of(deploying, (knowledge.catalog.clone(), schemas, records), compiled)
    }

    fn made(
        bus: &mut impl Bus,
        deploying: &Deploying,
        compile: impl FnOnce(&mut Schemas, &SchemasOfSagas) -> Result<Compiled, KnowledgeError>,
    ) -> Result<Plan, KnowledgeError> {
        let Deploying { prefix, schemas: folder, options, .. } = deploying;
        let topics = Topics::new(prefix);
        let (mut schemas, known) = read_schemas(bus, &topics, folder)?;
        let records = read_definitions(bus, &topics)?;
        let compiled = compile(&mut schemas, &schemas_of(&records))?;
        let before = catalog_of(&records, &mut schemas, &topics, options)?;
        Ok(Plan { known, ..Plan::of(deploying, (before, schemas, records), compiled)? })
    }

    /// By what is deployed, and the schemas and records of that.
    fn of(
        deploying: &Deploying,
        (before, mut schemas, mut records): (Catalog, Schemas, Vec<(i64, DefinitionRecord)>),
        (mut found, warnings): Compiled,
    ) -> Result<Plan, KnowledgeError> {
        let Deploying { prefix, options, .. } = deploying;
        let topics = Topics::new(prefix);
        // Two contents under one name are an error; one content that stands in two files is one definition.
        let mut named = BTreeSet::new();
        found.retain(|record| named.insert(record.name.clone()));
        let found = in_order(found);
        let mut catalog = before.clone();
        let mut retyped = Vec::new();
        for record in found.iter().filter(|record| !before.is_newest(record)) {
            let offset = records.last().map_or(0, |(offset, _)| offset + 1);
            let added = catalog.add(record, offset, &mut options.settings(&mut schemas));
            let added = added.map_err(|error| KnowledgeError::of_record(error, &topics.definitions, offset))?;
            retyped.extend(before.searched_otherwise(&added, record));
            records.push((offset, record.clone()));
        }
        if !retyped.is_empty() {
            return Err(KnowledgeError::Definitions(retyped));
        }
        let knowledge = complete(catalog, schemas, records)?;
        let number = |catalog: &Catalog, name: &str| catalog.newest(name).and_then(|newest| catalog.number_of(&newest.hash));
        let change = |record: DefinitionRecord| Change {
            before: number(&before, &record.name),
            after: number(&knowledge.catalog, &record.name).expect("it was just added"),
            record,
        };
        let others = before.newest_versions().filter(|version| !named.contains(&*version.name));
        let others = others.map(|version| version.name.to_string()).collect();
        let changes: Vec<Change> = found.iter().cloned().map(change).collect();
        let first_to_match = first_to_match(&before, &knowledge.catalog, &changes);
        let mut types_lost = before.types_lost_in(&knowledge.catalog);
        types_lost.retain(|(topic, _)| !deploying.typed.contains(&**topic));
        let known = KnownSchemas::new();
        Ok(Plan { knowledge, changes, warnings, others, first_to_match, types_lost, known })
    }

    /// What people should know of it: its warnings, and topics whose events must say their type from now on.
    pub fn told(&self) -> Vec<String> {
        summary(&self.warnings).into_iter().chain(self.lost_types()).collect()
    }

    /// Topics whose events must say their type from now on.
    pub fn lost_types(&self) -> Vec<String> {
        let lost = self.types_lost.iter().map(|(topic, kind)| {
            format!(
                "events of {topic} that do not say their type were taken as {kind} until now; several types are expected there now, so \
                 that such events go to quarantine (TYPE_UNKNOWN). Give them a type (the header ce_type, or the field `type`), or set \
                 `default_type = \"{kind}\"` below [topics.\"{topic}\"]"
            )
        });
        lost.collect()
    }

    /// A saga of the plan that is taken in at the next start, and all that runs it, at any depth.
    pub fn waiting_with(&self, saga: &str) -> Vec<String> {
        let mut all = vec![saga.to_owned()];
        let mut next = 0;
        while next < all.len() {
            let runs = |change: &&Change| {
                let newest = self.knowledge.catalog.newest(&change.record.name);
                newest.is_some_and(|newest| newest.runs().any(|(_, run)| *run.saga == *all[next]))
            };
            let new = self.changes.iter().filter(|change| !change.is_none()).filter(runs).map(|change| change.record.name.clone());
            let new: Vec<String> = new.filter(|name| !all.contains(name)).collect();
            all.extend(new);
            next += 1;
        }
        all
    }

    /// Looks at the topics that the definitions of the files need: what is deployed stays, so they must be there before.
    pub fn check_topics(&self, bus: &mut impl Bus, deploying: &Deploying) -> Result<(), SetupError> {
        let catalog = &self.knowledge.catalog;
        let versions = || self.changes.iter().filter_map(|change| catalog.newest(&change.record.name));
        let starts: Vec<String> = versions().flat_map(|version| version.inputs()).map(|topic| topic.to_string()).collect();
        let needed: BTreeSet<String> = versions().flat_map(|version| version.outputs()).chain(starts.iter().cloned()).collect();
        let names: Vec<&str> = needed.iter().map(String::as_str).collect();
        let topics = Topics::new(&deploying.prefix);
        let found = names.iter().zip(bus.describe(&names)?);
        let wrong: Vec<String> =
            found.flat_map(|(name, found)| faults_of(name, found.as_ref(), &topics, deploying.partitions)).collect();
        if wrong.is_empty() { Ok(()) } else { Err(SetupError::Topics(wrong)) }
    }

    /// Makes the topics if nobody else can, looks at them, publishes.
    pub fn carry_out(&mut self, bus: &mut impl Bus, deploying: &Deploying, makes_topics: bool) -> Result<(), DeployError> {
        if makes_topics {
            let needed = topics::needed_by(&self.knowledge.catalog, &deploying.prefix, deploying.partitions);
            topics::apply(bus, &needed, 1).map_err(KnowledgeError::from)?;
        }
        self.check_topics(bus, deploying)?;
        Ok(self.publish(bus, deploying)?)
    }

    /// Appends what is new: schemas first, since whoever reads a definition must find those that it names.
    pub fn publish(&mut self, bus: &mut impl Bus, deploying: &Deploying) -> Result<(), KnowledgeError> {
        let topics = Topics::new(&deploying.prefix);
        append_schemas(bus, &topics, &self.knowledge.schemas, &mut self.known)?;
        let new = self.changes.iter().filter(|change| !change.is_none()).map(|change| &change.record);
        let records: Vec<(Vec<u8>, Vec<u8>)> = new.map(|record| (record.name.clone().into_bytes(), record.encode())).collect();
        Ok(blocking::append(bus, &topics.definitions, 0, &records)?)
    }
}

/// What is run stands before what runs it, so that nobody knows a version without those that it runs. (None runs itself: that does not
/// compile.)
fn in_order(records: Vec<DefinitionRecord>) -> Vec<DefinitionRecord> {
    let mut left: BTreeMap<String, DefinitionRecord> = records.iter().map(|record| (record.name.clone(), record.clone())).collect();
    let mut ordered = Vec::with_capacity(records.len());
    for record in records {
        let mut open = vec![record.name];
        while let Some(name) = open.last() {
            let below = left
                .get(name)
                .and_then(|record| record.runs().find(|run| left.contains_key(*run) && !open.iter().any(|open| open == run)));
            match below {
                Some(below) => open.push(below.to_owned()),
                None => {
                    ordered.extend(left.remove(name));
                    open.pop();
                }
            }
        }
    }
    ordered
}

/// Sagas that are the first to match events of a topic which is read already, with that topic: they are in force from the next start on.
fn first_to_match(before: &Catalog, after: &Catalog, changes: &[Change]) -> Vec<(String, String)> {
    let read: BTreeSet<_> = before.input_topics().into_iter().chain(before.listener_topics()).collect();
    let matched = before.matched_topics();
    let newest = changes.iter().filter(|change| !change.is_none()).filter_map(|change| after.newest(&change.record.name));
    let all: BTreeSet<(String, String)> = newest
        .flat_map(|newest| {
            newest.listeners.iter().filter(|listener| listener.matches.is_some()).map(move |listener| (newest, listener))
        })
        .filter(|(_, listener)| read.contains(&listener.topic) && !matched.contains(&listener.topic))
        .map(|(newest, listener)| (newest.name.to_string(), listener.topic.to_string()))
        .collect();
    all.into_iter().collect()
}

/// What a coordinator that runs takes in at its next start, with the topic that it reads directly until then.
pub fn at_next_start(bus: &mut impl Bus, setup: &SetupSettings, plan: &Plan) -> Result<Vec<(String, Vec<String>)>, BusError> {
    if plan.first_to_match.is_empty() {
        return Ok(Vec::new());
    }
    let topics: Vec<&str> = plan.first_to_match.iter().map(|(_, topic)| topic.as_str()).collect();
    let found = bus.describe(&topics)?;
    let is_direct = |found: &Option<Description>| found.as_ref().is_some_and(|topic| !setup.is_routed(topic, &BTreeSet::new()));
    let direct = plan.first_to_match.iter().zip(found).filter(|(_, found)| is_direct(found));
    Ok(direct.map(|((saga, topic), _)| (topic.clone(), plan.waiting_with(saga))).collect())
}

/// Plans, and carries that out.
pub fn deploy(
    bus: &mut impl Bus,
    deploying: &Deploying,
    files: &[PathBuf],
    makes_topics: bool,
    now: Millis,
) -> Result<Plan, DeployError> {
    let mut plan = Plan::make(bus, deploying, files, now)?;
    plan.carry_out(bus, deploying, makes_topics)?;
    Ok(plan)
}

/// Appends what is new in the definition files (and the schemas they need), then reads both topics to their ends. Looks at no topic of
/// theirs.
pub fn load_knowledge(
    bus: &mut impl Bus,
    prefix: &str,
    schema_folder: &Path,
    files: &[PathBuf],
    options: &CompileOptions,
    now: Millis,
) -> Result<Knowledge, KnowledgeError> {
    let deploying = Deploying {
        prefix: prefix.to_owned(),
        partitions: 0,
        schemas: schema_folder.to_owned(),
        options: options.clone(),
        typed: BTreeSet::new(),
    };
    let mut plan = Plan::make(bus, &deploying, files, now)?;
    plan.told().into_iter().for_each(|line| tracing::warn!("{line}"));
    plan.publish(bus, &deploying)?;
    // Others may have deployed meanwhile.
    let topics = Topics::new(prefix);
    let knowledge = compile_all(plan.knowledge.schemas, &topics, read_definitions(bus, &topics)?, options)?;
    append_schemas(bus, &topics, &knowledge.schemas, &mut plan.known)?;
    Ok(knowledge)
}

/// Warnings as they are told in passing: all missing schemas in one line, since there may be many.
fn summary(warnings: &[CompileError]) -> Vec<String> {
    let missing: BTreeSet<&str> = warnings.iter().filter_map(|warning| warning.missing_schema.as_deref()).collect();
    let mut lines: Vec<String> =
        warnings.iter().filter(|warning| warning.missing_schema.is_none()).map(ToString::to_string).collect();
    if !missing.is_empty() {
        let named: Vec<&str> = missing.iter().copied().take(NAMED_MAX).collect();
        let more = missing.len() - named.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let (what, is) = if missing.len() == 1 { ("schema", "is") } else { ("schemas", "are") };
        let (count, named) = (missing.len(), named.join(", "));
        lines.push(format!(
            "{count} {what} {is} missing, so that what has none is not checked: {named}{more}; `ringmaster check` tells where"
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_run_is_published_before_what_runs_it() {
        let record = |(name, runs): &(&str, &[&str])| DefinitionRecord {
            name: (*name).into(),
            hash: String::new(),
            file: String::new(),
            line: 1,
            text: String::new(),
            schemas: runs.iter().map(|run| (format!("contract of {run}/says"), String::new())).collect(),
            deployed_at: 0,
            deployed_by: None,
        };
        let all: [(&str, &[&str]); 4] = [("a", &["c", "b"]), ("b", &["d", "elsewhere"]), ("c", &[]), ("d", &["c"])];
        let ordered = in_order(all.iter().map(record).collect());
        assert_eq!(ordered.iter().map(|record| &*record.name).collect::<Vec<_>>(), ["c", "d", "b", "a"]);
    }
}
