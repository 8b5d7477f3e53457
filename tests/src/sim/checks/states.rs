//! Every store holds what a replay of the journal to the same offset holds.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use ringmaster::runtime::StoredRows;
use ringmaster_core::partition::{RESTORING, recount};
use ringmaster_schemas::journal::JournalRecord;
use ringmaster_schemas::state::{Batch, Checkpoint, Identity, Index, OutboxEffect, RowKey, RowKind, Saga, Searched, index_keys};
use ringmaster_store::Store;
use ringmaster_store::sim::SimStore;

use super::turns;
use crate::sim::replay::replay;
use crate::sim::truth::Truth;
use crate::sim::world::World;

/// Compares every machine's store.
pub(super) fn stores_are_replays(world: &World, truths: &[Truth]) -> Result<(), String> {
    let kept = values_kept(world, truths);
    for (machine, store) in world.machines.iter().enumerate() {
        for truth in truths {
            let checkpoint = store.checkpoint(truth.partition).map_err(|error| error.to_string())?;
            // Of one that was being made when its coordinator died nothing is ever gone on from.
            if let Some(checkpoint) = checkpoint.filter(|checkpoint| checkpoint.journal_offset != RESTORING) {
                one(world, (truth, &kept), store, &checkpoint).map_err(|why| {
                    format!("state: store {machine}, partition {}, offset {}: {why}", truth.partition, checkpoint.journal_offset)
                })?;
            }
        }
    }
    Ok(())
}

/// When all has left, the outbox of a store that knows it is empty: rows of what was delivered go. (One that was set apart may still
/// wait for the acknowledgement of its last try.)
pub(super) fn outboxes_are_empty(world: &World, truths: &[Truth]) -> Result<(), String> {
    for (machine, store) in world.machines.iter().enumerate() {
        for truth in truths {
            let checkpoint = store.checkpoint(truth.partition).map_err(|error| error.to_string())?;
            // One of before the journal lost its tail may end where it ends now: its next owner finds out by the record before.
            let knows_all = |checkpoint: &Checkpoint| {
                checkpoint.journal_offset == truth.records.len() as i64
                    && checkpoint.identity == identity_before(truth, truth.records.len())
            };
            if !checkpoint.as_ref().is_some_and(knows_all) {
                continue;
            }
            for (key, row) in stored(store, truth.partition, RowKind::Outbox)? {
                if !OutboxEffect::decode(&row).map_err(|error| error.to_string())?.undeliverable {
                    return Err(format!("state: store {machine}, partition {}: the {key} still waits in the end", truth.partition));
                }
            }
        }
    }
    Ok(())
}

/// Values that brokers hold, by topic, of all topics that effects go to.
type Kept = BTreeMap<Arc<str>, HashSet<Vec<u8>>>;

fn values_kept(world: &World, truths: &[Truth]) -> Kept {
    let topics: BTreeSet<&Arc<str>> = truths.iter().flat_map(|truth| &truth.effects).map(|due| &due.effect.topic).collect();
    let of = |topic: &Arc<str>| {
        let logs = (0..world.plan.partitions).map(|partition| world.broker.log(topic, partition));
        (topic.clone(), logs.flatten().map(|record| record.value.clone()).collect())
    };
    topics.into_iter().map(of).collect()
}

fn one(world: &World, (truth, kept): (&Truth, &Kept), store: &SimStore, checkpoint: &Checkpoint) -> Result<(), String> {
    let offset = usize::try_from(checkpoint.journal_offset).map_err(|_| "a negative offset")?;
    if offset > truth.records.len() {
        // The broker lost what this was built upon; its next owner must find that out.
        return if world.tail_lost { Ok(()) } else { Err("the journal does not reach so far".into()) };
    }
    let identity = identity_before(truth, offset);
    if identity != checkpoint.identity {
        return if world.tail_lost {
            Ok(())
        } else {
            Err(format!("the record before is {identity:?}, the checkpoint says {:?}", checkpoint.identity))
        };
    }
    let records: Vec<_> = truth.records[..offset].iter().map(|judged| judged.record.clone()).collect();
    let replayed = replay(&world.setup, truth.partition, &records)?;
    same_claim(truth, offset, checkpoint)?;
    same_rows(store, truth.partition, checkpoint, &replayed)?;
    turns::are_the_journals(truth, store, checkpoint)?;
    same_positions(checkpoint, &replayed.checkpoint)?;
    outbox_is_complete(kept, truth, store, checkpoint)
}

/// Of the record before this offset.
fn identity_before(truth: &Truth, offset: usize) -> Identity {
    truth.records[..offset].last().map_or(Identity { claim: [0; 16], number: -1 }, |judged| identity_of(&judged.says))
}

fn identity_of(record: &JournalRecord) -> Identity {
    match (record, record.stamp()) {
        (JournalRecord::Claim(claim), _) => Identity { claim: claim.id, number: -1 },
        (_, Some(stamp)) => Identity { claim: stamp.claim, number: stamp.number },
        (_, None) => unreachable!("all but claims are stamped"),
    }
}

fn same_claim(truth: &Truth, offset: usize, checkpoint: &Checkpoint) -> Result<(), String> {
    let claim = truth.records[..offset].iter().rev().find(|judged| matches!(judged.says, JournalRecord::Claim(_)));
    let expected = claim.map_or((-1, [0; 16], 0), |judged| {
        let counted = truth.records[judged.record.offset as usize..offset].iter().filter(|later| later.counts).count() as i64;
        let JournalRecord::Claim(claim) = &judged.says else { unreachable!("it was looked for") };
        (judged.record.offset, claim.id, counted)
    });
    let stored = (checkpoint.claim_offset, checkpoint.claim, checkpoint.number);
    if expected == stored { Ok(()) } else { Err(format!("the claim is {expected:?}, the checkpoint says {stored:?}")) }
}

fn same_rows(store: &SimStore, partition: i32, checkpoint: &Checkpoint, replayed: &Batch) -> Result<(), String> {
    let visible = |row: &[u8]| {
        Saga::decode(&"".into(), row).is_ok_and(|saga| saga.expiry_bucket().is_none_or(|bucket| bucket > checkpoint.expired_bucket))
    };
    let sagas = replayed.rows.iter().filter(|change| change.key.kind() == RowKind::Saga);
    let rows = sagas.filter_map(|change| Some((change.key.clone(), change.value.clone()?)));
    let expected: Rows = rows.filter(|(_, row)| visible(row)).collect();
    let all = stored(store, partition, RowKind::Saga)?;
    let stored: Rows = all.iter().filter(|(_, row)| visible(row)).map(|(key, row)| (key.clone(), row.clone())).collect();
    if expected != stored {
        let ids: BTreeSet<&RowKey> = expected.keys().chain(stored.keys()).collect();
        let wrong = ids.into_iter().find(|id| expected.get(*id) != stored.get(*id)).expect("they differ");
        let read = |rows: &Rows| rows.get(wrong).map(|row| Saga::decode(&wrong.to_string().into(), row));
        return Err(format!("{wrong} is stored as {:?}, replay says {:?}", read(&stored), read(&expected)));
    }
    if checkpoint.expired_bucket != replayed.checkpoint.expired_bucket {
        return Err(format!("expired up to {}, replay says {}", checkpoint.expired_bucket, replayed.checkpoint.expired_bucket));
    }
    if checkpoint.digest != replayed.checkpoint.digest {
        return Err(format!("the digest is {:?}, replay says {:?}", checkpoint.digest, replayed.checkpoint.digest));
    }
    // The same, added up from the rows themselves.
    let (counted, _) = recount(&StoredRows { store, partition }, checkpoint.expired_bucket)?;
    if counted != checkpoint.digest {
        return Err(format!("the digest is {:?}, the rows add up to {counted:?}", checkpoint.digest));
    }
    same_breakers(store, partition, replayed)?;
    super::counts::same_counts(store, partition, checkpoint, replayed)?;
    super::orphans::none(store, partition)?;
    indexes(store, partition, &all)
}

fn same_breakers(store: &SimStore, partition: i32, replayed: &Batch) -> Result<(), String> {
    let changes = replayed.rows.iter().filter(|change| change.key.kind() == RowKind::Breaker);
    let expected: Rows = changes.filter_map(|change| Some((change.key.clone(), change.value.clone()?))).collect();
    let stored = stored(store, partition, RowKind::Breaker)?;
    if stored == expected { Ok(()) } else { Err(format!("the breakers are {stored:?}, replay says {expected:?}")) }
}

/// What waits is found by time, and what expires by its bucket: no saga is forgotten, and no place is left behind.
fn indexes(store: &SimStore, partition: i32, rows: &Rows) -> Result<(), String> {
    for index in Index::ALL {
        let mut indexed = BTreeSet::new();
        let read = store.scan(partition, index, i64::MIN, i64::MAX, &mut |at, key| {
            indexed.insert((at, key));
            true
        });
        read.map_err(|error| error.to_string())?;
        // Whether it is a saga or an item, its id says.
        let place = |key: &RowKey, row: &Vec<u8>| index_keys(&Saga::decode(&key.to_string().into(), row).ok()?).place(index);
        let expected: BTreeSet<(i64, RowKey)> =
            rows.iter().filter_map(|(key, row)| Some((place(key, row)?, key.clone()))).collect();
        if indexed != expected {
            return Err(format!("{index:?}: the index holds {indexed:?}, rows say {expected:?}"));
        }
    }
    let by_row = |(key, row): (&RowKey, &Vec<u8>)| {
        let searched = Searched::of(&Saga::decode(&"".into(), row).ok()?)?;
        let places = searched.keys().map(|by| [by.definition, by.name, by.value, &key.to_string()].map(str::to_owned));
        Some(places.collect::<Vec<_>>())
    };
    let (searched, expected) = (store.searched(partition), rows.iter().filter_map(by_row).flatten().collect());
    if searched == expected { Ok(()) } else { Err(format!("{searched:?} are found by values, rows say {expected:?}")) }
}

pub(super) type Rows = BTreeMap<RowKey, Vec<u8>>;

pub(super) fn stored(store: &SimStore, partition: i32, kind: RowKind) -> Result<Rows, String> {
    let mut rows = BTreeMap::new();
    let read = store.rows(partition, kind, &mut |key, row| {
        rows.insert(key, row.to_vec());
        true
    });
    read.map_err(|error| error.to_string())?;
    Ok(rows)
}

fn same_positions(stored: &Checkpoint, replayed: &Checkpoint) -> Result<(), String> {
    let sorted = |checkpoint: &Checkpoint| {
        let mut positions: Vec<_> =
            checkpoint.positions.iter().map(|position| (position.name.to_string(), position.next)).collect();
        positions.sort();
        positions
    };
    if sorted(stored) == sorted(replayed) {
        Ok(())
    } else {
        Err(format!("positions are {:?}, replay says {:?}", sorted(stored), sorted(replayed)))
    }
}

/// An effect of the journal below the checkpoint is in its log, or in the outbox: state has moved on and cannot make it again.
fn outbox_is_complete(kept: &Kept, truth: &Truth, store: &SimStore, checkpoint: &Checkpoint) -> Result<(), String> {
    let mut outbox = stored(store, truth.partition, RowKind::Outbox)?;
    for due in truth.effects.iter().filter(|due| due.offset < checkpoint.journal_offset) {
        if let Some(row) = outbox.remove(&RowKey::Outbox(due.offset, due.index)) {
            let effect = OutboxEffect::decode(&row).map_err(|error| error.to_string())?;
            if effect.value != due.effect.value() || effect.topic != due.effect.topic {
                return Err(format!("the outbox holds {effect:?} as effect {} of the record at {}", due.index, due.offset));
            }
            continue;
        }
        if !kept.get(&due.effect.topic).is_some_and(|values| values.contains(due.effect.value())) {
            return Err(format!("the effect {} of the record at {} is neither delivered nor in the outbox", due.index, due.offset));
        }
    }
    match outbox.first_key_value() {
        None => Ok(()),
        Some((key, _)) => Err(format!("the outbox holds the {key}, which no counting record caused")),
    }
}
