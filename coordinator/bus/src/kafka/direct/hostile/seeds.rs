//! Answers as a broker gives them, to begin from.

use std::io::Write as _;

use flate2::write::GzEncoder;

use super::super::batch::{Batch, Compression, put_batch, put_record};
use super::super::wire::Put as _;
use crate::{Message, Topic, TopicPartition};

/// Where a batch has its length, its attributes and its records.
const PLACES: [usize; 3] = [8, 21, 61];

/// Each with the number of its request; 255 stands for what is in a log.
pub fn seeds() -> Vec<(&'static str, u8, Vec<u8>)> {
    let mut seeds = vec![
        ("versions", 0, versions()),
        ("handshake", 1, [&[0, 0, 0, 0, 0, 1, 0, 5][..], b"PLAIN"].concat()),
        ("authenticate", 2, authenticated()),
        ("identity", 3, [&[0; 7][..], &[0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 0]].concat()),
        ("metadata", 4, metadata()),
        ("produced", 5, produced()),
        ("offsets", 6, offsets()),
    ];
    for (name, codec) in [("plain", 0), ("gzip", 1), ("snappy", 2), ("lz4", 3), ("zstd", 4)] {
        let batch = batch(codec);
        seeds.push((name, 255, [&batch[..], &batch].concat()));
        seeds.push((name, 7, fetched(&batch, false)));
        seeds.push((name, 8, fetched(&batch, true)));
    }
    seeds
}

fn versions() -> Vec<u8> {
    let mut out = vec![0, 0];
    out.count(7);
    for (key, max) in [(0, 9), (1, 13), (2, 6), (3, 10), (18, 3), (22, 4), (36, 2)] {
        out.i16(key);
        out.i16(0);
        out.i16(max);
        out.no_tags();
    }
    out
}

fn authenticated() -> Vec<u8> {
    let mut out = vec![0, 0, 0];
    out.null();
    out.string("r=nonce1,s=c2FsdA==,i=4096");
    out.i64(0);
    out.no_tags();
    out
}

fn metadata() -> Vec<u8> {
    let mut out = vec![0, 0, 0, 0, 0];
    out.count(1);
    out.i32(1);
    out.string("localhost");
    out.i32(9092);
    out.null();
    out.no_tags();
    out.string("cluster");
    out.i32(1);
    out.count(1);
    out.i16(0);
    out.string("orders");
    out.put(&[3; 16]);
    out.i8(0);
    out.count(1);
    out.i16(0);
    [0, 1, 7].into_iter().for_each(|number| out.i32(number));
    for nodes in [1, 1, 0] {
        out.count(nodes);
        (0..nodes).for_each(|_| out.i32(1));
    }
    out.no_tags();
    out.i32(0);
    out.put(&[0, 0]);
    out
}

fn produced() -> Vec<u8> {
    let mut out = vec![0];
    out.count(1);
    out.string("orders");
    out.count(1);
    out.i32(0);
    out.i16(0);
    [17, -1, 0].into_iter().for_each(|number| out.i64(number));
    out.count(1);
    out.i32(0);
    out.put(&[0, 0, 0, 0, 0]);
    out.i32(0);
    out
}

fn offsets() -> Vec<u8> {
    let mut out = vec![0, 0, 0, 0, 0];
    out.count(1);
    out.string("orders");
    out.count(1);
    out.i32(0);
    out.i16(0);
    [-1, 5].into_iter().for_each(|number| out.i64(number));
    out.i32(1);
    out.put(&[0, 0, 0]);
    out
}

fn fetched(batch: &[u8], by_id: bool) -> Vec<u8> {
    let mut out = vec![0; 11];
    out.count(1);
    if by_id {
        out.put(&[3; 16]);
    } else {
        out.string("orders");
    }
    out.count(1);
    out.i32(0);
    out.i16(0);
    [20, 20, 0].into_iter().for_each(|number| out.i64(number));
    out.count(1);
    [9, 3].into_iter().for_each(|number| out.i64(number));
    out.no_tags();
    out.i32(-1);
    out.count(batch.len());
    out.put(batch);
    out.put(&[0, 0, 0]);
    out
}

/// Some records, by a codec.
fn batch(codec: u8) -> Vec<u8> {
    let (mut records, mut out) = (Vec::new(), Vec::new());
    let to = TopicPartition { topic: Topic(0), partition: 0 };
    for index in 0..3 {
        let headers = [("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")];
        let message = Message { to, key: Some(b"order-1"), value: &[b'x'; 50], headers: &headers };
        put_record(&mut records, index, &message);
    }
    let whole = Batch { producer: (9, 1), sequence: 0, count: 3, timestamp: 1_790_000_000_000, records: &records };
    put_batch(&mut out, &whole, if codec == 3 { Compression::Lz4 } else { Compression::None });
    let packed = match codec {
        1 => {
            let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&records).and_then(|()| encoder.finish()).expect("memory")
        }
        2 => snap::raw::Encoder::new().compress_vec(&records).expect("memory"),
        4 => {
            let mut packed = vec![0; zstd_safe::compress_bound(records.len())];
            let length = zstd_safe::compress(&mut packed[..], &records, 3).expect("memory");
            packed.truncate(length);
            packed
        }
        _ => return out,
    };
    let [length, attributes, records] = PLACES;
    out.truncate(records);
    out.put(&packed);
    out[attributes + 1] = codec;
    let bytes = out.len() as i32 - 12;
    out[length..][..4].copy_from_slice(&bytes.to_be_bytes());
    let checksum = crc32c::crc32c(&out[attributes..]);
    out[attributes - 4..][..4].copy_from_slice(&checksum.to_be_bytes());
    out
}
