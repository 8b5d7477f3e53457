//! `act`: what a person does to a saga. It is sent as a record of the control topic, and its answer is read in the journal.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum as _};
use ringmaster_bus::Bus;
use ringmaster_schemas::journal::Turn;
use ringmaster_schemas::names::Topics;
use serde_json::value::RawValue;

use super::asking::{Asked, post};
use super::buses::{self, Access, on_bus};
use super::confirm::Confirming;
use super::definitions::say;
use super::exit::{Exit, Failure};
use super::saga::check_id;
use crate::api::{Act, ActBody, ActEnd};
use crate::config::{BusKind, Config};
use crate::control;

/// What stands on the command line.
#[derive(Debug, Args)]
pub(super) struct ActArguments {
    /// What to do: cancel (undo the saga); pause (nothing of it goes forward) or resume; with what is stuck: retry, skip, or resolve (say how it ended); with what waits for an
    /// approval: approve or refuse; with a saga that is not there: start.
    act: Act,
    /// The saga, for example order-fulfilment/ord-17.
    id: String,
    /// The step that is meant, where several are stuck or wait, or a value is given; with its round behind ~.
    #[arg(long, value_name = "STEP")]
    step: Option<String>,
    /// Why, for those who look at it later.
    #[arg(long, value_name = "TEXT")]
    why: String,
    /// Who acts.
    #[arg(long, env = "USER", value_name = "NAME")]
    by: String,
    #[command(flatten)]
    ended: EndedArguments,
    /// To start: a file with the event, as JSON; its key must be the saga's.
    #[arg(long, value_name = "FILE")]
    event: Option<PathBuf>,
    /// Do it only if the saga has not moved since it was seen: the journal offset of its last turn, which `saga show` names if_turn.
    #[arg(long, value_name = "OFFSET")]
    if_turn: Option<i64>,
    /// How many seconds to wait for the answer; over HTTP at most 8.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    timeout: u64,
    #[command(flatten)]
    confirming: Confirming,
    #[command(flatten)]
    asked: Asked,
}

/// How a step ended, as a person says it.
#[derive(Debug, Args)]
pub(super) struct EndedArguments {
    /// To resolve: how it ended.
    #[arg(long, value_name = "OUTCOME")]
    pub(super) outcome: Option<ActEnd>,
    /// To resolve as refused: by which code.
    #[arg(long, value_name = "CODE")]
    pub(super) code: Option<String>,
    /// To skip or resolve: the step's result, as JSON.
    #[arg(long, value_name = "JSON")]
    value: Option<String>,
}

impl EndedArguments {
    /// The result, which must be JSON.
    pub(super) fn value(&self) -> Result<Option<&RawValue>, Failure> {
        self.value.as_deref().map(json_of).transpose()
    }
}

fn json_of(text: &str) -> Result<&RawValue, Failure> {
    serde_json::from_str(text).map_err(|error| Failure::new(Exit::Usage, format_args!("the value is not JSON: {error}")))
}

/// What is said of an act that nobody has taken.
const OPEN: &str = "nobody took it within the time: it stays in the control topic, and is taken when a coordinator reads it. Is one running? `ringmaster saga show ID` shows whether it was done";

/// `ringmaster act`
pub(super) fn act(config: &Config, arguments: &ActArguments, out: &mut dyn Write) -> Result<(), Failure> {
    let usage = |why: String| Failure::new(Exit::Usage, why);
    check_id(&arguments.id)?;
    if matches!(arguments.act, Act::Start) != arguments.event.is_some() {
        return Err(usage("start needs --event FILE, the event as JSON; no other act has one".to_owned()));
    }
    let event = match &arguments.event {
        None => None,
        Some(file) => Some(std::fs::read_to_string(file).map_err(|error| usage(format!("{}: {error}", file.display())))?),
    };
    let value = match &event {
        Some(event) => Some(json_of(event)?),
        None => arguments.ended.value()?,
    };
    let body = body_of(arguments, value);
    body.check_kind().map_err(|why| usage(why.to_owned()))?;
    if cannot_be_taken_back(arguments.act) {
        let step = arguments.step.as_ref().map_or_else(String::new, |step| format!(", step {step}"));
        arguments.confirming.ask(&format!("{} {}{step}", name_of(arguments.act), arguments.id))?;
    }
    // Where there is an address, or where nobody else reaches the bus, the coordinator itself brings it.
    if arguments.asked.api.is_some() || config.bus == BusKind::Embedded {
        let answer = post(config, arguments.asked.api.as_ref(), &body)?;
        return match &*answer.outcome {
            "open" => Err(Failure::new(Exit::Waited, OPEN)),
            _ => say(out, format_args!("{}", answer.detail)),
        };
    }
    let topics = Topics::new(&config.prefix);
    let mut any = buses::open(config, Access::Write)?;
    let patience = Duration::from_secs(arguments.timeout);
    let turn = on_bus!(&mut any, bus => send(bus, &topics, (&body, &arguments.by), patience)?);
    answer(&arguments.id, turn, out)
}

/// As it stands on the command line.
fn name_of(act: Act) -> String {
    act.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

/// A person is asked before it. What is tried again, or held up and let go on, is as it was by another act.
fn cannot_be_taken_back(act: Act) -> bool {
    !matches!(act, Act::Retry | Act::Pause | Act::Resume)
}

/// What is asked for, whichever way it goes.
fn body_of(arguments: &ActArguments, value: Option<&RawValue>) -> ActBody {
    ActBody {
        act: arguments.act,
        saga: Some(arguments.id.clone()),
        participant: None,
        step: arguments.step.clone(),
        why: arguments.why.clone(),
        by: Some(arguments.by.clone()),
        if_turn: arguments.if_turn,
        outcome: arguments.ended.outcome,
        code: arguments.ended.code.clone(),
        value: value.map(ToOwned::to_owned),
    }
}

/// Sends the record, and waits in the journal for the turn that takes it; none within this time.
fn send(bus: &mut impl Bus, topics: &Topics, (body, by): (&ActBody, &str), patience: Duration) -> Result<Option<Turn>, Failure> {
    let id = format!("{:016x}", fastrand::u64(..));
    let records = body.records(&id, control::partitions(bus, topics)?, by);
    let sent = control::send(bus, topics, records)?;
    Ok(control::wait(bus, topics, &sent, patience)?.remove(&0).map(|answered| answered.turn))
}

/// What came of it, in words and as an exit code.
fn answer(id: &str, turn: Option<Turn>, out: &mut dyn Write) -> Result<(), Failure> {
    let Some(turn) = turn else {
        return Err(Failure::new(Exit::Waited, OPEN));
    };
    match control::rejection(&turn) {
        Some(rejected) => Err(Failure::new(Exit::Rejected, format_args!("{}: {}", rejected.reason, rejected.detail))),
        None => say(out, format_args!("{}", control::became(id, &turn))),
    }
}

#[cfg(test)]
mod tests {
    use ringmaster_bus::Specification;
    use ringmaster_bus::sim::{Faults, SimBroker};
    use ringmaster_schemas::names;

    use super::*;

    /// It goes where the coordinator looks for it: by the topic's own count of partitions, whatever the settings here say.
    #[test]
    fn an_act_goes_to_the_partition_of_its_saga() {
        let (broker, topics) = (SimBroker::new(1, 0, Faults::none()), Topics::new("ringmaster"));
        let mut bus = broker.client();
        for name in [&topics.control, &topics.journal] {
            bus.create(&Specification { name: name.clone(), partitions: 7, replication: 1, settings: vec![] }).expect("made");
        }
        for key in ["ord-17", "a/b c%ü"] {
            let id = names::saga_id("order", key);
            let body = ActBody {
                act: Act::Cancel,
                saga: Some(id),
                participant: None,
                step: None,
                why: "asked for".to_owned(),
                by: None,
                if_turn: None,
                outcome: None,
                code: None,
                value: None,
            };
            let turn = send(&mut bus, &topics, (&body, "ann"), Duration::ZERO).expect("it is sent");
            assert_eq!(turn, None, "nobody answers");
            let sent = broker.log(&topics.control, names::partition_of(key.as_bytes(), 7));
            assert_eq!(sent.last().and_then(|record| record.key.as_deref()), Some(key.as_bytes()));
        }
    }
}
