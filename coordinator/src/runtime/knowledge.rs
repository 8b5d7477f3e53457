//! What an instance knows: every version of every definition, and every schema that was ever in use.
//!
//! ```text
//! topic of schemas + schema folder -> registry;  topic of definitions + definition files -> catalog
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use ringmaster_bus::{Bus, BusError};
use ringmaster_core::definition::{
    Catalog, CompileError, DefinitionRecord, RecordError, Settings, Undo, defined_twice, without_what_follows,
};
use ringmaster_schemas::Millis;
use ringmaster_schemas::avro::SchemaError;
use ringmaster_schemas::names::Topics;
use ringmaster_schemas::registry::{SchemaRecord, Schemas};

use crate::blocking;

/// Definitions and schemas. Whoever knows more makes another one, which workers take in between two turns.
#[derive(Debug)]
pub struct Knowledge {
    /// All versions of all definitions.
    pub catalog: Catalog,
    /// All schemas.
    pub schemas: Schemas,
    /// By saga: the schemas of its newest version, key by full name.
    pub deployed: SchemasOfSagas,
    /// What was deployed and is taken in.
    pub records: Records,
}

impl Knowledge {
    /// All schemas as they are known by now, with those of the folder as it is by now: what was deployed comes first, so that what
    /// contradicts it is the mistake of a file.
    pub(super) fn known_schemas(&self, folder: &Path) -> Result<Schemas, KnowledgeError> {
        let mut schemas = Schemas::builtin();
        for schema in self.schemas.iter() {
            let SchemaRecord { text, part, .. } = SchemaRecord::new(schema, self.schemas.is_part(schema));
            let added = if part { schemas.add_part(&text) } else { schemas.add_version(&text) };
            added.map_err(|error| KnowledgeError::Schemas(vec![error]))?;
        }
        if folder.exists() {
            schemas.add_folder(folder).map_err(KnowledgeError::Schemas)?;
        }
        Ok(schemas)
    }
}

/// The newest knowledge of an instance, for those that look at it now and then.
#[derive(Debug)]
pub struct Newest(RwLock<Arc<Knowledge>>);

impl Newest {
    /// What is known at first.
    pub fn new(knowledge: Arc<Knowledge>) -> Self {
        Newest(RwLock::new(knowledge))
    }

    /// What is known now.
    pub fn get(&self) -> Arc<Knowledge> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// More is known.
    pub fn set(&self, knowledge: Arc<Knowledge>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = knowledge;
    }
}

/// Records of the topic of definitions, by their offsets.
pub type Records = BTreeMap<i64, Arc<DefinitionRecord>>;

/// Keys of schemas by full name, by saga.
pub type SchemasOfSagas = std::collections::BTreeMap<String, std::collections::BTreeMap<String, String>>;

/// Why definitions or schemas cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KnowledgeError {
    /// The topics could not be read or written.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// A file or folder could not be read.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Schemas are wrong or contradict each other.
    #[error("{}", join(.0))]
    Schemas(Vec<SchemaError>),
    /// Definitions have errors; nothing was deployed.
    #[error("{}", join(.0))]
    Definitions(Vec<CompileError>),
    /// A record of an internal topic is damaged.
    #[error("{topic}: the record at offset {offset} cannot be used: {detail}")]
    Record {
        /// Which topic.
        topic: String,
        /// Where.
        offset: i64,
        /// Why.
        detail: String,
    },
}

impl KnowledgeError {
    /// Why the record at `offset` of the topic of definitions cannot be used.
    pub fn of_record(error: RecordError, topic: &str, offset: i64) -> KnowledgeError {
        match error {
            RecordError::Damaged(detail) => KnowledgeError::Record { topic: topic.to_owned(), offset, detail },
            RecordError::Refused(errors) => KnowledgeError::Definitions(errors),
        }
    }
}

fn join(errors: &[impl std::fmt::Display]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// How definitions are compiled: participants' encodings and topics' modes, by name.
#[derive(Debug, Clone, Default)]
pub struct CompileOptions {
    /// By participant.
    pub participants: std::collections::BTreeMap<String, ringmaster_core::definition::compile::Participant>,
    /// By topic.
    pub topics: std::collections::BTreeMap<String, ringmaster_core::definition::compile::Topic>,
    /// What the names of the coordinator's own topics begin with; none: the default.
    pub prefix: Option<String>,
}

impl CompileOptions {
    /// Settings for the compiler over these schemas.
    pub fn settings<'a>(&self, schemas: &'a mut Schemas) -> Settings<'a> {
        let settings = Settings::new(schemas);
        let prefix = self.prefix.clone().unwrap_or_else(|| settings.prefix.clone());
        Settings { participants: self.participants.clone(), topics: self.topics.clone(), prefix, ..settings }
    }
}

/// What is deployed: both topics, read to their ends.
pub fn read_knowledge(
    bus: &mut impl Bus,
    prefix: &str,
    schema_folder: &Path,
    options: &CompileOptions,
) -> Result<Knowledge, KnowledgeError> {
    let topics = Topics::new(prefix);
    let (schemas, _) = read_schemas(bus, &topics, schema_folder)?;
    compile_all(schemas, &topics, read_definitions(bus, &topics)?, options)
}

/// What was deployed, in the order of the log, as it was written: nothing is compiled. For tools.
pub fn deployed_records(bus: &mut impl Bus, prefix: &str) -> Result<Vec<DefinitionRecord>, KnowledgeError> {
    Ok(read_definitions(bus, &Topics::new(prefix))?.into_iter().map(|(_, record)| record).collect())
}

pub(super) fn compile_all(
    mut schemas: Schemas,
    topics: &Topics,
    records: Vec<(i64, DefinitionRecord)>,
    options: &CompileOptions,
) -> Result<Knowledge, KnowledgeError> {
    let catalog = catalog_of(&records, &mut schemas, topics, options)?;
    complete(catalog, schemas, records)
}

/// With what replies to all commands look like.
pub(super) fn complete(
    catalog: Catalog,
    mut schemas: Schemas,
    records: Vec<(i64, DefinitionRecord)>,
) -> Result<Knowledge, KnowledgeError> {
    for command in commands(&catalog) {
        schemas.reply_envelope(&command).map_err(|error| KnowledgeError::Schemas(vec![error]))?;
    }
    let deployed = schemas_of(&records);
    let records = records.into_iter().map(|(offset, record)| (offset, Arc::new(record))).collect();
    Ok(Knowledge { catalog, schemas, deployed, records })
}

/// All versions of records, each compiled against the schemas that it names.
pub(super) fn catalog_of(
    records: &[(i64, DefinitionRecord)],
    schemas: &mut Schemas,
    topics: &Topics,
    options: &CompileOptions,
) -> Result<Catalog, KnowledgeError> {
    let mut catalog = Catalog::default();
    for (offset, record) in records {
        let added = catalog.add(record, *offset, &mut options.settings(schemas));
        added.map_err(|error| KnowledgeError::of_record(error, &topics.definitions, *offset))?;
    }
    Ok(catalog)
}

/// The last record of a name is its newest version.
pub(super) fn schemas_of(records: &[(i64, DefinitionRecord)]) -> SchemasOfSagas {
    records.iter().map(|(_, record)| (record.name.clone(), record.schemas.clone())).collect()
}

/// Every schema is in its topic before the first decision that needs it.
pub(super) fn append_schemas(
    bus: &mut impl Bus,
    topics: &Topics,
    schemas: &Schemas,
    known: &mut KnownSchemas,
) -> Result<(), KnowledgeError> {
    let fresh: Vec<(Vec<u8>, Vec<u8>)> = schemas
        .iter()
        .map(|schema| (schema, schemas.is_part(schema)))
        .filter(|(schema, part)| known.insert((schema.key(), *part)))
        .map(|(schema, part)| {
            let record = SchemaRecord::new(schema, part);
            let value = record.encode();
            (record.key.into_bytes(), value)
        })
        .collect();
    Ok(blocking::append(bus, &topics.schemas, 0, &fresh)?)
}

/// All commands of all versions: their replies must be readable.
fn commands(catalog: &Catalog) -> BTreeSet<std::sync::Arc<str>> {
    let mut commands = BTreeSet::new();
    for (definition, _) in catalog.versions() {
        for step in definition.steps() {
            commands.insert(step.asks.call.command.clone());
            if let Undo::Command { call, .. } = &step.asks.undo {
                commands.insert(call.command.clone());
            }
        }
    }
    commands
}

/// What the topic of schemas holds: keys, and whether as parts.
pub(super) type KnownSchemas = BTreeSet<(i64, bool)>;

/// What was deployed comes first, so that what contradicts it is the mistake of a file.
pub(super) fn read_schemas(bus: &mut impl Bus, topics: &Topics, folder: &Path) -> Result<(Schemas, KnownSchemas), KnowledgeError> {
    let (mut schemas, mut known) = (Schemas::builtin(), BTreeSet::new());
    let mut trouble = None;
    blocking::read_to_end(bus, &topics.schemas, 0, &mut |read| {
        match add_schema(&topics.schemas, read.offset, read.value.as_deref(), &mut schemas) {
            Ok(added) => known.extend(added),
            Err(error) => trouble = Some(error),
        }
        trouble.is_none()
    })?;
    if let Some(trouble) = trouble {
        return Err(trouble);
    }
    schemas.add_folder(folder).map_err(KnowledgeError::Schemas)?;
    Ok((schemas, known))
}

/// Takes in a record of the topic of schemas: its key, and whether it is a part.
pub(super) fn add_schema(
    topic: &str,
    offset: i64,
    value: Option<&[u8]>,
    schemas: &mut Schemas,
) -> Result<Option<(i64, bool)>, KnowledgeError> {
    let Some(value) = ours(topic, offset, value) else { return Ok(None) };
    let added = SchemaRecord::decode(value).and_then(|record| {
        let added = if record.part { schemas.add_part(&record.text) } else { schemas.add_version(&record.text) };
        added.map(|schema| (schema.key(), record.part))
    });
    added.map(Some).map_err(|error| KnowledgeError::Record { topic: topic.to_owned(), offset, detail: error.to_string() })
}

pub(super) fn read_definitions(bus: &mut impl Bus, topics: &Topics) -> Result<Vec<(i64, DefinitionRecord)>, KnowledgeError> {
    let mut records = Vec::new();
    let mut trouble = None;
    blocking::read_to_end(bus, &topics.definitions, 0, &mut |read| {
        match read_record(&topics.definitions, read.offset, read.value.as_deref()) {
            Ok(record) => records.extend(record.map(|record| (read.offset, record))),
            Err(error) => trouble = Some(error),
        }
        trouble.is_none()
    })?;
    trouble.map_or(Ok(records), Err)
}

/// Reads a record of the topic of definitions.
pub(super) fn read_record(topic: &str, offset: i64, value: Option<&[u8]>) -> Result<Option<DefinitionRecord>, KnowledgeError> {
    let record = ours(topic, offset, value).map(DefinitionRecord::decode).transpose();
    record.map_err(|error| KnowledgeError::Record { topic: topic.to_owned(), offset, detail: error.to_string() })
}

/// The value of a record, unless somebody else wrote it: a tombstone, or what is no JSON object. That is passed over, and said: nothing
/// depends on it. An object that cannot be used may be damaged, or of a newer version, and is an error.
fn ours<'a>(topic: &str, offset: i64, value: Option<&'a [u8]>) -> Option<&'a [u8]> {
    let value = value.filter(|value| value.starts_with(b"{"));
    if value.is_none() {
        tracing::error!(topic, offset, "a record is not of this project, and is passed over: who writes there?");
    }
    value
}

/// The text of a file; one that is no text is told with the line that is none.
pub fn read_text(path: &Path) -> Result<String, KnowledgeError> {
    let bytes = std::fs::read(path).map_err(|error| KnowledgeError::File { path: path.to_owned(), error })?;
    String::from_utf8(bytes).map_err(|error| KnowledgeError::Definitions(vec![not_a_text(path, &error)]))
}

/// The error of a file that is no text, with the line that is none.
fn not_a_text(path: &Path, error: &std::string::FromUtf8Error) -> CompileError {
    let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
    CompileError {
        file: path.display().to_string(),
        line: before.iter().filter(|&&byte| byte == b'\n').count() + 1,
        column: 1,
        length: 1,
        message: "this line is not UTF-8".to_owned(),
        hint: "save the file as UTF-8 text".to_owned(),
        source: String::new(),
        warning: false,
        missing_schema: None,
        follows: false,
        slip: false,
    }
}

/// The definitions of files, compiled against the schemas, with what is odd in them. Schemas that are missing are those of the
/// version that is `deployed`. All errors of all files are returned.
pub fn compile_files(
    schemas: &mut Schemas,
    files: &[PathBuf],
    options: &CompileOptions,
    deployed: &SchemasOfSagas,
    now: Millis,
) -> Result<(Vec<DefinitionRecord>, Vec<CompileError>), KnowledgeError> {
    let (mut errors, mut texts) = (Vec::new(), Vec::new());
    for path in files {
        match read_text(path) {
            Ok(text) => texts.push((path.display().to_string(), text)),
            Err(KnowledgeError::Definitions(found)) => errors.extend(found),
            Err(error) => return Err(error),
        }
    }
    compile_texts(schemas, (&texts, errors), options, deployed, now)
}

/// The same of texts, each with what its file is called. `errors`: what is wrong with other files.
pub(super) fn compile_texts(
    schemas: &mut Schemas,
    (texts, mut errors): (&[(String, String)], Vec<CompileError>),
    options: &CompileOptions,
    deployed: &SchemasOfSagas,
    now: Millis,
) -> Result<(Vec<DefinitionRecord>, Vec<CompileError>), KnowledgeError> {
    let mut records = Vec::new();
    let mut settings = Settings { deployed: deployed.clone(), ..options.settings(schemas) };
    // A saga of one file may run those of another.
    texts.iter().for_each(|(path, text)| settings.announce(path, text));
    for (path, text) in texts {
        match DefinitionRecord::of_file(path, text, now, &mut settings) {
            Ok(found) => records.extend(found),
            Err(found) => errors.extend(found),
        }
    }
    errors.extend(defined_twice(&records));
    errors.extend(settings.broken_contracts(&records));
    let warnings = settings.warnings;
    if errors.is_empty() {
        return Ok((records, warnings));
    }
    without_what_follows(&mut errors);
    errors.extend(warnings.into_iter().filter(|warning| warning.slip));
    Err(KnowledgeError::Definitions(errors))
}

/// The definition files of a folder, in the order of their names.
pub fn definition_files(folder: &Path) -> Result<Vec<PathBuf>, KnowledgeError> {
    let read = |error| KnowledgeError::File { path: folder.to_owned(), error };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(read)? {
        let path = entry.map_err(read)?.path();
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("yaml") || extension.eq_ignore_ascii_case("yml"))
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
