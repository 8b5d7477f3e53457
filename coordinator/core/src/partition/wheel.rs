//! Coarse wheels of live rows: who is looked at when. What is due later than the horizon is only in the store's index.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;
use ringmaster_schemas::Millis;
use ringmaster_schemas::names::is_value;

use super::table::Slot;
use super::{InputSettings, Role};
use crate::definition::Catalog;

/// Grain of a wheel: a timer fires at most this much late, and a tick's timers share one look at the inputs.
pub(super) const TICK_MS: Millis = 16;

/// The wheels. A row has at most one place in them that counts; moving a row's due time later costs nothing until the old place comes
/// up.
#[derive(Debug)]
pub(super) struct Timers {
    /// One for every set of inputs that rows wait for; the first is for all of them.
    pub(super) wheels: Vec<Wheel>,
    /// Which wheel a definition's rows are in, by its name, as of `known_to` of the topic of definitions.
    by_name: HashMap<Arc<str>, usize>,
    known_to: i64,
    /// When a wheel will look at the row in a slot; `i64::MAX` for never.
    looks_at: Vec<Millis>,
    /// The store's due index is in the wheels below this time.
    pub(super) scanned_to: Millis,
    /// When effects that were set apart are tried again, by the steady clock.
    pub(super) retry_at: Millis,
}

/// Rows that can be answered by the same inputs, by tick.
#[derive(Debug, Default)]
pub(super) struct Wheel {
    /// Places of these inputs, in order.
    pub(super) inputs: Vec<usize>,
    pub(super) ticks: BTreeMap<i64, Vec<Item>>,
    /// What of this tick was due no more is out of it.
    pub(super) swept: Option<i64>,
    /// The first tick waits for inputs to be read.
    pub(super) held: bool,
}

#[derive(Debug)]
pub(super) enum Item {
    /// A row in memory.
    Row(Slot, u32),
    /// A row in the store.
    Stored(Arc<str>),
}

impl Timers {
    /// Nothing waits.
    pub(super) fn new(inputs: &[InputSettings]) -> Self {
        let all = Wheel { inputs: all_of(inputs), ..Wheel::default() };
        Timers {
            wheels: vec![all],
            by_name: HashMap::new(),
            known_to: -1,
            looks_at: Vec::new(),
            scanned_to: Millis::MIN,
            retry_at: Millis::MIN,
        }
    }

    /// There are more inputs than before.
    pub(super) fn learn_inputs(&mut self, inputs: &[InputSettings]) {
        self.wheels[0].inputs = all_of(inputs);
        (self.known_to, self.by_name) = (-1, HashMap::new());
    }

    /// The wheel of a saga: of those inputs that can answer it. These are the replies, and what any version of its definition
    /// listens to, or of one that it runs; an input that cannot be read holds no other definition's timers.
    pub(super) fn wheel_of(&mut self, id: &str, inputs: &[InputSettings], catalog: &Catalog) -> usize {
        if self.known_to != catalog.loaded_to() {
            (self.known_to, self.by_name) = (catalog.loaded_to(), HashMap::new());
        }
        let name = name_of(id);
        if let Some(&wheel) = self.by_name.get(name) {
            return wheel;
        }
        let topics = catalog.topics_for(name);
        let listens = |topic: &str| topics.iter().any(|input| ***input == *topic);
        // What is routed comes by the inbox.
        let routed = inputs.iter().any(|input| matches!(input.role, Role::Source { .. }) && listens(&input.name));
        let answers = |input: &InputSettings| match input.role {
            Role::Replies => true,
            Role::Events { .. } | Role::Control => listens(&input.name),
            Role::Inbox { .. } => routed || is_value(id),
            Role::Source { .. } => false,
        };
        let places: Vec<usize> = (0..inputs.len()).filter(|&index| answers(&inputs[index])).collect();
        let wheel = self.wheels.iter().position(|wheel| wheel.inputs == places).unwrap_or_else(|| {
            self.wheels.push(Wheel { inputs: places, ..Wheel::default() });
            self.wheels.len() - 1
        });
        self.by_name.insert(name.into(), wheel);
        wheel
    }

    /// When a wheel will look at the row in a slot.
    pub(super) fn looks_at(&mut self, slot: Slot) -> &mut Millis {
        let slot = slot as usize;
        if self.looks_at.len() <= slot {
            self.looks_at.resize(slot + 1, Millis::MAX);
        }
        &mut self.looks_at[slot]
    }

    pub(super) fn insert(&mut self, wheel: usize, due: Millis, item: Item) {
        let tick = due.div_euclid(TICK_MS);
        let wheel = &mut self.wheels[wheel];
        wheel.ticks.entry(tick).or_default().push(item);
        if wheel.ticks.first_key_value().is_some_and(|(first, _)| *first == tick) {
            wheel.held = false;
        }
    }

    /// When the next tick ends; `i64::MAX` if nothing waits for time alone.
    pub(super) fn next_due(&self) -> Millis {
        let first = |wheel: &Wheel| wheel.ticks.first_key_value().filter(|_| !wheel.held).map(|(tick, _)| *tick);
        let tick = self.wheels.iter().filter_map(first).min();
        tick.map_or(Millis::MAX, |tick| (tick + 1).saturating_mul(TICK_MS))
    }

    /// A row in memory is forgotten: its timer lives on by its id, or in the store's index if it is far.
    pub(super) fn evicted(&mut self, slot: Slot, id: &Arc<str>, due: Millis) {
        *self.looks_at(slot) = Millis::MAX;
        if due < self.scanned_to {
            let wheel = self.by_name.get(name_of(id)).copied().unwrap_or(0);
            self.insert(wheel, due, Item::Stored(id.clone()));
        }
    }
}

/// Places of all inputs that bring something here.
fn all_of(inputs: &[InputSettings]) -> Vec<usize> {
    let is_here = |index: &usize| !matches!(inputs[*index].role, Role::Source { .. });
    (0..inputs.len()).filter(is_here).collect()
}

/// The definition's name: the first part of a saga's id.
fn name_of(id: &str) -> &str {
    id.split('/').next().unwrap_or_default()
}
