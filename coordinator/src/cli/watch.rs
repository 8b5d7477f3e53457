//! `saga watch`: what becomes of a saga, a line each time that it changes, until it has ended.

use std::io::Write;
use std::time::{Duration, Instant};

use clap::Args;
use ringmaster_bus::clock::wall;
use ringmaster_schemas::names::percent_encode;
use serde_json::Value;

use super::arguments::Asked;
use super::definitions::say;
use super::exit::{Exit, Failure};
use super::listening::{Heard, Listening};
use super::saga::{check_id, step, text};
use super::text::{printable, time};
use crate::api::whenever;
use crate::config::Config;
use crate::config::values::duration_within;

/// So much of what a saga waits for stands in a line.
const SHOWN_MAX: usize = 3;

/// What stands on the command line.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ringmaster saga watch order-fulfilment/ord-17\n  \
    ringmaster saga watch order-fulfilment/ord-17 --json | jq -c '[.status, .why]'\n\n\
Exit codes: 0 it has ended; 9 it is known no more; 10 it has not ended in time.")]
pub(super) struct WatchArguments {
    /// For example order-fulfilment/ord-17. It need not have begun.
    id: String,
    /// For how long: 200ms to 24h; until it has ended by default.
    #[arg(long, value_name = "TIME", value_parser = within)]
    timeout: Option<Duration>,
    /// One JSON object a line: the saga as `saga show` has it.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    asked: Asked,
}

fn within(text: &str) -> Result<Duration, String> {
    duration_within("200ms", "24h")(text)
}

/// `ringmaster saga watch ID`
pub(super) fn watch(config: &Config, arguments: &WatchArguments, out: &mut dyn Write) -> Result<(), Failure> {
    let WatchArguments { id, timeout, json, asked } = arguments;
    check_id(id)?;
    let mut what = "watch=".to_owned();
    percent_encode(&format!("saga:{id}"), &mut what);
    let until = timeout.map(|timeout| Instant::now() + timeout);
    let mut listening = Listening::begin(config, asked.api.as_ref(), &what, until)?;
    let (mut seen, mut told) = (Seen::default(), String::new());
    loop {
        let trouble = match listening.next()? {
            Heard::Event(event) => {
                let body: Value = serde_json::from_str(&event.data).unwrap_or_default();
                match &*event.name {
                    "saga" if seen.is_news(&body) => {
                        told.clear();
                        match json {
                            true => say(out, format_args!("{}", event.data))?,
                            false => say(out, format_args!("{}  {}", time(wall()), line(&body)))?,
                        }
                        if !body["ended_at"].is_null() {
                            return Ok(());
                        }
                        continue;
                    }
                    "resync" => format!("{} changes came too fast to be shown", body["left_out"]),
                    "problem" if body["status"] == 404 && seen.0.is_some() => {
                        return Err(Failure::new(Exit::NotFound, format_args!("{id} has ended, and is known no more")));
                    }
                    "problem" => format!("{} (waiting for it)", text(&body["detail"])),
                    _ => continue,
                }
            }
            Heard::Lost(why) => format!("{why}; trying again"),
            Heard::Over => {
                let last = seen.0.map_or_else(|| "it has not begun".to_owned(), |saga| format!("it is {}", text(&saga["status"])));
                return Err(Failure::new(Exit::Waited, format_args!("{id} has not ended within the time: {last}")));
            }
        };
        if told != trouble {
            // Nobody need listen.
            let _ = writeln!(std::io::stderr(), "{}", printable(trouble.as_bytes()));
            told = trouble;
        }
    }
}

/// The saga as it was last told.
#[derive(Default)]
struct Seen(Option<Value>);

impl Seen {
    /// Whether it has changed: a new connection begins with what the one before may have told.
    fn is_news(&mut self, saga: &Value) -> bool {
        let now = whenever(saga.clone());
        let is_news = self.0.as_ref() != Some(&now);
        self.0 = Some(now);
        is_news
    }
}

/// How it stands, and what it waits for.
fn line(saga: &Value) -> String {
    let mut words = text(&saga["status"]);
    if saga["paused"].is_object() && saga["status"] != "paused" {
        words.push_str(", paused");
    }
    if saga["failure"].is_object() {
        words.push_str(&format!(" ({})", text(&saga["failure"]["code"])));
    }
    let leaves = saga["why"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (leaf, between) in leaves.iter().take(SHOWN_MAX).zip(std::iter::once(": ").chain(std::iter::repeat("; "))) {
        let attempt = leaf["attempt"].as_u64().filter(|attempt| *attempt > 1).map(|attempt| format!(", attempt {attempt}"));
        words.push_str(&format!("{between}{} waits for {}{}", step(leaf), text(&leaf["waits_for"]), attempt.unwrap_or_default()));
    }
    if leaves.len() > SHOWN_MAX {
        words.push_str(&format!("; and {} more", leaves.len() - SHOWN_MAX));
    }
    printable(words.as_bytes())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_says_how_it_stands_and_what_it_waits_for() {
        let leaf = |step: &str, what: &str, undo| json!({ "step": step, "waits_for": what, "undo": undo });
        let stuck = json!({ "status": "compensating", "failure": { "code": "LATE" }, "why": [leaf("charge", "a person", true)] });
        assert_eq!(line(&stuck), "compensating (LATE): charge (undo) waits for a person");
        let why: Vec<Value> = (0..5).map(|number| leaf(&format!("s{number}"), "a reply", false)).collect();
        assert_eq!(
            line(&json!({ "status": "running", "paused": {}, "why": why })),
            "running, paused: s0 waits for a reply; s1 waits for a reply; s2 waits for a reply; and 2 more"
        );
        assert_eq!(line(&json!({ "status": "completed", "why": [] })), "completed");
        assert!(!line(&json!({ "status": "running", "why": [leaf("\u{1b}[2J", "it", false)] })).contains('\u{1b}'));
    }

    #[test]
    fn what_a_new_connection_begins_with_is_no_news_twice() {
        let mut seen = Seen::default();
        let saga = |status: &str, offset| json!({ "status": status, "as_of_journal_offset": offset });
        assert!(seen.is_news(&saga("running", 1)) && !seen.is_news(&saga("running", 2)) && seen.is_news(&saga("stuck", 2)));
    }
}
