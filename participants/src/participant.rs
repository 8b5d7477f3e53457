//! The loop of a service, one turn at a time: synchronous, without threads and without a clock of its own.
//!
//!     poll -> decode -> known? the stored answer : handle -> one batch of the ledger -> replies -> acknowledged -> commit

use std::time::Duration;

use ringmaster_bus::{Bus, BusError, BusEvent, Record, TopicPartition};
use ringmaster_schemas::avro::SchemaError;
use ringmaster_schemas::registry::Schemas;
use ringmaster_schemas::{Millis, names};

use crate::contract::Contract;
use crate::desk::{Counts, Desk, Taken};
use crate::faults::Faults;
use crate::ledger::{Ledger, LedgerError};
use crate::outbox::{Outbox, Pending, ReplyCounts};
use crate::service::Service;

/// Ids are remembered this long unless settings say otherwise.
pub const REMEMBERS_MS: Millis = 30 * 24 * 60 * 60 * 1_000;
/// Entries stay this much longer than they are needed, since clocks differ.
const REMEMBERS_MARGIN_MS: Millis = 24 * 60 * 60 * 1_000;
/// The ledger is told this often what it may forget.
const FORGET_EVERY_MS: Millis = 60 * 60 * 1_000;
/// Offsets are committed this often: each commit is a request, and what is read again after a crash is answered from the ledger.
const COMMIT_EVERY_MS: Millis = 500;
/// Replies that may be unacknowledged; reading is held behind it. Enough for a second of full load.
const IN_FLIGHT_MAX: usize = 65_536;
/// Bytes of those replies.
const IN_FLIGHT_BYTES_MAX: usize = 32 << 20;
/// Records that are no command are logged one by one up to this many, then only counted.
const UNDECODABLE_LOGGED_MAX: u64 = 100;
/// All partitions were taken away (the broker was gone for long): so long a service waits to be given them again.
const REASSIGNED_WITHIN_MS: Millis = 120_000;

/// How a participant runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The consumer group; a service is alone in it.
    pub group: String,
    /// The topic it reads.
    pub commands: String,
    /// How long ids are remembered. The coordinator's deadlines must be shorter.
    pub remembers_ms: Millis,
    /// What goes wrong on purpose.
    pub faults: Faults,
}

impl Settings {
    /// Of the service of this name, beside a coordinator with this prefix.
    pub fn new(service: &str, prefix: &str) -> Self {
        Settings {
            group: format!("{prefix}.participant.{service}"),
            commands: names::command_topic(service),
            remembers_ms: REMEMBERS_MS,
            faults: Faults::default(),
        }
    }
}

/// Why a participant cannot go on. It is not to be used again; a new one on the same ledger takes up where it ended.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// Its store cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The broker cannot be used.
    #[error("the bus: {0}")]
    Bus(#[from] BusError),
    /// A command's schema cannot be used.
    #[error("schema {0}")]
    Schema(#[from] SchemaError),
    /// The command topic does not exist.
    #[error("the topic {0} does not exist: `ringmaster topics apply` makes it")]
    NoTopic(String),
    /// Somebody else reads the same commands into another ledger.
    #[error(
        "another member is in the group {group} ({assigned} of {partitions} partitions of {topic} were assigned here): a ledger belongs \
         to one process, so a service runs once. Stop the other one; one that has to scale shares a database"
    )]
    AnotherMember {
        /// The group.
        group: String,
        /// The command topic.
        topic: String,
        /// Partitions that this member has.
        assigned: usize,
        /// Partitions of the topic.
        partitions: usize,
    },
    /// All partitions were taken away and not given back.
    #[error("the group {group} gave no partition back for {REASSIGNED_WITHIN_MS} ms: is another member in it?")]
    Abandoned {
        /// The group.
        group: String,
    },
    /// A fault says that the process ends here.
    #[error("scripted crash, {}", if *.effect_stored { "effects stored, replies not sent" } else { "nothing stored" })]
    ScriptedCrash {
        /// Whether the turn's effects are in the ledger.
        effect_stored: bool,
    },
}

/// What one turn did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TurnReport {
    /// Events that the bus reported.
    pub events: usize,
    /// Records that were read.
    pub commands: u64,
    /// Replies that are not acknowledged yet.
    pub in_flight: usize,
    /// Something is due then even if nothing happens: a held reply, a new sender.
    pub due_at: Option<Millis>,
}

impl TurnReport {
    /// Nothing happened and nothing is open.
    pub fn idle(&self) -> bool {
        self.events == 0 && self.in_flight == 0
    }
}

/// A service on a bus, with its ledger.
pub struct Participant<S, L> {
    desk: Desk<S, L>,
    contract: Contract,
    outbox: Outbox,
    settings: Settings,
    members: Membership,
    started_at: Option<Millis>,
    paused: bool,
    committed_at: Millis,
    forgot_at: Option<Millis>,
    commits: Vec<(TopicPartition, i64)>,
}

#[derive(Debug, Default)]
struct Membership {
    partitions: usize,
    assigned: Vec<TopicPartition>,
    revoked_at: Option<Millis>,
    changed: bool,
    /// It was given nothing, or part of what it had was taken away: others have the rest.
    shared: bool,
}

impl<S: Service, L: Ledger> Participant<S, L> {
    /// A service with what its ledger remembers. `schemas` must hold its commands'.
    pub fn new(service: S, ledger: L, schemas: Schemas, settings: Settings) -> Result<Self, Stop> {
        let contract = Contract::new(schemas, S::COMMANDS)?;
        let desk = Desk::open(service, ledger, settings.faults.clone(), settings.remembers_ms)?;
        Ok(Participant {
            desk,
            contract,
            outbox: Outbox::default(),
            settings,
            members: Membership::default(),
            started_at: None,
            paused: false,
            committed_at: 0,
            forgot_at: None,
            commits: Vec::new(),
        })
    }

    /// Joins its group; once, before the first turn.
    pub fn start(&mut self, bus: &mut impl Bus) -> Result<(), Stop> {
        let found = bus.describe(&[&self.settings.commands])?.into_iter().next().flatten();
        let found = found.ok_or_else(|| Stop::NoTopic(self.settings.commands.clone()))?;
        self.members.partitions = usize::try_from(found.partitions).expect("a topic has partitions");
        let topic = bus.topic(&self.settings.commands);
        bus.join(&self.settings.group, &[topic])?;
        Ok(())
    }

    /// One turn: takes what the bus has (waiting up to `wait` if it has nothing), stores, replies, commits.
    ///
    /// # Errors
    /// See [`Stop`]; the participant is at its end then.
    pub fn turn(&mut self, bus: &mut impl Bus, now: Millis, wait: Duration) -> Result<TurnReport, Stop> {
        assert!(self.members.partitions > 0, "a participant is started before its first turn");
        let since_start = now - *self.started_at.get_or_insert(now);
        self.hold(bus, since_start);
        let before = self.desk.counts.commands;
        self.outbox.open_arena();
        let events = self.poll(bus, now, wait)?;
        self.desk.books.stage(&mut self.desk.batch);
        if !self.desk.batch.is_empty() {
            self.desk.ledger.write(&self.desk.batch)?;
            self.desk.batch.clear();
        }
        if self.desk.crash_after {
            return Err(Stop::ScriptedCrash { effect_stored: true });
        }
        self.outbox.close_arena();
        self.members.check_lost(&self.settings, now)?;
        self.outbox.send(bus, now)?;
        if now - self.committed_at >= COMMIT_EVERY_MS {
            self.commit(bus, now);
        }
        self.forget(now);
        Ok(TurnReport {
            events,
            commands: self.desk.counts.commands - before,
            in_flight: self.outbox.waiting(),
            due_at: self.outbox.due_at(),
        })
    }

    /// Commits what is acknowledged, now: for the end.
    pub fn commit(&mut self, bus: &mut impl Bus, now: Millis) {
        self.committed_at = now;
        self.outbox.commits(&mut self.commits);
        if !self.commits.is_empty() {
            bus.commit(&self.settings.group, &self.commits);
        }
    }

    /// Holds reading at its end: what is in flight can be finished, nothing new is taken.
    pub fn stop_reading(&mut self, bus: &mut impl Bus) {
        bus.pause(&self.members.assigned, true);
        self.paused = true;
        // Nothing resumes it: see `hold`.
        self.members.assigned.clear();
    }

    /// What commands came to, since the start of this object.
    pub fn counts(&self) -> Counts {
        self.desk.counts
    }

    /// What replies came to.
    pub fn reply_counts(&self) -> ReplyCounts {
        self.outbox.counts
    }

    /// Its ledger, to be read.
    pub fn ledger(&self) -> &L {
        &self.desk.ledger
    }

    /// Gives the ledger back, for example to audit it.
    pub fn into_ledger(self) -> L {
        self.desk.ledger
    }

    /// The visit of one poll: commands are handled while they are borrowed.
    fn poll(&mut self, bus: &mut impl Bus, now: Millis, wait: Duration) -> Result<usize, Stop> {
        let Participant { desk, contract, outbox, members, settings, .. } = self;
        let mut stop = None;
        let events = bus.poll(wait, &mut |event| {
            if stop.is_some() {
                return;
            }
            match event {
                BusEvent::Record(record) => stop = take(desk, contract, outbox, &record, now).err(),
                BusEvent::Acknowledged { sender, tag, .. } => outbox.acknowledged(sender, tag),
                BusEvent::Failed { sender, tag, why } => outbox.not_sent(sender, tag, &why, now),
                BusEvent::Doubt { sender, why } => outbox.doubted(sender, &why, now),
                BusEvent::Assigned(given) => members.assigned(&given),
                BusEvent::Revoked(taken) => members.revoked(&taken, now),
                BusEvent::OutOfRange { at, position } => {
                    tracing::error!(partition = at.partition, position, "the committed offset is not in the log any more");
                }
                BusEvent::Unreadable(at, why) => tracing::warn!(partition = at.partition, why, "commands cannot be read"),
                BusEvent::CaughtUp(..) | BusEvent::Bounds { .. } | BusEvent::OffsetAt { .. } => {}
            }
            if std::mem::take(&mut members.changed) {
                // Before anything is read: what another member reads must not be done here too.
                stop = members.check(settings).err();
                if !members.assigned.is_empty() {
                    outbox.reset(members.lanes());
                    outbox.open_arena();
                }
            }
        });
        stop.map_or(Ok(events), Err)
    }

    /// Reading stops while too much is unacknowledged, or while a fault says that the service is down.
    fn hold(&mut self, bus: &mut impl Bus, since_start_ms: Millis) {
        if self.members.assigned.is_empty() {
            return;
        }
        // Once held, it goes on when half is answered: not one record at a time.
        let (count_max, bytes_max) = match self.paused {
            true => (IN_FLIGHT_MAX / 2, IN_FLIGHT_BYTES_MAX / 2),
            false => (IN_FLIGHT_MAX, IN_FLIGHT_BYTES_MAX),
        };
        let full = self.outbox.waiting() >= count_max || self.outbox.waiting_bytes() >= bytes_max;
        let hold = full || self.desk.faults.down(since_start_ms);
        if hold != self.paused {
            self.paused = hold;
            bus.pause(&self.members.assigned, hold);
        }
    }

    fn forget(&mut self, now: Millis) {
        if self.forgot_at.is_none_or(|at| now - at >= FORGET_EVERY_MS) {
            self.forgot_at = Some(now);
            let before = now.saturating_sub(self.settings.remembers_ms + REMEMBERS_MARGIN_MS);
            self.desk.ledger.forget(before);
            self.desk.books.forget(before);
        }
    }
}

impl Membership {
    fn assigned(&mut self, given: &[TopicPartition]) {
        self.assigned.extend(given.iter().filter(|at| !self.assigned.contains(at)).copied().collect::<Vec<_>>());
        self.assigned.sort();
        self.shared |= self.assigned.is_empty();
        self.revoked_at = None;
        self.changed = true;
    }

    fn revoked(&mut self, taken: &[TopicPartition], now: Millis) {
        self.assigned.retain(|at| !taken.contains(at));
        self.shared |= !self.assigned.is_empty();
        self.revoked_at = Some(now);
        self.changed = true;
    }

    /// Nobody else may read the same commands.
    fn check(&self, settings: &Settings) -> Result<(), Stop> {
        let (assigned, partitions) = (self.assigned.len(), self.partitions);
        let lost_all = assigned == 0 && self.revoked_at.is_some();
        match self.shared || (assigned < partitions && !lost_all) {
            true => {
                let (group, topic) = (settings.group.clone(), settings.commands.clone());
                Err(Stop::AnotherMember { group, topic, assigned, partitions })
            }
            false => Ok(()),
        }
    }

    /// What was lost as a whole comes back soon, or somebody else has it.
    fn check_lost(&self, settings: &Settings, now: Millis) -> Result<(), Stop> {
        match self.revoked_at.is_some_and(|at| now - at > REASSIGNED_WITHIN_MS) {
            true => Err(Stop::Abandoned { group: settings.group.clone() }),
            false => Ok(()),
        }
    }

    /// One place per partition number.
    fn lanes(&self) -> Vec<TopicPartition> {
        let topic = self.assigned[0].topic;
        let last = self.assigned.iter().map(|at| at.partition).max().unwrap_or(0);
        (0..=last).map(|partition| TopicPartition { topic, partition }).collect()
    }
}

/// Handles one record: its reply is queued, or nothing is and it counts as done.
fn take<S: Service, L: Ledger>(
    desk: &mut Desk<S, L>,
    contract: &Contract,
    outbox: &mut Outbox,
    record: &Record<'_>,
    now: Millis,
) -> Result<(), Stop> {
    let lane = usize::try_from(record.at.partition).expect("partitions count from 0");
    let next_offset = record.offset + 1;
    let arena = outbox.arena();
    let start = arena.len();
    arena.extend_from_slice(record.key.unwrap_or_default());
    let skipped = match desk.take(contract, record.value.unwrap_or_default(), now, arena)? {
        Taken::Reply { reply_to, partition, script } if !script.lost => match outbox.reply_topic(reply_to) {
            Some(reply_to) => {
                let pending = Pending { reply_to, partition, due_at: now + script.delay_ms, repeated: script.repeated };
                outbox.queue(lane, next_offset, start, record.key, &pending, now);
                return Ok(());
            }
            None => Some(format!("it wants its reply on {reply_to}, and too many other topics were named before")),
        },
        Taken::Reply { .. } => None,
        Taken::Undecodable(why) => Some(why),
        Taken::Crash => return Err(Stop::ScriptedCrash { effect_stored: false }),
    };
    if let Some(why) = skipped
        && desk.counts.undecodable <= UNDECODABLE_LOGGED_MAX
    {
        tracing::warn!(partition = record.at.partition, offset = record.offset, why, "command skipped, not answered");
    }
    outbox.arena().truncate(start);
    outbox.skip(lane, next_offset);
    Ok(())
}
