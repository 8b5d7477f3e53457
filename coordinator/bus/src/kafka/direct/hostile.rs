//! The door for hostile bytes: all that this client reads of what brokers send, read as a connection and a fetcher do.
//!
//! Bytes may be anything: what they are not is an error, found without a panic and with no more memory than [`BATCH_BYTES_MAX`] and the
//! bytes themselves. What is promised of what could be read is asserted here.

mod seeds;

pub use seeds::seeds;

use super::batch::{Batch, Compression, put_batch, put_record};
use super::codec::{EXPANDED_BYTES_MAX, Expander};
use super::fetches::{self, Fetched};
use super::records::{self, Aborted, Found, Header};
use super::requests::{self, Api};
use super::scram::{Hash, Scram};
use super::wire::Get;
use crate::{Headers as _, Message, Topic, TopicPartition};

/// What the records of one batch expand to at most.
pub const BATCH_BYTES_MAX: usize = EXPANDED_BYTES_MAX;

/// So many batches of one answer are looked into: a batch of 61 bytes may expand to 128 MiB, which takes its time.
const BATCHES_MAX: usize = 4;

/// All that can be asked.
const ALL: [Api; 8] =
    [Api::Versions, Api::Handshake, Api::Authenticate, Api::Identity, Api::Metadata, Api::Produce, Api::Offsets, Api::FetchByName];

/// Reads an answer to the request of this number, whichever that is.
pub fn answer(number: u8, bytes: &[u8]) {
    let api = ALL.get(usize::from(number) % (ALL.len() + 1)).copied().unwrap_or(Api::Fetch);
    let mut get = Get(bytes);
    if requests::body(api, &mut get).is_err() {
        return;
    }
    match api {
        Api::Versions => _ = requests::versions(&mut get),
        Api::Handshake => _ = requests::handshake(&mut get),
        Api::Authenticate => {
            if let Ok(said) = requests::authenticate(&mut get) {
                login(said.bytes);
            }
        }
        Api::Identity => _ = requests::identity(&mut get),
        Api::Metadata => _ = requests::metadata(&mut get),
        Api::Produce => _ = requests::produced(&mut get, &mut |_| Ok(())),
        Api::Offsets => _ = fetches::offsets(&mut get, &mut |_| Ok(())),
        Api::Fetch | Api::FetchByName | Api::Coordinator | Api::Leave => fetch(get.0, api == Api::Fetch),
    }
}

/// What a server says to one who logs in by SCRAM, twice: with a nonce that cannot be known, and as if it were.
pub fn login(bytes: &[u8]) {
    let mut scram = Scram::new(Hash::Sha256, "user", "nonce".to_owned());
    if let Ok(Some(_)) = scram.answer("password", bytes) {
        assert!(!matches!(scram.answer("password", bytes), Ok(None)), "its first message proves nothing");
    }
}

/// An answer to a fetch, with what is in it.
fn fetch(bytes: &[u8], by_id: bool) {
    let mut found: Vec<Fetched<'_>> = Vec::new();
    let visit = &mut |fetched| {
        found.push(fetched);
        Ok(())
    };
    if fetches::fetched(&mut Get(bytes), by_id, visit).is_ok() {
        for fetched in found {
            batches(&bytes[fetched.records], fetched.aborted);
        }
    }
}

/// What stands in a log, or in an answer of one.
pub fn log(bytes: &[u8]) {
    batches(bytes, Vec::new());
}

fn batches(mut bytes: &[u8], aborted: Vec<(i64, i64)>) {
    let (behind, mut aborted, mut expander) = (records::behind(bytes), Aborted::new(aborted), Expander::default());
    assert!(behind.next.is_none_or(|next| next > 0), "behind a batch is no first offset");
    for _ in 0..BATCHES_MAX {
        let Ok(Found::Whole(header)) = records::find(bytes) else { return };
        let batch = &bytes[..header.bytes];
        // Who is hostile can count too: a wrong checksum ends nothing here.
        let _ = records::check(batch);
        aborted.skips(&header);
        let of_batch = &batch[records::records(&header)];
        if header.is_control {
            if records::is_abort(of_batch, &header) == Ok(true) {
                aborted.end(header.producer);
            }
        } else if header.codec == 0 {
            all(of_batch, &header);
        } else if expander.expand(header.codec, of_batch).is_ok() {
            assert!(expander.bytes().len() <= EXPANDED_BYTES_MAX, "it expands to more than is allowed");
            all(expander.bytes(), &header);
        }
        bytes = &bytes[header.bytes..];
    }
}

/// All records of a batch; each one that could be read is written and read again.
fn all(bytes: &[u8], header: &Header) {
    let mut get = Get(bytes);
    for _ in 0..header.count {
        let Ok(read) = records::next(&mut get, header) else { return };
        assert!((header.base..=header.last).contains(&read.offset), "a record outside of its batch");
        if let Some(headers) = &read.headers {
            headers.find("traceparent");
        }
        again(&read);
    }
}

fn again(read: &records::Read<'_>) {
    let to = TopicPartition { topic: Topic(0), partition: 0 };
    let message = Message { to, key: read.key, value: read.value.unwrap_or_default(), headers: &[] };
    let (mut one, mut whole) = (Vec::new(), Vec::new());
    put_record(&mut one, 0, &message);
    let batch = Batch { producer: (1, 0), sequence: 0, count: 1, timestamp: read.timestamp, records: &one };
    put_batch(&mut whole, &batch, Compression::Lz4);
    let Ok(Found::Whole(header)) = records::find(&whole) else { panic!("a batch of our own is none") };
    assert_eq!(records::check(&whole), Ok(()), "the checksum of a batch of our own is wrong");
    let (mut expander, of_batch) = (Expander::default(), &whole[records::records(&header)]);
    let expanded = if header.codec == 0 {
        of_batch
    } else {
        expander.expand(header.codec, of_batch).expect("what we compress can be expanded");
        expander.bytes()
    };
    let again = records::next(&mut Get(expanded), &header).expect("a record of our own can be read");
    let (value, time) = (Some(message.value), read.timestamp);
    assert_eq!((again.key, again.value, again.timestamp), (message.key, value, time), "a record is another when it is read");
}
