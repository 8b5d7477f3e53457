//! The loop of a service, one turn at a time: synchronous, without threads and without a clock of its own.
//!
//! ```text
//! poll -> decode -> known? the stored answer : handle -> one batch of the ledger -> replies -> acknowledged -> commit
//! ```

mod membership;
mod settings;

use std::time::Duration;

use ringmaster_bus::clock::Now;
use ringmaster_bus::{Bus, BusEvent, Record, TopicPartition};
use ringmaster_schemas::Millis;
use ringmaster_schemas::registry::Schemas;

use membership::Membership;
pub use settings::{REMEMBERS_MS, Settings, Stop};

use crate::contract::Contract;
use crate::desk::{Counts, Desk, Taken};
use crate::ledger::Ledger;
use crate::outbox::{Outbox, Pending, ReplyCounts};
use crate::service::Service;

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
/// Where commands take their time no more are read once so much of it is taken by those that are here; and again at half of that. A
/// client throws away what it has fetched when it is held, and may take a second to fetch it again.
const WORK_AHEAD_MS: Millis = 4_000;
/// One poll takes no more of it: what is in hand then is done within the time that is given at the end, and what a member that is killed had
/// in hand is as little.
const WORK_POLLED_MS: Millis = 1_000;
/// Records that are no command are logged one by one up to this many, then only counted.
const UNDECODABLE_LOGGED_MAX: u64 = 100;

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
    /// Reading is held; none: partitions came anew, so that it is not known.
    paused: Option<bool>,
    /// What was read is carried out then.
    busy_until: Millis,
    committed_at: Millis,
    forgot_at: Option<Millis>,
    commits: Vec<(TopicPartition, i64)>,
}

impl<S: Service, L: Ledger> Participant<S, L> {
    /// A service with what its ledger remembers. `schemas` must hold its commands'.
    pub fn new(service: S, ledger: L, schemas: Schemas, settings: Settings) -> Result<Self, Stop> {
        if S::NEEDS_LEDGER && !L::REMEMBERS {
            return Err(Stop::NeedsLedger(S::NAME));
        }
        let contract = Contract::new(schemas, S::COMMANDS)?;
        let desk = Desk::open(service, ledger, settings.faults.clone(), settings.remembers_ms)?;
        Ok(Participant {
            desk,
            contract,
            outbox: Outbox::default(),
            settings,
            members: Membership::new(!L::REMEMBERS),
            started_at: None,
            paused: Some(false),
            busy_until: 0,
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
        self.members.topic = Some(topic);
        self.outbox.reset(self.members.lanes());
        if self.settings.service_ms > 0 {
            bus.limit_records(usize::try_from(WORK_POLLED_MS / self.settings.service_ms).unwrap_or(1).max(1));
        }
        bus.join(&self.settings.group, &[topic])?;
        Ok(())
    }

    /// One turn: takes what the bus has (waiting up to `wait` if it has nothing), stores, replies, commits. `now` is what
    /// [`ringmaster_bus::clock::now`] says; tests give one time for both clocks.
    ///
    /// # Errors
    /// See [`Stop`]; the participant is at its end then.
    pub fn turn(&mut self, bus: &mut impl Bus, now: impl Into<Now>, wait: Duration) -> Result<TurnReport, Stop> {
        assert!(self.members.partitions > 0, "a participant is started before its first turn");
        let now = now.into();
        let since_start = now.steady - *self.started_at.get_or_insert(now.steady);
        self.hold(bus, now, since_start);
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
        self.members.check_lost(&self.settings, now.steady)?;
        self.outbox.send(bus, now.steady)?;
        if now.steady - self.committed_at >= COMMIT_EVERY_MS {
            self.commit(bus, now);
        }
        self.forget(now);
        // Whoever paces turns pauses behind this one: its replies are on their way meanwhile.
        bus.flush();
        Ok(TurnReport {
            events,
            commands: self.desk.counts.commands - before,
            in_flight: self.outbox.waiting(),
            due_at: self.outbox.due_at(),
        })
    }

    /// Commits what is acknowledged, now: for the end.
    pub fn commit(&mut self, bus: &mut impl Bus, now: impl Into<Now>) {
        self.committed_at = now.into().steady;
        self.outbox.commits(&mut self.commits);
        if !self.commits.is_empty() {
            bus.commit(&self.settings.group, &self.commits);
        }
    }

    /// Holds reading at its end: what is in flight can be finished, nothing new is taken.
    pub fn stop_reading(&mut self, bus: &mut impl Bus) {
        bus.pause(&self.members.assigned, true);
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
    fn poll(&mut self, bus: &mut impl Bus, now: Now, wait: Duration) -> Result<usize, Stop> {
        let Participant { desk, contract, outbox, members, settings, paused, busy_until, .. } = self;
        let mut stop = None;
        let events = bus.poll(wait, &mut |event| {
            if stop.is_some() {
                return;
            }
            match event {
                BusEvent::Record(record) => {
                    if settings.service_ms > 0 {
                        *busy_until = now.steady.max(*busy_until) + settings.service_ms;
                    }
                    stop = take(desk, contract, outbox, &record, now, *busy_until).err();
                }
                BusEvent::Acknowledged { sender, tag, .. } => outbox.acknowledged(sender, tag),
                BusEvent::Failed { sender, tag, why } => outbox.not_sent(sender, tag, &why, now.steady),
                BusEvent::Doubt { sender, why } => outbox.doubted(sender, &why, now.steady),
                BusEvent::Assigned(given) => members.assigned(&given),
                BusEvent::Revoked(taken) => members.revoked(&taken, now.steady),
                BusEvent::OutOfRange { at, position } => {
                    let (topic, group) = (settings.commands.clone(), settings.group.clone());
                    stop = Some(Stop::PositionLost { topic, group, partition: at.partition, position });
                }
                BusEvent::Unreadable(at, why) => {
                    tracing::warn!(partition = at.partition, why, "commands cannot be read")
                }
                BusEvent::CaughtUp(..) | BusEvent::Bounds { .. } | BusEvent::OffsetAt { .. } | BusEvent::Described { .. } => {}
            }
            if std::mem::take(&mut members.changed) {
                // Before anything is read: what another member reads must not be done here too.
                stop = members.check(settings).err();
            }
            if members.given_back() {
                outbox.reset(members.lanes());
                outbox.open_arena();
                (*paused, *busy_until) = (None, 0);
            }
        });
        stop.map_or(Ok(events), Err)
    }

    /// Reading stops while too much is unacknowledged or to be carried out, or while a fault says that the service is down.
    fn hold(&mut self, bus: &mut impl Bus, now: Now, since_start_ms: Millis) {
        if self.members.assigned.is_empty() {
            return;
        }
        // Once held, it goes on when half is answered: not one record at a time.
        let (count_max, bytes_max, work_ms_max) = match self.paused.unwrap_or(false) {
            true => (IN_FLIGHT_MAX / 2, IN_FLIGHT_BYTES_MAX / 2, WORK_AHEAD_MS / 2),
            false => (IN_FLIGHT_MAX, IN_FLIGHT_BYTES_MAX, WORK_AHEAD_MS),
        };
        let full = self.outbox.waiting() >= count_max || self.outbox.waiting_bytes() >= bytes_max;
        let busy = self.busy_until - now.steady > work_ms_max;
        let hold = full || busy || self.desk.faults.down(since_start_ms);
        if self.paused != Some(hold) {
            self.paused = Some(hold);
            bus.pause(&self.members.assigned, hold);
        }
    }

    fn forget(&mut self, now: Now) {
        if self.forgot_at.is_none_or(|at| now.steady - at >= FORGET_EVERY_MS) {
            self.forgot_at = Some(now.steady);
            let before = now.wall.saturating_sub(self.settings.remembers_ms + REMEMBERS_MARGIN_MS);
            self.desk.ledger.forget(before);
            self.desk.books.forget(before);
        }
    }
}

/// Handles one record: its reply is queued, to leave when the record is carried out, or nothing is and it counts as done.
fn take<S: Service, L: Ledger>(
    desk: &mut Desk<S, L>,
    contract: &Contract,
    outbox: &mut Outbox,
    record: &Record<'_>,
    now: Now,
    busy_until: Millis,
) -> Result<(), Stop> {
    let lane = usize::try_from(record.at.partition).expect("partitions count from 0");
    let next_offset = record.offset + 1;
    let arena = outbox.arena();
    let start = arena.len();
    arena.extend_from_slice(record.key.unwrap_or_default());
    let skipped = match desk.take(contract, record.value.unwrap_or_default(), now.wall, arena)? {
        Taken::Reply { reply_to, partition, script } if !script.lost => match outbox.reply_topic(&reply_to) {
            Some(reply_to) => {
                let due_at = now.steady.max(busy_until) + script.delay_ms;
                let pending = Pending { reply_to, partition, due_at, repeated: script.repeated };
                outbox.queue(lane, next_offset, start, record.key, &pending, now.steady);
                return Ok(());
            }
            None => Some(format!("it wants its reply on {reply_to}, and too many other topics were named before")),
        },
        Taken::Reply { .. } => None,
        Taken::Undecodable(why) => Some(why),
        Taken::Crash => {
            return Err(Stop::ScriptedCrash { effect_stored: false });
        }
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
