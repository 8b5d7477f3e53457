//! `act`: what a person does to a saga. It is sent as a record of the control topic, and its answer is read in the journal.

use std::borrow::Cow;
use std::io::Write;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use ringmaster_bus::{Bus, TopicPartition};
use ringmaster_core::intake::{ControlAct, ControlOutcome, ControlRecord};
use ringmaster_schemas::journal::{Change, JournalRecord, Opens, SagaEvent, Turn};
use ringmaster_schemas::names::{self, Topics};
use serde_json::value::RawValue;

use super::buses::{self, Access, on_bus};
use super::definitions::say;
use super::exit::{Exit, Failure};
use crate::blocking;
use crate::config::{BusKind, Config};

/// What stands on the command line.
#[derive(Debug, Args)]
pub(super) struct ActArguments {
    /// What to do: cancel (undo the saga); and with what is stuck: retry, skip, or resolve (say how it ended).
    act: ActName,
    /// The saga, for example order-fulfilment/ord-17.
    id: String,
    /// The step that is meant, where several are stuck or a value is given; with its round behind ~.
    #[arg(long, value_name = "STEP")]
    step: Option<String>,
    /// Why, for those who look at it later.
    #[arg(long, value_name = "TEXT")]
    why: String,
    /// Who acts.
    #[arg(long, env = "USER", value_name = "NAME")]
    by: String,
    /// To resolve: how it ended.
    #[arg(long, value_name = "OUTCOME")]
    outcome: Option<OutcomeName>,
    /// To resolve as refused: by which code.
    #[arg(long, value_name = "CODE")]
    code: Option<String>,
    /// To skip or resolve: the step's result, as JSON.
    #[arg(long, value_name = "JSON")]
    value: Option<String>,
    /// Do it only if the saga still is as it was seen: the state that `saga show` names.
    #[arg(long, value_name = "STATE")]
    if_state: Option<String>,
    /// How many seconds to wait for the answer.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    timeout: u64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ActName {
    Cancel,
    Retry,
    Skip,
    Resolve,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OutcomeName {
    Succeeded,
    Refused,
}

/// `ringmaster act`
pub(super) fn act(config: &Config, arguments: &ActArguments, out: &mut dyn Write) -> Result<(), Failure> {
    let usage = |why: String| Failure::new(Exit::Usage, why);
    let key =
        arguments.id.split_once('/').and_then(|(definition, key)| (!definition.is_empty()).then(|| names::percent_decode(key)));
    let key = key.flatten().ok_or_else(|| usage(format!("'{}' is not a saga id such as order-fulfilment/ord-17", arguments.id)))?;
    if config.bus == BusKind::Embedded {
        let why = "the embedded bus belongs to the coordinator's process, so that nothing can be sent to it: acts need Kafka";
        return Err(Failure::new(Exit::Refused, why));
    }
    let value = arguments.value.as_deref().map(serde_json::from_str::<&RawValue>);
    let value = value.transpose().map_err(|error| usage(format!("the value is not JSON: {error}")))?;
    let id = format!("{:016x}", fastrand::u64(..));
    let record = ControlRecord {
        id: Some(Cow::Borrowed(&id)),
        saga: Cow::Borrowed(&arguments.id),
        act: match arguments.act {
            ActName::Cancel => ControlAct::Cancel,
            ActName::Retry => ControlAct::Retry,
            ActName::Skip => ControlAct::Skip,
            ActName::Resolve => ControlAct::Resolve,
        },
        step: arguments.step.as_deref().map(Cow::Borrowed),
        by: Cow::Borrowed(&arguments.by),
        why: Cow::Borrowed(&arguments.why),
        if_state: arguments.if_state.as_deref().map(Cow::Borrowed),
        outcome: arguments.outcome.map(|outcome| match outcome {
            OutcomeName::Succeeded => ControlOutcome::Succeeded,
            OutcomeName::Refused => ControlOutcome::Refused,
        }),
        code: arguments.code.as_deref().map(Cow::Borrowed),
        value,
    };
    let bytes = serde_json::to_vec(&record).expect("texts are always JSON");
    let topics = Topics::new(&config.prefix);
    let mut any = buses::open(config, Access::Write)?;
    let patience = Duration::from_secs(arguments.timeout);
    let turn = on_bus!(&mut any, bus => send(bus, &topics, names::partition_of(&key, config.partitions), &key, &bytes, patience)?);
    answer(turn, out)
}

/// Sends the record, and waits in the journal for the turn that takes it; none within this time.
fn send(
    bus: &mut impl Bus,
    topics: &Topics,
    partition: i32,
    key: &[u8],
    bytes: &[u8],
    patience: Duration,
) -> Result<Option<Turn>, Failure> {
    if bus.describe(&[&topics.control])?.iter().any(Option::is_none) {
        return Err(Failure::new(
            Exit::Refused,
            format_args!("there is no topic {}: run `ringmaster topics apply`", topics.control),
        ));
    }
    let journal = TopicPartition { topic: bus.topic(&topics.journal), partition };
    let (_, mut next) = blocking::bounds(bus, journal)?;
    blocking::append(bus, &topics.control, partition, &[(key.to_vec(), bytes.to_vec())])?;
    let since = Instant::now();
    let mut found = None;
    while found.is_none() && since.elapsed() < patience {
        next = blocking::read_from(bus, &topics.journal, partition, next, &mut |read| {
            let record = JournalRecord::decode(read.value.as_deref().unwrap_or_default());
            let JournalRecord::Decision(decision) = record.ok()? else { return None };
            let is_ours = |turn: &Turn| turn.input.as_ref().is_some_and(|input| *input.raw == *bytes);
            found = decision.turns.into_iter().find(is_ours);
            found.as_ref().map(|_| ())
        })?;
    }
    Ok(found)
}

/// What became of an act that was taken.
fn became(turn: &Turn) -> String {
    let events = turn.changes.iter().filter_map(|change| if let Change::Saga(saga) = change { Some(&saga.events) } else { None });
    let events: Vec<&SagaEvent> = events.flatten().collect();
    match events.last() {
        Some(SagaEvent::StopRemembered { .. }) => {
            "remembered: its pivot is asked; if that is refused the saga is undone, and if it succeeds it is too late".to_owned()
        }
        Some(SagaEvent::Stuck { failure, .. } | SagaEvent::Entered { opens: Opens::Stuck { failure }, .. }) => {
            format!("done, and it is stuck again at {}: {} {}", failure.step, failure.code, failure.message)
        }
        _ => "done".to_owned(),
    }
}

/// What came of it, in words and as an exit code.
fn answer(turn: Option<Turn>, out: &mut dyn Write) -> Result<(), Failure> {
    let Some(turn) = turn else {
        let why = "nobody took it within the time: it stays in the control topic, and is taken when a coordinator reads it. Is one running? `ringmaster saga show ID` shows whether it was done";
        return Err(Failure::new(Exit::Waited, why));
    };
    let rejected = turn.changes.iter().find_map(|change| match change {
        Change::Rejected(rejected) => Some(rejected),
        _ => None,
    });
    match rejected {
        Some(rejected) => Err(Failure::new(Exit::Rejected, format_args!("{}: {}", rejected.reason, rejected.detail))),
        None => say(out, format_args!("{}", became(&turn))),
    }
}
