//! The registry of keys: every kind of row that was ever stored, and how its key is laid out.
//!
//! A key is its kind (two bytes), then the partition (two bytes, big-endian), then the rest. A kind is never used again for
//! something else; a retired one stays in this file as reserved. Changing a layout is a new kind, or a new [`FORMAT_VERSION`].

use std::ops::Range;

use ringmaster_schemas::state::{Index, RowKey, RowKind};

/// Version of the whole layout. A store of another version is moved aside and rebuilt from the journal.
pub(crate) const FORMAT_VERSION: i64 = 5;

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
    /// `partition, time (sign flipped), kind of row, rest of its key` -> nothing: what is due when.
    Due = 0x0021,
    /// `partition, bucket (sign flipped), kind of row, rest of its key` -> what the row is searched by: which rows expire when.
    Expiry = 0x0022,
    /// `partition, offset, index (signs flipped)` -> effect that is not known to be delivered.
    Outbox = 0x0023,
    /// `partition, time (sign flipped), kind of row, rest of its key` -> nothing: which rows need a person, since when.
    Stuck = 0x0024,
    /// `partition, place (sign flipped), kind of row, rest of its key` -> nothing: which rows wait for a breaker.
    Parked = 0x0025,
    /// `partition, participant` -> breaker that is not closed.
    Breaker = 0x0026,
    /// `partition, id of a saga, 0, hash` -> a large value of its row (`large.rs`).
    Value = 0x0028,
    /// `partition, definition, 0, name, 0, length, value, id of a saga` -> nothing: which rows are found by a value (`search.rs`).
    Search = 0x0029,
    /// `partition` -> counts.
    Counts = 0x002a,
    /// `partition, class and time (sign flipped), kind of row, rest of its key` -> nothing: which sagas have not ended, by class and when they
    /// began.
    Live = 0x002b,
}

/// The kinds that belong to a partition, and go with it.
pub(crate) const OF_A_PARTITION: [Kind; 12] = [
    Kind::Checkpoint,
    Kind::Saga,
    Kind::Due,
    Kind::Expiry,
    Kind::Outbox,
    Kind::Stuck,
    Kind::Parked,
    Kind::Breaker,
    Kind::Value,
    Kind::Search,
    Kind::Counts,
    Kind::Live,
];

impl Kind {
    /// Where rows of this kind lie.
    pub(crate) fn of_row(kind: RowKind) -> Self {
        match kind {
            RowKind::Saga => Kind::Saga,
            RowKind::Outbox => Kind::Outbox,
            RowKind::Breaker => Kind::Breaker,
            RowKind::Counts => Kind::Counts,
        }
    }

    /// Where this index lies.
    pub(crate) fn of_index(index: Index) -> Self {
        match index {
            Index::Due => Kind::Due,
            Index::Expiry => Kind::Expiry,
            Index::Stuck => Kind::Stuck,
            Index::Parked => Kind::Parked,
            Index::Live => Kind::Live,
        }
    }
}

/// Bytes of kind and partition.
pub(crate) const PREFIX_BYTES: usize = 4;
/// Bytes of kind, partition, and a time or bucket.
const PLACE_BYTES: usize = 12;
/// The same, and the kind of row.
const PLACED_BYTES: usize = 14;

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

/// Writes the key of a row.
pub(crate) fn row(out: &mut Vec<u8>, partition: u16, key: &RowKey) {
    out.clear();
    out.extend_from_slice(&prefix(Kind::of_row(key.kind()), partition));
    put_rest(out, key);
}

/// Writes the key of a large value of a saga's row.
pub(crate) fn value(out: &mut Vec<u8>, partition: u16, id: &str, hash: [u8; 16]) {
    out.clear();
    out.extend_from_slice(&prefix(Kind::Value, partition));
    out.extend_from_slice(id.as_bytes());
    out.push(0); // no id has one
    out.extend_from_slice(&hash);
}

/// Reads the key of a row.
pub(crate) fn parse_row(bytes: &[u8]) -> Option<RowKey> {
    let kind = u16::from_be_bytes([*bytes.first()?, *bytes.get(1)?]);
    parse_rest(kind, bytes.get(PREFIX_BYTES..)?)
}

/// Writes the key of a row's place in an index.
pub(crate) fn place(out: &mut Vec<u8>, index: Index, partition: u16, at: i64, key: &RowKey) {
    out.clear();
    out.extend_from_slice(&bound(index, partition, at));
    out.extend_from_slice(&(Kind::of_row(key.kind()) as u16).to_be_bytes());
    put_rest(out, key);
}

/// Where a number begins in an index.
pub(crate) fn bound(index: Index, partition: u16, at: i64) -> [u8; PLACE_BYTES] {
    let mut key = [0; PLACE_BYTES];
    key[..PREFIX_BYTES].copy_from_slice(&prefix(Kind::of_index(index), partition));
    key[PREFIX_BYTES..].copy_from_slice(&flip(at).to_be_bytes());
    key
}

/// Reads the key of a place: the number, and the key of the row that is there.
pub(crate) fn parse_place(bytes: &[u8]) -> Option<(i64, RowKey)> {
    let number = bytes.get(PREFIX_BYTES..PLACE_BYTES)?.try_into().ok()?;
    let kind = u16::from_be_bytes(bytes.get(PLACE_BYTES..PLACED_BYTES)?.try_into().ok()?);
    Some((unflip(u64::from_be_bytes(number)), parse_rest(kind, &bytes[PLACED_BYTES..])?))
}

/// What tells rows of a kind apart.
fn put_rest(out: &mut Vec<u8>, key: &RowKey) {
    match key {
        RowKey::Saga(id) | RowKey::Breaker(id) => out.extend_from_slice(id.as_bytes()),
        RowKey::Outbox(offset, index) => {
            out.extend_from_slice(&flip(*offset).to_be_bytes());
            out.extend_from_slice(&(*index as u32 ^ (1 << 31)).to_be_bytes());
        }
        RowKey::Counts => {}
    }
}

fn parse_rest(kind: u16, rest: &[u8]) -> Option<RowKey> {
    if kind == Kind::Saga as u16 {
        return std::str::from_utf8(rest).ok().map(RowKey::saga);
    }
    if kind == Kind::Breaker as u16 {
        return std::str::from_utf8(rest).ok().map(|name| RowKey::Breaker(name.into()));
    }
    if kind == Kind::Counts as u16 {
        return rest.is_empty().then_some(RowKey::Counts);
    }
    if kind == Kind::Outbox as u16 {
        let (offset, index) = rest.split_at_checked(8)?;
        let index = u32::from_be_bytes(index.try_into().ok()?) ^ (1 << 31);
        return Some(RowKey::Outbox(unflip(u64::from_be_bytes(offset.try_into().ok()?)), index as i32));
    }
    None
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
    fn keys_sort_by_partition_then_number_then_row() {
        let (mut places, mut rows) = (Vec::new(), Vec::new());
        for partition in [0, 1, 255, 256, u16::MAX] {
            for number in [i64::MIN, -1, 0, 1, 255, 256, i64::MAX] {
                for id in ["a/1", "a/2", "b/1"] {
                    let mut key = Vec::new();
                    place(&mut key, Index::Due, partition, number, &RowKey::saga(id));
                    assert_eq!(parse_place(&key), Some((number, RowKey::saga(id))));
                    assert!(key.as_slice() >= all(Kind::Due, partition).start.as_slice());
                    assert!(key.as_slice() < all(Kind::Due, partition).end.as_slice());
                    places.push(key);
                }
                for index in [i32::MIN, -1, 0, 1, i32::MAX] {
                    let mut key = Vec::new();
                    row(&mut key, partition, &RowKey::Outbox(number, index));
                    assert_eq!(parse_row(&key), Some(RowKey::Outbox(number, index)));
                    rows.push(key);
                }
            }
        }
        assert!(places.is_sorted(), "the order of bytes is the order of (partition, number, row)");
        assert!(rows.is_sorted(), "the order of bytes is the journal's order");
    }

    #[test]
    fn layouts_are_frozen() {
        let (mut key, saga) = (Vec::new(), RowKey::saga("o/1"));
        place(&mut key, Index::Due, 3, 5, &saga);
        assert_eq!(key, b"\x00\x21\x00\x03\x80\x00\x00\x00\x00\x00\x00\x05\x00\x20o/1");
        place(&mut key, Index::Expiry, 3, -1, &saga);
        assert_eq!(key, b"\x00\x22\x00\x03\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x20o/1");
        place(&mut key, Index::Stuck, 3, 5, &saga);
        assert_eq!(key, b"\x00\x24\x00\x03\x80\x00\x00\x00\x00\x00\x00\x05\x00\x20o/1");
        place(&mut key, Index::Parked, 3, 5, &saga);
        assert_eq!(key, b"\x00\x25\x00\x03\x80\x00\x00\x00\x00\x00\x00\x05\x00\x20o/1");
        place(&mut key, Index::Live, 3, 5, &saga);
        assert_eq!(key, b"\x00\x2b\x00\x03\x80\x00\x00\x00\x00\x00\x00\x05\x00\x20o/1");
        let breaker = RowKey::Breaker("payment".into());
        row(&mut key, 2, &breaker);
        assert_eq!(key, b"\x00\x26\x00\x02payment");
        assert_eq!(parse_row(&key), Some(breaker));
        row(&mut key, 258, &RowKey::Counts);
        assert_eq!(key, b"\x00\x2a\x01\x02");
        assert_eq!(parse_row(&key), Some(RowKey::Counts));
        row(&mut key, 258, &saga);
        assert_eq!(key, b"\x00\x20\x01\x02o/1");
        assert_eq!(parse_row(&key), Some(saga));
        row(&mut key, 1, &RowKey::Outbox(7, 2));
        assert_eq!(key, b"\x00\x23\x00\x01\x80\x00\x00\x00\x00\x00\x00\x07\x80\x00\x00\x02");
        value(&mut key, 3, "o/1", *b"0123456789abcdef");
        assert_eq!(key, b"\x00\x28\x00\x03o/1\x000123456789abcdef");
        assert_eq!(prefix(Kind::Checkpoint, 7), *b"\x00\x10\x00\x07");
        assert_eq!(format_marker(), *b"\x00\x01");
    }

    #[test]
    fn what_is_no_key_of_a_row_is_not_taken_for_one() {
        let mut outbox = Vec::new();
        row(&mut outbox, 1, &RowKey::Outbox(7, 2));
        for wrong in
            [&b""[..], b"\x00", b"\x00\x20\x00", b"\x00\x21\x00\x01o/1", b"\x00\x20\x00\x01\xff", &outbox[..outbox.len() - 1]]
        {
            assert_eq!(parse_row(wrong), None, "{wrong:02x?}");
        }
        outbox.push(0);
        assert_eq!(parse_row(&outbox), None, "something is left over");
        assert_eq!(parse_row(b"\x00\x2a\x00\x01\x00"), None, "something is left over");
        for wrong in [&b"\x00\x21\x00\x03\x80"[..], b"\x00\x21\x00\x03\x80\x00\x00\x00\x00\x00\x00\x05\x00\x99o/1"] {
            assert_eq!(parse_place(wrong), None, "{wrong:02x?}");
        }
    }
}
