//! The command line: what each command is called, what it takes, and how it ends.

mod act;
mod buses;
mod definitions;
mod deploy;
mod eval;
pub mod exit;
mod graph;
mod history;
mod participant;
mod quarantine;
mod run;
mod saga;
mod test;
mod text;
mod topics;
mod versions;

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config::{BusKind, Config, DEFAULT, Log};
use crate::telemetry;
use exit::{Exit, Failure};

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
  ringmaster quarantine list                 what could not be taken, and why
  ringmaster saga list --stuck               which sagas need a person?
  ringmaster saga why order-fulfilment/ord-17    what does it wait for?
  ringmaster saga history order-fulfilment/ord-17
  ringmaster act retry order-fulfilment/ord-17 --why 'it is back'   a way out of where it is stuck

Settings come from ringmaster.toml (or --config), then RINGMASTER_* variables, then --set.

Exit codes:
";

const SAGA_EXAMPLES: &str = "\
Examples:
  ringmaster saga list --stuck --definition order-fulfilment
  ringmaster saga list --json | jq -r .saga
  ringmaster saga why order-fulfilment/ord-17
  ringmaster saga history order-fulfilment/ord-17 --limit 20";

/// An event-sourced saga coordinator on Kafka: services publish events, Ringmaster runs the sagas that they start, sends commands
/// to participants, and undoes what was done when a saga cannot finish.
#[derive(Debug, Parser)]
#[command(name = "ringmaster", version, propagate_version = true, max_term_width = 120)]
struct Arguments {
    #[command(flatten)]
    settings: SettingsArguments,
    #[command(subcommand)]
    command: Command,
}

/// Where settings come from.
#[derive(Debug, Args)]
struct SettingsArguments {
    /// The settings file; ringmaster.toml if it exists.
    #[arg(long, global = true, env = "RINGMASTER_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// A setting, for example --set api.listen=127.0.0.1:9090; wins over file and environment.
    #[arg(long = "set", global = true, value_name = "KEY=VALUE", value_parser = setting)]
    settings: Vec<String>,
}

/// What has no value is no setting; whether there is such a one is found out with all others.
fn setting(text: &str) -> Result<String, String> {
    let whole = text.split_once('=').is_some_and(|(key, _)| !key.is_empty());
    if whole { Ok(text.to_owned()) } else { Err("expected KEY=VALUE, for example --set api.listen=127.0.0.1:9090".to_owned()) }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run sagas until SIGTERM or SIGINT.
    ///
    /// Deploys what is new in the folder of definitions, checks the topics, claims every partition of the journal, brings its state
    /// up to date, and goes on. A signal ends it in order within 10 seconds; a second one at once. Killed at any moment, the next
    /// start loses nothing and does nothing twice.
    Run,
    /// Check definition files against the schemas: names, types, undos.
    ///
    /// Every mistake is printed with file, line, column, the line itself and a hint. Nothing is deployed.
    Check {
        /// Definition files.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Draw a definition: its steps, undos, conditions and ends.
    ///
    /// It needs neither schemas nor a broker. Mermaid is text that GitHub and many editors draw; SVG is a picture in one file,
    /// readable on light and on dark.
    Graph {
        /// A definition file.
        file: PathBuf,
        /// Which saga, if the file has several.
        #[arg(long, value_name = "NAME")]
        saga: Option<String>,
        /// Mermaid if nothing is said, and SVG where the file's name ends in .svg.
        #[arg(long)]
        format: Option<graph::Format>,
        /// The file to write; standard output without it.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Print a JSON Schema of definitions, by which an editor completes and checks them.
    ///
    /// For VS Code with the YAML extension, write as the first line of a definition:
    /// # yaml-language-server: $schema=saga.schema.json
    Schema,
    /// Say what an expression gives for an event, as JSON.
    ///
    /// It may name start (the event; in a definition's start it is called event), key, now and started, as in a definition; rules
    /// and steps are those of a definition, and none is here. With --type the event's schema is looked up in the folder of
    /// schemas, and names and types are checked; without it no field is known before.
    Eval {
        /// For example "start.total > 100 && start.region == 'EU'".
        #[arg(allow_hyphen_values = true)]
        expression: String,
        /// A file with the event as a JSON object; - for standard input.
        #[arg(long, value_name = "FILE")]
        event: Option<PathBuf>,
        /// The event's type, for example OrderPlaced.
        #[arg(long = "type", value_name = "TYPE")]
        kind: Option<String>,
        /// The saga's key.
        #[arg(long, default_value = "key-1")]
        key: String,
    },
    /// Play scenarios: is what the sagas do what they are to do? No broker and no service is needed.
    ///
    /// A scenario says how a saga starts, what participants answer, what must happen and how it must end. It is played on the
    /// coordinator's own core in virtual time, against the definitions and schemas of the settings. What goes otherwise is shown as a
    /// diff, and ends the command with code 1.
    #[command(after_help = test::EXAMPLES)]
    Test {
        /// Scenario files, or folders of them; by default the folder `scenarios` beside the definitions.
        #[arg(value_name = "FOLDER|FILE")]
        paths: Vec<PathBuf>,
        /// Only scenarios with this text in their names.
        #[arg(long, value_name = "TEXT")]
        only: Option<String>,
        /// Write a report as JUnit XML.
        #[arg(long, value_name = "FILE")]
        junit: Option<PathBuf>,
        /// One JSON object: scenarios with what happened in each, and the coverage.
        #[arg(long)]
        json: bool,
        /// Tell what happened in each scenario, also where all is right: to write the next one by.
        #[arg(long)]
        story: bool,
        /// Say which steps, arms, conditions, refusals and undos the scenarios pass through, and which they do not.
        #[arg(long)]
        coverage: bool,
        /// Fail if they pass through less of a saga than this, in per cent.
        #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(..=100))]
        coverage_min: Option<u8>,
    },
    /// Answer commands by the rules of a script, in place of services that are not there yet.
    ///
    /// It answers for one participant or several, until SIGTERM or SIGINT, and keeps nothing: one idempotency key is always answered in
    /// the same way. What no rule fits succeeds, with a result that its schema takes; undos succeed. Counts go to standard error.
    #[command(after_help = participant::EXAMPLES)]
    Participant {
        /// A YAML file: participants, and rules for their commands.
        script: PathBuf,
        /// Only say whether the script is right.
        #[arg(long)]
        check: bool,
    },
    /// Deploy definitions: new sagas get the new version, running ones keep theirs.
    ///
    /// All files are checked first, and the topics that they need must be there; with a mistake in any of them nothing is deployed.
    /// Coordinators that run take it in within a second. What is deployed stays: a later deploy is how it is changed.
    #[command(after_help = "Examples:\n  ringmaster deploy sagas\n  ringmaster deploy --dry-run sagas/order-fulfilment.yaml")]
    Deploy {
        /// Definition files, and folders of them.
        #[arg(required = true, value_name = "FILE|FOLDER")]
        files: Vec<PathBuf>,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
        /// One JSON object a saga and line.
        #[arg(long)]
        json: bool,
    },
    /// Look at what is deployed.
    #[command(subcommand)]
    Definitions(DefinitionsCommand),
    /// Make or verify the topics that definitions and settings need.
    #[command(subcommand)]
    Topics(TopicsCommand),
    /// Look at records that could not be taken.
    #[command(subcommand)]
    Quarantine(QuarantineCommand),
    /// Look at sagas: which are under way, what each waits for, what happened.
    #[command(subcommand, after_help = SAGA_EXAMPLES)]
    Saga(SagaCommand),
    /// Act on a saga: cancel it; or retry, skip or resolve what is stuck.
    ///
    /// It is sent to the control topic, journaled with who and why, and its answer is waited for: done, or the rejection with its
    /// reason (exit code 12). retry asks again under the same key, or in a new round where it was refused; skip goes on without the
    /// step, or with --value in its stead; resolve says in the participant's stead how it ended.
    #[command(
        after_help = "Examples:\n  ringmaster act retry order-fulfilment/ord-17 --why 'the card service is back'\n  ringmaster act resolve order-fulfilment/ord-17 --outcome succeeded --step ship --value '{\"tracking\": \"T1\"}' --why 'seen in their books'\n  ringmaster act cancel order-fulfilment/ord-17 --why 'asked by phone'"
    )]
    Act(act::ActArguments),
    /// Print all settings with their defaults, as a file to begin with.
    Config {
        /// Check the settings in use instead, and say what is wrong with them.
        #[arg(long)]
        check: bool,
    },
}

#[derive(Debug, Subcommand)]
enum DefinitionsCommand {
    /// List the version of each saga that is in force: new sagas get it.
    List {
        /// All versions: sagas that run keep theirs.
        #[arg(long)]
        all: bool,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Show a definition as it was deployed.
    Show {
        /// The saga's name.
        name: String,
        /// Which version; the newest without it.
        number: Option<usize>,
        /// A JSON object, with the schemas that it was compiled against.
        #[arg(long)]
        json: bool,
    },
    /// Show what a deploy of the folder of definitions would change, or what differs between two versions.
    ///
    /// Exits with 0 if there is no difference, and with 1 if there is one.
    Diff {
        /// The saga's name.
        name: String,
        /// A version, to compare with.
        from: Option<usize>,
        /// Another version; the newest without it.
        to: Option<usize>,
    },
}

#[derive(Debug, Subcommand)]
enum TopicsCommand {
    /// Make what is missing, with the right counts and settings, then verify. What exists is never changed.
    Apply {
        /// Definition files, and folders of them, whose topics are needed beside those of the folder of definitions.
        #[arg(value_name = "FILE|FOLDER")]
        files: Vec<PathBuf>,
        /// Copies of each partition; -1 is the broker's default.
        #[arg(long, default_value_t = -1, allow_negative_numbers = true, value_name = "COUNT")]
        replication: i32,
    },
    /// Say what is wrong with topics; change nothing.
    Verify,
}

#[derive(Debug, Subcommand)]
enum QuarantineCommand {
    /// List records, oldest first.
    List {
        /// Only this reason, for example UNDECODABLE.
        #[arg(long)]
        reason: Option<String>,
        /// Only records that came from this topic.
        #[arg(long)]
        topic: Option<String>,
        /// At most so many, the newest.
        #[arg(long, default_value_t = 50, value_name = "COUNT")]
        limit: usize,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Show one record with its bytes, as text or as a hex dump.
    Show {
        /// As `list` prints it, for example 3/17.
        id: String,
        /// A JSON object, the bytes in hex.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
enum SagaCommand {
    /// List sagas that have not ended: the longest stuck first, then what is due next.
    ///
    /// Asks the running coordinator, as of its last checkpoint (at most two seconds old).
    List {
        /// Only those that need a person.
        #[arg(long)]
        stuck: bool,
        /// Only those of this definition, for example order-fulfilment.
        #[arg(long, value_name = "NAME")]
        definition: Option<String>,
        /// At most so many, up to 1000.
        #[arg(long, default_value_t = 50, value_name = "COUNT")]
        limit: usize,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        asked: Asked,
    },
    /// Show where a saga stands, as JSON; asks the running coordinator, as of its last checkpoint (at most two seconds old).
    Show {
        /// For example order-fulfilment/ord-17.
        id: String,
        #[command(flatten)]
        asked: Asked,
    },
    /// Say what a saga waits for: since when, what wakes it and when, and what a person can do.
    ///
    /// Asks the running coordinator, as of its last checkpoint (at most two seconds old).
    Why {
        /// For example order-fulfilment/ord-17.
        id: String,
        /// A JSON object.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        asked: Asked,
    },
    /// Tell what happened to a saga, in order: ways taken, commands, answers, what was skipped and emitted.
    ///
    /// Reads the journal of the saga's partition from its oldest record on; no coordinator need run.
    History {
        /// For example order-fulfilment/ord-17.
        id: String,
        /// At most so many events, the newest.
        #[arg(long, default_value_t = 1_000, value_name = "COUNT")]
        limit: usize,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
}

/// Which coordinator is asked.
#[derive(Debug, Args)]
struct Asked {
    /// The coordinator's address; api.listen by default.
    #[arg(long, value_name = "ADDRESS")]
    api: Option<SocketAddr>,
}

/// Runs a command line; prints what it says and returns the exit code.
pub fn main() -> std::process::ExitCode {
    let command = Arguments::command().after_help(format!("{EXAMPLES}{}", exit::table()));
    let arguments = match Arguments::from_arg_matches(&command.get_matches()) {
        Ok(arguments) => arguments,
        Err(error) => error.exit(),
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

/// Brokers that do not answer are named, since the commonest reason is a wrong address.
fn name_brokers(failure: Failure, config: &Config) -> Failure {
    if failure.exit != Exit::Unreachable || config.bus != BusKind::Kafka {
        return failure;
    }
    Failure::new(Exit::Unreachable, format_args!("{}\n(kafka.bootstrap.servers is {})", failure.message, config.kafka.bootstrap))
}

/// `ringmaster config --check`
fn check_settings(config: &Config, out: &mut dyn Write) -> Result<(), Failure> {
    if config.bus == BusKind::Kafka {
        config.kafka_settings().check()?;
    }
    definitions::say(out, format_args!("the settings are right"))
}

fn execute(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failure> {
    if let Command::Config { check: false } = arguments.command {
        return definitions::say(out, format_args!("{}", DEFAULT.trim_end()));
    }
    let config = Config::load(arguments.settings.config.as_deref(), &arguments.settings.settings)?;
    if !matches!(arguments.command, Command::Run) {
        // Tools say what they found on standard output; their log is for trouble.
        telemetry::start_logging(&Log { level: "warn".to_owned(), ..config.log.clone() });
    }
    let result = match &arguments.command {
        Command::Run => {
            telemetry::start_logging(&config.log);
            run::run(&config)
        }
        Command::Check { files } => definitions::check(&config, files, out),
        Command::Graph { file, saga, format, out: path } => {
            graph::graph(&graph::Wish { file, saga: saga.as_deref(), format: *format, out: path.as_deref() }, out)
        }
        Command::Schema => graph::schema(out),
        Command::Eval { expression, event, kind, key } => {
            eval::eval(&config, &eval::Question { expression, event: event.as_deref(), kind: kind.as_deref(), key }, out)
        }
        // It asks no broker.
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
            return test::test(&config, &options, out);
        }
        Command::Participant { script, check } => participant::participant(&config, script, *check, out),
        Command::Deploy { files, dry_run, json } => {
            deploy::deploy(&config, files, deploy::How { dry_run: *dry_run, json: *json }, out)
        }
        Command::Definitions(DefinitionsCommand::List { all, json }) => versions::list(&config, *all, *json, out),
        Command::Definitions(DefinitionsCommand::Show { name, number, json }) => versions::show(&config, name, *number, *json, out),
        Command::Definitions(DefinitionsCommand::Diff { name, from, to }) => versions::diff(&config, name, *from, *to, out),
        Command::Topics(TopicsCommand::Apply { files, replication }) => topics::apply(&config, files, *replication, out),
        Command::Topics(TopicsCommand::Verify) => topics::verify(&config, out),
        Command::Quarantine(QuarantineCommand::List { reason, topic, limit, json }) => {
            let filter = quarantine::Filter { reason: reason.clone(), topic: topic.clone(), limit: *limit };
            quarantine::list(&config, &filter, *json, out)
        }
        Command::Quarantine(QuarantineCommand::Show { id, json }) => quarantine::show(&config, id, *json, out),
        // They ask a coordinator, and no broker.
        Command::Saga(SagaCommand::List { stuck, definition, limit, json, asked }) => {
            let filter = saga::Filter { stuck: *stuck, definition: definition.as_deref(), limit: *limit };
            return saga::list(&config, &filter, asked.api, *json, out);
        }
        Command::Saga(SagaCommand::Show { id, asked }) => return saga::show(&config, id, asked.api, out),
        Command::Saga(SagaCommand::Why { id, json, asked }) => return saga::why(&config, id, asked.api, *json, out),
        Command::Saga(SagaCommand::History { id, limit, json }) => history::history(&config, id, *limit, *json, out),
        Command::Act(arguments) => act::act(&config, arguments, out),
        Command::Config { .. } => check_settings(&config, out),
    };
    result.map_err(|failure| name_brokers(failure, &config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_broker_that_does_not_answer_is_named() {
        let mut config = Config::parse("default.toml", DEFAULT).expect("the defaults are right");
        for (bus, exit, is_named) in [
            (BusKind::Kafka, Exit::Unreachable, true),
            (BusKind::Kafka, Exit::Refused, false),
            (BusKind::Embedded, Exit::Unreachable, false),
            (BusKind::Embedded, Exit::Refused, false),
        ] {
            config.bus = bus;
            let told = name_brokers(Failure::new(exit, format_args!("it failed")), &config);
            let expected = match is_named {
                true => format!("it failed\n(kafka.bootstrap.servers is {})", config.kafka.bootstrap),
                false => "it failed".to_owned(),
            };
            assert_eq!((told.exit, told.message), (exit, expected), "{bus:?}");
        }
    }
}
