//! Record batches (magic 2) as a producer writes them, and the LZ4 frame around their records.
//!
//! By <https://kafka.apache.org/documentation/#recordbatch> and the LZ4 frame format 1.6.

use lz4_flex::block::{compress_into, get_maximum_output_size};

use super::wire::{Put, varint_len};
use crate::Message;

/// What stands in front of a batch's records.
const HEADER_BYTES: usize = 61;
/// Where the checksum begins to count: behind itself.
const COUNTED_FROM: usize = 21;
/// The attribute of batches whose records are in an LZ4 frame.
const LZ4: i16 = 3;
/// Magic, version 1 with independent blocks of at most 64 KiB and no checksums, and the checksum of that.
const FRAME: [u8; 7] = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82];
const BLOCK_BYTES: usize = 64 << 10;
/// The mark of a block that is stored as it is.
const STORED: u32 = 1 << 31;

/// How records are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kafka) enum Compression {
    None,
    Lz4,
}

/// Appends a record; `index` is its place in the batch, from 0.
pub(super) fn put_record(out: &mut Vec<u8>, index: i32, message: &Message<'_>) {
    out.varint(body_len(index, message) as i64);
    // No attributes; the batch's own time.
    out.put(&[0, 0]);
    out.varint(i64::from(index));
    out.varint(message.key.map_or(-1, |key| key.len() as i64));
    out.put(message.key.unwrap_or_default());
    put_field(out, message.value);
    out.varint(message.headers.len() as i64);
    for (name, value) in message.headers {
        put_field(out, name.as_bytes());
        put_field(out, value.as_bytes());
    }
}

/// How many bytes [`put_record`] appends.
pub(super) fn record_len(index: i32, message: &Message<'_>) -> usize {
    field_len(body_len(index, message))
}

fn body_len(index: i32, message: &Message<'_>) -> usize {
    let key = message.key.map_or(varint_len(-1), |key| field_len(key.len()));
    let headers: usize = message.headers.iter().map(|(name, value)| field_len(name.len()) + field_len(value.len())).sum();
    2 + varint_len(i64::from(index)) + key + field_len(message.value.len()) + varint_len(message.headers.len() as i64) + headers
}

fn field_len(bytes: usize) -> usize {
    varint_len(bytes as i64) + bytes
}

fn put_field(out: &mut Vec<u8>, bytes: &[u8]) {
    out.varint(bytes.len() as i64);
    out.put(bytes);
}

/// What a batch says of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Batch<'a> {
    /// Id and epoch.
    pub(super) producer: (i64, i16),
    /// The sequence number of its first record.
    pub(super) sequence: i32,
    pub(super) count: i32,
    /// In milliseconds since 1970, of all of its records.
    pub(super) timestamp: i64,
    pub(super) records: &'a [u8],
}

/// Appends a batch. Records that do not become smaller are not compressed.
pub(super) fn put_batch(out: &mut Vec<u8>, batch: &Batch<'_>, compression: Compression) {
    let begin = out.len();
    out.i64(0);
    out.i32(0);
    // No leader epoch.
    out.i32(-1);
    out.i8(2);
    out.i32(0);
    out.i16(if compression == Compression::Lz4 { LZ4 } else { 0 });
    out.i32(batch.count - 1);
    out.i64(batch.timestamp);
    out.i64(batch.timestamp);
    out.i64(batch.producer.0);
    out.i16(batch.producer.1);
    out.i32(batch.sequence);
    out.i32(batch.count);
    let records = begin + HEADER_BYTES;
    if compression == Compression::Lz4 {
        put_frame(out, batch.records);
    }
    if compression == Compression::None || out.len() - records >= batch.records.len() {
        out.truncate(records);
        out.put(batch.records);
        out[begin + COUNTED_FROM..][..2].copy_from_slice(&[0; 2]);
    }
    let length = i32::try_from(out.len() - begin - 12).expect("a batch is below 2 GiB");
    out[begin + 8..][..4].copy_from_slice(&length.to_be_bytes());
    let checksum = crc32c::crc32c(&out[begin + COUNTED_FROM..]);
    out[begin + COUNTED_FROM - 4..][..4].copy_from_slice(&checksum.to_be_bytes());
}

fn put_frame(out: &mut Vec<u8>, bytes: &[u8]) {
    out.put(&FRAME);
    for block in bytes.chunks(BLOCK_BYTES) {
        let at = out.len();
        out.resize(at + 4 + get_maximum_output_size(block.len()), 0);
        let size = compress_into(block, &mut out[at + 4..]).expect("there is room");
        if size < block.len() {
            out[at..at + 4].copy_from_slice(&(size as u32).to_le_bytes());
            out.truncate(at + 4 + size);
        } else {
            out.truncate(at);
            out.put(&(block.len() as u32 | STORED).to_le_bytes());
            out.put(block);
        }
    }
    out.put(&[0; 4]);
}
