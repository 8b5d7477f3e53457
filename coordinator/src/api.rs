//! HTTP beside the workers: metrics, health, readiness, and where partitions and sagas stand.
//!
//! ```text
//! workers report -> Status, store -> read here, on a thread of its own; nothing here can touch a saga
//! ```
//!
//! What operators do comes as records of the control topic; this side only reads.

mod alerts;
pub mod allowed;
pub mod client;
mod connections;
mod denials;
mod gate;
mod overview;
mod participants;
mod peers;
pub mod problem;
mod routes;
mod saga;
mod sagas;
mod search;
mod server;
mod tls;
pub mod tokens;
mod unread;
mod who;
mod why;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use ringmaster_bus::kafka::MemberFound;
use ringmaster_store::Store;
use serde_json::{Value, json};

use crate::alerts::Alerts;
use crate::runtime::{NOT_CLAIMED, Newest, PartitionStatus, Status, wall};
use crate::telemetry::Metrics;
pub use alerts::{AlertShown, AlertsOf};
pub(crate) use overview::Counted;
pub use overview::{AsOf, DefinitionCounts, Happened, Missing, Overview, WaitCounts};
pub(crate) use participants::badness;
pub use participants::{Participant, Participants};
pub use peers::Peers;
use problem::Problem;
pub(crate) use saga::{key_of, partition_of};
pub use server::{Port, Server, listen, serve};
use tokens::Tokens;

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
    /// What somebody must know.
    pub alerts: Arc<Alerts>,
    /// Who may ask; none where nobody is asked for a token. Serving fills it in.
    pub tokens: Option<Arc<Tokens>>,
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

    /// Where the partitions are that are not among these; nothing if all are.
    async fn elsewhere(&self, here: &[i32]) -> Result<Vec<Value>, String> {
        let Some(peers) = self.peers.clone().filter(|_| here.len() < self.partitions as usize) else { return Ok(Vec::new()) };
        let found = tokio::task::spawn_blocking(move || peers.members()).await.map_err(|error| error.to_string())??;
        let others = found.into_iter().filter(|member| member.partitions.iter().any(|partition| !here.contains(partition)));
        let shown = |MemberFound { name, address, host, partitions }| json!({ "instance": name, "api": address, "host": host, "partitions": partitions });
        Ok(others.map(shown).collect())
    }
}

/// An answer about what is hosted here, and where the rest is.
async fn here_and_elsewhere(sources: &Sources, here: &[i32], found: Result<Value, String>) -> Response {
    match (found, sources.elsewhere(here).await) {
        (Ok(mut found), Ok(elsewhere)) => {
            if !elsewhere.is_empty() {
                found["elsewhere"] = elsewhere.into();
            }
            Json(found).into_response()
        }
        (Err(why), _) => failed(Problem::Failed, why),
        (_, Err(why)) => failed(Problem::NotNow, format!("who has the other partitions is not known: {why}")),
    }
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

async fn partitions(State(sources): State<Arc<Sources>>) -> Response {
    Json(json!({ "partitions": sources.status.partitions(), "followed": sources.status.followed() })).into_response()
}

/// How many sagas stand where, and what has happened.
async fn overview(State(sources): State<Arc<Sources>>) -> Response {
    let here = sources.hosted();
    let found = sources.counted(&here).map(|counted| Overview::of(&counted, &sources.knowledge.get().catalog));
    here_and_elsewhere(&sources, &here, found.map(|found| json!(found))).await
}

/// What each participant was asked and has not answered, and whether it is asked now.
async fn participants(State(sources): State<Arc<Sources>>) -> Response {
    let here = sources.hosted();
    let of = |counted| Participants::of(&*sources.store, &sources.knowledge.get().catalog, counted, &here);
    let found = sources.counted(&here).and_then(of);
    here_and_elsewhere(&sources, &here, found.map(|found| json!(found))).await
}

/// Sagas that live: `?stuck=true&definition=NAME&limit=COUNT`, or `?parked=true&participant=NAME`; those that are found by values:
/// `?definition=NAME&search=NAME=VALUE`.
async fn sagas(State(sources): State<Arc<Sources>>, uri: Uri) -> Response {
    let question = match sagas::Question::parse(uri.query().unwrap_or_default()) {
        Ok(question) => question,
        Err(why) => return failed(Problem::BadRequest, why),
    };
    if let Some(why) = question.names_nothing(&sources.knowledge.get().catalog) {
        return failed(Problem::NotFound, why);
    }
    let here = sources.hosted();
    let found = sagas::list(&*sources.store, &sources.knowledge.get().catalog, &here, &question);
    here_and_elsewhere(&sources, &here, found).await
}

/// Which tokens there are, and when each was last used here: of secrets nothing is known.
async fn held_tokens(State(sources): State<Arc<Sources>>) -> Response {
    let (tokens, now) = (sources.tokens.as_ref().map(|tokens| tokens.list()).unwrap_or_default(), wall());
    let shown = |(known, used): &(tokens::Known, Option<i64>)| {
        let mut shown = known.show(now);
        shown["last_used"] = saga::time(*used);
        shown
    };
    Json(json!({ "tokens": tokens.iter().map(shown).collect::<Vec<_>>() })).into_response()
}

fn failed(problem: Problem, why: String) -> Response {
    problem.because(why).into_response()
}

/// A saga by its id. Read from the raw path: ids hold percent-encoded keys, which must not be decoded twice.
async fn saga(State(sources): State<Arc<Sources>>, uri: Uri) -> Response {
    let id = uri.path().strip_prefix("/api/sagas/").expect("the route begins so");
    let Some(partition) = saga::partition_of(id, sources.partitions) else {
        return failed(Problem::BadRequest, format!("'{id}' is not a saga id such as order-fulfilment/ord-17"));
    };
    let here = sources.hosted();
    if !here.contains(&partition) {
        return misdirected(&sources, &here, (id, partition)).await;
    }
    match saga::look_up(&*sources.store, &sources.knowledge.get(), partition, id) {
        Ok(Some(found)) => Json(found).into_response(),
        Ok(None) => match (sources.status.partitions().iter().find(|status| status.partition == partition))
            .map_or(Some(NOT_CLAIMED), PartitionStatus::missing_to_own)
        {
            Some(missing) if sources.status.share().is_some() => {
                let why = format!("whether there is {id} is not known yet; of its partition {partition}: {missing}");
                failed(Problem::NotNow, why)
            }
            _ => failed(Problem::NotFound, saga::not_found(id)),
        },
        Err(why) => failed(Problem::Failed, why),
    }
}

/// A saga of a partition that another instance has: which one, and where its API is.
async fn misdirected(sources: &Sources, here: &[i32], (id, partition): (&str, i32)) -> Response {
    let elsewhere = match sources.elsewhere(here).await {
        Ok(elsewhere) => elsewhere,
        Err(why) => return failed(Problem::NotNow, format!("who has partition {partition} is not known: {why}")),
    };
    let has = |member: &&Value| member["partitions"].as_array().into_iter().flatten().any(|one| *one == partition);
    let Some(owner) = elsewhere.iter().find(has) else {
        let why = format!("{id} lives in partition {partition}, which is on its way to an instance: ask again in a moment");
        return failed(Problem::NotNow, why);
    };
    let why = format!("{id} lives in partition {partition}, which instance {} has: ask {}", owner["instance"], owner["api"]);
    Problem::Elsewhere.because(why).with("elsewhere", json!([owner])).into_response()
}

#[cfg(test)]
mod tests;
