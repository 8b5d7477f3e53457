//! What is done with records that lie in quarantine, over HTTP: brought to their sagas again, or discarded; some at a time, and none that was
//! not counted before.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use ringmaster_bus::BusError;
use ringmaster_core::partition::row_hash;
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{QuarantineMark, Quarantined};
use ringmaster_schemas::json::time::parse_timestamp;
use ringmaster_schemas::names::Topics;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::openapi::Problems;
use super::problem::{Problem, Refusal};
use super::quarantine::{QuarantineEntry, READ_MAX, broker, is_reason, unread};
use super::who::Principal;
use super::{Sources, by_whom};
use crate::redrive::{Entry, Hand, Place, Told, named, place_of, why_not};

/// Records that one request brings again, or discards, at most.
const SOME_MAX: usize = 200;
/// Records that are named by their places.
const IDS_MAX: usize = 500;
/// So many are shown where nothing is done.
const SAMPLE_MAX: usize = 10;
/// A request has 10 s: what is left of these is for what becomes of what is brought, and no less than that.
const REQUEST_MAX: Duration = Duration::from_secs(9);
const PATIENCE_MIN: Duration = Duration::from_secs(3);
/// Bytes of `why`.
const WHY_BYTES_MAX: usize = 1_024;

/// Which records, and what for.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuarantineBody {
    /// Their places, `partition/offset`, at most 500; also of those that were redriven or discarded. With it nothing else chooses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 500)]
    pub ids: Vec<String>,
    /// All of this reason, such as UNKNOWN_SCHEMA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// All that came from this topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// All that came into quarantine at this time or later, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// All that came into quarantine before this time, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Do it, if it is about so many (`count`). Without it nothing is done, and it is said what would be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<usize>,
    /// Why, for those who look at it later: where it is done, it is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 1024)]
    pub why: Option<String>,
    /// With this request so many of them at most, the oldest first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 200, default = 200)]
    pub limit: Option<usize>,
    /// To redrive: also starts that are older than finished sagas are remembered; one that has run and is forgotten would run once more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub accept_old: bool,
    /// Who, where nobody is asked for a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// What would be done, or was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuarantineAnswer {
    /// How many it is about.
    pub count: usize,
    /// Of which kinds these are.
    pub by_kind: Vec<QuarantineKind>,
    /// Why others that are meant are left out.
    pub not: Vec<QuarantineNot>,
    /// Where nothing was done: the places of all of them, the oldest first. Whoever goes on by these means no others, such as those that come
    /// back.
    pub ids: Vec<String>,
    /// Where nothing was done: the first of them.
    pub sample: Vec<QuarantineEntry>,
    /// What became of each.
    pub results: Vec<Told>,
    /// How many are left for another request. Of those that were brought some may be in quarantine again, which are more than that.
    pub left: usize,
}

/// How many there are of a kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuarantineKind {
    /// Why they are in quarantine.
    pub reason: String,
    /// Where they came from.
    pub topic: String,
    /// How many.
    pub count: usize,
}

/// How many are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuarantineNot {
    /// Why.
    pub why: String,
    /// How many.
    pub count: usize,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Redrive,
    Discard,
}

/// Which records are meant.
enum Meant {
    These(BTreeSet<Place>),
    Like { reason: Option<String>, topic: Option<String>, since: Option<Millis>, until: Option<Millis> },
}

/// A body that could be read.
type Body = Result<Json<QuarantineBody>, JsonRejection>;

/// Brings records to their sagas after all, if as many are meant as are expected; without `expected` nothing is done. Which are done twice
/// do nothing twice.
#[utoipa::path(
    post, path = "/api/v1/quarantine:redrive", tag = "quarantine", request_body = QuarantineBody,
    responses((status = 200, body = QuarantineAnswer), Problems)
)]
pub(super) async fn redrive(
    State(sources): State<Arc<Sources>>,
    Extension(principal): Extension<Principal>,
    body: Body,
) -> Response {
    answer(&sources, &principal, body, What::Redrive)
}

/// Says of records that they are of no use to anybody, if as many are meant as are expected; without `expected` nothing is done. They stay.
#[utoipa::path(
    post, path = "/api/v1/quarantine:discard", tag = "quarantine", request_body = QuarantineBody,
    responses((status = 200, body = QuarantineAnswer), Problems)
)]
pub(super) async fn discard(
    State(sources): State<Arc<Sources>>,
    Extension(principal): Extension<Principal>,
    body: Body,
) -> Response {
    answer(&sources, &principal, body, What::Discard)
}

fn answer(sources: &Sources, principal: &Principal, body: Body, what: What) -> Response {
    let read = body.map_err(|rejection| Problem::of(rejection.status()).because(rejection.body_text()));
    let done = read.and_then(|Json(body)| Work::of(principal, body, what)?.run(sources));
    done.map_or_else(IntoResponse::into_response, |done| Json(done).into_response())
}

/// What is to be done, checked.
struct Work {
    what: What,
    meant: Meant,
    /// None: nothing is done.
    hand: Option<Confirmed>,
    limit: usize,
    accept_old: bool,
}

/// Who does it, why, and to how many.
pub(super) struct Confirmed {
    pub(super) by: String,
    pub(super) why: String,
    pub(super) expected: usize,
}

impl Confirmed {
    /// As a body says it; none, if nothing is to be done.
    pub(super) fn of(
        principal: &Principal,
        by: Option<&str>,
        (expected, why): (Option<usize>, Option<String>),
    ) -> Result<Option<Confirmed>, Refusal> {
        let by = by_whom(principal, by)?;
        let Some(expected) = expected else { return Ok(None) };
        match why.filter(|why| !why.trim().is_empty() && why.len() <= WHY_BYTES_MAX) {
            Some(why) => Ok(Some(Confirmed { by, why, expected })),
            None => Err(Problem::BadRequest.because("`why` says why, in 1 to 1024 bytes")),
        }
    }

    /// It is done to so many, if as many are expected.
    pub(super) fn is_about(&self, count: usize) -> Result<(), Refusal> {
        let expected = self.expected;
        if expected == count {
            return Ok(());
        }
        let detail = format!("it is about {count} now, not {expected}: look again, without `expected`");
        Err(Problem::Rejected.because(detail).with("reason", "COUNT".into()))
    }
}

impl Work {
    fn of(principal: &Principal, body: QuarantineBody, what: What) -> Result<Work, Refusal> {
        let QuarantineBody { ids, reason, topic, since, until, expected, why, limit, accept_old, by } = body;
        let wrong = |why: String| Err(Problem::BadRequest.because(why));
        let limit = limit.unwrap_or(SOME_MAX);
        if !(1..=SOME_MAX).contains(&limit) {
            return wrong(format!("`limit` is from 1 to {SOME_MAX}"));
        }
        let hand = Confirmed::of(principal, by.as_deref(), (expected, why))?;
        let meant = match (ids.is_empty(), reason.is_some() || topic.is_some() || since.is_some() || until.is_some()) {
            (false, true) => return wrong("`ids` choose alone, or `reason`, `topic`, `since` and `until` do".to_owned()),
            (true, false) => return wrong("say which records: `ids`, or `reason`, `topic`, `since`, `until`".to_owned()),
            (false, false) => Meant::these(&ids)?,
            (true, true) => {
                is_reason(reason.as_deref())?;
                Meant::Like { reason, topic, since: time(since.as_deref())?, until: time(until.as_deref())? }
            }
        };
        Ok(Work { what, meant, hand, limit, accept_old })
    }

    fn run(self, sources: &Sources) -> Result<QuarantineAnswer, Refusal> {
        let since = Instant::now();
        let topics = Topics::new(&sources.editing.deploying.prefix);
        let (mut entries, mut not) = (Vec::new(), BTreeMap::new());
        for entry in self.meant.read(sources, &topics)? {
            match (self.what == What::Redrive).then(|| why_not(&entry.1, &topics, self.accept_old)).flatten() {
                Some(why) => *not.entry(why).or_insert(0) += 1,
                None => entries.push(entry),
            }
        }
        let mut by_kind: BTreeMap<(String, String), usize> = BTreeMap::new();
        for (_, record) in &entries {
            *by_kind.entry((record.reason.as_str().to_owned(), record.topic.to_string())).or_default() += 1;
        }
        let kind = |((reason, topic), count)| QuarantineKind { reason, topic, count };
        let mut answer = QuarantineAnswer {
            count: entries.len(),
            by_kind: by_kind.into_iter().map(kind).collect(),
            not: not.into_iter().map(|(why, count)| QuarantineNot { why, count }).collect(),
            left: entries.len(),
            ..QuarantineAnswer::default()
        };
        let Some(confirmed) = &self.hand else {
            let shown = entries.iter().take(SAMPLE_MAX).map(|(place, record)| QuarantineEntry::of(*place, record, None));
            answer.sample = shown.collect();
            answer.ids = entries.iter().map(|(place, _)| named(*place)).collect();
            return Ok(answer);
        };
        confirmed.is_about(entries.len())?;
        let Confirmed { by, why, .. } = confirmed;
        entries.truncate(self.limit);
        answer.results = self.carry_out(sources, Hand { by, why }, &entries, patience(since))?;
        answer.left -= answer.results.len();
        tracing::info!(by, why, count = answer.results.len(), what = ?self.what, "done with what lies in quarantine, over HTTP");
        Ok(answer)
    }

    fn carry_out(&self, sources: &Sources, hand: Hand<'_>, entries: &[Entry], patience: Duration) -> Result<Vec<Told>, Refusal> {
        let broker = broker(sources)?;
        match self.what {
            What::Discard => broker.discard(hand, entries).map(|()| entries.iter().map(Told::discarded).collect()),
            What::Redrive => {
                let outcomes = broker.redrive(hand, entries, (self.accept_old, patience));
                outcomes.map(|outcomes| entries.iter().zip(&outcomes).map(|(entry, of)| Told::of_entry(entry, of)).collect())
            }
        }
        .map_err(|error| half_done(&error))
    }
}

/// How long a request that has gone on since then may wait for what becomes of what it brings.
pub(super) fn patience(since: Instant) -> Duration {
    REQUEST_MAX.saturating_sub(since.elapsed()).max(PATIENCE_MIN)
}

impl Meant {
    fn these(ids: &[String]) -> Result<Meant, Refusal> {
        if ids.len() > IDS_MAX {
            return Err(Problem::BadRequest.because(format!("`ids` are at most {IDS_MAX}")));
        }
        let place = |id: &String| {
            place_of(id).ok_or_else(|| Problem::BadRequest.because(format!("'{id}' is not a place in the quarantine such as 3/17")))
        };
        Ok(Meant::These(ids.iter().map(place).collect::<Result<_, _>>()?))
    }

    /// They, in the order in which they came.
    fn read(&self, sources: &Sources, topics: &Topics) -> Result<Vec<Entry>, Refusal> {
        let mut entries = match self {
            Meant::These(places) => those(sources, topics, places)?,
            Meant::Like { .. } => self.all_like(sources, topics)?,
        };
        entries.sort_by_key(|(place, record)| (record.at, *place));
        Ok(entries)
    }

    fn all_like(&self, sources: &Sources, topics: &Topics) -> Result<Vec<Entry>, Refusal> {
        let (mut entries, mut marked, mut seen) = (BTreeMap::new(), HashSet::new(), HashSet::new());
        let complete = broker(sources)?.visit_newest(&topics.quarantine, READ_MAX, &mut |read| {
            let value = read.value.as_deref().unwrap_or_default();
            if QuarantineMark::is_one(value) {
                marked.extend(QuarantineMark::decode(value).map(|mark| (read.partition, mark.offset)));
            } else if seen.insert(row_hash("", value))
                && let Ok(record) = Quarantined::decode(value)
                && self.is_like(&record)
            {
                entries.insert((read.partition, read.offset), kept(record, topics));
            }
        });
        if !complete.map_err(|error| unread(&error))? {
            return Err(too_many("name some by `ids` (the list has them); `ringmaster quarantine` reads all at the brokers"));
        }
        Ok(entries.into_iter().filter(|(place, _)| !marked.contains(place)).collect())
    }

    fn is_like(&self, record: &Quarantined) -> bool {
        let Meant::Like { reason, topic, since, until } = self else { return false };
        reason.as_ref().is_none_or(|reason| reason.eq_ignore_ascii_case(record.reason.as_str()))
            && topic.as_ref().is_none_or(|topic| **topic == *record.topic)
            && since.is_none_or(|since| record.at >= since)
            && until.is_none_or(|until| record.at < until)
    }
}

/// Those at these places; each must be there.
fn those(sources: &Sources, topics: &Topics, places: &BTreeSet<Place>) -> Result<Vec<Entry>, Refusal> {
    let (mut entries, mut open) = (Vec::new(), places.clone());
    while let Some(&first) = open.first() {
        // What lies near is read in one go.
        let visited = broker(sources)?.visit_from(&topics.quarantine, first, READ_MAX, &mut |read| {
            let (place, value) = ((read.partition, read.offset), read.value.as_deref().unwrap_or_default());
            if open.contains(&place)
                && !QuarantineMark::is_one(value)
                && let Ok(record) = Quarantined::decode(value)
            {
                open.remove(&place);
                entries.push((place, kept(record, topics)));
            }
        });
        visited.map_err(|error| unread(&error))?;
        if open.first() == Some(&first) {
            return Err(Problem::NotFound.because(format!("there is no record {}/{} in quarantine", first.0, first.1)));
        }
    }
    Ok(entries)
}

/// Of an answer its bytes are sent again; all else is read in its own topic.
fn kept(record: Quarantined, topics: &Topics) -> Quarantined {
    if *record.topic == *topics.replies { record } else { Quarantined { raw: bytes::Bytes::new(), ..record } }
}

/// More lie in quarantine than are read, and what helps.
pub(super) fn too_many(help: &str) -> Refusal {
    let detail = format!("more than {READ_MAX} records lie in quarantine, which one request does not look through: {help}");
    Problem::Rejected.because(detail).with("reason", "TOO_MANY".into())
}

/// It was begun, and went wrong.
pub(super) fn half_done(error: &BusError) -> Refusal {
    Problem::NotNow.because(format!("whether all of it is done is not known: {error}. Look again, without `expected`"))
}

pub(super) fn time(text: Option<&str>) -> Result<Option<Millis>, Refusal> {
    let wrong = |text: &str| Problem::BadRequest.because(format!("'{text}' is no time such as 2026-01-31T00:00:00Z"));
    text.map(|text| parse_timestamp(text).map(|micros| micros.div_euclid(1_000)).ok_or_else(|| wrong(text))).transpose()
}
