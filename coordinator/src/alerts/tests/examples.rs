//! For each rule, in the form of `promtool test rules`: when it fires, when that ends, and when it does not fire though it nearly does.

use std::fmt::Write as _;

use super::super::{Condition, How, Is, Over, Rule};

/// Between two samples, in seconds.
const STEP_S: u32 = 15;

/// The whole file.
pub(super) fn file(rules: &[Rule]) -> String {
    let mut out = String::from(HEAD);
    for rule in rules {
        match rule.when.how {
            How::Now => of_a_level(rule, &mut out),
            How::Grows(within_s) => of_a_counter(rule, within_s, &mut out),
        }
    }
    out
}

const HEAD: &str = "\
# When each rule fires, and when it does not, played by `promtool test rules`. Generated, as the rules are.
rule_files:
  - ringmaster.rules.yml
evaluation_interval: 15s
tests:
";

/// What is right beside a bound, and what is wrong.
fn good_and_bad(of: &Condition) -> (f64, f64) {
    match of.is {
        Is::Above => (of.than, of.than + 1.0),
        Is::AtLeast => (of.than - 1.0, of.than),
        Is::Below => (of.than, of.than - 1.0),
    }
}

fn of_a_level(rule: &Rule, out: &mut String) {
    let (good, bad) = good_and_bad(&rule.when);
    let long = rule.for_s / STEP_S + 2;
    let series = |instance: &str, values: String| series_of(rule, &rule.when, instance, &values);
    head(rule, "fires when it has held for long enough, and ends", out);
    // The other instance tells nothing that is wrong, where one that is right would settle it.
    let _ = write!(out, "{}", series("one", format!("{bad}x{long} {good}x8")));
    out.push_str("    alert_rule_test:\n");
    if let Some(before) = rule.for_s.checked_sub(STEP_S) {
        at(rule, before, false, out);
    }
    at(rule, rule.for_s.next_multiple_of(STEP_S), true, out);
    at(rule, (long + 2) * STEP_S, false, out);
    head(rule, "does not fire at its bound, nor when it is over in time", out);
    let short = (rule.for_s / STEP_S).saturating_sub(1);
    let values = if short > 0 { format!("{good}x8 {bad}x{short} {good}x40") } else { format!("{good}x60") };
    let _ = write!(out, "{}", series("one", values));
    if (rule.when.over, rule.when.is) == (Over::Max, Is::Below) {
        let _ = write!(out, "{}", series("two", format!("{bad}x60")));
    }
    out.push_str("    alert_rule_test:\n");
    (1..=8).for_each(|number| at(rule, number * 4 * STEP_S, false, out));
}

fn of_a_counter(rule: &Rule, within_s: u32, out: &mut String) {
    let enough = if rule.when.is == Is::Above { rule.when.than + 1.0 } else { rule.when.than };
    // Every so many samples it grows by one: a third more than it takes.
    let every = ((f64::from(within_s) / f64::from(STEP_S)) / (enough * 1.5)).floor().max(1.0) as u32;
    let samples = (within_s + rule.for_s) / STEP_S + 8;
    let (end, over) = ((samples - 1) * STEP_S, samples * STEP_S + within_s + STEP_S);
    head(rule, "fires when it has grown, and ends", out);
    let growing = stairs(every, samples);
    let last = samples / every;
    let _ = write!(out, "{}", series_of(rule, &rule.when, "one", &format!("{growing} {last}x{}", within_s / STEP_S + 4)));
    if let Some(unless) = &rule.unless {
        let _ = write!(out, "{}", series_of(rule, unless, "one", "7x80"));
    }
    out.push_str("    alert_rule_test:\n");
    at(rule, 0, false, out);
    at(rule, end, true, out);
    at(rule, over, false, out);
    head(rule, "does not fire while nothing grows by enough, nor by a restart", out);
    let slow = if enough > 1.0 { stairs(2 * within_s / STEP_S / enough as u32, samples) } else { format!("5x{samples}") };
    let _ = write!(out, "{}", series_of(rule, &rule.when, "one", &format!("{slow} 0x{samples}")));
    out.push_str("    alert_rule_test:\n");
    (1..=8).for_each(|number| at(rule, number * (samples / 4) * STEP_S, false, out));
    if let Some(unless) = &rule.unless {
        head(rule, "does not fire while the other grows as well", out);
        let _ = write!(out, "{}", series_of(rule, &rule.when, "one", &growing));
        let _ = write!(out, "{}", series_of(rule, unless, "two", &growing));
        out.push_str("    alert_rule_test:\n");
        (1..=4).for_each(|number| at(rule, number * (samples / 4) * STEP_S, false, out));
    }
}

fn stairs(every: u32, samples: u32) -> String {
    let values: Vec<String> = (0..samples).map(|number| (number / every).to_string()).collect();
    values.join(" ")
}

fn head(rule: &Rule, what: &str, out: &mut String) {
    let _ = writeln!(out, "  - name: {} {what}\n    interval: {STEP_S}s\n    input_series:", rule.name);
}

/// A value of each label.
pub(super) fn label(name: &str) -> &'static str {
    match name {
        "partition" => "3",
        "participant" => "payment",
        "topic" => "orders",
        "definition" => "order-fulfilment",
        "step" => "charge_payment",
        "role" => "risk",
        other => panic!("a rule by '{other}' needs an example"),
    }
}

fn series_of(rule: &Rule, of: &Condition, instance: &str, values: &str) -> String {
    let own = rule.by.iter().map(|name| format!("{name}=\"{}\"", label(name)));
    let only = of.only.map(|(name, values)| format!("{name}=\"{}\"", values[0]));
    let all = own.chain(only).map(|label| format!(",{label}")).collect::<String>();
    // Our `5x3` is five three times, which is what `5x2` is to the tool.
    let counted = |word: &str| match word.split_once('x') {
        Some((value, count)) => format!("{value}x{}", count.parse::<u32>().expect("a count") - 1),
        None => word.to_owned(),
    };
    let values: Vec<String> = values.split(' ').map(counted).collect();
    format!(
        "      - series: '{}{{job=\"ringmaster\",instance=\"{instance}\"{all}}}'\n        values: '{}'\n",
        of.metric,
        values.join(" ")
    )
}

fn at(rule: &Rule, second: u32, fires: bool, out: &mut String) {
    let _ = writeln!(out, "      - eval_time: {second}s\n        alertname: {}", rule.name);
    if !fires {
        return;
    }
    let labels: Vec<(&str, &str)> = rule.by.iter().map(|name| (*name, label(name))).collect();
    let _ = writeln!(out, "        exp_alerts:\n{}", expected(rule, &labels, Some("ringmaster")));
}

/// An alert that must be there.
pub(super) fn expected(rule: &Rule, labels: &[(&str, &str)], job: Option<&str>) -> String {
    let mut out = format!("          - exp_labels:\n              severity: {}", rule.severity.as_str());
    for (name, value) in job.map(|job| ("job", job)).into_iter().chain(labels.iter().copied()) {
        let _ = write!(out, "\n              {name}: '{value}'");
    }
    let put = |text: String, (name, value): &(&str, &str)| text.replace(&format!("{{{name}}}"), value);
    let summary = labels.iter().fold(rule.summary.to_owned(), put).replace('\'', "''");
    let _ = write!(
        out,
        "\n            exp_annotations:\n              summary: '{summary}'\n              runbook: '{}'",
        rule.runbook.replace('\'', "''")
    );
    out
}
