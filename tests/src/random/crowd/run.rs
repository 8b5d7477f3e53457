//! The crowd's thread: it starts sagas at a rate, answers their commands, reads what became of them, and acts on them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use ringmaster_bus::clock;
use ringmaster_schemas::Millis;
use ringmaster_schemas::names::{
    Direction, command_topic, idempotency_key, parse_idempotency_key, parse_saga_id, partition_of, root_of,
};
use ringmaster_schemas::state::Waits;
use ringmaster_schemas::wire::{self, Outcome, ReplyMeta};

use super::super::behave::{Answer, Command, Mood, Participants};
use super::super::run::number;
use super::super::write::PARTICIPANTS;
use super::definitions::{Definitions, Kind};
use super::family::is_over;
use super::judge::{Judged, Seen, Sent};
use super::people::{People, ids_of};
use super::{Settings, Shared};
use crate::live::{Letter, Mail, PARTITIONS};
use crate::stories::Said;

/// Between two looks of people at all sagas.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Records that are read at once.
const READ_MAX: usize = 500;
/// Answers that never arrive, while the crowd is not calm.
const LOST: f64 = 0.05;
/// Answers that arrive twice.
const REPEATED: f64 = 0.05;
/// How often, at a look, a participant of some saga does what it refused to do.
const CONTRARY: f64 = 0.2;
/// Events that come before the saga that they are for.
const EARLY: f64 = 0.2;
/// Nothing new was seen for so long: nothing is on its way.
const QUIET: Duration = Duration::from_secs(3);
/// What is due no sooner is not waited for: what the language gives by itself, some days. All that is written is over by then.
const FAR_MS: Millis = 3_600_000;
/// Of what does not rest, so many are named.
const NAMED_MAX: usize = 3;

/// What the thread has.
pub(super) struct Run {
    seen: Seen,
    settings: Settings,
    state: Shared,
    mail: Mail,
    people: People,
    random: Rng,
    begun: Instant,
    looked: Instant,
    /// Answers that are kept back.
    kept: BTreeMap<(Instant, u64), Letter>,
    kept_count: u64,
    /// Sagas that are not over.
    open: BTreeSet<Arc<str>>,
    /// Sagas that have begun.
    found: BTreeSet<Arc<str>>,
}

impl Run {
    pub(super) fn new(definitions: Definitions, settings: Settings, state: Shared) -> Run {
        let topics = &settings.topics;
        let mut read: Vec<String> = PARTICIPANTS.iter().map(|participant| command_topic(participant)).collect();
        read.extend([topics.journal.clone(), "told".to_owned(), "ends".to_owned()]);
        read.retain(|topic| *topic == topics.journal || definitions.use_topic(topic));
        let read: Vec<(String, i32)> = read.into_iter().map(|topic| (topic, PARTITIONS)).collect();
        Run {
            mail: Mail::open(&settings.address, &read),
            people: People::new(settings.seed, topics.control.clone(), settings.answer_within),
            random: Rng::with_seed(settings.seed.wrapping_add(1)),
            seen: Seen::new(definitions, topics.replies.clone()),
            settings,
            state,
            begun: Instant::now(),
            looked: Instant::now(),
            kept: BTreeMap::new(),
            kept_count: 0,
            open: BTreeSet::new(),
            found: BTreeSet::new(),
        }
    }

    /// Until it is to end, or cannot go on.
    pub(super) fn go_on(&mut self) {
        loop {
            let (calm, ends) = {
                let state = self.state.lock().expect("no holder panics");
                if state.stop {
                    return;
                }
                (state.calm, state.ends)
            };
            // Behind the last takeover: what came by it is seen, too.
            if ends && self.mail.has_read_all() {
                return;
            }
            if !calm {
                self.start();
            }
            if let Err(trouble) = self.read(calm) {
                self.state.lock().expect("no holder panics").trouble = Some(trouble);
                return;
            }
            self.send_kept();
            let all_arrived = self.mail.go_on();
            if self.looked.elapsed() >= LOOK_EVERY {
                self.looked = Instant::now();
                self.look(calm);
                self.tell(calm && all_arrived && self.kept.is_empty());
            }
        }
    }

    /// Starts what is due by the rate.
    fn start(&mut self) {
        let each = self.settings.rate / self.seen.definitions.0.len() as f64;
        let due = (self.begun.elapsed().as_secs_f64() * each) as usize;
        while self.seen.starts.len() < due {
            let key = format!("k-{}", self.seen.starts.len());
            if self.people.often(EARLY)
                && let Some(early) = self.people.early(&self.seen.definitions, &key)
            {
                self.mail.send(early);
            }
            let (letter, start) = self.people.start(&key);
            self.mail.send(letter);
            self.seen.starts.insert(key, start);
        }
    }

    fn read(&mut self, calm: bool) -> Result<(), String> {
        let mut all = Vec::new();
        self.mail.read(READ_MAX, &mut |read| {
            let sent = Sent {
                topic: read.topic.to_owned(),
                partition: read.partition,
                key: read.key.to_vec(),
                id: read.id.map(str::to_owned),
                value: read.value.to_vec(),
            };
            all.push((sent, read.offset));
        })?;
        if !all.is_empty() {
            self.state.lock().expect("no holder panics").seen = Instant::now();
        }
        for (sent, offset) in all {
            if sent.topic == self.settings.topics.journal {
                self.journal((sent.partition, offset), &sent.value)?;
                continue;
            }
            if sent.id.is_none() {
                self.command(&sent.value, calm);
            }
            self.seen.arrived.insert(sent);
        }
        Ok(())
    }

    fn journal(&mut self, place: (i32, i64), value: &[u8]) -> Result<(), String> {
        for id in self.seen.stories.take(&self.seen.definitions, place, value)? {
            let Some(saga) = self.seen.stories.saga(&id) else { continue };
            if saga.began() {
                self.found.insert(id.clone());
            }
            let is_over = match self.seen.stories.families.get(&id) {
                Some(family) => family.is_over(&id),
                None => is_over(saga),
            };
            if is_over {
                self.open.remove(&id);
            } else {
                self.open.insert(id);
            }
        }
        Ok(())
    }

    /// A participant gets a command.
    fn command(&mut self, value: &[u8], calm: bool) {
        let Ok(command) = wire::decode_command(value, self.seen.definitions.schemas()) else { return };
        let Some((row, step, direction)) = parse_idempotency_key(&command.meta.idempotency_key) else { return };
        let saga: Arc<str> = root_of(row).into();
        // Below the saga, whichever row of it asks.
        let step = if row.len() == saga.len() { step.to_owned() } else { format!("{}/{step}", &row[saga.len() + 1..]) };
        let asked = Command { step, direction, attempt: command.meta.attempt };
        let random = &mut self.random;
        let draw = || Participants { mood: Mood::draw(random), accounts: BTreeMap::new() };
        let participants = self.seen.participants.entry(saga.clone()).or_insert_with(draw);
        if calm {
            participants.mood = Mood::calm();
        }
        let Some(answer) = participants.take(&asked, &mut self.random) else { return };
        learn(&mut self.seen.told, &saga, &answer);
        if !calm && self.random.f64() < LOST {
            return;
        }
        let letter = reply(&saga, &answer, &command.meta.reply_to, command.meta.reply_partition);
        if self.random.f64() < REPEATED {
            self.keep(letter.clone());
        }
        self.keep(letter);
    }

    fn keep(&mut self, letter: Letter) {
        let within = self.settings.answer_within.as_millis() as u64;
        let at = Instant::now() + Duration::from_millis(self.random.u64(0..=within));
        self.kept_count += 1;
        self.kept.insert((at, self.kept_count), letter);
    }

    fn send_kept(&mut self) {
        while let Some(first) = self.kept.first_entry().filter(|first| first.key().0 <= Instant::now()) {
            self.mail.send(first.remove());
        }
    }

    /// People look at all that is not over; and somebody who said no may do it all the same.
    fn look(&mut self, calm: bool) {
        for id in &self.open {
            let (Some(one), Some(saga)) = (self.seen.definitions.of(id), self.seen.stories.saga(id)) else { continue };
            let letter = match &one.kind {
                _ if !saga.began() => None,
                Kind::Single(_, known) => {
                    let accounts = self.seen.participants.get_mut(id);
                    self.people.about(&self.seen.definitions, known.definition(), (saga, accounts), calm)
                }
                Kind::Family(known) => {
                    let accounts = self.seen.participants.get_mut(id);
                    self.people.about_family(known, (&self.seen.stories.families[id], accounts), calm)
                }
            };
            letter.into_iter().for_each(|letter| self.mail.send(letter));
        }
        if calm || self.random.f64() >= CONTRARY {
            return;
        }
        let Some((id, participants)) = self.random.choice(self.seen.participants.iter_mut()) else { return };
        let id = id.clone();
        if let Some(answer) = participants.contradict(&mut self.random) {
            if answer.to.step.contains('/') {
                // Its row may be gone by then: nobody undoes it, and it is told.
                participants.leave(&answer.to.step);
            }
            learn(&mut self.seen.told, &id, &answer);
            let partition = partition_of(parse_saga_id(&id).1.as_bytes(), PARTITIONS);
            self.mail.send(reply(&id, &answer, &self.settings.topics.replies, partition));
        }
    }

    /// Says how it is.
    fn tell(&mut self, nothing_on_its_way: bool) {
        let wanted: Vec<Arc<str>> = self.seen.starts.keys().flat_map(|key| ids_of(&self.seen.definitions, key)).collect();
        let missing = wanted.iter().filter(|id| !self.found.contains(*id)).map(|id| format!("{id} has not begun"));
        let far = clock::now().wall + FAR_MS;
        let restless = self.open.iter().filter_map(|id| {
            let saga = self.seen.stories.saga(id)?;
            let due: Millis = saga.due_at();
            let rests = match self.seen.stories.families.get(id) {
                Some(family) => family.rests(far, |row| self.people.is_left(row)),
                None => due >= far && !saga.parked() && saga.paused().is_none() && self.people.leaves(saga),
            };
            let waits: Vec<Waits> = saga.entries.iter().map(|entry| entry.waits).filter(|waits| *waits != Waits::No).collect();
            (!rests).then(|| format!("{id} waits: {waits:?}, due at {due}"))
        });
        let mut state = self.state.lock().expect("no holder panics");
        state.restless = missing.chain(restless).take(NAMED_MAX).collect();
        (state.started, state.found) = (wanted.len(), self.found.len());
        state.rests = nothing_on_its_way && state.restless.is_empty() && state.seen.elapsed() >= QUIET;
    }

    /// All that it saw.
    pub(super) fn judged(self) -> Judged {
        Judged::of(self.seen)
    }
}

/// Notes what a step gives, the first time that somebody says so.
fn learn(told: &mut BTreeMap<Arc<str>, BTreeMap<String, i64>>, saga: &Arc<str>, answer: &Answer) {
    if let (Direction::Do, Said::Succeeded(Some(result))) = (answer.to.direction, &answer.said) {
        let told = told.entry(saga.clone()).or_default();
        told.entry(answer.to.step.clone()).or_insert_with(|| number(result));
    }
}

/// An answer as it is sent.
fn reply(saga: &str, answer: &Answer, topic: &str, partition: i32) -> Letter {
    let (outcome, code, retryable, result) = match &answer.said {
        Said::Succeeded(result) => (Outcome::Succeeded, None, false, result.as_deref()),
        Said::Refused(code) => (Outcome::Refused, Some(code.as_str().into()), false, None),
        Said::Failed(code, retryable) => (Outcome::Failed, Some(code.as_str().into()), *retryable, None),
    };
    let meta = ReplyMeta {
        idempotency_key: idempotency_key(saga, &answer.to.step, answer.to.direction).into(),
        attempt: answer.to.attempt,
        outcome,
        code,
        message: None,
        retryable,
    };
    let mut value = Vec::new();
    wire::put_reply_json(&meta, result.map(str::as_bytes), &mut value);
    Letter { topic: topic.to_owned(), partition, key: parse_saga_id(saga).1.into_owned(), value, headers: Vec::new() }
}
