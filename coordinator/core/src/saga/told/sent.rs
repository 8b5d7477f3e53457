//! What an event causes to be sent, by name: commands and events. What they say stays in the journal.

use ringmaster_schemas::journal::{Emission, Order, Place, SagaEvent};
use ringmaster_schemas::names::{Direction, command_topic, idempotency_key, step_of_round};

use super::Teller;
use crate::definition::{Undo, Verb};

/// Something that was sent to others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The command, or the event's type; none of a command that is asked again by a version that is not known.
    pub name: Option<String>,
    /// The topic that it went to; none where the name is not known.
    pub topic: Option<String>,
    /// Of a command its idempotency key, of an event its `ce_id`: each tells it from all others.
    pub id: String,
    /// Of a command which one it is; none of an event.
    pub attempt: Option<Attempt>,
}

/// Which command of a saga it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Of which step, with `~` and its round behind the first.
    pub step: String,
    /// The step's own, or its undo's.
    pub direction: Direction,
    /// From 1.
    pub number: u16,
}

impl Teller<'_> {
    /// What an event sends, which was told.
    pub fn sent(&self, event: &SagaEvent, out: &mut Vec<Sent>) {
        match event {
            SagaEvent::CommandIssued { order, .. } => out.push(self.ordered(order, Direction::Do, 1)),
            SagaEvent::UndoIssued { order, .. } => out.push(self.ordered(order, Direction::Undo, 1)),
            SagaEvent::Retried { direction, attempt, order, .. } => out.push(self.ordered(order, *direction, *attempt)),
            SagaEvent::CommandRepeated { place, direction, attempt, .. } => out.push(self.repeated(*place, *direction, *attempt)),
            SagaEvent::Completed { emissions, .. } | SagaEvent::Compensated { emissions, .. } => {
                out.extend(emissions.iter().map(|emission| self.emitted(emission)));
            }
            SagaEvent::Emitted { emission, .. } | SagaEvent::StuckTold { emission: Some(emission), .. } => {
                out.push(self.emitted(emission));
            }
            // All else is between rows of this coordinator.
            _ => {}
        }
    }

    fn ordered(&self, order: &Order, direction: Direction, number: u16) -> Sent {
        let attempt = Attempt { step: order.step().to_owned(), direction, number };
        self.command(Some(order.command()), attempt)
    }

    /// Its order is the entry's: its name is the definition's.
    fn repeated(&self, place: Place, direction: Direction, number: u16) -> Sent {
        let step = self.places.get(&place).cloned().unwrap_or_default();
        let node = self.definition.and_then(|definition| definition.node(definition.names.find(step_of_round(&step))?));
        let call = node.and_then(|node| match (&node.verb, direction) {
            (Verb::Do(asks), Direction::Do) => Some(&asks.call),
            (Verb::Do(asks), Direction::Undo) => match &asks.undo {
                Undo::Command { call, .. } => Some(call),
                Undo::Nothing | Undo::Never => None,
            },
            _ => None,
        });
        self.command(call.map(|call| &*call.command), Attempt { step, direction, number })
    }

    fn command(&self, name: Option<&str>, attempt: Attempt) -> Sent {
        let participant = name.and_then(|name| name.rsplit_once('.')).map(|(participant, _)| participant);
        Sent {
            name: name.map(str::to_owned),
            topic: participant.map(command_topic),
            id: idempotency_key(self.id, &attempt.step, attempt.direction),
            attempt: Some(attempt),
        }
    }

    fn emitted(&self, emission: &Emission) -> Sent {
        Sent {
            name: Some(emission.kind.to_string()),
            topic: Some(emission.topic.to_string()),
            id: format!("{}/{}", self.id, emission.id),
            attempt: None,
        }
    }
}
