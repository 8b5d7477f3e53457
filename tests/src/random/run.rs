//! One saga of a random definition in a hostile world: what is sent is lost, late and repeated, time passes anyhow, the coordinator
//! crashes. Then the world calms down, and the saga must come to an end.

use std::collections::BTreeMap;
use std::sync::Arc;

use fastrand::Rng;
use ringmaster_core::saga::Input;
use ringmaster_schemas::Millis;
use ringmaster_schemas::names::Direction;
use ringmaster_schemas::state::{Entry, Saga, Status, Waits, Work};

use super::behave::{Answer, Command, Mood, Participants};
use super::known::Known;
use super::plan::Plan;
use super::value::FIELDS;
use super::{Report, laws};
use crate::stories::{self, Said, Stage, print};

/// Turns in a calm world by which a saga must have ended.
const CALM_STEPS: u32 = 600;

/// A run in which a law broke.
pub(super) struct Broken {
    pub(super) plan: Plan,
    pub(super) seed: u64,
    pub(super) faults: Vec<String>,
    pub(super) story: String,
    /// How many turns it took.
    pub(super) length: usize,
}

impl Broken {
    /// The names of the laws.
    pub(super) fn laws(&self) -> Vec<String> {
        let mut laws: Vec<String> =
            self.faults.iter().map(|fault| fault.split(':').next().unwrap_or_default().to_owned()).collect();
        laws.sort();
        laws.dedup();
        laws
    }
}

/// Plays a saga of this seed.
pub(super) fn play(plan: &Plan, known: &Known, seed: u64, report: &mut Report) -> Result<(), Box<Broken>> {
    let mut world = World::new(plan, known, seed, report);
    world.run();
    world.judge();
    if world.faults.is_empty() {
        return Ok(());
    }
    let (story, length) = (world.story(), world.turns.len());
    Err(Box::new(Broken { plan: plan.clone(), seed, faults: world.faults, story, length }))
}

/// The world of a saga of this seed, at its end.
#[cfg(test)]
pub(super) fn played<'p>(plan: &'p Plan, known: &Known, seed: u64, report: &'p mut Report) -> World<'p> {
    let mut world = World::new(plan, known, seed, report);
    world.run();
    world
}

/// A turn as it is told.
pub(super) struct Told {
    pub(super) at: Millis,
    pub(super) came: String,
    /// What of the history it made.
    pub(super) from: usize,
    pub(super) rejected: Option<String>,
}

pub(super) struct World<'p> {
    pub(super) plan: &'p Plan,
    pub(super) start: [i64; FIELDS.len()],
    /// What steps gave, by their names with their rounds.
    pub(super) told: BTreeMap<String, i64>,
    pub(super) stage: Stage,
    pub(super) random: Rng,
    pub(super) participants: Participants,
    /// On their way to participants, and back.
    pub(super) commands: Vec<Command>,
    answers: Vec<Answer>,
    /// What was heard: it may come again.
    heard: Vec<Answer>,
    /// Confirmed records.
    pub(super) journal: Vec<Vec<u8>>,
    lost: f64,
    pub(super) cancels: bool,
    /// How often a participant is paused, or what is parked goes out.
    pub(super) pauses: f64,
    /// How often a person pauses the saga, or resumes it.
    pub(super) holds: f64,
    /// In a calm world all else comes first.
    resumes_last: bool,
    /// How often what is stuck is asked again in a calm world.
    patience: u32,
    /// How often somebody who said no does it all the same.
    contrary: f64,
    /// Events that came: their types and bodies, by their numbers.
    pub(super) events: Vec<(&'static str, String)>,
    /// Those that were let in.
    pub(super) arrived: Vec<laws::Arrived>,
    pub(super) turns: Vec<Told>,
    pub(super) faults: Vec<String>,
    pub(super) report: &'p mut Report,
}

impl<'p> World<'p> {
    fn new(plan: &'p Plan, known: &Known, seed: u64, report: &'p mut Report) -> Self {
        let mut random = Rng::with_seed(seed);
        let start = std::array::from_fn(|_| random.i64(0..5));
        let participants = Participants { mood: Mood::draw(&mut random), accounts: Default::default() };
        let lost = random.f64() * 0.3;
        let cancels = random.u32(0..5) < 2;
        let contrary = [0.0, 0.02, 0.2][random.usize(..3)];
        let pauses = [0.0, 0.0, 0.03, 0.15][random.usize(..4)];
        let holds = [0.0, 0.0, 0.02, 0.1][random.usize(..4)];
        let resumes_last = random.bool();
        World {
            plan,
            start,
            told: BTreeMap::new(),
            stage: Stage::on(known.shared()),
            random,
            participants,
            commands: Vec::new(),
            answers: Vec::new(),
            heard: Vec::new(),
            journal: Vec::new(),
            lost,
            cancels,
            pauses,
            holds,
            resumes_last,
            patience: 3,
            contrary,
            events: Vec::new(),
            arrived: Vec::new(),
            turns: Vec::new(),
            faults: Vec::new(),
            report,
        }
    }

    fn run(&mut self) {
        self.faults.extend(laws::written(self.plan, self.stage.definition()));
        while self.random.u32(0..5) == 0 {
            self.send_event();
        }
        self.start();
        let wild = self.random.u32(5..100);
        for _ in 0..wild {
            if !self.faults.is_empty() {
                return;
            }
            if self.rests() && self.random.bool() {
                break;
            }
            self.step();
        }
        self.participants.mood = Mood::calm();
        for _ in 0..CALM_STEPS {
            if !self.faults.is_empty() || !self.calm_step() {
                return;
            }
        }
        self.faults.push("ends: it does not come to an end in a calm world".to_owned());
    }

    /// Nothing is on its way, and nothing is due.
    fn rests(&self) -> bool {
        let due = self.stage.saga.as_ref().is_some_and(|saga| saga.due_at() != Millis::MAX);
        !due && self.commands.is_empty() && self.answers.is_empty()
    }

    /// Something happens.
    fn step(&mut self) {
        if self.random.f64() < self.pauses || (self.rests() && self.is_parked() && self.random.bool()) {
            return self.pause();
        }
        if self.random.f64() < self.holds {
            return self.pause_saga();
        }
        if self.rests() {
            return if self.random.bool() { self.contradict() } else { self.act() };
        }
        if self.random.f64() < self.contrary {
            return self.contradict();
        }
        // Somebody who was refused is found to have done it while the reaction to that goes on: rare by itself, and easily got wrong.
        let reacts = |entry: &Entry| entry.work == Work::Refused && entry.reaction().is_some() && !entry.went_on();
        let is_reacting = self.stage.saga.iter().flat_map(|saga| &saga.entries).any(reacts);
        // Its undo is parked then, and the saga may end before it goes out.
        let is_paused = !self.stage.breakers.is_empty();
        if (is_reacting || is_paused) && self.contrary > 0.0 && self.random.u32(0..8) == 0 {
            return self.contradict();
        }
        let asks = |saga: &Arc<Saga>| saga.entries.iter().any(|entry| entry.waits == Waits::Approval);
        if self.stage.saga.as_ref().is_some_and(asks) && self.random.u32(0..5) == 0 {
            return self.answer_approval();
        }
        if self.random.u32(0..12) == 0 {
            return self.send_event();
        }
        match self.random.u32(0..100) {
            0..32 => self.deliver_command(),
            32..62 => self.deliver_answer(),
            62..76 => self.wait_until_due(),
            76..83 => self.stage.now += self.random.i64(0..4_000),
            83..86 => self.due_again(),
            86..90 => self.crash(),
            90 => self.start_again(),
            91..93 => self.cancel(),
            93..95 => self.send_late(),
            95 => self.too_big(),
            96 if self.random.u32(0..4) == 0 => self.answer_approval(),
            96 => self.act(),
            _ => self.hear_again(),
        }
    }

    /// All goes as it should; false if nothing more is to come.
    fn calm_step(&mut self) -> bool {
        if (self.rests() || !self.resumes_last) && self.resume_all() {
            return true;
        }
        if let Some(command) = self.commands.pop() {
            self.answers.extend(self.participants.take(&command, &mut self.random));
        } else if !self.answers.is_empty() {
            let answer = self.answers.remove(0);
            self.hear(&answer);
        } else {
            self.wait_until_due();
        }
        if self.rests() && self.patience > 0 {
            self.patience -= 1;
            self.help_all();
        }
        !self.rests() || self.is_parked()
    }

    fn deliver_command(&mut self) {
        if self.commands.is_empty() {
            return;
        }
        let at = self.random.usize(..self.commands.len());
        let command = self.commands[at].clone();
        if self.random.u32(0..10) > 0 {
            self.commands.swap_remove(at);
        } else {
            self.count("commands that came twice");
        }
        if self.random.f64() < self.lost {
            return self.count("commands that were lost");
        }
        self.answers.extend(self.participants.take(&command, &mut self.random));
    }

    fn deliver_answer(&mut self) {
        if self.answers.is_empty() {
            return;
        }
        let at = self.random.usize(..self.answers.len());
        let answer = self.answers.swap_remove(at);
        if self.random.f64() < self.lost && !answer.must_arrive {
            return self.count("answers that were lost");
        }
        self.hear(&answer);
        self.heard.push(answer);
    }

    fn hear_again(&mut self) {
        let Some(answer) = self.random.choice(&self.heard).cloned() else { return };
        self.count("answers that came twice");
        self.hear(&answer);
    }

    fn hear(&mut self, answer: &Answer) {
        let Command { step, direction, attempt } = &answer.to;
        if let (Direction::Do, Said::Succeeded(Some(result))) = (direction, &answer.said) {
            self.learn(step, result);
        }
        let came = format!("{step}/{} answers to attempt {attempt}: {:?}", direction.as_str(), answer.said);
        let reply = self.stage.reply_input(step, *direction, Some(*attempt), &answer.said).expect("an answer can be read");
        let _ = self.turn(&Input::Reply(reply), came);
    }

    /// What a step gave, the first time that somebody says so.
    pub(super) fn learn(&mut self, step: &str, result: &str) {
        self.told.entry(step.to_owned()).or_insert_with(|| number(result));
    }

    fn wait_until_due(&mut self) {
        let due = self.stage.saga.as_ref().map_or(Millis::MAX, |saga| saga.due_at());
        if due != Millis::MAX {
            self.stage.now = self.stage.now.max(due);
            let _ = self.turn(&Input::Due, "something is due".to_owned());
        }
    }

    /// A timer that fires where nothing is due, or something has been for long.
    fn due_again(&mut self) {
        let _ = self.turn(&Input::Due, "a timer fires".to_owned());
    }

    /// A command that was sent, and that nobody thought of any more.
    fn send_late(&mut self) {
        let open = self.stage.saga.iter().flat_map(|saga| &saga.entries).filter(|entry| entry.open() && entry.order.is_some());
        let late: Vec<Command> = open
            .map(|entry| Command {
                step: entry.name().to_owned(),
                direction: if entry.work == Work::UndoAsked { Direction::Undo } else { Direction::Do },
                attempt: i32::from(entry.attempt),
            })
            .collect();
        self.commands.extend(self.random.choice(late));
    }

    fn cancel(&mut self) {
        if self.cancels {
            self.count("cancels");
            let _ = self.turn(&Input::Cancel { why: "changed their mind".into() }, "it is cancelled".to_owned());
        }
    }

    fn contradict(&mut self) {
        if let Some(answer) = self.participants.contradict(&mut self.random) {
            self.count("contradictions");
            self.pause_before_undo(&answer.to.step);
            if self.random.bool() {
                return self.hear(&answer);
            }
            self.answers.push(answer);
        }
    }

    /// What can be said only at the end.
    fn judge(&mut self) {
        let mut faults = stories::laws::broken(&self.stage);
        let Some(saga) = self.stage.saga.clone() else { return };
        if self.faults.is_empty() {
            faults.extend(laws::ledger(self.stage.definition(), &saga, &self.participants.accounts));
            faults.extend(laws::whole_way(&self.known(), &self.stage.history));
            faults.extend(saga.parked().then(|| "L21: all are asked again, and something is still parked".to_owned()));
        }
        faults.extend(laws::bodies(&self.known(), self.stage.schemas(), &self.stage.history));
        self.faults.append(&mut faults);
        self.count(match saga.status {
            _ if saga.stuck() => "stuck",
            Status::Completed => "completed",
            Status::Compensated => "compensated",
            Status::Running | Status::Compensating | Status::Expected | Status::Swept => "unfinished",
        });
        self.count("sagas");
        for happened in &self.stage.history {
            self.report.counts_of(&happened.event, &happened.behind);
        }
    }

    pub(super) fn known(&self) -> laws::Known<'_> {
        laws::Known { plan: self.plan, definition: self.stage.definition(), start: self.start, told: &self.told }
    }

    pub(super) fn count(&mut self, what: &'static str) {
        self.report.count(what);
    }

    fn story(&self) -> String {
        let mut out = String::new();
        let begin = self.turns.first().map_or(0, |turn| turn.at);
        for (number, turn) in self.turns.iter().enumerate() {
            let to = self.turns.get(number + 1).map_or(self.stage.history.len(), |next| next.from);
            out.push_str(&format!("{} {}\n", print::time(turn.at - begin), turn.came));
            let lines = self.stage.told(turn.from..to).into_iter().chain(turn.rejected.clone());
            lines.for_each(|line| out.push_str(&format!("    {line}\n")));
        }
        if let Some(saga) = &self.stage.saga {
            out.push_str(&print::state(&self.stage, saga).join("\n"));
        }
        out
    }
}

/// What a step gives: `{"n": 3}`.
pub(super) fn number(result: &str) -> i64 {
    let digits: String = result.chars().filter(char::is_ascii_digit).collect();
    digits.parse().expect("a result is a number")
}
