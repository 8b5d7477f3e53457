//! `participant pause`, `resume` and `list`: whether participants are asked. Each partition has a breaker of its own for each of them,
//! so that an act goes to all partitions, and each of them answers in its journal.

mod show;

use std::fmt::Write as _;
use std::io::Write;
use std::time::Duration;

use clap::{Args, Subcommand};
use comfy_table::Table;
use ringmaster_bus::Bus;
use ringmaster_core::intake::ParticipantAct;
use ringmaster_schemas::names::Topics;
use serde_json::{Value, json};

pub(super) use self::show::show;
use super::arguments::Asked;
use super::asking::{ask_typed, post};
use super::buses::{self, Access, on_bus};
use super::confirm::Confirming;
use super::definitions::say;
use super::exit::{Exit, Failure};
use super::text::{self, printable};
use crate::api::client::Address;
use crate::api::{Act, ActBody, Participant, Participants, badness};
use crate::config::{BusKind, Config};
use crate::control::{self, Sent};

/// So many partitions are named; of more it is said how many.
const NAMED_MAX: usize = 20;

#[derive(Debug, Subcommand)]
pub(super) enum ParticipantCommand {
    /// Ask a participant nothing more: what would be asked is parked, and no clock of its saga runs.
    ///
    /// It is sent to every partition through the control topic, journaled with who and why, and waited for. What was sent already may
    /// still be done and answered. A rejection in all partitions has exit code 12.
    #[command(after_help = "Example:\n  ringmaster participant pause payment --why 'they move to another data centre'")]
    Pause(PauseArguments),
    /// Ask a participant again that was paused, or whose breaker opened: what was parked goes out little by little.
    ///
    /// The oldest goes first, a saga's priority being worth minutes. One at a time at first, then more as answers come well.
    #[command(after_help = "Example:\n  ringmaster participant resume payment --why 'they are back'")]
    Resume(PauseArguments),
    /// List the participants: what each has not answered and since when, what is parked for it, whether it is asked, and why not.
    ///
    /// Asks the running coordinator, as of its last checkpoint (at most two seconds old).
    List {
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        asked: Asked,
    },
    /// Show one participant: how it stands, what it was asked, and what has become of that.
    #[command(after_help = "Example:\n  ringmaster participant show payment")]
    Show {
        /// The participant, for example payment.
        #[arg(value_name = "NAME")]
        participant: String,
        /// A JSON object.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        asked: Asked,
    },
    /// Say which participant is the bottleneck, or is about to be: what each is asked and can answer, and how many members it should have.
    ///
    /// All by what the coordinators here have asked and were answered in the last minutes; nothing is asked of participants. What is not
    /// known yet is shown as -. A capacity is known once there was a queue, or by its setting `concurrency`.
    #[command(after_help = super::scaling::EXAMPLES)]
    Scaling {
        /// Only this participant.
        #[arg(value_name = "NAME")]
        participant: Option<String>,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        asked: Asked,
    },
}

/// What stands on the command line.
#[derive(Debug, Args)]
pub(super) struct PauseArguments {
    /// The participant, for example payment.
    #[arg(value_name = "NAME")]
    participant: String,
    /// Why, for those who look at it later.
    #[arg(long, value_name = "TEXT")]
    why: String,
    /// Who acts.
    #[arg(long, env = "USER", value_name = "NAME")]
    by: String,
    /// How many seconds to wait until all partitions have done it; over HTTP at most 8.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    timeout: u64,
    #[command(flatten)]
    confirming: Confirming,
    #[command(flatten)]
    asked: Asked,
    /// A JSON object: which partitions did it, which did not and why, and of which nothing was heard.
    #[arg(long)]
    json: bool,
}

/// What became of an act.
#[derive(Debug, Default)]
struct Became {
    done: Vec<i32>,
    /// With the reason, for programs and for people.
    rejected: Vec<(i32, String, String)>,
    /// Nobody took it in time.
    waits: Vec<i32>,
}

/// `ringmaster participant pause NAME`, and `resume`
pub(super) fn act(config: &Config, act: ParticipantAct, arguments: &PauseArguments, out: &mut dyn Write) -> Result<(), Failure> {
    if act == ParticipantAct::Pause {
        arguments.confirming.ask(&format!("pause {}: all that would be asked of it is parked", arguments.participant))?;
    }
    // Where there is an address, or where nobody else reaches the bus, the coordinator itself brings it.
    let became = match arguments.asked.api.is_some() || config.bus == BusKind::Embedded {
        true => over_http(config, act, arguments)?,
        false => over_kafka(config, act, arguments)?,
    };
    if arguments.json {
        say(out, format_args!("{}", json_of(&arguments.participant, act, &became)))?;
        // The object has said what was done.
        return told(&arguments.participant, act, &became).map(|_| ());
    }
    say(out, format_args!("{}", told(&arguments.participant, act, &became)?))
}

/// What is asked for, whichever way it goes.
fn body_of(act: ParticipantAct, arguments: &PauseArguments) -> ActBody {
    ActBody {
        act: if act == ParticipantAct::Pause { Act::ParticipantPause } else { Act::ParticipantResume },
        saga: None,
        participant: Some(arguments.participant.clone()),
        step: None,
        why: arguments.why.clone(),
        by: Some(arguments.by.clone()),
        if_turn: None,
        outcome: None,
        code: None,
        value: None,
    }
}

/// By a coordinator, which says who may.
fn over_http(config: &Config, act: ParticipantAct, arguments: &PauseArguments) -> Result<Became, Failure> {
    let mut became = Became::default();
    for place in post(config, arguments.asked.api.as_ref(), &body_of(act, arguments))?.places {
        match &*place.outcome {
            "done" => became.done.push(place.partition),
            "rejected" => became.rejected.push((place.partition, place.reason.unwrap_or_default(), place.detail)),
            _ => became.waits.push(place.partition),
        }
    }
    Ok(became)
}

/// By a record of our own.
fn over_kafka(config: &Config, act: ParticipantAct, arguments: &PauseArguments) -> Result<Became, Failure> {
    let topics = Topics::new(&config.prefix);
    let mut any = buses::open(config, Access::Write)?;
    let patience = Duration::from_secs(arguments.timeout);
    on_bus!(&mut any, bus => {
        let id = format!("{:016x}", fastrand::u64(..));
        let sent = send(bus, &topics, &id, (&body_of(act, arguments), &arguments.by))?;
        wait(bus, &topics, &sent, patience)
    })
}

/// Sends the record to all partitions, under this id.
fn send(bus: &mut impl Bus, topics: &Topics, id: &str, (body, by): (&ActBody, &str)) -> Result<Sent, Failure> {
    let records = body.records(id, control::partitions(bus, topics)?, by);
    control::send(bus, topics, records).map_err(|error| {
        let failure = Failure::from(error);
        let hint = "some partitions may have got it all the same: do it again; those say then that it was done already";
        Failure::new(failure.exit, format_args!("{}\n({hint})", failure.message))
    })
}

/// Waits in the journal for what each partition makes of it, no longer than this.
fn wait(bus: &mut impl Bus, topics: &Topics, sent: &Sent, patience: Duration) -> Result<Became, Failure> {
    let mut became = Became::default();
    let turns = control::wait(bus, topics, sent, patience)?;
    for (place, partition) in sent.partitions().enumerate() {
        match turns.get(&place).map(|answered| control::rejection(&answered.turn)) {
            None => became.waits.push(partition),
            Some(None) => became.done.push(partition),
            Some(Some(rejected)) => {
                became.rejected.push((partition, rejected.reason.as_str().to_owned(), rejected.detail.to_string()));
            }
        }
    }
    Ok(became)
}

/// What became of it, in words; as a failure if nothing was done, or not everywhere yet.
fn told(participant: &str, act: ParticipantAct, became: &Became) -> Result<String, Failure> {
    let Became { done, rejected, waits } = became;
    let count = done.len() + rejected.len() + waits.len();
    let (is, then) = match act {
        ParticipantAct::Pause => ("is paused", "what would be asked of it is parked"),
        ParticipantAct::Resume => ("is asked again", "what was parked goes out little by little"),
    };
    let mut words = match done.len() {
        0 => String::new(),
        some => format!("{participant} {is} in {some} of {count} partitions: {then}"),
    };
    for (partitions, reason, detail) in by_reason(rejected) {
        let is_all = partitions.len() == count;
        let where_ = if is_all { String::new() } else { format!("not in {}: ", named(&partitions)) };
        let line = if words.is_empty() { "" } else { "\n" };
        write!(words, "{line}{where_}{reason}: {detail}").expect("writing to a string");
    }
    let words = printable_lines(&words);
    if !waits.is_empty() {
        let line = if words.is_empty() { "" } else { "\n" };
        let why = "it stays in the control topic, and is taken when a coordinator reads it. Is one running? `ringmaster participant list` shows whether it was done";
        return Err(Failure::new(
            Exit::Waited,
            format_args!("{words}{line}nobody took it within the time in {}: {why}", named(waits)),
        ));
    }
    if done.is_empty() { Err(Failure::new(Exit::Rejected, words)) } else { Ok(words) }
}

/// The partitions that gave the same reason, in their order.
fn by_reason(rejected: &[(i32, String, String)]) -> Vec<(Vec<i32>, &str, &str)> {
    let mut groups: Vec<(Vec<i32>, &str, &str)> = Vec::new();
    for (partition, reason, detail) in rejected {
        match groups.iter_mut().find(|group| (group.1, group.2) == (reason, detail)) {
            Some((partitions, ..)) => partitions.push(*partition),
            None => groups.push((vec![*partition], reason, detail)),
        }
    }
    groups
}

/// Partitions, by number if they are few.
fn named(partitions: &[i32]) -> String {
    match partitions {
        [one] => format!("partition {one}"),
        few if few.len() <= NAMED_MAX => {
            let numbers: Vec<String> = few.iter().map(i32::to_string).collect();
            format!("partitions {}", numbers.join(", "))
        }
        many => format!("{} partitions", many.len()),
    }
}

fn printable_lines(text: &str) -> String {
    text.lines().map(|line| printable(line.as_bytes())).collect::<Vec<_>>().join("\n")
}

fn json_of(participant: &str, act: ParticipantAct, became: &Became) -> Value {
    let rejected =
        |(partition, reason, detail): &(i32, String, String)| json!({ "partition": partition, "reason": reason, "detail": detail });
    json!({
        "participant": participant,
        "act": act,
        "partitions": became.done.len() + became.rejected.len() + became.waits.len(),
        "done": became.done,
        "rejected": became.rejected.iter().map(rejected).collect::<Vec<_>>(),
        "not_taken": became.waits,
    })
}

/// What is known of all of them.
pub(super) fn ask(config: &Config, api: Option<&Address>) -> Result<Participants, Failure> {
    ask_typed(config, api, "/api/v1/participants")
}

/// `ringmaster participant list`
pub(super) fn list(config: &Config, api: Option<&Address>, as_json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let Participants { participants, missing, as_of, .. } = ask(config, api)?;
    if as_json {
        let line = |of: &Participant| serde_json::to_string(of).expect("it is JSON");
        return participants.iter().try_for_each(|of| say(out, format_args!("{}", line(of))));
    }
    for missing in &missing {
        say(out, format_args!("partition {} is left out: {}", missing.partition, missing.why))?;
    }
    if participants.is_empty() {
        return say(out, format_args!("no saga asks anybody"));
    }
    say(out, format_args!("{}", table_of(&participants)))?;
    let not_asked = participants.iter().filter(|of| badness(&of.state) > 0).count();
    let asked = match (not_asked, participants.len()) {
        (0, 1) => "it is asked".to_owned(),
        (0, _) => "all are asked".to_owned(),
        (some, all) => {
            format!("{some} of {all} not asked as usual; `ringmaster saga list --parked` names the sagas that wait")
        }
    };
    let oldest = as_of.iter().map(|of| of.age_ms).max().unwrap_or(0);
    say(out, format_args!("{asked}; as of {oldest} ms ago; acts of the last two seconds may be missing"))
}

/// What each has not done, and why it is not asked; what few have is told only where one has it.
pub(super) fn table_of(participants: &[Participant]) -> Table {
    let has_stuck = participants.iter().any(|of| of.stuck > 0);
    let is_asked = participants.iter().all(|of| badness(&of.state) == 0);
    let mut header = vec!["PARTICIPANT", "STATE", "PARTITIONS", "UNANSWERED", "SINCE", "RETRYING", "PARKED", "SINCE"];
    header.extend(has_stuck.then_some("STUCK"));
    header.extend(if is_asked { &[][..] } else { &["NOT ASKED SINCE", "BY", "WHY"] });
    let mut table = text::table(header);
    let or_none = |text: &Option<String>| text.as_deref().map_or("-".to_owned(), |text| printable(text.as_bytes()));
    for of in participants {
        let mut row = vec![
            printable(of.participant.as_bytes()),
            of.state.clone(),
            partitions(of),
            of.unanswered.to_string(),
            or_none(&of.unanswered_since),
            of.retrying.to_string(),
            of.parked.to_string(),
            or_none(&of.parked_since),
        ];
        row.extend(has_stuck.then(|| of.stuck.to_string()));
        if !is_asked {
            row.extend([or_none(&of.since), or_none(&of.by), or_none(&of.why)]);
        }
        table.add_row(row);
    }
    table
}

/// In how many partitions it is so; how it is in the others, where that is not as usual.
fn partitions(of: &Participant) -> String {
    let all: i64 = of.partitions.values().sum();
    let here = of.partitions.get(&of.state).copied().unwrap_or(0);
    if here == all {
        return all.to_string();
    }
    let others = of.partitions.iter().filter(|(name, count)| **name != of.state && badness(name) > 0 && **count != 0);
    others.fold(format!("{here} of {all}"), |words, (name, count)| format!("{words}, {count} {name}"))
}

#[cfg(test)]
mod tests;
