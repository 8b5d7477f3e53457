//! Words with a fixed list of values: why something was not taken, why a saga undoes, how a command is written.

use crate::symbols;

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
        /// The saga has ended.
        Ended = 8 "ENDED",
        /// The saga undoes already.
        Undoing = 9 "UNDOING",
        /// The saga is behind its pivot: there is only forward.
        BehindPivot = 10 "BEHIND_PIVOT",
        /// An act on a saga that has moved since it was looked at.
        MovedOn = 11 "MOVED_ON",
        /// An act on something that needs no person.
        NotStuck = 12 "NOT_STUCK",
        /// An act that would leave the saga in a state that nobody could answer for.
        NotPossible = 13 "NOT_POSSIBLE",
        /// An answer to an approval that nobody is asked for, or that has its answer.
        NotAsked = 14 "NOT_ASKED",
        /// An event that came early, where as much as may wait for a saga does so already.
        TooManyEarly = 15 "TOO_MANY_EARLY",
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
        /// The start event is older than the retention: the saga may have run and been forgotten.
        TooOld = 9 "TOO_OLD",
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

symbols! {
    /// What a person can do to a saga.
    pub enum ActKind {
        /// Undo it.
        Cancel = 0 "cancel",
        /// Ask again what is stuck.
        Retry = 1 "retry",
        /// Go on without what is stuck, or with a value in its stead.
        Skip = 2 "skip",
        /// Say how it ended, in its participant's stead.
        Resolve = 3 "resolve",
        /// Say yes where an approval is asked for.
        Approve = 4 "approve",
        /// Say no where an approval is asked for.
        Refuse = 5 "refuse",
        /// Start it, by an event that they give.
        Start = 6 "start",
        /// Let nothing of it go forward until it is resumed.
        Pause = 7 "pause",
        /// Let it go on.
        Resume = 8 "resume",
    }
}

symbols! {
    /// What kind of failure it was.
    pub enum FailureKind {
        /// A participant said no.
        Refused = 0 "refused",
        /// A participant could not, or did not answer.
        Failed = 1 "failed",
        /// A node's `within` ran out.
        Expired = 2 "expired",
        /// The saga's deadline ran out.
        Deadline = 3 "deadline",
        /// An expression failed, or data was too big.
        Error = 4 "error",
        /// The saga was cancelled.
        Cancelled = 5 "cancelled",
    }
}
