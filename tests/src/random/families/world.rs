//! One saga with its items in a hostile world, which calms down in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fastrand::Rng;
use ringmaster_core::intake::Projections;
use ringmaster_core::saga::{Breakers, Input, Scratch, StartInput, name_of};
use ringmaster_schemas::Millis;
#[cfg(test)]
use ringmaster_schemas::journal::SagaChange;
use ringmaster_schemas::journal::{BreakerEvent, Place, SagaEvent};
use ringmaster_schemas::state::{PRIORITY_USUAL, Saga};

use super::super::Report;
use super::super::behave::{Answer, Command, Mood, Participants};
use super::super::write::PARTICIPANTS;
use super::known::{Known, asks_for_approval};
use super::values::Values;
use super::write::{ITEMS_MAX, SAGA};
use crate::stories::project;

/// Turns in a calm world by which a saga must have ended.
const CALM_STEPS: u32 = 4_000;

/// What is refused again and again is cancelled then.
pub(super) const HELPED_MAX: u32 = 30;

pub(in crate::random) struct World<'k> {
    pub(super) known: &'k Known,
    pub(super) random: Rng,
    pub(super) now: Millis,
    pub(super) root: Arc<str>,
    /// The start event: the lists, and a number.
    pub(in crate::random) start: serde_json::Value,
    pub(in crate::random) rows: BTreeMap<Arc<str>, Arc<Saga>>,
    /// Rows that are gone, as they were last.
    pub(super) graves: BTreeMap<Arc<str>, Arc<Saga>>,
    pub(in crate::random) values: Values,
    pub(super) breakers: Breakers,
    pub(super) scratch: Scratch,
    pub(super) projections: Projections,
    /// By idempotency key, without its direction.
    pub(in crate::random) participants: Participants,
    pub(super) commands: Vec<Command>,
    pub(super) answers: Vec<Answer>,
    heard: Vec<Answer>,
    /// All that happened: to which row, what, and when.
    pub(super) journal: Vec<(Arc<str>, SagaEvent, Millis)>,
    /// Bodies of the last step.
    pub(super) told: Vec<serde_json::Value>,
    /// For which lists a person gave a value: that there is nothing.
    pub(in crate::random) stood_for: BTreeSet<String>,
    /// What happened, for people; nothing if nobody is told.
    lines: Option<Vec<String>>,
    pub(in crate::random) faults: Vec<String>,
    lost: f64,
    pauses: f64,
    contrary: f64,
    cancels: bool,
    /// How often people helped in the calm world.
    pub(super) helped: u32,
    pub(super) report: &'k mut Report,
    /// What each turn changed, as a journal has it.
    #[cfg(test)]
    pub(in crate::random) turns: Vec<(Millis, Vec<SagaChange>)>,
}

impl<'k> World<'k> {
    pub(in crate::random) fn new(known: &'k Known, seed: u64, report: &'k mut Report) -> Self {
        let mut random = Rng::with_seed(seed);
        let mut list = |most: usize| (0..random.usize(..=most)).map(|_| random.i64(0..5)).collect::<Vec<i64>>();
        let (items, few) = (list(ITEMS_MAX), list(2));
        let start = serde_json::json!({ "id": "k", "n": random.i64(0..5), "items": items, "few": few });
        let participants = Participants { mood: Mood::draw(&mut random), accounts: BTreeMap::default() };
        let (lost, cancels) = (random.f64() * 0.3, random.u32(0..3) == 0);
        let pauses = [0.0, 0.0, 0.03, 0.15][random.usize(..4)];
        let contrary = [0.0, 0.02, 0.1][random.usize(..3)];
        World {
            known,
            random,
            now: 1_900_000_000_000,
            root: format!("{SAGA}/k").into(),
            start,
            rows: BTreeMap::new(),
            graves: BTreeMap::new(),
            values: Values::default(),
            breakers: Breakers::default(),
            scratch: Scratch::default(),
            projections: Projections::default(),
            participants,
            commands: Vec::new(),
            answers: Vec::new(),
            heard: Vec::new(),
            journal: Vec::new(),
            told: Vec::new(),
            stood_for: BTreeSet::new(),
            lines: None,
            faults: Vec::new(),
            lost,
            pauses,
            contrary,
            cancels,
            helped: 0,
            report,
            #[cfg(test)]
            turns: Vec::new(),
        }
    }

    /// The same, written down as it happens.
    pub(super) fn telling(known: &'k Known, seed: u64, report: &'k mut Report) -> Self {
        World { lines: Some(Vec::new()), ..World::new(known, seed, report) }
    }

    pub(super) fn tell(&mut self, line: impl FnOnce(&Self) -> String) {
        if self.lines.is_some() {
            let line = line(self);
            self.lines.iter_mut().for_each(|lines| lines.push(line.clone()));
        }
    }

    pub(in crate::random) fn run(&mut self) {
        self.begin();
        for _ in 0..self.random.u32(5..250) {
            if !self.faults.is_empty() {
                return;
            }
            self.step();
        }
        self.participants.mood = Mood::calm();
        for _ in 0..CALM_STEPS {
            if !self.faults.is_empty() {
                return;
            }
            if !self.calm_step() {
                return self.judge();
            }
        }
        self.faults.push("ends: it does not come to an end in a calm world".to_owned());
    }

    fn begin(&mut self) {
        let start = &self.known.definitions[0].starts[0];
        let kept = project(&start.reader, &start.kept, &self.start.to_string()).expect("a start can be read");
        let (search, _) = self.known.definitions[0].searched_by("k", &kept, self.now);
        let input = StartInput {
            key: "k".to_owned(),
            start: kept,
            start_schema: start.kept.key(),
            traceparent: None,
            source: "wanted/0/0".to_owned(),
            version_offset: 0,
            priority: if self.known.definitions[0].priority.is_some() { 8 } else { PRIORITY_USUAL },
            search: search.expect("it can be searched by its start"),
            event_time: Some(self.now),
            early: Vec::new(),
            by_hand: None,
        };
        let root = self.root.clone();
        self.turn(&root, Input::Start(input), "it starts");
    }

    pub(super) fn count(&mut self, what: &'static str) {
        self.report.count(what);
    }

    /// Nothing is on its way, and nothing is due.
    fn rests(&self) -> bool {
        let due = self.rows.values().any(|saga| saga.due_at() != Millis::MAX);
        !due && self.commands.is_empty() && self.answers.is_empty() && self.values.letters.is_empty()
    }

    fn step(&mut self) {
        if self.random.f64() < self.pauses {
            return self.pause();
        }
        if self.random.f64() < self.contrary {
            return self.contradict();
        }
        match self.random.u32(0..100) {
            0..28 => self.deliver_command(),
            28..52 => self.deliver_answer(),
            52..66 => self.deliver_letter(),
            66..69 => self.arrive(),
            69 => self.forget(),
            70..76 => self.wait_until_due(),
            76..82 => self.now += self.random.i64(0..3_000),
            82..86 => self.crash(),
            86..88 if self.cancels => self.cancel(),
            88..92 => self.act(),
            92..95 => self.answer_approval(),
            95 => self.too_big(),
            96 if self.pauses > 0.0 => self.pause_saga(),
            _ => self.hear_again(),
        }
    }

    /// All goes as it should; false if nothing more is to come.
    fn calm_step(&mut self) -> bool {
        let paused = self.breakers.iter().map(|(name, _)| name.clone()).next();
        if self.resume_any() {
            // Nothing is left paused.
        } else if let Some(name) = paused {
            match self.first_parked(&name) {
                Some((id, place)) => self.turn(&id, Input::Unpark(place), "what is parked goes out"),
                None => self.breaks(&name, &BreakerEvent::Closed { why: "nothing is parked".into() }),
            }
        } else if let Some(command) = self.commands.pop() {
            self.answers.extend(self.participants.take(&command, &mut self.random));
        } else if !self.answers.is_empty() {
            let answer = self.answers.remove(0);
            self.hear(&answer);
        } else if self.deliver_first_letter() {
            if self.values.letters.is_empty() {
                self.judge_values();
            }
        } else if self.rows.values().all(|saga| !saga.has_work()) && self.arrive_for_who_waits() {
            // One that somebody waits for comes in the end.
        } else if self.rows.values().all(|saga| !saga.has_work()) && self.rows.values().any(|saga| asks_for_approval(saga)) {
            // What is asked again and again for an approval that nobody answers would never end.
            self.answer_approval();
        } else if !self.rests() {
            self.wait_until_due();
        } else if !self.help() {
            return false;
        }
        true
    }

    fn deliver_command(&mut self) {
        if self.commands.is_empty() {
            return;
        }
        let at = self.random.usize(..self.commands.len());
        let command = self.commands[at].clone();
        if self.random.u32(0..10) > 0 {
            self.commands.swap_remove(at);
        }
        if self.random.f64() >= self.lost {
            self.answers.extend(self.participants.take(&command, &mut self.random));
        }
    }

    fn deliver_answer(&mut self) {
        if self.answers.is_empty() {
            return;
        }
        let at = self.random.usize(..self.answers.len());
        let answer = self.answers.swap_remove(at);
        if self.random.f64() < self.lost && !answer.must_arrive {
            return;
        }
        self.hear(&answer);
        self.heard.push(answer);
    }

    fn hear_again(&mut self) {
        if let Some(answer) = self.random.choice(&self.heard).cloned() {
            self.hear(&answer);
        }
    }

    fn wait_until_due(&mut self) {
        let first = self.rows.values().min_by_key(|saga| saga.due_at()).cloned();
        let Some(saga) = first.filter(|saga| saga.due_at() != Millis::MAX) else { return };
        self.now = self.now.max(saga.due_at());
        let input = if saga.has_work() { Input::Work } else { Input::Due };
        self.turn(&saga.id, input, "something is due");
    }

    pub(super) fn cancel(&mut self) {
        self.count("cancels");
        let root = self.root.clone();
        self.turn(&root, Input::Cancel { why: "changed their mind".into() }, "it is cancelled");
    }

    fn too_big(&mut self) {
        let live: Vec<Arc<str>> = self.rows.values().filter(|saga| !saga.ended()).map(|saga| saga.id.clone()).collect();
        let Some(id) = self.random.choice(&live).cloned() else { return };
        self.turn(&id, Input::TooBig { bytes: Some(2_000_000), step: None, place: None }, "what came next is too big");
    }

    fn contradict(&mut self) {
        if let Some(answer) = self.participants.contradict(&mut self.random) {
            self.count("contradictions");
            // Once its row is gone nobody undoes it: it is told.
            let is_there = answer.to.step.rsplit_once('/').is_some_and(|(row, _)| self.rows.contains_key(row));
            if !is_there {
                self.participants.leave(&answer.to.step);
            }
            self.hear(&answer);
        }
    }

    /// The row and place that goes out next for a participant.
    fn first_parked(&self, name: &str) -> Option<(Arc<str>, Place)> {
        let parked = self.rows.values().flat_map(|saga| {
            let entries = saga.entries.iter().zip(0..);
            entries
                .filter(|(entry, _)| entry.parked_for().is_some_and(|of| **of == *name))
                .map(|(entry, place)| (ringmaster_schemas::state::rank_of(saga, entry), saga.id.clone(), place))
        });
        parked.min().map(|(_, id, place)| (id, place))
    }

    fn pause(&mut self) {
        let name: Arc<str> = PARTICIPANTS[self.random.usize(..PARTICIPANTS.len())].into();
        let is_paused = self.breakers.get(&name).is_some();
        match (is_paused, self.first_parked(&name)) {
            (false, _) => {
                self.count("pauses");
                self.breaks(&name, &BreakerEvent::Opened { by: None, why: "it is not asked now".into() });
            }
            (true, Some((id, place))) => self.turn(&id, Input::Unpark(place), "what is parked goes out"),
            (true, None) => self.breaks(&name, &BreakerEvent::Closed { why: "nothing is parked".into() }),
        }
    }

    fn breaks(&mut self, name: &Arc<str>, event: &BreakerEvent) {
        self.breakers.apply(name, event, self.now);
        self.tell(|_| format!("{name}: {event:?}"));
    }

    pub(super) fn story(&self) -> String {
        let mut out = format!("start: {}\n{}\n", self.start, self.lines.iter().flatten().cloned().collect::<Vec<_>>().join("\n"));
        for saga in self.rows.values() {
            let entries = saga
                .entries
                .iter()
                .map(|entry| format!("{} {} ({})", name_of(self.known.of_row(saga), entry), entry.work, entry.waits));
            out.push_str(&format!("{} {}: {}\n", saga.id, saga.status, entries.collect::<Vec<_>>().join(", ")));
        }
        out
    }
}
