//! One partition of the journal: who owns it, what counts, what is true, what may leave (PROTOCOL.md sections 1 and 2).
//!
//! ```text
//! Happened -> handle -> Wish
//! Idle -> (Following) -> Claiming -> Replaying -> (Waiting) -> Owning -> (doubt) -> Scanning -> Idle -> ...
//! input -> decide -> Ahead: open record -> append -> acknowledged in order = confirmed -> Replica -> effects leave, rows are staged
//! ```
//!
//! A synchronous state machine without IO, clock or randomness: what happened comes in by one door, what it wants comes out as
//! [`Wish`]es. What counts ([`Replica`]) and what is ahead of that are two values: any doubt has one way out, which is to drop what is
//! ahead, claim again and replay.

mod admission;
mod ahead;
mod book;
mod breaker;
#[cfg(feature = "faults")]
mod broken;
mod by_hand;
mod claim;
mod clock;
mod confirm;
mod counters;
mod counts;
mod digest;
mod drain;
mod family;
mod fence;
mod following;
mod happened;
mod inbox;
mod input;
mod late;
mod learn;
mod listen;
mod marks;
mod outbox;
mod owner;
mod reading;
mod record;
mod replica;
mod restore;
mod restoring;
mod route;
mod router;
mod rows;
mod rules;
mod settings;
mod snapshots;
mod staged;
mod table;
mod taken;
mod timers;
mod times;
mod traced;
mod turn;
mod turns;
mod values;
mod wheel;
mod wish;

use std::sync::Arc;
use std::time::Duration;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::ClaimId;
use ringmaster_schemas::registry::Schemas;
use ringmaster_schemas::state::{Checkpoint, Index, RowKey, RowKind};

/// The rules by which everything here goes.
#[cfg(feature = "faults")]
use broken as law;
#[cfg(not(feature = "faults"))]
use rules as law;

pub use admission::Held;
pub use counters::Counters;
pub use counts::{AskedSoFar, recount_standing};
pub use digest::recount;
pub use fence::{Fence, Verdict, identity_of};
pub use happened::Happened;
pub use outbox::Refusal;
pub use replica::{Replica, Untaken};
pub use restoring::{RESTORING, Restoring};
pub use ringmaster_schemas::state::EXPIRY_BUCKET_MS;
pub use settings::{BreakerSettings, InputSettings, Limits, Role, Settings, StartAt};
pub use snapshots::{SNAPSHOTS_KEPT, Snapshots, Stream, is_in_snapshot};
pub use table::{row_hash, saga_hash};
pub use times::{Asked, BOUNDS_MS, End, Histogram, StepKey, Times};
pub use traced::{Traced, TracedWhat};
pub use wish::{Forward, Note, Restored, Tag, Why, Wish, accept_new};

use crate::definition::Catalog;
use crate::saga::Effect;
use claim::{Own, Replaying, Scanning};
use clock::{Clock, Clocks};
use following::Following;
use learn::Waiting;
use owner::Owner;

/// The stored rows of one partition.
pub trait Rows {
    /// Where the stored state stands.
    fn checkpoint(&self) -> Result<Option<Checkpoint>, String>;
    /// A row's bytes.
    fn row(&self, key: &RowKey) -> Result<Option<Vec<u8>>, String>;
    /// Visits rows by an index, those at or after `from` and before `to`, in the order of the index, until the visitor says `false`.
    fn scan(&self, index: Index, from: i64, to: i64, visit: &mut dyn FnMut(i64, RowKey) -> bool) -> Result<(), String>;
    /// Visits all rows of a kind in the order of their keys.
    fn rows(&self, kind: RowKind, visit: &mut dyn FnMut(RowKey, &[u8])) -> Result<(), String>;
    /// What a row says cannot be, so that nothing of the store can be trusted: it must not be met again at the next start. Returns
    /// what to say.
    fn damaged(&self, why: String) -> String;
}

/// What a partition is given with everything that happens: the time, what is known, and where its wishes go.
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
    pub out: &'a mut Vec<Wish>,
    /// What happened, counted.
    pub counters: &'a mut Counters,
}

/// Where a partition stands, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StageName {
    /// Not claimed.
    Idle,
    /// Another instance owns it, or nobody: its journal is taken as it grows.
    Following,
    /// The claim is on its way.
    Claiming,
    /// The journal is read up to the claim.
    Replaying,
    /// Versions that its sagas run by are not known yet.
    Waiting,
    /// Owner; inputs are read.
    Owning,
    /// After a doubt: looking for a foreign claim.
    Scanning,
    /// Stopped for good.
    Stopped,
}

/// A partition's life, each stage with what it knows.
enum Stage {
    /// Not claimed; what counted in an earlier term, if there was one.
    Idle(Option<Box<Replica>>),
    Following(Following),
    /// The claim is on its way, or waits for what the journal holds.
    Claiming {
        claim: Own,
        /// Its offset, once acknowledged.
        at: Option<i64>,
        replica: Option<Box<Replica>>,
    },
    Replaying(Box<Replaying>),
    Waiting(Box<Waiting>),
    Owning(Box<Owner>),
    Scanning(Scanning),
    Stopped,
}

/// One partition.
pub struct Partition {
    settings: Arc<Settings>,
    stage: Stage,
    clock: Clock,
    /// Ids of all claims of this instance, so that a late one of its own is not taken for a foreign one.
    own_claims: Vec<ClaimId>,
    /// What its state was made of, if the store had nothing when it was claimed last.
    restored: Option<Restored>,
}

impl Partition {
    /// A partition that owns nothing yet.
    pub fn new(settings: Settings) -> Self {
        Partition {
            settings: Arc::new(settings),
            stage: Stage::Idle(None),
            clock: Clock::default(),
            own_claims: Vec::new(),
            restored: None,
        }
    }

    /// The only door: takes what happened, in the order in which it did.
    pub fn handle(&mut self, what: Happened<'_>, cx: &mut Context<'_>) {
        if let Err(why) = self.take(what, cx) {
            self.stop_restore(cx);
            self.stage = Stage::Stopped;
            cx.out.push(Wish::StopJournal);
            cx.out.push(Wish::StopInputs);
            cx.out.push(Wish::StepDown(why));
        }
    }

    fn take(&mut self, what: Happened<'_>, cx: &mut Context<'_>) -> Result<(), Why> {
        match what {
            Happened::Claimed { id, sender } => {
                self.claim(id, sender, cx);
                Ok(())
            }
            Happened::Followed => {
                self.follow(cx);
                Ok(())
            }
            Happened::JournalRead { offset } => {
                self.journal_is_read(offset);
                Ok(())
            }
            Happened::Doubt => {
                self.doubt(cx);
                Ok(())
            }
            Happened::Learned { inputs } => self.learn(inputs, cx),
            Happened::DefinitionsEnd { end } => self.definitions_end(end, cx),
            Happened::JournalBounds { start, end } => self.journal_bounds(start, end, cx),
            Happened::JournalRecord { offset, value } => self.journal_record(offset, value, cx),
            Happened::SnapshotBounds { start, end } => self.snapshot_bounds(start, end, cx),
            Happened::SnapshotRecord { offset, value } => self.snapshot_record(offset, value, cx),
            Happened::SnapshotsRead { offset } => self.snapshots_read(offset, cx),
            Happened::SnapshotsLost => {
                self.snapshots_lost(cx);
                Ok(())
            }
            Happened::PollEnded | Happened::PollEndedInStop if self.reading().is_some() => self.go_on_from_store(cx),
            Happened::Acknowledged { sender, tag: Tag::Claim, offset } => self.claim_acknowledged(sender, offset, cx),
            Happened::Failed { sender, tag: Tag::Claim, why } => {
                if let Stage::Claiming { claim, .. } = &self.stage
                    && claim.sender == sender
                {
                    let (Refusal::Permanent(why) | Refusal::Passing(why)) = why;
                    cx.out.push(Wish::doubt(self.settings.number, &format!("the claim was not confirmed: {why}")));
                }
                Ok(())
            }
            what => match &mut self.stage {
                Stage::Owning(owner) => owner.handle(what, cx),
                _ => Ok(()),
            },
        }
    }

    /// Where it stands.
    pub fn stage(&self) -> StageName {
        match &self.stage {
            Stage::Idle(_) => StageName::Idle,
            Stage::Following(_) => StageName::Following,
            Stage::Claiming { .. } => StageName::Claiming,
            Stage::Replaying(_) => StageName::Replaying,
            Stage::Waiting(_) => StageName::Waiting,
            Stage::Owning(_) => StageName::Owning,
            Stage::Scanning(_) => StageName::Scanning,
            Stage::Stopped => StageName::Stopped,
        }
    }

    fn owner(&self) -> Option<&Owner> {
        match &self.stage {
            Stage::Owning(owner) => Some(owner),
            _ => None,
        }
    }

    fn replica(&self) -> Option<&Replica> {
        match &self.stage {
            Stage::Owning(owner) => Some(&owner.replica),
            Stage::Replaying(replaying) => Some(replaying.reading.shown()),
            Stage::Following(Following::Reading { reading, .. }) => Some(reading.shown()),
            Stage::Waiting(waiting) => Some(&waiting.replica),
            Stage::Following(Following::Asking(_))
            | Stage::Idle(_)
            | Stage::Claiming { .. }
            | Stage::Scanning(_)
            | Stage::Stopped => None,
        }
    }

    /// Its number.
    pub fn number(&self) -> i32 {
        self.settings.number
    }

    /// What its state was made of, if the store had nothing when it was claimed last.
    pub fn restored(&self) -> Option<Restored> {
        self.restored
    }

    /// The term in which it is the owner: (C, id).
    pub fn term(&self) -> Option<(i64, ClaimId)> {
        self.owner().map(|owner| (owner.replica.fence.claim_offset, owner.replica.fence.claim))
    }

    /// The next journal offset after what is confirmed (or replayed).
    pub fn journal_offset(&self) -> i64 {
        self.replica().map_or(0, |replica| replica.fence.next_offset)
    }

    /// Confirmed positions of its inputs, for lag tools: (input, next offset).
    pub fn confirmed_positions(&self) -> impl Iterator<Item = (usize, i64)> + '_ {
        let next = |index: usize| self.replica()?.position(self.settings.inputs[index].topic, &self.settings.place_of(index));
        (0..self.settings.inputs.len()).filter_map(move |index| Some((index, next(index)?)))
    }

    /// Where its inputs are read on, of an owner: each with its partition of the topic, and the next offset that it has not taken.
    pub fn reads(&self) -> impl Iterator<Item = (&InputSettings, i32, i64)> {
        self.owner().into_iter().flat_map(Owner::reads)
    }

    /// True if nothing is unconfirmed, unreleased or unjournaled: the moment to stop.
    pub fn quiet(&self) -> bool {
        self.owner().is_none_or(|owner| owner.ahead.is_empty() && owner.replica.outbox.len() == 0 && owner.router.is_empty())
    }

    /// Rows in memory, and about how many bytes they take with what is on its way.
    pub fn overlay_size(&self) -> (usize, usize) {
        let bytes = |replica: &Replica| self.owner().map_or_else(|| replica.table.bytes(), Owner::bytes);
        self.replica().map_or((0, 0), |replica| (replica.table.len(), bytes(replica)))
    }

    /// Sagas that need a person.
    pub fn stuck_count(&self) -> usize {
        self.replica().map_or(0, |replica| replica.table.stuck())
    }

    /// Sagas of which something is parked.
    pub fn parked_count(&self) -> usize {
        self.replica().map_or(0, |replica| replica.table.parked())
    }

    /// What took how long since this was asked last.
    pub fn take_times(&mut self) -> Times {
        match &mut self.stage {
            Stage::Owning(owner) => owner.replica.counts.take_times(),
            _ => Times::default(),
        }
    }

    /// Participants whose breakers are not closed.
    pub fn open_breakers(&self) -> usize {
        self.replica().map_or(0, |replica| replica.breakers.len())
    }

    /// Effects that wait until their topic takes them.
    pub fn undeliverable_count(&self) -> usize {
        self.replica().map_or(0, |replica| replica.outbox.apart().len())
    }

    /// Effects that the broker has not acknowledged; of an owner: a replay makes few of them.
    pub fn unreleased_count(&self) -> usize {
        self.replica().map_or(0, |replica| replica.outbox.len())
    }

    /// Which inputs are held.
    pub fn held(&self) -> Held {
        self.owner().map_or(Held::Nothing, |owner| owner.held)
    }

    /// Sagas of rows in memory that wait for an answer.
    pub fn asking_count(&self) -> usize {
        self.owner().map_or(0, |owner| owner.asking)
    }

    /// The same, counted anew: a check.
    pub fn recount_asking(&self) -> usize {
        self.owner().map_or(0, Owner::recount_asking)
    }

    /// Inputs of which the journal does not say yet where they begin: what is written to one of them now may be passed over if it begins
    /// at its end.
    pub fn unbegun(&self) -> impl Iterator<Item = &InputSettings> {
        self.owner().into_iter().flat_map(Owner::unbegun)
    }

    /// How long until [`Happened::PollEnded`] has something to do without anything happening.
    pub fn idle(&self, now: Millis, steady: Millis) -> Duration {
        let idle_ms = self.owner().map_or(Millis::MAX, |owner| owner.idle_ms(Clocks { wall: now, steady }));
        Duration::from_millis(idle_ms as u64)
    }

    /// The effect that a tag stands for; none if it needs no sending any more.
    pub fn effect(&mut self, tag: Tag) -> Option<&Effect> {
        match &mut self.stage {
            Stage::Owning(owner) => owner.effect(tag),
            _ => None,
        }
    }
}
