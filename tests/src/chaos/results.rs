//! Results of many runs in one file: a line of JSON for each round that came to its end.

use std::path::Path;

use super::Report;
use crate::lines;

/// All that a file has, added up. An error names the line that cannot be read.
pub fn read(file: &Path) -> Result<Report, String> {
    let mut all = Report::default();
    lines::read(file)?.into_iter().for_each(|found| all.add(found));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::super::{Class, Violation, report::Fault};
    use super::*;

    fn found(class: Class, all_ms: u64, violated: bool) -> Report {
        let fault = Fault { round: 1, class, under_way: 50, is_proven: true, first_ms: 1, all_ms, is_with_another: false };
        let violation = Violation { round: 1, fault: None, what: "an order is lost".to_owned() };
        let violations = if violated { vec![violation] } else { Vec::new() };
        Report { faults: vec![fault], rounds: 1, issued: 70, completed: 60, compensated: 10, violations, ..Report::default() }
    }

    #[test]
    fn rounds_of_several_runs_add_up_and_keep_their_violations_apart() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("all.jsonl");
        for found in [found(Class::KillBroker, 10, false), found(Class::AnswersLost, 30, true), found(Class::KillBroker, 20, false)]
        {
            lines::append(&file, &found).expect("it is written");
        }
        let all = read(&file).expect("it is read");
        assert_eq!((all.rounds, all.issued, all.completed, all.compensated, all.made()), (3, 210, 180, 30, 3));
        let rows = all.rows_by_class();
        let of = |name: &str| rows.iter().find(|row| row.fault == name).map(|row| (row.made, row.all_ms_p99, row.violations));
        assert_eq!(of("kill-broker"), Some((2, 20, 0)));
        assert_eq!(of("network-answers-lost"), Some((1, 30, 1)));
        assert_eq!(of("all"), Some((3, 30, 1)));
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("all.jsonl");
        lines::append(&file, &found(Class::Poison, 1, false)).expect("it is written");
        std::fs::write(&file, std::fs::read_to_string(&file).expect("text") + "nonsense\n").expect("it is written");
        let error = read(&file).expect_err("it cannot be read");
        assert!(error.contains("all.jsonl, line 2: "), "{error}");
    }
}
