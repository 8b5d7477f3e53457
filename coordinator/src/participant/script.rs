//! The script as it is written: rules for commands, read with all errors, each with its place.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringmaster_core::definition::compile::{CompileError, Fields, Report, did_you_mean};
use ringmaster_core::definition::expression::{condition_over, record_over};
use ringmaster_core::definition::yaml::{self, Kind, Node};
use ringmaster_core::definition::{Catalog, Expression, Template};
use ringmaster_schemas::Millis;
use ringmaster_schemas::avro::Schema;
use ringmaster_schemas::json;
use ringmaster_schemas::names::participant_of;
use ringmaster_schemas::registry::Schemas;

use super::placeholder::placeholder;
use crate::scenarios::{check_refusal, commands};

const FORM: &str = "participants: [ NAME, ... ], commands: { COMMAND: [ RULE, ... ] }";
const RULE: [&str; 10] = ["if", "share", "attempts", "delay", "refused", "failed", "message", "retryable", "silent", "result"];
const OUTCOMES: [&str; 4] = ["refused", "failed", "silent", "result"];

/// What scripted participants answer.
#[derive(Debug)]
pub struct Script {
    participants: Vec<String>,
    commands: BTreeMap<Arc<str>, Command>,
    schemas: Schemas,
}

/// A command that is answered.
#[derive(Debug)]
pub(super) struct Command {
    /// Its body.
    pub(super) body: Arc<Schema>,
    /// Its result; dynamic where there is no schema.
    pub(super) result: Arc<Schema>,
    /// Of the envelope of its replies; 0 where there is no schema: then all is JSON.
    pub(super) reply: u64,
    pub(super) rules: Vec<Rule>,
    /// The result that nobody has written, as Avro; none if none is needed.
    pub(super) placeholder: Option<Vec<u8>>,
}

/// One rule: all that it asks for must be so.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) condition: Option<Expression>,
    /// Only for this share of idempotency keys.
    pub(super) share: Option<f64>,
    /// Only up to this attempt.
    pub(super) attempts: Option<i32>,
    pub(super) delay_ms: Millis,
    pub(super) says: Says,
}

/// What a rule answers.
#[derive(Debug)]
pub(super) enum Says {
    Succeeded(Option<Template>),
    Refused { code: String, message: Option<String> },
    Failed { code: String, message: Option<String>, retryable: bool },
    Silent,
}

impl Script {
    /// Reads a script. What definitions ask of its participants is answered too, where no rule is.
    pub fn read(file: &str, text: &str, catalog: &Catalog, schemas: Schemas) -> Result<Script, Vec<CompileError>> {
        let mut report = Report::new(file, text, 1);
        let mut script = Script { participants: Vec::new(), commands: BTreeMap::new(), schemas };
        match yaml::load(text) {
            Err(errors) => errors.into_iter().for_each(|error| report.error(&error.span, error.message, error.hint)),
            Ok(documents) => match &documents[..] {
                [document] => script.document(&document.root, catalog, &mut report),
                _ => report.error(&(0..0), "a script is one document", FORM),
            },
        }
        let (errors, _) = report.finish();
        if errors.is_empty() { Ok(script) } else { Err(errors) }
    }

    /// The participants that it answers for, in order of their names.
    pub fn participants(&self) -> &[String] {
        &self.participants
    }

    pub(super) fn schemas(&self) -> &Schemas {
        &self.schemas
    }

    pub(super) fn command(&self, name: &str) -> Option<&Command> {
        self.commands.get(name)
    }

    fn document(&mut self, root: &Node, catalog: &Catalog, report: &mut Report<'_>) {
        let Some(fields) = Fields::new(root, "a script", &["participants", "commands"], &[], report) else { return };
        let asked = asked(catalog);
        if let Some(node) = fields.node("participants") {
            self.named(node, &asked, report);
        }
        match fields.node("commands").map(|node| (node, &node.kind)) {
            None => {}
            Some((_, Kind::Map(entries))) => {
                for (key, rules) in entries {
                    self.add(key, rules, &asked, report);
                }
            }
            Some((node, _)) => report.error(&node.span, format!("commands is a map, not {}", node.describe()), FORM),
        }
        if self.participants.is_empty() && report.error_count() == 0 {
            report.error(&root.span, "it answers for nobody", FORM);
        }
        let without: Vec<Arc<str>> = asked
            .into_iter()
            .filter(|command| self.participants.iter().any(|name| name == participant_of(command)))
            .filter(|command| !self.commands.contains_key(command))
            .collect();
        for name in without {
            if let Some(command) = self.prepared(&name, &root.span, report) {
                self.commands.insert(name, command);
            }
        }
        self.participants.sort();
        self.participants.dedup();
    }

    fn named(&mut self, node: &Node, asked: &[Arc<str>], report: &mut Report<'_>) {
        let Kind::List(items) = &node.kind else {
            return report.error(&node.span, format!("participants is a list, not {}", node.describe()), "[ payment, shipping ]");
        };
        for item in items {
            let Some(name) = item.scalar().filter(|name| !name.is_empty()) else {
                report.error(&item.span, format!("a participant's name is needed here, not {}", item.describe()), "");
                continue;
            };
            // Without definitions any name is as good.
            if !asked.is_empty() && asked.iter().all(|command| participant_of(command) != name) {
                let known: Vec<&str> = asked.iter().map(|command| participant_of(command)).collect();
                report.error(&item.span, format!("no definition asks a participant '{name}'"), did_you_mean(name, known));
                continue;
            }
            self.participants.push(name.to_owned());
        }
    }

    /// A command and its rules.
    fn add(&mut self, key: &Node, rules: &Node, asked: &[Arc<str>], report: &mut Report<'_>) {
        let name: Arc<str> = key.scalar().unwrap_or_default().into();
        let is_known = asked.contains(&name) || self.schemas.named(&name).is_some() || (asked.is_empty() && name.contains('.'));
        if !is_known {
            let hint = did_you_mean(&name, asked.iter().map(|command| &**command));
            return report.error(&key.span, format!("no definition asks '{name}', and there is no schema of it"), hint);
        }
        let items = match &rules.kind {
            Kind::List(items) => items.as_slice(),
            Kind::Map(_) => std::slice::from_ref(rules),
            Kind::Scalar(..) => {
                let message = format!("rules of {name} are needed here, not {}", rules.describe());
                return report.error(&rules.span, message, "- { if: body.amount > 5000, refused: CODE }");
            }
        };
        let Some(mut command) = self.prepared(&name, &key.span, report) else { return };
        for item in items {
            let read = Reading { name: &name, command: &command, schemas: &self.schemas, report }.rule(item);
            command.rules.extend(read);
        }
        self.participants.push(participant_of(&name).to_owned());
        self.commands.insert(name, command);
    }

    /// A command without rules, by its schemas.
    fn prepared(&mut self, name: &str, at: &std::ops::Range<usize>, report: &mut Report<'_>) -> Option<Command> {
        let json = self.schemas.json().clone();
        let result = self.schemas.named(&format!("{name}Result")).cloned();
        let body = self.schemas.named(name).cloned();
        let reply = match &body {
            None => Ok(0),
            Some(_) => self
                .schemas
                .command_envelope(name)
                .and_then(|_| self.schemas.reply_envelope(name))
                .map(|envelope| envelope.fingerprint()),
        };
        let placeholder = result.as_ref().map(|schema| {
            let mut avro = Vec::new();
            json::transcode(schema, placeholder(schema).as_bytes(), &mut avro).map(|()| avro)
        });
        match (reply, placeholder.transpose()) {
            (Ok(reply), Ok(placeholder)) => {
                let (body, result) = (body.unwrap_or_else(|| json.clone()), result.unwrap_or(json));
                Some(Command { body, result, reply, rules: Vec::new(), placeholder })
            }
            (Err(error), _) => {
                report.error(at, error.to_string(), "it stands in the folder of schemas");
                None
            }
            (_, Err(error)) => {
                report.error(at, format!("{name}Result has no value that can be guessed: {error}"), "give its rules a result");
                None
            }
        }
    }
}

/// All commands that definitions ask, undos included.
fn asked(catalog: &Catalog) -> Vec<Arc<str>> {
    let definitions = catalog.versions().into_iter().map(|(definition, _)| definition);
    let mut all: Vec<Arc<str>> = definitions.flat_map(|definition| commands(definition)).cloned().collect();
    all.sort();
    all.dedup();
    all
}

/// Reading the rules of one command.
struct Reading<'c, 'r, 't> {
    name: &'c str,
    command: &'c Command,
    schemas: &'c Schemas,
    report: &'r mut Report<'t>,
}

impl Reading<'_, '_, '_> {
    fn rule(&mut self, node: &Node) -> Option<Rule> {
        let errors = self.report.error_count();
        let fields = Fields::new(node, "a rule", &RULE, &[], self.report)?;
        let condition = fields.node("if").map(|node| condition_over(&self.command.body, node, self.report));
        let share = fields.node("share").and_then(|node| {
            self.number(node, "share is a number from 0 to 1", |text| text.parse().ok().filter(|share| (0.0..=1.0).contains(share)))
        });
        let attempts = fields.node("attempts").and_then(|node| {
            self.number(node, "attempts is a whole number from 1", |text| text.parse().ok().filter(|attempts| *attempts > 0))
        });
        let delay_ms = fields.duration("delay", self.report).map_or(0, |(delay, _)| delay);
        let says = self.says(&fields);
        (self.report.error_count() == errors).then_some(())?;
        Some(Rule { condition: condition.flatten(), share, attempts, delay_ms, says: says? })
    }

    fn number<T>(&mut self, node: &Node, what: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        let number = node.scalar().and_then(read);
        if number.is_none() {
            self.report.error(&node.span, what, "");
        }
        number
    }

    fn says(&mut self, fields: &Fields<'_>) -> Option<Says> {
        let given: Vec<&Node> = OUTCOMES.iter().filter_map(|name| fields.node(name)).collect();
        if let [_, second, ..] = given[..] {
            self.report.error(&second.span, "a rule has one answer", "one of refused, failed, silent, result; none is success");
            return None;
        }
        let told = ["message", "retryable"].into_iter().filter_map(|name| Some((name, fields.node(name)?)));
        for (name, node) in told {
            let goes = fields.node("failed").is_some() || (name == "message" && fields.node("refused").is_some());
            if !goes {
                let with = if name == "message" { "refused or failed" } else { "failed" };
                self.report.error(&node.span, format!("{name} goes with {with}"), "");
            }
        }
        let message = fields.node("message").and_then(|node| self.message(node));
        if let Some(node) = fields.node("refused") {
            let code = self.code(node)?;
            check_refusal(self.schemas, self.name, node, &code, self.report);
            return Some(Says::Refused { code, message });
        }
        if let Some(node) = fields.node("failed") {
            let retryable = fields
                .node("retryable")
                .map_or(Some(true), |node| self.number(node, "retryable is true or false", |text| text.parse().ok()));
            return Some(Says::Failed { code: self.code(node)?, message, retryable: retryable? });
        }
        if let Some(node) = fields.node("silent") {
            if !matches!(node.scalar(), Some("" | "true")) {
                self.report.error(&node.span, "silent has no value", "{ share: 0.1, silent: true }");
            }
            return Some(Says::Silent);
        }
        match fields.node("result") {
            None => Some(Says::Succeeded(None)),
            Some(node) => {
                record_over(&self.command.body, &self.command.result, node, self.report).map(|it| Says::Succeeded(Some(it)))
            }
        }
    }

    fn message(&mut self, node: &Node) -> Option<String> {
        let message = node.scalar().map(str::trim).filter(|message| !message.is_empty());
        if message.is_none() {
            self.report.error(&node.span, format!("a message is needed here, not {}", node.describe()), "");
        }
        message.map(str::to_owned)
    }

    fn code(&mut self, node: &Node) -> Option<String> {
        let code = node.scalar().filter(|code| !code.is_empty());
        if code.is_none() {
            self.report.error(&node.span, "a code is needed here", "for example OUT_OF_STOCK");
        }
        code.map(str::to_owned)
    }
}
