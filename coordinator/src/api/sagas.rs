//! Sagas, by a filter or by an id: what is asked, and who is asked for it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ringmaster_schemas::names::percent_encode;
use ringmaster_schemas::state::{RowKey, Saga, Status};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::client::Answer;
use super::everyone::{Request, Scope, ask_others, ask_owner};
use super::fresh::AtLeast;
use super::list::{self, Asked, Bounds, LIMIT_MAX, Question, Refused, SELECT_MAX, SagaPage};
use super::openapi::Problems;
use super::problem::{NOTHING_HERE, Problem, RETRY_AFTER, Refusal};
use super::row::{SagaRow, SagaWhy};
use super::{Sources, overview, saga, why as reasons};
use crate::runtime::{NOT_CLAIMED, PartitionStatus, wall};

/// Which of what is found comes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Order {
    /// As the index has it: what is stuck or paused, the longest first; what is parked, as it goes out; what has a key or a
    /// value, by id; all else by when it began.
    #[default]
    Oldest,
    /// The other way round.
    Newest,
}

/// Which sagas are asked for.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Which sagas are meant: terms such as `status:stuck definition:order-fulfilment since:>2h`, with spaces between them. Nothing means all.
    filter: String,
    /// Sagas of a page.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<usize>,
    /// Which comes first.
    #[param(inline)]
    order: Order,
    /// `next_cursor` of the page before, with the same filter and order.
    #[param(min_length = 1)]
    cursor: Option<String>,
    /// Says by which index it was found, and what that took.
    explain: bool,
    /// Of this instance alone, and of these partitions, such as `0,3`: so instances ask each other.
    #[param(min_length = 1)]
    partitions: Option<String>,
}

/// Which saga is asked for.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct IdQuery {
    /// The id of a saga, or of an item or sub-saga. It has percent signs and slashes of its own: as a value of a query it is encoded once more.
    #[param(example = "order-fulfilment/ord-17", min_length = 3)]
    id: String,
    /// Not before this is stored: a partition and an offset of its journal, as an act answers them. It is waited for up to two seconds.
    #[param(example = "3:1234", pattern = "^[0-9]+:[0-9]+$")]
    at_least: Option<String>,
    /// Of this instance alone: so instances ask each other.
    #[param(min_length = 1)]
    partitions: Option<String>,
}

impl IdQuery {
    pub(super) fn of(id: &str) -> IdQuery {
        IdQuery { id: id.to_owned(), at_least: None, partitions: None }
    }
}

/// A page of the sagas that a filter means.
#[utoipa::path(get, path = "/api/v1/sagas", tag = "sagas", params(ListQuery), responses((status = 200, body = SagaPage), Problems))]
pub(super) async fn sagas(State(sources): State<Arc<Sources>>, request: Request, Query(query): Query<ListQuery>) -> Response {
    let ListQuery { filter, limit, order, cursor, explain, partitions } = query;
    // Another instance may be selecting.
    let most = if partitions.is_some() { SELECT_MAX } else { LIMIT_MAX };
    if limit.is_some_and(|limit| !(1..=most).contains(&limit)) {
        return Problem::BadRequest.because(format!("limit is from 1 to {most}")).into_response();
    }
    let asked = Asked { filter, limit, is_backward: order == Order::Newest, cursor, is_explained: explain };
    match page(&sources, &request, (asked, partitions.as_deref())) {
        Ok(page) => Json(page).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

/// A page of what is asked for, of all instances; `request` is how others are asked for it.
pub(super) fn page(sources: &Sources, request: &Request, (asked, only): (Asked, Option<&str>)) -> Result<SagaPage, Refusal> {
    let known = sources.knowledge.get();
    let question = Question::of(asked, &known.catalog).map_err(refusal)?;
    let scope = Scope::of(sources, only).map_err(|why| Problem::BadRequest.because(why))?;
    let mut page = here(sources, &scope, &question).map_err(|why| Problem::Failed.because(why))?;
    let others = ask_others::<SagaPage>(sources, &scope, request);
    page.missing.extend(others.missing);
    if !scope.is_asked_by_another {
        page = SagaPage::joined(others.answers.into_iter().chain([page]).collect(), &question);
    }
    Ok(page)
}

fn refusal(refused: Refused) -> Refusal {
    match refused {
        Refused::Filter(wrong) => {
            let detail = format!("the filter, at character {}: {}; {}", wrong.column, wrong.message, wrong.hint);
            let error = json!({ "column": wrong.column, "message": wrong.message, "hint": wrong.hint });
            Problem::BadFilter.because(detail).with("errors", json!([error]))
        }
        Refused::Cursor => {
            let detail = "the cursor is none of this filter and order: begin without one".to_owned();
            Problem::BadCursor.because(detail)
        }
        Refused::Nothing(why) => Problem::NotFound.because(why),
    }
}

/// The page of what is here.
fn here(sources: &Sources, scope: &Scope, question: &Question) -> Result<SagaPage, String> {
    let now = wall();
    let overview::Readable { partitions, as_of, missing } =
        overview::readable(&*sources.store, &sources.status.partitions(), &scope.here, now)?;
    let page = list::page(&*sources.store, &sources.knowledge.get().catalog, &partitions, (question, Bounds::USUAL), now)?;
    Ok(SagaPage { as_of, missing, ..page })
}

/// A saga by its id: its whole row, without bodies.
#[utoipa::path(get, path = "/api/v1/saga", tag = "sagas", params(IdQuery), responses((status = 200, body = SagaRow), Problems))]
pub(super) async fn saga(State(sources): State<Arc<Sources>>, request: Request, Query(query): Query<IdQuery>) -> Response {
    found(&sources, &request, &query, |found| Json(found).into_response())
}

/// What a saga waits for: of what is known of it, what says that.
#[utoipa::path(get, path = "/api/v1/saga/why", tag = "sagas", params(IdQuery), responses((status = 200, body = SagaWhy), Problems))]
pub(super) async fn why(State(sources): State<Arc<Sources>>, request: Request, Query(query): Query<IdQuery>) -> Response {
    found(&sources, &request, &query, |mut found| {
        let leaves = found.why.as_mut().map_or(&mut [][..], |leaves| leaves);
        match reasons::with_evidence(&sources, found.partition, &found.saga, leaves) {
            Ok(()) => Json(SagaWhy::from(found)).into_response(),
            Err(why) => Problem::Failed.because(why).into_response(),
        }
    })
}

/// What is known of a saga, of this instance, or what that which has it answers to the same question.
pub(super) fn found(sources: &Sources, request: &Request, query: &IdQuery, shown: impl FnOnce(SagaRow) -> Response) -> Response {
    let id = &*query.id;
    let Some(partition) = saga::partition_of(id, sources.partitions) else {
        let why = format!("'{id}' is not a saga id such as order-fulfilment/ord-17");
        return Problem::BadRequest.because(why).into_response();
    };
    let at_least = match query.at_least.as_deref().map(|text| AtLeast::of(text, partition)).transpose() {
        Ok(at_least) => at_least,
        Err(refusal) => return refusal.into_response(),
    };
    if !sources.hosted().contains(&partition) {
        return elsewhere(sources, request, query, partition);
    }
    if let Some(Err(behind)) = at_least.map(|at_least| at_least.is_stored(sources)) {
        return behind.into_response();
    }
    match saga::look_up(&*sources.store, &sources.knowledge.get(), partition, id) {
        Ok(Some(found)) => shown(found),
        Ok(None) => not_there(sources, id, partition).into_response(),
        Err(why) => Problem::Failed.because(why).into_response(),
    }
}

/// The approvals that a saga waits for, at this step or at any: their steps, and the roles of those who may answer.
pub(super) fn approvals(
    sources: &Sources,
    request: &Request,
    id: &str,
    step: Option<&str>,
) -> Result<Vec<(String, Vec<String>)>, Refusal> {
    let nothing = || Problem::NotFound.because(saga::not_found(id));
    let partition = saga::partition_of(id, sources.partitions).ok_or_else(nothing)?;
    let found = if sources.hosted().contains(&partition) {
        let found = saga::look_up(&*sources.store, &sources.knowledge.get(), partition, id);
        let found = found.map_err(|why| Problem::Failed.because(why))?.ok_or_else(|| not_there(sources, id, partition))?;
        serde_json::to_value(found).expect("it is JSON")
    } else {
        told_by_owner(sources, request, (partition, "/api/v1/saga/why?id=", id))?.ok_or_else(nothing)?
    };
    let is_meant = |leaf: &&Value| step.is_none_or(|step| leaf["step"] == step);
    let leaves = found["why"].as_array().into_iter().flatten().filter(is_meant);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let approval = |leaf: &Value| {
        let roles = leaf["roles"].as_array()?.iter().filter_map(text).collect();
        Some((text(&leaf["step"])?, roles))
    };
    Ok(leaves.filter_map(approval).collect())
}

/// What whoever has a saga answers about it; none if there is no such saga.
fn told_by_owner(sources: &Sources, request: &Request, (partition, path, id): (i32, &str, &str)) -> Result<Option<Value>, Refusal> {
    let other = |why: String| Problem::Elsewhere.because(format!("{id} lives in partition {partition}: {why}"));
    let mut path = path.to_owned();
    percent_encode(id, &mut path);
    let uri = path.parse().map_err(|_| other("it cannot be asked for".to_owned()))?;
    let answer = ask_owner(sources, partition, &Request { uri, headers: request.headers.clone() }).map_err(other)?;
    match answer.code {
        200 => serde_json::from_str(&answer.body).map(Some).map_err(|_| other(ANOTHER_VERSION.to_owned())),
        _ if is_of_another_version(&answer) => Err(other(ANOTHER_VERSION.to_owned())),
        404 => Ok(None),
        code => Err(other(format!("the instance that has it answers {code}"))),
    }
}

/// Whether there is a saga that has begun, as of the last checkpoint of whoever has it; a problem, where that cannot be told now.
pub(super) fn has_begun(sources: &Sources, request: &Request, id: &str) -> Result<bool, Refusal> {
    let failed = |why: String| Problem::Failed.because(format!("{id}: {why}"));
    let partition = saga::partition_of(id, sources.partitions).ok_or_else(|| failed("it is no id of a saga".to_owned()))?;
    if !sources.hosted().contains(&partition) {
        let told = told_by_owner(sources, request, (partition, "/api/v1/saga?id=", id))?;
        return Ok(told.is_some_and(|told| told["status"] != Status::Expected.as_str()));
    }
    let statuses = sources.status.partitions();
    let status = statuses.iter().find(|status| status.partition == partition);
    if let Some(missing) = status.map_or(Some(NOT_CLAIMED), PartitionStatus::missing_to_own) {
        return Err(not_known_yet(id, partition, missing));
    }
    let row = sources.store.row(partition, &RowKey::saga(id)).map_err(|error| failed(error.to_string()))?;
    let saga = row.map(|bytes| Saga::decode(&id.into(), &bytes)).transpose().map_err(|error| failed(error.to_string()))?;
    Ok(saga.is_some_and(|saga| saga.began()))
}

fn not_known_yet(id: &str, partition: i32, missing: &str) -> Refusal {
    Problem::NotNow.because(format!("whether there is {id} is not known yet; of its partition {partition}: {missing}"))
}

/// It does not exist, or that is not known yet.
fn not_there(sources: &Sources, id: &str, partition: i32) -> Refusal {
    let statuses = sources.status.partitions();
    let status = statuses.iter().find(|status| status.partition == partition);
    match status.map_or(Some(NOT_CLAIMED), PartitionStatus::missing_to_own) {
        Some(missing) if sources.status.share().is_some() => not_known_yet(id, partition, missing),
        _ => Problem::NotFound.because(saga::not_found(id)),
    }
}

/// Of a saga that another instance has: what that one answers.
fn elsewhere(sources: &Sources, request: &Request, query: &IdQuery, partition: i32) -> Response {
    let refused = |why: String| {
        let detail = format!("{} lives in partition {partition}: {why}", query.id);
        Problem::Elsewhere.because(detail).into_response()
    };
    if query.partitions.is_some() {
        return refused("this instance does not have it (any more)".to_owned());
    }
    match ask_owner(sources, partition, request) {
        Ok(answer) if answer.code == 503 && says(&answer, Problem::Behind) => {
            Problem::Behind.because("the instance that has it is not as far").into_response()
        }
        Ok(answer) if is_of_another_version(&answer) => refused(ANOTHER_VERSION.to_owned()),
        Ok(answer) => {
            let code = StatusCode::from_u16(answer.code).unwrap_or(StatusCode::BAD_GATEWAY);
            let kind = if code.is_success() { "application/json" } else { super::problem::CONTENT_TYPE };
            let mut passed = (code, [(header::CONTENT_TYPE, kind)], answer.body).into_response();
            // As it said itself: of what may be asked again, none of our answers says another time.
            if matches!(answer.code, 421 | 429 | 503) {
                passed.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
            }
            passed
        }
        Err(why) => refused(why),
    }
}

/// What is said of an instance whose answers are of another build.
const ANOTHER_VERSION: &str = "the instance that has it is of another version of Ringmaster, which does not know the question";

/// Whether another instance does not know a question that is right here: it does not have the path, or not all of its parameters.
fn is_of_another_version(answer: &Answer) -> bool {
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    match answer.code {
        400 | 405 => true,
        404 => body["detail"] == NOTHING_HERE,
        _ => false,
    }
}

/// Whether another instance answers with this problem.
fn says(answer: &Answer, problem: Problem) -> bool {
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    body["type"] == format!("/problems/{}", problem.said().name)
}
