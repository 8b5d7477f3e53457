//! Classes of an index as one order, on every store.

mod common;

use std::collections::BTreeSet;
use std::num::NonZeroI64;

use common::{batch, change, contract};
use ringmaster_schemas::state::{Index, IndexKeys, RowChange, RowKey};
use ringmaster_store::{Classes, Seen, Store};

contract!(classes_are_walked_through_as_one, what_changes_its_class_meanwhile_is_come_by_once, what_is_no_saga_is_passed_over);

const BITS: u32 = 42;

/// A saga's only place; its row is there already if it had another.
fn moved(id: &str, before: Option<(i64, i64)>, after: Option<(i64, i64)>) -> RowChange {
    let places = |place: Option<(i64, i64)>| IndexKeys {
        live: place.and_then(|(class, within)| NonZeroI64::new(class << BITS | within)),
        ..IndexKeys::NONE
    };
    RowChange { before: places(before), after: places(after), ..change(id, b"row", None, None) }
}

/// Many in one class, few in others, none in most; several at one number. Some have no place.
fn sagas() -> Vec<(String, i64, i64)> {
    let class = |number: i64| match number % 10 {
        0 => 0,
        1 => 7,
        2 => (1 << 21) - 1,
        3 => 100 + number % 40,
        _ => 6,
    };
    (0..700).map(|number| (format!("order/{:03}", number * 37 % 701), class(number), 1 + number * 13 % 97)).collect()
}

fn fill(store: &dyn Store, partition: i32) {
    let mut rows: Vec<RowChange> = sagas().iter().map(|(id, class, within)| moved(id, None, Some((*class, *within)))).collect();
    rows.push(moved("order/nowhere", None, None));
    store.write(&batch(partition, -1, 1, rows)).expect("applies");
}

fn page(store: &dyn Store, classes: &Classes<'_>, count: usize) -> Vec<(i64, String)> {
    let mut found = Vec::new();
    let visit = &mut |seen: Seen<'_>| {
        found.push((seen.at, seen.id.to_owned()));
        found.len() < count
    };
    store.walk_classes(1, Index::Live, classes, visit).expect("it can be walked through");
    found
}

fn classes_are_walked_through_as_one(store: &dyn Store) {
    fill(store, 1);
    for partition in [0, 2] {
        store.write(&batch(partition, -1, 1, vec![moved("order/elsewhere", None, Some((6, 1)))])).expect("applies");
    }
    for round in 0..2 {
        for is_wanted in [&|_| true, &|class| class == 6, &|class| class != 6, &|_| false] as [&dyn Fn(i64) -> bool; 4] {
            let wanted = sagas().into_iter().filter(|(_, class, _)| is_wanted(*class));
            let expected: BTreeSet<(i64, String)> = wanted.map(|(id, _, within)| (within, id)).collect();
            let expected: Vec<(i64, String)> = expected.into_iter().collect();
            for is_backward in [false, true] {
                let mut expected = expected.clone();
                if is_backward {
                    expected.reverse();
                }
                for count in [1, 7, 64, 65, 10_000] {
                    let (mut found, mut behind) = (Vec::new(), None::<(i64, String)>);
                    loop {
                        let behind_it = behind.as_ref().map(|(at, id)| (*at, &**id));
                        let classes = Classes { bits: BITS, is_wanted, behind: behind_it, is_backward };
                        let page = page(store, &classes, count);
                        let Some(last) = page.last() else { break };
                        behind = Some(last.clone());
                        found.extend(page);
                    }
                    assert_eq!(found, expected, "{round}, {count} at a time, backward: {is_backward}");
                }
                // A page may begin where nothing is any more.
                let gone = Classes { bits: BITS, is_wanted, behind: Some((50, "order/gone")), is_backward };
                let is_behind = |place: &&(i64, String)| {
                    let gone = (50, "order/gone");
                    if is_backward { (place.0, &*place.1) < gone } else { (place.0, &*place.1) > gone }
                };
                assert_eq!(page(store, &gone, usize::MAX), expected.iter().filter(is_behind).cloned().collect::<Vec<_>>());
            }
        }
        store.flush().expect("flushes");
    }
}

/// The visitor writes: a whole class goes where places were read already, or are still to be read.
fn what_changes_its_class_meanwhile_is_come_by_once(store: &dyn Store) {
    for (partition, is_backward) in [(1, false), (3, true)] {
        fill(store, partition);
        let classes = Classes { bits: BITS, is_wanted: &|_| true, behind: None, is_backward };
        let mut found = Vec::new();
        let visit = &mut |seen: Seen<'_>| {
            found.push(seen.id.to_owned());
            if found.len() == 3 {
                let of_class = sagas().into_iter().filter(|(_, class, _)| *class == 6);
                let rows = of_class.map(|(id, class, within)| moved(&id, Some((class, within)), Some((7, within))));
                store.write(&batch(partition, 1, 2, rows.collect())).expect("applies");
            }
            true
        };
        store.walk_classes(partition, Index::Live, &classes, visit).expect("it can be walked through");
        assert_eq!((found.len(), found.iter().collect::<BTreeSet<_>>().len()), (700, 700), "each once, though it moved");
    }
}

fn what_is_no_saga_is_passed_over(store: &dyn Store) {
    let of_key = |key| RowChange { key, ..moved("", None, Some((6, 5))) };
    let rows = vec![of_key(RowKey::Outbox(3, 0)), of_key(RowKey::saga("order/1")), of_key(RowKey::Breaker("payment".into()))];
    store.write(&batch(1, -1, 1, rows)).expect("applies");
    for is_backward in [false, true] {
        let classes = Classes { bits: BITS, is_wanted: &|_| true, behind: None, is_backward };
        assert_eq!(page(store, &classes, usize::MAX), [(5, "order/1".to_owned())]);
    }
}
