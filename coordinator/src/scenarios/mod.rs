//! Scenarios: what a saga must do, as plain data beside its definition, played on the pure core in virtual time.
//!
//! ```text
//! file -> form (checked against the definition) -> stage (intake, decide, apply, effects) -> story -> verdict; coverage over all
//! ```
//!
//! Nothing runs but the core that the coordinator runs: bodies are rendered by the compiled definition and its schemas, answers go
//! through the same door as a participant's. Answers come at once; the clock moves only when nothing else can happen.

mod asked;
mod coverage;
mod form;
mod junit;
mod stage;
mod told;
mod values;
mod verdict;

use std::sync::Arc;

use ringmaster_core::definition::{Catalog, CompileError, Definition};
use ringmaster_schemas::registry::Schemas;

pub(crate) use asked::commands;
pub use coverage::{Coverage, Missed, Tally};
pub use form::Scenario;
pub(crate) use form::check_refusal;
pub use junit::junit;
pub use told::{CoverageTold, MissTold, PassedOf, ScenarioTold, TestReport};
pub use verdict::{Miss, Verdict};

/// What scenarios are written against.
#[derive(Clone, Copy)]
pub struct Known<'k> {
    /// The definitions; the newest of a name is meant.
    pub catalog: &'k Catalog,
    /// All schemas that they were compiled against.
    pub schemas: &'k Schemas,
}

impl Known<'_> {
    fn definition(&self, name: &str) -> Option<&Arc<Definition>> {
        self.catalog.newest(name)
    }

    /// The definitions that one runs, and those run in turn.
    fn below(&self, definition: &Definition) -> Vec<Arc<Definition>> {
        let mut all: Vec<Arc<Definition>> = Vec::new();
        for (_, run) in definition.runs() {
            let found = self.catalog.sub_saga(&definition.hash, &run.saga);
            let Some(found) = found.and_then(|(found, _)| self.catalog.by_hash(&found.hash)) else { continue };
            let new = std::iter::once(found.clone()).chain(self.below(found));
            let new: Vec<_> = new.filter(|one| all.iter().all(|known| known.hash != one.hash)).collect();
            all.extend(new);
        }
        all
    }

    /// Of what a definition runs the one whose step, command, event or approval a scenario names here; none where it is its own.
    fn meant(&self, key: &str, definition: &Definition) -> Option<Arc<Definition>> {
        if asked::is_known(key, definition) {
            return None;
        }
        self.below(definition).into_iter().find(|below| asked::is_known(key, below))
    }
}

/// Reads the scenarios of a file; other documents in it are passed over. All errors are returned, in order of place.
pub fn read(file: &str, text: &str, known: Known<'_>) -> Result<Vec<Scenario>, Vec<CompileError>> {
    form::read(file, text, known)
}

/// Turns of one scenario. A step that is asked again for a day takes some thousands.
const TURNS_MAX: usize = 100_000;

/// Plays a scenario, and holds what happened against what it says. What it passed through is added to the coverage.
pub fn play(scenario: &Scenario, known: Known<'_>, coverage: &mut Coverage) -> Verdict {
    play_within(scenario, known, Took { turns: TURNS_MAX, bytes: usize::MAX }, coverage).0
}

/// How much playing takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Took {
    /// Turns.
    pub turns: usize,
    /// Memory for what happens, roughly, in bytes.
    pub bytes: usize,
}

/// The same, within these bounds; how much it took, too.
pub fn play_within(scenario: &Scenario, known: Known<'_>, most: Took, coverage: &mut Coverage) -> (Verdict, Took) {
    let played = stage::play(scenario, known, most, coverage);
    let took = played.took;
    (verdict::judge(scenario, played), took)
}

#[cfg(test)]
mod tests;
