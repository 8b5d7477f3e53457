//! Results of many runs in one file: a line of JSON for each.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use comfy_table::{CellAlignment, Table, presets};

use super::{Counts, Mode};
use crate::lines;

/// What a run played.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Played {
    /// By which simulator.
    pub mode: Mode,
    /// The first seed.
    pub from: u64,
    /// Behind the last one.
    pub to: u64,
    /// Sagas of them.
    pub sagas: u64,
    /// How long it took.
    pub seconds: f64,
    /// What must never happen, and did.
    pub violations: Vec<String>,
    /// What happened, by name.
    pub counts: Counts,
}

impl Played {
    /// Sagas a second.
    pub fn rate(&self) -> f64 {
        self.sagas as f64 / self.seconds.max(1e-3)
    }
}

/// Adds what a run played to a file.
pub fn append(file: &Path, played: &Played) -> Result<(), String> {
    lines::append(file, played)
}

/// All that a file has. An error names the line that cannot be read.
pub fn read(file: &Path) -> Result<Vec<Played>, String> {
    lines::read(file)
}

#[derive(Default)]
struct Sum {
    runs: u64,
    seeds: u64,
    sagas: u64,
    seconds: f64,
    violations: usize,
    seen: Vec<Range<u64>>,
    again: u64,
}

impl Sum {
    /// Sagas of seeds that another run has played are no more sagas: such a run does not count, and that is said.
    fn add(&mut self, one: &Played) {
        self.violations += one.violations.len();
        if self.seen.iter().any(|seen| one.from < seen.end && seen.start < one.to) {
            self.again += 1;
            return;
        }
        self.seen.push(one.from..one.to);
        (self.runs, self.seeds, self.sagas) = (self.runs + 1, self.seeds + one.to - one.from, self.sagas + one.sagas);
        self.seconds += one.seconds;
    }

    fn row(&self, name: &str) -> Vec<String> {
        let rate = self.sagas as f64 / self.seconds.max(1e-3);
        let counts = [self.runs, self.seeds, self.sagas].map(grouped);
        let rest = [format!("{:.0}", self.seconds), format!("{rate:.0}"), self.violations.to_string()];
        [name.to_owned()].into_iter().chain(counts).chain(rest).collect()
    }
}

/// All runs added up, in a row for each simulator.
pub fn table(all: &[Played]) -> String {
    let (mut sums, mut total) = (BTreeMap::<Mode, Sum>::new(), Sum::default());
    for one in all {
        sums.entry(one.mode).or_default().add(one);
    }
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED);
    table.set_header(["played", "runs", "seeds", "sagas", "seconds", "sagas a second", "violations"]);
    for (mode, sum) in &sums {
        table.add_row(sum.row(&mode.to_string()));
        (total.runs, total.seeds, total.sagas) = (total.runs + sum.runs, total.seeds + sum.seeds, total.sagas + sum.sagas);
        (total.seconds, total.violations, total.again) =
            (total.seconds + sum.seconds, total.violations + sum.violations, total.again + sum.again);
    }
    table.add_row(total.row("all"));
    table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    let mut out = format!("{table}\n");
    if total.again > 0 {
        out.push_str(&format!("not counted: {} runs of seeds that an earlier one had played\n", total.again));
    }
    all.iter().flat_map(|one| &one.violations).for_each(|what| out.push_str(&format!("violated: {what}\n")));
    out
}

/// 1234567 -> 1,234,567.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn played(mode: Mode, from: u64, to: u64, sagas: u64) -> Played {
        Played { mode, from, to, sagas, seconds: 2.0, violations: Vec::new(), counts: Counts::new() }
    }

    #[test]
    fn runs_add_up_by_simulator_and_seeds_that_were_played_before_do_not_count() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("all.jsonl");
        let runs = [
            played(Mode::Definitions, 0, 1_000, 4_000),
            played(Mode::Protocol, 0, 1_000, 40_000),
            played(Mode::Definitions, 1_000, 2_000, 6_000),
            played(Mode::Definitions, 1_999, 5_000, 1_000_000),
        ];
        runs.iter().for_each(|one| append(&file, one).expect("it is written"));
        let all = read(&file).expect("it is read");
        assert_eq!(all, runs);
        let table = table(&all);
        let row = |name: &str| {
            let row = table.lines().find(|line| line.contains(name)).expect("a row");
            row.split(['│', '┆']).map(|cell| cell.trim().to_owned()).filter(|cell| !cell.is_empty()).collect::<Vec<_>>()
        };
        assert_eq!(row(" definitions "), ["definitions", "2", "2,000", "10,000", "4", "2500", "0"]);
        assert_eq!(row(" protocol "), ["protocol", "1", "1,000", "40,000", "2", "20000", "0"]);
        assert_eq!(row(" all "), ["all", "3", "3,000", "50,000", "6", "8333", "0"]);
        assert!(table.contains("not counted: 1 runs"), "{table}");
    }

    #[test]
    fn violations_are_listed_and_a_line_that_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("all.jsonl");
        let wrong = Played { violations: vec!["seed 7: hostile: lost".to_owned()], ..played(Mode::Protocol, 0, 8, 300) };
        append(&file, &wrong).expect("it is written");
        assert!(table(&read(&file).expect("it is read")).contains("violated: seed 7: hostile: lost"));
        std::fs::write(&file, std::fs::read_to_string(&file).expect("text") + "nonsense\n").expect("it is written");
        let error = read(&file).expect_err("it cannot be read");
        assert!(error.contains("all.jsonl, line 2: "), "{error}");
    }
}
