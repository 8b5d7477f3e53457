//! Batches as they may lie in a log: by every codec, in foreign formats, damaged, and with bytes changed at random.

use std::io::Write as _;
use std::time::Duration;

use flate2::write::GzEncoder;

use super::super::batch::{Batch, Compression, put_batch};
use super::super::codec::{EXPANDED_BYTES_MAX, Expander, Fault};
use super::super::records::{self, Found};
use super::super::wire::{Get, Put as _};
use super::reads::Reads;
use super::scripted::Scripted;
use super::shelf::{batch, numbers, records, seal};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn snappy(bytes: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(bytes).expect("memory")
}

/// As Java's library writes it: blocks with their length in front.
fn xerial(bytes: &[u8]) -> Vec<u8> {
    let mut out = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
    for block in bytes.chunks(100) {
        let block = snappy(block);
        out.i32(block.len() as i32);
        out.put(&block);
    }
    out
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0; zstd_safe::compress_bound(bytes.len())];
    let length = zstd_safe::compress(&mut out[..], bytes, 3).expect("memory");
    out.truncate(length);
    out
}

/// A frame with everything that a frame may have: sizes and checksums that nobody looks at, and blocks that look back.
fn lz4_linked(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x04, 0x22, 0x4d, 0x18, 0b0101_1101, 0x40];
    out.put(&[9; 8 + 4 + 1]);
    let mut at = 0;
    for (block, index) in bytes.chunks(200).zip(0..) {
        let (packed, stored) =
            if index % 3 == 2 { (block.to_vec(), 1 << 31) } else { (lz4_flex::block::compress_with_dict(block, &bytes[..at]), 0) };
        out.put(&(packed.len() as u32 | stored).to_le_bytes());
        out.put(&packed);
        out.put(&[7; 4]);
        at += block.len();
    }
    out.put(&[0; 4]);
    out.put(&[5; 4]);
    out
}

fn lz4(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let count = 1;
    put_batch(&mut out, &Batch { producer: (1, 0), sequence: 0, count, timestamp: 0, records: bytes }, Compression::Lz4);
    assert_eq!(out[22], 3, "it was worth it");
    out.split_off(61)
}

/// A way to compress, as it is in a batch's attributes.
pub(super) type Codec = (u8, fn(&[u8]) -> Vec<u8>);

pub(super) const CODECS: [Codec; 6] = [(1, gzip), (2, snappy), (2, xerial), (3, lz4), (3, lz4_linked), (4, zstd)];

/// Something that is worth to be compressed, of so many bytes.
fn text(bytes: usize) -> Vec<u8> {
    b"what is said again and again, "
        .iter()
        .copied()
        .cycle()
        .zip(0u64..)
        .map(|(byte, at)| byte ^ (at / 997 % 4) as u8)
        .take(bytes)
        .collect()
}

#[test]
fn every_codec_comes_back() {
    let mut expander = Expander::default();
    for (codec, compress) in CODECS {
        for bytes in [1_000, 70_000, 300_000, 2_000] {
            let (text, what) = (text(bytes), format!("{codec} {bytes}"));
            assert_eq!(expander.expand(codec, &compress(&text)), Ok(()), "{what}");
            assert!(expander.bytes() == text, "{what}");
        }
        // Several frames are one, for those that have frames.
        let two = [compress(&text(1_000)), compress(&text(500))].concat();
        let is_two = expander.expand(codec, &two) == Ok(()) && expander.bytes() == [text(1_000), text(500)].concat();
        assert_eq!(is_two, codec != 2, "{codec}");
    }
    assert!(matches!(expander.expand(5, &[]), Err(Fault::Foreign(_))));
}

/// What it expands to is bounded, whatever it says.
#[test]
fn nothing_expands_without_an_end() {
    let zeros = vec![0; EXPANDED_BYTES_MAX + 1];
    let mut expander = Expander::default();
    for (codec, compress) in [CODECS[0], CODECS[3], CODECS[5], (2, snappy)] {
        let bomb = compress(&zeros);
        assert_eq!(expander.expand(codec, &bomb), Err(Fault::Foreign("it expands to more than 128 MiB")), "{codec}");
        assert!(expander.expand(codec, &compress(&zeros[1..])) == Ok(()) && expander.bytes() == &zeros[1..], "{codec}");
    }
    // One that claims to be large is not believed.
    let mut claims = Vec::new();
    claims.unsigned(100 << 20);
    claims.put(&[0xfe, 0, 0]);
    assert!(matches!(expander.expand(2, &claims), Err(Fault::Damaged(_))));
}

#[test]
fn any_bytes_are_expanded_or_not() {
    let mut random = fastrand::Rng::with_seed(21);
    let mut expander = Expander::default();
    for case in 0..20_000 {
        let (codec, compress) = CODECS[case % CODECS.len()];
        let mut bytes = compress(&text(random.usize(300..900)));
        change(&mut bytes, &mut random, 4);
        let _ = expander.expand(codec, &bytes);
        assert!(expander.bytes().len() <= EXPANDED_BYTES_MAX);
    }
}

fn change(bytes: &mut Vec<u8>, random: &mut fastrand::Rng, count: usize) {
    for _ in 0..random.usize(1..=count) {
        let at = random.usize(..bytes.len());
        match random.u8(..5) {
            0 => bytes[at] = random.u8(..),
            1 => bytes[at] = [0, 0x7f, 0x80, 0xff][random.usize(..4)],
            2 => bytes.truncate(at.max(1)),
            3 => drop(bytes.remove(at)),
            _ => bytes.insert(at, random.u8(..)),
        }
        if bytes.is_empty() {
            bytes.push(0);
        }
    }
}

#[test]
fn batches_of_every_codec_are_read() {
    let broker = Scripted::start(&[]);
    for ((codec, compress), partition) in CODECS.into_iter().zip(0..) {
        let packed = compress(&numbers(0, 50));
        broker.state().shelf_mut("commands", partition).push(batch(0, i16::from(codec), -1, 50, 49, &packed));
        broker.append("commands", partition, 5);
    }
    let mut reads = Reads::from(&broker.address());
    (0..6).for_each(|partition| reads.read("commands", partition, 0));
    reads.until("all", |reads| (0..6).all(|partition| reads.is_at("commands", partition, 55)));
    (0..6).for_each(|partition| reads.check(&broker, "commands", partition, 0));
    // In the middle of one, and with few events at once.
    reads.events_max = 1;
    (0..6).for_each(|partition| reads.read("commands", partition, 33));
    reads.until("all again", |reads| (0..6).all(|partition| reads.is_at("commands", partition, 55)));
    (0..6).for_each(|partition| reads.check(&broker, "commands", partition, 33));
}

/// What stands between readable batches is said with the offset, nothing behind it is visited, and when it is mended all is.
#[test]
fn a_batch_that_cannot_be_read_is_said_and_not_passed() {
    type Spoil = fn(&mut Vec<u8>);
    let spoils: [(&str, Spoil); 13] = [
        ("its checksum is wrong", |batch| batch[70] ^= 1),
        ("its gzip is none", |batch| resealed(batch, |batch| batch[22] = 1)),
        ("its snappy is none", |batch| resealed(batch, |batch| batch[22] = 2)),
        ("its LZ4 frame is none", |batch| resealed(batch, |batch| batch[22] = 3)),
        ("its Zstandard is none", |batch| resealed(batch, |batch| batch[22] = 4)),
        ("by a codec that is not known", |batch| resealed(batch, |batch| batch[22] = 7)),
        ("a record in it is none", |batch| resealed(batch, |batch| batch[61] ^= 0x40)),
        ("it has more than its records", |batch| resealed(batch, |batch| batch[60] -= 1)),
        ("its offsets cannot be", |batch| batch[23] = 0xff),
        ("it is behind the end of its log", |batch| batch[6] = 1),
        ("its length cannot be", |batch| batch[8..12].copy_from_slice(&[0, 0, 0, 40])),
        ("the format of Kafka before 0.11", |batch| batch[16] = 1),
        ("a format that is not known", |batch| batch[16] = 3),
    ];
    for (why, spoil) in spoils {
        let broker = Scripted::start(&[]);
        (0..3).for_each(|_| broker.append("commands", 0, 5));
        broker.append("commands", 1, 5);
        let whole = broker.state().shelf("commands", 0).batches;
        spoil(&mut broker.state().shelf_mut("commands", 0).batches[1].1);
        let mut reads = Reads::from(&broker.address());
        (0..2).for_each(|partition| reads.read("commands", partition, 0));
        reads.until("that it is unreadable", |reads| !reads.unreadable.is_empty());
        assert!(reads.unreadable[0].1.contains(why) && reads.unreadable[0].1.contains("offset "), "{why}: {:?}", reads.unreadable);
        for _ in 0..20 {
            reads.skip(Duration::from_millis(500));
            reads.turn_within(Duration::from_millis(2));
        }
        let visited = reads.offsets("commands", 0);
        assert!((5..10).contains(&visited.len()) && visited.iter().copied().eq((0..).take(visited.len())), "{why}: {visited:?}");
        assert_eq!(reads.unreadable.len(), 1, "{why}: it is said once");
        assert!(reads.is_at("commands", 1, 5), "another goes on");
        broker.state().shelf_mut("commands", 0).batches = whole;
        reads.until_tried("it is mended", |reads| reads.is_at("commands", 0, 15));
        reads.check(&broker, "commands", 0, 0);
    }
}

fn resealed(batch: &mut [u8], spoil: impl FnOnce(&mut [u8])) {
    spoil(batch);
    seal(batch);
}

/// Records that were compacted away leave gaps, and a batch may be left without any.
#[test]
fn gaps_are_passed_and_ends_found() {
    let broker = Scripted::start(&[]);
    {
        let mut state = broker.state();
        let shelf = state.shelf_mut("commands", 0);
        shelf.append(2);
        // Offsets 2 to 9, of which none is left; then 10 alone; then 11 to 19, of which 11 is left.
        shelf.push(batch(2, 0, -1, 0, 7, &[]));
        shelf.append(1);
        let eleven = records([(Some(&b"a key"[..]), &b"11"[..])].into_iter());
        shelf.push(batch(11, 0, -1, 1, 8, &eleven));
    }
    for from in 0..20 {
        let mut reads = Reads::from(&broker.address());
        reads.read("commands", 0, from);
        reads.until("the end", |reads| reads.is_at("commands", 0, 20));
        let expected: Vec<i64> = [0, 1, 10, 11].into_iter().filter(|offset| *offset >= from).collect();
        assert_eq!(reads.offsets("commands", 0), expected, "from {from}");
    }
}

/// A tombstone, a record without key and headers, empty ones, and times of both kinds.
#[test]
fn whatever_a_record_has_is_read() {
    let put = |fields: &[&[u8]], head: &[u8]| {
        let mut body = head.to_vec();
        for field in fields {
            body.put(field);
        }
        let mut out = Vec::new();
        out.varint(body.len() as i64);
        out.put(&body);
        out
    };
    // Attributes, time and offset; then -1 for no key and no value, and no headers.
    let bytes = [put(&[&[1], &[1], &[0]], &[0, 4, 0]), put(&[&[0], &[0], &[2, 2, b'h', 1]], &[0, 1, 2])].concat();
    for (attributes, times) in [(0, [1_002, 999]), (1 << 3, [1_000, 1_000])] {
        let batch = batch(7, attributes, -1, 2, 1, &bytes);
        let Ok(Found::Whole(header)) = records::find(&batch) else { panic!("a batch") };
        assert_eq!(records::check(&batch), Ok(()));
        let mut get = Get(&batch[records::records(&header)]);
        let first = records::next(&mut get, &header).expect("a record");
        assert_eq!((first.offset, first.timestamp, first.key, first.value), (7, times[0], None, None));
        assert!(first.headers.is_none());
        let second = records::next(&mut get, &header).expect("a record");
        assert_eq!((second.offset, second.timestamp, second.key, second.value), (8, times[1], Some(&b""[..]), Some(&b""[..])));
        let headers = second.headers.expect("a header");
        assert_eq!((crate::Headers::find(&headers, "h"), crate::Headers::find(&headers, "x")), (Some(&b""[..]), None));
        assert!(records::next(&mut get, &header).is_err(), "there is no third");
    }
}

/// No bytes make it panic or read beyond them; a batch that is taken has the right checksum, or nobody asked for it.
#[test]
fn any_bytes_are_batches_or_none() {
    let mut random = fastrand::Rng::with_seed(31);
    let whole = [batch(0, 0, 5, 3, 2, &numbers(0, 3)), batch(3, 0, 5, 9, 8, &numbers(0, 9))].concat();
    for _ in 0..200_000 {
        let mut bytes = whole.clone();
        change(&mut bytes, &mut random, 4);
        let (mut rest, mut count) = (&bytes[..], 0);
        while let Ok(Found::Whole(header)) = records::find(rest) {
            let batch = &rest[..header.bytes];
            assert!(header.base >= 0 && header.last >= header.base && header.last < i64::MAX);
            let mut get = Get(&batch[records::records(&header)]);
            let is_whole = records::check(batch).is_ok();
            while let Ok(read) = records::next(&mut get, &header) {
                assert!((header.base..=header.last).contains(&read.offset));
                count += 1;
                assert!(count <= bytes.len() && read.timestamp >= 0);
            }
            assert!(!is_whole || get.0.is_empty() || rest.len() < whole.len(), "a whole batch has whole records");
            let _ = records::is_abort(&batch[records::records(&header)], &header);
            rest = &rest[header.bytes..];
        }
        assert!(records::behind(&bytes).next.is_none_or(|next| next > 0));
    }
}
