//! Random definitions, each played some times under everything that can go wrong, and held to the laws.
//!
//! ```text
//! seed -> generate (a tree) -> mend -> write (YAML) -> compile -> run (a hostile world on the pure core) -> laws
//! ```
//!
//! The same seed is the same definition and the same runs. What fails is made smaller (`shrink`) and told like a story.

mod behave;
pub mod crowd;
mod events;
pub mod families;
mod generate;
mod known;
mod laws;
mod mend;
mod pausing;
mod people;
mod plan;
mod run;
mod shrink;
mod turn;
mod value;
mod write;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use fastrand::Rng;
use ringmaster_schemas::journal::{Opens, SagaEvent};
use ringmaster_schemas::names::Direction;
use ringmaster_schemas::registry::Schemas;
use ringmaster_schemas::state::Saga;

/// Sagas that are played on each definition.
pub const SAGAS: u64 = 4;

/// What a seed came to.
#[derive(Debug, Default, Clone)]
pub struct Report {
    /// What was counted, by name: sagas by their ends, faults that were done, events that happened.
    pub counts: BTreeMap<&'static str, u64>,
}

impl Report {
    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn counts_of(&mut self, event: &SagaEvent, behind: &Saga) {
        self.count(match event {
            SagaEvent::Skipped { .. } => "nodes that were skipped",
            SagaEvent::ScopeStopped { .. } => "scopes that were undone",
            SagaEvent::ReactionBegan { .. } => "reactions",
            SagaEvent::WentOn { .. } => "nodes that were left out",
            SagaEvent::ContradictionFound { stray: true, .. } => "strays",
            SagaEvent::StopRemembered { .. } => "stops that were remembered",
            SagaEvent::StopForgotten {} => "stops that came too late",
            SagaEvent::EventTaken { event, .. } if event.early => "events that came early and were taken",
            SagaEvent::EventTaken { .. } => "events that were waited for",
            SagaEvent::EventsExpired { .. } => "events that were forgotten",
            SagaEvent::Escalated { .. } => "approvals that others may answer",
            SagaEvent::Entered { opens: Opens::Sleep { expires: true, .. }, .. } => "sleeps that are cut short",
            SagaEvent::Entered { opens: Opens::Sleep { .. }, .. } => "sleeps",
            SagaEvent::MarkedLate { .. } => "deadlines behind the pivot",
            SagaEvent::Entered { opens: Opens::Parked { .. }, .. } => "steps that were parked",
            SagaEvent::Parked { place, direction: Direction::Undo, .. }
                if behind.entry(*place).is_some_and(|entry| entry.stray().is_some()) =>
            {
                "strays that were parked"
            }
            SagaEvent::Parked { direction: Direction::Do, .. } => "attempts that were parked",
            SagaEvent::Parked { direction: Direction::Undo, .. } => "undos that were parked",
            SagaEvent::Prioritised { .. } => "priorities",
            SagaEvent::Answered { answer, .. } if answer.early => "early events that answered",
            SagaEvent::Answered { .. } => "events that answered",
            SagaEvent::StuckTold { emission: Some(_), .. } => "times that what is stuck was told",
            SagaEvent::StuckTold { emission: None, .. } => "times that it could not be told",
            SagaEvent::Postponed { .. } => "steps that were postponed",
            SagaEvent::Withheld { .. } => "attempts that were withheld",
            _ => return,
        });
    }

    /// Adds what another seed came to.
    pub fn add(&mut self, other: &Report) {
        for (what, count) in &other.counts {
            *self.counts.entry(what).or_default() += count;
        }
    }
}

/// A law that does not hold.
#[derive(Debug)]
pub struct Failure {
    /// The laws that broke, by name.
    pub laws: Vec<String>,
    /// The definition, what happened, and how to repeat it.
    pub story: String,
}

/// The built-in schemas, of which each definition has its own: they are read once.
fn builtin_schemas() -> Schemas {
    static READ: OnceLock<Schemas> = OnceLock::new();
    READ.get_or_init(Schemas::builtin).clone()
}

/// Plays the definition of a seed. `shrinks`: what fails is made as small as it goes.
pub fn run(seed: u64, shrinks: bool) -> Result<Report, Box<Failure>> {
    run_many(seed, SAGAS, shrinks)
}

/// The same with so many sagas, of which the first are those of [`run`].
pub fn run_many(seed: u64, sagas: u64, shrinks: bool) -> Result<Report, Box<Failure>> {
    let mut random = Rng::with_seed(seed);
    let plan = generate::plan(&mut random);
    let mut report = Report::default();
    report.count("definitions");
    let known = match known::Known::of(write::SAGA, &plan) {
        Ok(known) => known,
        Err(errors) => {
            let story = format!("{errors}\n{}\nSEED={seed} repeats it", write::text(&plan));
            return Err(Box::new(Failure { laws: vec!["compiles".to_owned()], story }));
        }
    };
    for saga in 0..sagas {
        let saga_seed = random.u64(..);
        if let Err(broken) = run::play(&plan, &known, saga_seed, &mut report) {
            let broken = if shrinks { shrink::smaller(&plan, broken) } else { broken };
            return Err(Box::new(broken.told(seed, saga)));
        }
    }
    Ok(report)
}

/// What repeats a saga on the definition of a seed: a test plays only the first few.
fn repeated_by(seed: u64, saga: u64) -> String {
    if saga < SAGAS { format!("SEED={seed} make test") } else { format!("make soak-sim N=1 SEED={seed} SAGAS={}", saga + 1) }
}

/// The text of the definition of a seed.
pub fn definition(seed: u64) -> String {
    write::text(&generate::plan(&mut Rng::with_seed(seed)))
}

impl run::Broken {
    fn told(self, seed: u64, saga: u64) -> Failure {
        let laws = self.laws();
        let story = format!(
            "{}\n{}\n{}\n{} repeats it (the saga's own seed is {})",
            self.faults.join("\n"),
            write::text(&self.plan),
            self.story,
            repeated_by(seed, saga),
            self.seed
        );
        Failure { laws, story }
    }
}
