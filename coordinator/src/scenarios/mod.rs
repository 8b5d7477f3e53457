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
}

/// Reads the scenarios of a file; other documents in it are passed over. All errors are returned, in order of place.
pub fn read(file: &str, text: &str, known: Known<'_>) -> Result<Vec<Scenario>, Vec<CompileError>> {
    form::read(file, text, known)
}

/// Plays a scenario, and holds what happened against what it says. What it passed through is added to the coverage.
pub fn play(scenario: &Scenario, known: Known<'_>, coverage: &mut Coverage) -> Verdict {
    let played = stage::play(scenario, known, coverage.of(&scenario.definition));
    verdict::judge(scenario, played)
}

#[cfg(test)]
mod tests;
