//! What may stand where: YAML becomes the form of a saga, with its expressions parsed and nothing looked up yet.

use std::ops::Range;

use ringmaster_schemas::Millis;

use super::fields::{Fields, Word, is_code, is_command, is_name, is_saga_name, is_topic, is_type, word};
use super::report::Report;
use crate::definition::Retry;
use crate::definition::defaults::DEFAULTS;
use crate::definition::expression::scope::{RESERVED, Rule, RuleBody};
use crate::definition::expression::{Form, Parsed};
use crate::definition::yaml::{Kind, Node};

/// Steps of one definition: a row holds them all.
const STEPS_MAX: usize = 200;
/// Rules of one definition.
const RULES_MAX: usize = 200;

const SAGA: [&str; 9] = ["saga", "description", "start", "deadline", "retain", "rules", "steps", "on_completed", "on_compensated"];
const SAGA_LATER: [&str; 6] = ["input", "cancel", "priority", "search", "result", "on_stuck"];
const START: [&str; 4] = ["on", "from", "key", "if"];
const STEP: [&str; 10] = ["step", "do", "if", "with", "undo", "timeout", "within", "retry", "pivot", "description"];
const STEP_LATER: [&str; 18] = [
    "emit",
    "wait",
    "sleep",
    "approval",
    "run",
    "for_each",
    "parallel",
    "switch",
    "steps",
    "refuse",
    "on_refused",
    "on_failed",
    "as",
    "match",
    "keep",
    "show",
    "escalate",
    "answer",
];
const UNDO: [&str; 2] = ["do", "with"];
const RETRY: [&str; 5] = ["attempts", "first", "factor", "max", "not_on"];
const EMIT: [&str; 4] = ["emit", "to", "key", "with"];

/// A definition as it is written.
pub(super) struct SagaForm {
    pub(super) name: Word,
    pub(super) start: StartForm,
    pub(super) deadline: Option<(Millis, Range<usize>)>,
    pub(super) retain_ms: Millis,
    pub(super) rules: Vec<Rule>,
    pub(super) steps: Vec<StepForm>,
    pub(super) on_completed: Vec<EmitForm>,
    pub(super) on_compensated: Vec<EmitForm>,
}

pub(super) struct StartForm {
    pub(super) event: Word,
    pub(super) topic: Word,
    pub(super) key: Option<Parsed>,
    pub(super) condition: Option<Parsed>,
}

pub(super) struct StepForm {
    pub(super) name: Word,
    pub(super) condition: Option<Parsed>,
    pub(super) command: Word,
    pub(super) with: Form,
    pub(super) undo: Option<UndoForm>,
    pub(super) timeout_ms: Millis,
    pub(super) within: Option<(Millis, Range<usize>)>,
    pub(super) retry: Retry,
    pub(super) pivot: bool,
}

pub(super) struct UndoForm {
    pub(super) span: Range<usize>,
    /// None: nothing.
    pub(super) command: Option<Word>,
    pub(super) with: Option<Form>,
}

pub(super) struct EmitForm {
    pub(super) event: Word,
    pub(super) topic: Word,
    pub(super) key: Option<Parsed>,
    pub(super) with: Form,
}

impl SagaForm {
    /// Reads a document. `None` if anything is wrong that leaves a hole; what is wrong is reported in any case.
    pub(super) fn read(root: &Node, report: &mut Report<'_>) -> Option<SagaForm> {
        let fields = Fields::new(root, "a definition", &SAGA, &SAGA_LATER, report)?;
        let name = fields.needed("saga", "saga: NAME", report);
        let name = name.and_then(|node| {
            word(node, "a saga's name", is_saga_name, "small letters, digits, - and _, at most 64, a letter first", report)
        });
        let start = fields.needed("start", "start: { on: EVENT, from: TOPIC, key: event.FIELD }", report);
        let start = start.and_then(|node| StartForm::read(node, report));
        let deadline = fields.duration("deadline", report);
        let retain_ms = fields.duration("retain", report).map_or(DEFAULTS.retain_ms, |(millis, _)| millis);
        let rules = match fields.node("rules") {
            None => Some(Vec::new()),
            Some(node) => read_rules(node, report),
        };
        let steps = fields.needed("steps", "steps: a list of steps", report).and_then(|node| read_steps(node, report));
        let on_completed = read_emits(fields.node("on_completed"), "on_completed", report);
        let on_compensated = read_emits(fields.node("on_compensated"), "on_compensated", report);
        Some(SagaForm {
            name: name?,
            start: start?,
            deadline,
            retain_ms,
            rules: rules?,
            steps: steps?,
            on_completed: on_completed?,
            on_compensated: on_compensated?,
        })
    }
}

impl StartForm {
    fn read(node: &Node, report: &mut Report<'_>) -> Option<StartForm> {
        if let Kind::List(_) = node.kind {
            report.error(&node.span, "this version knows one start only", "start: { on: EVENT, from: TOPIC, key: event.FIELD }");
            return None;
        }
        let fields = Fields::new(node, "start", &START, &[], report)?;
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

fn read_rules(node: &Node, report: &mut Report<'_>) -> Option<Vec<Rule>> {
    let Kind::Map(entries) = &node.kind else {
        report.error(&node.span, format!("rules are a map, not {}", node.describe()), "name: expression");
        return None;
    };
    if entries.len() > RULES_MAX {
        report.error(&node.span, format!("more than {RULES_MAX} rules"), "");
        return None;
    }
    let mut rules = Some(Vec::new());
    for (key, value) in entries {
        let name = name_of(key, "a rule's name", report);
        let body = match &value.kind {
            Kind::List(rows) => read_table(rows, &value.span, report),
            _ => Parsed::new(value, report).map(RuleBody::One),
        };
        match (&mut rules, name, body) {
            (Some(rules), Some(name), Some(body)) => rules.push(Rule { name: name.text, body }),
            (rules, _, _) => *rules = None,
        }
    }
    rules
}

/// Rows of `{ if, then }`, the last `{ else }`.
fn read_table(rows: &[Node], span: &Range<usize>, report: &mut Report<'_>) -> Option<RuleBody> {
    let mut table = Some(Vec::new());
    let Some((last, before)) = rows.split_last() else {
        report.error(span, "a table ends with else", "- { else: expression }");
        return None;
    };
    for row in before {
        let read = Fields::new(row, "a row", &["if", "then"], &[], report).and_then(|fields| {
            let condition =
                fields.needed("if", "- { if: condition, then: value }; only the last row is - { else: value }", report)?;
            let then = fields.needed("then", "- { if: condition, then: value }", report)?;
            let (condition, then) = (Parsed::new(condition, report), Parsed::new(then, report));
            Some((condition?, then?))
        });
        match (&mut table, read) {
            (Some(table), Some(read)) => table.push(read),
            (table, _) => *table = None,
        }
    }
    let otherwise = match &last.kind {
        Kind::Map(entries) if entries.len() == 1 && entries[0].0.scalar() == Some("else") => &entries[0].1,
        _ => {
            report.error(&last.span, "a table ends with else", "- { else: value }");
            return None;
        }
    };
    let otherwise = Parsed::new(otherwise, report)?;
    Some(RuleBody::Table(table?, otherwise))
}

fn name_of(node: &Node, what: &str, report: &mut Report<'_>) -> Option<Word> {
    let name = word(node, what, is_name, "small letters, digits and _, at most 64, a letter first", report)?;
    if RESERVED.contains(&name.text.as_str()) {
        report.error(&name.span, format!("'{}' is reserved", name.text), format!("reserved are: {}", RESERVED.join(", ")));
        return None;
    }
    Some(name)
}

fn read_steps(node: &Node, report: &mut Report<'_>) -> Option<Vec<StepForm>> {
    let Kind::List(items) = &node.kind else {
        report.error(&node.span, format!("steps are a list, not {}", node.describe()), "- step: NAME");
        return None;
    };
    if items.is_empty() || items.len() > STEPS_MAX {
        report.error(&node.span, format!("a definition has 1 to {STEPS_MAX} steps, not {}", items.len()), "");
        return None;
    }
    let mut steps = Some(Vec::new());
    let mut names: Vec<(String, usize)> = Vec::new();
    for item in items {
        let step = StepForm::read(item, report);
        if let Some(step) = &step {
            if let Some((_, first)) = names.iter().find(|(name, _)| *name == step.name.text) {
                report.error(
                    &step.name.span,
                    format!("step '{}' is defined twice", step.name.text),
                    format!("it is first on line {first}"),
                );
            }
            names.push((step.name.text.clone(), report.line(step.name.span.start)));
        }
        match (&mut steps, step) {
            (Some(steps), Some(step)) => steps.push(step),
            (steps, _) => *steps = None,
        }
    }
    steps
}

impl StepForm {
    fn read(node: &Node, report: &mut Report<'_>) -> Option<StepForm> {
        let fields = Fields::new(node, "a step", &STEP, &STEP_LATER, report)?;
        let name = fields.needed("step", "step: NAME", report).and_then(|node| name_of(node, "a step's name", report));
        let later = fields.entries().iter().any(|(key, _)| key.scalar().is_some_and(|key| STEP_LATER.contains(&key)));
        let command = match fields.node("do") {
            None if later => None,
            _ => fields.needed("do", "do: participant.Command", report),
        };
        let command =
            command.and_then(|node| word(node, "a command", is_command, "participant.Command, for example payment.Charge", report));
        let condition = expression(fields.node("if"), report);
        let with = body(&fields, report);
        let undo = match fields.node("undo") {
            None => Some(None),
            Some(node) => UndoForm::read(node, report).map(Some),
        };
        let timeout = fields.duration("timeout", report);
        let within = fields.duration("within", report);
        let retry = read_retry(fields.node("retry"), report);
        let pivot = match fields.node("pivot").map(|node| (node.scalar(), node)) {
            None | Some((Some("false"), _)) => false,
            Some((Some("true"), _)) => true,
            Some((_, node)) => {
                report.error(&node.span, "pivot is true or false", "");
                false
            }
        };
        if let (Some((timeout, span)), Some((within, _))) = (&timeout, &within)
            && timeout > within
        {
            report.warning(span, "one attempt may take longer than the whole step", "a timeout is shorter than within");
        }
        Some(StepForm {
            name: name?,
            condition: condition?,
            command: command?,
            with: with?,
            undo: undo?,
            timeout_ms: timeout.map_or(DEFAULTS.timeout_ms, |(millis, _)| millis),
            within,
            retry: retry?,
            pivot,
        })
    }
}

/// `with`, or a body of nothing but defaults.
fn body(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<Form> {
    match fields.node("with") {
        None => {
            // Errors about what is missing stand at the step's name.
            let at = fields.entries().first().map_or(fields.span, |(_, value)| &value.span);
            Some(Form::Record(Vec::new(), at.clone()))
        }
        Some(node) => Form::new(node, report),
    }
}

impl UndoForm {
    fn read(node: &Node, report: &mut Report<'_>) -> Option<UndoForm> {
        let span = node.span.clone();
        match node.scalar() {
            Some("nothing") => Some(UndoForm { span, command: None, with: None }),
            Some(_) => {
                let hint = "participant.Command, or nothing, or { do: ..., with: ... }";
                let command = word(node, "a command", is_command, hint, report)?;
                Some(UndoForm { span, command: Some(command), with: None })
            }
            None => {
                let fields = Fields::new(node, "undo", &UNDO, &[], report)?;
                let command = fields.needed("do", "undo: { do: participant.Command, with: ... }", report);
                let command = command.and_then(|node| {
                    word(node, "a command", is_command, "participant.Command, for example payment.Refund", report)
                });
                let with = match fields.node("with") {
                    None => Some(None),
                    Some(node) => Form::new(node, report).map(Some),
                };
                Some(UndoForm { span, command: Some(command?), with: with? })
            }
        }
    }
}

fn read_retry(node: Option<&Node>, report: &mut Report<'_>) -> Option<Retry> {
    let mut retry = DEFAULTS.retry();
    let Some(node) = node else { return Some(retry) };
    let fields = Fields::new(node, "retry", &RETRY, &[], report)?;
    if let Some(node) = fields.node("attempts") {
        match node.scalar().and_then(|text| text.parse::<u32>().ok()).filter(|attempts| (1..=1_000_000).contains(attempts)) {
            Some(attempts) => retry.attempts = Some(attempts),
            None => report.error(&node.span, "attempts is a number from 1 to 1000000", "remove it for as many as within allows"),
        }
    }
    if let Some((millis, _)) = fields.duration("first", report) {
        retry.first_ms = millis;
    }
    if let Some(node) = fields.node("factor") {
        match node.scalar().and_then(|text| text.parse::<f64>().ok()).filter(|factor| (1.0..=100.0).contains(factor)) {
            Some(factor) => retry.factor = factor,
            None => report.error(&node.span, "factor is a number from 1 to 100", ""),
        }
    }
    if let Some((millis, span)) = fields.duration("max", report) {
        retry.max_ms = millis;
        if millis < retry.first_ms {
            report.warning(&span, "the longest wait is shorter than the first", "");
        }
    } else {
        retry.max_ms = retry.max_ms.max(retry.first_ms);
    }
    if let Some(node) = fields.node("not_on") {
        let Kind::List(codes) = &node.kind else {
            report.error(&node.span, format!("not_on is a list of codes, not {}", node.describe()), "not_on: [ CODE ]");
            return Some(retry);
        };
        for code in codes {
            let code = word(code, "a failure's code", is_code, "capital letters, digits and _", report);
            retry.not_on.extend(code.map(|code| code.text.into()));
        }
    }
    Some(retry)
}

/// One emission or a list.
fn read_emits(node: Option<&Node>, what: &str, report: &mut Report<'_>) -> Option<Vec<EmitForm>> {
    let Some(node) = node else { return Some(Vec::new()) };
    match &node.kind {
        Kind::List(items) => {
            let emits: Vec<Option<EmitForm>> = items.iter().map(|item| EmitForm::read(item, what, report)).collect();
            emits.into_iter().collect()
        }
        _ => Some(vec![EmitForm::read(node, what, report)?]),
    }
}

impl EmitForm {
    fn read(node: &Node, what: &str, report: &mut Report<'_>) -> Option<EmitForm> {
        let fields = Fields::new(node, what, &EMIT, &[], report)?;
        let event = fields.needed("emit", "emit: the type of the event", report);
        let event = event
            .and_then(|node| word(node, "an event's type", is_type, "the name of its record, for example OrderFulfilled", report));
        let topic = fields.needed("to", "to: the topic that it goes to", report);
        let topic = topic.and_then(|node| word(node, "a topic", is_topic, "letters, digits, . _ -", report));
        let key = expression(fields.node("key"), report);
        let with = body(&fields, report);
        Some(EmitForm { event: event?, topic: topic?, key: key?, with: with? })
    }
}
