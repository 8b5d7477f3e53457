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
    /// None: nothing, or what cannot be read.
    pub(in crate::definition::compile) command: Option<Word>,
    pub(in crate::definition::compile) with: Option<Form>,
}

impl DoForm {
    pub(super) fn read(fields: &Fields<'_>, within: Option<&Length>, report: &mut Report<'_>) -> Option<DoForm> {
        let others: Vec<&str> = VERBS.iter().map(|(verb, _)| *verb).filter(|verb| *verb != "do").collect();
        let hint = format!("do: participant.Command, or another verb: {}", others.join(", "));
        const COMMAND: &str = "participant.Command, for example payment.Charge";
        let command = fields.needed("do", &hint, report);
        let command = command
            .map(|node| word(node, "a command", is_command, COMMAND, report).unwrap_or_else(|| Word::unreadable(&node.span)));
        let with = match fields.node("do").and_then(|node| node.named("with")) {
            // That it stands in the do is told there.
            Some(inside) if fields.node("with").is_none() => Form::new(inside, report),
            _ => body(fields, report),
        };
        let undo = fields.node("undo").map(|node| UndoForm::read(node, report));
        let timeout = fields.duration("timeout", report);
        let retry = read_retry(fields.node("retry"), report);
        let pivot = match fields.node("pivot").map(|node| (node.scalar(), node)) {
            None | Some((Some("false"), _)) => false,
            Some((Some("true"), _)) => true,
            Some((_, node)) => {
                report.error(&node.span, "pivot is true or false", "pivot: true");
                // Either would be told as a mistake of its own: an undo on the pivot, or none before it.
                fields.node("undo").is_none()
            }
        };
        if let (Some((timeout, span)), Some((within, _))) = (&timeout, within)
            && timeout > within
        {
            report.warning(span, "one attempt may take longer than the whole step", "a timeout is shorter than within");
        }
        Some(DoForm {
            command: command?,
            with,
            undo,
            timeout_ms: timeout.map_or(DEFAULTS.timeout_ms, |(millis, _)| millis),
            retry,
            pivot,
        })
    }
}

/// `with`, or a body of nothing but defaults.
pub(super) fn body(fields: &Fields<'_>, report: &mut Report<'_>) -> Form {
    match fields.node("with") {
        None => {
            // Errors about what is missing stand at the step's name.
            let at = fields.entries().first().map_or(fields.span, |(_, value)| &value.span);
            Form::Record(Vec::new(), at.clone())
        }
        Some(node) if node.is_empty() => {
            report.error(&node.span, "'with' is empty", "its fields stand below it, further to the right; without any, remove it");
            Form::unreadable(node.span.clone())
        }
        Some(node) => Form::new(node, report),
    }
}

impl UndoForm {
    pub(super) fn read(node: &Node, report: &mut Report<'_>) -> UndoForm {
        let span = node.span.clone();
        match node.scalar() {
            Some("nothing") => UndoForm { span, command: None, with: None },
            Some(_) => {
                let hint = "undo: participant.Command, or { do: ..., with: ... }; where nothing is to be undone, undo: nothing";
                UndoForm { span, command: word(node, "a command", is_command, hint, report), with: None }
            }
            None => {
                let Some(fields) = Fields::of(node, &UNDO, &[], report) else {
                    return UndoForm { span, command: None, with: None };
                };
                let command = fields.needed("do", "undo: { do: participant.Command, with: ... }", report);
                let command = command.and_then(|node| {
                    word(node, "a command", is_command, "participant.Command, for example payment.Refund", report)
                });
                let with = fields.node("with").map(|node| Form::new(node, report));
                UndoForm { span, command, with }
            }
        }
    }
}

fn read_retry(node: Option<&Node>, report: &mut Report<'_>) -> Retry {
    let mut retry = DEFAULTS.retry();
    let Some(node) = node else { return retry };
    let Some(fields) = Fields::of(node, &RETRY, &[], report) else { return retry };
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
            None => {
                report.error(&node.span, "factor is a number from 1 to 100", "factor: 2, for example, doubles the wait each time")
            }
        }
    }
    if let Some((millis, span)) = fields.duration("max", report) {
        retry.max_ms = millis;
        if millis < retry.first_ms {
            report.warning(&span, "the longest wait is shorter than the first", "raise max, or lower first");
        }
    } else {
        retry.max_ms = retry.max_ms.max(retry.first_ms);
    }
    if let Some(node) = fields.node("not_on") {
        let Kind::List(codes) = &node.kind else {
            report.error(&node.span, format!("not_on is a list of codes, not {}", node.describe()), "not_on: [ CODE ]");
            return retry;
        };
        for code in codes {
            let code = word(code, "a failure's code", is_code, "capital letters, digits and _", report);
            retry.not_on.extend(code.map(|code| code.text.into()));
        }
    }
    retry
}
