//! Where a partition's stored state stands.

use std::sync::Arc;

use bytes::Bytes;

use super::{VERSION, versioned};
use crate::codec::{Avro, Malformed, put_long};
use crate::journal::{ClaimId, Position, TopicId};
use crate::{Millis, record};

record! {
    /// Where a partition's stored state stands (PROTOCOL.md rule 8): written in one batch with the rows.
    pub struct Checkpoint {
        /// The next journal offset to read.
        pub journal_offset: i64,
        /// Offset of the newest claim below `journal_offset`; -1 for none.
        pub claim_offset: i64,
        /// That claim.
        pub claim: ClaimId,
        /// The next number that would count under it.
        pub number: i64,
        /// The record at `journal_offset - 1`, whatever it is.
        pub identity: Identity,
        /// The journal topic's identity: made again, it is another log.
        pub journal: TopicId,
        /// Where inputs go on.
        pub positions: Vec<Position>,
        /// The highest `released` seen.
        pub released: i64,
        /// The partition's journaled time.
        pub now: Millis,
        /// Buckets up to this one are expired.
        pub expired_bucket: i64,
        /// Sums over rows, for comparing states at equal offsets.
        pub digest: Digest,
    }
}

record! {
    /// What the record at an offset was.
    pub struct Identity {
        /// The claim it names, or is.
        pub claim: ClaimId,
        /// Its number; -1 for a claim record.
        pub number: i64,
    }
}

record! {
    /// An effect of a counting record that is not known to be delivered. Its key says which.
    pub struct OutboxEffect {
        /// Its topic refuses for ever: it holds nothing up, and is tried now and then.
        pub undeliverable: bool,
        /// Where to.
        pub topic: Arc<str>,
        /// The record's key.
        pub key: Bytes,
        /// The record's value.
        pub value: Bytes,
        /// Its headers.
        pub headers: Vec<Header>,
    }
}

record! {
    /// A header of a record.
    pub struct Header {
        /// Its name.
        pub name: Arc<str>,
        /// Its value.
        pub value: Arc<str>,
    }
}

record! {
    /// An order-free sum over (row key, encoded row): live sagas in one sum, finished ones by expiry bucket.
    pub struct Digest {
        /// Sum over live sagas, little-endian 128 bits.
        pub live: [u8; 16],
        /// Sums over finished sagas.
        pub finished: Vec<BucketDigest>,
    }
}

record! {
    /// The sum over finished sagas of one expiry bucket.
    pub struct BucketDigest {
        /// Time of expiry divided by the bucket's width.
        pub bucket: i64,
        /// The sum, little-endian 128 bits.
        pub sum: [u8; 16],
    }
}

impl OutboxEffect {
    /// The row's bytes, version first.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.key.len() + self.value.len());
        put_long(&mut out, VERSION);
        self.put(&mut out);
        out
    }

    /// Reads a row.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        versioned(bytes, "outbox row of an unknown version")
    }
}

impl Checkpoint {
    /// The checkpoint's bytes, version first.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        put_long(&mut out, VERSION);
        self.put(&mut out);
        out
    }

    /// Reads a checkpoint.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        versioned(bytes, "checkpoint of an unknown version")
    }
}
