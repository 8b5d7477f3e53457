//! What a step asks of its participant, and how it is undone and asked again.

use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::Encoding;

use super::expression::Template;

/// A command to a participant, with its undo.
#[derive(Debug)]
pub struct Do {
    /// What is asked.
    pub call: Call,
    /// How it is undone.
    pub undo: Undo,
    /// One attempt's time.
    pub timeout_ms: Millis,
    /// How it is tried again.
    pub retry: Retry,
}

/// A command as it is written.
#[derive(Debug)]
pub struct Call {
    /// For example `payment.Charge`; what stands before the last dot is the participant.
    pub command: Arc<str>,
    /// Who is asked.
    pub participant: Arc<str>,
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
