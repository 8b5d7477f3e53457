//! The two requests that a reader makes, and their answers: for records, and for where a log begins.
//!
//! By <https://kafka.apache.org/protocol>: a fetch names its topics from version 12 back, and has their identity from 13 on.

use std::ops::Range;

use ringmaster_schemas::journal::TopicId;

use super::wire::{Get, Malformed, Put};

/// Only what transactions have not taken back, and what is behind none that is open.
const READ_COMMITTED: i8 = 1;
/// A time that means the beginning of a log.
const BEGINNING: i64 = -2;

/// The field that is there if a log is another one than what was fetched of it before.
const DIVERGING: u64 = 0;

/// How a fetch waits, and what it brings at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kafka) struct Fetching {
    /// Milliseconds that it waits at the broker for records.
    pub(in crate::kafka) wait_ms: i32,
    /// Bytes that it waits for.
    pub(in crate::kafka) bytes_min: i32,
    /// Bytes that were fetched and not visited, and those that are on their way: half of it each.
    pub(in crate::kafka) ahead_bytes_max: usize,
    /// Bytes of a partition, unless a batch has more.
    pub(in crate::kafka) partition_bytes_max: i32,
}

/// A topic as a request names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named<'a> {
    Id(TopicId),
    Name(&'a str),
}

impl Named<'_> {
    fn put(self, out: &mut Vec<u8>) {
        match self {
            Named::Id(id) => out.put(&id),
            Named::Name(name) => out.string(name),
        }
    }
}

/// What is asked of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct From {
    pub(super) partition: i32,
    /// For the how manieth time it is led, so that only that leader answers.
    pub(super) epoch: i32,
    pub(super) offset: i64,
    /// The epoch of what was fetched before that offset: a log that was cut since, and written anew, is told by it. -1 if not known.
    pub(super) before: i32,
    /// Bytes that come at most, unless the first batch has more.
    pub(super) bytes_max: i32,
}

/// A fetch; partitions of one topic are one group.
pub(super) fn put_fetch(out: &mut Vec<u8>, how: &Fetching, bytes_max: usize, topics: &[(Named<'_>, Vec<From>)]) {
    // A consumer and no replica.
    out.i32(-1);
    out.i32(how.wait_ms);
    out.i32(how.bytes_min);
    out.i32(i32::try_from(bytes_max).unwrap_or(i32::MAX));
    out.i8(READ_COMMITTED);
    // No session: sessions save bytes, and hardly a broker's time.
    out.i32(0);
    out.i32(-1);
    out.count(topics.len());
    for (topic, partitions) in topics {
        topic.put(out);
        out.count(partitions.len());
        for from in partitions {
            out.i32(from.partition);
            out.i32(from.epoch);
            out.i64(from.offset);
            out.i32(from.before);
            out.i64(-1);
            out.i32(from.bytes_max);
            out.no_tags();
        }
        out.no_tags();
    }
    // Nothing to be forgotten, no rack.
    out.count(0);
    out.string("");
    out.no_tags();
}

/// What a fetch brought of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fetched<'a> {
    pub(super) topic: Named<'a>,
    pub(super) partition: i32,
    pub(super) error: i16,
    /// What was fetched before is not in the log any more: it was cut.
    pub(super) is_cut: bool,
    /// Behind the last record that can be read: the last stable offset.
    pub(super) end: i64,
    /// Producer and first offset of transactions that were taken back.
    pub(super) aborted: Vec<(i64, i64)>,
    /// Where in the answer its batches are.
    pub(super) records: Range<usize>,
}

/// Visits what a fetch brought; returns for how many milliseconds the broker wants to hear nothing, and the error of the whole.
pub(super) fn fetched<'a>(
    get: &mut Get<'a>,
    by_id: bool,
    visit: &mut dyn FnMut(Fetched<'a>) -> Result<(), Malformed>,
) -> Result<(i32, i16), Malformed> {
    let whole = get.0.len();
    let (throttle_ms, error, _) = (get.i32()?, get.i16()?, get.i32()?);
    for _ in 0..get.count()? {
        let topic = if by_id { Named::Id(get.id()?) } else { Named::Name(get.string()?) };
        for _ in 0..get.count()? {
            let (partition, error, _, end, _) = (get.i32()?, get.i16()?, get.i64()?, get.i64()?, get.i64()?);
            let mut aborted = Vec::new();
            for _ in 0..get.count()? {
                aborted.push((get.i64()?, get.i64()?));
                get.tags()?;
            }
            get.i32()?;
            let length = get.bytes()?.map_or(0, <[u8]>::len);
            let behind = whole - get.0.len();
            let mut is_cut = false;
            get.tagged(|tag, _| {
                is_cut |= tag == DIVERGING;
                Ok(())
            })?;
            visit(Fetched { topic, partition, error, is_cut, end, aborted, records: behind - length..behind })?;
        }
        get.tags()?;
    }
    Ok((throttle_ms, error))
}

/// Where logs begin; partitions of one topic are one group.
pub(super) fn put_offsets(out: &mut Vec<u8>, topics: &[(Named<'_>, Vec<From>)]) {
    out.i32(-1);
    out.i8(READ_COMMITTED);
    out.count(topics.len());
    for (topic, partitions) in topics {
        topic.put(out);
        out.count(partitions.len());
        for from in partitions {
            out.i32(from.partition);
            out.i32(from.epoch);
            out.i64(BEGINNING);
            out.no_tags();
        }
        out.no_tags();
    }
    out.no_tags();
}

/// Where one log begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Begins<'a> {
    pub(super) topic: &'a str,
    pub(super) partition: i32,
    pub(super) error: i16,
    pub(super) offset: i64,
}

/// Visits where logs begin; returns for how many milliseconds the broker wants to hear nothing.
pub(super) fn offsets<'a>(get: &mut Get<'a>, visit: &mut dyn FnMut(Begins<'a>) -> Result<(), Malformed>) -> Result<i32, Malformed> {
    let throttle_ms = get.i32()?;
    for _ in 0..get.count()? {
        let topic = get.string()?;
        for _ in 0..get.count()? {
            let (partition, error, _, offset, _) = (get.i32()?, get.i16()?, get.i64()?, get.i64()?, get.i32()?);
            get.tags()?;
            visit(Begins { topic, partition, error, offset })?;
        }
        get.tags()?;
    }
    Ok(throttle_ms)
}
