//! What came of it: a table by crate, and every survivor with its place.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};
use serde::{Deserialize, Serialize};

use crate::slips::Slip;
use crate::tree::{Source, Tree};
use crate::trial::Fate;

/// A survivor, as it is told and kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Survivor {
    pub(crate) file: String,
    pub(crate) line: usize,
    pub(crate) text: String,
    pub(crate) slip: String,
    pub(crate) fate: String,
}

/// Counts of one crate.
#[derive(Debug, Default, Clone, Copy, Serialize)]
pub(crate) struct Counts {
    /// Slips that compile.
    pub(crate) slips: usize,
    /// Of them, those that a test comes to.
    pub(crate) reached: usize,
    pub(crate) sampled: usize,
    pub(crate) explained: usize,
    pub(crate) caught: usize,
    /// Of the caught, those that did not end.
    pub(crate) hung: usize,
    pub(crate) survived: usize,
}

impl Counts {
    /// Share of the caught among what changes something, in percent.
    pub(crate) fn percent(&self) -> f64 {
        let counted = self.caught + self.survived;
        if counted == 0 { 100.0 } else { 100.0 * self.caught as f64 / counted as f64 }
    }

    fn add(&mut self, other: &Counts) {
        self.slips += other.slips;
        self.reached += other.reached;
        self.sampled += other.sampled;
        self.explained += other.explained;
        self.caught += other.caught;
        self.hung += other.hung;
        self.survived += other.survived;
    }
}

/// A run's results.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) seed: u64,
    pub(crate) sample: usize,
    pub(crate) only: String,
    pub(crate) crates: BTreeMap<String, Counts>,
    pub(crate) survivors: Vec<Survivor>,
    pub(crate) failing_without_a_slip: Vec<String>,
}

impl Report {
    /// Nothing tried yet.
    pub(crate) fn new(seed: u64, sample: usize, only: String, tree: &Tree, reached: &BTreeSet<u32>) -> Report {
        let mut crates: BTreeMap<String, Counts> = BTreeMap::new();
        for (source, number, _) in tree.alive() {
            let counts = crates.entry(source.package.clone()).or_default();
            counts.slips += 1;
            counts.reached += usize::from(reached.contains(&number));
        }
        Report { seed, sample, only, crates, survivors: Vec::new(), failing_without_a_slip: Vec::new() }
    }

    /// A slip that is explained was drawn.
    pub(crate) fn explained(&mut self, source: &Source) {
        let counts = self.crates.entry(source.package.clone()).or_default();
        counts.sampled += 1;
        counts.explained += 1;
    }

    /// A slip was tried.
    pub(crate) fn take(&mut self, source: &Source, slip: &Slip, fate: &Fate) {
        let counts = self.crates.entry(source.package.clone()).or_default();
        counts.sampled += 1;
        counts.caught += usize::from(fate.is_caught());
        counts.hung += usize::from(*fate == Fate::Hung);
        if fate.is_caught() {
            return;
        }
        counts.survived += 1;
        let fate = match fate {
            Fate::Unreached => "no test comes to it".to_owned(),
            Fate::Survived { untried: 0 } => "every test that comes to it passes".to_owned(),
            Fate::Survived { untried } => format!("survived; {untried} tests that come to it take too long"),
            Fate::Caught(by) => format!("caught by {by}"),
            Fate::Hung => "caught: it never ends".to_owned(),
        };
        let survivor = survivor(source, slip, fate);
        eprintln!("mutants: survives: {survivor}");
        self.survivors.push(survivor);
    }

    /// All crates together.
    pub(crate) fn total(&self) -> Counts {
        let mut total = Counts::default();
        self.crates.values().for_each(|counts| total.add(counts));
        total
    }

    /// As it is printed.
    pub(crate) fn text(&self) -> String {
        let mut table = Table::new();
        table.load_preset(presets::UTF8_FULL_CONDENSED);
        table.set_header(["crate", "slips", "reached", "sampled", "explained", "caught", "of which hung", "survived", "caught %"]);
        let total = self.total();
        for (name, counts) in self.crates.iter().map(|(name, counts)| (name.as_str(), counts)).chain([("all", &total)]) {
            let Counts { slips, reached, sampled, explained, caught, hung, survived } = *counts;
            let numbers = [slips, reached, sampled, explained, caught, hung, survived].map(|number| number.to_string());
            let share = format!("{:.1}", counts.percent());
            table.add_row(std::iter::once(name.to_owned()).chain(numbers).chain([share]));
        }
        table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
        let mut out = format!("{table}\n");
        for survivor in &self.survivors {
            let _infallible = writeln!(out, "{survivor}");
        }
        out
    }
}

/// A slip with its place.
pub(crate) fn survivor(source: &Source, slip: &Slip, fate: String) -> Survivor {
    let line = source.line(slip.place.start);
    Survivor { file: source.path.clone(), line, text: source.line_text(line).to_owned(), slip: slip.says.clone(), fate }
}

impl std::fmt::Display for Survivor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}\n    {} ({})", self.file, self.line, self.text, self.slip, self.fate)
    }
}

/// Which share of the shipped code is not looked at, in words.
pub(crate) fn left_out(tree: &Tree) -> String {
    let mut by_why: BTreeMap<&str, usize> = BTreeMap::new();
    for source in &tree.sources {
        source.left_out.iter().for_each(|(why, bytes)| *by_why.entry(why).or_default() += bytes);
    }
    let all: usize = tree.sources.iter().map(|source| source.text.len() - source.beside).sum();
    let percent = |bytes: usize| 100.0 * bytes as f64 / all as f64;
    let each: Vec<String> = by_why.iter().map(|(why, &bytes)| format!("{why} {:.1} %", percent(bytes))).collect();
    format!("{:.1} % of the code is not looked at ({})", percent(by_why.values().sum()), each.join(", "))
}
