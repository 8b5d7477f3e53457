//! What the topic of definitions holds.

use std::collections::BTreeMap;

use ringmaster_schemas::Millis;
use ringmaster_schemas::names::hex;

use super::compile::{compile_file, compile_record, defined_twice_in, run_in};
use super::{CompileError, Definition, RecordError, Settings};

/// A record of the topic of definitions, as JSON: one version, with all it needs to be compiled again to the same.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DefinitionRecord {
    /// The definition's name.
    pub name: String,
    /// Its content hash, in hex.
    pub hash: String,
    /// The file it came from, for people.
    pub file: String,
    /// The line of that file that `text` begins at, from 1.
    pub line: usize,
    /// The document as it was written.
    pub text: String,
    /// Keys (16 hexadecimal digits) of all schemas it was compiled against, by full name.
    pub schemas: BTreeMap<String, String>,
    /// When it was deployed.
    pub deployed_at: Millis,
    /// By whom; none where that was not asked: by a start, from a watched folder, or by an earlier build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployed_by: Option<String>,
}

impl DefinitionRecord {
    /// Checks a file against the current schemas and makes a record of each of its documents.
    pub fn of_file(
        file: &str,
        text: &str,
        deployed_at: Millis,
        settings: &mut Settings<'_>,
    ) -> Result<Vec<DefinitionRecord>, Vec<CompileError>> {
        let versions = compile_file(file, text, settings)?;
        let record = |version: super::compile::Version| DefinitionRecord {
            name: version.definition.name.to_string(),
            hash: hex(&version.definition.hash),
            file: file.to_owned(),
            line: version.line,
            text: version.text,
            schemas: version.schemas,
            deployed_at,
            deployed_by: None,
        };
        Ok(versions.into_iter().map(record).collect())
    }

    /// Compiles it again, against exactly the schemas that it names: an edited schema never changes a version.
    pub fn compile(&self, settings: &mut Settings<'_>) -> Result<Definition, RecordError> {
        compile_record(self, settings)
    }

    /// The sagas that it runs.
    pub fn runs(&self) -> impl Iterator<Item = &str> {
        self.schemas.keys().filter_map(|part| run_in(part))
    }

    /// The record's value.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers are always JSON")
    }

    /// Reads a record's value.
    pub fn decode(bytes: &[u8]) -> Result<DefinitionRecord, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}

/// What of the records of several files has a name that another file uses for something else: only the last would ever start a
/// saga, and each start would deploy all of them anew.
pub fn defined_twice(records: &[DefinitionRecord]) -> Vec<CompileError> {
    let mut errors = Vec::new();
    for (index, record) in records.iter().enumerate() {
        if let Some(first) = records[..index].iter().find(|first| first.name == record.name && first.hash != record.hash) {
            errors.extend(defined_twice_in(record, first));
        }
    }
    errors
}
