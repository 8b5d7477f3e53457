//! Pages, whatever bounds they have, are the whole.

mod narrow;

use std::collections::BTreeSet;
use std::sync::Arc;

use ringmaster_schemas::journal::{Failure, FailureKind, Head, HeadFields};
use ringmaster_schemas::names::{partition_of, saga_id};
use ringmaster_schemas::state::{Batch, End, RowChange, Status, index_keys};
use ringmaster_store::sim::SimStore;

use super::super::tests::{checkpoint, row, with_a_trip};
use super::*;

const PARTITIONS: i32 = 3;
const NOW: Millis = 1_000_000;

/// Without a step that waits: how it stands is all that there is.
fn saga(key: &str, started_at: Millis, has_ended: bool) -> Saga {
    let fields = HeadFields { version: [1; 16], started_at, source: "orders/0/1", ..Default::default() };
    Saga {
        id: saga_id("trip", key).into(),
        head: Head::new(&fields, &mut Vec::new()),
        status: if has_ended { Status::Completed } else { Status::Running },
        ended: has_ended.then_some(End { at: started_at + 5, expires_at: started_at * 4_000 }),
        ..row(key)
    }
}

/// A coordinator that knows of them, but for their version.
fn catalog() -> Catalog {
    with_a_trip().0.catalog
}

fn store(sagas: &[Saga]) -> SimStore {
    let store = SimStore::new();
    for partition in 0..PARTITIONS {
        let here = sagas.iter().filter(|saga| partition_of(saga.key().as_bytes(), PARTITIONS) == partition);
        let change = |saga: &Saga| {
            let key = RowKey::Saga(saga.id.clone());
            RowChange { after: index_keys(saga), ..RowChange::plain(key, Some(saga.encode())) }
        };
        let rows = here.map(change).collect();
        store.write(&Batch { partition, base_offset: -1, checkpoint: checkpoint(9), rows }).expect("applies");
    }
    store
}

/// All pages of a question, put together; and how many there were.
fn all(store: &SimStore, asked: &Asked, bounds: Bounds) -> (Vec<String>, usize) {
    let (mut found, mut pages, mut cursor, catalog) = (Vec::new(), 0, None, catalog());
    loop {
        let question = Question::of(Asked { cursor, ..asked.clone() }, &catalog).expect("a question");
        let mut parts: Vec<SagaPage> = Vec::new();
        // One instance has two of the partitions, another the third.
        for share in [&[0, 2][..], &[1]] {
            parts.push(page(store, &catalog, share, (&question, bounds), NOW).expect("a page"));
        }
        let page = SagaPage::joined(parts, &question);
        assert!(page.items.len() <= question.limit);
        assert!(page.complete == (page.items.len() == question.limit || page.next_cursor.is_none()), "{page:?}");
        found.extend(page.items.into_iter().map(|line| line.saga));
        pages += 1;
        assert!(pages < 10_000, "it does not come to an end");
        cursor = page.next_cursor;
        if cursor.is_none() {
            return (found, pages);
        }
    }
}

fn sagas() -> Vec<Saga> {
    (0..300).map(|number| saga(&format!("k-{number:03}"), 1_000 + number % 90, number % 7 == 0)).collect()
}

#[test]
fn pages_of_any_size_are_the_whole() {
    let sagas = sagas();
    let store = store(&sagas);
    let few = |places| Bounds { places, time: Duration::from_secs(600) };
    for (filter, is_meant) in [
        ("", (|_| true) as fn(&Saga) -> bool),
        ("status:running", |saga| saga.ended.is_none()),
        ("status:completed", |saga| saga.ended.is_some()),
        ("status:completed,running key:k-1*,k-12*,k-299", |saga| saga.key().starts_with("k-1") || saga.key() == "k-299"),
        ("started:>998s", |saga| NOW - saga.head.started_at() > 998_000),
        ("status:stuck", |_| false),
    ] {
        let expected: BTreeSet<String> = sagas.iter().filter(|saga| is_meant(saga)).map(|saga| saga.id.to_string()).collect();
        for limit in [1, 7, 500] {
            for places in [1, 40, 100_000] {
                let asked = Asked { filter: filter.to_owned(), limit: Some(limit), ..Asked::default() };
                let (forward, _) = all(&store, &asked, few(places));
                assert_eq!(forward.len(), expected.len(), "{filter} by {limit}, {places}: each in one page");
                assert_eq!(forward.iter().cloned().collect::<BTreeSet<_>>(), expected, "{filter} by {limit}, {places}");
                let (usual, _) = all(&store, &Asked { limit: Some(500), ..asked.clone() }, few(100_000));
                assert_eq!(forward, usual, "{filter} by {limit}, {places}: the order is the same");
                let (backward, _) = all(&store, &Asked { is_backward: true, ..asked.clone() }, few(places));
                let backward: BTreeSet<String> = backward.into_iter().collect();
                assert_eq!(backward, expected, "{filter} by {limit}, {places}, backward");
            }
        }
    }
}

/// Whatever begins, ends or goes meanwhile: what stays as it is, is in one page.
#[test]
fn what_stays_is_in_one_page_whatever_changes() {
    let sagas = sagas();
    let store = store(&sagas);
    let asked = Asked { filter: "status:running".to_owned(), limit: Some(20), ..Asked::default() };
    let mut found: Vec<String> = Vec::new();
    let (mut cursor, mut offsets) = (None, [9; PARTITIONS as usize]);
    for round in 0.. {
        let question = Question::of(Asked { cursor, ..asked.clone() }, &catalog()).expect("a question");
        let page = page(&store, &catalog(), &[0, 1, 2], (&question, Bounds::USUAL), NOW).expect("a page");
        found.extend(page.items.into_iter().map(|line| line.saga));
        let Some(next) = page.next_cursor else { break };
        cursor = Some(next);
        // One begins that sorts before all, and one of those that were there ends.
        let ends = &sagas[round * 11 + 1];
        for changed in [saga(&format!("new-{round}"), 1, false), saga(&ends.key(), ends.head.started_at(), true)] {
            let partition = partition_of(changed.key().as_bytes(), PARTITIONS);
            let key = RowKey::Saga(changed.id.clone());
            let stored = store.row(partition, &key).expect("readable");
            let before = stored.map(|row| index_keys(&Saga::decode(&changed.id, &row).expect("a row"))).unwrap_or_default();
            let change = RowChange { before, after: index_keys(&changed), ..RowChange::plain(key, Some(changed.encode())) };
            let base_offset = offsets[partition as usize];
            offsets[partition as usize] += 1;
            let checkpoint = checkpoint(base_offset + 1);
            store.write(&Batch { partition, base_offset, checkpoint, rows: vec![change] }).expect("applies");
        }
    }
    let mut live = Vec::new();
    let visit = &mut |seen: Seen<'_>| {
        live.push(seen.id.to_owned());
        true
    };
    // But for those that began meanwhile, all at 1.
    let behind = Some((2, ""));
    let classes = Classes { bits: LiveClass::BEGAN_BITS, is_wanted: &|_| true, behind, is_backward: false };
    for partition in 0..PARTITIONS {
        store.walk_classes(partition, Index::Live, &classes, visit).expect("walked");
    }
    assert!(live.len() > 200);
    for id in live {
        assert_eq!(found.iter().filter(|known| **known == id).count(), 1, "{id}");
    }
    let place = index_keys(&saga("zero", 0, false)).live.expect("also of one that began at the beginning of time").get();
    assert_eq!(
        place,
        (5 << 9 | 0x101) << (9 + LiveClass::BEGAN_BITS) | 1,
        "it is stored: another layout is another format of the store"
    );
}

#[test]
fn what_a_list_shows_as_code_is_found_by_it() {
    let (knowledge, mut trip) = with_a_trip();
    let failure = Failure { code: "CANCELLED".into(), step: "".into(), kind: FailureKind::Cancelled, message: "".into() };
    (trip.status, trip.failure) = (Status::Compensating, Some(Arc::new(failure)));
    let (store, asked) = (store(&[trip]), |filter: &str| Asked { filter: filter.to_owned(), ..Asked::default() });
    let found = |filter: &str| {
        let question = Question::of(asked(filter), &knowledge.catalog).expect("a question");
        page(&store, &knowledge.catalog, &[0, 1, 2], (&question, Bounds::USUAL), NOW).expect("a page").items
    };
    let all = found("status:compensating");
    assert_eq!((all.len(), all[0].code.as_deref(), all[0].undoes), (1, Some("CANCELLED"), true));
    assert_eq!(found("code:CANCELLED step:room"), all, "of what waits while it undoes for that");
    assert_eq!(found("code:OTHER"), []);
}

/// A page says what it took, and stops where it may look no further.
#[test]
fn a_page_is_bounded() {
    let store = store(&sagas());
    let asked = Asked { filter: "code:NONE".to_owned(), is_explained: true, ..Asked::default() };
    let question = Question::of(asked.clone(), &catalog()).expect("a question");
    let look = |bounds| page(&store, &catalog(), &[0, 1, 2], (&question, bounds), NOW).expect("a page");
    let bounded = look(Bounds { places: 90, time: Duration::from_secs(600) });
    let explain = bounded.explain.expect("it was asked for");
    assert!((explain.entries, bounded.complete) == (6, false) && bounded.next_cursor.is_some(), "{explain:?}");
    let late = look(Bounds { places: 100_000, time: Duration::ZERO });
    assert!(late.next_cursor.is_some() && late.explain.expect("asked").entries <= 3 * CLOCK_EVERY);
    let whole = look(Bounds::USUAL);
    assert_eq!((whole.complete, whole.next_cursor, whole.explain.expect("asked").rows), (true, None, 300));
}
