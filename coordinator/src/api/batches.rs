//! Acts on many sagas, over HTTP: a batch is selected and shown, and then started, paused, resumed or stopped. Any instance answers, since each
//! knows all batches; what is asked for becomes a record of their topic, and its place there decides what it means.

mod select;
mod shown;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Sources;
use super::acts::{Act, by_whom};
use super::allowed::Role;
use super::everyone::Request;
use super::filter::{Filter, quoted};
use super::openapi::Problems;
use super::problem::{Problem, Refusal};
use super::who::Principal;
use crate::batches::{Batch, Order, Ordered, RATE_MAX, RATE_USUAL, Record, Unposted, What, Written};
use crate::runtime::wall;
pub use shown::{BatchOrder, BatchPage, BatchProgress, BatchSagas, BatchShare, BatchShown};

/// Its own record is waited for so long: a request has 10 s, of which selecting may take some.
const PATIENCE: Duration = Duration::from_secs(3);
/// What another instance has written is waited for so long: instances read their topic several times a second.
const SOON: Duration = Duration::from_secs(1);
/// A result that is the same for many is no larger than this, in bytes: it stands in the record of each act.
const VALUE_BYTES_MAX: usize = 10_000;

/// Which sagas are to be acted on, and how.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchBody {
    /// What is done to each: any act on a saga but start.
    pub act: Act,
    /// Which sagas, as for a list: terms such as `status:stuck definition:order-fulfilment`. Nothing means all, and is refused.
    #[schema(min_length = 1)]
    pub filter: String,
    /// Why, for those who look at it later: it is journaled with each act.
    #[schema(min_length = 1, max_length = 1024)]
    pub why: String,
    /// The step that is meant; then only sagas that wait there are selected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// With `step`: those that wait at its undo.
    #[serde(default)]
    pub undo: bool,
    /// To resolve: how all of them ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<super::ActEnd>,
    /// To resolve as refused: by which code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// To skip, or to resolve as succeeded: the step's result. Any JSON, of at most 10,000 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    pub value: Option<Box<serde_json::value::RawValue>>,
    /// Select also where partitions cannot be asked: those that they have are left out.
    #[serde(default)]
    pub allow_missing: bool,
    /// Who selects, where nobody is asked for a token; with one the token says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// How a batch is started.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchStart {
    /// As many sagas as the batch has (`matched`): nothing is done where it has another number.
    pub expected: usize,
    /// Acts a second, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 5000, default = 50)]
    pub rate: Option<u32>,
    /// Who starts it, where nobody is asked for a token; the acts are journaled by this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// Who pauses, resumes or stops a batch.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchWish {
    /// Who, where nobody is asked for a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

impl BatchBody {
    fn what(&self) -> What {
        What {
            act: self.act,
            step: self.step.clone(),
            undo: self.undo,
            outcome: self.outcome,
            code: self.code.clone(),
            value: self.value.clone(),
        }
    }

    /// The filter, with its step: which of the places where a saga waits is meant.
    fn filter_with_step(&self) -> Result<String, Refusal> {
        let text = self.filter.clone();
        // What is wrong with it is told where it is asked.
        let (Some(step), Ok(filter)) = (&self.step, Filter::parse(&text)) else { return Ok(text) };
        match filter.leaf.steps.iter().next() {
            None => Ok(format!("{text} step:{}", quoted(step))),
            Some(_) if filter.leaf.steps.iter().eq([step]) => Ok(text),
            Some(_) => Err(Problem::BadRequest.because("`filter` has a term step: beside `step`: say it once")),
        }
    }

    /// What is wrong with it, for people. What is said of all of them must be what the act says, so that what is shown is what is done.
    fn check(&self) -> Result<(), &'static str> {
        if matches!(self.act, Act::Start | Act::ParticipantPause | Act::ParticipantResume) {
            return Err("a batch acts on sagas that are there: cancel, retry, skip, resolve, approve, refuse, pause or resume");
        }
        if self.filter.trim().is_empty() {
            return Err("`filter` says which sagas are meant: nothing would mean all of them");
        }
        if self.undo && self.step.is_none() {
            return Err("`undo` is said of a `step`");
        }
        if matches!(self.act, Act::Resolve) && (self.step.is_none() || self.outcome.is_none()) {
            return Err("to resolve many says `step` and `outcome`: what is said of all of them is of one step");
        }
        if self.value.as_ref().is_some_and(|value| value.get().len() > VALUE_BYTES_MAX) {
            return Err("`value` has at most 10,000 bytes where it is said of many");
        }
        self.what().on("a/b", Some(0), &self.why).check()
    }
}

fn refused(unposted: Unposted) -> Refusal {
    match unposted {
        Unposted::Void(why) => Problem::Rejected.because(why),
        Unposted::Unknown(why) => Problem::NotNow.because(why),
    }
}

fn answer<T: Serialize>(result: Result<T, Refusal>) -> Response {
    match result {
        Ok(answer) => Json(answer).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

fn read<T>(body: Result<Json<T>, JsonRejection>) -> Result<T, Refusal> {
    body.map(|Json(body)| body).map_err(|rejection| Problem::of(rejection.status()).because(rejection.body_text()))
}

/// A batch as it is known by now.
fn find(sources: &Sources, id: &str) -> Result<BatchShown, Refusal> {
    let shown = sources.batches.look(|book| book.batch(id).map(|batch| BatchShown::whole(batch, wall())));
    let shown = shown.map_err(|why| Problem::NotNow.because(why))?;
    shown.ok_or_else(|| no_batch(id))
}

fn no_batch(id: &str) -> Refusal {
    Problem::NotFound.because(format!("no batch '{id}': it never was, or was forgotten 30 days after it was made"))
}

/// Selects the sagas that a filter means, each with its last turn, and shows them. Nothing is done to them.
#[utoipa::path(
    post, path = "/api/v1/batches", tag = "batches", request_body = BatchBody,
    responses((status = 200, description = "Selected", body = BatchShown), Problems)
)]
pub(super) async fn preview(
    State(sources): State<Arc<Sources>>,
    Extension(principal): Extension<Principal>,
    request: Request,
    body: Result<Json<BatchBody>, JsonRejection>,
) -> Response {
    answer(read(body).and_then(|body| {
        body.check().map_err(|why| Problem::BadRequest.because(why))?;
        may_approve(&principal, body.act)?;
        let by = by_whom(&principal, body.by.as_deref())?;
        let id = select::select(&sources, &request, &body, by)?;
        find(&sources, &id)
    }))
}

/// Which role a saga asks for is its own, and would have to be looked up for each.
fn may_approve(principal: &Principal, act: Act) -> Result<(), Refusal> {
    match matches!(act, Act::Approve | Act::Refuse) && !principal.roles.contains(&Role::Admin) {
        true => Err(Problem::Forbidden.because("to answer many approvals at once takes the role admin")),
        false => Ok(()),
    }
}

/// All batches of the last 30 days, the newest first, and how far each is.
#[utoipa::path(get, path = "/api/v1/batches", tag = "batches", responses((status = 200, body = BatchPage), Problems))]
pub(super) async fn list(State(sources): State<Arc<Sources>>) -> Response {
    let now = wall();
    let all = sources.batches.look(|book| book.all().map(|batch| BatchShown::brief(batch, now)).collect());
    answer(all.map(|items| BatchPage { items }).map_err(|why| Problem::NotNow.because(why)))
}

/// A batch: what it is, who wanted what with it, and how far it is.
#[utoipa::path(
    get, path = "/api/v1/batches/{id}", tag = "batches",
    params(("id" = String, Path, description = "Its id, such as b-0123456789ab")),
    responses((status = 200, body = BatchShown), Problems)
)]
pub(super) async fn show(State(sources): State<Arc<Sources>>, Path(id): Path<String>) -> Response {
    answer(find(&sources, &id))
}

/// All sagas of a batch, as long as it is not over.
#[utoipa::path(
    get, path = "/api/v1/batches/{id}/sagas", tag = "batches",
    params(("id" = String, Path, description = "Its id, such as b-0123456789ab")),
    responses((status = 200, body = BatchSagas), Problems)
)]
pub(super) async fn sagas(State(sources): State<Arc<Sources>>, Path(id): Path<String>) -> Response {
    let all = |batch: &Batch| BatchSagas { sagas: batch.all_sagas().map(str::to_owned).collect() };
    let found = sources.batches.look(|book| book.batch(&id).map(all)).map_err(|why| Problem::NotNow.because(why));
    answer(found.and_then(|found| found.ok_or_else(|| no_batch(&id))))
}

/// Writes an order, and shows the batch as it is then.
fn order(sources: &Sources, principal: &Principal, id: &str, (by, order): (Option<&str>, Order)) -> Result<BatchShown, Refusal> {
    let by = by_whom(principal, by)?;
    // It may have been selected by another instance just now.
    let act = sources.batches.look_soon(id, SOON, |batch| batch.made.what.act).map_err(|why| Problem::NotNow.because(why))?;
    may_approve(principal, act.ok_or_else(|| no_batch(id))?)?;
    let says = Record::Ordered(Ordered { batch: id.to_owned(), by, order });
    sources.batches.post(&[Written::new(wall(), says)], PATIENCE).map_err(refused)?;
    find(sources, id)
}

/// Begins to act on the sagas of a batch, if it has as many as are expected.
#[utoipa::path(
    post, path = "/api/v1/batches/{id}/start", tag = "batches", request_body = BatchStart,
    params(("id" = String, Path, description = "Its id, such as b-0123456789ab")),
    responses((status = 200, description = "It runs", body = BatchShown), Problems)
)]
pub(super) async fn start(
    State(sources): State<Arc<Sources>>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<String>,
    body: Result<Json<BatchStart>, JsonRejection>,
) -> Response {
    answer(read(body).and_then(|BatchStart { expected, rate, by }| {
        let rate = rate.unwrap_or(RATE_USUAL);
        if !(1..=RATE_MAX).contains(&rate) {
            return Err(Problem::BadRequest.because(format!("`rate` is from 1 to {RATE_MAX}")));
        }
        order(&sources, &principal, &id, (by.as_deref(), Order::Start { expected, rate }))
    }))
}

/// What is wanted of a batch that was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Wish {
    /// Nothing more is begun until it is resumed, and what is on its way (at most a second's worth) is carried out.
    Pause,
    /// It goes on.
    Resume,
    /// Nothing more is begun for good, and what is on its way (at most a second's worth) is carried out.
    Stop,
}

/// Pauses a batch, goes on with it, or stops it for good. What is on its way then (at most a second's worth) is carried out.
#[utoipa::path(
    post, path = "/api/v1/batches/{id}/{wish}", tag = "batches", request_body = BatchWish,
    params(
        ("id" = String, Path, description = "Its id, such as b-0123456789ab"),
        ("wish" = inline(Wish), Path, description = "What is wanted of it")
    ),
    responses((status = 200, description = "It stands so", body = BatchShown), Problems)
)]
pub(super) async fn wish(
    State(sources): State<Arc<Sources>>,
    Extension(principal): Extension<Principal>,
    Path((id, wish)): Path<(String, Wish)>,
    body: Result<Json<BatchWish>, JsonRejection>,
) -> Response {
    let wanted = match wish {
        Wish::Pause => Order::Pause,
        Wish::Resume => Order::Resume,
        Wish::Stop => Order::Stop,
    };
    answer(read(body).and_then(|BatchWish { by }| order(&sources, &principal, &id, (by.as_deref(), wanted))))
}
