//! What a bus says, to the partition that it is for.

use ringmaster_bus::{BusEvent, Record, SendError, Sender, TopicPartition};
use ringmaster_core::intake::{Headers, InputRecord};
use ringmaster_core::partition::{Happened, Refusal, Tag};
use ringmaster_schemas::Millis;

use super::{Inner, Source};
use crate::runtime::clock::Now;
use crate::runtime::effects::Address;

/// Undeliverable effects are said this often, one for all.
const SAY_UNDELIVERABLE_EVERY_MS: Millis = 5_000;

/// A bus's headers as the core reads them.
struct RecordHeaders<'a>(&'a dyn ringmaster_bus::Headers);

impl Headers for RecordHeaders<'_> {
    fn find(&self, name: &str) -> Option<&[u8]> {
        self.0.find(name)
    }
}

impl Inner {
    /// Where a topic's partition belongs; none if it is not hosted here.
    fn place_of(&self, at: TopicPartition) -> Option<(i32, Source)> {
        let source = *self.sources.get(usize::from(at.topic.0))?;
        if self.hosts.get(at.partition).is_some() {
            return Some((at.partition, source));
        }
        // A topic that is routed may have more partitions than there are.
        let partitions = self.settings.rules.partitions;
        let number = at.partition % partitions;
        self.hosts.get(number)?;
        match source {
            Source::Input(first) if at.partition >= partitions => {
                Some((number, Source::Input(first + (at.partition / partitions) as usize)))
            }
            Source::Input(_) | Source::Journal | Source::Snapshots | Source::None => None,
        }
    }

    /// The partition and what a tag is for; none if it is of an earlier hosting.
    pub(super) fn addressee(&self, tag: u64) -> Option<(i32, Tag)> {
        let Address { partition, epoch, tag } = Address::decode(tag);
        self.hosts.get(partition).filter(|hosted| hosted.epoch == epoch)?;
        Some((partition, tag))
    }

    /// Takes one bus event; the only way by which anything comes in.
    pub(super) fn visit(&mut self, event: BusEvent<'_>, now: Now) {
        match event {
            BusEvent::Record(record) => {
                self.watch.readable(record.at);
                self.record(record, now);
            }
            BusEvent::Acknowledged { sender, tag, offset } => match self.addressee(tag) {
                Some((_, Tag::Claim)) if Some(sender) == self.sender => self.hold_claim(tag, sender, offset),
                Some((number, tag)) => self.tell(number, now, Happened::Acknowledged { sender: sender.0, tag, offset }),
                None => {}
            },
            BusEvent::Failed { sender, tag, why } => {
                if let Some((number, tag)) = self.addressee(tag) {
                    self.failed(number, sender, tag, why, now);
                }
            }
            BusEvent::CaughtUp(at, offset) => {
                self.watch.readable(at);
                match self.place_of(at) {
                    Some((number, Source::Input(index))) => self.tell(number, now, Happened::CaughtUp { index, offset }),
                    Some((number, Source::Journal)) => self.tell(number, now, Happened::JournalRead { offset }),
                    Some((number, Source::Snapshots)) => self.tell(number, now, Happened::SnapshotsRead { offset }),
                    Some((_, Source::None)) | None => {}
                }
            }
            BusEvent::Bounds { at, end, .. } if at == self.definitions => self.each(now, || Happened::DefinitionsEnd { end }),
            BusEvent::Bounds { at, start, end } => match self.place_of(at) {
                Some((number, Source::Journal)) => self.tell(number, now, Happened::JournalBounds { start, end }),
                Some((number, Source::Snapshots)) => self.tell(number, now, Happened::SnapshotBounds { start, end }),
                Some((number, Source::Input(index))) => self.tell(number, now, Happened::InputBounds { index, start, end }),
                Some((_, Source::None)) | None => {}
            },
            BusEvent::OffsetAt { at, offset } => {
                if let Some((number, Source::Input(index))) = self.place_of(at) {
                    self.tell(number, now, Happened::InputBegins { index, offset });
                }
            }
            BusEvent::OutOfRange { at, position } => match self.place_of(at) {
                Some((number, Source::Input(index))) => self.tell(number, now, Happened::OutOfRange { index, position }),
                Some((number, Source::Journal)) => {
                    let why = "the journal does not have the position that it is read from";
                    tracing::warn!(partition = number, position, why);
                    // Without a sender there is no doubt to have: only this partition reads. So it is with one that is followed.
                    match self.sender {
                        Some(_) if !self.follows(number) => drop(self.doubt.get_or_insert_with(|| why.into())),
                        Some(_) | None => self.tell(number, now, Happened::Doubt),
                    }
                }
                Some((number, Source::Snapshots)) => self.tell(number, now, Happened::SnapshotsLost),
                Some((_, Source::None)) | None => {}
            },
            BusEvent::Doubt { sender, why } => {
                if Some(sender) == self.sender {
                    self.doubt.get_or_insert(why);
                }
            }
            BusEvent::Unreadable(at, why) => self.watch.unreadable(at, &why),
            BusEvent::Described { question, topics } => self.described(question, &topics, now),
            BusEvent::Assigned(_) | BusEvent::Revoked(_) => {}
        }
    }

    fn record(&mut self, record: Record<'_>, now: Now) {
        match self.place_of(record.at) {
            Some((number, Source::Journal)) => {
                let value = record.value.unwrap_or_default();
                self.tell(number, now, Happened::JournalRecord { offset: record.offset, value });
            }
            Some((number, Source::Snapshots)) => {
                let value = record.value.unwrap_or_default();
                self.tell(number, now, Happened::SnapshotRecord { offset: record.offset, value });
            }
            Some((number, Source::Input(index))) => {
                let headers = record.headers.map(RecordHeaders);
                let input = InputRecord {
                    offset: record.offset,
                    timestamp: record.timestamp,
                    key: record.key,
                    value: record.value,
                    headers: headers.as_ref().map(|headers| headers as &dyn Headers),
                };
                self.tell(number, now, Happened::Input { index, record: input });
            }
            Some((_, Source::None)) | None => {}
        }
    }

    pub(super) fn failed(&mut self, number: i32, sender: Sender, tag: Tag, why: SendError, now: Now) {
        if Some(sender) != self.sender {
            return;
        }
        let refusal = match why {
            SendError::Broken(why) => {
                self.doubt.get_or_insert(why);
                return;
            }
            SendError::TooBig(why) | SendError::Refused(why) => Refusal::Permanent(why),
            SendError::Full => Refusal::Passing("the send queue is full".into()),
            SendError::Unknown(why) => Refusal::Passing(why),
        };
        if let (Tag::Effect(_), Refusal::Permanent(why)) = (tag, &refusal) {
            self.say_undeliverable(number, tag, why, now);
        }
        self.tell(number, now, Happened::Failed { sender: sender.0, tag, why: &refusal });
    }

    /// One line a while: a topic that vanished may hold thousands.
    fn say_undeliverable(&mut self, number: i32, tag: Tag, why: &str, now: Now) {
        if now.steady < self.say_undeliverable_at {
            return;
        }
        self.say_undeliverable_at = now.steady + SAY_UNDELIVERABLE_EVERY_MS;
        let Some(effect) = self.hosts.get_mut(number).and_then(|hosted| hosted.partition.effect(tag)) else { return };
        let key = String::from_utf8_lossy(effect.key());
        tracing::warn!(partition = number, topic = %effect.topic, %key, why, "undeliverable: waits until the topic takes it; others go on");
    }
}
