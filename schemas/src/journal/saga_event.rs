//! What happens to one saga.

use std::sync::Arc;

use bytes::Bytes;

use super::{DefinitionHash, Encoding, FailureKind, Phase};
use crate::{Millis, record, union};

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
