//! What a definition does not say: one table, which the README repeats and `tests/tidy` compares.

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::Phase;
use ringmaster_schemas::names::REMEMBERS_MS;

use super::Retry;
use super::compile::write_duration;

/// The defaults of definitions.
#[derive(Debug)]
pub struct Defaults {
    /// One attempt's time, of a do and of an undo.
    pub timeout_ms: Millis,
    /// The wait before the second attempt.
    pub retry_first_ms: Millis,
    /// Each further wait is so many times longer.
    pub retry_factor: f64,
    /// The longest wait between attempts.
    pub retry_max_ms: Millis,
    /// So much of each wait, in percent, is spread, so that what failed together does not come back together.
    pub jitter_percent: u32,
    /// A step's whole time before the pivot.
    pub within_before_ms: Millis,
    /// A step's whole time on the pivot and behind it.
    pub within_behind_ms: Millis,
    /// An undo's whole time; then the saga is stuck.
    pub undo_within_ms: Millis,
    /// The longest wait between an undo's attempts.
    pub undo_retry_max_ms: Millis,
    /// How long the row of a finished saga stays.
    pub retain_ms: Millis,
    /// How long an event that comes before it is waited for is kept.
    pub keep_ms: Millis,
    /// Items of a for_each that are under way at the same time.
    pub at_once: u16,
    /// How long a participant remembers idempotency keys, unless the setting `participants.NAME.remembers` says otherwise.
    pub remembers_ms: Millis,
}

/// The one table.
pub const DEFAULTS: Defaults = Defaults {
    timeout_ms: 10_000,
    retry_first_ms: 200,
    retry_factor: 2.0,
    retry_max_ms: 30_000,
    jitter_percent: 20,
    within_before_ms: 5 * 60_000,
    within_behind_ms: 24 * 3_600_000,
    undo_within_ms: 30 * 60_000,
    undo_retry_max_ms: 60_000,
    retain_ms: 7 * 86_400_000,
    keep_ms: 7 * 86_400_000,
    at_once: 10,
    remembers_ms: REMEMBERS_MS,
};

impl Defaults {
    /// A step's whole time, by where it stands to the pivot.
    pub fn within_ms(&self, phase: Phase) -> Millis {
        match phase {
            Phase::Compensatable => self.within_before_ms,
            Phase::Pivot | Phase::Retriable => self.within_behind_ms,
        }
    }

    /// How a step is tried again.
    pub fn retry(&self) -> Retry {
        Retry {
            attempts: None,
            first_ms: self.retry_first_ms,
            factor: self.retry_factor,
            max_ms: self.retry_max_ms,
            not_on: Vec::new(),
        }
    }

    /// How an undo is tried again.
    pub fn undo_retry(&self) -> Retry {
        Retry { max_ms: self.undo_retry_max_ms, ..self.retry() }
    }

    /// The table of docs/SAGAS.md: what, its default, what it means.
    pub fn table(&self) -> Vec<[String; 3]> {
        let row = |what: &str, value: String, meaning: &str| [what.to_owned(), value, meaning.to_owned()];
        let duration = write_duration;
        vec![
            row("`timeout`", duration(self.timeout_ms), "one attempt; an undo's attempt has its step's timeout"),
            row("`within`", duration(self.within_before_ms), "the whole step before the pivot, retries included"),
            row("`within`", duration(self.within_behind_ms), "the whole step on the pivot and behind it"),
            row("`retry.attempts`", "as many as `within` allows".into(), "attempts in all"),
            row("`retry.first`", duration(self.retry_first_ms), "wait before the second attempt"),
            row("`retry.factor`", self.retry_factor.to_string(), "each further wait is so many times longer"),
            row("`retry.max`", duration(self.retry_max_ms), "longest wait between attempts"),
            row("jitter", format!("{} %", self.jitter_percent), "of each wait, derived from the command id"),
            row("undo", duration(self.undo_within_ms), "the whole undo, retries included; then the saga is stuck"),
            row("undo's longest wait", duration(self.undo_retry_max_ms), "between its attempts"),
            row("`retain`", duration(self.retain_ms), "how long a finished saga is kept, and its repeated start recognised"),
            row("`keep`", duration(self.keep_ms), "how long an event that comes before it is waited for is kept"),
            row("`at_once`", self.at_once.to_string(), "items of a `for_each` that are under way at the same time"),
            row("`deadline`", "none".into(), "the whole saga"),
            row("`participants.NAME.remembers`", duration(self.remembers_ms), "how long a participant remembers idempotency keys"),
        ]
    }
}
