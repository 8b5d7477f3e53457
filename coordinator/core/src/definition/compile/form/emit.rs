//! `emit`: an event for others, on the way or at an end (`on_completed`, `on_compensated`), or where it is stuck (`on_stuck`).

use super::super::fields::{Fields, Word, is_topic, is_type, word};
use super::super::keys::{EMISSION, Shape};
use super::super::report::Report;
use super::{do_, expression};
use crate::definition::expression::{Form, Parsed};
use crate::definition::yaml::{Kind, Node};

pub(in crate::definition::compile) struct EmitForm {
    pub(in crate::definition::compile) event: Word,
    pub(in crate::definition::compile) topic: Word,
    pub(in crate::definition::compile) key: Option<Parsed>,
    pub(in crate::definition::compile) with: Form,
}

/// One emission or a list: those that can be read.
pub(super) fn read(node: Option<&Node>, what: &'static str, report: &mut Report<'_>) -> Vec<EmitForm> {
    let Some(node) = node else { return Vec::new() };
    match &node.kind {
        Kind::List(items) => items.iter().filter_map(|item| EmitForm::read(item, what, report)).collect(),
        _ => Vec::from_iter(EmitForm::read(node, what, report)),
    }
}

impl EmitForm {
    fn read(node: &Node, what: &'static str, report: &mut Report<'_>) -> Option<EmitForm> {
        let shape = Shape { what, ..EMISSION };
        Some(EmitForm::of(&Fields::of(node, &shape, &[], report)?, report))
    }

    /// What these fields say to emit.
    pub(super) fn of(fields: &Fields<'_>, report: &mut Report<'_>) -> EmitForm {
        let event = fields.needed("emit", "emit: the type of the event", report);
        let event = event
            .and_then(|node| word(node, "an event's type", is_type, "the name of its record, for example OrderFulfilled", report));
        let topic = fields.needed("to", "to: the topic that it goes to", report);
        let topic = topic.and_then(|node| word(node, "a topic", is_topic, "letters, digits, . _ -", report));
        // What it is, and where it goes to, says nothing of what its expressions read.
        let unreadable = || Word::unreadable(fields.span);
        let (event, topic) = (event.unwrap_or_else(unreadable), topic.unwrap_or_else(unreadable));
        let key = expression(fields.node("key"), report);
        let with = do_::body(fields, report);
        EmitForm { event, topic, key, with }
    }
}
