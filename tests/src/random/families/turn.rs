//! One turn of a family, as the coordinator makes it: decided, applied, written down, sent; and how it begins again after a crash.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ringmaster_core::definition::{Definition, Run};
use ringmaster_core::intake;
use ringmaster_core::saga::{Family, Input, Moved, Room, Sender, apply, effects, order_of, play};
use ringmaster_schemas::journal::{ItemEvent, SagaEvent};
use ringmaster_schemas::names::{self, command_topic, parse_idempotency_key, participant_of};
use ringmaster_schemas::state::{Saga, Status};
use ringmaster_schemas::wire::{self, Body, Outcome, ReplyMeta};

use super::super::behave::{Answer, Command};
use super::known::Known;
use super::world::World;
use super::{laws, mail};
use crate::stories::Said;

#[cfg(test)]
fn change_of(moved: &Moved<'_>) -> ringmaster_schemas::journal::SagaChange {
    ringmaster_schemas::journal::SagaChange { saga: moved.id.clone(), events: moved.events.clone() }
}

/// Rows as a turn finds them.
struct Rows<'w, 'k> {
    rows: &'w BTreeMap<Arc<str>, Arc<Saga>>,
    known: &'k Known,
}

impl<'k> Family<'k> for Rows<'_, 'k> {
    type Error = Infallible;

    fn row(&mut self, id: &Arc<str>) -> Result<Option<Arc<Saga>>, Infallible> {
        Ok(self.rows.get(id).cloned())
    }

    fn definition(&self, saga: &Saga) -> Result<&'k Definition, Infallible> {
        Ok(self.known.of_row(saga))
    }

    fn starting(&self) -> Option<&'k Definition> {
        self.known.definitions.first()
    }

    fn sub_saga(&self, _: &Definition, run: &Run) -> Option<(&'k Definition, i64)> {
        let mut all = self.known.definitions.iter().zip(0..);
        all.find(|(definition, _)| *definition.name == *run.saga)
    }
}

impl World<'_> {
    /// What comes for a row is decided, written down and sent, and the laws look at it.
    pub(super) fn turn(&mut self, id: &Arc<str>, input: Input, came: &str) {
        let known = self.known;
        let room = [Room::USUAL, Room { rows: 3, bytes: 1 << 18 }, Room::NONE][self.random.usize(..3)];
        let room = if matches!(input, Input::Work) { Room { rows: room.rows.max(1), bytes: 1 << 18 } } else { room };
        self.tell(|world| format!("+{} {id}: {came}", world.now - 1_900_000_000_000));
        let mut rows = Rows { rows: &self.rows, known };
        let (breakers, scratch, now) = (&self.breakers, &mut self.scratch, self.now);
        let played = catch_unwind(AssertUnwindSafe(|| play(&mut rows, breakers, (id, input), (now, room), scratch)));
        match played {
            Ok(Ok(Ok(moved))) => {
                #[cfg(test)]
                self.turns.push((self.now, moved.iter().map(change_of).collect()));
                self.faults.extend(laws::room(&moved, room));
                moved.iter().cloned().for_each(|one| self.moved(one));
                self.faults.extend(mail::left(&self.rows, &moved, room));
                self.faults.extend(laws::family(self.known, &self.rows));
            }
            Ok(Ok(Err(rejection))) => self.tell(|_| format!("    rejected {}: {}", rejection.reason, rejection.detail)),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                self.faults.push(format!("panic: {}", text.unwrap_or_default()));
            }
        }
    }

    fn moved(&mut self, moved: Moved<'_>) {
        let Moved { id, before, events, saga, definition } = moved;
        if before.as_ref() != self.rows.get(&id) {
            self.faults.push(format!("L12: {id} was decided by another state than it has"));
        }
        let mut row = before;
        for event in events {
            self.tell(|_| format!("    {id}: {event:?}"));
            let was = row.clone();
            self.faults.extend(laws::before(self.known, &self.rows, &id, was.as_deref(), &event));
            if let Err(illegal) = apply(&id, &mut row, &event, self.now) {
                return self.faults.push(format!("L12: {illegal}"));
            }
            let behind = row.clone().expect("it is there");
            self.faults.extend(laws::event(definition, was.as_deref(), &event, &behind, self.now));
            self.faults.extend(laws::search(definition, &event, &behind));
            self.takes(&id, &event);
            self.happens(&event, &behind);
            self.journal.push((id.clone(), event, self.now));
        }
        if row.as_ref() != Some(&saga) {
            self.faults.push(format!("L12: apply makes another state of {id} than decide"));
        }
        match Saga::decode(&id, &saga.encode()) {
            Ok(read) if read == *saga => {}
            _ => self.faults.push(format!("L12: the row of {id} does not survive encoding")),
        }
        if saga.status == Status::Swept {
            let last = self.rows.remove(&id);
            self.graves.extend(last.map(|last| (id, last)));
        } else {
            self.rows.insert(id, saga);
        }
    }

    fn happens(&mut self, event: &SagaEvent, behind: &Arc<Saga>) {
        self.report.counts_of(event, behind);
        self.report.count(match event {
            SagaEvent::Item { event: ItemEvent::Began { .. }, .. } => "items",
            SagaEvent::Item { event: ItemEvent::Recalled { .. }, .. } => "items that were recalled",
            SagaEvent::Item { event: ItemEvent::Held { held: true, .. }, .. } => "items that were held",
            SagaEvent::Item { event: ItemEvent::UndoBegan { .. }, .. } => "lists that were undone",
            SagaEvent::ValueClaimed { claim, .. } if laws::is_alone(&claim.name) => "values that a saga has alone",
            SagaEvent::Started { .. } if names::below(&behind.id).is_some_and(|below| below.item.is_none()) => "sub-sagas",
            SagaEvent::Item { event: ItemEvent::Passed { .. }, .. } => "sub-sagas that came behind their pivot",
            SagaEvent::Item { event: ItemEvent::StopAsked { .. }, .. } => "sub-sagas that were asked to stop",
            SagaEvent::CompensationBegan { .. } if behind.is_below() && behind.entries.iter().any(|entry| entry.node == 0) => {
                "rows that had ended well and were undone"
            }
            SagaEvent::Swept { lingers: false } => "items that were swept",
            SagaEvent::Swept { lingers: true } => "items that waited for those below",
            _ => "events",
        });
        self.send(event, behind);
    }

    fn send(&mut self, event: &SagaEvent, behind: &Arc<Saga>) {
        let sender =
            Sender { id: &behind.id, head: &behind.head, at: self.now, reply_topic: "replies", partition: 0, tracing: None };
        let mut topic_of = |command: &str| -> Arc<str> { command_topic(participant_of(command)).into() };
        let mut sent = Vec::new();
        effects(sender, event, order_of(behind, event), &mut topic_of, &mut String::new(), &mut sent);
        self.post(&sent);
        for effect in sent {
            let Ok(command) = wire::decode_command(effect.value(), &self.known.schemas) else { continue };
            let key = command.meta.idempotency_key.to_string();
            let Some((row, step, direction)) = parse_idempotency_key(&key) else { continue };
            if let (true, Body::Json(body)) = (&*command.meta.command == "bank.Tell", command.body) {
                self.told.push(serde_json::from_str(body).expect("a body is JSON"));
            }
            if effect.key() != b"k" {
                self.faults.push(format!("wire: the command {key} is not keyed by the saga's key"));
            }
            self.commands.push(Command { step: format!("{row}/{step}"), direction, attempt: command.meta.attempt });
        }
    }

    /// A participant's answer comes in by the door that answers come in by.
    pub(super) fn hear(&mut self, answer: &Answer) {
        let Command { step, direction, attempt } = &answer.to;
        let (outcome, code, retryable, body) = match &answer.said {
            Said::Succeeded(body) => (Outcome::Succeeded, None, false, body.as_deref()),
            Said::Refused(code) => (Outcome::Refused, Some(code), false, None),
            Said::Failed(code, retryable) => (Outcome::Failed, Some(code), *retryable, None),
        };
        let meta = ReplyMeta {
            idempotency_key: format!("{step}/{}", direction.as_str()).into(),
            attempt: *attempt,
            outcome,
            code: code.map(|code| code.as_str().into()),
            message: None,
            retryable,
        };
        let mut bytes = Vec::new();
        wire::put_reply_json(&meta, body.map(str::as_bytes), &mut bytes);
        let read = intake::Answer::read(&bytes, &self.known.schemas).expect("an answer can be read");
        let row: Arc<str> = read.saga().into();
        let definition = self.rows.get(&row).map(|saga| self.known.of_row(saga));
        let input = self.projections.reply(&read, definition).expect("an answer fits");
        self.turn(&row, Input::Reply(input), &format!("{step}/{} says {:?}", direction.as_str(), answer.said));
    }

    /// The coordinator dies: what it knows again is what its journal says, and what it sent last it may send once more.
    pub(super) fn crash(&mut self) {
        self.count("crashes");
        let mut rows: BTreeMap<Arc<str>, Option<Arc<Saga>>> = BTreeMap::new();
        for (id, event, at) in &self.journal {
            if let Err(illegal) = apply(id, rows.entry(id.clone()).or_default(), event, *at) {
                return self.faults.push(format!("L12: {illegal}"));
            }
        }
        let rows = rows.into_iter().filter_map(|(id, row)| Some((id, row.filter(|row| row.status != Status::Swept)?)));
        let rows: BTreeMap<Arc<str>, Arc<Saga>> = rows.collect();
        let (values, rows): (BTreeMap<_, _>, BTreeMap<_, _>) = rows.into_iter().partition(|(id, _)| id.starts_with('='));
        if rows != self.rows || values != self.values.rows {
            self.faults.push("L12: replay gives another state".to_owned());
        }
        self.rows = rows;
    }
}
