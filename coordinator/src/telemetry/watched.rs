//! What is there for alerts: gauges and counters by partition and participant that no worker keeps by itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::family::Family;
use super::names::{BREAKER, CHECKPOINT_AGE, LAG_RECORDS, LAG_SECONDS, Metric, STORE_BYTES, TAKEOVERS};
use crate::alerts::Sample;
use crate::api::AsOf;
use crate::runtime::Lag;

/// All of it.
pub(super) struct Watched(Mutex<Levels>);

struct Levels {
    ages: Family<f64>,
    takeovers: Family<f64>,
    breakers: Family<f64>,
    lag_records: Family<f64>,
    lag_seconds: Family<f64>,
    store_bytes: Family<f64>,
}

impl Levels {
    fn all(&self) -> [&Family<f64>; 6] {
        [&self.ages, &self.takeovers, &self.breakers, &self.lag_records, &self.lag_seconds, &self.store_bytes]
    }
}

impl Watched {
    pub(super) fn new() -> Watched {
        let (ages, takeovers) = (Family::of_partitions(&CHECKPOINT_AGE), Family::of_partitions(&TAKEOVERS));
        let (lag_records, lag_seconds) = (Family::new(&LAG_RECORDS), Family::new(&LAG_SECONDS));
        let (breakers, store_bytes) = (Family::new(&BREAKER), Family::new(&STORE_BYTES));
        Watched(Mutex::new(Levels { ages, takeovers, breakers, lag_records, lag_seconds, store_bytes }))
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

    /// Takes in how large the store is; nothing is told of it before that is known.
    pub(super) fn store(&self, bytes: Option<u64>) {
        let mut levels = self.0.lock().expect("no panic while metrics were rendered");
        if let Some(bytes) = bytes {
            *levels.store_bytes.of(&[]) = bytes as f64;
        }
    }

    /// Takes in how far behind inputs are. What is read elsewhere now is not told of here any more: 0 would be made up.
    pub(super) fn lag(&self, lags: &[Lag]) {
        let (mut records, mut seconds) = (Family::<f64>::new(&LAG_RECORDS), Family::<f64>::new(&LAG_SECONDS));
        for of in lags {
            let labels = [&*of.topic, &of.partition.to_string()];
            *records.of(&labels) += of.records.map_or(f64::NAN, |count| count as f64);
            let known = seconds.of(&labels);
            // Where several are told as one the largest counts; what is not known of one is not known of all.
            *known = of.seconds.filter(|_| !known.is_nan()).map_or(f64::NAN, |age| known.max(age));
        }
        let mut levels = self.0.lock().expect("no panic while metrics were rendered");
        (levels.lag_records, levels.lag_seconds) = (records, seconds);
    }

    pub(super) fn render(&self, out: &mut String) {
        let levels = self.0.lock().expect("no panic while metrics were rendered");
        levels.all().into_iter().for_each(|family| family.render_numbers(out));
    }

    /// The same as numbers.
    pub(super) fn samples(&self, out: &mut Vec<Sample>) {
        let levels = self.0.lock().expect("no panic while metrics were rendered");
        levels.all().into_iter().for_each(|family| family.samples(out));
    }
}

/// All metrics that are told here.
pub(super) const ALL: [&Metric; 6] = [&CHECKPOINT_AGE, &TAKEOVERS, &BREAKER, &LAG_RECORDS, &LAG_SECONDS, &STORE_BYTES];
