//! What scenarios came to, as data: for programs, and over HTTP.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Scenario, Tally, Verdict};

/// What scenarios came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TestReport {
    /// Each that was played, in the order of files and lines.
    pub scenarios: Vec<ScenarioTold>,
    /// What they pass through, by saga.
    pub coverage: Vec<CoverageTold>,
    /// How many were not played: those before them took more turns than are taken in one go.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub not_played: usize,
}

/// What a scenario came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScenarioTold {
    /// Its name.
    pub scenario: String,
    /// The saga that it is of.
    pub saga: String,
    /// The file that it is in.
    pub file: String,
    /// The line of that file at which it begins, from 1.
    pub line: usize,
    /// All was as it says.
    pub passed: bool,
    /// What was not.
    pub misses: Vec<MissTold>,
    /// What was expected and what happened, as a diff; empty if it passed.
    pub diff: String,
    /// What happened, a line each.
    pub story: Vec<String>,
}

/// Something that was not as a scenario says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MissTold {
    /// The line that says it, from 1.
    pub line: usize,
    /// What happened instead.
    pub message: String,
}

/// How much of a saga scenarios pass through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CoverageTold {
    /// The saga.
    pub saga: String,
    /// By kind of place: steps, arms, conditions, refusals, reactions, undos.
    pub kinds: BTreeMap<String, PassedOf>,
    /// What no scenario passes through.
    pub missed: Vec<String>,
}

/// So many places of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PassedOf {
    /// Passed through.
    pub passed: usize,
    /// That there are.
    pub all: usize,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl TestReport {
    /// Of scenarios that were played.
    pub fn of(played: &[(Scenario, Verdict)], tallies: &[Tally]) -> TestReport {
        let scenarios = played.iter().map(|(scenario, verdict)| ScenarioTold::of(scenario, verdict)).collect();
        TestReport { scenarios, coverage: tallies.iter().map(CoverageTold::of).collect(), not_played: 0 }
    }
}

impl ScenarioTold {
    fn of(scenario: &Scenario, verdict: &Verdict) -> ScenarioTold {
        let misses = verdict.misses.iter().map(|miss| MissTold { line: miss.line, message: miss.message.clone() });
        ScenarioTold {
            scenario: scenario.name.clone(),
            saga: scenario.definition.name.to_string(),
            file: scenario.file.clone(),
            line: scenario.line,
            passed: verdict.passed(),
            misses: misses.collect(),
            diff: verdict.diff.clone(),
            story: verdict.story.clone(),
        }
    }
}

impl CoverageTold {
    fn of(tally: &Tally) -> CoverageTold {
        let kinds = tally.kinds.iter().map(|&(kind, passed, all)| (kind.to_owned(), PassedOf { passed, all }));
        let missed = tally.missed.iter().map(|missed| missed.what.clone());
        CoverageTold { saga: tally.saga.to_string(), kinds: kinds.collect(), missed: missed.collect() }
    }
}
