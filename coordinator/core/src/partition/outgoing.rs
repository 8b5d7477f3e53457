//! Confirmed effects on their way: each is sent until the broker has it, and `released` says how far all are (PROTOCOL.md rules 5, 6).

use std::collections::VecDeque;

use ringmaster_schemas::state::{IndexKeys, OutboxEffect, RowChange, RowKey};

use crate::faults::mutated;
use crate::saga::Effect;

/// Why an effect was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The topic will not take it by itself: unknown, not authorised, too large.
    Permanent(String),
    /// It may go if it is sent again.
    Passing(String),
}

/// Effects of counting records in the journal's order, and those set apart.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    /// Number of the first in the queue, in this instance's life.
    base: u64,
    queue: VecDeque<Item>,
    waiting: usize,
    parked: Vec<Parked>,
    parked_count: u64,
    /// Stored effects that are not needed any more: their rows go with the next checkpoint.
    gone: Vec<RowKey>,
    /// An acknowledgement moved `released` and no record says so yet.
    pub(super) moved: bool,
}

#[derive(Debug)]
struct Item {
    offset: i64,
    index: i32,
    /// None once the broker has it, or it was set apart.
    effect: Option<Box<Effect>>,
    /// Its topic refuses for ever; the record that sets it apart is on its way.
    refused: bool,
    sent: bool,
    /// The store has a row of it.
    stored: bool,
}

#[derive(Debug)]
pub(super) struct Parked {
    pub(super) number: u64,
    pub(super) offset: i64,
    pub(super) index: i32,
    pub(super) effect: Box<Effect>,
    /// It was delivered after all; the record that says so is on its way.
    pub(super) delivered: bool,
    /// The store has a row of it.
    stored: bool,
    /// And that row says that it is set apart.
    stored_apart: bool,
}

impl Outgoing {
    /// Effects that are neither acknowledged nor set apart.
    pub(super) fn len(&self) -> usize {
        self.waiting
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Takes the effects of a confirmed record; the range of their numbers.
    pub(super) fn push(&mut self, offset: i64, effects: Vec<Effect>) -> std::ops::Range<u64> {
        let first = self.base + self.queue.len() as u64;
        self.waiting += effects.len();
        for (index, effect) in effects.into_iter().enumerate() {
            self.wait(offset, index as i32, Box::new(effect), false);
        }
        first..self.base + self.queue.len() as u64
    }

    fn wait(&mut self, offset: i64, index: i32, effect: Box<Effect>, stored: bool) {
        self.queue.push_back(Item { offset, index, effect: Some(effect), refused: false, sent: false, stored });
    }

    /// Takes an effect from the store.
    pub(super) fn restore(&mut self, offset: i64, index: i32, stored: OutboxEffect) {
        let effect = Box::new(Effect { topic: stored.topic, key: stored.key, value: stored.value, headers: stored.headers });
        if stored.undeliverable {
            self.set_apart(Parked { number: 0, offset, index, effect, delivered: false, stored: true, stored_apart: true });
        } else {
            self.waiting += 1;
            self.wait(offset, index, effect, true);
        }
    }

    fn set_apart(&mut self, parked: Parked) {
        self.parked_count += 1;
        self.parked.push(Parked { number: self.parked_count, ..parked });
    }

    /// While replaying: everything below is delivered.
    pub(super) fn release_below(&mut self, released: i64) {
        while let Some(front) = self.queue.front()
            && front.offset < released
        {
            self.waiting -= usize::from(front.effect.is_some());
            if front.stored {
                self.gone.push(RowKey::Outbox(front.offset, front.index));
            }
            self.queue.pop_front();
            self.base += 1;
        }
    }

    /// Numbers of all that wait to be sent.
    pub(super) fn waiting_numbers(&self) -> Vec<u64> {
        let waiting = |(i, item): (usize, &Item)| (item.effect.is_some() && !item.refused).then_some(self.base + i as u64);
        self.queue.iter().enumerate().filter_map(waiting).collect()
    }

    pub(super) fn effect(&mut self, number: u64) -> Option<&Effect> {
        let item = self.queue.get_mut(usize::try_from(number.checked_sub(self.base)?).ok()?)?;
        item.sent = true;
        if item.refused { None } else { item.effect.as_deref() }
    }

    pub(super) fn parked_effect(&self, number: u64) -> Option<&Effect> {
        self.parked.iter().find(|parked| parked.number == number && !parked.delivered).map(|parked| &*parked.effect)
    }

    /// The broker has it.
    pub(super) fn acknowledged(&mut self, number: u64) {
        let Some(place) = number.checked_sub(self.base) else { return };
        let Some(item) = self.queue.get_mut(place as usize) else { return };
        if item.effect.take().is_some() {
            self.waiting -= 1;
            if std::mem::take(&mut item.stored) {
                self.gone.push(RowKey::Outbox(item.offset, item.index));
            }
        }
        self.trim();
    }

    fn trim(&mut self) {
        while self.queue.front().is_some_and(|front| front.effect.is_none()) {
            self.queue.pop_front();
            self.base += 1;
            self.moved = true;
        }
    }

    /// Its topic refuses for ever; its place, if that was not known.
    pub(super) fn refuse(&mut self, number: u64) -> Option<(i64, i32)> {
        let item = self.queue.get_mut(usize::try_from(number.checked_sub(self.base)?).ok()?)?;
        if item.refused || item.effect.is_none() {
            return None;
        }
        item.refused = true;
        Some((item.offset, item.index))
    }

    /// Sets an effect apart: it holds nothing up any more.
    pub(super) fn park(&mut self, offset: i64, index: i32) {
        let place = self.queue.iter_mut().find(|item| item.offset == offset && item.index == index);
        if let Some(item) = place
            && let Some(effect) = item.effect.take()
        {
            let stored = std::mem::take(&mut item.stored);
            self.waiting -= 1;
            self.set_apart(Parked { number: 0, offset, index, effect, delivered: false, stored, stored_apart: false });
        }
        self.trim();
    }

    /// A parked effect was delivered; its place.
    pub(super) fn parked_acknowledged(&mut self, number: u64) -> Option<(i64, i32)> {
        let parked = self.parked.iter_mut().find(|parked| parked.number == number && !parked.delivered)?;
        parked.delivered = true;
        Some((parked.offset, parked.index))
    }

    /// Forgets a parked effect: the journal says that it was delivered.
    pub(super) fn unpark(&mut self, offset: i64, index: i32) {
        let is_it = |parked: &mut Parked| (parked.offset, parked.index) == (offset, index);
        let stored = self.parked.extract_if(.., is_it).filter(|parked| parked.stored);
        self.gone.extend(stored.map(|_| RowKey::Outbox(offset, index)));
    }

    pub(super) fn parked(&self) -> &[Parked] {
        &self.parked
    }

    /// Exclusive: every counting record below has all its effects acknowledged. `confirmed` is the offset behind the confirmed ones.
    pub(super) fn released(&self, confirmed: i64) -> i64 {
        if mutated("released_at_confirm") {
            return confirmed;
        }
        let first = if mutated("released_at_send") { self.queue.iter().find(|item| !item.sent) } else { self.queue.front() };
        first.map_or(confirmed, |item| item.offset)
    }

    /// The outbox as rows, as far as they differ from the stored ones; they count as stored from here on.
    pub(super) fn stage(&mut self, rows: &mut Vec<RowChange>) {
        let mut change = |key, value| rows.push(RowChange { key, value, before: IndexKeys::NONE, after: IndexKeys::NONE });
        self.gone.drain(..).for_each(|key| change(key, None));
        for item in self.queue.iter_mut().filter(|item| !item.stored) {
            if let Some(effect) = &item.effect {
                item.stored = true;
                change(RowKey::Outbox(item.offset, item.index), Some(row_of(effect, false)));
            }
        }
        for parked in self.parked.iter_mut().filter(|parked| !parked.stored_apart) {
            (parked.stored, parked.stored_apart) = (true, true);
            change(RowKey::Outbox(parked.offset, parked.index), Some(row_of(&parked.effect, true)));
        }
    }
}

fn row_of(effect: &Effect, undeliverable: bool) -> Vec<u8> {
    OutboxEffect {
        undeliverable,
        topic: effect.topic.clone(),
        key: effect.key.clone(),
        value: effect.value.clone(),
        headers: effect.headers.clone(),
    }
    .encode()
}
