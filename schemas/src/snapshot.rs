//! Snapshots: what a partition's state was at one offset of its journal, in a topic of their own.
//!
//! ```text
//! piece 0, piece 1, ... (one stream of rows, cut where a piece is full), manifest
//! ```
//!
//! A snapshot has only what cannot be had from the journal behind `since`: rows that began before it. Whoever restores replays the
//! journal from `since` to `until` for the others, puts the snapshot's rows over them, and has the whole state at `until`.

use std::sync::Arc;

use bytes::Bytes;

use crate::codec::{self, Avro, Cursor, Malformed, put_long};
use crate::journal::TopicId;
use crate::state::{Checkpoint, RowKey};
use crate::{Millis, record, union, variants};

/// Version of the format, the first number of every record: another one than those of all other formats.
pub const SNAPSHOT_VERSION: i64 = 5;

/// No row is larger; whoever waits for the rest of one waits for so much at most.
const ROW_BYTES_MAX: usize = 64 << 20;

/// What the records of one snapshot are known by: random, new for every attempt.
pub type SnapshotId = [u8; 16];

union! {
    /// A record of the topic of snapshots.
    pub enum SnapshotRecord {
        /// A part of the rows.
        Piece(Piece) = 0,
        /// The end of a snapshot: without it the pieces are nothing.
        Manifest(Box<Manifest>) = 1,
    }
}

record! {
    /// A part of a snapshot's rows.
    pub struct Piece {
        /// Of which snapshot.
        pub id: SnapshotId,
        /// Which of its pieces, from 0.
        pub index: i64,
        /// Goes on where the piece before it ended: a row may lie in several.
        pub bytes: Bytes,
    }
}

record! {
    /// What a snapshot is, and what must have been read of it.
    pub struct Manifest {
        /// Which snapshot.
        pub id: SnapshotId,
        /// Grows by one with each snapshot of a partition. One whose number is not above that of all manifests before it came too late, and
        /// is void.
        pub number: i64,
        /// The journal's identity.
        pub journal: TopicId,
        /// The state from which the journal is replayed; none for its beginning.
        pub since: Option<Checkpoint>,
        /// The state that it is a part of.
        pub until: Checkpoint,
        /// No piece of it lies below this offset of the topic of snapshots.
        pub first: i64,
        /// How many pieces.
        pub pieces: i64,
        /// How many rows.
        pub rows: i64,
        /// How many bytes of rows.
        pub bytes: i64,
        /// Over all bytes in order: the XXH3 of each piece, seeded by that of those before it; little-endian 128 bits.
        pub hash: [u8; 16],
        /// When it was taken, by the wall clock.
        pub taken_at: Millis,
        /// Which instance took it.
        pub owner: Arc<str>,
    }
}

variants! {
    /// A row of a snapshot.
    pub enum SnapshotRow {
        /// A saga.
        Saga {
            /// Its id.
            id: Arc<str>,
            /// Its row, as stored.
            row: Bytes,
        } = 0,
        /// An effect that was not known to be delivered.
        Effect {
            /// The offset of the record that caused it.
            offset: i64,
            /// Which of that record's effects.
            index: i32,
            /// Its row, as stored.
            row: Bytes,
        } = 1,
        /// A breaker that is not closed.
        Breaker {
            /// Its participant.
            participant: Arc<str>,
            /// Its row, as stored.
            row: Bytes,
        } = 2,
    }
}

impl Manifest {
    /// The journal offset from which it is replayed.
    pub fn since_offset(&self) -> i64 {
        self.since.as_ref().map_or(0, |since| since.journal_offset)
    }
}

impl SnapshotRecord {
    /// The record's bytes, version first.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(match self {
            SnapshotRecord::Piece(piece) => piece.bytes.len() + 32,
            SnapshotRecord::Manifest(_) => 1024,
        });
        put_long(&mut out, SNAPSHOT_VERSION);
        self.put(&mut out);
        out
    }

    /// Reads a record.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(bytes);
        if cursor.long()? != SNAPSHOT_VERSION {
            return Err(Malformed(
                "it is of a format version that this build does not know: use the build that wrote it, or a newer one",
            ));
        }
        let record = SnapshotRecord::take(&mut cursor)?;
        cursor.end()?;
        Ok(record)
    }
}

impl SnapshotRow {
    /// A stored row; of counts there is none.
    pub fn new(key: &RowKey, row: &[u8]) -> Self {
        let row = Bytes::copy_from_slice(row);
        match key {
            RowKey::Saga(id) => SnapshotRow::Saga { id: id.clone(), row },
            RowKey::Outbox(offset, index) => SnapshotRow::Effect { offset: *offset, index: *index, row },
            RowKey::Breaker(participant) => SnapshotRow::Breaker { participant: participant.clone(), row },
            RowKey::Counts => unreachable!("they are counted anew"),
        }
    }

    /// Appends it to a stream of rows: its length, then itself.
    pub fn put_framed(&self, stream: &mut Vec<u8>) {
        let mut own = Vec::with_capacity(256);
        self.put(&mut own);
        put_long(stream, own.len() as i64);
        stream.extend_from_slice(&own);
    }

    /// Takes the next row off a stream of which not all may be there yet: the row and its length with the frame; none if more must come.
    pub fn take_framed(stream: &[u8]) -> Result<Option<(Self, usize)>, Malformed> {
        let mut cursor = Cursor::new(stream);
        let Ok(length) = cursor.long() else {
            // A length takes at most ten bytes.
            return if stream.len() < 10 { Ok(None) } else { Err(Malformed("a row without a length")) };
        };
        let length = usize::try_from(length).map_err(|_| Malformed("a row of a negative length"))?;
        if length > ROW_BYTES_MAX {
            return Err(Malformed("a row of more than 64 MiB"));
        }
        let rest = cursor.rest;
        let Some(own) = rest.get(..length) else { return Ok(None) };
        let frame = stream.len() - rest.len();
        codec::decode(own).map(|row| Some((row, frame + length)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_of_rows_is_cut_anywhere() {
        let rows = [
            SnapshotRow::new(&RowKey::saga("o/1"), &[7; 300]),
            SnapshotRow::new(&RowKey::Outbox(5, 1), b"effect"),
            SnapshotRow::new(&RowKey::Breaker("payment".into()), b""),
        ];
        let mut stream = Vec::new();
        rows.iter().for_each(|row| row.put_framed(&mut stream));
        for cut in 0..=stream.len() {
            let (mut buffer, mut found) = (Vec::new(), Vec::new());
            for part in [&stream[..cut], &stream[cut..]] {
                buffer.extend_from_slice(part);
                while let Some((row, length)) = SnapshotRow::take_framed(&buffer).expect("rows") {
                    found.push(row);
                    buffer.drain(..length);
                }
            }
            assert_eq!((&found[..], buffer.len()), (&rows[..], 0), "cut at {cut}");
        }
    }

    #[test]
    fn what_is_no_row_is_an_error() {
        assert!(SnapshotRow::take_framed(&[0xff; 16]).is_err(), "no length");
        assert!(SnapshotRow::take_framed(&[1]).is_err(), "a negative length");
        assert!(SnapshotRow::take_framed(&[2, 9]).is_err(), "no such kind of row");
        assert_eq!(SnapshotRow::take_framed(&[]), Ok(None));
    }
}
