//! What a run found: a row for each class of faults, and all that was violated.

use std::collections::BTreeMap;
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};

use super::Class;

/// One fault.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Fault {
    /// Which round, from 1 on.
    pub round: u64,
    /// Of what kind.
    pub class: Class,
    /// Orders that were under way in what it hit, at that moment.
    pub under_way: usize,
    /// They were enough.
    pub is_proven: bool,
    /// Until the first order of what it hit ended, in milliseconds.
    pub first_ms: u64,
    /// Until an order that was placed behind it had ended in each partition that it hit, and all partitions were owned, in milliseconds.
    pub all_ms: u64,
    /// Another one was made at the same moment.
    #[serde(default)]
    pub is_with_another: bool,
}

/// Something that must never happen.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Violation {
    /// In which round, from 1 on.
    pub round: u64,
    /// While this fault was made or recovered from; none at the end of the round.
    pub fault: Option<String>,
    /// What.
    pub what: String,
}

/// The faults of a class, together.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Row {
    /// The class.
    pub fault: String,
    /// How many were made.
    pub made: usize,
    /// How many of them hit enough that was under way.
    pub proven: usize,
    /// Sagas that were under way when one hit, all together.
    pub sagas_under_fault: usize,
    /// Sagas under way at a fault: the median.
    pub under_way_p50: usize,
    /// Until the first saga of what was hit ended, in milliseconds.
    pub first_ms_p50: u64,
    /// The same, of 99 of 100.
    pub first_ms_p99: u64,
    /// Until all went on, in milliseconds.
    pub all_ms_p50: u64,
    /// The same, of 99 of 100.
    pub all_ms_p99: u64,
    /// Violations in rounds in which it was made.
    pub violations: usize,
}

/// Sagas of random definitions.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Random {
    /// Of so many definitions.
    pub definitions: usize,
    /// Sagas that were started.
    pub sagas: u64,
    /// Sagas that completed.
    pub completed: u64,
    /// Sagas that were undone.
    pub compensated: u64,
    /// Sagas that wait for a person, behind all that was tried.
    pub stuck: u64,
}

impl Random {
    pub(super) fn add(&mut self, other: &Random) {
        self.definitions += other.definitions;
        self.sagas += other.sagas;
        self.completed += other.completed;
        self.compensated += other.compensated;
        self.stuck += other.stuck;
    }
}

impl std::fmt::Display for Random {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Random { definitions, sagas, completed, compensated, stuck } = self;
        write!(
            out,
            "{sagas} sagas of {definitions} random definitions = completed {completed} + compensated {compensated} + stuck {stuck}"
        )
    }
}

/// All that a run found, or several did, or a round.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Report {
    pub(super) faults: Vec<Fault>,
    /// Rounds that were compared at their ends.
    pub rounds: u64,
    /// Sagas of those.
    pub issued: u64,
    /// Sagas that completed.
    pub completed: u64,
    /// Sagas that were undone.
    pub compensated: u64,
    /// Beside those.
    #[serde(default)]
    pub random: Random,
    /// Rows of stores that the journal alone makes again, byte for byte.
    pub rows: usize,
    /// What must never happen, and did.
    pub violations: Vec<Violation>,
    /// Where what is left of the round that was violated is kept, and the command that makes it again.
    pub evidence: Vec<String>,
    /// A person ended it before its time.
    pub was_ended: bool,
    /// How long it took.
    pub took: Duration,
}

impl Report {
    /// A row for each class that was made, and one for all of them.
    pub fn rows_by_class(&self) -> Vec<Row> {
        let mut by_class: BTreeMap<Class, Vec<&Fault>> = BTreeMap::new();
        self.faults.iter().for_each(|fault| by_class.entry(fault.class).or_default().push(fault));
        let mut rows: Vec<Row> = by_class.iter().map(|(class, faults)| self.row(class.name(), faults)).collect();
        rows.push(self.row("all", &self.faults.iter().collect::<Vec<_>>()));
        rows
    }

    fn row(&self, name: &str, faults: &[&Fault]) -> Row {
        let proven: Vec<&&Fault> = faults.iter().filter(|fault| fault.is_proven).collect();
        let ms = |of: fn(&Fault) -> u64| proven.iter().map(|fault| of(fault)).collect::<Vec<_>>();
        let (first, all) = (ms(|fault| fault.first_ms), ms(|fault| fault.all_ms));
        let under_way: Vec<u64> = proven.iter().map(|fault| fault.under_way as u64).collect();
        let is_hit = |violation: &&Violation| faults.iter().any(|fault| fault.round == violation.round) || name == "all";
        Row {
            fault: name.to_owned(),
            made: faults.len(),
            proven: proven.len(),
            sagas_under_fault: under_way.iter().sum::<u64>() as usize,
            under_way_p50: quantile(&under_way, 50) as usize,
            first_ms_p50: quantile(&first, 50),
            first_ms_p99: quantile(&first, 99),
            all_ms_p50: quantile(&all, 50),
            all_ms_p99: quantile(&all, 99),
            violations: self.violations.iter().filter(is_hit).count(),
        }
    }

    /// Adds what other rounds found; their numbers go on behind these.
    pub fn add(&mut self, other: Report) {
        let before = self.last_round();
        self.faults.extend(other.faults.into_iter().map(|fault| Fault { round: before + fault.round, ..fault }));
        self.violations.extend(other.violations.into_iter().map(|found| Violation { round: before + found.round, ..found }));
        self.rounds += other.rounds;
        self.issued += other.issued;
        self.completed += other.completed;
        self.compensated += other.compensated;
        self.random.add(&other.random);
        self.rows += other.rows;
        self.evidence.extend(other.evidence);
        self.was_ended |= other.was_ended;
        self.took += other.took;
    }

    fn last_round(&self) -> u64 {
        let begun = self.faults.iter().map(|fault| fault.round).chain(self.violations.iter().map(|found| found.round));
        begun.max().unwrap_or_default().max(self.rounds)
    }

    /// How many faults count.
    pub fn proven(&self) -> usize {
        self.faults.iter().filter(|fault| fault.is_proven).count()
    }

    /// How many faults were made.
    pub fn made(&self) -> usize {
        self.faults.len()
    }

    /// How many of them came two at once.
    pub fn together(&self) -> usize {
        self.faults.iter().filter(|fault| fault.is_with_another).count()
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut table = Table::new();
        table.load_preset(presets::UTF8_FULL_CONDENSED);
        let head = [
            "fault",
            "made",
            "proven",
            "sagas under fault",
            "under way, median",
            "first ends p50 / p99",
            "all move p50 / p99",
            "violations",
        ];
        table.set_header(head);
        let seconds = |p50: u64, p99: u64| format!("{:.1} / {:.1} s", p50 as f64 / 1e3, p99 as f64 / 1e3);
        for row in self.rows_by_class() {
            let counts = [row.made, row.proven, row.sagas_under_fault, row.under_way_p50].map(|count| count.to_string());
            let times = [seconds(row.first_ms_p50, row.first_ms_p99), seconds(row.all_ms_p50, row.all_ms_p99)];
            table.add_row([&[row.fault], &counts[..], &times, &[row.violations.to_string()]].concat());
        }
        table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
        let mut text = format!("{table}\n{}\n", self.sums());
        for violation in &self.violations {
            let when = violation.fault.as_deref().unwrap_or("at its end");
            text += &format!("VIOLATED in round {} ({when}): {}\n", violation.round, violation.what);
        }
        self.evidence.iter().for_each(|line| text += &format!("{line}\n"));
        text
    }

    fn sums(&self) -> String {
        let random = if self.random.sagas == 0 { String::new() } else { format!("{}; ", self.random) };
        let together = match self.together() {
            0 => String::new(),
            count => format!("{count} of the faults came two at once; "),
        };
        let ended = if self.was_ended { "; ended by hand: its last round was not compared" } else { "" };
        format!(
            "{together}{} rounds in {:.1} minutes: issued {} = completed {} + compensated {}; {random}{} rows of stores are what the journal makes (and snapshots, where it is short); \
             {} violations{ended}",
            self.rounds,
            self.took.as_secs_f64() / 60.0,
            self.issued,
            self.completed,
            self.compensated,
            self.rows,
            self.violations.len()
        )
    }

    /// For machines: an object of all.
    pub fn json(&self) -> String {
        let value = serde_json::json!({
            "faults": self.rows_by_class(),
            "faults_two_at_once": self.together(),
            "rounds": self.rounds,
            "seconds": self.took.as_secs(),
            "issued": self.issued,
            "completed": self.completed,
            "compensated": self.compensated,
            "random": self.random,
            "rows_compared": self.rows,
            "violations": self.violations,
            "evidence": self.evidence,
            "ended_by_hand": self.was_ended,
        });
        format!("{value}\n")
    }
}

/// The value that so many of 100 are not above; 0 of none.
fn quantile(values: &[u64], percent: usize) -> u64 {
    let mut values = values.to_vec();
    values.sort_unstable();
    let place = (values.len() * percent).div_ceil(100).saturating_sub(1);
    values.get(place).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_there() {
        assert_eq!([quantile(&[], 50), quantile(&[7], 99), quantile(&[3, 1, 2], 50), quantile(&[1, 2, 3, 4], 50)], [0, 7, 2, 2]);
        assert_eq!(quantile(&(1..=200).collect::<Vec<_>>(), 99), 198);
    }

    #[test]
    fn what_hit_too_little_counts_for_nothing() {
        let fault = |under_way, is_proven| Fault {
            round: 1,
            class: Class::KillBroker,
            under_way,
            is_proven,
            first_ms: 100,
            all_ms: 200,
            is_with_another: false,
        };
        let mut report = Report { faults: vec![fault(50, true), fault(1, false)], ..Report::default() };
        report.violations.push(Violation { round: 1, fault: None, what: "an order is lost".to_owned() });
        let rows = report.rows_by_class();
        assert_eq!((rows.len(), rows[0].made, rows[0].proven, rows[0].sagas_under_fault), (2, 2, 1, 50));
        assert_eq!((rows[0].violations, rows[1].violations), (1, 1));
        assert!(report.table().contains("VIOLATED in round 1 (at its end): an order is lost"));
    }
}
