//! What a row says of its turns is what the journal says: each counting record that changed it since it began, and no other.

use ringmaster_schemas::names::is_value;
use ringmaster_schemas::state::{Checkpoint, RowKey, RowKind, Saga};
use ringmaster_store::sim::SimStore;

use super::states::stored;
use crate::sim::truth::Truth;

/// So many a row remembers: of its first, and of its last turns.
const REMEMBERED: (usize, usize) = (8, 56);

/// Looks at every row of a store.
pub(super) fn are_the_journals(truth: &Truth, store: &SimStore, checkpoint: &Checkpoint) -> Result<(), String> {
    for (key, row) in stored(store, truth.partition, RowKind::Saga)? {
        let RowKey::Saga(id) = &key else { continue };
        let saga = Saga::decode(id, &row).map_err(|error| format!("{id}: {error}"))?;
        let known = truth.turns.get(id).filter(|_| !is_value(id)).map_or(&[][..], |turns| turns);
        let begun_by = known.first().is_some_and(|first| *first < checkpoint.journal_offset);
        // One that the journal began anew behind this checkpoint is told by its former turns.
        if !known.is_empty() && !begun_by {
            continue;
        }
        let turns: Vec<i64> = known.iter().copied().filter(|offset| *offset < checkpoint.journal_offset).collect();
        let expected = told(&turns);
        if saga.turns.told() != expected {
            return Err(format!("{id} says that its turns are {:?}, the journal says {expected:?}", saga.turns));
        }
    }
    Ok(())
}

fn told(turns: &[i64]) -> (Vec<i64>, i64, Vec<i64>) {
    let first = turns.len().min(REMEMBERED.0);
    let last = (turns.len() - first).min(REMEMBERED.1);
    (turns[..first].to_vec(), (turns.len() - first - last) as i64, turns[turns.len() - last..].to_vec())
}
