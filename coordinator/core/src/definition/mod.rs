//! Saga definitions: YAML with CEL in, checked and typed definitions out (LANGUAGE.md).
//!
//! ```text
//! text -> yaml (spanned tree) -> compile (form, tree of nodes) with expression (typed, bounded) -> Definition
//! ```

use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::avro::Schema;
use ringmaster_schemas::journal::{DefinitionHash, Encoding, Phase};

pub mod catalog;
pub mod compile;
pub mod defaults;
pub mod expression;
mod node;
pub mod yaml;

pub use catalog::{Catalog, DefinitionRecord, defined_twice};
pub use compile::{CompileError, Mode, Participant, RecordError, Settings, Topic, compile};
pub use defaults::{DEFAULTS, Defaults};
pub use expression::{Budget, Environment, Expression, ExpressionError, SiteId, Template};
pub use node::{Node, NodeByName, ROOT, Role, Verb};

/// One version of a saga definition, checked and ready to run.
#[derive(Debug)]
pub struct Definition {
    /// Its name, the first part of its sagas' ids.
    pub name: Arc<str>,
    /// Its content hash: over its text and the keys of the schemas it was compiled against.
    pub hash: DefinitionHash,
    /// What starts a saga of it.
    pub start: Start,
    /// How long a saga may take before it is undone; none for ever.
    pub deadline_ms: Option<Millis>,
    /// How long the row of a finished saga stays: as long, a repeated start is recognised.
    pub retain_ms: Millis,
    /// The nodes in preorder, the root first: all that belongs to a node is the range from itself to its `end`.
    pub nodes: Vec<Node>,
    /// The nodes by their names.
    pub names: NodeByName,
    /// Whether there is a step that cannot be undone.
    pub has_pivot: bool,
    /// The steps, in order: what the nodes do that ask participants.
    pub steps: Vec<Step>,
    /// Events for others when everything is done.
    pub on_completed: Vec<Emit>,
    /// Events for others when everything is undone.
    pub on_compensated: Vec<Emit>,
}

/// What starts a saga.
#[derive(Debug)]
pub struct Start {
    /// The event's type.
    pub event: Arc<str>,
    /// The topic it comes on.
    pub topic: Arc<str>,
    /// The saga's key; none: the record's key.
    pub key: Option<Expression>,
    /// Only if this is true.
    pub condition: Option<Expression>,
    /// The event's schema as this version knows it (`ringmaster.Json` where there is none).
    pub reader: Arc<Schema>,
    /// The part of it that expressions of this version can read: what state keeps, and what `start` and `event` evaluate on.
    pub kept: Arc<Schema>,
}

/// One step: a command to a participant.
#[derive(Debug)]
pub struct Step {
    /// Its name, unique in the definition.
    pub name: Arc<str>,
    /// Where it stands to the pivot.
    pub phase: Phase,
    /// Only if this is true; else it is skipped.
    pub condition: Option<Expression>,
    /// What is asked.
    pub call: Call,
    /// How it is undone.
    pub undo: Undo,
    /// One attempt's time.
    pub timeout_ms: Millis,
    /// The whole step's time, retries included.
    pub within_ms: Millis,
    /// How it is tried again.
    pub retry: Retry,
    /// The part of its result that expressions can read; none if none is read.
    pub kept: Option<Arc<Schema>>,
    /// The result's schema as this version knows it, if there is one.
    pub result: Option<Arc<Schema>>,
}

/// A command to a participant.
#[derive(Debug)]
pub struct Call {
    /// For example `payment.Charge`; what stands before the last dot is the participant.
    pub command: Arc<str>,
    /// How its participant wants bodies.
    pub encoding: Encoding,
    /// Fingerprint of the envelope's schema, for the single-object header; 0 for JSON.
    pub envelope: i64,
    /// Its body; none: the step's own command's body, byte for byte (an undo's default).
    pub body: Option<Template>,
}

/// How a step is undone.
#[derive(Debug)]
pub enum Undo {
    /// It says that there is nothing to undo.
    Nothing,
    /// By this command.
    Command {
        /// The compensation.
        call: Call,
        /// One attempt's time.
        timeout_ms: Millis,
        /// The whole compensation's time; behind it the step is stuck.
        within_ms: Millis,
        /// How it is tried again.
        retry: Retry,
    },
    /// On the pivot and behind it nothing is ever undone.
    Never,
}

/// How often and when something is tried again.
#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    /// At most so many attempts; none: as many as the time allows.
    pub attempts: Option<u32>,
    /// Wait before the second attempt.
    pub first_ms: Millis,
    /// Each further wait is so many times longer.
    pub factor: f64,
    /// But never longer than this.
    pub max_ms: Millis,
    /// Failure codes that are not tried again.
    pub not_on: Vec<Arc<str>>,
}

/// A domain event for others.
#[derive(Debug)]
pub struct Emit {
    /// Its type.
    pub event: Arc<str>,
    /// Where to.
    pub topic: Arc<str>,
    /// The record's key; none: the saga's key.
    pub key: Option<Expression>,
    /// Its body.
    pub body: Template,
    /// How.
    pub encoding: Encoding,
    /// Fingerprint for the single-object header; 0 for JSON.
    pub fingerprint: i64,
    /// With CloudEvents headers (binary mode), or plain.
    pub headers: bool,
}
