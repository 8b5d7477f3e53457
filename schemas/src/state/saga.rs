//! A saga's row.

use std::sync::Arc;

use bytes::Bytes;

use super::{VERSION, versioned};
use crate::codec::{Avro, Malformed, put_long};
use crate::journal::{DefinitionHash, Encoding, Failure, Phase};
use crate::{Millis, names, record, symbols};

symbols! {
    /// Where a saga stands.
    pub enum Status {
        /// Going forward.
        Running = 0 "running",
        /// Undoing.
        Compensating = 1 "compensating",
        /// Everything is done.
        Completed = 2 "completed",
        /// Everything is undone.
        Compensated = 3 "compensated",
    }
}

symbols! {
    /// Where a step stands. Steps that were never issued have no row.
    pub enum StepState {
        /// Its command is out; a reply or a timeout comes.
        Asked = 0 "asked",
        /// The next attempt is due later.
        RetryWaiting = 1 "retry waiting",
        /// Done.
        Succeeded = 2 "succeeded",
        /// Known not done.
        Refused = 3 "refused",
        /// Given up: not known whether done.
        Failed = 4 "failed",
        /// A person must look at it.
        Stuck = 5 "stuck",
        /// Its compensation is out.
        UndoAsked = 6 "undo asked",
        /// The compensation's next attempt is due later.
        UndoRetryWaiting = 7 "undo retry waiting",
        /// Undone.
        Undone = 8 "undone",
        /// A person must look at its compensation.
        UndoStuck = 9 "undo stuck",
        /// Known not done by its answer, done after all by a later one: to be undone.
        Contradicted = 10 "contradicted",
    }
}

record! {
    /// One saga.
    pub struct Saga {
        /// Name of its definition.
        pub definition: Arc<str>,
        /// Version of its definition.
        pub version: DefinitionHash,
        /// Offset of that version in the definitions topic.
        pub version_offset: i64,
        /// The business key.
        pub key: Arc<str>,
        /// Where it stands.
        pub status: Status,
        /// When it started.
        pub started_at: Millis,
        /// When its deadline is; `i64::MAX` for none.
        pub deadline_at: Millis,
        /// The deadline passed where nothing can be undone any more.
        pub late: bool,
        /// The start event's fields that expressions can read; empty once it has ended.
        pub start: Bytes,
        /// Key of the schema of `start`.
        pub start_schema: i64,
        /// W3C trace context.
        pub traceparent: Option<Arc<str>>,
        /// Identity of the start event.
        pub source: Arc<str>,
        /// The first step that was not yet considered.
        pub next: i32,
        /// Steps that were issued, in order.
        pub steps: Vec<Step>,
        /// Why it undoes.
        pub failure: Option<Failure>,
        /// Its last emission could not be rendered.
        pub stuck_at_end: Option<Failure>,
        /// When it ended; 0 while it lives.
        pub ended_at: Millis,
        /// When its row may go; 0 while it lives.
        pub expires_at: Millis,
    }
}

record! {
    /// A step that was issued.
    pub struct Step {
        /// Its place in the definition.
        pub index: i32,
        /// Its name.
        pub name: Arc<str>,
        /// Where it stands.
        pub state: StepState,
        /// Where it stands to the pivot.
        pub phase: Phase,
        /// The step's own command.
        pub call: Call,
        /// Its compensation's.
        pub undo: Option<Call>,
        /// The result's fields that expressions can read.
        pub result: Option<Bytes>,
        /// Key of the result's schema; 0 for none.
        pub result_schema: i64,
        /// How the last attempt, or the step, ended without success.
        pub code: Arc<str>,
        /// The same, for people.
        pub message: Arc<str>,
    }
}

record! {
    /// A command and its attempts.
    pub struct Call {
        /// For example `payment.Charge`.
        pub command: Arc<str>,
        /// The body, encoded once; empty when nothing can need it any more.
        pub body: Bytes,
        /// How it is encoded.
        pub encoding: Encoding,
        /// Fingerprint of the envelope's schema; 0 for JSON.
        pub envelope: i64,
        /// The newest attempt, from 1.
        pub attempt: i32,
        /// When its key was first journaled.
        pub first_time: Millis,
        /// When something is due: the open attempt's timeout, or the next attempt.
        pub due_at: Millis,
        /// When the whole runs out, retries included.
        pub until: Millis,
    }
}

impl Saga {
    /// `order-fulfilment/ord-17`.
    pub fn id(&self) -> String {
        names::saga_id(&self.definition, &self.key)
    }

    /// True once it has ended.
    pub fn ended(&self) -> bool {
        matches!(self.status, Status::Completed | Status::Compensated)
    }

    /// True if a leaf of it needs a person.
    pub fn stuck(&self) -> bool {
        self.stuck_at_end.is_some() || self.steps.iter().any(|step| matches!(step.state, StepState::Stuck | StepState::UndoStuck))
    }

    /// When it wants to be looked at without an input; `i64::MAX` for never.
    pub fn due_at(&self) -> Millis {
        let leaves = self.steps.iter().map(Step::due_at).min().unwrap_or(Millis::MAX);
        match self.status {
            // The deadline's clock stands still while a person is needed.
            Status::Running if !self.late && !self.stuck() => leaves.min(self.deadline_at),
            Status::Running | Status::Compensating => leaves,
            Status::Completed | Status::Compensated => Millis::MAX,
        }
    }

    /// The row's bytes, version first.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        put_long(&mut out, VERSION);
        self.put(&mut out);
        out
    }

    /// Reads a row.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        versioned(bytes, "saga row of an unknown version")
    }
}

impl Step {
    fn due_at(&self) -> Millis {
        match self.state {
            StepState::Asked | StepState::RetryWaiting => self.call.due_at,
            StepState::UndoAsked | StepState::UndoRetryWaiting => self.undo.as_ref().map_or(Millis::MAX, |undo| undo.due_at),
            StepState::Succeeded
            | StepState::Refused
            | StepState::Failed
            | StepState::Stuck
            | StepState::Undone
            | StepState::UndoStuck
            | StepState::Contradicted => Millis::MAX,
        }
    }
}
