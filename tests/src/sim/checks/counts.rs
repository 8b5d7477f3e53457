//! Every store counts what its rows add up to, and what has happened by its journal.

use ringmaster::runtime::StoredRows;
use ringmaster_core::partition::recount_standing;
use ringmaster_schemas::state::{Batch, Checkpoint, Counts, ParticipantCounts, RowKey};
use ringmaster_store::Store;
use ringmaster_store::sim::SimStore;

/// The counts of a store are those of a replay to the same offset, and those of a look at every row.
pub(super) fn same_counts(store: &SimStore, partition: i32, checkpoint: &Checkpoint, replayed: &Batch) -> Result<(), String> {
    let row = store.row(partition, &RowKey::Counts).map_err(|error| error.to_string())?;
    let decode = |row: &[u8]| Counts::decode(row).map_err(|error| error.to_string());
    let stored = decode(&row.ok_or("nothing is counted")?)?;
    let made = replayed.rows.iter().find(|change| change.key == RowKey::Counts);
    let made = decode(made.and_then(|change| change.value.as_deref()).ok_or("a replay counts nothing")?)?;
    // What happened before a snapshot was taken is not known to whoever begins with it.
    let knows_all = stored.since == 0;
    if knows_all && stored != made || stored.of_rows() != made.of_rows() {
        return Err(format!("counts are {stored:?}, replay says {made:?}"));
    }
    if stored.journal_offset != checkpoint.journal_offset {
        return Err(format!("counts are of offset {}", stored.journal_offset));
    }
    let counted = recount_standing(&StoredRows { store, partition }, checkpoint.expired_bucket, &stored)?;
    if stored.of_rows() != counted {
        return Err(format!("counts are {:?}, the rows add up to {counted:?}", stored.of_rows()));
    }
    stored.participants.iter().try_for_each(adds_up)
}

/// Whatever was asked has ended, or is not answered.
fn adds_up(of: &ParticipantCounts) -> Result<(), String> {
    let (asked, known) = (of.attempts(), of.ended() + of.unanswered());
    if asked == known { Ok(()) } else { Err(format!("{asked} attempts were asked, {known} are accounted for: {of:?}")) }
}
