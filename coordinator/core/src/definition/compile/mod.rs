//! From text to checked definitions: all errors of a file, each with its place and a hint.

use std::collections::BTreeMap;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::Encoding;
use ringmaster_schemas::registry::Schemas;

use super::Definition;

/// What definitions are compiled against.
pub struct Settings<'a> {
    /// All schemas that are known.
    pub schemas: &'a mut Schemas,
    /// By name of participant; one that is not here has the defaults.
    pub participants: BTreeMap<String, Participant>,
    /// By name of topic; one that is not here has the defaults.
    pub topics: BTreeMap<String, Topic>,
    /// What is allowed and probably not meant.
    pub warnings: Vec<CompileError>,
}

/// What a definition must know of a participant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participant {
    /// How it wants bodies. Default: Avro.
    pub encoding: Encoding,
    /// How long it remembers idempotency keys. Default: 30 days.
    pub remembers_ms: Millis,
}

/// How events are emitted to a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Plain (default), or with CloudEvents headers.
    pub mode: Mode,
    /// Default: Avro where the event has a schema, else JSON.
    pub encoding: Option<Encoding>,
}

/// Whether emitted events have headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// No headers.
    Plain,
    /// CloudEvents 1.0, binary mode.
    CloudEvents,
}

/// An error (or warning) in a definition file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CompileError {
    /// The file as it was named.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// How many characters are meant.
    pub length: usize,
    /// What is wrong.
    pub message: String,
    /// What to do; may be empty.
    pub hint: String,
    /// The line itself.
    pub source: String,
}

/// Checks and compiles a file, which may hold several documents. All errors are returned, in order of place.
pub fn compile(file: &str, text: &str, settings: &mut Settings<'_>) -> Result<Vec<Definition>, Vec<CompileError>> {
    let _ = (file, text, settings);
    Err(Vec::new())
}
