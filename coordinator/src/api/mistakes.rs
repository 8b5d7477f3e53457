//! What is wrong with files that somebody sends, each with its place; and other reasons why nothing becomes of them.

use ringmaster_core::definition::CompileError;
use ringmaster_schemas::avro::SchemaError;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::broker::NotPublished;
use super::problem::{Problem, Refusal};
use crate::runtime::{DeployError, KnowledgeError, SetupError};

/// So many are told of one request: what is behind them is rarely worth reading.
const TOLD_MAX: usize = 1_000;

/// Something that is wrong with a file, or odd in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileMistake {
    /// The file, as it was called.
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
}

impl FileMistake {
    pub(super) fn of(error: &CompileError) -> FileMistake {
        let CompileError { file, line, column, length, message, hint, .. } = error.clone();
        FileMistake { file, line, column, length, message, hint }
    }

    /// A schema is wrong as a whole: where in it, the message says.
    fn of_schema(error: &SchemaError) -> FileMistake {
        let SchemaError { place, why } = error.clone();
        FileMistake { file: place, line: 1, column: 1, length: 1, message: why, hint: String::new() }
    }
}

/// They have these errors, and nothing was done.
pub(super) fn definition_errors(mut errors: Vec<FileMistake>) -> Refusal {
    let count = errors.len();
    errors.truncate(TOLD_MAX);
    let first = errors.first().map(|first| format!("{}:{}:{}: {}", first.file, first.line, first.column, first.message));
    let more = if count > 1 { format!(" (and {} more)", count - 1) } else { String::new() };
    let detail = first.unwrap_or_else(|| "they cannot be used".to_owned()) + &more;
    Problem::DefinitionErrors.because(detail).with("errors", json!(errors))
}

pub(super) fn of_knowledge(error: KnowledgeError) -> Refusal {
    match error {
        KnowledgeError::Definitions(errors) => definition_errors(errors.iter().map(FileMistake::of).collect()),
        KnowledgeError::Schemas(errors) => definition_errors(errors.iter().map(FileMistake::of_schema).collect()),
        KnowledgeError::Bus(error) => Problem::NotNow.because(format!("the broker does not answer: {error}")),
        error @ (KnowledgeError::File { .. } | KnowledgeError::Record { .. }) => Problem::Failed.because(error.to_string()),
    }
}

pub(super) fn of_not_published(error: NotPublished) -> Refusal {
    let rejected = |reason: &str, detail: String| Problem::Rejected.because(detail).with("reason", json!(reason));
    match error {
        NotPublished::Deploy(DeployError::Knowledge(error)) => of_knowledge(error),
        NotPublished::Deploy(DeployError::Topics(SetupError::Bus(error))) => of_knowledge(error.into()),
        NotPublished::Deploy(DeployError::Topics(error)) => rejected("TOPICS", error.to_string()),
        NotPublished::Rivals(why) => rejected("OTHER_PREFIX", why),
    }
}
