//! A partition as a reader holds it: where it is, and why nothing of it is visited, if that is so.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode as Code;

use super::errors::unreadable;
use super::native::Fetched;
use crate::{BusEvent, Headers, Record, Topic, TopicNames, TopicPartition};

/// What cannot be read is tried again so often: soon enough for people who mend it, seldom enough to cost nothing.
pub(super) const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// Why nothing is read of a topic that is not the one it must be.
pub(super) const MADE_AGAIN: &str = "it was deleted and made again: this is another topic, and nothing of it is read";

/// Why nothing is read of a topic that is read from its beginning whatever it is.
const MADE_AGAIN_ANEW: &str = "it was deleted and made again, and is read from its beginning as soon as it is there";

/// A partition that is read.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) at: TopicPartition,
    /// The next offset to be visited, or a lower one that is not there.
    pub(super) next: i64,
    pub(super) paused: bool,
    /// That it cannot be read was reported, and nothing came since; it is read again at this time.
    pub(super) again_at: Option<Instant>,
    /// Until then nothing of it is visited: librdkafka goes on behind a batch that it cannot read, and ours fetches ahead.
    pub(super) holds: bool,
    /// Out of range: it waits for another position.
    pub(super) stopped: bool,
}

impl Held {
    pub(super) fn new(at: TopicPartition, next: i64) -> Self {
        Held { at, next, paused: false, again_at: None, holds: false, stopped: false }
    }

    /// True if what stands at this offset is about this position. What was on its way when the partition was paused, or read from
    /// elsewhere, is not.
    fn awaits(&self, offset: i64) -> bool {
        offset >= self.next && !self.paused && !self.holds
    }

    /// True if a record is to be visited; the next one stands behind it.
    pub(super) fn take(&mut self, offset: i64) -> bool {
        let taken = self.awaits(offset);
        if taken {
            (self.next, self.again_at) = (offset + 1, None);
        }
        taken
    }

    /// It cannot be read: nothing of it is visited until it is read again.
    pub(super) fn lose(&mut self, why: String, now: Instant, visit: &mut dyn FnMut(BusEvent<'_>)) -> usize {
        self.holds = true;
        if self.again_at.is_some() {
            return 0;
        }
        self.again_at = Some(now + AGAIN_AFTER);
        visit(BusEvent::Unreadable(self.at, why));
        1
    }

    /// Its position is not in the log: nothing of it is visited until it is read from another one.
    pub(super) fn leave(&mut self, now: Instant, visit: &mut dyn FnMut(BusEvent<'_>)) -> usize {
        // Whoever reads from the beginning misses nothing: the topic was made again and is not whole yet.
        if self.next < 0 {
            return self.lose(MADE_AGAIN_ANEW.to_owned(), now, visit);
        }
        (self.stopped, self.again_at) = (true, None);
        visit(BusEvent::OutOfRange { at: self.at, position: self.next });
        1
    }
}

/// Which topic a name belongs to, as librdkafka writes it.
#[derive(Debug, Default)]
pub(super) struct Identity {
    /// As its metadata said last; none before the first.
    pub(super) found: Option<String>,
    /// As it must be; none if that does not matter.
    pub(super) expected: Option<String>,
}

impl Identity {
    pub(super) fn is_other(&self) -> bool {
        self.expected.is_some() && self.found.is_some() && self.expected != self.found
    }
}

/// Visits a record that is the next of its partition; returns how many events that were.
pub(super) fn visit_record(
    record: Fetched<'_>,
    names: &mut TopicNames,
    held: &mut [Held],
    last: &mut usize,
    last_topic: &mut Option<(Topic, Vec<u8>)>,
    visit: &mut dyn FnMut(BusEvent<'_>),
) -> usize {
    let name = record.topic().to_bytes();
    let topic = match last_topic {
        Some((topic, known)) if known == name => *topic,
        _ => {
            let topic = names.handle(&String::from_utf8_lossy(name));
            *last_topic = Some((topic, name.to_vec()));
            topic
        }
    };
    let at = TopicPartition { topic, partition: record.partition() };
    if held.get(*last).is_none_or(|held| held.at != at) {
        let Some(found) = held.iter().position(|held| held.at == at) else {
            return 0;
        };
        *last = found;
    }
    let held = &mut held[*last];
    let offset = record.offset();
    if !held.take(offset) {
        return 0;
    }
    let headers = record.headers();
    let headers = headers.as_ref().map(|headers| headers as &dyn Headers);
    let (timestamp, key, value) = (record.timestamp(), record.key(), record.value());
    let record = Record { at, offset, timestamp, key, value, headers };
    visit(BusEvent::Record(record));
    record.weight()
}

/// Nothing is visited of topics that are others than they must be.
pub(super) fn refuse_others(
    identities: &HashMap<Topic, Identity>,
    held: &mut [Held],
    visit: &mut dyn FnMut(BusEvent<'_>),
) -> usize {
    let is_other = |held: &&mut Held| !held.holds && identities.get(&held.at.topic).is_some_and(Identity::is_other);
    held.iter_mut().filter(is_other).map(|held| held.lose(MADE_AGAIN.to_owned(), Instant::now(), visit)).sum()
}

/// Visits what else librdkafka says of a partition; returns how many events that were.
pub(super) fn visit_error(
    at: TopicPartition,
    offset: i64,
    code: Code,
    text: &str,
    held: &mut [Held],
    visit: &mut dyn FnMut(BusEvent<'_>),
) -> usize {
    let Some(held) = held.iter_mut().find(|held| held.at == at) else {
        return 0;
    };
    match code {
        Code::PartitionEOF if !held.awaits(offset) => 0,
        Code::PartitionEOF => {
            held.again_at = None;
            visit(BusEvent::CaughtUp(at, offset));
            1
        }
        Code::AutoOffsetReset | Code::OffsetOutOfRange if held.stopped || held.holds => 0,
        Code::AutoOffsetReset | Code::OffsetOutOfRange => held.leave(Instant::now(), visit),
        _ => held.lose(unreadable(code, text), Instant::now(), visit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// librdkafka may say it once more before it is told another position.
    #[test]
    fn out_of_range_is_said_once_for_each_position() {
        let at = TopicPartition { topic: Topic(0), partition: 0 };
        let mut said = Vec::new();
        for position in [5, 7] {
            let mut held = [Held::new(at, position)];
            for (code, counted) in [(Code::AutoOffsetReset, 1), (Code::OffsetOutOfRange, 0), (Code::AutoOffsetReset, 0)] {
                let visit = &mut |event: BusEvent<'_>| match event {
                    BusEvent::OutOfRange { at: of, position } => said.push((of, position)),
                    _ => panic!("something else is said"),
                };
                assert_eq!(visit_error(at, 3, code, "", &mut held, visit), counted, "{code:?}");
            }
        }
        assert_eq!(said, [(at, 5), (at, 7)]);
    }

    fn held(next: i64) -> Held {
        Held::new(TopicPartition { topic: Topic(3), partition: 1 }, next)
    }

    /// A record is visited once, and what comes behind it is asked for when the partition is read again.
    #[test]
    fn a_record_is_taken_once() {
        let mut held = held(5);
        held.again_at = Some(Instant::now());
        assert!(!held.take(4) && held.again_at.is_some(), "it was visited before");
        assert!(held.take(5) && held.again_at.is_none());
        assert_eq!(held.next, 6);
        assert!(!held.take(5));
        assert!(held.take(9), "what is between was compacted away");
        assert_eq!(held.next, 10);
    }

    /// There is no position before the beginning that could be lost.
    #[test]
    fn what_is_read_from_its_beginning_is_read_again() {
        let (mut all, mut said) = ([held(-1)], 0);
        let at = all[0].at;
        let visit = &mut |event: BusEvent<'_>| match event {
            BusEvent::Unreadable(of, _) if of == at => said += 1,
            _ => panic!("something else is said"),
        };
        assert_eq!(visit_error(at, -1, Code::AutoOffsetReset, "", &mut all, visit), 1);
        assert!(all[0].again_at.is_some() && !all[0].stopped);
        assert_eq!(said, 1);
    }

    #[test]
    fn an_end_that_is_not_about_this_position_is_no_end() {
        let end = |held: Held, offset| {
            let (at, mut all, mut ends) = (held.at, [held], Vec::new());
            let count = visit_error(at, offset, Code::PartitionEOF, "", &mut all, &mut |event| match event {
                BusEvent::CaughtUp(of, offset) => ends.push((of, offset)),
                _ => panic!("something else is said"),
            });
            assert_eq!(count, ends.len());
            ends
        };
        assert_eq!(end(held(5), 5), [(held(5).at, 5)]);
        assert_eq!(end(held(5), 7), [(held(5).at, 7)], "the last ones were compacted away");
        assert_eq!(end(held(5), 4), [], "it is read from further on now");
        assert_eq!(end(Held { paused: true, ..held(5) }, 5), []);
        assert_eq!(end(Held { holds: true, ..held(5) }, 5), []);
    }
}
