//! What participants answer in a scenario.

use ringmaster_core::definition::Definition;
use ringmaster_core::definition::compile::{Fields, Report, did_you_mean};
use ringmaster_core::definition::yaml::{Kind, Node, Style};
use ringmaster_schemas::avro::Node as Avro;
use ringmaster_schemas::registry::Schemas;

use super::{Reading, command_of};
use crate::scenarios::asked::Asked;
use crate::scenarios::values;

const FORM: &str = "succeeded, timeout, { refused: CODE }, { failed: CODE }, the fields of its result, or a list of these";

/// Code of a refusal: the undo of this key came before it.
const UNDONE_BEFORE: &str = "UNDONE_BEFORE";

/// The answers of one command or step.
#[derive(Debug)]
pub(in crate::scenarios) struct Answers {
    pub(in crate::scenarios) asked: Asked,
    /// Attempt by attempt; the last one repeats.
    pub(in crate::scenarios) list: Vec<Answer>,
}

/// One answer.
#[derive(Debug, Clone)]
pub(in crate::scenarios) struct Answer {
    pub(in crate::scenarios) says: Says,
    pub(in crate::scenarios) line: usize,
}

/// What it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::scenarios) enum Says {
    /// Done, with this result as JSON.
    Succeeded(Option<String>),
    Refused {
        code: String,
        message: Option<String>,
    },
    Failed {
        code: String,
        message: Option<String>,
        retryable: bool,
    },
    /// Nothing: the attempt runs out.
    Timeout,
}

impl Reading<'_, '_, '_> {
    pub(super) fn answers(&mut self, node: &Node, definition: &Definition) -> Vec<Answers> {
        let Kind::Map(entries) = &node.kind else {
            self.report.error(&node.span, format!("answers is a map, not {}", node.describe()), "answers: { COMMAND: succeeded }");
            return Vec::new();
        };
        let mut all = Vec::new();
        for (key, value) in entries {
            let meant = self.known.meant(key.scalar().unwrap_or_default(), definition);
            let definition = meant.as_deref().unwrap_or(definition);
            let Some(asked) = Asked::read(key, definition, self.report) else { continue };
            let items = match &value.kind {
                Kind::List(items) if items.is_empty() => {
                    self.report.error(&value.span, "an empty list says nothing", FORM);
                    continue;
                }
                Kind::List(items) => items.as_slice(),
                Kind::Scalar(..) | Kind::Map(_) => std::slice::from_ref(value),
            };
            let list: Vec<Answer> = items.iter().filter_map(|item| self.answer(item, &asked, definition)).collect();
            all.push(Answers { asked, list });
        }
        all
    }

    pub(super) fn answer(&mut self, node: &Node, asked: &Asked, definition: &Definition) -> Option<Answer> {
        let command = command_of(asked, definition);
        let says = match &node.kind {
            Kind::Scalar(text, Style::Plain) => match text.as_str() {
                "succeeded" => Says::Succeeded(None),
                "timeout" => Says::Timeout,
                "refused" | "failed" => {
                    self.report.error(&node.span, format!("'{text}' needs a code"), format!("{{ {text}: CODE }}"));
                    return None;
                }
                other => {
                    let hint = did_you_mean(other, ["succeeded", "timeout", "refused", "failed"]);
                    self.report.error(&node.span, format!("'{other}' is no answer"), hint);
                    return None;
                }
            },
            Kind::Map(entries) => match entries.iter().find_map(|(key, _)| key.scalar().filter(|key| is_outcome(key))) {
                Some(outcome) => self.outcome(node, outcome, command)?,
                None => Says::Succeeded(Some(self.result(node, command))),
            },
            Kind::Scalar(..) | Kind::List(_) => {
                self.report.error(&node.span, format!("an answer is needed here, not {}", node.describe()), FORM);
                return None;
            }
        };
        Some(Answer { says, line: self.report.line(node.span.start) })
    }

    /// `{ refused: CODE }`, `{ failed: CODE, retryable: false }`, `{ succeeded: { ... } }`.
    fn outcome(&mut self, node: &Node, outcome: &str, command: &str) -> Option<Says> {
        let keys: &[&str] = match outcome {
            "succeeded" => &["succeeded"],
            "refused" => &["refused", "message"],
            _ => &["failed", "message", "retryable"],
        };
        let fields = Fields::new(node, "an answer", keys, &[], self.report)?;
        let value = fields.node(outcome)?;
        if outcome == "succeeded" && !matches!(value.kind, Kind::Map(_)) {
            self.report.error(
                &value.span,
                format!("a result is a map, not {}", value.describe()),
                "succeeded, or { field: value }",
            );
            return None;
        }
        if outcome == "succeeded" {
            return Some(Says::Succeeded(Some(self.result(value, command))));
        }
        let code = self.text(value, "a code")?;
        let message = fields.node("message").and_then(|node| self.text(node, "a message"));
        if outcome == "refused" {
            check_refusal(self.known.schemas, command, value, &code, self.report);
            return Some(Says::Refused { code, message });
        }
        let retryable = match fields.node("retryable").map(|node| (node, node.scalar())) {
            None | Some((_, Some("true"))) => true,
            Some((_, Some("false"))) => false,
            Some((node, _)) => {
                self.report.error(&node.span, "retryable is true or false", "");
                return None;
            }
        };
        Some(Says::Failed { code, message, retryable })
    }

    fn result(&mut self, node: &Node, command: &str) -> String {
        if let Some(schema) = self.known.schemas.named(&format!("{command}Result")) {
            values::check_names(node, schema, schema.root(), self.report);
        }
        values::json(node)
    }
}

fn is_outcome(key: &str) -> bool {
    ["succeeded", "refused", "failed"].contains(&key)
}

/// The codes of a command's refusals are an enum of its schemas, if there is one; a participant that was asked to undo first has one
/// of its own.
pub(crate) fn check_refusal(schemas: &Schemas, command: &str, node: &Node, code: &str, report: &mut Report<'_>) {
    let Some(schema) = schemas.named(&format!("{command}Refusal")) else { return };
    let Avro::Enum(symbols) = schema.node(schema.root()) else { return };
    if code != UNDONE_BEFORE && symbols.iter().all(|symbol| **symbol != *code) {
        let hint = did_you_mean(code, symbols.iter().map(|symbol| &**symbol));
        report.error(&node.span, format!("{command} is not refused with '{code}'"), hint);
    }
}
