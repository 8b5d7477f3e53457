//! The journal's records: what happened, in the order that decides it (PROTOCOL.md section 1).
//!
//! Every record begins with [`VERSION`]. A released version is frozen: never change a field, only add branches and versions; golden
//! bytes in `schemas/golden/` hold that.

use std::sync::Arc;

use bytes::Bytes;

use crate::codec::{self, Avro, Cursor, Malformed, put_long};
use crate::{Millis, record, symbols, union};

/// Version of the journal's format, the first number of every record.
pub const VERSION: i64 = 1;
/// Raw bytes of a quarantined record that are kept; behind that only its length and hash tell of it.
pub const QUARANTINE_RAW_BYTES_MAX: usize = 64 * 1024;

/// A claim's identity: random, new for every attempt, never one per instance.
pub type ClaimId = [u8; 16];
/// The broker's identity of a topic: a topic that was deleted and made again is another one.
pub type TopicId = [u8; 16];
/// Content hash of a definition (the first 16 bytes of SHA-256 over its text and the keys of its schemas).
pub type DefinitionHash = [u8; 16];

union! {
    /// One record of a journal partition.
    pub enum JournalRecord {
        /// Whoever appends it owns the partition from here, until the next claim.
        Claim(Claim) = 0,
        /// The turns of one poll.
        Decision(Decision) = 1,
        /// Where reading goes on, when inputs were skipped or an input is new.
        Positions(Positions) = 2,
        /// Nothing but its stamp: it carries `released`.
        Bare(Bare) = 3,
    }
}

record! {
    /// The head of a reign. Its offset is the C of every record that counts under it.
    pub struct Claim {
        /// New for every attempt.
        pub id: ClaimId,
        /// The instance's name, for people.
        pub owner: Arc<str>,
        /// Where its API listens, for people; empty if nowhere.
        pub address: Arc<str>,
        /// P, fixed for life by the first claim.
        pub partitions: i32,
        /// When it was written.
        pub now: Millis,
    }
}

record! {
    /// What every record but a claim carries: what makes it count, and how far effects were delivered.
    pub struct Stamp {
        /// Offset of the claim under which it was written.
        pub claim_offset: i64,
        /// That claim's identity.
        pub claim: ClaimId,
        /// 0 for the first record of the claim, then one more each.
        pub number: i64,
        /// Exclusive offset: all effects of every counting record below are acknowledged by the broker.
        pub released: i64,
        /// The partition's time: max(wall clock, the last journaled one).
        pub now: Millis,
    }
}

record! {
    /// The turns of one poll.
    pub struct Decision {
        /// What makes it count.
        pub stamp: Stamp,
        /// The input topics that causes index into.
        pub topics: Vec<TopicId>,
        /// At least one.
        pub turns: Vec<Turn>,
    }
}

record! {
    /// Where reading goes on.
    pub struct Positions {
        /// What makes it count.
        pub stamp: Stamp,
        /// Only those that moved.
        pub positions: Vec<Position>,
    }
}

record! {
    /// The next offset to read of this partition of an input topic.
    pub struct Position {
        /// Which topic.
        pub topic: TopicId,
        /// Its name, so that a topic that was deleted and made again is noticed.
        pub name: Arc<str>,
        /// Exclusive: everything below was taken.
        pub next: i64,
    }
}

record! {
    /// A record that only carries its stamp.
    pub struct Bare {
        /// What makes it count.
        pub stamp: Stamp,
    }
}

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

union! {
    /// What caused a turn.
    pub enum Cause {
        /// A record of an input topic.
        Input(InputCause) = 0,
        /// Something was due.
        Timer(TimerCause) = 1,
    }
}

record! {
    /// A record of an input topic; taking it moves the position.
    pub struct InputCause {
        /// Index into the decision's topics.
        pub topic: i32,
        /// The next offset to read.
        pub next: i64,
    }
}

record! {
    /// Something was due.
    pub struct TimerCause {
        /// When it was due.
        pub due_at: Millis,
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

symbols! {
    /// Why an input was not taken.
    pub enum RejectionReason {
        /// A saga with this id lives, or its finished row is still retained.
        Duplicate = 0 "DUPLICATE",
        /// The start event is older than the retention: the saga may have run and been forgotten.
        TooOld = 1 "TOO_OLD",
        /// A reply names a saga that is not known.
        UnknownSaga = 2 "UNKNOWN_SAGA",
        /// A reply names a step or a direction that was never asked.
        NeverAsked = 3 "NEVER_ASKED",
        /// The step has this answer already.
        RepeatedReply = 4 "REPEATED_REPLY",
        /// A failure of an attempt that is no longer the open one.
        StaleAttempt = 5 "STALE_ATTEMPT",
        /// It came after the step was given up and undone, or after the saga ended.
        LateReply = 6 "LATE_REPLY",
        /// It contradicts the answer that settled the step.
        ContradictingReply = 7 "CONTRADICTING_REPLY",
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

symbols! {
    /// Why an input is in quarantine.
    pub enum QuarantineReason {
        /// The bytes are not what their schema says, or not JSON.
        Undecodable = 0 "UNDECODABLE",
        /// The bytes name a schema that nobody knows here.
        UnknownSchema = 1 "UNKNOWN_SCHEMA",
        /// Nothing tells the event's type.
        TypeUnknown = 2 "TYPE_UNKNOWN",
        /// The record has no key and the definition takes the record's.
        KeyMissing = 3 "KEY_MISSING",
        /// The saga key is empty, too long, or not text.
        KeyInvalid = 4 "KEY_INVALID",
        /// The saga key hashes to another partition than the record was read from.
        WrongPartition = 5 "WRONG_PARTITION",
        /// An expression of the definition failed on it: key, `if`, or the deadline.
        ExpressionFailed = 6 "EXPRESSION_FAILED",
        /// It, or what it causes, is larger than the limits.
        TooBig = 7 "TOO_BIG",
        /// It is on the reply topic and is not a reply.
        NotAReply = 8 "NOT_A_REPLY",
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

union! {
    /// What happened to one saga: past tense, self-contained, so that `apply` and `react` need neither definition nor clock.
    pub enum SagaEvent {
        /// It exists.
        Started(Started) = 0,
        /// A step's `if` was false.
        StepSkipped(StepSkipped) = 1,
        /// A command is to be sent: the first of its key, or a retry.
        CommandIssued(CommandIssued) = 2,
        /// An attempt failed or ran out; the next one is due later.
        RetryScheduled(RetryScheduled) = 3,
        /// The step is done.
        StepSucceeded(StepSucceeded) = 4,
        /// The participant refused: known not done.
        StepRefused(StepEnded) = 5,
        /// Given up: whether it was done is not known.
        StepFailed(StepEnded) = 6,
        /// From here on the saga undoes what was done or may have been done.
        CompensationBegan(Failure) = 7,
        /// A compensation is done.
        StepUndone(StepUndone) = 8,
        /// A leaf needs a person.
        StepStuck(StepStuck) = 9,
        /// The deadline passed behind the pivot: noted, nothing is undone.
        MarkedLate(MarkedLate) = 10,
        /// A step that was known as not done was done after all; its undo follows.
        ContradictionFound(StepUndone) = 11,
        /// Everything is done.
        Completed(Ended) = 12,
        /// Everything is undone.
        Compensated(Ended) = 13,
    }
}

record! {
    /// A saga exists.
    pub struct Started {
        /// Name of its definition.
        pub definition: Arc<str>,
        /// Version of its definition: it keeps it.
        pub version: DefinitionHash,
        /// Offset of that version in the definitions topic: an owner that has not read so far waits.
        pub version_offset: i64,
        /// The business key, as it came.
        pub key: Arc<str>,
        /// The start event's fields that expressions of this version can read, as Avro.
        pub start: Bytes,
        /// Key of the schema of `start`.
        pub start_schema: i64,
        /// W3C trace context of the start event.
        pub traceparent: Option<Arc<str>>,
        /// When the saga's deadline is; `i64::MAX` for none.
        pub deadline_at: Millis,
        /// Identity of the start event: `ce_source`/`ce_id`, or topic/partition/offset.
        pub source: Arc<str>,
        /// Time of the turn.
        pub at: Millis,
    }
}

record! {
    /// A step's `if` was false.
    pub struct StepSkipped {
        /// Its place in the definition.
        pub step: i32,
        /// Its name.
        pub name: Arc<str>,
    }
}

symbols! {
    /// How a command's body is written for its participant.
    pub enum Encoding {
        /// Avro, single-object.
        Avro = 0 "avro",
        /// One JSON object.
        Json = 1 "json",
    }
}

symbols! {
    /// Where a step stands to the pivot; it decides what a failure means.
    pub enum Phase {
        /// Before it: it can be undone.
        Compensatable = 0 "compensatable",
        /// The last step that may refuse; never undone on a guess.
        Pivot = 1 "pivot",
        /// Behind it: forward only.
        Retriable = 2 "retriable",
    }
}

record! {
    /// A command is to be sent.
    pub struct CommandIssued {
        /// Its step's place in the definition.
        pub step: i32,
        /// True for a compensation.
        pub undo: bool,
        /// 1 for the first of its key.
        pub attempt: i32,
        /// What it is, on the first attempt; a retry sends the same.
        pub order: Option<Order>,
        /// When this attempt runs out.
        pub due_at: Millis,
        /// Time of the turn.
        pub at: Millis,
    }
}

record! {
    /// A command that is the same in every attempt.
    pub struct Order {
        /// The step's name.
        pub name: Arc<str>,
        /// Where the step stands to the pivot.
        pub phase: Phase,
        /// For example `payment.Charge`.
        pub command: Arc<str>,
        /// The body, encoded once.
        pub body: Bytes,
        /// How.
        pub encoding: Encoding,
        /// Fingerprint of the command's envelope schema (its single-object header); 0 for JSON.
        pub envelope: i64,
        /// When the step as a whole runs out, retries included.
        pub until: Millis,
    }
}

record! {
    /// The next attempt is due later.
    pub struct RetryScheduled {
        /// Its step.
        pub step: i32,
        /// True for a compensation.
        pub undo: bool,
        /// When the next attempt is issued.
        pub due_at: Millis,
        /// How the last attempt ended.
        pub code: Arc<str>,
        /// The same, for people.
        pub message: Arc<str>,
    }
}

record! {
    /// The step is done.
    pub struct StepSucceeded {
        /// Its place.
        pub step: i32,
        /// The result's fields that expressions of this version can read, as Avro; none if none are read.
        pub result: Option<Bytes>,
        /// Key of the result's schema; 0 for none.
        pub result_schema: i64,
    }
}

record! {
    /// A step ended without success.
    pub struct StepEnded {
        /// Its place.
        pub step: i32,
        /// For programs: the participant's code, or TIMEOUT, EXPIRED, DATA_TOO_BIG...
        pub code: Arc<str>,
        /// For people.
        pub message: Arc<str>,
    }
}

record! {
    /// A step was undone (or, for a contradiction, is to be undone).
    pub struct StepUndone {
        /// Its place.
        pub step: i32,
    }
}

record! {
    /// A leaf needs a person.
    pub struct StepStuck {
        /// Its place; the number of steps for an emission at the end.
        pub step: i32,
        /// The step's name, or the emission's place (`on_completed`).
        pub name: Arc<str>,
        /// True for a compensation.
        pub undo: bool,
        /// For programs.
        pub code: Arc<str>,
        /// For people: why, and what would help.
        pub message: Arc<str>,
    }
}

record! {
    /// The deadline passed behind the pivot, or while the pivot was in flight.
    pub struct MarkedLate {
        /// The deadline.
        pub due_at: Millis,
    }
}

symbols! {
    /// What kind of failure made a saga undo.
    pub enum FailureKind {
        /// A participant said no.
        Refused = 0 "refused",
        /// A participant could not, or did not answer.
        Failed = 1 "failed",
        /// The step's `within` ran out.
        Expired = 2 "expired",
        /// The saga's deadline ran out.
        Deadline = 3 "deadline",
        /// An expression failed, or data was too big.
        Error = 4 "error",
    }
}

record! {
    /// Why a saga undoes.
    pub struct Failure {
        /// For programs.
        pub code: Arc<str>,
        /// The step's name.
        pub step: Arc<str>,
        /// What kind.
        pub kind: FailureKind,
        /// For people.
        pub message: Arc<str>,
    }
}

record! {
    /// The saga ended.
    pub struct Ended {
        /// Events for others.
        pub emissions: Vec<Emission>,
        /// When its row may go.
        pub expires_at: Millis,
        /// Time of the turn.
        pub at: Millis,
    }
}

record! {
    /// A domain event for others, rendered.
    pub struct Emission {
        /// Where to.
        pub topic: Arc<str>,
        /// The record's key.
        pub key: Arc<str>,
        /// The event's type.
        pub kind: Arc<str>,
        /// Unique within the saga: `ce_id` is the saga id, `/`, and this.
        pub id: Arc<str>,
        /// The body, framed as its topic wants it.
        pub body: Bytes,
        /// How.
        pub encoding: Encoding,
        /// False: no CloudEvents headers (the topic's option `plain`).
        pub headers: bool,
    }
}

impl JournalRecord {
    /// The record's bytes, version first.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        put_long(&mut out, VERSION);
        self.put(&mut out);
        out
    }

    /// Reads a journal record; an unknown version or leftover bytes are errors.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(bytes);
        if cursor.long()? != VERSION {
            return Err(Malformed("journal record of an unknown version"));
        }
        let record = JournalRecord::take(&mut cursor)?;
        cursor.end()?;
        Ok(record)
    }

    /// The stamp of everything but a claim.
    pub fn stamp(&self) -> Option<&Stamp> {
        match self {
            JournalRecord::Claim(_) => None,
            JournalRecord::Decision(decision) => Some(&decision.stamp),
            JournalRecord::Positions(positions) => Some(&positions.stamp),
            JournalRecord::Bare(bare) => Some(&bare.stamp),
        }
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
    pub fn push(&mut self, cause: &Cause, input: Option<(i64, &[u8])>, changes: &Vec<Change>) {
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
        changes.put(&mut self.bytes);
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
        if cursor.long()? != VERSION {
            return Err(Malformed("quarantine record of an unknown version"));
        }
        let record = <Quarantined as codec::Avro>::take(&mut cursor)?;
        cursor.end()?;
        Ok(record)
    }
}
