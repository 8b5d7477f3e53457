//! `do`: a command to a participant, how it is tried again, and how it is undone.

use std::ops::Range;

use ringmaster_schemas::Millis;

use super::super::fields::{Fields, Word, is_code, is_command, word};
use super::super::keys::{RETRY, UNDO, VERBS};
use super::super::report::Report;
use super::Length;
use crate::definition::Retry;
use crate::definition::defaults::DEFAULTS;
use crate::definition::expression::Form;
use crate::definition::yaml::{Kind, Node};

pub(in crate::definition::compile) struct DoForm {
    pub(in crate::definition::compile) command: Word,
    pub(in crate::definition::compile) with: Form,
    pub(in crate::definition::compile) undo: Option<UndoForm>,
    pub(in crate::definition::compile) timeout_ms: Millis,
    pub(in crate::definition::compile) retry: Retry,
    pub(in crate::definition::compile) pivot: bool,
}

pub(in crate::definition::compile) struct UndoForm {
    pub(in crate::definition::compile) span: Range<usize>,
    /// None: nothing.
    pub(in crate::definition::compile) command: Option<Word>,
    pub(in crate::definition::compile) with: Option<Form>,
}

impl DoForm {
    pub(super) fn read(fields: &Fields<'_>, within: Option<&Length>, report: &mut Report<'_>) -> Option<DoForm> {
        let others: Vec<&str> = VERBS.iter().map(|(verb, _)| *verb).filter(|verb| *verb != "do").collect();
        let hint = format!("do: participant.Command, or another verb: {}", others.join(", "));
        let command = fields.needed("do", &hint, report);
        let command =
            command.and_then(|node| word(node, "a command", is_command, "participant.Command, for example payment.Charge", report));
        let with = body(fields, report);
        let undo = match fields.node("undo") {
            None => Some(None),
            Some(node) => UndoForm::read(node, report).map(Some),
        };
        let timeout = fields.duration("timeout", report);
        let retry = read_retry(fields.node("retry"), report);
        let pivot = match fields.node("pivot").map(|node| (node.scalar(), node)) {
            None | Some((Some("false"), _)) => false,
            Some((Some("true"), _)) => true,
            Some((_, node)) => {
                report.error(&node.span, "pivot is true or false", "pivot: true");
                false
            }
        };
        if let (Some((timeout, span)), Some((within, _))) = (&timeout, within)
            && timeout > within
        {
            report.warning(span, "one attempt may take longer than the whole step", "a timeout is shorter than within");
        }
        Some(DoForm {
            command: command?,
            with: with?,
            undo: undo?,
            timeout_ms: timeout.map_or(DEFAULTS.timeout_ms, |(millis, _)| millis),
            retry: retry?,
            pivot,
        })
    }
}

/// `with`, or a body of nothing but defaults.
pub(super) fn body(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<Form> {
    match fields.node("with") {
        None => {
            // Errors about what is missing stand at the step's name.
            let at = fields.entries().first().map_or(fields.span, |(_, value)| &value.span);
            Some(Form::Record(Vec::new(), at.clone()))
        }
        Some(node) if node.is_empty() => {
            report.error(&node.span, "'with' is empty", "its fields stand below it, further to the right; without any, remove it");
            None
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
                let hint = "undo: participant.Command, or { do: ..., with: ... }; where nothing is to be undone, undo: nothing";
                let command = word(node, "a command", is_command, hint, report)?;
                Some(UndoForm { span, command: Some(command), with: None })
            }
            None => {
                let fields = Fields::of(node, &UNDO, &[], report)?;
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
    let fields = Fields::of(node, &RETRY, &[], report)?;
    if let Some(node) = fields.node("attempts") {
        match node
            .scalar()
            .and_then(|text| text.parse::<u32>().ok())
            .filter(|attempts| (1..=u32::from(u16::MAX)).contains(attempts))
        {
            Some(attempts) => retry.attempts = Some(attempts),
            None => report.error(&node.span, "attempts is a number from 1 to 65535", "remove it for as many as within allows"),
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
