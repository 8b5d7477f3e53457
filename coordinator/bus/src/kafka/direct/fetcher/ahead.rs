//! What was fetched and is not visited: answers as they came, in their order.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::time::Instant;

use rdkafka::error::RDKafkaErrorCode as Code;

use super::super::codec::{Expander, Fault};
use super::super::records::{self, Aborted, Found, Header};
use super::super::wire::Get;
use super::part::Part;
use crate::kafka::errors::unreadable;
use crate::{BusEvent, Headers, Record, TopicPartition};

/// So much room is kept for later answers.
const SPARE_BYTES_MAX: usize = 4 << 20;

/// Answers whose pieces are not all visited.
#[derive(Default)]
pub(super) struct Ahead {
    answers: VecDeque<Answer>,
    /// Of all answers.
    bytes: usize,
    expander: Expander,
    spare: Vec<u8>,
}

#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) bytes: Vec<u8>,
    pub(super) pieces: VecDeque<Piece>,
}

/// What came of one partition.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) at: TopicPartition,
    /// It is wanted while this is the partition's turn.
    pub(super) turn: u64,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    Batches(Batches),
    /// Its position is not in the log.
    OutOfRange,
    /// It cannot be read, and why.
    Lost(String),
}

/// Batches of one partition, and how far they are visited.
#[derive(Debug)]
pub(super) struct Batches {
    /// Where in the answer the rest of them is.
    pub(super) bytes: Range<usize>,
    /// Behind the last record that could be read at that moment.
    pub(super) end: i64,
    /// The offset that is reached so far.
    pub(super) position: i64,
    pub(super) aborted: Aborted,
    pub(super) open: Option<Open>,
}

/// A batch in the middle of being visited.
#[derive(Debug)]
pub(super) struct Open {
    header: Header,
    /// Where the rest of its records is: in the answer, or in what they were expanded to.
    records: Range<usize>,
    /// The how manieth that was expanded, if it was.
    expanded: Option<u64>,
    count: i32,
}

impl Ahead {
    /// Bytes of answers that wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    /// Room for an answer.
    pub(super) fn room(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.spare)
    }

    pub(super) fn push(&mut self, answer: Answer) {
        if answer.pieces.is_empty() {
            return self.keep(answer.bytes);
        }
        self.bytes += answer.bytes.len();
        self.answers.push_back(answer);
    }

    fn keep(&mut self, mut bytes: Vec<u8>) {
        if (self.spare.capacity()..=SPARE_BYTES_MAX).contains(&bytes.capacity()) {
            bytes.clear();
            self.spare = bytes;
        }
    }

    /// True if anything is there that waits for no pause to end.
    pub(super) fn has_work(&self, parts: &BTreeMap<TopicPartition, Part>) -> bool {
        self.answers.iter().any(|answer| answer.next(parts).is_some() || answer.pieces.is_empty())
    }

    /// Visits what is there until there are enough events.
    pub(super) fn visit(&mut self, parts: &mut BTreeMap<TopicPartition, Part>, visits: &mut Visits<'_>) {
        let mut place = 0;
        while !visits.is_enough()
            && let Some(answer) = self.answers.get_mut(place)
        {
            let Some(next) = answer.next(parts) else {
                place += usize::from(!self.drop_empty(place));
                continue;
            };
            let piece = &mut answer.pieces[next];
            let part = parts.get_mut(&piece.at).filter(|part| part.takes(piece.turn));
            let is_done = part.is_none_or(|part| match &mut piece.what {
                What::Batches(batches) => batches.visit(&answer.bytes, &mut self.expander, part, visits),
                What::OutOfRange => {
                    visits.count += part.held.leave(visits.now, visits.visit);
                    true
                }
                What::Lost(why) => {
                    visits.count += part.held.lose(std::mem::take(why), visits.now, visits.visit);
                    true
                }
            });
            if is_done {
                answer.pieces.remove(next);
            }
        }
    }

    /// Lets go of what is not wanted any more.
    pub(super) fn forget(&mut self, parts: &BTreeMap<TopicPartition, Part>) {
        let is_wanted = |piece: &Piece| parts.get(&piece.at).is_some_and(|part| part.takes(piece.turn));
        self.answers.iter_mut().for_each(|answer| answer.pieces.retain(is_wanted));
        let mut place = 0;
        while place < self.answers.len() {
            place += usize::from(!self.drop_empty(place));
        }
    }

    /// Drops the answer at a place if nothing of it is left; whether it did.
    fn drop_empty(&mut self, place: usize) -> bool {
        let Some(answer) = self.answers.get(place).filter(|answer| answer.pieces.is_empty()) else { return false };
        self.bytes -= answer.bytes.len();
        if let Some(answer) = self.answers.remove(place) {
            self.keep(answer.bytes);
        }
        true
    }
}

impl Answer {
    /// The first piece that waits for no pause to end.
    fn next(&self, parts: &BTreeMap<TopicPartition, Part>) -> Option<usize> {
        let waits = |piece: &Piece| parts.get(&piece.at).is_some_and(|part| part.takes(piece.turn) && part.held.paused);
        self.pieces.iter().position(|piece| !waits(piece))
    }
}

/// Who visits events, and how many there were.
pub(super) struct Visits<'v> {
    pub(super) now: Instant,
    pub(super) count: usize,
    pub(super) count_max: usize,
    pub(super) visit: &'v mut dyn FnMut(BusEvent<'_>),
}

impl Visits<'_> {
    fn is_enough(&self) -> bool {
        self.count >= self.count_max
    }

    fn say(&mut self, event: BusEvent<'_>) {
        self.count += event.weight();
        (self.visit)(event);
    }
}

impl Batches {
    /// Visits events until there are so many; true if nothing is left.
    fn visit(&mut self, answer: &[u8], expander: &mut Expander, part: &mut Part, visits: &mut Visits<'_>) -> bool {
        loop {
            if let Some(open) = self.open.take_if(|open| open.expanded.is_some_and(|number| number != expander.number())) {
                // Another one was expanded since: it is opened again, and what was visited of it is passed.
                self.bytes.start -= open.header.bytes;
            }
            if let Some(open) = &mut self.open {
                let bytes = if open.expanded.is_none() { answer } else { expander.bytes() };
                match open.visit(bytes, part, visits) {
                    Ok(false) => return false,
                    Ok(true) => self.pass(part),
                    Err(fault) => return self.lose(fault, part, visits),
                }
            }
            match self.open_next(answer, expander, part) {
                Ok(true) => {}
                Ok(false) => break,
                Err(fault) => return self.lose(fault, part, visits),
            }
        }
        if self.position == self.end && part.end_said != Some(self.end) {
            (part.end_said, part.held.again_at) = (Some(self.end), None);
            visits.say(BusEvent::CaughtUp(part.held.at, self.end));
        }
        true
    }

    /// Opens the next batch that has something to visit; false if there is none.
    fn open_next(&mut self, answer: &[u8], expander: &mut Expander, part: &mut Part) -> Result<bool, Fault> {
        while let Found::Whole(header) = records::find(&answer[self.bytes.clone()])? {
            // No checksum covers where it is in the log. A broker looks at its end before it reads, so that what was appended meanwhile
            // may stand behind it, without a gap.
            if header.base >= self.end && header.base > self.position {
                return Err(Fault::Damaged("it is behind the end of its log"));
            }
            let batch = &answer[self.bytes.start..][..header.bytes];
            let of_batch = records::records(&header);
            let records = self.bytes.start + of_batch.start..self.bytes.start + of_batch.end;
            self.bytes.start += header.bytes;
            let is_behind = header.last < part.held.next;
            if !is_behind {
                records::check(batch)?;
            }
            let is_aborted = self.aborted.skips(&header);
            if header.is_control {
                if records::is_abort(&answer[records], &header).map_err(|_| Fault::Damaged("its end of a transaction is none"))? {
                    self.aborted.end(header.producer);
                }
                self.reach(header.last, part);
            } else if is_behind || is_aborted {
                self.reach(header.last, part);
            } else {
                let (records, expanded) = if header.codec == 0 {
                    (records, None)
                } else {
                    expander.expand(header.codec, &answer[records])?;
                    (0..expander.bytes().len(), Some(expander.number()))
                };
                let count = header.count;
                self.open = Some(Open { header, records, expanded, count });
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The open batch is visited.
    fn pass(&mut self, part: &mut Part) {
        if let Some(open) = self.open.take() {
            self.reach(open.header.last, part);
        }
    }

    /// Everything up to this offset is visited, or is not to be.
    fn reach(&mut self, last: i64, part: &mut Part) {
        self.position = self.position.max(last + 1);
        // Who reads from the beginning has no position before the first record.
        if part.held.next >= 0 {
            part.held.next = part.held.next.max(last + 1);
        }
    }

    /// Nothing more of it can be read.
    fn lose(&mut self, fault: Fault, part: &mut Part, visits: &mut Visits<'_>) -> bool {
        let next = part.held.next;
        let why = match fault {
            Fault::Damaged(why) => unreadable(Code::BadMessage, &format!("offset {next}: {why}")),
            Fault::Foreign(why) => format!("the batch with offset {next} cannot be read: {why}"),
        };
        visits.count += part.held.lose(why, visits.now, visits.visit);
        true
    }
}

impl Open {
    /// Visits records until there are so many events; true if none is left.
    fn visit(&mut self, bytes: &[u8], part: &mut Part, visits: &mut Visits<'_>) -> Result<bool, Fault> {
        let mut get = Get(&bytes[self.records.clone()]);
        while self.count > 0 && !visits.is_enough() {
            let read = records::next(&mut get, &self.header).map_err(|_| Fault::Damaged("a record in it is none"))?;
            self.count -= 1;
            if part.held.take(read.offset) {
                let headers = read.headers.as_ref().map(|headers| headers as &dyn Headers);
                let records::Read { offset, timestamp, key, value, .. } = read;
                visits.say(BusEvent::Record(Record { at: part.held.at, offset, timestamp, key, value, headers }));
            }
        }
        self.records.start = self.records.end - get.0.len();
        if self.count > 0 {
            return Ok(false);
        }
        if get.0.is_empty() { Ok(true) } else { Err(Fault::Damaged("it has more than its records")) }
    }
}
