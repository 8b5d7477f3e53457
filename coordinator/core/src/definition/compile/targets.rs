//! Schemas of everything that a definition sends and reads, and how it is written.

use std::sync::Arc;

use ringmaster_schemas::avro::{Node as Avro, Schema};
use ringmaster_schemas::journal::Encoding;
use ringmaster_schemas::names::participant_of;

use super::build::Builder;
use super::fields::Word;
use super::form::{EmitForm, StepForm, UndoForm};
use crate::definition::Call;
use crate::definition::expression::Template;

/// A command's or event's schema and how it is written.
pub(super) struct Target {
    pub(super) schema: Arc<Schema>,
    pub(super) encoding: Encoding,
    /// For the single-object header; JSON has none.
    pub(super) fingerprint: i64,
}

/// All schemas of a definition.
pub(super) struct Targets {
    pub(super) start: Arc<Schema>,
    pub(super) calls: Vec<Target>,
    pub(super) undos: Vec<Option<Target>>,
    pub(super) results: Vec<Arc<Schema>>,
    pub(super) completed: Vec<Target>,
    pub(super) compensated: Vec<Target>,
}

impl Target {
    pub(super) fn call(self, command: &Word, body: Option<Template>) -> Call {
        Call { command: command.text.as_str().into(), encoding: self.encoding, envelope: self.fingerprint, body }
    }
}

impl Builder<'_, '_, '_, '_> {
    /// All of them; what is missing is reported.
    pub(super) fn targets(&mut self) -> Option<Targets> {
        let form = self.form;
        let start = self.event_schema(&form.start.event);
        let calls: Vec<Option<Target>> = form.steps.iter().map(|step| self.command(&step.command)).collect();
        let undos: Vec<Option<Option<Target>>> = form.steps.iter().map(|step| self.undo_target(step)).collect();
        let results: Vec<Option<Arc<Schema>>> = form.steps.iter().map(|step| self.result(&step.command)).collect();
        let completed: Vec<Option<Target>> = form.on_completed.iter().map(|emit| self.emission(emit)).collect();
        let compensated: Vec<Option<Target>> = form.on_compensated.iter().map(|emit| self.emission(emit)).collect();
        Some(Targets {
            start: start?,
            calls: calls.into_iter().collect::<Option<_>>()?,
            undos: undos.into_iter().collect::<Option<_>>()?,
            results: results.into_iter().collect::<Option<_>>()?,
            completed: completed.into_iter().collect::<Option<_>>()?,
            compensated: compensated.into_iter().collect::<Option<_>>()?,
        })
    }

    fn named(&mut self, name: &str, at: &Word) -> Option<Option<Arc<Schema>>> {
        let found = self.lookup.named(name);
        match found {
            Ok(Some(schema)) if !matches!(schema.node(schema.root()), Avro::Record(_)) => {
                self.report.error(&at.span, format!("{name} is not a record"), "commands, results and events are records");
                None
            }
            Ok(found) => Some(found),
            Err(why) => {
                self.report.error(&at.span, why, "it stands in the topic of schemas");
                None
            }
        }
    }

    fn event_schema(&mut self, event: &Word) -> Option<Arc<Schema>> {
        match self.named(&event.text, event)? {
            Some(schema) => Some(schema),
            None => {
                self.report.warning(
                    &event.span,
                    format!("{} has no schema: its fields are known only at run time", event.text),
                    "add its record to the schemas",
                );
                Some(self.lookup.json())
            }
        }
    }

    fn command(&mut self, command: &Word) -> Option<Target> {
        let name = &command.text;
        let participant = participant_of(name);
        let encoding = self.settings.participant(participant).encoding;
        match (self.named(name, command)?, encoding) {
            // Also for JSON: the schemas of a version must not change with a setting, since its hash is made of them.
            (Some(schema), _) => match self.lookup.envelope(name) {
                Ok(envelope) => Some(Target { schema, encoding, fingerprint: envelope.fingerprint() as i64 }),
                Err(why) => {
                    self.report.error(&command.span, why, "");
                    None
                }
            },
            (None, Encoding::Json) => {
                self.report.warning(
                    &command.span,
                    format!("{name} has no schema: its body is not checked"),
                    "add its record to the schemas",
                );
                Some(Target { schema: self.lookup.json(), encoding, fingerprint: 0 })
            }
            (None, Encoding::Avro) => {
                let hint = format!("add the record {name} to the schemas, or set participants.{participant}.encoding to json");
                self.report.error(&command.span, format!("{name} has no schema, and {participant} takes Avro"), hint);
                None
            }
        }
    }

    fn undo_target(&mut self, step: &StepForm) -> Option<Option<Target>> {
        match &step.undo {
            Some(UndoForm { command: Some(command), .. }) => self.command(command).map(Some),
            _ => Some(None),
        }
    }

    /// A result without a schema is read as it comes.
    fn result(&mut self, command: &Word) -> Option<Arc<Schema>> {
        let found = self.named(&format!("{}Result", command.text), command)?;
        Some(found.unwrap_or_else(|| self.lookup.json()))
    }

    fn emission(&mut self, emit: &EmitForm) -> Option<Target> {
        let wanted = self.settings.topics.get(&emit.topic.text).and_then(|topic| topic.encoding);
        let event = &emit.event;
        match (self.named(&event.text, event)?, wanted) {
            (Some(schema), Some(Encoding::Json)) => Some(Target { schema, encoding: Encoding::Json, fingerprint: 0 }),
            (Some(schema), _) => {
                let fingerprint = schema.fingerprint() as i64;
                Some(Target { schema, encoding: Encoding::Avro, fingerprint })
            }
            (None, Some(Encoding::Avro)) => {
                let hint =
                    format!("add the record {} to the schemas, or set topics.\"{}\".encoding to json", event.text, emit.topic.text);
                self.report.error(&event.span, format!("{} has no schema, and {} takes Avro", event.text, emit.topic.text), hint);
                None
            }
            (None, _) => {
                self.report.warning(
                    &event.span,
                    format!("{} has no schema: its body is not checked, and it is JSON", event.text),
                    "add its record to the schemas",
                );
                Some(Target { schema: self.lookup.json(), encoding: Encoding::Json, fingerprint: 0 })
            }
        }
    }
}
