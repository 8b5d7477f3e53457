//! `deploy`: files become versions that are in force, also in coordinators that run.

use std::io::Write;
use std::path::PathBuf;

use ringmaster_bus::Bus;
use serde_json::json;

use super::buses::{self, Access, on_bus};
use super::definitions::{files_in, require_topics, say};
use super::exit::{Exit, Failure};
use crate::config::{BusKind, Config};
use crate::runtime::{self, Change, Plan};

/// What is done and how it is told.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    /// Nothing is written.
    pub(super) dry_run: bool,
    /// For programs.
    pub(super) json: bool,
}

/// `ringmaster deploy FILE|FOLDER...`
pub(super) fn deploy(config: &Config, paths: &[PathBuf], how: How, out: &mut dyn Write) -> Result<(), Failure> {
    let files = files_in(paths)?;
    let access = if how.dry_run { Access::Read } else { Access::Write };
    let mut any = buses::open(config, access).map_err(|failure| taken(failure, config))?;
    on_bus!(&mut any, bus => deploy_on(bus, config, &files, how, out))
}

fn deploy_on(bus: &mut impl Bus, config: &Config, files: &[PathBuf], how: How, out: &mut dyn Write) -> Result<(), Failure> {
    let deploying = config.deploying();
    require_topics(bus, config)?;
    let plan = if how.dry_run {
        let plan = Plan::make(bus, &deploying, files, runtime::wall())?;
        plan.check_topics(bus, &deploying)?;
        plan
    } else {
        runtime::deploy(bus, &deploying, files, false, runtime::wall())?
    };
    if how.json {
        return plan.changes.iter().try_for_each(|change| say(out, format_args!("{}", json_of(change, how))));
    }
    for line in runtime::summary(&plan.warnings) {
        say(out, format_args!("{line}"))?;
    }
    for change in &plan.changes {
        let (name, hash) = (&change.record.name, &change.record.hash[..12]);
        say(out, format_args!("{name} ({hash}): {}", text_of(change)))?;
    }
    let count = plan.changes.iter().filter(|change| !change.is_none()).count();
    match (count, how.dry_run) {
        (0, _) => Ok(()),
        (_, true) => say(out, format_args!("nothing was deployed: this was a dry run")),
        (_, false) => say(out, format_args!("{}", reach(config.bus))),
    }
}

/// When it is in force.
fn reach(bus: BusKind) -> &'static str {
    match bus {
        BusKind::Kafka => "deployed: new sagas get it within a second, running ones keep their version",
        BusKind::Embedded => "deployed: the coordinator gives it to new sagas from its next start on",
    }
}

fn text_of(change: &Change) -> String {
    match (change.before, change.after) {
        (None, after) => format!("new (version {after})"),
        (Some(before), after) if before == after => format!("unchanged (version {after})"),
        (Some(before), after) if before > after => {
            format!("changed (version {before} -> {after}, which was in force before: a rollback)")
        }
        (Some(before), after) => format!("changed (version {before} -> {after})"),
    }
}

fn json_of(change: &Change, how: How) -> serde_json::Value {
    let what = match change.before {
        None => "new",
        Some(before) if before == change.after => "unchanged",
        Some(_) => "changed",
    };
    json!({
        "saga": change.record.name,
        "change": what,
        "version_before": change.before,
        "version": change.after,
        "hash": change.record.hash,
        "file": change.record.file,
        "line": change.record.line,
        "dry_run": how.dry_run,
    })
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
            "{said}\nOnly one process can write to the embedded bus, so a coordinator that runs must deploy by itself: start it with \
             `definitions_watched = true`, and it takes what changes in the folder {folder}. Or stop it, deploy, and start it again"
        ),
    )
}
