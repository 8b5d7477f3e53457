//! Orders in, and the journal read: when an order was decided.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use ringmaster_bus::kafka::KafkaBus;
use ringmaster_bus::{Bus, BusEvent, Message, SendError, Sender, Topic, TopicPartition};
use ringmaster_demo::orders::{self, ORDERS, SAGA};
use ringmaster_schemas::avro::Schema;
use ringmaster_schemas::codec::{put_blob, put_long, put_text};
use ringmaster_schemas::journal::{Change, JournalRecord};
use ringmaster_schemas::names::{Topics, partition_of};
use ringmaster_schemas::wire::SINGLE_OBJECT;

/// What keys of parked orders begin with, and those of orders that are waited for.
const FILLED: &str = "p-";
const PROBE: &str = "probe-";
/// So many orders are placed before anything else is looked at.
const BURST: u64 = 4_000;
/// How long a turn waits: how late the bench sees what is there.
const WAIT: Duration = Duration::from_millis(1);
/// How long the broker may take for what takes no time.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client of the broker beside the coordinators.
pub(super) struct Client {
    bus: KafkaBus,
    /// What an order's bytes begin with.
    header: [u8; 10],
    partitions: i32,
    sender: Sender,
    orders: Topic,
    journal: Topic,
    /// Of the next order that is waited for.
    next_probe: u64,
}

impl Client {
    pub(super) fn new(mut bus: KafkaBus, schema: &Arc<Schema>, prefix: &str, partitions: i32) -> Result<Client> {
        let (orders, journal) = (bus.topic(ORDERS), bus.topic(&Topics::new(prefix).journal));
        let sender = bus.open_sender()?;
        let mut header = [0; 10];
        header[..2].copy_from_slice(&SINGLE_OBJECT);
        header[2..].copy_from_slice(&schema.fingerprint().to_le_bytes());
        Ok(Client { bus, header, partitions, sender, orders, journal, next_probe: 0 })
    }

    /// Places some of the orders from this number on, below `end`; the number of the next one.
    pub(super) fn place(&mut self, from: u64, end: u64) -> Result<u64> {
        let until = end.min(from + BURST);
        let keys = (from..until).map(|number| format!("{FILLED}{:016x}", mixed(number)));
        let mut burst: Vec<(i32, String)> = keys.map(|key| (partition_of(key.as_bytes(), self.partitions), key)).collect();
        // Alternating partitions costs the client.
        burst.sort_unstable();
        burst.iter().try_for_each(|(partition, key)| self.send(*partition, key))?;
        self.turn(&mut |_, _, _| {})?;
        Ok(until)
    }

    /// Lets what was sent go, for a while.
    pub(super) fn idle(&mut self) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(200) {
            self.turn(&mut |_, _, _| {})?;
        }
        Ok(())
    }

    fn send(&mut self, partition: i32, key: &str) -> Result<()> {
        let mut value = Vec::with_capacity(256);
        value.extend_from_slice(&self.header);
        put_order(key, &mut value);
        loop {
            let to = TopicPartition { topic: self.orders, partition };
            let message = Message { to, key: Some(key.as_bytes()), value: &value, headers: &[] };
            match self.bus.send(self.sender, message, 0) {
                Ok(()) => return Ok(()),
                Err(SendError::Full) => drop(self.turn(&mut |_, _, _| {})?),
                Err(why) => return Err(why.into()),
            }
        }
    }

    /// From now on the journal is read, from its end on.
    pub(super) fn watch(&mut self) -> Result<()> {
        let journal = self.journal;
        let at = move |partition| TopicPartition { topic: journal, partition };
        for partition in 0..self.partitions {
            self.bus.stop(at(partition));
            self.bus.ask_bounds(at(partition));
        }
        let mut ends = vec![None; self.partitions as usize];
        let begun = Instant::now();
        while ends.iter().any(Option::is_none) {
            let mut failed = None;
            self.bus.poll(WAIT, &mut |event| match event {
                BusEvent::Bounds { at, end, .. } if at.topic == journal => ends[at.partition as usize] = Some(end),
                BusEvent::Failed { why, .. } => failed = Some(why),
                _ => {}
            });
            if let Some(why) = failed {
                return Err(why.into());
            }
            if begun.elapsed() > PATIENCE {
                bail!("the broker does not say where the journal ends");
            }
        }
        for (end, partition) in ends.into_iter().flatten().zip(0..) {
            self.bus.read(at(partition), end);
        }
        Ok(())
    }

    /// Places an order in each of these partitions; the ids of their sagas. The broker has them when this returns.
    pub(super) fn probe(&mut self, partitions: &[i32]) -> Result<Vec<Arc<str>>> {
        let mut probes = Vec::new();
        for &partition in partitions {
            let key = self.next_key(partition);
            self.send(partition, &key)?;
            probes.push(format!("{SAGA}/{key}").into());
        }
        let (begun, mut acknowledged) = (Instant::now(), 0);
        while acknowledged < partitions.len() {
            acknowledged += self.turn(&mut |_, _, _| {})?;
            if begun.elapsed() > PATIENCE {
                bail!("the broker does not take an order within {} s", PATIENCE.as_secs());
            }
        }
        Ok(probes)
    }

    /// A key that no order has yet, and that lies in this partition.
    fn next_key(&mut self, partition: i32) -> String {
        loop {
            self.next_probe += 1;
            let key = orders::key(PROBE, self.next_probe);
            if partition_of(key.as_bytes(), self.partitions) == partition {
                return key;
            }
        }
    }

    /// Waits until the journal tells of each of these sagas; when it did.
    pub(super) fn decided(
        &mut self,
        sagas: &[Arc<str>],
        patience: Duration,
        mut still: impl FnMut() -> Result<()>,
    ) -> Result<Vec<Instant>> {
        let (begun, mut at) = (Instant::now(), vec![None; sagas.len()]);
        while at.iter().any(Option::is_none) {
            let (journal, mut wrong) = (self.journal, None);
            self.turn(&mut |topic, value, now| {
                if topic == journal {
                    match told_of(value) {
                        Ok(told) => note(&told, sagas, now, &mut at),
                        Err(why) => wrong = Some(why),
                    }
                }
            })?;
            if let Some(why) = wrong {
                bail!("a record of the journal: {why}");
            }
            still()?;
            if begun.elapsed() > patience {
                bail!("an order was not decided within {} s", patience.as_secs());
            }
        }
        Ok(at.into_iter().flatten().collect())
    }

    /// One poll; how many records were acknowledged.
    fn turn(&mut self, visit: &mut dyn FnMut(Topic, &[u8], Instant)) -> Result<usize> {
        let (mut failed, mut acknowledged) = (None, 0);
        self.bus.poll(WAIT, &mut |event| match event {
            BusEvent::Record(record) => visit(record.at.topic, record.value.unwrap_or_default(), Instant::now()),
            BusEvent::Acknowledged { .. } => acknowledged += 1,
            BusEvent::Failed { why, .. } => failed = Some(why),
            _ => {}
        });
        failed.map_or(Ok(acknowledged), |why| Err(why.into()))
    }
}

/// Appends the fields of an order (sagas/schemas/OrderPlaced.avsc). What is an order's own in life is random here, by its key: orders that
/// are all alike would be compressed to next to nothing, in the journal and in the store.
fn put_order(key: &str, out: &mut Vec<u8>) {
    let own = mixed(key.bytes().fold(7, |sum, byte| mixed(sum ^ u64::from(byte))));
    put_text(out, key);
    put_text(out, &format!("customer-{:016x}", mixed(own)));
    put_text(out, ["EU", "US", "JP"][(own % 3) as usize]);
    put_blob(out, &(500 + (own % 500_000) as i32).to_be_bytes());
    put_text(out, "EUR");
    put_long(out, 2);
    for item in 1..=2 {
        put_text(out, &format!("sku-{:08x}", mixed(own ^ item) as u32));
        put_long(out, 1 + ((own >> item) & 3) as i64);
    }
    // No more items, and no time.
    put_long(out, 0);
    put_long(out, 0);
}

/// A number that looks like any other; of two numbers never the same.
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The sagas that a record of the journal changes.
fn told_of(value: &[u8]) -> Result<Vec<Arc<str>>, String> {
    let Some(JournalRecord::Decision(decision)) = JournalRecord::read(value).map_err(|error| error.to_string())? else {
        return Ok(Vec::new());
    };
    let changes = decision.turns.into_iter().flat_map(|turn| turn.changes);
    Ok(changes.filter_map(|change| if let Change::Saga(change) = change { Some(change.saga) } else { None }).collect())
}

/// Notes when each saga was told of first.
fn note(told: &[Arc<str>], sagas: &[Arc<str>], now: Instant, at: &mut [Option<Instant>]) {
    for (saga, at) in sagas.iter().zip(at) {
        if told.contains(saga) {
            at.get_or_insert(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saga_is_decided_when_it_is_told_of_first() {
        let sagas: [Arc<str>; 2] = ["order-fulfilment/a".into(), "order-fulfilment/b".into()];
        let (first, mut at) = (Instant::now(), [None, None]);
        note(&["order-fulfilment/else".into()], &sagas, first, &mut at);
        assert_eq!(at, [None, None]);
        let (second, third) = (first + Duration::from_millis(1), first + Duration::from_millis(2));
        note(&[sagas[1].clone()], &sagas, second, &mut at);
        note(&sagas, &sagas, third, &mut at);
        assert_eq!(at, [Some(third), Some(second)]);
    }

    /// What is written by hand is what the schema says; no two are alike in what is their own.
    #[test]
    fn orders_fit_their_schema_and_differ() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../sagas/schemas");
        let schemas = ringmaster_schemas::registry::Schemas::load_folder(&folder).expect("schemas");
        let schema = schemas.named("OrderPlaced").expect("the order's");
        let order = |key: &str| {
            let mut bytes = Vec::new();
            put_order(key, &mut bytes);
            schema.validate(&bytes).expect("it fits");
            bytes
        };
        let (one, other) = (order("p-1"), order("p-2"));
        let same = one.iter().zip(&other).filter(|(one, other)| one == other).count();
        assert!(same < one.len() * 3 / 4, "{same} of {} bytes are the same", one.len());
        assert_eq!(one, order("p-1"));
        let keys: std::collections::BTreeSet<u64> = (0..10_000).map(mixed).collect();
        assert_eq!(keys.len(), 10_000);
    }

    #[test]
    fn what_is_no_decision_tells_of_nothing_and_damage_is_an_error() {
        assert_eq!(told_of(b""), Ok(Vec::new()), "a tombstone is nobody's");
        assert!(told_of(&[2, 2, 0xff]).is_err());
    }
}
