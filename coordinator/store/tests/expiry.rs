//! What leaves a store, attacked on every store: expiry of finished sagas, and clearing a partition.

mod common;

use common::{batch, change, contract, due, keys_left, offset, row, saga, sagas, write_sagas};
use ringmaster_schemas::Millis;
use ringmaster_schemas::state::EXPIRY_BUCKET_MS;
use ringmaster_store::{Store, StoreError};

contract!(
    expired_rows_go_and_others_stay,
    a_restarted_saga_outlives_its_old_expiry,
    nothing_expires_beyond_the_checkpoint,
    collecting_is_bounded,
    clear_forgets_one_partition,
);

fn expired_rows_go_and_others_stay(store: &dyn Store) {
    let rows = [
        saga("first", Some(EXPIRY_BUCKET_MS - 1)),
        saga("second", Some(EXPIRY_BUCKET_MS)),
        saga("third", Some(3 * EXPIRY_BUCKET_MS)),
        saga("alive", None),
    ];
    for partition in [0, 1] {
        write_sagas(store, partition, -1, 100, &rows);
    }
    assert_eq!(store.collect(0, -1, 10), Ok(0));
    assert_eq!(store.collect(0, 0, 10), Ok(1));
    assert_eq!(keys_left(store, 0), ["alive", "second", "third"]);
    assert_eq!(store.collect(0, 2, 10), Ok(1));
    assert_eq!(store.collect(0, 2, 10), Ok(0), "once");
    assert_eq!(store.collect(0, i64::MAX, 10), Ok(1));
    assert_eq!(keys_left(store, 0), ["alive"]);
    assert_eq!(keys_left(store, 1), ["alive", "first", "second", "third"], "the other partition keeps its own");
    assert_eq!(offset(store, 0), 0, "the checkpoint stays");
}

fn a_restarted_saga_outlives_its_old_expiry(store: &dyn Store) {
    write_sagas(store, 0, -1, 100, &[saga("again", Some(10)), saga("later", Some(10)), saga("gone", Some(10))]);
    write_sagas(store, 0, 0, 100, &[saga("again", None), saga("later", Some(5 * EXPIRY_BUCKET_MS))]);
    assert_eq!(store.collect(0, 0, 10), Ok(1));
    assert_eq!(keys_left(store, 0), ["again", "later"]);
    assert_eq!(store.collect(0, 5, 10), Ok(1), "its own, later expiry counts");
    assert_eq!(keys_left(store, 0), ["again"]);
}

fn nothing_expires_beyond_the_checkpoint(store: &dyn Store) {
    write_sagas(store, 0, -1, 1, &[saga("one", Some(EXPIRY_BUCKET_MS)), saga("two", Some(2 * EXPIRY_BUCKET_MS))]);
    assert_eq!(store.collect(0, i64::MAX, 10), Ok(1));
    assert_eq!(keys_left(store, 0), ["two"]);
}

fn collecting_is_bounded(store: &dyn Store) {
    let rows: Vec<_> = (0..10).map(|i| saga(&i.to_string(), Some(1))).collect();
    write_sagas(store, 0, -1, 0, &rows);
    assert_eq!(store.collect(0, 0, 0), Ok(0));
    for (deleted, left) in [(4, 6), (4, 2), (2, 0), (0, 0)] {
        assert_eq!(store.collect(0, 0, 4), Ok(deleted));
        assert_eq!(sagas(store, 0).len(), left);
    }
}

fn clear_forgets_one_partition(store: &dyn Store) {
    for partition in 0..4 {
        write_sagas(store, partition, -1, 100, &[saga("finished", Some(1)), saga("alive", None)]);
        store.write(&batch(partition, 0, 1, vec![change("order/due", b"d", None, Some(5))])).expect("applies");
    }
    store.clear(2).expect("clears");
    assert_eq!(store.checkpoint(2), Ok(None));
    assert_eq!(row(store, 2, "order/alive"), None);
    assert_eq!(sagas(store, 2), []);
    assert_eq!(due(store, 2, Millis::MIN, Millis::MAX), []);
    for partition in [0, 1, 3] {
        assert_eq!(keys_left(store, partition), ["alive", "due", "finished"]);
        assert_eq!(due(store, partition, 0, 10), [(5, "order/due".into())]);
        assert_eq!(offset(store, partition), 1);
    }
    assert_eq!(store.write(&batch(2, 1, 2, Vec::new())), Err(StoreError::Stale { partition: 2, base: 1, stored: -1 }));
    write_sagas(store, 2, -1, 100, &[saga("rebuilt", None)]);
    assert_eq!(store.collect(2, 100, 10), Ok(0), "no expiry entry outlived the clearing");
    assert_eq!(keys_left(store, 2), ["rebuilt"]);
}
