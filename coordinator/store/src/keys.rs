//! The registry of keys: every kind of row that was ever stored, and how its key is laid out.
//!
//! A key is its kind (two bytes), then the partition (two bytes, big-endian), then the rest. A kind is never used again for
//! something else; a retired one stays in this file as reserved. Changing a layout is a new kind, or a new [`FORMAT_VERSION`].

use std::ops::Range;

use ringmaster_schemas::Millis;

/// Version of the whole layout. A store of another version is moved aside and rebuilt from the journal.
pub(crate) const FORMAT_VERSION: i64 = 1;

/// What a row is: the first two bytes of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Kind {
    /// The format marker; no partition: [`FORMAT_VERSION`] and P.
    Format = 0x0001,
    /// `partition` -> checkpoint.
    Checkpoint = 0x0010,
    /// `partition, id` -> saga row.
    Saga = 0x0020,
    /// `partition, time (sign flipped), id` -> nothing: what is due when.
    Due = 0x0021,
    /// `partition, bucket (sign flipped), id` -> nothing: which finished sagas expire when.
    Expiry = 0x0022,
}

/// The kinds that belong to a partition, and go with it.
pub(crate) const OF_A_PARTITION: [Kind; 4] = [Kind::Checkpoint, Kind::Saga, Kind::Due, Kind::Expiry];

/// Bytes of kind and partition.
const PREFIX_BYTES: usize = 4;
/// Bytes of kind, partition, and a time or bucket.
const ORDERED_BYTES: usize = 12;

/// The key of the format marker.
pub(crate) fn format_marker() -> [u8; 2] {
    (Kind::Format as u16).to_be_bytes()
}

/// Kind and partition: the start of every key of a partition, and the whole key of its checkpoint.
pub(crate) fn prefix(kind: Kind, partition: u16) -> [u8; PREFIX_BYTES] {
    let ([a, b], [c, d]) = ((kind as u16).to_be_bytes(), partition.to_be_bytes());
    [a, b, c, d]
}

/// All keys of a kind in a partition.
pub(crate) fn all(kind: Kind, partition: u16) -> Range<[u8; PREFIX_BYTES]> {
    let from = prefix(kind, partition);
    let to = u32::from_be_bytes(from).checked_add(1).expect("kinds end below 0xffff").to_be_bytes();
    from..to
}

/// Writes the key of a saga row.
pub(crate) fn saga(key: &mut Vec<u8>, partition: u16, id: &str) {
    key.clear();
    key.extend_from_slice(&prefix(Kind::Saga, partition));
    key.extend_from_slice(id.as_bytes());
}

/// Writes a key of an index that is ordered by a number: a due time, or a bucket.
pub(crate) fn ordered(key: &mut Vec<u8>, kind: Kind, partition: u16, number: i64, id: &str) {
    key.clear();
    key.extend_from_slice(&bound(kind, partition, number));
    key.extend_from_slice(id.as_bytes());
}

/// Where a number begins in an ordered index.
pub(crate) fn bound(kind: Kind, partition: u16, number: i64) -> [u8; ORDERED_BYTES] {
    let mut key = [0; ORDERED_BYTES];
    key[..PREFIX_BYTES].copy_from_slice(&prefix(kind, partition));
    key[PREFIX_BYTES..].copy_from_slice(&flip(number).to_be_bytes());
    key
}

/// The id in the key of a saga row.
pub(crate) fn id_of_saga(key: &[u8]) -> Option<&str> {
    std::str::from_utf8(key.get(PREFIX_BYTES..)?).ok()
}

/// The number and the id in a key of an ordered index.
pub(crate) fn parse_ordered(key: &[u8]) -> Option<(Millis, &str)> {
    let number = key.get(PREFIX_BYTES..ORDERED_BYTES)?.try_into().ok()?;
    Some((unflip(u64::from_be_bytes(number)), std::str::from_utf8(&key[ORDERED_BYTES..]).ok()?))
}

/// Flips the sign bit, so that bytes sort like the numbers.
fn flip(number: i64) -> u64 {
    number as u64 ^ (1 << 63)
}

fn unflip(bytes: u64) -> i64 {
    (bytes ^ (1 << 63)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_by_partition_then_number_then_id() {
        let mut sorted = Vec::new();
        for partition in [0, 1, 255, 256, u16::MAX] {
            for number in [i64::MIN, -1, 0, 1, 255, 256, i64::MAX] {
                for id in ["a/1", "a/2", "b/1"] {
                    let mut key = Vec::new();
                    ordered(&mut key, Kind::Due, partition, number, id);
                    assert_eq!(parse_ordered(&key), Some((number, id)));
                    assert!(key.as_slice() >= all(Kind::Due, partition).start.as_slice());
                    assert!(key.as_slice() < all(Kind::Due, partition).end.as_slice());
                    sorted.push(key);
                }
            }
        }
        assert!(sorted.is_sorted(), "the order of bytes is the order of (partition, number, id)");
    }

    #[test]
    fn layouts_are_frozen() {
        let mut key = Vec::new();
        ordered(&mut key, Kind::Due, 3, 5, "o/1");
        assert_eq!(key, b"\x00\x21\x00\x03\x80\x00\x00\x00\x00\x00\x00\x05o/1");
        ordered(&mut key, Kind::Expiry, 3, -1, "o/1");
        assert_eq!(key, b"\x00\x22\x00\x03\x7f\xff\xff\xff\xff\xff\xff\xffo/1");
        saga(&mut key, 258, "o/1");
        assert_eq!(key, b"\x00\x20\x01\x02o/1");
        assert_eq!(id_of_saga(&key), Some("o/1"));
        assert_eq!(prefix(Kind::Checkpoint, 7), *b"\x00\x10\x00\x07");
        assert_eq!(format_marker(), *b"\x00\x01");
    }
}
