//! Reading a partition's files, and what of them cannot be read.

use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::*;

use crate::{Message, Topic, TopicPartition};

/// A partition that nobody watches, so that everything is read from its files.
fn open(directory: &Path, segment_bytes_max: u64) -> Partition {
    let settings = Settings { sync: Sync::Never, segment_bytes_max };
    Partition::open(directory, settings, Keeping { record_bytes_max: 1 << 20, retention: None }, true).expect("it opens")
}

/// Appends so many batches of one record; the bytes of one.
fn append(partition: &Partition, count: usize, value: &[u8]) -> u64 {
    let to = TopicPartition { topic: Topic(0), partition: 0 };
    let mut batch = BatchBuilder::with_capacity(0);
    let mut bytes = 0;
    for _ in 0..count {
        batch.push(&Message { to, key: None, value, headers: &[] });
        bytes = batch.bytes().len() as u64;
        partition.append(&mut batch).expect("appended");
    }
    bytes
}

fn fetch(partition: &Partition, position: i64, cursor: &mut Cursor) -> Result<VecDeque<Batch>, String> {
    let mut out = VecDeque::new();
    assert_eq!(partition.fetch(position, cursor, &mut out)?, Fetched::Batches);
    Ok(out)
}

/// A reader's last place only saves looking for the next.
#[test]
fn any_place_is_found_from_any_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let partition = open(folder.path(), 1_000);
    append(&partition, 40, &[7; 100]);
    assert!(bases_in(folder.path()).expect("readable").len() > 3);
    for (from, to) in (0..40).flat_map(|from| (0..40).map(move |to| (from, to))) {
        let mut cursor = Cursor::default();
        for position in [from, to] {
            let found = fetch(&partition, position, &mut cursor).unwrap_or_else(|why| panic!("from {from} to {to}: {why}"));
            assert_eq!(found[0].header.base, position, "from {from} to {to}");
        }
    }
}

#[test]
fn a_reader_holds_little_of_a_segment_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let partition = open(folder.path(), 64 << 20);
    let all = 200 * append(&partition, 200, &[7; 10_000]);
    let (mut cursor, mut position) = (Cursor::default(), 0);
    while position < partition.end() {
        let found = fetch(&partition, position, &mut cursor).expect("whole");
        let bytes: usize = found.iter().map(|batch| batch.header.bytes).sum();
        assert!((bytes as u64) < all / 4, "{bytes} bytes at once");
        assert_eq!(found[0].header.base, position);
        position = found.back().expect("some").header.next();
    }
}

/// Files change under a partition that has looked at them already.
#[test]
fn damage_is_found_when_it_is_come_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let partition = open(folder.path(), 64 << 20);
    let bytes = append(&partition, 2, b"some text");
    let file = std::fs::File::options().write(true).open(path_of(folder.path(), 0)).expect("there");
    file.write_all_at(b"X", 2 * bytes - 3).expect("harmed");
    let mut cursor = Cursor::default();
    let found = fetch(&partition, 0, &mut cursor).expect("the first is whole");
    assert_eq!(found.len(), 1);
    let why = fetch(&partition, 1, &mut cursor).expect_err("the second is not");
    assert!(why.contains(&format!("damaged at byte {bytes}")), "{why}");
}

#[test]
fn a_closed_segment_that_lost_its_last_batch_is_damaged() {
    let folder = tempfile::tempdir().expect("a folder");
    let bytes = append(&open(folder.path(), 1_000), 20, &[7; 100]);
    let second = bases_in(folder.path()).expect("readable")[1];
    let first = std::fs::File::options().read(true).write(true).open(path_of(folder.path(), 0)).expect("there");
    let (at, mut lost) = ((second as u64 - 1) * bytes, vec![0; bytes as usize]);
    first.read_exact_at(&mut lost, at).expect("a batch");
    first.set_len(at).expect("cut");
    let partition = open(folder.path(), 1_000);
    assert_eq!(fetch(&partition, second - 2, &mut Cursor::default()).expect("it is there").len(), 1);
    let is_damaged = |found: Result<_, String>| found.is_err_and(|why| why.contains("damaged"));
    assert!(is_damaged(fetch(&partition, second - 1, &mut Cursor::default())), "it is gone");
    assert_eq!(fetch(&partition, second, &mut Cursor::default()).expect("it is there")[0].header.base, second);
    first.write_all_at(&lost, at).expect("mended");
    assert!(is_damaged(fetch(&partition, second - 1, &mut Cursor::default())), "the file was looked through already");
    let partition = open(folder.path(), 1_000);
    assert_eq!(fetch(&partition, second - 1, &mut Cursor::default()).expect("mended")[0].header.base, second - 1);
}

#[test]
fn whole_segments_below_an_offset_are_deleted() {
    let folder = tempfile::tempdir().expect("a folder");
    let partition = open(folder.path(), 1_000);
    append(&partition, 40, &[7; 100]);
    partition.delete_before(17).expect("deleted");
    let (start, end) = partition.bounds();
    assert!(start > 0 && start <= 17 && end == 40, "{start}..{end}");
    let mut cursor = Cursor::default();
    assert_eq!(fetch(&partition, start, &mut cursor).expect("readable")[0].header.base, start);
    assert_eq!(partition.fetch(start - 1, &mut cursor, &mut VecDeque::new()), Ok(Fetched::OutOfRange));
    drop(partition);
    let partition = open(folder.path(), 1_000);
    assert_eq!(partition.bounds(), (start, 40), "it is so for ever");
    partition.delete_before(i64::MAX).expect("deleted");
    let (start, end) = partition.bounds();
    assert!(start < end && bases_in(folder.path()).expect("readable") == [start], "the last one stays: {start}..{end}");
}
