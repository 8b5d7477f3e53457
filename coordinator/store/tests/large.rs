//! Large values of rows lie by themselves: written once, read as part of their row, and gone with it.

mod common;

use std::collections::BTreeMap;
use std::ops::Range;

use common::{MEMORY, batch, contract, row, sagas};
use fastrand::Rng;
use ringmaster_schemas::state::{IndexKeys, Large, RowChange, RowKey};
use ringmaster_store::rocks::RocksStore;
use ringmaster_store::{Store, StoreError};

contract!(rows_are_read_whole);

/// A row of small and large parts, and where the large ones lie. Values are few, so that rows share some with what they were, and have
/// some twice.
fn a_row(random: &mut Rng) -> (Vec<u8>, Vec<Range<usize>>) {
    let (mut bytes, mut large) = (vec![4], Vec::new());
    for _ in 0..random.usize(0..5) {
        bytes.extend((0..random.usize(0..40)).map(|_| random.u8(..)).collect::<Vec<_>>());
        if random.bool() {
            let from = bytes.len();
            bytes.resize(from + 2_000, random.u8(0..4));
            large.push(from..bytes.len());
        }
    }
    (bytes, large)
}

fn write(
    store: &dyn Store,
    base: i64,
    id: &str,
    value: Option<Vec<u8>>,
    before: bool,
    now: impl IntoIterator<Item = Range<usize>>,
) {
    let change = RowChange {
        key: RowKey::saga(id),
        value,
        before: IndexKeys::NONE,
        after: IndexKeys::NONE,
        large: Large { before, now: now.into_iter().collect() },
    };
    store.write(&batch(0, base, base + 1, vec![change])).expect("it applies");
}

/// Random rows come, change, and go; what is left at the end.
fn random_rows(store: &dyn Store, seed: u64) -> BTreeMap<String, (Vec<u8>, bool)> {
    let (mut random, mut rows) = (Rng::with_seed(seed), BTreeMap::<String, (Vec<u8>, bool)>::new());
    for base in -1..300 {
        // `order/1` is a part of `order/11`'s id.
        let id = format!("order/{}", ["1", "11", "2", "x"][random.usize(0..4)]);
        let before = rows.get(&id).is_some_and(|(_, large)| *large);
        if random.u8(0..5) == 0 {
            rows.remove(&id);
            write(store, base, &id, None, before, Vec::new());
        } else {
            let (bytes, large) = a_row(&mut random);
            rows.insert(id.clone(), (bytes.clone(), !large.is_empty()));
            write(store, base, &id, Some(bytes), before, large);
        }
        assert_eq!(row(store, 0, &id), rows.get(&id).map(|(bytes, _)| bytes.clone()), "{id} in step {base} of seed {seed}");
    }
    let all: Vec<_> = rows.iter().map(|(id, (bytes, _))| (id.clone(), bytes.clone())).collect();
    assert_eq!(sagas(store, 0), all);
    rows
}

fn rows_are_read_whole(store: &dyn Store) {
    random_rows(store, 1);
}

fn keys(dir: &std::path::Path) -> usize {
    let db = rocksdb::DB::open_for_read_only(&rocksdb::Options::default(), dir, false).expect("it can be looked at");
    db.iterator(rocksdb::IteratorMode::Start).filter(|item| item.as_ref().expect("it is read").0.starts_with(b"\x00\x28")).count()
}

#[test]
fn nothing_is_left_of_rows_that_go() {
    for seed in 0..10 {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("store");
        let store = RocksStore::open(&path, 4, MEMORY).expect("it opens").store;
        let rows = random_rows(&store, seed);
        store.flush().expect("it flushes");
        let is_large = rows.values().any(|(_, large)| *large);
        assert_eq!(keys(&path) > 0, is_large, "seed {seed}");
        for ((id, (_, large)), base) in rows.into_iter().zip(300..) {
            write(&store, base, &id, None, large, Vec::new());
        }
        store.flush().expect("it flushes");
        drop(store);
        assert_eq!(keys(&path), 0, "seed {seed}");
    }
}

#[test]
fn a_large_value_is_written_once() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = RocksStore::open(&dir.path().join("store"), 4, MEMORY).expect("it opens").store;
    let list = vec![7; 100_000];
    for base in -1..50 {
        let value = [&[4, base as u8], &list[..]].concat();
        write(&store, base, "order/1", Some(value), base >= 0, Some(2..100_002));
    }
    let written = store.written_bytes();
    assert!((100_000..150_000).contains(&written), "{written} bytes for 51 rows of 100,002");
}

#[test]
fn a_value_that_is_missing_is_damage() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("store");
    let store = RocksStore::open(&path, 4, MEMORY).expect("it opens").store;
    write(&store, -1, "order/1", Some([&[4][..], &[9; 5_000]].concat()), false, Some(1..5_001));
    store.flush().expect("it flushes");
    drop(store);
    let db = rocksdb::DB::open(&rocksdb::Options::default(), &path).expect("it opens");
    let mut values = rocksdb::WriteBatch::default();
    values.delete_range(b"\x00\x28", b"\x00\x29");
    db.write(values).expect("it is written");
    db.flush().expect("it flushes");
    drop(db);
    let store = RocksStore::open(&path, 4, MEMORY).expect("it opens").store;
    let read = store.row(0, &RowKey::saga("order/1"));
    assert!(matches!(&read, Err(StoreError::Damaged(why)) if why.contains("order/1")), "{read:?}");
    let all = store.rows(0, ringmaster_schemas::state::RowKind::Saga, &mut |_, _| true);
    assert!(matches!(all, Err(StoreError::Damaged(_))), "{all:?}");
    drop(store);
    assert!(RocksStore::open(&path, 4, MEMORY).expect("it opens").moved_aside.is_some(), "the next start builds it anew");
}
