//! A partition's log as a leader keeps it for idempotent producers.

use std::collections::{HashMap, VecDeque};

use super::super::wire::{Get, Malformed};

/// One partition as it is written, on all replicas.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// Values by offset.
    pub(super) values: Vec<Vec<u8>>,
    /// By producer id: its last batches (sequence, count, base offset).
    pub(super) batches: HashMap<i64, VecDeque<(i32, i32, i64)>>,
}

/// As a leader appends a batch of an idempotent producer.
pub(super) fn append(log: &mut Written, batch: &[u8]) -> (i16, i64) {
    let mut get = Get(batch);
    let parse = |get: &mut Get<'_>| {
        get.take(8)?;
        let length = get.i32()?;
        assert_eq!(length as usize, get.0.len(), "the batch's length");
        get.take(5)?;
        let checksum = get.i32()? as u32;
        assert_eq!(checksum, crc32c::crc32c(get.0), "the batch's checksum");
        assert_eq!(get.i16()?, 0, "not compressed");
        let last = get.i32()?;
        get.take(16)?;
        let (id, epoch, sequence, count) = (get.i64()?, get.i16()?, get.i32()?, get.i32()?);
        assert_eq!((epoch, count), (0, last + 1));
        Ok::<_, Malformed>((id, sequence, count))
    };
    let (id, sequence, count) = parse(&mut get).expect("a whole batch");
    let known = log.batches.entry(id).or_default();
    if let Some((_, _, base)) = known.iter().find(|(begin, length, _)| (*begin, *length) == (sequence, count)) {
        return (0, *base);
    }
    // A producer that it has not met may begin anywhere, since the log may have been made anew.
    let expected = known.back().map_or(sequence, |(begin, length, _)| begin + length);
    if sequence < expected {
        // DUPLICATE_SEQUENCE_NUMBER
        return (46, -1);
    }
    if sequence > expected {
        // OUT_OF_ORDER_SEQUENCE_NUMBER
        return (45, -1);
    }
    let base = log.values.len() as i64;
    known.push_back((sequence, count, base));
    if known.len() > 5 {
        known.pop_front();
    }
    for _ in 0..count {
        log.values.push(value(&mut get).expect("a whole record"));
    }
    assert!(get.0.is_empty(), "nothing behind the records");
    (0, base)
}

fn value(get: &mut Get<'_>) -> Result<Vec<u8>, Malformed> {
    let varint = |get: &mut Get<'_>| get.unsigned().map(|read| (read >> 1) as i64 ^ -((read & 1) as i64));
    let length = varint(get)?;
    let mut record = Get(get.take(length as usize)?);
    record.i8()?;
    varint(&mut record)?;
    varint(&mut record)?;
    let key = varint(&mut record)?;
    record.take(usize::try_from(key).unwrap_or(0))?;
    let value = varint(&mut record)?;
    let value = record.take(value as usize)?.to_vec();
    for _ in 0..varint(&mut record)? {
        for _ in 0..2 {
            let field = varint(&mut record)?;
            record.take(field as usize)?;
        }
    }
    assert!(record.0.is_empty(), "nothing behind the headers");
    Ok(value)
}
