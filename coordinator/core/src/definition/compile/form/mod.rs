//! What may stand where: YAML becomes the form of a saga, with its expressions parsed and nothing looked up yet.
//!
//! A verb is a file: its keys, its form, how it is read.

pub(super) mod approval;
mod do_;
mod emit;
pub(super) mod for_each;
mod group;
mod matching;
pub(super) mod node;
pub(super) mod parallel;
pub(super) mod react;
mod refuse;
pub(super) mod rules;
mod sleep;
mod wait;

use std::ops::Range;

use ringmaster_schemas::Millis;

use super::fields::{Fields, Word, is_name, is_saga_name, is_topic, is_type, word};
use super::keys::{SAGA, START};
use super::report::Report;
use crate::definition::defaults::DEFAULTS;
use crate::definition::expression::Parsed;
use crate::definition::expression::scope::{RESERVED, Rule};
use crate::definition::yaml::{Kind, Node};
pub(super) use approval::{AnswerForm, ApprovalForm, EscalationForm, RoleForm};
pub(super) use do_::{DoForm, UndoForm};
pub(super) use emit::EmitForm;
pub(super) use for_each::ForEachForm;
pub(super) use group::SwitchForm;
pub(super) use matching::MatchForm;
pub(super) use node::{NodeForm, VerbForm};
pub(super) use react::OnForm;
pub(crate) use react::ROUNDS_MAX;
pub(super) use refuse::RefuseForm;
pub(super) use sleep::SleepForm;
pub(super) use wait::{ListenForm, WaitForm};

const SAGA_LATER: [&str; 3] = ["input", "search", "result"];

/// A duration and where it stands.
pub(super) type Length = (Millis, Range<usize>);

/// A definition as it is written.
pub(super) struct SagaForm {
    pub(super) name: Word,
    pub(super) start: StartForm,
    pub(super) cancel: Option<ListenForm>,
    pub(super) deadline: Option<Length>,
    pub(super) priority: Option<Parsed>,
    pub(super) retain_ms: Millis,
    pub(super) rules: Vec<Rule>,
    pub(super) steps: Vec<NodeForm>,
    pub(super) on_completed: Vec<EmitForm>,
    pub(super) on_compensated: Vec<EmitForm>,
    pub(super) on_stuck: Vec<EmitForm>,
}

pub(super) struct StartForm {
    pub(super) event: Word,
    pub(super) topic: Word,
    pub(super) key: Option<Parsed>,
    pub(super) condition: Option<Parsed>,
}

impl SagaForm {
    /// Reads a document. `None` if anything is wrong that leaves a hole; what is wrong is reported in any case.
    pub(super) fn read(root: &Node, report: &mut Report<'_>) -> Option<SagaForm> {
        let fields = Fields::of(root, &SAGA, &SAGA_LATER, report)?;
        let name = fields.needed("saga", "saga: NAME", report);
        let name = name.and_then(|node| {
            word(node, "a saga's name", is_saga_name, "small letters, digits, - and _, at most 64, a letter first", report)
        });
        let start = fields.needed("start", "start: { on: EVENT, from: TOPIC, key: event.FIELD }", report);
        let start = start.and_then(|node| StartForm::read(node, report));
        let cancel = match fields.node("cancel") {
            None => Some(None),
            Some(node) => ListenForm::cancel(node, report).map(Some),
        };
        let deadline = fields.duration("deadline", report);
        let priority = expression(fields.node("priority"), report);
        let retain_ms = fields.duration("retain", report).map_or(DEFAULTS.retain_ms, |(millis, _)| millis);
        let rules = match fields.node("rules") {
            None => Some(Vec::new()),
            Some(node) => rules::read(node, report),
        };
        let steps = fields.needed("steps", "steps: a list of steps", report).and_then(|list| node::read_all(list, report));
        let on_completed = emit::read(fields.node("on_completed"), "on_completed", report);
        let on_compensated = emit::read(fields.node("on_compensated"), "on_compensated", report);
        let on_stuck = emit::read(fields.node("on_stuck"), "on_stuck", report);
        Some(SagaForm {
            name: name?,
            start: start?,
            cancel: cancel?,
            deadline,
            priority: priority?,
            retain_ms,
            rules: rules?,
            steps: steps?,
            on_completed: on_completed?,
            on_compensated: on_compensated?,
            on_stuck: on_stuck?,
        })
    }
}

impl StartForm {
    fn read(node: &Node, report: &mut Report<'_>) -> Option<StartForm> {
        if let Kind::List(_) = node.kind {
            report.error(&node.span, "this version knows one start only", "start: { on: EVENT, from: TOPIC, key: event.FIELD }");
            return None;
        }
        let fields = Fields::of(node, &START, &[], report)?;
        let event = fields.needed("on", "on: the type of the event that starts a saga", report);
        let event = event
            .and_then(|node| word(node, "an event's type", is_type, "the name of its record, for example OrderPlaced", report));
        let topic = fields.needed("from", "from: the topic that the event comes on", report);
        let topic = topic.and_then(|node| word(node, "a topic", is_topic, "letters, digits, . _ -", report));
        let key = expression(fields.node("key"), report);
        let condition = expression(fields.node("if"), report);
        Some(StartForm { event: event?, topic: topic?, key: key?, condition: condition? })
    }
}

/// `Some(None)` where there is none, `None` where it is wrong.
fn expression(node: Option<&Node>, report: &mut Report<'_>) -> Option<Option<Parsed>> {
    match node {
        None => Some(None),
        Some(node) => Parsed::new(node, report).map(Some),
    }
}

/// A name that a definition gives.
fn name_of(node: &Node, what: &str, report: &mut Report<'_>) -> Option<Word> {
    let form = "small letters, digits and _, at most 64, a letter first";
    let form = match node.scalar().map(as_name) {
        Some(near) if is_name(&near) => format!("{form}: '{near}'"),
        _ => form.to_owned(),
    };
    let name = word(node, what, is_name, &form, report)?;
    if RESERVED.contains(&name.text.as_str()) {
        report.error(&name.span, format!("'{}' is reserved", name.text), format!("reserved are: {}", RESERVED.join(", ")));
        return None;
    }
    Some(name)
}

/// A name as this language writes it: `ChargeCard` and `charge-card` as `charge_card`.
fn as_name(text: &str) -> String {
    let mut name = String::new();
    for letter in text.chars() {
        match letter {
            '-' | ' ' | '.' => name.push('_'),
            _ if letter.is_ascii_uppercase() => {
                if !name.is_empty() && !name.ends_with('_') {
                    name.push('_');
                }
                name.push(letter.to_ascii_lowercase());
            }
            _ => name.push(letter),
        }
    }
    name
}
