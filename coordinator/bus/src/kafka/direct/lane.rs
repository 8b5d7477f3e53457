//! What waits for one partition, in the order it was sent: records, and the batch that was sent and is not answered.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode as Code;

use super::batch::{Batch, Compression, put_batch, put_record, record_len};
use super::meaning::Meaning;
use crate::Message;
use crate::kafka::native::{Delivery, code_of};

/// A topic that is not there is an error after so long: it may have been made just now.
pub(super) const UNKNOWN_TOPIC_MAX: Duration = Duration::from_secs(3);
/// A broker that cannot take a batch now is asked again after so long, twice as long each time, up to a second.
const AGAIN: Duration = Duration::from_millis(50);
const AGAIN_MAX: Duration = Duration::from_secs(1);

/// Records of one batch to be.
#[derive(Debug, Default)]
struct Records {
    bytes: Vec<u8>,
    /// Tags, and bytes of key and value.
    tags: Vec<(u64, u32)>,
    /// When the first was sent.
    since: Option<Instant>,
}

/// A batch as it was sent, and is sent again: the same bytes with the same sequence number.
#[derive(Debug)]
struct Sealed {
    bytes: Vec<u8>,
    tags: Vec<(u64, u32)>,
    sequence: i32,
    since: Instant,
    /// Since when brokers do not know its topic.
    unknown_since: Option<Instant>,
    /// It may be in the log: a connection was lost behind it, or a broker did not know. Then its number may be taken, and no other batch
    /// ever has it: a broker would confirm that one by the offset of this.
    is_unsure: bool,
}

/// One partition of a producer.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// The number of the broker that leads it, as far as is known.
    pub(super) leader: Option<i32>,
    /// It is in the list of those that have something to send.
    pub(super) is_listed: bool,
    /// Its batch is in a request that is not answered. Until it is, whoever leads the partition now is sent nothing: the answer would be
    /// taken for that of another try, or of another batch.
    pub(super) is_in_flight: bool,
    /// Nothing is sent until then.
    pub(super) held_until: Option<Instant>,
    tries: u32,
    /// Of the next record that is sealed.
    sequence: i32,
    open: Records,
    /// Full ones, before the open one.
    full: VecDeque<Records>,
    sealed: Option<Sealed>,
    spare: Vec<u8>,
}

/// What an answer means for a batch.
pub(super) enum Verdict {
    /// Settled.
    Settled,
    /// To be sent again; true if the leader is to be asked for.
    Again(bool),
    /// The producer cannot go on.
    Broken,
}

impl Lane {
    /// Collects a copy of a record; returns its bytes.
    pub(super) fn push(&mut self, message: &Message<'_>, tag: u64, batch_bytes: usize, now: Instant) -> usize {
        let bytes = message.key.map_or(0, <[u8]>::len) + message.value.len();
        // Headers and lengths count too: a batch that is too large is refused with all of its records.
        let size = record_len(self.open.tags.len() as i32, message);
        if !self.open.tags.is_empty() && self.open.bytes.len() + size > batch_bytes {
            self.full.push_back(std::mem::take(&mut self.open));
        }
        let Records { bytes: records, tags, since } = &mut self.open;
        let before = records.len();
        put_record(records, tags.len() as i32, message);
        tags.push((tag, u32::try_from(bytes).unwrap_or(u32::MAX)));
        since.get_or_insert(now);
        records.len() - before
    }

    /// True if there is something to send, again or for the first time.
    pub(super) fn has_work(&self) -> bool {
        self.sealed.is_some() || !self.open.tags.is_empty()
    }

    /// True if there is something that may be sent now.
    pub(super) fn is_ready(&self, now: Instant) -> bool {
        self.has_work() && !self.is_in_flight && self.held_until.is_none_or(|until| until <= now)
    }

    /// Makes the batch to send, unless there is one that is to be sent again. Returns its bytes, and how many records and bytes of them
    /// are no longer collected. There must be something to send.
    pub(super) fn seal(&mut self, producer: (i64, i16), timestamp: i64, compression: Compression) -> (usize, usize, usize) {
        let (mut count_taken, mut bytes_taken) = (0, 0);
        if self.sealed.is_none() {
            let mut records = self.full.pop_front().unwrap_or_else(|| std::mem::take(&mut self.open));
            let count = records.tags.len() as i32;
            let mut bytes = std::mem::take(&mut self.spare);
            bytes.clear();
            let batch = Batch { producer, sequence: self.sequence, count, timestamp, records: &records.bytes };
            put_batch(&mut bytes, &batch, compression);
            let since = records.since.expect("it has a record");
            let (tags, sequence) = (records.tags, self.sequence);
            self.sealed = Some(Sealed { bytes, tags, sequence, since, unknown_since: None, is_unsure: false });
            self.sequence = self.sequence.wrapping_add(count) & i32::MAX;
            (count_taken, bytes_taken) = (count as usize, records.bytes.len());
            if self.open.bytes.capacity() == 0 {
                records.bytes.clear();
                self.open.bytes = records.bytes;
            }
        }
        (self.sealed_bytes().len(), count_taken, bytes_taken)
    }

    /// The batch that is to be sent, as it is.
    pub(super) fn sealed_bytes(&self) -> &[u8] {
        self.sealed.as_ref().map_or(&[], |sealed| &sealed.bytes)
    }

    /// The connection that the batch was sent by is lost: nobody knows how far it came.
    pub(super) fn lose(&mut self) {
        self.is_in_flight = false;
        if let Some(sealed) = &mut self.sealed {
            sealed.is_unsure = true;
        }
    }

    /// Takes the answer to the batch that was sent.
    pub(super) fn settle(&mut self, error: i16, base: i64, now: Instant, said: &mut VecDeque<Delivery>) -> Verdict {
        self.is_in_flight = false;
        let Some(sealed) = &mut self.sealed else { return Verdict::Settled };
        let meaning = Meaning::of(error);
        sealed.is_unsure |= meaning.is_unsure();
        match meaning {
            Meaning::Written => {
                let known = error == 0 && base >= 0;
                for (&(tag, _), at) in sealed.tags.iter().zip(0..) {
                    said.push_back(Delivery::Done { tag, offset: base.checked_add(at).filter(|_| known) });
                }
                self.done();
                Verdict::Settled
            }
            Meaning::Broken => Verdict::Broken,
            Meaning::Refused | Meaning::Strange => self.give_back(code_of(error), said),
            Meaning::NoTopic if now - *sealed.unknown_since.get_or_insert(now) > UNKNOWN_TOPIC_MAX => {
                self.give_back(code_of(error), said)
            }
            Meaning::NoTopic | Meaning::OtherLeader => {
                self.leader = None;
                self.hold(now, true)
            }
            Meaning::Later | Meaning::Unclear => self.hold(now, false),
        }
    }

    fn hold(&mut self, now: Instant, ask: bool) -> Verdict {
        self.held_until = Some(now + (AGAIN * 2u32.saturating_pow(self.tries)).min(AGAIN_MAX));
        self.tries = self.tries.saturating_add(1);
        Verdict::Again(ask)
    }

    /// Fails the batch. If nothing of it was written, the broker expects its number next; if it may be, the number behind it is used, and
    /// a broker that has it not says so.
    fn give_back(&mut self, code: Code, said: &mut VecDeque<Delivery>) -> Verdict {
        if let Some(sealed) = &self.sealed {
            if !sealed.is_unsure {
                self.sequence = sealed.sequence;
            }
            fail(&sealed.tags, code, said);
        }
        self.done();
        Verdict::Settled
    }

    fn done(&mut self) {
        if let Some(sealed) = self.sealed.take() {
            self.spare = sealed.bytes;
        }
        (self.held_until, self.tries) = (None, 0);
    }

    /// Fails everything: its topic or partition is not there. What is in flight has its own answer.
    pub(super) fn refuse(&mut self, now: Instant, code: Code, said: &mut VecDeque<Delivery>) -> Expired {
        self.leader = None;
        if self.is_in_flight {
            return Expired::default();
        }
        self.give_back(code, said);
        self.expire(now, code, said)
    }

    /// Fails what was sent before `before` and is not confirmed.
    pub(super) fn expire(&mut self, before: Instant, code: Code, said: &mut VecDeque<Delivery>) -> Expired {
        let mut expired = Expired::default();
        if let Some(sealed) = self.sealed.as_mut().filter(|sealed| sealed.since <= before) {
            sealed.is_unsure |= self.is_in_flight;
            expired.is_unsure = sealed.is_unsure;
            self.give_back(code, said);
        }
        let mut give_up = |records: Records| {
            fail(&records.tags, code, said);
            expired.count += records.tags.len();
            expired.bytes += records.bytes.len();
        };
        let is_old = |records: &Records| records.since.is_some_and(|since| since <= before);
        while self.full.front().is_some_and(is_old) {
            self.full.pop_front().into_iter().for_each(&mut give_up);
        }
        if self.full.is_empty() && is_old(&self.open) {
            give_up(std::mem::take(&mut self.open));
        }
        expired
    }
}

/// What was failed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Expired {
    /// Records that are collected no more, and their bytes.
    pub(super) count: usize,
    pub(super) bytes: usize,
    /// Something may have been written, and nobody will ask for it again.
    pub(super) is_unsure: bool,
}

fn fail(tags: &[(u64, u32)], code: Code, said: &mut VecDeque<Delivery>) {
    said.extend(tags.iter().map(|&(tag, bytes)| Delivery::Failed { tag, code, bytes: bytes as usize }));
}
