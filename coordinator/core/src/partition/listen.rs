//! Events that sagas listen to beside their start: each goes to the saga that it is for, by its definition and key. What comes before
//! its saga is kept under the saga's id.

use std::sync::Arc;

use ringmaster_schemas::journal::{Change, KeptEvent};
use ringmaster_schemas::names;
use ringmaster_schemas::state::Saga;
use ringmaster_schemas::{Data, Millis};

use super::Context;
use super::input::{NoTurn, elsewhere, rejected};
use super::owner::Owner;
use super::taken::Taken;
use super::turn::Turn;
use crate::definition::Definition;
use crate::definition::Listening;
use crate::intake::{Body, Event, Origin};
use crate::saga::{Basis, EarlyInput, Evaluated, EventInput, Input, decide};

impl Owner {
    /// What an event means for all that listens to it, added to a turn.
    pub(super) fn take_listened<'a>(
        &mut self,
        listening: &[Listening],
        taken: Taken<'_, 'a>,
        (kind, event): (&str, &Event<'_>),
        origin: Origin<'_>,
        mut turn: Turn<'a>,
        cx: &Context<'_>,
    ) -> Result<Turn<'a>, NoTurn> {
        for one in listening {
            match self.listen(one, (kind, event), (origin, !taken.is_read()), cx) {
                Ok(Listened::Nothing) => self.unexpected += 1,
                Ok(Listened::ByAnother) => {}
                Ok(Listened::Taken { slot, id, decided, raw }) => {
                    turn.saga(slot, id, decided.events, decided.saga);
                    if raw {
                        turn = turn.keeping(Some((event.schema_key(), taken.record.value.unwrap_or_default())));
                    }
                }
                Ok(Listened::Not(change)) => turn = turn.with(change),
                // What cannot be routed its router has said.
                Err(NoTurn::Refused(_)) if !taken.tells() => {}
                Err(NoTurn::Refused(refused)) => {
                    let quarantined = self.quarantined(&taken, &refused, cx);
                    turn = turn.with(Change::Quarantined(quarantined));
                }
                Err(stop) => return Err(stop),
            }
        }
        Ok(turn)
    }

    fn listen(
        &mut self,
        one: &Listening,
        (kind, event): (&str, &Event<'_>),
        (origin, is_brought): (Origin<'_>, bool),
        cx: &Context<'_>,
    ) -> Result<Listened, NoTurn> {
        let now = self.turn_time(cx);
        let definition = &*one.definition;
        let (key, data) = self.projections.listened(definition, one.listener, event, now)?;
        let home = names::partition_of(key.as_bytes(), self.settings.partitions);
        if home != self.settings.number && is_brought {
            return Ok(Listened::ByAnother);
        }
        if home != self.settings.number {
            return Err(elsewhere(&key, home, &self.settings, origin.topic, event).into());
        }
        let id = self.replica.saga_id(&definition.name, &key);
        let found = self.find(&id, || id.clone(), cx)?;
        let row = found.and_then(|slot| self.remembered(slot)).cloned();
        let mut source = String::new();
        event.put_identity(origin, &mut source);
        let (definition, input) = match &row {
            Some(saga) if saga.began() => {
                let version = saga.head.version();
                if !one.has(&version) {
                    return Ok(Listened::ByAnother);
                }
                // What is kept is laid out alike in all these versions; what listens may have another number.
                let definition = self.definition_of(saga, cx)?;
                let (listener, _) = definition.listener(origin.topic, kind).expect("the version listens to it");
                (definition, Input::Event(EventInput { listener, source: source.as_str().into(), data }))
            }
            Some(_) | None if !one.is_newest => return Ok(Listened::ByAnother),
            Some(_) | None => {
                let keep_ms = definition.listeners[usize::from(one.listener)].keep_ms;
                // One that is read again, long after it came, is for a saga that has been.
                let until = event.time.map_or(now, |time| time.min(now)).saturating_add(keep_ms);
                if until <= now {
                    return Ok(Listened::Nothing);
                }
                (definition, Input::Early(Arc::new(kept(origin, kind, &source, until, event))))
            }
        };
        let raw = matches!(input, Input::Event(_));
        let basis = Basis { definition, values: &Evaluated::new(definition), breakers: &self.ahead.breakers, above: &[] };
        match decide(basis, &id, row.as_ref(), &input, now, &mut self.scratch) {
            Ok(decided) if decided.events.is_empty() => Ok(Listened::Nothing),
            Ok(decided) => {
                let slot = found.unwrap_or_else(|| self.replica.table.insert(id.clone()));
                Ok(Listened::Taken { slot, id, decided, raw })
            }
            Err(rejection) => Ok(Listened::Not(rejected(&id, rejection))),
        }
    }

    /// What came before a saga, as the version that it begins with reads it. What that version cannot read is not its own any more.
    pub(super) fn moves_in(&mut self, expected: &Saga, definition: &Definition, now: Millis, cx: &Context<'_>) -> Vec<EarlyInput> {
        let mut all = Vec::new();
        for event in expected.early().iter().filter(|event| event.until > now) {
            let listener = definition.listener(&event.topic, &event.kind);
            let body = Body::kept(event.schema, event.data.bytes(), cx.schemas);
            if let (Some((listener, _)), Some(body)) = (listener, body)
                && let Ok(data) = self.projections.event(definition, listener, &body)
            {
                let event_input = EventInput { listener, source: event.source.clone(), data };
                all.push(EarlyInput { event: event_input, until: event.until });
            }
        }
        all
    }
}

/// What came of an event for one definition.
#[allow(clippy::large_enum_variant, reason = "it lives for a moment, and is nearly always the large one")]
enum Listened {
    /// A saga took it, or keeps it; `raw`: the record itself is worth keeping in the journal.
    Taken { slot: super::table::Slot, id: Arc<str>, decided: crate::saga::Decided, raw: bool },
    /// It was not taken.
    Not(Change),
    /// Nobody waits for it.
    Nothing,
    /// It is for sagas of other versions.
    ByAnother,
}

pub(super) fn kept(origin: Origin<'_>, kind: &str, source: &str, until: Millis, event: &Event<'_>) -> KeptEvent {
    KeptEvent {
        topic: origin.topic.into(),
        kind: kind.into(),
        source: source.into(),
        until,
        schema: event.schema_key(),
        data: Data::new(event.body.bytes()),
    }
}
