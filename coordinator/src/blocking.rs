//! Reading a topic to its end, and appending to one: for start-up and for tools, which may wait.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ringmaster_bus::{Bus, BusError, BusEvent, Message, Record, SendError, TopicPartition};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::RoutedHeader;
use ringmaster_schemas::names;

/// How long a broker may take to answer before a tool gives up.
const PATIENCE: Duration = Duration::from_secs(30);
/// The same, once it has said why it cannot: a leader that moves is found sooner.
const PATIENCE_WHEN_UNREADABLE: Duration = Duration::from_secs(10);
/// How often a partition is read from its beginning before it is an error that it begins elsewhere by then.
pub(crate) const TRIES: u32 = 10;
const POLL: Duration = Duration::from_millis(50);

/// A record that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// When it was written, in milliseconds since 1970.
    pub timestamp: i64,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Option<Vec<u8>>,
    /// Those of its headers that say something of an event.
    pub headers: Vec<RoutedHeader>,
}

impl Read {
    fn of(record: &Record<'_>) -> Read {
        let header = |name: &&str| {
            let value = Bytes::copy_from_slice(record.headers?.find(name)?);
            Some(RoutedHeader { name: (*name).into(), value })
        };
        Read {
            partition: record.at.partition,
            offset: record.offset,
            timestamp: record.timestamp,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: names::EVENT_HEADERS.iter().filter_map(header).collect(),
        }
    }
}

/// Visits all records that a partition of a topic holds now, and perhaps a few that come meanwhile, from its oldest, until the visitor
/// says `false`.
pub fn read_to_end(bus: &mut impl Bus, topic: &str, partition: i32, visit: &mut dyn FnMut(Read) -> bool) -> Result<(), BusError> {
    read_within(bus, topic, (partition, 0), PATIENCE_WHEN_UNREADABLE, visit)
}

/// The same from an offset on, or from the oldest behind it.
pub fn read_from(bus: &mut impl Bus, topic: &str, from: (i32, i64), visit: &mut dyn FnMut(Read) -> bool) -> Result<(), BusError> {
    read_within(bus, topic, from, PATIENCE_WHEN_UNREADABLE, visit)
}

fn read_within(
    bus: &mut impl Bus,
    topic: &str,
    (partition, from): (i32, i64),
    unreadable_max: Duration,
    visit: &mut dyn FnMut(Read) -> bool,
) -> Result<(), BusError> {
    let at = TopicPartition { topic: bus.topic(topic), partition };
    let (mut tries, mut tried) = (0, None);
    loop {
        let known = bounds(bus, at)?;
        let begin = known.0.max(from);
        tries += 1;
        // No beginning that moved: it lost its end, or is another topic of that name.
        if tried == Some(begin) {
            return Err(BusError::Refused(format!(
                "{topic}: it has no offset {begin} any more: it goes from {} to {}",
                known.0, known.1
            )));
        }
        tried = Some(begin);
        match read_known(bus, at, (begin, known.1), unreadable_max, visit) {
            // As if it had been asked a moment later.
            Err(Unread::Moved) if tries < TRIES => {}
            Err(Unread::Moved) => {
                return Err(BusError::Refused(format!("{topic}: its beginning moves faster than it can be read")));
            }
            Err(Unread::Failed(error)) => return Err(error),
            Ok(()) => return Ok(()),
        }
    }
}

/// Why a partition was not read to its end.
enum Unread {
    /// Its oldest records were deleted between the question where it begins and the reading: none was visited.
    Moved,
    /// Anything else.
    Failed(BusError),
}

fn read_known(
    bus: &mut impl Bus,
    at: TopicPartition,
    (mut next, end): (i64, i64),
    unreadable_max: Duration,
    visit: &mut dyn FnMut(Read) -> bool,
) -> Result<(), Unread> {
    if next >= end {
        return Ok(());
    }
    let topic = bus.name_of(at.topic).to_owned();
    bus.read(at, next);
    let (mut more, mut trouble, mut unreadable, mut is_begun, mut has_moved) = (true, None, None, false, false);
    let mut since = Instant::now();
    while next < end && more && trouble.is_none() && !has_moved {
        let before = next;
        bus.poll(POLL, &mut |event| match event {
            BusEvent::Record(record) if record.at == at && more => {
                (next, is_begun) = (record.offset + 1, true);
                more = visit(Read::of(&record));
            }
            BusEvent::CaughtUp(caught, offset) if caught == at => next = next.max(offset),
            BusEvent::OutOfRange { at: lost, .. } if lost == at && !is_begun => has_moved = true,
            BusEvent::OutOfRange { at: lost, position } if lost == at => {
                trouble = Some(BusError::Refused(format!("{topic}: offset {position} vanished while it was read")));
            }
            BusEvent::Unreadable(of, why) if of == at => unreadable = Some(why),
            _ => {}
        });
        if next > before {
            (since, unreadable) = (Instant::now(), None);
        } else if let Some(why) = unreadable.take_if(|_| since.elapsed() >= unreadable_max) {
            trouble = Some(BusError::Refused(format!("{topic}: it cannot be read from offset {next} of {end} on: {why}")));
        } else if since.elapsed() > PATIENCE {
            trouble =
                Some(BusError::Unreachable(format!("{topic}: no record for {} s at offset {next} of {end}", PATIENCE.as_secs())));
        }
    }
    bus.stop(at);
    match trouble {
        _ if has_moved => Err(Unread::Moved),
        Some(error) => Err(Unread::Failed(error)),
        None => Ok(()),
    }
}

/// Visits what these partitions (each from an offset on) hold and what comes to them, all at once, until the visitor says `false`, or
/// this time is over.
pub fn follow(
    bus: &mut impl Bus,
    topic: &str,
    from: &[(i32, i64)],
    patience: Duration,
    visit: &mut dyn FnMut(Read) -> bool,
) -> Result<(), BusError> {
    let topic_id = bus.topic(topic);
    let place = |partition: i32| TopicPartition { topic: topic_id, partition };
    from.iter().for_each(|(partition, offset)| bus.read(place(*partition), *offset));
    let (since, mut more, mut trouble, mut unreadable) = (Instant::now(), !from.is_empty(), None, None);
    while more && trouble.is_none() {
        bus.poll(POLL, &mut |event| match event {
            BusEvent::Record(record) if record.at.topic == topic_id && more => {
                unreadable = None;
                more = visit(Read::of(&record));
            }
            BusEvent::CaughtUp(at, _) if at.topic == topic_id => unreadable = None,
            BusEvent::OutOfRange { at, position } if at.topic == topic_id => {
                trouble = Some(BusError::Refused(format!("{topic}: offset {position} vanished while it was read")));
            }
            BusEvent::Unreadable(at, why) if at.topic == topic_id => {
                unreadable = Some(BusError::Refused(format!("{topic}: partition {} cannot be read: {why}", at.partition)));
            }
            _ => {}
        });
        if since.elapsed() >= patience {
            break;
        }
    }
    from.iter().for_each(|(partition, _)| bus.stop(place(*partition)));
    match trouble.or(unreadable.filter(|_| more)) {
        Some(error) => Err(error),
        None if more => bounds_each(bus, topic, from.iter().map(|(partition, _)| *partition)).map(|_| ()),
        None => Ok(()),
    }
}

/// What a partition holds: its oldest offset, and the one that the next record gets.
pub fn bounds(bus: &mut impl Bus, at: TopicPartition) -> Result<(i64, i64), BusError> {
    let topic = bus.name_of(at.topic).to_owned();
    Ok(bounds_each(bus, &topic, std::iter::once(at.partition))?.remove(&at.partition).expect("it was asked for"))
}

/// The same of several partitions of a topic, by their numbers.
pub fn bounds_each(
    bus: &mut impl Bus,
    topic: &str,
    partitions: impl Iterator<Item = i32>,
) -> Result<BTreeMap<i32, (i64, i64)>, BusError> {
    let topic_id = bus.topic(topic);
    let mut missing: BTreeSet<i32> = partitions.collect();
    missing.iter().for_each(|partition| bus.ask_bounds(TopicPartition { topic: topic_id, partition: *partition }));
    let (mut since, mut found) = (Instant::now(), BTreeMap::new());
    while !missing.is_empty() {
        let before = missing.len();
        bus.poll(POLL, &mut |event| {
            if let BusEvent::Bounds { at, start, end } = event
                && at.topic == topic_id
                && missing.remove(&at.partition)
            {
                found.insert(at.partition, (start, end));
            }
        });
        if missing.len() < before {
            since = Instant::now();
        } else if since.elapsed() > PATIENCE {
            return Err(BusError::Unreachable(format!("{topic}: no answer for {} s", PATIENCE.as_secs())));
        }
    }
    Ok(found)
}

/// The first offset of each partition of a topic with a record of this time or later, or its end.
pub fn offsets_at(bus: &mut impl Bus, topic: &str, partitions: i32, time: Millis) -> Result<Vec<i64>, BusError> {
    offsets_of(bus, topic, 0..partitions, time)
}

/// The same of one of its partitions.
pub fn offset_at(bus: &mut impl Bus, topic: &str, partition: i32, time: Millis) -> Result<i64, BusError> {
    Ok(offsets_of(bus, topic, partition..partition + 1, time)?[0])
}

fn offsets_of(bus: &mut impl Bus, topic: &str, partitions: Range<i32>, time: Millis) -> Result<Vec<i64>, BusError> {
    let topic_id = bus.topic(topic);
    let mut found: Vec<Option<i64>> = vec![None; partitions.len()];
    partitions.clone().for_each(|partition| bus.ask_offset_at(TopicPartition { topic: topic_id, partition }, time));
    let since = Instant::now();
    while found.iter().any(Option::is_none) {
        bus.poll(POLL, &mut |event| {
            if let BusEvent::OffsetAt { at, offset } = event
                && at.topic == topic_id
                && let Some(found) = usize::try_from(at.partition - partitions.start).ok().and_then(|place| found.get_mut(place))
            {
                *found = Some(offset);
            }
        });
        if since.elapsed() > PATIENCE {
            return Err(BusError::Unreachable(format!("{topic}: no answer for {} s", PATIENCE.as_secs())));
        }
    }
    Ok(found.into_iter().flatten().collect())
}

/// Appends records (key, value) to a partition, and waits until all are confirmed.
pub fn append(bus: &mut impl Bus, topic: &str, partition: i32, records: &[(Vec<u8>, Vec<u8>)]) -> Result<(), BusError> {
    let records: Vec<_> = records.iter().map(|(key, value)| (partition, key, value)).collect();
    append_all(bus, topic, &records)
}

/// Appends records (partition, key, value) to a topic, and waits until all are confirmed.
pub fn append_each(bus: &mut impl Bus, topic: &str, records: &[(i32, Vec<u8>, Vec<u8>)]) -> Result<(), BusError> {
    let records: Vec<_> = records.iter().map(|(partition, key, value)| (*partition, key, value)).collect();
    append_all(bus, topic, &records)
}

/// A record: its partition, key, value.
type Keyed<'a> = (i32, &'a Vec<u8>, &'a Vec<u8>);

fn append_all(bus: &mut impl Bus, topic: &str, records: &[Keyed<'_>]) -> Result<(), BusError> {
    if records.is_empty() {
        return Ok(());
    }
    let sender = bus.open_sender()?;
    let result = append_by(bus, sender, topic, records);
    bus.close_sender(sender);
    result.map_err(|why| {
        let told = format!("{topic}: {why}");
        match why {
            SendError::Unknown(_) | SendError::Broken(_) => BusError::Unreachable(told),
            SendError::Full | SendError::TooBig(_) | SendError::Refused(_) => BusError::Refused(told),
        }
    })
}

fn append_by(bus: &mut impl Bus, sender: ringmaster_bus::Sender, topic: &str, records: &[Keyed<'_>]) -> Result<(), SendError> {
    let topic = bus.topic(topic);
    let (mut sent, mut done, mut trouble) = (0, 0, None);
    let since = Instant::now();
    while done < records.len() {
        while let Some((partition, key, value)) = records.get(sent) {
            let to = TopicPartition { topic, partition: *partition };
            match bus.send(sender, Message { to, key: Some(key), value, headers: &[] }, sent as u64) {
                Ok(()) => sent += 1,
                Err(SendError::Full) => break,
                Err(why) => return Err(why),
            }
        }
        bus.poll(POLL, &mut |event| match event {
            BusEvent::Acknowledged { sender: by, .. } if by == sender => done += 1,
            BusEvent::Failed { sender: by, why, .. } if by == sender => trouble = Some(why),
            _ => {}
        });
        if let Some(why) = trouble.take() {
            return Err(why);
        }
        if since.elapsed() > PATIENCE {
            return Err(SendError::Unknown(format!(
                "{done} of {} records were confirmed within {} s",
                records.len(),
                PATIENCE.as_secs()
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
