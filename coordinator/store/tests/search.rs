//! What is found by values, attacked on every store.

mod common;

use common::{batch, contract, keys_left, saga, write_sagas};
use ringmaster_schemas::journal::{Head, HeadFields, SearchKey, SearchValues};
use ringmaster_schemas::state::{EXPIRY_BUCKET_MS, IndexKeys, RowChange, RowKey, Saga, index_keys};
use ringmaster_store::{Seen, Store, StoreError, Through, Walk};

contract!(
    rows_are_found_by_each_of_their_values,
    a_value_is_no_part_of_another,
    what_has_ended_is_found_until_it_is_collected,
    one_that_begins_again_is_found_by_its_new_values_alone,
    one_that_begins_again_with_the_same_values_is_found,
    a_row_that_goes_is_found_no_more,
    partitions_are_searched_by_themselves,
);

/// A saga that is searched by these; finished if it expires.
fn searched(key: &str, expires_at: Option<i64>, values: &[(&str, &str)]) -> Saga {
    let search = SearchValues::encode("order", values.iter().copied());
    let fields = HeadFields { started_at: 1, search: SearchValues::of(&search), ..Default::default() };
    Saga { head: Head::new(&fields, &mut Vec::new()), ..saga(key, expires_at) }
}

fn by_value(by: SearchKey<'_>) -> Walk<'_> {
    Walk { through: Through::Value(by), behind: None, is_backward: false }
}

/// The keys of all that are found by a value.
fn found(store: &dyn Store, partition: i32, name: &str, value: &str) -> Vec<String> {
    let (mut all, by) = (Vec::new(), SearchKey { definition: "order", name, value });
    let visit = &mut |seen: Seen<'_>| {
        all.push(seen.id.trim_start_matches("order/").to_owned());
        true
    };
    store.walk(partition, &by_value(by), visit).expect("it can be searched");
    all
}

fn rows_are_found_by_each_of_their_values(store: &dyn Store) {
    let rows = [
        searched("b", None, &[("customer", "c-7"), ("region", "EU")]),
        searched("a", None, &[("customer", "c-7"), ("region", "US")]),
        searched("c", None, &[("region", "EU")]),
        saga("nowhere", None),
    ];
    write_sagas(store, 0, -1, 100, &rows);
    assert_eq!(found(store, 0, "customer", "c-7"), ["a", "b"], "in order");
    assert_eq!(found(store, 0, "region", "EU"), ["b", "c"]);
    assert_eq!(found(store, 0, "region", "c-7"), [""; 0]);
    let by = SearchKey { definition: "orde", name: "customer", value: "c-7" };
    store.walk(0, &by_value(by), &mut |seen| panic!("{seen:?} is of another definition")).expect("it can be searched");
    let mut seen = 0;
    let by = SearchKey { definition: "order", ..by };
    let visit = &mut |_: Seen<'_>| {
        seen += 1;
        false
    };
    store.walk(0, &by_value(by), visit).expect("it can be searched");
    assert_eq!(seen, 1, "it stops when told");
    write_sagas(store, 0, 0, 100, &rows[..2]);
    assert_eq!(found(store, 0, "customer", "c-7"), ["a", "b"], "written once more");
}

fn a_value_is_no_part_of_another(store: &dyn Store) {
    let values = ["", "a", "ab", "a\0", "\0", "a/b", "\u{10ffff}"];
    let rows: Vec<Saga> = values.iter().zip(0..).map(|(value, n)| searched(&n.to_string(), None, &[("x", value)])).collect();
    write_sagas(store, 0, -1, 100, &rows);
    for (value, n) in values.iter().zip(0..) {
        assert_eq!(found(store, 0, "x", value), [n.to_string()], "{value:?}");
    }
}

fn what_has_ended_is_found_until_it_is_collected(store: &dyn Store) {
    let values = [("customer", "c-7"), ("region", "EU")];
    write_sagas(store, 0, -1, 100, &[searched("a", None, &values), searched("b", Some(1), &values)]);
    write_sagas(store, 0, 0, 100, &[searched("a", Some(EXPIRY_BUCKET_MS), &values)]);
    assert_eq!(found(store, 0, "customer", "c-7"), ["a", "b"]);
    assert_eq!(store.collect(0, 0, 10), Ok(1));
    assert_eq!(found(store, 0, "customer", "c-7"), ["a"]);
    assert_eq!(store.collect(0, 1, 10), Ok(1));
    assert_eq!(keys_left(store, 0), [""; 0]);
    for (name, value) in values {
        assert_eq!(found(store, 0, name, value), [""; 0], "nothing is left behind");
    }
}

fn one_that_begins_again_is_found_by_its_new_values_alone(store: &dyn Store) {
    write_sagas(store, 0, -1, 100, &[searched("a", Some(1), &[("customer", "old"), ("region", "EU")])]);
    // In one bucket: its place does not move, and says something else.
    write_sagas(store, 0, 0, 100, &[searched("a", Some(2), &[("customer", "new")])]);
    assert_eq!([found(store, 0, "customer", "old"), found(store, 0, "region", "EU")], [[""; 0]; 2]);
    assert_eq!(found(store, 0, "customer", "new"), ["a"]);
    assert_eq!(store.collect(0, 100, 10), Ok(1));
    assert_eq!(found(store, 0, "customer", "new"), [""; 0]);
    write_sagas(store, 0, 1, 100, &[searched("b", Some(1), &[("customer", "old")]), searched("c", None, &[("customer", "c")])]);
    write_sagas(store, 0, 2, 100, &[searched("b", None, &[]), searched("c", Some(1), &[("customer", "c")])]);
    assert_eq!([found(store, 0, "customer", "old"), found(store, 0, "customer", "c")], [vec![], vec!["c".to_owned()]]);
}

/// Whoever has it in memory may not know that it was collected.
fn one_that_begins_again_with_the_same_values_is_found(store: &dyn Store) {
    let (ended, again) = (searched("a", Some(1), &[("customer", "c-7")]), searched("a", None, &[("customer", "c-7")]));
    let change = |before: IndexKeys, saga: &Saga| RowChange {
        before,
        after: index_keys(saga),
        ..RowChange::plain(RowKey::Saga(saga.id.clone()), Some(saga.encode()))
    };
    for collected in [true, false] {
        let at = i64::from(!collected) * 3;
        let mut first = batch(0, at - 1, at, vec![change(IndexKeys::NONE, &ended)]);
        first.checkpoint.expired_bucket = 100;
        store.write(&first).expect("applies");
        if collected {
            assert_eq!(store.collect(0, 100, 10), Ok(1));
        }
        store.write(&batch(0, at, at + 1, vec![change(index_keys(&ended), &again)])).expect("applies");
        assert_eq!(found(store, 0, "customer", "c-7"), ["a"], "collected: {collected}");
        let gone = RowChange { before: index_keys(&again), ..RowChange::plain(RowKey::Saga(again.id.clone()), None) };
        store.write(&batch(0, at + 1, at + 2, vec![gone])).expect("applies");
        assert_eq!(found(store, 0, "customer", "c-7"), [""; 0], "collected: {collected}");
    }
}

fn a_row_that_goes_is_found_no_more(store: &dyn Store) {
    let (one, other) = (searched("a", None, &[("customer", "c-7")]), searched("b", None, &[("customer", "c-7")]));
    write_sagas(store, 0, -1, 100, &[one.clone(), other]);
    let gone = RowChange { before: index_keys(&one), ..RowChange::plain(RowKey::Saga(one.id.clone()), None) };
    store.write(&batch(0, 0, 1, vec![gone.clone()])).expect("applies");
    assert_eq!(found(store, 0, "customer", "c-7"), ["b"]);
    let late = store.write(&batch(0, 0, 2, vec![gone]));
    assert_eq!(late, Err(StoreError::Stale { partition: 0, base: 0, stored: 1 }));
}

fn partitions_are_searched_by_themselves(store: &dyn Store) {
    for partition in 0..4 {
        write_sagas(store, partition, -1, 100, &[searched(&partition.to_string(), Some(1), &[("customer", "c-7")])]);
    }
    assert_eq!(store.collect(1, 100, 10), Ok(1));
    store.clear(2).expect("clears");
    let all: Vec<Vec<String>> = (0..4).map(|partition| found(store, partition, "customer", "c-7")).collect();
    assert_eq!(all, [vec!["0".to_owned()], vec![], vec![], vec!["3".to_owned()]]);
}
