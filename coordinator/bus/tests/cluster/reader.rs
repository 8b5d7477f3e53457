//! A reader beside the writers, and all that it was given.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use ringmaster_bus::kafka::{Client, KafkaBus, KafkaSettings};
use ringmaster_bus::{Bus, BusEvent, TopicPartition};

use crate::writer::PATIENCE;

/// A reader of all partitions from their beginning on.
pub(crate) struct Reader {
    client: Client,
    bus: KafkaBus,
    is_over: Arc<AtomicBool>,
    /// By partition, the values of all records, from offset 0 on.
    there: Vec<Vec<String>>,
}

impl Reader {
    pub(crate) fn new(bootstrap: &str, client: Client, topic: &str, partitions: i32) -> Self {
        let passthrough = vec![(Client::SETTING.to_owned(), format!("{client:?}").to_lowercase())];
        let mut bus = KafkaBus::new(KafkaSettings { passthrough, ..KafkaSettings::new(bootstrap) }).expect("a bus");
        let topic = bus.topic(topic);
        (0..partitions).for_each(|partition| bus.read(TopicPartition { topic, partition }, 0));
        Reader { client, bus, is_over: Arc::default(), there: vec![Vec::new(); partitions as usize] }
    }

    /// Set when nothing more is written.
    pub(crate) fn is_over(&self) -> Arc<AtomicBool> {
        self.is_over.clone()
    }

    /// Reads until it is over and each partition was read to its end since; all values, by partition. No record is missed or given
    /// twice, and no position is ever said to be out of range.
    pub(crate) fn run(mut self) -> Vec<Vec<String>> {
        let mut over_at = None;
        let mut ended = BTreeSet::new();
        while ended.len() < self.there.len() {
            let is_over = self.is_over.load(SeqCst);
            if is_over {
                let begun = over_at.get_or_insert_with(|| {
                    // What was said of ends before does not count: each partition is asked anew.
                    (0..).zip(&self.there).for_each(|(partition, values)| self.bus.read(at(partition), values.len() as i64));
                    Instant::now()
                });
                assert!(begun.elapsed() < PATIENCE, "{:?}: only the ends of {ended:?} were reached", self.client);
            }
            let Reader { client, bus, there, .. } = &mut self;
            bus.poll(Duration::from_millis(20), &mut |event| match event {
                BusEvent::Record(record) => {
                    let values = &mut there[record.at.partition as usize];
                    assert_eq!(record.offset, values.len() as i64, "{client:?}: a gap, or a repeat, in {:?}", record.at);
                    values.push(String::from_utf8(record.value.expect("a value").to_vec()).expect("text"));
                }
                BusEvent::CaughtUp(at, _) if is_over => drop(ended.insert(at.partition)),
                BusEvent::OutOfRange { at, position } => panic!("{client:?}: {position} is out of range in {at:?}"),
                BusEvent::Unreadable(at, why) => println!("{client:?}: {at:?} cannot be read for a while: {why}"),
                _ => {}
            });
        }
        self.there
    }
}

/// The only topic of its bus.
fn at(partition: i32) -> TopicPartition {
    TopicPartition { topic: ringmaster_bus::Topic(0), partition }
}
