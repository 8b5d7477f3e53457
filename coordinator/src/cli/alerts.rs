//! `alerts`: what somebody must know at once, and what to do about it.

use std::collections::BTreeMap;
use std::io::Write;

use comfy_table::Table;

use super::asking::{Asked, ask_typed, say_missing};
use super::definitions::say;
use super::exit::Failure;
use super::text::{self, printable};
use crate::api::{AlertShown, AlertsOf};
use crate::config::Config;

pub(super) const EXAMPLES: &str = "\
Examples:
  ringmaster alerts
  ringmaster alerts --json | jq -r '.alerts[] | select(.state == \"firing\") | .summary'";

/// What is asked of them.
#[derive(Debug, clap::Args)]
pub(super) struct AlertsArguments {
    /// One JSON object, with what to do about each.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    asked: Asked,
}

/// What needs somebody first.
const STATES: [&str; 3] = ["firing", "pending", "resolved"];

/// `ringmaster alerts`
pub(super) fn alerts(config: &Config, arguments: &AlertsArguments, out: &mut dyn Write) -> Result<(), Failure> {
    let answer: AlertsOf = ask_typed(config, arguments.asked.api.as_ref(), "/api/v1/alerts")?;
    say_missing(&answer.missing);
    let instances: Vec<&str> = answer.instances.iter().map(String::as_str).collect();
    let mut alerts: Vec<&AlertShown> = answer.alerts.iter().collect();
    let place = |word: &str, words: &[&str]| words.iter().position(|known| *known == word).unwrap_or(words.len());
    // In each of these as the instances tell them.
    alerts.sort_by_key(|alert| (place(&alert.state, &STATES), place(&alert.severity, &["page", "warn"])));
    if arguments.json {
        return say(out, format_args!("{}", serde_json::json!({ "alerts": alerts, "instances": instances })));
    }
    if alerts.is_empty() {
        return say(out, format_args!("no alerts; asked: {}", printable(instances.join(", ").as_bytes())));
    }
    say(out, format_args!("{}", table_of(&alerts, instances.len() > 1)))?;
    for (name, runbook) in runbooks(&alerts) {
        say(out, format_args!("\n{name}: {runbook}"))?;
    }
    Ok(())
}

/// A line for each.
fn table_of(alerts: &[&AlertShown], by_instance: bool) -> Table {
    let header = ["STATE", "SEVERITY", "ALERT", "SINCE", "VALUE", "BOUND", "WHAT"];
    let mut table = text::table(header.into_iter().chain(by_instance.then_some("INSTANCE")));
    for alert in alerts {
        let AlertShown { state, severity, name, since, value, threshold, summary, instance, .. } = alert;
        let rounded = (value * 100.0).round() / 100.0;
        let row = [state, severity, name, since, &rounded.to_string(), &threshold.to_string(), summary];
        let row = row.into_iter().chain(by_instance.then_some(instance));
        table.add_row(row.map(|cell| printable(cell.as_bytes())));
    }
    table
}

/// What to do about what holds, once for each rule.
fn runbooks<'a>(alerts: &[&'a AlertShown]) -> BTreeMap<&'a str, String> {
    let hold = alerts.iter().filter(|alert| alert.state != "resolved");
    hold.map(|alert| (alert.name.as_str(), printable(alert.runbook.as_bytes()))).collect()
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory as _};

    use super::super::arguments::Arguments;
    use super::*;
    use crate::alerts::RULES;

    /// What is wrong with a command that somebody is told to type.
    fn wrong(line: &str) -> Option<String> {
        let mut command: Command = Arguments::command();
        let mut words = line.split_whitespace().skip(1).peekable();
        while let Some(inner) = words.peek().and_then(|word| command.find_subcommand(word)).cloned() {
            command = inner;
            words.next();
        }
        if command.get_name() == "ringmaster" || command.is_subcommand_required_set() {
            return Some(format!("`{line}` is no command"));
        }
        let knows = |flag: &str| command.get_arguments().any(|argument| argument.get_long() == Some(flag));
        words.filter_map(|word| word.strip_prefix("--")).find(|flag| !knows(flag)).map(|flag| format!("`{line}`: --{flag}"))
    }

    #[test]
    fn what_people_are_told_to_type_exists() {
        assert_eq!(wrong("ringmaster saga why ID"), None);
        for line in ["ringmaster sagaz list", "ringmaster saga", "ringmaster saga list --sick"] {
            assert!(wrong(line).is_some(), "{line}");
        }
        let (mut found, mut looked_at) = (Vec::new(), 0);
        for rule in &RULES {
            for line in rule.runbook.split('`').skip(1).step_by(2).filter(|text| text.starts_with("ringmaster ")) {
                found.extend(wrong(line).map(|why| format!("{}: {why}", rule.name)));
                looked_at += 1;
            }
        }
        assert!(found.is_empty() && looked_at > 20, "{looked_at}: {found:?}");
    }

    #[test]
    fn alerts_are_told_with_what_to_do_about_those_that_hold() {
        let alert = |name: &str, state: &str, value: f64| AlertShown {
            name: name.to_owned(),
            severity: "page".to_owned(),
            state: state.to_owned(),
            since: "2026-01-31T00:00:00Z".to_owned(),
            labels: BTreeMap::new(),
            value,
            threshold: 0.0,
            summary: format!("{name} of \u{1b}[2J"),
            runbook: format!("mend {name}"),
            instance: "one".to_owned(),
        };
        let all = [alert("SagaStuck", "firing", 3.0), alert("RouteGap", "resolved", 1.0 / 3.0)];
        let all: Vec<&AlertShown> = all.iter().collect();
        let lines = |table: Table| -> Vec<String> {
            let text = table.to_string();
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
        };
        assert_eq!(
            lines(table_of(&all, true)),
            [
                "STATE SEVERITY ALERT SINCE VALUE BOUND WHAT INSTANCE",
                "firing page SagaStuck 2026-01-31T00:00:00Z 3 0 SagaStuck of \\u{1b}[2J one",
                "resolved page RouteGap 2026-01-31T00:00:00Z 0.33 0 RouteGap of \\u{1b}[2J one",
            ]
        );
        assert!(lines(table_of(&all, false))[0].ends_with("WHAT"), "there is one instance");
        assert_eq!(runbooks(&all), [("SagaStuck", "mend SagaStuck".to_owned())].into(), "of what is over nothing is to be done");
    }
}
