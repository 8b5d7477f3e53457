//! A partition's log as a leader gives it to readers.

use std::io;

use ringmaster_schemas::journal::TopicId;

use super::super::batch::{Batch, Compression, put_batch, put_record};
use super::super::wire::{Get, Put};
use super::scripted::{Act, State};
use crate::{Message, Topic, TopicPartition};

/// The attributes of batches: in a transaction, and its end.
pub(super) const TRANSACTIONAL: i16 = 1 << 4;
pub(super) const CONTROL: i16 = 1 << 5;

/// One partition.
#[derive(Debug, Default, Clone)]
pub(super) struct Shelf {
    pub(super) start: i64,
    /// Last offset and bytes.
    pub(super) batches: Vec<(i64, Vec<u8>)>,
    /// Producer, first and last offset.
    pub(super) aborted: Vec<(i64, i64, i64)>,
    /// Behind the last stable record, if a transaction is open.
    pub(super) stable: Option<i64>,
    /// For the how manieth time it is led.
    pub(super) epoch: i32,
    /// The end that it tells is so much before what it gives: it looked there first.
    pub(super) early: i64,
}

impl Shelf {
    pub(super) fn next(&self) -> i64 {
        self.batches.last().map_or(self.start, |(last, _)| last + 1)
    }

    pub(super) fn end(&self) -> i64 {
        self.stable.unwrap_or_else(|| self.next())
    }

    /// Appends a batch of so many records whose values are their offsets.
    pub(super) fn append(&mut self, count: i32) {
        self.append_as(count, 0, -1);
    }

    pub(super) fn append_as(&mut self, count: i32, attributes: i16, producer: i64) {
        let base = self.next();
        self.push(batch(base, attributes, producer, count, count - 1, &numbers(base, i64::from(count))));
    }

    /// Ends a transaction.
    pub(super) fn mark(&mut self, producer: i64, first: i64, is_commit: bool) {
        let base = self.next();
        let record = records([(Some(&[0, 0, 0, u8::from(is_commit)][..]), &[0; 6][..])].into_iter());
        self.push(batch(base, TRANSACTIONAL | CONTROL, producer, 1, 0, &record));
        if !is_commit {
            self.aborted.push((producer, first, base));
        }
    }

    pub(super) fn push(&mut self, mut batch: Vec<u8>) {
        batch[12..16].copy_from_slice(&self.epoch.to_be_bytes());
        let last = i32::from_be_bytes(batch[23..27].try_into().expect("four bytes"));
        self.batches.push((self.next() + i64::from(last), batch));
    }

    /// True if what is before an offset is not what whoever reads from there has read.
    fn is_cut(&self, sought: &Sought) -> bool {
        let before = self.batches.iter().find(|(last, _)| *last >= sought.offset - 1);
        let epoch = before.and_then(|(_, batch)| Some(i32::from_be_bytes(batch.get(12..16)?.try_into().expect("four bytes"))));
        sought.before >= 0 && epoch.is_some_and(|epoch| epoch != sought.before)
    }

    /// What is given from an offset on, at most so many bytes of it; `is_first` if nothing else is given.
    fn bytes(&self, from: i64, bytes_max: usize, is_first: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        let there = self.batches.iter().filter(|(last, _)| *last >= from && *last < self.end());
        for (_, batch) in there {
            let is_given = is_first && bytes.is_empty();
            if bytes.len() >= bytes_max && !is_given {
                break;
            }
            let room = bytes_max.saturating_sub(bytes.len());
            if is_given || batch.len() <= room {
                bytes.extend_from_slice(batch);
            } else if bytes.is_empty() {
                break;
            } else {
                bytes.extend_from_slice(&batch[..room]);
            }
        }
        bytes
    }
}

/// Records of one batch: key and value.
pub(super) fn records<'a>(all: impl Iterator<Item = (Option<&'a [u8]>, &'a [u8])>) -> Vec<u8> {
    let (mut out, to) = (Vec::new(), TopicPartition { topic: Topic(0), partition: 0 });
    for ((key, value), index) in all.zip(0..) {
        let headers: &[(&str, &str)] = if index % 3 == 0 { &[("ce_id", "a"), ("ce_id", "b"), ("x", "")] } else { &[] };
        put_record(&mut out, index, &Message { to, key, value, headers });
    }
    out
}

/// So many records whose values are their offsets, from `base` on.
pub(super) fn numbers(base: i64, count: i64) -> Vec<u8> {
    let values: Vec<String> = (base..base + count).map(|offset| offset.to_string()).collect();
    records(values.iter().map(|value| (Some(&b"a key"[..]), value.as_bytes())))
}

/// A batch with its checksum.
pub(super) fn batch(base: i64, attributes: i16, producer: i64, count: i32, last: i32, records: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_batch(&mut out, &Batch { producer: (producer, 0), sequence: 0, count, timestamp: 1_000, records }, Compression::None);
    out[..8].copy_from_slice(&base.to_be_bytes());
    out[21..23].copy_from_slice(&attributes.to_be_bytes());
    out[23..27].copy_from_slice(&last.to_be_bytes());
    seal(&mut out);
    out
}

/// Gives a batch that was changed the checksum that belongs to it.
pub(super) fn seal(batch: &mut [u8]) {
    let checksum = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&checksum.to_be_bytes());
}

/// A topic's identity.
pub(super) fn id_of(state: &State, topic: &str) -> TopicId {
    if state.has_no_ids {
        return TopicId::default();
    }
    let made = state.made.get(topic).copied().unwrap_or(1);
    let mut id = [made; 16];
    id.iter_mut().skip(1).zip(topic.bytes()).for_each(|(byte, of)| *byte = of);
    id
}

/// One partition of a fetch.
#[derive(Debug)]
pub(super) struct Sought {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) offset: i64,
    bytes_max: usize,
    epoch: i32,
    before: i32,
    /// The request has an identity that no topic has.
    is_strange: bool,
}

/// A fetch: how many bytes at most, and of what.
pub(super) fn parse(state: &State, get: &mut Get<'_>, version: i16) -> io::Result<(usize, Vec<Vec<Sought>>)> {
    get.take(12)?;
    let bytes_max = get.i32()? as usize;
    assert_eq!(get.i8()?, 1, "what is committed only");
    assert_eq!((get.i32()?, get.i32()?), (0, -1), "no session");
    let mut topics = Vec::new();
    for _ in 0..get.count()? {
        let id = if version >= 13 { Some(get.id()?) } else { None };
        let topic = match id {
            Some(id) => state.known_topics.iter().find(|topic| id_of(state, topic) == id).cloned(),
            None => Some(get.string()?.to_owned()),
        };
        let mut partitions = Vec::new();
        for _ in 0..get.count()? {
            let (partition, epoch, offset) = (get.i32()?, get.i32()?, get.i64()?);
            let before = get.i32()?;
            get.take(8)?;
            let bytes_max = get.i32()? as usize;
            get.tags()?;
            let is_strange = topic.is_none();
            let topic = topic.clone().unwrap_or_else(|| format!("{id:?}"));
            partitions.push(Sought { topic, partition, offset, bytes_max, epoch, before, is_strange });
        }
        get.tags()?;
        topics.push(partitions);
    }
    Ok((bytes_max, topics))
}

/// True if there is something to answer.
pub(super) fn has_news(state: &State, sought: &Sought, me: i32) -> bool {
    let shelf = state.shelf(&sought.topic, sought.partition);
    code_of(state, sought, me) != 0 || shelf.end() > sought.offset || shelf.is_cut(sought)
}

fn code_of(state: &State, sought: &Sought, me: i32) -> i16 {
    let shelf = state.shelf(&sought.topic, sought.partition);
    if sought.is_strange {
        100
    } else if state.missing.contains(&sought.topic) {
        3
    } else if state.leader(&sought.topic, sought.partition) != me {
        6
    } else if sought.epoch != 0 {
        // UNKNOWN_LEADER_EPOCH
        75
    } else if !(shelf.start..=shelf.next()).contains(&sought.offset) {
        1
    } else {
        0
    }
}

/// Answers a fetch; the identities of its topics are those of the request.
pub(super) fn fetch(state: &mut State, get: &mut Get<'_>, out: &mut Vec<u8>, act: &Act, me: i32, version: i16) -> io::Result<()> {
    let ids = ids(&mut get.clone(), version)?;
    let (mut left, topics) = parse(state, get, version)?;
    out.i32(if let Act::Throttle(ms) = act { *ms } else { 0 });
    out.i16(if let Act::Whole(code) = act { *code } else { 0 });
    out.i32(0);
    let mut is_first = true;
    out.count(topics.len());
    for (partitions, id) in topics.iter().zip(ids) {
        match id {
            Some(id) => out.put(&id),
            None => out.string(&partitions[0].topic),
        }
        out.count(partitions.len());
        for sought in partitions {
            let at = (me, sought.topic.clone(), sought.partition);
            state.fetched.entry(at).or_default().push(sought.offset);
            let code = if let Act::Error { code, .. } = act { *code } else { code_of(state, sought, me) };
            let shelf = state.shelf(&sought.topic, sought.partition);
            out.i32(sought.partition);
            out.i16(code);
            out.i64(shelf.next());
            out.i64(if code == 0 { shelf.end() - shelf.early } else { -1 });
            out.i64(shelf.start);
            let aborted: Vec<_> = shelf.aborted.iter().filter(|(_, _, last)| code == 0 && *last >= sought.offset).collect();
            out.count(aborted.len());
            for (producer, first, _) in aborted {
                out.i64(*producer);
                out.i64(*first);
                out.no_tags();
            }
            out.i32(-1);
            let is_cut = code == 0 && shelf.is_cut(sought);
            let bytes =
                if code == 0 && !is_cut { shelf.bytes(sought.offset, sought.bytes_max.min(left), is_first) } else { Vec::new() };
            left = left.saturating_sub(bytes.len());
            is_first &= bytes.is_empty();
            out.count(bytes.len());
            out.put(&bytes);
            // The epoch and its end, if it is cut; and the leader, as brokers tell it.
            out.put(if is_cut { &[2, 0, 3, 0, 0, 0][..] } else { &[1] });
            out.put(&[1, 2, 0, 0]);
        }
        out.no_tags();
    }
    out.no_tags();
    Ok(())
}

/// The identities in a fetch, by topic.
fn ids(get: &mut Get<'_>, version: i16) -> io::Result<Vec<Option<TopicId>>> {
    get.take(25)?;
    let mut ids = Vec::new();
    for _ in 0..get.count()? {
        ids.push(if version >= 13 { Some(get.id()?) } else { None });
        if version < 13 {
            get.string()?;
        }
        for _ in 0..get.count()? {
            get.take(32)?;
            get.tags()?;
        }
        get.tags()?;
    }
    Ok(ids)
}

/// Answers where logs begin.
pub(super) fn offsets(state: &State, get: &mut Get<'_>, out: &mut Vec<u8>, act: &Act, me: i32) -> io::Result<()> {
    get.take(5)?;
    out.i32(if let Act::Throttle(ms) = act { *ms } else { 0 });
    let topics = get.count()?;
    out.count(topics);
    for _ in 0..topics {
        let topic = get.string()?;
        out.string(topic);
        let partitions = get.count()?;
        out.count(partitions);
        for _ in 0..partitions {
            let (partition, _, time) = (get.i32()?, get.i32()?, get.i64()?);
            get.tags()?;
            assert_eq!(time, -2, "the beginning");
            let led = if state.leader(topic, partition) == me { 0 } else { 6 };
            let code = if let Act::Error { code, .. } = act { *code } else { led };
            let start = state.shelf(topic, partition).start;
            out.i32(partition);
            out.i16(code);
            out.i64(-1);
            out.i64(if let Act::Base(base) = act {
                *base
            } else if code == 0 {
                start
            } else {
                -1
            });
            out.i32(0);
            out.no_tags();
        }
        get.tags()?;
        out.no_tags();
    }
    out.no_tags();
    Ok(())
}
