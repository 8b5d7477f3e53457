//! A store that is looked at while another has it, and copied.

mod common;

use std::path::Path;

use common::{MEMORY, assert_history_prefix, batch, change, history, offset};
use ringmaster_store::rocks::RocksStore;
use ringmaster_store::{Store, StoreError};

const PARTITIONS: i32 = 2;

fn open(dir: &Path) -> RocksStore {
    RocksStore::open(dir, PARTITIONS, MEMORY).expect("it opens").store
}

fn look(dir: &Path) -> RocksStore {
    RocksStore::look(dir, MEMORY).expect("it can be looked at")
}

/// What was flushed is seen, and stays what it was, whatever the owner does; nothing can be written by it.
#[test]
fn a_look_is_one_moment_of_a_store_that_is_in_use() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("store");
    let store = open(&path);
    (0..20).for_each(|n| store.write(&history(0, n)).expect("applies"));
    store.flush().expect("flushed");
    (20..30).for_each(|n| store.write(&history(0, n)).expect("applies"));
    let then = look(&path);
    assert_eq!((then.partitions(), assert_history_prefix(&then, 0)), (PARTITIONS, 20), "what was flushed");
    for n in 30..400 {
        store.write(&history(0, n)).expect("applies");
        if n % 10 == 0 {
            store.flush().expect("flushed");
        }
    }
    assert_eq!(assert_history_prefix(&then, 0), 20, "also when its files are merged away");
    let refused = then.write(&history(0, 20));
    assert!(refused.is_err(), "{refused:?}");
    drop(store);
    assert_eq!(assert_history_prefix(&open(&path), 0), 400, "it is as its owner left it, and not marked");
}

/// What was flushed, and nothing that lies beside it.
#[test]
fn a_store_knows_how_large_its_files_are() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = open(dir.path());
    let before = store.disk_bytes().expect("it is known");
    (0..400).for_each(|n| store.write(&history(0, n)).expect("applies"));
    store.flush().expect("flushed");
    let files = std::fs::read_dir(dir.path()).expect("there is one").map(|file| file.expect("it can be read"));
    let tables = files.filter(|file| file.path().extension().is_some_and(|end| end == "sst"));
    let bytes: u64 = tables.map(|file| file.metadata().expect("it is there").len()).sum();
    assert_eq!(store.disk_bytes(), Some(bytes));
    assert!(bytes > before, "{before} bytes before, {bytes} now");
}

/// What is none is said, and nothing is made or moved for it.
#[test]
fn what_is_no_store_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("store");
    assert!(matches!(RocksStore::look(&path, MEMORY), Err(StoreError::Io(why)) if why.contains("there is no store")));
    assert!(!path.exists());
    drop(open(&path));
    let broken = |name: &str, bytes: &[u8]| {
        let kept = std::fs::read(path.join(name)).ok();
        std::fs::write(path.join(name), bytes).expect("written");
        let found = RocksStore::look(&path, MEMORY).err();
        assert!(matches!(found, Some(StoreError::Damaged(_))), "{name}: {found:?}");
        match kept {
            Some(kept) => std::fs::write(path.join(name), kept).expect("written"),
            None => std::fs::remove_file(path.join(name)).expect("removed"),
        }
    };
    broken("CURRENT", b"MANIFEST-999999\n");
    broken("DAMAGED", b"a row cannot be");
    look(&path);
    assert_eq!(std::fs::read_dir(dir.path()).expect("readable").count(), 2, "the store and its lock");
}

/// A copy has all of the partition and nothing of another, and goes on like the one that it was made of.
#[test]
fn a_copy_is_the_partition_and_no_other() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (store, copy) = (open(&dir.path().join("store")), open(&dir.path().join("copy")));
    (0..25).for_each(|n| store.write(&history(0, n)).expect("applies"));
    store.write(&batch(1, -1, 3, vec![change("a", b"other", None, Some(5))])).expect("applies");
    store.copy_partition(0, &copy).expect("copied");
    assert_eq!((assert_history_prefix(&copy, 0), offset(&copy, 1)), (25, -1));
    copy.write(&history(0, 25)).expect("it goes on");
    assert!(matches!(copy.write(&history(0, 25)), Err(StoreError::Stale { .. })));
}

/// Merged into as few files as can be, a store says the same, and goes on.
#[test]
fn a_compacted_store_says_the_same_in_one_file() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("store");
    let store = open(&path);
    for n in 0..3 {
        store.write(&history(0, n)).expect("applies");
        store.flush().expect("flushed");
    }
    let files = || {
        let names = std::fs::read_dir(&path).expect("readable").map(|entry| entry.expect("an entry").file_name());
        names.filter(|name| name.to_string_lossy().ends_with(".sst")).count()
    };
    assert!(files() >= 3, "{} files", files());
    store.compact();
    drop(store);
    assert_eq!((files(), assert_history_prefix(&look(&path), 0)), (1, 3));
    open(&path).write(&history(0, 3)).expect("it goes on");
}
