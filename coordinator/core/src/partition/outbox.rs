//! The outbox: effects of counting records until the broker has them, and those set apart because their topic refuses (PROTOCOL.md
//! rules 5, 6).

use std::collections::VecDeque;

use bytes::Bytes;
use ringmaster_schemas::Millis;
use ringmaster_schemas::state::{Header, OutboxEffect, RowChange, RowKey, RowKind};

use super::{Rows, law};
use crate::saga::Effect;

/// Why an effect was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The topic will not take it by itself: unknown, not authorised, too large.
    Permanent(String),
    /// It may go if it is sent again.
    Passing(String),
}

/// An effect's place: the offset of the record that caused it, and which of its effects it is.
pub(super) type Place = (i64, i32);

/// Effects of counting records in the journal's order, and those set apart.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Number of the first in the queue, in this instance's life.
    base: u64,
    queue: VecDeque<Waiting>,
    /// How many of the queue the broker does not have.
    waiting: usize,
    /// Bytes of those.
    bytes: usize,
    apart: Vec<Apart>,
    apart_count: u64,
    /// Stored effects that are not needed any more: their rows go with the next checkpoint.
    gone: Vec<RowKey>,
    /// An acknowledgement moved `released` and no record says so yet.
    pub(super) moved: bool,
    /// Of own records that caused something: the number behind their last effect, and when they were decided, by the steady clock.
    decided: VecDeque<(u64, Millis)>,
}

#[derive(Debug)]
struct Waiting {
    place: Place,
    /// None once the broker has it, or it was set apart.
    effect: Option<Effect>,
    #[cfg_attr(not(feature = "faults"), allow(dead_code, reason = "only a broken rule asks"))]
    sent: bool,
    /// The store has a row of it.
    stored: bool,
}

/// An effect that was set apart.
#[derive(Debug)]
pub(super) struct Apart {
    pub(super) number: u64,
    pub(super) place: Place,
    effect: Effect,
    /// The store has a row of it.
    stored: bool,
    /// And that row says that it is set apart.
    stored_apart: bool,
}

impl Outbox {
    /// What the store holds.
    pub(super) fn restore(rows: &dyn Rows) -> Result<Outbox, String> {
        let (mut outbox, mut failed) = (Outbox::default(), None);
        if law::outbox_is_stored() {
            rows.rows(RowKind::Outbox, &mut |key, row| match (&key, OutboxEffect::decode(row)) {
                (RowKey::Outbox(offset, index), Ok(effect)) => outbox.restore_one((*offset, *index), effect),
                (_, Ok(_)) => failed = Some(format!("{key} lies among the effects")),
                (_, Err(error)) => failed = Some(format!("the row of {key}: {error}")),
            })?;
        }
        failed.map_or(Ok(outbox), |why| Err(rows.damaged(why)))
    }

    fn restore_one(&mut self, place: Place, stored: OutboxEffect) {
        let write = |value: &mut Vec<u8>| value.extend_from_slice(&stored.value);
        let mut effect = Effect::new(stored.topic, &stored.key, stored.value.len(), write);
        stored.headers.iter().for_each(|header| effect.add_header(&header.name, &[&header.value]));
        if stored.undeliverable {
            self.put_apart(Apart { number: 0, place, effect, stored: true, stored_apart: true });
        } else {
            self.wait(place, effect, true);
        }
    }

    fn wait(&mut self, place: Place, effect: Effect, stored: bool) {
        self.waiting += 1;
        self.bytes += effect.held_bytes();
        self.queue.push_back(Waiting { place, effect: Some(effect), sent: false, stored });
    }

    fn put_apart(&mut self, apart: Apart) {
        self.apart_count += 1;
        self.apart.push(Apart { number: self.apart_count, ..apart });
    }

    /// Effects that are neither acknowledged nor set apart.
    pub(super) fn len(&self) -> usize {
        self.waiting
    }

    /// What they take in memory.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// One of the queue waits no more, if it did.
    fn done(&mut self, effect: Option<&Effect>) {
        self.waiting -= usize::from(effect.is_some());
        self.bytes -= effect.map_or(0, Effect::held_bytes);
    }

    /// Takes the effects of a counting record; the range of their numbers.
    pub(super) fn push(&mut self, offset: i64, effects: Vec<Effect>) -> std::ops::Range<u64> {
        let first = self.base + self.queue.len() as u64;
        for (effect, index) in effects.into_iter().zip(0..) {
            self.wait((offset, index), effect, false);
        }
        first..self.base + self.queue.len() as u64
    }

    /// The journal says that everything below is delivered.
    pub(super) fn release_below(&mut self, released: i64) {
        while let Some(front) = self.queue.front_mut()
            && front.place.0 < released
        {
            let effect = front.effect.take();
            if front.stored {
                self.gone.push(RowKey::Outbox(front.place.0, front.place.1));
            }
            self.done(effect.as_ref());
            self.leave();
        }
    }

    /// What was pushed up to this number (exclusive) was decided then.
    pub(super) fn decided(&mut self, behind: u64, at: Millis) {
        self.decided.push_back((behind, at));
    }

    /// When a record was decided of which nothing waits any more; each is told once, in their order.
    pub(super) fn pop_released(&mut self) -> Option<Millis> {
        let (_, at) = self.decided.front().copied().filter(|(behind, _)| *behind <= self.base)?;
        self.decided.pop_front();
        Some(at)
    }

    /// The oldest leaves; the others keep their numbers.
    fn leave(&mut self) {
        self.queue.pop_front();
        self.base += 1;
    }

    /// Numbers of all that wait to be sent.
    pub(super) fn waiting_numbers(&self) -> Vec<u64> {
        let numbered = self.queue.iter().zip(self.base..);
        numbered.filter_map(|(item, number)| item.effect.is_some().then_some(number)).collect()
    }

    fn item(&mut self, number: u64) -> Option<&mut Waiting> {
        self.queue.get_mut(usize::try_from(number.checked_sub(self.base)?).ok()?)
    }

    /// An effect that is about to be sent; none if it needs no sending any more.
    pub(super) fn effect(&mut self, number: u64) -> Option<&Effect> {
        let item = self.item(number)?;
        item.sent = true;
        item.effect.as_ref()
    }

    /// The place of an effect that waits.
    pub(super) fn place(&mut self, number: u64) -> Option<Place> {
        self.item(number).filter(|item| item.effect.is_some()).map(|item| item.place)
    }

    /// The broker has it.
    pub(super) fn acknowledged(&mut self, number: u64) {
        let Some(item) = self.item(number) else { return };
        if let Some(effect) = item.effect.take() {
            let stored = std::mem::take(&mut item.stored).then_some(RowKey::Outbox(item.place.0, item.place.1));
            self.done(Some(&effect));
            self.gone.extend(stored);
        }
        self.trim();
    }

    fn trim(&mut self) {
        while self.queue.front().is_some_and(|front| front.effect.is_none()) {
            self.leave();
            self.moved = true;
        }
    }

    /// Sets an effect apart: it holds nothing up any more.
    pub(super) fn set_apart(&mut self, place: Place) {
        if let Some(item) = self.queue.iter_mut().find(|item| item.place == place)
            && let Some(effect) = item.effect.take()
        {
            let stored = std::mem::take(&mut item.stored);
            self.done(Some(&effect));
            self.put_apart(Apart { number: 0, place, effect, stored, stored_apart: false });
        }
        self.trim();
    }

    /// Forgets an effect that was set apart: the journal says that it was delivered.
    pub(super) fn delivered(&mut self, place: Place) {
        let gone = self.apart.extract_if(.., |apart| apart.place == place).filter(|apart| apart.stored);
        self.gone.extend(gone.map(|apart| RowKey::Outbox(apart.place.0, apart.place.1)));
    }

    /// Those set apart.
    pub(super) fn apart(&self) -> &[Apart] {
        &self.apart
    }

    /// One of them.
    pub(super) fn effect_apart(&self, number: u64) -> Option<(Place, &Effect)> {
        self.apart.iter().find(|apart| apart.number == number).map(|apart| (apart.place, &apart.effect))
    }

    /// Offset of the record of the first effect that the broker does not have.
    pub(super) fn first_waiting(&self) -> Option<i64> {
        self.queue.front().map(|item| item.place.0)
    }

    /// Offset of the record of the first effect that was not sent.
    #[cfg(feature = "faults")]
    pub(super) fn first_unsent(&self) -> Option<i64> {
        self.queue.iter().find(|item| !item.sent).map(|item| item.place.0)
    }

    /// The outbox as rows, as far as they differ from the stored ones; they count as stored from here on.
    pub(super) fn stage(&mut self, rows: &mut Vec<RowChange>) {
        let mut change = |key, value| rows.push(RowChange::plain(key, value));
        self.gone.drain(..).for_each(|key| change(key, None));
        for item in self.queue.iter_mut().filter(|item| !item.stored) {
            if let Some(effect) = &item.effect {
                item.stored = true;
                change(RowKey::Outbox(item.place.0, item.place.1), Some(row_of(effect, false)));
            }
        }
        for apart in self.apart.iter_mut().filter(|apart| !apart.stored_apart) {
            (apart.stored, apart.stored_apart) = (true, true);
            change(RowKey::Outbox(apart.place.0, apart.place.1), Some(row_of(&apart.effect, true)));
        }
    }
}

fn row_of(effect: &Effect, undeliverable: bool) -> Vec<u8> {
    OutboxEffect {
        undeliverable,
        topic: effect.topic.clone(),
        key: Bytes::copy_from_slice(effect.key()),
        value: Bytes::copy_from_slice(effect.value()),
        headers: effect.headers().map(|(name, value)| Header { name: name.into(), value: value.into() }).collect(),
    }
    .encode()
}
