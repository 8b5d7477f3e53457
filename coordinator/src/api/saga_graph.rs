//! Where a saga stands, in the picture of its definition.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use ringmaster_schemas::state::Waits;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::Sources;
use super::definitions;
use super::everyone::Request;
use super::openapi::Problems;
use super::problem::Refusal;
use super::sagas::{IdQuery, found};
use crate::graph::Graph;

/// A saga in the picture of its definition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SagaGraph {
    /// The saga's id.
    pub saga: String,
    /// Its definition's name.
    pub definition: String,
    /// The hash of its version, in hex.
    pub version: String,
    /// How it stands, as its row says.
    pub status: String,
    /// Boxes, frames and lines of that version. A box names its step.
    pub graph: Graph,
    /// What became of each step so far, by its name, in the order in which it was entered: once a round. A step that was not reached, or that
    /// is a row of its own (an item's, a sub-saga's), is left out.
    pub steps: BTreeMap<String, Vec<StepState>>,
}

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StepState {
    /// Which round it was, from 1; null for what leaves no more than a mark in the row.
    pub round: Option<u64>,
    /// What is known of its work, as the row says; or skipped, emitted, or which arm was taken.
    pub state: String,
    /// What it waits for; null if for nothing.
    pub waits: Option<String>,
    /// Since when it is so, RFC 3339.
    pub since: Option<String>,
    /// The code by which it was refused or failed.
    pub code: Option<String>,
}

/// Where a saga stands in the picture of its definition.
#[utoipa::path(
    get,
    path = "/api/v1/saga/graph",
    tag = "sagas",
    params(IdQuery),
    responses((status = 200, body = SagaGraph), Problems)
)]
pub(super) async fn graph(State(sources): State<Arc<Sources>>, request: Request, Query(query): Query<IdQuery>) -> Response {
    found(&sources, &request, &query, |row| match drawn(&sources, &serde_json::to_value(row).expect("it is JSON")) {
        Ok(drawn) => Json(drawn).into_response(),
        Err(refusal) => refusal.into_response(),
    })
}

fn drawn(sources: &Sources, row: &Value) -> Result<SagaGraph, Refusal> {
    let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let (saga, definition, version) = (text("saga"), text("definition"), text("version"));
    let outline = definitions::outline_of(sources, (&definition, &version))?;
    Ok(SagaGraph { graph: Graph::of(&outline), steps: steps(row), status: text("status"), saga, definition, version })
}

fn steps(row: &Value) -> BTreeMap<String, Vec<StepState>> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let entered = row["entries"].as_array().into_iter().flatten().map(|entry| {
        let state = StepState {
            round: entry["round"].as_u64(),
            state: text(&entry["work"]).unwrap_or_default(),
            waits: text(&entry["waits"]).filter(|waits| waits != Waits::No.as_str()),
            since: text(&entry["since"]),
            code: text(&entry["failure"]["code"]),
        };
        (&entry["step"], state)
    });
    let marked = row["on_the_way"].as_array().into_iter().flatten().map(|mark| {
        let state = text(&mark["what"]).unwrap_or_default();
        (&mark["step"], StepState { round: None, state, waits: None, since: None, code: None })
    });
    let mut all: BTreeMap<String, Vec<StepState>> = BTreeMap::new();
    for (step, state) in entered.chain(marked) {
        if let Some(step) = text(step) {
            all.entry(step).or_default().push(state);
        }
    }
    all
}
