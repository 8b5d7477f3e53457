//! The loop of a scripted participant, one turn at a time: it reads as a member of its group, replies, and commits what is answered.

mod replies;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ringmaster_bus::clock::{self, Now};
use ringmaster_bus::{Bus, BusError, BusEvent, Pace, Record, TopicPartition};
use ringmaster_schemas::{Millis, names};

use super::answer::{Answered, Counts};
use super::script::Script;
use super::scripts::Scripts;
use replies::{Replies, Reply};

/// How often it is looked whether the script, a definition or a schema has changed.
const LOOK_EVERY_MS: Millis = 1_000;
/// Names of commands that nothing is known of are remembered up to this many.
const UNKNOWN_MAX: usize = 1_000;
/// How often positions are committed: what is read again after a crash is answered as it was.
const COMMIT_EVERY_MS: Millis = 500;
/// Replies that may be on their way; reading is held behind it.
const IN_FLIGHT_MAX: usize = 20_000;
/// Records that are no commands are logged one by one up to this many, then only counted.
const SKIPPED_LOGGED_MAX: u64 = 100;
/// Longest wait for something to happen: how late a stop is seen.
const WAIT_MAX: Duration = Duration::from_millis(100);

/// Why a scripted participant cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// The broker cannot be used.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// Its topic of commands does not exist.
    #[error("the topic {0} does not exist: `ringmaster topics apply` makes it")]
    NoTopic(String),
    /// Commands were deleted before they were read.
    #[error(
        "{topic} partition {partition} does not reach back to offset {position}, where the group {group} stands: commands were deleted \
         unread; set the group's offsets to what is left (kafka-consumer-groups --reset-offsets --to-earliest)"
    )]
    PositionLost {
        /// The command topic.
        topic: String,
        /// The group.
        group: String,
        /// Which partition.
        partition: i32,
        /// The committed offset.
        position: i64,
    },
}

/// One scripted participant on a bus.
pub struct Participant {
    scripts: Known,
    /// The consumer group: that of the service whose place it takes.
    group: String,
    commands: String,
    assigned: Vec<TopicPartition>,
    is_paused: bool,
    committed_at: Millis,
    replies: Replies,
    counts: Counts,
}

impl Participant {
    /// The participant of this name, beside a coordinator with this prefix.
    pub fn new(scripts: Arc<Scripts>, name: &str, prefix: &str) -> Self {
        Participant {
            scripts: Known { script: scripts.current(), scripts, look_at: Millis::MIN, unknown: BTreeSet::new() },
            group: format!("{prefix}.participant.{name}"),
            commands: names::command_topic(name),
            assigned: Vec::new(),
            is_paused: false,
            committed_at: 0,
            replies: Replies::default(),
            counts: Counts::default(),
        }
    }

    /// Joins its group; once, before the first turn.
    pub fn start(&mut self, bus: &mut impl Bus) -> Result<(), Stop> {
        if bus.describe(&[&self.commands])?.into_iter().next().flatten().is_none() {
            return Err(Stop::NoTopic(self.commands.clone()));
        }
        let topic = bus.topic(&self.commands);
        Ok(bus.join(&self.group, &[topic])?)
    }

    /// What commands came to so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Takes turns until it is to stop, and tells what commands came to behind each turn that took some.
    pub fn run(&mut self, bus: &mut impl Bus, stop: &AtomicBool, tell: &mut dyn FnMut(Counts)) -> Result<(), Stop> {
        self.start(bus)?;
        let mut pace = Pace::default();
        let mut wait = WAIT_MAX;
        while !stop.load(Ordering::Relaxed) {
            let before = self.counts;
            let events = self.turn(bus, clock::now(), wait)?;
            if self.counts != before {
                tell(self.counts);
            }
            pace.after_turn(events, bus.turn_min());
            let left = self.replies.due_at().map(|due| u64::try_from(due - clock::now().steady).unwrap_or(0));
            wait = left.map_or(WAIT_MAX, |left| WAIT_MAX.min(Duration::from_millis(left)));
        }
        self.commit(bus);
        bus.poll(Duration::ZERO, &mut |_| {});
        Ok(())
    }

    /// One turn: takes what the bus has (waiting up to `wait` if it has nothing), answers, commits. The number of the bus's events.
    pub fn turn(&mut self, bus: &mut impl Bus, now: Now, wait: Duration) -> Result<usize, Stop> {
        self.hold(bus);
        if now.steady >= self.scripts.look_at {
            self.scripts.look(now);
        }
        let events = self.poll(bus, now, wait)?;
        self.replies.send(bus, now.steady)?;
        if now.steady - self.committed_at >= COMMIT_EVERY_MS {
            self.committed_at = now.steady;
            self.commit(bus);
        }
        bus.flush();
        Ok(events)
    }

    fn commit(&mut self, bus: &mut impl Bus) {
        let next = self.replies.commits();
        if !next.is_empty() {
            bus.commit(&self.group, &next);
        }
    }

    /// Reading stops while too much is on its way; once held, it goes on when half of it is answered.
    fn hold(&mut self, bus: &mut impl Bus) {
        let max = if self.is_paused { IN_FLIGHT_MAX / 2 } else { IN_FLIGHT_MAX };
        let is_full = self.replies.open_count() >= max;
        if is_full != self.is_paused && !self.assigned.is_empty() {
            self.is_paused = is_full;
            bus.pause(&self.assigned, is_full);
        }
    }

    fn poll(&mut self, bus: &mut impl Bus, now: Now, wait: Duration) -> Result<usize, Stop> {
        let Participant { scripts, replies, counts, assigned, is_paused, commands, group, .. } = self;
        let mut stop = None;
        let events = bus.poll(wait, &mut |event| match event {
            BusEvent::Record(record) => take(scripts, replies, counts, &record, now),
            BusEvent::Acknowledged { sender, tag, .. } => replies.acknowledged(sender, tag),
            BusEvent::Failed { sender, tag, why } => replies.not_sent(sender, tag, &why, now.steady),
            BusEvent::Doubt { sender, why } => replies.doubted(sender, &why, now.steady),
            BusEvent::Assigned(given) => {
                given.iter().for_each(|at| replies.open(*at));
                assigned.extend(given);
                // What is given anew is read, whatever was held before.
                *is_paused = false;
            }
            BusEvent::Revoked(taken) => {
                taken.iter().for_each(|at| replies.close(*at));
                assigned.retain(|at| !taken.contains(at));
            }
            BusEvent::OutOfRange { at, position } => {
                let (topic, group) = (commands.clone(), group.clone());
                stop = Some(Stop::PositionLost { topic, group, partition: at.partition, position });
            }
            BusEvent::Unreadable(at, why) => tracing::warn!(partition = at.partition, why, "commands cannot be read"),
            BusEvent::CaughtUp(..) | BusEvent::Bounds { .. } | BusEvent::OffsetAt { .. } | BusEvent::Described { .. } => {}
        });
        stop.map_or(Ok(events), Err)
    }
}

/// The script as far as it is known, and when it is looked at again.
struct Known {
    scripts: Arc<Scripts>,
    script: Arc<Script>,
    look_at: Millis,
    /// Commands that it says nothing of, and schemas that it has not.
    unknown: BTreeSet<String>,
}

impl Known {
    fn look(&mut self, now: Now) {
        self.look_at = now.steady + LOOK_EVERY_MS;
        let newest = self.scripts.newest();
        if !Arc::ptr_eq(&newest, &self.script) {
            self.script = newest;
            self.unknown.clear();
        }
    }

    /// The script that a command is answered by. One that is new to it may have been deployed a moment ago.
    fn for_command(&mut self, command: &[u8], now: Now) -> &Script {
        if let Some(unknown) = self.script.unknown(command)
            && self.unknown.len() < UNKNOWN_MAX
            && !self.unknown.contains(&unknown)
        {
            self.look(now);
            self.unknown.insert(unknown);
        }
        &self.script
    }
}

/// Answers one record, or passes it over.
fn take(scripts: &mut Known, replies: &mut Replies, counts: &mut Counts, record: &Record<'_>, now: Now) {
    let mut value = Vec::new();
    let command = record.value.unwrap_or_default();
    let answered = scripts.for_command(command, now).answer(command, counts, &mut value);
    let reply = match answered {
        Answered::Reply { reply_to, partition, delay_ms } => {
            let key = record.key.map(Into::into);
            Some((Reply { to: reply_to, partition, key, value: value.into(), tries: 0 }, now.steady + delay_ms))
        }
        Answered::Silent => None,
        Answered::Not(why) => {
            if counts.skipped <= SKIPPED_LOGGED_MAX {
                tracing::warn!(partition = record.at.partition, offset = record.offset, why, "not a command that can be answered");
            }
            None
        }
    };
    replies.read(record.at, record.offset, reply, now.steady);
}
