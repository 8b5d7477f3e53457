//! Whether participants are asked: how their breakers stand, and how many sagas are parked for each.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringmaster_core::definition::Catalog;
use ringmaster_schemas::Millis;
use ringmaster_schemas::state::{Breaker, BreakerState, Index, RowKey, RowKind, Saga, parked_places};
use ringmaster_store::Store;
use serde_json::{Value, json};

use super::saga::time;
use super::sagas::{LOOKED_AT_MAX, READ_MAX};

/// One participant, in the partitions that are hosted here.
#[derive(Debug, Default)]
struct Shown {
    /// In how many partitions each state is.
    counts: BTreeMap<BreakerState, i32>,
    /// The worst one, where it began first.
    worst: Option<Breaker>,
    /// Sagas that wait for it.
    parked: usize,
    /// There may be more of them.
    more: bool,
}

/// The worst first: whom nobody asks till a person says so, whom probes ask, who is asked little by little.
fn badness(state: BreakerState) -> u8 {
    match state {
        BreakerState::Paused => 2,
        BreakerState::Open => 1,
        BreakerState::Draining => 0,
    }
}

impl Shown {
    /// Adds how its breaker stands in one more partition.
    fn add(&mut self, breaker: Breaker) {
        *self.counts.entry(breaker.state).or_default() += 1;
        let order = |breaker: &Breaker| (badness(breaker.state), std::cmp::Reverse(breaker.since));
        if self.worst.as_ref().is_none_or(|worst| order(worst) < order(&breaker)) {
            self.worst = Some(breaker);
        }
    }

    fn show(&self, name: &str, partitions: i32) -> Value {
        let asked = partitions - self.counts.values().sum::<i32>();
        let mut counts = json!({ "asked": asked });
        for (state, count) in &self.counts {
            counts[state.as_str()] = (*count).into();
        }
        let worst = self.worst.as_ref();
        json!({
            "participant": name,
            "state": worst.map_or("asked", |breaker| breaker.state.as_str()),
            "since": time(worst.map(|breaker| breaker.since)),
            "by": worst.and_then(|breaker| breaker.by.as_deref()),
            "why": worst.map(|breaker| &*breaker.why),
            "partitions": counts,
            "parked": self.parked,
            "more": self.more,
        })
    }
}

type All = BTreeMap<Arc<str>, Shown>;

/// Every participant that a definition names, or whose breaker is not closed, by name; as of the last checkpoints.
pub(super) fn list(store: &dyn Store, catalog: &Catalog, partitions: &[i32]) -> Result<Value, String> {
    let mut all: All = catalog.participants().into_iter().map(|name| (name, Shown::default())).collect();
    for &partition in partitions {
        for (name, breaker) in breakers(store, partition)? {
            all.entry(name).or_default().add(breaker);
        }
    }
    let mut budget = Budget { places: LOOKED_AT_MAX / partitions.len().max(1), rows: READ_MAX };
    for &partition in partitions {
        count(store, partition, &mut all, &mut budget)?;
    }
    let shown: Vec<Value> = all.iter().map(|(name, participant)| participant.show(name, partitions.len() as i32)).collect();
    Ok(json!({ "participants": shown }))
}

/// The breakers of a partition that are not closed.
fn breakers(store: &dyn Store, partition: i32) -> Result<Vec<(Arc<str>, Breaker)>, String> {
    let (mut found, mut damaged) = (Vec::new(), None);
    let visit = &mut |key, row: &[u8]| {
        if let RowKey::Breaker(name) = key {
            match Breaker::decode(row) {
                Ok(breaker) => found.push((name, breaker)),
                Err(error) => damaged = Some(format!("breaker of '{name}': {error}")),
            }
        }
        damaged.is_none()
    };
    store.rows(partition, RowKind::Breaker, visit).map_err(|error| error.to_string())?;
    damaged.map_or(Ok(found), Err)
}

/// How much may still be looked at.
struct Budget {
    /// Places of the index, in each partition.
    places: usize,
    /// Rows, in all of them.
    rows: usize,
}

/// Counts what is parked in a partition. A participant that shares its range with no other that is known is counted by places alone; what
/// others wait for says each row.
fn count(store: &dyn Store, partition: i32, all: &mut All, budget: &mut Budget) -> Result<(), String> {
    let mut ranges: BTreeMap<Millis, Vec<Arc<str>>> = BTreeMap::new();
    for name in all.keys() {
        ranges.entry(parked_places(Some(name)).start).or_default().push(name.clone());
    }
    let most = (budget.places / (ranges.len() + 1)).max(1);
    for names in ranges.values() {
        let (ids, is_cut) = parked(store, partition, Some(&names[0]), most)?;
        let [name] = &names[..] else {
            read(store, partition, (ids, is_cut), names, all, budget)?;
            continue;
        };
        let shown = all.get_mut(name).expect("it has just been named");
        shown.parked += ids.len();
        shown.more |= is_cut;
    }
    let names: Vec<Arc<str>> = all.keys().cloned().collect();
    read(store, partition, parked(store, partition, None, most)?, &names, all, budget)
}

/// What lies in the range of a participant, or of several, at most so much; and whether there is more.
fn parked(store: &dyn Store, partition: i32, participant: Option<&str>, most: usize) -> Result<(Vec<Arc<str>>, bool), String> {
    let (mut ids, mut is_cut) = (Vec::new(), false);
    let range = parked_places(participant);
    let visit = &mut |_, key| {
        is_cut = ids.len() == most;
        if let RowKey::Saga(id) = key
            && !is_cut
        {
            ids.push(id);
        }
        !is_cut
    };
    store.scan(partition, Index::Parked, range.start, range.end, visit).map_err(|error| error.to_string())?;
    Ok((ids, is_cut))
}

/// Counts by rows, which say for whom they wait.
fn read(
    store: &dyn Store,
    partition: i32,
    (ids, mut is_cut): (Vec<Arc<str>>, bool),
    names: &[Arc<str>],
    all: &mut All,
    budget: &mut Budget,
) -> Result<(), String> {
    for id in ids {
        if budget.rows == 0 {
            is_cut = true;
            break;
        }
        budget.rows -= 1;
        // It may be parked no more since its place was read.
        let Some(row) = store.row(partition, &RowKey::Saga(id.clone())).map_err(|error| error.to_string())? else { continue };
        let saga = Saga::decode(&id, &row).map_err(|error| format!("row of '{id}': {error}"))?;
        for (name, shown) in all.iter_mut() {
            let waits = saga.entries.iter().any(|entry| entry.parked_for() == Some(name));
            shown.parked += usize::from(waits);
        }
    }
    for name in names.iter().filter(|_| is_cut) {
        let shown = all.get_mut(name).expect("it has just been named");
        // For one whose breaker is closed nothing is parked.
        shown.more |= shown.worst.is_some();
    }
    Ok(())
}
