//! Undoing: exactly what was done or may have been done, the last first, each by its own long budget.

use ringmaster_schemas::journal::{FailureKind, OrderFields, Place, SagaEvent};
use ringmaster_schemas::state::{Entry, Work};

use super::decide::{Draft, failure};
use super::{COMMAND_BYTES_MAX, code};
use crate::definition::{Definition, ROOT, Undo};
use crate::faults::mutated;

impl Draft<'_> {
    /// Walks the entries from the last to the first: what waits blocks, what was done or may have been done is undone, everything else
    /// is clean. The saga's end if all are. Called again after every end while it undoes; doing it twice changes nothing.
    pub(super) fn unwind(&mut self) {
        let count = self.next_place();
        for later in 0..count {
            let place = if mutated("undo_in_order_of_do") { later } else { count - 1 - later };
            let entry = self.entry(place);
            let waits = entry.open() && !(entry.work == Work::Asked && mutated("open_attempt_forgotten_on_stop"));
            if waits {
                return;
            }
            if to_undo(self.definition, entry) {
                return self.undo(place);
            }
        }
        self.compensated();
    }

    /// The first attempt of an undo.
    pub(super) fn undo(&mut self, place: Place) {
        let step = self.step_at(place);
        let Undo::Command { call, timeout_ms, within_ms, .. } = &step.asks.undo else {
            unreachable!("only what has an undo is undone");
        };
        let own = match call.body.as_ref().map(|body| self.render_body(body)).transpose() {
            Ok(Some(_)) if mutated("undo_has_the_body_of_its_do") => None,
            Ok(Some(body)) if body.len() > COMMAND_BYTES_MAX => {
                let message = format!("its command takes {} bytes; the limit is {COMMAND_BYTES_MAX}", body.len());
                return self.stuck(place, FailureKind::Error, code::DATA_TOO_BIG, &message);
            }
            Ok(body) => body,
            Err(error) => return self.stuck(place, FailureKind::Error, error.code, &error.to_string()),
        };
        let entry = self.entry(place).clone();
        let asked = entry.order.as_ref().expect("what is undone was asked").fields();
        // The do's own bytes stay in the do's encoding, also if the participant's setting has changed since.
        let (encoding, body) = match &own {
            Some(body) => (call.encoding, &body[..]),
            None => (asked.encoding, entry.body()),
        };
        let until = self.now.saturating_add(*within_ms);
        let first_time = if mutated("undo_has_its_own_first_time") { self.now } else { asked.first_time };
        let fields = OrderFields {
            step: "",
            command: &call.command,
            encoding,
            envelope: call.envelope,
            first_time,
            until,
            keep: false,
            body,
        };
        let order = self.order(&step.node.name, entry.round, &fields);
        self.give_back(own.unwrap_or_default());
        self.happen(SagaEvent::UndoIssued { place, order, due_at: until.min(self.now + timeout_ms) });
    }

    fn compensated(&mut self) {
        match self.render("compensated", &self.definition.on_compensated) {
            Ok((emissions, expires_at)) => self.happen(SagaEvent::Compensated { emissions, expires_at }),
            Err(error) => {
                let failure = failure(FailureKind::Error, error.code, &"on_compensated".into(), &error.to_string());
                self.enter_stuck(ROOT, failure);
            }
        }
    }
}

/// True if the entry was done, or may have been, and something undoes it.
fn to_undo(definition: &Definition, entry: &Entry) -> bool {
    let undo = definition.step(entry.node).map(|step| &step.asks.undo);
    let done = match entry.work {
        Work::Failed => !mutated("undo_only_what_succeeded"),
        Work::Refused => mutated("undo_a_refused_step"),
        Work::Done => true,
        Work::Nothing | Work::Asked | Work::UndoAsked | Work::Undone | Work::Closed => false,
    };
    done && matches!(undo, Some(Undo::Command { .. }))
}
