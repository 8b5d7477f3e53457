//! Batches as they are in memory and in segment files. All integers are little-endian.
//!
//! ```text
//! length u32 | crc u32 | base i64 | timestamp i64 | count u32 | count x record
//! record: key length + 1 (0: none) | key | value length | value | header count | headers: name length | name | value length | value
//! ```
//!
//! `length` counts the bytes behind `crc`, `crc` is the CRC-32 of those bytes. Lengths inside records are LEB128. All records of a
//! batch have the timestamp of the batch (when it was appended; never lower than that of the batch before), so that a record costs
//! no look at the clock.

use std::sync::Arc;

use ringmaster_schemas::Millis;

use crate::{Headers, Message};

/// Bytes before the first record.
pub(super) const HEADER_BYTES: usize = 28;
/// `length` and `crc`, which `length` does not count.
const PREFIX_BYTES: usize = 8;
/// At most how much larger than its key, value and headers a record is: five lengths of at most 5 bytes.
const RECORD_OVERHEAD_BYTES_MAX: usize = 16;

/// A batch being collected.
#[derive(Debug)]
pub(super) struct BatchBuilder {
    bytes: Vec<u8>,
    count: u32,
}

impl BatchBuilder {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        let mut builder = Self { bytes: Vec::with_capacity(bytes.max(HEADER_BYTES)), count: 0 };
        builder.clear();
        builder
    }

    pub(super) fn push(&mut self, message: &Message<'_>) {
        let bytes = &mut self.bytes;
        match message.key {
            Some(key) => {
                put_length(bytes, key.len() + 1);
                bytes.extend_from_slice(key);
            }
            None => bytes.push(0),
        }
        put_bytes(bytes, message.value);
        put_length(bytes, message.headers.len());
        for (name, value) in message.headers {
            put_bytes(bytes, name.as_bytes());
            put_bytes(bytes, value.as_bytes());
        }
        self.count += 1;
    }

    /// Fills in what is known only when the batch is appended.
    pub(super) fn seal(&mut self, base: i64, timestamp: Millis) {
        let length = u32::try_from(self.bytes.len() - PREFIX_BYTES).expect("a batch is written long before it has 4 GiB");
        self.bytes[0..4].copy_from_slice(&length.to_le_bytes());
        self.bytes[8..16].copy_from_slice(&base.to_le_bytes());
        self.bytes[16..24].copy_from_slice(&timestamp.to_le_bytes());
        self.bytes[24..28].copy_from_slice(&self.count.to_le_bytes());
        let crc = crc32fast::hash(&self.bytes[PREFIX_BYTES..]);
        self.bytes[4..8].copy_from_slice(&crc.to_le_bytes());
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.resize(HEADER_BYTES, 0);
        self.count = 0;
    }

    /// The sealed bytes, for readers to share; this builder begins anew with room for as many.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let next = Self::with_capacity(self.bytes.len() + self.bytes.len() / 8);
        std::mem::replace(self, next).bytes
    }
}

/// The bytes that a message takes in a batch, at most.
pub(super) fn size_max(message: &Message<'_>) -> usize {
    let headers: usize = message.headers.iter().map(|(name, value)| name.len() + value.len() + 10).sum();
    message.key.map_or(0, <[u8]>::len) + message.value.len() + headers + RECORD_OVERHEAD_BYTES_MAX
}

/// What the first bytes of a batch say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BatchHeader {
    pub(super) base: i64,
    pub(super) timestamp: Millis,
    pub(super) count: u32,
    /// Of the whole batch, this header included.
    pub(super) bytes: usize,
    crc: u32,
}

impl BatchHeader {
    /// Reads a header; none if there are too few bytes or they cannot be one.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let header = bytes.get(..HEADER_BYTES)?;
        let u32_at = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("4 bytes"));
        let i64_at = |at: usize| i64::from_le_bytes(header[at..at + 8].try_into().expect("8 bytes"));
        let whole = u32_at(0) as usize + PREFIX_BYTES;
        let found = Self { base: i64_at(8), timestamp: i64_at(16), count: u32_at(24), bytes: whole, crc: u32_at(4) };
        let can_be = whole > HEADER_BYTES && found.count > 0 && found.base >= 0 && found.count as usize <= whole;
        can_be.then_some(found)
    }

    /// Whether `batch`, whose header this is, is whole and unharmed.
    pub(super) fn fits(&self, batch: &[u8]) -> bool {
        batch.get(PREFIX_BYTES..self.bytes).is_some_and(|body| crc32fast::hash(body) == self.crc)
    }

    /// The offset behind its last record.
    pub(super) fn next(&self) -> i64 {
        self.base + i64::from(self.count)
    }
}

/// A whole batch in memory, shared by its readers.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    pub(super) header: BatchHeader,
    chunk: Arc<Vec<u8>>,
    from: usize,
}

impl Batch {
    /// The batch that begins at `from` in a chunk and has this header.
    pub(super) fn within(chunk: &Arc<Vec<u8>>, from: usize, header: BatchHeader) -> Self {
        Self { header, chunk: Arc::clone(chunk), from }
    }

    /// Its records, as bytes for [`RecordBytes::next`].
    pub(super) fn records(&self) -> &[u8] {
        &self.chunk[self.from + HEADER_BYTES..self.from + self.header.bytes]
    }
}

/// A record inside a batch.
pub(super) struct RecordBytes<'a> {
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: &'a [u8],
    pub(super) headers: HeaderBytes<'a>,
}

impl<'a> RecordBytes<'a> {
    /// Takes the next record off `rest`; none if the bytes are no record (the batch's CRC was right, so its writer was wrong).
    #[inline]
    pub(super) fn next(rest: &mut &'a [u8]) -> Option<Self> {
        let key = match take_length(rest)? {
            0 => None,
            length => Some(take(rest, length - 1)?),
        };
        let value = take_bytes(rest)?;
        let count = take_length(rest)?;
        let headers = HeaderBytes { count, bytes: rest };
        for _ in 0..2 * count {
            take_bytes(rest)?;
        }
        Some(Self { key, value, headers })
    }
}

/// The headers of a record, decoded when they are asked for.
#[derive(Clone, Copy)]
pub(super) struct HeaderBytes<'a> {
    pub(super) count: usize,
    bytes: &'a [u8],
}

impl Headers for HeaderBytes<'_> {
    fn find(&self, name: &str) -> Option<&[u8]> {
        let (mut rest, mut last) = (self.bytes, None);
        for _ in 0..self.count {
            let (found, value) = (take_bytes(&mut rest)?, take_bytes(&mut rest)?);
            if found == name.as_bytes() {
                last = Some(value);
            }
        }
        last
    }
}

#[inline]
fn put_length(bytes: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
}

#[inline]
fn put_bytes(bytes: &mut Vec<u8>, what: &[u8]) {
    put_length(bytes, what.len());
    bytes.extend_from_slice(what);
}

#[inline]
fn take_length(rest: &mut &[u8]) -> Option<usize> {
    let mut length = 0;
    for shift in (0..35).step_by(7) {
        let (&byte, behind) = rest.split_first()?;
        *rest = behind;
        length |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(length);
        }
    }
    None
}

#[inline]
fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(taken)
}

#[inline]
fn take_bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take_length(rest)?;
    take(rest, length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Topic, TopicPartition};

    fn message<'a>(key: Option<&'a [u8]>, value: &'a [u8], headers: &'a [(&'a str, &'a str)]) -> Message<'a> {
        Message { to: TopicPartition { topic: Topic(0), partition: 0 }, key, value, headers }
    }

    #[test]
    fn records_come_back_as_they_were() {
        let long = vec![7u8; 70_000];
        let mut builder = BatchBuilder::with_capacity(0);
        builder.push(&message(None, b"", &[]));
        builder.push(&message(Some(b""), &long, &[("a", ""), ("", "b"), ("a", "second")]));
        builder.push(&message(Some(b"k"), b"v", &[]));
        builder.seal(41, 1_000);
        let header = BatchHeader::read(builder.bytes()).expect("a header");
        assert!(header.fits(builder.bytes()));
        assert_eq!((header.base, header.next(), header.timestamp, header.bytes), (41, 44, 1_000, builder.bytes().len()));
        let batch = Batch::within(&Arc::new(builder.take()), 0, header);
        let mut rest = batch.records();
        let first = RecordBytes::next(&mut rest).expect("the first");
        assert_eq!((first.key, first.value, first.headers.count), (None, &b""[..], 0));
        let second = RecordBytes::next(&mut rest).expect("the second");
        assert_eq!((second.key, second.value.len()), (Some(&b""[..]), 70_000));
        assert_eq!(second.headers.find("a"), Some(&b"second"[..]), "the last counts");
        assert_eq!(second.headers.find(""), Some(&b"b"[..]));
        assert_eq!(second.headers.find("c"), None);
        let third = RecordBytes::next(&mut rest).expect("the third");
        assert_eq!((third.key, third.value), (Some(&b"k"[..]), &b"v"[..]));
        assert!(rest.is_empty());
        assert_eq!(builder.count(), 0);
    }

    #[test]
    fn any_flipped_bit_is_found_and_no_prefix_fits() {
        let mut builder = BatchBuilder::with_capacity(64);
        builder.push(&message(Some(b"key"), b"value", &[("h", "x")]));
        builder.seal(5, 9);
        let whole = builder.take();
        for at in 0..whole.len() {
            let mut bad = whole.clone();
            bad[at] ^= 1 << (at % 8);
            assert!(!BatchHeader::read(&bad).is_some_and(|header| header.fits(&bad)), "byte {at}");
            assert!(!BatchHeader::read(&whole[..at]).is_some_and(|header| header.fits(&whole[..at])), "prefix {at}");
        }
    }

    #[test]
    fn random_bytes_never_panic() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let bytes: Vec<u8> = (0..random.usize(..60)).map(|_| random.u8(..)).collect();
            let mut rest = &bytes[..];
            while let Some(record) = RecordBytes::next(&mut rest) {
                record.headers.find("x");
            }
            BatchHeader::read(&bytes).map(|header| header.fits(&bytes));
        }
    }

    #[test]
    fn the_size_is_never_underestimated() {
        let long = "n".repeat(300);
        for (key, value, headers) in
            [(None, 0, vec![]), (Some(200), 200, vec![("a", "b")]), (Some(70_000), 3_000_000, vec![(&*long, &*long)])]
        {
            let (key, value) = (key.map(|length| vec![1u8; length]), vec![2u8; value]);
            let message = message(key.as_deref(), &value, &headers);
            let mut builder = BatchBuilder::with_capacity(0);
            builder.push(&message);
            assert!(size_max(&message) >= builder.bytes().len() - HEADER_BYTES);
        }
    }
}
