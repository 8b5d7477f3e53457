//! A saga that a person starts, by an event that did not come, or came on no topic that it is started by.

use std::sync::Arc;

use ringmaster_schemas::journal::RejectionReason;
use ringmaster_schemas::names;

use super::input::{NoTurn, Started, StartedBy, rejected};
use super::owner::Owner;
use super::turn::Turn;
use super::{Context, Why};
use crate::intake::{ControlRecord, Event, InputRecord, Origin};
use crate::saga::Rejection;

impl Owner {
    /// What would go to quarantine, or mean nothing, had it come on its topic, is told to who acts: it is their event.
    pub(super) fn start_by_hand<'a>(
        &mut self,
        act: &ControlRecord<'a>,
        (index, record): (usize, &InputRecord<'a>),
        mut turn: Turn<'a>,
        cx: &Context<'_>,
    ) -> Result<Turn<'a>, Why> {
        let id: Arc<str> = (&*act.saga).into();
        let not_possible = |detail: String| rejected(&id, Rejection { reason: RejectionReason::NotPossible, detail });
        let (name, key) = names::parse_saga_id(&id);
        let Some(definition) = cx.catalog.newest(name) else {
            return Ok(turn.with(not_possible(format!("no saga '{name}' is deployed"))));
        };
        let Some(value) = act.value else {
            return Ok(turn.with(not_possible(format!("give the {} that starts it, as its value", definition.start.event))));
        };
        let settings = self.settings.clone();
        let origin = Origin { topic: &settings.inputs[index].name, partition: settings.number };
        let event = Event::by_hand(value.get().as_bytes(), key.as_bytes(), record.offset);
        let by_hand = StartedBy::Hand(&act.saga, act.by_hand());
        match self.start_one(definition, &event, by_hand, (origin, record.timestamp), cx) {
            Ok(Some(Started::Saga(slot, id, decided))) => {
                turn.saga(slot, id, decided.events, decided.saga);
                Ok(turn)
            }
            Ok(Some(Started::Not(change))) => Ok(turn.with(change)),
            Ok(None) => Ok(turn.with(not_possible("the `if` of its start is false for this event".to_owned()))),
            Err(NoTurn::Refused(refused)) => Ok(turn.with(not_possible(refused.detail))),
            Err(NoTurn::Stop(why)) => Err(why),
        }
    }
}
