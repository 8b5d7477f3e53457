//! What a partition asks of its worker.

use std::sync::Arc;

use bytes::Bytes;
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{BreakerEvent, QuarantineReason, RejectionReason};

/// What a partition asks its worker to do, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Wish {
    /// Append this to the journal partition by the sender that the claim was given.
    Append {
        /// The record.
        bytes: Vec<u8>,
        /// What its acknowledgement is for.
        tag: Tag,
    },
    /// Append this to a partition of the inbox, by the same sender.
    Forward(Box<Forward>),
    /// Send the effect of this tag ([`super::Partition::effect`]).
    Send(Tag),
    /// Read the journal partition from here.
    ReadJournal(i64),
    /// Read the journal no more.
    StopJournal,
    /// Ask what the journal holds.
    AskJournal,
    /// Ask what the topic of snapshots holds of this partition.
    AskSnapshots,
    /// Read the snapshots of this partition from here.
    ReadSnapshots(i64),
    /// Read snapshots no more.
    StopSnapshots,
    /// Read this input from here.
    ReadInput(usize, i64),
    /// Read no input any more.
    StopInputs,
    /// Ask what this input holds.
    AskInput(usize),
    /// Ask for this input's first offset at or after a time.
    AskInputAt(usize, Millis),
    /// Ask how far the topic of definitions reaches.
    AskDefinitions,
    /// Hold (true) or go on with (false) this input.
    Pause(usize, bool),
    /// Something is doubtful: the worker must give up its sender and tell [`super::Happened::Doubt`] to all its partitions.
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

/// A record for a partition of the inbox.
#[derive(Debug, Clone, PartialEq)]
pub struct Forward {
    /// Which partition.
    pub to: i32,
    /// The record's key, for people.
    pub key: Option<Bytes>,
    /// The record.
    pub bytes: Vec<u8>,
    /// What its acknowledgement is for.
    pub tag: Tag,
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
    /// A saga undoes by its definition's own mistake: an expression failed, or data was too big.
    Mistaken {
        /// Its id.
        saga: Arc<str>,
        /// Where.
        step: Arc<str>,
        /// Why, for programs.
        code: Arc<str>,
        /// Why, for people.
        message: Arc<str>,
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
    /// A participant is asked no more, or again.
    Breaker {
        /// Its name.
        participant: Arc<str>,
        /// What became of its breaker.
        event: BreakerEvent,
    },
    /// Sagas run by a version that the topic of definitions has and that is not known here yet.
    Waits {
        /// Where the version stands in that topic.
        offset: i64,
    },
    /// An input that was to be read from now on is not read.
    Unread {
        /// Why, and what helps.
        why: String,
    },
    /// A record of the journal is not of this project, and void.
    Foreign {
        /// Where.
        offset: i64,
    },
    /// The store had nothing to go on from: the state was made anew, and is owned.
    Restored(Restored),
    /// A snapshot is of no use here, and another one is tried.
    Unfit {
        /// Its number.
        number: i64,
        /// Why.
        why: String,
    },
    /// A record of the inbox is not taken, since one that was to come before it has not come.
    Gap {
        /// The topic that it was routed from.
        topic: Arc<str>,
        /// And which of its partitions.
        partition: i32,
        /// And where it stands there.
        offset: i64,
    },
    /// What was to be handed on by the inbox was not taken there, and is sent again.
    Unrouted {
        /// The topic that is routed.
        topic: Arc<str>,
        /// Why.
        why: Arc<str>,
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

/// What a state was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Restored {
    /// The snapshot's number; none if it was made of the journal alone.
    pub snapshot: Option<i64>,
    /// The journal was replayed from here,
    pub since: i64,
    /// up to here.
    pub until: i64,
    /// Rows of the snapshot.
    pub rows: i64,
    /// Bytes of the snapshot.
    pub bytes: i64,
    /// From the first question to the owner's first turn.
    pub took_ms: Millis,
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
    Undeliverable(u64),
    /// A record of the inbox.
    Forward(u64),
}

/// How a person takes what a topic holds now as new: the setting as it is written, also for a name with dots.
pub fn accept_new(topic: &str) -> String {
    format!("set `topics.\"{topic}\".accept_new = true` and start again")
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
        "partition {partition}: the journal begins at offset {start}, but replay must begin at {needed}, and {snapshots}. What is stored here stays as it is. Records of the journal were deleted by another than Ringmaster (its topic's retention must be unlimited), or snapshots were; a backup from which the journal goes on helps: `ringmaster restore`"
    )]
    JournalCut {
        /// Which partition.
        partition: i32,
        /// The oldest offset.
        start: i64,
        /// What is needed.
        needed: i64,
        /// What is wrong with the snapshots.
        snapshots: String,
    },
    /// The journal topic is another one than before.
    #[error(
        "partition {0}: the journal topic was deleted and made again; the stored state is of the old one. To start anew, move the data directory away"
    )]
    JournalMadeAgain(i32),
    /// An input topic is another one than before.
    #[error(
        "partition {partition}: topic '{topic}' was deleted and made again, so old positions mean nothing. To read the new one (events from `start_at`, replies from the beginning), {advice}",
        advice = accept_new(topic)
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
        "partition {partition}: topic '{topic}' no longer has offset {position}: inputs were deleted before they were read. To go on, {advice}",
        advice = accept_new(topic)
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

impl Wish {
    pub(super) fn doubt(partition: i32, why: &str) -> Wish {
        Wish::Doubt(format!("partition {partition}: {why}"))
    }
}
