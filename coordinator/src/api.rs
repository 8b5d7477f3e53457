//! HTTP beside the workers: metrics, health, readiness, and where partitions and sagas stand.
//!
//! ```text
//! workers report -> Status, store -> read here, on a thread of its own; nothing here can touch a saga
//! ```
//!
//! What operators do is sent to the control topic, and the partitions decide about it; this side reads, and writes to topics alone.

mod acts;
mod alerts;
pub mod allowed;
mod at_steps;
mod audit;
mod batches;
mod bottleneck;
mod broker;
pub mod client;
mod clients;
mod connections;
mod definitions;
mod denials;
mod editing;
mod everyone;
mod filter;
mod fresh;
mod gate;
mod history;
mod http2;
mod instances;
mod lately;
mod list;
mod live;
mod mistakes;
mod openapi;
mod overview;
mod participants;
mod peers;
pub mod problem;
mod quarantine;
mod redrive;
mod replays;
mod routes;
mod row;
mod saga;
mod saga_graph;
mod sagas;
mod scaling;
mod sent;
mod server;
mod settings;
mod shown;
mod step_times;
mod tls;
pub mod tokens;
mod topics;
mod unread;
mod who;
mod why;

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use ringmaster_store::Store;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use crate::alerts::Alerts;
pub use crate::audit::{ActLine, ActPage};
use crate::batches::Batches;
use crate::config::Setting;
pub use crate::history::{HistoryCause, HistoryEvent, HistoryPage, HistorySent, HistoryTurn};
use crate::runtime::{FollowedStatus, NOT_CLAIMED, Newest, PartitionStatus, Status, wall};
use crate::scaling::Scaling;
use crate::telemetry::Metrics;
use acts::by_whom;
pub use acts::{Act, ActAnswer, ActBody, ActEnd, ActPlace, BusHand, Hand, Remembered};
pub use alerts::{AlertShown, AlertsOf};
pub use at_steps::{StepPace, WaitingThere};
pub use batches::{BatchBody, BatchOrder, BatchPage, BatchProgress, BatchSagas, BatchShare, BatchShown, BatchStart, BatchWish};
pub use bottleneck::Bottleneck;
pub use broker::{Broker, BusBroker, NotPublished, Published};
pub(crate) use clients::Clients;
pub use definitions::{DefinitionGraph, DefinitionText, DefinitionVersion, Definitions, PictureFormat};
pub(crate) use editing::waits_for_next_start;
pub use editing::{DefinitionChange, DefinitionChanges, DefinitionPicture, DeployBody, DrawBody, Editing, FilesBody, Pictures};
use everyone::{Others, Request, Scope, ask_others};
pub(crate) use filter::quoted;
pub use history::{BusReader, Reader};
pub use instances::{InstanceShown, Instances};
pub use lately::{AlertBrief, Lately, Rates, SagaTime, SagaTimeBucket};
pub use list::{Explain, SagaLine, SagaPage, SagaWaits};
pub use mistakes::FileMistake;
use openapi::Problems;
pub(crate) use overview::Counted;
pub use overview::{AsOf, DefinitionCounts, Happened, Missing, Overview, WaitCounts};
pub(crate) use participants::badness;
pub use participants::{OneParticipant, Participant, Participants};
pub use peers::Peers;
use problem::Problem;
pub use quarantine::{Quarantine, QuarantineEntry, QuarantineMarked, QuarantineWhole};
pub use redrive::{QuarantineAnswer, QuarantineBody, QuarantineKind, QuarantineNot};
pub use replays::{ReplayAnswer, ReplayBody};
pub use row::{SagaAsks, SagaEntry, SagaEvidence, SagaFailure, SagaReason, SagaRow, SagaWay, SagaWhy};
pub(crate) use saga::{partition_of, whenever, written};
pub use saga_graph::{SagaGraph, StepState};
pub(crate) use scaling::not_found as scaling_not_found;
pub use scaling::{AllScaling, ParticipantScaling};
pub use server::{Port, Server, listen, serve};
pub use settings::Settings;
pub use shown::ShownBytes;
pub use step_times::StepTime;
use tokens::Tokens;
pub use topics::{NeededTopic, NeededTopics, TopicHeader, TopicRecord};
use who::Principal;
pub(crate) use why::BEFORE_MAX;

/// What is shown.
#[derive(Clone)]
pub struct Sources {
    /// Counters and gauges.
    pub metrics: Arc<Metrics>,
    /// What workers last said of their partitions.
    pub status: Arc<Status>,
    /// Rows as of the last checkpoints.
    pub store: Arc<dyn Store>,
    /// All definitions and schemas, as they are known by now.
    pub knowledge: Arc<Newest>,
    /// P.
    pub partitions: i32,
    /// Who else is in the group, and what each has; none where there can be nobody.
    pub peers: Option<Arc<Peers>>,
    /// Which participant is about to be the bottleneck.
    pub scaling: Arc<Scaling>,
    /// What somebody must know.
    pub alerts: Arc<Alerts>,
    /// Who may ask; none where nobody is asked for a token. Serving fills it in.
    pub tokens: Option<Arc<Tokens>>,
    /// Brings acts to the partitions.
    pub hand: Option<Arc<dyn Hand>>,
    /// Reads what is not in the store.
    pub reader: Option<Arc<dyn Reader>>,
    /// What acts were answered.
    pub acts: Arc<Remembered>,
    /// What is done with definitions that are sent.
    pub editing: Arc<Editing>,
    /// What holds here, and where that is said.
    pub settings: Arc<[Setting]>,
    /// Acts on many sagas.
    pub batches: Arc<Batches>,
    /// What an acknowledged record of the journal survives, in words; none if the bus does not tell.
    pub durability: Option<Arc<str>>,
}

impl Sources {
    /// The partitions that are hosted here, in order: what the store has of others is as old as the day on which they left. All of them,
    /// as long as the group has said nothing.
    fn hosted(&self) -> Vec<i32> {
        match self.status.share() {
            Some(_) => self.status.partitions().iter().map(|status| status.partition).collect(),
            None => (0..self.partitions).collect(),
        }
    }

    /// What is counted of these partitions.
    fn counted(&self, here: &[i32]) -> Result<Counted, String> {
        overview::counted(&*self.store, &self.status.partitions(), here, wall())
    }
}

/// An answer for all partitions: what is found here, and what the others say of theirs, added up.
fn for_all<T: Serialize + DeserializeOwned + Send>(
    sources: &Sources,
    request: &Request,
    only: Option<&str>,
    here: impl FnOnce(&[i32]) -> Result<T, String>,
    add: impl Fn(&mut T, Others<T>),
) -> Response {
    let scope = match Scope::of(sources, only) {
        Ok(scope) => scope,
        Err(why) => return Problem::BadRequest.because(why).into_response(),
    };
    match here(&scope.here) {
        Ok(mut found) => {
            add(&mut found, ask_others(sources, &scope, request));
            Json(found).into_response()
        }
        Err(why) => Problem::Failed.because(why).into_response(),
    }
}

/// Which partitions another instance asks for, of this one alone.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct OfPartitions {
    /// Of this instance alone, and of these partitions, such as `0,3`: so instances ask each other.
    #[param(min_length = 1)]
    partitions: Option<String>,
}

async fn metrics(State(sources): State<Arc<Sources>>) -> Response {
    let status = &sources.status;
    if let Err(why) = sources.count() {
        // All else is told; those stay as they were.
        tracing::warn!(%why, "the counts cannot be read");
    }
    let text = sources.metrics.render(&status.partitions(), &status.followed(), &status.topics(), &sources.knowledge.get().catalog);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

async fn readiness(State(sources): State<Arc<Sources>>) -> Response {
    let (known, share) = (sources.status.partitions(), sources.status.share());
    let missing: Vec<_> = share
        .iter()
        .flatten()
        .copied()
        .filter_map(|number| {
            let status = known.iter().find(|status| status.partition == number);
            status
                .map_or_else(|| Some(NOT_CLAIMED.to_owned()), PartitionStatus::missing)
                .map(|missing| json!({ "partition": number, "missing": missing }))
        })
        .collect();
    let topics: Vec<_> = sources
        .status
        .topics()
        .into_iter()
        .flat_map(|status| status.troubles.into_iter().map(move |trouble| (status.topic.clone(), trouble)))
        .map(|(topic, trouble)| json!({ "topic": *topic, "partition": trouble.partition, "why": trouble.why }))
        .collect();
    let ready = share.is_some() && missing.is_empty() && topics.is_empty();
    let group = share.is_none().then_some(NOT_JOINED);
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({
        "ready": ready, "partitions": sources.partitions, "share": share, "group": group, "not_ready": missing, "topics": topics,
    });
    (code, Json(body)).into_response()
}

/// Why nothing is hosted yet.
const NOT_JOINED: &str =
    "the group has not said yet which partitions are this instance's: is the broker reachable? Another one may be handing over";

/// The partitions of this instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
struct Partitions {
    /// Those that it has.
    partitions: Vec<PartitionStatus>,
    /// Those that it only follows.
    followed: Vec<FollowedStatus>,
}

/// Where each partition stands that this instance has, and which it only follows.
#[utoipa::path(get, path = "/api/v1/partitions", tag = "operation", responses((status = 200, body = Partitions), Problems))]
async fn partitions(State(sources): State<Arc<Sources>>) -> Json<Partitions> {
    Json(Partitions { partitions: sources.status.partitions(), followed: sources.status.followed() })
}

/// What each participant was asked and has not answered, and whether it is asked now.
#[utoipa::path(
    get,
    path = "/api/v1/participants",
    tag = "participants",
    params(OfPartitions),
    responses((status = 200, body = Participants), Problems)
)]
async fn participants(State(sources): State<Arc<Sources>>, request: Request, Query(of): Query<OfPartitions>) -> Response {
    let of_these = |here: &[i32]| Participants::of(&*sources.store, &sources.knowledge.get().catalog, sources.counted(here)?, here);
    let add = |all: &mut Participants, others: Others<Participants>| {
        others.answers.into_iter().for_each(|other| all.add(other));
        all.add(Participants { missing: others.missing, ..Participants::default() });
    };
    for_all(&sources, &request, of.partitions.as_deref(), of_these, add)
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
struct Me {
    /// As journals and logs name it.
    name: String,
    /// What it is to this coordinator.
    roles: Vec<String>,
}

/// Who asks, and what they may.
#[utoipa::path(get, path = "/api/v1/me", tag = "access", responses((status = 200, body = Me), Problems))]
async fn me(Extension(principal): Extension<Principal>) -> Json<Me> {
    let roles = principal.roles.iter().map(ToString::to_string).collect();
    Json(Me { name: principal.name, roles })
}

/// The tokens that there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
struct HeldTokens {
    /// They.
    tokens: Vec<HeldToken>,
}

/// A token, and when it was last used here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
struct HeldToken {
    #[serde(flatten)]
    token: tokens::Shown,
    /// When it was last used with this instance; null: not since that was started.
    last_used: Option<String>,
}

/// Which tokens there are, and when each was last used here: of secrets nothing is known.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "access", responses((status = 200, body = HeldTokens), Problems))]
async fn held_tokens(State(sources): State<Arc<Sources>>) -> Json<HeldTokens> {
    let (tokens, now) = (sources.tokens.as_ref().map(|tokens| tokens.list()).unwrap_or_default(), wall());
    let shown =
        |(known, used): &(tokens::Known, Option<i64>)| HeldToken { token: known.show(now), last_used: used.and_then(saga::moment) };
    Json(HeldTokens { tokens: tokens.iter().map(shown).collect() })
}

#[cfg(test)]
pub(crate) mod tests;
