//! Rows, checkpoints and batches for the tests of stores.
#![allow(dead_code, reason = "each test file uses its part")]

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Head, HeadFields};
use ringmaster_schemas::names::saga_id;
use ringmaster_schemas::state::{
    Batch, Checkpoint, Digest, End, Identity, Index, IndexKeys, Large, RowChange, RowKey, RowKind, Saga, Status, index_keys,
};
use ringmaster_store::Store;

#[allow(unused_macros, reason = "each test file uses its part")]
/// Every test of the contract, on both stores.
macro_rules! contract {
    ($($test:ident),* $(,)?) => {
        mod sim_store {
            $(#[test] fn $test() { super::$test(&ringmaster_store::sim::SimStore::new()); })*
        }
        mod rocks_store {
            $(#[test] fn $test() {
                let dir = tempfile::tempdir().expect("a temporary folder");
                let opened = ringmaster_store::rocks::RocksStore::open(&dir.path().join("store"), 4, crate::common::MEMORY).expect("a new store opens");
                assert_eq!(opened.moved_aside, None);
                super::$test(&opened.store);
            })*
        }
    };
}
#[allow(unused_imports, reason = "each test file uses its part")]
pub(crate) use contract;

/// What a store of a test may take.
pub(crate) const MEMORY: usize = 64 << 20;

/// A checkpoint at this journal offset.
pub(crate) fn checkpoint(journal_offset: i64) -> Checkpoint {
    Checkpoint {
        journal: [9; 16],
        journal_offset,
        claim_offset: 0,
        claim: [7; 16],
        number: journal_offset,
        identity: Identity { claim: [7; 16], number: journal_offset - 1 },
        positions: Vec::new(),
        released: 0,
        now: 1_000,
        expired_bucket: i64::MIN,
        digest: Digest { live: [0; 16], finished: Vec::new() },
    }
}

/// A batch from one offset to the next.
pub(crate) fn batch(partition: i32, base_offset: i64, to: i64, rows: Vec<RowChange>) -> Batch {
    Batch { partition, base_offset, checkpoint: checkpoint(to), rows }
}

/// A changed row whose bytes are these.
pub(crate) fn change(id: &str, row: &[u8], due_before: Option<Millis>, due: Option<Millis>) -> RowChange {
    let places = |due| IndexKeys { due, ..IndexKeys::NONE };
    RowChange {
        key: RowKey::saga(id),
        value: Some(row.to_vec()),
        before: places(due_before),
        after: places(due),
        large: Large::default(),
    }
}

/// A changed effect of the outbox; gone if it has no bytes.
pub(crate) fn effect(offset: i64, index: i32, value: Option<&[u8]>) -> RowChange {
    RowChange::plain(RowKey::Outbox(offset, index), value.map(<[u8]>::to_vec))
}

/// A saga row; finished if it expires.
pub(crate) fn saga(key: &str, expires_at: Option<Millis>) -> Saga {
    Saga {
        id: saga_id("order", key).into(),
        head: Head::new(
            &HeadFields { version: [1; 16], started_at: 1, source: "orders/0/1", ..Default::default() },
            &mut Vec::new(),
        ),
        bare: false,
        status: if expires_at.is_some() { Status::Completed } else { Status::Running },
        passed: false,
        late: false,
        priority: ringmaster_schemas::state::PRIORITY_USUAL,
        deadline_at: None,
        held_since: None,
        entries: Vec::new(),
        failure: None,
        ended: expires_at.map(|expires_at| End { at: 1, expires_at }),
        more: None,
        turns: ringmaster_schemas::state::Turns::default(),
    }
}

/// The change that writes this saga's row over the stored one.
fn saga_change(store: &dyn Store, partition: i32, saga: &Saga) -> RowChange {
    let key = RowKey::Saga(saga.id.clone());
    let stored = store.row(partition, &key).expect("rows can be read");
    let before = stored.map_or(IndexKeys::NONE, |row| index_keys(&Saga::decode(&saga.id, &row).expect("a saga was written")));
    RowChange { key, value: Some(saga.encode()), before, after: index_keys(saga), large: Large::default() }
}

/// What is due in `from..to`, in the order it is visited.
pub(crate) fn due(store: &dyn Store, partition: i32, from: Millis, to: Millis) -> Vec<(Millis, String)> {
    let mut found = Vec::new();
    store
        .scan(partition, Index::Due, from, to, &mut |at, key| {
            found.push((at, key.to_string()));
            true
        })
        .expect("the due index can be read");
    found
}

/// All sagas' rows, in the order they are visited.
pub(crate) fn sagas(store: &dyn Store, partition: i32) -> Vec<(String, Vec<u8>)> {
    rows(store, partition, RowKind::Saga).into_iter().map(|(key, row)| (key.to_string(), row)).collect()
}

/// All rows of a kind, in the order they are visited.
pub(crate) fn rows(store: &dyn Store, partition: i32, kind: RowKind) -> Vec<(RowKey, Vec<u8>)> {
    let mut found = Vec::new();
    store
        .rows(partition, kind, &mut |key, row| {
            found.push((key, row.to_vec()));
            true
        })
        .expect("rows can be read");
    found
}

/// A saga's row.
pub(crate) fn row(store: &dyn Store, partition: i32, id: &str) -> Option<Vec<u8>> {
    store.row(partition, &RowKey::saga(id)).expect("rows can be read")
}

/// The offset of the stored checkpoint, -1 for none.
pub(crate) fn offset(store: &dyn Store, partition: i32) -> i64 {
    store.checkpoint(partition).expect("the checkpoint can be read").map_or(-1, |checkpoint| checkpoint.journal_offset)
}

/// The deterministic history that crash tests write: batch `n` brings the partition from offset `n` to `n + 1`.
pub(crate) fn history(partition: i32, n: i64) -> Batch {
    let base = if n == 0 { -1 } else { n };
    batch(
        partition,
        base,
        n + 1,
        history_ids(n)
            .into_iter()
            .map(|(id, before)| {
                let due_before = before.map(|before| before + 1_000);
                change(&id, &history_row(n), due_before, Some(n + 1_000))
            })
            .collect(),
    )
}

/// Checks that a store holds exactly the first batches of the history, however many; returns how many.
pub(crate) fn assert_history_prefix(store: &dyn Store, partition: i32) -> i64 {
    let count = offset(store, partition).max(0);
    let mut rows = std::collections::BTreeMap::new();
    for n in 0..count {
        for (id, _) in history_ids(n) {
            rows.insert(id, n);
        }
    }
    let mut expected_due: Vec<(Millis, String)> = rows.iter().map(|(id, n)| (n + 1_000, id.clone())).collect();
    expected_due.sort();
    let expected: Vec<(String, Vec<u8>)> = rows.into_iter().map(|(id, n)| (id, history_row(n))).collect();
    assert!(sagas(store, partition) == expected, "rows are those of exactly {count} batches");
    assert_eq!(due(store, partition, 0, Millis::MAX), expected_due, "the due index is that of exactly {count} batches");
    count
}

/// The two rows that batch `n` writes, and the batch that wrote each before.
fn history_ids(n: i64) -> [(String, Option<i64>); 2] {
    let before = |every: i64| (n >= every).then_some(n - every);
    [(format!("a/{:03}", n % 97), before(97)), (format!("b/{:03}", n % 31), before(31))]
}

fn history_row(n: i64) -> Vec<u8> {
    let mut row = n.to_be_bytes().to_vec();
    row.resize(200 + (n % 7) as usize * 1_000, n as u8);
    row
}

/// Writes these sagas with a checkpoint that has expired everything up to `expired_bucket`.
pub(crate) fn write_sagas(store: &dyn Store, partition: i32, base: i64, expired_bucket: i64, rows: &[Saga]) {
    let mut batch = batch(partition, base, base + 1, rows.iter().map(|saga| saga_change(store, partition, saga)).collect());
    batch.checkpoint.expired_bucket = expired_bucket;
    store.write(&batch).expect("applies");
}

/// The business keys of all rows.
pub(crate) fn keys_left(store: &dyn Store, partition: i32) -> Vec<String> {
    sagas(store, partition).into_iter().map(|(id, _)| id.trim_start_matches("order/").to_owned()).collect()
}
