//! Which records of a topic lie in quarantine, as its topic is read.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use ringmaster_schemas::journal::{QuarantineMark, Quarantined};

use crate::redrive::Place;

/// Records of one topic that lie in quarantine, as far as that was read.
pub(crate) struct InQuarantine<'a> {
    topic: &'a str,
    /// Where each lies there, and where it came from.
    entries: BTreeMap<Place, Place>,
    /// What was redriven or discarded.
    marked: HashSet<Place>,
}

impl<'a> InQuarantine<'a> {
    /// None yet.
    pub(crate) fn of(topic: &'a str) -> InQuarantine<'a> {
        InQuarantine { topic, entries: BTreeMap::new(), marked: HashSet::new() }
    }

    /// Takes what lies at a place of the quarantine's topic; or why it cannot be decoded.
    pub(crate) fn take(&mut self, place: Place, value: &[u8]) -> Result<(), String> {
        if QuarantineMark::is_one(value) {
            let mark = QuarantineMark::decode(value).map_err(|error| error.to_string())?;
            self.marked.insert((place.0, mark.offset));
            return Ok(());
        }
        let record = Quarantined::decode(value).map_err(|error| error.to_string())?;
        if *record.topic == *self.topic {
            self.entries.insert(place, (record.partition, record.offset));
        }
        Ok(())
    }

    /// Where they came from: those that were neither redriven nor discarded.
    pub(crate) fn places(self) -> BTreeSet<Place> {
        self.entries.into_iter().filter(|(place, _)| !self.marked.contains(place)).map(|(_, from)| from).collect()
    }
}
