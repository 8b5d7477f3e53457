//! Schemas of everything that a definition sends and reads, and how it is written.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringmaster_schemas::avro::{Node as Avro, Schema};
use ringmaster_schemas::journal::Encoding;
use ringmaster_schemas::names::{participant_of, reader_of};

use super::fields::Word;
use super::form::{EmitForm, VerbForm};
use super::lookup::Lookup;
use super::report::{Report, suggest};
use super::{Mode, Participant, Topic};
use crate::definition::Call;
use crate::definition::expression::Template;

/// What settings say of participants and topics.
pub(super) struct Options<'a> {
    pub(super) participants: &'a BTreeMap<String, Participant>,
    pub(super) topics: &'a BTreeMap<String, Topic>,
    /// What the names of the coordinator's own topics begin with.
    pub(super) prefix: &'a str,
}

impl Options<'_> {
    pub(super) fn participant(&self, name: &str) -> Participant {
        self.participants.get(name).cloned().unwrap_or_default()
    }

    /// Whether events of a topic have headers.
    pub(super) fn headers(&self, topic: &str) -> bool {
        self.topics.get(topic).map_or(Mode::CloudEvents, |topic| topic.mode) == Mode::CloudEvents
    }
}

/// A command's or event's schema and how it is written.
pub(super) struct Target {
    pub(super) schema: Arc<Schema>,
    pub(super) encoding: Encoding,
    /// For the single-object header; JSON has none.
    pub(super) fingerprint: i64,
}

impl Target {
    pub(super) fn call(self, command: &Word, body: Option<Template>) -> Call {
        let participant = participant_of(&command.text).into();
        Call { command: command.text.as_str().into(), participant, encoding: self.encoding, envelope: self.fingerprint, body }
    }
}

/// Finds schemas; what is missing is reported.
pub(super) struct Finder<'a, 't, 'l> {
    pub(super) options: &'a Options<'a>,
    pub(super) lookup: &'a mut Lookup<'l>,
    pub(super) report: &'a mut Report<'t>,
}

impl Finder<'_, '_, '_> {
    /// The schema of what is written there. `None` where that is wrong or cannot be read, which is told.
    fn named(&mut self, name: &str, at: &Word) -> Option<Option<Arc<Schema>>> {
        if at.text.is_empty() {
            return None;
        }
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

    /// A topic of events: not one of the coordinator's own, and not one on which a participant takes commands.
    pub(super) fn topic(&mut self, topic: &Word) {
        let (name, prefix) = (&topic.text, self.options.prefix);
        if name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.')) {
            let hint = format!("topics that begin with {prefix}. are the coordinator's own: take another name");
            self.report.error(&topic.span, format!("{name} is no topic for events"), hint);
        } else if reader_of(name).is_some_and(|participant| !participant.is_empty()) {
            let hint = "a participant takes its commands there: ask it by a step, or take another name";
            self.report.error(&topic.span, format!("{name} is no topic for events"), hint);
        }
    }

    pub(super) fn event(&mut self, event: &Word) -> Option<Arc<Schema>> {
        match self.named(&event.text, event)? {
            Some(schema) => Some(schema),
            None => {
                let message = format!("{} has no schema: its fields are known only at run time", event.text);
                let hint = self.meant_by(&event.text);
                self.report.missing_schema(&event.span, &event.text, message, hint);
                Some(self.lookup.json())
            }
        }
    }

    pub(super) fn command(&mut self, command: &Word) -> Option<Target> {
        let name = &command.text;
        let participant = participant_of(name);
        let encoding = self.options.participant(participant).encoding;
        match (self.named(name, command)?, encoding) {
            // Also for JSON: the schemas of a version must not change with a setting, since its hash is made of them.
            (Some(schema), _) => match self.lookup.envelope(name) {
                Ok(envelope) => Some(Target { schema, encoding, fingerprint: envelope.fingerprint() as i64 }),
                Err(why) => {
                    self.report.error(&command.span, why, format!("correct the record {name}: its envelope is made of it"));
                    None
                }
            },
            (None, Encoding::Json) => {
                self.report.missing_schema(&command.span, name, format!("{name} has no schema: its body is not checked"), None);
                Some(Target { schema: self.lookup.json(), encoding, fingerprint: 0 })
            }
            (None, Encoding::Avro) => {
                let hint = self.meant_by(name).unwrap_or_else(|| {
                    format!("add the record {name} to the schemas, or set participants.\"{participant}\".encoding to json")
                });
                self.report.error(&command.span, format!("{name} has no schema, and {participant} takes Avro"), hint);
                None
            }
        }
    }

    /// A schema of nearly this name.
    pub(super) fn meant_by(&self, name: &str) -> Option<String> {
        let meant = suggest(name, self.lookup.names())?;
        // What they have in common may be the namespace alone.
        let last = |name: &'_ str| name.rsplit('.').next().unwrap_or_default().to_owned();
        suggest(&last(name), [&*last(meant)])?;
        Some(format!("did you mean '{meant}'?"))
    }

    /// What a step of this verb gives.
    pub(super) fn gives(&mut self, verb: &VerbForm) -> Option<Arc<Schema>> {
        match verb {
            VerbForm::Do(form) => self.result(&form.command),
            VerbForm::Approval(_) => Some(self.lookup.approval()),
            VerbForm::Wait(_) => unreachable!("what it gives is what is listened to"),
            VerbForm::ForEach(_) => unreachable!("what it gives follows from its expressions"),
            VerbForm::Run(_) => unreachable!("what it gives its contract says"),
            VerbForm::Unreadable(_) => unreachable!("what it gives nobody knows"),
            VerbForm::Emit(_) | VerbForm::Refuse(_) | VerbForm::Group(_) => unreachable!("it gives nothing"),
            VerbForm::Switch(_) | VerbForm::Parallel(_) | VerbForm::Sleep(_) => unreachable!("it gives nothing"),
        }
    }

    /// A result without a schema is read as it comes.
    fn result(&mut self, command: &Word) -> Option<Arc<Schema>> {
        let found = self.named(&format!("{}Result", command.text), command)?;
        Some(found.unwrap_or_else(|| self.lookup.json()))
    }

    /// The codes by which a command may be refused, where the schemas say them: the enum `<Command>Refusal`.
    pub(super) fn refusals(&mut self, command: &Word) -> Option<Vec<Arc<str>>> {
        let schema = self.lookup.named(&format!("{}Refusal", command.text)).ok()??;
        match schema.node(schema.root()) {
            Avro::Enum(symbols) => Some(symbols.iter().map(|symbol| (**symbol).into()).collect()),
            _ => None,
        }
    }

    pub(super) fn emission(&mut self, emit: &EmitForm) -> Option<Target> {
        let wanted = self.options.topics.get(&emit.topic.text).and_then(|topic| topic.encoding);
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
                let message = format!("{} has no schema: its body is not checked, and it is JSON", event.text);
                self.report.missing_schema(&event.span, &event.text, message, None);
                Some(Target { schema: self.lookup.json(), encoding: Encoding::Json, fingerprint: 0 })
            }
        }
    }
}
