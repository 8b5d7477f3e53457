//! Gauges by names of definitions and participants: as many as there are, and 0 where there are none any more.

use std::sync::Mutex;

use ringmaster_schemas::Millis;

use super::family::Family;
use super::names::{Metric, PARTICIPANT_GAUGES, SAGAS};
use crate::alerts::Sample;
use crate::api::Overview;
use crate::runtime::Totals;

/// All that was ever told.
pub(super) struct ByName(Mutex<Levels>);

struct Levels {
    sagas: Family<f64>,
    /// In the order of their table.
    participants: Vec<Family<f64>>,
}

impl ByName {
    pub(super) fn new() -> ByName {
        let participants = PARTICIPANT_GAUGES.iter().map(|(metric, _)| Family::new(metric)).collect();
        ByName(Mutex::new(Levels { sagas: Family::new(&SAGAS), participants }))
    }

    /// Sets all to what is so now.
    pub(super) fn set(&self, overview: &Overview, totals: &Totals, now: Millis) {
        let mut levels = self.0.lock().expect("no panic while metrics were rendered");
        let Levels { sagas, participants } = &mut *levels;
        sagas.reset();
        for of in &overview.definitions {
            let name = of.definition.as_deref().unwrap_or(&of.version);
            for ((status, reason), count) in of.standing() {
                *sagas.of(&[name, status, reason]) += count as f64;
            }
        }
        for ((metric, level), family) in PARTICIPANT_GAUGES.iter().zip(participants) {
            family.reset();
            for (name, of) in &totals.participants {
                let (known, level) = (family.of(&[name]), level(of, now));
                // Of ages the largest counts where several are told as one, of all else the sum.
                *known = if metric.unit == "seconds" { known.max(level) } else { *known + level };
            }
        }
    }

    /// What is watched of it, as numbers.
    pub(super) fn samples(&self, out: &mut Vec<Sample>) {
        let levels = self.0.lock().expect("no panic while metrics were rendered");
        levels.sagas.samples(out);
        levels.participants.iter().for_each(|family| family.samples(out));
    }

    pub(super) fn render(&self, out: &mut String) {
        let levels = self.0.lock().expect("no panic while metrics were rendered");
        levels.sagas.render_numbers(out);
        levels.participants.iter().for_each(|family| family.render_numbers(out));
    }
}

/// All metrics that are told here.
pub(super) fn all() -> impl Iterator<Item = &'static Metric> {
    [&SAGAS].into_iter().chain(PARTICIPANT_GAUGES.iter().map(|(metric, _)| metric))
}
