//! What happened to a saga, over HTTP: its row says which records of the journal, and those are read here.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use ringmaster_bus::{Bus, BusError};
use ringmaster_schemas::names::{Topics, percent_encode};
use serde::Deserialize;
use utoipa::IntoParams;

use super::clients::Clients;
use super::everyone::{Request, ask_owner};
use super::openapi::Problems;
use super::problem::{Problem, Refusal};
use super::{Sources, saga};
use crate::audit::{self, ActPage};
use crate::history::{self, Bounds, HistoryPage, LIMIT_MAX, LIMIT_USUAL, Place, Row, Trouble};
use crate::runtime::Knowledge;

/// Reads topics of the broker, for what is not in the store.
pub trait Reader: Send + Sync {
    /// A page of what happened to a saga.
    fn history(&self, asked: &history::Asked<'_>, known: &Knowledge) -> Result<HistoryPage, Trouble>;

    /// A page of what people have done.
    fn acts(&self, asked: &audit::Asked<'_>) -> Result<ActPage, BusError>;
}

/// A reader that has clients of a bus.
pub struct BusReader<B> {
    topics: Topics,
    clients: Clients<B>,
}

impl<B: Bus + Send> BusReader<B> {
    /// With clients that are made so, as they are needed.
    pub fn new(topics: Topics, make: impl Fn() -> Result<B, BusError> + Send + Sync + 'static) -> Self {
        BusReader { topics, clients: Clients::new(make) }
    }
}

impl<B: Bus + Send> Reader for BusReader<B> {
    fn history(&self, asked: &history::Asked<'_>, known: &Knowledge) -> Result<HistoryPage, Trouble> {
        let mut client = self.clients.take()?;
        let page = history::page(&mut client, &self.topics, &known.catalog, asked, &mut |_, _| {});
        if !matches!(page, Err(Trouble::Bus(_))) {
            self.clients.give_back(client);
        }
        page
    }

    fn acts(&self, asked: &audit::Asked<'_>) -> Result<ActPage, BusError> {
        let mut client = self.clients.take()?;
        let page = audit::page(&mut client, &self.topics, asked)?;
        self.clients.give_back(client);
        Ok(page)
    }
}

/// Which part of a story is asked for.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct HistoryQuery {
    /// The id of a saga, or of an item or sub-saga. It has percent signs and slashes of its own: as a value of a query it is encoded once more.
    #[param(example = "order-fulfilment/ord-17", min_length = 3)]
    id: String,
    /// `next_cursor` of the page before.
    #[param(min_length = 1)]
    cursor: Option<String>,
    /// Turns of a page.
    #[param(minimum = 1, maximum = 500, default = 100)]
    limit: Option<usize>,
    /// Reads the whole journal of the saga's partition, and needs no row: also tells inputs that were not taken, what came before the saga,
    /// what an earlier saga of this id did, and a saga whose row has expired. A page of it may be empty, and have a next one.
    #[serde(default)]
    scan: bool,
}

/// What happened to a saga, a page at a time, the oldest first, told from the journal.
#[utoipa::path(
    get,
    path = "/api/v1/saga/history",
    tag = "sagas",
    params(HistoryQuery),
    responses((status = 200, body = HistoryPage), Problems)
)]
pub(super) async fn history(State(sources): State<Arc<Sources>>, request: Request, Query(query): Query<HistoryQuery>) -> Response {
    match page(&sources, &request, &query) {
        Ok(page) => Json(page).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

fn page(sources: &Sources, request: &Request, query: &HistoryQuery) -> Result<HistoryPage, Refusal> {
    let HistoryQuery { id, cursor, limit, scan } = query;
    let Some(partition) = saga::partition_of(id, sources.partitions) else {
        return Err(Problem::BadRequest.because(format!("'{id}' is not a saga id such as order-fulfilment/ord-17")));
    };
    let turns = limit.unwrap_or(LIMIT_USUAL);
    if !(1..=LIMIT_MAX).contains(&turns) {
        return Err(Problem::BadRequest.because(format!("limit is from 1 to {LIMIT_MAX}")));
    }
    let wrong = || Problem::BadCursor.because("the cursor is none of this saga's history: begin without one");
    let from = cursor.as_ref().map(|cursor| Place::read(cursor, id).ok_or_else(wrong)).transpose()?;
    let Some(reader) = &sources.reader else {
        return Err(Problem::NotNow.because("this instance has no way to read the journal"));
    };
    let row = match *scan || from.as_ref().is_some_and(Place::is_of_scan) {
        true => Err("as was asked for".to_owned()),
        false => row_of(sources, request, id, partition)?,
    };
    let bounds = Bounds { turns, ..Bounds::USUAL };
    let asked = history::Asked { id, partition, row: row.as_ref().map_err(Clone::clone), from, bounds };
    reader.history(&asked, &sources.knowledge.get()).map_err(refused)
}

fn refused(trouble: Trouble) -> Refusal {
    match trouble {
        Trouble::Bus(error) => Problem::NotNow.because(format!("the journal cannot be read: {error}")),
        Trouble::Journal(why) => Problem::Failed.because(why),
        Trouble::Nothing(why) => Problem::NotFound.because(why),
        Trouble::Moved(why) => Problem::BadCursor.because(format!("{why}: begin without a cursor")),
    }
}

/// What the saga's row says of its turns, of this instance or of that which has it; why it says nothing, where it does not.
fn row_of(sources: &Sources, request: &Request, id: &str, partition: i32) -> Result<Result<Row, String>, Refusal> {
    let not_there = |why: String| Problem::NotFound.because(format!("{why}; with scan=true the whole journal is looked through"));
    if sources.hosted().contains(&partition) {
        let found = saga::look_up(&*sources.store, &sources.knowledge.get(), partition, id);
        let found = found.map_err(|why| Problem::Failed.because(why))?;
        return found
            .map(|shown| Row::of(&serde_json::to_value(shown).expect("it is JSON")))
            .ok_or_else(|| not_there(saga::not_found(id)));
    }
    let elsewhere = |why: String| {
        let detail = format!(
            "which records are about {id} says its row, which lives in partition {partition}: {why}; with scan=true it is not asked for"
        );
        Problem::Elsewhere.because(detail)
    };
    let mut path = "/api/v1/saga?id=".to_owned();
    percent_encode(id, &mut path);
    let uri = path.parse().map_err(|_| not_there(saga::not_found(id)))?;
    let answer = ask_owner(sources, partition, &Request { uri, headers: request.headers.clone() }).map_err(elsewhere)?;
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap_or_default();
    match answer.code {
        200 => Ok(Row::of(&body)),
        404 => Err(not_there(body["detail"].as_str().unwrap_or_default().to_owned())),
        code => Err(elsewhere(format!("it answers {code}: {}", body["detail"].as_str().unwrap_or("no reason given")))),
    }
}
