//! `definitions list`, `show` and `diff`: what is deployed, version by version.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write;

use comfy_table::{ContentArrangement, Table, presets};
use ringmaster_core::definition::{Catalog, DefinitionRecord};
use serde_json::{Value, json};
use similar::TextDiff;

use super::buses::{self, Access, on_bus};
use super::definitions::{add_files, configured_files, require_topics, say};
use super::exit::{Exit, Failure};
use super::text::time;
use crate::config::Config;
use crate::runtime;

/// Lines around a difference.
const AROUND: usize = 3;

/// A version that is deployed.
struct Deployed {
    /// From 1: the first of its content in the log.
    number: usize,
    /// New sagas get it.
    is_newest: bool,
    record: DefinitionRecord,
}

/// `ringmaster definitions list`
pub(super) fn list(config: &Config, all: bool, as_json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let versions = deployed(config)?;
    let shown: Vec<&Deployed> = versions.iter().filter(|version| all || version.is_newest).collect();
    if as_json {
        return shown.iter().try_for_each(|version| say(out, format_args!("{}", json_of(version))));
    }
    if versions.is_empty() {
        return say(out, format_args!("nothing is deployed; `ringmaster deploy FILE...` does it"));
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["SAGA", "VERSION", "HASH", "DEPLOYED", "FROM", "NEWEST"]);
    for Deployed { number, is_newest, record } in &shown {
        table.add_row([
            record.name.clone(),
            number.to_string(),
            short(&record.hash).to_owned(),
            time(record.deployed_at),
            format!("{}:{}", record.file, record.line),
            if *is_newest { "yes" } else { "-" }.to_owned(),
        ]);
    }
    say(out, format_args!("{table}"))?;
    let older = versions.len() - shown.len();
    if older > 0 {
        let versions = if older == 1 { "1 older version is" } else { &format!("{older} older versions are") };
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

/// `ringmaster definitions diff NAME`: between two versions, or between the newest one and the file of the folder.
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
    let text = if text.is_empty() { "no difference" } else { text.trim_end() };
    say(out, format_args!("{text}"))
}

/// Every version, by name and number.
fn deployed(config: &Config) -> Result<Vec<Deployed>, Failure> {
    let mut any = buses::open(config, Access::Read)?;
    let records = on_bus!(&mut any, bus => {
        require_topics(bus, config)?;
        runtime::deployed_records(bus, &config.prefix)?
    });
    let mut versions: Vec<Deployed> = Vec::new();
    for record in records {
        let of_name = || versions.iter().filter(|version| version.record.name == record.name);
        let number = of_name().find(|version| version.record.hash == record.hash).map(|version| version.number);
        let (name, next) = (record.name.clone(), of_name().count() + 1);
        if number.is_none() {
            versions.push(Deployed { number: next, is_newest: false, record });
        }
        let newest = number.unwrap_or(next);
        for version in versions.iter_mut().filter(|version| version.record.name == name) {
            version.is_newest = version.number == newest;
        }
    }
    versions.sort_by(|a, b| (&a.record.name, a.number).cmp(&(&b.record.name, b.number)));
    Ok(versions)
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
    let is_it = |version: &&&Deployed| number.map_or(version.is_newest, |number| version.number == number);
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
    let Deployed { number, is_newest, record } = version;
    json!({
        "saga": record.name,
        "version": number,
        "newest": is_newest,
        "hash": record.hash,
        "deployed_at": time(record.deployed_at),
        "file": record.file,
        "line": record.line,
    })
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}
