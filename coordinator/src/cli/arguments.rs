//! The arguments of every command, with what `--help` says.

mod deployed;
mod quarantine;
mod saga;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub(super) use self::deployed::{DefinitionsCommand, TopicsCommand};
pub(super) use self::quarantine::QuarantineCommand;
pub(super) use self::saga::SagaCommand;
pub(super) use super::asking::Asked;
use super::{act, acts, alerts, batch, deploy, graph, manual, participant, participants, replay, scale, test, token};

/// An event-sourced saga coordinator on Kafka: services publish events, Ringmaster runs the sagas that they start, sends commands
/// to participants, and undoes what was done when a saga cannot finish.
#[derive(Debug, Parser)]
#[command(name = "ringmaster", version, propagate_version = true, max_term_width = 120)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) settings: SettingsArguments,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// Where settings come from.
#[derive(Debug, Args)]
pub(super) struct SettingsArguments {
    /// The settings file; ringmaster.toml if it exists.
    #[arg(long, global = true, env = "RINGMASTER_CONFIG", value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// A setting, for example --set api.listen=127.0.0.1:9090; wins over file and environment.
    #[arg(long = "set", global = true, value_name = "KEY=VALUE", value_parser = setting)]
    pub(super) settings: Vec<String>,
}

/// What has no value is no setting; whether there is such a one is found out with all others.
pub(super) fn setting(text: &str) -> Result<String, String> {
    let whole = text.split_once('=').is_some_and(|(key, _)| !key.is_empty());
    if whole { Ok(text.to_owned()) } else { Err("expected KEY=VALUE, for example --set api.listen=127.0.0.1:9090".to_owned()) }
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run sagas until SIGTERM or SIGINT.
    ///
    /// Deploys what is new in the folder of definitions, checks the topics, claims the partitions that the group of instances gives it
    /// (alone, all of them), brings their state up to date, and goes on. A signal ends it in order within 10 seconds; a second one at
    /// once. Killed at any moment, the next start loses nothing and does nothing twice.
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
    /// Pause and resume a participant, and see which are asked; or answer by a script, in place of services that are not there yet.
    ///
    /// With a script it answers for one participant or several, until SIGTERM or SIGINT, and keeps nothing: one idempotency key is always answered in
    /// the same way. What no rule fits succeeds, with a result that its schema takes; undos succeed. Counts go to standard error.
    #[command(
        after_help = participant::EXAMPLES,
        args_conflicts_with_subcommands = true,
        arg_required_else_help = true,
        subcommand_negates_reqs = true,
        visible_alias = "participants"
    )]
    Participant {
        #[command(subcommand)]
        command: Option<participants::ParticipantCommand>,
        /// A YAML file: participants, and rules for their commands.
        #[arg(required = true)]
        script: Option<PathBuf>,
        /// Only say whether the script is right.
        #[arg(long)]
        check: bool,
    },
    /// Deploy definitions: new sagas get the new version, running ones keep theirs.
    ///
    /// All files are checked first, and the topics that they need must be there; with a mistake in any of them nothing is deployed.
    /// Coordinators that run take it in within a second. What is deployed stays: a later deploy is how it is changed.
    /// With --api, and on the embedded bus while one runs, a coordinator does it, by the schemas that it has.
    #[command(after_help = deploy::EXAMPLES)]
    Deploy(deploy::DeployArguments),
    /// What somebody must know at once: rules over metrics, evaluated by the coordinators themselves; and what to do about it.
    ///
    /// Asks the running coordinators. Pending is what holds, and not for long enough yet; resolved what has fired and is over. The same
    /// rules for Prometheus are in deploy/prometheus.
    #[command(after_help = alerts::EXAMPLES)]
    Alerts(alerts::AlertsArguments),
    /// How many sagas stand where, what they wait for, and what their participants have not answered.
    ///
    /// Asks the running coordinators, as of their last checkpoints (at most two seconds old); no row is looked at, however many there
    /// are.
    #[command(after_help = "Examples:\n  ringmaster overview\n  ringmaster overview --json | jq .sagas")]
    Overview {
        /// One JSON object.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        asked: Asked,
    },
    /// A screen of what is going on, as it changes: sagas by how they stand, alerts, participants, and where sagas wait.
    ///
    /// Asks the running coordinators; it says how old what it shows is, and when the connection is lost. Keys: q ends it, up and down choose
    /// a participant, tab sorts them, p pauses the display.
    Top {
        #[command(flatten)]
        asked: Asked,
    },
    /// Which coordinators run, where their APIs are, and which partitions each of them has.
    ///
    /// The broker is asked. One that died without a word is shown until its session is over.
    Instances {
        /// One JSON object an instance and line.
        #[arg(long)]
        json: bool,
    },
    /// Snapshots of the partitions, by which a lost disk is restored where the journal is not kept for ever (`journal_retention`).
    ///
    /// The topic of snapshots is read, so that only what is whole is listed. RESTORES says whether the journal still goes on from there.
    Snapshots {
        /// One JSON object a snapshot and line.
        #[arg(long)]
        json: bool,
    },
    Scale(scale::ScaleArguments),
    /// Look at what is deployed.
    #[command(subcommand)]
    Definitions(DefinitionsCommand),
    /// Make or verify the topics that definitions and settings need.
    #[command(subcommand)]
    Topics(TopicsCommand),
    /// Look at records that could not be taken; take them in after all, or discard them.
    #[command(subcommand)]
    Quarantine(QuarantineCommand),
    /// Copy this instance's store, also while it runs, with a manifest of offsets and digests.
    ///
    /// The store is a view of the journal: a backup saves the time to rebuild it, and reaches back further than a journal whose retention is
    /// limited. What it holds is added up first; a store that is not what it says is not copied.
    #[command(after_help = "Example:\n  ringmaster backup backups/monday")]
    Backup {
        /// Where to; must not be there yet.
        folder: PathBuf,
    },
    /// Put a backup in the place of a store that is not there, once it is proven to be whole and of this journal.
    ///
    /// The coordinator must not run, and its store must be moved away. The next start goes on from the backup, by the journal.
    #[command(after_help = "Example:\n  mv ringmaster-data/store ringmaster-data/store.old\n  ringmaster restore backups/monday")]
    Restore {
        /// The backup.
        folder: PathBuf,
    },
    /// Read the journal, or a range of an input topic, again: to check a store, or after an outage or a mistake.
    #[command(subcommand)]
    Replay(replay::ReplayCommand),
    /// Look at sagas: which are under way, what each waits for, what happened.
    #[command(subcommand, after_help = saga::EXAMPLES, visible_alias = "sagas")]
    Saga(SagaCommand),
    /// Act on a saga: cancel it; retry, skip or resolve what is stuck; approve or refuse what asks for it; start one by hand.
    ///
    /// It is sent to the control topic, journaled with who and why, and its answer is waited for: done, or the rejection with its
    /// reason (exit code 12). retry asks again under the same key, or in a new round where it was refused; skip goes on without the
    /// step, or with --value in its stead; resolve says in the participant's stead how it ended; start begins
    /// a saga that is not there, by the event in a file.
    #[command(
        after_help = "Examples:\n  ringmaster act retry order-fulfilment/ord-17 --why 'the card service is back'\n  ringmaster act resolve order-fulfilment/ord-17 --outcome succeeded --step ship --value '{\"tracking\": \"T1\"}' --why 'seen in their books'\n  ringmaster act approve loan/loan-3 --by ann --why 'the papers are in order'\n  ringmaster act start order-fulfilment/ord-18 --event lost.json --why 'its event was lost'\n  ringmaster act cancel order-fulfilment/ord-17 --why 'asked by phone'"
    )]
    Act(act::ActArguments),
    /// List what people did to sagas and participants: who, why, when, and what became of it, the newest first.
    ///
    /// Asks the running coordinator, which reads the control topic backwards, and in the journal what became of each act, however it was sent.
    /// The topic keeps acts as long as its retention says: seven days by default.
    #[command(after_help = acts::EXAMPLES, visible_alias = "acts")]
    ActList(acts::ActListArguments),
    /// Do the same to many sagas: select and look, then do it to those, as they were seen.
    ///
    /// `preview` selects what a filter finds, each saga with its last turn, and does nothing. `start` has the coordinators act on each of
    /// them, --rate a second, where that is still its last turn: what was shown is hit, or less, never more, whoever takes over meanwhile.
    #[command(subcommand, after_help = batch::EXAMPLES)]
    Batch(batch::BatchCommand),
    /// Make, list and revoke tokens, by which people and programs ask a coordinator over HTTP.
    #[command(subcommand, after_help = token::EXAMPLES)]
    Token(token::TokenCommand),
    /// Print completions for a shell: commands, options and their values by the tab key.
    #[command(after_help = manual::COMPLETIONS)]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Write pages for `man`, one a command, made of what --help says.
    #[command(after_help = manual::PAGES)]
    Man {
        /// Where to; made if it is not there.
        #[arg(long, value_name = "FOLDER")]
        out: PathBuf,
    },
    /// Print all settings with their defaults, as a file to begin with.
    Config {
        /// Check the settings in use instead, and say what is wrong with them.
        #[arg(long)]
        check: bool,
    },
}
