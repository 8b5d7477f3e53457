//! What lies in the topic of snapshots: a record, a stream of rows, and pieces of which a state is made.
//!
//! ```text
//! kind | value
//! ```

use std::sync::Arc;

use ringmaster_core::partition::{Restoring, Snapshots, Stream};
use ringmaster_schemas::snapshot::{Manifest, Piece, SnapshotRecord, SnapshotRow};
use ringmaster_schemas::state::{Checkpoint, Digest, Identity};

use crate::journal::{Empty, records, settings};
use crate::{same_again, written};

written!(SnapshotRecord);

const ID: [u8; 16] = [7; 16];

pub(crate) fn run(input: &[u8]) {
    let Some((&kind, value)) = input.split_first() else { return };
    match kind % 4 {
        0 => drop(same_again::<SnapshotRecord>(value)),
        1 => rows(value),
        2 => topic(value),
        _ => restored(value),
    }
}

/// Each row of a stream is the same when it is written and read again.
fn rows(mut stream: &[u8]) {
    while let Ok(Some((row, length))) = SnapshotRow::take_framed(stream) {
        let mut written = Vec::new();
        row.put_framed(&mut written);
        let again = SnapshotRow::take_framed(&written).expect("what we write can be read");
        assert_eq!(again, Some((row, written.len())), "a row is another when it is written and read");
        stream = &stream[length..];
    }
}

/// Records in a row, as whoever looks for snapshots takes them.
fn topic(input: &[u8]) {
    let mut found = Snapshots::default();
    records(input).for_each(|record| found.take(record));
    let numbers: Vec<i64> = found.whole().iter().map(|manifest| manifest.number).collect();
    assert!(numbers.is_sorted_by(|one, next| one < next), "one number is one snapshot: {numbers:?}");
    assert!(numbers.last().is_none_or(|last| *last < found.next_number() || *last == i64::MAX));
    let _ = found.done_with(i64::MAX, |_| true);
    found.usable(ID, (0, i64::MAX)).iter().for_each(|manifest| assert!(manifest.since_offset() >= 0));
}

/// Pieces that are what their manifest says: a state, or a reason why not.
fn restored(stream: &[u8]) {
    let (mut sent, mut pieces) = (Stream::default(), Vec::new());
    for (index, bytes) in (0..).zip(stream.chunks(stream.len().div_ceil(3).max(1))) {
        let piece = Piece { id: ID, index, bytes: bytes.to_vec().into() };
        sent.add(&piece);
        pieces.push(SnapshotRecord::Piece(piece).encode());
    }
    let mut making = Restoring::new(Arc::new(settings()), manifest(&sent));
    for piece in &pieces {
        if making.piece(piece, &Empty).is_err() {
            return;
        }
    }
    if let Some(batch) = making.stage() {
        making.stored(&batch);
    }
}

fn manifest(sent: &Stream) -> Manifest {
    let identity = Identity { claim: [0; 16], number: -1 };
    let digest = Digest { live: [0; 16], finished: Vec::new() };
    let until = Checkpoint {
        journal_offset: 0,
        claim_offset: -1,
        claim: [0; 16],
        number: 0,
        identity,
        journal: ID,
        positions: Vec::new(),
        released: 0,
        now: 0,
        expired_bucket: -1,
        digest,
    };
    Manifest {
        id: ID,
        number: 1,
        journal: ID,
        since: None,
        until,
        first: 0,
        pieces: sent.pieces,
        rows: 1,
        bytes: sent.bytes,
        hash: sent.hash(),
        taken_at: 0,
        owner: "hostile".into(),
    }
}
