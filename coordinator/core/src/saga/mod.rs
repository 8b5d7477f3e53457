//! One saga: what an input means for it, what is true afterwards, what is to be sent.
//!
//! ```text
//! decide(definition, saga, input, now) -> events        what happened       (pure)
//! apply(saga, event, at)                                what is now true    (pure; no definition, no clock)
//! effects(head, event, order)          -> effects       what to send        (pure; a mechanical map)
//! ```
//!
//! LANGUAGE.md section 3 is the law of this folder. Reading order: [`decide`], then `flow` (forward), `react_to` (what was refused or
//! failed), `stop` and `unwind` (undo), `scope`, `verbs` (what waits by itself), `answer`, `attempts`, `parking`, `pausing`, `due`, `acts`; [`apply`] and [`effects`] stand alone. [`why`],
//! [`passed`] and [`Teller`] put rows and events into words.

mod acts;
mod answer;
mod apply;
mod attempts;
mod below;
mod decide;
mod due;
mod effect;
mod effects;
mod family;
mod flow;
mod mailbox;
mod novelty;
mod orphan;
mod parking;
mod passage;
mod passed;
mod pausing;
mod react_to;
mod retry;
mod scope;
mod sizes;
mod stop;
mod stuck;
mod told;
mod trace;
mod unwind;
mod values;
mod verbs;
mod view;
mod why;

pub use acts::{Act, ActInput};
pub use apply::{IllegalEvent, apply};
pub use decide::{Above, Basis, Decided, decide};
pub use effect::Effect;
pub use effects::{Sender, brought, effects, order_of, returned, takes_row, value_effects};
pub use family::{Family, Moved, Room, play};
pub use mailbox::{LEFT_KEPT_MS, LEFT_MAX, PASSED_MAX, SEEN_MAX, ValueInput, decide_value, goes_back};
pub use orphan::{Beside, orphan};
pub use parking::Breakers;
pub use passed::{Passed, passed};
pub use pausing::postponed;
pub use told::{Attempt, Known, Sent, Teller, Told, Versions};
pub use trace::{SpanId, TraceId, Tracing, attempt_span, given, span};
pub use values::{Evaluated, Values, View};
pub use why::{Asks, Way, Why, name_of, reason_at, reason_of, why};

use std::sync::Arc;

use ringmaster_schemas::journal::{Failure, KeptEvent, Place, RejectionReason};
use ringmaster_schemas::names::Direction;
use ringmaster_schemas::{Data, Millis};

/// Largest part of a result that state keeps, in bytes.
pub const RESULT_BYTES_MAX: usize = 64 * 1024;
/// Largest saga row, in bytes: a row is rewritten whole at every change.
pub const ROW_BYTES_MAX: usize = 256 * 1024;
/// Largest body of a command, in bytes. A step's own is kept in the row. An undo's is not, and may be larger than all that it is made
/// of; it must fit into any journal record, or its saga could not even be failed.
pub const COMMAND_BYTES_MAX: usize = ROW_BYTES_MAX;

/// Most bytes that a saga emits on the way in one turn: with them a row's worth of events still fits into any journal record.
pub const EMITTED_BYTES_MAX: usize = COMMAND_BYTES_MAX / 2;

/// Most attempts of one command: what was asked so often is given up.
pub const ATTEMPTS_MAX: u16 = u16::MAX;

/// Events that wait for a saga, or for a wait of one, at most.
pub const EARLY_MAX: usize = 100;

/// Most items of a for_each inside an item of another.
pub const ITEMS_INSIDE_MAX: usize = 100;

/// Largest start, bodies and results that a row holds together: the rest is for keys, names, codes and messages, which are bounded
/// each.
pub const ROW_DATA_BYTES_MAX: usize = ROW_BYTES_MAX - 32 * 1024;

/// What can happen to a saga.
#[derive(Debug, Clone)]
pub enum Input {
    /// Its start event came.
    Start(StartInput),
    /// A participant answered.
    Reply(ReplyInput),
    /// Something of it is due.
    Due,
    /// It is to be undone.
    Cancel {
        /// By what or whom, for people.
        why: Arc<str>,
    },
    /// A person acts.
    Act(ActInput),
    /// An event came that its definition listens to.
    Event(EventInput),
    /// The partition of a value that one of its waits has claimed writes.
    Claim(ClaimInput),
    /// What is parked at this place may go: its breaker lets it.
    Unpark(Place),
    /// An event came that is for a saga which has not begun, and is kept until it does.
    Early(Arc<KeptEvent>),
    /// The row above says that this item, or sub-saga, begins.
    Begin(BeginInput),
    /// It does the next that waits for nothing: about the rows below it, or it goes itself.
    Work,
    /// A row below has something to say.
    News(News),
    /// All rows below an entry have ended well, and give this; none where nothing reads it. Or why it cannot be read.
    Gathered(Place, Result<Option<Data>, Arc<str>>),
    /// The row above says that what this one did is to be undone, for this.
    Recall(Arc<Failure>),
    /// The row above remembers a stop, for this: this one, which holds the pivot, stops if it can.
    Stop(Arc<Failure>),
    /// The row above says that this one is needed no more.
    Sweep,
    /// The row above says that it is paused, or is so no more.
    LookAbove,
    /// What this input would cause is larger than a journal record may be.
    TooBig {
        /// Bytes of the input; none: it is time that passed.
        bytes: Option<usize>,
        /// The step that it is for, where it is an answer.
        step: Option<Arc<str>>,
        /// What was to go, where that was parked.
        place: Option<Place>,
    },
}

/// An item, or a sub-saga, that begins.
#[derive(Debug, Clone)]
pub struct BeginInput {
    /// What the item is, as the list holds it; of a sub-saga the part of its input that expressions of its version can read.
    pub start: Data,
    /// Of a sub-saga: offset of its version in the topic of definitions.
    pub version_offset: Option<i64>,
    /// Of a sub-saga: what it is searched by, as heads keep it.
    pub search: Vec<u8>,
}

/// What the row above is to know.
#[derive(Debug, Clone)]
pub struct News {
    /// Its for_each, or its run.
    pub place: Place,
    /// Which item; 0 for a sub-saga.
    pub index: u16,
    /// What.
    pub what: Novelty,
}

/// What has become of an item, or of a sub-saga.
#[derive(Debug, Clone)]
pub enum Novelty {
    /// It has ended well.
    Done,
    /// It has ended, and left nothing behind.
    Undone {
        /// Why.
        failure: Arc<Failure>,
        /// It was refused; else it failed.
        refused: bool,
    },
    /// It is behind its pivot.
    Passed,
    /// It needs a person, or is parked or paused; or not any more.
    Held(bool),
    /// It has looked, before it was told, whether it is paused with what is above.
    Looked {
        /// What is above it is paused.
        paused: bool,
        /// It is held.
        held: bool,
    },
    /// Its row is needed no more, and does not go yet.
    Lingers,
    /// Its row has gone, later than it was told to.
    Gone,
}

/// Buffers that a partition's decisions use again and again, so that what is encoded once is copied once.
#[derive(Debug, Default)]
pub struct Scratch {
    body: Vec<u8>,
    record: Vec<u8>,
    text: String,
    passages: passage::Passages,
}

/// A start event, projected.
#[derive(Debug, Clone)]
pub struct StartInput {
    /// The saga's key.
    pub key: String,
    /// The fields that expressions of this version can read.
    pub start: Vec<u8>,
    /// Key of their schema.
    pub start_schema: i64,
    /// W3C trace context.
    pub traceparent: Option<Arc<str>>,
    /// Identity of the event.
    pub source: String,
    /// Offset of the definition's version in its topic.
    pub version_offset: i64,
    /// From 0 to 9; of what is parked the larger goes first.
    pub priority: u8,
    /// What it is searched by, as heads keep it; nothing where it is searched by nothing.
    pub search: Vec<u8>,
    /// The event's own time, if its log has one.
    pub event_time: Option<Millis>,
    /// What came before it, in the order in which it came.
    pub early: Vec<EarlyInput>,
    /// A person starts it.
    pub by_hand: Option<ByHand>,
}

/// Who starts a saga by hand.
#[derive(Debug, Clone)]
pub struct ByHand {
    /// Who.
    pub by: Arc<str>,
    /// Why, in their words.
    pub why: Arc<str>,
}

/// An event that a definition listens to, projected.
#[derive(Debug, Clone)]
pub struct EventInput {
    /// What listens to it: a number of the definition's listeners.
    pub listener: u16,
    /// Identity of the event.
    pub source: Arc<str>,
    /// The fields that expressions of this version can read.
    pub data: Data,
}

/// What the partition of a value writes to a wait that has claimed it.
#[derive(Debug, Clone)]
pub struct ClaimInput {
    /// The wait.
    pub place: Place,
    /// When it began to wait, as the claim said.
    pub at: Millis,
    /// What.
    pub news: ClaimNews,
}

/// What is new about a claim.
#[derive(Debug, Clone)]
pub enum ClaimNews {
    /// The value is its own now.
    Granted,
    /// Another one has it.
    Denied,
    /// An event with the value came that its version cannot read.
    Unreadable {
        /// Identity of the event.
        source: Arc<str>,
    },
    /// An event with the value came.
    Event {
        /// Identity of the event.
        source: Arc<str>,
        /// The fields that expressions of this version can read.
        data: Data,
    },
}

/// An event that came before its saga.
#[derive(Debug, Clone)]
pub struct EarlyInput {
    /// The event.
    pub event: EventInput,
    /// When it is forgotten.
    pub until: Millis,
}

/// A participant's answer.
#[derive(Debug, Clone)]
pub struct ReplyInput {
    /// Name of the step that it is for.
    pub step: Arc<str>,
    /// Whether it answers the step or its compensation.
    pub direction: Direction,
    /// Which attempt.
    pub attempt: i32,
    /// What it says.
    pub outcome: Outcome,
}

/// What a participant says.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// Done.
    Succeeded {
        /// The part of the result that expressions can read.
        result: Option<Data>,
    },
    /// Known not done, for business reasons; final for its idempotency key.
    Refused {
        /// For programs.
        code: Arc<str>,
        /// For people.
        message: Arc<str>,
    },
    /// Not known.
    Failed {
        /// For programs.
        code: Arc<str>,
        /// For people.
        message: Arc<str>,
        /// Whether asking again may help.
        retryable: bool,
    },
}

/// Why an input is not taken: a value, journaled like what is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// For programs.
    pub reason: RejectionReason,
    /// For people.
    pub detail: String,
}

impl Rejection {
    pub(crate) fn new(reason: RejectionReason, detail: impl Into<String>) -> Self {
        Rejection { reason, detail: detail.into() }
    }
}

/// Codes that the engine itself gives; participants' codes are their own.
pub mod code {
    /// No reply within the attempt's time.
    pub const TIMEOUT: &str = "TIMEOUT";
    /// A node's `within` ran out.
    pub const EXPIRED: &str = "EXPIRED";
    /// The saga's deadline ran out.
    pub const DEADLINE: &str = "DEADLINE";
    /// An approval was refused.
    pub const REFUSED: &str = "REFUSED";
    /// Another wait has the value.
    pub const VALUE_TAKEN: &str = "VALUE_TAKEN";
    /// The saga was cancelled.
    pub const CANCELLED: &str = "CANCELLED";
    /// A body, a result or a row is larger than the limits.
    pub const DATA_TOO_BIG: &str = "DATA_TOO_BIG";
    /// A participant may have forgotten the key: it did nothing, and whether it was done before is not known.
    pub const TOO_OLD: &str = "TOO_OLD";
    /// A participant answered differently under one key, and nothing can undo it.
    pub const CONTRADICTION: &str = "CONTRADICTION";
    /// A sub-saga could not begin, or what it gave could not be read: no version of it keeps what the saga above counts on.
    pub const CONTRACT: &str = "CONTRACT";
}
