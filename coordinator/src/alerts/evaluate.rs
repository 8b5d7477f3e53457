//! Which alerts there are: values in, changes out; it knows no clock but the one that it is told.

use std::collections::{BTreeMap, VecDeque};

use super::window::Windows;
use super::{Condition, How, Over, Rule};

/// A rule has so many alerts; what is more is told as one, of which all labels are `other`.
const ALERTS_MAX: usize = 200;
/// So many that are over are remembered, the newest.
const OVER_MAX: usize = 200;

/// A series of a metric, as it is now.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The metric.
    pub metric: &'static str,
    /// By name.
    pub labels: Vec<(&'static str, String)>,
    /// What it is.
    pub value: f64,
}

/// How an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It holds, not for long enough yet.
    Pending,
    /// It holds.
    Firing,
    /// It has fired, and holds no more.
    Resolved,
}

impl State {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Firing => "firing",
            State::Resolved => "resolved",
        }
    }
}

/// An alert.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Of which rule.
    pub rule: &'static Rule,
    /// Of what, in the order of the rule.
    pub labels: Vec<String>,
    /// How it stands.
    pub state: State,
    /// Since when it holds, or, resolved, holds no more; in milliseconds since 1970.
    pub since: i64,
    /// What was compared, when it held last.
    pub value: f64,
}

/// All alerts of one instance.
#[derive(Debug)]
pub struct Evaluator {
    rules: Vec<Watched>,
    /// The oldest first.
    over: VecDeque<Alert>,
}

#[derive(Debug)]
struct Watched {
    rule: &'static Rule,
    when: Windows,
    unless: Windows,
    /// Those that hold, by their labels.
    alerts: BTreeMap<Vec<String>, Alert>,
}

impl Evaluator {
    /// Of which nothing holds yet.
    pub fn new(rules: &'static [Rule]) -> Evaluator {
        let watched = |rule| Watched { rule, when: Windows::default(), unless: Windows::default(), alerts: BTreeMap::new() };
        Evaluator { rules: rules.iter().map(watched).collect(), over: VecDeque::new() }
    }

    /// Takes in how everything is now, in milliseconds since 1970; what began to fire or is over.
    pub fn turn(&mut self, now: i64, samples: &[Sample]) -> Vec<Alert> {
        let changes: Vec<Alert> = self.rules.iter_mut().flat_map(|watched| watched.turn(now, samples)).collect();
        let over = changes.iter().filter(|change| change.state == State::Resolved);
        self.over.extend(over.cloned());
        while self.over.len() > OVER_MAX {
            self.over.pop_front();
        }
        changes
    }

    /// Those that hold, in the order of the rules; then those that are over, the newest first.
    pub fn alerts(&self) -> Vec<Alert> {
        let hold = self.rules.iter().flat_map(|watched| watched.alerts.values());
        hold.chain(self.over.iter().rev()).cloned().collect()
    }
}

impl Watched {
    fn turn(&mut self, now: i64, samples: &[Sample]) -> Vec<Alert> {
        let rule = self.rule;
        let mut holds = holding(&rule.when, &mut self.when, rule.by, now, samples);
        if let Some(unless) = &rule.unless {
            let excused = holding(unless, &mut self.unless, rule.by, now, samples);
            holds.retain(|labels, _| !excused.contains_key(labels));
        }
        let mut changes = Vec::new();
        let mut told = std::mem::take(&mut self.alerts);
        let mut rest: Option<f64> = None;
        // Those that are told keep their places; what is new has the rest of them.
        let (known, new): (Vec<_>, Vec<_>) = holds.into_iter().partition(|(labels, _)| told.contains_key(labels));
        for (labels, value) in known.into_iter().chain(new) {
            if self.alerts.len() >= ALERTS_MAX {
                rest = Some(rest.map_or(value, |known| known.max(value)));
                continue;
            }
            let alert = told.remove(&labels).unwrap_or_else(|| Alert::new(rule, labels.clone(), now));
            self.alerts.insert(labels, Alert { value, ..alert });
        }
        if let Some(value) = rest {
            let labels = vec!["other".to_owned(); rule.by.len()];
            let alert = told.remove(&labels).unwrap_or_else(|| Alert::new(rule, labels.clone(), now));
            // A metric may tell its own rest by that word; it is one of those.
            self.alerts.entry(labels).or_insert(alert).value = value;
        }
        for alert in self.alerts.values_mut() {
            if alert.state == State::Pending && now - alert.since >= i64::from(rule.for_s) * 1_000 {
                alert.state = State::Firing;
                changes.push(alert.clone());
            }
        }
        let over = told.into_values().filter(|alert| alert.state == State::Firing);
        changes.extend(over.map(|alert| Alert { state: State::Resolved, since: now, ..alert }));
        changes
    }
}

impl Alert {
    fn new(rule: &'static Rule, labels: Vec<String>, since: i64) -> Alert {
        Alert { rule, labels, state: State::Pending, since, value: 0.0 }
    }

    /// What it is of, by name.
    pub fn labels(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.rule.by.iter().copied().zip(self.labels.iter().map(String::as_str))
    }

    /// The rule's line, of this alert.
    pub fn summary(&self) -> String {
        let put = |text: String, (name, value): (&str, &str)| text.replace(&format!("{{{name}}}"), value);
        self.labels().fold(self.rule.summary.to_owned(), put)
    }
}

/// Of which labels a condition holds, and by what value.
fn holding(condition: &Condition, windows: &mut Windows, by: &[&str], now: i64, samples: &[Sample]) -> BTreeMap<Vec<String>, f64> {
    let mut found: BTreeMap<Vec<String>, f64> = BTreeMap::new();
    let mut add = |labels: Vec<String>, value: f64| {
        found.entry(labels).and_modify(|known| *known = condition.over.of(*known, value)).or_insert(value);
    };
    let asked = samples.iter().filter(|sample| sample.metric == condition.metric && condition.takes(sample));
    match condition.how {
        How::Now => asked.for_each(|sample| add(values_of(sample, by), sample.value)),
        How::Grows(within_s) => {
            let window_ms = i64::from(within_s) * 1_000;
            windows.begin(now, window_ms);
            // By the labels of the alert first, so that those are found again; the others tell series apart.
            asked.for_each(|sample| windows.sample(place_of(sample, by), now, sample.value));
            windows.grown(now, window_ms).for_each(|(place, grown)| add(place[..by.len()].to_vec(), grown));
        }
    }
    found.retain(|_, value| condition.is.holds(*value, condition.than));
    found
}

/// The values of these labels; of one that is not there it is empty, as Prometheus has it.
fn values_of(sample: &Sample, by: &[&str]) -> Vec<String> {
    let value =
        |label: &&str| sample.labels.iter().find(|(name, _)| name == label).map_or_else(String::new, |(_, value)| value.clone());
    by.iter().map(value).collect()
}

fn place_of(sample: &Sample, by: &[&str]) -> Vec<String> {
    let others = sample.labels.iter().filter(|(name, _)| !by.contains(name)).map(|(_, value)| value.clone());
    values_of(sample, by).into_iter().chain(others).collect()
}

impl Condition {
    fn takes(&self, sample: &Sample) -> bool {
        self.only.is_none_or(|(label, values)| {
            sample.labels.iter().any(|(name, value)| *name == label && values.contains(&value.as_str()))
        })
    }
}

impl Over {
    /// Of what is known and one more. A number counts more than what is none, unless both are added up.
    fn of(self, known: f64, more: f64) -> f64 {
        match self {
            Over::Sum => known + more,
            Over::Max if known < more || known.is_nan() => more,
            Over::Min if known > more || known.is_nan() => more,
            Over::Max | Over::Min => known,
        }
    }
}
