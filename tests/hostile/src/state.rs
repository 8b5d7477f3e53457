//! Values of the store, of every kind, and what is asked of a row that was read.
//!
//! ```text
//! kind | value
//! ```

use ringmaster_core::saga::{passed, why};
use ringmaster_schemas::journal::{Letter, Quarantined};
use ringmaster_schemas::state::{Breaker, Checkpoint, Counts, OutboxEffect, Saga, index_keys};

use crate::world::world;
use crate::{Written, same_again, written};

written!(Checkpoint, OutboxEffect, Breaker, Counts, Letter, Quarantined);

/// The id of a row is its key.
const ID: &str = "order-fulfilment/order-1";

impl Written for Saga {
    fn written(&self) -> Vec<u8> {
        self.encode()
    }
    fn read(bytes: &[u8]) -> Option<Self> {
        Saga::decode(&ID.into(), bytes).ok()
    }
}

pub(crate) fn run(input: &[u8]) {
    let Some((&kind, value)) = input.split_first() else { return };
    match kind % 5 {
        0 => drop(same_again::<Checkpoint>(value)),
        1 => drop(same_again::<OutboxEffect>(value)),
        2 => drop(same_again::<Breaker>(value)),
        4 => drop(same_again::<Counts>(value)),
        _ => {
            if let Some(saga) = same_again::<Saga>(value) {
                asked(&saga);
            }
        }
    }
}

/// What the store and those who look ask of a row.
pub(crate) fn asked(saga: &Saga) {
    let places = index_keys(saga);
    let again = Saga::decode(&saga.id, &saga.encode()).expect("what we write can be read");
    assert_eq!(places, index_keys(&again), "the same row lies elsewhere");
    if let Some(search) = &places.search {
        assert!(search.keys().count() <= saga.encode().len(), "more is searched than there is");
    }
    let row = saga.encode();
    let mut from = 0;
    for part in saga.large_in(&row) {
        assert!(from <= part.start && part.end <= row.len(), "large values lie in order, in their row");
        from = part.end;
    }
    assert!(saga.held_bytes() >= saga.entries.len(), "a row takes memory");
    let _ = (saga.has_work(), saga.child_work(), saga.to_sweep(), saga.due_at(), saga.stuck_since());
    let state = saga.state_in(&row);
    assert_eq!(state, saga.encode_state(), "what is said without its turns is another state");
    assert!(saga.turns.is_empty() == (state.len() == row.len()), "turns take room in a row");
    let _ = (saga.turns.last(), saga.turns.told());
    for library in [false, true] {
        let known = world(library).definitions.iter().find(|definition| definition.hash == saga.head.version());
        let _ = known.map(|definition| (why(definition, saga), passed(definition, saga)));
    }
}
