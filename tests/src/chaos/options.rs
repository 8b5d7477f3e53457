//! What a run is asked to do.

use std::path::PathBuf;
use std::time::Duration;

use super::Class;

/// An attempt waits for its answer at least so long.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Settings of a run.
#[derive(Debug, Clone)]
pub struct Options {
    /// No fault is begun behind this; the round is finished and checked.
    pub time: Duration,
    /// So many rounds at most; none for as many as the time allows.
    pub rounds: Option<u64>,
    /// Chooses faults and their targets.
    pub seed: u64,
    /// What may be made; each as often as any other.
    pub classes: Vec<Class>,
    /// Faults of a round, in this order, instead of chosen ones.
    pub fixed: bool,
    /// Faults until all is stopped and compared.
    pub faults_per_round: usize,
    /// Of so many of the faults, from none (0) to all (1), another one is made at the same moment.
    pub together: f64,
    /// One broker with the only copy of each topic, or a cluster of three.
    pub brokers: usize,
    /// Coordinators, at most three.
    pub coordinators: usize,
    /// Orders a second.
    pub rate: f64,
    /// Sagas of random definitions that are started a second, beside the orders.
    pub random_rate: f64,
    /// How long each service keeps back each answer, so that work is under way when a fault hits.
    pub answer_after: Duration,
    /// A fault that hit fewer orders that were under way counts for nothing.
    pub proven_from: usize,
    /// A file that gets a line for each round that came to its end: several runs add up in it.
    pub results: Option<PathBuf>,
}

impl Options {
    /// How long an attempt waits for its answer: answers that are kept back on purpose must not look lost.
    pub fn answer_within(&self) -> Duration {
        ANSWER_WITHIN.max(self.answer_after * 2)
    }

    /// The command that makes this round again.
    pub fn command(&self, seed: u64) -> String {
        let classes: Vec<&str> = self.classes.iter().map(|class| class.name()).collect();
        let all = self.classes.len() == Class::all().len();
        let faults = if all { String::new() } else { format!(" FAULTS={}", classes.join(",")) };
        format!(
            "make chaos MINUTES=600 ROUNDS=1 SEED={seed} BROKERS={} COORDINATORS={} RATE={} RANDOM_RATE={} ANSWER_AFTER_MS={} PER_ROUND={} TOGETHER={}{faults}",
            self.brokers,
            self.coordinators,
            self.rate,
            self.random_rate,
            self.answer_after.as_millis(),
            self.faults_per_round,
            self.together
        )
    }
}
