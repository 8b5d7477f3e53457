//! `overview`: how many sagas stand where, what they wait for, and which participant it is that they wait for.

use std::io::Write;

use comfy_table::Table;

use super::asking::{ask_typed, say_missing};
use super::definitions::say;
use super::exit::Failure;
use super::participants;
use super::scaling::{conclusion, seconds};
use super::text::{self, printable};
use crate::api::client::Address;
use crate::api::{AllScaling, DefinitionCounts, Overview, Rates, StepTime, WaitCounts};
use crate::config::Config;

/// The order in which people look: what needs them first.
pub(super) const STATUSES: [&str; 8] = ["stuck", "parked", "paused", "held", "running", "compensating", "completed", "compensated"];

/// So many steps are shown, those that take most of the time.
const STEPS_SHOWN: usize = 5;

/// `ringmaster overview`
pub(super) fn overview(config: &Config, api: Option<&Address>, as_json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let overview: Overview = ask_typed(config, api, "/api/v1/overview")?;
    say_missing(&overview.missing);
    if as_json {
        return say(out, format_args!("{}", serde_json::to_string(&overview).expect("it is JSON")));
    }
    let participants = participants::ask(config, api)?;
    say(out, format_args!("{}", sagas(&overview)))?;
    for line in lately(&overview) {
        say(out, format_args!("{line}"))?;
    }
    for of in &overview.definitions {
        let waits = waits(of);
        if !waits.is_empty() {
            say(out, format_args!("\n{}\n{waits}", named(of)))?;
        }
    }
    if !participants.participants.is_empty() {
        say(out, format_args!("\n{}", participants::table_of(&participants.participants)))?;
    }
    let scaling: AllScaling = ask_typed(config, api, "/api/v1/scaling")?;
    // One that is merely the nearest to what it can is no news.
    if scaling.bottleneck().is_some_and(|of| of.stopped.is_some() || of.warns) {
        say(out, format_args!("\n{}", conclusion(&scaling)))?;
    }
    if !overview.steps.is_empty() {
        say(out, format_args!("\n{}", steps(&overview.steps)))?;
    }
    if let Some(durability) = &overview.durability {
        say(out, format_args!("\nwhat is acknowledged: {}", printable(durability.as_bytes())))?;
    }
    let oldest = overview.as_of.iter().map(|of| of.age_ms).max().unwrap_or(0);
    let next = match () {
        () if count(&overview, "stuck") > 0 => "; `ringmaster saga list --stuck` names those that need a person",
        () if count(&overview, "parked") > 0 => "; `ringmaster saga list --parked` names those that are parked",
        () => "",
    };
    say(out, format_args!("\nas of {} ms ago, {} partitions{next}", oldest, overview.as_of.len()))
}

fn count(overview: &Overview, status: &str) -> i64 {
    overview.sagas.get(status).copied().unwrap_or(0)
}

/// A line for each version that has sagas, with a column for each way in which any of them stands; and one for their sum.
fn sagas(overview: &Overview) -> Table {
    let statuses: Vec<&str> = STATUSES.into_iter().filter(|status| count(overview, status) != 0).collect();
    let mut table = text::table(["DEFINITION".to_owned()].into_iter().chain(statuses.iter().map(|status| status.to_uppercase())));
    let mut line = |name: String, counts: &std::collections::BTreeMap<String, i64>| {
        let each = statuses.iter().map(|status| counts.get(*status).copied().unwrap_or(0).to_string());
        table.add_row([name].into_iter().chain(each));
    };
    overview.definitions.iter().for_each(|of| line(named(of), &of.sagas));
    line("all".to_owned(), &overview.sagas);
    table
}

/// What has happened lately, and what fires: a line each.
pub(super) fn lately(overview: &Overview) -> Vec<String> {
    let of = overview.lately.iter().map(|of| {
        let Rates { within_s, started_per_s, completed_per_s, compensated_per_s } = of.minute;
        let rates = format!("{started_per_s:.1}/s started, {completed_per_s:.1}/s completed, {compensated_per_s:.1}/s compensated");
        let at_most = |s: Option<f64>| s.map_or_else(|| "more than an hour".to_owned(), seconds);
        let (p50, p99) = (at_most(of.saga_time.p50_s), at_most(of.saga_time.p99_s));
        let took = match of.saga_time.buckets.is_empty() {
            true => String::new(),
            false => format!("; half of those that ended took at most {p50}, 99 % {p99}"),
        };
        format!("in the last {}: {rates}{took}", seconds(within_s))
    });
    let pages = overview.alerts.iter().filter(|alert| alert.severity == "page").count();
    let firing = match overview.alerts.as_slice() {
        [] => None,
        [one] => Some(format!("an alert fires: {}; `ringmaster alerts` says what to do", printable(one.summary.as_bytes()))),
        [first, ..] => Some(format!(
            "{} alerts fire, of which {pages} page: {}; `ringmaster alerts` says what to do",
            overview.alerts.len(),
            printable(first.summary.as_bytes())
        )),
    };
    of.chain(firing).collect()
}

/// By its name and running number, or its hash where the instance does not know the version yet.
pub(super) fn named(of: &DefinitionCounts) -> String {
    match (&of.definition, of.number) {
        (Some(name), Some(number)) => printable(format!("{name} v{number}").as_bytes()),
        (Some(name), None) => printable(name.as_bytes()),
        (None, _) => format!("version {}", of.version),
    }
}

/// What its sagas wait for, the most first.
fn waits(of: &DefinitionCounts) -> String {
    let mut waits: Vec<&WaitCounts> = of.waits.iter().filter(|waits| waits.open != 0).collect();
    if waits.is_empty() {
        return String::new();
    }
    waits.sort_by_key(|waits| std::cmp::Reverse(waits.open));
    let mut table = text::table(["  WAITING", "STEP", "FOR", "STATUS"]);
    for waits in waits {
        let step = waits.step.as_deref().unwrap_or("its end");
        table.add_row([format!("  {}", waits.open), printable(step.as_bytes()), waits.reason.clone(), waits.status.clone()]);
    }
    table.to_string()
}

/// Where most of the time goes.
fn steps(steps: &[StepTime]) -> Table {
    let mut table = text::table(["TIME", "STEP", "OF", "ASKS", "ENDED", "EACH"]);
    for of in steps.iter().take(STEPS_SHOWN) {
        let each = if of.ended == 0 { 0.0 } else { of.seconds / of.ended as f64 };
        table.add_row([
            format!("{:.0} %", of.share * 100.0),
            printable(of.step.as_bytes()),
            printable(of.definition.as_bytes()),
            printable(of.participant.as_deref().unwrap_or("-").as_bytes()),
            of.ended.to_string(),
            seconds(each),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{AlertBrief, Lately, SagaTime, SagaTimeBucket};

    #[test]
    fn an_overview_is_read_from_the_top() {
        let wait = |step: Option<&str>, reason: &str, status: &str, open| WaitCounts {
            step: step.map(str::to_owned),
            reason: reason.to_owned(),
            status: status.to_owned(),
            sagas: open,
            open,
        };
        let counts = |counts: &[(&str, i64)]| counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        let of = DefinitionCounts {
            definition: Some("order-fulfilment".to_owned()),
            number: Some(7),
            version: "ab".to_owned(),
            sagas: counts(&[("running", 5), ("parked", 12), ("completed", 40)]),
            waits: vec![
                wait(Some("ship"), "reply", "running", 5),
                wait(Some("charge_payment"), "parked", "parked", 12),
                wait(None, "retry", "running", 0),
            ],
        };
        let unknown =
            DefinitionCounts { definition: None, number: None, sagas: counts(&[("stuck", 1)]), waits: vec![], ..of.clone() };
        let overview = Overview {
            sagas: counts(&[("running", 5), ("parked", 12), ("completed", 40), ("stuck", 1)]),
            definitions: vec![of.clone(), unknown],
            ..Overview::default()
        };
        let lines =
            |text: String| text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>();
        assert_eq!(
            lines(sagas(&overview).to_string()),
            ["DEFINITION STUCK PARKED RUNNING COMPLETED", "order-fulfilment v7 0 12 5 40", "version ab 1 0 0 0", "all 1 12 5 40",]
        );
        assert_eq!(
            lines(waits(&of)),
            ["WAITING STEP FOR STATUS", "12 charge_payment parked parked", "5 ship reply running"],
            "the most first, and nothing that nobody waits for"
        );
    }

    #[test]
    fn what_happened_lately_and_what_fires_is_said() {
        let minute = Rates { within_s: 60.0, started_per_s: 12.34, completed_per_s: 11.0, compensated_per_s: 0.04 };
        let buckets = vec![SagaTimeBucket { up_to_s: Some(5.0), sagas: 9 }];
        let saga_time = SagaTime { p50_s: Some(0.012), p99_s: None, buckets };
        let alert = |severity: &str| AlertBrief {
            name: "SagaStuck".to_owned(),
            severity: severity.to_owned(),
            since: String::new(),
            summary: "2 sagas are \u{1b}stuck".to_owned(),
            instance: "one".to_owned(),
        };
        let lately = Some(Lately { minute, saga_time, ..Lately::default() });
        let overview = Overview { lately, alerts: vec![alert("page"), alert("warn")], ..Overview::default() };
        assert_eq!(
            super::lately(&overview),
            [
                "in the last 60 s: 12.3/s started, 11.0/s completed, 0.0/s compensated; half of those that ended took at most 12 ms, 99 % more than an hour",
                "2 alerts fire, of which 1 page: 2 sagas are \\u{1b}stuck; `ringmaster alerts` says what to do",
            ]
        );
        let one = Overview { alerts: vec![alert("warn")], ..Overview::default() };
        assert_eq!(super::lately(&one), ["an alert fires: 2 sagas are \\u{1b}stuck; `ringmaster alerts` says what to do"]);
        assert!(super::lately(&Overview::default()).is_empty());
    }

    #[test]
    fn what_takes_most_of_the_time_is_shown() {
        let of = |step: &str, share, seconds| StepTime {
            definition: "order".to_owned(),
            step: step.to_owned(),
            participant: (step == "charge").then(|| "payment".to_owned()),
            ended: 10,
            seconds,
            share,
        };
        let all: Vec<StepTime> = (0..9).map(|_| of("charge", 0.62, 25.0)).chain([of("last", 0.0, 0.0)]).collect();
        let text = steps(&all).to_string();
        assert_eq!(text.lines().count(), STEPS_SHOWN + 1, "{text}");
        let line: Vec<&str> = text.lines().nth(1).unwrap_or_default().split_whitespace().collect();
        assert_eq!(line, ["62", "%", "charge", "order", "payment", "10", "2.5", "s"]);
    }
}
