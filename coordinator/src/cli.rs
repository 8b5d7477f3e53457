//! The command line: what each command is called, what it takes, and how it ends.

mod act;
mod acts;
mod advice;
mod alerts;
mod arguments;
mod asking;
mod attending;
mod backup;
mod batch;
mod beside;
mod buses;
mod confirm;
mod definitions;
mod deploy;
mod entries;
mod eval;
pub mod exit;
mod graph;
mod hand;
mod history;
mod instances;
mod journal;
mod listening;
mod manual;
mod others;
mod overview;
mod participant;
mod participants;
mod progress;
mod quarantine;
mod redrive;
mod replay;
mod rivals;
mod run;
mod saga;
mod sagas;
mod scale;
mod scaling;
mod select;
mod snapshots;
mod test;
mod text;
mod token;
mod top;
mod topics;
mod versions;
mod wait;
mod watch;

use std::io::Write;

use clap::{CommandFactory, FromArgMatches};
use ringmaster_core::intake::ParticipantAct;

use crate::config::{BusKind, Config, DEFAULT, Log};
use crate::members::become_member;
use crate::telemetry;
use arguments::{Arguments, Command, DefinitionsCommand, QuarantineCommand, SagaCommand, TopicsCommand};
use exit::{Exit, Failure};
use participants::ParticipantCommand;

const EXAMPLES: &str = "\
Examples:
  ringmaster config > ringmaster.toml        all settings with their defaults
  ringmaster check sagas/*.yaml              are the definitions right?
  ringmaster test --coverage                 do the sagas do what their scenarios say?
  ringmaster eval 'start.total > 5' --type OrderPlaced --event order.json
  ringmaster graph sagas/order-fulfilment.yaml --out order.svg   what does it look like?
  ringmaster definitions diff order-fulfilment   what would a deploy change?
  ringmaster topics apply                    make the topics that they need
  ringmaster deploy sagas                    to coordinators that run, too
  ringmaster run                             run sagas until SIGTERM
  ringmaster instances                       which coordinators run, and which partitions each has
  ringmaster snapshots                       what stands for the parts of the journal that were deleted
  ringmaster quarantine list                 what could not be taken, and why
  ringmaster quarantine redrive --reason UNKNOWN_SCHEMA   how many would be taken in after all?
  ringmaster replay input orders --from 2026-01-31T08:00:00Z --to 2026-01-31T09:00:00Z   was anything missed?
  ringmaster overview                        how many sagas stand where, and whom do they wait for?
  ringmaster top                             the same on a screen, as it changes
  ringmaster saga list --stuck               which sagas need a person?
  ringmaster saga why order-fulfilment/ord-17    what does it wait for?
  ringmaster saga history order-fulfilment/ord-17
  ringmaster act retry order-fulfilment/ord-17 --why 'it is back'   a way out of where it is stuck
  ringmaster act-list --since 1d             who did what, why, and what became of it
  ringmaster batch preview retry --stuck --why 'it is back'   the same for many: first which, then do it
  ringmaster token create --name alice --role operator --expires 30d   for whoever asks over HTTP
  ringmaster participant list                which participants are asked, and which are paused or down?
  ringmaster scale --dry-run                 how many processes of each participant would run here now, and why?

Settings come from ringmaster.toml (or --config), then RINGMASTER_* variables, then --set.

Exit codes:
";

/// All of the command line.
fn command() -> clap::Command {
    Arguments::command().after_help(format!("{EXAMPLES}{}", exit::table()))
}

/// Runs a command line; prints what it says and returns the exit code.
pub fn main() -> std::process::ExitCode {
    if let Some(why) = become_member(std::env::args_os()) {
        // Standard error may be gone; the code says the rest.
        let _ = writeln!(std::io::stderr(), "{why}");
        return std::process::ExitCode::from(Exit::Failed as u8);
    }
    text::fit_to_terminal();
    let matches = command().try_get_matches();
    let arguments = match matches.and_then(|matches| Arguments::from_arg_matches(&matches)) {
        Ok(arguments) => arguments,
        Err(error) => advice::advised(error).exit(),
    };
    let exit = match execute(&arguments, &mut std::io::stdout().lock()) {
        Ok(()) => Exit::Done,
        Err(failure) => {
            if !failure.message.is_empty() {
                // Standard error may be gone; the code says the rest.
                let _ = writeln!(std::io::stderr(), "{}", failure.message);
            }
            failure.exit
        }
    };
    std::process::ExitCode::from(exit as u8)
}

/// `ringmaster config --check`
fn check_settings(config: &Config, out: &mut dyn Write) -> Result<(), Failure> {
    if config.bus == BusKind::Kafka {
        config.kafka_settings().check()?;
    }
    definitions::say(out, format_args!("the settings are right"))
}

fn execute(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failure> {
    // What needs no settings works where they are wrong.
    match &arguments.command {
        Command::Config { check: false } => return definitions::say(out, format_args!("{}", DEFAULT.trim_end())),
        Command::Completions { shell } => return manual::completions(command(), *shell, out),
        Command::Man { out: folder } => return manual::pages(command(), folder, out),
        _ => (),
    }
    let (config, settings) = Config::load_shown(arguments.settings.config.as_deref(), &arguments.settings.settings)?;
    if !matches!(arguments.command, Command::Run) {
        // Tools say what they found on standard output; their log is for trouble.
        telemetry::start_logging(&Log { level: "warn".to_owned(), ..config.log.clone() });
    }
    let result = match &arguments.command {
        Command::Run => {
            telemetry::start_logging(&config.log);
            run::run(&config, settings)
        }
        Command::Check { files } => definitions::check(&config, files, out),
        Command::Graph { file, saga, format, out: path } => {
            graph::graph(&graph::Wish { file, saga: saga.as_deref(), format: *format, out: path.as_deref() }, out)
        }
        Command::Schema => graph::schema(out),
        Command::Eval { expression, event, kind, key } => {
            eval::eval(&config, &eval::Question { expression, event: event.as_deref(), kind: kind.as_deref(), key }, out)
        }
        Command::Test { paths, only, junit, json, story, coverage, coverage_min } => {
            let options = test::Options {
                paths,
                junit: junit.as_deref(),
                only: only.as_deref(),
                json: *json,
                story: *story,
                coverage: *coverage,
                coverage_min: *coverage_min,
            };
            test::test(&config, &options, out)
        }
        Command::Participant { command: Some(command), .. } => about_participants(&config, command, out),
        Command::Participant { command: None, script, check } => {
            participant::participant(&config, script.as_deref().expect("the command line must have it"), *check, out)
        }
        Command::Deploy(arguments) => deploy::deploy(&config, arguments, out),
        Command::Definitions(command) => about_definitions(&config, command, out),
        Command::Topics(TopicsCommand::Apply { files, replication }) => topics::apply(&config, files, *replication, out),
        Command::Alerts(arguments) => alerts::alerts(&config, arguments, out),
        Command::Top { asked } => top::top(&config, asked.api.as_ref()),
        Command::Scale(arguments) => scale::scale(&config, arguments, out),
        Command::Overview { json, asked } => overview::overview(&config, asked.api.as_ref(), *json, out),
        Command::Instances { json } => instances::list(&config, *json, out),
        Command::Snapshots { json } => snapshots::list(&config, *json, out),
        Command::Topics(TopicsCommand::Verify) => topics::verify(&config, out),
        Command::Replay(replay::ReplayCommand::Input(arguments)) => replay::input(&config, arguments, out),
        Command::Replay(replay::ReplayCommand::Journal(arguments)) => journal::replay(&config, arguments, out),
        Command::Backup { folder } => backup::backup(&config, folder, out),
        Command::Restore { folder } => backup::restore(&config, folder, out),
        Command::Quarantine(command) => about_quarantine(&config, command, out),
        Command::Saga(command) => about_sagas(&config, command, out),
        Command::ActList(arguments) => acts::list(&config, arguments, out),
        Command::Act(arguments) => act::act(&config, arguments, out),
        Command::Batch(command) => batch::batch(&config, command, out),
        Command::Token(command) => token::token(&config, command, out),
        Command::Config { .. } => check_settings(&config, out),
        // Done above.
        Command::Completions { .. } | Command::Man { .. } => Ok(()),
    };
    result.map_err(|failure| failure.naming_brokers(&config))
}

/// `ringmaster saga`
fn about_sagas(config: &Config, command: &SagaCommand, out: &mut dyn Write) -> Result<(), Failure> {
    match command {
        SagaCommand::List { filter, limit, printed, asked } => {
            sagas::list(config, (filter, *limit), asked.api.as_ref(), *printed, out)
        }
        SagaCommand::Show { id, asked } => saga::show(config, id, asked.api.as_ref(), out),
        SagaCommand::Why { id, json, asked } => saga::why(config, id, asked.api.as_ref(), *json, out),
        SagaCommand::Wait(arguments) => wait::wait(config, arguments, out),
        SagaCommand::Watch(arguments) => watch::watch(config, arguments, out),
        SagaCommand::History(arguments) => history::history(config, arguments, out),
    }
}

/// `ringmaster definitions list`, `show` and `diff`
fn about_definitions(config: &Config, command: &DefinitionsCommand, out: &mut dyn Write) -> Result<(), Failure> {
    match command {
        DefinitionsCommand::List { all, json } => versions::list(config, *all, *json, out),
        DefinitionsCommand::Show { name, number, json } => versions::show(config, name, *number, *json, out),
        DefinitionsCommand::Diff { name, from, to } => versions::diff(config, name, *from, *to, out),
    }
}

/// `ringmaster quarantine list`, `show`, `redrive` and `discard`
fn about_quarantine(config: &Config, command: &QuarantineCommand, out: &mut dyn Write) -> Result<(), Failure> {
    match command {
        QuarantineCommand::List { reason, topic, all, limit, json, asked } => {
            let filter = quarantine::Filter { reason: reason.clone(), topic: topic.clone(), all: *all, limit: *limit };
            quarantine::list(config, &filter, (asked.api.as_ref(), *json), out)
        }
        QuarantineCommand::Show { id, json, asked } => quarantine::show(config, id, (asked.api.as_ref(), *json), out),
        QuarantineCommand::Redrive(arguments) => redrive::redrive(config, arguments, out),
        QuarantineCommand::Discard(arguments) => redrive::discard(config, arguments, out),
    }
}

/// `ringmaster participant` with a command
fn about_participants(config: &Config, command: &ParticipantCommand, out: &mut dyn Write) -> Result<(), Failure> {
    let (act, arguments) = match command {
        ParticipantCommand::List { json, asked } => return participants::list(config, asked.api.as_ref(), *json, out),
        ParticipantCommand::Show { participant, json, asked } => {
            return participants::show(config, asked.api.as_ref(), (participant, *json), out);
        }
        ParticipantCommand::Scaling { participant, json, asked } => {
            return scaling::scaling(config, asked.api.as_ref(), (participant.as_deref(), *json), out);
        }
        ParticipantCommand::Pause(arguments) => (ParticipantAct::Pause, arguments),
        ParticipantCommand::Resume(arguments) => (ParticipantAct::Resume, arguments),
    };
    participants::act(config, act, arguments, out)
}

#[cfg(test)]
mod tests {
    use ringmaster_bus::BusError;

    use super::*;

    #[test]
    fn only_a_broker_that_does_not_answer_is_named() {
        let mut config = Config::parse("default.toml", DEFAULT).expect("the defaults are right");
        let away = || Failure::from(BusError::Unreachable("it failed".to_owned()));
        for (bus, failure, is_named) in [
            (BusKind::Kafka, away(), true),
            (BusKind::Kafka, BusError::Refused("it failed".to_owned()).into(), false),
            (BusKind::Kafka, Failure::new(Exit::Unreachable, "a coordinator does not answer"), false),
            (BusKind::Embedded, away(), false),
        ] {
            config.bus = bus;
            let (exit, before) = (failure.exit, failure.message.clone());
            let told = failure.naming_brokers(&config);
            let expected = match is_named {
                true => format!("{before}\n(kafka.bootstrap.servers is {})", config.kafka.bootstrap),
                false => before,
            };
            assert_eq!((told.exit, told.message), (exit, expected), "{bus:?}");
        }
    }
}
