//! `saga list`: which sagas a filter means, page by page, asked of the running coordinator.

use std::fmt::Write as _;
use std::io::Write;

use clap::Args;
use comfy_table::Table;
use ringmaster_schemas::names::percent_encode;

use super::asking::{ask_typed, say_missing};
use super::definitions::say;
use super::exit::Failure;
use super::text::{self, printable};
use crate::api::client::Address;
use crate::api::{SagaLine, SagaPage, quoted};
use crate::config::Config;

/// Sagas of a page that is asked for, at most.
const PAGE_MAX: usize = 500;
/// No list has more.
const COUNT_MAX: usize = 1_000_000;
/// What has not ended, where nothing says how sagas stand.
const LIVE: &str = "status:stuck,parked,paused,held,running,compensating";

pub(super) const EXAMPLES: &str = "Examples:\n  \
    ringmaster saga list --filter 'status:stuck definition:order-fulfilment since:>2h'\n  \
    ringmaster saga list --parked --participant payment --limit 500\n  \
    ringmaster saga list --filter 'status:compensated code:CARD_DECLINED since:<1d' --json | jq -r .saga\n  \
    ringmaster saga list --filter 'key:ord-17' -q";

/// Which sagas are meant.
#[derive(Debug, Args)]
pub(super) struct FilterArguments {
    /// Which sagas: for example "status:stuck,parked definition:order-fulfilment waits:reply participant:payment step:charge code:DECLINED
    /// since:>2h started:<5m key:ord-1* customer=c-7". A space is and, a comma or; NAME=VALUE is a value of a definition's search.
    #[arg(long, value_name = "FILTER")]
    filter: Option<String>,
    /// Only those that need a person: short for status:stuck.
    #[arg(long)]
    stuck: bool,
    /// Only those of which something is parked, in the order in which it goes out: short for waits:parked.
    #[arg(long, conflicts_with = "stuck")]
    parked: bool,
    /// Only those that are paused: short for waits:paused.
    #[arg(long, conflicts_with_all = ["stuck", "parked"])]
    paused: bool,
    /// Only those that wait for this participant: short for participant:NAME.
    #[arg(long, value_name = "NAME")]
    participant: Option<String>,
    /// Only those of this definition: short for definition:NAME.
    #[arg(long, value_name = "NAME")]
    definition: Option<String>,
    /// With --definition, only those that have this value of its `search`; of several, all.
    #[arg(long, requires = "definition", value_name = "NAME=VALUE")]
    search: Vec<String>,
}

impl FilterArguments {
    /// The filter that they are short for. `live`: those that have ended are left out where nothing else says how sagas stand.
    pub(super) fn text(&self) -> String {
        let mut terms: Vec<String> = self.filter.iter().cloned().collect();
        for (is_said, term) in [(self.stuck, "status:stuck"), (self.parked, "waits:parked"), (self.paused, "waits:paused")] {
            terms.extend(is_said.then(|| term.to_owned()));
        }
        terms.extend(self.participant.iter().map(|name| format!("participant:{}", quoted(name))));
        terms.extend(self.definition.iter().map(|name| format!("definition:{}", quoted(name))));
        terms.extend(self.search.iter().map(|by| match by.split_once('=') {
            Some((name, value)) => format!("{name}={}", quoted(value)),
            None => by.clone(),
        }));
        if self.filter.is_none() && !self.stuck && !self.parked && !self.paused && self.search.is_empty() {
            terms.push(LIVE.to_owned());
        }
        terms.join(" ")
    }
}

/// How many are asked for, at most.
pub(super) fn count(text: &str) -> Result<usize, String> {
    let count = text.parse::<usize>().ok().filter(|count| (1..=COUNT_MAX).contains(count));
    count.ok_or_else(|| format!("it is from 1 to {COUNT_MAX}"))
}

/// How a list is printed.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Printed {
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    /// Nothing but their ids, a line each.
    #[arg(short, long, conflicts_with = "json")]
    quiet: bool,
    /// The last first.
    #[arg(long)]
    newest: bool,
}

/// `ringmaster saga list`
pub(super) fn list(
    config: &Config,
    (filter, limit): (&FilterArguments, usize),
    api: Option<&Address>,
    printed: Printed,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let (sagas, more) = select(config, filter, (limit, printed.newest), api)?;
    if more && (printed.json || printed.quiet) {
        // Nobody need listen.
        let _ = writeln!(std::io::stderr(), "these are {limit}, and there are more (--limit)");
    }
    if printed.json {
        let line = |saga: &SagaLine| serde_json::to_string(saga).expect("it is JSON");
        return sagas.iter().try_for_each(|saga| say(out, format_args!("{}", line(saga))));
    }
    if printed.quiet {
        return sagas.iter().try_for_each(|saga| say(out, format_args!("{}", saga.saga)));
    }
    if sagas.is_empty() {
        return say(out, format_args!("no saga is meant by {}", filter.text()));
    }
    say(out, format_args!("{}", table_of(&sagas)))?;
    let more = if more { "; there are more (--limit, or a narrower --filter)" } else { "" };
    let count = if sagas.len() == 1 { "1 saga".to_owned() } else { format!("{} sagas", sagas.len()) };
    say(out, format_args!("{count}{more}; `ringmaster saga why ID` says what each waits for"))
}

/// Those that a filter means, at most so many, and whether there are more.
fn select(
    config: &Config,
    filter: &FilterArguments,
    (limit, newest): (usize, bool),
    api: Option<&Address>,
) -> Result<(Vec<SagaLine>, bool), Failure> {
    let mut query = String::from("/api/v1/sagas?filter=");
    percent_encode(&filter.text(), &mut query);
    if newest {
        query.push_str("&order=newest");
    }
    let (mut found, mut cursor): (Vec<SagaLine>, Option<String>) = (Vec::new(), None);
    let mut pages = 0;
    loop {
        let mut path = format!("{query}&limit={}", PAGE_MAX.min(limit + 1 - found.len()));
        if let Some(cursor) = &cursor {
            write!(path, "&cursor={cursor}").expect("writing to a string");
        }
        let page: SagaPage = ask_typed(config, api, &path)?;
        if pages == 0 {
            say_missing(&page.missing);
        }
        found.extend(page.items);
        pages += 1;
        let is_over = found.len() > limit;
        found.truncate(limit);
        match page.next_cursor {
            Some(next) if !is_over && found.len() <= limit => cursor = Some(next),
            next => return Ok((found, is_over || next.is_some())),
        }
        if pages % 10 == 0 {
            // It looks at one row after the other: whoever waits should know. Nobody need listen.
            let _ = writeln!(std::io::stderr(), "still looking; {} found", found.len());
        }
    }
}

fn table_of(sagas: &[SagaLine]) -> Table {
    let mut table = text::table(["ID", "DEFINITION", "VERSION", "STATUS", "STEP", "WAITS FOR", "SINCE", "WAKES"]);
    let none = || "-".to_owned();
    for saga in sagas {
        let waits = saga.waits.as_ref();
        let since = waits.map(|waits| &waits.since).or(saga.ended_at.as_ref());
        let wakes_at = waits.and_then(|waits| waits.wakes_at.clone());
        table.add_row([
            saga.saga.clone(),
            saga.definition.clone(),
            saga.version.map_or_else(none, |version| version.to_string()),
            saga.status.clone(),
            step(saga),
            printable(reason(saga).as_bytes()),
            since.cloned().unwrap_or_else(none),
            wakes_at.unwrap_or_else(none),
        ]);
    }
    table
}

/// Why it waits, and whose doing it waits for, or what went wrong.
pub(super) fn reason(saga: &SagaLine) -> String {
    let Some(waits) = &saga.waits else { return saga.code.clone().unwrap_or_else(|| "-".to_owned()) };
    let mut text = waits.reason.clone();
    let more =
        if waits.reason == "stuck" { saga.code.as_ref().or(waits.on.as_ref()) } else { waits.on.as_ref().or(saga.code.as_ref()) };
    if let Some(more) = more {
        write!(text, ": {more}").expect("writing to a string");
    }
    if let Some(held) = waits.held.filter(|held| *held > 0) {
        write!(text, ", {held} held").expect("writing to a string");
    }
    text
}

/// The step that it is at.
fn step(saga: &SagaLine) -> String {
    let Some(waits) = &saga.waits else { return "-".to_owned() };
    let undo = if waits.undo { " (undo)" } else { "" };
    format!("{}{undo}", waits.step.as_deref().unwrap_or("-"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        filter: FilterArguments,
    }

    #[test]
    fn short_options_are_terms() {
        let text = |line: &[&str]| Line::try_parse_from([&["x"], line].concat()).expect("a line").filter.text();
        assert_eq!(text(&[]), LIVE);
        assert_eq!(text(&["--stuck", "--definition", "order"]), "status:stuck definition:order");
        assert_eq!(text(&["--parked", "--participant", "a b"]), "waits:parked participant:\"a b\"");
        assert_eq!(text(&["--filter", "status:completed", "--definition", "o"]), "status:completed definition:o");
        assert_eq!(text(&["--definition", "o", "--search", "c=x\"=\\y,"]), "definition:o c=\"x\\\"=\\\\y,\"");
        assert_eq!(text(&["--definition", "o"]), format!("definition:o {LIVE}"));
    }
}
