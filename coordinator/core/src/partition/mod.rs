//! One partition of the journal: who owns it, what counts, what is true, what may leave (PROTOCOL.md sections 1 and 2).
//!
//! ```text
//! claim -> replay to C -> resend what `released` does not cover -> read inputs
//! input -> decide -> open record -> append -> acknowledged in order = confirmed -> effects leave, rows are staged -> checkpoint
//! ```
//!
//! A synchronous state machine without IO, clock or randomness: what happened comes in by its methods, what it wants comes out as
//! [`Do`]s. The same code runs on every bus and in the simulator. Any doubt has one way out: drop everything that is in memory,
//! claim again, replay from the store's checkpoint. A start after a crash is the same thing.

mod checkpoint;
mod claim;
mod confirm;
mod input;
mod outgoing;
mod overlay;
mod record;
mod replay;
mod standing;
mod timers;

use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{ClaimId, Position, QuarantineReason, RejectionReason, TopicId};
use ringmaster_schemas::registry::Schemas;
use ringmaster_schemas::state::{Checkpoint, Digest, Index, RowKey, RowKind};

pub use checkpoint::row_hash;
pub use outgoing::Refusal;
pub use standing::{Standing, Verdict};

use crate::definition::Catalog;
use crate::intake::Projections;
use outgoing::Outgoing;
use overlay::Overlay;
use record::{Open, Pending};
use timers::Timers;

/// Width of the buckets in which finished sagas expire: coarse, since each costs a line in every checkpoint.
pub const EXPIRY_BUCKET_MS: Millis = ringmaster_schemas::state::EXPIRY_BUCKET_MS;
/// A run of so many skipped inputs is recorded, so that a takeover never reads far again.
const SKIPPED_RUN_MAX: usize = 1000;
/// What nothing else carries (skipped inputs, `released`) is journaled within this time.
const QUIET_RECORD_MS: Millis = 1000;

/// What a partition must know before it starts; fixed for the life of the instance.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which partition.
    pub number: i32,
    /// P: how many there are.
    pub partitions: i32,
    /// The instance's name, written into claims for people.
    pub owner: Arc<str>,
    /// Where the instance's API listens, written into claims for people.
    pub address: Arc<str>,
    /// The journal topic's identity.
    pub journal: TopicId,
    /// Where replies are to go.
    pub reply_topic: Arc<str>,
    /// Where quarantined records are sent.
    pub quarantine_topic: Arc<str>,
    /// What is read.
    pub inputs: Vec<InputSettings>,
    /// Bounds.
    pub limits: Limits,
}

/// One input topic; the partition reads its own number of it.
#[derive(Debug, Clone)]
pub struct InputSettings {
    /// The broker's identity of it.
    pub topic: TopicId,
    /// Its name.
    pub name: Arc<str>,
    /// What it carries.
    pub role: Role,
    /// Where reading begins if the journal has no position for it.
    pub start_at: StartAt,
    /// Take a topic that was deleted and made again as new, instead of refusing it.
    pub accept_new: bool,
}

/// What an input topic carries.
#[derive(Debug, Clone)]
pub enum Role {
    /// Domain events.
    Events {
        /// The JSON field that names the type.
        type_field: Arc<str>,
        /// The type where nothing else tells it.
        default_type: Option<Arc<str>>,
    },
    /// Answers of participants.
    Replies,
}

/// Where reading of a new input begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    /// With the oldest record.
    Earliest,
    /// With the next record.
    Latest,
    /// With the first record at or after this time.
    Time(Millis),
}

/// Bounds of one partition, so that nothing grows with the load.
#[derive(Debug, Clone)]
pub struct Limits {
    /// A journal record's bytes: below the topic's `max.message.bytes` and the client's batch size.
    pub record_bytes_max: usize,
    /// Turns in one record: bounds what one lost acknowledgement undoes.
    pub record_turns_max: usize,
    /// Unconfirmed records: deep enough to hide a round trip, shallow enough to replay at once.
    pub in_flight_records_max: usize,
    /// Bytes of rows in memory; above it inputs pause until a checkpoint has trimmed them.
    pub overlay_bytes_max: usize,
    /// Effects that are not acknowledged; above it inputs pause.
    pub unreleased_effects_max: usize,
    /// Timers fired in one poll: a burst of them must not make one huge record.
    pub timers_per_poll_max: usize,
}

/// What a partition asks its worker to do, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Do {
    /// Append this to the journal partition by the sender that the claim was given.
    Append {
        /// The record.
        bytes: Vec<u8>,
        /// What its acknowledgement is for.
        tag: Tag,
    },
    /// Send the effect of this tag ([`Partition::effect`]).
    Send(Tag),
    /// Read the journal partition from here.
    ReadJournal(i64),
    /// Read the journal no more.
    StopJournal,
    /// Ask what the journal holds.
    AskJournal,
    /// Read this input from here.
    ReadInput(usize, i64),
    /// Read no input any more.
    StopInputs,
    /// Ask what this input holds.
    AskInput(usize),
    /// Ask for this input's first offset at or after a time.
    AskInputAt(usize, Millis),
    /// Hold (true) or go on with (false) all inputs.
    Pause(bool),
    /// Something is doubtful: the worker must give up its sender and tell [`Partition::doubt`] to all its partitions.
    Doubt(String),
    /// The partition can be claimed (again).
    Ready,
    /// It is owned now, and inputs are read.
    Owned,
    /// The stored state of this partition is of no use: forget it.
    ClearStore,
    /// The partition stops for good, and says why.
    StepDown(Why),
    /// Something that people want to find in the log.
    Tell(Note),
}

/// What people want to find in the log: rare, and about one saga or one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A saga needs a person.
    Stuck {
        /// Its id.
        saga: Arc<str>,
        /// Where.
        step: Arc<str>,
        /// Why, for programs.
        code: Arc<str>,
        /// Why, for people.
        message: Arc<str>,
    },
    /// A saga undoes.
    Compensating {
        /// Its id.
        saga: Arc<str>,
        /// Which step failed.
        step: Arc<str>,
        /// Why.
        code: Arc<str>,
    },
    /// An input was understood and not taken.
    Rejected {
        /// The saga it was for.
        saga: Arc<str>,
        /// Why, for programs.
        reason: RejectionReason,
        /// Why, for people.
        detail: Arc<str>,
    },
    /// An input could not be understood or used.
    Quarantined {
        /// Why, for programs.
        reason: QuarantineReason,
        /// Why, for people.
        detail: Arc<str>,
        /// Where it was read.
        topic: Arc<str>,
        /// Where it was read.
        offset: i64,
    },
}

/// What an acknowledgement is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tag {
    /// The claim.
    Claim,
    /// The record of this number.
    Record(i64),
    /// An effect in the order of the journal.
    Effect(u64),
    /// An effect that was set apart as undeliverable.
    Parked(u64),
}

/// Why a partition stops for good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// Another instance claimed it.
    #[error("partition {partition} was claimed by '{owner}' (API at '{address}'): only one instance may run; stop one of them")]
    Fenced {
        /// Which partition.
        partition: i32,
        /// The other's name.
        owner: String,
        /// The other's API.
        address: String,
    },
    /// The journal does not reach back to where the stored state begins.
    #[error(
        "partition {partition}: the journal begins at offset {start}, but replay must begin at {needed}: records were deleted (retention must be unlimited)"
    )]
    JournalCut {
        /// Which partition.
        partition: i32,
        /// The oldest offset.
        start: i64,
        /// What is needed.
        needed: i64,
    },
    /// The journal topic is another one than before.
    #[error(
        "partition {0}: the journal topic was deleted and made again; the stored state is of the old one. To start anew, move the data directory away"
    )]
    JournalMadeAgain(i32),
    /// An input topic is another one than before.
    #[error(
        "partition {partition}: topic '{topic}' was deleted and made again, so old positions mean nothing. To read the new one from `start_at`, set `topics.{topic}.accept_new = true`"
    )]
    TopicMadeAgain {
        /// Which partition.
        partition: i32,
        /// Which topic.
        topic: String,
    },
    /// The first claim was written with another number of partitions.
    #[error("the journal was begun with {journal} partitions and the setting says {configured}: the number is fixed for life")]
    PartitionsDiffer {
        /// What the first claim says.
        journal: i32,
        /// What the settings say.
        configured: i32,
    },
    /// An input's position is not in its log any more.
    #[error(
        "partition {partition}: topic '{topic}' no longer has offset {position}: inputs were deleted before they were read. To go on, set `topics.{topic}.accept_new = true` and start again"
    )]
    InputLost {
        /// Which partition.
        partition: i32,
        /// Which topic.
        topic: String,
        /// The position.
        position: i64,
    },
    /// The journal says something that cannot be, or a definition it needs is missing.
    #[error("partition {partition}: the journal cannot be replayed at offset {offset}: {detail}")]
    Corrupt {
        /// Which partition.
        partition: i32,
        /// Where.
        offset: i64,
        /// What.
        detail: String,
    },
    /// The store cannot be read or written.
    #[error("partition {partition}: {detail}")]
    Store {
        /// Which partition.
        partition: i32,
        /// Why.
        detail: String,
    },
}

/// The stored rows of one partition.
pub trait Rows {
    /// Where the stored state stands.
    fn checkpoint(&self) -> Result<Option<Checkpoint>, String>;
    /// A row's bytes.
    fn row(&self, key: &RowKey) -> Result<Option<Vec<u8>>, String>;
    /// Visits rows by an index, those at or after `from` and before `to`, in the order of the index.
    fn scan(&self, index: Index, from: i64, to: i64, visit: &mut dyn FnMut(i64, RowKey)) -> Result<(), String>;
    /// Visits all rows of a kind in the order of their keys.
    fn rows(&self, kind: RowKind, visit: &mut dyn FnMut(RowKey, &[u8])) -> Result<(), String>;
}

/// What a partition's methods are given: the time, what is known, and where its wishes go.
pub struct Context<'a> {
    /// Wall clock: it may jump.
    pub now: Millis,
    /// A clock that never jumps, in milliseconds since some moment: for waits inside the process.
    pub steady: Millis,
    /// All versions of all definitions.
    pub catalog: &'a Catalog,
    /// All known schemas.
    pub schemas: &'a Schemas,
    /// Stored rows.
    pub rows: &'a dyn Rows,
    /// What the partition wants.
    pub out: &'a mut Vec<Do>,
    /// What happened, counted.
    pub counters: &'a mut Counters,
}

/// What happened, counted since the instance started; replay does not count.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the metrics, described in their table")]
pub struct Counters {
    pub inputs: u64,
    pub skipped: u64,
    pub started: u64,
    pub completed: u64,
    pub compensated: u64,
    pub stuck: u64,
    pub rejected: u64,
    pub quarantined: u64,
    pub commands: u64,
    pub retries: u64,
    pub timers: u64,
    pub records: u64,
    pub record_bytes: u64,
    pub turns: u64,
    pub effects: u64,
    pub resent: u64,
    pub replayed: u64,
    pub doubts: u64,
    pub claims: u64,
    pub pauses: u64,
}

/// Where a partition stands, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Not claimed.
    Idle,
    /// The claim is on its way.
    Claiming,
    /// The journal is read up to the claim.
    Replaying,
    /// Owner; inputs are read.
    Owning,
    /// After a doubt: looking for a foreign claim.
    Scanning,
    /// Stopped for good.
    Stopped,
}

/// One partition.
pub struct Partition {
    settings: Settings,
    phase: Phase,
    claim: claim::Claiming,
    standing: Standing,
    inputs: Vec<Input>,
    /// Positions of topics that are not configured now: kept, in case they come back.
    other_positions: Vec<Position>,
    overlay: Overlay,
    open: Option<Open>,
    pending: std::collections::VecDeque<Pending>,
    pending_bytes: usize,
    outgoing: Outgoing,
    timers: Timers,
    projections: Projections,
    command_topics: hashbrown::HashMap<Arc<str>, Arc<str>>,
    /// The partition's time as journaled, speculative records included.
    now: Millis,
    /// The highest `released` in a confirmed record.
    released: i64,
    /// `released` as the newest appended record carries it.
    released_appended: i64,
    expired_bucket: i64,
    expired_bucket_confirmed: i64,
    digest: Digest,
    checkpoint_offset: i64,
    paused: bool,
    skipped_run: usize,
    last_record_at: Millis,
}

/// What a partition knows of one of its inputs.
#[derive(Debug, Clone, Default)]
struct Input {
    /// The next offset to take, speculative turns included; none until it is resolved.
    position: Option<i64>,
    /// The same, by appended records: what was skipped since then is in no record yet.
    journaled: Option<i64>,
    /// The same, by confirmed records.
    confirmed: Option<i64>,
    /// It is being read.
    reading: bool,
    /// The reader has been given everything below.
    read_to: i64,
    /// No reply or event stamped below this time can be unread (PROTOCOL.md rule 11).
    clear_to: Millis,
    /// A question for the log's end is out: since when.
    asked_at: Option<Millis>,
    /// The answer: when the reader gets to this offset, it is clear up to that time.
    target: Option<(i64, Millis)>,
}

impl Partition {
    /// A partition that owns nothing yet; [`Partition::claim`] starts it.
    pub fn new(settings: Settings) -> Self {
        let inputs = vec![Input::default(); settings.inputs.len()];
        Partition {
            settings,
            phase: Phase::Idle,
            claim: claim::Claiming::default(),
            standing: Standing::default(),
            inputs,
            other_positions: Vec::new(),
            overlay: Overlay::default(),
            open: None,
            pending: std::collections::VecDeque::new(),
            pending_bytes: 0,
            outgoing: Outgoing::default(),
            timers: Timers::default(),
            projections: Projections::default(),
            command_topics: hashbrown::HashMap::new(),
            now: 0,
            released: 0,
            released_appended: 0,
            expired_bucket: -1,
            expired_bucket_confirmed: -1,
            digest: checkpoint::empty_digest(),
            checkpoint_offset: -1,
            paused: false,
            skipped_run: 0,
            last_record_at: 0,
        }
    }

    /// Where it stands.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Its number.
    pub fn number(&self) -> i32 {
        self.settings.number
    }

    /// The claim under which it is the owner: (C, id).
    pub fn reign(&self) -> Option<(i64, ClaimId)> {
        (self.phase == Phase::Owning).then_some((self.standing.claim_offset, self.standing.claim))
    }

    /// The next journal offset after what is confirmed (or replayed).
    pub fn journal_offset(&self) -> i64 {
        self.standing.next_offset
    }

    /// Confirmed positions of its inputs, for lag tools: (input, next offset).
    pub fn confirmed_positions(&self) -> impl Iterator<Item = (usize, i64)> + '_ {
        self.inputs.iter().enumerate().filter_map(|(i, input)| input.confirmed.map(|position| (i, position)))
    }

    /// True if nothing is unconfirmed, unreleased or unjournaled: the moment to stop.
    pub fn quiet(&self) -> bool {
        self.open.is_none() && self.pending.is_empty() && self.outgoing.is_empty()
    }

    /// Rows in memory, and their approximate bytes.
    pub fn overlay_size(&self) -> (usize, usize) {
        (self.overlay.len(), self.overlay.bytes())
    }

    /// Effects that wait until their topic takes them.
    pub fn undeliverable_count(&self) -> usize {
        self.outgoing.parked().len()
    }

    /// Effects that the broker has not acknowledged.
    pub fn unreleased_count(&self) -> usize {
        self.outgoing.len()
    }

    /// True while inputs are held.
    pub fn paused(&self) -> bool {
        self.paused
    }

    /// The next moment at which [`Partition::end_of_poll`] has something to do without anything happening; for how long to wait.
    pub fn next_due(&self) -> Millis {
        self.timers.next_due()
    }

    /// Tells the worker to stop this partition for good.
    fn step_down(&mut self, why: Why, cx: &mut Context<'_>) {
        self.phase = Phase::Stopped;
        cx.out.push(Do::StopJournal);
        cx.out.push(Do::StopInputs);
        cx.out.push(Do::StepDown(why));
    }

    fn store_failed(&mut self, detail: String, cx: &mut Context<'_>) {
        self.step_down(Why::Store { partition: self.settings.number, detail }, cx);
    }
}
