//! The table as Prometheus takes it.

use std::fmt::Write as _;

use super::{Condition, How, Over, Rule};

/// How Prometheus tells coordinators of several prefixes apart that it scrapes: by the job. What is added up is of one.
const JOB: &str = "job";

/// The file of rules.
pub fn rules_file(rules: &[Rule]) -> String {
    let mut out = String::from(HEAD);
    for rule in rules {
        let _ = writeln!(out, "      - alert: {}", rule.name);
        let _ = writeln!(out, "        expr: {}", quoted(&expression(rule)));
        let _ = writeln!(out, "        for: {}s", rule.for_s);
        let _ = writeln!(out, "        labels:\n          severity: {}", rule.severity.as_str());
        let _ = writeln!(out, "        annotations:\n          summary: {}", quoted(&template(rule)));
        let _ = writeln!(out, "          runbook: {}", quoted(rule.runbook));
    }
    out
}

const HEAD: &str = "\
# What somebody must know at once of Ringmaster, for Prometheus. Generated: coordinator/src/alerts/rules.rs is the table, and its test
# writes this file anew where UPDATE_EXPECT=1 is set. What each alert means and what to do: docs/OPERATING.md, \"Alerts\".
groups:
  - name: ringmaster
    rules:
";

/// What Prometheus evaluates for a rule.
pub fn expression(rule: &Rule) -> String {
    let when = condition(&rule.when, rule.by);
    match &rule.unless {
        None => when,
        Some(unless) => format!("{when} unless {}", condition(unless, rule.by)),
    }
}

fn condition(of: &Condition, by: &[&str]) -> String {
    let only = of.only.map_or_else(String::new, |(label, values)| format!("{{{label}=~\"{}\"}}", values.join("|")));
    let series = match of.how {
        How::Now => format!("{}{only}", of.metric),
        How::Grows(within_s) => format!("increase({}{only}[{within_s}s])", of.metric),
    };
    let over = match of.over {
        Over::Sum => "sum",
        Over::Max => "max",
        Over::Min => "min",
    };
    let labels: Vec<&str> = [JOB].into_iter().chain(by.iter().copied()).collect();
    format!("{over} by ({}) ({series}) {} {}", labels.join(", "), of.is.as_str(), of.than)
}

/// Its line, with Prometheus's words for the values of labels.
fn template(rule: &Rule) -> String {
    let put = |text: String, label: &&str| text.replace(&format!("{{{label}}}"), &format!("{{{{ $labels.{label} }}}}"));
    rule.by.iter().fold(rule.summary.to_owned(), put)
}

/// As YAML takes any text.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
