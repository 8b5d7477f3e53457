//! A metric by the values of its labels, in Prometheus's text format.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use ringmaster_core::partition::{BOUNDS_MS, Histogram};

use super::names::Metric;
use crate::alerts::{Sample, is_watched};

/// So many of a kind have a series of their own; what is more is told as `other`.
pub(super) const SERIES_MAX: usize = 200;

/// All that have no series of their own.
pub(super) const OTHER: &str = "other";

/// One metric: by the values of its labels.
pub(super) struct Family<T> {
    metric: &'static Metric,
    series: BTreeMap<Vec<String>, T>,
    most: usize,
}

impl<T: Default> Family<T> {
    /// Of which nothing is told yet.
    pub(super) fn new(metric: &'static Metric) -> Self {
        Family { metric, series: BTreeMap::new(), most: SERIES_MAX }
    }

    /// By partition: settings say how many there are.
    pub(super) fn of_partitions(metric: &'static Metric) -> Self {
        Family { most: usize::MAX, ..Family::new(metric) }
    }

    /// The series of these values, made if there is none and room for one.
    pub(super) fn of(&mut self, values: &[&str]) -> &mut T {
        let mut place: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        if self.series.len() >= self.most && !self.series.contains_key(&place) {
            place.fill(OTHER.to_owned());
        }
        self.series.entry(place).or_default()
    }

    fn head(&self, out: &mut String) {
        let Metric { name, help, kind, .. } = self.metric;
        let _ = writeln!(out, "\n# HELP {name} {help}\n# TYPE {name} {}", kind.as_str());
    }

    /// The labels of a series, with one more behind them if there is one.
    fn labels(&self, values: &[String], more: Option<(&str, &str)>) -> String {
        let known = self.metric.labels.iter().copied().zip(values.iter().map(String::as_str));
        let each: Vec<String> = known.chain(more).map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        if each.is_empty() { String::new() } else { format!("{{{}}}", each.join(",")) }
    }
}

/// A value of a label as the text format has it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

impl Family<Histogram> {
    /// Its buckets, sum and count.
    pub(super) fn render(&self, out: &mut String) {
        self.head(out);
        let name = self.metric.name;
        for (values, of) in &self.series {
            let mut count = 0;
            for (bound, more) in BOUNDS_MS.iter().zip(&of.counts) {
                count += more;
                let le = (f64::from(*bound) / 1_000.0).to_string();
                let _ = writeln!(out, "{name}_bucket{} {count}", self.labels(values, Some(("le", &le))));
            }
            let (all, labels) = (of.count(), self.labels(values, None));
            let _ = writeln!(out, "{name}_bucket{} {all}", self.labels(values, Some(("le", "+Inf"))));
            let _ = writeln!(out, "{name}_sum{labels} {}\n{name}_count{labels} {all}", of.sum_ms as f64 / 1_000.0);
        }
    }
}

impl<T: Default + Display> Family<T> {
    /// A line for each series: a number.
    pub(super) fn render_numbers(&self, out: &mut String) {
        self.head(out);
        for (values, number) in &self.series {
            let _ = writeln!(out, "{}{} {number}", self.metric.name, self.labels(values, None));
        }
    }
}

impl<T: Copy + IntoNumber> Family<T> {
    /// The same as numbers, if anybody watches it.
    pub(super) fn samples(&self, out: &mut Vec<Sample>) {
        if is_watched(self.metric) {
            out.extend(self.series.iter().map(|(values, number)| Sample {
                metric: self.metric.name,
                labels: self.metric.labels.iter().copied().zip(values.iter().cloned()).collect(),
                value: number.number(),
            }));
        }
    }
}

/// What a series may be.
pub(super) trait IntoNumber {
    fn number(self) -> f64;
}

impl IntoNumber for f64 {
    fn number(self) -> f64 {
        self
    }
}

impl IntoNumber for u64 {
    fn number(self) -> f64 {
        self as f64
    }
}

impl Family<f64> {
    /// There is nothing of any series that was told before.
    pub(super) fn reset(&mut self) {
        self.series.values_mut().for_each(|level| *level = 0.0);
    }
}
