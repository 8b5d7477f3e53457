//! A saga's spans, made of its events alone: the same events give the same spans, whoever reads them, and whenever.
//!
//! ```text
//! record(offset, at, events) ... -> spans, each with the record behind which it may be told
//! ```
//!
//! What ends is told once its saga has ended: at the first record at or behind its end that leaves an ended row.

mod steps;

use std::sync::Arc;

use ringmaster_core::definition::{Catalog, Definition};
use ringmaster_core::saga::{SpanId, TraceId, Tracing, given, span};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Failure, Head, SagaEvent};
use ringmaster_schemas::names::{below, hex, parse_saga_id};

use self::steps::Step;
use super::span::{Kind, Said, Span};

/// A row's story in the making.
pub struct Story<'a> {
    id: Arc<str>,
    tracing: &'a Tracing,
    catalog: &'a Catalog,
    /// Of a row whose beginning was read.
    begun: Option<Begun<'a>>,
    /// By their places.
    steps: Vec<Option<Step>>,
    /// Since when it is paused by a person.
    paused: Option<Millis>,
    /// How many waits there were.
    waits: u32,
    /// Spans, each with the record behind which it may be told; none while the row has not ended.
    spans: Vec<(Span, Option<i64>)>,
    ended: bool,
    /// It was undone, at some time.
    undone: bool,
}

struct Begun<'a> {
    trace: TraceId,
    definition: Option<&'a Definition>,
    version: String,
    number: Option<u32>,
    parent: Option<SpanId>,
    /// The span of the row, or of what is done in it since it began again.
    row: SpanId,
    since: Millis,
    /// So many times it has begun: an item that has ended may be undone after all.
    round: u8,
    failure: Option<Arc<Failure>>,
}

/// The span of a row, from its so manyeth beginning.
fn row_span(trace: &TraceId, id: &str, round: u8) -> SpanId {
    span(trace, &[id.as_bytes(), b"saga", &[round]])
}

/// The zero-length span by which a saga shows while it runs.
pub fn started(tracing: &Tracing, catalog: &Catalog, (id, head): (&Arc<str>, &Head)) -> Span {
    let mut story = Story::new(id.clone(), tracing, catalog);
    story.begin(head, head.started_at());
    let begun = story.begun.as_ref().expect("it was just begun");
    let (trace, row) = (begun.trace, begun.row);
    let own = span(&trace, &[id.as_bytes(), b"started"]);
    story.made(Kind::Started, (own, Some(row)), (head.started_at(), head.started_at()), "started".to_owned(), None)
}

impl<'a> Story<'a> {
    /// Of the row of this id.
    pub fn new(id: Arc<str>, tracing: &'a Tracing, catalog: &'a Catalog) -> Story<'a> {
        let (steps, spans) = (Vec::new(), Vec::new());
        Story { id, tracing, catalog, begun: None, steps, paused: None, waits: 0, spans, ended: false, undone: false }
    }

    /// Takes the events of the next record that changed the row.
    pub fn record(&mut self, offset: i64, at: Millis, events: &[SagaEvent]) {
        events.iter().for_each(|event| self.event(event, at));
        if self.ended {
            self.spans.iter_mut().for_each(|(_, told)| *told = told.or(Some(offset)));
        }
    }

    /// Whether its beginning was read: without it nothing can be told.
    pub fn has_begun(&self) -> bool {
        self.begun.is_some()
    }

    /// Whether what is told of it is kept, although its saga was not chosen.
    pub fn was_undone(&self) -> bool {
        self.undone
    }

    /// What is to be told behind these records.
    pub fn told(self, is_told: impl Fn(i64) -> bool) -> Vec<Span> {
        self.spans.into_iter().filter(|(_, told)| told.is_some_and(&is_told)).map(|(span, _)| span).collect()
    }

    fn event(&mut self, event: &SagaEvent, at: Millis) {
        match event {
            SagaEvent::Started { head, .. } => self.begin(head, at),
            SagaEvent::CompensationBegan { failure } => self.undo_begins(failure, at),
            SagaEvent::Completed { .. } => self.end("completed", at),
            SagaEvent::Compensated { .. } => self.end("compensated", at),
            SagaEvent::Paused { .. } => self.paused = Some(at),
            SagaEvent::Resumed {} => {
                if let Some(since) = self.paused.take() {
                    self.waited("paused", None, (since, at));
                }
            }
            other => self.step_event(other, at),
        }
    }

    /// An id whose row has expired may start again: what came before it is another story.
    fn begin(&mut self, head: &Head, at: Millis) {
        *self = Story::new(self.id.clone(), self.tracing, self.catalog);
        let (trace, fields) = (self.tracing.trace(&self.id, head), head.fields());
        let definition = self.catalog.by_hash(&fields.version).map(|definition| &**definition);
        self.begun = Some(Begun {
            trace,
            definition,
            version: hex(&fields.version),
            number: self.catalog.number_of(&fields.version),
            parent: self.parent(&trace, head),
            row: row_span(&trace, &self.id, 1),
            since: at,
            round: 1,
            failure: None,
        });
    }

    /// Of a saga, the span that its start event names. What is below a row goes on in the trace of that event too, under the step that
    /// runs it; without one its trace is its own.
    fn parent(&self, trace: &TraceId, head: &Head) -> Option<SpanId> {
        let (_, of_event) = head.traceparent().and_then(given)?;
        let Some(below) = below(&self.id) else { return Some(of_event) };
        Some(steps::step_span(trace, below.above, &steps::named(below.step, below.round)))
    }

    fn undo_begins(&mut self, failure: &Arc<Failure>, at: Millis) {
        self.undone = true;
        let Some(begun) = &mut self.begun else { return };
        begun.failure = Some(failure.clone());
        if std::mem::take(&mut self.ended) {
            begun.round = begun.round.saturating_add(1);
            begun.row = row_span(&begun.trace, &self.id, begun.round);
            begun.since = at;
        }
    }

    fn end(&mut self, outcome: &'static str, at: Millis) {
        for place in 0..self.steps.len() {
            self.leave(place, at);
        }
        if let Some(since) = self.paused.take() {
            self.waited("paused", None, (since, at));
        }
        self.ended = true;
        let Some(begun) = &self.begun else { return };
        let undone = outcome == "compensated";
        let failure = begun.failure.as_ref().filter(|_| undone);
        let error = failure.map(|failure| failure.code.clone()).or_else(|| undone.then(|| "COMPENSATED".into()));
        let (ids, times) = ((begun.row, begun.parent), (begun.since, at));
        let mut span = self.made(Kind::Saga, ids, times, self.title().to_owned(), error);
        span.said.push(("ringmaster.outcome", Said::Text(outcome.into())));
        if let Some(step) = failure.map(|failure| failure.step.clone()).filter(|step| !step.is_empty()) {
            span.said.push(("ringmaster.failed_step", Said::Text(step)));
        }
        self.spans.push((span, None));
    }

    /// The name of its definition, or of the step above that it is run by.
    fn title(&self) -> &str {
        below(&self.id).map_or_else(|| parse_saga_id(&self.id).0, |below| below.step)
    }

    /// A time in which nothing was asked, under a step or under the saga.
    fn waited(&mut self, what: &'static str, step: Option<(SpanId, &str)>, times: (Millis, Millis)) {
        self.waits += 1;
        let Some(begun) = &self.begun else { return };
        let own = span(&begun.trace, &[self.id.as_bytes(), b"wait", &self.waits.to_be_bytes()]);
        let (parent, name) = step.map_or((begun.row, None), |(parent, name)| (parent, Some(name)));
        let title = name.map_or_else(|| what.to_owned(), |name| format!("{name}: {what}"));
        let mut span = self.made(Kind::Wait, (own, Some(parent)), times, title, None);
        span.said.push(("ringmaster.waits", Said::Text(what.into())));
        span.said.extend(name.map(|name| ("ringmaster.step", Said::Text(name.into()))));
        self.spans.push((span, None));
    }

    /// With what is said of all spans of a row.
    fn made(
        &self,
        kind: Kind,
        (id, parent): (SpanId, Option<SpanId>),
        (from, to): (Millis, Millis),
        name: String,
        error: Option<Arc<str>>,
    ) -> Span {
        let begun = self.begun.as_ref().expect("only what has begun is told");
        let text = |text: &str| Said::Text(text.into());
        let definition = begun.definition.map_or(parse_saga_id(&self.id).0, |definition| &definition.name);
        let mut said = vec![
            ("ringmaster.kind", text(kind.as_str())),
            ("ringmaster.saga", Said::Text(self.id.clone())),
            ("ringmaster.definition", text(definition)),
            ("ringmaster.definition.hash", text(&begun.version)),
        ];
        said.extend(begun.number.map(|number| ("ringmaster.definition.version", Said::Number(number.into()))));
        said.extend(below(&self.id).map(|below| ("ringmaster.above", text(below.above))));
        said.extend(error.iter().map(|code| ("ringmaster.code", Said::Text(code.clone()))));
        Span { trace: begun.trace, id, parent, of: None, name, kind, from, to: to.max(from), said, error }
    }
}

#[cfg(test)]
mod tests;
