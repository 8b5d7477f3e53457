//! Steps: what was reached, asked, waited for and undone at each place of a row.

use std::sync::Arc;

use ringmaster_core::definition::ROOT;
use ringmaster_core::saga::{SpanId, TraceId, attempt_span, code, span};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Failure, FailureKind, Opens, Order, Place, SagaEvent};
use ringmaster_schemas::names::{Direction, idempotency_key, participant_of};

use super::super::span::{Kind, Said};
use super::Story;

/// What was reached at a place.
#[derive(Debug)]
pub(super) struct Step {
    name: String,
    since: Millis,
    /// What it asks, once it did.
    command: Option<Arc<str>>,
    /// It is known how it ended,
    is_over: bool,
    /// and why not well.
    cause: Option<Arc<Failure>>,
    /// It is a scope in which something failed: what was done in it is undone.
    stops: bool,
    /// Since when it is undone.
    undo: Option<Millis>,
    /// The attempt that is out.
    asked: Option<Asked>,
    /// Why nobody is asked, and since when.
    waits: Option<(&'static str, Millis)>,
}

impl Step {
    fn new(name: String, since: Millis) -> Step {
        Step { name, since, command: None, is_over: false, cause: None, stops: false, undo: None, asked: None, waits: None }
    }
}

#[derive(Debug, Clone, Copy)]
struct Asked {
    direction: Direction,
    attempt: u16,
    since: Millis,
}

/// A step's name as commands have it, with its round where that is not the first.
pub(super) fn named(name: &str, round: u8) -> String {
    if round > 1 { format!("{name}~{round}") } else { name.to_owned() }
}

/// The span of a step of a row.
pub(super) fn step_span(trace: &TraceId, id: &str, name: &str) -> SpanId {
    span(trace, &[id.as_bytes(), b"step", name.as_bytes()])
}

fn undo_span(trace: &TraceId, id: &str, name: &str) -> SpanId {
    span(trace, &[id.as_bytes(), b"undo", name.as_bytes()])
}

/// How something ended, in a word, and by which code if not well.
type Outcome<'f> = (&'static str, Option<&'f Arc<Failure>>);

/// How an attempt ended by a failure.
fn word_of(failure: &Failure) -> &'static str {
    match failure.kind {
        FailureKind::Refused => "refused",
        FailureKind::Failed if *failure.code == *code::TIMEOUT => "timed_out",
        FailureKind::Failed => "failed",
        FailureKind::Expired => "timed_out",
        FailureKind::Deadline | FailureKind::Error | FailureKind::Cancelled => "dropped",
    }
}

impl Story<'_> {
    /// Takes an event of a place; any other tells nothing of a trace.
    pub(super) fn step_event(&mut self, event: &SagaEvent, at: Millis) {
        match event {
            SagaEvent::Entered { place, node, round, opens } => self.entered(*place, (*node, *round), opens, at),
            SagaEvent::CommandIssued { place, order, .. } => self.issued(*place, order, at),
            SagaEvent::UndoIssued { place, order, .. } => {
                self.undo_begins_at(*place, at);
                self.asks(*place, (Direction::Undo, 1), Some(order), at);
            }
            SagaEvent::CommandRepeated { place, direction, attempt, .. } => self.asks(*place, (*direction, *attempt), None, at),
            SagaEvent::Retried { place, direction, attempt, order, .. } => {
                self.asks(*place, (*direction, *attempt), Some(order), at);
            }
            SagaEvent::RetryScheduled { place, failure, .. } => self.put_off(*place, Some(failure), "retry", at),
            SagaEvent::Withheld { place, failure } => self.put_off(*place, failure.as_ref(), "paused", at),
            SagaEvent::Parked { place, direction, failure, .. } => {
                if *direction == Direction::Undo {
                    self.undo_begins_at(*place, at);
                }
                self.put_off(*place, failure.as_ref(), "parked", at);
            }
            SagaEvent::Stuck { place, failure } => self.stuck(*place, failure, at),
            SagaEvent::ScopeStopped { place, .. } => {
                if let Some(step) = self.step(*place) {
                    step.stops = true;
                }
            }
            SagaEvent::Succeeded { place, .. } | SagaEvent::EventTaken { place, .. } | SagaEvent::Answered { place, .. } => {
                self.ends(*place, ("succeeded", None), at);
            }
            SagaEvent::Refused { place, failure } => self.ends(*place, ("refused", Some(failure)), at),
            SagaEvent::Failed { place, failure } => self.ends(*place, ("failed", Some(failure)), at),
            SagaEvent::Closed { place } => self.ends(*place, ("closed", None), at),
            SagaEvent::Undone { place } => {
                // By a person, where it could not even be asked.
                self.undo_begins_at(*place, at);
                self.undo_ends(*place, ("undone", None), at);
            }
            _ => {}
        }
    }

    fn entered(&mut self, place: Place, (node, round): (u16, u8), opens: &Opens, at: Millis) {
        let name = if node == ROOT { "end".to_owned() } else { named(&self.name_of(node), round) };
        let waits = match opens {
            Opens::Stuck { .. } => Some(("stuck", at)),
            Opens::Parked { .. } => Some(("parked", at)),
            Opens::Sleep { .. } => Some(("sleep", at)),
            Opens::Approval { .. } => Some(("approval", at)),
            Opens::Wait { .. } => Some(("event", at)),
            Opens::Items { .. } => Some(("items", at)),
            Opens::Refused { .. } | Opens::Scope { .. } | Opens::Gave { .. } => None,
        };
        self.reach(place, Step { waits, ..Step::new(name, at) });
        match opens {
            Opens::Refused { failure } => self.ends(place, ("refused", Some(failure)), at),
            Opens::Gave { .. } => self.ends(place, ("succeeded", None), at),
            _ => {}
        }
    }

    fn name_of(&self, node: u16) -> String {
        let node_of = self.begun.as_ref().and_then(|begun| begun.definition).and_then(|definition| definition.node(node));
        node_of.map_or_else(|| format!("node {node}"), |node| node.name.to_string())
    }

    fn issued(&mut self, place: Place, order: &Order, at: Millis) {
        // What was parked before it was made is there already.
        if self.step(place).is_none() {
            self.reach(place, Step::new(order.step().to_owned(), at));
        }
        self.asks(place, (Direction::Do, 1), Some(order), at);
    }

    fn reach(&mut self, place: Place, step: Step) {
        let place = usize::from(place);
        if self.steps.len() <= place {
            self.steps.resize_with(place + 1, || None);
        }
        self.steps[place] = Some(step);
    }

    fn step(&mut self, place: Place) -> Option<&mut Step> {
        self.steps.get_mut(usize::from(place))?.as_mut()
    }

    fn asks(&mut self, place: Place, (direction, attempt): (Direction, u16), order: Option<&Order>, at: Millis) {
        self.waited_at(place, at);
        let Some(step) = self.step(place) else { return };
        if let Some(order) = order {
            step.command = Some(order.fields().command.into());
        }
        step.asked = Some(Asked { direction, attempt, since: at });
    }

    /// Nobody is asked for a while.
    fn put_off(&mut self, place: Place, failure: Option<&Arc<Failure>>, why: &'static str, at: Millis) {
        self.attempt_ends(place, (failure.map_or("dropped", |failure| word_of(failure)), failure), at);
        self.waited_at(place, at);
        if let Some(step) = self.step(place) {
            step.waits = Some((why, at));
        }
    }

    /// It needs a person. Of a step that has ended that is its undo, which cannot be made, or else what follows.
    fn stuck(&mut self, place: Place, failure: &Arc<Failure>, at: Millis) {
        let undoes = self.undone || self.steps.iter().flatten().any(|step| step.stops && !step.is_over);
        let is_undo = |step: &Step| {
            let is_why_it_ended = step.cause.as_ref() == Some(failure);
            // What may have been done is undone by itself, before anything follows.
            step.is_over && step.command.is_some() && !is_why_it_ended && (undoes || step.cause.is_some())
        };
        if self.step(place).is_some_and(|step| is_undo(step)) {
            self.undo_begins_at(place, at);
        }
        self.put_off(place, Some(failure), "stuck", at);
    }

    fn undo_begins_at(&mut self, place: Place, at: Millis) {
        if let Some(step) = self.step(place) {
            step.undo.get_or_insert(at);
        }
    }

    /// It is known how a step ended.
    fn ends(&mut self, place: Place, outcome: Outcome<'_>, at: Millis) {
        self.attempt_ends(place, outcome, at);
        self.waited_at(place, at);
        let Some(step) = self.step(place) else { return };
        if std::mem::replace(&mut step.is_over, true) {
            return;
        }
        step.cause = outcome.1.cloned();
        let (name, since, command) = (step.name.clone(), step.since, step.command.clone());
        let Some(begun) = &self.begun else { return };
        let ids = (step_span(&begun.trace, &self.id, &name), Some(begun.row));
        let mut span = self.made(Kind::Step, ids, (since, at), name.clone(), code_of(outcome));
        span.said.push(("ringmaster.step", Said::Text(name.into())));
        span.said.push(("ringmaster.outcome", Said::Text(outcome.0.into())));
        span.said.extend(command.map(|command| ("ringmaster.participant", Said::Text(participant_of(&command).into()))));
        self.spans.push((span, None));
    }

    fn undo_ends(&mut self, place: Place, outcome: Outcome<'_>, at: Millis) {
        self.attempt_ends(place, outcome, at);
        self.waited_at(place, at);
        let Some((name, since)) = self.step(place).and_then(|step| Some((step.name.clone(), step.undo.take()?))) else { return };
        let Some(begun) = &self.begun else { return };
        let (own, of) = (undo_span(&begun.trace, &self.id, &name), step_span(&begun.trace, &self.id, &name));
        let ids = (own, Some(begun.row));
        let mut span = self.made(Kind::Undo, ids, (since, at), format!("{name}: undo"), code_of(outcome));
        span.of = Some(of);
        span.said.push(("ringmaster.step", Said::Text(name.into())));
        span.said.push(("ringmaster.outcome", Said::Text(outcome.0.into())));
        self.spans.push((span, None));
    }

    /// The attempt that is out at a place ends.
    fn attempt_ends(&mut self, place: Place, outcome: Outcome<'_>, at: Millis) {
        let taken = self.step(place).and_then(|step| Some((step.asked.take()?, step.name.clone(), step.command.clone())));
        let (Some((asked, name, command)), Some(begun)) = (taken, &self.begun) else { return };
        let key = idempotency_key(&self.id, &name, asked.direction);
        let of_step = step_span(&begun.trace, &self.id, &name);
        let parent = if asked.direction == Direction::Do { of_step } else { undo_span(&begun.trace, &self.id, &name) };
        let ids = (attempt_span(&begun.trace, &key, asked.attempt), Some(parent));
        let command = command.unwrap_or_else(|| name.as_str().into());
        let mut span = self.made(Kind::Attempt, ids, (asked.since, at), command.to_string(), code_of(outcome));
        let texts = [
            ("ringmaster.step", name.as_str()),
            ("ringmaster.participant", participant_of(&command)),
            ("ringmaster.idempotency_key", &key),
            ("ringmaster.outcome", outcome.0),
        ];
        span.said.extend(texts.map(|(name, text)| (name, Said::Text(text.into()))));
        span.said.push(("ringmaster.attempt", Said::Number(asked.attempt.into())));
        self.spans.push((span, None));
    }

    /// What was waited for at a place has come, or is waited for no more.
    fn waited_at(&mut self, place: Place, at: Millis) {
        let Some(step) = self.step(place) else { return };
        let (is_undo, is_over, name) = (step.undo.is_some(), step.is_over, step.name.clone());
        let (Some((waits, since)), Some(begun)) = (step.waits.take(), &self.begun) else { return };
        // What follows a step lies in no span of it.
        let around = match (is_undo, is_over) {
            (true, _) => undo_span(&begun.trace, &self.id, &name),
            (false, false) => step_span(&begun.trace, &self.id, &name),
            (false, true) => begun.row,
        };
        self.waited(waits, Some((around, &name)), (since, at));
    }

    /// The row ends, with whatever is open at a place: a scope by what belongs to it.
    pub(super) fn leave(&mut self, place: usize, at: Millis) {
        let (place, Some(step)) = (place as Place, &self.steps[place]) else { return };
        if step.undo.is_some() {
            self.undo_ends(place, ("left", None), at);
        }
        self.ends(place, ("left", None), at);
    }
}

fn code_of((_, failure): Outcome<'_>) -> Option<Arc<str>> {
    failure.map(|failure| failure.code.clone())
}
