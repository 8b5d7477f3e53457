//! What people have done: acts as they stand in the control topic, the newest first, and what became of each, as the journal says.
//!
//! ```text
//! control topic, backwards from its ends -> acts that are meant -> the turn that took each, looked for in the journal by its time -> a page
//! ```
//!
//! The control topic holds acts alone: what is read goes by how many acts there were, and not by how much the journal holds. It keeps them as
//! long as its retention says, seven days by default.

mod backwards;
mod became;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ringmaster_bus::{Bus, BusError};
use ringmaster_core::intake::{ControlRecord, ParticipantRecord, beginning};
use ringmaster_schemas::Millis;
use ringmaster_schemas::names::{Topics, murmur2};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::api::written;
use crate::blocking::Read;
use backwards::Backwards;
use became::{Became, Journals};

/// Acts of a page, where nothing is said.
pub const LIMIT_USUAL: usize = 50;
/// And at most.
pub const LIMIT_MAX: usize = 200;

/// A page of what people have done, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ActPage {
    /// The acts. One on a participant stands here once for each partition, since each decides about it by itself.
    pub items: Vec<ActLine>,
    /// Asks for the next page; null: there is none.
    pub next_cursor: Option<String>,
    /// False: the page ended before it was full, since it reads so much only. The next one goes on.
    pub complete: bool,
}

/// An act, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ActLine {
    /// When it was sent.
    pub at: String,
    /// Its partition, of the control topic and of the journal.
    pub partition: i32,
    /// Where it stands in the control topic.
    pub control_offset: i64,
    /// What tells it from all others; null where its sender gave none.
    pub act_id: Option<String>,
    /// What was asked for, such as cancel; pause and resume are also of participants. unreadable: the record is no act.
    pub act: String,
    /// The saga that it was for.
    pub saga: Option<String>,
    /// The participant that it was for.
    pub participant: Option<String>,
    /// The step that it named.
    pub step: Option<String>,
    /// The last turn of the saga that whoever acted had seen.
    pub if_turn: Option<i64>,
    /// Who.
    pub by: String,
    /// Why, in their words.
    pub why: String,
    /// done; rejected; quarantined (it could not be read); open: nobody has taken it yet; unknown: its turn was not found, `detail` says why.
    pub outcome: String,
    /// Of what was not done: why, for programs.
    pub reason: Option<String>,
    /// The same in words; of what was done, what came of it.
    pub detail: String,
    /// Where in the journal that stands.
    pub offset: Option<i64>,
}

/// Which acts are meant: those for which all of this is true.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    /// On this saga.
    pub saga: Option<String>,
    /// On this participant.
    pub participant: Option<String>,
    /// By this name.
    pub by: Option<String>,
    /// Not before this time.
    pub since: Option<Millis>,
}

/// How much one page reads.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Acts that are found.
    pub acts: usize,
    /// Records of the control topic that are looked at.
    pub control: usize,
    /// Records of the journal in which what became of them is looked for.
    pub journal: usize,
    /// So long for all of it.
    pub time: Duration,
}

impl Bounds {
    /// Of a page that is asked for over HTTP.
    pub const USUAL: Bounds = Bounds { acts: LIMIT_USUAL, control: 5_000, journal: 20_000, time: Duration::from_secs(4) };
}

/// Of a text of an act so many bytes are told.
const TEXT_BYTES_MAX: usize = 1_024;

/// Where a page ended: behind which offset (exclusive) each partition has been told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    of: u32,
    ends: BTreeMap<i32, i64>,
}

impl Place {
    fn mark(filter: &Filter) -> u32 {
        let Filter { saga, participant, by, since: _ } = filter;
        murmur2(format!("{saga:?} {participant:?} {by:?}").as_bytes())
    }

    fn written(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).expect("numbers are always JSON"))
    }

    /// Reads a cursor; none of anything else, and of another filter's.
    pub fn read(text: &str, filter: &Filter) -> Option<Place> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        serde_json::from_slice(&bytes).ok().filter(|place: &Place| place.of == Place::mark(filter))
    }
}

/// Which page is asked for.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    /// Of these partitions.
    pub partitions: &'a [i32],
    /// Those that are meant.
    pub filter: &'a Filter,
    /// Where the page before ended.
    pub from: Option<Place>,
    /// How much it reads.
    pub bounds: Bounds,
}

/// A record of the control topic that is meant: what is shown of it. Its value may be large, and a page reads many ahead.
struct Found {
    partition: i32,
    offset: i64,
    timestamp: Millis,
    shown: ActLine,
}

/// Reads a page.
pub fn page(bus: &mut impl Bus, topics: &Topics, asked: &Asked<'_>) -> Result<ActPage, BusError> {
    let until = Instant::now() + asked.bounds.time;
    let mut backwards = Backwards::begin(bus, &topics.control, asked)?;
    let (found, is_done) = backwards.gather(bus, asked, until)?;
    let mut journals = Journals::begin(bus, topics, &found, (asked.bounds.journal, until))?;
    let mut items = Vec::new();
    for number in 0..found.len() {
        let Some(Became { outcome, reason, detail, offset }) = journals.find(bus, &found[number..], number == 0)? else { break };
        items.push(ActLine { outcome: outcome.to_owned(), reason, detail, offset, ..found[number].shown.clone() });
    }
    // What was not looked for in the journal is on the next page.
    backwards.give_back(&found[items.len()..]);
    let is_whole = items.len() == found.len();
    let is_done = is_done && is_whole;
    Ok(ActPage {
        next_cursor: (!is_done).then(|| Place { of: Place::mark(asked.filter), ends: backwards.ends() }.written()),
        complete: is_done || items.len() >= asked.bounds.acts,
        items,
    })
}

impl Filter {
    fn is_meant(&self, act: &ActLine) -> bool {
        let is = |wanted: &Option<String>, said: Option<&str>| wanted.as_deref().is_none_or(|wanted| Some(wanted) == said);
        let by = Some(&*act.by).filter(|by| !by.is_empty());
        is(&self.saga, act.saga.as_deref()) && is(&self.participant, act.participant.as_deref()) && is(&self.by, by)
    }
}

/// What a record says.
enum Said<'a> {
    Saga(ControlRecord<'a>),
    Participant(ParticipantRecord<'a>),
    Nothing,
}

impl<'a> Said<'a> {
    fn read(value: &'a [u8]) -> Said<'a> {
        match ParticipantRecord::read(value) {
            Ok(Some(act)) => Said::Participant(act),
            Ok(None) => ControlRecord::read(value).map_or(Said::Nothing, Said::Saga),
            Err(_) => Said::Nothing,
        }
    }
}

impl ActLine {
    /// What a record says. What became of it is not said.
    fn of(read: &Read) -> ActLine {
        let word =
            |value: serde_json::Result<Value>| value.ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default();
        // What people write by hand may be of any length.
        let cut = |text: Cow<'_, str>| beginning(&text, TEXT_BYTES_MAX).to_owned();
        let mut line = ActLine {
            at: written(read.timestamp),
            partition: read.partition,
            control_offset: read.offset,
            act_id: None,
            act: "unreadable".to_owned(),
            saga: None,
            participant: None,
            step: None,
            if_turn: None,
            by: String::new(),
            why: String::new(),
            outcome: String::new(),
            reason: None,
            detail: String::new(),
            offset: None,
        };
        match Said::read(read.value.as_deref().unwrap_or_default()) {
            Said::Saga(act) => {
                line.act = word(serde_json::to_value(act.act));
                (line.saga, line.step, line.if_turn) = (Some(cut(act.saga)), act.step.map(cut), act.if_turn);
                (line.act_id, line.by, line.why) = (act.id.map(cut), cut(act.by), cut(act.why));
            }
            Said::Participant(act) => {
                line.act = word(serde_json::to_value(act.act));
                line.participant = Some(cut(act.participant));
                (line.act_id, line.by, line.why) = (act.id.map(cut), cut(act.by), cut(act.why));
            }
            Said::Nothing => {}
        }
        line
    }
}

impl Found {
    fn of(read: &Read) -> Found {
        Found { partition: read.partition, offset: read.offset, timestamp: read.timestamp, shown: ActLine::of(read) }
    }
}
