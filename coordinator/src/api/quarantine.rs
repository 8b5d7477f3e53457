//! Records that could not be taken, as the topic of the quarantine has them: the newest of each partition, a page at a time; and one whole.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use ringmaster_core::intake::{InputRecord, Typing};
use ringmaster_core::partition::row_hash;
use ringmaster_schemas::journal::{QuarantineMark, QuarantineReason, Quarantined};
use ringmaster_schemas::names::{Topics, hex};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Sources;
use super::broker::Broker;
use super::openapi::Problems;
use super::problem::{Problem, Refusal};
use super::saga::written;
use super::shown::ShownBytes;

/// Records of the topic that a request reads, in all partitions together: the newest.
pub(super) const READ_MAX: usize = 10_000;
/// Entries of a page, if nobody says how many, and at most.
const LIMIT: usize = 50;
const LIMIT_MAX: usize = 500;

/// What lies in quarantine, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Quarantine {
    /// Of this page.
    pub items: Vec<QuarantineEntry>,
    /// Where the next page begins; null: that was all that was read.
    pub next_cursor: Option<String>,
    /// How many there are like that, of what was read.
    pub count: usize,
    /// Everything was read. If not, the newest 10,000 records of the topic were, and `ringmaster quarantine list` reads all.
    pub complete: bool,
}

/// A record that lies in quarantine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuarantineEntry {
    /// Its place there: `partition/offset`.
    pub id: String,
    /// When it came there, RFC 3339.
    pub at: String,
    /// Why, for programs.
    pub reason: String,
    /// Why, for people, and what to do.
    pub detail: String,
    /// Where it was read.
    pub topic: String,
    /// Where in that topic.
    pub partition: i32,
    /// Where in that partition.
    pub offset: i64,
    /// The fingerprint of the schema that its bytes name, in hex.
    pub schema: Option<String>,
    /// Its key.
    pub key: Option<String>,
    /// How long its value is, in bytes.
    pub bytes: i64,
    /// SHA-256 of its value, in hex.
    pub sha256: String,
    /// What was last done about it.
    pub mark: Option<QuarantineMarked>,
}

/// What was done about a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuarantineMarked {
    /// REDRIVEN or DISCARDED.
    pub act: String,
    /// When, RFC 3339.
    pub at: String,
    /// By whom.
    pub by: String,
    /// Why.
    pub why: String,
    /// What became of it.
    pub outcome: String,
}

/// A record that lies in quarantine, with its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuarantineWhole {
    /// Which.
    #[serde(flatten)]
    pub entry: QuarantineEntry,
    /// Its value, as much of it as is kept.
    pub value: ShownBytes,
    /// Whatever was said of it later was read. If not, more than 10,000 records lie behind it, and `mark` may be missing.
    pub complete: bool,
}

/// Which entries.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// Only of this reason, such as UNDECODABLE.
    #[param(min_length = 1)]
    reason: Option<String>,
    /// Only records of this topic.
    #[param(min_length = 1)]
    topic: Option<String>,
    /// Also those that were redriven or discarded.
    #[serde(default)]
    all: bool,
    /// At most so many: 50 if nothing is said.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// Where the page begins, as the one before says.
    #[param(min_length = 1)]
    cursor: Option<String>,
}

/// When an entry came, and its place: by these pages go on.
type Order = (i64, i32, i64);

impl QuarantineEntry {
    /// What is said of a record, without its bytes.
    pub(crate) fn of((partition, offset): (i32, i64), record: &Quarantined, mark: Option<&QuarantineMark>) -> QuarantineEntry {
        QuarantineEntry {
            id: format!("{partition}/{offset}"),
            at: written(record.at),
            reason: record.reason.as_str().to_owned(),
            detail: record.detail.to_string(),
            topic: record.topic.to_string(),
            partition: record.partition,
            offset: record.offset,
            schema: record.schema.map(|schema| format!("{schema:016x}")),
            key: record.key.as_deref().map(|key| String::from_utf8_lossy(key).into_owned()),
            bytes: record.length,
            sha256: hex(&record.sha256),
            mark: mark.map(QuarantineMarked::of),
        }
    }
}

impl QuarantineMarked {
    /// As it is told.
    pub(crate) fn of(mark: &QuarantineMark) -> QuarantineMarked {
        QuarantineMarked {
            act: mark.act.as_str().to_owned(),
            at: written(mark.at),
            by: mark.by.to_string(),
            why: mark.why.to_string(),
            outcome: mark.outcome.to_string(),
        }
    }
}

/// A reason that there is none of would find nothing, whatever is in quarantine.
pub(super) fn is_reason(reason: Option<&str>) -> Result<(), Refusal> {
    let known = |reason: &&str| QuarantineReason::ALL.iter().any(|known| reason.eq_ignore_ascii_case(known.as_str()));
    match reason.filter(|reason| !known(reason)) {
        None => Ok(()),
        Some(reason) => {
            let all: Vec<&str> = QuarantineReason::ALL.iter().map(|known| known.as_str()).collect();
            Err(Problem::BadRequest.because(format!("'{reason}' is no reason; there are {}", all.join(", "))))
        }
    }
}

/// The broker, or why nobody asks one.
pub(super) fn broker(sources: &Sources) -> Result<&dyn Broker, Refusal> {
    sources.editing.broker.as_deref().ok_or_else(|| Problem::NotNow.because("this instance has no way to read the bus"))
}

/// The broker does not say it now.
pub(super) fn unread(error: &ringmaster_bus::BusError) -> Refusal {
    Problem::NotNow.because(format!("it cannot be read: {error}"))
}

fn cursor_of((at, partition, offset): Order) -> String {
    format!("{at}.{partition}.{offset}")
}

fn order_of(cursor: &str) -> Option<Order> {
    let mut parts = cursor.split('.');
    let order = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    parts.next().is_none().then_some(order)
}

/// Records that lie in quarantine, the newest first. The newest 10,000 of the topic are looked at.
#[utoipa::path(get, path = "/api/v1/quarantine", tag = "quarantine", params(Asked), responses((status = 200, body = Quarantine), Problems))]
pub(super) async fn list(State(sources): State<Arc<Sources>>, Query(asked): Query<Asked>) -> Response {
    listed(&sources, &asked).map_or_else(IntoResponse::into_response, |found| Json(found).into_response())
}

fn listed(sources: &Sources, asked: &Asked) -> Result<Quarantine, Refusal> {
    let limit = asked.limit.unwrap_or(LIMIT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Problem::BadRequest.because(format!("`limit` is from 1 to {LIMIT_MAX}")));
    }
    is_reason(asked.reason.as_deref())?;
    let before = match &asked.cursor {
        None => None,
        Some(cursor) => Some(order_of(cursor).ok_or_else(|| Problem::BadCursor.because("it is none that a page gave"))?),
    };
    let (mut entries, complete) = read(sources, asked)?;
    let count = entries.len();
    entries.retain(|order, _| before.is_none_or(|before| *order < before));
    let rest = entries.len() > limit;
    let page: Vec<(Order, QuarantineEntry)> = entries.into_iter().rev().take(limit).collect();
    let next_cursor = page.last().filter(|_| rest).map(|(order, _)| cursor_of(*order));
    Ok(Quarantine { items: page.into_iter().map(|(_, entry)| entry).collect(), next_cursor, count, complete })
}

/// Entries that are asked for, in order, and whether all were read.
fn read(sources: &Sources, asked: &Asked) -> Result<(BTreeMap<Order, QuarantineEntry>, bool), Refusal> {
    let topic = Topics::new(&sources.editing.deploying.prefix).quarantine;
    let (mut entries, mut marks, mut seen) = (BTreeMap::new(), BTreeMap::new(), HashSet::new());
    let complete = broker(sources)?.visit_newest(&topic, READ_MAX, &mut |read| {
        let (place, value) = ((read.partition, read.offset), read.value.as_deref().unwrap_or_default());
        if QuarantineMark::is_one(value) {
            // What cannot be read says nothing: the entry is listed as if it were not there.
            if let Ok(mark) = QuarantineMark::decode(value) {
                marks.insert((place.0, mark.offset), mark);
            }
        } else if seen.insert(row_hash("", value))
            && let Ok(record) = Quarantined::decode(value)
            && asked.means(&record)
        {
            entries.insert((record.at, place.0, place.1), QuarantineEntry::of(place, &record, None));
        }
    });
    let complete = complete.map_err(|error| unread(&error))?;
    entries.retain(|(_, partition, offset), entry| {
        entry.mark = marks.get(&(*partition, *offset)).map(QuarantineMarked::of);
        asked.all || entry.mark.is_none()
    });
    Ok((entries, complete))
}

impl Asked {
    fn means(&self, record: &Quarantined) -> bool {
        self.reason.as_ref().is_none_or(|reason| reason.eq_ignore_ascii_case(record.reason.as_str()))
            && self.topic.as_ref().is_none_or(|topic| **topic == *record.topic)
    }
}

/// One record that lies in quarantine, with its bytes as far as they can be decoded.
#[utoipa::path(
    get,
    path = "/api/v1/quarantine/{partition}/{offset}",
    tag = "quarantine",
    params(
        ("partition" = i32, Path, description = "Its id is partition/offset", minimum = 0),
        ("offset" = i64, Path, description = "Of the topic of the quarantine", minimum = 0)
    ),
    responses((status = 200, body = QuarantineWhole), Problems)
)]
pub(super) async fn one(State(sources): State<Arc<Sources>>, Path(place): Path<(i32, i64)>) -> Response {
    whole(&sources, place).map_or_else(IntoResponse::into_response, |found| Json(found).into_response())
}

fn whole(sources: &Sources, place: (i32, i64)) -> Result<QuarantineWhole, Refusal> {
    let topic = Topics::new(&sources.editing.deploying.prefix).quarantine;
    let (mut found, mut mark) = (None, None);
    let complete = broker(sources)?.visit_from(&topic, place, READ_MAX, &mut |read| {
        let value = read.value.as_deref().unwrap_or_default();
        if read.offset == place.1 {
            found = Quarantined::decode(value).ok().filter(|_| !QuarantineMark::is_one(value));
        } else if QuarantineMark::is_one(value) {
            mark = QuarantineMark::decode(value).ok().filter(|said| said.offset == place.1).or(mark.take());
        }
    });
    let complete = complete.map_err(|error| unread(&error))?;
    let (partition, offset) = place;
    let none = || Problem::NotFound.because(format!("there is no record {partition}/{offset} in quarantine"));
    let record: Quarantined = found.ok_or_else(none)?;
    let knowledge = sources.knowledge.get();
    // Its headers were not kept: what says nothing else may have been of another type than the topic's default.
    let typing = Typing { default: None, ..sources.editing.typing(&record.topic, &knowledge.catalog) };
    let was = InputRecord {
        offset: record.offset,
        timestamp: record.at,
        key: record.key.as_deref(),
        value: Some(&record.raw),
        headers: None,
    };
    let value = ShownBytes::of_value(&was, typing, &knowledge.schemas);
    Ok(QuarantineWhole { entry: QuarantineEntry::of(place, &record, mark.as_ref()), value, complete })
}
