//! `batch`: one act on many sagas. They are selected and shown first; then only those are acted on, and only while they are as they were seen.
//!
//! ```text
//! preview: filter -> a batch, frozen -> start --expected COUNT: acts, so many a second, by the coordinators -> how far it is, to its end
//! ```

mod shown;

use std::fmt::Write as _;
use std::io::Write;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand, ValueEnum};
use ringmaster_schemas::names::percent_encode;
use serde_json::value::RawValue;

use super::act::EndedArguments;
use super::arguments::Asked;
use super::asking::{ask_typed, post_typed, say_missing};
use super::definitions::say;
use super::exit::{Exit, Failure};
use super::run::stop_signal;
use super::sagas::FilterArguments;
use super::text::printable;
use crate::api::{Act, BatchBody, BatchPage, BatchSagas, BatchShown, BatchStart, BatchWish};
use crate::batches::State;
use crate::config::Config;

pub(super) const EXAMPLES: &str = "Examples:\n  \
    ringmaster batch preview retry --stuck --definition order-fulfilment --why 'the card service is back'\n  \
    ringmaster batch start b-0123456789ab --expected 37\n  \
    ringmaster batch preview resolve --stuck --step charge --outcome refused --code NOT_CHARGED --why 'by their books'\n  \
    ringmaster batch preview cancel --search customer=c-7 --definition order-fulfilment --why 'the customer left'\n  \
    ringmaster batch list\n  \
    ringmaster batch stop b-0123456789ab";

/// How often it is asked how far a batch is.
const ASK_EVERY: Duration = Duration::from_millis(500);

/// That there is no such batch is believed when it is said so often, one behind the other.
const UNKNOWN_MAX: usize = 20;

/// Nobody begins many by one event: whoever tries is told what is for that.
fn acts_of_many() -> impl TypedValueParser<Value = Act> {
    let shown = |act: &Act| Some(act.to_possible_value()?.hide(*act == Act::Start));
    let all = Act::value_variants().iter().filter_map(shown);
    PossibleValuesParser::new(all).map(|name| Act::from_str(&name, false).expect("it is one of them"))
}

#[derive(Debug, Subcommand)]
pub(super) enum BatchCommand {
    /// Select the sagas that a filter finds, each as it was seen, and show them; nothing is done to them.
    ///
    /// What is selected is kept, and may be started within an hour. At most 100,000 sagas are.
    Preview(PreviewArguments),
    /// Act on the sagas of a batch, --rate a second, and wait until it is done.
    ///
    /// The coordinators carry it out, also when some of them end or are killed. A saga that has moved on since it was seen is left alone:
    /// what was shown is hit, or less, never more. Exit code 12 says that some were left alone or refused the act. SIGINT ends the
    /// waiting alone: `batch pause` and `batch stop` are for the batch.
    Start(StartArguments),
    /// Begin nothing more until it is resumed; what is on its way, at most a second's worth, is carried out.
    Pause(WishArguments),
    /// Go on with what is paused.
    Resume(WishArguments),
    /// Begin nothing more at all; what is on its way, at most a second's worth, is carried out.
    Stop(WishArguments),
    /// List the batches of the last 30 days, the newest first, and how far each is.
    List {
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        asked: Asked,
    },
    /// Show a batch: what it is, who wanted what with it, how far it is, and why acts were not taken.
    Show {
        /// The batch.
        id: String,
        /// Nothing but the ids of all its sagas, a line each; they are kept until it is over.
        #[arg(long, conflicts_with = "json")]
        sagas: bool,
        /// As JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        asked: Asked,
    },
}

/// What is selected, and what is to be done to it.
#[derive(Debug, Args)]
pub(super) struct PreviewArguments {
    /// What to do: cancel, pause, resume; with what is stuck: retry, skip, or resolve (say how all of them ended); with what waits for an
    /// approval: approve or refuse.
    #[arg(value_parser = acts_of_many())]
    act: Act,
    #[command(flatten)]
    filter: FilterArguments,
    /// Only those at this step; it is also the step that is meant.
    #[arg(long, value_name = "STEP")]
    step: Option<String>,
    /// Only those at the step's undo; without it, to resolve, only those at the step itself.
    #[arg(long, requires = "step")]
    undo: bool,
    #[command(flatten)]
    ended: EndedArguments,
    /// Why, for those who look at it later.
    #[arg(long, value_name = "TEXT")]
    why: String,
    /// Select also where partitions cannot be asked; the sagas that they have are left out.
    #[arg(long)]
    allow_missing: bool,
    /// Who selects.
    #[arg(long, env = "USER", value_name = "NAME")]
    by: String,
    /// As JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    asked: Asked,
}

/// How a batch is started.
#[derive(Debug, Args)]
pub(super) struct StartArguments {
    /// The batch.
    id: String,
    /// As many sagas as it was shown to have.
    #[arg(long, value_name = "COUNT")]
    expected: usize,
    /// At most so many a second.
    #[arg(long, default_value_t = crate::batches::RATE_USUAL, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=i64::from(crate::batches::RATE_MAX)))]
    rate: u32,
    /// Do not wait until it is done.
    #[arg(long)]
    detach: bool,
    /// Who starts it: the acts are journaled by this name.
    #[arg(long, env = "USER", value_name = "NAME")]
    by: String,
    /// As JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    asked: Asked,
}

/// Which batch, and who wants something with it.
#[derive(Debug, Args)]
pub(super) struct WishArguments {
    /// The batch.
    id: String,
    /// Who.
    #[arg(long, env = "USER", value_name = "NAME")]
    by: String,
    /// As JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    asked: Asked,
}

/// `ringmaster batch`
pub(super) fn batch(config: &Config, command: &BatchCommand, out: &mut dyn Write) -> Result<(), Failure> {
    match command {
        BatchCommand::Preview(arguments) => preview(config, arguments, out),
        BatchCommand::Start(arguments) => start(config, arguments, out),
        BatchCommand::Pause(arguments) => wish(config, arguments, "pause", out),
        BatchCommand::Resume(arguments) => wish(config, arguments, "resume", out),
        BatchCommand::Stop(arguments) => wish(config, arguments, "stop", out),
        BatchCommand::List { json, asked } => {
            let page: BatchPage = ask_typed(config, asked.api.as_ref(), "/api/v1/batches")?;
            shown::list(&page.items, *json, out)
        }
        BatchCommand::Show { id, sagas: true, asked, .. } => {
            let all: BatchSagas = ask_typed(config, asked.api.as_ref(), &path(id, "sagas"))?;
            all.sagas.iter().try_for_each(|saga| say(out, format_args!("{}", printable(saga.as_bytes()))))
        }
        BatchCommand::Show { id, json, asked, .. } => shown::show(&find(config, id, asked)?, *json, out),
    }
}

fn path(id: &str, what: &str) -> String {
    let mut path = String::from("/api/v1/batches/");
    percent_encode(id, &mut path);
    if !what.is_empty() {
        write!(path, "/{what}").expect("writing to a string");
    }
    path
}

fn find(config: &Config, id: &str, asked: &Asked) -> Result<BatchShown, Failure> {
    ask_typed(config, asked.api.as_ref(), &path(id, ""))
}

fn preview(config: &Config, arguments: &PreviewArguments, out: &mut dyn Write) -> Result<(), Failure> {
    let PreviewArguments { act, filter, step, undo, ended, why, allow_missing, by, json, asked } = arguments;
    if matches!(act, Act::Start) {
        let why = "start begins one saga, by an event of its own: `ringmaster act` is for that; what an outage kept from starting, `ringmaster replay input` starts";
        return Err(Failure::new(Exit::Usage, why));
    }
    let value = ended.value()?;
    if value.is_some_and(|value| value.get() == "null") {
        return Err(Failure::new(Exit::Usage, "--value null says nothing: leave it out"));
    }
    let body = |by| BatchBody {
        act: *act,
        filter: filter.text(),
        why: why.clone(),
        step: step.clone(),
        undo: *undo,
        outcome: ended.outcome,
        code: ended.code.clone(),
        value: value.map(RawValue::to_owned),
        allow_missing: *allow_missing,
        by,
    };
    let batch: BatchShown = post_typed(config, asked.api.as_ref(), ("/api/v1/batches", Some(by.clone())), body)?;
    say_missing(&batch.missing);
    shown::preview(&batch, *json, out)
}

fn wish(config: &Config, arguments: &WishArguments, what: &str, out: &mut dyn Write) -> Result<(), Failure> {
    let WishArguments { id, by, json, asked } = arguments;
    let wish = |by| BatchWish { by };
    let batch: BatchShown = post_typed(config, asked.api.as_ref(), (&path(id, what), Some(by.clone())), wish)?;
    shown::progress(&batch, *json, out)
}

fn start(config: &Config, arguments: &StartArguments, out: &mut dyn Write) -> Result<(), Failure> {
    let StartArguments { id, expected, rate, detach, by, json, asked } = arguments;
    let stop = stop_signal()?;
    let body = |by| BatchStart { expected: *expected, rate: Some(*rate), by };
    let mut batch: BatchShown = post_typed(config, asked.api.as_ref(), (&path(id, "start"), Some(by.clone())), body)?;
    if *detach {
        return shown::progress(&batch, *json, out);
    }
    let (mut last, mut unknown) = (None, 0);
    // Who is asked next may not have read yet that it was started, or that there is one.
    while matches!(batch.state, State::Incomplete | State::Previewed | State::Running) {
        if stop.load(Ordering::Relaxed) {
            let why =
                format!("{}; it goes on: `ringmaster batch pause {id}` pauses it, `batch stop {id}` ends it", shown::words(&batch));
            return Err(Failure::new(Exit::Failed, why));
        }
        if last.replace(batch.progress.clone()).as_ref() != Some(&batch.progress) {
            // Nobody need listen.
            let _ = writeln!(std::io::stderr(), "{}", shown::words(&batch));
        }
        std::thread::sleep(ASK_EVERY);
        batch = match find(config, id, asked) {
            Ok(batch) => {
                unknown = 0;
                batch
            }
            Err(failure) if failure.exit == Exit::NotFound && unknown < UNKNOWN_MAX => {
                unknown += 1;
                continue;
            }
            // Who was asked may come back, or know it in a moment.
            Err(failure) if matches!(failure.exit, Exit::Failed | Exit::Unreachable) => {
                let _ = writeln!(std::io::stderr(), "{}", failure.message);
                continue;
            }
            Err(failure) => return Err(failure),
        };
    }
    ended(&batch, *json, out)
}

/// How it ended, as an exit code too.
fn ended(batch: &BatchShown, as_json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    if batch.state == State::Done && batch.progress.done == batch.matched {
        shown::progress(batch, as_json, out)?;
        return match (as_json, batch.act) {
            (false, Act::Cancel) => say(
                out,
                format_args!(
                    "each is being undone, which may wait for participants: `ringmaster saga list` shows those that are not at their end"
                ),
            ),
            _ => Ok(()),
        };
    }
    if as_json {
        shown::progress(batch, true, out)?;
    } else {
        shown::examples(batch, out)?;
    }
    let words = shown::words(batch);
    if batch.state != State::Done {
        return Err(Failure::new(Exit::Failed, words));
    }
    let why = match (batch.progress.moved_on, batch.progress.rejected) {
        (_, 0) => "what has moved on since it was selected is left alone",
        (0, _) => "the reasons are above",
        _ => "what has moved on since it was selected is left alone; why others were not taken is above",
    };
    Err(Failure::new(Exit::Rejected, format_args!("{words}: {why}")))
}
