//! Record batches (magic 2) as a reader finds them: where each begins and ends, and the records in it.
//!
//! By <https://kafka.apache.org/documentation/#recordbatch>.

use std::ops::Range;

use super::codec::Fault;
use super::wire::{Get, Malformed};
use crate::Headers;

/// What stands in front of a batch's records.
const HEADER_BYTES: usize = 61;
/// Offset and length, which the length does not count.
const UNCOUNTED_BYTES: usize = 12;
/// Where the checksum begins to count: behind itself.
const COUNTED_FROM: usize = 21;

/// What a batch says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// The offset of the first record that was in it.
    pub(super) base: i64,
    /// That of the last one.
    pub(super) last: i64,
    /// For the how manieth time its partition was led when it was appended; negative if that is not known.
    epoch: i32,
    /// How many bytes it has.
    pub(super) bytes: usize,
    pub(super) codec: u8,
    /// Its one record ends a transaction.
    pub(super) is_control: bool,
    pub(super) is_transactional: bool,
    /// The time of all of its records, if the log's own counts.
    log_time: Option<i64>,
    first_time: i64,
    /// The producer's identity.
    pub(super) producer: i64,
    pub(super) count: i32,
}

/// What stands at the beginning of fetched bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// A whole batch.
    Whole(Header),
    /// One that the answer cut, with so many bytes if it says how many. It comes whole with the next one.
    Cut(Option<usize>),
}

/// What stands at the beginning of these bytes.
pub(super) fn find(bytes: &[u8]) -> Result<Found, Fault> {
    let cut = |_: Malformed| Found::Cut(None);
    let parse = |get: &mut Get<'_>| Ok(((get.i64()?, get.i32()?, get.i32()?), get.i8()?));
    let ((base, length, epoch), magic) = match parse(&mut Get(bytes)).map_err(cut) {
        Ok(head) => head,
        Err(cut) => return Ok(cut),
    };
    match magic {
        2 => {}
        0 | 1 => return Err(Fault::Foreign("it has the format of Kafka before 0.11; kafka.client = librdkafka reads it")),
        _ => return Err(Fault::Foreign("it has a format that is not known here")),
    }
    let size = usize::try_from(length).ok().and_then(|length| length.checked_add(UNCOUNTED_BYTES));
    let size = size.filter(|size| *size >= HEADER_BYTES).ok_or(Fault::Damaged("its length cannot be"))?;
    match bytes.get(..size) {
        None => Ok(Found::Cut(Some(size))),
        Some(batch) => whole(base, epoch, batch).map(Found::Whole),
    }
}

fn whole(base: i64, epoch: i32, batch: &[u8]) -> Result<Header, Fault> {
    let parse = |get: &mut Get<'_>| {
        let (attributes, last, first_time, max_time) = (get.i16()?, get.i32()?, get.i64()?, get.i64()?);
        let (producer, _, _, count) = (get.i64()?, get.i16()?, get.i32()?, get.i32()?);
        Ok((attributes, last, first_time, max_time, producer, count))
    };
    let parsed = parse(&mut Get(&batch[COUNTED_FROM..]));
    let (attributes, last, first_time, max_time, producer, count) =
        parsed.map_err(|_: Malformed| Fault::Damaged("its header is none"))?;
    let last = if last < 0 || base < 0 { None } else { base.checked_add(i64::from(last)) };
    // The next one must be a number too.
    let last = last.filter(|last| *last < i64::MAX).ok_or(Fault::Damaged("its offsets cannot be"))?;
    let has = |bit: u8| attributes >> bit & 1 == 1;
    Ok(Header {
        base,
        last,
        epoch,
        bytes: batch.len(),
        codec: (attributes & 7) as u8,
        is_control: has(5),
        is_transactional: has(4),
        log_time: has(3).then_some(max_time),
        first_time,
        producer,
        count,
    })
}

/// Compares a whole batch with its checksum.
pub(super) fn check(batch: &[u8]) -> Result<(), Fault> {
    let told = &batch[COUNTED_FROM - 4..COUNTED_FROM];
    if crc32c::crc32c(&batch[COUNTED_FROM..]).to_be_bytes() == told { Ok(()) } else { Err(Fault::Damaged("its checksum is wrong")) }
}

/// Where a batch's records are in it.
pub(super) fn records(header: &Header) -> Range<usize> {
    HEADER_BYTES..header.bytes
}

/// What fetched bytes come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Behind {
    /// The offset behind the last whole batch, if there is one.
    pub(super) next: Option<i64>,
    /// The last batch's epoch.
    pub(super) epoch: i32,
    /// What comes behind is a batch that was cut, or nothing.
    pub(super) is_known: bool,
}

/// Goes over batches without looking into them.
pub(super) fn behind(mut bytes: &[u8]) -> Behind {
    let (mut next, mut epoch) = (None, -1);
    loop {
        match find(bytes) {
            Ok(Found::Whole(header)) => {
                (next, epoch) = (next.max(Some(header.last + 1)), header.epoch);
                bytes = &bytes[header.bytes..];
            }
            rest => return Behind { next, epoch, is_known: rest.is_ok() },
        }
    }
}

/// A record of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Read<'a> {
    pub(super) offset: i64,
    pub(super) timestamp: i64,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    pub(super) headers: Option<Fields<'a>>,
}

/// The next record of a batch.
pub(super) fn next<'a>(get: &mut Get<'a>, header: &Header) -> Result<Read<'a>, Malformed> {
    let length = usize::try_from(get.varint()?).map_err(|_| Malformed)?;
    let mut body = Get(get.take(length)?);
    body.i8()?;
    let (time, offset) = (body.varint()?, body.varint()?);
    let offset = header.base.checked_add(offset).filter(|offset| (header.base..=header.last).contains(offset)).ok_or(Malformed)?;
    let (key, value) = (field(&mut body)?, field(&mut body)?);
    let count = body.varint()?;
    let headers = Fields { count, bytes: body.0 };
    // What is found by a name later is there.
    for _ in 0..count {
        field(&mut body)?.ok_or(Malformed)?;
        field(&mut body)?;
    }
    if count < 0 || !body.0.is_empty() {
        return Err(Malformed);
    }
    // A record without a time has -1.
    let timestamp = header.log_time.unwrap_or(header.first_time.saturating_add(time)).max(0);
    Ok(Read { offset, timestamp, key, value, headers: (count > 0).then_some(headers) })
}

fn field<'a>(get: &mut Get<'a>) -> Result<Option<&'a [u8]>, Malformed> {
    match get.varint()? {
        -1 => Ok(None),
        length => get.take(usize::try_from(length).map_err(|_| Malformed)?).map(Some),
    }
}

/// The headers of a record, where they were fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fields<'a> {
    count: i64,
    bytes: &'a [u8],
}

impl Headers for Fields<'_> {
    fn find(&self, name: &str) -> Option<&[u8]> {
        let (mut get, mut last) = (Get(self.bytes), None);
        for _ in 0..self.count {
            let (Ok(Some(found)), Ok(value)) = (field(&mut get), field(&mut get)) else { break };
            if found == name.as_bytes() {
                last = Some(value.unwrap_or_default());
            }
        }
        last
    }
}

/// Whether a control batch's records say that a transaction was taken back.
pub(super) fn is_abort(records: &[u8], header: &Header) -> Result<bool, Malformed> {
    let mut key = Get(next(&mut Get(records), header)?.key.ok_or(Malformed)?);
    let (_, kind) = (key.i16()?, key.i16()?);
    Ok(kind == 0)
}

/// The transactions of one answer that were taken back, and of whom the batches at hand are such.
#[derive(Debug, Default)]
pub(super) struct Aborted {
    /// Producer and first offset, the last one first.
    ahead: Vec<(i64, i64)>,
    open: Vec<i64>,
}

impl Aborted {
    pub(super) fn new(mut transactions: Vec<(i64, i64)>) -> Self {
        transactions.sort_unstable_by_key(|(_, first)| std::cmp::Reverse(*first));
        Aborted { ahead: transactions, open: Vec::new() }
    }

    /// True if nothing of a batch is to be visited. Batches come in the order of their offsets.
    pub(super) fn skips(&mut self, header: &Header) -> bool {
        while let Some((producer, _)) = self.ahead.pop_if(|(_, first)| *first <= header.last) {
            if !self.open.contains(&producer) {
                self.open.push(producer);
            }
        }
        header.is_transactional && self.open.contains(&header.producer)
    }

    /// A producer's transaction ends here.
    pub(super) fn end(&mut self, producer: i64) {
        self.open.retain(|open| *open != producer);
    }
}
