//! `deploy`: files become versions that are in force, also in coordinators that run.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use ringmaster_bus::Bus;
use ringmaster_schemas::avro::SchemaError;
use ringmaster_schemas::registry::schema_files;

use super::asking::{Asked, post_typed};
use super::buses::{self, Access, on_bus};
use super::definitions::{files_in, require_topics, say};
use super::exit::{Exit, Failure};
use super::rivals;
use crate::api::client::Address;
use crate::api::{DefinitionChange, DefinitionChanges, DeployBody, FileMistake, waits_for_next_start};
use crate::config::{BusKind, Config};
use crate::runtime::{self, Change, KnowledgeError, Plan};

/// What `--help` ends with.
pub(super) const EXAMPLES: &str = "\
Examples:
  ringmaster deploy sagas
  ringmaster deploy --dry-run sagas/order-fulfilment.yaml
  ringmaster deploy sagas --api https://localhost:8080     by a coordinator, in the name of the token";

/// What stands on the command line.
#[derive(Debug, Args)]
pub(super) struct DeployArguments {
    /// Definition files, and folders of them.
    #[arg(required = true, value_name = "FILE|FOLDER")]
    files: Vec<PathBuf>,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
    /// One JSON object a saga and line.
    #[arg(long)]
    json: bool,
    /// Who deploys, for those who look at it later; with a token the token says it.
    #[arg(long, env = "USER", value_name = "NAME")]
    by: Option<String>,
    #[command(flatten)]
    asked: Asked,
}

/// What is done and how it is told.
#[derive(Debug, Clone, Copy)]
struct How<'a> {
    /// Nothing is written.
    dry_run: bool,
    /// For programs.
    json: bool,
    /// Who deploys.
    by: Option<&'a str>,
    /// Which coordinator does it; none: it is done at the brokers.
    api: Option<&'a Address>,
}

/// `ringmaster deploy FILE|FOLDER...`
pub(super) fn deploy(config: &Config, arguments: &DeployArguments, out: &mut dyn Write) -> Result<(), Failure> {
    let DeployArguments { files, dry_run, json, by, asked } = arguments;
    let how = How { dry_run: *dry_run, json: *json, by: by.as_deref(), api: asked.api.as_ref() };
    let files = files_in(files)?;
    if how.api.is_some() {
        return deploy_by_api(config, &files, how, out);
    }
    let access = if how.dry_run { Access::Read } else { Access::Write };
    let mut any = match buses::open(config, access) {
        // Whoever has the bus to itself does it, if it is asked there.
        Err(failure) if failure.exit == Exit::Taken && config.api.listen.is_none() => return Err(taken(failure, config)),
        Err(failure) if failure.exit == Exit::Taken => {
            return deploy_by_api(config, &files, how, out).map_err(|other| match other.exit {
                Exit::Unreachable => taken(failure, config),
                _ => other,
            });
        }
        opened => opened?,
    };
    on_bus!(&mut any, bus => deploy_on(bus, config, &files, how, out))
}

/// A coordinator is asked to do it, by the schemas that lie here, too.
fn deploy_by_api(config: &Config, files: &[PathBuf], how: How<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let schemas = if config.schemas.exists() { schema_files(&config.schemas).map_err(schemas_unread)? } else { Vec::new() };
    let mut sent: BTreeMap<String, String> = BTreeMap::new();
    for path in files.iter().chain(&schemas) {
        let (name, text) = (sent_as(path), runtime::read_text(path)?);
        // One that is named twice is one.
        if sent.get(&name).is_some_and(|other| *other != text) {
            let why =
                "two files are called so behind their folders `scenarios`: deploy them one after the other, or call one otherwise";
            return Err(Failure::new(Exit::Usage, format_args!("{}: {why}", path.display())));
        }
        sent.insert(name, text);
    }
    let files = sent;
    let body = |by| DeployBody { files, dry_run: how.dry_run, by };
    let (path, by) = ("/api/v1/definitions:deploy", how.by.map(str::to_owned));
    let DefinitionChanges { changes, warnings, notes } = post_typed(config, how.api, (path, by), body)?;
    if !how.json {
        for FileMistake { file, line, column, message, hint, .. } in &warnings {
            let hint = if hint.is_empty() { String::new() } else { format!("; {hint}") };
            say(out, format_args!("{file}:{line}:{column}: warning: {message}{hint}"))?;
        }
        notes.iter().try_for_each(|note| say(out, format_args!("{note}")))?;
    }
    tell(&changes, how, out)?;
    match (how.json || changes.iter().all(|change| change.change == "unchanged"), how.dry_run) {
        (true, _) => Ok(()),
        (_, true) => say(out, format_args!("{DRY}")),
        (_, false) => say(out, format_args!("{}", reach(BusKind::Kafka))),
    }
}

fn schemas_unread(error: SchemaError) -> Failure {
    KnowledgeError::Schemas(vec![error]).into()
}

/// What a file is called there. Whoever names it here means a definition; there, what lies below a folder `scenarios` is a scenario.
fn sent_as(path: &Path) -> String {
    let folders: Vec<_> = path.components().collect();
    let behind = folders.iter().rposition(|folder| folder.as_os_str() == "scenarios").map_or(0, |place| place + 1);
    folders[behind..].iter().collect::<PathBuf>().display().to_string()
}

/// The end of a dry run.
const DRY: &str = "nothing was deployed: this was a dry run";

fn deploy_on(bus: &mut impl Bus, config: &Config, files: &[PathBuf], how: How<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let deploying = config.deploying();
    require_topics(bus, config)?;
    let mut plan = Plan::make(bus, &deploying, files, runtime::wall())?.by(how.by);
    if how.dry_run {
        plan.check_topics(bus, &deploying)?;
    } else {
        rivals::refuse(config, &plan, |_| false)?;
        plan.carry_out(bus, &deploying, false)?;
    }
    // On the embedded bus nothing is in force before the next start: nobody runs.
    let later = if config.bus == BusKind::Embedded { Vec::new() } else { runtime::at_next_start(bus, &config.setup(), &plan)? };
    let waits = |change: &Change| later.iter().any(|(_, waiting)| waiting.contains(&change.record.name));
    let changes: Vec<_> = plan.changes.iter().map(|change| DefinitionChange::of(change, waits(change), how.dry_run)).collect();
    if !how.json {
        plan.told().iter().try_for_each(|line| say(out, format_args!("{line}")))?;
    }
    tell(&changes, how, out)?;
    let count = plan.changes.iter().filter(|change| !change.is_none()).count();
    match (count, how.dry_run) {
        (0, _) => Ok(()),
        _ if how.json => Ok(()),
        (_, true) => say(out, format_args!("{DRY}")),
        (_, false) => {
            say(out, format_args!("{}", reach(config.bus)))?;
            later.iter().try_for_each(|later| say(out, format_args!("but {}", waits_for_next_start(later))))
        }
    }
}

/// When it is in force.
fn reach(bus: BusKind) -> &'static str {
    match bus {
        BusKind::Kafka => "deployed: new sagas get it within a second, running ones keep their version",
        BusKind::Embedded => "deployed: the coordinator gives it to new sagas from its next start on",
    }
}

/// What becomes of each.
fn tell(changes: &[DefinitionChange], how: How<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    changes.iter().try_for_each(|change| match how.json {
        true => say(out, format_args!("{}", serde_json::to_string(change).expect("it is JSON"))),
        false => {
            let hash = change.hash.get(..12).unwrap_or(&change.hash);
            say(out, format_args!("{} ({hash}): {}", change.saga, text_of(change)))
        }
    })
}

fn text_of(change: &DefinitionChange) -> String {
    match (change.version_before, change.version) {
        (None, after) => format!("new (version {after})"),
        (Some(before), after) if before == after => format!("unchanged (version {after})"),
        (Some(before), after) if before > after => {
            format!("changed (version {before} -> {after}, which was in force before: a rollback)")
        }
        (Some(before), after) => format!("changed (version {before} -> {after})"),
    }
}

/// A second process cannot write to the embedded bus: only the coordinator itself can deploy there while it runs.
fn taken(failure: Failure, config: &Config) -> Failure {
    if failure.exit != Exit::Taken {
        return failure;
    }
    let (said, folder) = (failure.message, config.definitions.display());
    Failure::new(
        Exit::Taken,
        format_args!(
            "{said}\nOnly one process can write to the embedded bus, so a coordinator that runs must deploy by itself, and its API (api.listen) does \
             not answer. Start it with `definitions_watched = true`, and it takes what changes in the folder {folder}; or stop it, deploy, \
             and start it again"
        ),
    )
}
