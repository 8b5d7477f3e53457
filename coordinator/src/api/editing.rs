//! Definitions that somebody sends: checked, tested, drawn and deployed as the command line does it, by what is deployed.
//!
//! ```text
//! files -> Plan, by what this instance knows -> changes, scenarios, pictures: nothing is written;  deploy -> the bus, as whoever asked
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use ringmaster_core::definition::Catalog;
use ringmaster_core::definition::compile::outline::outline;
use ringmaster_core::intake::Typing;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::broker::{Broker, Published};
use super::definitions::PictureFormat;
use super::mistakes::{FileMistake, definition_errors, of_knowledge, of_not_published};
use super::openapi::Problems;
use super::problem::{Problem, Refusal};
use super::who::Principal;
use super::{Sources, by_whom};
use crate::graph::{self, Graph};
use crate::runtime::{Change, Deploying, InputOptions, Plan, Sent, TYPE_FIELD, wall};
use crate::scenarios::{self, Coverage, Known, Scenario, TestReport, Took};
use crate::topics::keys_by_expression;

/// Files of one request.
const FILES_MAX: usize = 200;
/// Bytes of what a file is called.
const PATH_BYTES_MAX: usize = 200;
/// Turns of one scenario, and of all of a request: less than the command line takes, since others wait for the thread.
const SCENARIO_TURNS_MAX: usize = 5_000;
const TURNS_MAX: usize = 20_000;
/// And memory for what happens in them, in bytes.
const STORIES_BYTES_MAX: usize = 16 << 20;

/// How definitions that come over HTTP are compiled, and whether they may be deployed.
#[derive(Clone, Default)]
pub struct Editing {
    /// Where and how definitions are deployed.
    pub deploying: Deploying,
    /// What differs for some input topics.
    pub inputs: Vec<InputOptions>,
    /// The setting `api.deploy`.
    pub may_deploy: bool,
    /// Who deploys them.
    pub broker: Option<Arc<dyn Broker>>,
}

/// Files, by what each is called: definitions (`*.yaml`, `*.yml`), scenarios (the same below a folder `scenarios`), schemas of events,
/// commands and results beside those that are there (`*.avsc`).
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FilesBody {
    /// The text of each, by its path: at most 200, and 1 MiB in all.
    #[schema(example = json!({ "sagas/trip.yaml": "saga: trip\n..." }))]
    pub files: BTreeMap<String, String>,
}

/// Files to draw.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DrawBody {
    /// The text of each, by its path.
    pub files: BTreeMap<String, String>,
    /// As what.
    #[serde(default)]
    pub format: PictureFormat,
}

/// Files to deploy.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeployBody {
    /// The text of each, by its path. Scenarios are passed over.
    pub files: BTreeMap<String, String>,
    /// Nothing is written: only what would become of it is told.
    #[serde(default)]
    pub dry_run: bool,
    /// Who deploys, where nobody is asked for a token; with one the token says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// What a deploy of definitions comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DefinitionChanges {
    /// What becomes of each definition.
    pub changes: Vec<DefinitionChange>,
    /// What is allowed, and probably not meant.
    pub warnings: Vec<FileMistake>,
    /// What people should know of it beside that.
    pub notes: Vec<String>,
}

/// What becomes of a definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DefinitionChange {
    /// Its name.
    pub saga: String,
    /// new, changed or unchanged.
    pub change: String,
    /// The version that new sagas get now.
    pub version_before: Option<u32>,
    /// The version that they will get. One that is less than the one before was deployed before: a rollback.
    pub version: u32,
    /// Of its text and schemas, in hex.
    pub hash: String,
    /// The file that it is in.
    pub file: String,
    /// The line of that file that it begins at, from 1.
    pub line: usize,
    /// A coordinator that runs gives it to new sagas from its next start on.
    pub at_next_start: bool,
    /// Nothing was written.
    pub dry_run: bool,
}

/// Pictures of definitions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Pictures {
    /// In the order of files and of what stands in them.
    pub graphs: Vec<DefinitionPicture>,
}

/// A picture of a definition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DefinitionPicture {
    /// Its name.
    pub saga: String,
    /// The file that it is in.
    pub file: String,
    /// As boxes and lines, if that was asked for.
    pub graph: Option<Graph>,
    /// As SVG, or as text for Mermaid, if that was.
    pub text: Option<String>,
}

impl DefinitionChange {
    /// What becomes of it.
    pub(crate) fn of(change: &Change, at_next_start: bool, dry_run: bool) -> DefinitionChange {
        let what = match change.before {
            None => "new",
            Some(before) if before == change.after => "unchanged",
            Some(_) => "changed",
        };
        DefinitionChange {
            saga: change.record.name.clone(),
            change: what.to_owned(),
            version_before: change.before,
            version: change.after,
            hash: change.record.hash.clone(),
            file: change.record.file.clone(),
            line: change.record.line,
            at_next_start,
            dry_run,
        }
    }
}

impl Editing {
    /// How events of a topic tell their type.
    pub(super) fn typing<'t>(&'t self, topic: &str, catalog: &'t Catalog) -> Typing<'t> {
        let own = self.inputs.iter().find(|of| of.topic == topic);
        let default = own.and_then(|own| own.default_type.as_deref()).or(catalog.default_type(topic));
        Typing { field: own.map_or(TYPE_FIELD, |own| &own.type_field), default }
    }
}

impl DefinitionChanges {
    fn of(plan: &Plan, later: &[(String, Vec<String>)], dry_run: bool, editing: &Editing) -> DefinitionChanges {
        let waits = |change: &Change| later.iter().any(|(_, waiting)| waiting.contains(&change.record.name));
        let catalog = &plan.knowledge.catalog;
        let mut notes = plan.lost_types();
        notes.extend(later.iter().map(waits_for_next_start));
        notes.extend(keys_by_expression(catalog, |topic| editing.inputs.iter().any(|of| of.topic == topic && of.routed)));
        DefinitionChanges {
            changes: plan.changes.iter().map(|change| DefinitionChange::of(change, waits(change), dry_run)).collect(),
            warnings: plan.warnings.iter().map(FileMistake::of).collect(),
            notes,
        }
    }
}

/// What people should know of versions that are not in force at once, in coordinators that run.
pub(crate) fn waits_for_next_start((topic, waiting): &(String, Vec<String>)) -> String {
    let waiting = waiting.join(", ");
    format!(
        "{waiting}: events of {topic} are matched by a value now, and go through the router. A coordinator that runs reads {topic} directly, and \
         gives this version to new sagas from its next start on; until then the one before is in force"
    )
}

/// Files by what they are.
struct Sorted {
    sent: Sent,
    scenarios: Vec<(String, String)>,
}

/// Files by what they are; why that cannot be told, else.
fn sorted(files: BTreeMap<String, String>) -> Result<Sorted, Refusal> {
    let wrong = |why: String| Err(Problem::BadRequest.because(why));
    if files.is_empty() || files.len() > FILES_MAX {
        return wrong(format!("`files` has 1 to {FILES_MAX} files, by their paths; these are {}", files.len()));
    }
    let mut sorted = Sorted { sent: Sent::default(), scenarios: Vec::new() };
    for (path, text) in files {
        if path.len() > PATH_BYTES_MAX || path.chars().any(char::is_control) {
            return wrong(format!("a file's path is text of at most {PATH_BYTES_MAX} bytes on one line"));
        }
        let extension = path.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default();
        let is_scenario = path.split('/').rev().skip(1).any(|folder| folder == "scenarios");
        match (extension.as_str(), is_scenario) {
            ("avsc", _) => sorted.sent.schemas.push((path, text)),
            ("yaml" | "yml", true) => sorted.scenarios.push((path, text)),
            ("yaml" | "yml", false) => sorted.sent.definitions.push((path, text)),
            _ => return wrong(format!("'{path}': definitions and scenarios are *.yaml or *.yml, schemas *.avsc")),
        }
    }
    Ok(sorted)
}

/// A body that could be read.
type Body<T> = Result<Json<T>, JsonRejection>;

fn read<T>(body: Body<T>) -> Result<T, Refusal> {
    body.map(|Json(body)| body).map_err(|rejection| Problem::of(rejection.status()).because(rejection.body_text()))
}

/// An answer, or why there is none.
fn answer<T: Serialize>(found: Result<T, Refusal>) -> Response {
    found.map_or_else(IntoResponse::into_response, |found| Json(found).into_response())
}

/// What a deploy would come to, by what this instance knows.
fn planned(sources: &Sources, sent: &Sent) -> Result<Plan, Refusal> {
    Plan::of_known(&sources.knowledge.get(), &sources.editing.deploying, sent, wall()).map_err(of_knowledge)
}

/// Checks definitions by the schemas and what is deployed: what would a deploy change? Nothing is written.
#[utoipa::path(
    post,
    path = "/api/v1/definitions:check",
    tag = "definitions",
    request_body = FilesBody,
    responses((status = 200, body = DefinitionChanges), Problems)
)]
pub(super) async fn check(State(sources): State<Arc<Sources>>, body: Body<FilesBody>) -> Response {
    let checked = read(body).and_then(|body| sorted(body.files)).and_then(|files| {
        let plan = planned(&sources, &files.sent)?;
        Ok(DefinitionChanges::of(&plan, &[], true, &sources.editing))
    });
    answer(checked)
}

/// Plays scenarios of definitions that are sent, or deployed; in virtual time, and at most 5,000 turns each, and 20,000 and 16 MiB of
/// bodies in all.
#[utoipa::path(
    post,
    path = "/api/v1/definitions:test",
    tag = "definitions",
    request_body = FilesBody,
    responses((status = 200, body = TestReport), Problems)
)]
pub(super) async fn test(State(sources): State<Arc<Sources>>, body: Body<FilesBody>) -> Response {
    answer(read(body).and_then(|body| sorted(body.files)).and_then(|files| tested(&sources, &files)))
}

fn tested(sources: &Sources, files: &Sorted) -> Result<TestReport, Refusal> {
    let plan = planned(sources, &files.sent)?;
    let known = Known { catalog: &plan.knowledge.catalog, schemas: &plan.knowledge.schemas };
    let (mut scenarios, mut errors): (Vec<Scenario>, Vec<_>) = (Vec::new(), Vec::new());
    for (file, text) in &files.scenarios {
        match scenarios::read(file, text, known) {
            Ok(found) => scenarios.extend(found),
            Err(found) => errors.extend(found),
        }
    }
    if !errors.is_empty() {
        return Err(definition_errors(errors.iter().map(FileMistake::of).collect()));
    }
    let mut coverage = Coverage::default();
    let newest = plan.changes.iter().filter_map(|change| known.catalog.newest(&change.record.name));
    newest.for_each(|definition| coverage.add(definition));
    let (mut played, mut left, mut not_played) = (Vec::new(), Took { turns: TURNS_MAX, bytes: STORIES_BYTES_MAX }, 0);
    for scenario in scenarios {
        if left.turns == 0 || left.bytes == 0 {
            not_played += 1;
            continue;
        }
        let most = Took { turns: left.turns.min(SCENARIO_TURNS_MAX), ..left };
        let (verdict, took) = scenarios::play_within(&scenario, known, most, &mut coverage);
        left = Took { turns: left.turns.saturating_sub(took.turns), bytes: left.bytes.saturating_sub(took.bytes) };
        played.push((scenario, verdict));
    }
    Ok(TestReport { not_played, ..TestReport::of(&played, &coverage.tallies()) })
}

/// Draws definitions that are sent. They need only be written right: neither schemas nor what is deployed is looked at.
#[utoipa::path(
    post,
    path = "/api/v1/definitions:graph",
    tag = "definitions",
    request_body = DrawBody,
    responses((status = 200, body = Pictures), Problems)
)]
pub(super) async fn draw(body: Body<DrawBody>) -> Response {
    answer(read(body).and_then(|body| Ok((sorted(body.files)?, body.format))).and_then(|(files, format)| drawn(&files, format)))
}

fn drawn(files: &Sorted, format: PictureFormat) -> Result<Pictures, Refusal> {
    let (mut graphs, mut errors) = (Vec::new(), Vec::new());
    for (file, text) in &files.sent.definitions {
        match outline(file, text) {
            Err(found) => errors.extend(found),
            Ok(outlines) => graphs.extend(outlines.iter().map(|outline| {
                let text = match format {
                    PictureFormat::Json => None,
                    PictureFormat::Svg => Some(graph::svg::draw(outline)),
                    PictureFormat::Mermaid => Some(graph::mermaid::draw(outline)),
                };
                let graph = (format == PictureFormat::Json).then(|| Graph::of(outline));
                DefinitionPicture { saga: outline.saga.clone(), file: file.clone(), graph, text }
            })),
        }
    }
    if errors.is_empty() { Ok(Pictures { graphs }) } else { Err(definition_errors(errors.iter().map(FileMistake::of).collect())) }
}

/// Deploys definitions, all of them or none: new sagas get them within a second, those that run keep their versions.
#[utoipa::path(
    post,
    path = "/api/v1/definitions:deploy",
    tag = "definitions",
    request_body = DeployBody,
    responses((status = 200, body = DefinitionChanges), Problems)
)]
pub(super) async fn deploy(
    State(sources): State<Arc<Sources>>,
    Extension(principal): Extension<Principal>,
    body: Body<DeployBody>,
) -> Response {
    answer(read(body).and_then(|body| deployed(&sources.editing, &principal, body)))
}

fn deployed(editing: &Editing, principal: &Principal, body: DeployBody) -> Result<DefinitionChanges, Refusal> {
    if !editing.may_deploy {
        let detail =
            "nothing is deployed over HTTP here (the setting api.deploy is false): `ringmaster deploy` does it at the brokers";
        return Err(Problem::Forbidden.because(detail));
    }
    let by = by_whom(principal, body.by.as_deref())?;
    let files = sorted(body.files)?;
    if files.sent.definitions.is_empty() {
        let detail = "there is no definition among these files (scenarios lie below a folder `scenarios`), so that nothing would be deployed";
        return Err(Problem::BadRequest.because(detail));
    }
    let Some(broker) = &editing.broker else { return Err(Problem::NotNow.because("this instance has no way to deploy")) };
    let Published { plan, later } = broker.deploy(&files.sent, &by, body.dry_run).map_err(of_not_published)?;
    for change in plan.changes.iter().filter(|change| !change.is_none() && !body.dry_run) {
        let (saga, version) = (&change.record.name, change.after);
        tracing::info!(saga, version, by, "deployed over HTTP");
    }
    Ok(DefinitionChanges::of(&plan, &later, body.dry_run, editing))
}
