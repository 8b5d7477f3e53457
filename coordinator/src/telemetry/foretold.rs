//! What participants can do, and how many members they should have: gauges by name, NaN where that is not known.

use std::fmt::{self, Display};
use std::sync::Mutex;

use super::family::{Family, IntoNumber};
use super::names::{FORETOLD_GAUGES, Metric};
use crate::alerts::Sample;
use crate::scaling::Told;

/// A number as the text format has it.
#[derive(Clone, Copy, Default)]
struct Level(f64);

impl Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == f64::INFINITY { f.write_str("+Inf") } else { self.0.fmt(f) }
    }
}

impl IntoNumber for Level {
    fn number(self) -> f64 {
        self.0
    }
}

/// What was told last.
pub(super) struct Foretold(Mutex<Vec<Family<Level>>>);

impl Foretold {
    pub(super) fn new() -> Foretold {
        Foretold(Mutex::new(Vec::new()))
    }

    /// Tells this from now on. Whoever is not among them any more is not told of: 0 would be made up.
    pub(super) fn set(&self, told: &[Told]) {
        let families = FORETOLD_GAUGES.iter().map(|(metric, level)| {
            let mut family = Family::<Level>::new(metric);
            for of in told {
                *family.of(&[&of.participant]) = Level(level(of).unwrap_or(f64::NAN));
            }
            family
        });
        *self.0.lock().expect("no panic while metrics were rendered") = families.collect();
    }

    pub(super) fn render(&self, out: &mut String) {
        let families = self.0.lock().expect("no panic while metrics were rendered");
        if families.is_empty() {
            FORETOLD_GAUGES.iter().for_each(|(metric, _)| Family::<Level>::new(metric).render_numbers(out));
        }
        families.iter().for_each(|family| family.render_numbers(out));
    }

    /// The same as numbers.
    pub(super) fn samples(&self, out: &mut Vec<Sample>) {
        self.0.lock().expect("no panic while metrics were rendered").iter().for_each(|family| family.samples(out));
    }
}

/// All metrics that are told here.
pub(super) fn all() -> impl Iterator<Item = &'static Metric> {
    FORETOLD_GAUGES.iter().map(|(metric, _)| metric)
}
