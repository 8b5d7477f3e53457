//! Topics that this coordinator needs, and whether each is as it must be; and one record of one of them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use ringmaster_core::intake::InputRecord;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Sources;
use super::openapi::Problems;
use super::problem::{Problem, Refusal};
use super::quarantine::{broker, unread};
use super::saga::written;
use super::shown::ShownBytes;
use crate::topics::{Looked, needed_by};

/// Topics that this coordinator needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NeededTopics {
    /// Its own, then those of commands and events.
    pub topics: Vec<NeededTopic>,
}

/// A topic that this coordinator needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NeededTopic {
    /// Its name.
    pub topic: String,
    /// How many partitions it has; null: it does not exist.
    pub partitions: Option<i32>,
    /// Its events go through the router, whatever their keys.
    pub routed: bool,
    /// What is wrong with it, a line each; nothing: it is as it must be.
    pub wrong: Vec<String>,
    /// Only sagas need it that run by versions which are not in force any more.
    pub of_older_versions: bool,
}

/// A record of a topic.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TopicRecord {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// When it was written, RFC 3339.
    pub at: String,
    /// Those of its headers that say something of an event.
    pub headers: Vec<TopicHeader>,
    /// Its key; null: it has none.
    pub key: Option<ShownBytes>,
    /// Its value; null: it has none.
    pub value: Option<ShownBytes>,
}

/// A header of a record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TopicHeader {
    /// Its name.
    pub name: String,
    /// Its value, as text.
    pub value: String,
}

impl NeededTopic {
    fn of(looked: Looked) -> NeededTopic {
        let Looked { name, found, is_routed, faults, is_old } = looked;
        let wrong = faults.iter().map(|fault| fault.trim_start().to_owned()).collect();
        NeededTopic {
            topic: name,
            partitions: found.map(|found| found.partitions),
            routed: is_routed,
            wrong,
            of_older_versions: is_old,
        }
    }
}

/// Topics that what is deployed needs, and whether each is as it must be.
#[utoipa::path(get, path = "/api/v1/topics", tag = "operation", responses((status = 200, body = NeededTopics), Problems))]
pub(super) async fn all(State(sources): State<Arc<Sources>>) -> Response {
    let looked = |sources: &Sources| {
        let looked = broker(sources)?.topics(&sources.knowledge.get().catalog).map_err(|error| unread(&error))?;
        Ok::<_, Refusal>(NeededTopics { topics: looked.into_iter().map(NeededTopic::of).collect() })
    };
    looked(&sources).map_or_else(IntoResponse::into_response, |found| Json(found).into_response())
}

/// One record of a topic that this coordinator needs, decoded as far as that goes.
#[utoipa::path(
    get,
    path = "/api/v1/topics/{topic}/{partition}/{offset}",
    tag = "operation",
    params(
        ("topic" = String, Path, description = "A topic that this coordinator needs, such as orders"),
        ("partition" = i32, Path, description = "From 0", minimum = 0),
        ("offset" = i64, Path, description = "From 0", minimum = 0)
    ),
    responses((status = 200, body = TopicRecord), Problems)
)]
pub(super) async fn record(State(sources): State<Arc<Sources>>, Path(place): Path<(String, i32, i64)>) -> Response {
    found(&sources, place).map_or_else(IntoResponse::into_response, |found| Json(found).into_response())
}

fn found(sources: &Sources, (topic, partition, offset): (String, i32, i64)) -> Result<TopicRecord, Refusal> {
    let knowledge = sources.knowledge.get();
    let needed = needed_by(&knowledge.catalog, &sources.editing.deploying.prefix, sources.partitions);
    if needed.iter().all(|needed| needed.name != topic) {
        let names: Vec<&str> = needed.iter().map(|needed| needed.name.as_str()).collect();
        return Err(
            Problem::NotFound.because(format!("'{topic}' is no topic of this coordinator; these are: {}", names.join(", ")))
        );
    }
    let mut found = None;
    let visit = &mut |read: crate::blocking::Read| found = found.take().or(Some(read));
    broker(sources)?.visit_from(&topic, (partition, offset), 1, visit).map_err(|error| unread(&error))?;
    let Some(read) = found.filter(|read| read.offset == offset) else {
        return Err(Problem::NotFound.because(format!("there is no record at offset {offset} of {topic}/{partition}")));
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers: Vec<TopicHeader> =
        read.headers.iter().map(|header| TopicHeader { name: header.name.to_string(), value: text(&header.value) }).collect();
    let typing = sources.editing.typing(&topic, &knowledge.catalog);
    let record = InputRecord {
        offset,
        timestamp: read.timestamp,
        key: read.key.as_deref(),
        value: read.value.as_deref(),
        headers: Some(&read.headers),
    };
    let key = record.key.map(ShownBytes::of_text);
    let value = record.value.map(|_| ShownBytes::of_value(&record, typing, &knowledge.schemas));
    Ok(TopicRecord { topic, partition, offset, at: written(read.timestamp), headers, key, value })
}
