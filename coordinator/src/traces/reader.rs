//! What the journal says of sagas, read by the offsets that their rows name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringmaster_bus::{Bus, BusError};
use ringmaster_core::partition::{Fence, Verdict};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Change, Decision, JournalRecord, SagaEvent};
use ringmaster_schemas::state::Turns;

use crate::blocking;

/// The next record is read on to where it is so near; else it is asked for by its offset.
const NEAR: i64 = 64;
/// Of what a row of very many turns does not name, so many records are looked at.
const UNNAMED_MAX: i64 = 100_000;

/// The events of one saga in one record.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part {
    pub(super) offset: i64,
    pub(super) at: Millis,
    pub(super) events: Vec<SagaEvent>,
}

/// What was read of several sagas of a partition: parts in order, by id.
pub(super) type Parts = BTreeMap<Arc<str>, Vec<Part>>;

/// Reads the records that these rows name, each once. What is gone from the journal is missing.
pub(super) fn read(
    bus: &mut impl Bus,
    (journal, partition): (&str, i32),
    rows: &BTreeMap<Arc<str>, Turns>,
) -> Result<Parts, BusError> {
    let (mut wanted, mut gaps, mut parts) = (BTreeSet::new(), Vec::new(), Parts::new());
    for (id, turns) in rows {
        let (first, left_out, last) = turns.told();
        if let (true, Some(from), Some(to)) = (left_out > 0, first.last(), last.first()) {
            gaps.push((id.clone(), *from, *to));
        }
        wanted.extend(first.into_iter().chain(last));
    }
    while let Some(from) = wanted.first().copied() {
        blocking::read_from(bus, journal, (partition, from), &mut |read| {
            // What is not there any more is wanted in vain.
            wanted = wanted.split_off(&read.offset);
            if wanted.remove(&read.offset)
                && let Some(JournalRecord::Decision(decision)) = record(read.value.as_deref())
            {
                take(read.offset, decision, &|id| rows.contains_key(id), &mut parts);
            }
            wanted.first().is_some_and(|next| next - read.offset <= NEAR)
        })?;
        wanted.remove(&from);
    }
    for (id, from, to) in gaps {
        read_gap(bus, (journal, partition), (&id, from, to), &mut parts)?;
    }
    parts.values_mut().for_each(|parts| parts.sort_by_key(|part| part.offset));
    Ok(parts)
}

/// Reads what a row does not name: between these of its records, those that count. Where that is too much, it is not told.
fn read_gap(
    bus: &mut impl Bus,
    (journal, partition): (&str, i32),
    (id, from, to): (&Arc<str>, i64, i64),
    parts: &mut Parts,
) -> Result<(), BusError> {
    if to - from > UNNAMED_MAX {
        tracing::warn!(
            saga = &**id,
            partition,
            from,
            to,
            "its trace says nothing of what happened between these offsets: too much lies there"
        );
        return Ok(());
    }
    let mut fence = Fence::default();
    blocking::read_from(bus, journal, (partition, from), &mut |read| {
        let Some(record) = record(read.value.as_deref()).filter(|_| read.offset < to) else { return read.offset + 1 < to };
        if let (true, Some(stamp)) = (read.offset == from, record.stamp()) {
            // It counts: its row names it.
            fence = Fence {
                next_offset: from + 1,
                claim_offset: stamp.claim_offset,
                claim: stamp.claim,
                number: stamp.number + 1,
                ..Fence::default()
            };
        } else if fence.judge(read.offset, &record) == Verdict::Counts
            && let JournalRecord::Decision(decision) = record
        {
            take(read.offset, decision, &|other| other == &**id, parts);
        }
        read.offset + 1 < to
    })
}

/// Visits the decisions that stand at these offsets, whether they count or not.
pub(super) fn each(
    bus: &mut impl Bus,
    (journal, partition): (&str, i32),
    (from, to): (i64, i64),
    visit: &mut dyn FnMut(i64, Decision),
) -> Result<(), BusError> {
    if from >= to {
        return Ok(());
    }
    blocking::read_from(bus, journal, (partition, from), &mut |read| {
        if let (true, Some(JournalRecord::Decision(decision))) = (read.offset < to, record(read.value.as_deref())) {
            visit(read.offset, decision);
        }
        read.offset + 1 < to
    })
}

/// What cannot be read is its owner's to complain of.
fn record(value: Option<&[u8]>) -> Option<JournalRecord> {
    JournalRecord::read(value.unwrap_or_default()).ok().flatten()
}

fn take(offset: i64, decision: Decision, is_wanted: &dyn Fn(&str) -> bool, parts: &mut Parts) {
    let at = decision.stamp.now;
    for change in decision.turns.into_iter().flat_map(|turn| turn.changes) {
        if let Change::Saga(change) = change
            && is_wanted(&change.saga)
        {
            parts.entry(change.saga).or_default().push(Part { offset, at, events: change.events });
        }
    }
}
