//! How many sagas stand where, and what participants were asked, by the counts that stand in the store: no row is looked at.
//!
//! ```text
//! counts of each partition -> Totals -> with the names of definitions and steps -> JSON, and metrics
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Response;
use ringmaster_core::definition::{Catalog, Definition, ROOT};
use ringmaster_core::saga::reason_at;
use ringmaster_schemas::Millis;
use ringmaster_schemas::names::hex;
use ringmaster_schemas::state::{Counts, RowKey, Waits};
use ringmaster_store::Store;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::bottleneck::Bottleneck;
use super::everyone::{Others, Request};
use super::lately::{AlertBrief, Lately};
use super::openapi::Problems;
use super::saga::written;
use super::scaling::{self, AllScaling, ParticipantScaling};
use super::step_times::{self, StepTime, added, step_times};
use super::{OfPartitions, Sources, for_all};
use crate::runtime::{PartitionStatus, Totals, VersionTotals};

/// Of the partitions that an instance has, or of several instances'.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Overview {
    /// How many sagas stand in each way, those that have ended and are remembered too: running, compensating, stuck, parked, paused,
    /// held, completed, compensated.
    pub sagas: BTreeMap<String, i64>,
    /// What has happened.
    pub happened: Happened,
    /// What has happened in the last second and the last minute; null: it was only just started. An instance of an earlier build does not
    /// say it, nor what follows down to `alerts`.
    #[serde(default)]
    pub lately: Option<Lately>,
    /// The instances that say so.
    #[serde(default)]
    pub instances: Vec<String>,
    /// What an acknowledged record of the journal survives, in words, as it was when the instance that answers started; null: not known.
    #[serde(default)]
    pub durability: Option<String>,
    /// Which participant holds sagas up; null: none that is known.
    #[serde(default)]
    pub bottleneck: Option<Bottleneck>,
    /// The alerts that fire, what pages first; the first 20.
    #[serde(default)]
    pub alerts: Vec<AlertBrief>,
    /// By name, then by version.
    pub definitions: Vec<DefinitionCounts>,
    /// Where the time of sagas goes since the instances were started, the step with most of it first; the first 200.
    #[serde(default)]
    pub steps: Vec<StepTime>,
    /// Of which partitions this is, and as of when.
    pub as_of: Vec<AsOf>,
    /// Which partitions are left out, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
    /// What an instance tells another one of participants, which adds it up to the bottleneck.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scaling: Vec<ParticipantScaling>,
}

/// What has happened to sagas.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Happened {
    /// Counted since then in all partitions, RFC 3339; null: since the beginning.
    pub since: Option<String>,
    /// Sagas that began.
    pub started: i64,
    /// Sagas that did everything.
    pub completed: i64,
    /// Sagas that undid everything.
    pub compensated: i64,
    /// Records that could not be understood or used, and lie in quarantine unless somebody redrove or discarded them: since the instances
    /// were started. An instance of an earlier build does not say it.
    #[serde(default)]
    pub quarantined: u64,
}

/// The sagas of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DefinitionCounts {
    /// Its name; null if this instance does not know the version yet.
    pub definition: Option<String>,
    /// Its running number, from 1.
    pub number: Option<u32>,
    /// Its hash.
    pub version: String,
    /// How many sagas stand in each way.
    pub sagas: BTreeMap<String, i64>,
    /// Where they wait.
    pub waits: Vec<WaitCounts>,
}

/// What waits at a step for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WaitCounts {
    /// The step; null: the saga as a whole.
    pub step: Option<String>,
    /// Why, as `saga why` says it.
    pub reason: String,
    /// How its saga, or item, stands.
    pub status: String,
    /// Sagas of which this is what they wait for most.
    pub sagas: i64,
    /// Whatever waits there: branches side by side, and items.
    pub open: i64,
}

/// As of when a partition's counts are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AsOf {
    /// Which partition.
    pub partition: i32,
    /// All below this offset of its journal is counted.
    pub journal_offset: i64,
    /// 0 if there is nothing behind that offset; else how long ago the newest of what is counted happened, in milliseconds.
    pub age_ms: i64,
}

/// A partition that is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Missing {
    /// Which partition.
    pub partition: i32,
    /// Why.
    pub why: String,
}

/// The counts of these partitions, added up.
pub(crate) struct Counted {
    pub(crate) totals: Totals,
    pub(super) as_of: Vec<AsOf>,
    pub(super) missing: Vec<Missing>,
}

/// Partitions that can tell of their sagas, as of when; and why others cannot.
pub(super) struct Readable {
    pub(super) partitions: Vec<i32>,
    pub(super) as_of: Vec<AsOf>,
    pub(super) missing: Vec<Missing>,
}

/// Which of these partitions can tell of their sagas, as of when; and why others cannot.
pub(super) fn readable(store: &dyn Store, known: &[PartitionStatus], here: &[i32], now: Millis) -> Result<Readable, String> {
    let (mut partitions, mut as_of, mut missing) = (Vec::new(), Vec::new(), Vec::new());
    for &partition in here {
        let status = known.iter().find(|status| status.partition == partition);
        if let Some(why) = status.and_then(PartitionStatus::missing_to_own) {
            missing.push(Missing { partition, why: why.to_owned() });
            continue;
        }
        let checkpoint = store.checkpoint(partition).map_err(|error| error.to_string())?;
        let (journal_offset, at) = checkpoint.map_or((0, now), |checkpoint| (checkpoint.journal_offset, checkpoint.now));
        as_of.push(AsOf::of(partition, journal_offset, at, status, now));
        partitions.push(partition);
    }
    Ok(Readable { partitions, as_of, missing })
}

impl AsOf {
    fn of(partition: i32, journal_offset: i64, at: Millis, status: Option<&PartitionStatus>, now: Millis) -> AsOf {
        let is_behind = status.is_some_and(|status| status.journal_offset > journal_offset);
        AsOf { partition, journal_offset, age_ms: if is_behind { (now - at).max(0) } else { 0 } }
    }
}

/// Reads the counts of these partitions. `known`: what workers last said of those that they host.
pub(super) fn counted(store: &dyn Store, known: &[PartitionStatus], here: &[i32], now: Millis) -> Result<Counted, String> {
    let Readable { partitions, mut as_of, missing } = readable(store, known, here, now)?;
    let mut all = Vec::new();
    for (partition, of) in partitions.into_iter().zip(&mut as_of) {
        let row = store.row(partition, &RowKey::Counts).map_err(|error| error.to_string())?;
        let counts = row.map(|row| Counts::decode(&row)).transpose();
        let counts = counts.map_err(|error| format!("counts of partition {partition}: {error}"))?;
        // Without any nothing has happened in it, or its first checkpoint is yet to come.
        (of.journal_offset, of.age_ms) = counts.as_ref().map_or((0, 0), |counts| (counts.journal_offset, of.age_ms));
        all.extend(counts);
    }
    Ok(Counted { totals: Totals::of(&all), as_of, missing })
}

impl Overview {
    pub(crate) fn of(counted: &Counted, catalog: &Catalog) -> Overview {
        let Counted { totals, as_of, missing } = counted;
        let mut sagas = BTreeMap::new();
        let mut definitions = Vec::new();
        for (version, of) in &totals.versions {
            let shown = DefinitionCounts::of(*version, of, catalog);
            shown.sagas.iter().for_each(|(standing, count)| *sagas.entry(standing.clone()).or_insert(0) += count);
            definitions.push(shown);
        }
        definitions.sort_by(|one, other| one.place().cmp(&other.place()));
        let since = (totals.since > 0).then(|| written(totals.since));
        let &Totals { started, completed, compensated, .. } = totals;
        let happened = Happened { since, started, completed, compensated, quarantined: 0 };
        let (as_of, missing) = (as_of.clone(), missing.clone());
        Overview { sagas, happened, definitions, as_of, missing, ..Overview::default() }
    }

    /// With what this instance knows beside its counts.
    fn with_memory(self, sources: &Sources, catalog: &Catalog) -> Overview {
        let instance = &sources.alerts.instance;
        let happened = Happened { quarantined: sources.metrics.sum("ringmaster_inputs_quarantined_total"), ..self.happened };
        Overview {
            happened,
            lately: sources.metrics.lately().as_ref().map(Lately::of),
            instances: vec![instance.clone()],
            durability: sources.durability.as_deref().map(str::to_owned),
            alerts: AlertBrief::all(&sources.alerts.all(), instance),
            steps: step_times(&sources.metrics.step_sums(), catalog),
            scaling: scaling::told(sources),
            ..self
        }
    }

    /// What follows from what all instances said.
    fn concluded(self) -> Overview {
        let participants = AllScaling { participants: self.scaling, ..AllScaling::default() };
        Overview {
            bottleneck: AllScaling::combined(vec![participants]).bottleneck,
            alerts: AlertBrief::first(self.alerts),
            steps: step_times::first(self.steps),
            scaling: Vec::new(),
            ..self
        }
    }

    /// Adds what another instance says of its partitions.
    pub fn add(&mut self, other: Overview) {
        other.sagas.into_iter().for_each(|(standing, count)| *self.sagas.entry(standing).or_insert(0) += count);
        self.happened.since = self.happened.since.take().max(other.happened.since);
        self.happened.started += other.happened.started;
        self.happened.completed += other.happened.completed;
        self.happened.compensated += other.happened.compensated;
        self.happened.quarantined += other.happened.quarantined;
        self.lately = Lately::both(self.lately.take(), other.lately);
        self.instances.extend(other.instances);
        self.alerts.extend(other.alerts);
        self.scaling.extend(other.scaling);
        for of in other.definitions {
            match self.definitions.iter_mut().find(|known| known.version == of.version) {
                Some(known) => known.add(of),
                None => self.definitions.push(of),
            }
        }
        self.definitions.sort_by(|one, other| one.place().cmp(&other.place()));
        self.steps = added(std::mem::take(&mut self.steps), other.steps);
        self.as_of.extend(other.as_of);
        self.missing.extend(other.missing);
        self.as_of.sort_by_key(|one| one.partition);
        self.missing.sort_by_key(|one| one.partition);
    }
}

/// How many sagas stand where, and what has happened.
#[utoipa::path(get, path = "/api/v1/overview", tag = "sagas", params(OfPartitions), responses((status = 200, body = Overview), Problems))]
pub(super) async fn overview(State(sources): State<Arc<Sources>>, request: Request, Query(of): Query<OfPartitions>) -> Response {
    let found = |here: &[i32]| {
        let knowledge = sources.knowledge.get();
        Ok(Overview::of(&sources.counted(here)?, &knowledge.catalog).with_memory(&sources, &knowledge.catalog))
    };
    let add = |all: &mut Overview, others: Others<Overview>| {
        others.answers.into_iter().for_each(|other| all.add(other));
        all.add(Overview { missing: others.missing, ..Overview::default() });
        if of.partitions.is_none() {
            *all = std::mem::take(all).concluded();
        }
    };
    for_all(&sources, &request, of.partitions.as_deref(), found, add)
}

impl DefinitionCounts {
    fn of(version: [u8; 16], of: &VersionTotals, catalog: &Catalog) -> DefinitionCounts {
        let definition = catalog.by_hash(&version);
        let sagas = of.sagas().into_iter().map(|(standing, count)| (standing.as_str().to_owned(), count)).collect();
        let waits = of.cells.iter().filter(|((.., waits), _)| *waits != Waits::No);
        let waits = waits.map(|(&(standing, node, waits), &(sagas, open))| WaitCounts {
            step: definition.and_then(|definition| step(definition, node)),
            reason: definition.map_or(waits.as_str(), |definition| reason_at(definition, node, waits)).to_owned(),
            status: standing.as_str().to_owned(),
            sagas,
            open,
        });
        DefinitionCounts {
            definition: definition.map(|definition| definition.name.to_string()),
            number: catalog.number_of(&version),
            version: hex(&version),
            sagas,
            waits: waits.collect(),
        }
    }

    /// How many sagas stand in each way and wait for what most, if for anything.
    pub(crate) fn standing(&self) -> BTreeMap<(&str, &str), i64> {
        let mut all = BTreeMap::new();
        let waits = self.waits.iter().map(|waits| ((&*waits.status, &*waits.reason), waits.sagas));
        waits.for_each(|(key, sagas)| *all.entry(key).or_insert(0) += sagas);
        for (status, count) in &self.sagas {
            let waiting: i64 = all.iter().filter(|((known, _), _)| known == status).map(|(_, sagas)| sagas).sum();
            all.insert((status, "nothing"), count - waiting);
        }
        all.retain(|_, sagas| *sagas != 0);
        all
    }

    fn place(&self) -> (&Option<String>, Option<u32>, &str) {
        (&self.definition, self.number, &self.version)
    }

    fn add(&mut self, other: DefinitionCounts) {
        // One of the two may not know it yet.
        self.definition = self.definition.take().or(other.definition);
        self.number = self.number.or(other.number);
        other.sagas.into_iter().for_each(|(standing, count)| *self.sagas.entry(standing).or_insert(0) += count);
        for of in other.waits {
            let is_it = |known: &&mut WaitCounts| (&known.step, &known.reason, &known.status) == (&of.step, &of.reason, &of.status);
            match self.waits.iter_mut().find(is_it) {
                Some(known) => (known.sagas, known.open) = (known.sagas + of.sagas, known.open + of.open),
                None => self.waits.push(of),
            }
        }
    }
}

/// The name of a node; none of the saga's end.
fn step(definition: &Definition, node: u16) -> Option<String> {
    (node != ROOT).then(|| definition.node(node).map(|node| node.name.to_string())).flatten()
}
