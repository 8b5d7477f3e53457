//! A range of an input topic is read again over HTTP, a page at a time: what each record is, and what is missing brought to the partitions, if
//! it was counted before. Nothing is kept between two requests.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use ringmaster_core::partition::row_hash;
use ringmaster_schemas::Millis;
use ringmaster_schemas::names::Topics;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Sources;
use super::everyone::Request;
use super::openapi::Problems;
use super::problem::{Problem, Refusal};
use super::quarantine::{READ_MAX, broker, unread};
use super::redrive::{Confirmed, half_done, patience, time, too_many};
use super::sagas::has_begun;
use super::who::Principal;
use crate::blocking::Read;
use crate::redrive::{Hand, ON_THEIR_WAY_BYTES_MAX, Place, Told};
use crate::replay::{Counts, InQuarantine, Kind, Missing, Range, Survey, Visited};

/// Records of a page.
const LOOKED_AT_MAX: usize = 2_000;
/// Of these, so many are missing.
const MISSING_MAX: usize = 200;
/// A page ends after so long: asking others takes time.
const LOOKING_MAX: Duration = Duration::from_secs(5);

/// Which records, and what for.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayBody {
    /// The topic, such as orders.
    pub topic: String,
    /// From this time on, by the records' own times, RFC 3339.
    pub from: String,
    /// Up to this time, exclusive, RFC 3339.
    pub to: String,
    /// `next_cursor` of the page before, with the same topic and times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The page ends where so many are missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 200, default = 200)]
    pub limit: Option<usize>,
    /// Also starts that are older than finished sagas are remembered: one that has run and is forgotten would run once more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub accept_old: bool,
    /// Do it, if so many are missing in this page. Without it nothing is done, and it is said what would be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<usize>,
    /// Why, for those who look at it later: where it is done, it is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 1024)]
    pub why: Option<String>,
    /// Who, where nobody is asked for a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// What a page of a range holds, and what was done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReplayAnswer {
    /// What its records were before anything was done.
    pub counts: Counts,
    /// Where those lie that were missing, the oldest first: `partition/offset` of the topic.
    pub missing: Vec<String>,
    /// What became of each that was brought.
    pub results: Vec<Told>,
    /// Where the next page begins; null: that was all of the range.
    pub next_cursor: Option<String>,
}

/// Says of a page of a range what each record is, and brings what is missing to the partitions, if that is as many as are expected; without
/// `expected` nothing is done. What is brought twice does nothing twice.
#[utoipa::path(
    post, path = "/api/v1/replays", tag = "quarantine", request_body = ReplayBody,
    responses((status = 200, body = ReplayAnswer), Problems)
)]
pub(super) async fn replay(
    State(sources): State<Arc<Sources>>,
    Extension(principal): Extension<Principal>,
    request: Request,
    body: Result<Json<ReplayBody>, JsonRejection>,
) -> Response {
    let read = body.map_err(|rejection| Problem::of(rejection.status()).because(rejection.body_text()));
    let done = read.and_then(|Json(body)| Work::of(&principal, body)?.run(&sources, &request));
    done.map_or_else(IntoResponse::into_response, |done| Json(done).into_response())
}

/// What is to be done, checked.
struct Work {
    topic: String,
    from: Millis,
    to: Millis,
    begin: Place,
    limit: usize,
    accept_old: bool,
    /// None: nothing is done.
    hand: Option<Confirmed>,
}

impl Work {
    fn of(principal: &Principal, body: ReplayBody) -> Result<Work, Refusal> {
        let ReplayBody { topic, from, to, cursor, limit, accept_old, expected, why, by } = body;
        let wrong = |why: &str| Problem::BadRequest.because(why);
        let limit = limit.unwrap_or(MISSING_MAX);
        if !(1..=MISSING_MAX).contains(&limit) {
            return Err(wrong(&format!("`limit` is from 1 to {MISSING_MAX}")));
        }
        let hand = Confirmed::of(principal, by.as_deref(), (expected, why))?;
        let (Some(from), Some(to)) = (time(Some(&from))?, time(Some(&to))?) else { return Err(wrong("`from` and `to` are times")) };
        if from >= to {
            return Err(wrong("`from` is before `to`"));
        }
        let mut work = Work { topic, from, to, begin: (0, 0), limit, accept_old, hand };
        if let Some(cursor) = cursor {
            let other = || Problem::BadCursor.because("the cursor is none of this topic, `from` and `to`: begin without one");
            work.begin = work.place_of(&cursor).ok_or_else(other)?;
        }
        Ok(work)
    }

    /// By this a cursor of this range is known.
    fn mark(&self) -> u128 {
        row_hash(&self.topic, format!("{}.{}", self.from, self.to).as_bytes())
    }

    fn cursor_of(&self, (partition, offset): Place) -> String {
        format!("{:032x}.{partition}.{offset}", self.mark())
    }

    fn place_of(&self, cursor: &str) -> Option<Place> {
        let (mark, place) = cursor.split_once('.')?;
        let (partition, offset) = place.split_once('.')?;
        let place: Place = (partition.parse().ok()?, offset.parse().ok()?);
        (*mark == format!("{:032x}", self.mark()) && place.0 >= 0 && place.1 >= 0).then_some(place)
    }

    fn run(self, sources: &Sources, request: &Request) -> Result<ReplayAnswer, Refusal> {
        let since = Instant::now();
        let Page { counts, missing, next } = self.page(sources, request, since)?;
        let mut answer = ReplayAnswer {
            counts,
            missing: missing.iter().map(|Missing { partition, offset, .. }| format!("{partition}/{offset}")).collect(),
            results: Vec::new(),
            next_cursor: next.map(|next| self.cursor_of(next)),
        };
        let Some(confirmed) = &self.hand else { return Ok(answer) };
        confirmed.is_about(missing.len())?;
        let Confirmed { by, why, .. } = confirmed;
        let brought = broker(sources)?.replay(Hand { by, why }, &self.topic, &missing, (self.accept_old, patience(since)));
        answer.results = brought.map_err(|error| half_done(&error))?;
        tracing::info!(by, why, topic = self.topic, count = answer.results.len(), "replayed what was missing, over HTTP");
        Ok(answer)
    }

    /// What the page holds.
    fn page(&self, sources: &Sources, request: &Request, since: Instant) -> Result<Page, Refusal> {
        let knowledge = sources.knowledge.get();
        let typing = sources.editing.typing(&self.topic, &knowledge.catalog);
        let quarantined = self.quarantined(sources)?;
        let mut survey = Survey::new((&self.topic, typing), &knowledge, quarantined.places(), self.accept_old);
        let (mut counts, mut missing, mut bytes, mut trouble) = (Counts::default(), Vec::new(), 0, None);
        let mut wants = |read: &Read| {
            let is_first = counts == Counts::default();
            let is_over = counts.all() == LOOKED_AT_MAX || missing.len() == self.limit || since.elapsed() > LOOKING_MAX;
            if is_over && !is_first {
                return false;
            }
            let kind = match survey.kind(read, &mut |id| has_begun(sources, request, id)) {
                Ok(kind) => kind,
                Err(refusal) => {
                    trouble = Some(refusal);
                    return false;
                }
            };
            if kind == Kind::Missing {
                let one = Missing::of(read);
                bytes += one.bytes.saturating_mul(sources.partitions.max(1) as usize);
                // It goes with the next page: all of one are on their way at once.
                if bytes > ON_THEIR_WAY_BYTES_MAX && !missing.is_empty() {
                    return false;
                }
                missing.push(one);
            }
            counts.count(kind);
            true
        };
        let range = Range { topic: &self.topic, from: self.from, to: self.to, begin: self.begin };
        let visited = broker(sources)?.visit_range(range, &mut wants).map_err(|error| unread(&error))?;
        trouble.map_or(Ok(()), Err)?;
        missing.sort_unstable();
        let next = match visited {
            Visited::NoTopic => return Err(Problem::NotFound.because(format!("there is no topic {}", self.topic))),
            Visited::All => None,
            Visited::UpTo(place) => Some(place),
        };
        Ok(Page { counts, missing, next })
    }

    /// What of this topic lies in quarantine.
    fn quarantined(&self, sources: &Sources) -> Result<InQuarantine<'_>, Refusal> {
        let topic = Topics::new(&sources.editing.deploying.prefix).quarantine;
        let mut quarantined = InQuarantine::of(&self.topic);
        let complete = broker(sources)?.visit_newest(&topic, READ_MAX, &mut |read| {
            // What cannot be decoded is of no topic, here as in the list.
            let _ = quarantined.take((read.partition, read.offset), read.value.as_deref().unwrap_or_default());
        });
        match complete.map_err(|error| unread(&error))? {
            true => Ok(quarantined),
            false => Err(too_many("`ringmaster replay input` does at Kafka")),
        }
    }
}

/// What a page holds.
struct Page {
    counts: Counts,
    /// The oldest first.
    missing: Vec<Missing>,
    /// Where the next one begins.
    next: Option<Place>,
}
