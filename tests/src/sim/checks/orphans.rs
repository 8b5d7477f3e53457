//! Whatever a store holds will wake one day, by itself or by somebody outside.

use ringmaster::runtime::{Judge, scrub};
use ringmaster_core::definition::Catalog;
use ringmaster_store::sim::SimStore;

/// There is no row that nothing will ever wake, and no place in an index without its row.
pub(super) fn none(store: &SimStore, partition: i32) -> Result<(), String> {
    let judge = Judge { now: 0, catalog: &Catalog::default(), usual_ms: &|_, _, _| None, remembers_ms: &|_| 1 };
    let found = scrub(store, partition, &judge, &mut || true)?.ok_or("nobody ended it")?;
    found.told.into_iter().next().map_or(Ok(()), |why| Err(format!("nothing will ever wake it: {why}")))
}
