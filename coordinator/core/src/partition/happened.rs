//! What a worker tells its partitions.

use ringmaster_schemas::journal::ClaimId;

use super::{InputSettings, Refusal, Tag};
use crate::intake::InputRecord;

/// What can happen to a partition; the worker says it as it comes.
pub enum Happened<'a> {
    /// The worker claims it by a new sender. Valid when idle ([`super::Wish::Ready`]) or followed.
    Claimed {
        /// The claim's id: random, never used before.
        id: ClaimId,
        /// The sender that all its records go by.
        sender: u32,
    },
    /// The worker follows it: its journal is taken as it grows, and nothing else is done. Valid when idle.
    Followed,
    /// The answer to [`super::Wish::AskJournal`].
    JournalBounds {
        /// The oldest offset.
        start: i64,
        /// The next offset.
        end: i64,
    },
    /// A record of the journal was read.
    JournalRecord {
        /// Its offset.
        offset: i64,
        /// Its value.
        value: &'a [u8],
    },
    /// The reader of the journal has been given everything below an offset, and there was no more.
    JournalRead {
        /// That offset.
        offset: i64,
    },
    /// The answer to [`super::Wish::AskSnapshots`].
    SnapshotBounds {
        /// The oldest offset.
        start: i64,
        /// The next offset.
        end: i64,
    },
    /// A record of the topic of snapshots was read.
    SnapshotRecord {
        /// Its offset.
        offset: i64,
        /// Its value.
        value: &'a [u8],
    },
    /// The reader of snapshots has been given everything below an offset, and there was no more.
    SnapshotsRead {
        /// That offset.
        offset: i64,
    },
    /// Where snapshots were read is not in their topic any more.
    SnapshotsLost,
    /// The broker has a record.
    Acknowledged {
        /// By which sender.
        sender: u32,
        /// Which one.
        tag: Tag,
        /// Where it is, if the bus knows.
        offset: Option<i64>,
    },
    /// A record was not confirmed.
    Failed {
        /// By which sender.
        sender: u32,
        /// Which one.
        tag: Tag,
        /// Why.
        why: &'a Refusal,
    },
    /// A record of an input was read.
    Input {
        /// Which input.
        index: usize,
        /// The record.
        record: InputRecord<'a>,
    },
    /// The answer to [`super::Wish::AskInput`].
    InputBounds {
        /// Which input.
        index: usize,
        /// The oldest offset.
        start: i64,
        /// The next offset.
        end: i64,
    },
    /// The answer to [`super::Wish::AskInputAt`].
    InputBegins {
        /// Which input.
        index: usize,
        /// Where it begins.
        offset: i64,
    },
    /// The reader of an input has been given everything below an offset, and there was no more.
    CaughtUp {
        /// Which input.
        index: usize,
        /// That offset.
        offset: i64,
    },
    /// The position of an input is not in its log.
    OutOfRange {
        /// Which input.
        index: usize,
        /// The position.
        position: i64,
    },
    /// More is known than before: versions of definitions, and these inputs, which are read from now on beside those that are.
    Learned {
        /// In the order of their places, which are the next ones.
        inputs: &'a [InputSettings],
    },
    /// The answer to [`super::Wish::AskDefinitions`].
    DefinitionsEnd {
        /// The offset that the next record of the topic of definitions will have.
        end: i64,
    },
    /// The process is short of memory, or not any more.
    Short(bool),
    /// The worker is behind: its last poll was a full one, and more probably waits. Or not any more.
    Behind(bool),
    /// The worker has given up the sender ([`super::Wish::Doubt`]).
    Doubt,
    /// A poll ended: what it brought is journaled, what is due is done.
    PollEnded,
    /// A poll ended while the instance stops: what was begun is finished, nothing new begins.
    PollEndedInStop,
    /// Everything was delivered, and the instance stops: that is journaled, so that the next start sends nothing again.
    Drained,
}
