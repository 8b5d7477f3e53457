//! What may come in: how full the partition is, and which inputs are held for it.
//!
//! What was begun comes first: while the worker is behind, nothing new begins. Sagas that are half done hold goods and money, and cost
//! memory and checkpoints; what has not begun waits in its topic for nothing.
//!
//! Beside that there are two bounds, one above the other. At the lower one nothing new begins, and what was begun goes on: its rows may still grow, sagas end,
//! and there is room again; what waits in the topics costs nothing. At the upper one nothing is read at all until the broker has taken what is on its
//! way and a checkpoint has written what is confirmed: then rows may leave memory.

use std::sync::Arc;

use ringmaster_schemas::Millis;

use super::owner::Owner;
use super::table::Slot;
use super::{Context, InputSettings, Role, Why, Wish};

/// While inputs are held, rows that may leave memory are looked for this often.
const EVICT_EVERY_MS: Millis = 50;

/// Which inputs are held, from the least.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Held {
    /// None.
    #[default]
    Nothing,
    /// Those that only start sagas, until what was begun is read.
    Behind,
    /// Those that only start sagas, until there is room.
    Starts,
    /// Every input.
    All,
}

impl Held {
    /// Because a bound is reached, which people should know; being behind comes and goes.
    pub fn is_at_bound(self) -> bool {
        self >= Held::Starts
    }
}

impl Owner {
    /// Holds inputs, or lets them go on, as full as the partition is now.
    pub(super) fn admit(&mut self, cx: &mut Context<'_>) {
        self.know_starts(cx);
        let held = self.to_hold();
        if held.is_at_bound() && cx.steady >= self.evict_at {
            self.evict_at = cx.steady.saturating_add(EVICT_EVERY_MS);
            self.make_room(held);
        }
        if held == self.held {
            return;
        }
        cx.counters.pauses += u64::from(held > self.held && held.is_at_bound());
        for index in 0..self.inputs.len() {
            let (before, now) = (self.is_held(index, self.held), self.is_held(index, held));
            if before != now {
                cx.out.push(Wish::Pause(index, now));
            }
        }
        self.held = held;
    }

    /// Reads an input from here, held if others like it are.
    pub(super) fn begin_to_read(&self, index: usize, from: i64, cx: &mut Context<'_>) {
        cx.out.push(Wish::ReadInput(index, from));
        if self.is_held(index, self.held) {
            cx.out.push(Wish::Pause(index, true));
        }
    }

    /// Rows that were only looked at leave no checkpoint behind, by which they would go.
    fn make_room(&mut self, held: Held) {
        if self.replica.table.dirty_count() == 0 && self.bytes() > self.settings.limits.memory_bytes_max / 8 * 3 {
            self.evict_stored(self.is_last_resort(held));
        }
    }

    /// What is on its way makes room by itself, and soon; if nothing is, rows that wait for an answer must go too.
    fn is_last_resort(&self, held: Held) -> bool {
        held == Held::All && self.ahead.is_empty()
    }

    /// True if this input is held.
    fn is_held(&self, index: usize, held: Held) -> bool {
        let is_source = self.inputs[index].route.is_some();
        match held {
            Held::Nothing => false,
            // What is handed on waits in the inbox then, and others may have room.
            Held::Starts if is_source => false,
            Held::Behind if is_source => true,
            Held::Behind | Held::Starts => self.only_starts(index),
            Held::All => true,
        }
    }

    /// On a topic that definitions start on an event can wait, and no timer waits for it. What they only listen to is for sagas that
    /// live: it is read like answers.
    fn only_starts(&self, index: usize) -> bool {
        self.starts.get(index).copied().unwrap_or(true)
            && matches!(self.settings.inputs[index].role, Role::Events { .. } | Role::Inbox { .. })
    }

    /// Which inputs definitions start on, by what is deployed now.
    fn know_starts(&mut self, cx: &mut Context<'_>) {
        if self.starts_known_to == cx.catalog.loaded_to() && self.starts.len() == self.settings.inputs.len() {
            return;
        }
        let before: Vec<bool> = (0..self.inputs.len()).map(|index| self.is_held(index, self.held)).collect();
        // What is routed starts sagas where it comes out of the inbox.
        let all = &self.settings.inputs;
        let routes_starts = all.iter().any(|input| matches!(input.role, Role::Source { .. }) && cx.catalog.starts_on(&input.name));
        let starts = |input: &InputSettings| match input.role {
            Role::Inbox { .. } => routes_starts,
            _ => cx.catalog.starts_on(&input.name),
        };
        self.starts = all.iter().map(starts).collect();
        self.starts_known_to = cx.catalog.loaded_to();
        for (index, before) in before.into_iter().enumerate() {
            let now = self.is_held(index, self.held);
            if before != now {
                cx.out.push(Wish::Pause(index, now));
            }
        }
    }

    /// True if what lies in this input is held back, and no timer has to wait until it is read.
    pub(super) fn is_held_start(&self, index: usize) -> bool {
        matches!(self.held, Held::Behind | Held::Starts) && self.only_starts(index)
    }

    /// What is held goes on well below its bound, so that it does not come and go.
    fn to_hold(&self) -> Held {
        let all = if self.held == Held::All { !self.relaxed() } else { self.overloaded() };
        let starts = if self.held.is_at_bound() { !self.roomy() } else { self.full() };
        match (all, starts, self.behind) {
            (true, ..) => Held::All,
            (false, true, _) => Held::Starts,
            (false, false, true) => Held::Behind,
            (false, false, false) => Held::Nothing,
        }
    }

    /// How much of what is routed waits: copies for the inbox, records for others before them.
    fn routed(&self) -> usize {
        if !self.router.has_routes {
            return 0;
        }
        let routes = self.inputs.iter().filter_map(|input| input.route.as_ref());
        self.router.len().max(routes.map(|route| route.waiting()).sum())
    }

    /// At its bounds: every input is held.
    pub(super) fn overloaded(&self) -> bool {
        let limits = &self.settings.limits;
        self.ahead.pending.len() >= limits.in_flight_records_max
            || self.replica.outbox.len() >= limits.unreleased_effects_max
            || self.routed() >= limits.unreleased_effects_max
            || self.bytes() >= limits.memory_bytes_max
    }

    fn relaxed(&self) -> bool {
        let limits = &self.settings.limits;
        self.ahead.pending.len() <= limits.in_flight_records_max / 2
            && self.replica.outbox.len() <= limits.unreleased_effects_max / 2
            && self.routed() <= limits.unreleased_effects_max / 2
            && self.bytes() <= limits.memory_bytes_max / 4 * 3
    }

    /// No room for new sagas.
    fn full(&self) -> bool {
        let limits = &self.settings.limits;
        self.asking >= limits.in_flight_max || self.bytes() >= limits.memory_bytes_max / 2 || self.squeezes()
    }

    fn roomy(&self) -> bool {
        let limits = &self.settings.limits;
        self.asking <= limits.in_flight_max / 8 * 7 && self.bytes() <= limits.memory_bytes_max / 16 * 7 && !self.squeezes()
    }

    /// The process is short of memory, and this partition has some to give back. One that has not goes on: waiting would free nothing.
    fn squeezes(&self) -> bool {
        self.short && self.bytes() > self.settings.limits.memory_bytes_max / 8
    }

    /// Starts wait, or will soon, and a checkpoint would let go of enough: what waits for an answer stays, and is written again each time.
    pub(super) fn wants_checkpoint(&self) -> bool {
        let (table, max) = (&self.replica.table, self.settings.limits.memory_bytes_max);
        let leaves = table.len().saturating_sub(self.asking);
        let much = (self.bytes() > max / 8 * 3 || self.squeezes()) && leaves * 4 >= table.len();
        table.dirty_count() > 0 && (much || self.bytes() >= max)
    }

    /// What it holds in memory: rows, and effects and records on their way with the copies of them that wait in the bus.
    pub(super) fn bytes(&self) -> usize {
        let on_their_way = self.replica.outbox.bytes() + self.ahead.record_bytes + self.router.bytes();
        self.replica.table.bytes() + self.ahead.bytes() + 2 * on_their_way
    }

    /// A batch was written: rows of it that wait for nothing leave memory, and more of them if there are too many.
    pub(super) fn stored(&mut self, quiet: impl Iterator<Item = Slot>) {
        quiet.for_each(|slot| self.evict(slot));
        if self.bytes() > self.settings.limits.memory_bytes_max / 8 * 3 || self.squeezes() {
            self.evict_stored(self.is_last_resort(self.held));
        }
    }

    /// Forgets rows that are stored as they are; those that wait for an answer only if nothing else helps: it comes soon, and as long as
    /// they are here they are counted.
    fn evict_stored(&mut self, also_asking: bool) {
        let slots: Vec<Slot> = self.replica.table.slots().collect();
        for slot in slots {
            if also_asking || self.asks(slot) == 0 {
                self.evict(slot);
            }
        }
    }

    pub(super) fn evict(&mut self, slot: Slot) {
        let row = self.replica.table.row(slot);
        if row.id.is_empty() || row.dirty || self.ahead.rows.contains_key(&slot) {
            return;
        }
        let (id, due) = (row.id.clone(), self.due_at(slot));
        self.asking -= self.asks(slot);
        self.replica.table.evict(slot);
        self.timers.evicted(slot, &id, due);
    }

    /// The place of a saga's row, loaded if it is in the store; none if there is no such row.
    pub(super) fn find(&mut self, id: &str, shared: impl FnOnce() -> Arc<str>, cx: &Context<'_>) -> Result<Option<Slot>, Why> {
        if let Some(slot) = self.replica.table.place(id) {
            return Ok(Some(slot));
        }
        let loaded = self.replica.table.load(shared(), cx.rows, &mut self.replica.counts.names);
        let loaded = loaded.map_err(|detail| self.unreadable(detail))?;
        self.asking += loaded.map_or(0, |slot| self.asks(slot));
        Ok(loaded)
    }

    /// 1 if the saga of a row in memory waits for an answer, else 0.
    pub(super) fn asks(&self, slot: Slot) -> usize {
        self.current(slot).map_or(0, |saga| usize::from(saga.asks()))
    }

    /// How many sagas of rows in memory wait for an answer, counted anew.
    pub(super) fn recount_asking(&self) -> usize {
        self.replica.table.slots().map(|slot| self.asks(slot)).sum()
    }
}
