//! What is deployed: versions of definitions, who deployed them, how many sagas run by each, and what each looks like.
//!
//! ```text
//! records of the topic of definitions, as this instance knows them + counts of all partitions -> versions, their texts, their pictures
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use ringmaster_core::definition::DefinitionRecord;
use ringmaster_core::definition::compile::outline::{Outline, outline};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::at_steps::{StepPace, WaitingThere, concluded, paces, waits};
use super::everyone::{Others, Request};
use super::filter::there;
use super::openapi::Problems;
use super::overview::{AsOf, DefinitionCounts, Missing, Overview};
use super::problem::{Problem, Refusal};
use super::saga::written;
use super::{OfPartitions, Sources, for_all};
use crate::graph::{self, Graph};
use crate::runtime::{Deployed, versions_of};

/// Versions that are deployed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Definitions {
    /// By name and version.
    pub definitions: Vec<DefinitionVersion>,
    /// Of which partitions sagas are counted, and as of when.
    pub as_of: Vec<AsOf>,
    /// Which partitions are left out, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
}

/// A version that is deployed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DefinitionVersion {
    /// The definition's name.
    pub name: String,
    /// Its running number, from 1.
    pub version: usize,
    /// Of its text and the schemas that it was compiled against, in hex.
    pub hash: String,
    /// When it was deployed first, RFC 3339.
    pub deployed_at: String,
    /// By whom; null where that was not asked: by a start, or from a watched folder.
    pub deployed_by: Option<String>,
    /// Since when new sagas get it, RFC 3339; null if they get another version.
    pub in_force_since: Option<String>,
    /// By whom it is in force.
    pub in_force_by: Option<String>,
    /// It is in force again, in place of this later version.
    pub rolled_back: Option<usize>,
    /// The file that it came from.
    pub file: String,
    /// The line of that file that it begins at, from 1.
    pub line: usize,
    /// How many of its sagas stand in each way, as an overview says it.
    pub sagas: BTreeMap<String, i64>,
    /// How many of them have not ended.
    pub live: i64,
}

/// A version with its text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DefinitionText {
    /// Which one.
    #[serde(flatten)]
    pub of: DefinitionVersion,
    /// As it was deployed: YAML.
    pub text: String,
    /// Keys of all schemas that it was compiled against, by full name.
    pub schemas: BTreeMap<String, String>,
    /// Which partitions are left out of the counts, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
}

/// Which versions are listed.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Also versions that are not in force, and by which no saga runs any more.
    #[serde(default)]
    all: bool,
    /// Of this instance alone, and of these partitions, such as `0,3`: so instances ask each other.
    #[param(min_length = 1)]
    partitions: Option<String>,
}

/// A picture of which version, as what.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Pictured {
    /// Its running number; without it the one that is in force.
    #[param(minimum = 1)]
    version: Option<usize>,
    /// json (default): boxes and lines with places, and what waits at each step; svg: a picture in one file; mermaid: text that others draw.
    #[serde(default)]
    #[param(inline)]
    format: PictureFormat,
    /// Of this instance alone, and of these partitions, such as `0,3`: so instances ask each other.
    #[param(min_length = 1)]
    partitions: Option<String>,
}

/// As what a picture is given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PictureFormat {
    /// Boxes and lines with places.
    #[default]
    Json,
    /// A picture in one file.
    Svg,
    /// Text that others draw.
    Mermaid,
}

/// A picture of a version, with what waits where.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DefinitionGraph {
    /// The definition's name.
    pub name: String,
    /// Its running number, from 1.
    pub version: usize,
    /// Of its text and schemas, in hex.
    pub hash: String,
    /// Boxes, frames and lines.
    pub graph: Graph,
    /// What waits at each step now, by its name; steps at which nothing waits are left out.
    pub waits: BTreeMap<String, WaitingThere>,
    /// How each step does by this version, by its name: whatever begins and ends, or emits; what is around steps is left out.
    pub steps: BTreeMap<String, StepPace>,
    /// How long all steps of all definitions took since the instances were started, in seconds: `time_share` is of that.
    pub all_steps_s: f64,
    /// Of which partitions that is, and as of when.
    pub as_of: Vec<AsOf>,
    /// Which partitions are left out, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
}

/// Ways in which a saga stands that has ended.
const ENDED: [&str; 2] = ["completed", "compensated"];

impl DefinitionVersion {
    fn of(version: &Deployed, counts: Option<&DefinitionCounts>) -> DefinitionVersion {
        let Deployed { number, in_force, rolled_back, record } = version;
        let mut shown = DefinitionVersion {
            name: record.name.clone(),
            version: *number,
            hash: record.hash.clone(),
            deployed_at: written(record.deployed_at),
            deployed_by: record.deployed_by.clone(),
            in_force_since: in_force.as_ref().map(|by| written(by.deployed_at)),
            in_force_by: in_force.as_ref().and_then(|by| by.deployed_by.clone()),
            rolled_back: *rolled_back,
            file: record.file.clone(),
            line: record.line,
            ..DefinitionVersion::default()
        };
        shown.count(counts.map(|counts| &counts.sagas).unwrap_or(&BTreeMap::new()));
        shown
    }

    fn count(&mut self, sagas: &BTreeMap<String, i64>) {
        sagas.iter().for_each(|(standing, count)| *self.sagas.entry(standing.clone()).or_insert(0) += count);
        let live = self.sagas.iter().filter(|(standing, _)| !ENDED.contains(&standing.as_str()));
        self.live = live.map(|(_, count)| count).sum();
    }
}

impl Definitions {
    fn of(versions: &[Deployed], counts: Overview) -> Definitions {
        let of = |version: &Deployed| DefinitionVersion::of(version, counted(&counts, &version.record.hash));
        Definitions { definitions: versions.iter().map(of).collect(), as_of: counts.as_of, missing: counts.missing }
    }

    /// Adds what another instance counts. It may know versions that are on their way to this one.
    fn add(&mut self, other: Definitions) {
        for of in other.definitions {
            match self.definitions.iter_mut().find(|known| known.hash == of.hash && known.name == of.name) {
                Some(known) => known.count(&of.sagas),
                None => self.definitions.push(of),
            }
        }
        self.definitions.sort_by(|one, other| (&one.name, one.version).cmp(&(&other.name, other.version)));
        self.as_of.extend(other.as_of);
        self.as_of.sort_by_key(|one| one.partition);
        self.missing.extend(other.missing);
    }
}

fn counted<'o>(counts: &'o Overview, hash: &str) -> Option<&'o DefinitionCounts> {
    counts.definitions.iter().find(|of| of.version == hash)
}

/// Every version that this instance knows.
fn versions(sources: &Sources) -> Vec<Deployed> {
    versions_of(sources.knowledge.get().records.values().cloned())
}

/// What is counted of these partitions.
fn counts(sources: &Sources, here: &[i32]) -> Result<Overview, String> {
    Ok(Overview::of(&sources.counted(here)?, &sources.knowledge.get().catalog))
}

/// The version of a definition, or the one that is in force.
fn find(versions: Vec<Deployed>, name: &str, number: Option<usize>) -> Result<Deployed, Refusal> {
    let (of_name, others): (Vec<_>, Vec<_>) = versions.into_iter().partition(|version| version.record.name == name);
    let count = of_name.len();
    let mut is_it =
        of_name.into_iter().filter(|version| number.map_or(version.in_force.is_some(), |number| version.number == number));
    is_it.next().ok_or_else(|| {
        Problem::NotFound.because(match (count, number) {
            (0, _) => {
                format!("no definition '{name}' is deployed; {}", there(others.iter().map(|other| &*other.record.name).collect()))
            }
            (_, number) => format!("'{name}' has no version {}; it has 1 to {count}", number.unwrap_or_default()),
        })
    })
}

/// Versions that are deployed, by whom and when, and how many sagas run by each.
#[utoipa::path(
    get,
    path = "/api/v1/definitions",
    tag = "definitions",
    params(Which),
    responses((status = 200, body = Definitions), Problems)
)]
pub(super) async fn all(State(sources): State<Arc<Sources>>, request: Request, Query(which): Query<Which>) -> Response {
    let here = |here: &[i32]| Ok(Definitions::of(&versions(&sources), counts(&sources, here)?));
    let is_asked_by_another = which.partitions.is_some();
    let add = |all: &mut Definitions, others: Others<Definitions>| {
        others.answers.into_iter().for_each(|other| all.add(other));
        all.missing.extend(others.missing);
        all.missing.sort_by_key(|one| one.partition);
        // Whoever asks for others as well chooses by what all of them count.
        let is_shown = |of: &DefinitionVersion| which.all || is_asked_by_another || of.in_force_since.is_some() || of.live != 0;
        all.definitions.retain(is_shown);
    };
    for_all(&sources, &request, which.partitions.as_deref(), here, add)
}

/// A version with its text.
#[utoipa::path(
    get,
    path = "/api/v1/definitions/{name}/{version}",
    tag = "definitions",
    params(
        ("name" = String, Path, description = "The definition, such as order-fulfilment"),
        ("version" = String, Path, description = "Its running number, or `newest`: the one that is in force"),
        OfPartitions
    ),
    responses((status = 200, body = DefinitionText), Problems)
)]
pub(super) async fn one(
    State(sources): State<Arc<Sources>>,
    Path((name, version)): Path<(String, String)>,
    request: Request,
    Query(of): Query<OfPartitions>,
) -> Response {
    let number = match (version.as_str(), version.parse::<usize>()) {
        ("newest", _) => None,
        (_, Ok(number)) => Some(number),
        _ => return Problem::BadRequest.because(format!("'{version}' is no version: its number, or newest")).into_response(),
    };
    let found = match find(versions(&sources), &name, number) {
        Ok(found) => found,
        Err(refusal) => return refusal.into_response(),
    };
    let here = |here: &[i32]| {
        let counts = counts(&sources, here)?;
        let of = DefinitionVersion::of(&found, counted(&counts, &found.record.hash));
        let (text, schemas) = (found.record.text.clone(), found.record.schemas.clone());
        Ok(DefinitionText { of, text, schemas, missing: counts.missing })
    };
    let add = |all: &mut DefinitionText, others: Others<DefinitionText>| {
        // Just behind a deploy another instance may have another version in force: that is none of this one's.
        for other in others.answers.into_iter().filter(|other| other.of.hash == found.record.hash) {
            all.of.count(&other.of.sagas);
            all.missing.extend(other.missing);
        }
        all.missing.extend(others.missing);
    };
    for_all(&sources, &request, of.partitions.as_deref(), here, add)
}

/// What a version looks like, how much waits at each step, and how it does.
#[utoipa::path(
    get,
    path = "/api/v1/definitions/{name}/graph",
    tag = "definitions",
    params(("name" = String, Path, description = "The definition, such as order-fulfilment"), Pictured),
    responses(
        (status = 200, content((DefinitionGraph = "application/json"), (String = "image/svg+xml"), (String = "text/plain"))),
        Problems
    )
)]
pub(super) async fn picture(
    State(sources): State<Arc<Sources>>,
    Path(name): Path<String>,
    request: Request,
    Query(wish): Query<Pictured>,
) -> Response {
    let found = match find(versions(&sources), &name, wish.version) {
        Ok(found) => found,
        Err(refusal) => return refusal.into_response(),
    };
    let record = &found.record;
    let outline = match outlined(record) {
        Ok(outline) => outline,
        Err(refusal) => return refusal.into_response(),
    };
    let picture = |kind: &'static str, text: String| ([(header::CONTENT_TYPE, kind)], text).into_response();
    match wish.format {
        PictureFormat::Svg => return picture("image/svg+xml", graph::svg::draw(&outline)),
        PictureFormat::Mermaid => return picture("text/plain; charset=utf-8", graph::mermaid::draw(&outline)),
        PictureFormat::Json => {}
    }
    let here = |here: &[i32]| {
        let counts = counts(&sources, here)?;
        let waits = waits(counted(&counts, &record.hash));
        let (steps, all_steps_s) = paces(&sources.metrics, &sources.knowledge.get().catalog, &record.hash);
        let (name, version, hash) = (record.name.clone(), found.number, record.hash.clone());
        let Overview { as_of, missing, .. } = counts;
        Ok(DefinitionGraph { name, version, hash, graph: Graph::of(&outline), waits, steps, all_steps_s, as_of, missing })
    };
    let add = |all: &mut DefinitionGraph, others: Others<DefinitionGraph>| {
        for other in others.answers.into_iter().filter(|other| other.hash == record.hash) {
            other.waits.into_iter().for_each(|(step, waits)| all.waits.entry(step).or_default().add(&waits));
            other.steps.into_iter().for_each(|(step, of)| of.add_to(&mut all.steps, step));
            all.all_steps_s += other.all_steps_s;
            all.as_of.extend(other.as_of);
            all.missing.extend(other.missing);
        }
        concluded(&mut all.steps, &mut all.all_steps_s);
        all.as_of.sort_by_key(|one| one.partition);
        all.missing.extend(others.missing);
    };
    for_all(&sources, &request, wish.partitions.as_deref(), here, add)
}

/// What a version looks like.
fn outlined(record: &DefinitionRecord) -> Result<Outline, Refusal> {
    let outlines = outline(&record.file, &record.text).unwrap_or_default();
    // If there is none an earlier build took it, and this one reads it otherwise.
    let cannot = || Problem::Failed.because(format!("the text of '{}' cannot be drawn by this build", record.name));
    outlines.into_iter().find(|outline| outline.saga == record.name).ok_or_else(cannot)
}

/// What the version of this name and hash looks like.
pub(super) fn outline_of(sources: &Sources, (name, hash): (&str, &str)) -> Result<Outline, Refusal> {
    let is_it = |version: &Deployed| version.record.name == name && version.record.hash == hash;
    let found = versions(sources).into_iter().find(is_it);
    let unknown = || Problem::NotFound.because(format!("version {hash} of '{name}' is not known here (any more)"));
    outlined(&found.ok_or_else(unknown)?.record)
}
