//! `definitions list`, `show` and `diff`: what is deployed, version by version.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write;
use std::sync::Arc;

use ringmaster_core::definition::{Catalog, DefinitionRecord};
use serde_json::{Value, json};
use similar::TextDiff;

use super::buses::{self, Access, on_bus};
use super::definitions::{add_files, configured_files, require_topics, say};
use super::exit::{Exit, Failure};
use super::text::{self, time};
use crate::config::{BusKind, Config};
use crate::runtime::{self, Deployed, versions_of};

/// Lines around a difference.
const AROUND: usize = 3;

/// `ringmaster definitions list`
pub(super) fn list(config: &Config, all: bool, as_json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let versions = deployed(config)?;
    let shown: Vec<&Deployed> = versions.iter().filter(|version| all || version.in_force.is_some()).collect();
    if as_json {
        return shown.iter().try_for_each(|version| say(out, format_args!("{}", json_of(version))));
    }
    if versions.is_empty() {
        let folder = config.definitions.display();
        return say(
            out,
            format_args!(
                "nothing is deployed yet: `ringmaster run` deploys what is in the folder {folder}, `ringmaster deploy FILE...` any files"
            ),
        );
    }
    let mut table = text::table(["SAGA", "VERSION", "HASH", "DEPLOYED", "FROM", "IN FORCE"]);
    for Deployed { number, in_force, rolled_back, record } in &shown {
        table.add_row([
            record.name.clone(),
            number.to_string(),
            short(&record.hash).to_owned(),
            time(record.deployed_at),
            format!("{}:{}", record.file, record.line),
            match (in_force, rolled_back) {
                (None, _) => "-".to_owned(),
                (Some(_), None) => "yes".to_owned(),
                (Some(by), Some(other)) => {
                    format!("again, since {}: version {other} was rolled back", time(by.deployed_at))
                }
            },
        ]);
    }
    say(out, format_args!("{table}"))?;
    let others = versions.len() - shown.len();
    if others > 0 {
        let versions = if others == 1 { "1 other version is" } else { &format!("{others} other versions are") };
        say(out, format_args!("{versions} deployed too (--all): sagas that run keep theirs"))?;
    }
    Ok(())
}

/// `ringmaster definitions show NAME`: the text as it was deployed.
pub(super) fn show(config: &Config, name: &str, number: Option<usize>, as_json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let versions = deployed(config)?;
    let version = find(&versions, name, number)?;
    if !as_json {
        return say(out, format_args!("{}", version.record.text.trim_end()));
    }
    let mut json = json_of(version);
    json["text"] = version.record.text.as_str().into();
    json["schemas"] = json!(version.record.schemas);
    say(out, format_args!("{json}"))
}

/// `ringmaster definitions diff NAME`: between two versions, or between the newest one and the file of the folder. Like `diff`, it ends
/// with 1 if there is a difference.
pub(super) fn diff(
    config: &Config,
    name: &str,
    from: Option<usize>,
    to: Option<usize>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let versions = deployed(config)?;
    let old = find(&versions, name, from)?;
    let title = |version: &Deployed| format!("{name} version {}", version.number);
    let text = match from {
        None => {
            let file = of_folder(config, name)?;
            differences(&old.record, &title(old), &file, &format!("{}:{}", file.file, file.line))
        }
        Some(_) => {
            let new = find(&versions, name, to)?;
            differences(&old.record, &title(old), &new.record, &title(new))
        }
    };
    if text.is_empty() {
        return say(out, format_args!("no difference"));
    }
    say(out, format_args!("{}", text.trim_end()))?;
    Err(Failure::new(Exit::Failed, ""))
}

/// Every version, by name and number.
fn deployed(config: &Config) -> Result<Vec<Deployed>, Failure> {
    if config.bus == BusKind::Embedded && !config.embedded.dir.exists() {
        // It has never run: nobody has made a directory.
        return Ok(Vec::new());
    }
    let mut any = buses::open(config, Access::Read)?;
    let records = on_bus!(&mut any, bus => {
        require_topics(bus, config)?;
        runtime::deployed_records(bus, &config.prefix)?
    });
    Ok(versions_of(records.into_iter().map(Arc::new)))
}

/// A version by its number; without one the newest.
fn find<'v>(versions: &'v [Deployed], name: &str, number: Option<usize>) -> Result<&'v Deployed, Failure> {
    let of_name: Vec<&Deployed> = versions.iter().filter(|version| version.record.name == name).collect();
    if of_name.is_empty() {
        let names: BTreeSet<&str> = versions.iter().map(|version| version.record.name.as_str()).collect();
        let names = names.into_iter().collect::<Vec<_>>().join(", ");
        let there = if names.is_empty() { "nothing is".to_owned() } else { format!("there is {names}") };
        return Err(Failure::new(Exit::NotFound, format_args!("no saga '{name}' is deployed; {there}")));
    }
    let is_it = |version: &&&Deployed| number.map_or(version.in_force.is_some(), |number| version.number == number);
    of_name.iter().find(is_it).copied().ok_or_else(|| {
        let (count, number) = (of_name.len(), number.unwrap_or_default());
        Failure::new(Exit::NotFound, format_args!("'{name}' has no version {number}; it has 1 to {count}"))
    })
}

/// What a deploy of the folder would make of this saga.
fn of_folder(config: &Config, name: &str) -> Result<DefinitionRecord, Failure> {
    let options = config.compile_options();
    let mut any = buses::open(config, Access::Read)?;
    let known = on_bus!(&mut any, bus => runtime::read_knowledge(bus, &config.prefix, &config.schemas, &options)?);
    let (files, mut schemas) = (configured_files(config)?, known.schemas);
    let (records, _) = add_files(&mut Catalog::default(), &mut schemas, &files, &options, &known.deployed)?;
    records.into_iter().find(|record| record.name == name).ok_or_else(|| {
        let folder = config.definitions.display();
        Failure::new(Exit::NotFound, format_args!("no file of {folder} has a saga '{name}'; name two versions to compare"))
    })
}

/// The texts as a unified diff, and schemas that are others; empty if there is nothing.
fn differences(old: &DefinitionRecord, old_title: &str, new: &DefinitionRecord, new_title: &str) -> String {
    let mut text = String::new();
    if old.text.trim_end() != new.text.trim_end() {
        let (old, new) = (format!("{}\n", old.text.trim_end()), format!("{}\n", new.text.trim_end()));
        let lines = TextDiff::from_lines(&old, &new);
        text = lines.unified_diff().context_radius(AROUND).header(old_title, new_title).to_string();
    }
    let names: BTreeSet<&String> = old.schemas.keys().chain(new.schemas.keys()).collect();
    for name in names {
        let (before, now) = (old.schemas.get(name), new.schemas.get(name));
        if before != now {
            let key = |key: Option<&String>| key.map_or_else(|| "none".to_owned(), |key| format!("key {key}"));
            writeln!(text, "schema {name}: {} -> {}", key(before), key(now)).expect("writing to a string");
        }
    }
    text
}

fn json_of(version: &Deployed) -> Value {
    let Deployed { number, in_force, rolled_back, record } = version;
    json!({
        "saga": record.name,
        "version": number,
        "newest": in_force.is_some(),
        "in_force_since": in_force.as_ref().map(|by| time(by.deployed_at)),
        "rolled_back": rolled_back,
        "hash": record.hash,
        "deployed_at": time(record.deployed_at),
        "deployed_by": record.deployed_by,
        "file": record.file,
        "line": record.line,
    })
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}
