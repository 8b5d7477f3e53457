//! A span: something of a saga that took its time, or was waited for.

use std::sync::Arc;

use ringmaster_core::saga::{SpanId, TraceId};
use ringmaster_schemas::Millis;

/// What a span is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// That a saga began: told at once, and takes no time.
    Started,
    /// A saga, an item or a sub-saga, from its beginning to its end.
    Saga,
    /// A step, from when it was reached until it is known how it ended.
    Step,
    /// One attempt of a step or of its undo, until its answer or its timeout.
    Attempt,
    /// The undo of a step.
    Undo,
    /// A time in which nobody is asked.
    Wait,
}

impl Kind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Started => "started",
            Kind::Saga => "saga",
            Kind::Step => "step",
            Kind::Attempt => "attempt",
            Kind::Undo => "undo",
            Kind::Wait => "wait",
        }
    }
}

/// What is said of a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// A text.
    Text(Arc<str>),
    /// A number.
    Number(i64),
}

/// A span that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Its trace.
    pub trace: TraceId,
    /// Its own number: the same whenever it is derived.
    pub id: SpanId,
    /// The span around it; none where its trace begins with it.
    pub parent: Option<SpanId>,
    /// The step that an undo undoes.
    pub of: Option<SpanId>,
    /// For people.
    pub name: String,
    /// What it is of.
    pub kind: Kind,
    /// From when, by the journal.
    pub from: Millis,
    /// To when, by the journal.
    pub to: Millis,
    /// What is said of it: never a body, never what a participant says in words.
    pub said: Vec<(&'static str, Said)>,
    /// The code by which it ended without success.
    pub error: Option<Arc<str>>,
}

impl Span {
    /// The text that is said of it by this name.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.said.iter().find_map(|(known, said)| match said {
            Said::Text(text) if *known == name => Some(&**text),
            _ => None,
        })
    }
}
