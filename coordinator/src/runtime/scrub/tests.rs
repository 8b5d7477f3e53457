//! What a look at all rows finds: nothing where all is well, and whatever nothing would wake, or find.

use ringmaster_schemas::state::{Batch, Course, EntryMore, IndexKeys, RowChange, index_keys};
use ringmaster_store::sim::SimStore;

use super::*;
use crate::api::tests::{ROOM, checkpoint, with_a_trip, with_a_trip_of};

const NOW: Millis = 100_000;

/// A store with the rows of some sagas, as they are stored; each changed a little.
struct Rows {
    catalog: Catalog,
    saga: Saga,
    all: Vec<RowChange>,
}

impl Rows {
    fn new() -> Rows {
        let (knowledge, saga) = with_a_trip();
        Rows { catalog: knowledge.catalog, saga, all: Vec::new() }
    }

    fn with(mut self, id: &str, change: impl FnOnce(&mut Saga)) -> Rows {
        let mut saga = Saga { id: id.into(), ..self.saga.copy_with_room() };
        change(&mut saga);
        let value = Some(saga.encode());
        self.all.push(RowChange { after: index_keys(&saga), ..RowChange::plain(RowKey::Saga(saga.id.clone()), value) });
        self
    }

    /// What is found when it was written, and then this.
    fn found(self, more: Vec<RowChange>) -> Scrubbed {
        let store = SimStore::new();
        let write = |base_offset, offset, rows| {
            store.write(&Batch { partition: 0, base_offset, checkpoint: checkpoint(offset), rows }).expect("applies");
        };
        write(-1, 1, self.all);
        write(1, 2, more);
        let usual = |_: &DefinitionHash, node: u16, direction| (node == 1 && direction == Direction::Do).then_some(30_000);
        let judge = Judge { now: NOW, catalog: &self.catalog, usual_ms: &usual, remembers_ms: &|_| 1_000_000 };
        scrub(&store, 0, &judge, &mut || true).expect("rows can be read").expect("nobody ended it")
    }
}

#[test]
fn where_all_is_well_nothing_is_found() {
    let found = Rows::new().with("trip/a", |_| {}).with("trip/b", |_| {}).found(Vec::new());
    assert_eq!((found.rows, found.orphans, found.told), (2, 0, Vec::new()));
}

#[test]
fn a_place_that_is_lost_or_left_over_is_found_and_named() {
    let rows = Rows::new().with("trip/a", |_| {}).with("trip/b", |_| {});
    let before = rows.all[0].after.clone();
    assert!(before.due.is_some() && before.live.is_some());
    let lost = RowChange { before: before.clone(), after: IndexKeys { due: None, ..before.clone() }, ..rows.all[0].clone() };
    let found = rows.found(vec![lost]);
    assert_eq!((found.orphans, found.told), (1, vec!["trip/a: it has no place among what is due".to_owned()]));

    let rows = Rows::new().with("trip/a", |_| {}).with("trip/b", |_| {});
    let gone = RowChange::plain(rows.all[1].key.clone(), None);
    let found = rows.found(vec![gone]);
    let left = |what: &str| format!("trip/b: a place {what} is not its row's");
    assert_eq!(found.told, [left("among what is due"), left("among sagas that live")]);

    let rows = Rows::new().with("trip/a", |_| {});
    let moved = IndexKeys { due: before.due.map(|due| due + 1), ..before.clone() };
    let found = rows.all[0].clone();
    let found = rows.found(vec![RowChange { before, after: moved, ..found }]);
    assert_eq!(found.orphans, 2, "it is not where it should be, and where it should not be: {:?}", found.told);
}

/// All others are looked at all the same, and what is told is of this look.
#[test]
fn a_row_that_cannot_be_read_is_one_of_those_that_nothing_wakes() {
    let mut rows =
        Rows::new().with("trip/a", |_| {}).with("trip/b", |_| {}).with("trip/c", |saga| saga.entries[0].due_at = Millis::MAX);
    rows.all[1].value = Some(b"\xff\xff".to_vec());
    let found = rows.found(Vec::new());
    assert_eq!((found.rows, found.orphans, found.at), (2, 2, NOW), "{:?}", found.told);
    assert!(found.told[0].starts_with("trip/b: its row cannot be read: "), "{:?}", found.told);
    assert!(found.told[1].starts_with("trip/c: step room waits"), "{:?}", found.told);
}

/// Whoever undoes may remember for less long.
#[test]
fn what_an_undo_asks_remembers_as_well() {
    let steps = ROOM.replace("undo: nothing", "undo: desk.Release");
    let (knowledge, saga) = with_a_trip_of(&steps);
    let remembers = |name: &str| if name == "desk" { 7 } else { 30 };
    let judge = Judge { now: NOW, catalog: &knowledge.catalog, usual_ms: &|_, _, _| None, remembers_ms: &remembers };
    assert_eq!(judge.shortest(&saga.head.version()), Some(7));
}

#[test]
fn what_nothing_wakes_is_found_and_told_up_to_a_bound() {
    let mut rows = Rows::new();
    for number in 0..30 {
        rows = rows.with(&format!("trip/{number:02}"), |saga| saga.entries[0].due_at = Millis::MAX);
    }
    let found = rows.with("trip/x/room.1", |_| {}).found(Vec::new());
    assert_eq!((found.orphans, found.told.len()), (31, TOLD_MAX));
    assert_eq!(found.told[0], "trip/00: step room waits for an answer in time, and has no timer");
}

#[test]
fn what_waits_is_counted_by_role_and_by_how_long_is_usual() {
    let approval = |since, roles: &'static [&'static str]| {
        move |saga: &mut Saga| {
            let entry = &mut saga.entries[0];
            let detail = Detail::Asked { roles: roles.iter().map(|role| (*role).into()).collect(), show: None };
            let course = Some(Course { detail, ..Course::default() });
            entry.more = Some(Box::new(EntryMore { course, ..EntryMore::default() }));
            (entry.waits, entry.work, entry.order, entry.since) = (Waits::Approval, Work::Nothing, None, since);
        }
    };
    let found = Rows::new()
        .with("trip/a", approval(9_000, &["risk"]))
        .with("trip/b", approval(50_000, &["risk", "boss"]))
        .with("trip/c", |_| {})
        .with("trip/d", |saga| saga.entries[0].waits = Waits::Stuck)
        .found(Vec::new());
    let known = [("boss".into(), (1, 50_000)), ("risk".into(), (2, 9_000))];
    assert_eq!(found.approvals, known.into());
    let too_long: Vec<u64> = found.too_long.into_values().collect();
    assert_eq!(too_long, [2], "a since 9,000, and c since its first attempt at 10; d needs a person, and is told by that");
    assert!(found.retention_used > 0.0, "{}", found.retention_used);
}

#[test]
fn who_says_no_ends_it() {
    let rows = Rows::new().with("trip/a", |_| {});
    let store = SimStore::new();
    store.write(&Batch { partition: 0, base_offset: -1, checkpoint: checkpoint(1), rows: rows.all }).expect("applies");
    let judge = Judge { now: NOW, catalog: &rows.catalog, usual_ms: &|_, _, _| None, remembers_ms: &|_| 1 };
    for most in 0..3 {
        let mut asked = 0;
        let mut goes_on = || {
            asked += 1;
            asked <= most
        };
        assert_eq!(scrub(&store, 0, &judge, &mut goes_on).expect("it can be read"), None, "{most}");
    }
}
