//! Rows in memory as confirmed records left them; also the cache of the store.

use std::hash::BuildHasher as _;
use std::ops::Range;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};
use ringmaster_schemas::state::{IndexKeys, RowKey, Saga, index_keys};
use twox_hash::XxHash3_128;

use super::Rows;
use super::counts::{Facets, Names};
use crate::faults::mutated;

/// A row's place. Valid as long as the row is in memory; [`Row::generation`] tells a place that was given away.
pub(super) type Slot = u32;

#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Row>,
    free: Vec<Slot>,
    /// Places by id. It holds numbers alone, hashed through the row's id: five bytes a row.
    index: HashTable<Slot>,
    hasher: DefaultHashBuilder,
    dirty: Vec<Slot>,
    bytes: usize,
    /// Sagas that need a person, of all rows, also those that are only in the store.
    stuck: usize,
    /// Sagas of which something is parked, of all rows.
    parked: usize,
}

#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: Arc<str>,
    /// Grows each time the place is given away.
    pub(super) generation: u32,
    /// As confirmed records left it; none if it does not exist (yet).
    pub(super) saga: Option<Arc<Saga>>,
    /// It differs from the stored one.
    pub(super) dirty: bool,
    /// What is in the store.
    pub(super) stored: Option<Stored>,
    bytes: usize,
}

/// What the partition remembers of a stored row, so that indexes and digest change by difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) hash: u128,
    pub(super) places: IndexKeys,
    pub(super) facets: Facets,
    /// Some of its values are kept by themselves.
    pub(super) large: bool,
}

impl Stored {
    /// Of a row without its turns, and where the values of it lie that are kept by themselves.
    pub(super) fn of(id: &str, state: &[u8], saga: &Saga, names: &mut Names) -> (Self, Vec<Range<usize>>) {
        let mut places = index_keys(saga);
        if mutated("search_not_stored") {
            places.search = None;
        }
        // What expires is deleted without a look at it, and written once before that.
        let is_whole = places.expiry.is_some() || mutated("large_values_written_again");
        let large = if is_whole { Vec::new() } else { saga.large_in(state) };
        (Stored { hash: row_hash(id, state), places, facets: Facets::of(saga, names), large: !large.is_empty() }, large)
    }
}

/// The share of the digest that a saga's row has: over its state alone. Its turns are what a reader of the journal saw, and builds that did
/// not remember them have stored rows, and taken snapshots and backups of these, which say the same state.
pub fn saga_hash(saga: &Saga, row: &[u8]) -> u128 {
    row_hash(&saga.id, &saga.state_in(row))
}

/// A row's share of the digest: over its id and its encoded form.
pub fn row_hash(id: &str, row: &[u8]) -> u128 {
    let seed = XxHash3_128::oneshot(id.as_bytes());
    XxHash3_128::oneshot_with_seed(seed as u64 ^ (seed >> 64) as u64, row)
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Sagas that need a person.
    pub(super) fn stuck(&self) -> usize {
        self.stuck
    }

    /// Sagas of which something is parked.
    pub(super) fn parked(&self) -> usize {
        self.parked
    }

    /// A table over a store in which so many sagas need a person, and something of so many is parked.
    pub(super) fn over(stuck: usize, parked: usize) -> Self {
        Table { stuck, parked, ..Table::default() }
    }

    pub(super) fn row(&self, slot: Slot) -> &Row {
        &self.rows[slot as usize]
    }

    pub(super) fn row_mut(&mut self, slot: Slot) -> &mut Row {
        &mut self.rows[slot as usize]
    }

    /// The place of a row in memory.
    pub(super) fn place(&self, id: &str) -> Option<Slot> {
        self.index.find(self.hasher.hash_one(id), |slot| &*self.rows[*slot as usize].id == id).copied()
    }

    /// A row that is not in memory, loaded if it is in the store; its place.
    pub(super) fn load(&mut self, id: Arc<str>, stored: &dyn Rows, names: &mut Names) -> Result<Option<Slot>, String> {
        let key = RowKey::Saga(id);
        let (Some(row), RowKey::Saga(id)) = (stored.row(&key)?, key) else { return Ok(None) };
        let saga = Saga::decode(&id, &row).map_err(|error| stored.damaged(format!("the row of {id}: {error}")))?;
        let (mut stored, _) = Stored::of(&id, &saga.state_in(&row), &saga, names);
        if mutated("search_forgotten_when_loaded") {
            stored.places.search = None;
        }
        let slot = self.insert(id);
        let row = self.row_mut(slot);
        (row.saga, row.stored) = (Some(Arc::new(saga)), Some(stored));
        self.measure(slot);
        Ok(Some(slot))
    }

    /// The row's place, loaded if it is in the store, made if there is none.
    pub(super) fn find_or_insert(&mut self, id: &Arc<str>, stored: &dyn Rows, names: &mut Names) -> Result<Slot, String> {
        let found = match self.place(id) {
            Some(slot) => Some(slot),
            None => self.load(id.clone(), stored, names)?,
        };
        Ok(found.unwrap_or_else(|| self.insert(id.clone())))
    }

    /// A new place for an id that has none, without a row yet.
    pub(super) fn insert(&mut self, id: Arc<str>) -> Slot {
        debug_assert!(self.place(&id).is_none(), "an id has one place");
        let slot = self.free.pop().unwrap_or_else(|| {
            self.rows.push(Row { id: "".into(), generation: 0, saga: None, dirty: false, stored: None, bytes: 0 });
            (self.rows.len() - 1) as Slot
        });
        let Table { rows, index, hasher, .. } = self;
        rows[slot as usize].id = id;
        let hash = |slot: &Slot| hasher.hash_one(&*rows[*slot as usize].id);
        index.insert_unique(hash(&slot), slot, hash);
        self.measure(slot);
        slot
    }

    /// Sets what is true.
    pub(super) fn set(&mut self, slot: Slot, saga: Arc<Saga>) {
        let Ok(_) = self.change(slot, |row| {
            *row = Some(saga);
            Ok::<_, std::convert::Infallible>(())
        });
    }

    /// Changes what is true where it lies; what it is then. Behind an error it is neither what it was nor what it was to be.
    pub(super) fn change<E>(
        &mut self,
        slot: Slot,
        change: impl FnOnce(&mut Option<Arc<Saga>>) -> Result<(), E>,
    ) -> Result<Option<&Arc<Saga>>, E> {
        let row = &mut self.rows[slot as usize];
        // Whatever is stuck or parked was counted when it became so, or in the store.
        let held = |saga: &Option<Arc<Saga>>| match saga {
            Some(saga) if saga.held_since.is_some() => (saga.stuck(), saga.parked()),
            Some(_) | None => (false, false),
        };
        let (was_stuck, was_parked) = held(&row.saga);
        let changed = change(&mut row.saga);
        let (is_stuck, is_parked) = held(&row.saga);
        self.stuck = self.stuck + usize::from(is_stuck) - usize::from(was_stuck);
        self.parked = self.parked + usize::from(is_parked) - usize::from(was_parked);
        if !row.dirty {
            row.dirty = true;
            self.dirty.push(slot);
        }
        self.measure(slot);
        changed.map(|()| self.rows[slot as usize].saga.as_ref())
    }

    fn measure(&mut self, slot: Slot) {
        let row = &mut self.rows[slot as usize];
        let bytes = size_of_row(&row.id, row.saga.as_deref());
        self.bytes = self.bytes + bytes - row.bytes;
        row.bytes = bytes;
    }

    /// The places of rows that are not stored as they are; they count as stored from here on.
    pub(super) fn take_dirty(&mut self) -> Vec<Slot> {
        let dirty = std::mem::take(&mut self.dirty);
        for &slot in &dirty {
            self.rows[slot as usize].dirty = false;
        }
        dirty
    }

    pub(super) fn dirty_count(&self) -> usize {
        self.dirty.len()
    }

    /// Forgets a row that is stored as it is.
    pub(super) fn evict(&mut self, slot: Slot) {
        let row = &mut self.rows[slot as usize];
        debug_assert!(!row.dirty, "only stored rows may be forgotten");
        self.bytes -= row.bytes;
        let found = self.index.find_entry(self.hasher.hash_one(&*row.id), |known| *known == slot);
        found.expect("a row in memory is in the index").remove();
        let generation = row.generation.wrapping_add(1);
        *row = Row { id: "".into(), generation, saga: None, dirty: false, stored: None, bytes: 0 };
        self.free.push(slot);
    }

    /// Places in use, in no order that anything may depend on.
    pub(super) fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        self.rows.iter().enumerate().filter(|(_, row)| !row.id.is_empty()).map(|(slot, _)| slot as Slot)
    }
}

/// What a row's places take beside it: in the index, with its share of what is free, and in the timers' wheel.
const PLACES_BYTES: usize = 32;

/// What a row takes in memory, tables included.
pub(super) fn size_of_row(id: &str, saga: Option<&Saga>) -> usize {
    // A saga shares its id with its place.
    let saga_bytes = saga.map_or_else(|| id.len() + 16, Saga::held_bytes);
    size_of::<Row>() + PLACES_BYTES + saga_bytes
}
