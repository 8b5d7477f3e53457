//! The records of a topic between two times: visited in the order of their places, and brought by these.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ringmaster_bus::{Bus, BusError};
use ringmaster_schemas::Millis;

use super::Missing;
use crate::blocking::{self, Read};
use crate::redrive::{Hand, Inbox, Place, Told, size, sources};

/// Records of a topic between two times, from a place on.
#[derive(Debug, Clone, Copy)]
pub struct Range<'a> {
    /// The topic.
    pub topic: &'a str,
    /// From this time on, by the records' own times.
    pub from: Millis,
    /// Up to this time, exclusive.
    pub to: Millis,
    /// Those before this place were visited.
    pub begin: Place,
}

/// How far a range was visited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visited {
    /// There is no such topic.
    NoTopic,
    /// To its end.
    All,
    /// Up to this record, which the visitor did not want.
    UpTo(Place),
}

/// Visits the records of a range, partition by partition, until the visitor does not want one. It is given the offset at which the range
/// ends in this partition, too.
pub(crate) fn visit_range(
    bus: &mut impl Bus,
    range: Range<'_>,
    wants: &mut dyn FnMut(&Read, i64) -> bool,
) -> Result<Visited, BusError> {
    let Range { topic, from, to, begin } = range;
    let Some(described) = bus.describe(&[topic])?.into_iter().next().flatten() else { return Ok(Visited::NoTopic) };
    let first = blocking::offsets_at(bus, topic, described.partitions, from)?;
    let end = blocking::offsets_at(bus, topic, described.partitions, to)?;
    for (partition, (first, end)) in (0..).zip(first.into_iter().zip(end)).filter(|(partition, _)| *partition >= begin.0) {
        let first = if partition == begin.0 { first.max(begin.1) } else { first };
        if first >= end {
            continue;
        }
        let mut unwanted = None;
        blocking::read_from(bus, topic, (partition, first), &mut |read| {
            if read.offset < end && !wants(&read, end) {
                unwanted = Some((partition, read.offset));
            }
            unwanted.is_none() && read.offset + 1 < end
        })?;
        if let Some(place) = unwanted {
            return Ok(Visited::UpTo(place));
        }
    }
    Ok(Visited::All)
}

impl Hand<'_> {
    /// Brings these records of a topic, and waits no longer than this for what becomes of them. Tells of each, in their order.
    pub(crate) fn bring_missing(
        &self,
        bus: &mut impl Bus,
        (inbox, topic): (&Inbox, &Arc<str>),
        missing: &[Missing],
        (accept_old, patience): (bool, Duration),
    ) -> Result<Vec<Told>, BusError> {
        let (mut places, mut found): (BTreeMap<i32, Vec<i64>>, BTreeMap<Place, Read>) = Default::default();
        missing.iter().for_each(|missing| places.entry(missing.partition).or_default().push(missing.offset));
        for (partition, offsets) in places {
            let read = sources::read_places(bus, topic, partition, offsets)?;
            found.extend(read.into_iter().map(|(offset, read)| ((partition, offset), read)));
        }
        let (mut brought, mut not_sent) = (Vec::new(), Vec::new());
        for Missing { partition, offset, .. } in missing {
            let read = found.remove(&(*partition, *offset)).ok_or_else(|| "it lies there no more".to_owned());
            let refused = |read: Read| inbox.refuses(size(&read)).map_or(Ok(read), Err);
            not_sent.push(read.and_then(refused).map(|read| brought.push(self.redriven(topic, read, accept_old, None))).err());
        }
        let mut became = inbox.bring(bus, &brought, patience)?.into_iter();
        let told = |(Missing { partition, offset, .. }, not_sent): (&Missing, Option<String>)| {
            let from = format!("{topic}/{partition}/{offset}");
            match not_sent {
                Some(why) => Told::not_sent(None, from, &why),
                None => Told::of(None, from, &became.next().expect("one for each that was brought")),
            }
        };
        Ok(missing.iter().zip(not_sent).map(told).collect())
    }
}
