//! A run: another saga in a row of its own, with its own version, deadline and pivot. To this one it is a step that is undone as a whole.

use std::sync::Arc;

use ringmaster_schemas::Data;
use ringmaster_schemas::codec::put_long;
use ringmaster_schemas::journal::{Failure, FailureKind, ItemEvent, Items, Opens, Phase, Place, SagaEvent};
use ringmaster_schemas::state::{Status, Work};

use super::super::decide::Draft;
use super::super::flow::Way;
use super::super::{ROW_DATA_BYTES_MAX, code};
use crate::definition::{ExpressionError, Run};
use crate::faults::mutated;

impl Draft<'_> {
    /// It begins: what the other saga begins with is made once. By which version that runs is decided when its row begins.
    pub(in super::super) fn run(&mut self, number: u16, run: &Run) -> Way {
        let items = match self.input_of(number, run) {
            Ok(items) => items,
            Err(error) => return self.fails_to_begin(number, &error),
        };
        let until = self.definition.nodes[usize::from(number)].within_ms.map(|within| self.now.saturating_add(within));
        let opens = Opens::Items { items: Arc::new(items), until };
        self.happen(SagaEvent::Entered { place: self.next_place(), node: number, round: self.round(number), opens });
        Way::Rest
    }

    fn input_of(&mut self, number: u16, run: &Run) -> Result<Items, ExpressionError> {
        let node = &self.definition.nodes[usize::from(number)];
        self.may_have_rows(&node.name)?;
        let buffer = self.buffer();
        let input = self.render_body(self.view(number), &run.input, buffer)?;
        let (held, size) = (self.held_bytes(), input.len());
        let mut list = Vec::with_capacity(size + 5);
        put_long(&mut list, size as i64);
        list.extend_from_slice(&input);
        self.give_back(input);
        if held + size > ROW_DATA_BYTES_MAX {
            let message =
                format!("its input takes {size} bytes beside {held} that the saga holds; the limit is {ROW_DATA_BYTES_MAX}");
            return Err(ExpressionError { code: code::DATA_TOO_BIG, message, place: node.name.to_string() });
        }
        Ok(Items { count: 1, at_once: 1, undoes: true, list: Data::new(&list) })
    }

    /// A sub-saga is behind its pivot, and so is this one: what was remembered came too late.
    pub(in super::super) fn child_passed(&mut self, place: Place, index: u16) {
        let node = &self.definition.nodes[usize::from(self.entry(place).node)];
        let may_pass = self.saga().status == Status::Running && self.entry(place).work == Work::Open;
        if node.phase != Phase::Pivot || self.saga().passed || !may_pass {
            return;
        }
        self.happen(SagaEvent::Item { place, event: ItemEvent::Passed { index } });
        if self.saga().remembered_stop().is_some() {
            self.happen(SagaEvent::StopForgotten {});
        }
    }
}

/// Why a sub-saga ended, as its run says it: it has left nothing behind, and that is a refusal, by its code. What it could not foresee
/// passes all that this one foresees.
pub(super) fn of_run(name: &Arc<str>, failure: &Failure) -> Arc<Failure> {
    use FailureKind::{Cancelled, Deadline, Error, Expired, Failed, Refused};
    let kind = match failure.kind {
        Refused | Failed | Expired | Deadline => Refused,
        kind @ (Error | Cancelled) => kind,
    };
    let code = if mutated("sub_saga_refused_without_code") { code::REFUSED.into() } else { failure.code.clone() };
    let at = match (&*failure.step, &*failure.message) {
        ("", message) => message.to_owned(),
        (step, "") => step.to_owned(),
        (step, message) => format!("{step}: {message}"),
    };
    Arc::new(Failure { code, step: name.clone(), kind, message: at.as_str().into() })
}
