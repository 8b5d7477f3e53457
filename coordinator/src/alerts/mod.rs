//! What somebody must know at once: rules over metrics, each a row of one table.
//!
//! ```text
//! RULES -> deploy/prometheus/ringmaster.rules.yml             where Prometheus watches
//!       -> Evaluator, once a second -> /api/v1/alerts, webhook   where it does not
//! ```
//!
//! The evaluator is held against Prometheus's own tool, sample by sample: what the one says the other says.

mod evaluate;
mod prometheus;
mod rules;
mod target;
mod watching;
mod webhook;
mod window;

pub use evaluate::{Alert, Evaluator, Sample, State};
pub use prometheus::{expression, rules_file};
pub use rules::RULES;
pub use target::Target;
pub use watching::{Alerts, Watching, watch};
pub use webhook::{SIGNATURE, Telling, Webhook};

use crate::telemetry::names::Metric;

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// What the alert is called.
    pub name: &'static str,
    /// How soon somebody must look.
    pub severity: Severity,
    /// It holds where this does,
    pub when: Condition,
    /// unless this does, of the same labels.
    pub unless: Option<Condition>,
    /// There is one alert for each value of these labels.
    pub by: &'static [&'static str],
    /// It must hold so long, in seconds, before anybody is told.
    pub for_s: u32,
    /// One line for people; `{participant}` stands for the value of that label.
    pub summary: &'static str,
    /// What it means, how to look, what to do: a paragraph.
    pub runbook: &'static str,
}

/// How soon somebody must look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Now: customers wait, or will.
    Page,
    /// Within a working day.
    Warn,
}

impl Severity {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Page => "page",
            Severity::Warn => "warn",
        }
    }
}

/// What is asked of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Condition {
    /// Its name.
    pub metric: &'static str,
    /// Only series of which this label has one of these values.
    pub only: Option<(&'static str, &'static [&'static str])>,
    /// What is taken of each series.
    pub how: How,
    /// What is made of several.
    pub over: Over,
    /// How that is compared,
    pub is: Is,
    /// and with what.
    pub than: f64,
}

/// What is taken of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// What it is.
    Now,
    /// By how much it has grown within so many seconds, as Prometheus's `increase` has it.
    Grows(u32),
}

/// What is made of several series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// All of them together.
    Sum,
    /// The largest.
    Max,
    /// The smallest.
    Min,
}

/// A comparison. What is not a number is none of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Is {
    /// More than.
    Above,
    /// So much, or more.
    AtLeast,
    /// Less than.
    Below,
}

impl Is {
    /// Whether it is so.
    pub fn holds(self, value: f64, than: f64) -> bool {
        match self {
            Is::Above => value > than,
            Is::AtLeast => value >= than,
            Is::Below => value < than,
        }
    }

    /// As Prometheus writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Is::Above => ">",
            Is::AtLeast => ">=",
            Is::Below => "<",
        }
    }
}

impl Rule {
    /// What it asks, one question or two.
    pub fn conditions(&self) -> impl Iterator<Item = &Condition> {
        [&self.when].into_iter().chain(&self.unless)
    }
}

/// Whether a rule asks for it.
pub fn is_watched(metric: &Metric) -> bool {
    RULES.iter().flat_map(Rule::conditions).any(|condition| condition.metric == metric.name)
}

#[cfg(test)]
mod tests;
