//! What commands have in common that bring records to sagas again: who does it, to how many, how fast, and how it is told what became of them.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, Instant};

use clap::Args;

use super::definitions::say;
use super::exit::{Exit, Failure};
use super::text::printable;
use crate::redrive::{Hand, Told};

/// Who does it, and whether it is done.
#[derive(Debug, Args)]
pub(super) struct HandArguments {
    /// Why, for those who look at it later.
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// Who does it.
    #[arg(long, env = "USER", value_name = "NAME")]
    by: Option<String>,
    /// Do it, if it still is about exactly so many. Without it nothing is done, and it is said what would be.
    #[arg(long, value_name = "COUNT", requires = "why")]
    expected: Option<usize>,
    /// One JSON object each, a line.
    #[arg(long)]
    pub(super) json: bool,
}

/// How fast records are brought again.
#[derive(Debug, Args)]
pub(super) struct PaceArguments {
    /// Also starts that are older than finished sagas are remembered: one that has run and is forgotten would run once more.
    #[arg(long)]
    pub(super) accept_old: bool,
    #[command(flatten)]
    pub(super) rate: RateArguments,
}

/// How many at once, and how long they are waited for.
#[derive(Debug, Args)]
pub(super) struct RateArguments {
    /// At most so many a second.
    #[arg(long = "rate", default_value_t = 50, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    a_second: u32,
    /// How many seconds to wait for the answers of those that are on their way.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    timeout: u64,
}

impl HandArguments {
    /// Why, if that is said.
    pub(super) fn why(&self) -> Option<&str> {
        self.why.as_deref()
    }

    /// Who, if that is said.
    pub(super) fn by(&self) -> Option<&str> {
        self.by.as_deref()
    }

    /// It is to be done.
    pub(super) fn is_meant(&self) -> bool {
        self.expected.is_some()
    }

    /// Who does it and why, if it is to be done: to as many records as were expected, else to none.
    pub(super) fn confirmed(&self, count: usize) -> Result<Option<Hand<'_>>, Failure> {
        let (Some(expected), Some(why)) = (self.expected, self.why.as_deref()) else { return Ok(None) };
        if expected != count {
            let why = format!("it is about {} now, not {expected}: look again, without --expected", records(count));
            return Err(Failure::new(Exit::Rejected, why));
        }
        let by =
            self.by.as_deref().ok_or_else(|| Failure::new(Exit::Usage, "say who does it by --by NAME, or by the variable USER"))?;
        Ok(Some(Hand { by, why }))
    }
}

impl RateArguments {
    /// As many may be sent in one go, which takes a second then.
    pub(super) fn a_second(&self) -> usize {
        self.a_second as usize
    }

    /// How long answers are waited for.
    pub(super) fn patience(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }

    /// Says how far it is, and waits, so that no more of them are sent a second than may be. `count` of them were, since that time.
    pub(super) fn rest(&self, since: Instant, count: usize, (done, all): (usize, usize)) {
        if done < all {
            // Nobody need listen.
            let _ = writeln!(std::io::stderr(), "{done} of {all}");
            let share = Duration::from_secs_f64(count as f64 / f64::from(self.a_second));
            std::thread::sleep(share.saturating_sub(since.elapsed()));
        }
    }
}

/// What is told of records, and how many were told what.
#[derive(Debug)]
pub(super) struct Telling {
    json: bool,
    counts: BTreeMap<String, usize>,
}

impl Telling {
    /// Nothing yet.
    pub(super) fn new(json: bool) -> Telling {
        Telling { json, counts: BTreeMap::new() }
    }

    /// Of one at least not all was heard: no more are brought.
    pub(super) fn has_open(&self) -> bool {
        self.counts.contains_key("open")
    }

    /// Tells what became of a record.
    pub(super) fn tell(&mut self, told: &Told, out: &mut dyn Write) -> Result<(), Failure> {
        *self.counts.entry(told.result.replace('_', " ")).or_default() += 1;
        if self.json {
            return say(out, format_args!("{}", serde_json::to_string(told).expect("it is JSON")));
        }
        let id = told.id.as_ref().map_or_else(String::new, |id| format!("{id}  "));
        say(out, format_args!("{id}{}  {}", told.from, printable(told.detail.as_bytes())))
    }

    /// How it ended: well, if each record is taken or known. `rest`: how many were not brought.
    pub(super) fn end(&self, rest: usize, out: &mut dyn Write) -> Result<(), Failure> {
        let counts: Vec<String> = self.counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
        let words = if counts.is_empty() { "nothing was sent".to_owned() } else { counts.join(", ") };
        if self.has_open() {
            let why = "not all partitions took it within the time: it lies in the inbox, and is taken when a coordinator reads it, or when starts are held no more. Bringing it again does nothing twice";
            return Err(Failure::new(Exit::Waited, format_args!("{words}; {why}")));
        }
        if rest > 0 {
            let why = format!(
                "interrupted: {} wait still; without --expected the same command says how many it would be now",
                records(rest)
            );
            return Err(Failure::new(Exit::Failed, format_args!("{words}; {why}")));
        }
        if ["quarantined", "not sent"].iter().any(|bad| self.counts.contains_key(*bad)) {
            return Err(Failure::new(Exit::Rejected, words));
        }
        if self.json { Ok(()) } else { say(out, format_args!("{words}")) }
    }
}

/// A count of records in words.
pub(super) fn records(count: usize) -> String {
    if count == 1 { "1 record".to_owned() } else { format!("{count} records") }
}
