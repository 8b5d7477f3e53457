//! The control topic read backwards: the newest act of all partitions first, some records of a partition at a time.

use std::collections::BTreeMap;
use std::time::Instant;

use ringmaster_bus::{Bus, BusError};

use super::{Asked, Found};
use crate::blocking;

/// Records of a partition that are read at once: a page is mostly found in one go.
const CHUNK: i64 = 256;

/// Where it is.
pub(super) struct Backwards {
    topic: String,
    lanes: BTreeMap<i32, Lane>,
}

/// Where it is in a partition.
struct Lane {
    /// The oldest offset that is asked for.
    start: i64,
    /// All from here on has been read.
    read_to: i64,
    /// Those that are meant and not told yet, the newest last.
    held: Vec<Found>,
    /// All from here on has been told.
    told_to: i64,
    /// It was read for this page: each is at least once, so that each page goes on.
    is_read: bool,
}

impl Backwards {
    pub(super) fn begin(bus: &mut impl Bus, topic: &str, asked: &Asked<'_>) -> Result<Backwards, BusError> {
        let bounds = blocking::bounds_each(bus, topic, asked.partitions.iter().copied())?;
        let mut since = BTreeMap::new();
        if let Some(time) = asked.filter.since {
            for &partition in asked.partitions {
                since.insert(partition, blocking::offset_at(bus, topic, partition, time)?);
            }
        }
        let lane = |(partition, (oldest, end)): (i32, (i64, i64))| {
            // A cursor says up to where; what came since is no part of its list.
            let end = asked.from.as_ref().map_or(end, |from| from.ends.get(&partition).map_or(oldest, |told| end.min(*told)));
            let start = since.get(&partition).map_or(oldest, |since| oldest.max(*since));
            let end = end.max(start);
            (partition, Lane { start, read_to: end, held: Vec::new(), told_to: end, is_read: false })
        };
        Ok(Backwards { topic: topic.to_owned(), lanes: bounds.into_iter().map(lane).collect() })
    }

    /// Those that are meant, the newest first, and whether there are no more.
    pub(super) fn gather(&mut self, bus: &mut impl Bus, asked: &Asked<'_>, until: Instant) -> Result<(Vec<Found>, bool), BusError> {
        let (mut found, mut left) = (Vec::new(), asked.bounds.control);
        while found.len() < asked.bounds.acts {
            // Which is the newest is known when each partition shows one, or has none.
            for (partition, lane) in &mut self.lanes {
                while lane.held.is_empty() && lane.read_to > lane.start {
                    if lane.is_read && (left == 0 || Instant::now() >= until) {
                        return Ok((found, false));
                    }
                    left = left.saturating_sub(lane.read_more(bus, (&self.topic, *partition), asked, left)?);
                }
            }
            let newest = |lane: &&mut Lane| lane.held.last().map(|held| (held.timestamp, held.partition));
            let Some(lane) = self.lanes.values_mut().filter(|lane| !lane.held.is_empty()).max_by_key(newest) else {
                return Ok((found, true));
            };
            let next = lane.held.pop().expect("it has one");
            lane.told_to = next.offset;
            found.push(next);
        }
        let is_done = self.lanes.values().all(|lane| lane.held.is_empty() && lane.read_to <= lane.start);
        Ok((found, is_done))
    }

    /// These are not told after all: they are the last ones that were gathered.
    pub(super) fn give_back(&mut self, found: &[Found]) {
        for act in found {
            let lane = self.lanes.get_mut(&act.partition).expect("it came from there");
            lane.told_to = lane.told_to.max(act.offset + 1);
            // What is older and was read is read again.
            lane.read_to = lane.read_to.max(act.offset + 1);
        }
    }

    /// Up to where each partition is told.
    pub(super) fn ends(&self) -> BTreeMap<i32, i64> {
        let end = |lane: &Lane| if lane.held.is_empty() { lane.told_to.min(lane.read_to) } else { lane.told_to };
        self.lanes.iter().map(|(partition, lane)| (*partition, end(lane))).collect()
    }
}

impl Lane {
    /// Reads some records before those that were read; how many.
    fn read_more(
        &mut self,
        bus: &mut impl Bus,
        (topic, partition): (&str, i32),
        asked: &Asked<'_>,
        most: usize,
    ) -> Result<usize, BusError> {
        let from = self.start.max(self.read_to - CHUNK.min(i64::try_from(most.max(1)).unwrap_or(CHUNK)));
        let (to, mut count, mut held) = (self.read_to, 0, Vec::new());
        blocking::read_from(bus, topic, (partition, from), &mut |read| {
            if read.offset >= to {
                return false;
            }
            count += 1;
            let is_last = read.offset + 1 >= to;
            let found = Found::of(&read);
            if asked.filter.is_meant(&found.shown) {
                held.push(found);
            }
            !is_last
        })?;
        (self.held, self.read_to, self.is_read) = (held, from, true);
        Ok(count.max(1))
    }
}
