//! What comes to a saga in a scenario, beside its start and the answers to what it asks.

use std::sync::Arc;

use ringmaster_core::definition::Definition;
use ringmaster_core::definition::compile::{Fields, did_you_mean};
use ringmaster_core::definition::yaml::{Kind, Node};
use ringmaster_schemas::Millis;

use super::{Answer, Reading};
use crate::scenarios::asked::{self, Asked};
use crate::scenarios::values;

const INPUTS: [&str; 5] = ["answer", "cancel", "approve", "refuse", "event"];

/// Something that comes by itself.
#[derive(Debug)]
pub(in crate::scenarios) struct Timed {
    /// So long after the start.
    pub(in crate::scenarios) after: Millis,
    pub(in crate::scenarios) input: Input,
}

/// What can come to a saga in a scenario, beside its start and the answers to what it asks.
#[derive(Debug)]
pub(in crate::scenarios) enum Input {
    /// An answer that is late, comes again, or was never asked for.
    Answer(Asked, Answer),
    /// It is cancelled.
    Cancel,
    /// A person answers to an approval, yes or no.
    Approval(Approval),
    /// An event comes that the saga listens to.
    Event(Incoming),
}

/// An event that a saga listens to.
#[derive(Debug)]
pub(in crate::scenarios) struct Incoming {
    /// Whose: the scenario's own, or one that is run.
    pub(in crate::scenarios) definition: Arc<Definition>,
    /// What listens to it: a number of that one's listeners.
    pub(in crate::scenarios) listener: u16,
    /// As JSON.
    pub(in crate::scenarios) text: String,
    pub(in crate::scenarios) line: usize,
}

/// A person's answer to an approval.
#[derive(Debug)]
pub(in crate::scenarios) struct Approval {
    pub(in crate::scenarios) step: Arc<str>,
    pub(in crate::scenarios) yes: bool,
    pub(in crate::scenarios) by: String,
    pub(in crate::scenarios) note: String,
}

impl Reading<'_, '_, '_> {
    pub(super) fn inputs(&mut self, node: &Node, definition: &Arc<Definition>) -> Vec<Timed> {
        let items = match &node.kind {
            Kind::List(items) => items.as_slice(),
            Kind::Map(_) | Kind::Scalar(..) => std::slice::from_ref(node),
        };
        items.iter().filter_map(|item| self.input(item, definition)).collect()
    }

    fn input(&mut self, node: &Node, definition: &Arc<Definition>) -> Option<Timed> {
        const FORM: &str = "at: { after: 15s, answer: { payment.Charge: succeeded } }";
        let all: Vec<&str> = INPUTS.into_iter().chain(["after"]).collect();
        let fields = Fields::new(node, "at", &all, &[], self.report)?;
        fields.needed("after", FORM, self.report)?;
        let (after, _) = fields.duration("after", self.report)?;
        // A key that is not known yet was reported.
        let inputs: Vec<&Node> =
            fields.entries().iter().filter(|(key, _)| key.scalar() != Some("after")).map(|(_, node)| node).collect();
        let [input] = inputs[..] else {
            self.report.error(&node.span, "one thing comes at a time", FORM);
            return None;
        };
        if fields.node("cancel").is_some() {
            if !matches!(&input.kind, Kind::Map(entries) if entries.is_empty()) {
                self.report.error(&input.span, "cancel has nothing in it", "at: { after: 2h, cancel: {} }");
            }
            return Some(Timed { after, input: Input::Cancel });
        }
        for (act, yes) in [("approve", true), ("refuse", false)] {
            if let Some(node) = fields.node(act) {
                let approval = self.approval(node, yes, definition)?;
                return Some(Timed { after, input: Input::Approval(approval) });
            }
        }
        if let Some(node) = fields.node("event") {
            return Some(Timed { after, input: Input::Event(self.event(node, definition)?) });
        }
        let answer = fields.node("answer")?;
        let Kind::Map(entries) = &answer.kind else {
            self.report.error(&input.span, format!("answer is a map, not {}", answer.describe()), FORM);
            return None;
        };
        let [(key, value)] = &entries[..] else {
            self.report.error(&answer.span, "one answer comes at a time", FORM);
            return None;
        };
        let meant = self.known.meant(key.scalar().unwrap_or_default(), definition);
        let definition: &Definition = meant.as_deref().unwrap_or(definition);
        let asked = Asked::read(key, definition, self.report)?;
        let answer = self.answer(value, &asked, definition)?;
        Some(Timed { after, input: Input::Answer(asked, answer) })
    }

    /// Events that came before the start: one or a list.
    pub(super) fn before(&mut self, node: &Node, definition: &Arc<Definition>) -> Vec<Incoming> {
        let items = match &node.kind {
            Kind::List(items) => items.as_slice(),
            Kind::Map(_) | Kind::Scalar(..) => std::slice::from_ref(node),
        };
        items.iter().filter_map(|item| self.event(item, definition)).collect()
    }

    /// `{ CardChanged: { field: value } }`
    fn event(&mut self, node: &Node, definition: &Arc<Definition>) -> Option<Incoming> {
        const FORM: &str = "{ TYPE: { field: value } }";
        let entries = match &node.kind {
            Kind::Map(entries) => &entries[..],
            Kind::List(_) | Kind::Scalar(..) => &[],
        };
        let [(key, fields)] = entries else {
            self.report.error(&node.span, format!("an event is needed here, not {}", node.describe()), FORM);
            return None;
        };
        let kind = key.scalar().unwrap_or_default();
        // What is run listens by values alone: whose it is they say.
        let all: Vec<Arc<Definition>> = std::iter::once(definition.clone()).chain(self.known.below(definition)).collect();
        let position = |one: &&Arc<Definition>| one.listeners.iter().position(|listener| *listener.event == *kind);
        let Some(listening) = all.iter().find(|one| position(one).is_some()) else {
            let known: Vec<&str> = all.iter().flat_map(|one| &one.listeners).map(|listener| &*listener.event).collect();
            let hint = if known.is_empty() { "it has no wait, and no cancel".to_owned() } else { did_you_mean(kind, known) };
            self.report.error(&key.span, format!("{} listens to no '{kind}'", definition.name), hint);
            return None;
        };
        let (definition, listener) = (listening.clone(), position(&listening).expect("it was found by it"));
        let Kind::Map(_) = &fields.kind else {
            self.report.error(&fields.span, format!("fields of {kind} are needed here, not {}", fields.describe()), FORM);
            return None;
        };
        let schema = &definition.listeners[listener].reader;
        values::check_names(fields, schema, schema.root(), self.report);
        let line = self.report.line(key.span.start);
        Some(Incoming { definition, listener: listener as u16, text: values::json(fields), line })
    }

    /// `large_order`, or `{ step: large_order, by: ann, note: looked at it }`.
    fn approval(&mut self, node: &Node, yes: bool, definition: &Definition) -> Option<Approval> {
        let (mut by, mut note) = ("somebody".to_owned(), String::new());
        let step = match &node.kind {
            Kind::Map(_) => {
                let fields = Fields::new(node, "an answer to an approval", &["step", "by", "note"], &[], self.report)?;
                if let Some(node) = fields.node("by") {
                    by = self.text(node, "who answers")?;
                }
                if let Some(node) = fields.node("note") {
                    note = self.text(node, "a note")?;
                }
                fields.needed("step", "approve: { step: NAME, by: WHO, note: TEXT }", self.report)?
            }
            Kind::Scalar(..) | Kind::List(_) => node,
        };
        let name = self.text(step, "an approval's name")?;
        let meant = self.known.meant(&name, definition);
        let step = asked::approval(&name, step, meant.as_deref().unwrap_or(definition), self.report)?;
        Some(Approval { step, yes, by, note })
    }
}
