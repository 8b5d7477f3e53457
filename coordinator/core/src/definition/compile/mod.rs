//! From text to checked definitions: all errors of a file, each with its place and a hint.
//!
//! ```text
//! yaml (spanned tree) -> form (what may stand where) -> tree (a table of nodes) -> certainty, checks -> pass (each node) -> Definition
//! ```

mod alike;
mod build;
mod certainty;
mod checks;
mod contracts;
mod duration;
mod fields;
mod form;
mod input;
pub mod keys;
mod listeners;
mod lookup;
pub mod outline;
mod pass;
mod report;
mod starts;
mod targets;
mod tree;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{DefinitionHash, Encoding};
use ringmaster_schemas::names::hex;
use ringmaster_schemas::registry::Schemas;
use sha2::{Digest, Sha256};

use super::defaults::DEFAULTS;
use super::limits::{Limit, bytes, count, limit};
use super::{Definition, DefinitionRecord, yaml};
use build::Builder;
pub use contracts::Sagas;
pub(super) use contracts::run_in;
pub use duration::parse_millis;
pub(crate) use duration::{Unit, parse_duration, write_duration};
pub use fields::Fields;
use fields::Word;
pub(crate) use fields::{CODE_BYTES_MAX, NAME_BYTES_MAX, ROLE_BYTES_MAX, TOPIC_BYTES_MAX, TYPE_BYTES_MAX, split_by_comma};
pub(crate) use form::ROUNDS_MAX;
use form::SagaForm;
pub(crate) use form::as_name;
pub(crate) use form::node::STEPS_MAX;
use lookup::Lookup;
pub use report::{CompileError, Report, did_you_mean, without_what_follows};
pub(crate) use report::{did_you_mean_or, suggest};
use targets::{Finder, Options};

/// Stack of the thread that compiles: the parser's recursion over an expression of 2 KiB needs a part of it, a default stack
/// overflows.
const STACK_BYTES: usize = 16 * 1024 * 1024;

/// What a definition may have at most.
pub(super) fn limits() -> Vec<Limit> {
    vec![
        limit!(form::node::STEPS_MAX, "steps of a definition, those inside others included", count),
        limit!(form::parallel::BRANCHES_MAX, "branches of a parallel", count),
        limit!(form::for_each::AT_ONCE_MAX, "items of a for_each that are under way at the same time", count),
        limit!(checks::for_each::NESTED_MAX, "for_eaches inside one another", count),
        limit!(super::node::ITEMS_MAX, "items of a for_each", count),
        limit!(super::contract::ROWS_DEEP_MAX, "rows below one another: a saga, an item, what that runs, and so on", count),
        limit!(form::run::DECIMAL_DIGITS_MAX, "digits behind the point of an input's decimal", count),
        limit!(form::run::NESTED_MAX, "levels of fields of an input", count),
        limit!(form::react::CODES_MAX, "codes of one on_refused or on_failed", count),
        limit!(form::react::ROUNDS_MAX, "rounds of a step", count),
        limit!(form::approval::ESCALATIONS_MAX, "escalations of an approval", count),
        limit!(form::search::SEARCH_MAX, "values to search by, of a definition", count),
        limit!(form::rules::RULES_MAX, "rules of a definition", count),
        limit!(fields::NAME_BYTES_MAX, "the name of a saga, a step or a rule", bytes),
        limit!(fields::PARTICIPANT_BYTES_MAX, "the name of a participant", bytes),
        limit!(fields::TYPE_BYTES_MAX, "the name of a command or an event", bytes),
        limit!(fields::TOPIC_BYTES_MAX, "the name of a topic", bytes),
        limit!(fields::CODE_BYTES_MAX, "a code of a definition", bytes),
        limit!(fields::ROLE_BYTES_MAX, "a role", bytes),
        limit!(duration::MILLIS_MAX, "a duration", |n| format!("{} days", n / 86_400_000)),
        limit!(report::SHOWN_MAX, "errors, and warnings, that are told of one file", count),
        limit!(report::COLUMNS_MAX, "columns of a line that are shown with an error", count),
    ]
}

/// What is said of a file without anything.
const NO_DEFINITION: &str = "there is no definition in this file";

/// What definitions are compiled against.
pub struct Settings<'a> {
    /// All schemas that are known. Envelopes and projections are added.
    pub schemas: &'a mut Schemas,
    /// By name of participant; one that is not here has the defaults.
    pub participants: BTreeMap<String, Participant>,
    /// By name of topic; one that is not here has the defaults.
    pub topics: BTreeMap<String, Topic>,
    /// What the names of the coordinator's own topics begin with.
    pub prefix: String,
    /// By saga: the schemas of its newest version that is deployed, key by full name. They stand in for those that are not known.
    pub deployed: BTreeMap<String, BTreeMap<String, String>>,
    /// What is allowed and probably not meant, of all that was compiled with these settings.
    pub warnings: Vec<CompileError>,
    /// What may be run beside what is deployed.
    pub sagas: Sagas,
}

/// What a definition must know of a participant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participant {
    /// How it wants bodies. Default: Avro.
    pub encoding: Encoding,
    /// How long it remembers idempotency keys. Default: 30 days.
    pub remembers_ms: Millis,
}

impl Default for Participant {
    fn default() -> Self {
        Participant { encoding: Encoding::Avro, remembers_ms: DEFAULTS.remembers_ms }
    }
}

/// How events are emitted to a topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Topic {
    /// With headers or without.
    pub mode: Mode,
    /// Default: Avro where the event has a schema, else JSON.
    pub encoding: Option<Encoding>,
}

/// Whether emitted events have headers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// No headers.
    Plain,
    /// CloudEvents 1.0, binary mode (default).
    #[default]
    CloudEvents,
}

impl<'a> Settings<'a> {
    /// Defaults for all participants and topics.
    pub fn new(schemas: &'a mut Schemas) -> Self {
        let (participants, topics) = (BTreeMap::new(), BTreeMap::new());
        let prefix = "ringmaster".to_owned();
        Settings { schemas, participants, topics, prefix, deployed: BTreeMap::new(), warnings: Vec::new(), sagas: Sagas::default() }
    }
}

/// Checks and compiles a file, which may hold several documents. All errors are returned, in order of place.
pub fn compile(file: &str, text: &str, settings: &mut Settings<'_>) -> Result<Vec<Definition>, Vec<CompileError>> {
    Ok(compile_file(file, text, settings)?.into_iter().map(|version| version.definition).collect())
}

/// Why a version from history cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordError {
    /// The record, or the topic of schemas, is not what was written.
    Damaged(String),
    /// It is whole, and what it asks for is not allowed by the settings in use (a participant remembers less, takes another encoding).
    Refused(Vec<CompileError>),
}

/// A definition with what a record of it needs.
pub(super) struct Version {
    pub(super) definition: Definition,
    /// The line of its document, from 1.
    pub(super) line: usize,
    /// Its document.
    pub(super) text: String,
    /// Keys of the schemas it was compiled against.
    pub(super) schemas: BTreeMap<String, String>,
}

/// The same with what records need.
pub(super) fn compile_file(file: &str, text: &str, settings: &mut Settings<'_>) -> Result<Vec<Version>, Vec<CompileError>> {
    on_large_stack(|| {
        settings.announce(file, text);
        compile_documents(file, text, 1, None, settings)
    })
}

/// Compiles a version from history against exactly the schemas that it was compiled against first.
pub(super) fn compile_record(record: &DefinitionRecord, settings: &mut Settings<'_>) -> Result<Definition, RecordError> {
    let DefinitionRecord { name, hash, file, line, text, schemas, .. } = record;
    let found = hex(&content_hash(text, schemas));
    if found != *hash {
        return Err(RecordError::Damaged(format!("it says that it is {name} {hash}, and what it holds is {found}")));
    }
    for (name, key) in schemas {
        if u64::from_str_radix(key, 16).ok().and_then(|key| settings.schemas.by_key(key as i64)).is_none() {
            return Err(RecordError::Damaged(format!("it needs {name} with key {key}, which is not in the topic of schemas")));
        }
    }
    let versions =
        on_large_stack(|| compile_documents(file, text, *line, Some(schemas), settings)).map_err(RecordError::Refused)?;
    let count = versions.len();
    match versions.into_iter().next() {
        Some(Version { definition, .. }) if count == 1 && hex(&definition.hash) == *hash && *definition.name == **name => {
            Ok(definition)
        }
        Some(Version { definition, .. }) if count == 1 => Err(RecordError::Damaged(format!(
            "it says that it is {name} {hash}, it is {} {}",
            definition.name,
            hex(&definition.hash)
        ))),
        _ => Err(RecordError::Damaged(format!("it holds {count} definitions, not one"))),
    }
}

/// The error that a record's name is another's already.
pub(super) fn defined_twice_in(record: &DefinitionRecord, first: &DefinitionRecord) -> Vec<CompileError> {
    let line = Report::new(&first.file, &first.text, first.line).line(name_in(&first.text).start);
    let hint = format!("it is first in {}, line {line}", first.file);
    vec![defined_in(record, format!("saga '{}' is defined twice", record.name), hint)]
}

/// An error about a whole definition, at its name.
fn defined_in(record: &DefinitionRecord, message: String, hint: String) -> CompileError {
    let mut report = Report::new(&record.file, &record.text, record.line);
    report.error(&name_in(&record.text), message, hint);
    report.finish().0.remove(0)
}

/// Where the name of a document stands.
fn name_in(text: &str) -> Range<usize> {
    let document = yaml::load(text).ok().and_then(|documents| documents.into_iter().next());
    document.as_ref().and_then(|document| document.root.named("saga")).map_or(0..0, |name| name.span.clone())
}

pub(crate) fn on_large_stack<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("compile".into()).stack_size(STACK_BYTES).spawn_scoped(scope, run);
        match thread.expect("a thread for compiling").join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

fn compile_documents(
    file: &str,
    text: &str,
    first_line: usize,
    pinned: Option<&BTreeMap<String, String>>,
    settings: &mut Settings<'_>,
) -> Result<Vec<Version>, Vec<CompileError>> {
    let mut report = Report::new(file, text, first_line);
    let mut versions: Vec<Version> = Vec::new();
    let mut names: Vec<Word> = Vec::new();
    let yaml::Reading { documents, errors, .. } = yaml::read(text);
    if documents.is_empty() && errors.is_empty() {
        report.error(&(0..0), NO_DEFINITION, "saga: NAME");
    }
    errors.into_iter().for_each(|error| report.error(&error.span, error.message, error.hint));
    for document in documents {
        let errors = report.error_count();
        let form = SagaForm::read(&document.root, &mut report);
        let Some(form) = report.or_reason(form, errors, &document.root.span) else { continue };
        if let Some(first) = names.iter().find(|name| name.text == form.name.text) {
            let hint = format!("it is first on line {}: give one of them another name", report.line(first.span.start));
            report.error(&form.name.span, format!("saga '{}' is defined twice", form.name.text), hint);
        } else if document.root.named("saga").and_then(yaml::Node::scalar) == Some(&form.name.text) {
            names.push(form.name.clone());
        }
        let (contracts, unknown) = contracts::resolve(&form, pinned, settings, &mut report);
        let deployed = settings.deployed.get(&form.name.text);
        let mut lookup = Lookup::new(settings.schemas, pinned, deployed);
        let options = Options { participants: &settings.participants, topics: &settings.topics, prefix: &settings.prefix };
        let finder = Finder { options: &options, lookup: &mut lookup, report: &mut report };
        let built = Builder { form: &form, finder, contracts: &contracts, unknown: &unknown, errors_before: errors }.build();
        let Some((mut definition, contract)) = report.or_reason(built, errors, &form.name.span) else { continue };
        if !lookup.missing().is_empty() {
            let message = format!("the deployed version has schemas that are missing here: {}", lookup.missing().join(", "));
            report.warning(&form.name.span, message, "it keeps them; put their files back into the schema folder");
        }
        let contract = match pinned {
            // What a version from history promised it promises for ever.
            Some(pinned) => lookup.contract(&definition.name, pinned),
            None => contract,
        };
        let own = contract.iter().flat_map(|contract| contract.parts(contracts::OWN));
        for (part, schema) in own.chain(contracts::counted_on(&definition)).collect::<Vec<_>>() {
            lookup.note_part(part, schema);
        }
        let (text, schemas) = (text[document.span.clone()].to_owned(), lookup.used());
        definition.hash = content_hash(&text, &schemas);
        let line = report.line(document.span.start);
        definition.contract = contract.map(Arc::new);
        versions.push(Version { definition, line, text, schemas });
    }
    if report.error_count() > 0 {
        return Err(report.finish_with_slips());
    }
    settings.warnings.extend(report.finish().1);
    Ok(versions)
}

/// The first 16 bytes of SHA-256 over the text and the keys of the schemas.
fn content_hash(text: &str, schemas: &BTreeMap<String, String>) -> DefinitionHash {
    let mut sha = Sha256::new();
    sha.update((text.len() as u64).to_be_bytes());
    sha.update(text);
    for (name, key) in schemas {
        sha.update(name);
        sha.update([0]);
        sha.update(key);
        sha.update([0]);
    }
    let digest = sha.finalize();
    digest[..16].try_into().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests;
