//! One turn of a run, as the coordinator makes it: decided, journaled, sent; and how it begins again after a crash.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ringmaster_core::saga::{Input, Rejection, apply};
use ringmaster_schemas::journal::{Cause, Change, Decision, JournalRecord, RejectionReason, SagaChange, SagaEvent, Stamp, Turn};
use ringmaster_schemas::names::parse_idempotency_key;
use ringmaster_schemas::state::Saga;
use ringmaster_schemas::wire;

use super::behave::Command;
use super::laws;
use super::run::{Told, World};
use crate::stories::Stage;

/// Why something was not taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Reason {
    TooOld,
    Duplicate,
    MovedOn,
    NotStuck,
    NotAsked,
    NotPossible,
    Ended,
    Undoing,
    Other,
}

impl World<'_> {
    /// The coordinator dies. What it knows again is what its journal says, and what it sent last it may send once more.
    pub(super) fn crash(&mut self) {
        self.count("crashes");
        let id = self.stage.saga.as_ref().expect("it has started").id.clone();
        let mut row = None;
        for (turn, bytes) in (1..).zip(&self.journal) {
            let Ok(JournalRecord::Decision(decision)) = JournalRecord::decode(bytes) else {
                return self.faults.push("L12: a record cannot be read again".to_owned());
            };
            for change in decision.turns.iter().flat_map(|turn| &turn.changes) {
                let Change::Saga(change) = change else { continue };
                for event in &change.events {
                    if let Err(illegal) = apply(&id, &mut row, event, decision.stamp.now) {
                        return self.faults.push(format!("L12: {illegal}"));
                    }
                }
                row.iter_mut().for_each(|row| Arc::make_mut(row).turns.remember(turn));
            }
        }
        if row != self.stage.saga {
            self.faults.push("L12: replay gives another state".to_owned());
        }
        self.stage.saga = row;
        if let Some(last) = self.turns.last() {
            self.send(last.from..self.stage.history.len());
        }
    }

    /// What comes is decided, journaled and sent, and the laws look at it.
    pub(super) fn turn(&mut self, input: &Input, came: String) -> Result<(), Reason> {
        let (at, from) = (self.stage.now, self.stage.history.len());
        let before = self.stage.saga.clone();
        let taken = catch_unwind(AssertUnwindSafe(|| self.stage.take(input)));
        let taken = match taken {
            Ok(taken) => taken,
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
                self.faults.push(format!("panic: {text}"));
                self.turns.push(Told { at, came, from, rejected: None });
                return Ok(());
            }
        };
        let rejected = taken.as_ref().err().map(|rejection| format!("rejected {}: {}", rejection.reason, rejection.detail));
        self.turns.push(Told { at, came, from, rejected });
        self.taken(before.as_deref(), input, &taken, from);
        taken.map(|_| ()).map_err(|rejection| match rejection.reason {
            RejectionReason::TooOld => Reason::TooOld,
            RejectionReason::Duplicate => Reason::Duplicate,
            RejectionReason::MovedOn => Reason::MovedOn,
            RejectionReason::NotStuck => Reason::NotStuck,
            RejectionReason::NotAsked => Reason::NotAsked,
            RejectionReason::NotPossible => Reason::NotPossible,
            RejectionReason::Ended => Reason::Ended,
            RejectionReason::Undoing => Reason::Undoing,
            _ => Reason::Other,
        })
    }

    fn taken(&mut self, before: Option<&Saga>, input: &Input, taken: &Result<usize, Rejection>, from: usize) {
        let events: Vec<SagaEvent> = self.stage.history[from..].iter().map(|happened| happened.event.clone()).collect();
        let Stage { history, breakers, now, .. } = &self.stage;
        let mut faults = laws::turn(self.stage.definition(), before, input, taken, (history, from), breakers, *now);
        faults.extend(laws::kept(&self.known(), &self.arrived, &self.stage.history, from));
        for (number, happened) in self.stage.history.iter().enumerate().skip(from) {
            let before = number.checked_sub(1).map(|before| &*self.stage.history[before].behind);
            faults.extend(laws::way(&self.known(), before, happened));
        }
        if let Some(saga) = &self.stage.saga {
            faults.extend(crate::laws::at_rest(self.stage.definition(), saga));
            match Saga::decode(&saga.id, &saga.encode()) {
                Ok(read) if read == **saga => self.stage.saga = Some(Arc::new(read)),
                _ => faults.push("L12: the row does not survive encoding".to_owned()),
            }
        }
        self.faults.append(&mut faults);
        if !events.is_empty() {
            self.write_down(events);
            self.send(from..self.stage.history.len());
        }
    }

    fn write_down(&mut self, events: Vec<SagaEvent>) {
        let saga = self.stage.saga.as_ref().expect("something happened to it").id.clone();
        let stamp = Stamp { claim_offset: 0, claim: [7; 16], number: self.journal.len() as i64, released: 0, now: self.stage.now };
        let changes = vec![Change::Saga(SagaChange { saga, events })];
        let turns = vec![Turn { cause: Cause::Due { due_at: self.stage.now }, input: None, changes }];
        self.journal.push(JournalRecord::Decision(Decision { stamp, topics: Vec::new(), turns }).encode());
    }

    fn send(&mut self, part: Range<usize>) {
        for happened in &self.stage.history[part] {
            for effect in &happened.effects {
                let Ok(command) = wire::decode_command(effect.value(), self.stage.schemas()) else { continue };
                let Some((_, step, direction)) = parse_idempotency_key(&command.meta.idempotency_key) else { continue };
                self.commands.push(Command { step: step.to_owned(), direction, attempt: command.meta.attempt });
            }
        }
    }
}
