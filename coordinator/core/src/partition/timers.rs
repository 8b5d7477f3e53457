//! What is due: a coarse wheel of live rows, fed from the store's due index by windows (PROTOCOL.md rule 11: answers before timers).

use std::collections::BTreeMap;
use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Cause, Change, Expired, TimerCause};
use ringmaster_schemas::state::{Index, RowKey};

use super::input::Halt;
use super::overlay::Slot;
use super::record::Move;
use super::{Context, Do, EXPIRY_BUCKET_MS, Partition, Phase, Tag};
use crate::faults::mutated;

/// Grain of the wheel: a timer fires at most this much late, and a tick's timers share one look at the inputs.
const TICK_MS: Millis = 16;
/// Rows due later than this are only in the store's index, so that parked sagas cost no memory.
const HORIZON_MS: Millis = 60_000;
/// Undeliverable effects are tried again this often.
const PARKED_RETRY_MS: Millis = 10_000;
/// And at most so many at once.
const PARKED_RETRY_MAX: usize = 100;

/// The wheel. A row has at most one place in it that counts ([`super::overlay::Entry::timer_at`]); moving a row's due time later costs
/// nothing until the old place comes up.
#[derive(Debug)]
pub(super) struct Timers {
    wheel: BTreeMap<i64, Vec<Item>>,
    /// The store's due index is in the wheel below this time.
    scanned_to: Millis,
    parked_tried_at: Millis,
}

impl Default for Timers {
    fn default() -> Self {
        Timers { wheel: BTreeMap::new(), scanned_to: Millis::MAX, parked_tried_at: 0 }
    }
}

#[derive(Debug)]
enum Item {
    /// A row in memory.
    Row(Slot, u32),
    /// A row in the store.
    Stored(Arc<str>),
}

impl Timers {
    fn insert(&mut self, due: Millis, item: Item) {
        self.wheel.entry(due.div_euclid(TICK_MS)).or_default().push(item);
    }

    /// When the next tick ends; `i64::MAX` if nothing waits.
    pub(super) fn next_due(&self) -> Millis {
        self.wheel.first_key_value().map_or(Millis::MAX, |(tick, _)| (tick + 1).saturating_mul(TICK_MS))
    }

    /// A row in memory is forgotten: its timer lives on by its id, or in the store's index if it is far.
    pub(super) fn evicted(&mut self, id: &Arc<str>, due: Millis) {
        if due < self.scanned_to {
            self.insert(due, Item::Stored(id.clone()));
        }
    }
}

impl Partition {
    /// Sees to it that the wheel looks at a row in time.
    pub(super) fn schedule(&mut self, slot: Slot) {
        let entry = self.overlay.entry_mut(slot);
        let due = entry.current.as_ref().map_or(Millis::MAX, |saga| saga.due_at());
        if due < entry.timer_at {
            entry.timer_at = due;
            let item = Item::Row(slot, entry.generation);
            self.timers.insert(due, item);
        }
    }

    /// After replay: what is due soon, from the store and from memory.
    pub(super) fn start_timers(&mut self, cx: &mut Context<'_>) -> Result<(), String> {
        self.timers = Timers { wheel: BTreeMap::new(), scanned_to: Millis::MIN, parked_tried_at: cx.now };
        self.scan_due(cx)?;
        let slots: Vec<Slot> = self.overlay.slots().collect();
        for slot in slots {
            self.overlay.entry_mut(slot).timer_at = Millis::MAX;
            self.schedule(slot);
        }
        Ok(())
    }

    fn scan_due(&mut self, cx: &mut Context<'_>) -> Result<(), String> {
        let to = cx.now.max(self.now) + HORIZON_MS;
        let (overlay, timers) = (&self.overlay, &mut self.timers);
        let from = timers.scanned_to;
        cx.rows.scan(Index::Due, from, to, &mut |due, key| {
            if let RowKey::Saga(id) = key
                && overlay.find(&id).is_none()
            {
                timers.insert(due, Item::Stored(id));
            }
        })?;
        self.timers.scanned_to = to;
        Ok(())
    }

    /// Fires what is due, if no answer to it can lie unread.
    fn fire_timers(&mut self, cx: &mut Context<'_>) -> Result<(), Halt> {
        if self.timers.scanned_to < cx.now + HORIZON_MS / 2 {
            self.scan_due(cx).map_err(Halt::Store)?;
        }
        let mut left = self.settings.limits.timers_per_poll_max;
        while let Some((&tick, _)) = self.timers.wheel.first_key_value() {
            let end = (tick + 1) * TICK_MS;
            if end > cx.now || left == 0 || self.overloaded() || !self.clear_up_to(end, cx) {
                break;
            }
            let mut items = self.timers.wheel.remove(&tick).expect("it was looked at");
            let later = items.split_off(items.len().min(left));
            left -= items.len();
            for item in items {
                self.fire(item, end, cx)?;
            }
            if !later.is_empty() {
                self.timers.wheel.insert(tick, later);
            }
        }
        Ok(())
    }

    /// True if no input stamped before `time` can be unread; asks for the logs' ends where that is not known.
    fn clear_up_to(&mut self, time: Millis, cx: &mut Context<'_>) -> bool {
        if mutated("timer_before_unread_reply") {
            return true;
        }
        let mut clear = !self.paused;
        for (index, input) in self.inputs.iter_mut().enumerate() {
            if input.clear_to < time {
                clear = false;
                if input.asked_at.is_none() && input.target.is_none() && input.reading {
                    input.asked_at = Some(cx.now);
                    cx.out.push(Do::AskInput(index));
                }
            }
        }
        clear
    }

    /// Looks at a row whose place in the wheel ended before `end`; up to there answers are known to be read. A row that is due later
    /// by now is not fired, however late it is: its answer may lie unread.
    fn fire(&mut self, item: Item, end: Millis, cx: &mut Context<'_>) -> Result<(), Halt> {
        let slot = match item {
            Item::Row(slot, generation) => {
                if self.overlay.entry(slot).generation != generation {
                    return Ok(());
                }
                self.overlay.entry_mut(slot).timer_at = Millis::MAX;
                slot
            }
            Item::Stored(id) => match self.find(&id, cx).map_err(Halt::Store)? {
                Some(slot) => slot,
                None => return Ok(()),
            },
        };
        let due = self.visible(slot).map_or(Millis::MAX, |saga| saga.due_at());
        if due < end {
            self.take_due(slot, due, cx)?;
        }
        self.schedule(slot);
        Ok(())
    }

    /// Finished sagas whose retention is over go by a turn of their own, so that every replay forgets them at the same place.
    pub(super) fn expire(&mut self, cx: &mut Context<'_>) {
        let now = self.turn_time(cx);
        let bucket = now.div_euclid(EXPIRY_BUCKET_MS) - 1;
        if bucket <= self.expired_bucket {
            return;
        }
        if mutated("expiry_unjournaled") {
            (self.expired_bucket, self.expired_bucket_confirmed) = (bucket, bucket);
            return;
        }
        let cause = Cause::Timer(TimerCause { due_at: (bucket + 1) * EXPIRY_BUCKET_MS });
        let fits = self.push_turn(&cause, None, &vec![Change::Expired(Expired { bucket })], cx);
        assert!(fits, "a turn of a few bytes fits into a record");
        self.expired_bucket = bucket;
        self.open.as_mut().expect("a turn was pushed").moves.push(Move::Expired(bucket));
    }

    /// Undeliverable effects are tried again now and then: their topic may be back.
    fn retry_parked(&mut self, cx: &mut Context<'_>) {
        if cx.now - self.timers.parked_tried_at < PARKED_RETRY_MS {
            return;
        }
        self.timers.parked_tried_at = cx.now;
        for parked in self.outgoing.parked().iter().filter(|parked| !parked.delivered).take(PARKED_RETRY_MAX) {
            cx.out.push(Do::Send(Tag::Parked(parked.number)));
        }
    }

    /// Ends a poll while stopping: what was decided goes on its way, nothing new begins.
    pub fn close(&mut self, cx: &mut Context<'_>) {
        if self.phase == Phase::Owning {
            self.close_record(cx);
        }
    }

    /// Ends a poll: timers, the record of its turns, and what nothing else carries.
    pub fn end_of_poll(&mut self, cx: &mut Context<'_>) {
        if self.phase != Phase::Owning {
            return;
        }
        if let Err(halt) = self.fire_timers(cx) {
            return self.halt(halt, cx);
        }
        self.expire(cx);
        self.retry_parked(cx);
        self.close_record(cx);
        self.quiet_records(cx);
        if self.overlay.bytes() >= self.settings.limits.overlay_bytes_max && self.overlay.dirty_count() == 0 {
            self.evict_stored();
        }
        let overloaded = self.overloaded();
        if overloaded != self.paused && (overloaded || self.relaxed()) {
            self.paused = overloaded;
            cx.counters.pauses += u64::from(overloaded);
            cx.out.push(Do::Pause(overloaded));
        }
    }

    /// Well below the bounds: inputs may go on.
    fn relaxed(&self) -> bool {
        let limits = &self.settings.limits;
        self.pending.len() <= limits.in_flight_records_max / 2
            && self.outgoing.len() <= limits.unreleased_effects_max / 2
            && self.overlay.bytes() <= limits.overlay_bytes_max / 4 * 3
    }
}
