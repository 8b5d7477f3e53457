//! A saga that a person starts, by an event that did not come, or came on no topic that it is started by.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringmaster_schemas::journal::RejectionReason;
use ringmaster_schemas::names;
use serde_json::value::RawValue;

use super::input::{NoTurn, Started, rejected};
use super::owner::Owner;
use super::taken::StartedBy;
use super::turn::Turn;
use super::{Context, Why};
use crate::definition::Definition;
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
        let (start, value) = match start_in(definition, act.value.map(|value| value.get())) {
            Ok(found) => found,
            Err(detail) => return Ok(turn.with(not_possible(detail))),
        };
        let settings = self.settings.clone();
        let origin = Origin { topic: &settings.inputs[index].name, partition: settings.number };
        let event = Event::by_hand(value.as_bytes(), key.as_bytes(), record.offset);
        let by_hand = StartedBy::Hand(&act.saga, act.by_hand());
        match self.start_one((definition, start), &event, by_hand, (origin, record.timestamp), cx) {
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

/// Which of a definition's starts a value is for, and the event's own fields: of several it is `{ EVENT: { FIELDS } }`.
fn start_in<'v>(definition: &Definition, value: Option<&'v str>) -> Result<(u16, &'v str), String> {
    if definition.starts.is_empty() {
        return Ok((0, value.unwrap_or("{}")));
    }
    let names = definition.start_names();
    let Some(value) = value else { return Err(format!("give the {} that starts it, as its value", names.join(" or the "))) };
    if definition.starts.len() == 1 {
        return Ok((0, value));
    }
    let form = || format!("say which event starts it, as {{\"{}\": {{ its fields }}}}; there are: {}", names[0], names.join(", "));
    let events: BTreeMap<&str, &RawValue> = serde_json::from_str(value).map_err(|_| form())?;
    match (events.len(), events.first_key_value()) {
        (1, Some((name, fields))) => {
            let (start, _) = definition.start_named(name).ok_or_else(form)?;
            Ok((start, fields.get()))
        }
        _ => Err(form()),
    }
}
