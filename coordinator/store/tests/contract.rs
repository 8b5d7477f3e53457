//! The contract of `Store`, attacked on every store.

mod common;

use std::num::NonZeroI64;

use common::{batch, change, checkpoint, contract, due, effect, offset, row, rows, sagas};
use ringmaster_schemas::Millis;
use ringmaster_schemas::state::{Index, IndexKeys, Large, RowChange, RowKey, RowKind};
use ringmaster_store::{Store, StoreError};

contract!(
    a_new_store_is_empty,
    a_batch_brings_rows_indexes_and_checkpoint,
    a_stale_batch_changes_nothing,
    late_writers_never_mix,
    due_is_in_the_order_of_time,
    due_is_bounded_and_stops_when_told,
    a_moved_due_time_leaves_nothing_behind,
    every_kind_of_row_is_in_every_index,
    rows_of_the_outbox_come_and_go_in_the_journals_order,
    a_row_that_goes_takes_its_places_along,
    partitions_do_not_see_each_other,
    a_flushed_store_reads_the_same,
    random_batches_agree_with_a_model,
);

fn a_new_store_is_empty(store: &dyn Store) {
    for partition in 0..4 {
        assert_eq!(store.checkpoint(partition), Ok(None));
        assert_eq!(row(store, partition, "order/1"), None);
        assert_eq!(sagas(store, partition), []);
        assert_eq!(due(store, partition, Millis::MIN, Millis::MAX), []);
        assert_eq!(store.collect(partition, i64::MAX, 10), Ok(0));
        assert_eq!(store.clear(partition), Ok(()));
    }
    assert_eq!(store.flush(), Ok(()));
}

fn a_batch_brings_rows_indexes_and_checkpoint(store: &dyn Store) {
    let rows = vec![
        change("order/2", b"two", None, Some(20)),
        change("order/1", b"one", None, None),
        change("order/3", b"", None, Some(10)),
    ];
    store.write(&batch(1, -1, 5, rows)).expect("the first batch applies");
    assert_eq!(store.checkpoint(1), Ok(Some(checkpoint(5))));
    assert_eq!(row(store, 1, "order/1"), Some(b"one".to_vec()));
    assert_eq!(row(store, 1, "order/3"), Some(Vec::new()), "an empty row is a row");
    assert_eq!(row(store, 1, "order/"), None, "a prefix of an id is another id");
    assert_eq!(due(store, 1, 0, 100), [(10, "order/3".into()), (20, "order/2".into())]);
    let ids: Vec<String> = sagas(store, 1).into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, ["order/1", "order/2", "order/3"], "in the order of ids");
    let mut first = None;
    store.rows(1, RowKind::Saga, &mut |key, _| first.replace(key.to_string()).is_some()).expect("rows can be read");
    assert_eq!(first.as_deref(), Some("order/1"), "the visitor can stop");

    store.write(&batch(1, 5, 5, vec![change("order/1", b"new", None, None)])).expect("the same offset again, with another outbox");
    store.write(&batch(1, 5, 6, Vec::new())).expect("a batch without rows");
    assert_eq!(row(store, 1, "order/1"), Some(b"new".to_vec()));
    assert_eq!(offset(store, 1), 6);
}

fn a_stale_batch_changes_nothing(store: &dyn Store) {
    let stale = |base, stored| Err(StoreError::Stale { partition: 0, base, stored });
    assert_eq!(store.write(&batch(0, 0, 1, vec![change("order/1", b"x", None, Some(1))])), stale(0, -1));
    assert_eq!(sagas(store, 0), []);
    store.write(&batch(0, -1, 10, vec![change("order/1", b"kept", None, Some(1))])).expect("applies");
    for base in [-1, 0, 9, 11, i64::MAX] {
        let rows = vec![change("order/1", b"stale", Some(1), Some(2)), change("order/2", b"stale", None, Some(3))];
        assert_eq!(store.write(&batch(0, base, 20, rows)), stale(base, 10));
    }
    assert_eq!(sagas(store, 0), [("order/1".to_owned(), b"kept".to_vec())]);
    assert_eq!(due(store, 0, 0, 100), [(1, "order/1".into())]);
    assert_eq!(store.checkpoint(0), Ok(Some(checkpoint(10))));
}

/// Two writers of one partition race: whatever the order, each offset is passed once, and the rows are the winner's.
fn late_writers_never_mix(store: &dyn Store) {
    const STEPS: i64 = 200;
    std::thread::scope(|scope| {
        for writer in ["a", "b"] {
            scope.spawn(move || {
                let mut base = -1;
                while base < STEPS {
                    let rows = vec![
                        change("order/left", writer.as_bytes(), None, None),
                        change("order/right", writer.as_bytes(), None, None),
                    ];
                    match store.write(&batch(0, base, base + 1, rows)) {
                        Ok(()) => base += 1,
                        Err(StoreError::Stale { stored, .. }) => {
                            assert!(stored > base, "refused only because the other was faster");
                            base = stored;
                        }
                        Err(other) => panic!("{other}"),
                    }
                    std::thread::yield_now();
                }
            });
        }
    });
    assert_eq!(offset(store, 0), STEPS);
    assert_eq!(row(store, 0, "order/left"), row(store, 0, "order/right"));
}

fn due_is_in_the_order_of_time(store: &dyn Store) {
    let times = [Millis::MIN, -300, -1, 0, 1, 255, 256, 65_536, 1 << 40, Millis::MAX - 1];
    let rows = times.iter().rev().enumerate().map(|(i, at)| change(&format!("order/{i}"), b"r", None, Some(*at))).collect();
    store.write(&batch(0, -1, 1, rows)).expect("applies");
    let found: Vec<Millis> = due(store, 0, Millis::MIN, Millis::MAX).into_iter().map(|(at, _)| at).collect();
    assert_eq!(found, times);
}

fn due_is_bounded_and_stops_when_told(store: &dyn Store) {
    let rows = (0..10).map(|i| change(&format!("order/{i}"), b"r", None, Some(i))).collect();
    store.write(&batch(0, -1, 1, rows)).expect("applies");
    let at = |from, to| due(store, 0, from, to).into_iter().map(|(at, _)| at).collect::<Vec<_>>();
    assert_eq!(at(3, 6), [3, 4, 5], "from is in, to is not");
    assert_eq!(at(6, 3), [] as [Millis; 0]);
    assert_eq!(at(4, 4), [] as [Millis; 0]);
    let mut seen = 0;
    store
        .scan(0, Index::Due, 0, 100, &mut |at, key| {
            assert_eq!(store.row(0, &key), Ok(Some(b"r".to_vec())), "the visitor may ask the store");
            seen += 1;
            at < 4
        })
        .expect("readable");
    assert_eq!(seen, 5);
}

fn a_moved_due_time_leaves_nothing_behind(store: &dyn Store) {
    store
        .write(&batch(0, -1, 1, vec![change("order/1", b"1", None, Some(10)), change("order/2", b"1", None, Some(10))]))
        .expect("applies");
    store.write(&batch(0, 1, 2, vec![change("order/1", b"2", Some(10), Some(30))])).expect("applies");
    assert_eq!(due(store, 0, 0, 100), [(10, "order/2".into()), (30, "order/1".into())]);
    store.write(&batch(0, 2, 3, vec![change("order/1", b"3", Some(30), Some(30))])).expect("applies");
    assert_eq!(due(store, 0, 20, 100), [(30, "order/1".into())], "due at the same time as before");
    store.write(&batch(0, 3, 4, vec![change("order/1", b"4", Some(30), None)])).expect("applies");
    assert_eq!(due(store, 0, 0, 100), [(10, "order/2".into())]);
}

/// The store knows places and keys; which kind of row has which place is not its business.
fn every_kind_of_row_is_in_every_index(store: &dyn Store) {
    let keys = [RowKey::saga("order/1"), RowKey::Outbox(3, 0), RowKey::Outbox(-1, i32::MAX), RowKey::saga("order/2")];
    let [stuck, parked, live] = [11, 13, 17].map(NonZeroI64::new);
    let places = IndexKeys { due: Some(7), expiry: Some(-2), stuck, parked, live, search: None };
    let change = |key: &RowKey| RowChange {
        key: key.clone(),
        value: Some(b"r".to_vec()),
        before: IndexKeys::NONE,
        after: places.clone(),
        large: Large::default(),
    };
    store.write(&batch(0, -1, 1, keys.iter().map(change).collect())).expect("applies");
    let mut sorted = keys.to_vec();
    sorted.sort();
    for (index, at) in [(Index::Due, 7), (Index::Expiry, -2), (Index::Stuck, 11), (Index::Parked, 13), (Index::Live, 17)] {
        let mut found = Vec::new();
        let mut visit = |place, key| {
            found.push((place, key));
            true
        };
        store.scan(0, index, at, at + 1, &mut visit).expect("readable");
        assert_eq!(found, sorted.iter().map(|key| (at, key.clone())).collect::<Vec<_>>(), "{index:?}");
        let nobody = RowKey::saga("order/nobody");
        for (partition, at, key, is_there) in
            keys.iter().flat_map(|key| [(0, at, key, true), (0, at + 1, key, false), (1, at, key, false), (0, at, &nobody, false)])
        {
            assert_eq!(store.has_place(partition, index, at, key), Ok(is_there), "{index:?} {partition} {at} {key}");
        }
    }
}

fn rows_of_the_outbox_come_and_go_in_the_journals_order(store: &dyn Store) {
    let written = [(700, 0), (9, 1), (9, 0), (10, 0), (i64::MAX, i32::MAX)];
    let changes = written.iter().map(|(offset, index)| effect(*offset, *index, Some(b"body"))).collect();
    store.write(&batch(0, -1, 1, changes)).expect("applies");
    store.write(&batch(1, -1, 1, vec![effect(9, 0, Some(b"another partition's"))])).expect("applies");
    store.write(&batch(0, 1, 2, vec![change("order/1", b"r", None, Some(5))])).expect("the outbox stays as it is");
    let keys = |partition| rows(store, partition, RowKind::Outbox).into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    let all = [(9, 0), (9, 1), (10, 0), (700, 0), (i64::MAX, i32::MAX)].map(|(offset, index)| RowKey::Outbox(offset, index));
    assert_eq!(keys(0), all);
    assert_eq!(sagas(store, 0).len(), 1, "effects are no sagas");
    let rewritten = vec![effect(9, 0, None), effect(9, 1, Some(b"set apart")), effect(10, 0, None), effect(11, 0, None)];
    store.write(&batch(0, 2, 3, rewritten)).expect("applies, also where nothing was");
    assert_eq!(keys(0), [all[1].clone(), all[3].clone(), all[4].clone()]);
    assert_eq!(store.row(0, &all[1]), Ok(Some(b"set apart".to_vec())));
    assert_eq!(store.row(0, &all[0]), Ok(None));
    assert_eq!(keys(1), [RowKey::Outbox(9, 0)]);
}

fn a_row_that_goes_takes_its_places_along(store: &dyn Store) {
    store
        .write(&batch(0, -1, 1, vec![change("order/1", b"1", None, Some(10)), change("order/2", b"2", None, Some(10))]))
        .expect("applies");
    let gone = RowChange { value: None, ..change("order/1", b"", Some(10), None) };
    store.write(&batch(0, 1, 2, vec![gone])).expect("applies");
    assert_eq!(row(store, 0, "order/1"), None);
    assert_eq!(sagas(store, 0).len(), 1);
    assert_eq!(due(store, 0, 0, 100), [(10, "order/2".into())]);
}

fn partitions_do_not_see_each_other(store: &dyn Store) {
    for partition in 0..4 {
        let rows = vec![change("order/1", &[partition as u8], None, Some(Millis::from(partition)))];
        store.write(&batch(partition, -1, i64::from(partition), rows)).expect("applies");
    }
    for partition in 0..4 {
        assert_eq!(sagas(store, partition), [("order/1".to_owned(), vec![partition as u8])]);
        assert_eq!(due(store, partition, Millis::MIN, Millis::MAX), [(Millis::from(partition), "order/1".into())]);
        assert_eq!(offset(store, partition), i64::from(partition));
    }
}

fn a_flushed_store_reads_the_same(store: &dyn Store) {
    for n in 0..300 {
        store.write(&common::history(3, n)).expect("applies");
        if n % 60 == 0 {
            store.flush().expect("flushes");
        }
    }
    assert_eq!(common::assert_history_prefix(store, 3), 300);
    store.flush().expect("flushes");
    assert_eq!(common::assert_history_prefix(store, 3), 300);
}

/// Random batches over few ids, clears and flushes, compared with plain maps after every step.
fn random_batches_agree_with_a_model(store: &dyn Store) {
    let mut random = fastrand::Rng::with_seed(20_261_123);
    let mut offset_now = -1;
    let mut rows = std::collections::BTreeMap::<String, (Vec<u8>, Option<Millis>)>::new();
    for _ in 0..400 {
        match random.u8(0..20) {
            0 => {
                store.clear(1).expect("clears");
                rows.clear();
                offset_now = -1;
            }
            1 | 2 => store.flush().expect("flushes"),
            _ => {
                let mut changes = Vec::new();
                for id in random.choose_multiple(0..12, 3) {
                    let (id, row) = (format!("order/{id}"), vec![random.u8(..); random.usize(0..300)]);
                    let due = random.bool().then(|| random.i64(-50..50));
                    changes.push(change(&id, &row, rows.get(&id).and_then(|row| row.1), due));
                    rows.insert(id, (row, due));
                }
                let next = offset_now + random.i64(1..5);
                store.write(&batch(1, offset_now, next, changes)).expect("applies");
                offset_now = next;
            }
        }
        let expected: Vec<_> = rows.iter().map(|(id, (row, _))| (id.clone(), row.clone())).collect();
        assert_eq!(sagas(store, 1), expected);
        let mut expected: Vec<_> = rows.iter().filter_map(|(id, (_, due))| due.map(|at| (at, id.clone()))).collect();
        expected.sort();
        assert_eq!(due(store, 1, -100, 100), expected);
        assert_eq!(offset(store, 1), offset_now);
    }
}
