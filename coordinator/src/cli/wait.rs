//! `saga wait`: until a saga stands as somebody waits for, for scripts.

use std::ffi::OsStr;
use std::io::Write;
use std::str::FromStr;
use std::time::{Duration, Instant};

use clap::builder::{PossibleValue, TypedValueParser};
use clap::{Arg, Args, Command};
use serde_json::Value;

use super::arguments::Asked;
use super::definitions::say;
use super::exit::{Exit, Failure};
use super::saga::{saga, text};
use crate::config::Config;
use crate::config::values::duration_within;

/// How often it is asked: rows are shown as of the last checkpoint, which comes every second or two.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// What stands on the command line.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ringmaster saga wait order-fulfilment/ord-17 --for completed --timeout 30s\n  \
    ringmaster saga wait order-fulfilment/ord-17 --for step=charge_payment\n\n\
Exit codes: 0 it is so; 1 it has ended otherwise, or can be so no more; 10 it was not so in time.")]
pub(super) struct WaitArguments {
    /// For example order-fulfilment/ord-17. It need not have begun.
    id: String,
    /// What is waited for: ended, completed, compensated, stuck, parked, paused, or step=NAME: that step is done.
    #[arg(long = "for", value_name = "WHAT", default_value = "ended", value_parser = Whats, hide_possible_values = true)]
    what: What,
    /// For how long: 200ms to 24h.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = within)]
    timeout: Duration,
    #[command(flatten)]
    asked: Asked,
}

fn within(text: &str) -> Result<Duration, String> {
    duration_within("200ms", "24h")(text)
}

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Ended,
    /// By the word for how it has ended.
    EndedAs(&'static str),
    /// By the word for what something of it waits for.
    Waits(&'static str),
    Step(String),
}

impl FromStr for What {
    type Err = String;

    fn from_str(text: &str) -> Result<What, String> {
        Ok(match text {
            "ended" => What::Ended,
            "completed" => What::EndedAs("completed"),
            "compensated" => What::EndedAs("compensated"),
            "stuck" => What::Waits("stuck"),
            "parked" => What::Waits("parked"),
            "paused" => What::Waits("paused"),
            _ => match text.strip_prefix("step=").filter(|step| !step.is_empty()) {
                Some(step) => What::Step(step.to_owned()),
                None => return Err("it is ended, completed, compensated, stuck, parked, paused or step=NAME".to_owned()),
            },
        })
    }
}

/// What can be waited for, as shells complete it.
const WHATS: [&str; 7] = ["ended", "completed", "compensated", "stuck", "parked", "paused", "step="];

/// Reads that, and knows of it for shells.
#[derive(Debug, Clone, Copy)]
struct Whats;

impl TypedValueParser for Whats {
    type Value = What;

    fn parse_ref(&self, command: &Command, argument: Option<&Arg>, value: &OsStr) -> Result<What, clap::Error> {
        let parse = |text: &str| text.parse::<What>();
        parse.parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(WHATS.into_iter().map(PossibleValue::new)))
    }
}

/// How far a saga is from that.
#[derive(Debug, PartialEq, Eq)]
enum Stands {
    So,
    NotYet,
    /// It can be so no more.
    Never,
}

impl What {
    fn of(&self, saga: &Value) -> Stands {
        let has_ended = !saga["ended_at"].is_null();
        let otherwise = if has_ended { Stands::Never } else { Stands::NotYet };
        let is_so = match self {
            What::Ended => has_ended,
            What::EndedAs(status) => has_ended && saga["status"] == *status,
            What::Waits("paused") => saga["paused"].is_object(),
            What::Waits(reason) => saga["why"].as_array().into_iter().flatten().any(|leaf| leaf["reason"] == *reason),
            What::Step(step) => {
                let entries = saga["entries"].as_array().into_iter().flatten();
                entries.filter(|entry| entry["step"] == **step).any(|entry| entry["work"] == "done")
            }
        };
        if is_so { Stands::So } else { otherwise }
    }
}

/// `ringmaster saga wait ID`
pub(super) fn wait(config: &Config, arguments: &WaitArguments, out: &mut dyn Write) -> Result<(), Failure> {
    let WaitArguments { id, what, timeout, asked } = arguments;
    let since = Instant::now();
    loop {
        let last = match saga(config, id, asked.api.as_ref()) {
            Ok(saga) => match what.of(&saga) {
                Stands::So => return say(out, format_args!("{id} is {}", text(&saga["status"]))),
                Stands::Never => {
                    return Err(Failure::new(Exit::Failed, format_args!("{id} has ended: it is {}", text(&saga["status"]))));
                }
                Stands::NotYet => format!("it is {}", text(&saga["status"])),
            },
            // It may begin, and who was asked may come back: only what asking again cannot mend ends it.
            Err(failure) if matches!(failure.exit, Exit::NotFound | Exit::Unreachable | Exit::Failed) => failure.message,
            Err(failure) => return Err(failure),
        };
        if since.elapsed() >= *timeout {
            return Err(Failure::new(Exit::Waited, format_args!("{id} was not so within the time: {last}")));
        }
        std::thread::sleep(ASK_EVERY.min(timeout.saturating_sub(since.elapsed())));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_saga_is_so_not_yet_or_never() {
        let what = |text: &str| text.parse::<What>().unwrap_or_else(|why| panic!("{text}: {why}"));
        let open = json!({ "status": "running", "ended_at": null, "paused": null, "why": [{ "reason": "stuck" }],
            "entries": [{ "step": "charge", "work": "done" }, { "step": "ship", "work": "asked" }] });
        let ended =
            json!({ "status": "compensated", "ended_at": "2026-01-31T00:00:00Z", "paused": null, "why": [], "entries": [] });
        for (text, of_open, of_ended) in [
            ("ended", Stands::NotYet, Stands::So),
            ("completed", Stands::NotYet, Stands::Never),
            ("compensated", Stands::NotYet, Stands::So),
            ("stuck", Stands::So, Stands::Never),
            ("parked", Stands::NotYet, Stands::Never),
            ("paused", Stands::NotYet, Stands::Never),
            ("step=charge", Stands::So, Stands::Never),
            ("step=ship", Stands::NotYet, Stands::Never),
        ] {
            assert_eq!((what(text).of(&open), what(text).of(&ended)), (of_open, of_ended), "{text}");
        }
        for wrong in ["", "step=", "end", "steps=a"] {
            assert!(wrong.parse::<What>().is_err(), "{wrong}");
        }
    }
}
