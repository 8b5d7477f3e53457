//! Records that lie in quarantine: brought to sagas again, or discarded. By whom and why stands behind each, and nothing is deleted.
//!
//! ```text
//! entries -> as they lie in their own topics (sources) -> the inbox of every partition -> journals say what became of each -> marks
//! ```

mod inbox;
pub(crate) mod sources;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ringmaster_bus::{Bus, BusError};
use ringmaster_core::intake::beginning;
use ringmaster_schemas::journal::{QuarantineAct, QuarantineMark, Quarantined, Redriven, WasQuarantined};
use ringmaster_schemas::names::Topics;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::blocking::{self, Read};
use crate::runtime::wall;
pub use inbox::Became;
pub(crate) use inbox::{Inbox, ON_THEIR_WAY_BYTES_MAX};

/// Bytes of what a person says, and of what became of a record, in a mark.
const TEXT_BYTES_MAX: usize = 1_024;
/// Marks that are written at once.
const MARKS_MAX: usize = 500;

/// A place in the quarantine topic: `partition/offset`.
pub type Place = (i32, i64);

/// A place as it is told, such as 3/17.
pub(crate) fn named((partition, offset): Place) -> String {
    format!("{partition}/{offset}")
}

/// The place that is told so; none if it is none.
pub(crate) fn place_of(id: &str) -> Option<Place> {
    let (partition, offset) = id.split_once('/')?;
    Some((partition.parse().ok()?, offset.parse().ok()?))
}

/// A record that lies there.
pub type Entry = (Place, Quarantined);

/// Who does it, and why.
#[derive(Debug, Clone, Copy)]
pub struct Hand<'a> {
    /// Who.
    pub by: &'a str,
    /// Why, for those who look at it later.
    pub why: &'a str,
}

/// What became of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was brought to all partitions.
    Brought(Became),
    /// It was not sent, and why.
    NotSent(String),
}

/// What became of a record, as it is told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = QuarantineResult)]
pub struct Told {
    /// Its place in quarantine, `partition/offset`; null where it lies in none.
    pub id: Option<String>,
    /// Where it was read: `topic/partition/offset`.
    pub from: String,
    /// started; taken; known; nothing: no saga starts on it, or waits for it; quarantined: it is back there; open: not all partitions have said
    /// what became of it; not_sent; discarded.
    pub result: String,
    /// The same in words.
    pub detail: String,
    /// Sagas that it started.
    pub started: BTreeSet<String>,
    /// Sagas that took it, or keep it until they want it.
    pub taken: BTreeSet<String>,
    /// Why it was understood and not taken.
    pub rejected: BTreeSet<String>,
    /// Why it is in quarantine again.
    pub quarantined: BTreeSet<String>,
}

impl Told {
    /// Of a record that was brought.
    pub(crate) fn of(id: Option<String>, from: String, became: &Became) -> Told {
        let (result, detail) = (became.word().to_owned(), became.words());
        let Became { began, taken, rejected, quarantined, .. } = became.clone();
        Told { id, from, result, detail, started: began, taken, rejected, quarantined }
    }

    /// Of an entry.
    pub(crate) fn of_entry(entry: &Entry, outcome: &Outcome) -> Told {
        let (id, from) = names(entry);
        match outcome {
            Outcome::Brought(became) => Told::of(Some(id), from, became),
            Outcome::NotSent(why) => Told::not_sent(Some(id), from, why),
        }
    }

    /// Of a record that was not brought, and why.
    pub(crate) fn not_sent(id: Option<String>, from: String, why: &str) -> Told {
        let (result, detail) = ("not_sent".to_owned(), format!("it was not sent: {why}"));
        Told { id, from, result, detail, ..Told::default() }
    }

    /// Of an entry that is not wanted any more.
    pub(crate) fn discarded(entry: &Entry) -> Told {
        let (id, from) = names(entry);
        Told { id: Some(id), from, result: "discarded".to_owned(), detail: "discarded".to_owned(), ..Told::default() }
    }
}

/// Where an entry lies, and where it came from.
fn names((place, record): &Entry) -> (String, String) {
    (named(*place), format!("{}/{}/{}", record.topic, record.partition, record.offset))
}

/// What a person says, at most so much of it.
pub(crate) fn cut(text: &str) -> &str {
    beginning(text, TEXT_BYTES_MAX)
}

/// Why a record is not brought again, if so. `accept_old`: also starts that are older than finished sagas are remembered.
pub(crate) fn why_not(record: &Quarantined, topics: &Topics, accept_old: bool) -> Option<String> {
    use ringmaster_schemas::journal::QuarantineReason::TooOld;
    if *record.topic == *topics.control {
        return Some(
            "acts are not said again from quarantine, since what they were for has moved on: `ringmaster act` says them anew"
                .to_owned(),
        );
    }
    if *record.topic == *topics.inbox {
        return Some(format!("only coordinators write to {}, and this is none of theirs", topics.inbox));
    }
    (record.reason == TooOld && !accept_old).then(|| {
        "they are TOO_OLD: the saga may have run and been forgotten, and would run again; --accept-old (`accept_old`) takes them all the same"
            .to_owned()
    })
}

impl Hand<'_> {
    /// A record of this topic, as it is brought to the partitions.
    pub(crate) fn redriven(&self, topic: &Arc<str>, read: Read, accept_old: bool, was: Option<WasQuarantined>) -> Redriven {
        Redriven {
            id: format!("{:016x}", fastrand::u64(..)).into(),
            tells: false,
            topic: topic.clone(),
            partition: read.partition,
            offset: read.offset,
            timestamp: read.timestamp,
            key: read.key.map(Bytes::from),
            value: read.value.map(Bytes::from),
            headers: read.headers,
            by: cut(self.by).into(),
            why: cut(self.why).into(),
            accept_old,
            was,
        }
    }

    /// Says that these are not wanted any more.
    pub(crate) fn discard<'e>(
        &self,
        bus: &mut impl Bus,
        topics: &Topics,
        entries: impl IntoIterator<Item = &'e Entry>,
    ) -> Result<(), BusError> {
        let marks: Vec<_> = entries.into_iter().map(|entry| self.mark(entry, QuarantineAct::Discarded, "")).collect();
        marks.chunks(MARKS_MAX).try_for_each(|marks| blocking::append_each(bus, &topics.quarantine, marks))
    }

    /// Brings these, waits no longer than this for what becomes of them, and writes that down; of what nothing was heard of, nothing.
    pub(crate) fn bring(
        &self,
        bus: &mut impl Bus,
        (inbox, topics): (&Inbox, &Topics),
        entries: &[Entry],
        (accept_old, patience): (bool, Duration),
    ) -> Result<Vec<Outcome>, BusError> {
        let records: Vec<&Quarantined> = entries.iter().map(|(_, record)| record).collect();
        let (mut brought, mut outcomes) = (Vec::new(), Vec::new());
        for (entry, found) in entries.iter().zip(sources::read_again(bus, &records)?) {
            let (place, record) = entry;
            let is_answer = *record.topic == *topics.replies;
            let found = found.or_else(|why| if is_answer { sources::kept(record).ok_or(why) } else { Err(why) });
            let read = found.and_then(|read| match inbox.refuses(size(&read)) {
                Some(why) => Err(why),
                None => Ok(read),
            });
            outcomes.push(match read {
                Ok(read) => {
                    let (reason, detail) = (record.reason, record.detail.clone());
                    let was = WasQuarantined { partition: place.0, offset: place.1, reason, detail };
                    brought.push(self.redriven(&record.topic, read, accept_old, Some(was)));
                    Outcome::Brought(Became::default())
                }
                Err(why) => Outcome::NotSent(why),
            });
        }
        let mut became = inbox.bring(bus, &brought, patience)?.into_iter();
        for outcome in &mut outcomes {
            if let Outcome::Brought(of) = outcome {
                *of = became.next().expect("one for each that was brought");
            }
        }
        let heard = entries.iter().zip(&outcomes).filter_map(|(entry, outcome)| match outcome {
            Outcome::Brought(became) if !became.is_open() => Some(self.mark(entry, QuarantineAct::Redriven, &became.words())),
            _ => None,
        });
        blocking::append_each(bus, &topics.quarantine, &heard.collect::<Vec<_>>())?;
        Ok(outcomes)
    }

    /// A mark, for the partition of its entry.
    fn mark(&self, entry: &Entry, act: QuarantineAct, outcome: &str) -> (i32, Vec<u8>, Vec<u8>) {
        let ((partition, offset), record) = entry;
        let (by, why) = (cut(self.by).into(), cut(self.why).into());
        let mark = QuarantineMark { offset: *offset, act, by, why, at: wall(), outcome: cut(outcome).into() };
        (*partition, record.key.as_deref().unwrap_or_default().to_vec(), mark.encode())
    }
}

/// What a record takes in the inbox: its key stands there twice.
pub(crate) fn size(read: &Read) -> usize {
    read.value.as_ref().map_or(0, Vec::len) + 2 * read.key.as_ref().map_or(0, Vec::len)
}
