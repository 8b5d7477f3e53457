//! `check`: definitions as files; and what other commands need of those.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use ringmaster_bus::Bus;
use ringmaster_core::definition::{Catalog, CompileError, DefinitionRecord};
use ringmaster_schemas::names::Topics;
use ringmaster_schemas::registry::Schemas;

use super::exit::{Exit, Failure};
use crate::config::Config;
use crate::runtime::{self, CompileOptions, KnowledgeError, SchemasOfSagas};

/// The definition files of the configured folder; none if there is no such folder.
pub(super) fn configured_files(config: &Config) -> Result<Vec<PathBuf>, Failure> {
    if !config.definitions.exists() {
        tracing::warn!(folder = %config.definitions.display(), "there is no folder of definitions; only deployed ones are run");
        return Ok(Vec::new());
    }
    Ok(runtime::definition_files(&config.definitions)?)
}

/// Files as they are named, and those of folders.
pub(super) fn files_in(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let found = runtime::definition_files(path)?;
            if found.is_empty() {
                let path = path.display();
                return Err(Failure::new(Exit::NotFound, format_args!("{path}: there is no *.yaml in this folder")));
            }
            files.extend(found);
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

/// Adds files to a catalog as if they had been deployed behind what it holds. All errors of all files are returned.
pub(super) fn add_files(
    catalog: &mut Catalog,
    schemas: &mut Schemas,
    files: &[PathBuf],
    options: &CompileOptions,
    deployed: &SchemasOfSagas,
) -> Result<(Vec<DefinitionRecord>, Vec<CompileError>), Failure> {
    let (records, warnings) = runtime::compile_files(schemas, files, options, deployed, runtime::wall())?;
    for record in &records {
        let offset = catalog.loaded_to();
        let added = catalog.add(record, offset, &mut options.settings(schemas));
        added.map_err(|error| KnowledgeError::of_record(error, "the files", offset))?;
    }
    Ok((records, warnings))
}

/// `ringmaster check FILE...`
pub(super) fn check(config: &Config, files: &[PathBuf], out: &mut dyn Write) -> Result<(), Failure> {
    let mut schemas = load_schemas(&config.schemas)?;
    let files = &files_in(files)?;
    let mut catalog = Catalog::default();
    let (records, warnings) = add_files(&mut catalog, &mut schemas, files, &config.compile_options(), &SchemasOfSagas::new())?;
    for warning in &warnings {
        say(out, format_args!("{warning}"))?;
    }
    for record in &records {
        say(out, format_args!("{}:{}: {} is right; version {}", record.file, record.line, record.name, &record.hash[..12]))?;
    }
    for note in crate::topics::keys_by_expression(&catalog, |topic| config.is_routed(topic)) {
        say(out, format_args!("{note}"))?;
    }
    Ok(())
}

pub(super) fn load_schemas(folder: &Path) -> Result<Schemas, Failure> {
    if !folder.exists() {
        return Ok(Schemas::builtin());
    }
    Ok(Schemas::load_folder(folder).map_err(KnowledgeError::Schemas)?)
}

/// The topics of definitions and schemas must be there and right before they are read.
pub(super) fn require_topics(bus: &mut impl Bus, config: &Config) -> Result<(), Failure> {
    let topics = Topics::new(&config.prefix);
    let mut wrong = Vec::new();
    for (name, found) in
        [&topics.definitions, &topics.schemas].into_iter().zip(bus.describe(&[&topics.definitions, &topics.schemas])?)
    {
        match found {
            None => wrong.push(format!("  {name}: does not exist")),
            Some(found) => wrong.extend(crate::topics::faults(&found, &topics, &[], config.partitions)),
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(runtime::SetupError::Topics(wrong).into()) }
}

/// Prints a line. A reader that went away has what it wanted (`| head -1`), and ends the command without a word.
pub(super) fn say(out: &mut dyn Write, line: std::fmt::Arguments<'_>) -> Result<(), Failure> {
    writeln!(out, "{line}").map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::new(Exit::Done, ""),
        _ => Failure::new(Exit::Failed, format_args!("output: {error}")),
    })
}
