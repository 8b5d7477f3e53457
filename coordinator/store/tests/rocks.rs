//! What RocksDB's files go through: processes that die, and damage of every kind.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::{MEMORY, assert_history_prefix, batch, change, history, offset};
use ringmaster_schemas::state::{Index, RowKind};
use ringmaster_store::rocks::{Opened, RocksStore};
use ringmaster_store::{Store, StoreError};

const PARTITIONS: i32 = 2;
/// Tells the child process where to write.
const CHILD_DIR: &str = "RINGMASTER_STORE_TEST_DIR";

/// A child that another test starts holds the lock of a store that is just being closed until it has become its program, so a
/// store may be taken for a moment by this very process.
fn open(dir: &Path) -> Opened {
    let patience = Instant::now() + Duration::from_secs(60);
    loop {
        match RocksStore::open(dir, PARTITIONS, MEMORY) {
            Err(StoreError::Taken(_)) if Instant::now() < patience => std::thread::yield_now(),
            opened => return opened.expect("the store opens"),
        }
    }
}

fn open_clean(dir: &Path) -> RocksStore {
    let opened = open(dir);
    assert_eq!(opened.moved_aside, None, "nothing was wrong with it");
    opened.store
}

#[test]
fn a_store_closed_in_order_has_everything() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("deep/store");
    let store = open_clean(&path);
    for n in 0..50 {
        store.write(&history(0, n)).expect("applies");
    }
    drop(store);
    let store = open_clean(&path);
    assert_eq!(assert_history_prefix(&store, 0), 50);
    store.write(&history(0, 50)).expect("goes on");
}

/// Writes for ever, flushing now and then from another thread, until it is killed. Only a child of the test below.
#[test]
#[ignore = "the child process of a_killed_process_leaves_an_older_prefix"]
fn child_writes_until_killed() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else {
        return;
    };
    let store = open_clean(Path::new(&dir));
    let mut next = [offset(&store, 0).max(0), offset(&store, 1).max(0)];
    let written = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            loop {
                std::thread::sleep(Duration::from_millis(20));
                // Both partitions have something new, which is then flushed.
                let is_new = written.load(Ordering::SeqCst) >= 2;
                store.flush().expect("flushes");
                if is_new {
                    fs::write(flushed(Path::new(&dir)), "").expect("it can be said");
                }
            }
        });
        loop {
            // The one that is behind goes first, so that both go on as one order of writes after a kill.
            let partition = usize::from(next[1] < next[0]);
            store.write(&history(partition as i32, next[partition])).expect("applies");
            next[partition] += 1;
            written.fetch_add(1, Ordering::SeqCst);
        }
    });
}

/// Where the child says that something of its own was flushed.
fn flushed(store: &Path) -> PathBuf {
    store.with_extension("flushed")
}

#[test]
fn a_killed_process_leaves_an_older_prefix() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("store");
    let mut kept = 0;
    for round in 0..4 {
        let mut child = Command::new(std::env::current_exe().expect("this test's file"))
            .args(["--exact", "child_writes_until_killed", "--ignored", "--nocapture"])
            .env(CHILD_DIR, &path)
            .stdout(Stdio::null())
            .spawn()
            .expect("the child starts");
        let begun = Instant::now();
        while !flushed(&path).exists() {
            assert!(begun.elapsed() < Duration::from_secs(60), "the child flushes nothing");
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(7 * round));
        child.kill().expect("the child still runs");
        child.wait().expect("the child ends");
        fs::remove_file(flushed(&path)).expect("it is there");
        let store = open_clean(&path);
        let counts = [assert_history_prefix(&store, 0), assert_history_prefix(&store, 1)];
        assert!(
            (0..=1).contains(&(counts[0] - counts[1])),
            "batches of all partitions survive in the order of writing: {counts:?}"
        );
        assert!(counts[0] > kept, "round {round}: something new was flushed and survived");
        kept = counts[0];
    }
}

#[test]
fn without_a_flush_the_last_flushed_state_survives() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (path, copy) = (dir.path().join("store"), dir.path().join("copy"));
    let store = open_clean(&path);
    for n in 0..20 {
        store.write(&history(0, n)).expect("applies");
    }
    store.flush().expect("flushes");
    for n in 20..40 {
        store.write(&history(0, n)).expect("applies");
    }
    copy_dir(&path, &copy);
    assert_eq!(assert_history_prefix(&open_clean(&copy), 0), 20);
    assert_eq!(assert_history_prefix(&store, 0), 40);
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir(to).expect("a new folder");
    for entry in fs::read_dir(from).expect("readable") {
        let entry = entry.expect("readable");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
}

/// A closed store with several table files.
fn filled() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("store");
    let store = open_clean(&path);
    for n in 0..300 {
        store.write(&history(0, n)).expect("applies");
        if n % 150 == 149 {
            store.flush().expect("flushes");
        }
    }
    drop(store);
    (dir, path)
}

fn files(path: &Path, is_wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(path).expect("readable").map(|entry| entry.expect("readable").path()).collect();
    found.retain(|file| is_wanted(file.file_name().and_then(|name| name.to_str()).expect("a name")));
    found.sort();
    assert!(!found.is_empty(), "the store has such files");
    found
}

fn tables(path: &Path) -> Vec<PathBuf> {
    files(path, |name| name.ends_with(".sst"))
}

/// What is wrong, and how it is done to a closed store.
type Damage = (&'static str, fn(&Path));

/// Every kind of damage that is seen at the start.
fn damages() -> Vec<Damage> {
    vec![
        ("a table is cut", |path| {
            let table = &tables(path)[0];
            let length = fs::metadata(table).expect("there").len();
            fs::File::options().write(true).open(table).and_then(|file| file.set_len(length / 2)).expect("cut");
        }),
        ("a table is gone", |path| fs::remove_file(&tables(path)[0]).expect("removed")),
        ("CURRENT is garbage", |path| fs::write(path.join("CURRENT"), "garbage").expect("written")),
        ("CURRENT is empty", |path| fs::write(path.join("CURRENT"), "").expect("written")),
        ("CURRENT is gone", |path| fs::remove_file(path.join("CURRENT")).expect("removed")),
        ("the manifest is gone", |path| fs::remove_file(&files(path, |name| name.starts_with("MANIFEST"))[0]).expect("removed")),
        ("the manifest is garbage", |path| {
            fs::write(&files(path, |name| name.starts_with("MANIFEST"))[0], [0xa5; 4_096]).expect("written");
        }),
        ("it is a file", |path| {
            fs::remove_dir_all(path).expect("removed");
            fs::write(path, "a file").expect("written");
        }),
        ("it is somebody else's folder", |path| {
            fs::remove_dir_all(path).expect("removed");
            fs::create_dir(path).and_then(|()| fs::write(path.join("thesis.txt"), "all of it")).expect("written");
        }),
        ("it is somebody else's database", |path| {
            fs::remove_dir_all(path).expect("removed");
            let db = rocksdb::DB::open_default(path).expect("opens");
            db.put("their key", "their value").expect("written");
        }),
        ("its format is of another version", |path| {
            let db = rocksdb::DB::open_default(path).expect("opens");
            db.put([0, 1], b"\x20ringmaster-store\x06\x04").expect("written");
        }),
        ("a checkpoint is garbage", |path| {
            let db = rocksdb::DB::open_default(path).expect("opens");
            db.put([0, 0x10, 0, 1], b"garbage").expect("written");
        }),
    ]
}

#[test]
fn a_damaged_store_is_moved_aside_and_a_new_one_works() {
    for (what, damage) in damages() {
        let (_dir, path) = filled();
        damage(&path);
        let opened = RocksStore::open(&path, PARTITIONS, MEMORY).unwrap_or_else(|error| panic!("{what}: {error}"));
        let aside = opened.moved_aside.unwrap_or_else(|| panic!("{what}: was not seen"));
        assert!(aside.exists(), "{what}: the old one is kept");
        assert_eq!(assert_history_prefix(&opened.store, 0), 0, "{what}: the new one is empty");
        for n in 0..5 {
            opened.store.write(&history(0, n)).expect("the new one works");
        }
        drop(opened.store);
        assert_eq!(assert_history_prefix(&open_clean(&path), 0), 5, "{what}: and is kept");
    }
}

#[test]
fn another_partition_count_is_another_store() {
    let (_dir, path) = filled();
    assert!(RocksStore::open(&path, PARTITIONS + 1, MEMORY).expect("opens").moved_aside.is_some());
}

#[test]
fn moving_aside_twice_in_a_second_loses_neither() {
    let (dir, path) = filled();
    for _ in 0..3 {
        fs::write(path.join("CURRENT"), "garbage").expect("written");
        assert!(open(&path).moved_aside.is_some());
    }
    let asides = fs::read_dir(dir.path())
        .expect("readable")
        .filter(|entry| entry.as_ref().expect("readable").file_name().to_string_lossy().contains(".aside-"));
    assert_eq!(asides.count(), 3);
}

fn asides(dir: &tempfile::TempDir) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir.path()).expect("readable").map(|entry| entry.expect("readable").path());
    let mut asides: Vec<_> = entries.filter(|path| path.to_string_lossy().contains(".aside-")).collect();
    asides.sort();
    asides
}

/// The rows may be the only copy, whatever the journal says: they are never deleted, flushed or not.
#[test]
fn what_is_cleared_lies_aside() {
    let (dir, path) = filled();
    let store = open_clean(&path);
    store.clear(1).expect("nothing was ever there, so nothing is kept");
    for n in 0..40 {
        store.write(&history(1, n)).expect("applies");
    }
    store.write(&history(0, 300)).expect("applies, and is not flushed");
    store.clear(0).expect("clears");
    assert_eq!((assert_history_prefix(&store, 0), assert_history_prefix(&store, 1)), (0, 40));
    let kept = asides(&dir);
    assert_eq!(kept.len(), 1);

    store.clear(1).expect("clears");
    assert_eq!(asides(&dir), kept, "what lies aside holds this partition too, as it was");
    store.clear(0).expect("nothing is there any more");
    assert_eq!(asides(&dir), kept);
    store.write(&history(0, 0)).expect("goes on");
    store.clear(0).expect("clears");
    assert_eq!(asides(&dir).len(), 2, "it was written since");

    drop(store);
    let looked_at = open_clean(&kept[0]);
    assert_eq!((assert_history_prefix(&looked_at, 0), assert_history_prefix(&looked_at, 1)), (301, 40), "all of it");
    assert_eq!(assert_history_prefix(&open_clean(&path), 0), 0);
}

#[test]
fn damage_that_a_reader_found_is_remembered() {
    let (_dir, path) = filled();
    let store = open_clean(&path);
    assert_eq!(store.damaged("a row".into()), StoreError::Damaged("a row".into()));
    drop(store);
    let aside = open(&path).moved_aside.expect("the next start does not run into it again");
    assert!(aside.exists());
    assert_eq!(assert_history_prefix(&open_clean(&path), 0), 0);
}

#[test]
fn damage_found_while_reading_is_remembered() {
    let (_dir, path) = filled();
    let store = open_clean(&path);
    let mut random = fastrand::Rng::with_seed(5);
    let mut noise = |n| {
        let mut row = vec![0; 4_000];
        random.fill(&mut row);
        change(&format!("noise/{n}"), &row, None, None)
    };
    // Rows that do not compress, so that most of the file is data.
    store.write(&batch(0, 300, 301, (0..500).map(&mut noise).collect())).expect("applies");
    drop(store);
    let is_large = |table: &PathBuf| fs::metadata(table).expect("there").len() > 1_000_000;
    for table in tables(&path).into_iter().filter(is_large) {
        let mut bytes = fs::read(&table).expect("readable");
        // Not at the start, where the checkpoint lies, and not at the end, where the index lies: both are read when it is opened.
        let place = bytes.len() / 2;
        for byte in &mut bytes[place..place + 64] {
            *byte ^= 0x5a;
        }
        fs::write(&table, bytes).expect("written");
    }
    let store = open_clean(&path);
    let found = store.rows(0, RowKind::Saga, &mut |_, _| true);
    assert!(matches!(found, Err(StoreError::Damaged(_))), "a wrong checksum is not read over: {found:?}");
    drop(store);
    assert!(open(&path).moved_aside.is_some(), "the next start does not run into it again");
    assert_eq!(assert_history_prefix(&open_clean(&path), 0), 0);
}

#[test]
fn a_key_that_says_nothing_is_damage() {
    let foreign: [(&str, &[u8]); 4] = [
        ("a saga", b"\x00\x20\x00\x00\xff"),
        ("an effect", b"\x00\x23\x00\x00short"),
        ("what is due", b"\x00\x21\x00\x00\x80"),
        ("what expires", b"\x00\x22\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x99a/1"),
    ];
    for (what, key) in foreign {
        let (_dir, path) = filled();
        let db = rocksdb::DB::open_default(&path).expect("opens");
        db.put(key, b"").expect("written");
        drop(db);
        let store = open_clean(&path);
        let mut expires = batch(0, 300, 301, Vec::new());
        expires.checkpoint.expired_bucket = i64::MAX - 1;
        store.write(&expires).expect("applies");
        let read = [
            store.rows(0, RowKind::Saga, &mut |_, _| true),
            store.rows(0, RowKind::Outbox, &mut |_, _| true),
            store.scan(0, Index::Due, i64::MIN, i64::MAX, &mut |_, _| true),
            store.collect(0, i64::MAX, 10).map(|_| ()),
        ];
        let damaged = read.iter().filter(|read| matches!(read, Err(StoreError::Damaged(_)))).count();
        assert_eq!(damaged, 1, "{what}: {read:?}");
        drop(store);
        assert!(open(&path).moved_aside.is_some(), "{what}: the next start does not run into it again");
    }
}

/// The layout before this one: everything in it comes again from the journal, and it is kept for a look.
#[test]
fn a_store_of_an_older_layout_is_moved_aside() {
    let (_dir, path) = filled();
    let db = rocksdb::DB::open_default(&path).expect("opens");
    db.put([0, 1], b"\x20ringmaster-store\x02\x04").expect("written");
    drop(db);
    let opened = open(&path);
    let aside = opened.moved_aside.expect("it is not read");
    assert!(aside.join("CURRENT").exists(), "it is kept");
    assert_eq!(assert_history_prefix(&opened.store, 0), 0);
}

#[test]
fn a_store_in_use_is_not_taken_and_not_moved() {
    let (dir, path) = filled();
    let store = open_clean(&path);
    // Even when it looks damaged: whoever holds it must not find its directory gone.
    fs::write(path.join("DAMAGED"), "somebody says so").expect("written");
    let Err(StoreError::Taken(why)) = RocksStore::open(&path, PARTITIONS, MEMORY).map(|_| ()) else { panic!("it is taken") };
    assert!(why.contains(&std::process::id().to_string()) && why.contains("data_dir"), "says who and what to do: {why}");
    assert_eq!(assert_history_prefix(&store, 0), 300);
    drop(store);
    assert!(open(&path).moved_aside.is_some());
    drop(dir);
}

#[test]
fn a_database_opened_by_another_program_is_taken() {
    let (_dir, path) = filled();
    let _theirs = rocksdb::DB::open_default(&path).expect("opens");
    assert!(matches!(RocksStore::open(&path, PARTITIONS, MEMORY).map(|_| ()), Err(StoreError::Taken(_))));
}

#[test]
fn nothing_is_written_ahead() {
    let (_dir, path) = filled();
    let logs = files(&path, |name| name.ends_with(".log"));
    let bytes: u64 = logs.iter().map(|log| fs::metadata(log).expect("there").len()).sum();
    assert_eq!(bytes, 0, "the journal is the write-ahead log; a second one would only cost");
}
