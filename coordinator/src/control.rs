//! Records of the control topic: how they are sent, and how what became of them is found in the journal.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use ringmaster_bus::{Bus, BusError};
use ringmaster_core::intake::ControlRecord;
use ringmaster_schemas::journal::{Cause, Change, JournalRecord, Opens, Rejected, SagaEvent, TopicId, Turn};
use ringmaster_schemas::names::Topics;

use crate::blocking;

/// How many partitions the control topic has: these settings may be others than the coordinator's.
pub(crate) fn partitions(bus: &mut impl Bus, topics: &Topics) -> Result<i32, BusError> {
    let found = bus.describe(&[&topics.control])?.into_iter().next().flatten();
    found.map(|control| control.partitions).ok_or_else(|| missing(topics))
}

/// A record of the control topic: where it goes, by which key, and its bytes, which no other there has.
#[derive(Debug, Clone)]
pub struct Addressed {
    /// Its partition there.
    pub partition: i32,
    /// Its key.
    pub key: Vec<u8>,
    /// What it says.
    pub bytes: Vec<u8>,
}

/// What a partition made of a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// Where in its journal that stands.
    pub offset: i64,
    /// The turn that took it.
    pub turn: Turn,
}

/// Records that were sent, and from where on the journals tell what became of them.
#[derive(Debug)]
pub(crate) struct Sent {
    records: Vec<Addressed>,
    from: Vec<(i32, i64)>,
}

impl Sent {
    /// Where they went, in their order.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = i32> {
        self.records.iter().map(|record| record.partition)
    }
}

/// Sends records.
pub(crate) fn send(bus: &mut impl Bus, topics: &Topics, records: Vec<Addressed>) -> Result<Sent, BusError> {
    let ready = prepare(bus, topics, records)?;
    append(bus, topics, &ready)?;
    Ok(ready)
}

/// Looks where the journals end by now, before anything is sent.
fn prepare(bus: &mut impl Bus, topics: &Topics, records: Vec<Addressed>) -> Result<Sent, BusError> {
    let partitions: BTreeSet<i32> = records.iter().map(|record| record.partition).collect();
    let bounds = blocking::bounds_each(bus, &topics.journal, partitions.into_iter())?;
    Ok(Sent { records, from: bounds.into_iter().map(|(partition, (_, end))| (partition, end)).collect() })
}

fn append(bus: &mut impl Bus, topics: &Topics, ready: &Sent) -> Result<(), BusError> {
    let each = ready.records.iter().map(|record| (record.partition, record.key.clone(), record.bytes.clone()));
    blocking::append_each(bus, &topics.control, &each.collect::<Vec<_>>())
}

/// Why nothing is heard of records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unheard {
    /// For people.
    pub why: String,
    /// They may be in the topic all the same: sending them again might do it twice.
    pub may_be_sent: bool,
}

/// Sends records, and waits for what becomes of them, no longer than this.
pub(crate) fn bring(
    bus: &mut impl Bus,
    topics: &Topics,
    records: Vec<Addressed>,
    patience: Duration,
) -> Result<BTreeMap<usize, Answered>, Unheard> {
    let unheard = |may_be_sent| move |error: BusError| Unheard { why: error.to_string(), may_be_sent };
    let ready = prepare(bus, topics, records).map_err(unheard(false))?;
    append(bus, topics, &ready).map_err(|error| {
        let may_be_sent = ready.records.len() > 1 || !matches!(error, BusError::Refused(_));
        unheard(may_be_sent)(error)
    })?;
    wait(bus, topics, &ready, patience).map_err(unheard(true))
}

/// Reads the journal until each of these records has the turn that took it, but no longer than this; the turns by the records' places.
pub(crate) fn wait(
    bus: &mut impl Bus,
    topics: &Topics,
    sent: &Sent,
    patience: Duration,
) -> Result<BTreeMap<usize, Answered>, BusError> {
    let place = |(place, record)| {
        let Addressed { partition, bytes, .. }: &Addressed = record;
        ((*partition, &bytes[..]), place)
    };
    let places: HashMap<(i32, &[u8]), usize> = sent.records.iter().enumerate().map(place).collect();
    let mut found = BTreeMap::new();
    blocking::follow(bus, &topics.journal, &sent.from, patience, &mut |read| {
        if let Ok(JournalRecord::Decision(decision)) = JournalRecord::decode(read.value.as_deref().unwrap_or_default()) {
            for turn in decision.turns {
                let place = turn.input.as_ref().and_then(|input| places.get(&(read.partition, &*input.raw)).copied());
                if let Some(place) = place {
                    found.entry(place).or_insert(Answered { offset: read.offset, turn });
                }
            }
        }
        found.len() < sent.records.len()
    })?;
    Ok(found)
}

/// The id of the act on a saga that a turn took; none if it took something else, or an act without one.
pub(crate) fn act_id(turn: &Turn) -> Option<Cow<'_, str>> {
    ControlRecord::read(&turn.input.as_ref()?.raw).ok()?.id
}

/// Where what a turn took stands in the control topic; none: it took something else, or nothing. `topics`: those of its decision, by their
/// numbers there.
pub(crate) fn taken(turn: &Turn, topics: &[TopicId], control: &TopicId) -> Option<i64> {
    let Cause::Input { topic, next } = turn.cause else { return None };
    (topics.get(usize::try_from(topic).ok()?)? == control).then_some(next - 1)
}

/// The control topic's own id.
pub(crate) fn topic_id(bus: &mut impl Bus, topics: &Topics) -> Result<TopicId, BusError> {
    let found = bus.describe(&[&topics.control])?.into_iter().next().flatten();
    found.map(|control| control.id).ok_or_else(|| missing(topics))
}

fn missing(topics: &Topics) -> BusError {
    BusError::Refused(format!("there is no topic {}: run `ringmaster topics apply`", topics.control))
}

/// Why it was not taken, if so.
pub(crate) fn rejection(turn: &Turn) -> Option<&Rejected> {
    turn.changes.iter().find_map(|change| if let Change::Rejected(rejected) = change { Some(rejected) } else { None })
}

/// What became of an act that was taken.
pub(crate) fn became(id: &str, turn: &Turn) -> String {
    // Rows around it may be told of it in the same turn.
    let events = turn.changes.iter().filter_map(|change| match change {
        Change::Saga(saga) if *saga.saga == *id => Some(&saga.events),
        _ => None,
    });
    let events: Vec<&SagaEvent> = events.flatten().collect();
    match events.last() {
        Some(SagaEvent::StopRemembered { .. }) => {
            "remembered: its pivot is asked; if that is refused the saga is undone, and if it succeeds it is too late".to_owned()
        }
        Some(SagaEvent::Stuck { failure, .. } | SagaEvent::Entered { opens: Opens::Stuck { failure }, .. }) => {
            let message = failure.message.strip_prefix(&*failure.code).unwrap_or(&failure.message);
            format!(
                "done, and it is stuck at {}: {}{}{message}",
                failure.step,
                failure.code,
                if message.is_empty() || message.starts_with(':') { "" } else { " " }
            )
        }
        _ => "done".to_owned(),
    }
}
