//! Walking through sagas, attacked on every store: pages put together are the whole, forward and backward.

mod common;

use common::{batch, contract, effect, saga, write_sagas};
use ringmaster_schemas::journal::{Head, HeadFields, SearchKey, SearchValues};
use ringmaster_schemas::state::{Index, Saga};
use ringmaster_store::{Seen, Store, Through, Walk};

contract!(pages_are_the_whole, a_walk_stops_when_told, rows_come_along_where_they_are_walked_through);

/// Due at, or finished; all are searched by one value.
fn rows() -> Vec<Saga> {
    let search = SearchValues::encode("order", [("customer", "c-7")].into_iter());
    let fields = HeadFields { started_at: 1, search: SearchValues::of(&search), ..Default::default() };
    let with = |key: &str, expires_at: Option<i64>, deadline_at: Option<i64>| Saga {
        head: Head::new(&fields, &mut Vec::new()),
        deadline_at,
        ..saga(key, expires_at)
    };
    let mut rows = vec![with("z", Some(7_200_000), None), with("y", Some(1), None), with("\u{e9}", None, Some(-3))];
    rows.extend((0..9).map(|number| with(&format!("a{number}"), None, Some(5 + number % 3))));
    rows.extend(["b", "ba", "b/c", "b.c", "b~2"].map(|key| with(key, None, Some(i64::MAX - 1))));
    rows
}

fn stored(store: &dyn Store) {
    write_sagas(store, 1, -1, 100, &rows());
    write_sagas(store, 0, -1, 100, &rows()[..3]);
    write_sagas(store, 2, -1, 100, &rows()[..3]);
    store.write(&batch(1, 0, 1, vec![effect(7, 0, Some(b"no saga"))])).expect("applies");
}

/// One page; and whether there was more.
fn page(store: &dyn Store, walk: &Walk<'_>, count: usize) -> Vec<(i64, String)> {
    let mut found = Vec::new();
    let visit = &mut |seen: Seen<'_>| {
        found.push((seen.at, seen.id.to_owned()));
        found.len() < count
    };
    store.walk(1, walk, visit).expect("it can be walked through");
    found
}

fn pages_are_the_whole(store: &dyn Store) {
    stored(store);
    let by = SearchKey { definition: "order", name: "customer", value: "c-7" };
    let all = i64::MIN..i64::MAX;
    for (through, count) in [
        (Through::Ids(""), 17),
        (Through::Ids("order/b"), 5),
        (Through::Ids("order/a3"), 1),
        (Through::Ids("orders/"), 0),
        (Through::Ids("order"), 17),
        (Through::Places(Index::Due, all.clone()), 15),
        (Through::Places(Index::Due, 6..8), 6),
        (Through::Places(Index::Due, 8..8), 0),
        (Through::Places(Index::Expiry, all.clone()), 2),
        (Through::Places(Index::Stuck, all), 0),
        (Through::Value(by), 17),
        (Through::Value(SearchKey { value: "c-", ..by }), 0),
    ] {
        let walk = |behind, is_backward| Walk { through: through.clone(), behind, is_backward };
        let forward = page(store, &walk(None, false), usize::MAX);
        assert_eq!(forward.len(), count, "{through:?}");
        assert!(forward.is_sorted(), "{through:?}: {forward:?}");
        let mut backward = page(store, &walk(None, true), usize::MAX);
        backward.reverse();
        assert_eq!(forward, backward, "{through:?}");
        for (size, is_backward) in [(1, false), (4, false), (1, true), (4, true)] {
            let mut paged: Vec<(i64, String)> = Vec::new();
            loop {
                let last = paged.last().cloned();
                let behind = last.as_ref().map(|(at, id)| (*at, &**id));
                let some = page(store, &Walk { through: through.clone(), behind, is_backward }, size);
                if some.is_empty() {
                    break;
                }
                paged.extend(some);
            }
            if is_backward {
                paged.reverse();
            }
            assert_eq!(paged, forward, "{through:?} in pages of {size}");
        }
    }
}

fn a_walk_stops_when_told(store: &dyn Store) {
    stored(store);
    for is_backward in [false, true] {
        let walk = Walk { through: Through::Ids(""), behind: None, is_backward };
        assert_eq!(page(store, &walk, 2).len(), 2);
    }
    let beyond = Walk { through: Through::Ids("order/b"), behind: Some((0, "order/c")), is_backward: false };
    assert_eq!(page(store, &beyond, 9), [], "a place behind all of it");
    assert_eq!(page(store, &Walk { is_backward: true, ..beyond }, 9).len(), 5);
}

fn rows_come_along_where_they_are_walked_through(store: &dyn Store) {
    stored(store);
    let mut rows = 0;
    let visit = &mut |seen: Seen<'_>| {
        let row = seen.row.expect("it comes along");
        assert_eq!(Saga::decode(&seen.id.into(), row).map(|saga| saga.id.to_string()), Ok(seen.id.to_owned()));
        rows += 1;
        true
    };
    store.walk(1, &Walk { through: Through::Ids(""), behind: None, is_backward: true }, visit).expect("walked");
    assert_eq!(rows, 17);
    let visit = &mut |seen: Seen<'_>| seen.row.is_none();
    let places = Through::Places(Index::Due, i64::MIN..i64::MAX);
    store.walk(1, &Walk { through: places, behind: None, is_backward: false }, visit).expect("walked");
}
