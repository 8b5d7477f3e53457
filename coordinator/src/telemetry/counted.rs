//! Gauges by names of definitions and participants: as many as there are, and 0 where there are none any more.

use std::collections::BTreeMap;
use std::sync::Mutex;

use metrics::{Gauge, Label, Recorder as _};
use metrics_exporter_prometheus::PrometheusRecorder;
use ringmaster_schemas::Millis;

use super::metrics::{METADATA, key};
use super::names::{Metric, PARTICIPANT_GAUGES, SAGAS};
use crate::api::Overview;
use crate::runtime::Totals;

/// So many of a kind have a series of their own; what is more is told as `other`.
const SERIES_MAX: usize = 200;

/// All that was ever told.
#[derive(Default)]
pub(super) struct ByName(Mutex<BTreeMap<(&'static str, Vec<String>), Gauge>>);

impl ByName {
    /// Sets all to what is so now.
    pub(super) fn set(&self, recorder: &PrometheusRecorder, overview: &Overview, totals: &Totals, now: Millis) {
        let mut gauges = self.0.lock().expect("no panic while metrics were rendered");
        let mut levels = Levels::default();
        for of in &overview.definitions {
            let name = of.definition.as_deref().unwrap_or(&of.version);
            for ((status, reason), sagas) in of.standing() {
                levels.add(&SAGAS, &[name, status, reason], sagas as f64);
            }
        }
        for (name, of) in &totals.participants {
            PARTICIPANT_GAUGES.iter().for_each(|(metric, level)| levels.add(metric, &[name], level(of, now)));
        }
        gauges.values().for_each(|gauge| gauge.set(0.0));
        for ((name, values), (metric, level)) in levels.0 {
            let labels = metric.labels.iter().zip(&values).map(|(name, value)| Label::new(*name, value.clone())).collect();
            let register = || recorder.register_gauge(&key(metric, labels), &METADATA);
            gauges.entry((name, values)).or_insert_with(register).set(level);
        }
    }
}

/// By metric and values of its labels.
#[derive(Default)]
struct Levels(BTreeMap<(&'static str, Vec<String>), (&'static Metric, f64)>);

impl Levels {
    fn add(&mut self, metric: &'static Metric, values: &[&str], level: f64) {
        let mut place = (metric.name, values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>());
        let is_full = || self.0.keys().filter(|(name, _)| *name == metric.name).count() >= SERIES_MAX;
        if !self.0.contains_key(&place) && is_full() {
            place.1.fill("other".to_owned());
        }
        let known = &mut self.0.entry(place).or_insert((metric, 0.0)).1;
        // Of ages the largest counts, of all else the sum.
        *known = if metric.unit == "seconds" { known.max(level) } else { *known + level };
    }
}
