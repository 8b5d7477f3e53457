//! Records of the control topic: how they are sent, and how what became of them is found in the journal.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use ringmaster_bus::Bus;
use ringmaster_schemas::journal::{Change, JournalRecord, Rejected, Turn};
use ringmaster_schemas::names::Topics;

use super::exit::{Exit, Failure};
use crate::blocking;
use crate::config::{BusKind, Config};

/// Nothing can be sent to a coordinator whose bus is its own.
pub(super) fn needs_kafka(config: &Config) -> Result<(), Failure> {
    if config.bus == BusKind::Kafka {
        return Ok(());
    }
    let why = "the embedded bus belongs to the coordinator's process, so that nothing can be sent to it: acts need Kafka";
    Err(Failure::new(Exit::Refused, why))
}

/// How many partitions the control topic has: these settings may be others than the coordinator's.
pub(super) fn partitions(bus: &mut impl Bus, topics: &Topics) -> Result<i32, Failure> {
    let found = bus.describe(&[&topics.control])?.into_iter().next().flatten();
    let missing = || format!("there is no topic {}: run `ringmaster topics apply`", topics.control);
    found.map(|control| control.partitions).ok_or_else(|| Failure::new(Exit::Refused, missing()))
}

/// A record that was sent: its partition, and from where on its journal tells what became of it.
pub(super) type Sent = (i32, i64);

/// Sends a record to these partitions of the control topic, the same to each.
pub(super) fn send(
    bus: &mut impl Bus,
    topics: &Topics,
    partitions: impl Iterator<Item = i32>,
    key: &[u8],
    bytes: &[u8],
) -> Result<Vec<Sent>, Failure> {
    let bounds = blocking::bounds_each(bus, &topics.journal, partitions)?;
    let records: Vec<_> = bounds.keys().map(|partition| (*partition, key.to_vec(), bytes.to_vec())).collect();
    blocking::append_each(bus, &topics.control, &records)?;
    Ok(bounds.into_iter().map(|(partition, (_, end))| (partition, end)).collect())
}

/// Reads the journal until each of these records has the turn that took it, but no longer than this; the turns by partition.
pub(super) fn wait(
    bus: &mut impl Bus,
    topics: &Topics,
    sent: &[Sent],
    bytes: &[u8],
    patience: Duration,
) -> Result<BTreeMap<i32, Turn>, Failure> {
    let mut found = BTreeMap::new();
    blocking::follow(bus, &topics.journal, sent, patience, &mut |read| {
        if let Ok(JournalRecord::Decision(decision)) = JournalRecord::decode(read.value.as_deref().unwrap_or_default()) {
            let is_ours = |turn: &Turn| turn.input.as_ref().is_some_and(|input| *input.raw == *bytes);
            if let Some(turn) = decision.turns.into_iter().find(is_ours) {
                found.entry(read.partition).or_insert(turn);
            }
        }
        found.len() < sent.len()
    })?;
    Ok(found)
}

/// An act on a saga: where it goes, by which key, and its record, which no other has.
#[derive(Debug, Clone)]
pub(super) struct Addressed {
    pub(super) partition: i32,
    pub(super) key: Vec<u8>,
    pub(super) bytes: Vec<u8>,
}

/// Sends acts, and reads the journal until each has the turn that took it, but no longer than this; the turns by their places.
pub(super) fn send_all(
    bus: &mut impl Bus,
    topics: &Topics,
    acts: &[Addressed],
    patience: Duration,
) -> Result<BTreeMap<usize, Turn>, Failure> {
    let partitions: BTreeSet<i32> = acts.iter().map(|act| act.partition).collect();
    let bounds = blocking::bounds_each(bus, &topics.journal, partitions.into_iter())?;
    let records: Vec<_> = acts.iter().map(|act| (act.partition, act.key.clone(), act.bytes.clone())).collect();
    blocking::append_each(bus, &topics.control, &records)?;
    let from: Vec<Sent> = bounds.into_iter().map(|(partition, (_, end))| (partition, end)).collect();
    let places: HashMap<&[u8], usize> = acts.iter().enumerate().map(|(place, act)| (&*act.bytes, place)).collect();
    let mut found = BTreeMap::new();
    blocking::follow(bus, &topics.journal, &from, patience, &mut |read| {
        if let Ok(JournalRecord::Decision(decision)) = JournalRecord::decode(read.value.as_deref().unwrap_or_default()) {
            for turn in decision.turns {
                let place = turn.input.as_ref().and_then(|input| places.get(&*input.raw).copied());
                if let Some(place) = place {
                    found.entry(place).or_insert(turn);
                }
            }
        }
        found.len() < acts.len()
    })?;
    Ok(found)
}

/// Why it was not taken, if so.
pub(super) fn rejection(turn: &Turn) -> Option<&Rejected> {
    turn.changes.iter().find_map(|change| if let Change::Rejected(rejected) = change { Some(rejected) } else { None })
}
