//! What a scenario names by a key: a command, a step, a step's undo, an event that is emitted, an input that is rejected.

use std::fmt;
use std::sync::Arc;

use ringmaster_core::definition::compile::{Report, did_you_mean};
use ringmaster_core::definition::yaml::Node;
use ringmaster_core::definition::{Definition, Undo, Verb};
use ringmaster_schemas::journal::RejectionReason;
use ringmaster_schemas::names::Direction;

/// Whom an answer is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// Every step that asks this command.
    Command(Arc<str>),
    /// One step, or its undo.
    Step(Arc<str>, Direction),
}

/// What happened, or is to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// A command went to its participant.
    Command(Arc<str>),
    /// An event went out.
    Emitted(Arc<str>),
    /// An approval is asked for, by this step.
    Approval(Arc<str>),
    /// An input was not taken.
    Rejected(Arc<str>),
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Command(command) => f.write_str(command),
            What::Emitted(event) => write!(f, "emit {event}"),
            What::Approval(step) => write!(f, "approval {step}"),
            What::Rejected(reason) => write!(f, "rejected {reason}"),
        }
    }
}

/// The commands of a definition, each once, with their undos.
pub(crate) fn commands(definition: &Definition) -> Vec<&Arc<str>> {
    let mut all = Vec::new();
    for step in definition.steps() {
        all.push(&step.asks.call.command);
        if let Undo::Command { call, .. } = &step.asks.undo {
            all.push(&call.command);
        }
    }
    all.sort();
    all.dedup();
    all
}

/// True if a definition has a step, asks a command, emits an event, or asks for an approval that a scenario names so.
pub(super) fn is_known(key: &str, definition: &Definition) -> bool {
    let emits = |name: &str| definition.emits().any(|emit| *emit.event == *name);
    match key.split_once(' ') {
        Some(("emit", event)) => emits(event.trim()),
        Some(("approval" | "undo", step)) => definition.names.find(step.trim()).is_some(),
        _ => definition.names.find(key).is_some() || commands(definition).iter().any(|command| ***command == *key),
    }
}

impl Asked {
    /// `payment.Charge`, `charge_payment` or `undo charge_payment`.
    pub(super) fn read(key: &Node, definition: &Definition, report: &mut Report<'_>) -> Option<Asked> {
        let text = key.scalar().unwrap_or_default();
        let (step, direction) = match text.strip_prefix("undo ") {
            Some(step) => (step.trim(), Direction::Undo),
            None => (text, Direction::Do),
        };
        if let Some(step) = definition.step_named(step) {
            if direction == Direction::Undo && !matches!(step.asks.undo, Undo::Command { .. }) {
                report.error(&key.span, format!("step '{}' has no undo", step.node.name), "");
                return None;
            }
            return Some(Asked::Step(step.node.name.clone(), direction));
        }
        let commands = commands(definition);
        if let Some(command) = commands.iter().find(|command| ****command == *text) {
            return Some(Asked::Command((*command).clone()));
        }
        let steps: Vec<_> = definition.steps().map(|step| &*step.node.name).collect();
        let (message, hint) = match direction {
            Direction::Undo => (format!("{} has no step '{step}'", definition.name), did_you_mean(step, steps)),
            Direction::Do => {
                let names: Vec<&str> = commands.into_iter().map(|command| &**command).chain(steps).collect();
                (format!("{} asks no '{text}'", definition.name), did_you_mean(text, names))
            }
        };
        report.error(&key.span, message, hint);
        None
    }
}

/// A step that asks for an approval.
pub(super) fn approval(name: &str, at: &Node, definition: &Definition, report: &mut Report<'_>) -> Option<Arc<str>> {
    let asks = definition.nodes.iter().filter(|node| matches!(node.verb, Verb::Approval(_)));
    let names: Vec<&Arc<str>> = asks.map(|node| &node.name).collect();
    let found = names.iter().find(|known| ****known == *name).map(|known| Arc::clone(known));
    if found.is_none() {
        let hint = did_you_mean(name, names.iter().map(|name| &***name));
        report.error(&at.span, format!("{} has no approval '{name}'", definition.name), hint);
    }
    found
}

impl What {
    /// `payment.Charge`, `emit OrderFulfilled`, `approval large_order` or `rejected LATE_REPLY`.
    pub(super) fn read(key: &Node, definition: &Definition, report: &mut Report<'_>) -> Option<What> {
        let text = key.scalar().unwrap_or_default();
        let mut emitted: Vec<&Arc<str>> = definition.emits().map(|emit| &emit.event).collect();
        emitted.sort();
        emitted.dedup();
        let find = |all: &[&Arc<str>], name: &str| all.iter().find(|known| ****known == *name).map(|known| Arc::clone(known));
        let names = |all: &[&Arc<str>]| all.iter().map(|name| name.to_string()).collect::<Vec<_>>();
        if let Some(event) = text.strip_prefix("emit ").map(str::trim) {
            let found = find(&emitted, event);
            if found.is_none() {
                let known = names(&emitted);
                let hint = did_you_mean(event, known.iter().map(String::as_str));
                report.error(&key.span, format!("{} emits no '{event}'", definition.name), hint);
            }
            return found.map(What::Emitted);
        }
        if let Some(step) = text.strip_prefix("approval ").map(str::trim) {
            return approval(step, key, definition, report).map(What::Approval);
        }
        if let Some(reason) = text.strip_prefix("rejected ").map(str::trim) {
            let known: Vec<&str> = RejectionReason::ALL.iter().map(|reason| reason.as_str()).collect();
            if !known.contains(&reason) {
                report.error(&key.span, format!("'{reason}' is no reason of a rejection"), did_you_mean(reason, known));
                return None;
            }
            return Some(What::Rejected(reason.into()));
        }
        let commands = commands(definition);
        let found = find(&commands, text);
        if found.is_none() {
            let (message, hint) = if find(&emitted, text).is_some() {
                (format!("{text} is an event"), format!("write 'emit {text}'"))
            } else if let Some(step) = definition.step_named(text) {
                (format!("{text} is a step"), format!("what happens is told by commands: {}", step.asks.call.command))
            } else {
                let known = names(&commands);
                (format!("{} asks no '{text}'", definition.name), did_you_mean(text, known.iter().map(String::as_str)))
            };
            report.error(&key.span, message, hint);
        }
        found.map(What::Command)
    }
}
