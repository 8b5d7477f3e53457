//! What the simulated store forgets at a crash.

mod common;

use common::{assert_history_prefix, history, keys_left, saga, write_sagas};
use ringmaster_store::sim::SimStore;
use ringmaster_store::{Store, StoreError};

#[test]
fn what_was_not_flushed_is_forgotten() {
    let store = SimStore::new();
    let successor = store.clone();
    for n in 0..10 {
        store.write(&history(0, n)).expect("applies");
    }
    store.flush().expect("flushes");
    for n in 10..20 {
        store.write(&history(0, n)).expect("applies");
    }
    assert_eq!(store.unflushed_count(), 10);
    store.crash();
    assert_eq!(assert_history_prefix(&successor, 0), 10);
    successor.write(&history(0, 10)).expect("goes on from what survived");
    successor.lose();
    assert_eq!(assert_history_prefix(&store, 0), 0);
}

#[test]
fn a_flush_that_stops_half_way_keeps_a_prefix() {
    for kept in 0..=8 {
        let store = SimStore::new();
        for n in 0..8 {
            store.write(&history((n % 2) as i32, n / 2)).expect("applies");
        }
        store.stop_next_flush_after(kept);
        assert!(matches!(store.flush(), Err(StoreError::Io(_))));
        store.crash();
        let (even, odd) = (assert_history_prefix(&store, 0), assert_history_prefix(&store, 1));
        assert_eq!((even as usize, odd as usize), (kept.div_ceil(2), kept / 2), "in the order of writing, over all partitions");
    }
}

#[test]
fn clearing_and_collecting_are_forgotten_too() {
    let store = SimStore::new();
    write_sagas(&store, 0, -1, 100, &[saga("old", Some(1)), saga("alive", None)]);
    store.flush().expect("flushes");
    assert_eq!(store.collect(0, 100, 10), Ok(1));
    assert_eq!(keys_left(&store, 0), ["alive"]);
    store.crash();
    assert_eq!(keys_left(&store, 0), ["alive", "old"]);
    assert_eq!(store.collect(0, 100, 10), Ok(1));
    store.flush().expect("flushes");
    store.clear(0).expect("clears");
    store.crash();
    assert_eq!(keys_left(&store, 0), ["alive"]);
}
