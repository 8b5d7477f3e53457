//! The door for bytes that no store of ours would hold (`tests/hostile`): its keys, rows that were cut, and what places tell.
//!
//! ```text
//! kind | key, or value
//! ```

use std::convert::Infallible;

use ringmaster_schemas::journal::SearchKey;
use ringmaster_schemas::state::{Index, RowKey};

use crate::{keys, large, search};

/// Bytes of kind and partition.
const PREFIX: usize = 4;
/// Larger values are not there.
const VALUE_BYTES_MAX: u32 = 4_096;

/// Reads these bytes as what their first one says. Panics if something does not hold.
pub fn read(input: &[u8]) {
    match input.split_first() {
        Some((0, key)) => row_key(key),
        Some((1, key)) => place(key),
        Some((2, told)) => places_told(told),
        Some((_, stored)) => cut_row(stored),
        None => {}
    }
}

fn row_key(bytes: &[u8]) {
    let Some(key) = keys::parse_row(bytes) else { return };
    let mut again = Vec::new();
    keys::row(&mut again, u16::from_be_bytes([bytes[2], bytes[3]]), &key);
    assert_eq!(again, bytes, "the key of {key} is another when it is written again");
}

fn place(bytes: &[u8]) {
    let Some((number, key)) = keys::parse_place(bytes) else { return };
    let mut again = Vec::new();
    keys::place(&mut again, Index::Due, 0, number, &key);
    assert_eq!(again[PREFIX..], bytes[PREFIX..], "the place of {key} at {number} is another when it is written again");
}

fn places_told(told: &[u8]) {
    let (id, mut count, mut bytes) = (b"order/1", 0, 0);
    let is_whole = search::each_told(told, 0, id, |key| {
        count += 1;
        bytes += key.len() - PREFIX - id.len();
    });
    assert!(2 * count + bytes <= told.len() && (!is_whole || 2 * count + bytes == told.len()), "each byte is read once");
}

fn cut_row(stored: &[u8]) {
    let Some((parts, left)) = large::read(stored) else { return };
    let value =
        |part: &large::Part| Ok::<_, Infallible>((part.length() <= VALUE_BYTES_MAX).then(|| vec![b'x'; part.length() as usize]));
    if let Ok(Some(row)) = large::join(stored, value) {
        let large: usize = parts.iter().map(|part| part.length() as usize).sum();
        assert_eq!(row.len(), left.len() + large, "a row is what is left of it, and its values");
        let again = large::cut(&row, &parts);
        assert_eq!(again, stored, "the row that was cut is another when it is cut again");
    }
}

/// Inputs that mean something, with their names: what a store of ours holds.
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    let mut add = |name: String, kind: u8, bytes: &[u8]| seeds.push((name, [&[kind], bytes].concat()));
    let mut key = Vec::new();
    let rows = [RowKey::saga("order/1"), RowKey::Outbox(7, 3), RowKey::Outbox(i64::MIN, -1), RowKey::Breaker("payment".into())];
    for (number, row) in rows.iter().enumerate() {
        keys::row(&mut key, 3, row);
        add(format!("row-{number}"), 0, &key);
        for index in [Index::Due, Index::Expiry] {
            keys::place(&mut key, index, 3, 1_900_000_000_000, row);
            add(format!("place-{index:?}-{number}"), 1, &key);
        }
    }
    let by = SearchKey { definition: "order", name: "customer", value: "c-7" };
    add("told".to_owned(), 2, &search::told_of([by, SearchKey { value: "", ..by }]));
    let row: Vec<u8> = (0..3_000u32).map(|number| number as u8).collect();
    for cuts in [&[][..], &[(0, 3_000)], &[(5, 900), (900, 2_000)]] {
        let ranges = cuts.iter().map(|(from, to)| *from..*to);
        let parts: Vec<large::Part> = ranges.map(|range| large::Part::of(&row, &range)).collect();
        add(format!("cut-{}", parts.len()), 3, &large::cut(&row, &parts));
    }
    seeds
}
