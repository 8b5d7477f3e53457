//! All known versions of all definitions: the topic of definitions, as a table.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::DefinitionHash;

use super::{CompileError, Definition, Settings};

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
}

/// All known versions.
#[derive(Debug, Default)]
pub struct Catalog {
    loaded_to: i64,
}

impl Catalog {
    /// Takes the record at `offset` of the topic of definitions. Records come in the log's order.
    pub fn add(&mut self, record: &DefinitionRecord, offset: i64, settings: &mut Settings<'_>) -> Result<Arc<Definition>, Vec<CompileError>> {
        let _ = (record, offset, settings);
        Err(Vec::new())
    }

    /// A version by its content hash.
    pub fn by_hash(&self, hash: &DefinitionHash) -> Option<&Arc<Definition>> {
        let _ = hash;
        None
    }

    /// Where a version first stands in the topic of definitions.
    pub fn offset_of(&self, hash: &DefinitionHash) -> Option<i64> {
        let _ = hash;
        None
    }

    /// A version's running number, from 1: the first of its content in the log.
    pub fn number_of(&self, hash: &DefinitionHash) -> Option<u32> {
        let _ = hash;
        None
    }

    /// The version that new sagas of this name get: the last in the log.
    pub fn newest(&self, name: &str) -> Option<&Arc<Definition>> {
        let _ = name;
        None
    }

    /// The newest versions that start on this event, in order of their names.
    pub fn starting_on(&self, topic: &str, event: &str) -> &[Arc<Definition>] {
        let _ = (topic, event);
        &[]
    }

    /// The one event type that definitions start on in this topic; none if there are several or none.
    pub fn default_type(&self, topic: &str) -> Option<&str> {
        let _ = topic;
        None
    }

    /// The next offset of the topic of definitions to read.
    pub fn loaded_to(&self) -> i64 {
        self.loaded_to
    }

    /// Topics that newest versions start on, in order.
    pub fn start_topics(&self) -> Vec<Arc<str>> {
        Vec::new()
    }

    /// Topics that any version emits to, in order.
    pub fn emit_topics(&self) -> Vec<Arc<str>> {
        Vec::new()
    }

    /// Participants that any version uses, in order.
    pub fn participants(&self) -> Vec<Arc<str>> {
        Vec::new()
    }
}
