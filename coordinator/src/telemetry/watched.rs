//! What is there for alerts: gauges and counters by partition and participant that no worker keeps by itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::family::Family;
use super::names::{BREAKER, CHECKPOINT_AGE, Metric, TAKEOVERS};
use crate::alerts::Sample;
use crate::api::AsOf;

/// All of it.
pub(super) struct Watched(Mutex<Levels>);

struct Levels {
    ages: Family<f64>,
    takeovers: Family<f64>,
    breakers: Family<f64>,
}

impl Watched {
    pub(super) fn new() -> Watched {
        let (ages, takeovers) = (Family::of_partitions(&CHECKPOINT_AGE), Family::of_partitions(&TAKEOVERS));
        Watched(Mutex::new(Levels { ages, takeovers, breakers: Family::new(&BREAKER) }))
    }

    /// Takes in how old each checkpoint is, and how breakers stand; of what is not named there is nothing any more.
    pub(super) fn set(&self, as_of: &[AsOf], breakers: &BTreeMap<Arc<str>, u8>) {
        let mut levels = self.0.lock().expect("no panic while metrics were rendered");
        levels.ages.reset();
        for of in as_of {
            *levels.ages.of(&[&of.partition.to_string()]) = of.age_ms as f64 / 1_000.0;
        }
        levels.breakers.reset();
        for (name, level) in breakers {
            let known = levels.breakers.of(&[name]);
            *known = known.max(f64::from(*level));
        }
    }

    /// Takes in how often each partition was taken over.
    pub(super) fn taken_over(&self, takeovers: &BTreeMap<i32, u64>) {
        let mut levels = self.0.lock().expect("no panic while metrics were rendered");
        for (partition, times) in takeovers {
            *levels.takeovers.of(&[&partition.to_string()]) = *times as f64;
        }
    }

    pub(super) fn render(&self, out: &mut String) {
        let levels = self.0.lock().expect("no panic while metrics were rendered");
        [&levels.ages, &levels.takeovers, &levels.breakers].into_iter().for_each(|family| family.render_numbers(out));
    }

    /// The same as numbers.
    pub(super) fn samples(&self, out: &mut Vec<Sample>) {
        let levels = self.0.lock().expect("no panic while metrics were rendered");
        [&levels.ages, &levels.takeovers, &levels.breakers].into_iter().for_each(|family| family.samples(out));
    }
}

/// All metrics that are told here.
pub(super) const ALL: [&Metric; 3] = [&CHECKPOINT_AGE, &TAKEOVERS, &BREAKER];
