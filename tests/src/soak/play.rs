//! What a seed is, in each mode.

use std::panic::catch_unwind;

use super::{Counts, Violation};
use crate::random::{self, families};
use crate::sim::{self, Plan};

/// Sagas that are played on each definition where nobody says how many: to compile one takes as long as to play seven of them.
pub const SAGAS: u64 = 16;

/// The most of them: seeds of a family's sagas follow its own by so many.
pub const MOST_SAGAS: u64 = 1_000;

/// Every so many seeds a definition with items, sub-sagas and values is played, too.
const FAMILY_EVERY: u64 = 4;

/// Which simulator plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Random definitions on the pure core, held to the laws of the language.
    Definitions,
    /// Coordinators, services, store and broker, held to the rules of the journal.
    Protocol,
}

impl std::fmt::Display for Mode {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.pad(match self {
            Mode::Definitions => "definitions",
            Mode::Protocol => "protocol",
        })
    }
}

impl Mode {
    /// Plays one seed: of a definition so many sagas, of which the first are the same however many they are.
    pub fn play(self, seed: u64, sagas: u64) -> Result<Counts, Violation> {
        match self {
            Mode::Definitions => definitions(seed, sagas),
            Mode::Protocol => protocol(seed),
        }
    }
}

fn definitions(seed: u64, sagas: u64) -> Result<Counts, Violation> {
    let played = random::run_many(seed, sagas, true).and_then(|mut one| {
        if seed.is_multiple_of(FAMILY_EVERY) {
            one.add(&families::run(seed, sagas)?);
        }
        Ok(one)
    });
    match played {
        Ok(report) => Ok(report.counts.into_iter().map(|(what, count)| (what.to_owned(), count)).collect()),
        Err(failure) => Err(Violation { seed, what: failure.laws.join(", "), story: failure.story }),
    }
}

fn protocol(seed: u64) -> Result<Counts, Violation> {
    let (name, plan) = Plan::nth(seed);
    // Whoever runs is caught where it panics (`sim::coordinator`); this is for what looks at it.
    let ran = catch_unwind(|| sim::run(plan, None)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        let what = format!("panic: {}", text.unwrap_or_default());
        Err(Box::new(sim::Failure { seed, at_ms: 0, what, notes: Vec::new() }))
    });
    match ran {
        Ok(report) => {
            let mut counts: Counts = report.counts().map(|(what, count)| (what.to_owned(), count)).collect();
            // Of points there are many: they are one line each way.
            let kind = name.split_once(" at ").map_or(&*name, |(kind, _)| kind);
            counts.insert(format!("runs: {kind}"), 1);
            Ok(counts)
        }
        Err(failure) => {
            let story = format!("plan: {name}\n{failure}");
            Err(Violation { seed, what: format!("{name}: {}", failure.what), story })
        }
    }
}
