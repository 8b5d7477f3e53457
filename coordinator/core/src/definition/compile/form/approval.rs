//! `approval`: somebody is asked, and answers yes or no.

use std::ops::Range;

use ringmaster_schemas::Millis;

use super::super::fields::{Fields, Word, is_role, word};
use super::super::keys::{ANSWER, ESCALATION, ROLE};
use super::super::report::Report;
use super::{Length, ListenForm, expression};
use crate::definition::expression::{Form, Parsed};
use crate::definition::yaml::{Kind, Node};

/// Escalations of one approval: the row names all who may answer.
pub(in crate::definition::compile) const ESCALATIONS_MAX: usize = 10;

const ROLE_FORM: &str = "letters, digits, . _ -, a letter first; or computed: { role: EXPRESSION }";

pub(in crate::definition::compile) struct ApprovalForm {
    pub(in crate::definition::compile) role: RoleForm,
    pub(in crate::definition::compile) show: Option<Form>,
    pub(in crate::definition::compile) escalations: Vec<EscalationForm>,
    pub(in crate::definition::compile) answer: Option<Box<AnswerForm>>,
}

/// An event that answers, as it is written.
pub(in crate::definition::compile) struct AnswerForm {
    pub(in crate::definition::compile) listens: ListenForm,
    pub(in crate::definition::compile) condition: Option<Parsed>,
    pub(in crate::definition::compile) approved: Parsed,
    pub(in crate::definition::compile) keep: Option<Length>,
}

/// Who may answer, as it is written.
pub(in crate::definition::compile) enum RoleForm {
    Fixed(Word),
    Computed(Parsed),
}

pub(in crate::definition::compile) struct EscalationForm {
    pub(in crate::definition::compile) after_ms: Millis,
    pub(in crate::definition::compile) span: Range<usize>,
    pub(in crate::definition::compile) to: Word,
}

impl ApprovalForm {
    pub(super) fn read(fields: &Fields<'_>, report: &mut Report<'_>) -> ApprovalForm {
        let role = fields.needed("approval", "approval: ROLE, for example manager", report);
        let role = role.and_then(|node| RoleForm::read(node, report));
        let show = match fields.node("show") {
            None => None,
            Some(node) if node.is_empty() => {
                report.error(
                    &node.span,
                    "'show' is empty",
                    "its fields stand below it, further to the right; without any, remove it",
                );
                None
            }
            Some(node) => Some(Form::new(node, report)),
        };
        let escalations = escalations(fields.node("escalate"), report);
        let answer = fields.node("answer").and_then(|node| AnswerForm::read(node, report)).map(Box::new);
        let role = role.unwrap_or_else(|| RoleForm::Fixed(Word::unreadable(fields.span)));
        ApprovalForm { role, show, escalations, answer }
    }
}

impl AnswerForm {
    fn read(node: &Node, report: &mut Report<'_>) -> Option<AnswerForm> {
        const FORM: &str = "answer: { on: EVENT, from: TOPIC, key: event.FIELD, approved: event.FIELD }";
        let fields = Fields::of(node, &ANSWER, &[], report)?;
        let listens = ListenForm::read(&fields, "on", FORM, report);
        let condition = expression(fields.node("if"), report);
        let approved = fields.needed("approved", FORM, report).map(|node| Parsed::new(node, report));
        let keep = fields.duration("keep", report);
        let about = [("if", condition.as_ref()), ("approved", approved.as_ref())];
        for (key, parsed) in about {
            if let Some(parsed) = parsed.filter(|parsed| !parsed.is_unreadable() && !parsed.names("event")) {
                let hint = "the event's fields stand behind it: event.approved";
                report.error(&parsed.span, format!("'{key}' of an answer is about the event"), hint);
            }
        }
        let approved = approved.unwrap_or_else(|| Parsed::unreadable(node.span.clone(), ""));
        Some(AnswerForm { listens, condition, approved, keep })
    }
}

impl RoleForm {
    fn read(node: &Node, report: &mut Report<'_>) -> Option<RoleForm> {
        if !matches!(&node.kind, Kind::Map(_)) {
            let role = word(node, "a role", is_role, ROLE_FORM, report);
            return Some(RoleForm::Fixed(role.unwrap_or_else(|| Word::unreadable(&node.span))));
        }
        let fields = Fields::of(node, &ROLE, &[], report)?;
        let role = fields.needed("role", "approval: { role: EXPRESSION }", report);
        Some(RoleForm::Computed(role.map_or_else(|| Parsed::unreadable(node.span.clone(), ""), |role| Parsed::new(role, report))))
    }
}

/// Those that can be read.
fn escalations(node: Option<&Node>, report: &mut Report<'_>) -> Vec<EscalationForm> {
    const FORM: &str = "escalate: [ { after: 4h, to: ROLE } ]";
    let Some(node) = node else { return Vec::new() };
    let Kind::List(items) = &node.kind else {
        report.error(&node.span, format!("escalate is a list, not {}", node.describe()), FORM);
        return Vec::new();
    };
    if items.is_empty() || items.len() > ESCALATIONS_MAX {
        report.error(&node.span, format!("escalate has 1 to {ESCALATIONS_MAX} entries, not {}", items.len()), FORM);
        return Vec::new();
    }
    let mut last = 0;
    let read = |item: &Node| {
        let fields = Fields::of(item, &ESCALATION, &[], report)?;
        let after = fields.needed("after", FORM, report).and_then(|_| fields.duration("after", report));
        let to = fields.needed("to", FORM, report).and_then(|node| word(node, "a role", is_role, ROLE_FORM, report));
        let (after_ms, span) = after?;
        if after_ms <= last {
            report.error(&span, "each escalation comes later than the one before it", "after counts from when it was asked");
        }
        last = after_ms;
        Some(EscalationForm { after_ms, span, to: to? })
    };
    items.iter().filter_map(read).collect()
}
