//! What people have done, over HTTP: which acts are meant. Any instance answers: the topics that it reads are the broker's.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use ringmaster_core::definition::parse_millis;
use ringmaster_schemas::Millis;
use ringmaster_schemas::json::time::parse_timestamp;
use serde::Deserialize;
use utoipa::IntoParams;

use super::openapi::Problems;
use super::problem::{Problem, Refusal};
use super::{Sources, saga};
use crate::audit::{ActPage, Asked, Bounds, Filter, LIMIT_MAX, LIMIT_USUAL, Place};
use crate::runtime::wall;

/// Which acts are asked for: those for which all that is said is true.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct ActsQuery {
    /// On this saga, by its id: a value of a query, which is encoded once more.
    #[param(min_length = 3)]
    saga: Option<String>,
    /// On this participant.
    #[param(min_length = 1)]
    participant: Option<String>,
    /// By this person or program, exactly.
    #[param(min_length = 1)]
    by: Option<String>,
    /// Not longer ago than an age such as 2h, or not before a time such as 2026-01-31T00:00:00Z.
    #[param(min_length = 2)]
    since: Option<String>,
    /// Acts of a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// `next_cursor` of the page before, with the same filter.
    #[param(min_length = 1)]
    cursor: Option<String>,
}

/// What people have done, and what became of it: the newest first.
#[utoipa::path(get, path = "/api/v1/acts", tag = "acts", params(ActsQuery), responses((status = 200, body = ActPage), Problems))]
pub(super) async fn acts(State(sources): State<Arc<Sources>>, Query(query): Query<ActsQuery>) -> Response {
    match page(&sources, query) {
        Ok(page) => Json(page).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

fn page(sources: &Sources, query: ActsQuery) -> Result<ActPage, Refusal> {
    let ActsQuery { saga, participant, by, since, limit, cursor } = query;
    let acts = limit.unwrap_or(LIMIT_USUAL);
    if !(1..=LIMIT_MAX).contains(&acts) {
        return Err(Problem::BadRequest.because(format!("limit is from 1 to {LIMIT_MAX}")));
    }
    // An act on a saga stands in the saga's partition.
    let partitions: Vec<i32> = match &saga {
        None => (0..sources.partitions).collect(),
        Some(id) => {
            let wrong = || Problem::BadRequest.because(format!("'{id}' is not a saga id such as order-fulfilment/ord-17"));
            vec![saga::partition_of(id, sources.partitions).ok_or_else(wrong)?]
        }
    };
    let since = since.map(|since| begin_of(&since)).transpose()?;
    let filter = Filter { saga, participant, by, since };
    let wrong = || Problem::BadCursor.because("the cursor is none of this filter: begin without one");
    let from = cursor.map(|cursor| Place::read(&cursor, &filter).ok_or_else(wrong)).transpose()?;
    let Some(reader) = &sources.reader else {
        return Err(Problem::NotNow.because("this instance has no way to read the control topic"));
    };
    let bounds = Bounds { acts, ..Bounds::USUAL };
    let page = reader.acts(&Asked { partitions: &partitions, filter: &filter, from, bounds });
    page.map_err(|error| Problem::NotNow.because(format!("the control topic cannot be read: {error}")))
}

/// From when on.
fn begin_of(since: &str) -> Result<Millis, Refusal> {
    if let Ok(age) = parse_millis(since) {
        return Ok(wall().saturating_sub(age).max(0));
    }
    let wrong = || {
        let why = format!("since={since} is neither an age such as 2h nor a time such as 2026-01-31T00:00:00Z");
        Problem::BadRequest.because(why)
    };
    parse_timestamp(since).map(|micros| micros.div_euclid(1_000).max(0)).ok_or_else(wrong)
}
