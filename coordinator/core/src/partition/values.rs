//! Values by which events are matched (PROTOCOL.md section 4): events go to their value's own row, and letters between that and whoever
//! waits.

use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Cause, Change, KeptEvent, Letter, Place, ValueEvent, ValueName};
use ringmaster_schemas::names;

use super::input::{NoTurn, Taken, elsewhere, rejected};
use super::listen::kept;
use super::owner::Owner;
use super::table::Slot;
use super::turn::Turn;
use super::{Context, Why};
use crate::definition::Definition;
use crate::definition::Matching;
use crate::intake::{Event, Origin};
use crate::saga::{ClaimInput, ClaimNews, Input, ValueInput, decide_value};

impl Owner {
    /// What a letter of another partition means here; none if it means nothing any more.
    pub(super) fn take_letter<'a>(
        &mut self,
        (index, next): (usize, i64),
        letter: Letter,
        cx: &Context<'_>,
    ) -> Result<Option<Turn<'a>>, NoTurn> {
        let turn = Turn::of(Cause::Input { topic: index as i32, next });
        match letter {
            Letter::Claim(claim) => {
                let id = claim.name.id().into();
                Ok(self.value_turn(&id, &ValueInput::Claim(Arc::new(claim)), turn, cx)?)
            }
            Letter::Release(release) => {
                let id = release.name.id().into();
                Ok(self.value_turn(&id, &ValueInput::Release(Arc::new(release)), turn, cx)?)
            }
            Letter::Answer(answer) => {
                let news = if answer.granted { ClaimNews::Granted } else { ClaimNews::Denied };
                self.news_of_claim((&answer.row, answer.place, answer.at), turn, cx, |_, _| Ok(Some(news)))
            }
            Letter::Event(ValueEvent { row, place, at, event }) => {
                let schemas = cx.schemas;
                self.news_of_claim((&row, place, at), turn, cx, |owner, (definition, listener)| {
                    let Some(listener) = listener else { return Ok(None) };
                    let data = owner.projections.kept(definition, listener, &event, schemas)?;
                    Ok(Some(ClaimNews::Event { source: event.source.clone(), data }))
                })
            }
        }
    }

    /// What is new for a wait that has claimed a value.
    fn news_of_claim<'a>(
        &mut self,
        (row, place, at): (&Arc<str>, Place, Millis),
        turn: Turn<'a>,
        cx: &Context<'_>,
        news: impl FnOnce(&mut Owner, (&Definition, Option<u16>)) -> Result<Option<ClaimNews>, NoTurn>,
    ) -> Result<Option<Turn<'a>>, NoTurn> {
        let Some(slot) = self.find(row, || row.clone(), cx)? else { return Ok(None) };
        let Some(saga) = self.visible(slot).filter(|saga| saga.claim_at(place).is_some_and(|claim| claim.at == at)).cloned() else {
            return Ok(None);
        };
        let definition = self.definition_of(&saga, cx)?;
        let node = saga.entry(place).and_then(|entry| definition.node(entry.node));
        // A saga that claims one of its own values listens to nothing.
        let listener = node.and_then(|node| node.verb.listens()).map(|(listener, _)| listener);
        let Some(news) = news(self, (definition, listener))? else { return Ok(None) };
        Ok(self.decide_at(slot, &Input::Claim(ClaimInput { place, at, news }), turn, cx)?)
    }

    /// What an input means for the row of a value, added to a turn; none if it means nothing.
    fn value_turn<'a>(
        &mut self,
        id: &Arc<str>,
        input: &ValueInput,
        mut turn: Turn<'a>,
        cx: &Context<'_>,
    ) -> Result<Option<Turn<'a>>, Why> {
        let found = self.find(id, || id.clone(), cx)?;
        let row = found.and_then(|slot| self.remembered(slot)).cloned();
        match decide_value(id, row.as_ref(), input, self.turn_time(cx)) {
            Ok(decided) if decided.events.is_empty() => Ok(None),
            Ok(decided) => {
                let slot = found.unwrap_or_else(|| self.replica.table.insert(id.clone()));
                turn.saga(slot, id.clone(), decided.events, decided.saga);
                Ok(Some(turn))
            }
            Err(rejection) => Ok(Some(turn.with(rejected(id, rejection)))),
        }
    }

    /// Something of a value's row is due.
    pub(super) fn value_due<'a>(&mut self, slot: Slot, turn: Turn<'a>, cx: &Context<'_>) -> Result<Option<Turn<'a>>, Why> {
        let id = self.replica.table.row(slot).id.clone();
        self.value_turn(&id, &ValueInput::Due, turn, cx)
    }

    /// An event goes to the rows of its values that lie here.
    #[inline(never)]
    pub(super) fn take_matched<'a>(
        &mut self,
        taken: Taken<'_, 'a>,
        (kind, event): (&str, &Event<'_>),
        origin: Origin<'_>,
        mut turn: Turn<'a>,
        cx: &Context<'_>,
    ) -> Result<Turn<'a>, NoTurn> {
        for one in cx.catalog.matching_on(origin.topic, kind) {
            let found = self.projections.matched(&one.definition, one.listener, event, self.turn_time(cx));
            let value = match found {
                Ok(Some(value)) => value,
                // It has no value that anybody could wait for.
                Ok(None) => {
                    self.unexpected += 1;
                    continue;
                }
                // What cannot be routed its router has said.
                Err(_) if taken.routed.is_some() => continue,
                Err(refused) => {
                    let quarantined = self.quarantined(&taken, &refused, cx);
                    turn = turn.with(Change::Quarantined(quarantined));
                    continue;
                }
            };
            let home = names::partition_of(value.as_bytes(), self.settings.partitions);
            if home == self.settings.number {
                turn = self.at_value(one, &value, (kind, event), origin, turn, cx)?;
            } else if taken.routed.is_none() {
                let refused = elsewhere(&value, home, &self.settings, origin.topic, event);
                let quarantined = self.quarantined(&taken, &refused, cx);
                turn = turn.with(Change::Quarantined(quarantined));
            }
        }
        Ok(turn)
    }

    fn at_value<'a>(
        &mut self,
        one: &Matching,
        value: &str,
        (kind, event): (&str, &Event<'_>),
        origin: Origin<'_>,
        mut turn: Turn<'a>,
        cx: &Context<'_>,
    ) -> Result<Turn<'a>, Why> {
        let now = self.turn_time(cx);
        let (topic, kind_name) = (Arc::from(origin.topic), Arc::from(kind));
        let name = ValueName { topic, kind: kind_name, field: one.field.clone(), value: value.into() };
        let id: Arc<str> = name.id().into();
        let found = self.find(&id, || id.clone(), cx)?;
        let row = found.and_then(|slot| self.remembered(slot)).cloned();
        let has_holder = row.as_ref().and_then(|row| row.mailbox()).is_some_and(|mailbox| mailbox.holder.is_some());
        // One that is read again, long after it came, is for somebody who has been.
        let until = event.time.map_or(now, |time| time.min(now)).saturating_add(one.keep_ms);
        if until <= now && !has_holder {
            self.unexpected += 1;
            return Ok(turn);
        }
        let mut source = String::new();
        event.put_identity(origin, &mut source);
        let event: KeptEvent = kept(origin, kind, &source, until.max(now), event);
        match decide_value(&id, row.as_ref(), &ValueInput::Event(Arc::new(event)), now) {
            Ok(decided) => {
                let slot = found.unwrap_or_else(|| self.replica.table.insert(id.clone()));
                turn.saga(slot, id, decided.events, decided.saga);
                Ok(turn)
            }
            Err(rejection) => Ok(turn.with(rejected(&id, rejection))),
        }
    }
}
