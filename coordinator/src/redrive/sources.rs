//! Quarantined records as they lie in their own topics: whole, and with what the quarantine does not keep (their times, and the headers that
//! say which event each is).

use std::collections::BTreeMap;

use ringmaster_bus::{Bus, BusError};
use ringmaster_schemas::journal::Quarantined;
use sha2::{Digest as _, Sha256};

use crate::blocking::{self, Read};

/// Records that lie no further apart are read in one go.
const GAP_MAX: i64 = 1_000;

/// Each of these as it lies in its topic; or why it cannot be had, or is another one.
pub(crate) fn read_again(bus: &mut impl Bus, wanted: &[&Quarantined]) -> Result<Vec<Result<Read, String>>, BusError> {
    let mut places: BTreeMap<(&str, i32), Vec<i64>> = BTreeMap::new();
    for record in wanted {
        places.entry((&record.topic, record.partition)).or_default().push(record.offset);
    }
    let mut found = BTreeMap::new();
    for ((topic, partition), offsets) in places {
        let described = bus.describe(&[topic])?.into_iter().next().flatten();
        if described.is_some_and(|described| partition < described.partitions) {
            let read = read_places(bus, topic, partition, offsets)?;
            found.extend(read.into_iter().map(|(offset, read)| ((topic.to_owned(), partition, offset), read)));
        }
    }
    Ok(wanted.iter().map(|record| whole(record, found.get(&(record.topic.to_string(), record.partition, record.offset)))).collect())
}

/// What lies at these offsets of a partition that there is.
pub(crate) fn read_places(
    bus: &mut impl Bus,
    topic: &str,
    partition: i32,
    mut offsets: Vec<i64>,
) -> Result<BTreeMap<i64, Read>, BusError> {
    offsets.sort_unstable();
    let mut found = BTreeMap::new();
    for run in offsets.chunk_by(|before, after| after - before <= GAP_MAX) {
        let (first, last) = (run[0], run[run.len() - 1]);
        blocking::read_from(bus, topic, (partition, first), &mut |read| {
            let offset = read.offset;
            if run.binary_search(&offset).is_ok() {
                found.insert(offset, read);
            }
            offset < last
        })?;
    }
    Ok(found)
}

fn whole(record: &Quarantined, found: Option<&Read>) -> Result<Read, String> {
    let Quarantined { topic, partition, offset, .. } = record;
    let Some(read) = found else {
        return Err(format!(
            "it lies in {topic}/{partition} at offset {offset} no more, and with it went from when it is and which event it is: send it again, or start its saga by hand (`ringmaster act start`)"
        ));
    };
    if Sha256::digest(read.value.as_deref().unwrap_or_default())[..] != record.sha256[..] {
        return Err(format!("another record lies in {topic}/{partition} at offset {offset}: was the topic made again?"));
    }
    Ok(read.clone())
}

/// An answer needs neither time nor headers: what the quarantine keeps is enough, if it is all.
pub(crate) fn kept(record: &Quarantined) -> Option<Read> {
    let is_whole = record.raw.len() as i64 == record.length;
    is_whole.then(|| Read {
        partition: record.partition,
        offset: record.offset,
        timestamp: 0,
        key: record.key.as_ref().map(|key| key.to_vec()),
        value: Some(record.raw.to_vec()),
        headers: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use ringmaster_bus::Specification;
    use ringmaster_bus::sim::{Faults, SimBroker};
    use ringmaster_schemas::journal::QuarantineReason;

    use super::*;

    /// What is gone, or was made anew, is told; others go on.
    #[test]
    fn only_the_record_that_was_quarantined_is_taken() {
        let broker = SimBroker::new(1, 0, Faults::none());
        let mut bus = broker.client();
        bus.create(&Specification { name: "orders".to_owned(), partitions: 2, replication: 1, settings: vec![] }).expect("made");
        let long = vec![b'x'; 100_000];
        for value in [&b"first"[..], b"second", &long] {
            broker.put("orders", 1, Some(b"key"), value);
        }
        let of = |topic: &str, partition, offset, value: &[u8]| Quarantined {
            reason: QuarantineReason::Undecodable,
            detail: "".into(),
            topic: topic.into(),
            partition,
            offset,
            schema: None,
            key: None,
            raw: Bytes::new(),
            length: value.len() as i64,
            sha256: Bytes::copy_from_slice(&Sha256::digest(value)),
            at: 0,
        };
        let wanted = [
            of("orders", 1, 2, &long),
            of("orders", 1, 0, b"first"),
            of("orders", 1, 1, b"another"),
            of("orders", 1, 9, b"later"),
            of("orders", 7, 0, b"first"),
            of("gone", 0, 0, b"first"),
        ];
        let found = read_again(&mut bus, &wanted.iter().collect::<Vec<_>>()).expect("it is read");
        let told: Vec<_> = found.iter().map(|found| found.as_ref().map(|read| read.value.as_ref().map_or(0, Vec::len))).collect();
        assert_eq!((told[0], told[1]), (Ok(100_000), Ok(5)));
        assert!(told[2].as_ref().is_err_and(|why| why.starts_with("another record lies in orders/1 at offset 1")), "{told:?}");
        assert!(told[3..].iter().all(|told| told.as_ref().is_err_and(|why| why.contains("no more"))), "{told:?}");
        assert_eq!(found[1].as_ref().expect("it is there").key.as_deref(), Some(&b"key"[..]));
    }
}
