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

/// A record of the control topic: where it goes, by which key, and its bytes, which no other there has.
#[derive(Debug, Clone)]
pub(super) struct Addressed {
    pub(super) partition: i32,
    pub(super) key: Vec<u8>,
    pub(super) bytes: Vec<u8>,
}

/// Records that were sent, and from where on the journals tell what became of them.
#[derive(Debug)]
pub(super) struct Sent {
    records: Vec<Addressed>,
    from: Vec<(i32, i64)>,
}

impl Sent {
    /// Where they went, in their order.
    pub(super) fn partitions(&self) -> impl Iterator<Item = i32> {
        self.records.iter().map(|record| record.partition)
    }
}

/// Sends records.
pub(super) fn send(bus: &mut impl Bus, topics: &Topics, records: Vec<Addressed>) -> Result<Sent, Failure> {
    let partitions: BTreeSet<i32> = records.iter().map(|record| record.partition).collect();
    let bounds = blocking::bounds_each(bus, &topics.journal, partitions.into_iter())?;
    let all: Vec<_> = records.iter().map(|record| (record.partition, record.key.clone(), record.bytes.clone())).collect();
    blocking::append_each(bus, &topics.control, &all)?;
    Ok(Sent { records, from: bounds.into_iter().map(|(partition, (_, end))| (partition, end)).collect() })
}

/// Reads the journal until each of these records has the turn that took it, but no longer than this; the turns by the records' places.
pub(super) fn wait(bus: &mut impl Bus, topics: &Topics, sent: &Sent, patience: Duration) -> Result<BTreeMap<usize, Turn>, Failure> {
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
                    found.entry(place).or_insert(turn);
                }
            }
        }
        found.len() < sent.records.len()
    })?;
    Ok(found)
}

/// Why it was not taken, if so.
pub(super) fn rejection(turn: &Turn) -> Option<&Rejected> {
    turn.changes.iter().find_map(|change| if let Change::Rejected(rejected) = change { Some(rejected) } else { None })
}
