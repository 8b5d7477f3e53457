//! Going forward: what is entered next, and the saga's end.

use std::fmt::Write as _;
use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Emission, FailureKind, Opens, OrderFields, Phase, Place, SagaEvent};
use ringmaster_schemas::state::Entry;

use super::decide::{Draft, failure};
use super::{COMMAND_BYTES_MAX, EMITTED_BYTES_MAX, ROW_BYTES_MAX, Scratch, code};
use crate::definition::{Arm, Emit, Expression, ExpressionError, ROOT, Undo, Verb};
use crate::faults::mutated;

/// Where it goes from a node that was entered.
enum Way {
    /// Nowhere: something is waited for, or the saga undoes.
    Waits,
    /// Behind it.
    Behind,
    /// Into this list of it.
    Into(u16),
}

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

    /// Enters what comes behind a node, and so on, until something is waited for or the saga ends.
    pub(super) fn advance(&mut self, behind: u16) {
        let mut next = if behind == ROOT { Some(ROOT + 1) } else { self.behind(behind) };
        while let Some(number) = next {
            next = match self.enter(number) {
                Way::Waits => return,
                Way::Behind => self.behind(number),
                // The first of the list.
                Way::Into(list) => Some(list + 1),
            };
        }
        self.complete();
    }

    /// What stands behind a node: in its list, else behind that whose list ends with it; none if all do.
    fn behind(&mut self, mut number: u16) -> Option<u16> {
        let definition = self.definition;
        loop {
            let node = &definition.nodes[usize::from(number)];
            if node.end < definition.nodes[usize::from(node.parent)].end {
                return Some(node.end);
            }
            if node.parent == ROOT {
                return None;
            }
            number = definition.nodes[usize::from(node.parent)].parent;
            self.left(number);
        }
    }

    /// A group or choice is left well. If it holds the pivot, and the way through it did not, that is skipped: the saga is behind it.
    fn left(&mut self, number: u16) {
        let node = &self.definition.nodes[usize::from(number)];
        if node.passes && !self.saga().passed && !mutated("skipped_pivot_not_passing") {
            let is_pivot = |inner: &u16| self.definition.step(*inner).is_some_and(|step| step.node.phase == Phase::Pivot);
            let pivot = (number..node.end).find(is_pivot).expect("what passes holds the pivot");
            self.happen(SagaEvent::Skipped { node: pivot, passes: true });
        }
    }

    /// Enters a node: skips, emits, refuses, issues a command, or goes into a list of it.
    fn enter(&mut self, number: u16) -> Way {
        let node = &self.definition.nodes[usize::from(number)];
        match self.is_true(node.condition.as_ref()) {
            Ok(is_true) if is_true || mutated("condition_ignored") => {}
            Ok(_) => {
                let passes = node.passes && !mutated("skipped_pivot_not_passing");
                self.happen(SagaEvent::Skipped { node: number, passes });
                return Way::Behind;
            }
            Err(error) => return self.fails_to_begin(number, &error),
        }
        match &node.verb {
            Verb::Do(_) => self.issue(number),
            Verb::Refuse(_) if mutated("refusal_goes_on") => return Way::Behind,
            Verb::Refuse(code) => self.refuse(number, code),
            Verb::Emit(emit) => {
                return match self.emit(number, emit) {
                    Ok(()) => Way::Behind,
                    Err(error) => self.fails_to_begin(number, &error),
                };
            }
            Verb::Group => return Way::Into(number + 1),
            Verb::Choice(arms) => return self.choose(number, arms),
            Verb::Sequence(_) => unreachable!("a list is entered by its first node"),
        }
        Way::Waits
    }

    fn is_true(&self, condition: Option<&Expression>) -> Result<bool, ExpressionError> {
        condition.map_or(Ok(true), |condition| self.values.condition(self.saga(), condition, self.now))
    }

    /// The first arm whose condition is true; the last has none.
    fn choose(&mut self, number: u16, arms: &[Arm]) -> Way {
        for arm in arms {
            match self.is_true(arm.condition.as_ref()) {
                Ok(is_true) if is_true || mutated("first_arm_taken") => {
                    // In an empty list there is nothing to enter.
                    if self.definition.nodes[usize::from(arm.list)].end > arm.list + 1 {
                        return Way::Into(arm.list);
                    }
                    self.left(number);
                    return Way::Behind;
                }
                Ok(_) => {}
                Err(error) => return self.fails_to_begin(number, &error),
            }
        }
        unreachable!("a choice ends with else")
    }

    fn fails_to_begin(&mut self, number: u16, error: &ExpressionError) -> Way {
        let name = self.definition.nodes[usize::from(number)].name.clone();
        self.cannot_begin(number, &name, error.code, &error.to_string());
        Way::Waits
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
