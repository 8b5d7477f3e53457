//! What people do, over HTTP: an act becomes a record of the control topic, and the turn that took it, in the journal, is the answer.
//!
//! ```text
//! who may? -> record (by whoever the token says) -> control topic -> partition decides, journals -> its turn is read -> done, or a problem
//! ```
//!
//! Nothing is done here. An answer that is lost on its way loses nothing: the act is in the topic.

mod check;
mod records;
mod remembered;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use clap::ValueEnum;
use ringmaster_bus::{Bus, BusError};
use ringmaster_schemas::journal::RejectionReason;
use ringmaster_schemas::names::Topics;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use super::allowed::{May, Role};
use super::clients::Clients;
use super::everyone::Request;
use super::openapi::Problems;
use super::problem::{Problem, Refusal};
use super::who::Principal;
use super::{Sources, sagas};
use crate::control::{self, Addressed, Answered, Unheard};
pub use remembered::Remembered;

/// An answer is waited for so long: a request has 10 s.
const PATIENCE: Duration = Duration::from_secs(8);
/// A key is at most so long, and so is what a person says, in bytes.
const KEY_BYTES_MAX: usize = 200;
const TEXT_BYTES_MAX: usize = 1_024;
/// By this header the same act is known when it comes again.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Brings records to the partitions, and waits for their answers.
pub trait Hand: Send + Sync {
    /// The answers by the records' places; none of a record that nobody took in time.
    fn bring(&self, records: Vec<Addressed>, patience: Duration) -> Result<BTreeMap<usize, Answered>, Unheard>;
}

/// A hand that has clients of a bus.
pub struct BusHand<B> {
    topics: Topics,
    clients: Clients<B>,
}

impl<B: Bus + Send> BusHand<B> {
    /// With clients that are made so, as they are needed.
    pub fn new(topics: Topics, make: impl Fn() -> Result<B, BusError> + Send + Sync + 'static) -> Self {
        BusHand { topics, clients: Clients::new(make) }
    }
}

impl<B: Bus + Send> Hand for BusHand<B> {
    fn bring(&self, records: Vec<Addressed>, patience: Duration) -> Result<BTreeMap<usize, Answered>, Unheard> {
        let none = |error: BusError| Unheard { why: error.to_string(), may_be_sent: false };
        let mut client = self.clients.take().map_err(none)?;
        let answers = control::bring(&mut client, &self.topics, records, patience)?;
        self.clients.give_back(client);
        Ok(answers)
    }
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Undo the saga.
    Cancel,
    /// Ask again what is stuck.
    Retry,
    /// Go on as if the step that is stuck had nothing to do, with this `value`.
    Skip,
    /// Say how what is stuck ended: `outcome`, and `value` or `code`.
    Resolve,
    /// Say yes where an approval is waited for.
    Approve,
    /// Say no there.
    Refuse,
    /// Let nothing of the saga go forward.
    Pause,
    /// Let it go on.
    Resume,
    /// Begin a saga that is not there, by the event in `value`.
    Start,
    /// Ask a participant nothing more.
    #[value(skip)]
    ParticipantPause,
    /// Ask it again.
    #[value(skip)]
    ParticipantResume,
}

/// An act, as it is asked for.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ActBody {
    /// What is done.
    pub act: Act,
    /// To which saga: its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saga: Option<String>,
    /// To which participant, where the act is one of those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub participant: Option<String>,
    /// The step that is meant, where several are stuck or wait; with `~` and its round behind the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Why, for those who look at it later. Nothing is done without.
    #[schema(min_length = 1, max_length = 1024)]
    pub why: String,
    /// Who acts, where nobody is asked for a token; with one the token says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The journal offset of the saga's last turn as it was seen: if it has moved on since, nothing is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_turn: Option<i64>,
    /// To resolve: succeeded or refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<ActEnd>,
    /// To resolve as refused: by which code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// To skip or resolve: the step's result. To start: the event. Any JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    pub value: Option<Box<RawValue>>,
}

/// How a step ended, as a person says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum ActEnd {
    /// It was done.
    Succeeded,
    /// It was not, by a rule.
    Refused,
}

/// What became of an act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ActAnswer {
    /// What tells it from all others, in the journal too.
    pub act_id: String,
    /// done; rejected; or open: nobody took it in time, and it will be taken.
    pub outcome: String,
    /// In words.
    pub detail: String,
    /// In which partitions, and what became of it there. An act on a participant goes to all of them.
    pub places: Vec<ActPlace>,
}

/// What became of an act in a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ActPlace {
    /// Which.
    pub partition: i32,
    /// The offset in its journal of what it became; null while it is open.
    pub offset: Option<i64>,
    /// done, rejected or open.
    pub outcome: String,
    /// Why it was rejected.
    pub reason: Option<String>,
    /// The same in words; of what was done, what came of it.
    pub detail: String,
}

/// Does something to a saga or a participant.
#[utoipa::path(
    post,
    path = "/api/v1/acts",
    tag = "acts",
    params(("Idempotency-Key" = Option<String>, Header, description = "By the same key the same act is done once", min_length = 1, max_length = 200)),
    request_body = ActBody,
    responses(
        (status = 200, description = "Done", body = ActAnswer),
        (status = 202, description = "Nobody took it yet: it lies in the control topic", body = ActAnswer),
        Problems
    )
)]
pub(super) async fn act(
    State(sources): State<Arc<Sources>>,
    Extension(principal): Extension<Principal>,
    request: Request,
    body: Result<Json<ActBody>, JsonRejection>,
) -> Response {
    let body = match body {
        Ok(Json(body)) => body,
        Err(rejection) => return Problem::of(rejection.status()).because(rejection.body_text()).into_response(),
    };
    let became = done(&sources, &principal, &request, &body);
    let (act, outcome) = (json!(body.act), became.as_ref().map_or("refused", |answer| &answer.outcome));
    sources.metrics.act(act.as_str().unwrap_or_default(), outcome);
    match became {
        Ok(answer) => answered(answer),
        Err(refusal) => refusal.into_response(),
    }
}

fn answered(answer: ActAnswer) -> Response {
    match &*answer.outcome {
        "rejected" => {
            let reason = answer.places.iter().find_map(|place| place.reason.clone()).unwrap_or_default();
            let problem = if reason == RejectionReason::MovedOn.as_str() { Problem::MovedOn } else { Problem::Rejected };
            let (act_id, places) = (json!(answer.act_id), json!(answer.places));
            problem
                .because(answer.detail)
                .with("reason", json!(reason))
                .with("act_id", act_id)
                .with("places", places)
                .into_response()
        }
        "open" => (StatusCode::ACCEPTED, Json(answer)).into_response(),
        _ => Json(answer).into_response(),
    }
}

fn done(sources: &Sources, principal: &Principal, request: &Request, body: &ActBody) -> Result<ActAnswer, Refusal> {
    body.check().map_err(|why| Problem::BadRequest.because(why))?;
    let by = by_whom(principal, body.by.as_deref())?;
    let Some(hand) = &sources.hand else { return Err(Problem::NotNow.because("this instance has no way to bring acts")) };
    let asked = Sha256::digest(serde_json::to_vec(body).unwrap_or_default()).into();
    let bring = || {
        // Not before: what was done by a key is answered alike, also where it could not be done again.
        let step = may(sources, principal, request, body)?;
        bring(&**hand, sources.partitions, &ActBody { step, ..body.clone() }, &by)
    };
    match request.headers.get(IDEMPOTENCY_KEY) {
        None => bring(),
        Some(key) => {
            let key = key.to_str().ok().filter(|key| !key.is_empty() && key.len() <= KEY_BYTES_MAX);
            let wrong = || Problem::BadRequest.because(format!("an Idempotency-Key is text of 1 to {KEY_BYTES_MAX} bytes"));
            let kept = sources.acts.kept((principal.name.clone(), key.ok_or_else(wrong)?.to_owned()), asked)?;
            let mut known = kept.1.lock().unwrap_or_else(PoisonError::into_inner);
            if known.is_none() {
                *known = Some(bring()?);
            }
            known.clone().ok_or_else(|| Problem::Failed.because("an answer was lost in here"))
        }
    }
}

/// Whoever has a token is who it says. Where nobody is asked for one, people may say who they are.
pub(super) fn by_whom(principal: &Principal, said: Option<&str>) -> Result<String, Refusal> {
    match (said, principal.is_known) {
        (None, _) => Ok(principal.name.clone()),
        (Some(by), true) if *by == *principal.name => Ok(by.to_owned()),
        (Some(_), true) => Err(Problem::Forbidden.because(format!("the token says that it is {}: leave `by` out", principal.name))),
        (Some(by), false) if by.trim().is_empty() || by.len() > TEXT_BYTES_MAX => {
            Err(Problem::BadRequest.because("`by` says who acts, in 1 to 1024 bytes"))
        }
        (Some(by), false) => Ok(by.to_owned()),
    }
}

/// Approvals are for those whose answer the saga waits for, all else is for operators. Which step is meant then: an approver's answer is
/// for the step that was looked at, and not for whatever is asked by the time it is taken.
fn may(sources: &Sources, principal: &Principal, request: &Request, body: &ActBody) -> Result<Option<String>, Refusal> {
    if !matches!(body.act, Act::Approve | Act::Refuse) {
        // A participant is asked by sagas of all definitions.
        let definition = body.saga.as_deref().and_then(|id| id.split_once('/')).map(|(definition, _)| definition);
        let is_theirs = definition.is_some_and(|of| principal.roles.iter().any(|role| role.operates(of)));
        return match is_theirs || principal.may(May::Operate) {
            true => Ok(body.step.clone()),
            false => {
                let or = definition.map_or_else(String::new, |of| format!(", or operator:{of}"));
                let detail = format!("{} is not allowed to: it takes the role operator{or}", principal.name);
                Err(Problem::Forbidden.because(detail))
            }
        };
    }
    if principal.roles.contains(&Role::Admin) {
        return Ok(body.step.clone());
    }
    let asked = sagas::approvals(sources, request, body.saga.as_deref().unwrap_or_default(), body.step.as_deref())?;
    let has = |role: &String| principal.roles.contains(&Role::Approver(role.clone()));
    let mut own = asked.iter().filter(|(_, roles)| roles.iter().any(has));
    match (own.next(), own.next()) {
        (Some((step, _)), None) => Ok(Some(step.clone())),
        (Some(_), Some(_)) => Err(Problem::BadRequest.because("several approvals are waited for: say which by `step`")),
        (None, _) if asked.is_empty() => {
            let detail = "nobody's answer is waited for, as of the last checkpoint, at most two seconds ago";
            Err(Problem::Rejected.because(detail).with("reason", json!(RejectionReason::NotAsked.as_str())))
        }
        (None, _) => {
            let roles: Vec<&str> = asked.iter().flat_map(|(_, roles)| roles).map(String::as_str).collect();
            let detail = format!("{} is not allowed to: it takes approver:{}", principal.name, roles.join(" or approver:"));
            Err(Problem::Forbidden.because(detail))
        }
    }
}

fn bring(hand: &dyn Hand, partitions: i32, body: &ActBody, by: &str) -> Result<ActAnswer, Refusal> {
    let id = format!("{:016x}", fastrand::u64(..));
    let records = body.records(&id, partitions, by);
    let places: Vec<i32> = records.iter().map(|record| record.partition).collect();
    let (answers, open) = match hand.bring(records, PATIENCE) {
        Ok(answers) => (answers, OPEN.to_owned()),
        // Said as one that is open, so that by its key it is not sent again.
        Err(Unheard { why, may_be_sent: true }) => {
            let detail =
                format!("whether it is in the control topic is not known: {why}. The saga's history says whether it was done");
            (BTreeMap::new(), detail)
        }
        Err(Unheard { why, .. }) => return Err(Problem::NotNow.because(format!("the broker does not take it: {why}"))),
    };
    let of = |(place, partition): (usize, i32)| place_of(body, (partition, &open), answers.get(&place));
    let places: Vec<ActPlace> = places.into_iter().enumerate().map(of).collect();
    let has = |outcome: &str| places.iter().any(|place| place.outcome == outcome);
    // Done anywhere is done; it is open as long as nothing is known.
    let outcome = ["done", "open", "rejected"].into_iter().find(|outcome| has(outcome)).unwrap_or("open").to_owned();
    let detail = places.iter().find(|place| place.outcome == outcome).map(|place| place.detail.clone()).unwrap_or_default();
    Ok(ActAnswer { act_id: id, outcome, detail, places })
}

/// What is said of what nobody took.
const OPEN: &str = "nobody took it within the time: it lies in the control topic, and is taken when a coordinator reads it";

fn place_of(body: &ActBody, (partition, open): (i32, &str), answer: Option<&Answered>) -> ActPlace {
    let Some(Answered { offset, turn }) = answer else {
        let detail = open.to_owned();
        return ActPlace { partition, offset: None, outcome: "open".to_owned(), reason: None, detail };
    };
    match control::rejection(turn) {
        Some(rejected) => {
            let (reason, detail) = (rejected.reason.as_str().to_owned(), rejected.detail.to_string());
            ActPlace { partition, offset: Some(*offset), outcome: "rejected".to_owned(), reason: Some(reason), detail }
        }
        None => {
            let detail = body.saga.as_ref().map_or_else(|| "done".to_owned(), |id| control::became(id, turn));
            ActPlace { partition, offset: Some(*offset), outcome: "done".to_owned(), reason: None, detail }
        }
    }
}
