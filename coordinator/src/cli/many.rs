//! `act-many`: one act on many sagas. They are selected first and written down, each with its last turn as it was seen; only those are acted
//! on, and only while that is their last one.
//!
//! ```text
//! filter -> sagas with their last turns -> a file (nothing is done) -> --expected COUNT -> acts, so many a second -> what became of each
//! ```

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;

use clap::Args;
use ringmaster_schemas::journal::{RejectionReason, Turn};
use ringmaster_schemas::names::Topics;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use super::act::EndedArguments;
use super::arguments::Asked;
use super::buses::{self, Access, on_bus};
use super::definitions::say;
use super::exit::{Exit, Failure};
use super::hand::{Hand, HandArguments, RateArguments};
use super::run::stop_signal;
use super::sagas::{FilterArguments, select, step};
use crate::api::{Act, ActBody, ActEnd, SagaLine};
use crate::config::Config;
use crate::control::{self, Addressed};
use crate::runtime;

pub(super) const EXAMPLES: &str = "Examples:\n  \
    ringmaster act-many retry --stuck --definition order-fulfilment --into stuck.json\n  \
    ringmaster act-many retry --from stuck.json --expected 37 --why 'the card service is back'\n  \
    ringmaster act-many resolve --stuck --step charge --outcome refused --code NOT_CHARGED --into uncharged.json\n  \
    ringmaster act-many cancel --search customer=c-7 --definition order-fulfilment --into c-7.json";

/// Sagas that one selection has at most.
const SELECTED_MAX: usize = 50_000;
/// What a selection says that it is.
const FORMAT: &str = "ringmaster-selection";
/// By version 1 sagas were named by their states.
const VERSION: u32 = 2;

/// What stands on the command line.
#[derive(Debug, Args)]
pub(super) struct ManyArguments {
    /// What to do: cancel, pause, resume; with what is stuck: retry, skip, or resolve (say how all of them ended); with what waits for an
    /// approval: approve or refuse.
    act: Act,
    #[command(flatten)]
    filter: FilterArguments,
    /// Only those at this step; it is also the step that is meant.
    #[arg(long, value_name = "STEP")]
    step: Option<String>,
    /// Only those at the step's undo; without it, to resolve, only those at the step itself.
    #[arg(long, requires = "step")]
    undo: bool,
    /// Write the selection into this file, which must not be there yet; nothing is done.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["from", "expected"], required_unless_present = "from")]
    into: Option<PathBuf>,
    /// Act on the selection of this file, as it is: no filter stands beside it.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["filter", "stuck", "parked", "paused", "participant", "definition", "search", "step", "undo", "outcome", "code", "value"])]
    from: Option<PathBuf>,
    #[command(flatten)]
    ended: EndedArguments,
    #[command(flatten)]
    hand: HandArguments,
    #[command(flatten)]
    rate: RateArguments,
    #[command(flatten)]
    asked: Asked,
}

/// What was selected, and as what it was seen.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Selection {
    format: String,
    version: u32,
    /// Which act it was made for.
    act: Act,
    /// When, in milliseconds since 1970.
    made_at: i64,
    /// Whose sagas they are.
    prefix: String,
    /// The step that is meant, if one is.
    step: Option<String>,
    /// How it ended, of all of them, where the act says that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    outcome: Option<ActEnd>,
    /// By which code it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// The step's result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<Box<RawValue>>,
    sagas: Vec<Selected>,
}

/// What a selection says first.
#[derive(Debug, Deserialize)]
struct Kind {
    format: String,
    version: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Selected {
    saga: String,
    /// The last turn that was seen.
    if_turn: i64,
}

/// `ringmaster act-many`
pub(super) fn act(config: &Config, arguments: &ManyArguments, out: &mut dyn Write) -> Result<(), Failure> {
    buses::needs_kafka(config)?;
    if matches!(arguments.act, Act::Start) {
        let why = "start begins one saga, by an event of its own: `ringmaster act` is for that; what an outage kept from starting, `ringmaster replay input` starts";
        return Err(Failure::new(Exit::Usage, why));
    }
    if arguments.into.is_some() {
        check_said(arguments).map_err(|why| Failure::new(Exit::Usage, why))?;
    }
    match (&arguments.into, &arguments.from) {
        (Some(file), _) => choose(config, arguments, file, out),
        (None, Some(file)) => {
            let selection = read(config, arguments, file)?;
            match arguments.hand.confirmed(selection.sagas.len(), sagas)? {
                Some(hand) => carry_out(config, arguments, (&selection, &hand), out),
                None => say(out, format_args!("{}", how(&selection, file))),
            }
        }
        (None, None) => unreachable!("the command line has one of them"),
    }
}

/// What is said of all of them must be what the act says, so that what is shown is what is done.
fn check_said(arguments: &ManyArguments) -> Result<(), &'static str> {
    let ManyArguments { act, step, ended, .. } = arguments;
    let (outcome, value) = (ended.outcome, ended.value().ok().flatten());
    if matches!(act, Act::Resolve) && (step.is_none() || outcome.is_none()) {
        return Err(
            "to resolve many needs --step STEP and --outcome succeeded|refused: what is said of all of them is of one step",
        );
    }
    if outcome.is_some() && !matches!(act, Act::Resolve) {
        return Err("--outcome is said to resolve");
    }
    if ended.code.is_some() && outcome != Some(ActEnd::Refused) {
        return Err("--code is said to resolve as refused");
    }
    match value.map(RawValue::get) {
        Some("null") => Err("--value null says nothing: leave it out"),
        Some(_) if !matches!(act, Act::Skip) && outcome != Some(ActEnd::Succeeded) => {
            Err("--value is said to skip, or to resolve as succeeded")
        }
        _ => Ok(()),
    }
}

fn sagas(count: usize) -> String {
    if count == 1 { "1 saga".to_owned() } else { format!("{count} sagas") }
}

fn how(selection: &Selection, file: &Path) -> String {
    let word = |what: serde_json::Value| what.as_str().unwrap_or_default().to_owned();
    let act = word(json!(selection.act));
    let outcome = selection.outcome.map(|outcome| word(json!(outcome)));
    let said: Vec<&str> =
        outcome.iter().chain(&selection.code).map(String::as_str).chain(selection.value.as_deref().map(RawValue::get)).collect();
    let (all, count, file) = (sagas(selection.sagas.len()), selection.sagas.len(), file.display());
    let at = selection.step.as_ref().map_or_else(String::new, |step| format!(" at {step}"));
    let saying = if said.is_empty() { String::new() } else { format!(" ({})", said.join(", ")) };
    format!(
        "nothing was done; to {act}{saying} {all}{at} as they were seen: ringmaster act-many {act} --from {file} --expected {count} --why TEXT"
    )
}

/// Selects, writes down what was selected, and says what it would be.
fn choose(config: &Config, arguments: &ManyArguments, file: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    let (found, more) = select(config, &arguments.filter, (SELECTED_MAX, false), arguments.asked.api.as_ref())?;
    // That it was done says of a step something else than of its undo.
    let of_one = arguments.undo || matches!(arguments.act, Act::Resolve);
    let is_meant = |row: &&SagaLine| {
        let waits = row.waits.as_ref();
        arguments.step.as_deref().is_none_or(|step| waits.is_some_and(|waits| waits.step.as_deref() == Some(step)))
            && (!of_one || waits.is_some_and(|waits| waits.undo) == arguments.undo)
    };
    let meant: Vec<&SagaLine> = found.iter().filter(is_meant).collect();
    // Nothing could be said of these that tells whether they have moved on.
    let (meant, unknown): (Vec<&SagaLine>, Vec<&SagaLine>) = meant.into_iter().partition(|row| row.if_turn.is_some());
    let selected = |row: &&SagaLine| row.if_turn.map(|if_turn| Selected { saga: row.saga.clone(), if_turn });
    let selection = Selection {
        format: FORMAT.to_owned(),
        version: VERSION,
        act: arguments.act,
        made_at: runtime::wall(),
        prefix: config.prefix.clone(),
        step: arguments.step.clone(),
        outcome: arguments.ended.outcome,
        code: arguments.ended.code.clone(),
        value: arguments.ended.value()?.map(ToOwned::to_owned),
        sagas: meant.iter().filter_map(selected).collect(),
    };
    let failed = |error: std::io::Error| Failure::new(Exit::Refused, format_args!("{}: {error}", file.display()));
    let text_of_all = serde_json::to_string_pretty(&selection).expect("it is JSON");
    let made = std::fs::File::options().write(true).create_new(true).open(file);
    made.and_then(|mut made| made.write_all(text_of_all.as_bytes())).map_err(failed)?;
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for row in &meant {
        let waits = row.waits.as_ref().map_or("nothing", |waits| &waits.reason);
        let kind = format!("{} at {}: {waits}", row.definition, step(row));
        *kinds.entry(kind).or_default() += 1;
    }
    for (kind, count) in kinds {
        say(out, format_args!("{count} {kind}"))?;
    }
    if !unknown.is_empty() {
        let why =
            "an earlier build stored them, so that which turn was their last is not known; `ringmaster act` is for each of them";
        say(out, format_args!("{} are left out: {why}", sagas(unknown.len())))?;
    }
    if more {
        let (all, rest) = (sagas(selection.sagas.len()), "there are more: act on these first, and select again");
        say(out, format_args!("{all} are selected, into {}; {rest}", file.display()))?;
    }
    say(out, format_args!("{}", how(&selection, file)))
}

fn read(config: &Config, arguments: &ManyArguments, file: &Path) -> Result<Selection, Failure> {
    let refused = |why: String| Failure::new(Exit::Refused, format_args!("{}: {why}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| refused(error.to_string()))?;
    let kind: Kind = serde_json::from_str(&text).map_err(|error| refused(format!("this is no selection: {error}")))?;
    match (&*kind.format, kind.version) {
        (FORMAT, VERSION) => {}
        (FORMAT, _) => return Err(refused("another build of Ringmaster made this selection: select again".to_owned())),
        _ => return Err(refused("this is no selection of `ringmaster act-many --into`".to_owned())),
    }
    let selection: Selection = serde_json::from_str(&text).map_err(|error| refused(format!("this is no selection: {error}")))?;
    if selection.act != arguments.act || selection.prefix != config.prefix {
        let made_for = serde_json::to_value(selection.act).expect("a word");
        return Err(refused(format!("it was made to {made_for} sagas of prefix '{}'", selection.prefix)));
    }
    Ok(selection)
}

/// How many became what.
#[derive(Debug, Default)]
struct Counts {
    done: usize,
    rejected: usize,
    /// Of those that were rejected: what was said of them cannot be, whatever became of them meanwhile.
    not_possible: usize,
    open: usize,
}

/// Sends what is meant, not more a second than may be, until it is done or somebody stops it.
fn carry_out(
    config: &Config,
    arguments: &ManyArguments,
    (selection, hand): (&Selection, &Hand<'_>),
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let (stop, topics, as_json) = (stop_signal()?, Topics::new(&config.prefix), arguments.hand.json);
    let mut any = buses::open(config, Access::Write)?;
    let (mut counts, mut rest) = (Counts::default(), &selection.sagas[..]);
    on_bus!(&mut any, bus => {
        let partitions = control::partitions(bus, &topics)?;
        while !rest.is_empty() && !stop.load(Ordering::Relaxed) && counts.open == 0 {
            let since = Instant::now();
            let (some, later) = rest.split_at(rest.len().min(arguments.rate.a_second()));
            let acts = some.iter().map(|one| addressed(selection, one, hand, partitions)).collect::<Result<_, _>>()?;
            let sent = control::send(bus, &topics, acts)?;
            let turns = control::wait(bus, &topics, &sent, arguments.rate.patience())?;
            for (place, one) in some.iter().enumerate() {
                tell(one, turns.get(&place).map(|answered| &answered.turn), &mut counts, as_json, out)?;
            }
            rest = later;
            arguments.rate.rest(since, some.len(), (selection.sagas.len() - rest.len(), selection.sagas.len()));
        }
    });
    end(&counts, rest.len(), as_json, out)
}

fn addressed(selection: &Selection, one: &Selected, hand: &Hand<'_>, partitions: i32) -> Result<Addressed, Failure> {
    let body = ActBody {
        act: selection.act,
        saga: Some(one.saga.clone()),
        participant: None,
        step: selection.step.clone(),
        why: hand.why.to_owned(),
        by: None,
        if_turn: Some(one.if_turn),
        outcome: selection.outcome,
        code: selection.code.clone(),
        value: selection.value.clone(),
    };
    let id = format!("{:016x}", fastrand::u64(..));
    body.records(&id, partitions, hand.by)
        .pop()
        .ok_or_else(|| Failure::new(Exit::Refused, format_args!("'{}' is no saga's id: the selection was changed", one.saga)))
}

/// Tells what became of one.
fn tell(one: &Selected, turn: Option<&Turn>, counts: &mut Counts, as_json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let rejected = turn.and_then(control::rejection);
    counts.not_possible += usize::from(rejected.is_some_and(|rejected| rejected.reason == RejectionReason::NotPossible));
    let (result, words) = match turn.map(|turn| (control::rejection(turn), turn)) {
        None => ("open", "nobody took it within the time".to_owned()),
        Some((Some(rejected), _)) => ("rejected", format!("{}: {}", rejected.reason, rejected.detail)),
        Some((None, turn)) => ("done", control::became(&one.saga, turn)),
    };
    *match result {
        "done" => &mut counts.done,
        "rejected" => &mut counts.rejected,
        _ => &mut counts.open,
    } += 1;
    match as_json {
        true => say(out, format_args!("{}", json!({ "saga": one.saga, "result": result, "detail": words }))),
        false => say(out, format_args!("{}  {words}", one.saga)),
    }
}

fn end(counts: &Counts, rest: usize, as_json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let Counts { done, rejected, not_possible, open } = *counts;
    let words = format!("{done} done, {rejected} rejected");
    if open > 0 {
        let why = "lie in the control topic and are taken when a coordinator reads them. The same command again does nothing twice";
        return Err(Failure::new(Exit::Waited, format_args!("{words}; {open} {why}; {rest} were not sent")));
    }
    if rest > 0 {
        let why = format!("interrupted: {} were not sent; the same command goes on, and does nothing twice", sagas(rest));
        return Err(Failure::new(Exit::Failed, format_args!("{words}; {why}")));
    }
    if rejected > 0 {
        let why = match (rejected - not_possible, not_possible) {
            (_, 0) => "what has moved on since it was selected is left alone".to_owned(),
            (0, _) => "the reasons are above".to_owned(),
            (moved, _) => {
                format!("{moved} moved on since they were selected, and are left alone; why the others were not taken is above")
            }
        };
        return Err(Failure::new(Exit::Rejected, format_args!("{words}: {why}")));
    }
    if as_json { Ok(()) } else { say(out, format_args!("{words}")) }
}
