//! What a bus promises of a sender, held against what is in the log.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use ringmaster_bus::kafka::{Client, KafkaBus, KafkaSettings};
use ringmaster_bus::{Bus, BusEvent, SendError, TopicPartition};

use crate::writer::{PATIENCE, Writer};

/// By partition, the values of all records, from offset 0 on.
pub(crate) fn everything(bootstrap: &str, topic: &str, partitions: i32) -> Vec<Vec<String>> {
    // Whatever wrote it, who judges is not ours.
    let passthrough = vec![(Client::SETTING.to_owned(), "librdkafka".to_owned())];
    let mut bus = KafkaBus::new(KafkaSettings { passthrough, ..KafkaSettings::new(bootstrap) }).expect("a bus");
    let topic = bus.topic(topic);
    let (mut there, mut ended) = (vec![Vec::new(); partitions as usize], BTreeSet::new());
    (0..partitions).for_each(|partition| bus.read(TopicPartition { topic, partition }, 0));
    let begun = Instant::now();
    while ended.len() < there.len() {
        assert!(begun.elapsed() < PATIENCE, "the ends of {ended:?} alone were reached");
        bus.poll(Duration::from_millis(100), &mut |event| match event {
            BusEvent::Record(record) => {
                let values = &mut there[record.at.partition as usize];
                assert_eq!(record.offset, values.len() as i64, "a gap in {:?}", record.at);
                values.push(String::from_utf8(record.value.expect("a value").to_vec()).expect("text"));
            }
            BusEvent::CaughtUp(at, _) => drop(ended.insert(at)),
            _ => {}
        });
    }
    there
}

/// Checks what a writer heard; returns what it was, for people.
pub(crate) fn judge(writer: &Writer, there: &[Vec<String>]) -> String {
    let (mut places, name) = (HashMap::new(), format!("{:?} ", writer.client));
    for (partition, values) in there.iter().enumerate() {
        // By sender, the last of its records.
        let mut last = BTreeMap::new();
        for (offset, tag) in values.iter().enumerate().filter_map(|(offset, value)| Some((offset, value.strip_prefix(&name)?))) {
            let tag: usize = tag.parse().expect("a number");
            let sent = &writer.all[tag];
            assert_eq!(sent.partition, partition, "{name}{tag} is where it was not sent to");
            let before = last.insert(sent.sender, tag);
            assert!(before.is_none_or(|before| before < tag), "{name}{tag} is behind {before:?}, partition {partition}");
            let twice = places.insert(tag, offset);
            assert_eq!(twice, None, "{name}{tag} is there twice, again at {offset} of partition {partition}");
        }
    }
    let (mut known, mut counts) = (0, BTreeMap::<_, usize>::new());
    for (tag, sent) in writer.all.iter().enumerate() {
        let place = places.get(&tag).copied();
        let what = match sent.outcome.as_ref().expect("it has an outcome") {
            Ok(Some(offset)) => {
                assert_eq!(place, Some(*offset as usize), "{name}{tag}: where it was acknowledged, partition {}", sent.partition);
                known += 1;
                "acknowledged"
            }
            Ok(None) => {
                assert!(place.is_some(), "{name}{tag} is acknowledged, and not there");
                "acknowledged without an offset"
            }
            Err(SendError::Unknown(_)) => "unknown",
            Err(SendError::Broken(_)) => "broken",
            Err(SendError::Refused(why) | SendError::TooBig(why)) => panic!("{name}{tag}: it was never refused: {why}"),
            Err(SendError::Full) => panic!("{name}{tag}: it was taken"),
        };
        *counts.entry(what).or_default() += 1;
    }
    assert!(known > writer.all.len() / 2, "{name}: few are acknowledged: {counts:?}");
    let reasons: BTreeSet<_> = writer.reasons.iter().collect();
    format!("{name}{counts:?}, {} senders broke, {} doubts: {reasons:#?}", writer.broken, writer.reasons.len())
}
