//! Values by which events are matched (PROTOCOL.md section 4): events go to their value's own row, and letters between that and whoever
//! waits.

use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{
    Change, KeptEvent, Letter, Place, QuarantineReason, ValueAnswer, ValueClaim, ValueEvent, ValueName,
};
use ringmaster_schemas::names;

use super::input::{NoTurn, elsewhere, rejected};
use super::listen::kept;
use super::owner::Owner;
use super::table::Slot;
use super::taken::Taken;
use super::turn::Turn;
use super::{Context, Why};
use crate::definition::Definition;
use crate::faults::mutated;
use crate::intake::{Event, Origin, Refused};
use crate::saga::{ClaimInput, ClaimNews, Input, ROW_DATA_BYTES_MAX, ValueInput, decide_value, goes_back};

/// A wait that has claimed a value.
struct Claimant<'c> {
    slot: Slot,
    place: Place,
    at: Millis,
    definition: &'c Definition,
    /// What its wait listens to; none for a saga's own value.
    listener: Option<u16>,
}

/// A value that an event has.
pub(super) struct MatchedValue {
    /// Of which of its fields.
    field: Arc<str>,
    pub(super) value: String,
    /// How long it is kept until somebody waits for it.
    keep_ms: Millis,
}

impl Owner {
    /// What a record means that says of itself that it is a letter; none if it means nothing any more.
    #[inline(never)]
    pub(super) fn take_letter_record<'a>(&mut self, taken: Taken<'_, 'a>, cx: &Context<'_>) -> Result<Option<Turn<'a>>, NoTurn> {
        let letter = Letter::decode(taken.record.value.unwrap_or_default()).map_err(|error| {
            let detail = format!("only coordinators write letters, and this is none of theirs: {error}");
            Refused::new(QuarantineReason::Undecodable, detail, None)
        })?;
        self.take_letter(taken, letter, cx)
    }

    /// What a letter of another partition means here; none if it means nothing any more.
    fn take_letter<'a>(&mut self, taken: Taken<'_, 'a>, letter: Letter, cx: &Context<'_>) -> Result<Option<Turn<'a>>, NoTurn> {
        let turn = taken.turn();
        match letter {
            Letter::Claim(claim) => {
                let id = claim.name.id().into();
                Ok(self.value_turn(&id, &ValueInput::Claim(Arc::new(claim)), turn, cx)?)
            }
            Letter::Release(release) => {
                let id = release.name.id().into();
                Ok(self.value_turn(&id, &ValueInput::Release(Arc::new(release)), turn, cx)?)
            }
            Letter::Given(claim) => match self.claimant((&claim.row, claim.place, claim.at), cx)? {
                Some(claimant) => self.news_of_claim(claimant, ClaimNews::Granted, turn, cx),
                None if mutated("value_given_to_nobody") => Ok(None),
                // It has ended, was swept, is forgotten: its release is remembered no more, or comes late.
                None => {
                    let slot = self.find(&claim.row, || claim.row.clone(), cx)?;
                    let row = slot.and_then(|slot| self.visible(slot)).cloned();
                    Ok(Some(turn.with(Change::ValueReturned(goes_back(claim, row.as_deref())))))
                }
            },
            Letter::Answer(ValueAnswer { row, place, at, granted }) => match self.claimant((&row, place, at), cx)? {
                Some(claimant) => {
                    let news = if granted { ClaimNews::Granted } else { ClaimNews::Denied };
                    self.news_of_claim(claimant, news, turn, cx)
                }
                None => Ok(None),
            },
            Letter::Event(ValueEvent { row, place, at, event }) => match self.claimant((&row, place, at), cx)? {
                Some(claimant) => self.brought_event(taken, claimant, &event, turn, cx),
                None => Ok(None),
            },
        }
    }

    /// An event comes to the wait that has its value. One that its version cannot read is kept with the reason, and was looked at.
    fn brought_event<'a>(
        &mut self,
        taken: Taken<'_, 'a>,
        claimant: Claimant<'_>,
        event: &KeptEvent,
        turn: Turn<'a>,
        cx: &Context<'_>,
    ) -> Result<Option<Turn<'a>>, NoTurn> {
        // A saga that claims one of its own values listens to nothing.
        let Some(listener) = claimant.listener else { return Ok(None) };
        let source = event.source.clone();
        match self.projections.kept(claimant.definition, listener, event, cx.schemas) {
            Ok(data) => self.news_of_claim(claimant, ClaimNews::Event { source, data }, turn, cx),
            // Others may know the schema when it comes to them.
            Err(refused) if refused.reason == QuarantineReason::UnknownSchema => Err(refused.into()),
            Err(refused) => {
                let quarantined = Change::Quarantined(self.quarantined(&taken, &refused, cx));
                let cause = turn.cause.clone();
                let turn = self.news_of_claim(claimant, ClaimNews::Unreadable { source }, turn, cx)?;
                Ok(Some(turn.unwrap_or_else(|| Turn::of(cause)).with(quarantined)))
            }
        }
    }

    /// The wait that has made a claim; none if it is not there any more.
    fn claimant<'c>(
        &mut self,
        (row, place, at): (&Arc<str>, Place, Millis),
        cx: &Context<'c>,
    ) -> Result<Option<Claimant<'c>>, Why> {
        let Some(slot) = self.find(row, || row.clone(), cx)? else { return Ok(None) };
        let Some(saga) = self.visible(slot).filter(|saga| saga.claim_at(place).is_some_and(|claim| claim.at == at)) else {
            return Ok(None);
        };
        let definition = self.definition_of(saga, cx)?;
        let node = saga.entry(place).and_then(|entry| definition.node(entry.node));
        let listener = node.and_then(|node| node.verb.listens()).map(|(listener, _)| listener);
        Ok(Some(Claimant { slot, place, at, definition, listener }))
    }

    /// What is new for a wait that has claimed a value.
    fn news_of_claim<'a>(
        &mut self,
        claimant: Claimant<'_>,
        news: ClaimNews,
        turn: Turn<'a>,
        cx: &Context<'_>,
    ) -> Result<Option<Turn<'a>>, NoTurn> {
        let Claimant { slot, place, at, .. } = claimant;
        Ok(self.decide_at(slot, &Input::Claim(ClaimInput { place, at, news }), turn, cx)?)
    }

    /// Of a letter: the wait that it answers whether that has its value, if it does. What follows on an answer is its saga's, which fails where it
    /// fits into no record; of any other letter it is the letter that does not fit.
    pub(super) fn letter_answers(taken: &Taken<'_, '_>) -> Option<Option<Place>> {
        let value = taken.record.value.filter(|value| taken.is_read() && Letter::is_one(value))?;
        match Letter::decode(value).ok()? {
            Letter::Answer(ValueAnswer { place, .. }) | Letter::Given(ValueClaim { place, .. }) => Some(Some(place)),
            Letter::Claim(_) | Letter::Release(_) | Letter::Event(_) => Some(None),
        }
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
        let (values, refused) = self.values_of((origin.topic, kind), event, cx);
        self.unexpected +=
            u64::from(values.is_empty() && refused.is_empty() && !cx.catalog.matching_on(origin.topic, kind).is_empty());
        // What cannot be routed its router has said.
        for refused in refused.iter().filter(|_| taken.tells()) {
            turn = turn.with(Change::Quarantined(self.quarantined(&taken, refused, cx)));
        }
        let bytes = event.body.bytes().len();
        let mut too_big = (bytes > ROW_DATA_BYTES_MAX).then(|| {
            let detail = format!(
                "an event of {bytes} bytes fits into no row: one that is known by a value has at most {ROW_DATA_BYTES_MAX}"
            );
            Refused::new(QuarantineReason::TooBig, detail, event.fingerprint())
        });
        let fits = too_big.is_none();
        for one in &values {
            let home = names::partition_of(one.value.as_bytes(), self.settings.partitions);
            let is_here = home == self.settings.number;
            if is_here && fits {
                turn = self.at_value(one, (kind, event), origin, turn, cx)?;
                continue;
            }
            let why = match is_here {
                // Once, however many of its values lie here.
                true => too_big.take(),
                false => taken.is_read().then(|| elsewhere(&one.value, home, &self.settings, origin.topic, event)),
            };
            if let Some(refused) = why {
                turn = turn.with(Change::Quarantined(self.quarantined(&taken, &refused, cx)));
            }
        }
        Ok(turn)
    }

    /// The values that an event has, each once, by all versions: one that reads a field differently keeps nothing from the others. And for each field
    /// that no version can read why. Who routes an event and who takes it reckon it by this alone.
    pub(super) fn values_of(
        &mut self,
        (topic, kind): (&str, &str),
        event: &Event<'_>,
        cx: &Context<'_>,
    ) -> (Vec<MatchedValue>, Vec<Refused>) {
        let (mut values, mut refused): (Vec<MatchedValue>, Vec<(Arc<str>, Refused)>) = (Vec::new(), Vec::new());
        let mut is_read: Vec<Arc<str>> = Vec::new();
        let now = self.turn_time(cx);
        for one in cx.catalog.matching_on(topic, kind) {
            match self.projections.matched(&one.definition, one.listener, event, now) {
                Ok(found) => {
                    is_read.push(one.field.clone());
                    // One without a value is for nobody.
                    let Some(value) = found else { continue };
                    match values.iter_mut().find(|known| known.field == one.field && known.value == value) {
                        Some(known) => known.keep_ms = known.keep_ms.max(one.keep_ms),
                        None => values.push(MatchedValue { field: one.field.clone(), value, keep_ms: one.keep_ms }),
                    }
                }
                Err(why) => refused.push((one.field.clone(), why)),
            }
        }
        let mut all: Vec<Refused> = Vec::new();
        for (field, why) in refused {
            if !is_read.contains(&field) {
                is_read.push(field);
                all.push(why);
            }
        }
        (values, all)
    }

    fn at_value<'a>(
        &mut self,
        one: &MatchedValue,
        (kind, event): (&str, &Event<'_>),
        origin: Origin<'_>,
        mut turn: Turn<'a>,
        cx: &Context<'_>,
    ) -> Result<Turn<'a>, Why> {
        let now = self.turn_time(cx);
        let (topic, kind_name) = (Arc::from(origin.topic), Arc::from(kind));
        let name = ValueName { topic, kind: kind_name, field: one.field.clone(), value: one.value.as_str().into() };
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
