//! Records that are taken in after all: brought to every partition by the inbox, and what became of each is found in the journal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ringmaster_bus::{Bus, BusError};
use ringmaster_schemas::journal::{Change, JournalRecord, Redriven, SagaEvent, Turn};
use ringmaster_schemas::names::{self, Topics, is_value};

use crate::blocking;

/// What a record of the inbox has beside the record that it brings, and its log's own framing.
const BESIDE_BYTES: usize = 16 * 1024;
/// Bytes that are on their way at once, over all partitions; one record is, however large.
pub(crate) const ON_THEIR_WAY_BYTES_MAX: usize = 32 << 20;

/// What helps where it is not known how far they came.
const ON_THEIR_WAY: &str = "some may be on their way all the same: do it again; what was taken is known then";

/// Where they go.
#[derive(Debug)]
pub(crate) struct Inbox {
    topics: Topics,
    partitions: i32,
    /// The largest record that it takes.
    bytes_max: usize,
}

/// What became of one.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Became {
    /// Sagas that it started.
    pub(super) began: BTreeSet<String>,
    /// Sagas that took it, or keep it until they want it.
    pub(super) taken: BTreeSet<String>,
    /// Why it was understood and not taken.
    pub(super) rejected: BTreeSet<String>,
    /// Why it is in quarantine again.
    pub(super) quarantined: BTreeSet<String>,
    /// Partitions of which nothing was heard.
    missing: usize,
}

impl Inbox {
    /// Asks the broker for it.
    pub(crate) fn find(bus: &mut impl Bus, prefix: &str) -> Result<Inbox, BusError> {
        let topics = Topics::new(prefix);
        let Some(found) = bus.describe(&[&topics.inbox])?.into_iter().next().flatten() else {
            let why = format!("there is no topic {}: run `ringmaster topics apply`", topics.inbox);
            return Err(BusError::Refused(why));
        };
        let setting = found.settings.iter().find(|(name, _)| name == "max.message.bytes");
        let bytes_max = setting.and_then(|(_, value)| value.parse().ok()).unwrap_or(usize::MAX);
        Ok(Inbox { partitions: found.partitions, bytes_max, topics })
    }

    /// Why it takes no record of so many bytes, if so.
    pub(crate) fn refuses(&self, bytes: usize) -> Option<String> {
        let most = self.bytes_max.saturating_sub(BESIDE_BYTES);
        (bytes > most).then(|| format!("its {bytes} bytes do not go by {}, which takes {most} bytes of one", self.topics.inbox))
    }

    /// How many of these may be on their way at once, at most so many and at least one.
    pub(crate) fn room(&self, bytes: impl Iterator<Item = usize>, most: usize) -> usize {
        let mut sum = 0_usize;
        let fits = bytes.take(most.max(1)).take_while(|bytes| {
            sum = sum.saturating_add(bytes.saturating_mul(self.partitions.max(1) as usize));
            sum <= ON_THEIR_WAY_BYTES_MAX
        });
        fits.count().max(1)
    }

    /// Brings records to all partitions, and waits until each of them has said what became of it, but no longer than this.
    pub(crate) fn bring(&self, bus: &mut impl Bus, records: &[Redriven], patience: Duration) -> Result<Vec<Became>, BusError> {
        // Of none nothing is heard, however long one waits.
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let bounds = blocking::bounds_each(bus, &self.topics.journal, 0..self.partitions)?;
        let from: Vec<(i32, i64)> = bounds.into_iter().map(|(partition, (_, end))| (partition, end)).collect();
        let each = records.iter().flat_map(|record| (0..self.partitions).map(move |partition| (record, partition)));
        let sent: Vec<_> = each
            .map(|(record, partition)| {
                let bytes = Redriven { tells: partition == self.told_by(record), ..record.clone() }.encode();
                (partition, record.key.as_deref().unwrap_or_default().to_vec(), bytes)
            })
            .collect();
        blocking::append_each(bus, &self.topics.inbox, &sent).map_err(|error| match error {
            BusError::Unreachable(why) => BusError::Unreachable(format!("{why}\n({ON_THEIR_WAY})")),
            other => other,
        })?;
        let mut open: BTreeMap<(Arc<str>, i32), usize> = BTreeMap::new();
        for (index, record) in records.iter().enumerate() {
            open.extend((0..self.partitions).map(|partition| ((record.id.clone(), partition), index)));
        }
        let mut became = vec![Became::default(); records.len()];
        blocking::follow(bus, &self.topics.journal, &from, patience, &mut |read| {
            if let Ok(JournalRecord::Decision(decision)) = JournalRecord::decode(read.value.as_deref().unwrap_or_default()) {
                for turn in &decision.turns {
                    let Some(redriven) = of(turn) else { continue };
                    if let Some(index) = open.remove(&(redriven.id, read.partition)) {
                        became[index].take(turn);
                    }
                }
            }
            !open.is_empty()
        })?;
        open.values().for_each(|index| became[*index].missing += 1);
        Ok(became)
    }

    /// The partition that tells what is wrong with a record.
    fn told_by(&self, record: &Redriven) -> i32 {
        match &record.key {
            Some(key) => names::partition_of(key, self.partitions),
            None => record.partition.rem_euclid(self.partitions),
        }
    }
}

/// What a turn takes that was brought again.
fn of(turn: &Turn) -> Option<Redriven> {
    let raw = &turn.input.as_ref()?.raw;
    if Redriven::is_one(raw) { Redriven::decode(raw).ok() } else { None }
}

impl Became {
    fn take(&mut self, turn: &Turn) {
        for change in &turn.changes {
            match change {
                Change::Saga(change) => {
                    let began = change.events.iter().any(|event| matches!(event, SagaEvent::Started { .. }));
                    let set = if began { &mut self.began } else { &mut self.taken };
                    set.insert(change.saga.to_string());
                }
                Change::Rejected(rejected) => {
                    self.rejected.insert(format!("{}: {}: {}", rejected.saga, rejected.reason, rejected.detail));
                }
                Change::Quarantined(quarantined) => {
                    self.quarantined.insert(format!("{}: {}", quarantined.reason, quarantined.detail));
                }
                Change::Expired(_)
                | Change::Undeliverable(_)
                | Change::Delivered(_)
                | Change::Breaker(_)
                | Change::ValueReturned(_) => {}
            }
        }
    }

    /// Nothing was heard of it, or not of all of it.
    pub(crate) fn is_open(&self) -> bool {
        self.missing > 0
    }

    /// It lies in quarantine again.
    pub(crate) fn is_back(&self) -> bool {
        !self.quarantined.is_empty()
    }

    /// In one word, for programs.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            _ if self.is_open() => "open",
            _ if self.is_back() => "quarantined",
            Became { began, .. } if !began.is_empty() => "started",
            Became { taken, .. } if !taken.is_empty() => "taken",
            Became { rejected, .. } if !rejected.is_empty() => "known",
            _ => "nothing",
        }
    }

    /// For people.
    pub(crate) fn words(&self) -> String {
        let mut words = Vec::new();
        let of = |ids: &BTreeSet<String>| {
            let name = |id: &String| if is_value(id) { "whoever waits for its value".to_owned() } else { id.clone() };
            ids.iter().map(name).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", ")
        };
        words.extend((!self.began.is_empty()).then(|| format!("it started {}", of(&self.began))));
        words.extend((!self.taken.is_empty()).then(|| format!("it is taken, or kept, for {}", of(&self.taken))));
        words.extend(self.rejected.iter().map(|why| format!("it is not taken by {why}")));
        words.extend(self.quarantined.iter().map(|why| format!("it is back in quarantine: {why}")));
        words.extend(self.is_open().then(|| format!("nothing was heard of {} partitions", self.missing)));
        if words.is_empty() { "it means nothing here: no saga starts on it, or waits for it".to_owned() } else { words.join("; ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However large they are, one goes; however small, no more than may in a second.
    #[test]
    fn what_is_on_its_way_is_bounded() {
        let inbox = Inbox { topics: Topics::new("ringmaster"), partitions: 8, bytes_max: 1 << 20 };
        for (bytes, most, room) in [(100, 50, 50), (1 << 20, 50, 4), (1 << 30, 50, 1), (usize::MAX, 50, 1), (0, 0, 1)] {
            assert_eq!(inbox.room(std::iter::repeat_n(bytes, 1_000), most), room, "{bytes} bytes, {most} a second");
        }
        assert_eq!(inbox.room(std::iter::repeat_n(1, 3), 50), 3);
        assert_eq!((inbox.refuses(1_000), inbox.refuses(1 << 20).is_some()), (None, true));
    }

    /// What is not right comes first in the word, and all of it stands in the words.
    #[test]
    fn what_became_of_one_is_told() {
        let set = |text: &str| BTreeSet::from([text.to_owned()]);
        let mut became = Became::default();
        assert_eq!((became.word(), became.words().starts_with("it means nothing here")), ("nothing", true));
        became.rejected = set("a/1: DUPLICATE: it was");
        assert_eq!(became.word(), "known");
        became.taken = set("=topic/Kind/field/value");
        assert_eq!(became.word(), "taken");
        became.began = set("b/2");
        assert_eq!(became.word(), "started");
        became.quarantined = set("TOO_OLD: it is");
        assert_eq!(became.word(), "quarantined");
        became.missing = 2;
        assert_eq!(became.word(), "open");
        let words = "it started b/2; it is taken, or kept, for whoever waits for its value; it is not taken by a/1: DUPLICATE: it was; it is back in quarantine: TOO_OLD: it is; nothing was heard of 2 partitions";
        assert_eq!(became.words(), words);
    }
}
