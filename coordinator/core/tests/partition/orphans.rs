//! Whatever is stored will wake: that is looked at with each checkpoint of all tests here; and what will not is found.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringmaster_core::definition::Catalog;
use ringmaster_core::saga::{Beside, orphan};
use ringmaster_schemas::state::{Breaker, BreakerState, Detail, EntryMore, RowKey, Saga, Status, Waits};

use super::line::{ALPHAS, Line};

type Rows = BTreeMap<RowKey, Vec<u8>>;

/// What is stored, as it is asked.
struct Stored<'a>(&'a Rows);

impl Beside for Stored<'_> {
    fn has_row(&self, id: &str) -> Result<bool, String> {
        Ok(self.0.contains_key(&RowKey::saga(id)))
    }

    fn is_broken(&self, participant: &str) -> bool {
        self.0.contains_key(&RowKey::Breaker(participant.into()))
    }
}

/// All rows that nothing will wake, and why.
fn orphans(rows: &Rows, catalog: &Catalog) -> Vec<String> {
    let mut found = Vec::new();
    for (key, row) in rows {
        let RowKey::Saga(id) = key else { continue };
        let saga = Saga::decode(id, row).expect("a stored row");
        let definition = catalog.by_hash(&saga.head.version()).map(|definition| &**definition);
        let why = orphan(&saga, definition, &Stored(rows)).expect("rows can be read");
        found.extend(why.map(|why| format!("{id}: {why}")));
    }
    found
}

/// There are none.
pub(crate) fn none(rows: &Rows, catalog: &Catalog) {
    assert_eq!(orphans(rows, catalog), Vec::<String>::new(), "rows that nothing will ever wake");
}

/// What is found if the row of `alpha/one` is changed so, beside it nothing.
fn changed(change: impl FnOnce(&mut Saga)) -> Vec<String> {
    let mut line = Line::owned();
    line.start(ALPHAS, "one");
    line.checkpoint();
    let id: Arc<str> = "alpha/one".into();
    let key = RowKey::Saga(id.clone());
    let mut saga = Saga::decode(&id, &line.rows[&key]).expect("a stored row");
    change(&mut saga);
    line.rows.insert(key, saga.encode());
    orphans(&line.rows, &line.catalog)
}

fn waits(saga: &mut Saga, waits: Waits, detail: Detail) {
    let entry = &mut saga.entries[0];
    let mut more: EntryMore = entry.more.take().map_or_else(EntryMore::default, |more| *more);
    more.course = Some(ringmaster_schemas::state::Course { detail, ..Default::default() });
    (entry.waits, entry.more) = (waits, Some(Box::new(more)));
}

#[test]
fn what_nothing_will_wake_is_found() {
    let nothing = Vec::<String>::new();
    assert_eq!(changed(|_| {}), nothing);
    assert_eq!(
        changed(|saga| saga.entries[0].due_at = i64::MAX),
        ["alpha/one: step task waits for an answer in time, and has no timer"]
    );
    let timeless = |waits| changed(move |saga: &mut Saga| (saga.entries[0].waits, saga.entries[0].due_at) = (waits, i64::MAX));
    assert_eq!(timeless(Waits::Retry), ["alpha/one: step task waits for its next attempt, and has no timer"]);
    assert_eq!(timeless(Waits::Time), ["alpha/one: step task waits for its time, and has no timer"]);
    for outside in [Waits::Stuck, Waits::Approval, Waits::Event] {
        assert_eq!(timeless(outside), nothing, "somebody outside wakes it");
    }
    assert_eq!(timeless(Waits::Paused), ["alpha/one: step task waits until its saga is resumed, which is not paused"]);
    assert_eq!(timeless(Waits::Children), ["alpha/one: step task waits for rows below it, and knows of none"]);
    assert_eq!(timeless(Waits::No), ["alpha/one: nothing of it is open, and it has not ended"]);
    let parked = |saga: &mut Saga| waits(saga, Waits::Parked, Detail::Parked { participant: "worker".into() });
    assert_eq!(changed(parked), ["alpha/one: step task is parked for worker, which is asked as usual"]);
    let ended = |saga: &mut Saga| (saga.status, saga.entries[0].waits) = (Status::Completed, Waits::No);
    assert_eq!(changed(ended), nothing, "what has ended needs no waking");
}

/// A breaker that is not closed lets it go one day, and a row that lies below another one needs that.
#[test]
fn what_wakes_a_row_may_lie_beside_it() {
    let mut line = Line::owned();
    line.start(ALPHAS, "one");
    line.checkpoint();
    let id: Arc<str> = "alpha/one".into();
    let mut saga = Saga::decode(&id, &line.rows[&RowKey::Saga(id.clone())]).expect("a stored row");
    waits(&mut saga, Waits::Parked, Detail::Parked { participant: "worker".into() });
    line.rows.insert(RowKey::Saga(id.clone()), saga.encode());
    assert_eq!(orphans(&line.rows, &line.catalog).len(), 1);
    let breaker = Breaker { state: BreakerState::Paused, since: 0, by: None, why: "test".into() };
    line.rows.insert(RowKey::Breaker("worker".into()), breaker.encode());
    none(&line.rows, &line.catalog);
    let item: Arc<str> = "alpha/one/task.3".into();
    line.rows.insert(RowKey::Saga(item), saga.encode());
    none(&line.rows, &line.catalog);
    line.rows.remove(&RowKey::Saga(id));
    assert_eq!(orphans(&line.rows, &line.catalog), ["alpha/one/task.3: the row above it, alpha/one, is gone"]);
}
