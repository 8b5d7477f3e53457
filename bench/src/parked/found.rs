//! What is reported, and what of it has a goal.

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use serde_json::{Value, json};

use crate::report::shown;
use crate::rounds::Spread;

/// A restart, or a takeover behind the group's decision, to the first decision.
const DECIDED_S: f64 = 2.0;
/// A parked saga on disk.
const DISK_BYTES: f64 = 400.0;
/// A coordinator with all of them.
const MEMORY_MIB: f64 = 512.0;

/// One restart, from the start of the process; or one takeover, from the kill. In seconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Round {
    /// Until the group had given the partitions.
    pub(super) given_s: f64,
    /// Until the first order was decided.
    pub(super) first_s: f64,
    /// Until one was in each partition.
    pub(super) last_s: f64,
    /// CPU that the coordinator took meanwhile, in steps of 10 ms: the least that it would have taken with the machine for itself.
    pub(super) cpu_s: f64,
    /// Sagas that were parked in these partitions.
    pub(super) parked: u64,
}

impl Round {
    pub(super) fn said(&self) -> String {
        let Round { given_s, first_s, last_s, cpu_s, .. } = self;
        format!("partitions given after {given_s:.3} s, decided after {first_s:.3} s, in all after {last_s:.3} s; CPU {cpu_s:.2} s")
    }
}

/// All that was measured.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) partitions: i32,
    /// The machine's load average before and afterwards.
    pub(super) load_average: [f64; 2],
    /// How long it took to park all.
    pub(super) fill_s: f64,
    /// Restarts after an orderly end, and after a kill.
    pub(super) stopped: Vec<Round>,
    pub(super) killed: Vec<Round>,
    pub(super) taken_over: Vec<Round>,
    /// How long a standby took until it was warm: the first time from an empty store.
    pub(super) warm_s: Vec<f64>,
    /// The store as it lay behind the first orderly end, and of how many sagas it was then.
    pub(super) disk_bytes: u64,
    pub(super) disk_sagas: u64,
    /// The store at the end, and with all its files merged.
    pub(super) disk_at_end_bytes: u64,
    pub(super) compacted_bytes: u64,
    /// Resident memory without sagas, and when all were parked; the most until then.
    pub(super) empty_rss_mib: f64,
    pub(super) filled_rss_mib: f64,
    pub(super) filled_peak_mib: f64,
    /// Of a warm standby, the most of all rounds.
    pub(super) standby_rss_mib: f64,
    /// The most that any coordinator ever had.
    pub(super) peak_mib: f64,
}

/// A line of the report.
struct Line {
    what: &'static str,
    unit: &'static str,
    value: Spread,
    goal: Option<f64>,
    /// It is a count: the same whatever the machine does beside.
    is_count: bool,
}

impl Line {
    fn is_missed(&self) -> bool {
        self.goal.is_some_and(|goal| self.value.median > goal)
    }
}

impl Found {
    pub(super) fn note_peak(&mut self, mib: f64) {
        self.peak_mib = self.peak_mib.max(mib);
    }

    pub(super) fn note_standby(&mut self, mib: f64) {
        self.standby_rss_mib = self.standby_rss_mib.max(mib);
    }

    fn lines(&self) -> Vec<Line> {
        let of = |rounds: &[Round], what: fn(&Round) -> f64| Spread::of(rounds.iter().map(what));
        let time = |what, value, goal| Line { what, unit: "s", value, goal, is_count: false };
        let count = |what, unit, value: f64, goal| {
            let value = Spread { median: value, min: value, max: value };
            Line { what, unit, value, goal, is_count: true }
        };
        let bytes = |bytes: u64| bytes as f64 / self.disk_sagas.max(1) as f64;
        vec![
            time(
                "restart after SIGTERM: process start to first decision",
                of(&self.stopped, |round| round.first_s),
                Some(DECIDED_S),
            ),
            time("  of it until the group has given the partitions", of(&self.stopped, |round| round.given_s), None),
            time("  to a decision in every partition", of(&self.stopped, |round| round.last_s), None),
            time("  CPU of the coordinator meanwhile", of(&self.stopped, |round| round.cpu_s), None),
            time(
                "restart after kill -9: process start to first decision",
                of(&self.killed, |round| round.first_s),
                Some(DECIDED_S),
            ),
            time("  of it until the group has given the partitions", of(&self.killed, |round| round.given_s), None),
            time("  to a decision in every partition", of(&self.killed, |round| round.last_s), None),
            time("  CPU of the coordinator meanwhile", of(&self.killed, |round| round.cpu_s), None),
            time(
                "takeover by a warm standby: given by the group to first decision",
                of(&self.taken_over, |round| round.first_s - round.given_s),
                Some(DECIDED_S),
            ),
            time("  to a decision in every partition", of(&self.taken_over, |round| round.last_s - round.given_s), None),
            time("  CPU of the coordinator meanwhile", of(&self.taken_over, |round| round.cpu_s), None),
            time("  kill -9 to given by the group (session.timeout.ms)", of(&self.taken_over, |round| round.given_s), None),
            time("a standby reads until it is warm", Spread::of(self.warm_s.iter().copied()), None),
            count("store, as it lies behind an orderly end", "bytes a saga", bytes(self.disk_bytes), Some(DISK_BYTES)),
            count("store, as it lies at the end", "bytes a saga", bytes(self.disk_at_end_bytes), Some(DISK_BYTES)),
            count("store, compacted", "bytes a saga", bytes(self.compacted_bytes), Some(DISK_BYTES)),
            count("coordinator without sagas", "MiB", self.empty_rss_mib, None),
            count("coordinator, all parked", "MiB", self.filled_rss_mib, Some(MEMORY_MIB)),
            count("  most until then", "MiB", self.filled_peak_mib, Some(MEMORY_MIB)),
            count("standby, warm", "MiB", self.standby_rss_mib, Some(MEMORY_MIB)),
            count("any coordinator, at most", "MiB", self.peak_mib, Some(MEMORY_MIB)),
        ]
    }

    /// Goals that were missed and are counts.
    pub(super) fn missed_counts(&self) -> Vec<String> {
        let lines = self.lines();
        let missed = lines.iter().filter(|line| line.is_count && line.is_missed());
        missed.map(|line| format!("{}: {:.0} {}", line.what.trim(), line.value.median, line.unit)).collect()
    }

    /// For people.
    pub(super) fn table(&self) -> String {
        let mut table = Table::new();
        table.load_preset(presets::UTF8_BORDERS_ONLY);
        table.set_header([&format!("{} parked sagas", self.disk_sagas), "", "", "goal"]);
        for line in self.lines() {
            let value = if line.is_count { format!("{:.0}", line.value.median) } else { shown(line.value, 3) };
            let verdict = if line.is_missed() { "MISSED" } else { "reached" };
            let goal = line.goal.map_or(String::new(), |goal| format!("{goal}: {verdict}"));
            table.add_row([line.what.to_owned(), value, line.unit.to_owned(), goal]);
        }
        if let Some(column) = table.column_mut(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let taken = Spread::of(self.taken_over.iter().map(|round| round.parked as f64));
        format!(
            "{table}\nmedians (ranges) of {} rounds, {} partitions; {:.0} parked sagas were in what was taken over; filled within {:.0} s; load \
             average {:.1} before, {:.1} afterwards",
            self.taken_over.len(),
            self.partitions,
            taken.median,
            self.fill_s,
            self.load_average[0],
            self.load_average[1],
        )
    }

    /// For programs: each line of the table, and each round.
    pub(super) fn json(&self) -> Value {
        let lines = self.lines();
        let lines = lines.iter().map(|line| {
            json!({
                "what": line.what.trim(), "unit": line.unit, "value": line.value, "goal": line.goal,
                "missed": line.goal.map(|_| line.is_missed()),
            })
        });
        let lines: Vec<Value> = lines.collect();
        json!({
            "parked": self.disk_sagas,
            "partitions": self.partitions,
            "lines": lines,
            "restarts_after_sigterm": self.stopped,
            "restarts_after_kill": self.killed,
            "takeovers": self.taken_over,
            "fill_s": self.fill_s,
            "load_average": self.load_average,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(given_s: f64, first_s: f64) -> Round {
        Round { given_s, first_s, last_s: first_s + 0.5, cpu_s: 0.25, parked: 1_000 }
    }

    fn found() -> Found {
        Found {
            partitions: 2,
            stopped: vec![round(0.2, 1.0), round(0.3, 2.5), round(0.2, 1.9)],
            killed: vec![round(0.2, 2.1)],
            taken_over: vec![round(6.0, 7.0), round(6.5, 9.0), round(6.0, 6.25)],
            disk_bytes: 300_000,
            disk_at_end_bytes: 400_000,
            compacted_bytes: 250_000,
            disk_sagas: 1_000,
            filled_rss_mib: 400.0,
            ..Found::default()
        }
    }

    #[test]
    fn medians_are_held_against_goals_and_a_takeover_counts_from_the_groups_decision() {
        let (found, json) = (found(), found().json());
        let table = found.table();
        for text in ["1.900 (1.000 - 2.500)", "2: reached", "2: MISSED", "1.000 (0.250 - 2.500)", "6.000 (6.000 - 6.500)"] {
            assert!(table.contains(text), "{text}: {table}");
        }
        let line = |what: &str| json["lines"].as_array().and_then(|all| all.iter().find(|line| line["what"] == what)).cloned();
        let killed = line("restart after kill -9: process start to first decision").expect("a line");
        assert_eq!((&killed["missed"], &killed["goal"]), (&true.into(), &2.0.into()));
        assert!(line("coordinator without sagas").expect("a line")["missed"].is_null(), "it has no goal");
        assert_eq!((&json["parked"], json["takeovers"].as_array().map(Vec::len)), (&1_000.into(), Some(3)));
    }

    /// Times depend on what the machine does beside: they are said, and fail nothing.
    #[test]
    fn only_counts_fail() {
        let mut found = found();
        assert_eq!(found.missed_counts(), [""; 0], "a restart was too slow");
        found.disk_at_end_bytes = 401_000;
        found.note_peak(513.0);
        found.note_peak(100.0);
        let missed = found.missed_counts();
        assert_eq!(missed, ["store, as it lies at the end: 401 bytes a saga", "any coordinator, at most: 513 MiB"]);
    }
}
