//! Timers fire, and what the partition does by time beside them (PROTOCOL.md rule 11: answers before timers).

use ringmaster_schemas::Millis;
use ringmaster_schemas::state::{Index, RowKey};

use super::admission::Held;
use super::ahead::Move;
use super::owner::Owner;
use super::table::Slot;
use super::turn::Turn;
use super::wheel::{Item, TICK_MS};
use super::{Context, EXPIRY_BUCKET_MS, Tag, Why, Wish, law};
use crate::definition::Catalog;
use crate::faults::mutated;
use crate::saga::Input;

/// Rows due later than this are only in the store's index, so that waiting sagas cost no memory.
const HORIZON_MS: Millis = 60_000;
/// Effects that were set apart are tried again this often.
const UNDELIVERABLE_RETRY_MS: Millis = 10_000;
/// And at most so many at once.
const UNDELIVERABLE_RETRY_MAX: usize = 100;

impl Owner {
    /// How long until [`super::Happened::PollEnded`] has something to do without anything happening.
    pub(super) fn idle_ms(&self, clocks: super::clock::Clocks) -> Millis {
        if !self.ready.is_empty() && !self.overloaded() {
            return 0;
        }
        let due = self.timers.next_due().saturating_sub(self.clock.time(clocks)).max(0);
        due.min(self.drains.idle_ms(clocks.steady))
    }

    /// Sees to it that a wheel looks at a row in time.
    pub(super) fn schedule(&mut self, slot: Slot, catalog: &Catalog) {
        let due = self.current(slot).map_or(Millis::MAX, |saga| saga.due_at());
        if due < *self.timers.looks_at(slot) {
            *self.timers.looks_at(slot) = due;
            let row = self.replica.table.row(slot);
            if due == 0 && mutated("due_zero_dropped") {
                return;
            }
            if due == 0 {
                return self.ready.push_back((slot, row.generation));
            }
            let wheel = self.timers.wheel_of(&row.id, &self.settings.inputs, catalog);
            self.timers.insert(wheel, due, Item::Row(slot, row.generation));
        }
    }

    /// After replay: what is due soon, from the store and from memory.
    pub(super) fn start_timers(&mut self, cx: &Context<'_>) -> Result<(), Why> {
        self.timers.retry_at = cx.steady.saturating_add(UNDELIVERABLE_RETRY_MS);
        self.scan_due(cx)?;
        let slots: Vec<Slot> = self.replica.table.slots().collect();
        slots.into_iter().for_each(|slot| self.schedule(slot, cx.catalog));
        Ok(())
    }

    fn scan_due(&mut self, cx: &Context<'_>) -> Result<(), Why> {
        let to = self.clock.time(cx.clocks()) + HORIZON_MS;
        let (table, timers, inputs) = (&self.replica.table, &mut self.timers, &self.settings.inputs);
        let from = timers.scanned_to;
        let visit = &mut |due: i64, key: RowKey| {
            if let RowKey::Saga(id) = key
                && table.place(&id).is_none()
            {
                let wheel = timers.wheel_of(&id, inputs, cx.catalog);
                timers.insert(wheel, due, Item::Stored(id));
            }
            true
        };
        let scanned = cx.rows.scan(Index::Due, from, to, visit);
        scanned.map_err(|detail| self.unreadable(detail))?;
        self.timers.scanned_to = to;
        Ok(())
    }

    /// Fires what is due, if no answer to it can lie unread.
    pub(super) fn fire_timers(&mut self, cx: &mut Context<'_>) -> Result<(), Why> {
        self.note_jump(cx);
        let now = self.clock.time(cx.clocks());
        if self.timers.scanned_to < now + HORIZON_MS / 2 {
            self.scan_due(cx)?;
        }
        let mut left = self.settings.limits.timers_per_poll_max;
        for wheel in 0..self.timers.wheels.len() {
            self.fire_wheel(wheel, now, &mut left, cx)?;
        }
        Ok(())
    }

    fn fire_wheel(&mut self, wheel: usize, now: Millis, left: &mut usize, cx: &mut Context<'_>) -> Result<(), Why> {
        while let Some((&tick, _)) = self.timers.wheels[wheel].ticks.first_key_value() {
            let end = (tick + 1) * TICK_MS;
            if end > now || *left == 0 || self.overloaded() {
                break;
            }
            if self.timers.wheels[wheel].swept != Some(tick) {
                self.sweep(wheel, tick, end, cx.catalog);
                continue;
            }
            self.timers.wheels[wheel].held = !self.answers_are_read(wheel, end, now, cx);
            if self.timers.wheels[wheel].held {
                break;
            }
            let mut items = self.timers.wheels[wheel].ticks.remove(&tick).expect("it was looked at");
            let later = items.split_off(items.len().min(*left));
            *left -= items.len();
            for item in items {
                self.fire(item, end, cx)?;
            }
            if !later.is_empty() {
                self.timers.wheels[wheel].ticks.entry(tick).or_default().extend(later);
            }
        }
        Ok(())
    }

    /// Takes what is not due any more out of a tick, so that no look at the inputs is asked for its sake.
    fn sweep(&mut self, wheel: usize, tick: i64, end: Millis, catalog: &Catalog) {
        let items = self.timers.wheels[wheel].ticks.remove(&tick).expect("it was looked at");
        let mut kept = Vec::with_capacity(items.len());
        for item in items {
            let slot = match &item {
                Item::Row(slot, generation) if self.replica.table.row(*slot).generation != *generation => continue,
                Item::Row(slot, _) => Some(*slot),
                Item::Stored(id) => self.replica.table.place(id),
            };
            match slot {
                Some(slot) if self.due_at(slot) >= end => {
                    if matches!(item, Item::Row(..)) {
                        *self.timers.looks_at(slot) = Millis::MAX;
                    }
                    self.schedule(slot, catalog);
                }
                Some(_) | None => kept.push(item),
            }
        }
        self.timers.wheels[wheel].swept = Some(tick);
        if !kept.is_empty() {
            self.timers.wheels[wheel].ticks.insert(tick, kept);
        }
    }

    /// True if nothing that these inputs held before `due` is unread; asks for the logs' ends where that is not known. What a record's
    /// stamp says is no proof: producers stamp as they like, and a record behind it may be older.
    fn answers_are_read(&mut self, wheel: usize, due: Millis, now: Millis, cx: &mut Context<'_>) -> bool {
        let mut read = self.held != Held::All;
        for place in 0..self.timers.wheels[wheel].inputs.len() {
            let index = self.timers.wheels[wheel].inputs[place];
            if self.is_held_start(index) || self.inputs[index].unread {
                continue;
            }
            let input = &mut self.inputs[index];
            if !law::answers_are_read(due, input.clear_to) {
                read = false;
                if input.may_ask() {
                    input.asked_at = Some(now);
                    cx.out.push(Wish::AskInput(index));
                }
            }
        }
        read
    }

    /// Looks at a row whose place in the wheel ended before `end`; up to there answers are known to be read. A row that is due later
    /// by now is not fired, however late it is: its answer may lie unread.
    fn fire(&mut self, item: Item, end: Millis, cx: &mut Context<'_>) -> Result<(), Why> {
        let (slot, is_loaded) = match item {
            Item::Row(slot, generation) if self.replica.table.row(slot).generation != generation => return Ok(()),
            Item::Row(slot, _) => {
                *self.timers.looks_at(slot) = Millis::MAX;
                (slot, false)
            }
            Item::Stored(id) => {
                let is_loaded = self.replica.table.place(&id).is_none();
                match self.find(&id, || id.clone(), cx)? {
                    Some(slot) => (slot, is_loaded),
                    None => return Ok(()),
                }
            }
        };
        let due = self.due_at(slot);
        if due < end && self.waits_for_later(slot, end, cx) {
            return Ok(());
        }
        if due < end
            && let Some(turn) = self.decide_at(slot, &Input::Due, Turn::by_time(due), cx)?
        {
            cx.counters.timers += 1;
            self.push_or_fail(turn, None, cx)?;
        }
        if is_loaded && due >= end {
            // Only looked at: most of those ended since they left memory.
            self.evict(slot);
        } else {
            self.schedule(slot, cx.catalog);
        }
        Ok(())
    }

    /// All that is due of a saga is taken in one turn. Where some of that became due later than its answers are known to be read, the turn
    /// waits until they are.
    fn waits_for_later(&mut self, slot: Slot, end: Millis, cx: &Context<'_>) -> bool {
        let now = self.turn_time(cx);
        let last = self.visible(slot).and_then(|saga| saga.last_due(now)).filter(|last| *last >= end);
        let Some(last) = last.filter(|_| !mutated("due_later_not_awaited")) else { return false };
        let row = self.replica.table.row(slot);
        let wheel = self.timers.wheel_of(&row.id, &self.settings.inputs, cx.catalog);
        self.timers.insert(wheel, last, Item::Row(slot, row.generation));
        *self.timers.looks_at(slot) = last;
        true
    }

    /// Finished sagas whose retention is over go by a turn of their own, so that every replay forgets them at the same place. A jump of
    /// the wall clock forward forgets nothing: what is forgotten could run again.
    pub(super) fn expire(&mut self, cx: &mut Context<'_>) {
        let bucket = self.clock.trusted(cx.clocks()).div_euclid(EXPIRY_BUCKET_MS) - 1;
        if bucket <= self.ahead.expired {
            return;
        }
        if law::expiry_is_journaled() {
            self.push_small(Turn::upkeep(Move::Expired(bucket)), cx);
        } else {
            (self.ahead.expired, self.replica.expired) = (bucket, bucket);
        }
    }

    /// Effects that were set apart are tried again now and then: their topic may be back.
    pub(super) fn retry_undeliverable(&mut self, cx: &mut Context<'_>) {
        if cx.steady < self.timers.retry_at {
            return;
        }
        self.timers.retry_at = cx.steady.saturating_add(UNDELIVERABLE_RETRY_MS);
        let waiting = self.replica.outbox.apart().iter().map(|apart| apart.number);
        for number in waiting.filter(|number| !self.ahead.delivered.contains(number)).take(UNDELIVERABLE_RETRY_MAX) {
            cx.out.push(Wish::Send(Tag::Undeliverable(number)));
        }
    }
}
