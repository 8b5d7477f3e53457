//! `deploy`: files become versions that are in force, also in coordinators that run.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use ringmaster_bus::{Bus, Description};
use serde_json::json;

use super::buses::{self, Access, on_bus};
use super::definitions::{files_in, require_topics, say};
use super::exit::{Exit, Failure};
use super::rivals;
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
        let plan = Plan::make(bus, &deploying, files, runtime::wall())?;
        rivals::refuse(config, &plan, |_| false)?;
        runtime::deploy(bus, &deploying, files, false, runtime::wall())?
    };
    let later = at_next_start(bus, config, &plan)?;
    if how.json {
        let waits = |change: &Change| later.iter().any(|(_, waiting)| waiting.contains(&change.record.name));
        return plan.changes.iter().try_for_each(|change| say(out, format_args!("{}", json_of(change, waits(change), how))));
    }
    for line in plan.told() {
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
        (_, false) => {
            say(out, format_args!("{}", reach(config.bus)))?;
            later.iter().try_for_each(|(topic, waiting)| {
                let waiting = waiting.join(", ");
                say(
                    out,
                    format_args!(
                        "but {waiting}: events of {topic} are matched by a value now, and go through the router. A coordinator that runs reads {topic} directly, \
                         and gives this version to new sagas from its next start on; until then the one before is in force"
                    ),
                )
            })
        }
    }
}

/// What a coordinator that runs takes in at its next start, with the topic that it reads directly until then. On the embedded bus that is so
/// with everything.
fn at_next_start(bus: &mut impl Bus, config: &Config, plan: &Plan) -> Result<Vec<(String, Vec<String>)>, Failure> {
    if config.bus == BusKind::Embedded || plan.first_to_match.is_empty() {
        return Ok(Vec::new());
    }
    let topics: Vec<&str> = plan.first_to_match.iter().map(|(_, topic)| topic.as_str()).collect();
    let (found, setup) = (bus.describe(&topics)?, config.setup());
    let is_direct = |found: &Option<Description>| found.as_ref().is_some_and(|topic| !setup.is_routed(topic, &BTreeSet::new()));
    let direct = plan.first_to_match.iter().zip(found).filter(|(_, found)| is_direct(found));
    Ok(direct.map(|((saga, topic), _)| (topic.clone(), plan.waiting_with(saga))).collect())
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

fn json_of(change: &Change, at_next_start: bool, how: How) -> serde_json::Value {
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
        "at_next_start": at_next_start,
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
