//! What a look at all rows of the store found: as of the last one, of the partitions that are owned here.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use ringmaster_core::definition::Catalog;
use ringmaster_schemas::Millis;

use super::family::Family;
use super::names::{APPROVALS, APPROVALS_OLDEST, Metric, ORPHANS, RETENTION_USED, SCRUBBED, TOO_LONG};
use crate::alerts::Sample;
use crate::runtime::Scrubbed;

/// All metrics that are told here.
pub(super) const ALL: [&Metric; 6] = [&ORPHANS, &SCRUBBED, &RETENTION_USED, &TOO_LONG, &APPROVALS, &APPROVALS_OLDEST];

/// What was found last: in the order of [`ALL`].
pub(super) struct ByRow(Mutex<[Family<f64>; ALL.len()]>);

fn nothing() -> [Family<f64>; ALL.len()] {
    ALL.map(|metric| if metric.labels == ["partition"] { Family::of_partitions(metric) } else { Family::new(metric) })
}

impl ByRow {
    pub(super) fn new() -> ByRow {
        ByRow(Mutex::new(nothing()))
    }

    /// Takes in what was found at this time; definitions and steps by their names.
    pub(super) fn set(&self, found: &BTreeMap<i32, Scrubbed>, catalog: &Catalog, at: Millis) {
        let mut levels = nothing();
        let [orphans, scrubbed, retention, too_long, approvals, oldest] = &mut levels;
        for (partition, of) in found {
            let partition = partition.to_string();
            *orphans.of(&[&partition]) = of.orphans as f64;
            *scrubbed.of(&[&partition]) = of.at as f64 / 1_000.0;
            *retention.of(&[&partition]) = of.retention_used;
            for ((version, node), count) in &of.too_long {
                let definition = catalog.by_hash(version);
                let step = definition.and_then(|definition| definition.node(*node)).map_or("unknown", |node| &*node.name);
                *too_long.of(&[definition.map_or("unknown", |definition| &*definition.name), step]) += *count as f64;
            }
            for (role, (count, since)) in &of.approvals {
                *approvals.of(&[role]) += *count as f64;
                let known = oldest.of(&[role]);
                *known = known.max((at - since).max(0) as f64 / 1_000.0);
            }
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = levels;
    }

    pub(super) fn render(&self, out: &mut String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|family| family.render_numbers(out));
    }

    /// The same as numbers.
    pub(super) fn samples(&self, out: &mut Vec<Sample>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|family| family.samples(out));
    }
}
