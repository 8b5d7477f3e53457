//! What happened to a saga, told from the journal itself, in pages.
//!
//! ```text
//! the row's turns, or else all records of the saga's partition -> those that count -> this saga's events -> words, up to a bound
//! ```
//!
//! Any instance, and the command line, reads any partition of the journal: it is the broker's. Only which records to read, the saga's row
//! tells, which its owner has.

mod place;
mod row;
mod story;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ringmaster_bus::{Bus, BusError, TopicPartition};
use ringmaster_core::definition::Catalog;
use ringmaster_core::saga::Versions;
use ringmaster_schemas::journal::{DefinitionHash, TopicId};
use ringmaster_schemas::names::Topics;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::blocking;
pub use place::Place;
pub use row::Row;
use story::Story;

/// Turns of a page, where nothing is said.
pub const LIMIT_USUAL: usize = 100;
/// And at most.
pub const LIMIT_MAX: usize = 500;

/// A page of what happened to a saga, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HistoryPage {
    /// Whose.
    pub saga: String,
    /// Its partition of the journal.
    pub partition: i32,
    /// What happened, a turn each. Several may stand at one offset.
    pub items: Vec<HistoryTurn>,
    /// Asks for the next page; null: there is no more.
    pub next_cursor: Option<String>,
    /// False: the page ended before it was full, since it reads so much only. The next one goes on.
    pub complete: bool,
    /// Where the journal begins, and that what happened before is gone; null if its beginning was told.
    pub gone: Option<String>,
    /// How it was read, in words.
    pub how: String,
}

/// One turn of a saga: why it was taken, and what happened in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HistoryTurn {
    /// The partition's time of the turn.
    pub at: String,
    /// Where in the journal it stands.
    pub offset: i64,
    /// In which partition of it.
    pub partition: i32,
    /// Why it was taken.
    pub cause: HistoryCause,
    /// What happened.
    pub events: Vec<HistoryEvent>,
    /// What was sent to others because of it, as soon as the turn was confirmed.
    pub sent: Vec<HistorySent>,
}

/// Why a turn was taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HistoryCause {
    /// input: a record came; routed: one came that lay in another partition; due: something of the saga was due; work: work was left;
    /// upkeep: the partition's own.
    pub kind: String,
    /// The same in words.
    pub text: String,
    /// The topic of the record, or its identity in hexadecimal where that topic is gone.
    pub topic: Option<String>,
    /// The record's partition there.
    pub partition: Option<i32>,
    /// The record's offset there.
    pub offset: Option<i64>,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HistoryEvent {
    /// One word for programs, such as asked, succeeded or stuck.
    pub event: String,
    /// The step that it is about, if it is about one.
    pub step: Option<String>,
    /// All of it, for people.
    pub text: String,
}

/// Something that was sent to others. What it says stays in the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HistorySent {
    /// command or event.
    pub kind: String,
    /// The command, or the event's type; null where the version of the definition is not known.
    pub name: Option<String>,
    /// The topic that it went to.
    pub topic: Option<String>,
    /// Of a command its idempotency key, of an event its `ce_id`.
    pub id: String,
    /// Of a command: which step it is of.
    pub step: Option<String>,
    /// It undoes the step.
    pub undo: bool,
    /// Of a command: which attempt, from 1.
    pub attempt: Option<u16>,
}

/// How much one page reads.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Turns.
    pub turns: usize,
    /// Records of the journal.
    pub records: usize,
    /// So long; none as long as it takes.
    pub time: Option<Duration>,
}

impl Bounds {
    /// Of a page that is asked for over HTTP.
    pub const USUAL: Bounds = Bounds { turns: LIMIT_USUAL, records: 20_000, time: Some(Duration::from_secs(3)) };
}

/// Which page is asked for.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    /// The saga's id.
    pub id: &'a str,
    /// The saga's partition.
    pub partition: i32,
    /// What the saga's row says; or why all of the partition is read.
    pub row: Result<&'a Row, String>,
    /// Where the page before ended.
    pub from: Option<Place>,
    /// How much it reads.
    pub bounds: Bounds,
}

/// Why there is no page.
#[derive(Debug)]
pub enum Trouble {
    /// The broker.
    Bus(BusError),
    /// A record of the journal, or the journal.
    Journal(String),
    /// The journal has nothing of the saga.
    Nothing(String),
    /// What the page before was read of is not there any more.
    Moved(String),
}

impl From<BusError> for Trouble {
    fn from(error: BusError) -> Trouble {
        Trouble::Bus(error)
    }
}

/// What is left of the bounds.
struct Budget {
    turns: usize,
    records: usize,
    until: Option<Instant>,
}

impl Budget {
    /// After a record: whether the page ends behind it.
    fn spend(&mut self, turns: usize) -> bool {
        self.records = self.records.saturating_sub(1);
        self.is_over(turns)
    }

    fn is_over(&self, turns: usize) -> bool {
        turns >= self.turns || self.records == 0 || self.until.is_some_and(|until| Instant::now() >= until)
    }
}

/// Reads a page. `watch` hears at which offset it is, and where the reading ends.
pub fn page(
    bus: &mut impl Bus,
    topics: &Topics,
    catalog: &Catalog,
    asked: &Asked<'_>,
    watch: &mut dyn FnMut(i64, i64),
) -> Result<HistoryPage, Trouble> {
    let versions = |hash: &DefinitionHash| Some((&**catalog.by_hash(hash)?, catalog.number_of(hash)?));
    let names = names_of_inputs(bus, topics, catalog)?;
    read(bus, &topics.journal, (&versions, names), asked, watch)
}

/// What inputs are called, by what the journal calls them.
fn names_of_inputs(bus: &mut impl Bus, own: &Topics, catalog: &Catalog) -> Result<BTreeMap<TopicId, String>, BusError> {
    let events = [catalog.input_topics(), catalog.listener_topics()].concat();
    let all: Vec<&str> = [&*own.replies, &own.control, &own.inbox].into_iter().chain(events.iter().map(|topic| &**topic)).collect();
    let described = bus.describe(&all)?;
    Ok(described.into_iter().flatten().map(|topic| (topic.id, topic.name)).collect())
}

/// Reads a page of this topic, by the names that its causes have.
fn read<'a>(
    bus: &mut impl Bus,
    topic: &str,
    (versions, names): (Versions<'a>, BTreeMap<TopicId, String>),
    asked: &Asked<'a>,
    watch: &mut dyn FnMut(i64, i64),
) -> Result<HistoryPage, Trouble> {
    let &Asked { id, partition, ref from, bounds, .. } = asked;
    let at = TopicPartition { topic: bus.topic(topic), partition };
    let journal = blocking::bounds(bus, at)?;
    let until = bounds.time.map(|time| Instant::now() + time);
    let mut reading = Reading {
        bus,
        place: (topic, partition),
        journal,
        budget: Budget { turns: bounds.turns, records: bounds.records, until },
        story: Story::of((id, partition), versions, names.clone(), from.clone()),
        watch,
    };
    if from.is_none() {
        reading.story.begins(journal.0);
    }
    let why = match (from.as_ref().and_then(|from| from.scan_for.clone()), &asked.row) {
        (Some(why), _) => why,
        (None, Ok(row)) => match reading.by_row(row)? {
            Ok(is_done) => return reading.page(is_done, None, row.said(journal.0)),
            // What was told already came from a row.
            Err(why) if from.is_some() => return Err(Trouble::Moved(why)),
            Err(why) => why,
        },
        (None, Err(why)) => why.clone(),
    };
    if from.is_none() {
        reading.story = Story::of((id, partition), versions, names, None);
        reading.story.begins(journal.0);
    }
    let is_done = reading.scan((journal.0, i64::MAX))?;
    let how = format!("read by a scan of the partition's journal ({why})");
    reading.page(is_done, Some(why), how)
}

/// Reading one page.
struct Reading<'a, 'b, B> {
    bus: &'b mut B,
    /// The journal, and its partition.
    place: (&'b str, i32),
    /// Where that begins and ends.
    journal: (i64, i64),
    budget: Budget,
    story: Story<'a>,
    watch: &'b mut dyn FnMut(i64, i64),
}

impl<B: Bus> Reading<'_, '_, B> {
    /// Reads what stands there, from where the story is if that is further, up to the end or to another offset; false if the page ends
    /// before that.
    fn scan(&mut self, (from, to): (i64, i64)) -> Result<bool, Trouble> {
        let Reading { bus, place: (topic, partition), journal, budget, story, watch } = self;
        let (from, end) = (from.max(story.next).max(journal.0), journal.1.min(to));
        if from >= end {
            return Ok(true);
        }
        if budget.is_over(story.turns.len()) {
            return Ok(false);
        }
        let (mut trouble, mut is_over) = (None, false);
        blocking::read_from(*bus, topic, (*partition, from), &mut |read| {
            if read.offset >= end {
                return false;
            }
            watch(read.offset, end);
            trouble = story.record(read.offset, read.value.as_deref().unwrap_or_default()).err();
            is_over = budget.spend(story.turns.len());
            trouble.is_none() && !is_over && read.offset + 1 < end
        })?;
        if let Some(why) = trouble {
            return Err(Trouble::Journal(format!("{topic}/{partition}: {why}")));
        }
        let is_done = !is_over || story.next >= end;
        if is_done {
            story.next = story.next.max(end);
        }
        Ok(is_done)
    }

    /// The page, and where the next one begins. `scan_for`: why the partition is scanned.
    fn page(self, is_done: bool, scan_for: Option<String>, how: String) -> Result<HistoryPage, Trouble> {
        let Reading { story, place: (_, partition), journal: (start, _), budget, .. } = self;
        let cut = format!("the journal of partition {partition} begins at offset {start}: what happened before is gone");
        let is_cut = start > 0 && !story.has_begun;
        if is_done && !story.has_told {
            let why = if start > 0 { format!("; {cut}") } else { String::new() };
            return Err(Trouble::Nothing(format!("the journal has nothing of '{}'{why}", story.id)));
        }
        Ok(HistoryPage {
            saga: story.id.to_owned(),
            partition,
            next_cursor: (!is_done).then(|| story.place(scan_for).written()),
            complete: is_done || story.turns.len() >= budget.turns,
            gone: (is_cut && story.has_told).then_some(cut),
            how,
            items: story.turns,
        })
    }
}
