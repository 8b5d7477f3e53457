//! Turns: what one input, or one timer, causes; and the writer that puts them into a record.

use std::sync::Arc;

use bytes::Bytes;

use super::{QuarantineReason, RejectionReason, SagaEvent, Stamp, TopicId, VERSION, ValueRelease, known_version};
use crate::codec::{self, Avro, Cursor, Malformed, put_long};
use crate::{Millis, record, union, variants};

/// Raw bytes of a quarantined record that are kept; behind that only its length and hash tell of it.
pub const QUARANTINE_RAW_BYTES_MAX: usize = 64 * 1024;

record! {
    /// All that one input, or one timer, causes.
    pub struct Turn {
        /// Why it was taken.
        pub cause: Cause,
        /// The input as it came, where a start or a result came in: for back-tests; `apply` never reads it.
        pub input: Option<InputCopy>,
        /// What happened, in order. May be empty (the input was taken and means nothing).
        pub changes: Vec<Change>,
    }
}

variants! {
    /// What caused a turn.
    pub enum Cause {
        /// A record of an input topic; taking it moves the position.
        Input {
            /// Index into the decision's topics.
            topic: i32,
            /// The next offset to read.
            next: i64,
        } = 0,
        /// Something of a saga was due.
        Due {
            /// When it was due.
            due_at: Millis,
        } = 1,
        /// The partition's own housekeeping: rows that expire, effects that are set apart or were delivered after all.
        Upkeep {} = 2,
        /// A record of the inbox: taking it moves the position, and the mark of the partition that it was routed from.
        Routed {
            /// Index of the inbox into the decision's topics.
            topic: i32,
            /// The next offset of the inbox to read.
            next: i64,
            /// Where it was routed from.
            from: Box<RoutedFrom>,
        } = 3,
    }
}

record! {
    /// Where a record of the inbox was routed from.
    pub struct RoutedFrom {
        /// The topic.
        pub source: TopicId,
        /// Which of its partitions.
        pub partition: i32,
        /// Where it stands there.
        pub offset: i64,
    }
}

record! {
    /// An input's raw bytes.
    pub struct InputCopy {
        /// The writer's schema, 0 when there is none (JSON).
        pub schema: i64,
        /// The value as it came.
        pub raw: Bytes,
    }
}

union! {
    /// One thing that a turn changes.
    pub enum Change {
        /// A saga moved.
        Saga(SagaChange) = 0,
        /// An input was understood and not taken.
        Rejected(Rejected) = 1,
        /// An input could not be understood or used.
        Quarantined(Quarantined) = 2,
        /// Finished sagas whose retention ended in this bucket are gone.
        Expired(Expired) = 3,
        /// An effect's topic refuses for ever: it waits apart, what is behind it goes on.
        Undeliverable(EffectPlace) = 4,
        /// An undeliverable effect was sent after all.
        Delivered(EffectPlace) = 5,
        /// A participant is asked no more, or again.
        Breaker(BreakerChange) = 6,
        /// A value was given to a wait that is not there any more: it is given back.
        ValueReturned(ValueRelease) = 7,
    }
}

record! {
    /// The events of one saga in one turn.
    pub struct SagaChange {
        /// `order-fulfilment/ord-17`.
        pub saga: Arc<str>,
        /// At least one.
        pub events: Vec<SagaEvent>,
    }
}

record! {
    /// An input that was understood and not taken.
    pub struct Rejected {
        /// The saga it was for.
        pub saga: Arc<str>,
        /// Why, for programs.
        pub reason: RejectionReason,
        /// Why, for people.
        pub detail: Arc<str>,
    }
}

record! {
    /// An input that could not be understood or used; it is also sent to the quarantine topic, in this form.
    pub struct Quarantined {
        /// Why, for programs.
        pub reason: QuarantineReason,
        /// Why, for people, and what to do.
        pub detail: Arc<str>,
        /// Where it was read.
        pub topic: Arc<str>,
        /// Where it was read.
        pub partition: i32,
        /// Where it was read.
        pub offset: i64,
        /// The fingerprint that its bytes name, if they do.
        pub schema: Option<i64>,
        /// The record's key.
        pub key: Option<Bytes>,
        /// The value, up to [`QUARANTINE_RAW_BYTES_MAX`].
        pub raw: Bytes,
        /// The whole value's length in bytes.
        pub length: i64,
        /// SHA-256 of the whole value.
        pub sha256: Bytes,
        /// The turn's time.
        pub at: Millis,
    }
}

record! {
    /// Rows of finished sagas of this partition whose retention ended before `(bucket + 1)` bucket widths are gone.
    pub struct Expired {
        /// Time divided by the bucket's width.
        pub bucket: i64,
    }
}

record! {
    /// One effect of one counting record.
    pub struct EffectPlace {
        /// Offset of the record that caused it.
        pub offset: i64,
        /// Which of that record's effects, from 0.
        pub index: i32,
    }
}

record! {
    /// What became of a participant's breaker in this partition.
    pub struct BreakerChange {
        /// The participant's name.
        pub participant: Arc<str>,
        /// What.
        pub event: BreakerEvent,
    }
}

variants! {
    /// What becomes of a breaker. Closed, commands go to the participant; else they are parked.
    pub enum BreakerEvent {
        /// Nothing is asked of it any more.
        Opened {
            /// The person who paused it; none: by itself, for its failures.
            by: Option<Arc<str>>,
            /// Why.
            why: Arc<str>,
        } = 0,
        /// What was parked goes out, little by little.
        Draining {
            /// The person who resumed it; none: by itself, since it answered a probe.
            by: Option<Arc<str>>,
            /// Why.
            why: Arc<str>,
        } = 1,
        /// Nothing is parked any more.
        Closed {
            /// Why.
            why: Arc<str>,
        } = 2,
    }
}

/// Builds a decision record turn by turn, so that each turn is encoded once and straight into place.
#[derive(Debug)]
pub struct DecisionWriter {
    bytes: Vec<u8>,
    turn_count: usize,
}

impl DecisionWriter {
    /// Starts a record.
    pub fn new(stamp: &Stamp, topics: &[TopicId], capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(capacity);
        put_long(&mut bytes, VERSION);
        put_long(&mut bytes, 1);
        stamp.put(&mut bytes);
        if !topics.is_empty() {
            put_long(&mut bytes, topics.len() as i64);
            for topic in topics {
                topic.put(&mut bytes);
            }
        }
        bytes.push(0);
        DecisionWriter { bytes, turn_count: 0 }
    }

    /// Appends a turn (as an array block of one); the input's bytes go straight into place.
    pub fn push(&mut self, cause: &Cause, input: Option<(i64, &[u8])>, changes: &[Change]) {
        put_long(&mut self.bytes, 1);
        cause.put(&mut self.bytes);
        match input {
            None => self.bytes.push(0),
            Some((schema, raw)) => {
                self.bytes.push(2);
                put_long(&mut self.bytes, schema);
                codec::put_blob(&mut self.bytes, raw);
            }
        }
        codec::put_list(changes, &mut self.bytes);
        self.turn_count += 1;
    }

    /// Takes the last turns back: a turn that would pass the size limit.
    pub fn truncate(&mut self, bytes: usize, turn_count: usize) {
        self.bytes.truncate(bytes);
        self.turn_count = turn_count;
    }

    /// Turns so far.
    pub fn turn_count(&self) -> usize {
        self.turn_count
    }

    /// Bytes so far.
    pub fn byte_count(&self) -> usize {
        self.bytes.len() + 1
    }

    /// The finished record.
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }
}

impl Quarantined {
    /// The value of a record of the quarantine topic, version first.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.raw.len() + 256);
        put_long(&mut out, VERSION);
        self.put(&mut out);
        out
    }

    /// Reads a record of the quarantine topic.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(bytes);
        known_version(&mut cursor)?;
        let record = <Quarantined as codec::Avro>::take(&mut cursor)?;
        cursor.end()?;
        Ok(record)
    }
}
