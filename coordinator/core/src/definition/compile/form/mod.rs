//! What may stand where: YAML becomes the form of a saga, with its expressions parsed and nothing looked up yet.
//!
//! What is wrong here hides nothing of what is wrong elsewhere: an expression, a step or a start that cannot be read is told, and then stands
//! for anything.
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
pub(super) mod run;
pub(super) mod search;
mod sleep;
mod wait;
mod within;

use std::ops::Range;

use ringmaster_schemas::Millis;

use super::fields::{Fields, Word, is_name, is_saga_name, is_topic, is_type, word};
use super::keys::{SAGA, START};
use super::report::Report;
use crate::definition::defaults::DEFAULTS;
use crate::definition::expression::scope::Rule;
use crate::definition::expression::{Form, Parsed};
use crate::definition::yaml::{Kind, Node};
pub(super) use approval::{AnswerForm, ApprovalForm, EscalationForm, RoleForm};
pub(super) use do_::{DoForm, UndoForm};
pub(super) use emit::EmitForm;
pub(super) use for_each::ForEachForm;
pub(super) use group::SwitchForm;
pub(super) use matching::MatchForm;
pub(super) use node::{NodeForm, UnreadableForm, VerbForm};
pub(super) use react::OnForm;
pub(crate) use react::ROUNDS_MAX;
pub(super) use refuse::RefuseForm;
pub(super) use run::{FieldForm, InputForm, InputKind, RunForm, TypeForm};
pub(super) use search::SearchForm;
pub(super) use sleep::SleepForm;
pub(super) use wait::{ListenForm, WaitForm};

/// What a start looks like.
const STARTS: &str = "start: { on: EVENT, from: TOPIC, key: event.FIELD }";

/// A duration and where it stands.
pub(super) type Length = (Millis, Range<usize>);

/// A definition as it is written.
pub(super) struct SagaForm {
    pub(super) name: Word,
    /// In the order of the file.
    pub(super) starts: Vec<StartForm>,
    /// False where what starts it, or its input, cannot be read.
    pub(super) start_is_known: bool,
    /// The topic of what says none, where that of the start cannot be read.
    unknown_topic: Word,
    pub(super) cancel: Option<ListenForm>,
    pub(super) deadline: Option<Length>,
    pub(super) priority: Option<Parsed>,
    pub(super) search: Vec<SearchForm>,
    pub(super) retain_ms: Millis,
    pub(super) rules: Vec<Rule>,
    pub(super) steps: Vec<NodeForm>,
    /// What it begins with, where no event starts it.
    pub(super) input: Option<InputForm>,
    /// What the saga that runs it can read.
    pub(super) result: Option<Form>,
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
    /// Reads a document; what is wrong is reported. `None` if it is no definition, or beyond a limit.
    pub(super) fn read(root: &Node, report: &mut Report<'_>) -> Option<SagaForm> {
        if let Some(scenario) = root.named("scenario").filter(|_| root.named("steps").is_none()) {
            let hint = "move it into the folder `scenarios` beside the definitions: `ringmaster test` plays it";
            report.error(&scenario.span, "this is a scenario, not a definition", hint);
            return None;
        }
        let fields = Fields::of(root, &SAGA, &[], report)?;
        let name = fields.needed("saga", "saga: NAME", report);
        let name = name.and_then(|node| {
            word(node, "a saga's name", is_saga_name, "small letters, digits, - and _, at most 64, a letter first", report)
        });
        let name = name.unwrap_or_else(|| Word { text: "unnamed".to_owned(), span: root.span.clone() });
        let (starts, is_known) = StartForm::of(&fields, report);
        let cancel = fields.node("cancel").and_then(|node| ListenForm::cancel(node, report));
        let deadline = fields.duration("deadline", report);
        let priority = expression(fields.node("priority"), report);
        let search = SearchForm::read_all(fields.node("search"), report);
        let retain_ms = fields.duration("retain", report).map_or(DEFAULTS.retain_ms, |(millis, _)| millis);
        let rules = match fields.node("rules") {
            None => Some(Vec::new()),
            Some(node) => rules::read(node, report),
        };
        // Those that are indented too far stand in the start, which is told there.
        let inside = || fields.node("start").and_then(|start| start.named("steps"));
        let steps = match fields.node("steps").or_else(inside) {
            Some(list) => Some(list),
            None => fields.needed("steps", "steps: a list of steps", report),
        };
        let steps = match steps {
            None => Some(Vec::new()),
            Some(list) => node::read_all(list, report),
        };
        let input = fields.node("input").map(|node| InputForm::read(node, report));
        let result = match fields.node("result") {
            None => None,
            Some(node) if node.is_empty() || matches!(&node.kind, Kind::Map(fields) if fields.is_empty()) => {
                report.error(
                    &node.span,
                    "'result' is empty",
                    "result: EXPRESSION, or fields below it; without it, it gives nothing",
                );
                None
            }
            Some(node) => Some(Form::new(node, report)),
        };
        let on_completed = emit::read(fields.node("on_completed"), "on_completed", report);
        let on_compensated = emit::read(fields.node("on_compensated"), "on_compensated", report);
        let on_stuck = emit::read(fields.node("on_stuck"), "on_stuck", report);
        let is_input_known = !matches!(&input, Some(InputForm { kind: InputKind::Unreadable, .. }));
        let (start_is_known, unknown_topic) = (is_known && is_input_known, Word::unreadable(&root.span));
        let (rules, steps) = (rules?, steps?);
        Some(SagaForm {
            name,
            starts,
            start_is_known,
            unknown_topic,
            cancel,
            deadline,
            priority,
            search,
            retain_ms,
            rules,
            steps,
            input,
            result,
            on_completed,
            on_compensated,
            on_stuck,
        })
    }

    /// A topic of which nobody knows what it is called, which is told.
    pub(super) fn unknown_topic(&self) -> &Word {
        &self.unknown_topic
    }

    /// The topic that all its starts are on: what it listens to comes there, unless it says another one.
    pub(super) fn topic(&self) -> Option<&Word> {
        if !self.start_is_known || self.starts.iter().any(|start| start.topic.text.is_empty()) {
            return Some(&self.unknown_topic);
        }
        let (first, others) = self.starts.split_first()?;
        others.iter().all(|other| other.topic.text == first.topic.text).then_some(&first.topic)
    }
}

impl StartForm {
    /// What starts a definition, and whether all of it can be read.
    fn of(fields: &Fields<'_>, report: &mut Report<'_>) -> (Vec<StartForm>, bool) {
        match (fields.node("start"), fields.node("input")) {
            (Some(start), Some(_)) => {
                let hint = "what an event starts has its fields; what others run has input";
                report.error(&start.span, "a saga has start or input, not both", hint);
                (StartForm::read_all(start, report).0, false)
            }
            (None, Some(_)) => (Vec::new(), true),
            (None, None) if fields.means("input") => (Vec::new(), false),
            (_, None) => match fields.needed("start", STARTS, report) {
                Some(node) => StartForm::read_all(node, report),
                None => (Vec::new(), false),
            },
        }
    }

    /// One, or a list of them; and whether all of them can be read.
    fn read_all(node: &Node, report: &mut Report<'_>) -> (Vec<StartForm>, bool) {
        let items = if let Kind::List(items) = &node.kind { &items[..] } else { std::slice::from_ref(node) };
        if items.is_empty() {
            report.error(&node.span, "start is one event or several, not none", STARTS);
        }
        let starts: Vec<StartForm> = items.iter().filter_map(|item| StartForm::read(item, report)).collect();
        for (at, one) in starts.iter().enumerate() {
            let is_read = |word: &Word| !word.text.is_empty();
            let is_same = |other: &&StartForm| {
                (&other.event.text, &other.topic.text) == (&one.event.text, &one.topic.text)
                    && is_read(&one.event)
                    && is_read(&one.topic)
            };
            if let Some(first) = starts[..at].iter().find(is_same) {
                let message = format!("{} on {} starts the saga already", one.event.text, one.topic.text);
                let hint = format!(
                    "on line {}: each start is another event, or the same on another topic",
                    report.line(first.event.span.start)
                );
                report.error(&one.event.span, message, hint);
            }
        }
        let is_known = !items.is_empty() && starts.len() == items.len() && starts.iter().all(|one| !one.event.text.is_empty());
        (starts, is_known)
    }

    fn read(node: &Node, report: &mut Report<'_>) -> Option<StartForm> {
        if !matches!(&node.kind, Kind::Map(_)) {
            report.error(&node.span, format!("start is a map, not {}", node.describe()), STARTS);
            // The name alone says which event is meant.
            let event = node.scalar().filter(|text| is_type(text))?;
            let event = Word { text: event.to_owned(), span: node.span.clone() };
            return Some(StartForm { event, topic: Word::unreadable(&node.span), key: None, condition: None });
        }
        let fields = Fields::of(node, &START, &[], report)?;
        let event = fields.needed("on", "on: the type of the event that starts a saga", report);
        let event = event
            .and_then(|node| word(node, "an event's type", is_type, "the name of its record, for example OrderPlaced", report));
        let topic = fields.needed("from", "from: the topic that the event comes on", report);
        let topic = topic.and_then(|node| word(node, "a topic", is_topic, "letters, digits, . _ -", report));
        let key = expression(fields.node("key"), report);
        let condition = expression(fields.node("if"), report);
        let unreadable = || Word::unreadable(&node.span);
        let (event, topic) = (event.unwrap_or_else(unreadable), topic.unwrap_or_else(unreadable));
        Some(StartForm { event, topic, key, condition })
    }
}

fn expression(node: Option<&Node>, report: &mut Report<'_>) -> Option<Parsed> {
    node.map(|node| Parsed::new(node, report))
}

/// A name that a definition gives.
fn name_of(node: &Node, what: &str, reserved: &[&str], report: &mut Report<'_>) -> Option<Word> {
    let form = "small letters, digits and _, at most 64, a letter first";
    let form = match node.scalar().map(as_name) {
        Some(near) if is_name(&near) => format!("{form}: '{near}'"),
        _ => form.to_owned(),
    };
    let name = word(node, what, is_name, &form, report)?;
    if reserved.contains(&name.text.as_str()) {
        report.error(&name.span, format!("'{}' is reserved", name.text), format!("reserved are: {}", reserved.join(", ")));
        return None;
    }
    Some(name)
}

/// A name as this language writes it: `ChargeCard` and `charge-card` as `charge_card`.
pub(crate) fn as_name(text: &str) -> String {
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
