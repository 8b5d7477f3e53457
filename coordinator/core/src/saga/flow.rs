//! Going forward: what is entered next, and the saga's end.

use std::fmt::Write as _;
use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Emission, FailureKind, Opens, OrderFields, Phase, Place, SagaEvent};
use ringmaster_schemas::state::Entry;

use super::decide::{Draft, failure};
use super::{COMMAND_BYTES_MAX, EMITTED_BYTES_MAX, ROW_BYTES_MAX, Scratch, code};
use crate::definition::{Emit, ExpressionError, ROOT, Undo, Verb};
use crate::faults::mutated;

impl Draft<'_> {
    /// Something ended well, or was undone: what follows from it. While the saga undoes, that is the next undo.
    pub(super) fn settled(&mut self, place: Place) {
        if self.undoing() {
            self.unwind();
        } else {
            let node = self.entry(place).node - u16::from(mutated("issued_step_is_next_again"));
            self.advance(node);
        }
    }

    /// Enters what comes behind a node: skips, emits, refuses, issues a command, or ends the saga.
    pub(super) fn advance(&mut self, behind: u16) {
        let definition = self.definition;
        let mut number = behind + 1;
        while let Some(node) = definition.node(number) {
            let condition = node.condition.as_ref();
            match condition.map_or(Ok(true), |condition| self.values.condition(self.saga(), condition, self.now)) {
                Ok(is_true) if is_true || mutated("condition_ignored") => match &node.verb {
                    Verb::Do(_) => return self.issue(number),
                    Verb::Refuse(code) if !mutated("refusal_goes_on") => return self.refuse(number, code),
                    Verb::Refuse(_) => {}
                    Verb::Emit(emit) => match self.emit(number, emit) {
                        Ok(()) => {}
                        Err(error) => return self.cannot_begin(number, &node.name, error.code, &error.to_string()),
                    },
                    Verb::Sequence(_) => unreachable!("the root is the only list, and nothing is in front of it"),
                },
                Ok(_) => {
                    let passes = node.passes && !mutated("skipped_pivot_not_passing");
                    self.happen(SagaEvent::Skipped { node: number, passes });
                }
                Err(error) => return self.cannot_begin(number, &node.name, error.code, &error.to_string()),
            }
            number += 1;
        }
        self.complete();
    }

    /// Tells others, on the way. What is told stays told, whatever becomes of the saga.
    fn emit(&mut self, node: u16, emit: &Emit) -> Result<(), ExpressionError> {
        let id = &self.definition.nodes[usize::from(node)].name;
        let saga = self.row.as_deref().expect("the saga has started");
        let emission = self.values.emission(saga, emit, id, self.now, &mut self.scratch.body)?;
        let texts = [&emission.topic, &emission.key, &emission.kind, &emission.id];
        self.emitted_bytes += emission.body.len() + texts.iter().map(|text| text.len()).sum::<usize>();
        if self.emitted_bytes > EMITTED_BYTES_MAX {
            let message =
                format!("what is emitted in one turn takes {} bytes; the limit is {EMITTED_BYTES_MAX}", self.emitted_bytes);
            return Err(ExpressionError { code: code::DATA_TOO_BIG, message, place: id.to_string() });
        }
        self.happen(SagaEvent::Emitted { node, emission: Arc::new(emission) });
        Ok(())
    }

    /// The definition itself says no: nobody was asked, nothing of it is to be undone.
    fn refuse(&mut self, node: u16, code: &str) {
        let name = &self.definition.nodes[usize::from(node)].name;
        let failure = failure(FailureKind::Refused, code, name, "refused by the saga's definition");
        let opens = Opens::Refused { failure: failure.clone() };
        self.happen(SagaEvent::Entered { place: self.next_place(), node, round: self.round(node), opens });
        self.stop(failure);
    }

    /// Bytes of start, bodies and results that the row holds.
    pub(super) fn held_bytes(&self) -> usize {
        self.saga().start().len() + self.saga().entries.iter().map(held_bytes).sum::<usize>()
    }

    /// The first attempt of a step's own command.
    fn issue(&mut self, node: u16) {
        let step = self.definition.step(node).expect("it was looked at");
        let body = step.asks.call.body.as_ref().expect("a step's own command has its own body");
        let body = match self.render_body(body) {
            Ok(body) => body,
            Err(error) => return self.cannot_begin(node, &step.node.name, error.code, &error.to_string()),
        };
        let held = self.held_bytes();
        if held + body.len() > ROW_BYTES_MAX && !mutated("big_command_sent") {
            let message =
                format!("its command takes {} bytes beside {held} that the saga holds; the limit is {ROW_BYTES_MAX}", body.len());
            return self.cannot_begin(node, &step.node.name, code::DATA_TOO_BIG, &message);
        }
        let round = self.round(node);
        let until = step.node.until(self.now);
        let order = self.order(
            &step.node.name,
            round,
            &OrderFields {
                step: "",
                command: &step.asks.call.command,
                encoding: step.asks.call.encoding,
                envelope: step.asks.call.envelope,
                first_time: self.now,
                until,
                keep: matches!(&step.asks.undo, Undo::Command { call, .. } if call.body.is_none()),
                body: &body,
            },
        );
        self.give_back(body);
        let due_at = until.min(self.now + step.asks.timeout_ms);
        self.happen(SagaEvent::CommandIssued { place: self.next_place(), node, round, order, due_at });
    }

    /// A step (or the event at the end) failed before anything of it was sent.
    fn cannot_begin(&mut self, node: u16, name: &Arc<str>, code: &str, message: &str) {
        let forward_only = match node {
            // The event at the end: without a pivot all can still be undone.
            ROOT => self.definition.has_pivot,
            node => self.definition.nodes[usize::from(node)].phase == Phase::Retriable,
        };
        let failure = failure(FailureKind::Error, code, name, message);
        if forward_only {
            self.enter_stuck(node, failure);
        } else {
            self.stop(failure);
        }
    }

    pub(super) fn enter_stuck(&mut self, node: u16, failure: Arc<ringmaster_schemas::journal::Failure>) {
        let opens = Opens::Stuck { failure };
        self.happen(SagaEvent::Entered { place: self.next_place(), node, round: self.round(node), opens });
    }

    fn complete(&mut self) {
        match self.render("completed", &self.definition.on_completed) {
            Ok((emissions, expires_at)) => self.happen(SagaEvent::Completed { emissions, expires_at }),
            Err(error) => self.cannot_begin(ROOT, &"on_completed".into(), error.code, &error.to_string()),
        }
    }

    /// The events of an end, and when the row may go. Together they must fit into any journal record, like a command: a saga whose end
    /// fits into none could not even be failed.
    pub(super) fn render(&mut self, how: &str, emits: &[Emit]) -> Result<(Vec<Emission>, Millis), ExpressionError> {
        let mut emissions = Vec::with_capacity(emits.len());
        for (i, emit) in emits.iter().enumerate() {
            let saga = self.row.as_deref().expect("the saga has started");
            let Scratch { body, text: id, .. } = &mut *self.scratch;
            id.clear();
            write!(id, "{how}/{i}").expect("writing to memory");
            emissions.push(self.values.emission(saga, emit, id, self.now, body)?);
        }
        let bytes: usize = emissions.iter().map(|emission| emission.key.len() + emission.body.len()).sum();
        if bytes > COMMAND_BYTES_MAX {
            let message = format!("the events of its end take {bytes} bytes; the limit is {COMMAND_BYTES_MAX}");
            return Err(ExpressionError { code: code::DATA_TOO_BIG, message, place: format!("on_{how}") });
        }
        Ok((emissions, self.now.saturating_add(self.definition.retain_ms)))
    }
}

fn held_bytes(entry: &Entry) -> usize {
    let failure = entry.failure().map_or(0, |failure| failure.code.len() + failure.message.len());
    entry.body().len() + entry.result.as_ref().map_or(0, |result| result.bytes().len()) + failure
}
