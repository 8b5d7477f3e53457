//! What is found in a segment file, how fast, and what of it is a torn tail.

use super::*;

use crate::embedded::format::BatchBuilder;
use crate::{Message, Topic, TopicPartition};

/// A sealed batch of one record; its timestamp is ten times its offset.
fn batch(base: i64, value: &[u8]) -> Vec<u8> {
    let to = TopicPartition { topic: Topic(0), partition: 0 };
    let mut builder = BatchBuilder::with_capacity(0);
    builder.push(&Message { to, key: None, value, headers: &[] });
    builder.seal(base, 10 * base);
    builder.take()
}

/// A folder whose only segment has these bytes.
fn folder(bytes: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(path_of(folder.path(), 0), bytes).expect("written");
    folder
}

/// However it came to be: an offset or a time is looked for near its place, not from the beginning.
#[test]
fn the_index_leads_close_to_any_offset_and_time() {
    let batches: Vec<_> = (0..100).map(|base| batch(base, &[7; 10_000])).collect();
    let bytes = batches[0].len() as u64;
    let (found, new) = (folder(&batches.concat()), tempfile::tempdir().expect("a folder"));
    let mut appended = Segment::create(new.path(), 0).expect("made");
    batches.iter().for_each(|sealed| appended.append(sealed, false).expect("appended"));
    let last = Segment::last(found.path(), 0, false).expect("whole").0;
    let closed = Segment::closed(found.path(), 0).expect("there");
    for mut segment in [appended, last, closed] {
        for offset in 0..100 {
            let place = offset as u64 * bytes;
            let position = segment.position_of(offset).expect("whole");
            assert!(position <= place && place - position <= INDEX_BYTES, "{offset} is looked for from byte {position}");
            let before = segment.offset_before(10 * offset).expect("whole");
            let far = (offset - before) as u64 * bytes;
            assert!(before <= offset && far <= INDEX_BYTES + bytes, "the time of {offset} is looked for from {before}");
        }
    }
}

#[test]
fn many_batches_are_read_at_once_and_none_behind_the_known_end() {
    let large = vec![7; 2 * CHUNK_BYTES];
    let batches = [batch(0, b"a"), batch(1, b"b"), batch(2, b"c"), batch(3, &large)];
    let ends: Vec<u64> = (0..=4).map(|count| batches[..count].concat().len() as u64).collect();
    let folder = folder(&batches.concat());
    let file = File::open(path_of(folder.path(), 0)).expect("there");
    let read = |from: usize, to: usize| {
        let mut out = VecDeque::new();
        let read = read_batches(&file, ends[from], ends[to], from as i64, &mut out).expect("read");
        let bases: Vec<i64> = out.iter().map(|batch| batch.header.base).collect();
        (bases, read.position, read.damaged)
    };
    assert_eq!(read(0, 3), (vec![0, 1, 2], ends[3], false));
    assert_eq!(read(1, 2), (vec![1], ends[2], false), "what lies behind may be half written");
    assert_eq!(read(1, 4), (vec![1, 2], ends[3], false), "one that is larger comes with the next call");
    assert_eq!(read(3, 4), (vec![3], ends[4], false));
}

/// A record may hold the bytes of a batch, or something like it: a log is opened all the same when such a record was torn.
#[test]
fn only_a_good_batch_of_a_later_offset_makes_a_torn_tail_damage() {
    let good = [batch(0, b"a"), batch(1, b"b")].concat();
    let (older, later) = (batch(0, b"a"), batch(5, b"later"));
    let (mut harmed, cut) = (later.clone(), later[..later.len() - 1].to_vec());
    *harmed.last_mut().expect("a byte") ^= 1;
    for (inside, is_torn) in [(&older, true), (&harmed, true), (&cut, true), (&later, false)] {
        let torn = batch(2, &[inside, &vec![0; if *inside == cut { 0 } else { 100 }][..]].concat());
        // The cut one ends the file; what follows the others is cut within the zeros, before the record's last byte.
        let torn = &torn[..torn.len() - if *inside == cut { 1 } else { 50 }];
        let folder = folder(&[&good, torn].concat());
        let opened = Segment::last(folder.path(), 0, true).map(|(segment, scanned)| (segment.bytes, scanned.next, scanned.torn));
        match is_torn {
            true => assert_eq!(opened, Ok((good.len() as u64, 2, true)), "{inside:?}"),
            false => assert!(opened.is_err_and(|why| why.contains("damaged at byte")), "a later batch is not cut off"),
        }
    }
}
