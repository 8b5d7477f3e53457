//! `wait`: an event of others. And `cancel`: the event that cancels a saga.

use super::super::duration::{Unit, parse_duration};
use super::super::fields::{Fields, Word, is_topic, is_type, word};
use super::super::keys::CANCEL;
use super::super::report::Report;
use super::{Length, MatchForm, expression};
use crate::definition::expression::Parsed;
use crate::definition::yaml::Node;

pub(in crate::definition::compile) struct WaitForm {
    pub(in crate::definition::compile) listens: ListenForm,
    /// Only an event for which this is true.
    pub(in crate::definition::compile) condition: Option<Parsed>,
    pub(in crate::definition::compile) keep: Option<Length>,
}

/// What is listened to, as it is written.
pub(in crate::definition::compile) struct ListenForm {
    pub(in crate::definition::compile) event: Word,
    /// None: the start's.
    pub(in crate::definition::compile) topic: Option<Word>,
    pub(in crate::definition::compile) key: Option<Parsed>,
    /// By a value instead of a key.
    pub(in crate::definition::compile) matches: Option<Box<MatchForm>>,
}

impl WaitForm {
    /// `condition` is the step's `if`, which is the event's here.
    pub(super) fn read(fields: &Fields<'_>, condition: Option<Parsed>, report: &mut Report<'_>) -> WaitForm {
        let listens = ListenForm::read(fields, "wait", "wait: the type of the event, for example CardChanged", report);
        let keep = fields.duration("keep", report);
        if let Some(condition) = condition.as_ref().filter(|condition| !condition.is_unreadable() && !condition.names("event")) {
            let hint =
                "it is asked when an event has come; to wait only sometimes, put the wait into a group with an if: steps: [ ... ]";
            report.error(&condition.span, "the if of a wait is about the event", hint);
        }
        WaitForm { listens, condition, keep }
    }
}

impl ListenForm {
    pub(super) fn cancel(node: &Node, report: &mut Report<'_>) -> Option<ListenForm> {
        let fields = Fields::of(node, &CANCEL, &[], report)?;
        Some(ListenForm::read(&fields, "on", "on: the type of the event that cancels a saga", report))
    }

    /// What of it cannot be read, which is told, hides nothing of what its expressions say.
    pub(super) fn read(fields: &Fields<'_>, key: &str, hint: &str, report: &mut Report<'_>) -> ListenForm {
        let event = fields.needed(key, hint, report);
        let event = event.and_then(|node| {
            let hint = match node.scalar() {
                Some(text) if parse_duration(text, Unit::Millis).is_ok() => "a time passes by sleep: 1h",
                Some(_) => "the name of its record, for example OrderPlaced",
                None => "the name of its record, for example OrderPlaced; its topic and its key stand beside it: from, key",
            };
            word(node, "an event's type", is_type, hint, report)
        });
        let topic = fields.node("from").map(|node| {
            let topic = word(node, "a topic", is_topic, "letters, digits, . _ -", report);
            topic.unwrap_or_else(|| Word::unreadable(&node.span))
        });
        let key = expression(fields.node("key"), report);
        let matches = fields.node("match").map(|node| Box::new(MatchForm::read(node, report)));
        if let (Some(key), Some(matches)) = (fields.node("key"), &matches) {
            let hint = "a key says for which saga the event is; match finds that by a value: keep one of them";
            report.error(&matches.span, format!("this has a key already, on line {}", report.line(key.span.start)), hint);
        }
        ListenForm { event: event.unwrap_or_else(|| Word::unreadable(fields.span)), topic, key, matches }
    }
}
