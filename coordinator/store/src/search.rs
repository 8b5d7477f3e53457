//! Where rows are found by values: a key for each value of each row, and what the place of a row that expires says of those.
//!
//! ```text
//! row -> Search: (definition, name, value, id) -> nothing;   Expiry: (bucket, row) -> its (definition, name, value)s
//! ```
//!
//! A row that expires is deleted without a look at it: its place in the index of expiry says what goes with it.

use ringmaster_schemas::journal::SearchKey;
use ringmaster_schemas::state::{IndexKeys, RowChange, Searched};

use crate::keys::{self, Kind};

/// Writes what all keys of one value begin with.
pub(crate) fn prefix(out: &mut Vec<u8>, partition: u16, by: &SearchKey<'_>) {
    out.clear();
    out.extend_from_slice(&keys::prefix(Kind::Search, partition));
    put_by(out, by);
}

/// The value says its length, so that it may hold anything; names hold no 0.
fn put_by(out: &mut Vec<u8>, by: &SearchKey<'_>) {
    for name in [by.definition, by.name] {
        out.extend_from_slice(name.as_bytes());
        out.push(0);
    }
    out.extend_from_slice(&length(by.value.as_bytes()));
    out.extend_from_slice(by.value.as_bytes());
}

fn length(bytes: &[u8]) -> [u8; 2] {
    u16::try_from(bytes.len()).expect("what is searched is short").to_be_bytes()
}

/// Behind the last key that begins so.
pub(crate) fn end_of(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.last_mut() {
        if *last < u8::MAX {
            *last += 1;
            break;
        }
        end.pop();
    }
    end
}

/// The places that a change takes away, and those that it brings. Of a row that expired they may be gone already.
pub(crate) fn difference(change: &RowChange) -> (Option<&Searched>, Option<&Searched>) {
    let (before, after) = (change.before.search.as_ref(), change.after.search.as_ref());
    match (before, after) {
        (Some(one), Some(other)) if one.is_same(other) && change.before.expiry.is_none() => (None, None),
        both => both,
    }
}

/// What the place of a row that expires says.
pub(crate) fn told(places: &IndexKeys) -> Vec<u8> {
    told_of(places.search.iter().flat_map(Searched::keys))
}

/// The same of these values.
pub(crate) fn told_of<'k>(keys: impl IntoIterator<Item = SearchKey<'k>>) -> Vec<u8> {
    let mut told = Vec::new();
    for by in keys {
        let mut key = Vec::with_capacity(64);
        put_by(&mut key, &by);
        told.extend_from_slice(&length(&key));
        told.extend_from_slice(&key);
    }
    told
}

/// Visits the keys of a row that a place told of; false if what it says is damaged.
pub(crate) fn each_told(mut told: &[u8], partition: u16, id: &[u8], mut visit: impl FnMut(&[u8])) -> bool {
    let mut key = Vec::with_capacity(64);
    while !told.is_empty() {
        let Some((length, rest)) = told.split_first_chunk::<2>() else { return false };
        let Some((by, rest)) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length))) else { return false };
        key.clear();
        key.extend_from_slice(&keys::prefix(Kind::Search, partition));
        key.extend_from_slice(by);
        key.extend_from_slice(id);
        visit(&key);
        told = rest;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const BY: SearchKey<'_> = SearchKey { definition: "order", name: "customer", value: "c-7" };

    #[test]
    fn layouts_are_frozen() {
        let mut key = Vec::new();
        prefix(&mut key, 3, &BY);
        assert_eq!(key, b"\x00\x29\x00\x03order\0customer\0\x00\x03c-7");
    }

    /// One value is no other's beginning, whatever it holds.
    #[test]
    fn values_do_not_meet() {
        let of = |value| {
            let mut key = Vec::new();
            prefix(&mut key, 0, &SearchKey { value, ..BY });
            key
        };
        let all = ["", "c", "c-7", "c-70", "c\0", "c\0\0\x01x", "\u{10ffff}"];
        for (at, one) in all.iter().enumerate() {
            for other in &all[at + 1..] {
                let (one, other) = (of(one), of(other));
                assert!(!one.starts_with(&other) && !other.starts_with(&one), "{one:02x?} {other:02x?}");
                let (first, second) = if one < other { (one, other) } else { (other, one) };
                assert!(end_of(&first) <= second, "{first:02x?} {second:02x?}");
            }
        }
        assert_eq!(end_of(b"a\xff\xff"), b"b");
    }

    #[test]
    fn what_a_place_tells_is_read_or_damaged() {
        let mut by = Vec::new();
        put_by(&mut by, &BY);
        let told = [&length(&by)[..], &by].concat();
        let mut found = Vec::new();
        assert!(each_told(&[&told[..], &told].concat(), 3, b"order/1", |key| found.push(key.to_vec())));
        assert_eq!(found, vec![b"\x00\x29\x00\x03order\0customer\0\x00\x03c-7order/1".to_vec(); 2]);
        assert!(each_told(b"", 3, b"order/1", |_| panic!("it tells of nothing")));
        for cut in 1..told.len() {
            assert!(!each_told(&told[..cut], 3, b"order/1", |_| {}), "{cut}");
        }
    }
}
