//! Rows in memory, each in two versions: as confirmed records left it, and as unconfirmed ones will. It is also the cache.

use std::sync::Arc;

use hashbrown::HashMap;
use ringmaster_schemas::Millis;
use ringmaster_schemas::state::{IndexKeys, Saga};

/// A row's place. Valid as long as the row is in memory; [`Entry::generation`] tells a place that was given away.
pub(super) type Slot = u32;

#[derive(Debug, Default)]
pub(super) struct Overlay {
    slots: Vec<Entry>,
    free: Vec<Slot>,
    index: HashMap<Arc<str>, Slot>,
    dirty: Vec<Slot>,
    bytes: usize,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: Arc<str>,
    /// Grows each time the place is given away.
    pub(super) generation: u32,
    /// With all turns that were decided; none if it does not exist.
    pub(super) current: Option<Arc<Saga>>,
    /// With the turns that are confirmed.
    pub(super) confirmed: Option<Arc<Saga>>,
    /// The number of the newest unconfirmed record that changes it; -1 for none.
    pub(super) record: i64,
    /// Confirmed and stored versions differ.
    pub(super) dirty: bool,
    /// What is in the store.
    pub(super) stored: Option<Stored>,
    /// When the timer wheel will look at it; `i64::MAX` for never.
    pub(super) timer_at: Millis,
    size: usize,
}

/// What the partition remembers of a stored row, so that indexes and digest change by difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) hash: u128,
    pub(super) places: IndexKeys,
}

impl Overlay {
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn find(&self, id: &str) -> Option<Slot> {
        self.index.get(id).copied()
    }

    pub(super) fn entry(&self, slot: Slot) -> &Entry {
        &self.slots[slot as usize]
    }

    pub(super) fn entry_mut(&mut self, slot: Slot) -> &mut Entry {
        &mut self.slots[slot as usize]
    }

    /// A new place for an id that has none. `row` is the stored row, if there is one.
    pub(super) fn insert(&mut self, id: Arc<str>, row: Option<(Arc<Saga>, Stored)>) -> Slot {
        debug_assert!(!self.index.contains_key(&id), "an id has one place");
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Entry {
                id: "".into(),
                generation: 0,
                current: None,
                confirmed: None,
                record: -1,
                dirty: false,
                stored: None,
                timer_at: Millis::MAX,
                size: 0,
            });
            (self.slots.len() - 1) as Slot
        });
        let entry = &mut self.slots[slot as usize];
        entry.id = id.clone();
        (entry.record, entry.dirty, entry.timer_at) = (-1, false, Millis::MAX);
        let (saga, stored) = row.map_or((None, None), |(saga, stored)| (Some(saga), Some(stored)));
        entry.size = size_of_row(&id, saga.as_deref());
        (entry.current, entry.confirmed, entry.stored) = (saga.clone(), saga, stored);
        self.bytes += entry.size;
        self.index.insert(id, slot);
        slot
    }

    /// Sets what will be true once record `number` is confirmed.
    pub(super) fn set_current(&mut self, slot: Slot, saga: Arc<Saga>, number: i64) {
        let entry = &mut self.slots[slot as usize];
        let size = size_of_row(&entry.id, Some(&saga));
        self.bytes = self.bytes + size - entry.size;
        entry.size = size;
        entry.current = Some(saga);
        entry.record = number;
    }

    /// Sets what is true: record `number` is confirmed.
    pub(super) fn set_confirmed(&mut self, slot: Slot, saga: Arc<Saga>, number: i64) {
        let entry = &mut self.slots[slot as usize];
        entry.confirmed = Some(saga);
        if entry.record == number {
            entry.record = -1;
        }
        if !entry.dirty {
            entry.dirty = true;
            self.dirty.push(slot);
        }
    }

    /// The places whose confirmed version is not stored; they count as stored from here on.
    pub(super) fn take_dirty(&mut self) -> Vec<Slot> {
        let dirty = std::mem::take(&mut self.dirty);
        for &slot in &dirty {
            self.slots[slot as usize].dirty = false;
        }
        dirty
    }

    pub(super) fn dirty_count(&self) -> usize {
        self.dirty.len()
    }

    /// Forgets a row that is stored as it is confirmed, and not being changed.
    pub(super) fn evict(&mut self, slot: Slot) {
        let entry = &mut self.slots[slot as usize];
        debug_assert!(!entry.dirty && entry.record < 0, "only stored rows may be forgotten");
        self.bytes -= entry.size;
        self.index.remove(&entry.id);
        entry.generation = entry.generation.wrapping_add(1);
        (entry.current, entry.confirmed, entry.stored) = (None, None, None);
        entry.id = "".into();
        self.free.push(slot);
    }

    /// Places in use, in no order that anything may depend on.
    pub(super) fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        self.slots.iter().enumerate().filter(|(_, entry)| !entry.id.is_empty()).map(|(slot, _)| slot as Slot)
    }
}

/// About what a row takes in memory, both versions and tables counted once: exact enough for a bound.
fn size_of_row(id: &str, saga: Option<&Saga>) -> usize {
    const ENTRY_BYTES: usize = 256;
    const STEP_BYTES: usize = 320;
    let saga_bytes = saga.map_or(0, |saga| {
        let steps: usize = saga
            .steps
            .iter()
            .map(|step| STEP_BYTES + step.call.body.len() + step.result.as_ref().map_or(0, bytes::Bytes::len))
            .sum();
        256 + saga.start.len() + saga.key.len() + saga.source.len() + steps
    });
    ENTRY_BYTES + 2 * id.len() + saga_bytes
}
